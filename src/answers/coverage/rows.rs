//! The figures as programs take them: a row for each group, for each figure then and now, and for each gap.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{By, Figures, Gap, Inheritance, Lacking, NodeCoverage, Share, grouped, total};
use crate::answers::Environment;

/// The figures of one group, or of all together. What is unknown is not 0.
#[derive(Debug, Default, Serialize)]
pub struct GroupRow {
    by: &'static str,
    group: Option<String>,
    is_total: u8,
    node_count: u64,
    documented: u64,
    documented_percent: Option<f64>,
    documented_target: Option<f64>,
    placeholders: u64,
    column_count: Option<u64>,
    documented_columns: Option<u64>,
    documented_columns_percent: Option<f64>,
    documented_columns_target: Option<f64>,
    inherited_columns: Option<u64>,
    tested_columns: Option<u64>,
    tested_columns_percent: Option<f64>,
    unknown_columns: u64,
    testable: u64,
    tested: u64,
    tested_percent: Option<f64>,
    tested_target: Option<f64>,
}

/// A row for each group, and one for `total`. The targets are of nodes, of columns and of tests, in percent.
pub fn figures(
    by: By,
    groups: Vec<(Option<String>, Figures)>,
    total: Figures,
    [nodes, columns, tested]: [Option<f64>; 3],
) -> Vec<GroupRow> {
    let row = |group: Option<String>, is_total: u8, figures: Figures| {
        let Figures { documented, placeholders, documented_columns: docs, tested_columns: tests, .. } = figures;
        GroupRow {
            by: by.as_str(),
            group,
            is_total,
            node_count: documented.whole,
            documented: documented.part,
            documented_percent: documented.percent(),
            documented_target: nodes,
            placeholders,
            column_count: docs.known().map(|share| share.whole),
            documented_columns: docs.known().map(|share| share.part),
            documented_columns_percent: docs.percent(),
            documented_columns_target: columns,
            inherited_columns: docs.known().map(|_| figures.inherited_columns),
            tested_columns: tests.known().map(|share| share.part),
            tested_columns_percent: tests.percent(),
            unknown_columns: figures.unknown_columns,
            testable: figures.tested.whole,
            tested: figures.tested.part,
            tested_percent: figures.tested.percent(),
            tested_target: tested,
        }
    };
    let groups = groups.into_iter().map(|(name, figures)| row(name, 0, figures));
    groups.chain(std::iter::once(row(None, 1, total))).collect()
}

/// A figure of a group, then and now.
#[derive(Debug, Default, Serialize)]
pub struct Compared {
    by: &'static str,
    /// The group's name.
    pub group: Option<String>,
    /// 1 for all groups together.
    pub is_total: u8,
    /// The figure's name, as [`Figures::shares`] calls it.
    pub figure: &'static str,
    before_part: Option<u64>,
    before_whole: Option<u64>,
    before_percent: Option<f64>,
    part: Option<u64>,
    whole: Option<u64>,
    percent: Option<f64>,
    /// In points of a percent.
    pub change: Option<f64>,
    /// What it was.
    #[serde(skip)]
    pub before: Share,
    /// What it is.
    #[serde(skip)]
    pub after: Share,
}

/// The figures of two moments side by side, group by group, and then those of all together.
pub fn compared(by: By, before: &[NodeCoverage], now: &[NodeCoverage], environments: &[Environment]) -> Vec<Compared> {
    type Key = (bool, Option<String>);
    let of = |nodes: &[NodeCoverage]| -> BTreeMap<Key, Figures> {
        grouped(nodes, by, environments).into_iter().map(|(name, figures)| ((name.is_none(), name), figures)).collect()
    };
    let (was, is) = (of(before), of(now));
    let keys: BTreeSet<&Key> = was.keys().chain(is.keys()).collect();
    let of = |figures: &BTreeMap<Key, Figures>, key: &Key| figures.get(key).copied().unwrap_or_default();
    let groups = keys.into_iter().map(|key| (key.1.clone(), 0, of(&was, key), of(&is, key)));
    let all = std::iter::once((None, 1, total(before), total(now)));
    let rows = |(group, is_total, before, after): (Option<String>, u8, Figures, Figures)| {
        let shares = before.shares().into_iter().zip(after.shares());
        shares.map(move |((figure, before), (_, after))| pair(by, group.clone(), is_total, figure, before, after))
    };
    groups.chain(all).flat_map(rows).collect()
}

fn pair(by: By, group: Option<String>, is_total: u8, figure: &'static str, before: Share, after: Share) -> Compared {
    let change = before.percent().zip(after.percent()).map(|(was, is)| ((is - was) * 10.0).round() / 10.0);
    Compared {
        by: by.as_str(),
        group,
        is_total,
        figure,
        before_part: before.known().map(|share| share.part),
        before_whole: before.known().map(|share| share.whole),
        before_percent: before.percent(),
        part: after.known().map(|share| share.part),
        whole: after.known().map(|share| share.whole),
        percent: after.percent(),
        change,
        before,
        after,
    }
}

/// Something that a node lacks, with whose it is.
#[derive(Debug, Default, Serialize)]
pub struct Missing<'a> {
    by: Option<&'static str>,
    group: Option<String>,
    environment_id: i64,
    environment: &'a str,
    unique_id: &'a str,
    resource_type: &'a str,
    package_name: Option<&'a str>,
    owner_name: Option<&'a str>,
    file_path: Option<&'a str>,
    gap: &'static str,
    column_name: Option<&'a str>,
    inherited_description: Option<&'a str>,
    inherited_from: Option<String>,
}

/// A row for each gap, with what would fill it by itself.
pub fn missing<'a>(by: Option<By>, lacking: &'a [Lacking<'_>], inheritance: &'a Inheritance) -> Vec<Missing<'a>> {
    let row = |node: &'a NodeCoverage, gap: &'a Gap| Missing {
        inherited_description: gap.inherited(node, inheritance).map(|it| it.description.as_str()),
        inherited_from: gap.inherited(node, inheritance).map(|it| format!("{}.{}", it.from_id, it.from_column)),
        by: by.map(By::as_str),
        group: by.and_then(|by| node.groups(by).swap_remove(0)),
        environment_id: node.environment_id,
        environment: &node.environment,
        unique_id: &node.unique_id,
        resource_type: &node.resource_type,
        package_name: node.package_name.as_deref(),
        owner_name: node.owner_name.as_deref(),
        file_path: node.file_path.as_deref(),
        gap: gap.as_str(),
        column_name: gap.column(),
    };
    lacking.iter().flat_map(|(node, gaps)| gaps.iter().map(move |gap| row(node, gap))).collect()
}

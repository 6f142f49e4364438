//! How much is documented and tested, from the view `coverage`: its nodes, and their figures by what they are grouped by.

mod by;
mod falls;
mod gaps;
mod inherited;
mod report;
mod rows;
mod trend;

use std::collections::BTreeMap;

use rusqlite::Row;

use super::{Environment, Error, Reader};
use crate::inventory::Placeholders;

pub use by::By;
pub use falls::{Fall, Moment, falls};
pub use gaps::{Gap, Lacking, leave_inherited, new_gaps, sort_by_group};
pub use inherited::{Inheritance, Inherited};
pub use report::{Measure, Report};
pub use rows::{Compared, GroupRow, Missing, compared, figures, missing};
pub use trend::{Point, TrendRow};

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// How many are documented, or tested.
    pub part: u64,
    /// Of how many. 0 where none is known.
    pub whole: u64,
}

impl Share {
    /// The percentage, cut to one decimal so that 100 means all; `None` of nothing.
    pub fn percent(self) -> Option<f64> {
        (self.whole > 0).then(|| (self.part * 1000 / self.whole) as f64 / 10.0)
    }

    /// True if both are known and this is the smaller percentage.
    pub fn is_below(self, other: Self) -> bool {
        self.whole > 0 && other.whole > 0 && self.part * other.whole < other.part * self.whole
    }

    /// The same, where anything is known.
    pub fn known(self) -> Option<Self> {
        (self.whole > 0).then_some(self)
    }

    fn add(&mut self, part: u64, whole: u64) {
        self.part += part;
        self.whole += whole;
    }
}

/// The figures of a group of nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Nodes with a description that is no placeholder, of all nodes.
    pub documented: Share,
    /// Nodes whose description is a placeholder.
    pub placeholders: u64,
    /// Columns with a description that is no placeholder, of those that are known.
    pub documented_columns: Share,
    /// Columns without such a description that would inherit one.
    pub inherited_columns: u64,
    /// Columns with a test, of those that are known.
    pub tested_columns: Share,
    /// Models, seeds, snapshots and sources whose columns are not known. They count in no figure of columns.
    pub unknown_columns: u64,
    /// Models, seeds, snapshots and sources with a test, of all of them.
    pub tested: Share,
}

impl Figures {
    fn add(&mut self, node: &NodeCoverage) {
        self.documented.add(u64::from(node.is_documented), 1);
        self.placeholders += u64::from(node.is_placeholder);
        if node.is_relation() {
            self.tested.add(u64::from(node.test_count > 0), 1);
            self.unknown_columns += u64::from(node.column_count.is_none());
        }
        if let Some(columns) = node.column_count {
            self.documented_columns.add(node.documented_columns, columns);
            self.inherited_columns += node.inherited_columns;
            self.tested_columns.add(node.tested_columns, columns);
        }
    }

    /// The percentages that there are, by name.
    pub fn shares(&self) -> [(&'static str, Share); 4] {
        [
            ("documented", self.documented),
            ("documented_columns", self.documented_columns),
            ("tested_columns", self.tested_columns),
            ("tested", self.tested),
        ]
    }
}

fn is_relation(resource_type: &str) -> bool {
    matches!(resource_type, "model" | "seed" | "snapshot" | "source")
}

/// A row of the view `coverage`, with what it can be grouped by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeCoverage {
    /// Its key in the catalog.
    pub(super) node_key: i64,
    /// Its environment's id.
    pub environment_id: i64,
    /// Its environment's name.
    pub environment: String,
    /// Its id.
    pub unique_id: String,
    /// Its type.
    pub resource_type: String,
    /// Its package.
    pub package_name: Option<String>,
    /// Whether that is the root project; `None` if the project's name is unknown, or no package's.
    pub is_own_package: Option<bool>,
    /// Whether the configuration leaves it out of all figures.
    pub is_excluded: bool,
    /// Its owner.
    pub owner_name: Option<String>,
    /// Its dbt group.
    pub group_name: Option<String>,
    /// Its layer.
    pub layer: Option<String>,
    /// Its schema in the warehouse.
    pub schema_name: Option<String>,
    /// Its access.
    pub access: Option<String>,
    /// Its file.
    pub file_path: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its name.
    pub name: Option<String>,
    /// Whether it has a description that is no placeholder.
    pub is_documented: bool,
    /// Whether its description is a placeholder.
    pub is_placeholder: bool,
    /// How many columns it has; `None` if they are unknown.
    pub column_count: Option<u64>,
    /// How many of them have a description that is no placeholder.
    pub documented_columns: u64,
    /// How many others would inherit one; 0 unless [`NodeCoverage::inherit`] was told.
    pub inherited_columns: u64,
    /// How many of them have a test.
    pub tested_columns: u64,
    /// How many tests it has.
    pub test_count: u64,
}

impl NodeCoverage {
    /// True if it is in the figures: of the root project's own packages, or of all.
    pub fn counts(&self, all_packages: bool) -> bool {
        !self.is_excluded && (all_packages || self.is_own_package.unwrap_or(true))
    }

    /// True for what stands in the warehouse, so can have columns and tests.
    pub fn is_relation(&self) -> bool {
        is_relation(&self.resource_type)
    }

    /// Takes note of what its columns would inherit, and counts these as documented if `is_counted`.
    pub fn inherit(&mut self, inheritance: &Inheritance, is_counted: bool) {
        self.inherited_columns = inheritance.count(self);
        if is_counted {
            self.documented_columns += self.inherited_columns;
        }
    }

    /// The groups it belongs to: one, but for tags. `None` is the group of those that have none.
    pub fn groups(&self, by: By) -> Vec<Option<String>> {
        let folder = |path: &String| match path.rsplit_once(['/', '\\']) {
            Some((folder, _)) => folder.to_owned(),
            None => ".".to_owned(),
        };
        let one = match by {
            By::Environment => Some(self.environment.clone()),
            By::Owner => self.owner_name.clone(),
            By::Group => self.group_name.clone(),
            By::Package => self.package_name.clone(),
            By::Schema => self.schema_name.clone(),
            By::Layer => self.layer.clone(),
            By::Access => self.access.clone(),
            By::Path => self.file_path.as_ref().map(folder),
            By::ResourceType => Some(self.resource_type.clone()),
            By::Tag if !self.tags.is_empty() => return self.tags.iter().cloned().map(Some).collect(),
            By::Tag => None,
        };
        vec![one]
    }
}

/// By their keys: the views `coverage` and `nodes` would look up each node twice.
const NODES: &str = "
    SELECT n.environment_id, n.unique_id, n.resource_type, n.package_name, c.is_own_package, n.owner_name, n.group_name,
        n.layer, n.schema_name, n.access, n.file_path, n.tags, n.name, c.is_documented, c.is_placeholder, c.column_count,
        coalesce(c.documented_columns, 0), coalesce(c.tested_columns, 0), c.test_count, c.is_excluded, e.name,
        c.node_key
    FROM node_coverage c JOIN node n ON n.node_key = c.node_key JOIN environment e ON e.environment_id = n.environment_id
    WHERE ?1 IS NULL OR n.environment_id = ?1
    ORDER BY e.name, n.file_path, n.unique_id";

impl Reader {
    /// Every node that can be documented, of one environment or all: by environment, file and id.
    pub fn coverage(&self, environment_id: Option<i64>) -> Result<Vec<NodeCoverage>, Error> {
        let mut statement = self.connection.prepare(NODES)?;
        Ok(statement.query_map([environment_id], node)?.collect::<Result<_, _>>()?)
    }

    /// The texts that the configuration calls placeholders.
    fn placeholders(&self) -> Result<Placeholders, Error> {
        let sql = "SELECT item.value FROM setting s, json_each(s.value) item WHERE s.name = 'placeholders'";
        let listed: Result<Vec<String>, _> = self.connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect();
        Ok(Placeholders::new(&listed?))
    }
}

fn node(row: &Row<'_>) -> rusqlite::Result<NodeCoverage> {
    let tags: Option<String> = row.get(11)?;
    let count = |place: usize| row.get::<_, i64>(place).map(i64::unsigned_abs);
    Ok(NodeCoverage {
        environment_id: row.get(0)?,
        environment: row.get(20)?,
        unique_id: row.get(1)?,
        resource_type: row.get(2)?,
        package_name: row.get(3)?,
        is_own_package: row.get(4)?,
        owner_name: row.get(5)?,
        group_name: row.get(6)?,
        layer: row.get(7)?,
        schema_name: row.get(8)?,
        access: row.get(9)?,
        file_path: row.get(10)?,
        tags: tags.and_then(|tags| serde_json::from_str(&tags).ok()).unwrap_or_default(),
        name: row.get(12)?,
        is_documented: row.get(13)?,
        is_placeholder: row.get(14)?,
        column_count: row.get::<_, Option<i64>>(15)?.map(i64::unsigned_abs),
        documented_columns: count(16)?,
        inherited_columns: 0,
        tested_columns: count(17)?,
        test_count: count(18)?,
        is_excluded: row.get(19)?,
        node_key: row.get(21)?,
    })
}

/// The figures of all nodes together.
pub fn total<'a>(nodes: impl IntoIterator<Item = &'a NodeCoverage>) -> Figures {
    nodes.into_iter().fold(Figures::default(), |mut figures, node| {
        figures.add(node);
        figures
    })
}

/// The figures of each group, by its name; the group of those that have none (no owner, no tag) comes last. By environment each of
/// `environments` is a group, also without a node.
pub fn grouped(nodes: &[NodeCoverage], by: By, environments: &[Environment]) -> Vec<(Option<String>, Figures)> {
    let mut groups: BTreeMap<(bool, Option<String>), Figures> = BTreeMap::new();
    for environment in environments.iter().filter(|_| by == By::Environment) {
        groups.insert((false, Some(environment.name.clone())), Figures::default());
    }
    for node in nodes {
        for group in node.groups(by) {
            groups.entry((group.is_none(), group)).or_default().add(node);
        }
    }
    groups.into_iter().map(|((_, name), figures)| (name, figures)).collect()
}

/// The figures of now, in all and by the names of the groups.
pub fn moment<'a>(nodes: impl IntoIterator<Item = &'a NodeCoverage>, by: By) -> Moment {
    let mut moment = Moment::default();
    for node in nodes {
        moment.total.add(node);
        for group in node.groups(by) {
            moment.groups.entry(by.label(group.as_deref())).or_default().add(node);
        }
    }
    moment
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::answers) fn model(name: &str) -> NodeCoverage {
        NodeCoverage {
            environment_id: 1,
            environment: "prod".into(),
            unique_id: format!("model.shop.{name}"),
            resource_type: "model".into(),
            name: Some(name.into()),
            ..NodeCoverage::default()
        }
    }

    #[test]
    fn a_placeholder_is_neither_documented_nor_forgotten() {
        let written = NodeCoverage { is_documented: true, ..model("a") };
        let todo = NodeCoverage { is_placeholder: true, ..model("b") };
        let figures = total(&[written, todo, model("c")]);
        assert_eq!((figures.documented, figures.placeholders), (Share { part: 1, whole: 3 }, 1));
    }

    #[test]
    fn unknown_columns_are_counted_apart_and_in_no_percentage() {
        let known = NodeCoverage { column_count: Some(4), documented_columns: 1, tested_columns: 3, ..model("a") };
        let exposure = NodeCoverage { resource_type: "exposure".into(), ..model("e") };
        let figures = total(&[known, model("b"), exposure.clone()]);
        assert_eq!(figures.unknown_columns, 1);
        assert_eq!(figures.documented_columns, Share { part: 1, whole: 4 });
        assert_eq!(figures.tested_columns, Share { part: 3, whole: 4 });
        assert_eq!(figures.tested, Share { part: 0, whole: 2 });
        assert_eq!(total(&[exposure]).documented_columns.percent(), None);
    }

    #[test]
    fn who_has_no_owner_is_a_group_and_the_last_one() {
        let of = |name: &str, owner: Option<&str>| NodeCoverage { owner_name: owner.map(str::to_owned), ..model(name) };
        let groups =
            grouped(&[of("a", None), of("b", Some("Zoe")), of("c", Some("Ann")), of("d", None)], By::Owner, &[]);
        let names: Vec<_> = groups.iter().map(|(name, figures)| (name.as_deref(), figures.documented.whole)).collect();
        assert_eq!(names, [(Some("Ann"), 1), (Some("Zoe"), 1), (None, 2)]);
    }

    #[test]
    fn an_environment_without_a_node_is_a_group_by_environment_only() {
        let environments = [1, 2].map(|id| Environment { id, name: ["prod", "empty"][id as usize - 1].to_owned() });
        let groups = grouped(&[model("a")], By::Environment, &environments);
        let names: Vec<_> = groups.iter().map(|(name, figures)| (name.as_deref(), figures.documented.whole)).collect();
        assert_eq!(names, [(Some("empty"), 0), (Some("prod"), 1)]);
        assert_eq!(grouped(&[], By::Owner, &environments), []);
    }

    #[test]
    fn a_node_counts_in_each_of_its_tags_and_a_file_in_its_folder() {
        let node = NodeCoverage {
            tags: vec!["nightly".into(), "pii".into()],
            file_path: Some("models/marts/a.sql".into()),
            ..model("a")
        };
        assert_eq!(node.groups(By::Tag), [Some("nightly".to_owned()), Some("pii".to_owned())]);
        assert_eq!(node.groups(By::Path), [Some("models/marts".to_owned())]);
        assert_eq!(model("b").groups(By::Tag), [None]);
        let top = NodeCoverage { file_path: Some("a.sql".into()), ..model("a") };
        assert_eq!(top.groups(By::Path), [Some(".".to_owned())]);
    }

    #[test]
    fn a_percentage_is_never_rounded_up() {
        assert_eq!(Share { part: 1999, whole: 2000 }.percent(), Some(99.9));
        assert_eq!(Share { part: 2000, whole: 2000 }.percent(), Some(100.0));
        assert!(Share { part: 1999, whole: 2000 }.is_below(Share { part: 1, whole: 1 }));
        assert!(!Share { part: 1, whole: 2 }.is_below(Share { part: 2, whole: 4 }));
        assert!(!Share::default().is_below(Share { part: 1, whole: 1 }), "what is unknown did not fall");
    }
}

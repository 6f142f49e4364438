//! The figures of two moments side by side, and the trend of the totals.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use serde_json::Value;

use super::State;
use super::print::{View, cell, table, words};
use crate::answers::Table;
use crate::answers::coverage::{self, Figures, Share};
use crate::output::{self, Format};

/// So many points of the trend are shown: of one environment, and of each of several.
const POINTS: (usize, usize) = (5, 2);

type Key = (bool, Option<String>);

/// A figure of a group, then and now.
struct Pair {
    group: Option<String>,
    is_total: bool,
    name: &'static str,
    before: Share,
    after: Share,
}

impl Pair {
    /// In points of a percent.
    fn change(&self) -> Option<f64> {
        let (before, after) = (self.before.percent()?, self.after.percent()?);
        Some(((after - before) * 10.0).round() / 10.0)
    }
}

impl View<'_> {
    pub(super) fn print_comparison(&self, now: &State, before: &State, out: &mut dyn Write) -> anyhow::Result<()> {
        let is_for_people = self.is_for_people();
        let mut pairs = self.pairs(now, before);
        // People want to see what moved; the total is there even if nothing did.
        pairs.retain(|pair| !is_for_people || pair.is_total || pair.before != pair.after);
        let total = pairs.iter().position(|pair| pair.is_total).unwrap_or(pairs.len());
        let totals = pairs.split_off(total);
        let mut pairs = self.limited(pairs);
        pairs.extend(totals);
        let table = if is_for_people { self.side_by_side(pairs) } else { self.pairs_in_full(pairs) };
        Ok(output::write(&table, self.format, out)?)
    }

    fn pairs(&self, now: &State, before: &State) -> Vec<Pair> {
        let figures = |state: &State| -> BTreeMap<Key, Figures> {
            let groups = coverage::grouped(&state.nodes, self.by, self.environments).into_iter();
            groups.map(|(name, figures)| ((name.is_none(), name), figures)).collect()
        };
        let (was, is) = (figures(before), figures(now));
        let keys: BTreeSet<&Key> = was.keys().chain(is.keys()).collect();
        let of = |figures: &BTreeMap<Key, Figures>, key: &Key| figures.get(key).copied().unwrap_or_default();
        let groups = keys.into_iter().map(|key| (key.1.clone(), false, of(&was, key), of(&is, key)));
        let total = (None, true, coverage::total(&before.nodes), coverage::total(&now.nodes));
        let pairs = |(group, is_total, before, after): (Option<String>, bool, Figures, Figures)| {
            let shares = before.shares().into_iter().zip(after.shares());
            shares.map(move |((name, before), (_, after))| Pair { group: group.clone(), is_total, name, before, after })
        };
        groups.chain(std::iter::once(total)).flat_map(pairs).collect()
    }

    fn side_by_side(&self, pairs: Vec<Pair>) -> Table {
        let row = |pair: Pair| {
            let group = if pair.is_total { "TOTAL".to_owned() } else { self.by.label(pair.group.as_deref()) };
            let change =
                pair.change().map(|change| if change == 0.0 { "=".to_owned() } else { format!("{change:+.1}") });
            let cells = [group, words(pair.name).to_owned(), cell(pair.before), cell(pair.after)];
            cells.into_iter().chain([change.unwrap_or_default()]).map(Value::from).collect()
        };
        let rows = pairs.into_iter().map(row).collect();
        self.aligned(table(&[self.by.as_str(), "figure", "before", "now", "change"], rows), 2)
    }

    fn pairs_in_full(&self, pairs: Vec<Pair>) -> Table {
        let known = |share: Share, count: u64| if share.whole > 0 { count.into() } else { Value::Null };
        let row = |pair: Pair| {
            let change = pair.change().into();
            let (before, after) = (pair.before, pair.after);
            vec![
                self.by.as_str().into(),
                pair.group.into(),
                u8::from(pair.is_total).into(),
                pair.name.into(),
                known(before, before.part),
                known(before, before.whole),
                before.percent().into(),
                known(after, after.part),
                known(after, after.whole),
                after.percent().into(),
                change,
            ]
        };
        let columns = [
            "by",
            "group",
            "is_total",
            "figure",
            "before_part",
            "before_whole",
            "before_percent",
            "part",
            "whole",
            "percent",
            "change",
        ];
        table(&columns, pairs.into_iter().map(row).collect())
    }

    /// Below the figures, for people: the last changes of each environment's totals, if there were any and all of it is looked at.
    pub(super) fn print_trend(&self, now: &State, out: &mut dyn Write) -> anyhow::Result<()> {
        if self.format != Format::Table || self.asked.choosing.is_given() {
            return Ok(());
        }
        let several = self.environments.len() > 1;
        let shown = if several { POINTS.1 } else { POINTS.0 };
        let mut rows = Vec::new();
        for environment in self.environments {
            let points = coverage::trend(&now.connection, environment.id, self.asked.packages.are_all())?;
            if points.len() < 2 {
                continue;
            }
            for point in &points[points.len().saturating_sub(shown)..] {
                let total = point.moment.total;
                let mut row: Vec<Value> = vec![environment.name.clone().into(), minute(&point.changed_at).into()];
                row.push(cell(total.documented).into());
                row.push(total.placeholders.into());
                let shares = [total.documented_columns, total.tested_columns, total.tested];
                row.extend(shares.map(|share| Value::from(cell(share))));
                rows.push(row);
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nThe last changes of the total, from `coverage_history`:\n")?;
        let columns = ["environment", "since", "documented", "placeholders", "column docs", "column tests", "tested"];
        let trend = self.aligned(table(&columns, rows), 2);
        let trend = if several { trend } else { trend.only(&columns[1..]) };
        Ok(output::write(&trend, self.format, out)?)
    }
}

/// A time to the minute.
fn minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}

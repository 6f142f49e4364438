//! The figures of two moments side by side, and the trend of the totals.

use std::io::Write;

use serde_json::Value;

use super::State;
use super::print::{View, cell, words};
use crate::answers::Table;
use crate::answers::coverage::{self, Compared};
use crate::output::{self, Format};

/// So many points of the trend are shown: of one environment, and of each of several.
const POINTS: (usize, usize) = (5, 2);

impl View<'_> {
    pub(super) fn print_comparison(&self, now: &State, before: &State, out: &mut dyn Write) -> anyhow::Result<()> {
        let is_for_people = self.is_for_people();
        let mut pairs = coverage::compared(self.by, &before.nodes, &now.nodes, self.environments);
        // People want to see what moved; the total is there even if nothing did.
        pairs.retain(|pair| !is_for_people || pair.is_total == 1 || pair.before != pair.after);
        let total = pairs.iter().position(|pair| pair.is_total == 1).unwrap_or(pairs.len());
        let totals = pairs.split_off(total);
        let mut pairs = self.limited(pairs);
        pairs.extend(totals);
        match is_for_people {
            true => output::write(&self.side_by_side(&pairs), self.format, out)?,
            false => output::write_rows(&pairs, self.format, out)?,
        }
        Ok(())
    }

    fn side_by_side(&self, pairs: &[Compared]) -> Table {
        let row = |pair: &Compared| {
            let group = if pair.is_total == 1 { "TOTAL".to_owned() } else { self.by.label(pair.group.as_deref()) };
            let change = pair.change.map(|change| if change == 0.0 { "=".to_owned() } else { format!("{change:+.1}") });
            let cells = [group, words(pair.figure).to_owned(), cell(pair.before), cell(pair.after)];
            cells.into_iter().chain([change.unwrap_or_default()]).map(Value::from).collect()
        };
        let columns = [self.by.as_str(), "figure", "before", "now", "change"];
        Table::new(columns, pairs.iter().map(row).collect())
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
            let points = now.reader.coverage_trend(environment.id, self.asked.packages.are_all())?;
            if points.len() < 2 {
                continue;
            }
            for point in &points[points.len().saturating_sub(shown)..] {
                let total = point.moment.total;
                let mut row: Vec<Value> = vec![environment.name.clone().into(), point.changed_at.clone().into()];
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
        let trend = Table::new(columns, rows);
        let trend = if several { trend } else { trend.only(&columns[1..]) };
        Ok(output::write(&trend, self.format, out)?)
    }
}

//! The figures by group, as people and as programs want them, and what all tables of the command have in common.

use std::io::Write;

use serde_json::Value;

use super::{Coverage, State};
use crate::answers::coverage::{self, By, Figures, Share};
use crate::answers::{Environment, Table};
use crate::cli::note;
use crate::config::CoverageTargets;
use crate::output::{self, Format};

/// What is to be printed, and how.
pub(super) struct View<'a> {
    pub(super) by: By,
    pub(super) format: Format,
    pub(super) asked: &'a Coverage,
    pub(super) environments: &'a [Environment],
    pub(super) targets: CoverageTargets,
}

/// A figure's name for people.
pub(super) fn words(name: &str) -> &'static str {
    match name {
        "documented" => "documented",
        "documented_columns" => "columns documented",
        "tested_columns" => "columns tested",
        _ => "tested",
    }
}

/// In a sentence.
pub(super) fn part_of(share: Share) -> String {
    match share.percent() {
        Some(percent) => format!("{}/{} ({percent:.1} %)", share.part, share.whole),
        None => "nothing".to_owned(),
    }
}

/// In a table.
pub(super) fn cell(share: Share) -> String {
    share.percent().map_or_else(String::new, |percent| format!("{}/{} {}%", share.part, share.whole, percent.floor()))
}

impl View<'_> {
    pub(super) fn print(&self, now: &State, before: Option<&State>, out: &mut dyn Write) -> anyhow::Result<()> {
        match before {
            _ if self.asked.missing => self.print_missing(now, before, out),
            Some(before) => self.print_comparison(now, before, out),
            None => {
                let groups = self.limited(coverage::grouped(&now.nodes, self.by, self.environments));
                let total = coverage::total(&now.nodes);
                if self.is_for_people() {
                    output::write(&self.people(groups, total), self.format, out)?;
                } else {
                    let CoverageTargets { nodes, columns, tests } = self.targets;
                    let rows = coverage::figures(self.by, groups, total, [nodes, columns, tests]);
                    output::write_rows(&rows, self.format, out)?;
                }
                self.print_trend(now, out)
            }
        }
    }

    pub(super) fn is_for_people(&self) -> bool {
        matches!(self.format, Format::Table | Format::Markdown)
    }

    pub(super) fn limited<T>(&self, mut rows: Vec<T>) -> Vec<T> {
        if let Some(limit) = self.asked.limit
            && limit < rows.len()
        {
            note(&format!("{} more rows are left out: raise `--limit`", rows.len() - limit));
            rows.truncate(limit);
        }
        rows
    }

    fn people(&self, groups: Vec<(Option<String>, Figures)>, total: Figures) -> Table {
        let row = |name: String, figures: Figures| {
            let columns = |share: Share| match figures.unknown_columns {
                unknown if unknown > 0 && share.whole == 0 => "unknown".to_owned(),
                _ => cell(share),
            };
            vec![
                name.into(),
                cell(figures.documented).into(),
                figures.placeholders.into(),
                columns(figures.documented_columns).into(),
                match figures.documented_columns.known() {
                    Some(_) => figures.inherited_columns.into(),
                    None => columns(figures.documented_columns).into(),
                },
                columns(figures.tested_columns).into(),
                figures.unknown_columns.into(),
                cell(figures.tested).into(),
            ]
        };
        let mut rows: Vec<Vec<Value>> =
            groups.into_iter().map(|(name, figures)| row(self.by.label(name.as_deref()), figures)).collect();
        rows.push(row("TOTAL".to_owned(), total));
        rows.extend(self.target_row());
        let columns = [
            self.by.as_str(),
            "documented",
            "placeholders",
            "column docs",
            "inherited",
            "column tests",
            "unknown",
            "tested",
        ];
        Table::new(columns, rows)
    }

    /// What is to be reached, below what is.
    fn target_row(&self) -> Option<Vec<Value>> {
        let CoverageTargets { nodes, columns, tests } = self.targets;
        [nodes, columns, tests].iter().any(Option::is_some).then(|| {
            let cell = |percent: Option<f64>| Value::from(percent.map_or_else(String::new, |it| format!("{it}%")));
            let nothing = || Value::from("");
            vec!["TARGET".into(), cell(nodes), nothing(), cell(columns), nothing(), nothing(), nothing(), cell(tests)]
        })
    }
}

//! What is to be written: node by node for people, gap by gap for programs.

use std::borrow::Cow;
use std::io::Write;

use serde_json::Value;

use super::State;
use super::print::View;
use crate::answers::Table;
use crate::answers::coverage::{self, Gap, Inheritance, Inherited, Lacking, NodeCoverage};
use crate::cli::note;
use crate::cli::show::shortened;
use crate::output::{self, Format, sanitize};

/// So many characters of an inherited description are shown.
const TEXT: usize = 80;

/// So many columns of a node are named on a terminal.
const COLUMNS_NAMED: usize = 5;

impl View<'_> {
    pub(super) fn print_missing(&self, now: &State, before: Option<&State>, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut lacking = now.reader.gaps(&now.nodes)?;
        if let Some(before) = before {
            lacking = coverage::new_gaps(lacking, &before.reader.gaps(&before.nodes)?);
        }
        if self.asked.inherit {
            coverage::leave_inherited(&mut lacking, &now.inheritance);
        }
        self.sort(&mut lacking);
        self.tell(&lacking, before.is_some());
        match self.format {
            Format::Table => return self.list(self.limited(lacking), &now.inheritance, out),
            Format::Markdown => output::write(&self.work(self.limited(lacking), &now.inheritance), self.format, out)?,
            format => {
                let rows = self.limited(coverage::missing(self.asked.by, &lacking, &now.inheritance));
                output::write_rows(&rows, format, out)?;
            }
        }
        Ok(())
    }

    /// By group where one was asked for; within it as they come, by environment and file.
    fn sort(&self, lacking: &mut [Lacking<'_>]) {
        if let Some(by) = self.asked.by {
            coverage::sort_by_group(lacking, by);
        }
    }

    fn group(&self, node: &NodeCoverage) -> Option<String> {
        node.groups(self.asked.by?).swap_remove(0)
    }

    fn tell(&self, lacking: &[Lacking<'_>], only_new: bool) {
        let count = |is: fn(&Gap) -> bool| lacking.iter().flat_map(|(_, gaps)| gaps).filter(|gap| is(gap)).count();
        let counts = [
            (count(|gap| matches!(gap, Gap::Description)), "descriptions"),
            (count(|gap| matches!(gap, Gap::Placeholder)), "descriptions instead of placeholders"),
            (count(|gap| matches!(gap, Gap::Column(_))), "descriptions of columns"),
            (count(|gap| matches!(gap, Gap::ColumnPlaceholder(_))), "descriptions of columns instead of placeholders"),
            (count(|gap| matches!(gap, Gap::Test)), "tests"),
        ];
        let counts: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        let since = if only_new { " that were not missing then" } else { "" };
        match counts.as_slice() {
            [] => note(&format!("nothing is missing{}", if only_new { " anew" } else { "" })),
            counts => note(&format!("{} nodes lack {}{since}", lacking.len(), counts.join(", "))),
        }
    }

    /// On a terminal, under the name of the group if one was asked for. Each node has a line of its own, since ids and files are long.
    fn list(&self, lacking: Vec<Lacking<'_>>, inheritance: &Inheritance, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut heading = None;
        for (node, gaps) in lacking {
            if let Some(by) = self.asked.by {
                let group = by.label(self.group(node).as_deref());
                if heading.as_ref() != Some(&group) {
                    writeln!(out, "{}{}:", if heading.is_some() { "\n" } else { "" }, sanitize(&group))?;
                    heading = Some(group);
                }
            }
            let environment = (self.environments.len() > 1).then_some(node.environment.as_str());
            let owner = node.owner_name.as_deref().filter(|_| self.asked.by != Some(coverage::By::Owner));
            let facts = [environment, owner, node.file_path.as_deref()];
            let facts: Vec<_> = facts.into_iter().flatten().collect();
            output::write_text(0, &format!("{}  ({})", node.unique_id, facts.join(", ")), out)?;
            output::write_text(4, &self.to_write(&gaps), out)?;
            for (column, inherited) in inheriting(node, &gaps, inheritance).into_iter().take(COLUMNS_NAMED) {
                output::write_text(6, &format!("{column}: {}", offer(inherited)), out)?;
            }
        }
        Ok(())
    }

    /// For a mail or a pull request: who, what, where.
    fn work(&self, lacking: Vec<Lacking<'_>>, inheritance: &Inheritance) -> Table {
        let by = self.asked.by.unwrap_or(coverage::By::Owner);
        let several = self.environments.len() > 1 && by != coverage::By::Environment;
        let row = |(node, gaps): Lacking<'_>| {
            let group = by.label(node.groups(by).swap_remove(0).as_deref());
            let file = node.file_path.clone().unwrap_or_default();
            let offers = inheriting(node, &gaps, inheritance).into_iter();
            let offers = offers.map(|(column, inherited)| format!("; {column} {}", offer(inherited)));
            let missing = self.to_write(&gaps) + &offers.collect::<String>();
            let cells = [node.environment.clone(), group, node.unique_id.clone(), missing, file];
            cells[usize::from(!several)..].iter().map(|text| Value::from(text.as_str())).collect()
        };
        let columns = ["environment", by.as_str(), "unique_id", "missing", "file_path"];
        let columns = columns.into_iter().skip(usize::from(!several));
        Table::new(columns, lacking.into_iter().map(row).collect())
    }

    fn to_write(&self, gaps: &[Gap]) -> String {
        let mut texts: Vec<String> = Vec::new();
        let mut columns: Vec<Cow<'_, str>> = Vec::new();
        for gap in gaps {
            match gap {
                Gap::Description => texts.push("description".to_owned()),
                Gap::Placeholder => texts.push("description (a placeholder)".to_owned()),
                Gap::Test => texts.push("test".to_owned()),
                Gap::Column(name) => columns.push(name.into()),
                Gap::ColumnPlaceholder(name) => columns.push(format!("{name} (a placeholder)").into()),
            }
        }
        let named = if self.format == Format::Table { COLUMNS_NAMED } else { columns.len() };
        let more = columns.len().saturating_sub(named);
        columns.truncate(named);
        if !columns.is_empty() {
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            texts.push(format!("columns: {}{more}", columns.join(", ")));
        }
        texts.join("; ")
    }
}

/// Those of the columns that are to be described for which there is a description already.
fn inheriting<'a>(node: &NodeCoverage, gaps: &'a [Gap], inheritance: &'a Inheritance) -> Vec<(&'a str, &'a Inherited)> {
    gaps.iter().filter_map(|gap| Some((gap.column()?, gap.inherited(node, inheritance)?))).collect()
}

fn offer(inherited: &Inherited) -> String {
    let Inherited { description, from_id, from_column } = inherited;
    format!("would inherit \"{}\" from {from_id}.{from_column}", shortened(description, TEXT))
}

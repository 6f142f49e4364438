//! What commands that read have in common: which moment, which nodes, and how rows are printed.

use std::io::Write;

use clap::Args;

use super::{Files, note};
use crate::answers::{self, Chosen, Environment, Question, Reader, Row, Table};
use crate::config::Need;
use crate::output::{self, Format};
use crate::time::Timestamp;

/// Which moment of the catalog, and what of it.
#[derive(Debug, Args)]
pub(super) struct Reading {
    /// Only this environment, by its name or number
    #[arg(long, value_name = "NAME")]
    pub(super) environment: Option<String>,
    /// The catalog as it was then: 2026-03-31 (to the end of that day), 2026-03-31T06:00, 7d (ago)
    #[arg(long, value_name = "TIME", value_parser = until)]
    pub(super) as_of: Option<Timestamp>,
}

impl Reading {
    /// The catalog, as it is or as it was, and the environment that was named, if one was. Commands let go of it before they print what
    /// may be long: as long as somebody leafs through it, the file could not shrink its log.
    pub(super) fn open(&self, files: &Files) -> anyhow::Result<(Reader, Option<i64>)> {
        let path = files.load(Need::Reading)?.catalog.path;
        // The time to come has not happened yet.
        let as_of = self.as_of.map(|time| time.min(Timestamp::now()));
        if let Some(time) = as_of {
            note(&format!(
                "as of {time}; settings, column lineage, jobs and dimensions are as of now, and of compiled code only the last is kept"
            ));
        }
        let reader = Reader::open(&path, as_of)?;
        reader.map()?;
        let environment_id = reader.environment_id(self.environment.as_deref())?;
        Ok((reader, environment_id))
    }

    /// The environments that what is shown may be of, if they are several: then each row says of which it is.
    pub(super) fn several(&self, reader: &Reader) -> Result<Vec<Environment>, answers::Error> {
        let all = if self.environment.is_none() { reader.environments()? } else { Vec::new() };
        Ok(if all.len() > 1 { all } else { Vec::new() })
    }
}

/// How rows are printed, and how many.
#[derive(Debug, Args)]
pub(super) struct Printing {
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
    /// At most so many rows
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<usize>,
}

impl Printing {
    /// True if it is fitted to a terminal.
    pub(super) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// True if people read it, who want fewer columns than programs.
    pub(super) fn is_for_people(&self) -> bool {
        matches!(self.format, Format::Table | Format::Markdown)
    }

    /// Prints the rows up to the limit, and tells on standard error how many it left out.
    pub(super) fn print(&self, table: Table, out: &mut dyn Write) -> std::io::Result<()> {
        self.print_as(table, |table| table, out)
    }

    /// The same, the rows that are left in the form that `form` gives them.
    pub(super) fn print_as(
        &self,
        mut table: Table,
        form: impl FnOnce(Table) -> Table,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        let left_out = table.cut(self.limit);
        output::write(&form(table), self.format, out)?;
        tell_left_out(left_out);
        Ok(())
    }
}

/// Tells how many rows the limit left out.
pub(super) fn tell_left_out(count: usize) {
    if count > 0 {
        note(&format!("{count} more rows are left out: raise `--limit`"));
    }
}

/// Adds the name of each row's environment before what else it has, if there are several.
pub(super) fn with_environment(table: Table, several: &[Environment]) -> Table {
    if several.is_empty() {
        return table;
    }
    let named = |row: Row<'_>| {
        let known = several.iter().find(|known| row.int("environment_id") == Some(known.id));
        known.map(|known| known.name.clone()).into()
    };
    let names = table.iter().map(named).collect();
    table.led_by(ENVIRONMENT, names)
}

/// The column of the names of environments.
pub(super) const ENVIRONMENT: &str = "environment";

/// Which nodes, in dbt's selection grammar.
#[derive(Debug, Args)]
pub(super) struct Choosing {
    /// Only these nodes, in dbt's selection grammar: +orders, tag:nightly, path:models/marts, result:error
    #[arg(long, short = 's', value_name = "SELECTOR", num_args = 1..)]
    select: Vec<String>,
    /// Not these nodes
    #[arg(long, value_name = "SELECTOR", num_args = 1..)]
    exclude: Vec<String>,
}

impl Choosing {
    /// True if anything was said.
    pub(super) fn is_given(&self) -> bool {
        !self.select.is_empty() || !self.exclude.is_empty()
    }

    /// The nodes that were chosen; `None` if nothing was said, so all.
    pub(super) fn chosen(
        &self,
        reader: &Reader,
        environment_id: Option<i64>,
    ) -> Result<Option<Chosen>, answers::Error> {
        let chosen = reader.chosen(environment_id, &self.select, &self.exclude)?;
        for part in chosen.iter().flat_map(|chosen| &chosen.unmatched) {
            note(&format!("warning: `{}` matches no node", output::sanitize(part)));
        }
        Ok(chosen)
    }

    /// Asks for the rows of the nodes that were chosen.
    pub(super) fn question(&self, reader: &Reader, environment_id: Option<i64>) -> Result<Question, answers::Error> {
        Ok(Question { chosen: self.chosen(reader, environment_id)?, ..Question::of(environment_id) })
    }
}

/// A time at whose end something lies: a bare date means the end of that day.
pub(super) fn until(text: &str) -> Result<Timestamp, String> {
    Timestamp::of_people(text, Timestamp::now(), true)
}

/// A time at whose beginning something lies: a bare date means the beginning of that day.
pub(super) fn since(text: &str) -> Result<Timestamp, String> {
    Timestamp::of_people(text, Timestamp::now(), false)
}

/// A time span for people.
pub(super) fn age(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// A dimension as queries name it: with the entities by which it is reached.
pub(super) fn dimension_name(entity_path: Option<&str>, name: &str) -> String {
    entity_path.map_or(name.to_owned(), |path| format!("{path}__{name}"))
}

/// The first so many of `names`, and how many more there are.
pub(super) fn named<T: AsRef<str>>(names: &[T], most: usize, written: impl Fn(&str) -> String) -> String {
    let mut list: Vec<String> = names.iter().take(most).map(|name| written(name.as_ref())).collect();
    if names.len() > most {
        list.push(format!("{} more", names.len() - most));
    }
    list.join(", ")
}

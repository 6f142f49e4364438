//! `lineaged search`: the nodes that have the words, and where.

use std::io::Write;

use super::reading::{ENVIRONMENT, with_environment};
use super::{Choosing, Exit, Files, Printing, Reading, note};
use crate::answers::{self, Environment, Hit, Hits, Table};
use crate::output::{self, sanitize};

/// So many hits are shown to people, unless told otherwise.
const SHOWN: usize = 20;

/// What people see; the environment only where there are several.
const COLUMNS: [&str; 5] = [ENVIRONMENT, "unique_id", "matched_fields", "context", "description"];

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Search {
    /// Words, all of which must be found; "a phrase"; col:NAME, owner:NAME, tag:NAME, meta.KEY:VALUE
    #[arg(required = true, num_args = 1.., value_name = "TEXT")]
    text: Vec<String>,
    #[command(flatten)]
    choosing: Choosing,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    printing: Printing,
}

const EXAMPLES: &str = "\
Names, descriptions, columns, tags, meta, owners, paths and the dimensions of metrics are searched.
A word is found at the beginning of a word: `ord` finds `stg_orders`. Exact names come first, tests
last. People get 20 hits, unless `--limit` says otherwise; what was found stands between « and ».

Examples:
  lineaged search customer email               both words, wherever they stand
  lineaged search stg_order                    names that begin so
  lineaged search '\"net revenue\"'              a phrase
  lineaged search col:customer_id              nodes with such a column
  lineaged search owner:finance tag:nightly    somebody's nodes with a tag
  lineaged search meta.pii:true                of nodes and columns; `meta.pii:` for any value
  lineaged search amount --select +orders      only in what `orders` is built from";

impl Search {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let text = self.text.join(" ");
        let search = answers::Search::of(&text)?;
        let (reader, environment_id) = self.reading.open(files)?;
        let chosen = self.choosing.chosen(&reader, environment_id)?;
        let limit = self.printing.limit.unwrap_or(if self.printing.is_table() { SHOWN } else { usize::MAX });
        let Hits { hits, left_out } = reader.search(&search, environment_id, chosen.as_ref(), limit)?;
        if hits.is_empty() && left_out == 0 {
            note(&nothing(&search, &text, &reader.nearly(&search, environment_id)?));
        }
        let several = self.reading.several(&reader)?;
        drop(reader);
        match self.printing.is_for_people() {
            true if hits.is_empty() => {}
            true => output::write(&readable(&hits, &several)?, self.printing.format, out)?,
            false => output::write_rows(&hits, self.printing.format, out)?,
        }
        if left_out > 0 {
            note(&format!("{left_out} more hits are left out: raise `--limit`, or give more words"));
        }
        Ok(Exit::Done)
    }
}

/// What to do if nothing was found.
fn nothing(search: &answers::Search, text: &str, nearest: &[String]) -> String {
    let text = sanitize(text);
    if search.is_empty() {
        return format!("there is no word in `{text}`: search for letters or digits");
    }
    let hint = match nearest {
        [] => "all words must be found in one node: give fewer or shorter ones".to_owned(),
        ids => format!("the nearest names are\n{}", lines(ids)),
    };
    format!("nothing has `{text}`: {hint}")
}

fn lines(ids: &[String]) -> String {
    ids.iter().map(|id| format!("  {}", sanitize(id))).collect::<Vec<_>>().join("\n")
}

/// For people: a description only where the words stand elsewhere.
fn readable(hits: &[Hit], several: &[Environment]) -> serde_json::Result<Table> {
    let mut table = with_environment(Table::of(hits)?, several).only(&COLUMNS);
    if let Some(place) = table.place("description") {
        for (row, hit) in table.rows.iter_mut().zip(hits) {
            if hit.matched_fields.split(", ").any(|field| field == "description") {
                row[place].take();
            }
        }
    }
    Ok(table.without_empty())
}

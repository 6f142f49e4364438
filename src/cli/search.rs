//! `lineaged search`: the nodes that have the words, and where.

use std::io::Write;

use serde_json::Value;

use super::{Choosing, Exit, Files, Printing, Reading, note};
use crate::answers::{self, Environment, Table};
use crate::output::sanitize;

/// So many hits are shown to people, unless told otherwise.
const SHOWN: usize = 20;

/// So many characters of a description are shown to people.
const DESCRIBED: usize = 90;

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
Names, descriptions, columns, tags, meta, owners and paths are searched. A word is found at the
beginning of a word: `ord` finds `stg_orders`. Exact names come first, tests last. People get 20
hits, unless `--limit` says otherwise; what was found stands between « and ».

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
        let connection = self.reading.open(files)?;
        let environment_id = self.reading.environment_id(&connection)?;
        let mut hits = search.hits(&connection, environment_id, None)?;
        self.choosing.keep(&connection, environment_id, &mut hits)?;
        let limit = self.printing.limit.or(self.printing.is_table().then_some(SHOWN));
        let left_out = limit.map_or(0, |limit| hits.rows.len().saturating_sub(limit));
        hits.rows.truncate(hits.rows.len() - left_out);
        search.explain(&connection, &mut hits)?;
        if hits.rows.is_empty() && left_out == 0 {
            note(&nothing(&search, &text, &search.nearest(&connection, environment_id)?));
        }
        if self.printing.is_table() {
            let environments = answers::Environment::all(&connection)?;
            let shown = if environment_id.is_none() && environments.len() > 1 { &environments[..] } else { &[] };
            list(&hits, shown, out)?;
        } else {
            drop(connection);
            self.printing.print(hits, out)?;
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

/// For people: each hit in a few lines, since ids and contexts are too long for the columns of a terminal. Environments are named
/// if there are several.
fn list(hits: &Table, environments: &[Environment], out: &mut dyn Write) -> std::io::Result<()> {
    for row in &hits.clone().only(&["environment_id", "unique_id", "matched_fields", "context", "description"]).rows {
        let [environment, id, fields, context, description] = &row[..] else { continue };
        let text = |value: &Value| sanitize(value.as_str().unwrap_or_default()).into_owned();
        let named = environments.iter().find(|known| *environment == known.id);
        let named = named.map(|environment| format!(" in {}", sanitize(&environment.name))).unwrap_or_default();
        writeln!(out, "{}{named}\n    {}: {}", text(id), text(fields), text(context))?;
        if !description.is_null() && !text(fields).split(", ").any(|field| field == "description") {
            writeln!(out, "    {}", shortened(&text(description)))?;
        }
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(DESCRIBED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

//! What changed, and what may break by it: beside the view `changes`, which is the feed that a follower reads, and the history that
//! people look at.

use rusqlite::OptionalExtension;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Error, Found, Impact, Question, Reader, Row, Table, Target};

/// What changed. Written as JSON it is rows of the view `changes`.
#[derive(Debug)]
pub struct Changes {
    /// The rows, by `seq`.
    pub rows: Table,
    /// How many more there are beyond the limit.
    pub left_out: usize,
}

impl Serialize for Changes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.rows.serialize(serializer)
    }
}

/// A node or a column that is gone, or a column that has another type, so that whoever reads it may fail.
#[derive(Debug)]
pub struct Breaking<'a> {
    /// The change.
    pub row: Row<'a>,
    /// What stands on the column.
    pub impact: Impact,
}

/// How raw code changed.
#[derive(Debug, Serialize)]
pub struct CodeChange {
    /// The number of the change.
    pub seq: i64,
    /// When it was committed.
    pub changed_at: String,
    /// The environment.
    pub environment_id: i64,
    /// The node.
    pub unique_id: String,
    /// What it was, if that is kept.
    pub before: Option<String>,
    /// What it is, if that is kept.
    pub after: Option<String>,
    /// How they differ, line by line.
    pub difference: String,
}

/// How two texts differ, line by line, as `diff -u` writes it.
pub fn difference(name: &str, before: &str, after: &str) -> String {
    let diff = similar::TextDiff::from_lines(before, after);
    let [was, is] = ["before", "after"].map(|when| format!("{name} {when}"));
    diff.unified_diff().context_radius(3).header(&was, &is).to_string()
}

/// True if raw code changed.
pub fn is_of_code(row: Row<'_>) -> bool {
    row.str("kind") == "changed" && row.str("field") == "raw_code"
}

fn may_break(row: &Row<'_>) -> bool {
    matches!(row.str("kind"), "removed" | "column_removed")
        || row.str("kind") == "column_changed" && row.str("field") == "data_type"
}

impl Reader {
    /// The changes that `question` asks for.
    pub fn changes(&self, question: &Question) -> Result<Changes, Error> {
        let rows = self.rows("changes", question)?;
        let left_out = self.count("changes", question)?.saturating_sub(rows.rows.len());
        Ok(Changes { rows, left_out })
    }

    /// What may break by these changes, with what stands on it, or did until the sync of the change or a later one: of columns on which
    /// something stands.
    pub fn breaking<'a>(&self, changes: &'a Table) -> Result<Vec<Breaking<'a>>, Error> {
        let mut found = Vec::new();
        for row in changes.iter().filter(may_break) {
            let environment_id = row.int("environment_id").unwrap_or_default();
            let unique_id = row.str("unique_id").to_owned();
            let node = Found { environment_id, environment: String::new(), unique_id };
            let target = Target { node, column_name: row.text("column_name").map(str::to_owned) };
            let impact = self.impact_with(&target, (row.int("sync_id").unwrap_or_default(), i64::MAX))?;
            found.extend(impact.is_any().then_some(Breaking { row, impact }));
        }
        Ok(found)
    }

    /// The code before and after the change with this number; `None` if there is none, or if it is not of code.
    pub fn code_change(&self, seq: i64) -> Result<Option<CodeChange>, Error> {
        let rows = self.rows(
            "changes",
            &Question { after: Some(vec![(seq - 1).into()]), limit: Some(1), ..Question::default() },
        )?;
        let Some(row) = rows.iter().find(|row| row.int("seq") == Some(seq) && is_of_code(*row)) else {
            return Ok(None);
        };
        let code = |name: &str| {
            let told: Value = row.json(name);
            told["sha256"].as_str().map_or(Ok(None), |sha256| self.raw_code(sha256))
        };
        let (before, after) = (code("before")?, code("after")?);
        let of = |code: &Option<String>| code.clone().unwrap_or_default();
        Ok(Some(CodeChange {
            seq,
            changed_at: row.str("changed_at").to_owned(),
            environment_id: row.int("environment_id").unwrap_or_default(),
            unique_id: row.str("unique_id").to_owned(),
            difference: difference(row.str("unique_id"), &of(&before), &of(&after)),
            before,
            after,
        }))
    }

    /// Raw code by its hash, as `changes` names it; `None` if it is not kept.
    pub fn raw_code(&self, sha256: &str) -> Result<Option<String>, Error> {
        let sql = "SELECT code FROM raw_code WHERE sha256 = ?1";
        Ok(self.connection.query_row(sql, [sha256], |row| row.get(0)).optional()?)
    }
}

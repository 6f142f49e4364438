//! Reading the catalog: the one place where the public views are queried, shared by the commands and by whatever serves them
//! later. Nothing here prints, and nothing writes.

mod changes;
pub mod coverage;
mod health;
mod lineage;
mod nodes;
mod page;
mod search;
mod select;
mod status;
mod watched;

use rusqlite::ToSql;
use rusqlite::types::ValueRef;
use serde_json::Value;

/// What every question is asked on.
pub use rusqlite::Connection;

pub use changes::{ChangesFilter, Consumers, changes, consumers, raw_code};
pub use health::{HEALTH, Packages, health, health_of, packages};
pub use lineage::{Lineage, LineageNode, Reach, freshness};
pub use nodes::{
    Found, code_of, columns_of, find, freshness_of, list, members_of, neighbours, node, runs_of, tests_of,
};
pub use page::{Located, Page, Question, SHAPES, Shape, Snapshot, shape};
pub use search::Search;
pub use select::Chosen;
pub use status::{Environment, environments, failures, last_seq, last_sync_at, only_demos, summary};
pub use watched::{Ended, Watched, ended_since, watched};

/// The public views, in the order of README. Each is a view of `schema.sql` of the same name.
pub const VIEWS: [&str; 21] = [
    "environments",
    "nodes",
    "code",
    "edges",
    "lineage",
    "columns",
    "tests",
    "freshness",
    "health",
    "health_history",
    "coverage",
    "coverage_history",
    "owners",
    "changes",
    "run_results",
    "runs",
    "freshness_results",
    "syncs",
    "held_losses",
    "removed_nodes",
    "catalog_info",
];

/// Rows under a header: what every view is when it is read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// The names of the columns, as the view has them.
    pub columns: Vec<String>,
    /// The cells of each row, as many as there are columns. Lists and maps are JSON text, as in the view.
    pub rows: Vec<Vec<Value>>,
}

impl Table {
    /// The same without columns in which no row has a value, for people.
    pub fn without_empty(self) -> Self {
        let is_used = |place: usize| self.rows.iter().any(|row| !row[place].is_null());
        let names: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .filter(|(place, _)| is_used(*place))
            .map(|(_, name)| name.clone())
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if self.rows.is_empty() { self } else { self.only(&names) }
    }

    /// The same rows with only `columns`, in that order; names that are not there are left out.
    pub fn only(self, columns: &[&str]) -> Self {
        let places: Vec<usize> =
            columns.iter().filter_map(|name| self.columns.iter().position(|column| column == name)).collect();
        let pick = |row: &Vec<Value>| places.iter().map(|place| row[*place].clone()).collect();
        Self {
            columns: places.iter().map(|place| self.columns[*place].clone()).collect(),
            rows: self.rows.iter().map(pick).collect(),
        }
    }
}

/// Why a question could not be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The question names something that is not there, or is there more than once. The text says what there is.
    #[error("{0}")]
    Question(String),
    /// The question can't be understood: a selector, or words to search for. The text says what is wrong.
    #[error("{0}")]
    Malformed(String),
    /// The time for reading was over before something that SQLite does not do was done. The text says what.
    #[error("{0}")]
    TookTooLong(String),
    /// SQLite refused.
    #[error("the catalog could not be read")]
    Sqlite(#[from] rusqlite::Error),
}

/// Runs a query and takes its rows as they are.
fn table(connection: &Connection, sql: &str, values: &[&dyn ToSql]) -> Result<Table, Error> {
    let mut statement = connection.prepare(sql)?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let width = columns.len();
    let cells = |row: &rusqlite::Row<'_>| (0..width).map(|place| row.get_ref(place).map(cell)).collect();
    let rows = statement.query_map(values, cells)?.collect::<Result<_, _>>()?;
    Ok(Table { columns, rows })
}

fn cell(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the contract promises: every view, with exactly these columns in this order.
    const CONTRACT: &[(&str, &str)] = &[
        (
            "environments",
            "environment_id, name, origin, is_configured, platform_id, account_id, project_name, adapter_type, \
             applied_at, definition_at, git_sha, last_sync_id, last_synced_at, last_outcome, node_count, edge_count",
        ),
        (
            "nodes",
            "environment_id, unique_id, resource_type, is_applied, name, package_name, file_path, description, \
             database_name, schema_name, identifier, relation_name, materialization, access, group_name, owner_name, \
             owner_email, layer, contract_enforced, version, latest_version, deprecation_date, fqn, tags, meta, \
             properties, last_run_status, last_run_at, last_run_error, last_built_at, execution_seconds, last_run_id, \
             last_job_id, first_seen_at, last_changed_at",
        ),
        ("code", "environment_id, unique_id, language, raw_code, compiled_code"),
        ("edges", "environment_id, parent_id, child_id"),
        ("lineage", "environment_id, ancestor_id, descendant_id, depth"),
        (
            "columns",
            "environment_id, unique_id, name, position, data_type, description, comment, tags, meta, in_warehouse, is_declared",
        ),
        (
            "tests",
            "environment_id, unique_id, tested_id, column_name, test_name, test_type, status, failures, message, \
             last_run_at",
        ),
        (
            "freshness",
            "environment_id, unique_id, resource_type, max_loaded_at, checked_at, checked_status, status, age_seconds, \
             warn_after_seconds, error_after_seconds, worst_upstream_id, oldest_upstream_id, oldest_upstream_loaded_at, \
             last_built_at, needs_run",
        ),
        ("health", "environment_id, unique_id, resource_type, status, since, reasons"),
        ("health_history", "environment_id, unique_id, sync_id, changed_at, status, root_ids"),
        (
            "coverage",
            "environment_id, unique_id, resource_type, package_name, is_own_package, is_excluded, owner_name, group_name, \
             layer, is_documented, is_placeholder, column_count, documented_columns, tested_columns, test_count",
        ),
        (
            "coverage_history",
            "environment_id, sync_id, changed_at, resource_type, package_name, owner_name, node_count, documented, \
             placeholders, tested, column_count, documented_columns, tested_columns",
        ),
        ("owners", "environment_id, owner_name, owner_email, contact, node_count, undocumented, untested, degraded"),
        (
            "changes",
            "seq, environment_id, sync_id, changed_at, unique_id, resource_type, kind, field, parent_id, column_name, \
             before, after",
        ),
        (
            "run_results",
            "environment_id, unique_id, run_id, job_id, status, completed_at, execution_seconds, error, failures",
        ),
        (
            "runs",
            "environment_id, run_id, job_id, node_count, failed_count, completed_at, job_name, status, started_at, finished_at, \
             duration_seconds, git_sha, cause",
        ),
        ("freshness_results", "environment_id, unique_id, checked_at, max_loaded_at, status"),
        (
            "syncs",
            "sync_id, environment_id, trigger, mode, started_at, finished_at, outcome, requests, bytes, seen, added, \
             changed, removed, warnings, error, approved_at, approved_by, approve_reason",
        ),
        ("held_losses", "sync_id, environment_id, unique_id, kind"),
        ("removed_nodes", "environment_id, unique_id, resource_type, name, removed_at, sync_id"),
        (
            "catalog_info",
            "catalog_id, contract_version, schema_version, lineaged_version, created_at, last_seq, oldest_seq",
        ),
    ];

    #[test]
    fn the_views_are_those_of_the_contract() {
        let connection = Connection::open_in_memory().expect("open");
        connection.execute_batch(include_str!("../../schema.sql")).expect("the schema");
        assert_eq!(CONTRACT.iter().map(|(name, _)| *name).collect::<Vec<_>>(), VIEWS);
        for (view, columns) in CONTRACT {
            let table = table(&connection, &format!("SELECT * FROM {view}"), &[]).expect(view);
            assert_eq!(table.columns.join(", "), *columns, "{view}");
        }
    }

    /// What is computed when it is read, so arrives in other programs without a type: what the clock decides, or text.
    const COMPUTED: &[(&str, &[&str])] = &[
        ("nodes", &["last_built_at"]),
        (
            "freshness",
            &[
                "resource_type",
                "status",
                "age_seconds",
                "warn_after_seconds",
                "error_after_seconds",
                "worst_upstream_id",
                "oldest_upstream_id",
                "oldest_upstream_loaded_at",
                "last_built_at",
                "needs_run",
            ],
        ),
        ("health", &["status", "since", "reasons"]),
        ("owners", &["degraded"]),
        (
            "runs",
            &[
                "job_id",
                "node_count",
                "failed_count",
                "completed_at",
                "job_name",
                "status",
                "started_at",
                "finished_at",
                "duration_seconds",
                "git_sha",
                "cause",
            ],
        ),
    ];

    #[test]
    fn numbers_and_flags_are_stored_and_so_have_a_type_wherever_they_are_read() {
        let connection = Connection::open_in_memory().expect("open");
        connection.execute_batch(include_str!("../../schema.sql")).expect("the schema");
        for view in VIEWS {
            let sql = format!("SELECT name, type FROM pragma_table_info('{view}')");
            let declared = table(&connection, &sql, &[]).expect(view).rows;
            let untyped = declared.iter().filter(|row| !["INTEGER", "REAL", "TEXT"].iter().any(|word| row[1] == *word));
            let allowed = COMPUTED.iter().find(|(name, _)| *name == view).map_or(&[][..], |(_, columns)| *columns);
            for column in untyped.filter_map(|row| row[0].as_str()) {
                assert!(allowed.contains(&column), "{view}.{column} is computed when it is read");
            }
        }
    }
}

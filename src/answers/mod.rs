//! Reading the catalog, and the only way to do so: a [`Reader`] is one moment of one catalog, and each question has one answer, for
//! whoever asks. Whole views are tables; other answers are structs that write themselves as JSON. Nothing here prints, and nothing
//! writes.

mod changes;
mod column_lineage;
mod columns;
pub mod coverage;
mod deliveries;
mod find;
mod health;
mod impact;
mod jobs;
mod lineage;
mod overview;
mod page;
mod parts;
mod reader;
mod runs;
mod search;
mod select;
mod status;
mod summary;
mod table;
mod view;
mod views;
mod watched;

use crate::catalog;

pub use changes::{Breaking, Changes, CodeChange, difference, is_of_code};
pub use column_lineage::{ColumnLineage, ColumnNode, Target, Ties, Unresolved};
pub use deliveries::Delivery;
pub use find::Found;
pub use health::{LATE, as_bad_as, as_late_as};
pub use impact::{Impact, Shaped, Touched};
pub use jobs::{Job, Schedule, Silence};
pub use lineage::{Lineage, LineageNode, Reach};
pub use overview::{Neighbour, Overview};
pub use page::{Order, Page, Question};
pub use reader::{Environment, Reader};
pub use runs::{RunStory, Wanted};
pub use search::{Hit, Hits, Search};
pub use select::Chosen;
pub use status::Status;
pub use summary::HealthSummary;
pub use table::{Head, Row, Table};
pub use view::{Column, Kind, View, view};
pub use views::{HEALTH, KINDS, OUTCOMES, RESOURCE_TYPES, SHAPES, VIEWS};
pub use watched::{Ended, Watched};

/// Why a question could not be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The question names something that is not there. The text says what there is.
    #[error("{0}")]
    Question(String),
    /// There is no such node.
    #[error("{}", find::told_unknown(text, removed_at.as_deref(), nearest))]
    Unknown {
        /// The id or name.
        text: String,
        /// When a node of this id was removed, if there was one.
        removed_at: Option<String>,
        /// The ids that come nearest.
        nearest: Vec<String>,
    },
    /// There is more than one such node.
    #[error("{}", find::told_several(text, found))]
    Several {
        /// The id or name.
        text: String,
        /// All of them.
        found: Vec<Found>,
    },
    /// The question can't be understood: a selector, or words to search for. The text says what is wrong.
    #[error("{0}")]
    Malformed(String),
    /// The time for reading was over before something that SQLite does not do was done. The text says what.
    #[error("{0}")]
    TookTooLong(String),
    /// The catalog can't be opened, or not as of that time.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// SQLite refused.
    #[error("the catalog could not be read")]
    Sqlite(#[from] rusqlite::Error),
}

#[cfg(test)]
mod tests {
    use super::table::table;
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
            "column_lineage",
            "environment_id, parent_id, parent_column, child_id, child_column, kind, expression, is_listed",
        ),
        ("column_uses", "environment_id, parent_id, parent_column, child_id, clause"),
        (
            "column_lineage_status",
            "environment_id, unique_id, status, reason, column_count, resolved_columns, revision",
        ),
        (
            "jobs",
            "environment_id, job_id, name, job_type, cron, is_scheduled, next_run_at, generates_docs, checks_freshness, last_run_id, \
             last_run_status, last_run_at",
        ),
        ("metric_dimensions", "environment_id, metric_id, name, type, granularities, entity_path"),
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
            "catalog_id, contract_version, schema_version, lineaged_version, created_at, last_seq, oldest_seq, last_revision",
        ),
    ];

    #[test]
    fn the_views_are_those_of_the_contract() {
        let connection = Reader::over("").connection;
        assert_eq!(CONTRACT.iter().map(|(name, _)| *name).collect::<Vec<_>>(), VIEWS);
        for (view, columns) in CONTRACT {
            let table = table(&connection, &format!("SELECT * FROM {view}"), &[]).expect(view);
            assert_eq!(table.names().collect::<Vec<_>>().join(", "), *columns, "{view}");
        }
    }

    #[test]
    fn every_view_is_described_as_the_schema_has_it_and_every_other_one_is_marked_as_ours() {
        let connection = Reader::over("").connection;
        for view in SHAPES {
            let table = table(&connection, &format!("SELECT * FROM {}", view.name), &[]).expect(view.name);
            let names: Vec<&str> = view.columns.iter().map(|column| column.name).collect();
            assert_eq!(names, table.names().collect::<Vec<_>>(), "{}", view.name);
            for name in view.key.iter().chain(view.may_be_null) {
                assert!(view.column(name).is_some(), "{} has no column `{name}`", view.name);
            }
            let sql = format!("SELECT name, type FROM pragma_table_info('{}')", view.name);
            for declared in super::table::table(&connection, &sql, &[]).expect("types").iter() {
                let column = view.column(declared.str("name")).expect("described");
                let is_typed = !["", "BLOB"].contains(&declared.str("type"));
                assert!(!is_typed || declared.str("type") == column.kind.sql_type(), "{}.{}", view.name, column.name);
                assert!(!column.about.is_empty(), "{}.{}", view.name, column.name);
            }
        }
        let all = table(&connection, "SELECT name FROM sqlite_schema WHERE type = 'view'", &[]).expect("names");
        for name in all.iter().map(|row| row.str("name")) {
            assert_ne!(VIEWS.contains(&name), name.starts_with('_'), "{name}");
        }
    }

    #[test]
    fn what_reads_the_clock_is_never_kept() {
        let schema = include_str!("../../schema.sql");
        let views: Vec<(&str, &str)> = schema
            .split("CREATE VIEW ")
            .skip(1)
            .filter_map(|text| text.split_once(" AS\n"))
            .map(|(name, text)| (name, text.split(";\n").next().unwrap_or_default()))
            .collect();
        let names = |text: &str| -> Vec<String> {
            text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect()
        };
        let mut moving: Vec<&str> = Vec::new();
        while let Some((name, _)) = views.iter().find(|(name, text)| {
            let reads = |word: &String| moving.contains(&word.as_str());
            !moving.contains(name) && (text.contains("'now'") || names(text).iter().any(reads))
        }) {
            moving.push(name);
        }
        assert!(moving.contains(&"health") && moving.contains(&"freshness"), "{moving:?}");
        for view in SHAPES {
            assert_eq!(view.moves_with_the_clock(), moving.contains(&view.name), "{}", view.name);
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
        let connection = Reader::over("").connection;
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

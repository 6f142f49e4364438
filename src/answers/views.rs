//! The public views, in the order of README. Each is a view of `schema.sql` of the same name; the others begin with `_`, and are ours.

use super::columns;
use super::view::{Column, View};
use crate::inventory::ResourceType;

/// How a sync ended.
pub const OUTCOMES: [&str; 5] = ["applied", "unchanged", "failed", "held", "interrupted"];

/// What can happen to a node.
pub const KINDS: [&str; 9] = [
    "added",
    "removed",
    "restored",
    "changed",
    "edge_added",
    "edge_removed",
    "column_added",
    "column_removed",
    "column_changed",
];

/// How a node can be, the worst first; `unknown` is no verdict, and stands before `healthy`.
pub const HEALTH: [&str; 4] = ["degraded", "caution", "unknown", "healthy"];

/// What is done to a column on its way to another, the strongest last.
pub(super) const ORIGINS: [&str; 4] = ["passthrough", "rename", "transformation", "aggregation"];

/// Where a column stands that shapes the rows of a whole node, or is only read.
pub(super) const CLAUSES: [&str; 7] = ["join", "filter", "group", "having", "order", "set", "other"];

/// How far the columns of a node are resolved.
pub(super) const RESOLUTIONS: [&str; 6] = ["resolved", "partial", "unparsed", "no_code", "not_sql", "too_large"];

/// How a run ends.
pub(super) const RUN_STATES: [&str; 3] = ["success", "error", "cancelled"];

/// The types of nodes.
pub const RESOURCE_TYPES: [&str; ResourceType::ALL.len()] = {
    let mut words = [""; ResourceType::ALL.len()];
    let mut place = 0;
    while place < words.len() {
        words[place] = ResourceType::ALL[place].as_str();
        place += 1;
    }
    words
};

/// The names of the views.
pub const VIEWS: [&str; SHAPES.len()] = {
    let mut names = [""; SHAPES.len()];
    let mut place = 0;
    while place < names.len() {
        names[place] = SHAPES[place].name;
        place += 1;
    }
    names
};

const NODE: &[&str] = &["environment_id", "unique_id"];

const WORST_TEST: &str = "environment_id,
    CASE status WHEN 'error' THEN 0 WHEN 'fail' THEN 1 WHEN 'warn' THEN 2 WHEN 'pass' THEN 4 ELSE 3 END,
    column_name, test_name, unique_id";

const WORST_HEALTH: &str = "CASE status WHEN 'degraded' THEN 0 WHEN 'caution' THEN 1 WHEN 'unknown' THEN 2 ELSE 3 END,
    environment_id, unique_id";

const fn of(name: &'static str, columns: &'static [Column], key: &'static [&'static str], about: &'static str) -> View {
    View { name, about, columns, key, may_be_null: &[], listed: "" }
}

/// All of them. Edges and lineage are paged from the end whose environment the view shows, so that an index gives the order.
pub const SHAPES: &[View] = &[
    View {
        listed: "name",
        ..of("environments", columns::ENVIRONMENTS, &["environment_id"], "the environments that the catalog holds")
    },
    of("nodes", columns::NODES, NODE, "everything that dbt gives a unique id"),
    of("code", columns::CODE, NODE, "the code of nodes"),
    of(
        "edges",
        columns::EDGES,
        &["environment_id", "child_id", "parent_id"],
        "direct dependencies; data flows from parent to child",
    ),
    of(
        "lineage",
        columns::LINEAGE,
        &["environment_id", "descendant_id", "ancestor_id"],
        "every pair of nodes that is connected; tests and groups left out",
    ),
    View {
        listed: "environment_id, unique_id, position, name",
        ..of("columns", columns::COLUMNS, &["environment_id", "unique_id", "name"], "the columns of nodes")
    },
    View { listed: WORST_TEST, ..of("tests", columns::TESTS, NODE, "data tests and unit tests") },
    View {
        listed: "environment_id, resource_type <> 'source', unique_id",
        ..of("freshness", columns::FRESHNESS, NODE, "how fresh sources are, and what is built on them")
    },
    View { listed: WORST_HEALTH, ..of("health", columns::HEALTH, NODE, "how models, sources and exposures are") },
    of("health_history", columns::HEALTH_HISTORY, &["environment_id", "unique_id", "sync_id"], "when health changed"),
    of("coverage", columns::COVERAGE, NODE, "what is documented and tested, node by node"),
    View {
        may_be_null: &["package_name", "owner_name"],
        ..of(
            "coverage_history",
            columns::COVERAGE_HISTORY,
            &["environment_id", "sync_id", "resource_type", "package_name", "owner_name"],
            "the figures of a group of nodes, whenever they changed",
        )
    },
    View {
        may_be_null: &["owner_name", "owner_email"],
        ..of("owners", columns::OWNERS, &["environment_id", "owner_name", "owner_email"], "who owns nodes")
    },
    of("changes", columns::CHANGES, &["seq"], "what changed: the feed"),
    of(
        "column_lineage",
        columns::COLUMN_LINEAGE,
        &["environment_id", "child_id", "child_column", "parent_id", "parent_column"],
        "which columns a column comes from",
    ),
    of(
        "column_uses",
        columns::COLUMN_USES,
        &["environment_id", "child_id", "parent_id", "parent_column", "clause"],
        "which columns shape the rows of a node, or are only read",
    ),
    of(
        "column_lineage_status",
        columns::COLUMN_LINEAGE_STATUS,
        NODE,
        "how far the columns of models and snapshots are resolved",
    ),
    View {
        listed: "environment_id, name, job_id",
        ..of("jobs", columns::JOBS, &["environment_id", "job_id"], "the platform's jobs")
    },
    View {
        may_be_null: &["entity_path"],
        listed: "environment_id, metric_id, CASE type WHEN 'time' THEN 0 WHEN 'categorical' THEN 1 ELSE 2 END, entity_path, name",
        ..of(
            "metric_dimensions",
            columns::METRIC_DIMENSIONS,
            &["environment_id", "metric_id", "type", "entity_path", "name"],
            "what metrics can be grouped by",
        )
    },
    View {
        listed: "environment_id, unique_id, completed_at DESC, run_id DESC",
        ..of("run_results", columns::RUN_RESULTS, &["environment_id", "unique_id", "run_id"], "what runs did to nodes")
    },
    View {
        listed: "completed_at DESC, environment_id, run_id DESC",
        ..of("runs", columns::RUNS, &["environment_id", "run_id"], "the runs that were seen")
    },
    of(
        "freshness_results",
        columns::FRESHNESS_RESULTS,
        &["environment_id", "unique_id", "checked_at"],
        "the freshness checks that were seen",
    ),
    of("syncs", columns::SYNCS, &["sync_id"], "every pass over an environment"),
    of(
        "held_losses",
        columns::HELD_LOSSES,
        &["environment_id", "unique_id", "kind"],
        "what held syncs would take away",
    ),
    of("removed_nodes", columns::REMOVED_NODES, NODE, "nodes that are gone"),
    of("catalog_info", columns::CATALOG_INFO, &[], "the catalog itself"),
];

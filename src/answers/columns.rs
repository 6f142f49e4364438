//! What stands in each column of each public view, in a few words: documents, OpenAPI and nested JSON take it from here.

use super::view::Kind::{Flag, Integer, Json, List, Map, Real, Text, Time, Word};
use super::view::{Column, Kind};
use super::views::{CLAUSES, HEALTH as STATES, KINDS, ORIGINS, OUTCOMES, RESOLUTIONS, RESOURCE_TYPES, RUN_STATES};

const ENVIRONMENT: Column = column("environment_id", Integer, "the environment's number");
const NODE: Column = column("unique_id", Text, "the node's id, as dbt gives it").filter();
const RESOURCE_TYPE: Column = column("resource_type", Word(&RESOURCE_TYPES), "the node's type").filter();

const fn column(name: &'static str, kind: Kind, about: &'static str) -> Column {
    Column { name, kind, about, is_filter: false }
}

impl Column {
    /// A question may ask it to be equal to something.
    const fn filter(self) -> Self {
        Self { is_filter: true, ..self }
    }
}

pub(super) const ENVIRONMENTS: &[Column] = &[
    column("environment_id", Integer, "its number"),
    column("name", Text, "its name on the command line").filter(),
    column("origin", Word(&["discovery", "artifacts"]), "where it is read from"),
    column("is_configured", Flag, "0: no longer in the configuration, or gone from the platform"),
    column("platform_id", Integer, "the id that the dbt platform gives it"),
    column("account_id", Integer, "the account that it belongs to there"),
    column("project_name", Text, "the name of the root project"),
    column("adapter_type", Text, "what kind of warehouse it builds in"),
    column("applied_at", Time, "when the platform last updated the applied state"),
    column("definition_at", Time, "when the platform last updated the definition state"),
    column("git_sha", Text, "the commit of the definition"),
    column("last_sync_id", Integer, "its last sync that ended"),
    column("last_synced_at", Time, "when the last sync ended that was applied or found nothing changed"),
    column("last_outcome", Word(&OUTCOMES), "how its last sync ended"),
    column("node_count", Integer, "how many nodes it has, external ones left out"),
    column("edge_count", Integer, "how many dependencies there are between them"),
];

pub(super) const NODES: &[Column] = &[
    ENVIRONMENT,
    NODE,
    RESOURCE_TYPE,
    column("is_applied", Flag, "0: defined and not built; nothing for what is never built"),
    column("name", Text, "its name").filter(),
    column("package_name", Text, "the package that it comes from").filter(),
    column("file_path", Text, "the file that it is defined in"),
    column("description", Text, "what its author says of it"),
    column("database_name", Text, "the database that it is built in"),
    column("schema_name", Text, "the schema that it is built in"),
    column("identifier", Text, "its name there"),
    column("relation_name", Text, "all of these, as the warehouse spells them"),
    column("materialization", Text, "how it is built").filter(),
    column("access", Text, "private, protected or public"),
    column("group_name", Text, "its group").filter(),
    column("owner_name", Text, "who owns it").filter(),
    column("owner_email", Text, "their addresses, joined by a comma"),
    column("layer", Text, "staging, intermediate or mart").filter(),
    column("contract_enforced", Flag, "whether its columns are a contract"),
    column("version", Text, "its version"),
    column("latest_version", Text, "the latest version of the same model"),
    column("deprecation_date", Text, "when it will be gone"),
    column("fqn", List, "its path within the project"),
    column("tags", List, "its tags"),
    column("meta", Map, "what its author notes for programs"),
    column("properties", Map, "what only its type has, and its configuration"),
    column("last_run_status", Text, "how its last run ended"),
    column("last_run_at", Time, "when that was"),
    column("last_run_error", Text, "what went wrong then"),
    column("last_built_at", Time, "when it was last built with success"),
    column("execution_seconds", Real, "how long that took"),
    column("last_run_id", Text, "the run that tried it last"),
    column("last_job_id", Integer, "the job of that run"),
    column("first_seen_at", Time, "when a sync first found it"),
    column("last_changed_at", Time, "when a sync last found it changed"),
];

pub(super) const CODE: &[Column] = &[
    ENVIRONMENT,
    NODE,
    column("language", Text, "sql or python").filter(),
    column("raw_code", Text, "as it stands in the project"),
    column("compiled_code", Text, "as the last run sent it to the warehouse"),
];

pub(super) const EDGES: &[Column] = &[
    ENVIRONMENT,
    column("parent_id", Text, "what is read").filter(),
    column("child_id", Text, "what reads it").filter(),
];

pub(super) const LINEAGE: &[Column] = &[
    ENVIRONMENT,
    column("ancestor_id", Text, "what the data come from").filter(),
    column("descendant_id", Text, "what they arrive at").filter(),
    column("depth", Integer, "how many steps the shortest way has, at least 1").filter(),
];

pub(super) const COLUMNS: &[Column] = &[
    ENVIRONMENT,
    NODE,
    column("name", Text, "its name").filter(),
    column("position", Integer, "its place among the columns"),
    column("data_type", Text, "its type in the warehouse"),
    column("description", Text, "what its author says of it"),
    column("comment", Text, "what the warehouse says of it"),
    column("tags", List, "its tags"),
    column("meta", Map, "what its author notes for programs"),
    column("in_warehouse", Flag, "1: the warehouse has it; 0: it is declared, and the warehouse lacks it"),
    column("is_declared", Flag, "1: it is declared in the project; 0: only the warehouse has it"),
];

pub(super) const TESTS: &[Column] = &[
    ENVIRONMENT,
    NODE,
    column("tested_id", Text, "the node that it tests").filter(),
    column("column_name", Text, "the column that it tests").filter(),
    column("test_name", Text, "the name of the generic test"),
    column("test_type", Word(&["generic", "singular", "unit"]), "which kind of test it is").filter(),
    column(
        "status",
        Word(&["pass", "warn", "fail", "error", "skipped"]),
        "how it ended last: pass, warn, fail, error or skipped",
    )
    .filter(),
    column("failures", Integer, "how many rows failed then"),
    column("message", Text, "what it said then"),
    column("last_run_at", Time, "when that was"),
];

pub(super) const FRESHNESS: &[Column] = &[
    ENVIRONMENT,
    NODE,
    RESOURCE_TYPE,
    column("max_loaded_at", Time, "the time of the newest row, as the last check found it"),
    column("checked_at", Time, "when that was checked"),
    column("checked_status", Text, "dbt's verdict then"),
    column(
        "status",
        Word(&["pass", "warn", "error", "overdue", "never_checked", "no_criteria"]),
        "for sources as of now; for what is built on them, the worst of these",
    )
    .filter(),
    column("age_seconds", Real, "how old the newest row is now"),
    column("warn_after_seconds", Real, "from which age it is a warning"),
    column("error_after_seconds", Real, "from which age it is an error"),
    column("worst_upstream_id", Text, "the source that has the worst status"),
    column("oldest_upstream_id", Text, "the source whose newest row is the oldest"),
    column("oldest_upstream_loaded_at", Time, "the time of that row"),
    column("last_built_at", Time, "when it was last built"),
    column("needs_run", Flag, "1: a parent was built or loaded after it").filter(),
];

pub(super) const HEALTH: &[Column] = &[
    ENVIRONMENT,
    NODE,
    RESOURCE_TYPE,
    column("status", Word(&STATES), "how it is").filter(),
    column("since", Time, "when this status began"),
    column("reasons", List, "why: {code, sentence, root_id}"),
];

pub(super) const HEALTH_HISTORY: &[Column] = &[
    ENVIRONMENT,
    NODE,
    column("sync_id", Integer, "the sync that found it").filter(),
    column("changed_at", Time, "when that was"),
    column("status", Word(&STATES), "the status from then on").filter(),
    column("root_ids", List, "the nodes that are the cause"),
];

pub(super) const COVERAGE: &[Column] = &[
    ENVIRONMENT,
    NODE,
    RESOURCE_TYPE,
    column("package_name", Text, "the package that it comes from").filter(),
    column("is_own_package", Flag, "whether that is the root project"),
    column("is_excluded", Flag, "whether the configuration leaves it out of all figures").filter(),
    column("owner_name", Text, "who owns it").filter(),
    column("group_name", Text, "its group").filter(),
    column("layer", Text, "staging, intermediate or mart").filter(),
    column("is_documented", Flag, "whether it has a description that is no placeholder").filter(),
    column("is_placeholder", Flag, "whether its description is a placeholder"),
    column("column_count", Integer, "how many columns the warehouse has"),
    column("documented_columns", Integer, "how many of them have a description that is no placeholder"),
    column("tested_columns", Integer, "how many of them have a test"),
    column("test_count", Integer, "how many tests it has"),
];

pub(super) const COVERAGE_HISTORY: &[Column] = &[
    ENVIRONMENT,
    column("sync_id", Integer, "the sync that found them").filter(),
    column("changed_at", Time, "when that was"),
    RESOURCE_TYPE,
    column("package_name", Text, "the group's package").filter(),
    column("owner_name", Text, "the group's owner").filter(),
    column("node_count", Integer, "how many nodes it has"),
    column("documented", Integer, "how many of them are documented"),
    column("placeholders", Integer, "how many have a placeholder for a description"),
    column("tested", Integer, "how many have a test"),
    column("column_count", Integer, "how many columns are known"),
    column("documented_columns", Integer, "how many of them are documented"),
    column("tested_columns", Integer, "how many of them have a test"),
];

pub(super) const OWNERS: &[Column] = &[
    ENVIRONMENT,
    column("owner_name", Text, "their name").filter(),
    column("owner_email", Text, "their addresses").filter(),
    column("contact", Text, "where they are reached: a channel, or a page"),
    column("node_count", Integer, "how many nodes they own"),
    column("undocumented", Integer, "how many of those have no description"),
    column("untested", Integer, "how many have no test"),
    column("degraded", Integer, "how many are degraded"),
];

pub(super) const CHANGES: &[Column] = &[
    column("seq", Integer, "its number, which is never used again"),
    ENVIRONMENT,
    column("sync_id", Integer, "the sync that found it").filter(),
    column("changed_at", Time, "when that was committed"),
    NODE,
    RESOURCE_TYPE,
    column("kind", Word(&KINDS), "what happened").filter(),
    column("field", Text, "which field changed").filter(),
    column("parent_id", Text, "the other end of an edge").filter(),
    column("column_name", Text, "the column that it is about").filter(),
    column("before", Json, "what was"),
    column("after", Json, "what is"),
];

pub(super) const COLUMN_LINEAGE: &[Column] = &[
    ENVIRONMENT,
    column("parent_id", Text, "the node that is read").filter(),
    column("parent_column", Text, "its column").filter(),
    column("child_id", Text, "the node that reads it").filter(),
    column("child_column", Text, "the column that comes from it").filter(),
    column("kind", Word(&ORIGINS), "what is done on the way; the strongest word counts").filter(),
    column("expression", Text, "how the child's column is computed from this one: of transformations and aggregations"),
    column("is_listed", Flag, "0: the parent's list of columns lacks it"),
];

pub(super) const COLUMN_USES: &[Column] = &[
    ENVIRONMENT,
    column("parent_id", Text, "the node that is read").filter(),
    column("parent_column", Text, "its column").filter(),
    column("child_id", Text, "the node that reads it").filter(),
    column("clause", Word(&CLAUSES), "where it stands; other: it is only read").filter(),
];

pub(super) const COLUMN_LINEAGE_STATUS: &[Column] = &[
    ENVIRONMENT,
    NODE,
    column("status", Word(&RESOLUTIONS), "how far its columns are resolved").filter(),
    column("reason", Text, "why not further"),
    column("column_count", Integer, "how many columns its code gives"),
    column("resolved_columns", Integer, "of how many of them all origins are known"),
    column("revision", Integer, "grows, over the whole catalog, when the rows of this node change"),
];

pub(super) const RUN_RESULTS: &[Column] = &[
    ENVIRONMENT,
    NODE,
    column("run_id", Text, "the run").filter(),
    column("job_id", Integer, "its job").filter(),
    column("status", Text, "how it ended for this node").filter(),
    column("completed_at", Time, "when that was"),
    column("execution_seconds", Real, "how long it took"),
    column("error", Text, "what went wrong"),
    column("failures", Integer, "how many rows a test found"),
];

pub(super) const RUNS: &[Column] = &[
    ENVIRONMENT,
    column("run_id", Text, "the platform's number, or the id of an invocation").filter(),
    column("job_id", Integer, "its job").filter(),
    column("node_count", Integer, "how many nodes it processed; nothing where no node tells"),
    column("failed_count", Integer, "how many of them failed"),
    column("completed_at", Time, "when the last of them ended, else the run"),
    column("job_name", Text, "the name of the job").filter(),
    column("status", Word(&RUN_STATES), "how it ended").filter(),
    column("started_at", Time, "when it began"),
    column("finished_at", Time, "when it ended"),
    column("duration_seconds", Real, "how long it took"),
    column("git_sha", Text, "the commit that it ran"),
    column("cause", Text, "why it ran"),
];

pub(super) const JOBS: &[Column] = &[
    ENVIRONMENT,
    column("job_id", Integer, "its number").filter(),
    column("name", Text, "its name").filter(),
    column("job_type", Text, "the platform's word: scheduled, ci, merge, other, …").filter(),
    column("cron", Text, "when it runs, in dbt's cron: digits for weekdays, 0 is Sunday"),
    column("is_scheduled", Flag, "whether that schedule starts it").filter(),
    column("next_run_at", Time, "when it runs next, as the platform says"),
    column("generates_docs", Flag, "whether its runs generate docs"),
    column("checks_freshness", Flag, "whether its runs check the freshness of sources"),
    column("last_run_id", Text, "its last run that has ended"),
    column("last_run_status", Word(&RUN_STATES), "how that ended").filter(),
    column("last_run_at", Time, "when that was"),
];

pub(super) const METRIC_DIMENSIONS: &[Column] = &[
    ENVIRONMENT,
    column("metric_id", Text, "the id of the metric").filter(),
    column("name", Text, "the name of the dimension, without its path").filter(),
    column("type", Word(&["categorical", "time", "entity"]), "what it is").filter(),
    column("granularities", List, "of a time: what it can be grouped to"),
    column("entity_path", Text, "the entities by which it is reached, joined by __"),
];

pub(super) const FRESHNESS_RESULTS: &[Column] = &[
    ENVIRONMENT,
    NODE,
    column("checked_at", Time, "when it was checked"),
    column("max_loaded_at", Time, "the time of the newest row then"),
    column("status", Text, "dbt's verdict").filter(),
];

pub(super) const SYNCS: &[Column] = &[
    column("sync_id", Integer, "its number").filter(),
    ENVIRONMENT,
    column("trigger", Word(&["manual", "cron", "webhook", "startup", "api", "retry", "demo"]), "what started it")
        .filter(),
    column("mode", Word(&["probe", "full"]), "whether everything was read").filter(),
    column("started_at", Time, "when it began"),
    column("finished_at", Time, "when it ended"),
    column("outcome", Word(&OUTCOMES), "how it ended; nothing while it runs").filter(),
    column("requests", Integer, "how many requests were sent"),
    column("bytes", Integer, "how many bytes were answered"),
    column("seen", Integer, "how many nodes were read"),
    column("added", Integer, "how many nodes were new"),
    column("changed", Integer, "how many nodes changed"),
    column("removed", Integer, "how many nodes were gone"),
    column("warnings", List, "what was odd"),
    column("error", Text, "what went wrong"),
    column("approved_at", Time, "when it was approved"),
    column("approved_by", Text, "who approved it"),
    column("approve_reason", Text, "why"),
];

pub(super) const HELD_LOSSES: &[Column] = &[
    column("sync_id", Integer, "the sync that is held").filter(),
    ENVIRONMENT,
    NODE,
    column(
        "kind",
        Word(&["removed", "unapplied", "parents", "columns", "moved", "project"]),
        "what the node would lose",
    )
    .filter(),
];

pub(super) const REMOVED_NODES: &[Column] = &[
    ENVIRONMENT,
    NODE,
    RESOURCE_TYPE,
    column("name", Text, "its name"),
    column("removed_at", Time, "when it was found gone"),
    column("sync_id", Integer, "the sync that found that").filter(),
];

pub(super) const CATALOG_INFO: &[Column] = &[
    column("catalog_id", Text, "tells it from its copies"),
    column("contract_version", Integer, "the version of the views"),
    column("schema_version", Integer, "the version of the tables"),
    column("lineaged_version", Text, "the program that made it"),
    column("created_at", Time, "when that was"),
    column("last_seq", Integer, "the number of the last change"),
    column("oldest_seq", Integer, "the number of the first change that is still there"),
    column("last_revision", Integer, "the number of the last change of column lineage"),
];

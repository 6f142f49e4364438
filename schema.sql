-- The whole schema of a fresh catalog: tables first, then views. Tables are private (src/catalog/migrations.rs);
-- views are public, described in README, and are made anew by the writer when their text here differs.

CREATE TABLE identity (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    catalog_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    lineaged_version TEXT NOT NULL,
    -- 1 in a backup, until a writer opens it: then it gets another `catalog_id`.
    is_copy INTEGER NOT NULL DEFAULT 0,
    contract_version INTEGER NOT NULL DEFAULT 1,
    -- Of the change feed: kept, so that readers get numbers.
    last_seq INTEGER NOT NULL DEFAULT 0,
    oldest_seq INTEGER NOT NULL DEFAULT 1,
    -- Of column lineage, which is no part of the feed: the newest `column_status.revision` that was ever given.
    last_revision INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What views need of the configuration, as JSON.
CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- `platform_id` is the id that dbt gives it; the counts are of what is there now. Where so many nodes are connected that `reach` does not
-- hold all pairs, `longest_way` is how many edges at most lie between two nodes; else it is NULL. `resolver_version` is that of the
-- program that last looked where all its columns come from.
CREATE TABLE environment (
    environment_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    origin TEXT NOT NULL DEFAULT 'discovery',
    is_configured INTEGER NOT NULL DEFAULT 1,
    platform_id INTEGER,
    account_id INTEGER,
    project_name TEXT,
    adapter_type TEXT,
    node_count INTEGER NOT NULL DEFAULT 0,
    edge_count INTEGER NOT NULL DEFAULT 0,
    pair_count INTEGER NOT NULL DEFAULT 0,
    longest_way INTEGER,
    resolver_version INTEGER,
    -- When the platform last listed it, of those that were found there and not configured.
    found_at TEXT
) STRICT;

-- One row for each sync that began; `outcome` is NULL while it runs. The last four are what a good read saw.
CREATE TABLE sync (
    sync_id INTEGER PRIMARY KEY AUTOINCREMENT,
    environment_id INTEGER NOT NULL REFERENCES environment,
    trigger TEXT NOT NULL,
    mode TEXT NOT NULL,
    started_at TEXT NOT NULL,
    finished_at TEXT,
    outcome TEXT,
    requests INTEGER,
    bytes INTEGER,
    seen INTEGER,
    added INTEGER,
    changed INTEGER,
    removed INTEGER,
    warnings TEXT,
    error TEXT,
    approved_at TEXT,
    approved_by TEXT,
    approve_reason TEXT,
    applied_at TEXT,
    definition_at TEXT,
    git_sha TEXT
) STRICT;
CREATE INDEX sync_by_environment ON sync (environment_id, outcome, sync_id);

-- What the newest held sync of an environment would take away: a person may approve it.
CREATE TABLE held_loss (
    sync_id INTEGER NOT NULL REFERENCES sync,
    kind TEXT NOT NULL,
    unique_id TEXT NOT NULL,
    PRIMARY KEY (sync_id, kind, unique_id)
) STRICT, WITHOUT ROWID;

-- What the last reads of an environment could not make sure of: three that list the same over an hour are believed.
CREATE TABLE doubt (
    environment_id INTEGER NOT NULL REFERENCES environment,
    about TEXT NOT NULL,
    list TEXT NOT NULL,
    reads INTEGER NOT NULL,
    since TEXT,
    believed TEXT NOT NULL,
    PRIMARY KEY (environment_id, about)
) STRICT, WITHOUT ROWID;

-- Raw code by content, for as long as a node or a change refers to it.
CREATE TABLE raw_code (
    sha256 TEXT PRIMARY KEY,
    code TEXT NOT NULL
) STRICT;

-- A removed node keeps its row, with `removed_at`, and so its identity and history. The last five are of tests alone, taken from all nodes
-- together: `column_name` is what the test says, without quotes, and `tested_column` the row of `node_column` that it means.
CREATE TABLE node (
    node_key INTEGER PRIMARY KEY,
    environment_id INTEGER NOT NULL REFERENCES environment,
    unique_id TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    is_applied INTEGER,
    name TEXT,
    package_name TEXT,
    file_path TEXT,
    description TEXT,
    database_name TEXT,
    schema_name TEXT,
    identifier TEXT,
    relation_name TEXT,
    materialization TEXT,
    access TEXT,
    group_name TEXT,
    owner_name TEXT,
    owner_email TEXT,
    layer TEXT,
    contract_enforced INTEGER,
    version TEXT,
    latest_version TEXT,
    deprecation_date TEXT,
    fqn TEXT,
    tags TEXT,
    meta TEXT,
    properties TEXT NOT NULL,
    language TEXT,
    raw_code_sha256 TEXT,
    raw_code_lines INTEGER,
    last_run_status TEXT,
    attempt_status TEXT,
    last_run_at TEXT,
    last_run_error TEXT,
    last_run_id TEXT,
    last_job_id INTEGER,
    last_run_failures INTEGER,
    executed_at TEXT,
    execution_seconds REAL,
    success_run_id TEXT,
    checked_status TEXT,
    checked_at TEXT,
    max_loaded_at TEXT,
    first_seen_at TEXT NOT NULL,
    last_changed_at TEXT NOT NULL,
    removed_at TEXT,
    removed_by INTEGER REFERENCES sync, tested_id TEXT, column_name TEXT, tested_column TEXT, test_name TEXT, test_type TEXT,
    UNIQUE (environment_id, unique_id)
) STRICT;

-- Its columns, and those of every table without a rowid, stand in the order of its key: SQLite 3.40 takes others for damaged.
CREATE TABLE edge (
    child_key INTEGER NOT NULL REFERENCES node,
    parent_key INTEGER NOT NULL REFERENCES node,
    PRIMARY KEY (child_key, parent_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX edge_by_parent ON edge (parent_key, child_key);

CREATE TABLE node_column (
    node_key INTEGER NOT NULL REFERENCES node,
    name TEXT NOT NULL,
    position INTEGER,
    data_type TEXT,
    description TEXT,
    comment TEXT,
    tags TEXT,
    meta TEXT,
    in_warehouse INTEGER,
    is_declared INTEGER,
    PRIMARY KEY (node_key, name)
) STRICT, WITHOUT ROWID;

-- Compiled code only as last seen.
CREATE TABLE compiled_code (
    node_key INTEGER PRIMARY KEY REFERENCES node,
    sha256 TEXT NOT NULL,
    lines INTEGER NOT NULL,
    code TEXT NOT NULL
) STRICT;

-- How far the columns of each model and snapshot are resolved. `stamp` is a hash of all that this was told from: what has the same one
-- is not resolved again.
CREATE TABLE column_status (
    node_key INTEGER PRIMARY KEY REFERENCES node,
    status TEXT NOT NULL,
    reason TEXT,
    column_count INTEGER,
    resolved_columns INTEGER,
    -- 0 where its code may give columns besides those in `derived_column`.
    is_whole INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    stamp INTEGER NOT NULL
) STRICT;

-- The columns that a node's code gives.
CREATE TABLE derived_column (
    node_key INTEGER NOT NULL REFERENCES node,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (node_key, name)
) STRICT, WITHOUT ROWID;

-- Where columns come from: each pair of columns of neighbours. Keys are not declared as foreign, for the same reason as those of `reach`.
CREATE TABLE column_origin (
    child_key INTEGER NOT NULL,
    child_column TEXT NOT NULL,
    parent_key INTEGER NOT NULL,
    parent_column TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- Of the pair, since each branch of a UNION may compute the column by another one.
    expression TEXT,
    is_listed INTEGER NOT NULL,
    PRIMARY KEY (child_key, child_column, parent_key, parent_column)
) STRICT, WITHOUT ROWID;
CREATE INDEX column_origin_by_parent ON column_origin (parent_key, parent_column, child_key, child_column);

-- Columns that shape the rows of a whole node, or are only read.
CREATE TABLE column_use (
    child_key INTEGER NOT NULL,
    parent_key INTEGER NOT NULL,
    parent_column TEXT NOT NULL,
    clause TEXT NOT NULL,
    PRIMARY KEY (child_key, parent_key, parent_column, clause)
) STRICT, WITHOUT ROWID;
CREATE INDEX column_use_by_parent ON column_use (parent_key, parent_column, child_key, clause);

-- The rows of both that a sync dropped, so that what stood below a column that went can be named: with `child_column` and a kind, or
-- with '' and a clause.
CREATE TABLE column_gone (
    sync_id INTEGER NOT NULL REFERENCES sync,
    parent_key INTEGER NOT NULL,
    parent_column TEXT NOT NULL,
    child_key INTEGER NOT NULL,
    child_column TEXT NOT NULL,
    how TEXT NOT NULL,
    PRIMARY KEY (sync_id, parent_key, parent_column, child_key, child_column, how)
) STRICT, WITHOUT ROWID;

-- The history: AUTOINCREMENT, so that a seq is never used twice.
CREATE TABLE change (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sync_id INTEGER NOT NULL REFERENCES sync,
    node_key INTEGER NOT NULL REFERENCES node,
    resource_type TEXT NOT NULL,
    kind TEXT NOT NULL,
    field TEXT,
    parent_id TEXT,
    column_name TEXT,
    before TEXT,
    after TEXT
) STRICT;
CREATE INDEX change_by_node ON change (node_key, seq);
CREATE INDEX change_by_sync ON change (sync_id, seq);

-- What syncs saw of runs: a row when the last attempt of a node is another one than before, and one (`is_attempt` 0) when the success
-- that the platform pins is none that a row tells of. So the last rows until a sync are what the node's row said after it, also
-- where the platform told the same run otherwise later. The sync may have been pruned.
CREATE TABLE run_result (
    node_key INTEGER NOT NULL REFERENCES node,
    sync_id INTEGER NOT NULL,
    is_attempt INTEGER NOT NULL,
    is_success INTEGER NOT NULL,
    run_id TEXT,
    job_id INTEGER,
    status TEXT,
    generated_at TEXT,
    completed_at TEXT,
    execution_seconds REAL,
    error TEXT,
    failures INTEGER,
    PRIMARY KEY (node_key, sync_id, is_attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_result_by_run ON run_result (run_id, node_key, is_attempt, sync_id);

-- What syncs saw of freshness checks, in the same way.
CREATE TABLE freshness_result (
    node_key INTEGER NOT NULL REFERENCES node,
    sync_id INTEGER NOT NULL,
    checked_at TEXT,
    max_loaded_at TEXT,
    status TEXT,
    PRIMARY KEY (node_key, sync_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX freshness_result_by_check ON freshness_result (node_key, checked_at, sync_id);

-- What files told of runs beside the last of each node, which `run_result` has: one row for each node of each run.
CREATE TABLE told_result (
    node_key INTEGER NOT NULL REFERENCES node,
    run_id TEXT NOT NULL,
    sync_id INTEGER NOT NULL,
    status TEXT,
    completed_at TEXT,
    execution_seconds REAL,
    error TEXT,
    failures INTEGER,
    PRIMARY KEY (node_key, run_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX told_result_by_run ON told_result (run_id, node_key);

-- What files told of freshness checks in the same way.
CREATE TABLE told_check (
    node_key INTEGER NOT NULL REFERENCES node,
    checked_at TEXT NOT NULL,
    sync_id INTEGER NOT NULL,
    max_loaded_at TEXT,
    status TEXT,
    PRIMARY KEY (node_key, checked_at)
) STRICT, WITHOUT ROWID;

-- What an invocation of dbt Core says of itself, and the platform's Admin API of a run. `sync_id` is the sync that saw it first.
CREATE TABLE run (
    environment_id INTEGER NOT NULL REFERENCES environment,
    run_id TEXT NOT NULL,
    sync_id INTEGER NOT NULL,
    job_id INTEGER,
    job_name TEXT,
    status TEXT,
    started_at TEXT,
    finished_at TEXT,
    duration_seconds REAL,
    git_sha TEXT,
    cause TEXT,
    error TEXT,
    PRIMARY KEY (environment_id, run_id)
) STRICT, WITHOUT ROWID;

-- The jobs of the platform, as they are now.
CREATE TABLE job (
    environment_id INTEGER NOT NULL REFERENCES environment,
    job_id INTEGER NOT NULL,
    name TEXT,
    job_type TEXT,
    cron TEXT,
    is_scheduled INTEGER,
    next_run_at TEXT,
    generates_docs INTEGER,
    checks_freshness INTEGER,
    last_run_id TEXT,
    last_run_status TEXT,
    last_run_at TEXT,
    PRIMARY KEY (environment_id, job_id)
) STRICT, WITHOUT ROWID;

-- What each metric can be grouped by, as it is now.
CREATE TABLE metric_dimension (
    node_key INTEGER NOT NULL REFERENCES node,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    granularities TEXT,
    entity_path TEXT
) STRICT;
CREATE INDEX metric_dimension_by_metric ON metric_dimension (node_key);

-- Each of the platform's other interfaces (jobs, runs, semantic_layer) of an environment: when it last answered, and why it does not
-- since. `read_to`: of runs, up to which end they are known; of semantic_layer, the stamp of the definition that was asked for.
CREATE TABLE interface (
    environment_id INTEGER NOT NULL REFERENCES environment,
    interface TEXT NOT NULL,
    account_id INTEGER,
    answered_at TEXT,
    read_to TEXT,
    failing_since TEXT,
    error TEXT,
    PRIMARY KEY (environment_id, interface)
) STRICT, WITHOUT ROWID;

-- The health of a node whenever a sync found another status; NULL since it has none. The sync may have been pruned.
CREATE TABLE health_note (
    node_key INTEGER NOT NULL REFERENCES node,
    sync_id INTEGER NOT NULL,
    changed_at TEXT NOT NULL,
    status TEXT,
    root_ids TEXT NOT NULL,
    PRIMARY KEY (node_key, sync_id)
) STRICT, WITHOUT ROWID;

-- The moment that the views take for now. Empty, and so the present, but where a sync notes health as of its end, and in the copy
-- that `--as-of` reads.
CREATE TABLE fixed_clock (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    moment TEXT NOT NULL
) STRICT;

-- Every connected pair, tests and groups left out: kept by the sync, so that lineage is a look-up. Where that would be too many (see
-- `environment.longest_way`) only those that freshness and health need, and their depth means nothing. Its keys are not declared as
-- foreign: they come from the graph of the same sync, and looking them up twice for each pair took longer than writing it.
CREATE TABLE reach (
    descendant_key INTEGER NOT NULL,
    ancestor_key INTEGER NOT NULL,
    depth INTEGER NOT NULL,
    PRIMARY KEY (descendant_key, ancestor_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX reach_by_ancestor ON reach (ancestor_key, descendant_key, depth);

CREATE INDEX test_by_tested ON node (environment_id, tested_id)
WHERE resource_type IN ('test', 'unit_test');

-- What `coverage` shows of each node, and `owners` of each owner: kept by the writer, which folds letters, and with their types.
CREATE TABLE node_coverage (
    node_key INTEGER PRIMARY KEY REFERENCES node,
    is_own_package INTEGER,
    is_excluded INTEGER NOT NULL,
    is_documented INTEGER NOT NULL,
    is_placeholder INTEGER NOT NULL,
    column_count INTEGER,
    documented_columns INTEGER,
    tested_columns INTEGER,
    test_count INTEGER NOT NULL
) STRICT;

CREATE TABLE owner (
    environment_id INTEGER NOT NULL REFERENCES environment,
    owner_name TEXT,
    owner_email TEXT,
    contact TEXT,
    node_count INTEGER NOT NULL,
    undocumented INTEGER NOT NULL,
    untested INTEGER NOT NULL
) STRICT;
CREATE INDEX owner_by_environment ON owner (environment_id);

-- How much was documented and tested, by group, whenever a group's figures changed.
CREATE TABLE coverage_count (
    sync_id INTEGER NOT NULL REFERENCES sync,
    resource_type TEXT NOT NULL,
    package_name TEXT,
    owner_name TEXT,
    node_count INTEGER NOT NULL,
    documented INTEGER NOT NULL,
    placeholders INTEGER NOT NULL,
    tested INTEGER NOT NULL,
    column_count INTEGER,
    documented_columns INTEGER,
    tested_columns INTEGER
) STRICT;
CREATE INDEX coverage_count_by_sync ON coverage_count (sync_id);

-- What the platform said of the environment's state when a read ended well or was held.
CREATE TABLE probe (
    sync_id INTEGER PRIMARY KEY REFERENCES sync,
    stamps TEXT NOT NULL
) STRICT;

-- What each receiver of exports has taken of an environment: everything up to these numbers of that catalog; and why it takes nothing
-- since. Written when it arrives, outside of any sync.
CREATE TABLE delivery (
    environment_id INTEGER NOT NULL REFERENCES environment,
    receiver TEXT NOT NULL,
    catalog_id TEXT,
    seq INTEGER,
    revision INTEGER,
    sync_id INTEGER,
    arrived_at TEXT,
    failing_since TEXT,
    error TEXT,
    PRIMARY KEY (environment_id, receiver)
) STRICT, WITHOUT ROWID;

-- How far history was pruned: everything up to this moment is known only by its result.
CREATE TABLE horizon (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    pruned_at TEXT NOT NULL
) STRICT;

-- The words of all nodes that are there, for `lineaged search`. It keeps no text: that is read from the view `_search_text`.
CREATE VIRTUAL TABLE search USING fts5 (
    name, columns, description, column_descriptions, tags, meta, owner, path, dimensions,
    content = '_search_text', content_rowid = 'node_key', tokenize = 'unicode61'
);

-- What a foreign key is looked up by when a sync is forgotten.
CREATE INDEX node_by_removal ON node (removed_by) WHERE removed_by IS NOT NULL;

-- What health begins with: the few nodes that did not do well, or were never run, exposures and sources.
CREATE INDEX node_in_trouble ON node (last_run_status)
WHERE last_run_status IN ('error', 'fail', 'warn', 'skipped') AND removed_at IS NULL;
CREATE INDEX node_never_ran ON node (environment_id, unique_id)
WHERE resource_type = 'model' AND last_run_status IS NULL AND executed_at IS NULL AND removed_at IS NULL;
CREATE INDEX node_is_exposure ON node (environment_id, unique_id) WHERE resource_type = 'exposure' AND removed_at IS NULL;
CREATE INDEX node_is_source ON node (environment_id, unique_id) WHERE resource_type = 'source' AND removed_at IS NULL;

-- Views: the contract. They need no extension and no function that SQLite 3.40 lacks.

-- Now, as a Julian day: private.
CREATE VIEW _clock AS
SELECT julianday(coalesce((SELECT moment FROM fixed_clock), 'now')) AS day;

CREATE VIEW environments AS
SELECT
    e.environment_id,
    e.name,
    e.origin,
    e.is_configured,
    e.platform_id,
    e.account_id,
    e.project_name,
    e.adapter_type,
    good.applied_at,
    good.definition_at,
    good.git_sha,
    last.sync_id AS last_sync_id,
    good.finished_at AS last_synced_at,
    last.outcome AS last_outcome,
    e.node_count,
    e.edge_count
FROM environment e
LEFT JOIN sync last ON last.sync_id = (
    SELECT max(s.sync_id) FROM sync s WHERE s.environment_id = e.environment_id AND s.outcome IS NOT NULL)
LEFT JOIN sync good ON good.sync_id = (
    SELECT max(s.sync_id) FROM sync s
    WHERE s.environment_id = e.environment_id AND s.outcome IN ('applied', 'unchanged'));

CREATE VIEW nodes AS
SELECT
    environment_id,
    unique_id,
    resource_type,
    is_applied,
    name,
    package_name,
    file_path,
    description,
    database_name,
    schema_name,
    identifier,
    relation_name,
    materialization,
    access,
    group_name,
    owner_name,
    owner_email,
    layer,
    contract_enforced,
    version,
    latest_version,
    deprecation_date,
    fqn,
    tags,
    meta,
    properties,
    last_run_status,
    last_run_at,
    last_run_error,
    CASE WHEN resource_type IN ('model', 'seed', 'snapshot') THEN executed_at END AS last_built_at,
    execution_seconds,
    last_run_id,
    last_job_id,
    first_seen_at,
    last_changed_at
FROM node
WHERE removed_at IS NULL;

CREATE VIEW code AS
SELECT n.environment_id, n.unique_id, n.language, r.code AS raw_code, c.code AS compiled_code
FROM node n
LEFT JOIN raw_code r ON r.sha256 = n.raw_code_sha256
LEFT JOIN compiled_code c ON c.node_key = n.node_key
WHERE n.removed_at IS NULL AND (r.sha256 IS NOT NULL OR c.node_key IS NOT NULL);

-- Both ends are of one environment: saying so lets SQLite begin at either.
CREATE VIEW edges AS
SELECT child.environment_id, parent.unique_id AS parent_id, child.unique_id AS child_id
FROM edge
JOIN node child ON child.node_key = edge.child_key
JOIN node parent ON parent.node_key = edge.parent_key AND parent.environment_id = child.environment_id;

-- Where not all pairs are kept, the ways up from each node are walked: quick for one descendant, slow for all.
CREATE VIEW lineage AS
SELECT d.environment_id, a.unique_id AS ancestor_id, d.unique_id AS descendant_id, r.depth
FROM reach r
JOIN node d ON d.node_key = r.descendant_key
JOIN node a ON a.node_key = r.ancestor_key AND a.environment_id = d.environment_id
WHERE +d.environment_id IN (SELECT environment_id FROM environment WHERE longest_way IS NULL)
UNION ALL
SELECT d.environment_id, a.unique_id, d.unique_id, CAST(pair.value ->> 1 AS INTEGER)
FROM environment e
CROSS JOIN node d ON d.environment_id = e.environment_id
CROSS JOIN json_each((
    WITH RECURSIVE up (node_key, depth) AS (
        SELECT d.node_key, 0
        UNION
        SELECT edge.parent_key, up.depth + 1
        FROM up
        JOIN edge ON edge.child_key = up.node_key
        WHERE up.depth < e.longest_way
        AND (SELECT resource_type FROM node WHERE node_key = edge.parent_key) NOT IN ('test', 'unit_test', 'group')
    )
    SELECT json_group_array(json_array(node_key, depth))
    FROM (SELECT node_key, min(depth) AS depth FROM up WHERE depth > 0 GROUP BY node_key)
)) pair
CROSS JOIN node a ON a.node_key = pair.value ->> 0
WHERE e.longest_way IS NOT NULL AND d.removed_at IS NULL AND d.resource_type NOT IN ('test', 'unit_test', 'group');

CREATE VIEW columns AS
SELECT
    n.environment_id,
    n.unique_id,
    c.name,
    c.position,
    c.data_type,
    c.description,
    c.comment,
    c.tags,
    c.meta,
    c.in_warehouse,
    c.is_declared
FROM node_column c
JOIN node n ON n.node_key = c.node_key;

CREATE VIEW tests AS
SELECT
    environment_id,
    unique_id,
    tested_id,
    column_name,
    test_name,
    test_type,
    last_run_status AS status,
    last_run_failures AS failures,
    last_run_error AS message,
    last_run_at
FROM node
WHERE removed_at IS NULL AND resource_type IN ('test', 'unit_test');

-- What the last check said of each source, and what the clock says since. The worse, the higher the rank.
CREATE VIEW _source_now AS
WITH criteria AS (
    SELECT
        node_key,
        environment_id,
        unique_id,
        max_loaded_at,
        checked_at,
        checked_status,
        executed_at,
        json_extract(properties, '$.freshness.warn_after.count')
            * CASE json_extract(properties, '$.freshness.warn_after.period')
                WHEN 'minute' THEN 60.0 WHEN 'hour' THEN 3600.0 WHEN 'day' THEN 86400.0 END AS warn_after_seconds,
        json_extract(properties, '$.freshness.error_after.count')
            * CASE json_extract(properties, '$.freshness.error_after.period')
                WHEN 'minute' THEN 60.0 WHEN 'hour' THEN 3600.0 WHEN 'day' THEN 86400.0 END AS error_after_seconds,
        ((SELECT day FROM _clock) - julianday(max_loaded_at)) * 86400.0 AS age_seconds
    FROM node
    WHERE resource_type = 'source' AND removed_at IS NULL
),
judged AS (
    SELECT
        *,
        CASE
            WHEN warn_after_seconds IS NULL AND error_after_seconds IS NULL THEN 'no_criteria'
            WHEN checked_status = 'error' THEN 'error'
            WHEN checked_status = 'warn' AND age_seconds > error_after_seconds THEN 'overdue'
            WHEN checked_status = 'warn' THEN 'warn'
            WHEN checked_status = 'pass' AND (age_seconds > warn_after_seconds OR age_seconds > error_after_seconds)
                THEN 'overdue'
            WHEN checked_status = 'pass' THEN 'pass'
            ELSE 'never_checked'
        END AS status
    FROM criteria
)
SELECT
    *,
    CASE status
        WHEN 'error' THEN 5 WHEN 'overdue' THEN 4 WHEN 'warn' THEN 3 WHEN 'never_checked' THEN 2 WHEN 'pass' THEN 1 ELSE 0
    END AS rank
FROM judged;

-- The sources are judged once for a query; CROSS JOIN keeps SQLite from beginning with them. Nodes come first, and in their own order, so
-- that a page judges only what it shows; and what is not asked for is not looked for.
CREATE VIEW _freshness_now AS
WITH source AS MATERIALIZED (SELECT node_key, unique_id, max_loaded_at, status, rank FROM _source_now)
SELECT
    n.environment_id,
    n.unique_id,
    n.resource_type,
    own.max_loaded_at,
    own.checked_at,
    own.checked_status,
    CASE n.resource_type WHEN 'source' THEN own.status
        ELSE (SELECT s.status FROM source s WHERE s.node_key = worst.node_key) END AS status,
    own.age_seconds,
    own.warn_after_seconds,
    own.error_after_seconds,
    worst.unique_id AS worst_upstream_id,
    oldest.unique_id AS oldest_upstream_id,
    oldest.max_loaded_at AS oldest_upstream_loaded_at,
    CASE WHEN n.resource_type IN ('model', 'seed', 'snapshot') THEN n.executed_at END AS last_built_at,
    CASE WHEN n.resource_type IN ('model', 'snapshot') AND n.executed_at IS NOT NULL THEN EXISTS (
        SELECT 1 FROM edge e JOIN node p ON p.node_key = e.parent_key
        WHERE e.child_key = n.node_key
        AND (p.resource_type = 'source' AND p.max_loaded_at > n.executed_at
            OR p.resource_type IN ('model', 'seed', 'snapshot') AND p.executed_at > n.executed_at)) END AS needs_run
FROM node n
LEFT JOIN _source_now own ON own.node_key = n.node_key
LEFT JOIN node worst ON worst.node_key = (
    SELECT s.node_key FROM reach r CROSS JOIN source s
    WHERE r.descendant_key = n.node_key AND s.node_key = r.ancestor_key AND n.resource_type <> 'source'
    ORDER BY s.rank DESC, s.unique_id LIMIT 1)
LEFT JOIN node oldest ON oldest.node_key = (
    SELECT s.node_key FROM reach r CROSS JOIN source s
    WHERE r.descendant_key = n.node_key AND s.node_key = r.ancestor_key AND n.resource_type <> 'source'
    AND s.max_loaded_at IS NOT NULL ORDER BY s.max_loaded_at, s.unique_id LIMIT 1)
WHERE n.removed_at IS NULL AND (n.resource_type = 'source' OR EXISTS (
    SELECT 1 FROM reach r WHERE r.descendant_key = n.node_key AND +r.ancestor_key IN (SELECT node_key FROM source)));

-- Apart, for DuckDB, which sends the views that it reads to SQLite in its own words.
CREATE VIEW freshness AS
SELECT
    environment_id,
    unique_id,
    resource_type,
    max_loaded_at,
    checked_at,
    checked_status,
    status,
    age_seconds,
    warn_after_seconds,
    error_after_seconds,
    worst_upstream_id,
    oldest_upstream_id,
    oldest_upstream_loaded_at,
    last_built_at,
    needs_run
FROM _freshness_now;

-- dbt's health signals: each rule with its rank (3: degraded, 2: caution, 1: unknown), of which the highest is the status.
-- * It is dbt's verdict on a source that counts, also where `freshness` says that the clock has overtaken it.
-- * An ephemeral model is never built by itself, so it can't be late or wait for its first run; and what a test has read, or the
--   warehouse has columns of, is there, whichever run made it.
-- * A model that the last run skipped did not fail to build: caution, and the root is what held it up: what failed to build
--   before it, else the tests that failed before it.
-- * For an exposure, seeds and snapshots count like models, and so do the tests of whatever is upstream. What no run has
--   processed makes it unknown, if nothing worse is known.
-- The lists before the rules are short and made once for a query; CROSS JOIN keeps SQLite from beginning with them. Nodes come first,
-- and in their own order, so that a page judges only what it shows. The reasons pass through json_each, since they would be made
-- twice otherwise: for the status, and for themselves.

-- What is wrong with sources, and its rank for the source, for models and for exposures; %s is where the source is named.
CREATE VIEW _complaint AS
WITH allowed AS (
    SELECT coalesce((SELECT CAST(value AS INTEGER) FROM setting WHERE name = 'stale_after_days'), 30) AS days
),
checked AS (
    SELECT
        s.node_key,
        s.unique_id,
        s.status,
        printf(' of `%s`', coalesce(json_extract(n.properties, '$.source_name') || '.' || n.name, n.unique_id)) AS of_source,
        CASE WHEN s.checked_status IN ('pass', 'warn', 'error') THEN s.checked_status END AS verdict,
        (SELECT day FROM _clock) - julianday(s.checked_at) AS days,
        allowed.days AS allowed_days,
        round((julianday(s.checked_at) - julianday(s.max_loaded_at)) * 24.0, 1) AS hours,
        round(iif(s.checked_status = 'error', s.error_after_seconds, s.warn_after_seconds) / 3600.0, 1) AS allowed_hours
    FROM _source_now s
    JOIN node n ON n.node_key = s.node_key
    CROSS JOIN allowed
    -- Most sources are well: nothing more is asked of them.
    WHERE (s.checked_status = 'pass' AND (SELECT day FROM _clock) - julianday(s.checked_at) <= allowed.days) IS NOT TRUE
)
SELECT
    node_key,
    unique_id,
    of_source,
    iif(verdict = 'error', 'source_error', 'source_warn') AS code,
    iif(verdict = 'error', 3, 2) AS for_source,
    CASE WHEN verdict = 'error' THEN 3 WHEN days > allowed_days THEN NULL ELSE 2 END AS for_model,
    iif(verdict = 'error', 3, 2) AS for_exposure,
    'the last freshness check%s returned ' || iif(verdict = 'error', 'an error', 'a warning') || iif(
        hours > allowed_hours,
        printf(': its data was %s old, the limit is %s',
            iif(hours > 72, printf('%g days', round(hours / 24.0, 1)), printf('%g hours', hours)),
            iif(allowed_hours > 72, printf('%g days', round(allowed_hours / 24.0, 1)), printf('%g hours', allowed_hours))),
        '')
        AS sentence
FROM checked
WHERE status <> 'no_criteria' AND verdict IN ('warn', 'error')
UNION ALL
SELECT
    node_key,
    unique_id,
    of_source,
    'source_not_checked',
    2,
    3,
    NULL,
    CASE
        WHEN days IS NULL THEN 'the freshness%s was never checked'
        WHEN verdict IS NULL THEN 'the last freshness check%s came to no verdict'
        ELSE printf('the freshness%%s was last checked more than %d days ago, the limit is %d', days, allowed_days)
    END
FROM checked
WHERE status <> 'no_criteria' AND (verdict IS NULL OR days > allowed_days);

-- Tests that did not pass, at what they test, and what failed to build, at itself.
CREATE VIEW _trouble AS
SELECT
    p.node_key AS at_key,
    t.unique_id,
    TRUE AS is_test,
    t.last_run_status = 'warn' AS is_warning,
    printf('the %s `%s` ', replace(t.resource_type, '_', ' '), coalesce(t.name, t.unique_id))
        || CASE t.last_run_status WHEN 'warn' THEN 'warned' WHEN 'fail' THEN 'failed' ELSE 'ended in an error' END
        || CASE WHEN t.resource_type = 'test' AND t.last_run_failures > 0
            THEN printf(' with %d row%s', t.last_run_failures, iif(t.last_run_failures = 1, '', 's')) ELSE '' END
        AS sentence
FROM node t
JOIN node p ON p.environment_id = t.environment_id AND p.unique_id = t.tested_id
WHERE t.last_run_status IN ('error', 'fail', 'warn', 'skipped') AND t.removed_at IS NULL
AND t.last_run_status <> 'skipped' AND t.resource_type IN ('test', 'unit_test')
UNION ALL
SELECT
    b.node_key,
    b.unique_id,
    FALSE,
    FALSE,
    printf('the %s `%s` failed to build', b.resource_type, coalesce(b.name, b.unique_id))
FROM node b
WHERE b.last_run_status IN ('error', 'fail', 'warn', 'skipped') AND b.removed_at IS NULL
AND b.last_run_status = 'error' AND b.resource_type IN ('model', 'seed', 'snapshot');

-- What alone can be degraded, so that a question for it judges nothing else: what is in trouble, what stands on a source that is, and
-- exposures.
CREATE VIEW _may_be_degraded AS
SELECT n.environment_id, n.unique_id
FROM (
    SELECT at_key AS node_key FROM _trouble
    UNION
    SELECT node_key FROM _complaint
    UNION
    SELECT r.descendant_key FROM _complaint c CROSS JOIN reach r WHERE r.ancestor_key = c.node_key AND c.for_model = 3
    UNION
    SELECT node_key FROM node WHERE resource_type = 'exposure' AND removed_at IS NULL
) may
CROSS JOIN node n
WHERE n.node_key = may.node_key;

CREATE VIEW _health_now AS
WITH allowed AS (
    SELECT coalesce((SELECT CAST(value AS INTEGER) FROM setting WHERE name = 'stale_after_days'), 30) AS days
),
complaint AS MATERIALIZED (SELECT * FROM _complaint),
trouble AS MATERIALIZED (SELECT * FROM _trouble),
skipped AS MATERIALIZED (
    SELECT
        s.node_key,
        s.unique_id,
        printf('the %s `%s` was skipped', s.resource_type, coalesce(s.name, s.unique_id)) AS sentence
    FROM node s
    WHERE s.last_run_status IN ('error', 'fail', 'warn', 'skipped') AND s.removed_at IS NULL
    AND s.last_run_status = 'skipped' AND s.resource_type IN ('model', 'seed', 'snapshot')
),
-- Models that no run has processed.
unbuilt AS MATERIALIZED (
    SELECT m.node_key, m.unique_id, m.name
    FROM node m
    WHERE m.resource_type = 'model' AND m.last_run_status IS NULL AND m.executed_at IS NULL AND m.removed_at IS NULL
    AND coalesce(m.materialization, '') <> 'ephemeral'
    AND NOT EXISTS (
        SELECT 1 FROM node t
        WHERE t.environment_id = m.environment_id AND t.resource_type IN ('test', 'unit_test')
        AND t.tested_id = m.unique_id AND t.removed_at IS NULL AND t.last_run_status IN ('pass', 'warn', 'fail'))
    AND NOT EXISTS (SELECT 1 FROM node_column c WHERE c.node_key = m.node_key)
),
-- What exposures tell of, where it is above them.
told AS MATERIALIZED (
    SELECT at_key AS node_key FROM trouble UNION SELECT node_key FROM skipped UNION SELECT node_key FROM unbuilt
),
-- Where complaints about sources arrive.
felt AS MATERIALIZED (
    SELECT r.descendant_key AS node_key, s.node_key AS source_key
    FROM (SELECT DISTINCT node_key FROM complaint WHERE for_model IS NOT NULL OR for_exposure IS NOT NULL) s
    CROSS JOIN reach r ON r.ancestor_key = s.node_key
)
SELECT
    n.node_key,
    n.environment_id,
    n.unique_id,
    n.resource_type,
    CASE substr(f.value, 1, 1)
        WHEN '3' THEN 'degraded' WHEN '2' THEN 'caution' WHEN '1' THEN 'unknown' ELSE 'healthy' END AS status,
    substr(f.value, 2) AS reasons
FROM (
    SELECT
        *,
        (SELECT day FROM _clock) - julianday(executed_at) AS days,
        m.node_key IN (SELECT node_key FROM unbuilt) AS never_ran
    FROM node m
) n
CROSS JOIN json_each(json_array(CASE n.resource_type
    WHEN 'model' THEN (
        SELECT coalesce(max(rank), 0)
            || json_group_array(json_object('code', code, 'sentence', sentence, 'root_id', root_id))
        FROM (SELECT * FROM (
            SELECT 3 AS rank, 'build_failed' AS code, 'the last run failed to build it' AS sentence, NULL AS root_id
            WHERE n.last_run_status = 'error'
            UNION ALL
            SELECT 1, 'never_built', 'no run has processed it', NULL
            WHERE n.never_ran
            UNION ALL
            SELECT
                2,
                'not_built_recently',
                printf('it was last built more than %d days ago, the limit is %d', n.days, a.days),
                NULL
            FROM allowed a
            WHERE n.days > a.days
            UNION ALL
            SELECT
                2,
                iif(cause.is_test, 'upstream_test_failed', 'upstream_model_failed'),
                'the last run skipped it: ' || cause.sentence,
                cause.unique_id
            FROM (
                SELECT t.*, rank() OVER (ORDER BY t.is_test) AS place
                FROM reach r
                CROSS JOIN trouble t
                WHERE t.at_key = r.ancestor_key AND n.last_run_status = 'skipped' AND r.descendant_key = n.node_key
                AND NOT t.is_warning
            ) cause
            WHERE cause.place = 1
            UNION ALL
            SELECT 2, 'upstream_model_skipped', 'the last run skipped it', NULL
            WHERE n.last_run_status = 'skipped' AND NOT EXISTS (
                SELECT 1 FROM reach r
                CROSS JOIN trouble t
                WHERE t.at_key = r.ancestor_key AND r.descendant_key = n.node_key AND NOT t.is_warning)
            UNION ALL
            SELECT iif(t.is_warning, 2, 3), iif(t.is_warning, 'test_warned', 'test_failed'), t.sentence, t.unique_id
            FROM trouble t
            WHERE t.at_key = n.node_key AND t.is_test AND NOT n.never_ran
            UNION ALL
            SELECT 2, 'no_tests', 'it has no tests', NULL
            WHERE NOT n.never_ran AND NOT EXISTS (
                SELECT 1 FROM node t
                WHERE t.environment_id = n.environment_id AND t.resource_type IN ('test', 'unit_test')
                AND t.tested_id = n.unique_id AND t.removed_at IS NULL)
            UNION ALL
            SELECT 2, 'no_description', 'it has no description', NULL
            WHERE NOT n.never_ran AND n.description IS NULL
            UNION ALL
            SELECT c.for_model, c.code, printf(c.sentence, c.of_source), c.unique_id
            FROM felt
            CROSS JOIN complaint c
            WHERE felt.node_key = n.node_key AND c.node_key = felt.source_key AND c.for_model IS NOT NULL AND NOT n.never_ran
            LIMIT -1) ORDER BY rank DESC, code, root_id
        )
    )
    WHEN 'source' THEN (
        SELECT coalesce(max(rank), 0)
            || json_group_array(json_object('code', code, 'sentence', sentence, 'root_id', root_id))
        FROM (SELECT * FROM (
            SELECT c.for_source AS rank, c.code AS code, printf(c.sentence, '') AS sentence, NULL AS root_id
            FROM complaint c
            WHERE c.node_key = n.node_key
            UNION ALL
            SELECT 2, 'source_no_criteria', 'it has no freshness criteria', NULL
            FROM _source_now s
            WHERE s.node_key = n.node_key AND s.status = 'no_criteria'
            UNION ALL
            SELECT 2, 'no_description', 'it has no description', NULL
            WHERE n.description IS NULL
            LIMIT -1) ORDER BY rank DESC, code
        )
    )
    ELSE (
        WITH above AS MATERIALIZED (
            SELECT r.ancestor_key FROM reach r WHERE r.descendant_key = n.node_key AND +r.ancestor_key IN (SELECT node_key FROM told)
        )
        SELECT coalesce(max(rank), 0)
            || json_group_array(json_object('code', code, 'sentence', sentence, 'root_id', root_id))
        FROM (SELECT * FROM (
            SELECT
                c.for_exposure AS rank,
                c.code AS code,
                printf(c.sentence, c.of_source) AS sentence,
                c.unique_id AS root_id
            FROM felt
            CROSS JOIN complaint c
            WHERE felt.node_key = n.node_key AND c.node_key = felt.source_key AND c.for_exposure IS NOT NULL
            UNION ALL
            SELECT
                iif(t.is_warning, 2, 3),
                CASE WHEN NOT t.is_test THEN 'upstream_model_failed' WHEN t.is_warning THEN 'upstream_test_warned'
                    ELSE 'upstream_test_failed' END,
                t.sentence,
                t.unique_id
            FROM above a
            CROSS JOIN trouble t
            WHERE t.at_key = a.ancestor_key
            UNION ALL
            SELECT
                2,
                'upstream_model_skipped',
                iif(count(*) = 1, cause.skipped, count(*) || ' nodes were skipped') || ': ' || cause.sentence,
                cause.unique_id
            FROM (
                SELECT s.sentence AS skipped, t.*, rank() OVER (PARTITION BY s.node_key ORDER BY t.is_test) AS place
                FROM above a
                CROSS JOIN skipped s
                CROSS JOIN reach r
                CROSS JOIN trouble t
                WHERE s.node_key = a.ancestor_key AND r.descendant_key = s.node_key AND t.at_key = r.ancestor_key
                AND NOT t.is_warning
            ) cause
            WHERE cause.place = 1
            GROUP BY cause.unique_id
            UNION ALL
            SELECT 2, 'upstream_model_skipped', s.sentence, s.unique_id
            FROM above a
            CROSS JOIN skipped s
            WHERE s.node_key = a.ancestor_key AND NOT EXISTS (
                SELECT 1 FROM reach r
                CROSS JOIN trouble t
                WHERE t.at_key = r.ancestor_key AND r.descendant_key = s.node_key AND NOT t.is_warning)
            UNION ALL
            SELECT
                1,
                'never_built',
                printf('no run has processed the model `%s`', coalesce(u.name, u.unique_id)),
                u.unique_id
            FROM above a
            CROSS JOIN unbuilt u
            WHERE u.node_key = a.ancestor_key
            LIMIT -1) ORDER BY rank DESC, code, root_id
        )
    ) END)) f
WHERE n.removed_at IS NULL AND n.resource_type IN ('model', 'source', 'exposure');

-- When a status began: as noted, unless the clock (or a setting) alone has moved it since, which the next sync notes.
CREATE VIEW _health_since AS
SELECT
    h.environment_id,
    h.unique_id,
    h.resource_type,
    h.status,
    CASE WHEN last.status = h.status THEN last.changed_at END AS since,
    h.reasons
FROM _health_now h
LEFT JOIN health_note last ON last.node_key = h.node_key AND last.sync_id = (
    SELECT max(sync_id) FROM health_note WHERE node_key = h.node_key);

-- DuckDB sends the views that it reads to SQLite in its own words, and these have no word for all that the rules need: so the rules are
-- in a view of their own, which it takes as it is.
CREATE VIEW health AS
SELECT environment_id, unique_id, resource_type, status, since, reasons FROM _health_since;

CREATE VIEW health_history AS
SELECT n.environment_id, n.unique_id, h.sync_id, h.changed_at, h.status, h.root_ids
FROM health_note h
JOIN node n ON n.node_key = h.node_key;

CREATE VIEW coverage AS
SELECT
    n.environment_id,
    n.unique_id,
    n.resource_type,
    n.package_name,
    c.is_own_package,
    c.is_excluded,
    n.owner_name,
    n.group_name,
    n.layer,
    c.is_documented,
    c.is_placeholder,
    c.column_count,
    c.documented_columns,
    c.tested_columns,
    c.test_count
FROM node_coverage c
JOIN node n ON n.node_key = c.node_key;

CREATE VIEW coverage_history AS
SELECT
    s.environment_id,
    c.sync_id,
    s.finished_at AS changed_at,
    c.resource_type,
    c.package_name,
    c.owner_name,
    c.node_count,
    c.documented,
    c.placeholders,
    c.tested,
    c.column_count,
    c.documented_columns,
    c.tested_columns
FROM coverage_count c
JOIN sync s ON s.sync_id = c.sync_id;

-- Apart, like the rules of health: it groups.
CREATE VIEW _owners_now AS
SELECT
    o.environment_id,
    o.owner_name,
    o.owner_email,
    o.contact,
    o.node_count,
    o.undocumented,
    o.untested,
    coalesce(bad.nodes, 0) AS degraded
FROM owner o
LEFT JOIN (
    SELECT n.environment_id, n.owner_name, iif(n.owner_name IS NULL, n.owner_email, NULL) AS owner_email, count(*) AS nodes
    FROM health h
    JOIN node n ON n.environment_id = h.environment_id AND n.unique_id = h.unique_id
    WHERE h.status = 'degraded' AND (h.environment_id, h.unique_id) IN (SELECT environment_id, unique_id FROM _may_be_degraded)
    GROUP BY 1, 2, 3
) bad ON bad.environment_id = o.environment_id AND bad.owner_name IS o.owner_name
    AND bad.owner_email IS iif(o.owner_name IS NULL, o.owner_email, NULL);

CREATE VIEW owners AS
SELECT environment_id, owner_name, owner_email, contact, node_count, undocumented, untested, degraded
FROM _owners_now;

-- Each change has its sync and its node. LEFT JOIN and `+ 0` keep SQLite from beginning with the syncs, so that the feed is read by `seq`,
-- and from looking up what is not asked for.
CREATE VIEW changes AS
SELECT
    c.seq,
    s.environment_id,
    c.sync_id,
    s.finished_at AS changed_at,
    n.unique_id,
    c.resource_type,
    c.kind,
    c.field,
    c.parent_id,
    c.column_name,
    c.before,
    c.after
FROM change c
LEFT JOIN sync s ON s.sync_id = c.sync_id + 0
LEFT JOIN node n ON n.node_key = c.node_key;

-- The two ends are of one environment, as with edges.
CREATE VIEW column_lineage AS
SELECT
    child.environment_id,
    parent.unique_id AS parent_id,
    o.parent_column,
    child.unique_id AS child_id,
    o.child_column,
    o.kind,
    o.expression,
    o.is_listed
FROM column_origin o
JOIN node child ON child.node_key = o.child_key
JOIN node parent ON parent.node_key = o.parent_key AND parent.environment_id = child.environment_id;

CREATE VIEW column_uses AS
SELECT child.environment_id, parent.unique_id AS parent_id, u.parent_column, child.unique_id AS child_id, u.clause
FROM column_use u
JOIN node child ON child.node_key = u.child_key
JOIN node parent ON parent.node_key = u.parent_key AND parent.environment_id = child.environment_id;

CREATE VIEW column_lineage_status AS
SELECT n.environment_id, n.unique_id, s.status, s.reason, s.column_count, s.resolved_columns, s.revision
FROM column_status s
JOIN node n ON n.node_key = s.node_key;

-- What syncs saw of runs, one row for each node of a run: its last attempt before its last success, and the newer sync before the older.
CREATE VIEW _seen_results AS
SELECT
    n.environment_id,
    n.unique_id,
    r.run_id,
    r.job_id,
    r.status,
    r.completed_at,
    r.execution_seconds,
    r.error,
    r.failures
FROM run_result r
JOIN node n ON n.node_key = r.node_key
WHERE r.run_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM run_result b
    WHERE b.run_id = r.run_id AND b.node_key = r.node_key
    AND (b.is_attempt > r.is_attempt OR b.is_attempt = r.is_attempt AND b.sync_id > r.sync_id))
AND (r.is_attempt OR NOT EXISTS (SELECT 1 FROM told_result t WHERE t.node_key = r.node_key AND t.run_id = r.run_id));

-- What files tell of runs beside that.
CREATE VIEW _told_beside AS
SELECT
    n.environment_id,
    n.unique_id,
    t.run_id,
    t.status,
    t.completed_at,
    t.execution_seconds,
    t.error,
    t.failures
FROM told_result t
JOIN node n ON n.node_key = t.node_key
WHERE NOT EXISTS (
    SELECT 1 FROM run_result r WHERE r.run_id = t.run_id AND r.node_key = t.node_key AND r.is_attempt);

CREATE VIEW run_results AS
SELECT environment_id, unique_id, run_id, job_id, status, completed_at, execution_seconds, error, failures
FROM _seen_results
UNION ALL
SELECT environment_id, unique_id, run_id, NULL AS job_id, status, completed_at, execution_seconds, error, failures
FROM _told_beside;

-- The figures of each run, from the rows of `run_results`. Each part is grouped by itself, since no condition from outside
-- gets through a group to the parts of that view: so one run is a look-up.
CREATE VIEW _run_figures AS
SELECT
    s.environment_id,
    s.run_id,
    s.job_id,
    s.node_count + (
        SELECT count(*) FROM _told_beside t
        WHERE t.environment_id = s.environment_id AND t.run_id = s.run_id) AS node_count,
    s.failed_count + (
        SELECT count(*) FROM _told_beside t
        WHERE t.environment_id = s.environment_id AND t.run_id = s.run_id AND t.status IN ('error', 'fail')) AS failed_count,
    nullif(max(coalesce(s.completed_at, ''), coalesce((
        SELECT max(t.completed_at) FROM _told_beside t
        WHERE t.environment_id = s.environment_id AND t.run_id = s.run_id), '')), '') AS completed_at
FROM (
    SELECT
        r.environment_id,
        r.run_id,
        max(r.job_id) AS job_id,
        count(*) AS node_count,
        count(*) FILTER (WHERE r.status IN ('error', 'fail')) AS failed_count,
        max(r.completed_at) AS completed_at
    FROM _seen_results r
    GROUP BY r.environment_id, r.run_id
) s
UNION ALL
SELECT
    t.environment_id,
    t.run_id,
    NULL,
    count(*),
    count(*) FILTER (WHERE t.status IN ('error', 'fail')),
    max(t.completed_at)
FROM _told_beside t
WHERE NOT EXISTS (
    SELECT 1 FROM run_result r JOIN node n ON n.node_key = r.node_key
    WHERE r.run_id = t.run_id AND n.environment_id = t.environment_id
    AND (r.is_attempt OR NOT EXISTS (SELECT 1 FROM told_result o WHERE o.node_key = r.node_key AND o.run_id = r.run_id)))
GROUP BY t.environment_id, t.run_id;

-- What neither files nor the platform's other interfaces tell of a run is NULL; so are the counts of one that no node names.
CREATE VIEW runs AS
SELECT
    f.environment_id,
    f.run_id,
    coalesce(f.job_id, i.job_id) AS job_id,
    f.node_count,
    f.failed_count,
    f.completed_at,
    coalesce(i.job_name, j.name) AS job_name,
    i.status,
    i.started_at,
    i.finished_at,
    i.duration_seconds,
    i.git_sha,
    i.cause
FROM _run_figures f
LEFT JOIN run i ON i.environment_id = f.environment_id AND i.run_id = f.run_id
LEFT JOIN job j ON j.environment_id = f.environment_id AND j.job_id = coalesce(f.job_id, i.job_id)
UNION ALL
SELECT
    i.environment_id,
    i.run_id,
    i.job_id,
    NULL,
    NULL,
    i.finished_at,
    coalesce(i.job_name, j.name),
    i.status,
    i.started_at,
    i.finished_at,
    i.duration_seconds,
    i.git_sha,
    i.cause
FROM run i
LEFT JOIN job j ON j.environment_id = i.environment_id AND j.job_id = i.job_id
WHERE NOT EXISTS (
    SELECT 1 FROM run_result r JOIN node n ON n.node_key = r.node_key
    WHERE r.run_id = i.run_id AND n.environment_id = i.environment_id)
AND NOT EXISTS (
    SELECT 1 FROM told_result t JOIN node n ON n.node_key = t.node_key
    WHERE t.run_id = i.run_id AND n.environment_id = i.environment_id);

CREATE VIEW jobs AS
SELECT
    environment_id,
    job_id,
    name,
    job_type,
    cron,
    is_scheduled,
    next_run_at,
    generates_docs,
    checks_freshness,
    last_run_id,
    last_run_status,
    last_run_at
FROM job;

CREATE VIEW metric_dimensions AS
SELECT n.environment_id, n.unique_id AS metric_id, d.name, d.type, d.granularities, d.entity_path
FROM metric_dimension d
JOIN node n ON n.node_key = d.node_key
WHERE n.removed_at IS NULL;

CREATE VIEW freshness_results AS
SELECT n.environment_id, n.unique_id, f.checked_at, f.max_loaded_at, f.status
FROM freshness_result f
JOIN node n ON n.node_key = f.node_key
WHERE f.checked_at IS NOT NULL AND f.sync_id = (
    SELECT max(sync_id) FROM freshness_result WHERE node_key = f.node_key AND checked_at = f.checked_at)
UNION ALL
SELECT n.environment_id, n.unique_id, t.checked_at, t.max_loaded_at, t.status
FROM told_check t
JOIN node n ON n.node_key = t.node_key
WHERE NOT EXISTS (SELECT 1 FROM freshness_result f WHERE f.node_key = t.node_key AND f.checked_at = t.checked_at);

CREATE VIEW syncs AS
SELECT
    sync_id,
    environment_id,
    trigger,
    mode,
    started_at,
    finished_at,
    outcome,
    requests,
    bytes,
    seen,
    added,
    changed,
    removed,
    warnings,
    error,
    approved_at,
    approved_by,
    approve_reason
FROM sync;

CREATE VIEW held_losses AS
SELECT h.sync_id, s.environment_id, h.unique_id, h.kind
FROM held_loss h
JOIN sync s ON s.sync_id = h.sync_id
WHERE NOT EXISTS (
    SELECT 1 FROM sync good WHERE good.environment_id = s.environment_id AND good.sync_id > s.sync_id
    AND good.outcome IN ('applied', 'unchanged'));

CREATE VIEW removed_nodes AS
SELECT environment_id, unique_id, resource_type, name, removed_at, removed_by AS sync_id
FROM node
WHERE removed_at IS NOT NULL;

CREATE VIEW catalog_info AS
SELECT catalog_id, contract_version, schema_version, lineaged_version, created_at, last_seq, oldest_seq, last_revision
FROM identity;

-- What `search` indexes: private. Each thing has a line of its own; lists and maps stay JSON, since FTS5 allows no json_each here.
CREATE VIEW _search_text AS
SELECT
    n.node_key,
    coalesce(n.name || line.feed, '') || coalesce(nullif(n.identifier, n.name), '') AS name,
    (SELECT group_concat(c.name, line.feed) FROM node_column c WHERE c.node_key = n.node_key) AS columns,
    n.description,
    (SELECT group_concat(c.name || ': ' || replace(
            coalesce(c.description || coalesce(' ' || nullif(c.comment, c.description), ''), c.comment), line.feed, ' '),
        line.feed)
     FROM node_column c WHERE c.node_key = n.node_key) AS column_descriptions,
    coalesce(n.tags, '') || coalesce((
        SELECT line.feed || group_concat(c.tags, line.feed) FROM node_column c
        WHERE c.node_key = n.node_key AND c.tags <> '[]'), '') AS tags,
    replace(coalesce(n.meta, '') || coalesce((
        SELECT line.feed || group_concat(c.name || ': ' || c.meta, line.feed) FROM node_column c
        WHERE c.node_key = n.node_key AND c.meta <> '{}'), ''), '\n', ' ') AS meta,
    coalesce(n.owner_name || line.feed, '') || coalesce(n.owner_email || line.feed, '')
        || coalesce(n.group_name, '') AS owner,
    n.unique_id || coalesce(line.feed || n.file_path, '') || coalesce(line.feed || n.relation_name, '') AS path,
    (SELECT group_concat(coalesce(d.entity_path || '__', '') || d.name, line.feed) FROM metric_dimension d
     WHERE d.node_key = n.node_key) AS dimensions
FROM node n, (SELECT '
' AS feed) line
WHERE n.removed_at IS NULL;

-- The whole schema of a fresh catalog: tables first, then views. Tables are private and migrate (src/catalog/migrations.rs);
-- views are public, described in README, and are made anew by the writer when their text here differs.

CREATE TABLE identity (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    catalog_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    lineaged_version TEXT NOT NULL
) STRICT;

-- What views need of the configuration, as JSON.
CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE environment (
    environment_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    project_name TEXT,
    adapter_type TEXT
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
    applied_at TEXT,
    definition_at TEXT,
    git_sha TEXT
) STRICT;
CREATE INDEX sync_by_environment ON sync (environment_id, outcome, sync_id);

-- What a held sync would have removed.
CREATE TABLE held_removal (
    sync_id INTEGER NOT NULL REFERENCES sync,
    unique_id TEXT NOT NULL,
    PRIMARY KEY (sync_id, unique_id)
) STRICT, WITHOUT ROWID;

-- Raw code by content, for as long as a node or a change refers to it.
CREATE TABLE raw_code (
    sha256 TEXT PRIMARY KEY,
    code TEXT NOT NULL
) STRICT;

-- A removed node keeps its row, with `removed_at`, and so its identity and history.
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
    raw_code_sha256 TEXT REFERENCES raw_code,
    raw_code_lines INTEGER,
    last_run_status TEXT,
    attempt_status TEXT,
    last_run_at TEXT,
    last_run_error TEXT,
    last_run_id INTEGER,
    last_job_id INTEGER,
    last_run_failures INTEGER,
    executed_at TEXT,
    execution_seconds REAL,
    success_run_id INTEGER,
    checked_status TEXT,
    checked_at TEXT,
    max_loaded_at TEXT,
    first_seen_at TEXT NOT NULL,
    last_changed_at TEXT NOT NULL,
    removed_at TEXT,
    removed_by INTEGER REFERENCES sync,
    UNIQUE (environment_id, unique_id)
) STRICT;

CREATE TABLE edge (
    parent_key INTEGER NOT NULL REFERENCES node,
    child_key INTEGER NOT NULL REFERENCES node,
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
    PRIMARY KEY (node_key, name)
) STRICT, WITHOUT ROWID;

-- Compiled code only as last seen.
CREATE TABLE compiled_code (
    node_key INTEGER PRIMARY KEY REFERENCES node,
    sha256 TEXT NOT NULL,
    lines INTEGER NOT NULL,
    code TEXT NOT NULL
) STRICT;

-- The history: AUTOINCREMENT, so that a seq is never used twice.
CREATE TABLE change (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sync_id INTEGER NOT NULL REFERENCES sync,
    node_key INTEGER NOT NULL REFERENCES node,
    resource_type TEXT NOT NULL,
    kind TEXT NOT NULL,
    field TEXT,
    related TEXT,
    before TEXT,
    after TEXT
) STRICT;
CREATE INDEX change_by_node ON change (node_key, seq);
CREATE INDEX change_by_sync ON change (sync_id, seq);

CREATE TABLE run_result (
    node_key INTEGER NOT NULL REFERENCES node,
    run_id INTEGER NOT NULL,
    job_id INTEGER,
    status TEXT,
    completed_at TEXT,
    execution_seconds REAL,
    error TEXT,
    failures INTEGER,
    PRIMARY KEY (node_key, run_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_result_by_run ON run_result (run_id);

CREATE TABLE freshness_result (
    node_key INTEGER NOT NULL REFERENCES node,
    checked_at TEXT NOT NULL,
    max_loaded_at TEXT,
    status TEXT,
    PRIMARY KEY (node_key, checked_at)
) STRICT, WITHOUT ROWID;

-- Every connected pair, tests and groups left out: kept by the sync, so that lineage is a look-up.
CREATE TABLE reach (
    descendant_key INTEGER NOT NULL REFERENCES node,
    ancestor_key INTEGER NOT NULL REFERENCES node,
    depth INTEGER NOT NULL,
    PRIMARY KEY (descendant_key, ancestor_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX reach_by_ancestor ON reach (ancestor_key, descendant_key, depth);

CREATE INDEX test_by_tested ON node (environment_id, json_extract(properties, '$.attached_node'))
WHERE resource_type IN ('test', 'unit_test');

-- How much was documented and tested, by group, whenever a group's figures changed.
CREATE TABLE coverage_count (
    sync_id INTEGER NOT NULL REFERENCES sync,
    resource_type TEXT NOT NULL,
    package_name TEXT,
    owner_name TEXT,
    nodes INTEGER NOT NULL,
    documented INTEGER NOT NULL,
    columns INTEGER,
    documented_columns INTEGER,
    tested_columns INTEGER,
    placeholders INTEGER
) STRICT;
CREATE INDEX coverage_count_by_sync ON coverage_count (sync_id);

-- What the platform said of the environment's state when a read ended well or was held.
CREATE TABLE probe (
    sync_id INTEGER PRIMARY KEY REFERENCES sync,
    stamps TEXT NOT NULL
) STRICT;

-- How far history was pruned: everything up to this moment is known only by its result.
CREATE TABLE horizon (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    pruned_at TEXT NOT NULL
) STRICT;

-- The words of all nodes that are there, for `lineaged search`. It keeps no text: that is read from the view `search_text`.
CREATE VIRTUAL TABLE search USING fts5 (
    name, columns, description, column_descriptions, tags, meta, owner, path,
    content = 'search_text', content_rowid = 'node_key', tokenize = 'unicode61'
);

-- Views: the contract. They need no extension and no function that SQLite 3.40 lacks.

CREATE VIEW environments AS
SELECT
    e.environment_id,
    e.name,
    e.project_name,
    e.adapter_type,
    good.applied_at,
    good.definition_at,
    good.git_sha,
    last.sync_id AS last_sync_id,
    good.finished_at AS last_synced_at,
    last.outcome AS last_outcome,
    (SELECT count(*) FROM node n
     WHERE n.environment_id = e.environment_id AND n.removed_at IS NULL AND n.resource_type <> 'external') AS nodes,
    (SELECT count(*) FROM edge JOIN node n ON n.node_key = edge.child_key
     WHERE n.environment_id = e.environment_id) AS edges
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

CREATE VIEW edges AS
SELECT child.environment_id, parent.unique_id AS parent_id, child.unique_id AS child_id
FROM edge
JOIN node child ON child.node_key = edge.child_key
JOIN node parent ON parent.node_key = edge.parent_key;

CREATE VIEW lineage AS
SELECT d.environment_id, a.unique_id AS ancestor_id, d.unique_id AS descendant_id, r.depth
FROM reach r
JOIN node d ON d.node_key = r.descendant_key
JOIN node a ON a.node_key = r.ancestor_key;

CREATE VIEW columns AS
SELECT n.environment_id, n.unique_id, c.name, c.position, c.data_type, c.description, c.comment, c.tags, c.meta
FROM node_column c
JOIN node n ON n.node_key = c.node_key;

CREATE VIEW tests AS
SELECT
    environment_id,
    unique_id,
    json_extract(properties, '$.attached_node') AS tested_id,
    json_extract(properties, '$.column_name') AS column_name,
    coalesce(json_extract(properties, '$.test_metadata.name'), name) AS test_name,
    json_extract(properties, '$.test_type') AS test_type,
    last_run_status AS status,
    last_run_failures AS failures,
    last_run_error AS message,
    last_run_at
FROM node
WHERE removed_at IS NULL AND resource_type IN ('test', 'unit_test');

-- What the last check said of each source, and what the clock says since. The worse, the higher the rank.
CREATE VIEW source_now AS
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
                WHEN 'minute' THEN 60 WHEN 'hour' THEN 3600 WHEN 'day' THEN 86400 END AS warn_after_seconds,
        json_extract(properties, '$.freshness.error_after.count')
            * CASE json_extract(properties, '$.freshness.error_after.period')
                WHEN 'minute' THEN 60 WHEN 'hour' THEN 3600 WHEN 'day' THEN 86400 END AS error_after_seconds,
        (julianday('now') - julianday(max_loaded_at)) * 86400.0 AS age_seconds
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

CREATE VIEW freshness AS
SELECT
    environment_id,
    unique_id,
    'source' AS resource_type,
    max_loaded_at,
    checked_at,
    checked_status,
    status,
    age_seconds,
    warn_after_seconds,
    error_after_seconds,
    NULL AS worst_upstream_id,
    NULL AS oldest_upstream_id,
    NULL AS oldest_upstream_loaded_at,
    NULL AS last_built_at,
    NULL AS needs_run
FROM source_now
UNION ALL
SELECT
    n.environment_id,
    n.unique_id,
    n.resource_type,
    NULL,
    NULL,
    NULL,
    worst.status,
    NULL,
    NULL,
    NULL,
    worst.unique_id,
    oldest.unique_id,
    oldest.max_loaded_at,
    CASE WHEN n.resource_type IN ('model', 'seed', 'snapshot') THEN n.executed_at END,
    CASE WHEN n.resource_type IN ('model', 'snapshot') AND n.executed_at IS NOT NULL THEN EXISTS (
        SELECT 1 FROM edge e JOIN node p ON p.node_key = e.parent_key
        WHERE e.child_key = n.node_key
        AND (p.resource_type = 'source' AND p.max_loaded_at > n.executed_at
            OR p.resource_type IN ('model', 'seed', 'snapshot') AND p.executed_at > n.executed_at)) END
FROM node n
JOIN source_now worst ON worst.node_key = (
    SELECT s.node_key FROM reach r JOIN source_now s ON s.node_key = r.ancestor_key
    WHERE r.descendant_key = n.node_key ORDER BY s.rank DESC, s.unique_id LIMIT 1)
LEFT JOIN node oldest ON oldest.node_key = (
    SELECT s.node_key FROM reach r JOIN node s ON s.node_key = r.ancestor_key
    WHERE r.descendant_key = n.node_key AND s.resource_type = 'source' AND s.max_loaded_at IS NOT NULL
    ORDER BY s.max_loaded_at, s.unique_id LIMIT 1)
WHERE n.removed_at IS NULL AND n.resource_type <> 'source';

-- Whether a model, source or exposure is well, by the rules of the dbt platform's catalog. Severity: 1 unknown for what stands on it,
-- 2 caution, 3 degraded, 4 unknown itself. An ephemeral model is never built, so only its tests, description and sources count. The
-- verdict on a source is that of its last check, not the clock's: that is in `freshness`. What the last run skipped is not well,
-- and its root is the nearest ancestor that failed. Grouping by the node's identity lets a condition on it reach the index, and each
-- list of reasons be made once.
CREATE VIEW health AS
WITH limits AS (
    SELECT coalesce((SELECT CAST(value AS INTEGER) FROM setting WHERE name = 'stale_after_days'), 30) AS days
)
SELECT
    environment_id,
    unique_id,
    resource_type,
    CASE found ->> '$.severity'
        WHEN 0 THEN 'healthy' WHEN 2 THEN 'caution' WHEN 3 THEN 'degraded' ELSE 'unknown' END AS status,
    found -> '$.reasons' AS reasons
FROM (
    SELECT n.environment_id, n.unique_id, n.resource_type, (
        SELECT json_object(
            'severity', coalesce(max(severity), 0),
            'reasons', json_group_array(json_object('code', code, 'sentence', sentence, 'root_id', root_id)))
        FROM (
            SELECT 4 AS severity, 'never_built' AS code, 'no run has built it yet' AS sentence, NULL AS root_id
            WHERE n.resource_type = 'model' AND n.materialization IS NOT 'ephemeral'
            AND n.last_run_status IS NULL AND n.executed_at IS NULL
            UNION ALL
            SELECT 3, 'build_failed', 'the last build failed'
                || coalesce(': ' || substr(trim(replace(n.last_run_error, char(10), ' ')), 1, 200), ''), NULL
            WHERE n.resource_type = 'model' AND n.last_run_status IN ('error', 'fail')
            UNION ALL
            SELECT 2, 'not_built_recently',
                'it was last built ' || CAST(julianday('now') - julianday(n.executed_at) AS INTEGER) || ' days ago; '
                || days || ' are allowed', NULL
            FROM limits
            WHERE n.resource_type = 'model' AND julianday('now') - julianday(n.executed_at) > days
            UNION ALL
            SELECT 2, CASE WHEN failed.unique_id IS NULL THEN 'upstream_model_skipped' ELSE 'upstream_model_failed' END,
                'the last run skipped it' || coalesce(', since `' || failed.name || '` failed', ''), failed.unique_id
            FROM (SELECT 1) LEFT JOIN node failed ON failed.node_key = (
                SELECT a.node_key FROM reach r JOIN node a ON a.node_key = r.ancestor_key
                WHERE r.descendant_key = n.node_key AND a.resource_type IN ('model', 'seed', 'snapshot')
                AND a.last_run_status IN ('error', 'fail') ORDER BY r.depth, a.unique_id LIMIT 1)
            WHERE n.resource_type = 'model' AND n.last_run_status = 'skipped'
            UNION ALL
            SELECT CASE t.last_run_status WHEN 'warn' THEN 2 ELSE 3 END,
                CASE t.last_run_status WHEN 'warn' THEN 'test_warned' ELSE 'test_failed' END,
                'the test `' || t.name || '` '
                || CASE t.last_run_status WHEN 'warn' THEN 'warned' WHEN 'fail' THEN 'failed' ELSE 'could not run' END
                || coalesce(' with ' || t.last_run_failures || CASE t.last_run_failures WHEN 1 THEN ' row' ELSE ' rows' END, ''),
                t.unique_id
            FROM node t
            WHERE n.resource_type = 'model' AND t.environment_id = n.environment_id
            AND t.resource_type IN ('test', 'unit_test') AND t.removed_at IS NULL
            AND json_extract(t.properties, '$.attached_node') = +n.unique_id
            AND t.last_run_status IN ('warn', 'fail', 'error')
            UNION ALL
            SELECT 2, 'no_tests', 'it has no tests', NULL
            WHERE n.resource_type = 'model' AND NOT EXISTS (
                SELECT 1 FROM node t WHERE t.environment_id = n.environment_id
                AND t.resource_type IN ('test', 'unit_test') AND t.removed_at IS NULL
                AND json_extract(t.properties, '$.attached_node') = +n.unique_id)
            UNION ALL
            SELECT 2, 'no_description', 'it has no description', NULL
            WHERE n.resource_type IN ('model', 'source') AND n.description IS NULL
            UNION ALL
            SELECT CASE WHEN code = 'source_error' THEN 3 WHEN n.resource_type = 'source' OR code = 'source_warn' THEN 2 ELSE 3 END,
                code, CASE WHEN n.resource_type = 'source' THEN '' ELSE 'source `' || name || '`: ' END || sentence,
                CASE WHEN n.resource_type = 'source' THEN NULL ELSE unique_id END
            FROM (
                SELECT s.unique_id, a.name,
                    CASE
                        WHEN s.status = 'no_criteria' THEN 'source_no_criteria'
                        WHEN s.checked_status = 'error' THEN 'source_error'
                        WHEN s.checked_at IS NULL OR julianday('now') - julianday(s.checked_at) > days THEN 'source_not_checked'
                        WHEN s.checked_status = 'warn' THEN 'source_warn'
                        WHEN s.checked_status IS NOT 'pass' THEN 'source_not_checked'
                    END AS code,
                    CASE
                        WHEN s.status = 'no_criteria' THEN 'no freshness check is configured'
                        WHEN s.checked_status = 'error' THEN 'its freshness check of ' || substr(s.checked_at, 1, 10) || ' says error'
                        WHEN s.checked_at IS NULL THEN 'its freshness was never checked'
                        WHEN julianday('now') - julianday(s.checked_at) > days THEN
                            'its freshness was last checked ' || CAST(julianday('now') - julianday(s.checked_at) AS INTEGER)
                            || ' days ago; ' || days || ' are allowed'
                        WHEN s.checked_status = 'warn' THEN 'its freshness check of ' || substr(s.checked_at, 1, 10) || ' says warn'
                        ELSE 'its last freshness check gave no verdict'
                    END AS sentence
                FROM (
                    SELECT n.node_key AS node_key WHERE n.resource_type = 'source'
                    UNION ALL
                    SELECT r.ancestor_key FROM reach r WHERE r.descendant_key = n.node_key AND n.resource_type <> 'source'
                ) around
                CROSS JOIN node a ON a.node_key = around.node_key AND a.resource_type = 'source'
                CROSS JOIN source_now s ON s.node_key = a.node_key
                CROSS JOIN limits
            )
            WHERE code IN ('source_error', 'source_warn') OR n.resource_type = 'source' AND code IS NOT NULL
                OR n.resource_type = 'model' AND code = 'source_not_checked'
            UNION ALL
            SELECT CASE WHEN a.last_run_status IN ('error', 'fail') THEN 3 WHEN a.last_run_status = 'skipped' THEN 2 ELSE 1 END,
                CASE
                    WHEN a.last_run_status IN ('error', 'fail') THEN 'upstream_model_failed'
                    WHEN a.last_run_status = 'skipped' THEN 'upstream_model_skipped'
                    ELSE 'never_built'
                END,
                '`' || a.name || '`: ' || CASE
                    WHEN a.last_run_status IN ('error', 'fail') THEN 'the last build failed'
                    WHEN a.last_run_status = 'skipped' THEN 'the last run skipped it'
                    ELSE 'no run has built it yet'
                END,
                CASE WHEN a.last_run_status = 'skipped' THEN coalesce((
                    SELECT f.unique_id FROM reach up JOIN node f ON f.node_key = up.ancestor_key
                    WHERE up.descendant_key = a.node_key AND f.resource_type IN ('model', 'seed', 'snapshot')
                    AND f.last_run_status IN ('error', 'fail') ORDER BY up.depth, f.unique_id LIMIT 1), a.unique_id)
                ELSE a.unique_id END
            FROM reach r CROSS JOIN node a ON a.node_key = r.ancestor_key
            WHERE n.resource_type = 'exposure' AND r.descendant_key = n.node_key
            AND a.resource_type IN ('model', 'seed', 'snapshot') AND (
                a.last_run_status IN ('error', 'fail', 'skipped')
                OR a.resource_type = 'model' AND a.materialization IS NOT 'ephemeral'
                AND a.last_run_status IS NULL AND a.executed_at IS NULL)
            UNION ALL
            SELECT CASE t.last_run_status WHEN 'warn' THEN 2 ELSE 3 END,
                CASE t.last_run_status WHEN 'warn' THEN 'upstream_test_warned' ELSE 'upstream_test_failed' END,
                '`' || a.name || '`: the test `' || t.name || '` '
                || CASE t.last_run_status WHEN 'warn' THEN 'warned' WHEN 'fail' THEN 'failed' ELSE 'could not run' END,
                t.unique_id
            FROM reach r
            CROSS JOIN node a ON a.node_key = r.ancestor_key
            CROSS JOIN node t ON t.environment_id = a.environment_id AND t.resource_type IN ('test', 'unit_test')
                AND json_extract(t.properties, '$.attached_node') = +a.unique_id
            WHERE n.resource_type = 'exposure' AND r.descendant_key = n.node_key
            AND t.removed_at IS NULL AND t.last_run_status IN ('warn', 'fail', 'error')
            ORDER BY 1 DESC, 2, 4
        )) AS found
    FROM node n
    WHERE n.removed_at IS NULL AND n.resource_type IN ('model', 'source', 'exposure')
    GROUP BY n.environment_id, n.unique_id
);

-- The `+` takes the column's type away from it: else the index `test_by_tested`, whose expression has none, could not be used.
CREATE VIEW coverage AS
SELECT
    n.environment_id,
    n.unique_id,
    n.resource_type,
    n.package_name,
    n.package_name = e.project_name AS is_own_package,
    n.owner_name,
    n.group_name,
    n.layer,
    n.description IS NOT NULL AS is_documented,
    n.description IS NOT NULL AND (
        lower(trim(n.description)) IS lower(trim(n.name))
        OR lower(trim(n.description)) IN (
            SELECT lower(trim(p.value)) FROM setting s JOIN json_each(s.value) p WHERE s.name = 'placeholders')
    ) AS is_placeholder,
    nullif((SELECT count(*) FROM node_column c WHERE c.node_key = n.node_key), 0) AS columns,
    CASE WHEN EXISTS (SELECT 1 FROM node_column c WHERE c.node_key = n.node_key) THEN
        (SELECT count(*) FROM node_column c WHERE c.node_key = n.node_key AND c.description IS NOT NULL)
    END AS documented_columns,
    CASE WHEN EXISTS (SELECT 1 FROM node_column c WHERE c.node_key = n.node_key) THEN
        (SELECT count(*) FROM node_column c WHERE c.node_key = n.node_key AND lower(c.name) IN (
            SELECT lower(json_extract(t.properties, '$.column_name')) FROM node t
            WHERE t.environment_id = n.environment_id AND t.resource_type IN ('test', 'unit_test')
            AND json_extract(t.properties, '$.attached_node') = +n.unique_id AND t.removed_at IS NULL))
    END AS tested_columns,
    (SELECT count(*) FROM node t
     WHERE t.environment_id = n.environment_id AND t.resource_type IN ('test', 'unit_test')
     AND json_extract(t.properties, '$.attached_node') = +n.unique_id AND t.removed_at IS NULL) AS tests
FROM node n
JOIN environment e ON e.environment_id = n.environment_id
WHERE n.removed_at IS NULL AND n.resource_type IN (
    'model', 'seed', 'snapshot', 'source', 'exposure', 'metric', 'semantic_model', 'saved_query');

CREATE VIEW coverage_history AS
SELECT
    s.environment_id,
    c.sync_id,
    s.finished_at AS changed_at,
    c.resource_type,
    c.package_name,
    c.owner_name,
    c.nodes,
    c.documented,
    c.columns,
    c.documented_columns,
    c.tested_columns
FROM coverage_count c
JOIN sync s ON s.sync_id = c.sync_id;

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
    c.related,
    c.before,
    c.after
FROM change c
JOIN sync s ON s.sync_id = c.sync_id
JOIN node n ON n.node_key = c.node_key;

CREATE VIEW run_results AS
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
JOIN node n ON n.node_key = r.node_key;

CREATE VIEW runs AS
SELECT
    n.environment_id,
    r.run_id,
    max(r.job_id) AS job_id,
    count(*) AS nodes,
    count(*) FILTER (WHERE r.status IN ('error', 'fail')) AS failed,
    max(r.completed_at) AS completed_at
FROM run_result r
JOIN node n ON n.node_key = r.node_key
GROUP BY n.environment_id, r.run_id;

CREATE VIEW freshness_results AS
SELECT n.environment_id, n.unique_id, f.checked_at, f.max_loaded_at, f.status
FROM freshness_result f
JOIN node n ON n.node_key = f.node_key;

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
    error
FROM sync;

CREATE VIEW removed_nodes AS
SELECT environment_id, unique_id, resource_type, name, removed_at, removed_by AS sync_id
FROM node
WHERE removed_at IS NOT NULL;

CREATE VIEW catalog_info AS
WITH feed AS (
    SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'change'), 0) AS last_seq
)
SELECT
    i.catalog_id,
    1 AS contract_version,
    i.schema_version,
    i.lineaged_version,
    i.created_at,
    feed.last_seq,
    coalesce((SELECT min(seq) FROM change), feed.last_seq + 1) AS oldest_seq
FROM identity i, feed;

-- What `search` indexes: private. Each thing has a line of its own; lists and maps stay JSON, since FTS5 allows no json_each here.
CREATE VIEW search_text AS
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
    n.unique_id || coalesce(line.feed || n.file_path, '') || coalesce(line.feed || n.relation_name, '') AS path
FROM node n, (SELECT '
' AS feed) line
WHERE n.removed_at IS NULL;

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

-- `placeholders`: unknown in the rows of before. Made anew, since a column that is added changes the table's text.
CREATE TEMP TABLE kept_count AS SELECT *, NULL AS placeholders FROM coverage_count;
DROP TABLE coverage_count;
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
INSERT INTO coverage_count SELECT * FROM kept_count;
DROP TABLE kept_count;
CREATE INDEX coverage_count_by_sync ON coverage_count (sync_id);

-- What health begins with: the few nodes that did not do well, and the sources.
CREATE INDEX node_in_trouble ON node (last_run_status)
WHERE last_run_status IN ('error', 'fail', 'warn', 'skipped') AND removed_at IS NULL;
CREATE INDEX node_is_source ON node (environment_id, unique_id) WHERE resource_type = 'source' AND removed_at IS NULL;

-- Columns, since SQLite finds no index by an expression on the right of a LEFT JOIN, and DuckDB no type.
ALTER TABLE node ADD COLUMN tested_id TEXT;
ALTER TABLE node ADD COLUMN column_name TEXT;
ALTER TABLE node ADD COLUMN tested_column TEXT;
ALTER TABLE node ADD COLUMN test_name TEXT;
ALTER TABLE node ADD COLUMN test_type TEXT;
DROP INDEX test_by_tested;
CREATE INDEX test_by_tested ON node (environment_id, tested_id)
WHERE resource_type IN ('test', 'unit_test');

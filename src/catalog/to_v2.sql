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
    tested_columns INTEGER
) STRICT;
CREATE INDEX coverage_count_by_sync ON coverage_count (sync_id);

-- What the platform said of the environment's state when a read ended well or was held.
CREATE TABLE probe (
    sync_id INTEGER PRIMARY KEY REFERENCES sync,
    stamps TEXT NOT NULL
) STRICT;

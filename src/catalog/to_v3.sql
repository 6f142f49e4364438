-- How far history was pruned: everything up to this moment is known only by its result.
CREATE TABLE horizon (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    pruned_at TEXT NOT NULL
) STRICT;

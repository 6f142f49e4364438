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

//! The change feed as a whole: from where to where it goes, and the code that it needs.

use rusqlite::Connection;

/// Notes from where to where the change feed goes; without a change it begins after its end.
pub(super) fn note_feed(connection: &Connection) -> rusqlite::Result<()> {
    let sql =
        "UPDATE identity SET last_seq = feed.last, oldest_seq = coalesce((SELECT min(seq) FROM change), feed.last + 1)
               FROM (SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'change'), 0) AS last) feed";
    connection.execute(sql, []).map(drop)
}

/// Code that neither a node nor a change refers to.
pub(super) const UNUSED_CODE: &str = "
    DELETE FROM raw_code
    WHERE sha256 NOT IN (SELECT raw_code_sha256 FROM node WHERE raw_code_sha256 IS NOT NULL)
    AND sha256 NOT IN (
        SELECT code FROM (
            SELECT before ->> '$.sha256' AS code FROM change WHERE field = 'raw_code'
            UNION ALL SELECT after ->> '$.sha256' FROM change WHERE field = 'raw_code'
            UNION ALL SELECT coalesce(after, before) ->> '$.raw_code.sha256' FROM change
                WHERE kind IN ('added', 'removed', 'restored'))
        WHERE code IS NOT NULL)";

//! The catalog as it was.

use std::path::Path;

use rusqlite::Connection;

use super::{Error, open_to_read};
use crate::inventory::Timestamp;

/// Opens the catalog as it was.
pub fn open_as_of(path: &Path, _time: Timestamp) -> Result<Connection, Error> {
    open_to_read(path)
}

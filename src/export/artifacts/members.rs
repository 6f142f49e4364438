//! A JSON map that is written member by member, so that a file never stands in memory.

use std::io::{self, Write};

use serde_json::Value;

use crate::export::Error;
use crate::output::write_value;

/// A map under way.
pub(super) struct Members<'w> {
    out: &'w mut dyn Write,
    is_empty: bool,
}

impl<'w> Members<'w> {
    pub(super) fn begin(out: &'w mut dyn Write) -> io::Result<Self> {
        out.write_all(b"{")?;
        Ok(Self { out, is_empty: true })
    }

    fn key(&mut self, key: &str) -> io::Result<()> {
        self.out.write_all(if std::mem::take(&mut self.is_empty) { b"\n" } else { b",\n" })?;
        write_value(key, self.out)?;
        self.out.write_all(b": ")
    }

    pub(super) fn add(&mut self, key: &str, value: &Value) -> io::Result<()> {
        self.key(key)?;
        write_value(value, self.out)
    }

    /// Adds a map that is written in the same way.
    pub(super) fn nest<T>(
        &mut self,
        key: &str,
        fill: impl FnOnce(&mut Members<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.key(key)?;
        let mut nested = Members::begin(self.out)?;
        let filled = fill(&mut nested)?;
        nested.out.write_all(b"}")?;
        Ok(filled)
    }

    /// Adds a list of the values that `fill` gives one by one.
    pub(super) fn list(
        &mut self,
        key: &str,
        fill: impl FnOnce(&mut dyn FnMut(&Value) -> Result<(), Error>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.key(key)?;
        let mut separator = "[\n";
        let out = &mut *self.out;
        fill(&mut |value| {
            out.write_all(std::mem::replace(&mut separator, ",\n").as_bytes())?;
            Ok(write_value(value, out)?)
        })?;
        Ok(self.out.write_all(if separator == "[\n" { b"[]" } else { b"]" })?)
    }

    pub(super) fn end(self) -> io::Result<()> {
        self.out.write_all(b"\n}\n")
    }
}

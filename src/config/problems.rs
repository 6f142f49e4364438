//! What is wrong with a configuration, all of it at once.

use std::fmt;

/// One thing that is wrong, with the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, e.g. `discovery.page_size`; empty for the file as a whole.
    pub key: String,
    /// Where it was said: a file, a variable, or `not set`.
    pub source: String,
    /// What is wrong, and what to do. Never a secret.
    pub message: String,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "error: the configuration has a problem")?,
            count => write!(f, "error: the configuration has {count} problems")?,
        }
        for Problem { key, source, message } in &self.0 {
            match key.as_str() {
                "" => write!(f, "\n  {source}: {message}")?,
                key => write!(f, "\n  {key} ({source}): {message}")?,
            }
        }
        Ok(())
    }
}

impl Problems {
    pub(super) fn add(&mut self, key: &str, source: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { key: key.to_owned(), source: source.into(), message: message.into() });
    }
}

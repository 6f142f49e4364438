//! Where the log goes: standard error, as text on a terminal and as JSON otherwise. Text from outside is recorded as a field
//! (`name = value`), which escapes it. No line holds a secret.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use crate::redact::Redacted;

/// The variable that says how much is logged, e.g. `debug` or `lineaged=trace`.
pub(crate) const VARIABLE: &str = "LINEAGED_LOG";

/// Begins to log, at `default` unless [`VARIABLE`] says otherwise, on a terminal with colours or without.
///
/// # Errors
/// If the variable holds no valid filter, or if something in this process logs already.
pub(crate) fn init(default: &str, has_colours: bool) -> Result<(), String> {
    let text = std::env::var(VARIABLE).unwrap_or_else(|_| default.to_owned());
    let filter = EnvFilter::try_new(&text)
        .map_err(|error| format!("`{VARIABLE}` is no log filter ({error}): use error, warn, info, debug or trace"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Redacted::new(stderr()));
    let begun = if stderr().is_terminal() {
        log.with_ansi(has_colours).try_init()
    } else {
        log.json().with_ansi(false).try_init()
    };
    begun.map_err(|error| format!("can't begin to log: {error}"))
}

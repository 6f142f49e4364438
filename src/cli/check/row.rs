//! The list below an environment: one row for each interface, aligned.

use std::io::Write;

use crate::origin::platform::Error;
use crate::output::sanitize;

/// How it is with an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It answers to this token.
    Reached,
    /// It answers, and not to this token.
    Refused,
    /// It does not answer.
    Failed,
    /// The configuration does not want it.
    NotAsked,
    /// Its address, or its account, is not known.
    Unknown,
    /// A webhook tells this daemon of everything that it should.
    Active,
    /// A webhook tells it of less, or nobody listens.
    Incomplete,
    /// The platform no longer sends.
    SwitchedOff,
    /// There is no webhook.
    Missing,
}

impl State {
    /// How an interface failed.
    pub(super) fn of(error: &Error) -> Self {
        if matches!(error, Error::Refused { .. }) { Self::Refused } else { Self::Failed }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::NotAsked => "not asked",
            Self::Unknown => "unknown",
            Self::Active => "active",
            Self::Incomplete => "incomplete",
            Self::SwitchedOff => "switched off",
            Self::Missing => "none",
        }
    }
}

/// A line of the list, and what else there is to say below it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The interface, for people.
    pub(super) name: &'static str,
    /// `None` for a line that is about no interface.
    pub(super) state: Option<State>,
    /// Where it is, or what to do.
    pub(super) text: String,
    /// Further lines.
    pub(super) more: Vec<String>,
}

impl Row {
    /// A row of one line.
    pub(super) fn new(name: &'static str, state: State, text: impl Into<String>) -> Self {
        Self { name, state: Some(state), text: text.into(), more: Vec::new() }
    }

    /// The same with one more line.
    pub(super) fn and(mut self, line: impl Into<String>) -> Self {
        self.more.push(line.into());
        self
    }
}

/// Prints the list.
pub(super) fn write(rows: &[Row], out: &mut dyn Write) -> std::io::Result<()> {
    for Row { name, state, text, more } in rows {
        let state = state.map_or("", State::as_str);
        writeln!(out, "  {name:<16} {state:<14} {}", sanitize(text))?;
        for line in more {
            writeln!(out, "  {:<16} {:<14} {}", "", "", sanitize(line))?;
        }
    }
    Ok(())
}

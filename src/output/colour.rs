//! Whether states have colours for people, and which.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::sync::OnceLock;

use clap::builder::styling::{AnsiColor, Style};

/// Whether states have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Also where no terminal is.
    Always,
    /// Nowhere.
    Never,
}

/// What was chosen, for the whole process, as there is one standard output.
static IS_ON: OnceLock<bool> = OnceLock::new();

impl Colour {
    /// True if what is printed has colours, on a terminal or elsewhere.
    pub(crate) fn is_wanted(self, is_terminal: bool) -> bool {
        match self {
            Self::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            Self::Always => true,
            Self::Never => false,
        }
    }

    /// Lets standard output be so; only the first choice counts.
    pub(crate) fn choose(self) {
        IS_ON.get_or_init(|| self.is_wanted(std::io::stdout().is_terminal()));
    }
}

/// True if states have colours.
pub(super) fn is_on() -> bool {
    IS_ON.get().copied().unwrap_or_default()
}

/// A state for people, who may see at a glance how bad it is.
pub(crate) fn state(word: &str) -> Cow<'_, str> {
    painted(word, is_on())
}

/// The same, with colours or without. What is no word for a state stays as it is.
pub(super) fn painted(word: &str, is_on: bool) -> Cow<'_, str> {
    match style(word).filter(|_| is_on) {
        Some(style) => Cow::Owned(format!("{style}{word}{style:#}")),
        None => Cow::Borrowed(word),
    }
}

fn style(word: &str) -> Option<Style> {
    match word {
        "error" | "fail" | "failed" | "degraded" => Some(AnsiColor::Red.on_default()),
        "warn" | "caution" | "overdue" | "held" => Some(AnsiColor::Yellow.on_default()),
        "pass" | "success" | "healthy" => Some(AnsiColor::Green.on_default()),
        "skipped" | "unknown" => Some(Style::new().dimmed()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_states_have_colours_and_only_where_they_are_wanted() {
        assert_eq!(painted("error", true), "\u{1b}[31merror\u{1b}[0m");
        assert_eq!(painted("skipped", true), "\u{1b}[2mskipped\u{1b}[0m");
        assert_eq!((painted("error", false), painted("orders", true)), ("error".into(), "orders".into()));
    }
}

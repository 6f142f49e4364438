//! Expressions as text, as much of them as is kept.

use std::fmt::{self, Write};

use sqlparser::ast::Expr;

/// So many characters of an expression are kept.
const LONGEST: usize = 500;

struct Short {
    text: String,
    left: usize,
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(c);
        }
        Ok(())
    }
}

/// The text of an expression, cut where it is too long, which ends the writing.
pub(super) fn short(expression: &Expr) -> String {
    let mut short = Short { text: String::new(), left: LONGEST };
    if write!(short, "{expression}").is_err() {
        short.text.pop();
        short.text.push('…');
    }
    short.text
}

//! Names as the warehouse takes them.

use std::collections::HashMap;
use std::rc::Rc;

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Value};
use sqlparser::parser::Parser;

use super::dialect::Dialect;
use crate::inventory::fold;

/// A name: as the warehouse takes it, and without its case. Names are looked up without case first, since lists come from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) name: Rc<str>,
    pub(super) key: Rc<str>,
}

/// The names that were met, each once.
pub(super) struct Names {
    dialect: Dialect,
    plain: HashMap<String, Word>,
    quoted: HashMap<String, Word>,
}

impl Names {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, plain: HashMap::new(), quoted: HashMap::new() }
    }

    pub(super) fn text(&mut self, text: &str, is_quoted: bool) -> Word {
        let known = if is_quoted { &mut self.quoted } else { &mut self.plain };
        if let Some(word) = known.get(text) {
            return word.clone();
        }
        let name = self.dialect.fold(text, is_quoted);
        let word = exact(&name);
        known.insert(text.to_owned(), word.clone());
        word
    }

    pub(super) fn ident(&mut self, ident: &Ident) -> Word {
        self.text(&ident.value, ident.quote_style.is_some())
    }

    /// The parts of a relation's name. BigQuery puts all of them in one pair of quotes.
    pub(super) fn path(&mut self, name: &ObjectName) -> Vec<Word> {
        let mut path = Vec::with_capacity(name.0.len());
        for part in &name.0 {
            let ident = match part {
                ObjectNamePart::Identifier(ident) => ident,
                // `IDENTIFIER('…')`
                ObjectNamePart::Function(function) => {
                    let written = function.args.first().and_then(text_of).and_then(|text| self.written(text));
                    path.extend(written.unwrap_or_else(|| vec![exact(&part.to_string())]));
                    continue;
                }
            };
            if ident.quote_style == Some('`') && ident.value.contains('.') {
                path.extend(ident.value.split('.').map(|part| self.text(part, true)));
            } else {
                path.push(self.ident(ident));
            }
        }
        path
    }

    /// The parts of a relation's name that stands in a text.
    pub(super) fn written(&mut self, text: &str) -> Option<Vec<Word>> {
        let mut parser = Parser::new(self.dialect.parsing()).try_with_sql(text).ok()?;
        let name = parser.parse_object_name(false).ok()?;
        Some(self.path(&name))
    }
}

/// The text that an argument is.
pub(super) fn text_of(arg: &FunctionArg) -> Option<&str> {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) = arg else { return None };
    if let Value::SingleQuotedString(text) = &value.value { Some(text) } else { None }
}

/// A name that is spelled as the warehouse takes it.
pub(super) fn exact(name: &str) -> Word {
    let key = lower(name);
    let name: Rc<str> = name.into();
    let key = if *key == *name { Rc::clone(&name) } else { key.into() };
    Word { name, key }
}

/// A name without its case.
pub(super) fn lower(name: &str) -> String {
    if name.is_ascii() { name.to_ascii_lowercase() } else { fold(name) }
}

//! Items of a select list that stand for columns of which the code does not tell which they are.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArguments, Visit, Visitor};

use super::Resolver;
use super::dialect::Dialect;
use super::functions::name_of;
use super::scope::Scope;

enum Found {
    /// `COLUMNS(…)`
    Columns,
    /// DuckDB's `name: expression`, which the parser takes for a part of JSON.
    Colon,
}

struct Finder(Dialect);

impl Visitor for Finder {
    type Break = Found;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Found> {
        match expr {
            Expr::Function(function) if name_of(function) == "columns" => ControlFlow::Break(Found::Columns),
            Expr::JsonAccess { .. } if self.0 == Dialect::DuckDb => ControlFlow::Break(Found::Colon),
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Resolver<'_> {
    /// Whether an item stands for such columns, which is noted; and what it reads, where the parser understood it.
    pub(super) fn hides_columns<'a>(&mut self, item: &'a Expr, scope: &Scope<'_, 'a>) -> bool {
        let reason = match item {
            Expr::Function(function) if self.gives_several(function) => {
                format!("which columns `{}(…)` gives is not known", name_of(function))
            }
            _ if !matches!(self.dialect, Dialect::DuckDb | Dialect::ClickHouse) => return false,
            _ => match item.visit(&mut Finder(self.dialect)) {
                ControlFlow::Break(Found::Columns) => "which columns `COLUMNS(…)` stands for is not known".to_owned(),
                ControlFlow::Break(Found::Colon) => {
                    self.notes.reason("a name before a colon is not understood".to_owned());
                    return true;
                }
                ControlFlow::Continue(()) => return false,
            },
        };
        self.notes.reason(reason);
        self.sources(item, scope);
        true
    }

    fn gives_several(&self, function: &Function) -> bool {
        let name = name_of(function);
        let FunctionArguments::List(list) = &function.args else { return false };
        let is_named = list.args.iter().any(|arg| matches!(arg, FunctionArg::Named { .. }));
        self.is_generator(&name) || self.dialect == Dialect::DuckDb && name == "unnest" && is_named
    }

    /// Whether a function gives columns that depend on what it is given.
    pub(super) fn is_generator(&self, name: &str) -> bool {
        let names = ["inline", "inline_outer", "json_tuple", "posexplode", "posexplode_outer", "stack"];
        matches!(self.dialect, Dialect::Databricks | Dialect::Hive) && names.contains(&name)
    }
}

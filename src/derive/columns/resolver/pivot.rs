//! PIVOT and UNPIVOT.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::rc::Rc;

use sqlparser::ast::{Expr, ExprWithAlias, Ident, PivotValueSource, TableFactor, Value, Visit, Visitor};

use super::dialect::Dialect;
use super::names::{Word, exact};
use super::notes::{Sources, Step};
use super::scope::Scope;
use super::table::{Column, Rest, Table};
use super::{Clause, Resolver};

/// The last parts of all names in an expression.
#[derive(Default)]
struct Last(Vec<Ident>);

impl Visitor for Last {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.0.push(ident.clone()),
            Expr::CompoundIdentifier(idents) => self.0.extend(idents.last().cloned()),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Resolver<'_> {
    /// The aggregated columns and those of FOR are lineage of each new one; the others stay, and the rows are grouped by them.
    pub(super) fn pivot<'a>(&mut self, factor: &'a TableFactor, scope: &mut Scope<'_, 'a>) {
        let TableFactor::Pivot { table, aggregate_functions, value_column, value_source, alias, .. } = factor else {
            return;
        };
        let mut inner = Scope::below(scope.outer);
        self.factor(table, &mut inner, false);
        let read = aggregate_functions.iter().map(|it| &it.expr).chain(value_column);
        let (mut gone, mut all) = (BTreeSet::new(), Vec::new());
        for expression in read {
            all.push(self.sources(expression, &inner).0.raised(Step::Aggregation));
            gone.extend(self.names_in(expression));
        }
        let (mut columns, rest) = self.all_columns(&inner, None);
        drop(inner);
        columns.retain(|column| !gone.contains(&column.word.key));
        let stays = Sources::all(columns.iter().map(|column| &column.sources));
        self.notes.uses(Clause::Group, &stays);
        let every = Sources::all(all.iter());
        let of_for = Sources::all(all[aggregate_functions.len()..].iter());
        let mut is_known = false;
        if let PivotValueSource::List(values) = value_source {
            is_known = true;
            for value in values {
                for (aggregate, sources) in aggregate_functions.iter().zip(&all) {
                    let word = self.pivoted(value, aggregate, aggregate_functions.len() > 1);
                    columns.push(Column::new(word, Sources::all([sources, &of_for].into_iter())));
                }
            }
        }
        let rest = if is_known || rest.hides_columns() { rest } else { Rest::Pivoted(every) };
        self.push(Rc::new(Table::new(columns, rest)), Vec::new(), alias.as_ref(), scope);
    }

    /// The last parts of all names in an expression.
    pub(super) fn names_in(&mut self, expression: &Expr) -> Vec<Rc<str>> {
        let mut last = Last::default();
        let _ = expression.visit(&mut last);
        last.0.iter().map(|ident| self.names.ident(ident).key).collect()
    }

    /// The name of the column that holds one aggregate of one value.
    fn pivoted(&mut self, value: &ExprWithAlias, aggregate: &ExprWithAlias, are_several: bool) -> Word {
        let of_value = match (&value.alias, &value.expr) {
            (Some(alias), _) => self.names.ident(alias),
            (None, Expr::Identifier(ident)) => self.names.ident(ident),
            // Snowflake keeps the quotes of the text.
            (None, Expr::Value(text)) if self.dialect != Dialect::Snowflake => match &text.value {
                Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => exact(text),
                other => exact(&other.to_string()),
            },
            (None, other) => exact(&other.to_string()),
        };
        let of_aggregate = match &aggregate.alias {
            Some(alias) => self.names.ident(alias),
            None if are_several => self.names.text(&aggregate.expr.to_string(), false),
            None => return of_value,
        };
        match self.dialect {
            Dialect::BigQuery => exact(&format!("{}_{}", of_aggregate.name, of_value.name)),
            Dialect::Databricks if !are_several => of_value,
            _ => exact(&format!("{}_{}", of_value.name, of_aggregate.name)),
        }
    }

    /// The value comes from all columns that become rows, unchanged; their names come from nothing.
    pub(super) fn unpivot<'a>(&mut self, factor: &'a TableFactor, scope: &mut Scope<'_, 'a>) {
        let TableFactor::Unpivot { table, value, name, columns: rows, alias, .. } = factor else { return };
        let mut inner = Scope::below(scope.outer);
        self.factor(table, &mut inner, false);
        let values: Vec<&'a Expr> = parts(value);
        let mut all = vec![Vec::new(); values.len()];
        let mut gone = BTreeSet::new();
        for row in rows {
            gone.extend(self.names_in(&row.expr));
            for (place, part) in parts(&row.expr).into_iter().enumerate() {
                let sources = self.sources(part, &inner).0;
                if let Some(all) = all.get_mut(place) {
                    all.push(sources);
                }
            }
        }
        let (mut columns, rest) = self.all_columns(&inner, None);
        drop(inner);
        columns.retain(|column| !gone.contains(&column.word.key));
        let name = Column::new(self.names.ident(name), Sources::none());
        let mut new = Vec::new();
        for (value, sources) in values.into_iter().zip(&all) {
            if let Expr::Identifier(ident) = value {
                new.push(Column::new(self.names.ident(ident), Sources::all(sources.iter())));
            }
        }
        let place = if self.dialect == Dialect::BigQuery { new.len() } else { 0 };
        new.insert(place, name);
        columns.extend(new);
        self.push(Rc::new(Table::new(columns, rest)), Vec::new(), alias.as_ref(), scope);
    }
}

/// The parts of `(a, b)`; of anything else itself.
fn parts(expression: &Expr) -> Vec<&Expr> {
    match expression {
        Expr::Tuple(parts) => parts.iter().collect(),
        Expr::Nested(inner) => vec![inner],
        other => vec![other],
    }
}

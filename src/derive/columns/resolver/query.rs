//! Queries: those that have a name, those that are joined by UNION and its like, and the order of what they give.

use std::rc::Rc;

use sqlparser::ast::{
    Cte, Expr, LimitClause, OrderBy, OrderByExpr, OrderByKind, Query, SetExpr, SetOperator, SetQuantifier, Values, With,
};

use super::names::{Word, exact};
use super::notes::Sources;
use super::scope::{Item, Named, Scope};
use super::table::{Column, Rest, Table};
use super::{Clause, INLINED, Resolver};

/// The origins of a query that reads itself are taken so many times: each brings what is one step further away.
const MOST_ROUNDS: usize = 8;

/// What is said of the order of the rows.
#[derive(Clone, Copy)]
pub(super) struct Tail<'a> {
    pub(super) order: Option<&'a OrderBy>,
    /// ClickHouse's `LIMIT … BY`
    pub(super) by: &'a [Expr],
    pub(super) is_limited: bool,
}

impl Tail<'_> {
    pub(super) const NONE: Tail<'static> = Tail { order: None, by: &[], is_limited: false };

    pub(super) fn clause(&self) -> Clause {
        if self.is_limited { Clause::Order } else { Clause::Other }
    }
}

fn is_limited(query: &Query) -> bool {
    let limit = match &query.limit_clause {
        None => false,
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
            limit.is_some() || offset.is_some() || !limit_by.is_empty()
        }
        Some(LimitClause::OffsetCommaLimit { .. }) => true,
    };
    limit || query.fetch.is_some()
}

fn limit_by(query: &Query) -> &[Expr] {
    match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit_by, .. }) => limit_by,
        _ => &[],
    }
}

/// `ORDER BY ALL`, where the parser takes the word for a name.
fn is_all(orders: &[OrderByExpr]) -> bool {
    matches!(orders, [OrderByExpr { expr: Expr::Identifier(ident), .. }]
        if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("all"))
}

impl Resolver<'_> {
    /// What a query gives.
    pub(super) fn query<'a>(&mut self, query: &'a Query, outer: Option<&Scope<'_, 'a>>) -> Table<'a> {
        if !self.step(0) {
            return Table::unknown();
        }
        let mut scope = Scope::below(outer);
        if let Some(with) = &query.with {
            self.with(with, &mut scope);
        }
        let tail = Tail { order: query.order_by.as_ref(), by: limit_by(query), is_limited: is_limited(query) };
        let table = self.body(&query.body, &scope, tail);
        if !query.pipe_operators.is_empty() {
            self.notes.reason("what follows `|>` is not resolved".to_owned());
            return Table::unknown();
        }
        table
    }

    fn with<'a>(&mut self, with: &'a With, scope: &mut Scope<'_, 'a>) {
        for cte in &with.cte_tables {
            let word = self.names.ident(&cte.alias.name);
            let is_inlined = word.key.starts_with(INLINED);
            if let Some(relation) = self.relations.inlined(&word).filter(|_| is_inlined) {
                let table = self.relations.table(relation);
                scope.named.push(Named { word, table, part: None });
                continue;
            }
            let (part, before) = self.notes.enter(is_inlined);
            let table = self.cte(cte, &word, with.recursive, scope);
            self.notes.leave(before);
            scope.named.push(Named { word, table: Rc::new(table), part: Some(part) });
        }
    }

    fn cte<'a>(&mut self, cte: &'a Cte, word: &Word, is_recursive: bool, scope: &mut Scope<'_, 'a>) -> Table<'a> {
        let is_recursive = is_recursive || self.dialect.recurses_unasked();
        let mut table = match &*cte.query.body {
            SetExpr::SetOperation { left, right, set_quantifier, op: SetOperator::Union }
                if is_recursive && cte.query.with.is_none() =>
            {
                let first = self.body(left, scope, Tail::NONE);
                self.rounds(first, (right, *set_quantifier), (cte, word), scope)
            }
            _ => self.query(&cte.query, Some(scope)),
        };
        for (column, alias) in table.columns.iter_mut().zip(&cte.alias.columns) {
            column.word = self.names.ident(&alias.name);
        }
        Table::new(table.columns, table.rest)
    }

    /// Takes what the recursive branch gives until it brings nothing new.
    fn rounds<'a>(
        &mut self,
        first: Table<'a>,
        (right, quantifier): (&'a SetExpr, SetQuantifier),
        (cte, word): (&'a Cte, &Word),
        scope: &mut Scope<'_, 'a>,
    ) -> Table<'a> {
        let mut table = first;
        for _ in 0..MOST_ROUNDS {
            let mut columns = table.columns.clone();
            for (column, alias) in columns.iter_mut().zip(&cte.alias.columns) {
                column.word = self.names.ident(&alias.name);
            }
            let so_far = Rc::new(Table::new(columns, table.rest.clone()));
            scope.named.push(Named { word: word.clone(), table: so_far, part: None });
            let next = self.body(right, scope, Tail::NONE);
            scope.named.pop();
            let count = |table: &Table<'_>| table.columns.iter().map(|column| column.sources.len()).sum::<usize>();
            let before = count(&table);
            table = self.union(table, next, quantifier);
            if count(&table) == before {
                break;
            }
        }
        table
    }

    pub(super) fn body<'a>(&mut self, body: &'a SetExpr, scope: &Scope<'_, 'a>, tail: Tail<'a>) -> Table<'a> {
        let table = match body {
            SetExpr::Select(select) => return self.select(select, scope, tail),
            SetExpr::Query(query) => self.query(query, Some(scope)),
            SetExpr::SetOperation { .. } => self.branches(body, scope),
            SetExpr::Values(values) => self.values(values, scope),
            SetExpr::Table(table) => {
                let parts = [&table.schema_name, &table.table_name];
                let path = parts.into_iter().flatten().map(|part| self.names.ident(part)).collect::<Vec<_>>();
                let table = self.relation(&path, scope);
                Table::new(table.columns.clone(), table.rest.clone())
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                self.notes.reason("a part of its code is no query".to_owned());
                Table::unknown()
            }
        };
        self.order_of(table, scope, tail)
    }

    /// ORDER BY behind more than one SELECT: it sees their columns alone.
    fn order_of<'a>(&mut self, table: Table<'a>, outer: &Scope<'_, 'a>, tail: Tail<'a>) -> Table<'a> {
        if tail.order.is_none() && tail.by.is_empty() {
            return table;
        }
        let table = Rc::new(table);
        let mut scope = Scope::below(Some(outer));
        let item = Item { word: exact(""), path: Vec::new(), table: Rc::clone(&table), is_hidden: false };
        scope.items.push(item);
        self.order(&table.columns, &scope, tail);
        drop(scope);
        Rc::try_unwrap(table).unwrap_or_else(|table| Table::new(table.columns.clone(), table.rest.clone()))
    }

    /// Notes what the rows are ordered by: columns of the select list, by name or number, or of what it is from.
    pub(super) fn order<'a>(&mut self, given: &[Column<'a>], scope: &Scope<'_, 'a>, tail: Tail<'a>) {
        for by in tail.by {
            let sources = self.of_list(by, given).unwrap_or_else(|| self.sources(by, scope).0);
            self.notes.uses(Clause::Group, &sources);
        }
        let expressions = match tail.order.map(|order| &order.kind) {
            None => return,
            Some(OrderByKind::Expressions(expressions)) if !is_all(expressions) => expressions,
            Some(_) => {
                let all = Sources::all(given.iter().map(|column| &column.sources));
                return self.notes.uses(tail.clause(), &all);
            }
        };
        for order in expressions {
            let sources = self.of_list(&order.expr, given).unwrap_or_else(|| self.sources(&order.expr, scope).0);
            self.notes.uses(tail.clause(), &sources);
        }
    }

    /// What a column of the select list comes from, if the expression is its name or number.
    fn of_list(&mut self, expression: &Expr, given: &[Column<'_>]) -> Option<Sources> {
        if let Some(column) = numbered(expression, given) {
            return Some(column.sources.clone());
        }
        let Expr::Identifier(ident) = expression else { return None };
        let word = self.names.ident(ident);
        given.iter().find(|column| column.word.key == word.key).map(|column| column.sources.clone())
    }

    /// A chain of set operations leans to the left: it is taken apart in a loop.
    fn branches<'a>(&mut self, body: &'a SetExpr, scope: &Scope<'_, 'a>) -> Table<'a> {
        let mut rights = Vec::new();
        let mut first = body;
        while let SetExpr::SetOperation { left, op, set_quantifier, right } = first {
            rights.push((*op, *set_quantifier, right));
            first = left;
        }
        let mut table = self.body(first, scope, Tail::NONE);
        for (operator, quantifier, right) in rights.into_iter().rev() {
            let right = self.body(right, scope, Tail::NONE);
            if operator == SetOperator::Union {
                table = self.union(table, right, quantifier);
            } else {
                for column in table.columns.iter().chain(&right.columns) {
                    self.notes.uses(Clause::Set, &column.sources);
                }
            }
        }
        table
    }

    fn union<'a>(&mut self, mut left: Table<'a>, right: Table<'a>, quantifier: SetQuantifier) -> Table<'a> {
        use SetQuantifier::{AllByName, ByName, DistinctByName};
        self.step(left.columns.iter().chain(&right.columns).map(|column| column.sources.len() + 1).sum());
        let rest = left.rest.and(&right.rest);
        if matches!(quantifier, ByName | AllByName | DistinctByName) {
            for column in right.columns {
                match left.columns.iter_mut().find(|known| known.word.key == column.word.key) {
                    Some(known) => known.merge(&column),
                    None => left.columns.push(column),
                }
            }
        } else {
            left.columns.iter_mut().zip(&right.columns).for_each(|(column, other)| column.merge(other));
        }
        Table::new(left.columns, rest)
    }

    fn values<'a>(&mut self, values: &'a Values, scope: &Scope<'_, 'a>) -> Table<'a> {
        let mut columns: Vec<Column<'a>> = Vec::new();
        for row in &values.rows {
            for (place, expression) in row.iter().enumerate() {
                let column = self.column(expression, scope, exact(&format!("column{}", place + 1)));
                match columns.get_mut(place) {
                    Some(known) => known.merge(&column),
                    None => columns.push(column),
                }
            }
        }
        // A constant tells nothing of the others below it.
        columns.iter_mut().for_each(|column| column.computed.clear());
        Table::new(columns, Rest::Whole)
    }
}

/// The column of the list that a whole number means.
pub(super) fn numbered<'c, 'a>(expression: &Expr, given: &'c [Column<'a>]) -> Option<&'c Column<'a>> {
    let Expr::Value(value) = expression else { return None };
    let sqlparser::ast::Value::Number(number, _) = &value.value else { return None };
    given.get(number.parse::<usize>().ok()?.checked_sub(1)?)
}

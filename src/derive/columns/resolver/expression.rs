//! What an expression comes from: all columns that stand in it, in its windows, and in its subqueries.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::rc::Rc;

use sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArguments, Ident,
    NamedWindowExpr, Query, SelectItem, SetExpr, Value, Visit, Visitor, WindowType,
};

use super::Resolver;
use super::dialect::Dialect;
use super::functions::{AGGREGATES, OF_DATES, PARTS_OF_DATES, name_of, without_endings};
use super::names::{Word, exact, lower};
use super::notes::{Sources, Step};
use super::scope::{Found, Scope};
use super::table::Column;

impl Resolver<'_> {
    /// What an expression comes from, as it is used in a clause.
    pub(super) fn sources<'a>(&mut self, expression: &'a Expr, scope: &Scope<'_, 'a>) -> (Sources, bool) {
        let column = self.column(expression, scope, Word { name: "".into(), key: "".into() });
        (column.sources, column.is_resolved)
    }

    /// The column that an expression gives under a name.
    pub(super) fn column<'a>(&mut self, expression: &'a Expr, scope: &Scope<'_, 'a>, word: Word) -> Column<'a> {
        let mut inner = expression;
        while let Expr::Nested(nested) = inner {
            inner = nested;
        }
        if let Some(path) = self.path_of(inner) {
            let found = self.find(&path, scope);
            return self.read(found, &path).called(word);
        }
        let mut walk = Walk::new(self, scope);
        let _ = inner.visit(&mut walk);
        let (sources, is_resolved) = walk.end();
        Column { word, computed: vec![(sources.clone(), expression)], sources, is_resolved }
    }

    fn path_of(&mut self, expression: &Expr) -> Option<Vec<Word>> {
        match expression {
            Expr::Identifier(ident) => Some(vec![self.names.ident(ident)]),
            Expr::CompoundIdentifier(idents) => Some(idents.iter().map(|ident| self.names.ident(ident)).collect()),
            // Snowflake's `$1`
            Expr::Value(value) => match &value.value {
                Value::Placeholder(text) => Some(vec![exact(text)]).filter(|path| self.number(&path[0]).is_some()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The column that was found, which is noted as named; one without origins where none was.
    fn read<'a>(&mut self, found: Found<'a>, path: &[Word]) -> Column<'a> {
        let title = || path.iter().map(|word| &*word.name).collect::<Vec<_>>().join(".");
        let reason = match found {
            Found::Column(column) => {
                self.step(column.sources.len());
                self.notes.named(&column.sources);
                return column;
            }
            Found::Several => format!("`{}` could be of several relations", title()),
            Found::Nothing => format!("`{}` is in none of the relations that it could be of", title()),
        };
        self.notes.reason(reason);
        let word = path.last().cloned().unwrap_or_else(|| Word { name: "".into(), key: "".into() });
        Column { is_resolved: false, ..Column::new(word, Sources::none()) }
    }
}

/// Walks through an expression. What stands in a subquery is left to the resolver, though the parser's visitor enters it.
struct Walk<'w, 'r, 's, 'a> {
    resolver: &'w mut Resolver<'r>,
    scope: &'w Scope<'s, 'a>,
    found: Vec<(super::relation::Place, Step)>,
    is_resolved: bool,
    /// How many subqueries are entered.
    depth: usize,
    /// How many aggregate calls are entered.
    aggregates: usize,
    /// What is no column though it looks like one.
    skipped: HashSet<*const Expr>,
    /// The subquery of an EXISTS that names no columns.
    nameless: Option<*const Query>,
    /// The parameters of the lambdas that are entered.
    parameters: Vec<Rc<str>>,
    windows: usize,
}

/// A window may be made from another one so many times.
const MOST_WINDOWS: usize = 8;

impl<'w, 'r, 's, 'a> Walk<'w, 'r, 's, 'a> {
    fn new(resolver: &'w mut Resolver<'r>, scope: &'w Scope<'s, 'a>) -> Self {
        Self {
            resolver,
            scope,
            found: Vec::new(),
            is_resolved: true,
            depth: 0,
            aggregates: 0,
            skipped: HashSet::new(),
            nameless: None,
            parameters: Vec::new(),
            windows: 0,
        }
    }

    fn end(self) -> (Sources, bool) {
        self.resolver.step(self.found.len());
        (Sources::of(self.found), self.is_resolved)
    }

    fn least(&self) -> Step {
        if self.aggregates > 0 { Step::Aggregation } else { Step::Transformation }
    }

    fn take(&mut self, sources: &Sources) {
        let least = self.least();
        self.found.extend(sources.iter().map(|(place, step)| (place, step.max(least))));
    }

    fn name(&mut self, path: &[Word]) {
        if path.first().is_some_and(|word| self.parameters.contains(&word.key)) {
            return;
        }
        let found = self.resolver.find(path, self.scope);
        let column = self.resolver.read(found, path);
        self.is_resolved &= column.is_resolved;
        self.take(&column.sources);
    }

    /// `a.b[1].c`: what stands before the first bracket is one name.
    fn fields(&mut self, root: &Expr, chain: &[AccessExpr]) {
        for access in chain {
            if let AccessExpr::Dot(field) = access {
                self.skipped.insert(field);
            }
        }
        let mut root = root;
        while let Expr::Nested(inner) = root {
            root = inner;
        }
        let Some(mut path) = self.resolver.path_of(root) else { return };
        self.skipped.insert(root);
        for access in chain {
            let AccessExpr::Dot(Expr::Identifier(field)) = access else { break };
            path.push(self.resolver.names.ident(field));
        }
        self.name(&path);
    }

    fn function(&mut self, function: &Function) {
        let name = name_of(function);
        if let FunctionArguments::List(list) = &function.args {
            if OF_DATES.contains(name.as_str()) {
                self.skip_part(&name, &list.args);
            }
            for arg in &list.args {
                self.argument(arg, &name);
            }
        }
        match &function.over {
            Some(WindowType::NamedWindow(window)) => self.window(window),
            Some(WindowType::WindowSpec(spec)) => spec.window_name.iter().for_each(|window| self.window(window)),
            None => {}
        }
    }

    /// The argument that is a word for a part of a date: the first, and in BigQuery the last. Where there are fewer arguments than it takes
    /// with such a word, none is.
    fn skip_part(&mut self, function: &str, args: &[FunctionArg]) {
        let is_sum = ["add", "sub", "diff"].iter().any(|end| function.ends_with(end));
        if args.len() < if is_sum { 3 } else { 2 } {
            return;
        }
        let is_last = ["last_day", "trunc"].contains(&function);
        let first = args.first().filter(|_| !is_last).and_then(part);
        let last = args.last().filter(|_| is_last || self.resolver.dialect == Dialect::BigQuery).and_then(part);
        self.skipped.extend(first.or(last));
    }

    fn argument(&mut self, arg: &FunctionArg, function: &str) {
        let (FunctionArg::Unnamed(value)
        | FunctionArg::Named { arg: value, .. }
        | FunctionArg::ExprNamed { arg: value, .. }) = arg;
        if let FunctionArg::Named { name, operator: FunctionArgOperator::Equals, .. } = arg {
            // A comparison may look like an argument that has a name.
            let path = [self.resolver.names.ident(name)];
            if let found @ Found::Column(_) = self.resolver.find(&path, self.scope) {
                let column = self.resolver.read(found, &path);
                self.take(&column.sources);
            }
        }
        let only = match value {
            FunctionArgExpr::Expr(_) => return,
            FunctionArgExpr::QualifiedWildcard(name) => Some(self.resolver.names.path(name)),
            FunctionArgExpr::Wildcard | FunctionArgExpr::WildcardWithOptions(_) => None,
        };
        if function != "count" || only.is_some() {
            let (columns, _) = self.resolver.all_columns(self.scope, only.as_deref());
            self.take(&Sources::all(columns.iter().map(|column| &column.sources)));
        }
    }

    /// DuckDB takes `->` for a part of JSON, too: what stands before it is a column, where it is one and the body does not name it.
    fn json(&mut self, words: &[Word], body: &Expr) {
        if let [word] = words
            && !self.resolver.names_in(body).contains(&word.key)
            && let found @ Found::Column(_) = self.resolver.find(words, self.scope)
        {
            let column = self.resolver.read(found, words);
            self.is_resolved &= column.is_resolved;
            self.take(&column.sources);
        }
    }

    /// What a window that has a name is made from.
    fn window(&mut self, window: &Ident) {
        let name = self.resolver.names.ident(window);
        let windows = self.scope.windows;
        let named = windows.iter().find(|named| self.resolver.names.ident(&named.0).key == name.key);
        let Some(named) = named.filter(|_| self.windows < MOST_WINDOWS) else { return };
        self.windows += 1;
        match &named.1 {
            NamedWindowExpr::NamedWindow(other) => self.window(other),
            NamedWindowExpr::WindowSpec(spec) => {
                if let Some(other) = &spec.window_name {
                    self.window(other);
                }
                let _ = spec.visit(self);
            }
        }
        self.windows -= 1;
    }

    fn is_aggregate(&self, function: &Function) -> bool {
        let name = name_of(function);
        let is_known = |name: &str| AGGREGATES.contains(name);
        let is_clickhouse = self.resolver.dialect == Dialect::ClickHouse;
        function.over.is_none() && (is_known(&name) || is_clickhouse && is_known(without_endings(&name)))
    }

    fn subquery(&mut self, query: &Query) {
        self.resolver.notes.capture();
        let table = self.resolver.query(query, Some(self.scope));
        let captured = self.resolver.notes.captured();
        let least = self.least();
        self.found.extend(captured.into_iter().map(|(place, step)| (place, step.max(least))));
        if self.nameless.take() != Some(std::ptr::from_ref(query)) {
            for column in &table.columns {
                self.take(&column.sources);
                self.is_resolved &= column.is_resolved;
            }
        }
    }
}

/// The argument itself, or the day in BigQuery's `week(monday)`, if that is a word for a part of a date.
fn part(arg: &FunctionArg) -> Option<*const Expr> {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else { return None };
    match expr {
        Expr::Identifier(ident) if ident.quote_style.is_none() => {
            PARTS_OF_DATES.contains(lower(&ident.value).as_str()).then_some(std::ptr::from_ref(expr))
        }
        Expr::Function(inner) if name_of(inner) == "week" => match &inner.args {
            FunctionArguments::List(list) => match list.args.first() {
                Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(day))) => Some(std::ptr::from_ref(day)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn has_only_stars(query: &Query) -> bool {
    let SetExpr::Select(select) = &*query.body else { return false };
    select.projection.iter().all(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)))
}

impl Visitor for Walk<'_, '_, '_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            self.subquery(query);
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if !self.resolver.step(0) {
            return ControlFlow::Break(());
        }
        if self.depth > 0 || self.skipped.contains(&std::ptr::from_ref(expr)) {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => {
                if let Some(path) = self.resolver.path_of(expr) {
                    self.name(&path);
                }
            }
            Expr::CompoundFieldAccess { root, access_chain } => self.fields(root, access_chain),
            Expr::Function(function) => {
                self.aggregates += usize::from(self.is_aggregate(function));
                self.function(function);
            }
            Expr::Lambda(lambda) => {
                let words = lambda.params.iter().map(|parameter| self.resolver.names.ident(&parameter.name));
                let words: Vec<Word> = words.collect();
                if self.resolver.dialect == Dialect::DuckDb {
                    self.json(&words, &lambda.body);
                }
                self.parameters.extend(words.into_iter().map(|word| word.key));
            }
            Expr::Exists { subquery, .. } if has_only_stars(subquery) => {
                self.nameless = Some(std::ptr::from_ref(subquery));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::Function(function) => self.aggregates -= usize::from(self.is_aggregate(function)),
            Expr::Lambda(lambda) => {
                let left = self.parameters.len().saturating_sub(lambda.params.iter().count());
                self.parameters.truncate(left);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

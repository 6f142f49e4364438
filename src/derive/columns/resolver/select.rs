//! One SELECT: its list, and the clauses that shape its rows.

use std::fmt::Write;

use sqlparser::ast::{
    ConnectByKind, Distinct, Expr, GroupByExpr, LateralView, Select, SelectItem, SelectItemQualifiedWildcardKind,
};

use super::dialect::Dialect;
use super::names::{Word, exact};
use super::notes::{Sources, Step};
use super::query::{Tail, numbered};
use super::scope::Scope;
use super::table::{Column, Rest, Table, parts};
use super::{Clause, Resolver};

/// What a select list gives.
struct List<'a> {
    columns: Vec<Column<'a>>,
    rest: Rest,
}

impl Resolver<'_> {
    pub(super) fn select<'a>(&mut self, select: &'a Select, outer: &Scope<'_, 'a>, tail: Tail<'a>) -> Table<'a> {
        let mut scope = Scope::below(Some(outer));
        scope.windows = &select.named_window;
        for from in &select.from {
            self.from(from, &mut scope);
        }
        for view in &select.lateral_views {
            self.lateral_view(view, &mut scope);
        }
        let mut list = List { columns: Vec::with_capacity(select.projection.len()), rest: Rest::Whole };
        for item in &select.projection {
            self.item(item, &mut scope, &mut list);
        }
        if select.projection.is_empty() {
            // DuckDB's `FROM relation`.
            (list.columns, list.rest) = self.all_columns(&scope, None);
        }
        if let Some(exclude) = &select.exclude {
            self.exclude(exclude, &mut list.columns);
        }
        for filter in [&select.prewhere, &select.selection].into_iter().flatten() {
            self.clause(Clause::Filter, filter, &scope);
        }
        scope.aliases.clone_from(&list.columns);
        self.clauses(select, &scope, &list);
        let is_limited = tail.is_limited || select.top.is_some() || is_on(select);
        self.order(&list.columns, &scope, Tail { is_limited, ..tail });
        Table::new(list.columns, list.rest)
    }

    fn item<'a>(&mut self, item: &'a SelectItem, scope: &mut Scope<'_, 'a>, list: &mut List<'a>) {
        let (only, options) = match item {
            SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. }
                if self.hides_columns(expression, scope) =>
            {
                list.rest = Rest::Unknown;
                return;
            }
            SelectItem::UnnamedExpr(expression) => {
                let word = self.name_of(expression, list.columns.len());
                return self.add(expression, word, scope, list);
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let word = self.names.ident(alias);
                return self.add(expr, word, scope, list);
            }
            SelectItem::ExprWithAliases { expr, aliases } => {
                let has_position = expr.to_string().to_lowercase().starts_with("posexplode");
                for (place, alias) in aliases.iter().enumerate() {
                    let word = self.names.ident(alias);
                    if has_position && place == 0 {
                        list.columns.push(Column::new(word, Sources::none()));
                    } else {
                        self.add(expr, word, scope, list);
                    }
                }
                return;
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                (Some(self.names.path(name)), options)
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(expression), _) => {
                let (sources, _) = self.sources(expression, scope);
                self.notes.reason(format!("which fields `({expression}).*` stands for is unknown"));
                list.rest = Rest::Value(sources.raised(Step::Transformation));
                return;
            }
            SelectItem::Wildcard(options) => (None, options),
        };
        let (columns, rest) = self.expand(scope, only.as_deref(), options);
        list.columns.extend(columns);
        list.rest = std::mem::replace(&mut list.rest, Rest::Whole).and(&rest);
    }

    fn add<'a>(&mut self, expression: &'a Expr, word: Word, scope: &mut Scope<'_, 'a>, list: &mut List<'a>) {
        let column = self.column(expression, scope, word);
        if self.dialect.reads_own_list() {
            scope.aliases.push(column.clone());
        }
        list.columns.push(column);
    }

    /// The name that the warehouse gives a column that has none.
    fn name_of(&mut self, expression: &Expr, place: usize) -> Word {
        match expression {
            Expr::Nested(inner) => return self.name_of(inner, place),
            Expr::Identifier(ident) => return self.names.ident(ident),
            Expr::CompoundIdentifier(idents) if !idents.is_empty() => {
                return self.names.ident(&idents[idents.len() - 1]);
            }
            _ if self.dialect == Dialect::BigQuery => return exact(&format!("f{place}_")),
            Expr::Cast { expr, .. } if matches!(self.dialect, Dialect::Postgres | Dialect::Redshift) => {
                return self.name_of(expr, place);
            }
            Expr::Function(function) if self.dialect != Dialect::Snowflake && self.dialect != Dialect::DuckDb => {
                return self.names.path(&function.name).pop().unwrap_or_else(|| exact(""));
            }
            _ => {}
        }
        let mut text = String::new();
        let _ = write!(text, "{expression}");
        text.truncate(text.char_indices().nth(255).map_or(text.len(), |(end, _)| end));
        self.names.text(&text, false)
    }

    fn clauses<'a>(&mut self, select: &'a Select, scope: &Scope<'_, 'a>, list: &List<'a>) {
        if let Some(qualify) = &select.qualify {
            self.clause(Clause::Filter, qualify, scope);
        }
        for connect in &select.connect_by {
            match connect {
                ConnectByKind::ConnectBy { relationships, .. } => {
                    relationships.iter().for_each(|expression| self.clause(Clause::Filter, expression, scope));
                }
                ConnectByKind::StartWith { condition, .. } => self.clause(Clause::Filter, condition, scope),
            }
        }
        match &select.group_by {
            GroupByExpr::All(_) => {
                let is_key = |column: &&Column<'_>| column.sources.iter().all(|(_, step)| step < Step::Aggregation);
                let keys = list.columns.iter().filter(is_key).map(|column| &column.sources);
                let keys = Sources::all(keys);
                self.notes.uses(Clause::Group, &keys);
            }
            GroupByExpr::Expressions(expressions, _) => self.group(expressions.iter(), scope, list),
        }
        if let Some(Distinct::On(expressions)) = &select.distinct {
            self.group(expressions.iter(), scope, list);
        }
        if let Some(having) = &select.having {
            self.clause(Clause::Having, having, scope);
        }
        let sorts = select.sort_by.iter().map(|order| &order.expr);
        for expression in sorts.chain(&select.cluster_by).chain(&select.distribute_by) {
            self.clause(Clause::Other, expression, scope);
        }
    }

    /// Notes what stands in a clause.
    pub(super) fn clause<'a>(&mut self, clause: Clause, expression: &'a Expr, scope: &Scope<'_, 'a>) {
        let (sources, _) = self.sources(expression, scope);
        self.notes.uses(clause, &sources);
    }

    fn group<'a>(&mut self, expressions: impl Iterator<Item = &'a Expr>, scope: &Scope<'_, 'a>, list: &List<'a>) {
        for expression in expressions {
            match expression {
                Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => {
                    self.group(sets.iter().flatten(), scope, list);
                }
                _ => match numbered(expression, &list.columns) {
                    Some(column) => self.notes.uses(Clause::Group, &column.sources),
                    None => self.clause(Clause::Group, expression, scope),
                },
            }
        }
    }

    fn lateral_view<'a>(&mut self, view: &'a LateralView, scope: &mut Scope<'_, 'a>) {
        let (sources, _) = self.sources(&view.lateral_view, scope);
        self.notes.uses(Clause::Join, &sources);
        let function = view.lateral_view.to_string().to_lowercase();
        let has_position = function.starts_with("posexplode");
        let word = self.names.path(&view.lateral_view_name).pop().unwrap_or_else(|| exact(""));
        let names: Vec<Word> = view.lateral_col_alias.iter().map(|alias| self.names.ident(alias)).collect();
        if names.is_empty() && self.is_generator(function.split('(').next().unwrap_or_default()) {
            return self.push_generated(word, &sources, scope);
        }
        let columns = parts(names, &sources, |place, _| has_position && place == 0);
        self.push_function(word, columns, &sources, scope);
    }
}

/// DISTINCT ON keeps the first row of each group, so that the order counts.
fn is_on(select: &Select) -> bool {
    matches!(select.distinct, Some(Distinct::On(_)))
}

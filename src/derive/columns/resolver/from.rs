//! What stands in FROM: relations, named queries, subqueries, functions, and how they are joined.

use std::rc::Rc;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Join, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor,
    TableWithJoins, Value,
};

use super::functions::is_reader;
use super::names::{Word, exact, text_of};
use super::notes::{Sources, Step};
use super::scope::{Found, Item, Scope};
use super::table::{Column, Rest, Table, parts};
use super::{Clause, Resolver};

impl Resolver<'_> {
    /// Adds what stands between two commas of FROM.
    pub(super) fn from<'a>(&mut self, from: &'a TableWithJoins, scope: &mut Scope<'_, 'a>) {
        self.factor(&from.relation, scope, false);
        for join in &from.joins {
            self.join(join, scope);
        }
    }

    fn join<'a>(&mut self, join: &'a Join, scope: &mut Scope<'_, 'a>) {
        use JoinOperator as J;
        let first = scope.items.len();
        let (constraint, hides) = match &join.join_operator {
            J::ArrayJoin | J::LeftArrayJoin | J::InnerArrayJoin => return self.array_join(&join.relation, scope),
            J::CrossApply | J::OuterApply => (None, false),
            J::Join(it) | J::Inner(it) | J::Left(it) | J::LeftOuter(it) | J::Right(it) | J::RightOuter(it) => {
                (Some(it), false)
            }
            J::FullOuter(it) | J::CrossJoin(it) | J::StraightJoin(it) => (Some(it), false),
            J::Semi(it) | J::LeftSemi(it) | J::Anti(it) | J::LeftAnti(it) => (Some(it), true),
            J::RightSemi(it) | J::RightAnti(it) => (Some(it), false),
            J::AsOf { constraint, .. } => (Some(constraint), false),
        };
        self.factor(&join.relation, scope, constraint.is_none());
        if let J::AsOf { match_condition, .. } = &join.join_operator {
            self.clause(Clause::Join, match_condition, scope);
        }
        match constraint {
            Some(JoinConstraint::On(condition)) => self.clause(Clause::Join, condition, scope),
            Some(JoinConstraint::Using(names) | JoinConstraint::UsingAlias(names, _)) => {
                let words: Vec<Word> = names.iter().filter_map(|name| self.names.path(name).pop()).collect();
                words.iter().for_each(|word| self.merge(word, first, hides, scope));
            }
            Some(JoinConstraint::Natural) => {
                let words: Vec<Word> = common(scope, first);
                words.iter().for_each(|word| self.merge(word, first, hides, scope));
            }
            Some(JoinConstraint::None) | None => {}
        }
        if hides {
            scope.items[first..].iter_mut().for_each(|item| item.is_hidden = true);
        }
    }

    /// Makes one column of those that both sides have, which begin at `first`. Of a side that is hidden it is only compared.
    fn merge<'a>(&mut self, word: &Word, first: usize, is_hidden: bool, scope: &mut Scope<'_, 'a>) {
        let known = scope.merged.iter().position(|column| column.word.key == word.key);
        let left = match known {
            Some(place) => Some(scope.merged[place].clone()),
            None => self.in_items(&scope.items[..first], word),
        };
        let right = self.in_items(&scope.items[first..], word);
        let sides = [&left, &right].into_iter().flatten();
        for side in sides {
            self.notes.named(&side.sources);
            self.notes.uses(Clause::Join, &side.sources);
        }
        if is_hidden {
            return;
        }
        let merged = match (left, right) {
            (Some(mut left), Some(right)) => {
                left.merge(&right);
                left
            }
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return,
        };
        match known {
            Some(place) => scope.merged[place] = merged,
            None => scope.merged.push(merged),
        }
    }

    /// The column of some items: of the first that lists it, else of the only one that could have it.
    fn in_items<'a>(&mut self, items: &[Item<'a>], word: &Word) -> Option<Column<'a>> {
        if let Some(column) = items.iter().find_map(|item| item.table.get(word)) {
            return Some(column.clone());
        }
        let mut open = items.iter().filter(|item| !matches!(item.table.rest, Rest::Whole | Rest::Listed(_)));
        let item = match (open.next(), open.next()) {
            (Some(item), None) => item,
            _ => items.first().filter(|_| items.len() == 1)?,
        };
        self.in_table(&item.table, word)
    }

    /// ClickHouse's ARRAY JOIN: each element of a column by itself.
    fn array_join<'a>(&mut self, factor: &'a TableFactor, scope: &mut Scope<'_, 'a>) {
        let TableFactor::Table { name, alias, .. } = factor else { return };
        let path = self.names.path(name);
        let Found::Column(column) = self.find(&path, scope) else { return };
        self.elements(column, &path, alias.as_ref(), scope);
    }

    /// The elements of a column, as something in FROM.
    fn elements<'a>(
        &mut self,
        column: Column<'a>,
        path: &[Word],
        alias: Option<&'a TableAlias>,
        scope: &mut Scope<'_, 'a>,
    ) {
        self.notes.named(&column.sources);
        self.notes.uses(Clause::Join, &column.sources);
        let last = path.last().cloned().unwrap_or_else(|| exact(""));
        let word = alias.map_or(last, |alias| self.names.ident(&alias.name));
        let columns = parts(vec![word.clone()], &column.sources, |_, _| false);
        self.push_function(word, columns, &column.sources, scope);
    }

    /// Adds one thing of FROM. It sees what stands before it if it `is_lateral`, or says so.
    pub(super) fn factor<'a>(&mut self, factor: &'a TableFactor, scope: &mut Scope<'_, 'a>, is_lateral: bool) {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => self.named_relation(name, alias.as_ref(), scope),
            TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
                self.function(name, &args.args, (alias.as_ref(), *with_ordinality), scope);
            }
            TableFactor::Function { name, args, alias, with_ordinality, .. } => {
                self.function(name, args, (alias.as_ref(), *with_ordinality), scope);
            }
            TableFactor::TableFunction { expr: Expr::Value(value), alias } => {
                let path = match &value.value {
                    Value::SingleQuotedString(text) => self.names.written(text),
                    _ => None,
                };
                let path = path.unwrap_or_else(|| vec![exact(&format!("table({value})"))]);
                let table = self.relation(&path, scope);
                self.push(table, path, alias.as_ref(), scope);
            }
            TableFactor::TableFunction { expr: Expr::Function(function), alias } => {
                let args = match &function.args {
                    sqlparser::ast::FunctionArguments::List(list) => &list.args[..],
                    _ => &[],
                };
                self.function(&function.name, args, (alias.as_ref(), false), scope);
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let table = if *lateral || is_lateral {
                    self.query(subquery, Some(scope))
                } else {
                    self.query(subquery, scope.outer)
                };
                self.push(Rc::new(table), Vec::new(), alias.as_ref(), scope);
            }
            TableFactor::UNNEST { .. } => self.unnest(factor, scope),
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.from(table_with_joins, scope),
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let mut inner = Scope::below(scope.outer);
                self.from(table_with_joins, &mut inner);
                let table = self.table_of(&inner);
                drop(inner);
                self.push(table, Vec::new(), alias.as_ref(), scope);
            }
            TableFactor::Pivot { .. } => self.pivot(factor, scope),
            TableFactor::Unpivot { .. } => self.unpivot(factor, scope),
            other => self.value(other, scope),
        }
    }

    /// Something in FROM that is made of one expression; or nothing that is known.
    fn value<'a>(&mut self, factor: &'a TableFactor, scope: &mut Scope<'_, 'a>) {
        let (expression, word, names) = match factor {
            TableFactor::TableFunction { expr, alias } => {
                let (word, names) = self.called(alias.as_ref(), exact(""));
                (expr, word, names)
            }
            TableFactor::JsonTable { json_expr, alias, .. } | TableFactor::OpenJsonTable { json_expr, alias, .. } => {
                (json_expr, self.called(alias.as_ref(), exact("")).0, self.json_columns(factor))
            }
            TableFactor::UnpivotExpr { expression, value_alias, attribute_alias } => {
                let names = std::iter::once(value_alias).chain(attribute_alias);
                let names = names.map(|name| self.names.ident(name)).collect();
                (expression, self.names.ident(value_alias), names)
            }
            other => {
                let title = match other {
                    TableFactor::MatchRecognize { .. } => "MATCH_RECOGNIZE".to_owned(),
                    other => format!("`{}…`", other.to_string().chars().take(40).collect::<String>()),
                };
                self.notes.reason(format!("{title} in FROM is not resolved"));
                return self.push(Rc::new(Table::unknown()), Vec::new(), None, scope);
            }
        };
        let (sources, _) = self.sources(expression, scope);
        self.notes.uses(Clause::Join, &sources);
        let is_name = matches!(factor, TableFactor::UnpivotExpr { .. });
        let columns = parts(names, &sources, |place, _| is_name && place > 0);
        self.push_function(word, columns, &sources, scope);
    }

    fn named_relation<'a>(&mut self, name: &ObjectName, alias: Option<&'a TableAlias>, scope: &mut Scope<'_, 'a>) {
        let path = self.names.path(name);
        // `FROM orders o, o.items`: a column of what stands before.
        if path.len() > 1
            && self.relations.find(&path).is_none()
            && scope.item(&path[..1]).is_some()
            && let Found::Column(column) = self.find(&path, scope)
        {
            return self.elements(column, &path, alias, scope);
        }
        let table = self.relation(&path, scope);
        self.push(table, path, alias, scope);
    }

    /// What a name in FROM means: a named query, else a relation.
    pub(super) fn relation<'a>(&mut self, path: &[Word], scope: &Scope<'_, 'a>) -> Rc<Table<'a>> {
        if let [word] = path {
            if let Some(named) = scope.named(word) {
                if let Some(part) = named.part {
                    self.notes.reads(part);
                }
                return Rc::clone(&named.table);
            }
            if &*word.key == "dual" {
                return Rc::new(Table::new(Vec::new(), Rest::Whole));
            }
        }
        match self.relations.find(path) {
            Some(relation) => self.relations.table(relation),
            None => {
                let title = path.iter().map(|word| &*word.name).collect::<Vec<_>>().join(".");
                self.notes.reason(format!("`{title}` is none of the nodes that it stands on"));
                Rc::new(Table::unknown())
            }
        }
    }

    /// Adds a table under its alias, or its own name.
    pub(super) fn push<'a>(
        &mut self,
        table: Rc<Table<'a>>,
        path: Vec<Word>,
        alias: Option<&TableAlias>,
        scope: &mut Scope<'_, 'a>,
    ) {
        let own = path.last().cloned().unwrap_or_else(|| exact(""));
        let (word, names) = self.called(alias, own);
        let table = if names.is_empty() { table } else { table.renamed(&names) };
        let path = if alias.is_some() { Vec::new() } else { path };
        scope.items.push(Item { word, path, table, is_hidden: false });
    }

    fn called(&mut self, alias: Option<&TableAlias>, own: Word) -> (Word, Vec<Word>) {
        let Some(alias) = alias else { return (own, Vec::new()) };
        let names = alias.columns.iter().map(|column| self.names.ident(&column.name)).collect();
        (self.names.ident(&alias.name), names)
    }

    /// Adds what a function gives: these columns, and parts of what it is given.
    pub(super) fn push_function<'a>(
        &mut self,
        word: Word,
        columns: Vec<Column<'a>>,
        sources: &Sources,
        scope: &mut Scope<'_, 'a>,
    ) {
        let table = Rc::new(Table::new(columns, Rest::Value(sources.raised(Step::Transformation))));
        scope.items.push(Item { word, path: Vec::new(), table, is_hidden: false });
    }

    /// A function in FROM.
    fn function<'a>(
        &mut self,
        name: &ObjectName,
        args: &'a [FunctionArg],
        (alias, has_position): (Option<&'a TableAlias>, bool),
        scope: &mut Scope<'_, 'a>,
    ) {
        let function = self.names.path(name).pop().unwrap_or_else(|| exact(""));
        let key = Rc::clone(&function.key);
        if is_reader(&key) {
            self.notes.reason(format!("what `{key}` reads is none of the nodes that it stands on"));
            return self.push(Rc::new(Table::unknown()), vec![function], alias, scope);
        }
        if let ("identifier" | "table", [arg]) = (&*key, args)
            && let Some(path) = text_of(arg).and_then(|text| self.names.written(text))
        {
            let table = self.relation(&path, scope);
            return self.push(table, path, alias, scope);
        }
        let mut all = Vec::new();
        for arg in args {
            let (FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } | FunctionArg::Unnamed(arg)) = arg;
            if let FunctionArgExpr::Expr(expression) = arg {
                all.push(self.sources(expression, scope).0);
            }
        }
        let sources = Sources::all(all.iter());
        self.notes.uses(Clause::Join, &sources);
        let (word, mut names) = self.called(alias, function);
        if names.is_empty() && self.is_generator(&key) {
            return self.push_generated(word, &sources, scope);
        }
        let is_flat = &*key == "flatten";
        if names.is_empty() && is_flat {
            let columns = ["seq", "key", "path", "index", "value", "this"];
            names = columns.iter().map(|name| self.names.text(name, false)).collect();
        } else if names.is_empty() && alias.is_some() && !matches!(&*key, "openjson" | "json_table") {
            names.push(word.clone());
        }
        let last = names.len().saturating_sub(1);
        let is_first_position = key.starts_with("posexplode");
        let is_position = move |place: usize, name: &Word| {
            has_position && place == last
                || is_first_position && place == 0
                || is_flat && matches!(&*name.key, "seq" | "index")
        };
        let columns = parts(names, &sources, is_position);
        self.push_function(word, columns, &sources, scope);
    }

    /// Adds what a function gives whose columns nobody knows.
    pub(super) fn push_generated<'a>(&mut self, word: Word, sources: &Sources, scope: &mut Scope<'_, 'a>) {
        let table = Rc::new(Table::new(Vec::new(), Rest::Pivoted(sources.clone())));
        scope.items.push(Item { word, path: Vec::new(), table, is_hidden: false });
    }

    fn unnest<'a>(&mut self, factor: &'a TableFactor, scope: &mut Scope<'_, 'a>) {
        let TableFactor::UNNEST { alias, array_exprs, with_offset, with_offset_alias, with_ordinality } = factor else {
            return;
        };
        let all: Vec<Sources> = array_exprs.iter().map(|array| self.sources(array, scope).0).collect();
        let value = Sources::all(all.iter());
        self.notes.uses(Clause::Join, &value);
        let (word, mut names) = self.called(alias.as_ref(), exact("unnest"));
        if names.is_empty() && alias.is_some() {
            names.push(word.clone());
        }
        let last = names.len().saturating_sub(1);
        let mut columns = Vec::new();
        for (place, name) in names.into_iter().enumerate() {
            let is_position = *with_ordinality && place == last;
            // Several arrays give a column each; the fields of one array of structs are columns of it.
            let of_one = if all.len() > 1 { all.get(place) } else { Some(&value) };
            let sources = of_one.filter(|_| !is_position).map_or(Sources::none(), |it| it.raised(Step::Transformation));
            columns.push(Column::new(name, sources));
        }
        if *with_offset {
            let name = with_offset_alias.as_ref().map_or_else(|| exact("offset"), |name| self.names.ident(name));
            columns.push(Column::new(name, Sources::none()));
        }
        let table = Rc::new(Table::new(columns, Rest::Value(value.raised(Step::Transformation))));
        scope.items.push(Item { word, path: Vec::new(), table, is_hidden: false });
    }

    fn json_columns(&mut self, factor: &TableFactor) -> Vec<Word> {
        match factor {
            TableFactor::OpenJsonTable { columns, .. } => {
                columns.iter().map(|column| self.names.ident(&column.name)).collect()
            }
            TableFactor::JsonTable { columns, .. } => {
                let name = |column: &sqlparser::ast::JsonTableColumn| match column {
                    sqlparser::ast::JsonTableColumn::Named(column) => Some(self.names.ident(&column.name)),
                    _ => None,
                };
                columns.iter().filter_map(name).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The names that items on both sides of `first` list.
fn common(scope: &Scope<'_, '_>, first: usize) -> Vec<Word> {
    let (left, right) = scope.items.split_at(first);
    let names = left.iter().flat_map(|item| item.table.columns.iter().map(|column| &column.word));
    let mut common: Vec<Word> = Vec::new();
    for word in names.filter(|word| right.iter().any(|item| item.table.get(word).is_some())) {
        if common.iter().all(|known| known.key != word.key) {
            common.push(word.clone());
        }
    }
    common
}

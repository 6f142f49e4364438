//! What a star stands for.

use std::collections::HashSet;
use std::rc::Rc;

use sqlparser::ast::{ExcludeSelectItem, ObjectName, RenameSelectItem, WildcardAdditionalOptions};

use super::Resolver;
use super::dialect::Dialect;
use super::names::{Word, exact};
use super::notes::{Sources, Step};
use super::scope::{Found, Item, Scope};
use super::table::{Column, Rest, Table};

impl Resolver<'_> {
    /// The columns of `*`, or of `only.*`, and what a name means that is none of them.
    pub(super) fn all_columns<'a>(&mut self, scope: &Scope<'_, 'a>, only: Option<&[Word]>) -> (Vec<Column<'a>>, Rest) {
        if let Some(path) = only {
            return match scope.item(path) {
                Some(item) => {
                    let mut columns = Vec::new();
                    let rest = self.columns_of(item, &mut columns);
                    (columns, rest)
                }
                None => self.fields_of(scope, path),
            };
        }
        let mut columns = Vec::new();
        // DuckDB leaves them where the left side has them.
        if self.dialect != Dialect::DuckDb {
            columns.extend(scope.merged.iter().cloned());
        }
        let mut rest: Option<Rest> = None;
        for item in scope.items.iter().filter(|item| !item.is_hidden) {
            let first = columns.len();
            let of_item = self.columns_of(item, &mut columns);
            rest = Some(match (rest, of_item) {
                (None, rest) => rest,
                // An unlisted name could be of either.
                (Some(Rest::Listed(_) | Rest::Whole), Rest::Listed(_) | Rest::Whole) => Rest::Whole,
                (Some(before), rest) => before.and(&rest),
            });
            if !scope.merged.is_empty() {
                self.merge_columns(scope, &mut columns, first);
            }
        }
        (columns, rest.unwrap_or(Rest::Whole))
    }

    /// Takes what USING merged out of the columns of one side, which begin at `first`; or puts it there.
    fn merge_columns<'a>(&mut self, scope: &Scope<'_, 'a>, columns: &mut Vec<Column<'a>>, first: usize) {
        let of_item = columns.split_off(first);
        for column in of_item {
            match scope.merged.iter().find(|merged| merged.word.key == column.word.key) {
                None => columns.push(column),
                Some(merged) if columns.iter().all(|known| known.word.key != merged.word.key) => {
                    columns.push(merged.clone());
                }
                Some(_) => {}
            }
        }
    }

    fn columns_of<'a>(&mut self, item: &Item<'a>, columns: &mut Vec<Column<'a>>) -> Rest {
        let table = &item.table;
        // Each takes memory, too.
        if !self.step(table.columns.len() * 20) {
            return Rest::Unknown;
        }
        let is_nested = |column: &&Column<'_>| {
            let dot = column.word.name.find('.');
            dot.is_some_and(|dot| {
                let top = &column.word.key[..dot.min(column.word.key.len())];
                table.columns.iter().any(|other| *other.word.key == *top)
            })
        };
        columns.extend(table.columns.iter().filter(|column| !is_nested(column)).cloned());
        match &table.rest {
            Rest::Value(value) => {
                if table.columns.is_empty() {
                    columns.push(Column::new(item.word.clone(), value.raised(Step::Transformation)));
                }
                Rest::Whole
            }
            rest => rest.clone(),
        }
    }

    /// `column.*`: the fields that the list names, else some that nobody knows.
    fn fields_of<'a>(&mut self, scope: &Scope<'_, 'a>, path: &[Word]) -> (Vec<Column<'a>>, Rest) {
        let Found::Column(column) = self.find(path, scope) else { return (Vec::new(), Rest::Unknown) };
        if let ([(place, Step::Copy)], true) = (&column.sources.iter().collect::<Vec<_>>()[..], column.is_resolved) {
            let fields = self.relations.fields(*place);
            if !fields.is_empty() {
                let column = |(name, sources): (String, Sources)| Column::new(exact(&name), sources);
                return (fields.into_iter().map(column).collect(), Rest::Whole);
            }
        }
        self.notes.named(&column.sources);
        let title = path.iter().map(|word| &*word.name).collect::<Vec<_>>().join(".");
        self.notes.reason(format!("which fields `{title}.*` stands for is unknown"));
        (Vec::new(), Rest::Value(column.sources.raised(Step::Transformation)))
    }

    /// The columns of a star with all that is said behind it.
    pub(super) fn expand<'a>(
        &mut self,
        scope: &Scope<'_, 'a>,
        only: Option<&[Word]>,
        options: &'a WildcardAdditionalOptions,
    ) -> (Vec<Column<'a>>, Rest) {
        let (mut columns, rest) = self.all_columns(scope, only);
        if let Some(like) = &options.opt_ilike {
            let pattern: Vec<char> = like.pattern.to_lowercase().chars().collect();
            columns.retain(|column| is_like(&column.word.key.chars().collect::<Vec<_>>(), &pattern));
        }
        if let Some(except) = &options.opt_except {
            let gone = std::iter::once(&except.first_element).chain(&except.additional_elements);
            let gone: Vec<Word> = gone.map(|ident| self.names.ident(ident)).collect();
            self.drop_named(&mut columns, &gone);
        }
        if let Some(exclude) = &options.opt_exclude {
            self.exclude(exclude, &mut columns);
        }
        for item in options.opt_replace.iter().flat_map(|replace| &replace.items) {
            let word = self.names.ident(&item.column_name);
            let new = self.column(&item.expr, scope, word.clone());
            if let Some(place) = place_of(&columns, &word) {
                columns[place] = new.called(columns[place].word.clone());
            }
        }
        let renames = match &options.opt_rename {
            None => &[][..],
            Some(RenameSelectItem::Single(one)) => std::slice::from_ref(one),
            Some(RenameSelectItem::Multiple(all)) => all,
        };
        for rename in renames {
            let (from, to) = (self.names.ident(&rename.ident), self.names.ident(&rename.alias));
            if let Some(place) = place_of(&columns, &from) {
                columns[place].word = to;
            }
        }
        (columns, rest)
    }

    pub(super) fn exclude(&mut self, exclude: &ExcludeSelectItem, columns: &mut Vec<Column<'_>>) {
        let names: &[ObjectName] = match exclude {
            ExcludeSelectItem::Single(one) => std::slice::from_ref(one),
            ExcludeSelectItem::Multiple(all) => all,
        };
        let gone: Vec<Word> = names.iter().filter_map(|name| self.names.path(name).pop()).collect();
        self.drop_named(columns, &gone);
    }

    /// Takes the columns of these names away; where there is none, those that differ in case alone.
    fn drop_named(&self, columns: &mut Vec<Column<'_>>, gone: &[Word]) {
        let names: HashSet<&str> = columns.iter().map(|column| &*column.word.name).collect();
        let is_there = |word: &&Word| self.dialect.is_exact() && names.contains(&*word.name);
        let (exact, alike): (Vec<&Word>, Vec<&Word>) = gone.iter().partition(is_there);
        columns.retain(|Column { word, .. }| {
            exact.iter().all(|gone| gone.name != word.name) && alike.iter().all(|gone| gone.key != word.key)
        });
    }

    /// A table of all that a scope sees.
    pub(super) fn table_of<'a>(&mut self, scope: &Scope<'_, 'a>) -> Rc<Table<'a>> {
        let (columns, rest) = self.all_columns(scope, None);
        Rc::new(Table::new(columns, rest))
    }
}

/// The column of this name, else the first that differs in case alone.
fn place_of(columns: &[Column<'_>], word: &Word) -> Option<usize> {
    let exact = columns.iter().position(|column| column.word.name == word.name);
    exact.or_else(|| columns.iter().position(|column| column.word.key == word.key))
}

/// SQL's LIKE, both in lower case. By the places that a prefix of the text can lead to, so that no pattern takes long.
fn is_like(text: &[char], pattern: &[char]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for sign in pattern {
        let mut next = vec![false; text.len() + 1];
        for place in 0..=text.len() {
            next[place] = match sign {
                '%' => reached[place] || place > 0 && next[place - 1],
                '_' => place > 0 && reached[place - 1],
                sign => place > 0 && reached[place - 1] && text[place - 1] == *sign,
            };
        }
        reached = next;
    }
    reached[text.len()]
}

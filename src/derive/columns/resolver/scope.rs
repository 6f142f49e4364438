//! Which names mean what at one place of a statement. A scope knows the one around it, and is never copied.

use std::rc::Rc;

use sqlparser::ast::NamedWindowDefinition;

use super::Resolver;
use super::dialect::Dialect;
use super::functions::is_without_origin;
use super::names::Word;
use super::notes::{Sources, Step};
use super::table::{Column, Rest, Table};

/// A query that has a name.
pub(super) struct Named<'a> {
    pub(super) word: Word,
    pub(super) table: Rc<Table<'a>>,
    /// Where its own uses are noted.
    pub(super) part: Option<usize>,
}

/// Something in FROM.
pub(super) struct Item<'a> {
    pub(super) word: Word,
    /// The whole name of a relation that has no other.
    pub(super) path: Vec<Word>,
    pub(super) table: Rc<Table<'a>>,
    /// Only the condition of its join sees it.
    pub(super) is_hidden: bool,
}

impl Item<'_> {
    fn is_called(&self, path: &[Word]) -> bool {
        match path {
            [word] => word.key == self.word.key,
            _ => {
                path.len() <= self.path.len()
                    && self.path.iter().rev().zip(path.iter().rev()).all(|(one, other)| one.key == other.key)
            }
        }
    }
}

#[derive(Default)]
pub(super) struct Scope<'s, 'a> {
    pub(super) outer: Option<&'s Scope<'s, 'a>>,
    pub(super) named: Vec<Named<'a>>,
    pub(super) items: Vec<Item<'a>>,
    /// The columns of USING and NATURAL, which come from both sides.
    pub(super) merged: Vec<Column<'a>>,
    /// The columns of the select list so far.
    pub(super) aliases: Vec<Column<'a>>,
    pub(super) windows: &'a [NamedWindowDefinition],
}

/// What a name means.
#[derive(Clone)]
pub(super) enum Found<'a> {
    /// A column, or a part of one.
    Column(Column<'a>),
    /// One of several columns.
    Several,
    /// Nothing that is known.
    Nothing,
}

impl<'s, 'a> Scope<'s, 'a> {
    pub(super) fn below(outer: Option<&'s Scope<'s, 'a>>) -> Self {
        Self { outer, ..Self::default() }
    }

    /// This scope, the one around it, and so on.
    fn chain(&self) -> impl Iterator<Item = &Scope<'_, 'a>> {
        std::iter::successors(Some(self as &Scope<'_, 'a>), |scope| scope.outer)
    }

    pub(super) fn named(&self, word: &Word) -> Option<&Named<'a>> {
        self.chain().find_map(|scope| scope.named.iter().rev().find(|named| named.word.key == word.key))
    }

    pub(super) fn item(&self, path: &[Word]) -> Option<&Item<'a>> {
        self.items.iter().find(|item| item.is_called(path))
    }

    fn seen(&self) -> impl Iterator<Item = &Item<'a>> {
        self.items.iter().filter(|item| !item.is_hidden)
    }

    pub(super) fn alias(&self, word: &Word) -> Option<&Column<'a>> {
        self.aliases.iter().rev().find(|column| column.word.key == word.key)
    }
}

impl Resolver<'_> {
    /// What a name means, with or without what it belongs to before it and fields of it behind.
    pub(super) fn find<'a>(&mut self, path: &[Word], scope: &Scope<'_, 'a>) -> Found<'a> {
        let [first, fields @ ..] = path else { return Found::Nothing };
        let width: usize = scope.chain().map(|scope| scope.items.len() + scope.aliases.len()).sum();
        if !self.step(width) {
            return Found::Nothing;
        }
        for scope in scope.chain().filter(|_| !fields.is_empty()) {
            for count in (1..path.len()).rev() {
                let Some(item) = scope.item(&path[..count]) else { continue };
                if let Some(column) = self.in_table(&item.table, &path[count]) {
                    return Found::Column(self.field(column, &path[count + 1..]));
                }
                if self.number(&path[count]).is_some() {
                    return Found::Nothing;
                }
            }
        }
        match self.single(first, scope) {
            Found::Column(column) => Found::Column(self.field(column, fields)),
            other => other,
        }
    }

    /// A name alone. The nearest scope counts that lists it, or has one relation whose columns nobody knows; else a list may be older
    /// than the code, if there is only one.
    fn single<'a>(&mut self, word: &Word, scope: &Scope<'_, 'a>) -> Found<'a> {
        for scope in scope.chain() {
            match self.listed(word, scope) {
                Found::Nothing => {}
                found => return found,
            }
        }
        if is_without_origin(&word.key) {
            return Found::Column(Column::new(word.clone(), Sources::none()));
        }
        for scope in scope.chain() {
            let mut items = scope.seen();
            if let (Some(item), None) = (items.next(), items.next())
                && let Some(column) = self.in_table(&item.table, word)
            {
                return Found::Column(column);
            }
        }
        Found::Nothing
    }

    fn listed<'a>(&mut self, word: &Word, scope: &Scope<'_, 'a>) -> Found<'a> {
        if let Some(column) = scope.merged.iter().find(|column| column.word.key == word.key) {
            return Found::Column(column.clone());
        }
        let mut hits = scope.seen().filter_map(|item| item.table.get(word));
        if let Some(first) = hits.next() {
            let exact = |column: &&Column<'_>| column.word.name == word.name;
            let others: Vec<&Column<'a>> = hits.collect();
            let mut same = std::iter::once(first).chain(others.iter().copied()).filter(exact);
            return match (same.next(), same.next()) {
                _ if others.is_empty() => Found::Column(first.clone()),
                (Some(one), None) => Found::Column(one.clone()),
                _ => Found::Several,
            };
        }
        if let Some(column) = scope.alias(word) {
            return Found::Column(column.clone());
        }
        if let Some(item) = scope.item(std::slice::from_ref(word)) {
            return Found::Column(self.whole_row(item));
        }
        if is_without_origin(&word.key) {
            return Found::Nothing;
        }
        let is_open = |item: &&Item<'_>| matches!(item.table.rest, Rest::Open(_) | Rest::Unknown | Rest::Nothing);
        let mut open = scope.seen().filter(is_open);
        match (open.next(), open.next()) {
            (None, _) => Found::Nothing,
            (Some(item), None) => self.in_table(&item.table, word).map_or(Found::Nothing, Found::Column),
            _ => Found::Several,
        }
    }

    fn whole_row<'a>(&mut self, item: &Item<'a>) -> Column<'a> {
        let mut sources = Sources::all(item.table.columns.iter().map(|column| &column.sources));
        if let Rest::Value(value) = &item.table.rest {
            sources = Sources::all([&sources, value].into_iter());
        }
        self.step(sources.len());
        let is_resolved = !matches!(item.table.rest, Rest::Open(_) | Rest::Unknown);
        Column { is_resolved, ..Column::new(item.word.clone(), sources.raised(Step::Transformation)) }
    }

    /// The place of a column that Snowflake's `$1` means.
    pub(super) fn number(&self, word: &Word) -> Option<usize> {
        let digits = word.name.strip_prefix('$').filter(|_| self.dialect == Dialect::Snowflake)?;
        digits.parse::<usize>().ok()?.checked_sub(1)
    }

    /// A column of a table, listed or not.
    pub(super) fn in_table<'a>(&mut self, table: &Table<'a>, word: &Word) -> Option<Column<'a>> {
        if let Some(column) = table.get(word) {
            return Some(column.clone());
        }
        if let Some(number) = self.number(word) {
            return table.columns.get(number).filter(|_| !table.rest.hides_columns()).cloned();
        }
        let sources = match &table.rest {
            Rest::Whole => return None,
            Rest::Listed(relations) | Rest::Open(relations) => {
                Sources::of(relations.iter().map(|it| (self.relations.unlisted(*it, word), Step::Copy)).collect())
            }
            Rest::Value(value) | Rest::Pivoted(value) => value.raised(Step::Transformation),
            Rest::Nothing | Rest::Unknown => Sources::none(),
        };
        let is_resolved = !matches!(table.rest, Rest::Unknown);
        Some(Column { is_resolved, ..Column::new(word.clone(), sources) })
    }

    /// What is taken out of a column: out of the field of it that the list names, if it does.
    pub(super) fn field<'a>(&mut self, column: Column<'a>, fields: &[Word]) -> Column<'a> {
        let Some(last) = fields.last() else { return column };
        let mut all = Vec::with_capacity(column.sources.len());
        for (place, step) in column.sources.iter() {
            let listed = self.relations.field(place, fields).filter(|_| step == Step::Copy);
            all.push((listed.unwrap_or(place), step.max(Step::Transformation)));
        }
        Column { is_resolved: column.is_resolved, ..Column::new(last.clone(), Sources::of(all)) }
    }
}

//! What a relation, a named query or a function in FROM gives: columns, and what is meant by a name that is none of them.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;

use sqlparser::ast::Expr;

use super::names::Word;
use super::notes::{Sources, Step};
use super::relation::Place;

/// A column within a statement.
#[derive(Debug, Clone)]
pub(super) struct Column<'a> {
    pub(super) word: Word,
    pub(super) sources: Sources,
    /// What it was last computed by, and what that reads: one in each branch of a UNION.
    pub(super) computed: Vec<(Sources, &'a Expr)>,
    /// Whether all that it comes from is known.
    pub(super) is_resolved: bool,
}

impl<'a> Column<'a> {
    pub(super) fn new(word: Word, sources: Sources) -> Self {
        Self { word, sources, computed: Vec::new(), is_resolved: true }
    }

    /// The same under another name.
    pub(super) fn called(&self, word: Word) -> Self {
        Self { word, ..self.clone() }
    }

    /// What it was computed by from a place, in this step.
    pub(super) fn computed_from(&self, place: Place, step: Step) -> Option<&'a Expr> {
        let mut computed = self.computed.iter();
        computed.find(|(sources, _)| step > Step::Copy && sources.has(place, step)).map(|(_, expression)| *expression)
    }

    /// Takes what another column comes from, too.
    pub(super) fn merge(&mut self, other: &Column<'a>) {
        let is_known = |sources: &Sources| self.computed.iter().any(|(known, _)| known.covers(sources));
        let new: Vec<_> = other.computed.iter().filter(|(sources, _)| !is_known(sources)).cloned().collect();
        self.computed.extend(new);
        self.sources = Sources::all([&self.sources, &other.sources].into_iter());
        self.is_resolved &= other.is_resolved;
    }
}

/// What a name means that is none of the columns.
#[derive(Debug, Clone)]
pub(super) enum Rest {
    /// Nothing: there are no others.
    Whole,
    /// A column of these relations, whose lists are older than the code.
    Listed(Rc<[usize]>),
    /// A column of these relations, whose columns nobody knows.
    Open(Rc<[usize]>),
    /// A part of a value.
    Value(Sources),
    /// A column that PIVOT makes of data.
    Pivoted(Sources),
    /// A column of the node itself, which comes from nothing.
    Nothing,
    /// A column of something that is no node.
    Unknown,
}

impl Rest {
    /// Whether there may be columns that nobody knows.
    pub(super) fn hides_columns(&self) -> bool {
        matches!(self, Self::Open(_) | Self::Value(_) | Self::Pivoted(_) | Self::Unknown)
    }

    /// What it is of two that are one below the other, or side by side.
    pub(super) fn and(self, other: &Self) -> Self {
        let joined = |one: &[usize], other: &[usize]| -> Rc<[usize]> {
            let mut all = [one, other].concat();
            all.sort_unstable();
            all.dedup();
            all.into()
        };
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Open(one), Self::Open(other)) => Self::Open(joined(&one, other)),
            (Self::Listed(one), Self::Listed(other)) => Self::Listed(joined(&one, other)),
            (Self::Open(one), _) => Self::Open(one),
            (_, Self::Open(other)) => Self::Open(Rc::clone(other)),
            (Self::Pivoted(one), _) => Self::Pivoted(one),
            (_, Self::Pivoted(other)) => Self::Pivoted(other.clone()),
            (Self::Value(one), _) => Self::Value(one),
            (_, Self::Value(other)) => Self::Value(other.clone()),
            (Self::Listed(one), _) => Self::Listed(one),
            (_, Self::Listed(other)) => Self::Listed(Rc::clone(other)),
            (Self::Nothing, _) | (_, Self::Nothing) => Self::Nothing,
            (Self::Whole, Self::Whole) => Self::Whole,
        }
    }
}

/// Columns in their order.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) columns: Vec<Column<'a>>,
    pub(super) rest: Rest,
    /// Whether a name that differs in case alone is another: the warehouse spelled them all.
    is_exact: bool,
    /// The first of each name, without case.
    places: OnceCell<HashMap<Rc<str>, usize>>,
}

/// So few columns are looked through one by one.
const FEW: usize = 8;

impl<'a> Table<'a> {
    /// The same, the first columns under other names. Of one whose columns nobody knows, they come from nobody knows where.
    pub(super) fn renamed(&self, names: &[Word]) -> Rc<Self> {
        let mut columns = self.columns.clone();
        for (place, name) in names.iter().enumerate() {
            match columns.get_mut(place) {
                Some(column) => column.word = name.clone(),
                None => columns.push(match &self.rest {
                    Rest::Value(value) => Column::new(name.clone(), value.clone()),
                    _ => Column { is_resolved: false, ..Column::new(name.clone(), Sources::none()) },
                }),
            }
        }
        Rc::new(Self::new(columns, self.rest.clone()))
    }

    pub(super) fn new(columns: Vec<Column<'a>>, rest: Rest) -> Self {
        Self { columns, rest, is_exact: false, places: OnceCell::new() }
    }

    pub(super) fn exact(self, is_exact: bool) -> Self {
        Self { is_exact, ..self }
    }

    pub(super) fn unknown() -> Self {
        Self::new(Vec::new(), Rest::Unknown)
    }

    /// The column of this name, else one that differs in case alone.
    pub(super) fn get(&self, word: &Word) -> Option<&Column<'a>> {
        let first = if self.columns.len() <= FEW {
            self.columns.iter().position(|column| column.word.key == word.key)?
        } else {
            let places = self.places.get_or_init(|| {
                let places = self.columns.iter().enumerate().rev();
                places.map(|(place, column)| (Rc::clone(&column.word.key), place)).collect()
            });
            *places.get(&word.key)?
        };
        let first = &self.columns[first];
        if first.word.name == word.name {
            return Some(first);
        }
        let same = self.columns.iter().find(|column| column.word.name == word.name);
        same.or((!self.is_exact).then_some(first))
    }
}

/// Columns of these names, all taken out of `sources`, but for those that are only a position.
pub(super) fn parts<'a>(
    names: Vec<Word>,
    sources: &Sources,
    is_position: impl Fn(usize, &Word) -> bool,
) -> Vec<Column<'a>> {
    let value = sources.raised(Step::Transformation);
    let column = |(place, name): (usize, Word)| {
        let sources = if is_position(place, &name) { Sources::none() } else { value.clone() };
        Column::new(name, sources)
    };
    names.into_iter().enumerate().map(column).collect()
}

//! The relations that a node may read: its parents', and its own. They are found by the parts of their names from the right, since code
//! may leave out the schema and the database.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::dialect::Dialect;
use super::names::{Word, exact, lower};
use super::notes::{Sources, Step};
use super::table::{Column, Rest, Table};
use super::{Kind, Parent};

/// A relation that the code may name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Relation {
    /// Database, schema and identifier, as far as they are known.
    pub(crate) path: Vec<String>,
    /// Of an ephemeral node: the names under which dbt may put its code into others', in lower case.
    pub(crate) inlined_as: Vec<String>,
    /// The names of its columns; none: nobody knows.
    pub(crate) columns: Vec<String>,
    /// Names that are known besides and are not in that list: how a column of it is spelled.
    pub(crate) unlisted: Vec<String>,
    /// Whether the warehouse spelled them.
    pub(crate) is_spelled: bool,
    /// Whether it is the node's own, from which nothing comes.
    pub(crate) is_own: bool,
}

/// Where a column comes from: a number for each pair of a relation and one of its columns.
pub(super) type Place = u32;

struct Known {
    relation: usize,
    word: Word,
    is_listed: bool,
}

pub(super) struct Relations<'r> {
    dialect: Dialect,
    all: &'r [Relation],
    paths: Vec<Vec<String>>,
    tables: Vec<OnceCell<Rc<Table<'static>>>>,
    /// Whether case tells the names of a list apart.
    is_spelled: Vec<bool>,
    places: Vec<Known>,
    unlisted: HashMap<(usize, Rc<str>), Place>,
    /// The names of the node's own columns, by themselves without case; and whether case tells them from others.
    own: HashMap<String, Vec<(&'r str, bool)>>,
}

impl<'r> Relations<'r> {
    pub(super) fn new(dialect: Dialect, all: &'r [Relation]) -> Self {
        let spelled = |relation: &Relation| {
            relation.is_spelled && dialect.is_spelled(relation.columns.iter().map(String::as_str))
        };
        let is_spelled: Vec<bool> = all.iter().map(spelled).collect();
        let mut own: HashMap<String, Vec<(&str, bool)>> = HashMap::new();
        for (relation, is_spelled) in all.iter().zip(&is_spelled).filter(|(relation, _)| relation.is_own) {
            let listed = relation.columns.iter().map(|name| (name, *is_spelled));
            for (name, is_exact) in listed.chain(relation.unlisted.iter().map(|name| (name, false))) {
                own.entry(lower(name)).or_default().push((name, is_exact));
            }
        }
        Self {
            own,
            dialect,
            all,
            paths: all.iter().map(|relation| relation.path.iter().map(|part| lower(part)).collect()).collect(),
            tables: all.iter().map(|_| OnceCell::new()).collect(),
            is_spelled,
            places: Vec::new(),
            unlisted: HashMap::new(),
        }
    }

    /// The relation that a path means: the one that agrees with it in all parts that both have, if there is one only.
    pub(super) fn find(&self, path: &[Word]) -> Option<usize> {
        let agrees = |known: &Vec<String>| {
            !known.is_empty() && known.iter().rev().zip(path.iter().rev()).all(|(one, other)| **one == *other.key)
        };
        let mut found = (0..self.all.len()).filter(|relation| agrees(&self.paths[*relation]));
        let first = found.next()?;
        let mut all: Vec<usize> = std::iter::once(first).chain(found).collect();
        if all.len() > 1 && self.dialect.is_exact() {
            let same = |relation: &usize| {
                let path = path.iter().rev();
                self.all[*relation].path.iter().rev().zip(path).all(|(one, other)| **one == *other.name)
            };
            let exact: Vec<usize> = all.iter().copied().filter(same).collect();
            all = if exact.is_empty() { all } else { exact };
        }
        // A node may be built from a relation of its own name elsewhere.
        let others: Vec<usize> = all.iter().copied().filter(|relation| !self.all[*relation].is_own).collect();
        match (&all[..], &others[..]) {
            ([one], _) | (_, [one]) => Some(*one),
            _ => None,
        }
    }

    /// The ephemeral node whose code stands under this name.
    pub(super) fn inlined(&self, name: &Word) -> Option<usize> {
        self.all.iter().position(|relation| relation.inlined_as.iter().any(|known| **known == *name.key))
    }

    pub(super) fn table(&mut self, relation: usize) -> Rc<Table<'static>> {
        if let Some(table) = self.tables[relation].get() {
            return Rc::clone(table);
        }
        let table = Rc::new(self.make_table(relation));
        Rc::clone(self.tables[relation].get_or_init(|| table))
    }

    fn make_table(&mut self, relation: usize) -> Table<'static> {
        let Relation { columns, is_own, .. } = &self.all[relation];
        if *is_own {
            let own = |name: &String| Column::new(exact(name), Sources::none());
            return Table::new(columns.iter().map(own).collect(), Rest::Nothing);
        }
        let words: Vec<Word> = columns.iter().map(|name| exact(name)).collect();
        let columns = words.into_iter().map(|word| {
            let place = self.note(relation, word.clone(), true);
            Column::new(word, Sources::one(place, Step::Copy))
        });
        let columns: Vec<_> = columns.collect();
        let rest = if columns.is_empty() { Rest::Open([relation].into()) } else { Rest::Listed([relation].into()) };
        Table::new(columns, rest).exact(self.is_spelled[relation])
    }

    fn note(&mut self, relation: usize, word: Word, is_listed: bool) -> Place {
        self.places.push(Known { relation, word, is_listed });
        (self.places.len() - 1) as Place
    }

    /// A column that the list of its relation lacks.
    pub(super) fn unlisted(&mut self, relation: usize, word: &Word) -> Place {
        let name = if self.is_spelled[relation] { &word.name } else { &word.key };
        let key = (relation, Rc::clone(name));
        if let Some(place) = self.unlisted.get(&key) {
            return *place;
        }
        let place = self.note(relation, word.clone(), false);
        self.unlisted.insert(key, place);
        place
    }

    /// The column that the list has for a field within another: `address.geo.lat`, or as much of it as there is.
    pub(super) fn field(&mut self, place: Place, fields: &[Word]) -> Option<Place> {
        let Known { relation, word, .. } = &self.places[place as usize];
        let (relation, column) = (*relation, Rc::clone(&word.key));
        let table = self.table(relation);
        (1..=fields.len()).rev().find_map(|count| {
            let fields = fields[..count].iter().map(|field| &*field.key);
            let key = [&*column].into_iter().chain(fields).collect::<Vec<_>>().join(".");
            let found = table.get(&exact(&key))?;
            found.sources.iter().next().map(|(place, _)| place)
        })
    }

    /// The fields that the list has within a column, each with all that stands in it.
    pub(super) fn fields(&mut self, place: Place) -> Vec<(String, Sources)> {
        let Known { relation, word, .. } = &self.places[place as usize];
        let (relation, prefix) = (*relation, format!("{}.", word.name));
        let mut fields: Vec<(String, Vec<(Place, Step)>)> = Vec::new();
        for column in &self.table(relation).columns {
            let Some(path) = column.word.name.strip_prefix(&prefix) else { continue };
            let field = path.split('.').next().unwrap_or(path);
            let places = column.sources.iter().map(|(place, _)| (place, Step::Transformation));
            match fields.iter_mut().find(|(name, _)| name == field) {
                Some((_, known)) => known.extend(places),
                None => fields.push((field.to_owned(), places.collect())),
            }
        }
        fields.into_iter().map(|(name, places)| (name, Sources::of(places))).collect()
    }

    pub(super) fn parent(&self, place: Place) -> Parent {
        let Known { relation, word, is_listed } = &self.places[place as usize];
        let known = self.all[*relation].unlisted.iter().filter(|_| !is_listed).find(|name| lower(name) == *word.key);
        Parent { relation: *relation, column: known.map_or(&*word.name, String::as_str).to_owned() }
    }

    /// How a column comes to be another, whose name is `child`; and whether its relation lists it.
    pub(super) fn origin(&self, place: Place, step: Step, child: &Word) -> (Kind, bool) {
        let Known { relation, word, is_listed } = &self.places[place as usize];
        let is_spelled = *is_listed && self.is_spelled[*relation];
        let is_same = if is_spelled { word.name == child.name } else { word.key == child.key };
        let kind = match step {
            Step::Copy if is_same => Kind::Passthrough,
            Step::Copy => Kind::Rename,
            Step::Transformation => Kind::Transformation,
            Step::Aggregation => Kind::Aggregation,
        };
        (kind, *is_listed)
    }

    /// A column of the node as its own list spells it.
    pub(super) fn own_spelling(&self, word: &Word) -> String {
        let alike = self.own.get(&*word.key).map_or(&[][..], Vec::as_slice);
        let exact = alike.iter().find(|(name, _)| **name == *word.name);
        let only = || if let [one @ (_, false)] = alike { Some(one) } else { None };
        exact.or_else(only).map_or(&*word.name, |(name, _)| name).to_owned()
    }

    /// What the code calls a relation, for a person.
    pub(super) fn title(&self, relation: usize) -> String {
        self.all[relation].path.join(".")
    }
}

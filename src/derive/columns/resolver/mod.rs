//! From the compiled code of a node, and the relations that it may read, to where its columns come from. Pure: no SQL is run, nothing is
//! read or written. What it decides where warehouses and tools differ stands in `docs/columns.md`.
//!
//! Code that is parsed is a tree as deep as its author likes, so all of this, and the end of the tree, belongs on a thread with a large
//! stack ([`super::thread`]).

#[cfg(test)]
mod corpus;
mod dialect;
mod expression;
mod from;
mod functions;
mod hidden;
#[cfg(test)]
mod limits;
mod names;
mod notes;
mod parse;
mod pivot;
mod query;
mod relation;
mod render;
mod scope;
mod select;
mod star;
mod table;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use notes::{Notes, Sources};
use relation::Relations;

pub(crate) use dialect::Dialect;
pub(crate) use relation::Relation;

/// How dbt begins the name under which it puts the code of an ephemeral node into others'.
pub(crate) const INLINED: &str = "__dbt__cte__";

/// How far a node's columns are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// All origins of all columns are known.
    Resolved,
    /// Some are not.
    Partial,
    /// The parser did not understand the code.
    Unparsed,
    /// There is no code.
    NoCode,
    /// It is no SQL.
    NotSql,
    /// It is too large, too deep or takes too many steps.
    TooLarge,
}

impl Status {
    /// The word of the view.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::Partial => "partial",
            Self::Unparsed => "unparsed",
            Self::NoCode => "no_code",
            Self::NotSql => "not_sql",
            Self::TooLarge => "too_large",
        }
    }
}

/// What is done to a column on its way to another, the strongest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// It arrives as it is.
    Passthrough,
    /// It arrives under another name.
    Rename,
    /// Something is computed from it.
    Transformation,
    /// It is put together from several rows.
    Aggregation,
}

impl Kind {
    /// The word of the view.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Passthrough => "passthrough",
            Self::Rename => "rename",
            Self::Transformation => "transformation",
            Self::Aggregation => "aggregation",
        }
    }
}

/// Where a column stands that shapes the rows of the whole node, or is only read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Clause {
    /// What rows are joined by, and what a function in FROM reads.
    Join,
    /// WHERE and QUALIFY.
    Filter,
    /// GROUP BY and DISTINCT ON.
    Group,
    /// HAVING.
    Having,
    /// ORDER BY with a limit.
    Order,
    /// Compared by EXCEPT or INTERSECT.
    Set,
    /// Only read.
    Other,
}

impl Clause {
    /// The word of the view.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Filter => "filter",
            Self::Group => "group",
            Self::Having => "having",
            Self::Order => "order",
            Self::Set => "set",
            Self::Other => "other",
        }
    }
}

/// Why nothing is known of the columns.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    /// A sentence for a person.
    pub(crate) reason: String,
}

/// A column of a relation, by its place among those that may be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Parent {
    pub(crate) relation: usize,
    /// As the relation's list spells it, else as the warehouse folds it.
    pub(crate) column: String,
}

/// One pair of columns.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) kind: Kind,
    /// What the one is computed by from the other, where it is.
    pub(crate) expression: Option<String>,
    /// Whether the parent's list names the column.
    pub(crate) is_listed: bool,
}

/// Where the columns of a node come from.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) status: Status,
    pub(crate) reason: Option<String>,
    /// The columns, in their order, as the node's own list spells them, else as the warehouse folds them; a name may stand twice.
    pub(crate) columns: Vec<String>,
    /// Of how many of them all origins are known.
    pub(crate) resolved_columns: usize,
    /// False where `columns` may lack some.
    pub(crate) is_whole: bool,
    /// By the name of the node's column.
    pub(crate) origins: BTreeMap<(String, Parent), Origin>,
    pub(crate) uses: BTreeMap<(Parent, Clause), ()>,
}

/// Resolves `code`. One of `relations` may be the node's own.
///
/// # Errors
/// If the code is no query that can be parsed.
pub(crate) fn resolve(code: &str, dialect: Dialect, relations: &[Relation]) -> Result<Resolved, Failure> {
    let query = parse::parse(code, dialect)?;
    let mut resolver = Resolver::new(dialect, relations);
    let table = resolver.query(&query, None);
    resolver.finish(&table)
}

/// So many steps may be taken for one node.
const MOST_STEPS: usize = 20_000_000;

/// The state of one resolution.
struct Resolver<'r> {
    dialect: Dialect,
    relations: Relations<'r>,
    names: names::Names,
    notes: Notes,
    steps: usize,
}

impl<'r> Resolver<'r> {
    fn new(dialect: Dialect, relations: &'r [Relation]) -> Self {
        let (names, notes) = (names::Names::new(dialect), Notes::default());
        Self { dialect, relations: Relations::new(dialect, relations), names, notes, steps: 0 }
    }

    /// Counts work. What is asked for after too much of it is answered with nothing, since it will not be shown.
    fn step(&mut self, count: usize) -> bool {
        self.steps = self.steps.saturating_add(count + 1);
        self.steps <= MOST_STEPS
    }

    fn finish(mut self, table: &table::Table<'_>) -> Result<Resolved, Failure> {
        if let table::Rest::Open(relations) = &table.rest {
            for relation in relations.iter() {
                let title = self.relations.title(*relation);
                self.notes.reason(format!("which columns `{title}` has is not known"));
            }
        }
        if let table::Rest::Pivoted(_) = &table.rest {
            self.notes.reason("which columns PIVOT or a function makes of the data is not known".to_owned());
        }
        if self.steps > MOST_STEPS {
            let reason = "to resolve its columns takes too many steps".to_owned();
            return Err(Failure { status: Status::TooLarge, reason });
        }
        let mut origins = BTreeMap::new();
        let mut columns = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            let name = self.relations.own_spelling(&column.word);
            for (place, step) in column.sources.iter() {
                let (kind, is_listed) = self.relations.origin(place, step, &column.word);
                let expression = || column.computed_from(place, step).map(render::short);
                match origins.entry((name.clone(), self.relations.parent(place))) {
                    Entry::Vacant(pair) => drop(pair.insert(Origin { kind, expression: expression(), is_listed })),
                    Entry::Occupied(mut pair) if pair.get().kind < kind => {
                        pair.insert(Origin { kind, expression: expression(), is_listed });
                    }
                    Entry::Occupied(_) => {}
                }
            }
            columns.push(name);
        }
        let lineage = Sources::all(table.columns.iter().map(|column| &column.sources));
        let (uses, reasons) = self.notes.finish(&lineage);
        let uses = uses.into_iter().map(|(place, clause)| ((self.relations.parent(place), clause), ())).collect();
        let is_whole = !table.rest.hides_columns();
        let status = if reasons.is_empty() { Status::Resolved } else { Status::Partial };
        let resolved_columns = table.columns.iter().filter(|column| column.is_resolved).count();
        let reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        Ok(Resolved { status, reason, columns, resolved_columns, is_whole, origins, uses })
    }
}

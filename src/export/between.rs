//! What stands between relations: ephemeral nodes, metrics and the like, which other programs don't know. What goes through them is told
//! of the relations at both ends.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Error;
use super::scope::{LINEAGE, PARENTS, Scope, USES};
use crate::answers::Row;

/// What becomes of a column on its way, the weakest first: over several steps and ways the strongest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Passthrough,
    Rename,
    Transformation,
    Aggregation,
}

impl Kind {
    fn of(row: &Row<'_>) -> Self {
        match row.str("kind") {
            "passthrough" => Self::Passthrough,
            "rename" => Self::Rename,
            "aggregation" => Self::Aggregation,
            _ => Self::Transformation,
        }
    }
}

/// A column of a node: the node's id, and the column's name.
pub(super) type ColumnOf = (String, String);

/// Where a column comes from: how, and by what it is computed.
pub(super) type Origins = BTreeMap<ColumnOf, (Kind, Option<String>)>;

/// The nodes of an environment that only stand between others.
#[derive(Debug, Default)]
pub(super) struct Between {
    parents: HashMap<String, Vec<String>>,
    lineage: HashMap<ColumnOf, Vec<(ColumnOf, Kind)>>,
    uses: HashMap<String, Vec<(ColumnOf, String)>>,
}

impl Between {
    pub(super) fn load(scope: &Scope<'_>, ids: &[&str]) -> Result<Self, Error> {
        let mut found =
            Self { parents: ids.iter().map(|id| ((*id).to_owned(), Vec::new())).collect(), ..Self::default() };
        let text = |row: &Row<'_>, name: &str| row.str(name).to_owned();
        for table in scope.of(PARENTS.0, PARENTS.1, ids)? {
            for row in table.iter() {
                found.parents.entry(text(&row, "child_id")).or_default().push(text(&row, "parent_id"));
            }
        }
        for table in scope.of(LINEAGE.0, LINEAGE.1, ids)? {
            for row in table.iter() {
                let child = (text(&row, "child_id"), text(&row, "child_column"));
                found.lineage.entry(child).or_default().push((parent_column(&row), Kind::of(&row)));
            }
        }
        for table in scope.of(USES.0, USES.1, ids)? {
            for row in table.iter() {
                let uses = found.uses.entry(text(&row, "child_id")).or_default();
                uses.push((parent_column(&row), text(&row, "clause")));
            }
        }
        Ok(found)
    }

    /// True for a node that only stands between others.
    pub(super) fn has(&self, id: &str) -> bool {
        self.parents.contains_key(id)
    }

    /// The nodes that `parents` stand for, in the order of their ids.
    pub(super) fn inputs<'p>(&self, parents: impl Iterator<Item = &'p str>) -> BTreeSet<String> {
        self.walk(parents).0
    }

    /// What lies behind `parents`, and the nodes between.
    fn walk<'p>(&self, parents: impl Iterator<Item = &'p str>) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut ends, mut passed) = (BTreeSet::new(), BTreeSet::new());
        let mut open: Vec<String> = parents.map(str::to_owned).collect();
        while let Some(id) = open.pop() {
            match self.parents.get(&id) {
                None => drop(ends.insert(id)),
                Some(above) if passed.insert(id) => open.extend(above.iter().cloned()),
                Some(_) => {}
            }
        }
        (ends, passed)
    }

    /// Where each column of a node comes from, of its rows of `column_lineage`.
    pub(super) fn origins(&self, rows: &[Row<'_>]) -> BTreeMap<String, Origins> {
        let mut fields: BTreeMap<String, Origins> = BTreeMap::new();
        for row in rows {
            let field = fields.entry(row.str("child_column").to_owned()).or_default();
            for (column, kind) in self.behind(parent_column(row), Kind::of(row)) {
                let expression = || row.text("expression").map(str::to_owned);
                let known = field.entry(column).or_insert_with(|| (kind, expression()));
                if known.0 < kind {
                    *known = (kind, expression());
                }
            }
        }
        fields
    }

    /// The columns of relations that one column stands for, and what became of them.
    fn behind(&self, column: ColumnOf, kind: Kind) -> Vec<(ColumnOf, Kind)> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let mut open = vec![(column, kind)];
        while let Some((column, kind)) = open.pop() {
            if !seen.insert((column.clone(), kind)) {
                continue;
            }
            if self.has(&column.0) {
                let above = self.lineage.get(&column).into_iter().flatten();
                open.extend(above.map(|(column, own)| (column.clone(), kind.max(*own))));
            } else {
                found.push((column, kind));
            }
        }
        found
    }

    /// The columns that shape the rows of a node, of its rows of `column_uses` and of what stands between it and `parents`: each with its
    /// clause.
    pub(super) fn uses<'p>(
        &self,
        rows: &[Row<'_>],
        parents: impl Iterator<Item = &'p str>,
    ) -> BTreeSet<(ColumnOf, String)> {
        let own = rows.iter().map(|row| (parent_column(row), row.str("clause").to_owned()));
        let (_, passed) = self.walk(parents);
        let theirs = passed.iter().filter_map(|id| self.uses.get(id)).flatten().cloned();
        let behind = |(column, clause): (ColumnOf, String)| {
            let columns = self.behind(column, Kind::Passthrough).into_iter();
            columns.map(move |(column, _)| (column, clause.clone()))
        };
        own.chain(theirs).flat_map(behind).collect()
    }
}

fn parent_column(row: &Row<'_>) -> ColumnOf {
    (row.str("parent_id").to_owned(), row.str("parent_column").to_owned())
}

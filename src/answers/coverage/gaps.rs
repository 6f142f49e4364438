//! What is to be written: descriptions of nodes and columns, and tests.

use std::collections::{BTreeSet, HashMap};

use super::{By, Inheritance, Inherited, NodeCoverage};
use crate::answers::{Error, Reader};

/// Something that a node lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// It has no description.
    Description,
    /// Its description is a placeholder.
    Placeholder,
    /// This column has no description.
    Column(String),
    /// The description of this column is a placeholder.
    ColumnPlaceholder(String),
    /// It has no test.
    Test,
}

impl Gap {
    /// A word for programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Description => "no_description",
            Self::Placeholder => "placeholder",
            Self::Column(_) => "column_without_description",
            Self::ColumnPlaceholder(_) => "column_placeholder",
            Self::Test => "no_test",
        }
    }

    /// The column that it is of.
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Column(name) | Self::ColumnPlaceholder(name) => Some(name),
            Self::Description | Self::Placeholder | Self::Test => None,
        }
    }

    /// The description that would fill it by itself.
    pub fn inherited<'a>(&self, node: &NodeCoverage, inheritance: &'a Inheritance) -> Option<&'a Inherited> {
        inheritance.of(node, self.column()?)
    }
}

/// A node and what it lacks.
pub type Lacking<'a> = (&'a NodeCoverage, Vec<Gap>);

/// By the keys of their nodes.
type Columns = HashMap<i64, Vec<Gap>>;

impl Reader {
    /// What each of `nodes` lacks; those that lack nothing are left out. A node whose columns are unknown lacks none of them.
    pub fn gaps<'a>(&self, nodes: &'a [NodeCoverage]) -> Result<Vec<Lacking<'a>>, Error> {
        let mut columns = self.undocumented_columns()?;
        let gaps = nodes.iter().map(|node| {
            let mut gaps = own_gaps(node);
            let of_node = columns.remove(&node.node_key).unwrap_or_default();
            gaps.extend(of_node);
            (node, gaps)
        });
        Ok(gaps.filter(|(_, gaps)| !gaps.is_empty()).collect())
    }

    fn undocumented_columns(&self) -> Result<Columns, Error> {
        let placeholders = self.placeholders()?;
        let sql =
            "SELECT node_key, name, description FROM node_column WHERE in_warehouse ORDER BY node_key, position, name";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut columns = Columns::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(1)?;
            let gap = match row.get::<_, Option<String>>(2)? {
                None => Gap::Column(name),
                Some(text) if placeholders.include(&text, Some(&name)) => Gap::ColumnPlaceholder(name),
                Some(_) => continue,
            };
            columns.entry(row.get(0)?).or_default().push(gap);
        }
        Ok(columns)
    }
}

fn own_gaps(node: &NodeCoverage) -> Vec<Gap> {
    let mut gaps = Vec::new();
    if node.is_placeholder {
        gaps.push(Gap::Placeholder);
    } else if !node.is_documented {
        gaps.push(Gap::Description);
    }
    if node.is_relation() && node.test_count == 0 {
        gaps.push(Gap::Test);
    }
    gaps
}

/// Leaves those gaps of `now` that were not there `before`: a node that is new lacks everything anew.
pub fn new_gaps<'a>(now: Vec<Lacking<'a>>, before: &[Lacking<'_>]) -> Vec<Lacking<'a>> {
    let known: BTreeSet<(i64, &str, &Gap)> = before
        .iter()
        .flat_map(|(node, gaps)| gaps.iter().map(|gap| (node.environment_id, node.unique_id.as_str(), gap)))
        .collect();
    let is_new = |node: &NodeCoverage, gap: &Gap| !known.contains(&(node.environment_id, &node.unique_id, gap));
    now.into_iter()
        .map(|(node, gaps)| (node, gaps.into_iter().filter(|gap| is_new(node, gap)).collect::<Vec<_>>()))
        .filter(|(_, gaps)| !gaps.is_empty())
        .collect()
}

/// Leaves out columns that would inherit their description.
pub fn leave_inherited(lacking: &mut Vec<Lacking<'_>>, inheritance: &Inheritance) {
    for (node, gaps) in lacking.iter_mut() {
        gaps.retain(|gap| gap.inherited(node, inheritance).is_none());
    }
    lacking.retain(|(_, gaps)| !gaps.is_empty());
}

/// By group, those without one last; within it as they came.
pub fn sort_by_group(lacking: &mut [Lacking<'_>], by: By) {
    lacking.sort_by_cached_key(|(node, _)| {
        let group = node.groups(by).swap_remove(0);
        (group.is_none(), group)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::coverage::tests::model;

    #[test]
    fn only_what_was_not_missing_before_is_new() {
        let (old, new) = (model("old"), model("new"));
        let column = |name: &str| Gap::Column(name.to_owned());
        let before = [(&old, vec![Gap::Description, column("a")])];
        let now = vec![(&old, vec![Gap::Description, Gap::Test, column("a"), column("b")]), (&new, vec![Gap::Test])];
        let found = new_gaps(now.clone(), &before);
        assert_eq!(found, [(&old, vec![Gap::Test, column("b")]), (&new, vec![Gap::Test])]);
        assert_eq!(new_gaps(now.clone(), &now), []);
        assert_eq!(new_gaps(now.clone(), &[]), now);
    }

    #[test]
    fn the_same_id_in_another_environment_is_another_node() {
        let here = model("a");
        let there = NodeCoverage { environment_id: 2, ..model("a") };
        assert_eq!(new_gaps(vec![(&there, vec![Gap::Test])], &[(&here, vec![Gap::Test])]).len(), 1);
    }

    #[test]
    fn an_exposure_lacks_no_test_and_a_placeholder_is_to_be_written() {
        let exposure = NodeCoverage { resource_type: "exposure".into(), ..model("e") };
        assert_eq!(own_gaps(&exposure), [Gap::Description]);
        let todo = NodeCoverage { is_placeholder: true, test_count: 1, ..model("a") };
        assert_eq!(own_gaps(&todo), [Gap::Placeholder]);
    }
}

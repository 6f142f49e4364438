//! Where a relation is: its database and schema, as its full name says it in any warehouse's quotes.

use crate::inventory::{Node, fold};

/// Of a full name all parts but the last, without quotes and case; `None` where there are none.
pub(super) fn place_of(relation_name: &str) -> Option<String> {
    let mut parts = vec![String::new()];
    let mut open: Option<char> = None;
    for c in relation_name.trim().chars() {
        match (open, c) {
            (Some(close), c) if c == close => open = None,
            (None, '"' | '`' | '\'') => open = Some(c),
            (None, '[') => open = Some(']'),
            (None, '.') => parts.push(String::new()),
            (_, c) => parts.last_mut()?.push(c),
        }
    }
    // BigQuery puts one pair of quotes around all of them.
    let joined = parts.join(".");
    let (place, _) = joined.rsplit_once('.')?;
    Some(fold(place))
}

/// Whether two are one place: a name may leave the database out.
pub(super) fn is_same_place(one: &str, other: &str) -> bool {
    let ends =
        |long: &str, short: &str| long.strip_suffix(short).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    ends(one, other) || ends(other, one)
}

/// Where a node's relation is.
pub(super) fn place_of_node(node: &Node) -> Option<String> {
    place_of(node.relation_name.as_deref()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_without_its_database_is_the_same() {
        assert!(is_same_place("db.prod", "prod") && is_same_place("prod", "db.prod") && is_same_place("prod", "prod"));
        assert!(
            !is_same_place("db.prod", "rod") && !is_same_place("db.prod", "db.dev") && !is_same_place("a.x", "b.x")
        );
    }

    #[test]
    fn a_place_is_what_stands_before_the_name() {
        for (name, place) in [
            ("\"db\".\"dev\".\"orders\"", Some("db.dev")),
            ("DB.Dev.orders", Some("db.dev")),
            ("`project`.`dataset`.`t`", Some("project.dataset")),
            ("`project.dataset.t`", Some("project.dataset")),
            ("[db].[dbo].[t]", Some("db.dbo")),
            ("dev.orders", Some("dev")),
            ("orders", None),
            ("", None),
        ] {
            assert_eq!(place_of(name).as_deref(), place, "{name}");
        }
    }
}

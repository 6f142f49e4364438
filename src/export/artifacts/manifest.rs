//! manifest.json: what there is, section by section.

use serde_json::{Value, json};

use super::members::Members;
use super::node::node;
use crate::answers::Row;
use crate::export::Error;
use crate::export::scope::{Beside, CODE, COLUMNS, PARENTS, Scope};

/// The sections, each with the types of the nodes in it.
const SECTIONS: [(&str, &[&str]); 9] = [
    ("nodes", &["external", "model", "seed", "snapshot", "test"]),
    ("sources", &["source"]),
    ("exposures", &["exposure"]),
    ("metrics", &["metric"]),
    ("groups", &["group"]),
    ("semantic_models", &["semantic_model"]),
    ("saved_queries", &["saved_query"]),
    ("unit_tests", &["unit_test"]),
    ("functions", &["function"]),
];

const CHILDREN: Beside = ("edges", "parent_id");

/// Writes all of it; how many nodes are defined and not built.
pub(super) fn write(scope: &Scope<'_>, file: &mut Members<'_>) -> Result<usize, Error> {
    let mut unbuilt = 0;
    for (section, types) in SECTIONS {
        file.nest(section, |nodes| {
            scope.each(types, &[COLUMNS, CODE, PARENTS], &mut |part| {
                unbuilt += usize::from(part.row.int("is_applied") == Some(0));
                let project = scope.project.as_deref();
                // The reader makes one itself of what nodes name and the project lacks.
                let is_lacking =
                    part.row.str("resource_type") == "external" && part.row.text("package_name") == project;
                match is_lacking {
                    true => Ok(()),
                    false => Ok(nodes.add(part.id, &node(part))?),
                }
            })
        })?;
    }
    for section in ["macros", "docs", "selectors", "disabled"] {
        file.add(section, &json!({}))?;
    }
    map(scope, file, "parent_map", (PARENTS, "parent_id"))?;
    map(scope, file, "child_map", (CHILDREN, "child_id"))?;
    groups(scope, file)?;
    Ok(unbuilt)
}

fn all() -> Vec<&'static str> {
    SECTIONS.iter().flat_map(|(_, types)| *types).copied().collect()
}

/// The neighbours of each node.
fn map(scope: &Scope<'_>, file: &mut Members<'_>, name: &str, (beside, there): (Beside, &str)) -> Result<(), Error> {
    file.nest(name, |nodes| {
        scope.each(&all(), &[beside], &mut |part| {
            let ids: Value = part.all(beside).iter().map(|row| row.str(there)).collect();
            Ok(nodes.add(part.id, &ids)?)
        })
    })
}

/// The members of each group.
fn groups(scope: &Scope<'_>, file: &mut Members<'_>) -> Result<(), Error> {
    let mut groups: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    scope.each(&all(), &[], &mut |part| {
        let name = |row: Row<'_>, column: &str| row.text(column).map(str::to_owned);
        match name(part.row, "group_name") {
            Some(group) => groups.entry(group).or_default().push(part.id.to_owned()),
            None if part.row.str("resource_type") == "group" => {
                groups.entry(part.row.str("name").to_owned()).or_default();
            }
            None => {}
        }
        Ok(())
    })?;
    Ok(file.add("group_map", &json!(groups))?)
}

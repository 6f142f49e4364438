//! The files that dbt leaves, for whatever reads those: the newest state of each node, folded over all runs. Read back by the origin
//! `artifacts` they give the same nodes, edges, columns and tests.

mod catalog;
mod manifest;
mod members;
mod node;
mod results;

use std::io::{self, Write};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use self::members::Members;
use super::Error;
use super::scope::Scope;
use crate::answers::{Question, Row};

/// Makes a file of this name to write into.
pub(crate) type Create<'a> = &'a dyn Fn(&str) -> io::Result<Box<dyn Write>>;

/// What no catalog holds, so that none of it is in the files.
const LEFT_OUT: &str = "left out, since the catalog does not hold it: macros, docs blocks, selectors, disabled nodes, dbt's version, \
    checksums, arguments of commands, and of runs all but the last result of each node";

/// Writes the files of an environment. Returns what is not in them, a line each.
///
/// # Errors
/// If the catalog can't answer, or a file can't be written.
pub(crate) fn artifacts(scope: &Scope<'_>, create: Create<'_>) -> Result<Vec<String>, Error> {
    let facts = scope.reader.rows("environments", &Question::of(Some(scope.id)))?;
    let time = |name: &str| facts.iter().next().and_then(|row| row.text(name).map(str::to_owned));
    let defined_at = time("definition_at").unwrap_or_else(|| scope.moment.clone());
    let applied_at = time("applied_at").unwrap_or_else(|| scope.moment.clone());
    let files = Files { scope, create };
    let unbuilt = files.write("manifest.json", "manifest/v12", &defined_at, manifest::write)?;
    files.write("catalog.json", "catalog/v1", &applied_at, catalog::write)?;
    files.write("run_results.json", "run-results/v6", &applied_at, results::run_results)?;
    files.write("sources.json", "sources/v3", &applied_at, results::sources)?;
    let told = |count: usize| format!("{count} nodes are defined and not built, which these files can't say");
    let mut left_out = vec![LEFT_OUT.to_owned()];
    left_out.extend((unbuilt > 0).then(|| told(unbuilt)));
    Ok(left_out)
}

/// What tells our files from dbt's own, in their part `metadata`.
pub(crate) const MARK: &str = "LINEAGED_VERSION";

struct Files<'a> {
    scope: &'a Scope<'a>,
    create: Create<'a>,
}

impl Files<'_> {
    /// Writes a file with its part `metadata`, and what else `fill` writes.
    fn write<T>(
        &self,
        name: &str,
        schema: &str,
        at: &str,
        fill: impl FnOnce(&Scope<'_>, &mut Members<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut out = (self.create)(name)?;
        let mut members = Members::begin(&mut *out)?;
        members.add("metadata", &self.metadata(schema, at))?;
        let filled = fill(self.scope, &mut members)?;
        members.end()?;
        out.flush()?;
        Ok(filled)
    }

    fn metadata(&self, schema: &str, at: &str) -> Value {
        let scope = self.scope;
        let id = format!("dbt://{}/{}", scope.name, scope.moment);
        let mut metadata = json!({
            "dbt_schema_version": format!("https://schemas.getdbt.com/dbt/{schema}.json"), "generated_at": at,
            "invocation_id": Uuid::new_v5(&Uuid::NAMESPACE_URL, id.as_bytes()).to_string(), "env": {MARK: env!("CARGO_PKG_VERSION")},
        });
        if schema.starts_with("manifest") {
            metadata["project_name"] = scope.project.clone().into();
            metadata["adapter_type"] = Some(scope.adapter.as_str()).filter(|text| !text.is_empty()).into();
        }
        metadata
    }
}

/// The members of a row, under dbt's names for them; what is unknown is left out, since dbt's reader takes no null where it knows a default.
fn members<'n>(row: Row<'_>, names: impl IntoIterator<Item = (&'n str, &'n str)>) -> Map<String, Value> {
    let known = names.into_iter().filter(|(_, column)| !row.get(column).is_null());
    known.map(|(key, column)| (key.to_owned(), row.get(column).clone())).collect()
}

//! What OpenLineage's facets say of a node. What is unknown has no facet.

use serde_json::{Map, Value, json};

use super::{PRODUCER, Teller};
use crate::answers::Row;
use crate::export::scope::{COLUMNS, Part, owners};

/// A facet with the schema that describes it.
pub(super) fn facet(version: &str, name: &str, mut members: Value) -> Value {
    if let Value::Object(members) = &mut members {
        members.insert("_producer".to_owned(), PRODUCER.into());
        let schema = format!("https://openlineage.io/spec/facets/{version}/{name}.json#/$defs/{name}");
        members.insert("_schemaURL".to_owned(), schema.into());
    }
    members
}

/// Facets, each under its name, of those that have something to say.
fn named<const N: usize>(facets: [(&str, Option<Value>); N]) -> Map<String, Value> {
    facets.into_iter().filter_map(|(name, facet)| Some((name.to_owned(), facet?))).collect()
}

/// What is said of the relation of a node.
pub(super) fn dataset_facets(teller: &Teller<'_>, part: &Part<'_>) -> Map<String, Value> {
    let row = part.row;
    let symlink = json!({"namespace": teller.jobs, "name": part.id, "type": "TABLE"});
    named([
        ("schema", schema(part)),
        ("documentation", documentation(row, "DocumentationDatasetFacet")),
        ("ownership", ownership(row, "OwnershipDatasetFacet")),
        ("tags", tags(row, part.all(COLUMNS), "TagsDatasetFacet")),
        ("datasetType", Some(dataset_type(row))),
        ("symlinks", Some(facet("1-0-1", "SymlinksDatasetFacet", json!({"identifiers": [symlink]})))),
    ])
}

/// What is said of the job that builds a node.
pub(super) fn job_facets(teller: &Teller<'_>, part: &Part<'_>) -> Map<String, Value> {
    let row = part.row;
    let kind = row.str("resource_type").to_uppercase();
    let job_type = json!({"processingType": "BATCH", "integration": "DBT", "jobType": kind});
    let is_sql = part.code("language") != Some("python");
    let sql = part.code("compiled_code").filter(|_| is_sql).map(|code| {
        let dialect = teller.scope.adapter.as_str();
        facet("1-1-0", "SQLJobFacet", json!({"query": code, "dialect": dialect}))
    });
    named([
        ("jobType", Some(facet("2-0-4", "JobTypeJobFacet", job_type))),
        ("sql", sql),
        ("documentation", documentation(row, "DocumentationJobFacet")),
        ("ownership", ownership(row, "OwnershipJobFacet")),
        ("tags", tags(row, &[], "TagsJobFacet")),
        ("sourceCodeLocation", source_code(teller, row)),
    ])
}

fn schema(part: &Part<'_>) -> Option<Value> {
    // What is declared and not in the warehouse is no column of the relation.
    let there = part.all(COLUMNS).iter().filter(|row| row.int("in_warehouse") != Some(0));
    let field = |row: &Row<'_>| {
        let said = [
            ("name", Value::from(row.str("name"))),
            ("type", row.get("data_type").clone()),
            ("description", row.get("description").clone()),
            ("ordinal_position", row.get("position").clone()),
        ];
        said.into_iter().filter(|(_, it)| !it.is_null()).map(|(key, it)| (key.to_owned(), it)).collect::<Map<_, _>>()
    };
    let fields: Vec<Map<String, Value>> = there.map(field).collect();
    (!fields.is_empty()).then(|| facet("1-2-0", "SchemaDatasetFacet", json!({"fields": fields})))
}

fn documentation(row: Row<'_>, name: &str) -> Option<Value> {
    let text = row.text("description")?;
    Some(facet("1-1-0", name, json!({"description": text, "contentType": "text/markdown"})))
}

fn ownership(row: Row<'_>, name: &str) -> Option<Value> {
    let owners: Vec<Value> = owners(row).into_iter().map(|owner| json!({"name": owner, "type": "OWNER"})).collect();
    (!owners.is_empty()).then(|| facet("1-0-1", name, json!({"owners": owners})))
}

fn tags(row: Row<'_>, columns: &[Row<'_>], name: &str) -> Option<Value> {
    let tag = |tag: String| json!({"key": tag, "value": "true", "source": "DBT"});
    let own = row.json::<Vec<String>>("tags").into_iter().map(tag);
    let of_columns = columns.iter().flat_map(|column| {
        let field = column.str("name").to_owned();
        column
            .json::<Vec<String>>("tags")
            .into_iter()
            .map(move |tag| json!({"key": tag, "value": "true", "source": "DBT", "field": field}))
    });
    let tags: Vec<Value> = own.chain(of_columns).collect();
    (!tags.is_empty()).then(|| facet("1-0-0", name, json!({"tags": tags})))
}

/// A view, or a table; of a source the warehouse tells, of what is built the way in which it is.
fn dataset_type(row: Row<'_>) -> Value {
    let properties: Value = row.json("properties");
    let told = properties["relation_type"].as_str().or(row.text("materialization")).unwrap_or_default().to_lowercase();
    let is_kept = told.contains("materialized") || told.contains("dynamic");
    let members = match told.contains("view") {
        true if is_kept => json!({"datasetType": "VIEW", "subType": "MATERIALIZED"}),
        true => json!({"datasetType": "VIEW"}),
        false => json!({"datasetType": "TABLE"}),
    };
    facet("1-0-1", "DatasetTypeDatasetFacet", members)
}

fn source_code(teller: &Teller<'_>, row: Row<'_>) -> Option<Value> {
    let mut members = json!({"type": "git", "url": teller.scope.address(row)?, "path": row.str("file_path")});
    if let Some(sha) = &teller.scope.git_sha {
        members["version"] = sha.as_str().into();
    }
    Some(facet("1-1-0", "SourceCodeLocationJobFacet", members))
}

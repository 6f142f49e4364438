//! Metadata change proposals, a list that DataHub's file source reads. All of it is said of datasets of the platform `dbt`, each of which
//! is a sibling of the warehouse's, as DataHub's own dbt source has it: what others say of the warehouse's is not written over.

use std::io::Write;

use serde_json::{Map, Value, json};

use super::Error;
use super::between::{ColumnOf, Kind};
use super::scope::{CODE, COLUMNS, LINEAGE, PARENTS, Part, RELATIONS, Scope, owners};
use crate::answers::Row;
use crate::output;

/// How the warehouse's own datasets are named in DataHub: else they appear twice there.
#[derive(Debug, Clone)]
pub(crate) struct DataHub {
    /// The instance of the warehouse, where DataHub knows several.
    pub(crate) platform_instance: Option<String>,
    /// DataHub's word for what stage the data are of.
    pub(crate) env: String,
    /// Whether names of datasets and columns are in small letters.
    pub(crate) lowercase: bool,
}

/// Writes a list of proposals about some environments.
///
/// # Errors
/// If the catalog can't answer, or `out` can't be written to.
pub(crate) fn datahub(scopes: &[Scope<'_>], how: &DataHub, out: &mut dyn Write) -> Result<(), Error> {
    let mut separator = "[\n";
    let mut write = |proposal: &Value| -> Result<(), Error> {
        out.write_all(std::mem::replace(&mut separator, ",\n").as_bytes())?;
        Ok(output::write_value(proposal, out)?)
    };
    for scope in scopes {
        let teller = Teller { scope, how };
        scope.each(&RELATIONS, &[COLUMNS, CODE, PARENTS, LINEAGE], &mut |part| {
            teller.of(part).iter().try_for_each(&mut write)
        })?;
        for (_, name) in scope.gone.values() {
            write(&proposal(&teller.urn(name), "status", json!({"removed": true})))?;
        }
    }
    let end = if separator == "[\n" { "[]\n" } else { "\n]\n" };
    Ok(out.write_all(end.as_bytes())?)
}

fn proposal(urn: &str, aspect: &str, value: Value) -> Value {
    json!({
        "entityType": "dataset", "entityUrn": urn, "changeType": "UPSERT", "aspectName": aspect, "aspect": {"json": value},
    })
}

struct Teller<'a> {
    scope: &'a Scope<'a>,
    how: &'a DataHub,
}

impl Teller<'_> {
    fn cased(&self, name: &str) -> String {
        if self.how.lowercase { name.to_lowercase() } else { name.to_owned() }
    }

    fn dataset(&self, platform: &str, name: &str) -> String {
        format!("urn:li:dataset:(urn:li:dataPlatform:{platform},{},{})", escaped(&self.cased(name)), self.how.env)
    }

    fn urn(&self, name: &str) -> String {
        self.dataset("dbt", name)
    }

    /// The warehouse's own dataset.
    fn sibling(&self, name: &str) -> String {
        let platform = match self.scope.adapter.as_str() {
            "sqlserver" | "synapse" | "fabric" => "mssql",
            adapter => adapter,
        };
        match &self.how.platform_instance {
            Some(instance) => self.dataset(platform, &format!("{instance}.{name}")),
            None => self.dataset(platform, name),
        }
    }

    fn of(&self, part: &Part<'_>) -> Vec<Value> {
        let Some(name) = self.scope.own_relation(part) else { return Vec::new() };
        let (row, urn) = (part.row, self.urn(name));
        let aspects = [
            ("datasetProperties", Some(self.properties(row, part.id, name))),
            ("status", Some(json!({"removed": false}))),
            ("subTypes", Some(json!({"typeNames": [capitalized(row.str("resource_type"))]}))),
            ("siblings", Some(json!({"primary": true, "siblings": [self.sibling(name)]}))),
            ("ownership", ownership(row)),
            ("globalTags", tags(row)),
            ("schemaMetadata", self.schema(part)),
            ("viewProperties", view(part)),
            ("upstreamLineage", self.lineage(part, name)),
        ];
        aspects.into_iter().filter_map(|(aspect, value)| Some(proposal(&urn, aspect, value?))).collect()
    }

    fn properties(&self, row: Row<'_>, id: &str, name: &str) -> Value {
        let facts = ["resource_type", "package_name", "file_path", "materialization", "access", "layer", "version"];
        let facts = facts.into_iter().filter_map(|fact| Some((fact, row.text(fact)?)));
        let facts = facts.chain([("unique_id", id)]).map(|(fact, text)| (format!("dbt_{fact}"), Value::from(text)));
        let mut properties = json!({
            "name": row.str("name"), "qualifiedName": name, "customProperties": facts.collect::<Map<_, _>>(), "tags": [],
        });
        for (key, value) in
            [("description", row.text("description")), ("externalUrl", self.scope.address(row).as_deref())]
        {
            if let Some(value) = value {
                properties[key] = value.into();
            }
        }
        properties
    }

    fn schema(&self, part: &Part<'_>) -> Option<Value> {
        let there = part.all(COLUMNS).iter().filter(|row| row.int("in_warehouse") != Some(0));
        let fields: Vec<Value> = there.map(|column| self.field(*column)).collect();
        (!fields.is_empty()).then(|| {
            json!({
                "schemaName": part.row.str("name"), "platform": "urn:li:dataPlatform:dbt", "version": 0, "hash": "",
                "platformSchema": {"com.linkedin.schema.OtherSchema": {"rawSchema": ""}}, "fields": fields,
            })
        })
    }

    fn field(&self, column: Row<'_>) -> Value {
        let native = column.text("data_type").unwrap_or("unknown");
        let kind = format!("com.linkedin.schema.{}Type", type_of(native));
        let mut field = json!({
            "fieldPath": self.cased(column.str("name")), "nativeDataType": native, "type": {"type": {kind: {}}}, "nullable": true,
        });
        if let Some(text) = column.text("description").or(column.text("comment")) {
            field["description"] = text.into();
        }
        if let Some(tags) = tags(column) {
            field["globalTags"] = tags;
        }
        field
    }

    fn lineage(&self, part: &Part<'_>, name: &str) -> Option<Value> {
        let inputs = self.scope.inputs(part);
        if inputs.is_empty() {
            return None;
        }
        let stamp = json!({"time": 0, "actor": "urn:li:corpuser:unknown"});
        let upstreams = inputs.iter().filter_map(|id| self.scope.relation(id));
        let upstreams: Vec<Value> = upstreams
            .map(|name| json!({"dataset": self.urn(name), "type": "TRANSFORMED", "auditStamp": stamp}))
            .collect();
        let origins = self.scope.between.origins(part.all(LINEAGE));
        let mut fine = Vec::new();
        for (column, origins) in &origins {
            let known = origins.iter().filter_map(|(column, (kind, _))| Some((self.column(column)?, *kind)));
            let (columns, kinds): (Vec<String>, Vec<Kind>) = known.unzip();
            if let Some(kind) = kinds.into_iter().max() {
                fine.push(json!({
                    "upstreamType": "FIELD_SET", "upstreams": columns, "downstreamType": "FIELD",
                    "downstreams": [self.field_urn(name, column)], "transformOperation": format!("{kind:?}").to_uppercase(),
                    "confidenceScore": 1.0,
                }));
            }
        }
        Some(json!({"upstreams": upstreams, "fineGrainedLineages": fine}))
    }

    fn column(&self, (id, column): &ColumnOf) -> Option<String> {
        Some(self.field_urn(self.scope.relation(id)?, column))
    }

    fn field_urn(&self, name: &str, column: &str) -> String {
        format!("urn:li:schemaField:({},{})", self.urn(name), escaped(&self.cased(column)))
    }
}

/// A name as a part of an URN, in which some signs have a meaning.
fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace(',', "%2C").replace('(', "%28").replace(')', "%29")
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// An address is a user's, any other name a group's.
fn ownership(row: Row<'_>) -> Option<Value> {
    let owner = |name: &str| {
        let kind = if name.contains('@') && !name.starts_with('@') { "corpuser" } else { "corpGroup" };
        json!({"owner": format!("urn:li:{kind}:{}", escaped(name)), "type": "DATAOWNER"})
    };
    let owners: Vec<Value> = owners(row).into_iter().map(owner).collect();
    let stamp = json!({"time": 0, "actor": "urn:li:corpuser:unknown"});
    (!owners.is_empty()).then(|| json!({"owners": owners, "lastModified": stamp}))
}

/// Tags, with the prefix that DataHub's own dbt source gives them.
fn tags(row: Row<'_>) -> Option<Value> {
    let tags = row.json::<Vec<String>>("tags").into_iter();
    let tags: Vec<Value> = tags.map(|tag| json!({"tag": format!("urn:li:tag:dbt:{}", escaped(&tag))})).collect();
    (!tags.is_empty()).then(|| json!({"tags": tags}))
}

fn view(part: &Part<'_>) -> Option<Value> {
    let raw = part.code("raw_code").filter(|_| part.code("language") != Some("python"))?;
    let is_kept = !part.row.str("materialization").contains("view");
    let mut view = json!({"materialized": is_kept, "viewLanguage": "SQL", "viewLogic": raw});
    if let Some(compiled) = part.code("compiled_code") {
        view["formattedViewLogic"] = compiled.into();
    }
    Some(view)
}

/// DataHub's word for a type of a warehouse, by how most of them name it.
fn type_of(native: &str) -> &'static str {
    let native = native.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| native.contains(word));
    match () {
        () if has(&["array", "[]"]) => "Array",
        () if has(&["struct", "record", "map", "object", "variant", "json"]) => "Record",
        () if has(&["bool"]) => "Boolean",
        () if has(&["timestamp", "datetime", "time"]) => "Time",
        () if native == "date" => "Date",
        () if has(&["int", "num", "dec", "float", "double", "real", "serial", "money"]) => "Number",
        () if has(&["binary", "blob", "byte"]) => "Bytes",
        () if has(&["char", "text", "string", "uuid"]) => "String",
        () => "Null",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_of_a_warehouse_is_one_of_datahubs() {
        for (native, kind) in [
            ("BIGINT", "Number"),
            ("NUMBER(38,0)", "Number"),
            ("character varying(256)", "String"),
            ("TIMESTAMP_NTZ(9)", "Time"),
            ("DATE", "Date"),
            ("ARRAY<STRUCT<a INT64>>", "Array"),
            ("VARIANT", "Record"),
            ("GEOGRAPHY", "Null"),
        ] {
            assert_eq!(type_of(native), kind, "{native}");
        }
    }

    #[test]
    fn no_name_breaks_an_urn() {
        assert_eq!(escaped("a,b(c)%"), "a%2Cb%28c%29%25");
    }
}

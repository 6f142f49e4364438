//! catalog.json: what the warehouse has.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::files::Parse;
use super::json::{EachSeed, Fit, Misfits, Raw};
use super::metadata::Metadata;
use crate::inventory::{Column, Json, Pool, ResourceType, Told, UniqueId, merged_columns, shape};
use crate::origin::draft::{Draft, prose, text, without_nulls};
use crate::time::Timestamp;

/// Gives nodes what a catalog knows of them, where no newer one has named them.
pub(super) struct CatalogParser<'a> {
    pub at: Option<Timestamp>,
    pub drafts: &'a mut BTreeMap<UniqueId, Draft>,
    pub told: &'a mut Told,
    pub misfits: &'a mut Misfits,
    pub pool: &'a mut Pool,
    pub warnings: &'a mut Vec<String>,
    /// Whom it has told of.
    pub applied: Vec<UniqueId>,
}

fn wanted(key: &str) -> Option<&'static str> {
    ["columns", "metadata", "stats"].into_iter().find(|known| *known == key)
}

impl Parse for CatalogParser<'_> {
    type Out = ();

    fn parse<'de, D: Deserializer<'de>>(&mut self, json: D) -> Result<(), D::Error> {
        self.forget();
        json.deserialize_map(Sections(self))
    }
}

struct Sections<'p, 'a>(&'p mut CatalogParser<'a>);

impl<'de> Visitor<'de> for Sections<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a catalog")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "nodes" | "sources" => {
                    let mut each = |id: String, raw: Raw| {
                        self.0.apply(UniqueId::from(id), raw);
                        true
                    };
                    map.next_value_seed(EachSeed { wanted, each: &mut each })?;
                }
                "metadata" => self.0.at = Metadata::of(&map.next_value()?).generated_at,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

impl CatalogParser<'_> {
    /// Takes back what a try before this one has told, which broke off.
    fn forget(&mut self) {
        for id in self.applied.drain(..) {
            self.told.catalogued.remove(&id);
            if let Some(draft) = self.drafts.get_mut(&id) {
                draft.node.columns.retain(|column| column.is_declared == Some(true));
                for column in &mut draft.node.columns {
                    (column.position, column.in_warehouse) = (None, None);
                    (column.data_type, column.comment) = (None, None);
                }
            }
        }
    }

    fn apply(&mut self, id: UniqueId, mut raw: Raw) {
        let is_told = self.told.catalogued.contains_key(&id);
        let Some(draft) = self.drafts.get_mut(&id).filter(|_| !is_told) else { return };
        self.told.built.entry(id.clone()).or_insert(self.at);
        let node = &mut draft.node;
        // It is in no warehouse, whatever an older catalog says.
        if node.materialization.as_deref() == Some("ephemeral") {
            return;
        }
        let mut fit = Fit { id: id.as_str(), misfits: self.misfits };
        let warehouse = columns(raw.take("columns"), &mut fit, self.warnings);
        node.columns = merged_columns(warehouse, std::mem::take(&mut node.columns));
        if node.resource_type != ResourceType::External
            && let Value::Object(mut properties) = node.properties.value()
        {
            let mut metadata = raw.take("metadata");
            for (name, key) in [("relation_type", "type"), ("relation_owner", "owner"), ("relation_comment", "comment")]
            {
                let value = metadata.get_mut(key).map(Value::take).unwrap_or_default();
                if let Some(value) = text(fit.text(key, value)) {
                    properties.insert(name.to_owned(), (&*value).into());
                }
            }
            let stats = match raw.take("stats") {
                Value::Object(stats) => stats.into_iter().filter_map(|(_, stat)| statistic(stat)).collect(),
                _ => Vec::new(),
            };
            properties.insert("stats".to_owned(), Value::Array(stats));
            node.properties = Json::new(&Value::Object(properties));
        }
        self.pool.share_node(node);
        self.told.catalogued.insert(id.clone(), self.at);
        self.applied.push(id);
    }
}

fn columns(given: Value, fit: &mut Fit<'_>, warnings: &mut Vec<String>) -> Vec<Column> {
    let Value::Object(given) = given else { return Vec::new() };
    let mut names = BTreeSet::new();
    let mut columns = Vec::new();
    for (key, mut column) in given {
        let mut part = |key: &str| column.get_mut(key).map(Value::take).unwrap_or_default();
        let name = match part("name") {
            Value::String(name) => name,
            _ => key,
        };
        let Some(name) = text(Some(name)) else {
            warnings.push(format!("a column of `{}` has no name: it is left out", fit.id));
            continue;
        };
        if !names.insert(name.clone()) {
            warnings.push(format!("the column `{name}` of `{}` came twice: the first is kept", fit.id));
            continue;
        }
        let (index, data_type, comment) = (part("index"), part("type"), part("comment"));
        columns.push(Column {
            name,
            position: fit.integer("index", &index),
            data_type: text(fit.text("type", data_type)),
            comment: prose(fit.text("comment", comment)),
            in_warehouse: Some(true),
            ..Column::default()
        });
    }
    columns
}

/// A statistic with the types of its schema: old adapters write numbers where it has booleans.
fn statistic(mut stat: Value) -> Option<Value> {
    let stat = stat.as_object_mut()?;
    let mut kept = Map::new();
    for key in ["id", "label", "value", "description", "include"] {
        let value = stat.remove(key).unwrap_or_default();
        let value = match shape::float(&value) {
            Some(number) if key == "include" => (number != 0.0).into(),
            _ => value,
        };
        kept.insert(key.to_owned(), value);
    }
    Some(without_nulls(Value::Object(kept)))
}

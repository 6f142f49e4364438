//! Where the columns of a relation come from, and which columns shape its rows.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Teller;
use super::facets::facet;
use crate::export::between::{ColumnOf, Kind, Origins};
use crate::export::scope::{LINEAGE, Part, USES};

impl Teller<'_> {
    /// The facet `columnLineage`, if anything is known.
    pub(super) fn column_lineage(&self, part: &Part<'_>) -> Map<String, Value> {
        let between = &self.scope.between;
        let fields: Map<String, Value> = between
            .origins(part.all(LINEAGE))
            .into_iter()
            .map(|(name, origins)| (name, json!({"inputFields": self.direct(&origins)})))
            .filter(|(_, field)| field["inputFields"] != json!([]))
            .collect();
        let dataset = self.indirect(part);
        if fields.is_empty() && dataset.is_empty() {
            return Map::new();
        }
        let mut members = json!({"fields": fields});
        if !dataset.is_empty() {
            members["dataset"] = dataset.into();
        }
        [("columnLineage".to_owned(), facet("1-2-0", "ColumnLineageDatasetFacet", members))].into_iter().collect()
    }

    fn direct(&self, origins: &Origins) -> Vec<Value> {
        let input = |(column, (kind, expression)): (&ColumnOf, &(Kind, Option<String>))| {
            let subtype = match kind {
                Kind::Passthrough | Kind::Rename => "IDENTITY",
                Kind::Transformation => "TRANSFORMATION",
                Kind::Aggregation => "AGGREGATION",
            };
            let mut step = json!({"type": "DIRECT", "subtype": subtype});
            if let Some(expression) = expression {
                step["description"] = expression.as_str().into();
            }
            self.input_field(column, vec![step])
        };
        origins.iter().filter_map(input).collect()
    }

    /// What shapes the rows. A column that is only read has no part in that.
    fn indirect(&self, part: &Part<'_>) -> Vec<Value> {
        let mut columns: BTreeMap<ColumnOf, Vec<Value>> = BTreeMap::new();
        for (column, clause) in self.scope.between.uses(part.all(USES), part.parents()) {
            let subtype = match clause.as_str() {
                "join" => "JOIN",
                "group" => "GROUP_BY",
                "order" => "SORT",
                "filter" | "having" | "set" => "FILTER",
                _ => continue,
            };
            let (steps, step) = (columns.entry(column).or_default(), json!({"type": "INDIRECT", "subtype": subtype}));
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
        columns.into_iter().filter_map(|(column, steps)| self.input_field(&column, steps)).collect()
    }

    fn input_field(&self, (id, field): &ColumnOf, transformations: Vec<Value>) -> Option<Value> {
        let name = self.scope.relation(id)?;
        Some(json!({"namespace": self.namespace, "name": name, "field": field, "transformations": transformations}))
    }
}

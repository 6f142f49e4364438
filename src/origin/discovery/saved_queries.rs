//! Saved queries, which only the definition state has.

use serde_json::{Value, json};

use crate::inventory::ResourceType;
use crate::origin::discovery::read::fields::{begin, parents};
use crate::origin::discovery::read::page::document;
use crate::origin::discovery::read::scalars::number;
use crate::origin::draft::{Draft, Properties, text, without_nulls};

document!(
    DefinitionSavedQueries,
    "queries/saved_queries.graphql",
    definition_saved_queries,
    "saved queries",
    definition.saved_queries(),
    draft
);

fn draft(item: definition_saved_queries::Item) -> Draft {
    let mut draft = begin!(item, ResourceType::SavedQuery, None);
    let mut properties = Properties::default();
    parents!(draft, item, definition_saved_queries);
    draft.package(item.package_name, item.fqn);
    draft.node.group_name = text(item.group);
    let params = item.query_params;
    let filters = params.where_.map(|filter| {
        let filters = filter.where_filters.into_iter();
        let filters = filters.map(|filter| json!({"where_sql_template": filter.where_sql_template}));
        json!({"where_filters": filters.collect::<Value>()})
    });
    let params = json!({
        "metrics": params.metrics,
        "group_by": params.group_by,
        "order_by": params.order_by,
        "limit": number(params.limit),
        "where": filters,
    });
    properties.value("query_params", without_nulls(params));
    let exports = item.exports.into_iter().map(|export| {
        let config = export.config.map(|config| {
            let (alias, database, schema) = (config.alias, config.database, config.schema);
            without_nulls(
                json!({"alias": alias, "database": database, "schema": schema, "export_as": config.export_as}),
            )
        });
        without_nulls(json!({"name": export.name, "config": config}))
    });
    properties.value("exports", exports.collect::<Value>());
    draft.node.properties = properties.json();
    draft
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::from_value;

    #[test]
    fn a_saved_query_keeps_what_it_asks_and_exports() {
        let item = json!({
            "uniqueId": "saved_query.shop.q", "name": "q", "description": null, "filePath": "m.yml", "packageName": "shop",
            "group": null, "fqn": ["shop", "q"], "tags": [], "meta": {}, "parents": [],
            "queryParams": {"groupBy": ["a"], "limit": "5", "metrics": ["m"], "orderBy": null,
                "where": {"whereFilters": [{"whereSqlTemplate": "x > 1"}]}},
            "exports": [{"name": "e", "config": {"alias": null, "database": null, "exportAs": "table", "schema": "s"}}]
        });
        let draft = draft(from_value(item).expect("a saved query"));
        let expected = json!({
            "query_params": {"metrics": ["m"], "group_by": ["a"], "limit": 5, "where": {"where_filters": [{"where_sql_template": "x > 1"}]}},
            "exports": [{"name": "e", "config": {"schema": "s", "export_as": "table"}}]
        });
        assert_eq!(draft.node.properties.value(), expected);
    }
}

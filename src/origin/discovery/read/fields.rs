//! What several resource types have in common, of answers whose generated types differ by document alone.

/// What every resource type has: name, description, path, tags and meta.
macro_rules! begin {
    ($item:ident, $kind:expr, $is_applied:expr) => {{
        let mut draft = $crate::origin::draft::Draft::new($item.unique_id, $kind, $is_applied);
        draft.node.name = $crate::origin::draft::text($item.name);
        draft.node.description = $crate::origin::draft::prose($item.description);
        draft.node.file_path = $crate::origin::draft::path(Some($item.file_path)).map(Into::into);
        draft.node.tags = Some($crate::origin::draft::list($item.tags));
        draft.meta($item.meta);
        draft
    }};
}

/// Where the relation is in the warehouse.
macro_rules! relation {
    ($draft:ident, $item:ident, $identifier:ident) => {
        $draft.node.database_name = $crate::origin::draft::database($item.database);
        $draft.node.schema_name = $crate::origin::draft::text($item.schema);
        $draft.node.identifier = $crate::origin::draft::text($item.$identifier);
    };
}

/// Parents in the API's order, without macros.
macro_rules! parents {
    ($draft:ident, $item:ident, $module:ident) => {
        for parent in $item.parents {
            match parent.on {
                $module::ParentOn::MacroDefinitionNestedNode(_) => {}
                $module::ParentOn::ExternalModelNode(external) => $draft.external($crate::inventory::Node {
                    name: $crate::origin::draft::text(external.name),
                    package_name: $crate::origin::draft::text(external.package_name)
                        .or($crate::origin::draft::text(external.dbt_project_name)),
                    description: $crate::origin::draft::text(external.description),
                    ..$crate::inventory::Node::new(
                        $crate::origin::draft::clean(parent.unique_id),
                        $crate::inventory::ResourceType::External,
                    )
                }),
                _ => $draft.node.parents.push($crate::origin::draft::clean(parent.unique_id).into()),
            }
        }
    };
}

/// The tests that a node lists.
macro_rules! tests {
    ($draft:ident, $item:ident) => {
        $draft.tests =
            $item.tests.into_iter().map(|test| $crate::origin::draft::clean(test.unique_id).into()).collect();
    };
}

macro_rules! last_run {
    ($draft:ident, $info:expr) => {{
        let info = $info;
        let status = $draft.status(info.last_run_status);
        $crate::inventory::LastRun {
            status: status.clone(),
            attempt: status,
            at: $crate::origin::draft::time(info.last_run_generated_at),
            error: $crate::origin::draft::text(info.last_run_error),
            run_id: $crate::origin::discovery::read::scalars::run(info.last_run_id),
            job_id: $crate::origin::discovery::read::scalars::number(info.last_job_definition_id),
            failures: None,
            executed_at: $crate::origin::draft::time(info.execute_completed_at),
            execution_seconds: info.execution_time,
            success_run_id: $crate::origin::discovery::read::scalars::run(info.last_success_run_id),
        }
    }};
}

macro_rules! catalog {
    ($draft:ident, $item:ident, $properties:ident) => {
        let catalog = $item.catalog.map(|catalog| $crate::origin::draft::Catalog {
            relation_type: catalog.type_,
            owner: catalog.owner,
            comment: catalog.comment,
            stats: catalog.stats.map(|stats| {
                let stats = stats.into_iter().flatten();
                stats
                    .map(|stat| {
                        $crate::origin::draft::without_nulls(serde_json::json!({
                            "id": stat.id,
                            "label": stat.label,
                            "value": stat.value,
                            "description": stat.description,
                            "include": stat.include,
                        }))
                    })
                    .collect()
            }),
            columns: catalog.columns.map(|columns| {
                let columns = columns.into_iter();
                columns
                    .map(|column| $crate::origin::draft::CatalogColumn {
                        name: column.name,
                        index: column.index,
                        data_type: column.type_,
                        description: column.description,
                        comment: column.comment,
                        tags: column.tags,
                        meta: column.meta,
                    })
                    .collect()
            }),
        });
        $draft.catalog(catalog, &mut $properties);
    };
}

pub(crate) use {begin, catalog, last_run, parents, relation, tests};

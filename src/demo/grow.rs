//! Projects grown to a size at which speed can be measured, from one that is real: its nodes copied until there are so many models, then
//! given the tests, sources, columns and code that projects of that size have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use super::changes::{copy_of, new_column};
use super::project::{Project, tested};
use crate::inventory::{Code, Column, FreshnessCheck, Json, Node, ResourceType, UniqueId};

/// Tests for each two models.
const TESTS_FOR_TWO: usize = 3;
/// Columns of each model and of each added source.
const COLUMNS: (usize, usize) = (15, 5);
/// Characters of a model's code at least, on the average: that of a middling real project.
const CODE: usize = 1_800;
/// How many models at least, and how many copies, stand in one row where copies are chained: some 300 pairs for each model.
const ROW: (usize, usize) = (500, 3);
/// How many edges hang a copy to the first one where they are not.
const EDGES_TO_THE_FIRST: usize = 3;

/// How large a project becomes, and how its copies hang together.
#[derive(Debug, Clone, Copy)]
pub struct Growth {
    /// How many models there shall be: as many as the sample has, or more.
    pub models: usize,
    /// How many sources there shall be for each model; most are read by none, as in real projects.
    pub sources_per_model: usize,
    /// Whether copies stand on one another, in rows, so that many pairs are connected; else each hangs to the first
    /// one by a few edges.
    pub is_deep: bool,
}

/// What is known of the sample before it grows.
struct Sample {
    nodes: Vec<Node>,
    /// The models, parents before children.
    models: Vec<UniqueId>,
    /// Models without a parent, those with the most descendants first.
    roots: Vec<UniqueId>,
    /// Models without a child among the models, those with the most ancestors first.
    leaves: Vec<UniqueId>,
}

impl Project {
    /// Grows the project to this size. Copies are called `__2`, `__3`, …; the last is cut so that the number of models is exact.
    pub fn grow_to(&mut self, growth: &Growth) {
        let sample = Sample::of(self);
        let copies = growth.models.div_ceil(sample.models.len().max(1));
        let row = (ROW.0 / sample.models.len().max(1)).max(ROW.1);
        for copy in 2..=copies {
            let whole = sample.models.len();
            let kept = if copy == copies { growth.models - whole * (copies - 1) } else { whole };
            self.add_copy(&sample, copy, kept);
            match growth.is_deep {
                true if copy % row != 1 => self.hang(&sample.leaves[0], copy - 1, &sample.roots[0], copy),
                true => {}
                false => {
                    let pairs = sample.roots.iter().zip(sample.leaves.iter().rev());
                    pairs.take(EDGES_TO_THE_FIRST).for_each(|(root, leaf)| self.hang(root, 1, leaf, copy));
                }
            }
        }
        self.fill_models();
        self.fill_tests(growth.models * TESTS_FOR_TWO / 2);
        self.fill_sources(growth.models * growth.sources_per_model);
    }

    fn of_kind(&self, kind: ResourceType) -> Vec<UniqueId> {
        let nodes = self.inventory.nodes.values().filter(|node| node.resource_type == kind);
        nodes.map(|node| node.unique_id.clone()).collect()
    }

    fn add_copy(&mut self, sample: &Sample, copy: usize, kept_models: usize) {
        let cut: BTreeSet<&UniqueId> = sample.models[kept_models..].iter().collect();
        let is_kept = |node: &&Node| !cut.contains(&node.unique_id) && !tested(node).iter().any(|id| cut.contains(id));
        let suffix = format!("__{copy}");
        for node in sample.nodes.iter().filter(is_kept) {
            let mut original = node.clone();
            original.parents.retain(|parent| !cut.contains(parent));
            let mut node = copy_of(&original, &suffix, &|id| self.is_listed(id.as_str()));
            // Nobody's project holds the same code a hundred times; and what is compiled reads the copies of what it read.
            for code in [&mut node.raw_code, &mut node.compiled_code].into_iter().flatten() {
                *code = self.code_like(code, &format!("\n-- copy {copy}"));
            }
            if let Some(code) = &node.compiled_code {
                let text = self.text(Some(code)).map(ToString::to_string).unwrap_or_default();
                node.compiled_code = Some(self.keep(&sample.renamed(&text, &original, &suffix)));
            }
            self.inventory.nodes.insert(node.unique_id.clone(), node.into());
        }
    }

    fn code_like(&mut self, code: &Code, more: &str) -> Code {
        let text = self.text(Some(code)).map(ToString::to_string).unwrap_or_default();
        self.keep(&(text + more))
    }

    /// Lets `child` of one copy depend on `parent` of another, where both are there.
    fn hang(&mut self, parent: &UniqueId, parent_copy: usize, child: &UniqueId, child_copy: usize) {
        let (parent, child) = (named(parent, parent_copy), named(child, child_copy));
        if !self.inventory.nodes.contains_key(parent.as_str()) {
            return;
        }
        if let Some(node) = self.inventory.nodes.get_mut(child.as_str()).map(Arc::make_mut) {
            node.parents.push(parent);
            node.normalize();
        }
    }

    /// Gives each model its columns, and code of a real length where the sample has little.
    fn fill_models(&mut self) {
        let models = self.of_kind(ResourceType::Model);
        let length = |id: &UniqueId| self.text(self.inventory.nodes[id].raw_code.as_ref()).map_or(0, |text| text.len());
        let missing = CODE.saturating_sub(models.iter().map(length).sum::<usize>() / models.len().max(1));
        for id in models {
            let more = more_code(&id, missing);
            let Some(mut node) = self.inventory.nodes.remove(&id).map(Arc::unwrap_or_clone) else { continue };
            fill_columns(&mut node, COLUMNS.0);
            for code in [&mut node.raw_code, &mut node.compiled_code].into_iter().flatten().filter(|_| missing > 0) {
                *code = self.code_like(code, &more);
            }
            self.inventory.nodes.insert(id, node.into());
        }
    }

    /// Takes tests away, or adds some of columns, until there are so many.
    fn fill_tests(&mut self, wanted: usize) {
        let tests = self.of_kind(ResourceType::Test);
        let unit_tests = self.of_kind(ResourceType::UnitTest).len();
        let surplus = (tests.len() + unit_tests).saturating_sub(wanted);
        for id in tests.iter().rev().take(surplus) {
            self.inventory.nodes.remove(id);
        }
        let models = self.of_kind(ResourceType::Model);
        for number in 0..wanted.saturating_sub(tests.len() + unit_tests) {
            let (model, column) = (&models[number % models.len()], number / models.len());
            let test = self.column_test(model, column);
            self.inventory.nodes.insert(test.unique_id.clone(), test.into());
        }
    }

    fn column_test(&mut self, model: &UniqueId, column: usize) -> Node {
        let (name, column) = (self.inventory.nodes[model].name.clone(), &self.inventory.nodes[model].columns[column]);
        let (name, column) = (name.unwrap_or_else(|| "model".into()), column.name.clone());
        let mut node = self.blank(ResourceType::Test, &format!("grown_not_null_{name}_{column}"), &[model.as_str()]);
        node.raw_code =
            Some(self.keep(&format!("{{{{ test_not_null(model=ref('{name}'), column_name='{column}') }}}}")));
        let compiled = format!("select \"{column}\"\nfrom \"warehouse\".\"{name}\"\nwhere \"{column}\" is null\n");
        node.compiled_code = Some(self.keep(&compiled));
        node.properties = Json::new(&json!({
            "test_type": "generic", "attached_node": model.as_str(), "column_name": column,
            "test_metadata": {"name": "not_null", "kwargs": {"column_name": column}}, "config": {"severity": "ERROR"},
        }));
        self.has_run(&mut node, "pass");
        node
    }

    /// Adds sources until there are so many. The first are read by the models that read nothing.
    fn fill_sources(&mut self, wanted: usize) {
        let models = self.inventory.nodes.values().filter(|node| node.resource_type == ResourceType::Model);
        let mut readers: Vec<UniqueId> =
            models.filter(|node| node.parents.is_empty()).map(|node| node.unique_id.clone()).collect();
        for number in self.of_kind(ResourceType::Source).len()..wanted {
            let source = self.source(number);
            if let Some(reader) = readers.pop().and_then(|id| self.inventory.nodes.get_mut(&id).map(Arc::make_mut)) {
                reader.parents.push(source.unique_id.clone());
            }
            self.inventory.nodes.insert(source.unique_id.clone(), source.into());
        }
    }

    fn source(&self, number: usize) -> Node {
        let (schema, table) = (format!("raw_{}", number / 50), format!("table_{number}"));
        let mut node = self.blank(ResourceType::Source, &format!("{schema}.{table}"), &[]);
        (node.name, node.identifier) = (Some(table.as_str().into()), Some(table.as_str().into()));
        (node.database_name, node.schema_name) = (Some("raw".into()), Some(schema.as_str().into()));
        node.file_path = Some(format!("models/staging/{schema}.yml").into());
        node.description = number.is_multiple_of(2).then(|| format!("Table {number} as its system keeps it.").into());
        let is_checked = number.is_multiple_of(4);
        let mut properties = json!({"source_name": schema, "loader": "fivetran", "freshness_checked": is_checked});
        if is_checked {
            let criteria =
                json!({"warn_after": {"count": 24, "period": "hour"}, "error_after": {"count": 48, "period": "hour"}});
            properties["freshness"] = criteria;
            let (checked_at, max_loaded_at) = (Some(self.clock), Some(self.clock.plus_millis(-3_600_000)));
            node.freshness = FreshnessCheck { status: Some("pass".into()), checked_at, max_loaded_at };
        }
        node.properties = Json::new(&properties);
        fill_columns(&mut node, COLUMNS.1);
        node
    }

    fn has_run(&self, node: &mut Node, status: &str) {
        let run = &mut node.last_run;
        (run.status, run.attempt) = (Some(status.into()), Some(status.into()));
        super::changes::again(node, self.clock, self.run_id);
    }
}

impl Sample {
    /// The code of a copy: what `node` reads is called by the suffix there.
    fn renamed(&self, code: &str, node: &Node, suffix: &str) -> String {
        // They are sorted by their ids.
        let parent = |id: &UniqueId| self.nodes.binary_search_by(|node| node.unique_id.cmp(id)).ok();
        let parents = node.parents.iter().filter_map(parent).map(|place| &self.nodes[place]);
        parents.fold(code.to_owned(), |code, parent| {
            let relation = parent.relation_name.as_deref().and_then(|name| name.strip_suffix('"'));
            let code =
                relation.map_or(code.clone(), |name| code.replace(&format!("{name}\""), &format!("{name}{suffix}\"")));
            let inlined = parent.name.as_deref().map(|name| format!("__dbt__cte__{name}"));
            inlined.map_or(code.clone(), |name| code.replace(&name, &format!("{name}{suffix}")))
        })
    }

    fn of(project: &Project) -> Self {
        let nodes: Vec<Node> = project.of(super::Side::Definition).map(|(_, node)| node.clone()).collect();
        let is_model = |node: &&Node| node.resource_type == ResourceType::Model;
        let by_id: BTreeMap<&UniqueId, &Node> =
            nodes.iter().filter(is_model).map(|node| (&node.unique_id, node)).collect();
        let mut ancestors: BTreeMap<&UniqueId, BTreeSet<&UniqueId>> = BTreeMap::new();
        // Fathoming parents before children, over and over until all are done, costs nothing at a sample's size.
        let mut models: Vec<UniqueId> = Vec::new();
        while models.len() < by_id.len() {
            let before = models.len();
            for (id, node) in &by_id {
                let parents: Vec<&UniqueId> = node.parents.iter().filter(|id| by_id.contains_key(id)).collect();
                if !ancestors.contains_key(id) && parents.iter().all(|parent| ancestors.contains_key(parent)) {
                    let all = parents.iter().flat_map(|parent| ancestors[parent].iter().copied().chain([*parent]));
                    let all: BTreeSet<&UniqueId> = all.collect();
                    ancestors.insert(id, all);
                    models.push((*id).clone());
                }
            }
            if models.len() == before {
                break;
            }
        }
        let descendants = |id: &UniqueId| ancestors.values().filter(|all| all.contains(id)).count();
        let count = |id: &UniqueId| ancestors[id].len();
        let mut roots: Vec<UniqueId> = models.iter().filter(|id| count(id) == 0).cloned().collect();
        let mut leaves: Vec<UniqueId> = models.iter().filter(|id| descendants(id) == 0).cloned().collect();
        roots.sort_by_key(|id| std::cmp::Reverse(descendants(id)));
        leaves.sort_by_key(|id| std::cmp::Reverse(count(id)));
        drop(ancestors);
        Self { models, roots, leaves, nodes }
    }
}

fn named(id: &UniqueId, copy: usize) -> UniqueId {
    if copy == 1 { id.clone() } else { format!("{id}__{copy}").into() }
}

/// Exactly so many columns: cut, or added with common names, half of them described.
fn fill_columns(node: &mut Node, count: usize) {
    const WORDS: [&str; 5] = ["customer", "order", "amount", "status", "updated"];
    node.columns.truncate(count);
    for place in node.columns.len() + 1..=count {
        let name = format!("{}_{place}", WORDS[place % WORDS.len()]);
        let data_type = if place.is_multiple_of(3) { "INTEGER" } else { "VARCHAR" };
        let description =
            place.is_multiple_of(2).then(|| format!("The {} as its system tells it.", name.replace('_', " ")));
        node.columns.push(Column { description: description.map(Into::into), ..new_column(&name, data_type, place) });
    }
}

/// Lines of SQL of about this length, other ones for each model.
fn more_code(id: &UniqueId, length: usize) -> String {
    let mut code = String::new();
    let mut line = 0;
    while code.len() < length {
        line += 1;
        code.push_str(&format!("\n-- {line}: {id} takes amount_{line} from order_{} as it is", line * 7 % 15));
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn grown(models: usize, is_deep: bool) -> Project {
        let mut project = Project::bundled(Timestamp::now());
        project.grow_to(&Growth { models, sources_per_model: 2, is_deep });
        project
    }

    fn count(project: &Project, kinds: &[&str]) -> usize {
        project.ids().values().filter(|kind| kinds.contains(kind)).count()
    }

    #[test]
    fn a_grown_project_has_the_models_tests_sources_and_columns_that_were_asked_for() {
        for is_deep in [false, true] {
            let project = grown(100, is_deep);
            assert_eq!(count(&project, &["model"]), 100);
            assert_eq!(count(&project, &["test", "unit_test"]), 150);
            assert_eq!(count(&project, &["source"]), 200);
            let models = project.nodes().filter(|(_, node)| node.resource_type == ResourceType::Model);
            assert!(models.into_iter().all(|(_, node)| node.columns.len() == COLUMNS.0));
            assert!(project.edges().iter().all(|(parent, _)| project.node(parent).is_some()));
        }
    }

    #[test]
    fn copies_stand_on_one_another_only_where_that_is_asked_for() {
        let (wide, deep) = (grown(100, false), grown(100, true));
        let between = |project: &Project| {
            let copy = |id: &str| id.rsplit_once("__").map_or(1, |(_, copy)| copy.parse::<usize>().unwrap_or(1));
            let models = project.edges().into_iter().filter(|(_, child)| child.starts_with("model."));
            let pairs = models.map(|(parent, child)| (copy(&parent), copy(&child)));
            pairs.filter(|(parent, child)| parent != child && *parent > 1).count()
        };
        assert_eq!(between(&wide), 0);
        assert!(between(&deep) > 5);
    }
}

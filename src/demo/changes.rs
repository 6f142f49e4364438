//! How a project changes. Every method acts as a run of the platform's job does: a second passes, the state or states that it
//! touches move, and so do the stamps of the touched nodes. Methods that are given an id panic when there is no such node: a
//! test that names a wrong one must not pass.

use std::sync::Arc;

use serde_json::{Value, json};

use super::object::{CATALOG, JOB};
use super::project::{Project, Side, in_warehouse};
use crate::inventory::{Code, Column, FreshnessCheck, Json, Node, ResourceType, Text, UniqueId};
use crate::time::Timestamp;

const BOTH: &[Side] = &[Side::Applied, Side::Definition];
const APPLIED: &[Side] = &[Side::Applied];

#[allow(clippy::missing_panics_doc)]
impl Project {
    /// Adds a table built on these parents, with one column `id`. Returns its id.
    pub fn add_model(&mut self, name: &str, parents: &[&str]) -> String {
        let package = self.package();
        let code = self.keep("select 1 as id");
        let blank = self.blank(ResourceType::Model, name, parents);
        let node = Node {
            identifier: Some(name.into()),
            database_name: Some(package.as_str().into()),
            schema_name: Some("analytics".into()),
            relation_name: Some(format!("\"{package}\".\"analytics\".\"{name}\"").into()),
            language: Some("sql".into()),
            materialization: Some("table".into()),
            access: Some("protected".into()),
            contract_enforced: Some(false),
            compiled_code: Some(code.clone()),
            raw_code: Some(code),
            properties: Json::new(&json!({"release_version": "none", "relation_type": "BASE TABLE", "stats": []})),
            columns: vec![new_column("id", "INTEGER", 1)],
            ..blank
        };
        self.insert(node, "success")
    }

    /// Adds a singular test of these nodes, that passes. Returns its id.
    pub fn add_test(&mut self, name: &str, parents: &[&str]) -> String {
        let code = self.keep("select 1 where false");
        let blank = self.blank(ResourceType::Test, name, parents);
        let properties = Json::new(&json!({"test_type": "singular"}));
        self.insert(Node { raw_code: Some(code), properties, ..blank }, "pass")
    }

    /// Calls the dbt project otherwise; its packages keep their names.
    pub fn rename(&mut self, name: &str) {
        self.run(BOTH);
        self.inventory.environment.project_name = Some(name.to_owned());
    }

    /// Takes a node away from both states, and out of the parents of its children.
    pub fn remove(&mut self, id: &str) {
        self.run(BOTH);
        let Some(node) = self.inventory.nodes.remove(id) else { panic!("there is no node `{id}`") };
        let mut children = Vec::new();
        for (child_id, child) in &mut self.inventory.nodes {
            if child.parents.iter().any(|parent| parent.as_str() == id) {
                Arc::make_mut(child).parents.retain(|parent| parent.as_str() != id);
                children.push(child_id.clone());
            }
        }
        self.removed.insert(id.to_owned(), (node, children));
    }

    /// Brings a removed node back as it was, its children's dependence on it included.
    pub fn restore(&mut self, id: &str) {
        let (node, children) = self.removed.remove(id).unwrap_or_else(|| panic!("`{id}` was not removed"));
        for child in children {
            if let Some(child) = self.inventory.nodes.get_mut(&child).map(Arc::make_mut) {
                child.parents.push(node.unique_id.clone());
                child.parents.sort_unstable();
            }
        }
        self.inventory.nodes.insert(node.unique_id.clone(), node);
        self.run(BOTH);
        self.restamp(id);
    }

    /// Removes everything, as if the project had become empty.
    pub fn empty(&mut self) {
        self.run(BOTH);
        let all = std::mem::take(&mut self.inventory.nodes).into_iter();
        self.removed.extend(all.map(|(id, node)| (id.to_string(), (node, Vec::new()))));
    }

    /// Changes a node in any way, in both states.
    pub fn edit(&mut self, id: &str, change: impl FnOnce(&mut Node)) {
        self.edit_in(BOTH, id, change);
    }

    /// Makes a node depend on exactly these.
    pub fn rewire(&mut self, id: &str, parents: &[&str]) {
        self.edit(id, |node| {
            node.parents = parents.iter().map(|&id| id.into()).collect();
            node.normalize();
        });
    }

    /// Sets a node's description.
    pub fn describe(&mut self, id: &str, text: &str) {
        self.edit(id, |node| node.description = Some(text.into()));
    }

    /// Sets a node's code, as written and as compiled.
    pub fn set_code(&mut self, id: &str, code: &str) {
        let code = self.keep(code);
        self.edit(id, |node| (node.raw_code, node.compiled_code) = (Some(code.clone()), Some(code)));
    }

    /// Sets a node's tags.
    pub fn set_tags(&mut self, id: &str, tags: &[&str]) {
        self.edit(id, |node| node.tags = Some(Json::new(&json!(tags))));
    }

    /// Sets a node's meta.
    pub fn set_meta(&mut self, id: &str, meta: Value) {
        self.edit(id, |node| node.meta = Some(Json::new(&meta)));
    }

    /// Gives a group another owner.
    pub fn set_group_owner(&mut self, group_id: &str, name: &str, email: &str) {
        self.edit(group_id, |node| (node.owner_name, node.owner_email) = (Some(name.into()), Some(email.into())));
    }

    /// Describes a column, in YAML.
    pub fn describe_column(&mut self, id: &str, column: &str, text: &str) {
        self.edit(id, |node| column_of(node, column).description = Some(text.into()));
    }

    /// Gives a column another type in the warehouse.
    pub fn retype_column(&mut self, id: &str, column: &str, data_type: &str) {
        self.edit_in(APPLIED, id, |node| column_of(node, column).data_type = Some(data_type.into()));
    }

    /// Adds a column in the warehouse, as the last one.
    pub fn add_column(&mut self, id: &str, column: &str, data_type: &str) {
        self.edit_in(APPLIED, id, |node| {
            let place = in_warehouse(node).count() + 1;
            node.columns.push(new_column(column, data_type, place));
        });
    }

    /// Drops a column in the warehouse.
    pub fn remove_column(&mut self, id: &str, column: &str) {
        self.edit_in(APPLIED, id, |node| node.columns.retain(|it| &*it.name != column));
    }

    /// Forgets what the warehouse said of a node: `catalog` is null.
    pub fn drop_catalog(&mut self, id: &str) {
        self.edit_in(APPLIED, id, |node| {
            node.columns.clear();
            set_properties(node, &CATALOG.map(|name| (name, Value::Null)));
        });
    }

    /// Takes a node out of the applied state; it stays defined.
    pub fn unapply(&mut self, id: &str) {
        self.run(APPLIED);
        self.expect_node(id).is_applied = Some(false);
    }

    /// Makes the node's run end in an error; what its last success left stays.
    pub fn break_node(&mut self, id: &str, message: &str) {
        self.finish(APPLIED, id, "error", Some(message), None);
    }

    /// Makes a test fail.
    pub fn fail_test(&mut self, id: &str, failures: i64, message: &str) {
        self.finish(APPLIED, id, "fail", Some(message), Some(failures));
    }

    /// Makes a test pass.
    pub fn pass_test(&mut self, id: &str) {
        self.finish(APPLIED, id, "pass", None, Some(0));
    }

    /// Makes a node's run succeed.
    pub fn build(&mut self, id: &str) {
        self.finish(APPLIED, id, "success", None, None);
    }

    /// Checks a source: `pass`, `warn` or `error`, and when it was last loaded.
    pub fn freshness(&mut self, source_id: &str, status: &str, max_loaded_at: Option<Timestamp>) {
        self.run(APPLIED);
        let checked_at = Some(self.clock);
        self.expect_node(source_id).freshness =
            FreshnessCheck { status: Some(status.into()), checked_at, max_loaded_at };
    }

    /// A run that changed nothing but its own stamps: everything that was ever run is run again, with the same outcome.
    pub fn touch(&mut self) {
        self.run(BOTH);
        let (now, run_id) = (self.clock, self.run_id);
        self.inventory.nodes.values_mut().map(Arc::make_mut).for_each(|node| again(node, now, run_id));
    }

    /// Makes the applied state null, as the API may answer without an error.
    pub fn set_null_applied(&mut self, is_null: bool) {
        self.set_null(Side::Applied, is_null);
    }

    /// Makes the definition state null.
    pub fn set_null_definition(&mut self, is_null: bool) {
        self.set_null(Side::Definition, is_null);
    }

    fn set_null(&mut self, side: Side, is_null: bool) {
        self.null.retain(|it| *it != side);
        self.null.extend(is_null.then_some(side));
    }

    /// Says when a state last moved; `None` is null.
    pub fn set_last_updated_at(&mut self, side: Side, at: Option<Timestamp>) {
        match side {
            Side::Applied => self.inventory.environment.applied_at = at,
            Side::Definition => self.inventory.environment.definition_at = at,
        }
    }

    /// Moves a state's `lastUpdatedAt`, and nothing else.
    pub fn move_last_updated_at(&mut self, side: Side) {
        self.run(&[side]);
    }

    /// Copies all nodes (`__2`, `__3`, …), with the edges among the copies, until there are at least so many models.
    pub fn grow(&mut self, models: usize) {
        let original: Vec<Node> = self.of(Side::Definition).map(|(_, node)| node.clone()).collect();
        let per_copy = original.iter().filter(|node| node.resource_type == ResourceType::Model).count();
        let copies = if per_copy == 0 { 1 } else { models.div_ceil(per_copy) };
        for copy in 2..=copies {
            let suffix = format!("__{copy}");
            let copies = original.iter().map(|node| copy_of(node, &suffix, &|id| self.is_listed(id.as_str())));
            let copies: Vec<Node> = copies.collect();
            self.inventory.nodes.extend(copies.into_iter().map(|node| (node.unique_id.clone(), node.into())));
        }
    }

    fn package(&self) -> String {
        self.name().unwrap_or("shop").to_owned()
    }

    /// Remembers a source text.
    pub(super) fn keep(&mut self, text: &str) -> Code {
        let code = Code::of(text);
        self.texts.insert(code.sha256.clone(), text.into());
        code
    }

    pub(super) fn blank(&self, kind: ResourceType, name: &str, parents: &[&str]) -> Node {
        let package = self.package();
        let mut node = Node {
            is_applied: Some(true),
            name: Some(name.into()),
            file_path: Some(format!("{kind}s/{name}.sql").into()),
            fqn: Some(Json::new(&json!([package, name]))),
            tags: Some(Json::new(&json!([]))),
            meta: Some(Json::new(&json!({}))),
            parents: parents.iter().map(|&id| id.into()).collect(),
            ..Node::new(format!("{kind}.{package}.{name}"), kind)
        };
        node.package_name = Some(package.into());
        node.normalize();
        node
    }

    fn insert(&mut self, node: Node, status: &str) -> String {
        let id = node.unique_id.to_string();
        self.inventory.nodes.insert(node.unique_id.clone(), node.into());
        self.finish(BOTH, &id, status, None, None);
        id
    }

    #[track_caller]
    fn expect_node(&mut self, id: &str) -> &mut Node {
        self.inventory.nodes.get_mut(id).map(Arc::make_mut).unwrap_or_else(|| panic!("there is no node `{id}`"))
    }

    /// A run ends: a second later, with a new id, these states have moved.
    fn run(&mut self, sides: &[Side]) {
        self.clock = self.clock.plus_millis(1000);
        self.run_id += 1;
        for &side in sides {
            self.set_last_updated_at(side, Some(self.clock));
        }
    }

    fn edit_in(&mut self, sides: &[Side], id: &str, change: impl FnOnce(&mut Node)) {
        change(self.expect_node(id));
        self.run(sides);
        self.restamp(id);
    }

    fn finish(&mut self, sides: &[Side], id: &str, status: &str, message: Option<&str>, failures: Option<i64>) {
        self.run(sides);
        let (now, run_id) = (self.clock, self.run_id);
        let node = self.expect_node(id);
        let run = &mut node.last_run;
        (run.error, run.failures) = (message.map(Text::from), failures);
        (run.status, run.attempt) = (Some(status.into()), Some(status.into()));
        again(node, now, run_id);
    }

    fn restamp(&mut self, id: &str) {
        let (now, run_id) = (self.clock, self.run_id);
        again(self.expect_node(id), now, run_id);
    }
}

/// The last run of the node again, with the same outcome, if it ever ran. Only a success moves the clock of successes.
pub(super) fn again(node: &mut Node, now: Timestamp, run_id: i64) {
    let run = &mut node.last_run;
    let Some(attempt) = run.attempt.as_deref() else { return };
    let id = Some(Text::from(run_id.to_string()));
    let success = match attempt {
        "success" | "pass" | "warn" => (Some(now), Some(0.5), id.clone()),
        _ => (run.executed_at, run.execution_seconds, run.success_run_id.take()),
    };
    (run.executed_at, run.execution_seconds, run.success_run_id) = success;
    (run.at, run.run_id, run.job_id) = (Some(now), id, Some(JOB));
}

pub(super) fn new_column(name: &str, data_type: &str, place: usize) -> Column {
    Column {
        name: name.into(),
        position: i64::try_from(place).ok(),
        data_type: Some(data_type.into()),
        tags: Some(Json::new(&json!([]))),
        in_warehouse: Some(true),
        ..Column::default()
    }
}

fn column_of<'a>(node: &'a mut Node, column: &str) -> &'a mut Column {
    let found = node.columns.iter_mut().find(|it| &*it.name == column);
    found.unwrap_or_else(|| panic!("the node has no column `{column}`"))
}

/// Sets properties of a node; null takes one away.
fn set_properties(node: &mut Node, changes: &[(&str, Value)]) {
    let mut properties = node.properties.value();
    for (name, value) in changes {
        properties[*name] = value.clone();
    }
    if let Value::Object(map) = &mut properties {
        map.retain(|_, value| !value.is_null());
    }
    node.properties = Json::new(&properties);
}

pub(super) fn copy_of(node: &Node, suffix: &str, is_copied: &dyn Fn(&UniqueId) -> bool) -> Node {
    let mut copy = node.clone();
    let rename = |id: &UniqueId| if is_copied(id) { format!("{id}{suffix}").into() } else { id.clone() };
    copy.unique_id = rename(&node.unique_id);
    copy.parents = node.parents.iter().map(rename).collect();
    for text in [&mut copy.name, &mut copy.identifier, &mut copy.group_name].into_iter().flatten() {
        *text = format!("{text}{suffix}").into();
    }
    if let Some(quoted) = node.relation_name.as_deref().and_then(|name| name.strip_suffix('"')) {
        copy.relation_name = Some(format!("{quoted}{suffix}\"").into());
    }
    if let Some(tested) = node.properties.value()["attached_node"].as_str() {
        set_properties(&mut copy, &[("attached_node", rename(&tested.into()).as_str().into())]);
    }
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: &str = "model.mini_shop.orders";
    const TEST: &str = "test.mini_shop.unique_orders_order_id.fed79b3a6e";

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-24T12:00:00Z").expect("a time")
    }

    /// Whether the applied and the definition state moved, and the node `id` after the change.
    fn changed(id: &str, change: impl FnOnce(&mut Project)) -> (bool, bool, Node) {
        let mut project = Project::bundled(now());
        let (applied, definition) = (project.last_updated_at(Side::Applied), project.last_updated_at(Side::Definition));
        let sha = project.git_sha();
        change(&mut project);
        assert_ne!(project.git_sha(), sha);
        let moved = |side, before| project.last_updated_at(side) > before;
        let moved = (moved(Side::Applied, applied), moved(Side::Definition, definition));
        (moved.0, moved.1, project.node(id).expect("still there").clone())
    }

    #[test]
    fn what_the_project_says_moves_both_states_and_the_nodes_stamps() {
        let (applied, definition, node) = changed(ORDERS, |it| it.describe(ORDERS, "new words"));
        assert!(applied && definition && node.description.as_deref() == Some("new words"));
        assert_eq!(node.last_run.at, Some(now().plus_millis(1000)));
        assert_eq!(node.last_run.attempt.as_deref(), Some("success"));
        let (_, _, node) = changed(ORDERS, |it| it.rewire(ORDERS, &["model.mini_shop.stg_orders"]));
        assert_eq!(node.parents, ["model.mini_shop.stg_orders".into()]);
        let (_, definition, node) = changed(ORDERS, |it| it.describe_column(ORDERS, "status", "where it is"));
        assert!(definition && node.columns[3].description.as_deref() == Some("where it is"));
    }

    #[test]
    fn what_the_warehouse_says_moves_the_applied_state_only() {
        let (applied, definition, node) = changed(ORDERS, |it| it.retype_column(ORDERS, "amount", "DOUBLE"));
        assert!(applied && !definition && node.columns[4].data_type.as_deref() == Some("DOUBLE"));
        let (_, _, node) = changed(ORDERS, |it| it.add_column(ORDERS, "note", "VARCHAR"));
        assert_eq!(node.columns[5].position, Some(6));
        let (_, _, node) = changed(ORDERS, |it| it.remove_column(ORDERS, "order_id"));
        assert_eq!(&*node.columns[0].name, "customer_id");
        let mut project = Project::bundled(now());
        assert!(project.told(ORDERS)["catalog"]["columns"].is_array());
        project.drop_catalog(ORDERS);
        assert!(project.told(ORDERS)["catalog"].is_null());
        let (_, definition, node) = changed(ORDERS, |it| it.unapply(ORDERS));
        assert!(!definition && node.is_applied == Some(false));
    }

    #[test]
    fn a_failure_moves_the_last_attempt_and_not_the_last_success() {
        let before = Project::bundled(now()).node(ORDERS).expect("there").last_run.clone();
        let (_, _, node) = changed(ORDERS, |it| it.break_node(ORDERS, "no such table"));
        let run = node.last_run;
        assert_eq!((run.status.as_deref(), run.error.as_deref()), (Some("error"), Some("no such table")));
        assert!(run.executed_at == before.executed_at && run.run_id != before.run_id);
        assert_eq!(run.success_run_id, before.success_run_id);
        let (_, _, test) = changed(TEST, |it| it.fail_test(TEST, 7, "7 rows"));
        assert_eq!((test.last_run.status.as_deref(), test.last_run.failures), (Some("fail"), Some(7)));
        let (_, _, test) = changed(TEST, |it| {
            it.fail_test(TEST, 7, "7 rows");
            it.pass_test(TEST);
        });
        assert_eq!((test.last_run.status.as_deref(), test.last_run.error), (Some("pass"), None));
    }

    #[test]
    fn a_run_that_changes_nothing_changes_stamps_only() {
        let mut project = Project::bundled(now());
        let facts = |it: &Project| -> Vec<Value> {
            it.nodes().map(|(_, node)| serde_json::to_value(node).expect("JSON")).collect()
        };
        let before = facts(&project);
        project.touch();
        assert_eq!(facts(&project), before);
        let run_id = &project.node(TEST).expect("there").last_run.run_id;
        assert_eq!(run_id.as_deref(), Some(project.run_id.to_string().as_str()));
    }

    #[test]
    fn what_was_removed_comes_back_with_its_edges() {
        let mut project = Project::bundled(now());
        let before = (project.ids(), project.edges());
        project.remove(ORDERS);
        assert!(project.edges().iter().all(|(parent, child)| parent != ORDERS && child != ORDERS));
        project.restore(ORDERS);
        assert_eq!((project.ids(), project.edges()), before);
    }

    #[test]
    #[should_panic(expected = "there is no node `model.mini_shop.ordres`")]
    fn a_wrong_id_is_a_mistake() {
        Project::bundled(now()).describe("model.mini_shop.ordres", "");
    }
}

//! How a project changes. Every method acts as a run of the platform's job does: a second passes, the state or states that it
//! touches move, and so do the stamps of the touched nodes. Methods that are given an id panic when there is no such node: a
//! test that names a wrong one must not pass.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::project::{Kind, Node, Project, Side};
use super::results::{JOB, Outcome, attempt, freshness_word, pin, succeeded};
use crate::time::Timestamp;

const BOTH: &[Side] = &[Side::Applied, Side::Definition];
const APPLIED: &[Side] = &[Side::Applied];

#[allow(clippy::missing_panics_doc)]
impl Project {
    /// Adds a table built on these parents, with one column `id`. Returns its id.
    pub fn add_model(&mut self, name: &str, parents: &[&str]) -> String {
        let package = self.package();
        let id = format!("model.{package}.{name}");
        let mut node = self.blank(Kind::Model, &id, name, parents);
        let relation = format!("\"{package}\".\"analytics\".\"{name}\"");
        for (field, text) in [
            ("alias", name),
            ("database", package.as_str()),
            ("schema", "analytics"),
            ("relationName", relation.as_str()),
            ("language", "sql"),
            ("materializedType", "table"),
            ("access", "protected"),
            ("releaseVersion", "none"),
            ("rawCode", "select 1 as id"),
            ("compiledCode", "select 1 as id"),
        ] {
            node.set(field, text.into());
        }
        node.set("contractEnforced", false.into());
        let id_column = json!({"name": "id", "index": 1, "type": "INTEGER", "tags": []});
        node.set("catalog", json!({"type": "BASE TABLE", "columns": [id_column], "stats": []}));
        self.insert(id.clone(), node, "success");
        self.recatalog(&id);
        id
    }

    /// Adds a singular test of these nodes, that passes. Returns its id.
    pub fn add_test(&mut self, name: &str, parents: &[&str]) -> String {
        let id = format!("test.{}.{name}", self.package());
        let mut node = self.blank(Kind::Test, &id, name, parents);
        node.set("testType", "SINGULAR_DATA_TEST".into());
        node.set("rawCode", "select 1 where false".into());
        self.insert(id.clone(), node, "pass");
        id
    }

    /// Calls the dbt project otherwise; its packages keep their names.
    pub fn rename(&mut self, name: &str) {
        self.run(BOTH);
        self.name = Some(name.to_owned());
    }

    /// Takes a node away from both states, and out of the parents of its children.
    pub fn remove(&mut self, id: &str) {
        self.expect_node(id);
        self.run(BOTH);
        self.take_out(id);
    }

    /// Brings a removed node back as it was, its children's dependence on it included.
    pub fn restore(&mut self, id: &str) {
        let (node, children) = self.removed.remove(id).unwrap_or_else(|| panic!("`{id}` was not removed"));
        self.nodes.insert(id.to_owned(), node);
        for (child, place) in children {
            if let Some(child) = self.nodes.get_mut(&child) {
                child.parents.insert(place.min(child.parents.len()), id.to_owned());
            }
        }
        self.run(BOTH);
        self.restamp(id);
    }

    /// Removes everything, as if the project had become empty.
    pub fn empty(&mut self) {
        self.run(BOTH);
        let all = std::mem::take(&mut self.nodes).into_iter();
        self.removed.extend(all.map(|(id, node)| (id, (node, Vec::new()))));
    }

    /// Makes a node depend on exactly these.
    pub fn rewire(&mut self, id: &str, parents: &[&str]) {
        self.edit(id, BOTH, |node| node.parents = parents.iter().map(|&id| id.to_owned()).collect());
    }

    /// Sets any field, by the API's name, in both states.
    pub fn set(&mut self, id: &str, field: &'static str, value: Value) {
        self.edit(id, BOTH, |node| node.set(field, value));
    }

    /// Sets a node's description.
    pub fn describe(&mut self, id: &str, text: &str) {
        self.set(id, "description", text.into());
    }

    /// Sets a node's code, as written and as compiled.
    pub fn set_code(&mut self, id: &str, code: &str) {
        self.edit(id, BOTH, |node| {
            node.set("rawCode", code.into());
            node.set("compiledCode", code.into());
        });
    }

    /// Sets a node's tags.
    pub fn set_tags(&mut self, id: &str, tags: &[&str]) {
        self.set(id, "tags", json!(tags));
    }

    /// Sets a node's meta.
    pub fn set_meta(&mut self, id: &str, meta: Value) {
        self.set(id, "meta", meta);
    }

    /// Gives a group another owner.
    pub fn set_group_owner(&mut self, group_id: &str, name: &str, email: &str) {
        self.edit(group_id, BOTH, |node| {
            node.set("ownerName", name.into());
            node.set("ownerEmail", email.into());
        });
    }

    /// Describes a column, in YAML.
    pub fn describe_column(&mut self, id: &str, column: &str, text: &str) {
        self.edit(id, BOTH, |node| column_of(node, column)["description"] = text.into());
    }

    /// Gives a column another type in the warehouse.
    pub fn retype_column(&mut self, id: &str, column: &str, data_type: &str) {
        self.edit(id, APPLIED, |node| column_of(node, column)["type"] = data_type.into());
        self.recatalog(id);
    }

    /// Adds a column in the warehouse, as the last one.
    pub fn add_column(&mut self, id: &str, column: &str, data_type: &str) {
        self.edit(id, APPLIED, |node| {
            let columns = columns_of(node);
            let index = columns.len() + 1;
            columns.push(json!({"name": column, "index": index, "type": data_type, "tags": []}));
        });
        self.recatalog(id);
    }

    /// Drops a column in the warehouse.
    pub fn remove_column(&mut self, id: &str, column: &str) {
        self.edit(id, APPLIED, |node| columns_of(node).retain(|it| it["name"] != column));
        self.recatalog(id);
    }

    /// Forgets what the warehouse said of a node: `catalog` is null.
    pub fn drop_catalog(&mut self, id: &str) {
        self.edit(id, APPLIED, |node| node.set("catalog", Value::Null));
    }

    /// Takes a node out of the applied state; it stays defined.
    pub fn unapply(&mut self, id: &str) {
        self.run(APPLIED);
        self.expect_node(id).applied = false;
    }

    /// Makes the node's run end in an error; what its last success left stays.
    pub fn break_node(&mut self, id: &str, message: &str) {
        self.finish(id, "error", Some(message), None);
    }

    /// Makes a test fail.
    pub fn fail_test(&mut self, id: &str, failures: i64, message: &str) {
        self.finish(id, "fail", Some(message), Some(failures));
    }

    /// Makes a test warn.
    pub fn warn_test(&mut self, id: &str, failures: i64, message: &str) {
        self.finish(id, "warn", Some(message), Some(failures));
    }

    /// Makes a test pass.
    pub fn pass_test(&mut self, id: &str) {
        self.finish(id, "pass", None, Some(0));
    }

    /// Makes a node's run succeed.
    pub fn build(&mut self, id: &str) {
        self.finish(id, "success", None, None);
    }

    /// Checks a source: `pass`, `warn`, `error` or `runtime error`, and when it was last loaded.
    pub fn freshness(&mut self, source_id: &str, status: &str, max_loaded_at: Option<Timestamp>) {
        self.run(APPLIED);
        let (now, run_id) = (self.clock, self.run_id);
        let freshness = self.expect_node(source_id).field_mut("freshness");
        freshness["freshnessChecked"] = true.into();
        freshness["freshnessStatus"] = freshness_word(status).into();
        freshness["snapshottedAt"] = now.to_string().into();
        freshness["maxLoadedAt"] = max_loaded_at.map_or(Value::Null, |at| at.to_string().into());
        freshness["maxLoadedAtTimeAgoInS"] =
            max_loaded_at.map_or(Value::Null, |at| json!(now.since(at) as f64 / 1000.0));
        freshness["freshnessRunId"] = run_id.into();
        freshness["freshnessJobDefinitionId"] = JOB.into();
        freshness["freshnessRunGeneratedAt"] = now.to_string().into();
    }

    /// A run that changed nothing but its own stamps: everything that was ever run is run again, with the same outcome.
    pub fn touch(&mut self) {
        self.run(BOTH);
        let ids: Vec<String> = self.nodes.keys().cloned().collect();
        for id in ids {
            self.restamp(&id);
        }
    }

    /// Makes the applied state null, as the API may answer without an error.
    pub fn set_null_applied(&mut self, is_null: bool) {
        self.applied.is_null = is_null;
    }

    /// Makes the definition state null.
    pub fn set_null_definition(&mut self, is_null: bool) {
        self.definition.is_null = is_null;
    }

    /// Says when a state last moved; `None` is null.
    pub fn set_last_updated_at(&mut self, side: Side, at: Option<Timestamp>) {
        self.stamp_mut(side).last_updated_at = at;
    }

    /// Moves a state's `lastUpdatedAt`, and nothing else.
    pub fn move_last_updated_at(&mut self, side: Side) {
        self.run(if side == Side::Applied { APPLIED } else { &[Side::Definition] });
    }

    /// Lets time pass: the next change happens after `now`.
    pub fn set_clock(&mut self, now: Timestamp) {
        self.clock = now;
    }

    /// Copies all nodes (`__2`, `__3`, …), with the edges among the copies, until there are at least so many models.
    pub fn grow(&mut self, models: usize) {
        let original: Vec<(String, Node)> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.kind != Kind::External)
            .map(|(id, node)| (id.clone(), node.clone()))
            .collect();
        let per_copy = original.iter().filter(|(_, node)| node.kind == Kind::Model).count();
        let copies = if per_copy == 0 { 1 } else { models.div_ceil(per_copy) };
        let known: BTreeMap<String, ()> = original.iter().map(|(id, _)| (id.clone(), ())).collect();
        for copy in 2..=copies {
            let suffix = format!("__{copy}");
            let rename = |id: &String| if known.contains_key(id) { format!("{id}{suffix}") } else { id.clone() };
            for (id, node) in &original {
                self.nodes.insert(rename(id), copy_of(node, &suffix, &rename));
            }
        }
    }

    fn package(&self) -> String {
        self.name.clone().unwrap_or_else(|| "shop".to_owned())
    }

    fn blank(&self, kind: Kind, id: &str, name: &str, parents: &[&str]) -> Node {
        let mut node = Node::new(kind);
        node.parents = parents.iter().map(|&id| id.to_owned()).collect();
        node.set("uniqueId", id.into());
        node.set("resourceType", kind.word().into());
        node.set("name", name.into());
        node.set("packageName", self.package().into());
        node.set("description", "".into());
        node.set("fqn", json!([self.package(), name]));
        node.set("filePath", format!("{}s/{name}.sql", kind.word()).into());
        node.set("tags", json!([]));
        node.set("meta", json!({}));
        node
    }

    fn insert(&mut self, id: String, mut node: Node, status: &str) {
        node.applied = true;
        self.nodes.insert(id.clone(), node);
        self.finish_in(BOTH, &id, status, None, None);
    }

    fn take_out(&mut self, id: &str) {
        let Some(node) = self.nodes.remove(id) else { return };
        let mut children = Vec::new();
        for (child_id, child) in &mut self.nodes {
            if let Some(place) = child.parents.iter().position(|parent| parent == id) {
                child.parents.remove(place);
                children.push((child_id.clone(), place));
            }
        }
        self.removed.insert(id.to_owned(), (node, children));
    }

    #[track_caller]
    fn expect_node(&mut self, id: &str) -> &mut Node {
        self.nodes.get_mut(id).unwrap_or_else(|| panic!("there is no node `{id}`"))
    }

    /// A run ends: a second later, with a new id, these states have moved.
    fn run(&mut self, sides: &[Side]) {
        self.clock = self.clock.plus_millis(1000);
        self.run_id += 1;
        let (now, run_id) = (self.clock, self.run_id);
        for &side in sides {
            let stamp = self.stamp_mut(side);
            stamp.last_updated_at = Some(now);
            stamp.generated_at = Some(now);
            stamp.run_id = run_id;
        }
    }

    fn edit(&mut self, id: &str, sides: &[Side], change: impl FnOnce(&mut Node)) {
        change(self.expect_node(id));
        self.run(sides);
        self.restamp(id);
    }

    fn finish(&mut self, id: &str, status: &str, message: Option<&str>, failures: Option<i64>) {
        self.finish_in(APPLIED, id, status, message, failures);
    }

    fn finish_in(&mut self, sides: &[Side], id: &str, status: &str, message: Option<&str>, failures: Option<i64>) {
        self.run(sides);
        let outcome = Outcome { status: status.to_owned(), message: message.map(str::to_owned), failures };
        let (now, run_id) = (self.clock, self.run_id);
        stamp(self.expect_node(id), &outcome, now, run_id);
    }

    /// The last run of the node again, with the same outcome, if it ever ran.
    fn restamp(&mut self, id: &str) {
        let (now, run_id) = (self.clock, self.run_id);
        let node = self.expect_node(id);
        let info = node.field("executionInfo");
        let Some(status) = info["lastRunStatus"].as_str().map(str::to_owned) else { return };
        let message = info["lastRunError"].as_str().map(str::to_owned);
        let failures = info["lastRunFailures"].as_i64();
        stamp(node, &Outcome { status, message, failures }, now, run_id);
    }

    fn recatalog(&mut self, id: &str) {
        let (now, run_id) = (self.clock, self.run_id);
        let catalog = self.expect_node(id).field_mut("catalog");
        catalog["runId"] = run_id.into();
        catalog["jobDefinitionId"] = JOB.into();
        catalog["runGeneratedAt"] = now.to_string().into();
    }
}

fn stamp(node: &mut Node, outcome: &Outcome, now: Timestamp, run_id: i64) {
    let at: Value = now.to_string().into();
    attempt(node, outcome, run_id, &at);
    if succeeded(node) {
        let started = Value::from(now.plus_millis(-500).to_string());
        pin(
            node,
            run_id,
            &at,
            [("executeStartedAt", started), ("executeCompletedAt", at.clone()), ("executionTime", json!(0.5))],
        );
    }
}

fn columns_of(node: &mut Node) -> &mut Vec<Value> {
    let catalog = node.field_mut("catalog");
    catalog["columns"].as_array_mut().unwrap_or_else(|| panic!("the node has no columns"))
}

fn column_of<'a>(node: &'a mut Node, column: &str) -> &'a mut Value {
    let found = columns_of(node).iter_mut().find(|it| it["name"] == column);
    found.unwrap_or_else(|| panic!("the node has no column `{column}`"))
}

fn copy_of(node: &Node, suffix: &str, rename: &impl Fn(&String) -> String) -> Node {
    let mut copy = node.clone();
    copy.parents = node.parents.iter().map(rename).collect();
    copy.attached = node.attached.as_ref().map(rename);
    for field in ["uniqueId", "testedNodeUniqueId", "name", "alias", "identifier", "group", "resource"] {
        if !node.text(field).is_empty() {
            copy.set(field, format!("{}{suffix}", node.text(field)).into());
        }
    }
    if let Some(quoted) = node.text("relationName").strip_suffix('"') {
        copy.set("relationName", format!("{quoted}{suffix}\"").into());
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
        assert!(applied && definition && node.field("description") == "new words");
        let info = node.field("executionInfo");
        assert_eq!(info["lastRunGeneratedAt"], now().plus_millis(1000).to_string());
        assert_eq!(info["lastRunStatus"], "success");
        let (_, _, node) = changed(ORDERS, |it| it.rewire(ORDERS, &["model.mini_shop.stg_orders"]));
        assert_eq!(node.parents(), ["model.mini_shop.stg_orders"]);
        let (_, definition, node) = changed(ORDERS, |it| it.describe_column(ORDERS, "status", "where it is"));
        assert!(definition && node.field("catalog")["columns"][3]["description"] == "where it is");
    }

    #[test]
    fn what_the_warehouse_says_moves_the_applied_state_only() {
        let (applied, definition, node) = changed(ORDERS, |it| it.retype_column(ORDERS, "amount", "DOUBLE"));
        assert!(applied && !definition && node.field("catalog")["columns"][4]["type"] == "DOUBLE");
        let (_, _, node) = changed(ORDERS, |it| it.add_column(ORDERS, "note", "VARCHAR"));
        assert_eq!(node.field("catalog")["columns"][5]["index"], 6);
        let (_, _, node) = changed(ORDERS, |it| it.remove_column(ORDERS, "order_id"));
        assert_eq!(node.field("catalog")["columns"][0]["name"], "customer_id");
        let (_, _, node) = changed(ORDERS, |it| it.drop_catalog(ORDERS));
        assert!(node.field("catalog").is_null());
        let (_, definition, node) = changed(ORDERS, |it| it.unapply(ORDERS));
        assert!(!definition && !node.is_applied());
    }

    #[test]
    fn a_failure_moves_the_last_attempt_and_not_the_last_success() {
        let before = Project::bundled(now()).node(ORDERS).expect("there").field("executionInfo").clone();
        let (_, _, node) = changed(ORDERS, |it| it.break_node(ORDERS, "no such table"));
        let info = node.field("executionInfo");
        assert!(info["lastRunStatus"] == "error" && info["lastRunError"] == "no such table");
        assert!(info["runGeneratedAt"] == before["runGeneratedAt"] && info["lastRunId"] != before["lastRunId"]);
        assert_eq!(info["lastSuccessRunId"], before["lastSuccessRunId"]);
        let (_, _, test) = changed(TEST, |it| it.fail_test(TEST, 7, "7 rows"));
        assert!(test.field("lastKnownResult") == "fail" && test.field("executionInfo")["lastRunFailures"] == 7);
        let (_, _, test) = changed(TEST, |it| {
            it.fail_test(TEST, 7, "7 rows");
            it.pass_test(TEST);
        });
        assert!(test.field("lastKnownResult") == "pass" && test.field("executionInfo")["lastRunError"].is_null());
    }

    #[test]
    fn a_run_that_changes_nothing_changes_stamps_only() {
        let mut project = Project::bundled(now());
        let (ids, edges, columns) = (project.ids(), project.edges(), project.columns());
        let status = |it: &Project| -> Vec<Value> {
            it.nodes().map(|(_, node)| node.field("executionInfo")["lastRunStatus"].clone()).collect()
        };
        let before = status(&project);
        project.touch();
        assert_eq!(
            (project.ids(), project.edges(), project.columns(), status(&project)),
            (ids, edges, columns, before)
        );
        let run_id = &project.node(TEST).expect("there").field("executionInfo")["lastRunId"];
        assert_eq!(run_id, &json!(project.run_id));
    }

    #[test]
    fn an_empty_project_has_nothing_and_can_come_back() {
        let mut project = Project::bundled(now());
        project.empty();
        assert!(project.ids().is_empty() && project.edges().is_empty());
        project.restore(ORDERS);
        assert_eq!(project.ids().len(), 1);
    }

    #[test]
    #[should_panic(expected = "there is no node `model.mini_shop.ordres`")]
    fn a_wrong_id_is_a_mistake() {
        Project::bundled(now()).describe("model.mini_shop.ordres", "");
    }
}

//! What files do not say, or say of a time that has not come, is not taken for said.

use super::*;

fn whole() -> Value {
    let mut whole = shop("01", "1");
    whole["sources"] = json!({"source.shop.raw.s": {"name": "s", "source_name": "raw", "package_name": "shop",
        "fqn": ["shop", "raw", "s"], "config": {}}});
    whole["exposures"] = json!({"exposure.shop.e": {"name": "e", "package_name": "shop", "fqn": ["shop", "e"],
        "depends_on": {"nodes": [A]}, "config": {}}});
    whole["metrics"] = json!({"metric.shop.m": {"name": "m", "package_name": "shop", "fqn": ["shop", "m"],
        "depends_on": {"nodes": [A]}, "config": {}}});
    whole["nodes"][A]["depends_on"]["nodes"] = json!(["source.shop.raw.s"]);
    whole
}

#[test]
fn a_section_that_is_no_map_is_unknown_and_not_empty() {
    let target = Target::new().with("manifest.json", &whole());
    let first = target.fold("", &Inventory::default()).inventory;
    for (section, shape, id) in [
        ("sources", Value::Null, "source.shop.raw.s"),
        ("exposures", json!([1]), "exposure.shop.e"),
        ("metrics", json!("x"), "metric.shop.m"),
        ("nodes", json!([]), A),
        ("nodes", json!([{"resource_type": "model", "name": "odd"}]), B),
    ] {
        let mut broken = whole();
        broken[section] = shape;
        broken["metadata"]["generated_at"] = at("02").into();
        let target = Target::new().with("manifest.json", &broken);
        let Carried { inventory, warnings, .. } = target.fold("", &first);
        assert_eq!(inventory.nodes.keys().collect::<Vec<_>>(), first.nodes.keys().collect::<Vec<_>>(), "{section}");
        assert_eq!(inventory.nodes[id], first.nodes[id]);
        let file = target.0.path().join("manifest.json").display().to_string();
        let is_said = |warning: &String| warning.contains(&format!("`{section}`")) && warning.contains(&file);
        assert!(warnings.iter().any(is_said), "{warnings:?}");
    }
}

#[test]
fn a_section_that_is_absent_is_empty() {
    let first = Target::new().with("manifest.json", &whole()).fold("", &Inventory::default()).inventory;
    let mut older = whole();
    older.as_object_mut().expect("a map").remove("exposures");
    let Carried { inventory, warnings, .. } = Target::new().with("manifest.json", &older).fold("", &first);
    assert!(!inventory.nodes.contains_key("exposure.shop.e"));
    assert!(!warnings.iter().any(|warning| warning.contains("exposures")), "{warnings:?}");
}

#[test]
fn the_first_manifest_whose_nodes_can_be_read_is_the_first() {
    let mut broken = whole();
    broken["nodes"] = json!([]);
    let first = Target::new().with("manifest.json", &broken).fold("", &Inventory::default()).inventory;
    assert_eq!(first.environment.definition_at, None);
    let second = Target::new().with("manifest.json", &whole()).fold("", &first).inventory;
    assert_eq!([A, B].map(|id| second.nodes[id].is_applied), [Some(true); 2], "assumed");
}

#[test]
fn results_that_are_no_list_are_unknown() {
    for shape in [Value::Null, json!({A: result(A, "error", "01")}), json!(5)] {
        let mut run = results(Some("run"), "01", "1", &[]);
        run["results"] = shape;
        let target = Target::new().with("manifest.json", &shop("01", "1")).with("run_results.json", &run);
        let reading = target.read("").expect("read").reading;
        assert_eq!(status(&reading.inventory, A), None);
        let is_said = |warning: &String| warning.contains("`results`") && warning.contains("run_results.json");
        assert!(reading.warnings.iter().any(is_said), "{:?}", reading.warnings);
    }
}

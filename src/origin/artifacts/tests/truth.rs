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

#[test]
fn a_manifest_of_the_future_ranks_behind_all_others_and_is_read_again() {
    let mut ahead = manifest("01", "2", &[(A, model("a", &[]))]);
    ahead["metadata"]["generated_at"] = "2099-01-01T00:00:00Z".into();
    let target = Target::new().with("1/manifest.json", &shop("01", "1")).with("2/manifest.json", &ahead);
    let read = target.read("*/").expect("read");
    assert_eq!(read.reading.inventory.nodes.len(), 3);
    let file = target.0.path().join("2/manifest.json").display().to_string();
    let is_said = |warning: &String| warning.contains(&file) && warning.contains("2099");
    assert!(read.reading.warnings.iter().any(is_said), "{:?}", read.reading.warnings);
    let place = target.place("*/");
    assert!(!probe(&place, Some(&read.stamps)).expect("probed").is_same);
    let survey = super::survey::survey_at(&place, now()).expect("surveyed");
    assert_eq!(survey.files.iter().map(|file| file.counts).collect::<Vec<_>>(), [true, false]);
    assert!(survey.notes.iter().any(is_said), "{:?}", survey.notes);
    // A clock that is a little ahead is no wrong one.
    ahead["metadata"]["generated_at"] = "2026-11-25T00:04:00Z".into();
    let target = target.with("2/manifest.json", &ahead);
    let read = target.read("*/").expect("read");
    assert_eq!(read.reading.inventory.nodes.len(), 1);
    assert!(probe(&place, Some(&read.stamps)).expect("probed").is_same);
}

#[test]
fn a_run_or_a_check_of_the_future_is_older_than_any_that_is_not() {
    let source = "source.shop.raw.s";
    let told = |day: &str, run: &str, status: &str, check: &str| {
        let at = format!("{day}T10:00:00Z");
        let mut ran = result(A, status, "01");
        ran["timing"][1]["completed_at"] = at.clone().into();
        let mut run = results(Some("run"), "01", run, &[ran]);
        run["metadata"]["generated_at"] = at.clone().into();
        let checked = json!({"unique_id": source, "status": check, "snapshotted_at": at, "max_loaded_at": "2026-11-01T00:00:00Z"});
        let mut sources =
            json!({"metadata": metadata("sources", 3, "01", "f"), "results": [checked], "elapsed_time": 1.0});
        sources["metadata"]["generated_at"] = at.into();
        (run, sources)
    };
    let written = |parts: &[(Value, Value)]| {
        let mut target = Target::new().with("manifest.json", &whole());
        for (place, (run, sources)) in parts.iter().enumerate() {
            target =
                target.with(&format!("{place}/run_results.json"), run).with(&format!("{place}/sources.json"), sources);
        }
        target
    };
    let folded = |target: &Target, stored: &Inventory| {
        let paths = ["", "*/"].map(|path| target.0.path().join(path)).into();
        let place = ArtifactsConfig { paths, ..ArtifactsConfig::default() };
        let reading = read(&place, now(), &mut |_| {}, &|_, _, _| {}).expect("read").reading;
        let inventory = carry_over(reading, stored, now()).inventory;
        let check = inventory.nodes[source].freshness.status.as_deref().map(str::to_owned);
        (status(&inventory, A).map(str::to_owned), check, inventory)
    };
    let none = Inventory::default();
    let (ahead, present) = (told("2099-01-01", "x", "error", "error"), told("2026-11-24", "y", "success", "pass"));
    let right = (Some("success".to_owned()), Some("pass".to_owned()));
    for parts in [[ahead.clone(), present.clone()], [present.clone(), ahead.clone()]] {
        let (run, check, inventory) = folded(&written(&parts), &none);
        assert_eq!((run, check), right, "both lie there");
        assert_eq!(inventory.environment.applied_at, Timestamp::parse("2026-11-24T10:00:00Z"));
    }
    let (ahead, present) = (written(&[ahead]), written(&[present]));
    let (run, check, wrong) = folded(&ahead, &none);
    assert_eq!((run.as_deref(), check.as_deref()), (Some("error"), Some("error")), "all that is known");
    let (run, check, stored) = folded(&present, &wrong);
    assert_eq!((run, check), right, "what was stored is of the future");
    let (run, check, again) = folded(&ahead, &stored);
    assert_eq!((run, check), right, "what was read is of the future");
    assert_eq!(again.environment.applied_at, stored.environment.applied_at);
}

#[test]
fn a_test_shows_a_new_node_to_be_built_only_if_it_ended_after_the_stored_manifest() {
    let first = Target::new().with("manifest.json", &manifest("05", "1", &[(A, model("a", &[]))]));
    let first = first.fold("", &Inventory::default()).inventory;
    // The model that the test looks at now was just added, or renamed.
    let renamed = manifest("07", "3", &[(A, model("a", &[])), (B, model("b", &[])), (T, test("t", B))]);
    for (hour, is_built) in [("04", false), ("05", false), ("06", true)] {
        let target = Target::new()
            .with("manifest.json", &renamed)
            .with("run_results.json", &results(Some("test"), hour, "2", &[result(T, "pass", hour)]));
        let inventory = target.fold("", &first).inventory;
        assert_eq!(inventory.nodes[B].is_applied, Some(is_built), "{hour}");
    }
}

#[test]
fn what_is_no_regular_file_is_named_with_the_way_out() {
    let target = Target::new().with("manifest.json", &shop("01", "1"));
    std::fs::create_dir(target.0.path().join("catalog.json")).expect("made");
    let named = |target: &Target, name: &str, what: &str| {
        let place = target.place("");
        let file = target.0.path().join(name).display().to_string();
        let errors = [
            target.read("").expect_err("refused"),
            probe(&place, None).expect_err("refused"),
            survey(&place).expect_err("refused"),
        ];
        for error in errors.map(|error| error.to_string()) {
            assert!(error.contains(&file) && error.contains(what) && error.contains("move it away"), "{error}");
        }
    };
    named(&target, "catalog.json", "a folder");
    #[cfg(unix)]
    {
        let target = Target::new().with("manifest.json", &shop("01", "1"));
        // A socket is no regular file either, and is made without a program beside.
        let path = target.0.path().join("run_results.json");
        let _socket = std::os::unix::net::UnixListener::bind(path).expect("bound");
        named(&target, "run_results.json", "a pipe");
        let target = Target::new();
        let pipe = target.0.path().join("manifest.json");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|status| status.success()) {
            named(&target, "manifest.json", "a pipe");
        }
    }
}

#[test]
fn a_manifest_of_dbt_2s_engine_is_told_by_its_schema_or_its_dbt_version() {
    for (schema, dbt) in [(20, "1.12.0"), (12, "2.0.0-preview.7"), (20, "2.1.0")] {
        let mut shop = shop("01", "1");
        shop["metadata"] = metadata("manifest", schema, "01", "1");
        shop["metadata"]["dbt_version"] = dbt.into();
        let target = Target::new().with("manifest.json", &shop);
        let is_said = |text: &String| text.contains("dbt v2");
        assert!(target.read("").expect("read").reading.warnings.iter().any(is_said), "{schema} {dbt}");
        assert!(survey(&target.place("")).expect("surveyed").notes.iter().any(is_said), "{schema} {dbt}");
    }
}

#[test]
fn a_survey_does_not_call_a_truncated_file_good() {
    for name in ["manifest.json", "catalog.json"] {
        let target =
            Target::new().with("manifest.json", &shop("01", "1")).with("catalog.json", &catalog("01", &[(A, &["id"])]));
        let path = target.0.path().join(name);
        let text = std::fs::read(&path).expect("read");
        target.write(name, &text[..text.len() - 2]);
        let error = survey(&target.place("")).expect_err("refused").to_string();
        assert!(error.contains("not whole") && error.contains(name), "{error}");
    }
}

#[test]
fn a_manifest_without_nodes_and_other_encodings_are_named_as_such() {
    use std::io::Write as _;
    let mut shop = shop("01", "1");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(shop.to_string().as_bytes()).expect("packed");
    let utf16 = |bytes: fn(u16) -> [u8; 2]| shop.to_string().encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    assert!(refusal("manifest.json", &packed.finish().expect("packed")).contains("gzip"));
    assert!(refusal("manifest.json", &utf16(u16::to_le_bytes)).contains("UTF-16"));
    assert!(refusal("manifest.json", &utf16(u16::to_be_bytes)).contains("UTF-16"));
    shop["nodes"] = Value::Null;
    let null = refusal("manifest.json", shop.to_string().as_bytes());
    shop.as_object_mut().expect("a map").remove("nodes");
    let missing = refusal("manifest.json", shop.to_string().as_bytes());
    for text in [null, missing] {
        assert!(text.contains("`nodes`") && !text.contains("dbt_schema_version"), "{text}");
    }
}

#[test]
fn half_a_character_is_replaced_and_told() {
    let mut shop = shop("01", "1");
    shop["nodes"][A]["description"] = "a LONE b".into();
    let target = Target::new();
    target.write("manifest.json", shop.to_string().replace("LONE", "\\ud800").as_bytes());
    let reading = target.read("").expect("read").reading;
    assert_eq!(reading.inventory.nodes[A].description.as_deref(), Some("a \u{FFFD} b"));
    assert!(reading.warnings.iter().any(|warning| warning.contains("half a character")), "{:?}", reading.warnings);
}

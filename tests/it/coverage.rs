//! `lineaged coverage`: its figures against those of dbt-coverage and of the views, its gates, and what it lists as missing.

use std::collections::BTreeSet;
use std::path::Path;

use lineaged::demo::Project;
use lineaged::time::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{ENVIRONMENT, World, binary, json, run, sample};

const ORDERS: &str = "model.mini_shop.orders";

/// What `tests/fixtures/coverage/record.py` recorded.
fn recorded() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/coverage/recorded.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("recorded.json")).expect("JSON")
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("a number: {value}"))
}

/// A report's columns as `record.py` digests them.
fn digest(report: &Value) -> Value {
    let mut lines: Vec<String> = Vec::new();
    for table in report["tables"].as_array().expect("tables") {
        for column in table["columns"].as_array().expect("columns") {
            let text = |value: &Value| value["name"].as_str().expect("a name").to_owned();
            lines.push(format!("{}.{} {}\n", text(table), text(column), column["hits"]));
        }
    }
    lines.sort();
    let sha256: String = Sha256::digest(lines.concat()).iter().map(|byte| format!("{byte:02x}")).collect();
    json!([lines.len(), sha256])
}

/// Both reports of ours against what was recorded. `ask` runs `lineaged coverage` with further arguments.
fn assert_equal_to_dbt_coverage(name: &str, recorded: &Value, ask: impl Fn(&[&str]) -> String) {
    for (format, kind) in [("dbt-coverage", "doc"), ("dbt-coverage-test", "test")] {
        let report: Value = serde_json::from_str(&ask(&["--packages", "all", "--format", format])).expect("JSON");
        assert_eq!(report["cov_type"], kind);
        let theirs = &recorded[kind];
        if recorded["fails"].is_string() {
            assert!(number(&report["total"]) > 0, "{name}: {report}");
            continue;
        }
        assert_eq!(digest(&report), theirs["columns"], "{name}: the columns differ for {kind}");
        for (place, figure) in ["hits", "covered", "total"].into_iter().enumerate() {
            let merged: u64 =
                theirs["merged"].as_object().expect("tables").values().map(|lost| number(&lost[place])).sum();
            let found = number(&report[figure]) - merged;
            assert_eq!(found, number(&theirs["report"][place]), "{name}: {figure} of {kind}");
        }
    }
}

#[test]
fn the_figures_of_the_bundled_project_are_those_of_dbt_coverage() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let recorded = recorded();
    let mini_shop = &recorded["projects"]["mini_shop"];
    assert_eq!(mini_shop["doc"]["report"], json!([18, 18, 57]));
    assert_eq!(mini_shop["doc"]["merged"], json!({"model.mini_shop.dim_customers.v1": [3, 3, 6]}));
    assert_equal_to_dbt_coverage("mini_shop", mini_shop, |arguments| world.ok(&[&["coverage"], arguments].concat()));
}

#[test]
fn the_figures_of_real_projects_are_those_of_dbt_coverage() {
    let recorded = recorded();
    for (name, expected) in recorded["projects"].as_object().expect("projects") {
        if name == "mini_shop" {
            continue;
        }
        let Some(target) = sample(name) else { continue };
        let folder = tempfile::tempdir().expect("a folder");
        let ran = run(&mut binary(folder.path(), &["demo", &target.to_string_lossy()]));
        assert_eq!(ran.code, Some(0), "{name}: {}", ran.stderr);
        assert_equal_to_dbt_coverage(name, expected, |arguments| {
            let ran = run(&mut binary(folder.path(), &[&["coverage"], arguments].concat()));
            assert_eq!(ran.code, Some(0), "{name}: {}", ran.stderr);
            ran.stdout
        });
    }
}

/// The rows of a JSON answer; each has the same keys.
fn rows(world: &World, arguments: &[&str]) -> Vec<Value> {
    let rows = json(&world.ok(&[&["coverage", "--format", "json"], arguments].concat()));
    let keys = |row: &Value| row.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert!(rows.iter().all(|row| keys(row) == keys(&rows[0])), "{rows:#?}");
    rows
}

/// group, documented, node_count, placeholders, documented_columns, column_count, tested_columns of each row, as the views' words.
fn figures(rows: &[Value]) -> BTreeSet<Vec<String>> {
    let names =
        ["group", "documented", "node_count", "placeholders", "documented_columns", "column_count", "tested_columns"];
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    rows.iter()
        .filter(|row| row["is_total"] == 0)
        .map(|row| names.iter().map(|name| text(&row[*name])).collect())
        .collect()
}

#[test]
fn each_grouping_says_what_the_view_says() {
    let world = World::bundled();
    world.ok(&["sync"]);
    world.change(|project| project.describe(ORDERS, "TODO"));
    world.ok(&["sync"]);
    for (by, column) in [
        ("environment", "'prod'"),
        ("owner", "c.owner_name"),
        ("group", "c.group_name"),
        ("package", "c.package_name"),
        ("schema", "n.schema_name"),
        ("layer", "c.layer"),
        ("access", "n.access"),
        ("path", "rtrim(rtrim(n.file_path, replace(n.file_path, '/', '')), '/')"),
        ("resource_type", "c.resource_type"),
    ] {
        let rows = rows(&world, &["--by", by]);
        let view = world.rows(&format!(
            "SELECT {column}, sum(is_documented), count(*), sum(is_placeholder),
                 sum(documented_columns), sum(column_count), sum(tested_columns)
             FROM coverage c JOIN nodes n USING (environment_id, unique_id) GROUP BY 1"
        ));
        assert_eq!(figures(&rows), view.into_iter().collect(), "{by}");
        let total = rows.last().expect("a total");
        let found: Vec<u64> =
            ["is_total", "documented", "node_count", "placeholders", "column_count", "unknown_columns"]
                .map(|name| number(&total[name]))
                .into();
        assert_eq!(found, [1, 20, 28, 1, 63, 4], "{by}");
        assert_eq!(total["by"], by);
    }
    let tags = rows(&world, &["--by", "tag"]);
    let names: Vec<_> = tags.iter().map(|row| row["group"].as_str().unwrap_or("-")).collect();
    assert_eq!(names, ["exec", "marts", "nightly", "raw", "staging", "-", "-"]);
    assert_eq!(number(&tags[1]["node_count"]), 8);
}

#[test]
fn unknown_columns_and_missing_owners_are_told_in_words() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let screen = world.ok(&["coverage", "--by", "layer"]);
    let line = screen.lines().find(|line| line.contains("intermediate")).expect("a line");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words, ["intermediate", "0/1", "0%", "0", "unknown", "unknown", "unknown", "1", "0/1", "0%"]);
    let row = rows(&world, &["--by", "layer"]).swap_remove(0);
    assert!(row["column_count"].is_null() && row["documented_columns_percent"].is_null(), "{row}");
    let owners = world.ok(&["coverage", "--by", "owner"]);
    let lines: Vec<&str> = owners.lines().collect();
    assert!(lines[lines.len() - 2].contains("(no owner)"), "{owners}");
    assert!(lines[lines.len() - 1].contains("TOTAL") && lines[lines.len() - 1].contains("21/28 75%"), "{owners}");
    let limited = world.run(&["coverage", "--by", "owner", "--limit", "1"]);
    assert!(limited.stdout.contains("TOTAL") && limited.stdout.lines().count() == 3, "{limited:?}");
    assert!(limited.stderr.contains("3 more rows"), "{limited:?}");
}

#[test]
fn with_several_environments_their_table_comes_first() {
    let project = || Project::bundled(Timestamp::now());
    let world = World::with(vec![(1, project()), (2, project())], "");
    world.server.change(2, |project| project.describe(ORDERS, ""));
    world.ok(&["sync"]);
    let screen = world.ok(&["coverage"]);
    let lines: Vec<&str> = screen.lines().collect();
    assert!(lines[0].starts_with(" ENVIRONMENT"), "{screen}");
    assert!(lines[1].contains("env2") && lines[1].contains("20/28"), "{screen}");
    assert!(lines[2].contains("prod") && lines[2].contains("21/28"), "{screen}");
    assert!(lines[3].contains("TOTAL") && lines[3].contains("41/56"), "{screen}");
    let one = world.ok(&["coverage", "--environment", "env2"]);
    assert!(one.starts_with(" RESOURCE_TYPE") && one.contains("20/28"), "{one}");
    let report = world.run(&["coverage", "--format", "dbt-coverage"]);
    assert_eq!(report.code, Some(2), "{report:?}");
    assert!(report.stderr.contains("`env2`") && report.stdout.is_empty(), "{report:?}");
    world.ok(&["coverage", "--format", "dbt-coverage", "--environment", "prod"]);
}

#[test]
fn installed_packages_are_left_out_unless_they_are_wanted() {
    let world = World::bundled();
    world.change(|project| project.edit(ORDERS, |node| node.package_name = Some("installed".into())));
    world.ok(&["sync"]);
    let own = world.run(&["coverage", "--by", "package"]);
    assert!(!own.stdout.contains("installed") && own.stdout.contains("20/27"), "{own:?}");
    assert!(own.stderr.contains("1 nodes of installed packages are left out"), "{own:?}");
    let all = world.run(&["coverage", "--by", "package", "--packages", "all"]);
    assert!(all.stdout.contains("installed") && all.stdout.contains("21/28"), "{all:?}");
    assert_eq!(all.stderr, "");
    let judged = world.run(&["health", "--format", "json"]);
    assert!(!judged.stdout.contains("\"model.mini_shop.orders\"\n") && !lists(&judged.stdout, ORDERS), "{judged:?}");
    assert!(judged.stderr.contains("1 nodes of installed packages are left out"), "{judged:?}");
    let all = world.ok(&["health", "--format", "json", "--packages", "all"]);
    assert!(lists(&all, ORDERS), "{all}");
}

/// Whether a JSON answer has a row of this node.
fn lists(answer: &str, id: &str) -> bool {
    json(answer).iter().any(|row| row["unique_id"] == id)
}

#[test]
fn a_project_called_like_no_package_counts_all_and_each_environment_has_a_row() {
    let project = || Project::bundled(Timestamp::now());
    let world = World::with(vec![(1, project()), (2, project()), (3, project())], "");
    world.server.change(2, |project| project.rename("renamed"));
    world.server.change(3, Project::empty);
    world.ok(&["sync"]);
    let ran = world.run(&["coverage", "--by", "environment", "--format", "json"]);
    let told = json(&ran.stdout);
    let told: Vec<_> =
        told.iter().map(|row| (row["group"].clone(), row["node_count"].clone(), row["documented"].clone())).collect();
    let row = |name: &str, nodes: u8, documented: u8| (json!(name), json!(nodes), json!(documented));
    assert_eq!(
        told,
        [row("env2", 28, 21), row("env3", 0, 0), row("prod", 28, 21), (Value::Null, json!(56), json!(42))]
    );
    let warning = "warning: the project of `env2` is called `renamed`, but no package is";
    assert!(ran.stderr.contains(warning) && !ran.stderr.contains("left out"), "{ran:?}");
    let screen = world.run(&["coverage"]).stdout;
    assert!(screen.lines().any(|line| line.trim().starts_with("env3")), "{screen}");
    assert!(world.run(&["coverage", "--packages", "all"]).stderr.is_empty());
    let health = world.run(&["health", "--environment", "env2", "--format", "json"]);
    assert!(lists(&health.stdout, ORDERS) && health.stderr.contains(warning), "{health:?}");
    world.server.change(2, |project| project.describe(ORDERS, ""));
    world.ok(&["sync"]);
    assert_eq!(
        world.run(&["coverage", "--environment", "env2", "--fail-on-drop"]).code,
        Some(3),
        "its history counts, too"
    );
}

#[test]
fn what_is_excluded_is_shown_and_not_counted() {
    let world = World::with(
        vec![(ENVIRONMENT, Project::bundled(Timestamp::now()))],
        "[coverage]\nexclude = [\"path:models/staging\", \"source:*\"]\n",
    );
    world.ok(&["sync"]);
    let left = world.rows("SELECT count(*), sum(is_documented), sum(column_count) FROM coverage WHERE NOT is_excluded")
        [0]
    .clone();
    let excluded = "SELECT count(*) FROM coverage c JOIN nodes n USING (environment_id, unique_id)
                    WHERE is_excluded <> (c.resource_type = 'source' OR n.file_path LIKE 'models/staging/%' AND c.resource_type = 'model')";
    assert_eq!(world.cells(excluded), ["0"]);
    let ran = world.run(&["coverage", "--format", "json"]);
    let total = json(&ran.stdout).pop().expect("a total");
    let counted: Vec<String> = ["node_count", "documented", "column_count"].map(|name| total[name].to_string()).into();
    assert_eq!(counted, left);
    let number = 28 - left[0].parse::<u32>().expect("a number");
    assert!(
        number > 5 && ran.stderr.contains(&format!("{number} nodes are left out: `coverage.exclude` selects them")),
        "{ran:?}"
    );
    assert_eq!(world.cells("SELECT sum(node_count) FROM coverage_history"), [left[0].as_str()]);
    for arguments in [&["--missing"][..], &["--format", "dbt-coverage"][..]] {
        let text = world.ok(&[&["coverage"], arguments].concat());
        // What is left out may still be what a column would inherit from.
        let mut lines = text.lines().filter(|line| !line.contains("would inherit"));
        assert!(lines.all(|line| !line.contains("stg_") && !line.contains("raw_shop")), "{text}");
    }
    let config = world.folder.path().join("lineaged.toml");
    let text = std::fs::read_to_string(&config).expect("read");
    std::fs::write(&config, text.replace("exclude = [", "exclude = [\"@orders+\", ")).expect("written");
    let ran = world.run(&["coverage"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("coverage.exclude") && ran.stderr.contains("@orders+"), "{ran:?}");
    std::fs::write(&config, text.replace("exclude", "# exclude")).expect("written");
    world.ok(&["sync"]);
    assert_eq!(
        world.cells("SELECT sum(is_excluded) FROM coverage"),
        ["0"],
        "the next command that writes, though nothing has moved"
    );
}

#[test]
fn targets_are_shown_and_each_that_is_missed_is_told() {
    let world = World::with(
        vec![(ENVIRONMENT, Project::bundled(Timestamp::now()))],
        "[coverage]\ntargets = { nodes = 75, tests = 90.5 }\n",
    );
    world.ok(&["sync"]);
    let ran = world.run(&["coverage", "--fail-under-targets"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let target: Vec<&str> =
        ran.stdout.lines().find(|line| line.contains("TARGET")).expect("a line").split_whitespace().collect();
    assert_eq!(target, ["TARGET", "75%", "90.5%"]);
    assert!(
        ran.stderr.contains("tested: ") && ran.stderr.contains("is below 90.5 %") && !ran.stderr.contains("documented"),
        "{ran:?}"
    );
    let row = rows(&world, &[]).pop().expect("a total");
    assert_eq!(
        [&row["documented_target"], &row["documented_columns_target"], &row["tested_target"]],
        [&json!(75.0), &Value::Null, &json!(90.5)]
    );
    let none = World::bundled();
    none.ok(&["sync"]);
    let ran = none.run(&["coverage", "--fail-under-targets"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("coverage.targets") && !none.ok(&["coverage"]).contains("TARGET"), "{ran:?}");
}

#[test]
fn what_is_missing_is_all_that_the_views_lack() {
    let world = World::bundled();
    world.change(|project| project.describe(ORDERS, "Orders"));
    world.ok(&["sync"]);
    let rows = rows(&world, &["--missing"]);
    let found: BTreeSet<String> = rows
        .iter()
        .map(|row| [&row["unique_id"], &row["gap"], &row["column_name"]].map(|it| it.as_str().unwrap_or("-")).join(" "))
        .collect();
    let lacking = world.cells(
        "SELECT unique_id || ' no_description -' FROM coverage WHERE NOT is_documented AND NOT is_placeholder
         UNION SELECT unique_id || ' placeholder -' FROM coverage WHERE is_placeholder
         UNION SELECT unique_id || ' no_test -' FROM coverage
               WHERE test_count = 0 AND resource_type IN ('model', 'seed', 'snapshot', 'source')
         UNION SELECT unique_id || ' column_without_description ' || name FROM columns WHERE description IS NULL",
    );
    assert_eq!(found, lacking.into_iter().collect());
    assert!(found.contains("model.mini_shop.orders placeholder -"), "{found:?}");
    assert_eq!(found.len(), rows.len(), "each gap once");
    let list = world.run(&["coverage", "--missing", "--by", "owner"]);
    let lines: Vec<&str> = list.stdout.lines().collect();
    let place = |text: &str| lines.iter().position(|line| *line == text).unwrap_or_else(|| panic!("{text}: {list:?}"));
    assert!(place("@data-platform:") < place("Finance:") && place("Finance:") < place("(no owner):"));
    assert_eq!(
        lines[place("model.mini_shop.orders  (models/marts/orders.sql)") + 1],
        "    description (a placeholder); columns: status"
    );
    assert!(list.stderr.contains("1 descriptions instead of placeholders"), "{list:?}");
    let few = world.run(&["coverage", "--missing", "--limit", "1"]);
    assert_eq!(few.stdout.lines().count(), 2, "{few:?}");
}

#[test]
fn nothing_is_new_since_now() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let ran = world.run(&["coverage", "--missing", "--since", "0m", "--format", "json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "[]\n"), "{ran:?}");
    assert!(ran.stderr.contains("nothing is missing anew"), "{ran:?}");
    let pairs = rows(&world, &["--since", "0m", "--fail-on-drop"]);
    assert!(pairs.iter().all(|row| row["before_part"] == row["part"] && row["before_whole"] == row["whole"]));
    let total = pairs.iter().find(|row| row["is_total"] == 1 && row["figure"] == "documented").expect("a total");
    assert_eq!((&total["part"], &total["whole"], &total["change"]), (&json!(21), &json!(28), &json!(0.0)));
    let screen = world.ok(&["coverage", "--since", "0m"]);
    assert_eq!(screen.lines().count(), 5, "only the total's four figures: {screen}");
}

#[test]
fn since_a_time_only_what_is_new_is_missing_and_every_change_has_both_figures() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let first = world.cells("SELECT finished_at FROM syncs")[0].clone();
    world.change(|project| {
        project.describe(ORDERS, "");
        project.add_column(ORDERS, "tax", "DOUBLE");
        project.add_model("fresh", &[ORDERS]);
    });
    world.ok(&["sync"]);
    let new = rows(&world, &["--missing", "--since", &first]);
    let gaps: BTreeSet<String> = new.iter().map(|row| format!("{} {}", row["unique_id"], row["gap"])).collect();
    let expected = [
        "\"model.mini_shop.fresh\" \"column_without_description\"",
        "\"model.mini_shop.fresh\" \"no_description\"",
        "\"model.mini_shop.fresh\" \"no_test\"",
        "\"model.mini_shop.orders\" \"column_without_description\"",
        "\"model.mini_shop.orders\" \"no_description\"",
    ];
    assert_eq!(gaps, expected.map(str::to_owned).into());
    let ran = world.run(&["coverage", "--since", &first, "--fail-on-drop", "--by", "owner"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stdout.contains("21/28 75%") && ran.stdout.contains("20/29 68%"), "{ran:?}");
    assert!(ran.stderr.contains("prod: documented fell") && ran.stderr.contains("  Finance: 5/8"), "{ran:?}");
}

#[test]
fn too_little_ends_with_three_and_names_both_figures() {
    let world = World::bundled();
    world.ok(&["sync"]);
    world.ok(&["coverage", "--fail-under", "75"]);
    let ran = world.run(&["coverage", "--fail-under", "75.1"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("documented: 21/28 (75.0 %) is below 75.1 %"), "{ran:?}");
    assert!(ran.stdout.contains("TOTAL"), "the table is there, too: {ran:?}");
    world.ok(&["coverage", "--format", "dbt-coverage", "--fail-under", "33%"]);
    let columns = world.run(&["coverage", "--format", "dbt-coverage", "--fail-under", "34"]);
    assert_eq!(columns.code, Some(3), "{columns:?}");
    assert!(columns.stderr.contains("columns documented: 21/63 (33.3 %) is below 34 %"), "{columns:?}");
    for nonsense in ["0.8", "101", "-1", "NaN", "much"] {
        let ran = world.run(&["coverage", &format!("--fail-under={nonsense}")]);
        assert_eq!(ran.code, Some(2), "{nonsense}: {ran:?}");
    }
}

#[test]
fn a_drop_ends_with_three_and_names_the_group_and_a_rise_does_not() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let first = world.run(&["coverage", "--fail-on-drop"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(first.stderr.contains("no earlier state") && !first.stdout.contains("last changes"), "{first:?}");
    world.change(|project| project.describe(ORDERS, "To be written: todo"));
    world.ok(&["sync"]);
    world.ok(&["coverage", "--fail-on-drop"]);
    // A placeholder is no description, so that this is a drop.
    world.change(|project| project.describe(ORDERS, "todo"));
    world.ok(&["sync"]);
    let dropped = world.run(&["coverage", "--fail-on-drop"]);
    assert_eq!(dropped.code, Some(3), "{dropped:?}");
    assert!(dropped.stderr.contains("prod: documented fell since"), "{dropped:?}");
    assert!(dropped.stderr.contains("21/28 (75.0 %) → 20/28 (71.4 %)"), "{dropped:?}");
    assert!(dropped.stderr.contains("  model, mini_shop, Finance: 5/8 (62.5 %) → 4/8 (50.0 %)"), "{dropped:?}");
    assert!(!dropped.stderr.contains("columns documented"), "{dropped:?}");
    let trend = dropped.stdout.split("The last changes of the total").nth(1).expect("a trend");
    assert!(trend.contains("21/28 75%") && trend.contains("20/28 71%"), "{trend}");
    world.change(|project| project.describe_column(ORDERS, "status", "Where it stands."));
    world.ok(&["sync"]);
    world.ok(&["coverage", "--fail-on-drop"]);
    let history = world.cells("SELECT placeholders FROM coverage_history ORDER BY sync_id DESC LIMIT 1");
    assert_eq!(history, ["1"]);
}

#[test]
fn hostile_names_are_inert_in_markdown_and_on_a_terminal() {
    let world = World::bundled();
    let evil = "<img src=x> | [a](http://x) @all \u{1b}[31m";
    world.change(|project| project.set_meta("model.mini_shop.stg_orders", json!({"owner": evil})));
    world.ok(&["sync"]);
    for arguments in [&["--by", "owner"][..], &["--missing"][..]] {
        let text = world.ok(&[&["coverage", "--format", "markdown"], arguments].concat());
        let line = text.lines().find(|line| line.contains("img")).expect("the owner's line");
        assert!(!line.contains("<img") && !line.contains("[a]") && !line.contains("@all"), "{line}");
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        assert_eq!(bars(line), bars(text.lines().next().expect("a header")), "{line}");
        let screen = world.ok(&[&["coverage"], arguments].concat());
        assert!(screen.contains("img") && !screen.contains('\u{1b}'), "{screen:?}");
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    let world = World::bundled();
    world.ok(&["sync"]);
    for (arguments, part) in [
        (&["--format", "dbt-coverage", "--by", "owner"][..], "`--by`"),
        (&["--format", "dbt-coverage-test", "--missing"][..], "`--missing`"),
        (&["--format", "dbt-coverage", "--since", "0m"][..], "`--since`"),
        (&["--by", "mood"][..], "resource_type"),
    ] {
        let ran = world.run(&[&["coverage"], arguments].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(part) && ran.stdout.is_empty(), "{ran:?}");
    }
}

//! The commands as a stranger uses them: help, exit codes, messages that tell the way out.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use crate::support::{World, binary, json, rows, run};

#[test]
fn init_writes_the_example_once_and_never_over_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = run(&mut binary(folder.path(), &["init"]));
    assert_eq!(first.code, Some(0), "{first:?}");
    let written = std::fs::read_to_string(folder.path().join("lineaged.toml")).expect("written");
    assert!(written.contains("[discovery]"));
    let again = run(&mut binary(folder.path(), &["init"]));
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("lineaged.toml"), "{again:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("lineaged.toml")).expect("read"), written);
}

#[test]
fn every_problem_of_the_configuration_is_told_at_once_with_the_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = std::fs::File::create(folder.path().join("lineaged.toml")).expect("a file");
    let text = "[discovery]\nurl = \"http://example.com/graphql\"\npage_sise = 3\n[schedule]\ncron = \"every day\"\n\
                [[environments]]\nid = 1\nname = \"a\"\n[[environments]]\nid = 1\nname = \"a\"\n";
    file.write_all(text.as_bytes()).expect("written");
    let ran = run(&mut binary(folder.path(), &["check"]));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    for part in
        ["http://", "page_sise", "page_size", "every day", "environments", "LINEAGED_DISCOVERY__TOKEN", "lineaged.toml"]
    {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
}

#[test]
fn reading_commands_need_no_token_and_say_where_no_catalog_is() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in ["status", "ls", "changes"] {
        let ran = run(&mut binary(folder.path(), &[command]));
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("there is no catalog at") && ran.stderr.contains("lineaged sync"), "{ran:?}");
        assert!(!folder.path().join("lineaged.db").exists());
    }
}

#[test]
fn the_demo_serves_the_platform_until_its_input_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = binary(folder.path(), &["demo", "--serve-platform"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let mut text = String::new();
    while !text.contains("Control-C") {
        assert_ne!(output.read_line(&mut text).expect("read"), 0, "{text}");
    }
    let said = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(&format!("export {name}=")));
        line.unwrap_or_else(|| panic!("{name}: {text}")).to_owned()
    };
    let address = said("LINEAGED_PLATFORM__URL").replace("http://", "");
    assert!(said("LINEAGED_DISCOVERY__TOKEN") != said("LINEAGED_PLATFORM__TOKEN"), "{text}");
    assert_eq!(said("LINEAGED_PLATFORM__SEMANTIC_LAYER"), "true");
    assert!(text.contains("lineaged show average_order_value\n"), "{text}");
    let mut stream = TcpStream::connect(&address).expect("connected");
    let token = said("LINEAGED_PLATFORM__TOKEN");
    let head = format!("GET /api/v3/accounts/ HTTP/1.1\r\nAuthorization: Token {token}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"Shop\""), "{answer}");
    assert!(child.try_wait().expect("asked").is_none(), "it serves as long as its input is open");
    drop(child.stdin.take());
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert!(!folder.path().join("lineaged.db").exists());
}

#[test]
fn json_has_the_names_of_the_view() {
    let world = World::bundled();
    world.ok(&["sync"]);
    for (arguments, view) in [
        (vec!["ls"], "nodes"),
        (vec!["changes"], "changes"),
        (vec!["status"], "environments"),
        (vec!["show", "stg_orders"], "nodes"),
    ] {
        let mut arguments = arguments;
        arguments.extend(["--format", "json"]);
        let rows = json(&world.ok(&arguments));
        let mut names: Vec<String> = rows[0].as_object().expect("an object").keys().cloned().collect();
        let mut expected = world.cells(&format!("SELECT name FROM pragma_table_info('{view}')"));
        names.sort();
        expected.sort();
        assert_eq!(names, expected, "{arguments:?}");
    }
}

#[test]
fn lists_and_maps_are_values_in_json_and_ndjson_and_text_in_csv() {
    let world = World::bundled();
    world.ok(&["sync"]);
    world.change(|project| project.describe("model.mini_shop.orders", "New words."));
    world.ok(&["sync"]);
    let ls = |format: &str| world.ok(&["ls", "--resource-type", "model", "--select", "orders", "--format", format]);
    let node = json(&ls("json")).remove(0);
    assert!(node["fqn"].is_array() && node["tags"].is_array() && node["meta"].is_object(), "{node}");
    let stored = world.cells("SELECT properties FROM nodes WHERE unique_id = 'model.mini_shop.orders'").remove(0);
    assert_eq!(node["properties"], serde_json::from_str::<serde_json::Value>(&stored).expect("JSON"));
    assert!(ls("csv").contains("\"[\"\"mini_shop\"\","), "{}", ls("csv"));
    for command in [
        &["ls"][..],
        &["changes"],
        &["health"],
        &["freshness"],
        &["status"],
        &["show", "stg_orders"],
        &["search", "orders"],
        &["coverage"],
        &["coverage", "--missing"],
        &["coverage", "--since", "0m"],
        &["lineage", "stg_orders"],
    ] {
        let read = |format: &str| world.ok(&[command, &["--format", format]].concat());
        let (text, mut whole) = (read("ndjson"), json(&read("json")));
        let mut lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
        for row in lines.iter_mut().chain(&mut whole).filter_map(|row| row.as_object_mut()) {
            row.remove("age_seconds");
        }
        assert!(!lines.is_empty() && lines.iter().all(serde_json::Value::is_object), "{command:?}");
        assert_eq!(lines, whole, "{command:?}");
    }
    let health = json(&world.ok(&["health", "--status", "degraded", "--format", "json"]));
    assert!(health[0]["reasons"][0]["code"].is_string(), "{health:?}");
    let change = json(&world.ok(&["changes", "--kind", "changed", "--format", "json"])).pop().expect("a change");
    assert_eq!((&change["field"], &change["after"]), (&"description".into(), &"New words.".into()));
    let added = json(&world.ok(&["changes", "--kind", "added", "--format", "json"])).remove(0);
    assert!(added["before"].is_null() && added["after"].is_object(), "{added}");
}

#[test]
fn show_finds_by_name_lists_candidates_and_offers_the_nearest() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let screen = world.ok(&["show", "stg_orders"]);
    for part in ["model.mini_shop.stg_orders", "order_id", "source.mini_shop.raw_shop.orders"] {
        assert!(screen.contains(part), "{part}: {screen}");
    }
    let several = world.run(&["show", "dim_customers"]);
    assert_eq!(several.code, Some(2), "{several:?}");
    assert!(
        several.stderr.contains("model.mini_shop.dim_customers.v1") && several.stderr.contains(".v2"),
        "{several:?}"
    );
    let near = world.run(&["show", "stg_ordrs"]);
    assert_eq!(near.code, Some(2), "{near:?}");
    assert!(near.stderr.contains("model.mini_shop.stg_orders"), "{near:?}");
}

#[test]
fn with_several_environments_a_node_that_is_in_more_than_one_needs_a_name() {
    let project = || lineaged::demo::Project::bundled(lineaged::time::Timestamp::now());
    let world = World::with(vec![(1, project()), (2, project())], "");
    world.server.change(2, |project| project.add_model("only_here", &[]));
    world.ok(&["sync"]);
    let ran = world.run(&["show", "stg_orders"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("`env2`") && ran.stderr.contains("`prod`"), "{ran:?}");
    world.ok(&["show", "stg_orders", "--environment", "env2"]);
    world.ok(&["show", "only_here"]);
    assert_eq!(world.run(&["ls", "--environment", "nowhere"]).code, Some(2));
}

#[test]
fn changes_can_be_followed_by_seq_and_bounded() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let all = json(&world.ok(&["changes", "--format", "json"]));
    let rest = json(&world.ok(&["changes", "--format", "json", "--after", "3", "--limit", "2"]));
    assert_eq!(rest, all[3..5]);
    let ran = world.run(&["changes"]);
    assert!(ran.stderr.contains("earlier changes are left out"), "{ran:?}");
    let one = json(&world.ok(&["changes", "--node", "stg_orders", "--format", "json"]));
    assert!(!one.is_empty() && one.iter().all(|row| row["unique_id"] == "model.mini_shop.stg_orders"));
}

#[test]
fn check_tells_what_each_type_holds_and_what_is_wrong_in_plain_words() {
    let world = World::bundled();
    let out = world.ok(&["check"]);
    let models = world.change(|project| project.applied_ids().iter().filter(|id| id.starts_with("model.")).count());
    assert!(out.lines().any(|line| line.contains("models") && line.contains(&models.to_string())), "{out}");
    let mut wrong_token = world.command(&["check"]);
    wrong_token.env("LINEAGED_DISCOVERY__TOKEN", "nonsense");
    let ran = run(&mut wrong_token);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(format!("{ran:?}").contains("token"), "{ran:?}");
    let mut wrong_id = world.command(&["check"]);
    wrong_id.env("LINEAGED_ENVIRONMENTS", "[{id=99,name=\"prod\"}]");
    let ran = run(&mut wrong_id);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(format!("{ran:?}").contains("no data"), "{ran:?}");
    let mut nobody = world.command(&["check"]);
    nobody.env("LINEAGED_DISCOVERY__URL", "http://127.0.0.1:9/graphql");
    let ran = run(&mut nobody);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(format!("{ran:?}").contains("refused"), "{ran:?}");
}

#[test]
fn a_stock_client_reads_the_catalog_while_a_sync_writes_it() {
    let world = World::bundled();
    world.ok(&["sync"]);
    for round in 0..5 {
        world.change(|project| project.describe("model.mini_shop.orders", &format!("Round {round}.")));
        let mut child = world.command(&["sync"]).stdout(std::process::Stdio::null()).spawn().expect("started");
        let mut reads = 0;
        while child.try_wait().expect("a child").is_none() {
            let reader = world.reader();
            assert_eq!(rows(&reader, "SELECT * FROM nodes LIMIT 3").len(), 3);
            reads += 1;
        }
        assert!(reads > 0);
    }
}

/// A file that another program's user may meet: the plain `sqlite3` shell, if it is on this machine.
#[test]
fn the_sqlite3_shell_reads_every_view() {
    let world = World::bundled();
    world.ok(&["sync"]);
    for view in lineaged::answers::VIEWS {
        let shell = std::process::Command::new("sqlite3")
            .arg(world.catalog())
            .arg(format!("SELECT count(*) FROM {view}"))
            .output();
        let Ok(output) = shell else {
            eprintln!("skipped: there is no sqlite3 shell");
            return;
        };
        assert!(output.status.success(), "{view}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_lineage_is_bounded_to_the_nearest_and_says_what_it_left_out() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let all = json(&world.ok(&["lineage", "model.mini_shop.orders", "--format", "json"]));
    let some = world.run(&["lineage", "model.mini_shop.orders", "--limit", "3", "--format", "json"]);
    let rows = json(&some.stdout);
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows.iter().all(|row| row["depth"] == 1), "{rows:?}");
    assert!(some.stderr.contains(&format!("{} more nodes are further away", all.len() - 3)), "{some:?}");
    let tree = world.ok(&["lineage", "model.mini_shop.orders", "--limit", "0"]);
    assert!(tree.contains("upstream: 0") && tree.contains("downstream: 0"), "{tree}");
}

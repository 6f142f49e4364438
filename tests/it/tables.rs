//! Tables for people: they fit where they are shown, say what has no room, and are whole in a pipe.

use lineaged::demo::Project;
use lineaged::time::Timestamp;

use crate::support::{World, binary, run};

/// Commands that read, as somebody tries them after the demo.
const COMMANDS: [&[&str]; 17] = [
    &["status"],
    &["ls"],
    &["health"],
    &["health", "--status", "healthy"],
    &["freshness"],
    &["tests"],
    &["runs"],
    &["runs", "70403001"],
    &["changes"],
    &["changes", "--kind", "changed"],
    &["search", "order"],
    &["coverage"],
    &["coverage", "--missing"],
    &["show", "model.mini_shop.orders"],
    &["show", "metric.mini_shop.revenue"],
    &["lineage", "model.mini_shop.orders", "--format", "table"],
    &["impact", "model.mini_shop.stg_orders"],
];

/// A line of one word, an id perhaps, is left whole for whoever copies it.
fn is_too_wide(line: &str, width: usize) -> bool {
    line.chars().count() > width && line.trim_start().contains(' ')
}

/// The names of the columns, if the first line has them.
fn header(text: &str) -> Vec<String> {
    let first = text.lines().next().unwrap_or_default();
    let names = first.split("  ").map(str::trim).filter(|name| !name.is_empty());
    let is_header = first.starts_with(' ') && !first.contains(char::is_lowercase);
    names.filter(|_| is_header).map(str::to_owned).collect()
}

#[test]
fn no_reading_command_prints_a_line_that_does_not_fit_or_breaks_a_header() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(run(&mut binary(folder.path(), &["demo"])).code, Some(0));
    for arguments in COMMANDS {
        let whole = header(&run(&mut binary(folder.path(), arguments)).stdout);
        for width in [80, 120, 200] {
            let ran = run(binary(folder.path(), arguments).env("COLUMNS", width.to_string()));
            assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
            let wide = ran.stdout.lines().find(|line| is_too_wide(line, width));
            assert_eq!(wide, None, "{arguments:?} at {width}:\n{}", ran.stdout);
            let (shown, told) = (header(&ran.stdout), ran.stderr.to_uppercase());
            let is_block = shown.is_empty();
            assert!(
                !is_block || whole.is_empty() || width == 80 && arguments[0] == "changes",
                "{arguments:?}: {ran:?}"
            );
            let lost = whole.iter().find(|name| !is_block && !shown.contains(name) && !told.contains(*name));
            assert_eq!(lost, None, "{arguments:?} at {width}:\n{}{}", ran.stdout, ran.stderr);
        }
    }
}

#[test]
fn what_is_left_out_for_the_width_is_told_and_a_pipe_gets_everything() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let ls = run(world.command(&["ls"]).env("COLUMNS", "80"));
    assert!(ls.stderr.contains("left out for the width: materialization\n"), "{ls:?}");
    assert!(!ls.stdout.contains("MATERIALIZATION"), "{ls:?}");
    let whole = world.run(&["ls"]);
    assert!(whole.stderr.is_empty() && whole.stdout.contains("MATERIALIZATION"), "{whole:?}");
    assert!(!whole.stdout.contains('…'), "{whole:?}");
    let health = world.ok(&["health"]);
    let sentence = world.cells(
        "SELECT json_extract(reasons, '$[0].sentence') FROM health WHERE unique_id = 'model.mini_shop.after_broken'",
    );
    assert!(health.contains(&sentence[0]) && !health.contains('…'), "{health}");
}

#[test]
fn colours_are_for_terminals_unless_somebody_says_otherwise() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let coloured = world.ok(&["health", "--color", "always"]);
    assert!(coloured.contains("\u{1b}[31mdegraded\u{1b}[0m"), "{coloured:?}");
    let without: String = coloured.replace("\u{1b}[31m", "").replace("\u{1b}[33m", "").replace("\u{1b}[2m", "");
    assert_eq!(without.replace("\u{1b}[0m", ""), world.ok(&["health"]), "colours move nothing");
    for format in ["json", "ndjson", "csv", "markdown"] {
        assert!(!world.ok(&["health", "--color", "always", "--format", format]).contains('\u{1b}'), "{format}");
    }
    for color in ["auto", "never"] {
        assert!(!world.ok(&["--color", color, "tests"]).contains('\u{1b}'), "{color}");
    }
}

#[test]
fn ids_are_for_ls_alone_one_in_each_line() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let ids = world.ok(&["ls", "--format", "ids", "--resource-type", "seed"]);
    assert_eq!(ids, "seed.mini_shop.country_codes\nseed.mini_shop.payment_methods\n");
    let few = world.run(&["ls", "--format", "ids", "--limit", "2"]);
    assert!(few.stdout.lines().count() == 2 && few.stderr.contains("more rows are left out"), "{few:?}");
    for command in ["health", "tests", "status"] {
        let ran = world.run(&[command, "--format", "ids"]);
        assert!(ran.code == Some(2) && ran.stderr.contains("invalid value 'ids'"), "{ran:?}");
    }
}

#[test]
fn markdown_has_the_columns_that_people_see_in_a_table() {
    let world = World::bundled();
    world.ok(&["sync"]);
    for command in [&["ls"][..], &["health"], &["freshness"], &["tests"], &["runs"], &["status"], &["search", "orders"]]
    {
        let table = world.ok(command);
        let page = world.ok(&[command, &["--format", "markdown"]].concat());
        let first = |text: &str| text.lines().next().unwrap_or_default().replace('|', " ").to_uppercase();
        let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(first(&page)), words(first(&table)), "{command:?}");
    }
}

#[test]
fn with_several_environments_each_row_says_of_which_it_is() {
    let project = || Project::bundled(Timestamp::now());
    let world = World::with(vec![(1, project()), (2, project())], "");
    world.ok(&["sync"]);
    world.server.change(1, |project| project.describe("model.mini_shop.orders", "New words."));
    world.ok(&["sync"]);
    let commands =
        [&["ls"][..], &["health"], &["changes"], &["freshness"], &["search", "orders"], &["runs"], &["tests"]];
    for command in commands {
        let both = world.ok(command);
        assert!(both.starts_with(" ENVIRONMENT  "), "{command:?}: {both}");
        assert!(both.lines().skip(1).any(|line| line.starts_with(" env")), "{command:?}: {both}");
        let one = world.ok(&[command, &["--environment", "env2"]].concat());
        assert!(!one.contains("ENVIRONMENT"), "{command:?}: {one}");
        let rows = crate::support::json(&world.ok(&[command, &["--format", "json"]].concat()));
        assert!(rows[0].get("environment").is_none(), "{command:?}: {}", rows[0]);
    }
}

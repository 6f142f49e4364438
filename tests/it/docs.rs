//! README is kept true: views, commands, keys, and the queries that the demo prints.

use std::path::Path;

use crate::support::{binary, rows, run};

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    std::fs::read_to_string(path).expect("README.md")
}

#[test]
fn every_view_and_every_command_is_in_readme() {
    let readme = readme();
    for view in lineaged::views::VIEWS {
        assert!(readme.contains(&format!("`{view}`")), "the view {view} is not in README");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let help = run(&mut binary(folder.path(), &["--help"]));
    let commands =
        help.stdout.split("Commands:").nth(1).and_then(|text| text.split("Options:").next()).expect("commands");
    let names: Vec<&str> = commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 12, "{names:?}");
    for name in names.iter().filter(|name| name.chars().all(char::is_alphabetic) && **name != "help") {
        assert!(readme.contains(&format!("`lineaged {name}")), "the command {name} is not in README");
    }
}

#[test]
fn every_key_of_the_example_is_in_readme() {
    let readme = readme();
    let mut section = String::new();
    for line in lineaged::config::EXAMPLE.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_matches(['[', ']']).to_owned();
        } else if let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ")
            && !section.is_empty()
            && section != "environments"
            && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        {
            assert!(readme.contains(&format!("`{section}.{key}`")), "{section}.{key} is not in README");
        }
    }
}

#[test]
fn the_demo_runs_in_an_empty_folder_and_its_queries_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = run(&mut binary(folder.path(), &["demo"]));
    assert_eq!(first.code, Some(0), "{first:?}");
    for part in ["55 nodes seen", "a model was added", "column_changed", "a source went stale", "checked_status"] {
        assert!(first.stdout.contains(part), "{part}: {}", first.stdout);
    }
    let catalog = rusqlite::Connection::open(folder.path().join("lineaged.db")).expect("the catalog");
    let queries: Vec<&str> = first
        .stdout
        .lines()
        .filter_map(|line| line.trim().strip_prefix("sqlite3 lineaged.db \"")?.strip_suffix('"'))
        .collect();
    assert_eq!(queries.len(), 3, "{}", first.stdout);
    for query in queries {
        assert!(!rows(&catalog, query).is_empty(), "{query}");
    }
    drop(catalog);
    let again = run(&mut binary(folder.path(), &["demo"]));
    assert_eq!(again.code, Some(0), "a demo may be run again: {again:?}");
}

#[test]
fn the_demo_leaves_a_catalog_alone_that_holds_more_than_a_demo() {
    let world = crate::support::World::bundled();
    world.ok(&["sync"]);
    let ran = world.run(&["demo"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("more than a demo"), "{ran:?}");
    crate::support::assert_same(&world.content(), &world.truth(), "after the refused demo");
}

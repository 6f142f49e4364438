//! Who may use what: each room imports only from rooms below it, and each outside library has one home.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A room and those of our rooms that it may use. Everybody may use `time`, `inventory` and `redact`.
const MAY_USE: [(&str, &[&str]); 21] = [
    ("time", &[]),
    ("inventory", &[]),
    ("redact", &[]),
    ("selection", &[]),
    ("plan", &[]),
    ("schedule", &[]),
    ("logging", &[]),
    // It checks what the configuration says: schedules, selectors, and how much a read may take away.
    ("config", &["schedule", "selection", "plan"]),
    ("outbound", &[]),
    ("origin", &["config", "outbound"]),
    ("derive", &["plan", "selection"]),
    // Selection only to load what it works on, and for the setting that excludes nodes from coverage.
    ("catalog", &["plan", "derive", "selection"]),
    ("sync", &["origin", "plan", "catalog", "config"]),
    ("answers", &["catalog", "selection", "plan"]),
    ("output", &["answers"]),
    ("export", &["answers", "config", "output"]),
    ("deliver", &["export", "answers", "catalog", "config", "outbound"]),
    ("telemetry", &["answers", "origin"]),
    ("http", &["answers", "sync", "catalog", "config", "output", "telemetry"]),
    ("daemon", &["config", "schedule", "origin", "sync", "answers", "catalog", "deliver", "http", "telemetry"]),
    ("demo", &["origin", "plan", "config"]),
];

/// A crate and the files (or folders) under `src` that may name it.
const HOMES: [(&str, &[&str]); 13] = [
    ("rusqlite", &["catalog/", "derive/", "answers/"]),
    ("reqwest", &["outbound.rs", "origin/discovery/", "origin/platform/", "deliver/"]),
    ("graphql_client", &["origin/discovery/"]),
    ("glob", &["origin/artifacts/"]),
    ("petgraph", &["plan/graph.rs"]),
    ("sqlparser", &["derive/columns/"]),
    ("cron", &["schedule.rs"]),
    ("figment", &["config"]),
    ("clap", &["cli/", "output/", "main.rs"]),
    ("uuid", &["export/"]),
    ("apollo_compiler", &["demo/"]),
    ("axum", &["http/"]),
    ("prometheus_client", &["telemetry/"]),
];

/// The path of each source file below `src`, and its code: without comments, and without tests, which may use everything.
fn code() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 20, "only {} files were found", files.len());
    let read = |file: PathBuf| {
        let name = file.strip_prefix(&src).expect("below src").display().to_string();
        let text = std::fs::read_to_string(&file).expect("read");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        (name, lines.collect::<Vec<_>>().join("\n"))
    };
    // What is kept and shown of dbt's tests.
    let of_dbt = ["derive/tests.rs", "cli/tests.rs"];
    let is_test = |(name, _): &(String, String)| {
        name.contains("/tests/") || name.ends_with("/tests.rs") && !of_dbt.contains(&name.as_str())
    };
    files.into_iter().map(read).filter(|file| !is_test(file)).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The first part of each path that begins with `crate::`, also of those in braces.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, start) in code.match_indices("crate::") {
        let rest = &code[at + start.len()..];
        let group = rest.strip_prefix('{').and_then(|rest| rest.split_once("};")).map(|(group, _)| group);
        for path in group.map_or(vec![rest], |group| group.split(',').collect()) {
            let name: String = path.trim_start().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            named.insert(name);
        }
    }
    named
}

#[test]
fn each_room_uses_only_rooms_below_it() {
    let may_use: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    let mut strays = Vec::new();
    let mut rooms = BTreeSet::new();
    for (name, code) in code() {
        let room = name.split('/').next().expect("a first part").trim_end_matches(".rs").to_owned();
        // These see everything: they start it.
        if ["lib", "main", "cli"].contains(&room.as_str()) {
            continue;
        }
        let allowed = may_use.get(room.as_str()).unwrap_or_else(|| panic!("{room} is no room of the table"));
        for used in rooms_named(&code) {
            let is_free = ["time", "inventory", "redact", ""].contains(&used.as_str()) || used == room;
            if !is_free && !allowed.contains(&used.as_str()) {
                strays.push(format!("{name} uses {used}; {room} may use {allowed:?}"));
            }
        }
        rooms.insert(room);
    }
    assert!(strays.is_empty(), "{strays:#?}");
    let named: BTreeSet<String> = may_use.keys().map(|room| (*room).to_owned()).collect();
    assert_eq!(rooms, named, "the rooms of the table are those of `src`");
}

#[test]
fn no_two_rooms_use_each_other() {
    let below: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    for room in below.keys() {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut next: Vec<&str> = below[room].to_vec();
        while let Some(used) = next.pop() {
            assert_ne!(used, *room, "there is a way from {room} back to itself");
            if reached.insert(used) {
                next.extend(below[used]);
            }
        }
    }
}

#[test]
fn every_library_stays_in_its_home() {
    let mut strays = Vec::new();
    for (name, code) in code() {
        for (library, homes) in HOMES {
            if code.contains(&format!("{library}::")) && !homes.iter().any(|home| name.starts_with(home)) {
                strays.push(format!("{name} uses {library}, whose home is {homes:?}"));
            }
        }
    }
    assert!(strays.is_empty(), "{strays:#?}");
}

#[test]
fn the_catalog_is_written_in_one_place_only() {
    for (name, code) in code() {
        let writes = ["INSERT ", "UPDATE ", "DELETE FROM"].iter().any(|word| code.contains(word));
        let may = name.starts_with("catalog/") || name.starts_with("derive/");
        assert!(!writes || may, "{name} writes SQL");
    }
}

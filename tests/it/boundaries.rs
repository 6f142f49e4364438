//! Who may use what: each outside library has one home.

use std::path::{Path, PathBuf};

/// A crate and the files (or folders) under `src` that may name it.
const HOMES: [(&str, &[&str]); 10] = [
    ("rusqlite", &["catalog/", "views/", "cli/"]),
    ("reqwest", &["discovery/"]),
    ("graphql_client", &["discovery/"]),
    ("petgraph", &["graph.rs"]),
    ("cron", &["schedule.rs"]),
    ("figment", &["config"]),
    ("clap", &["cli/", "output.rs", "main.rs"]),
    ("apollo_compiler", &["demo/"]),
    ("axum", &["http/"]),
    ("prometheus_client", &["telemetry.rs"]),
];

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

#[test]
fn every_library_stays_in_its_home() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 20, "only {} files were found", files.len());
    let mut strays = Vec::new();
    for file in files {
        let name = file.strip_prefix(&src).expect("below src").display().to_string();
        let text = std::fs::read_to_string(&file).expect("read");
        for (library, homes) in HOMES {
            let used = text.lines().any(|line| {
                let code = line.trim_start();
                !code.starts_with("//") && code.contains(&format!("{library}::"))
            });
            if used && !homes.iter().any(|home| name.starts_with(home)) {
                strays.push(format!("{name} uses {library}, whose home is {homes:?}"));
            }
        }
    }
    assert!(strays.is_empty(), "{strays:#?}");
}

#[test]
fn the_catalog_is_written_in_one_place_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    for file in files {
        let name = file.strip_prefix(&src).expect("below src").display().to_string();
        let text = std::fs::read_to_string(&file).expect("read");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let writes = ["INSERT ", "UPDATE ", "DELETE FROM"].iter().any(|word| code.contains(word));
        let is_test = name.ends_with("/tests.rs");
        assert!(!writes || is_test || name.starts_with("catalog/"), "{name} writes SQL");
    }
}

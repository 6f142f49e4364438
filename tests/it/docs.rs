//! README is kept true: views, commands, keys, and the queries that the demo prints.

use std::path::Path;

use lineaged::demo::{Project, Server};
use lineaged::time::Timestamp;

use crate::support::{binary, rows, run};

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    std::fs::read_to_string(path).expect("README.md")
}

#[test]
fn every_view_and_every_command_is_in_readme() {
    let readme = readme();
    for view in lineaged::answers::VIEWS {
        assert!(readme.contains(&format!("`{view}`")), "the view {view} is not in README");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let help = run(&mut binary(folder.path(), &["--help"]));
    let commands =
        help.stdout.split("Commands:").nth(1).and_then(|text| text.split("Options:").next()).expect("commands");
    let names: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() > 12, "{names:?}");
    for name in names.iter().filter(|name| name.chars().all(char::is_alphabetic) && **name != "help") {
        assert!(readme.contains(&format!("`lineaged {name}")), "the command {name} is not in README");
    }
}

/// What speed is said to be was measured: README leaves it to the document that the measuring program writes.
#[test]
fn readme_leaves_speed_to_the_measured_document() {
    assert!(readme().contains("[docs/performance.md](docs/performance.md)"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_else(|_| panic!("{path} is missing"));
    let (document, benches) = (read("docs/performance.md"), read("benches/paths.rs"));
    for plot in document.split("](").skip(1).filter_map(|it| it.split(')').next()).filter(|it| it.ends_with(".svg")) {
        assert!(read(&format!("docs/{plot}")).starts_with("<svg"), "{plot}");
    }
    let (_, hot_paths) = document.split_once("## Hot paths").expect("a section");
    for name in hot_paths.split('`').skip(1).step_by(2).filter(|it| it.contains('_') && !it.starts_with("view_")) {
        assert!(benches.contains(&format!("\"{name}\"")), "there is no bench {name}");
    }
}

/// The files below a folder whose names end so, with what is in them.
fn files(folder: &Path, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push((path.display().to_string(), std::fs::read_to_string(&path).expect("read")));
        }
    }
    found
}

#[test]
fn every_request_to_the_platform_is_in_its_document() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/platform.md")).expect("docs/platform.md");
    let sources = files(&root.join("src/origin/platform"), ".rs");
    let paths = sources.iter().flat_map(|(_, text)| text.split('"').filter(|it| it.starts_with("api/")));
    let queries = root.join("queries");
    let documents = files(&queries, ".graphql").into_iter().filter_map(|(path, _)| {
        let name = Path::new(&path).strip_prefix(&queries).expect("below queries").display().to_string();
        (!name.starts_with("schema/")).then_some(name)
    });
    let sent: Vec<String> = paths.map(str::to_owned).chain(documents).collect();
    assert!(sent.len() >= 28, "only {} requests were found: {sent:?}", sent.len());
    for request in sent {
        assert!(document.contains(&format!("`{request}`")), "{request} is not in docs/platform.md");
    }
}

#[test]
fn every_key_of_the_example_is_in_readme() {
    let readme = readme();
    let mut section = String::new();
    for line in lineaged::config::EXAMPLE.lines() {
        let line = line.trim_start_matches("# ");
        if let Some(name) = line.strip_prefix('[') {
            // What a list's entries may hold is told in one row.
            section = if name.starts_with('[') { String::new() } else { name.trim_end_matches(']').to_owned() };
        } else if let Some((key, _)) = line.split_once(" = ")
            && !section.is_empty()
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
fn the_demo_of_a_target_names_the_lasting_way_and_it_works_as_shown() {
    let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/mini_shop");
    let demo = run(&mut binary(folder.path(), &["demo", &target.to_string_lossy()]));
    let (_, config) = demo.stdout.split_once("`origin = \"artifacts\"`. In lineaged.toml, write:").expect("a way");
    std::fs::write(other.path().join("lineaged.toml"), config).expect("written");
    let sync = run(&mut binary(other.path(), &["sync"]));
    assert_eq!(sync.code, Some(0), "{sync:?}");
    let nodes = |catalog: std::path::PathBuf| {
        let catalog = rusqlite::Connection::open(catalog).expect("the catalog");
        // The API, over which a demo reads, has no functions.
        let sql =
            "SELECT unique_id, is_applied, last_run_status FROM nodes WHERE resource_type != 'function' ORDER BY 1";
        rows(&catalog, sql)
    };
    assert_eq!(nodes(other.path().join("core.db")), nodes(folder.path().join("lineaged.db")));
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

/// What Datasette shows of the views: what the program itself says of them. What is private is hidden.
fn datasette() -> String {
    let text = |text: &str| serde_json::to_string(text).expect("JSON");
    let mut lines = vec![
        "# What Datasette shows beside each view: `datasette lineaged.db --metadata datasette.yaml`. Made from the program's own words:".to_owned(),
        "# `BLESS=1 cargo test --test it datasette` makes it anew.".to_owned(),
        "title: lineaged".to_owned(),
        "description: A local catalog of a dbt project".to_owned(),
        "databases:".to_owned(),
        "  lineaged:".to_owned(),
        "    tables:".to_owned(),
    ];
    for view in lineaged::answers::SHAPES {
        lines.extend([format!("      {}:", view.name), format!("        description: {}", text(view.about))]);
        lines.push("        columns:".to_owned());
        let columns = view.columns.iter();
        lines.extend(columns.map(|column| format!("          {}: {}", column.name, text(column.about))));
    }
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(run(&mut binary(folder.path(), &["demo"])).code, Some(0));
    let catalog = rusqlite::Connection::open(folder.path().join("lineaged.db")).expect("the catalog");
    let private = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1";
    let private = rows(&catalog, private).into_iter().map(|mut row| row.swap_remove(0));
    let private = private.filter(|name| !lineaged::answers::VIEWS.contains(&name.as_str()));
    lines.extend(private.flat_map(|name| [format!("      {name}:"), "        hidden: true".to_owned()]));
    lines.join("\n") + "\n"
}

#[test]
fn datasette_is_told_what_the_program_says_of_its_views() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/datasette.yaml");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, datasette()).expect("written");
    }
    assert_eq!(std::fs::read_to_string(path).expect("datasette.yaml"), datasette());
}

/// The commands of README that are shown with what they print: the first line of a block is `$ lineaged …`.
fn shown(readme: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for block in readme.split("```console\n").skip(1) {
        let block = block.split("\n```").next().expect("the end of a block");
        let (command, printed) = block.split_once('\n').unwrap_or((block, ""));
        let command = command.strip_prefix("$ lineaged ").expect("a command of ours");
        found.push((command.to_owned(), printed.to_owned()));
    }
    found
}

/// What a shell would make of a command without variables: words, some in single quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in command.split('\'').enumerate() {
        match number % 2 {
            1 => words.push(part.to_owned()),
            _ => words.extend(part.split_whitespace().map(str::to_owned)),
        }
    }
    words
}

/// Times differ from run to run, and nothing else does: each digit of a time or an age becomes a 0.
fn without_times(text: &str) -> String {
    let is_time = |word: &str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let is_clock = word.len() == 5 && digits == 4 && word.as_bytes()[2] == b':';
        is_clock || digits >= 8 && word.bytes().all(|byte| byte.is_ascii_digit() || b"-T:.Z".contains(&byte))
    };
    let line = |line: &str| -> String {
        let line = line.split_inclusive([' ', ',', '(', ')', ';', '"']).map(|word| {
            let bare = word.trim_end_matches([' ', ',', '(', ')', ';', '.', '"']);
            match is_time(bare) {
                true => word.replace(|c: char| c.is_ascii_digit(), "0"),
                false => word.to_owned(),
            }
        });
        line.collect::<String>().trim_end().to_owned()
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

/// The part of README whose commands run in a folder that reads a served platform.
const PLATFORM: &str = "### From an empty folder\n";

/// README before that part, the part, and README after it.
fn parts(readme: &str) -> [String; 3] {
    let (before, rest) = readme.split_once(PLATFORM).expect("the part");
    let end = rest.find("\n## ").expect("a next part");
    [before.to_owned(), format!("{PLATFORM}{}", &rest[..end]), rest[end..].to_owned()]
}

/// Runs the commands that a part shows, one after the other, and compares what they print; or writes it down.
fn compare(part: &str, command: impl Fn(&[&str]) -> std::process::Command) -> String {
    let mut blessed = part.to_owned();
    for (line, printed) in shown(part) {
        let arguments = words(&line);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ran = run(command(&arguments).env("COLUMNS", "118"));
        let is = ran.stdout.trim_end();
        if is_blessed() {
            let before = format!("$ lineaged {line}\n{printed}\n```").replace("\n\n```", "\n```");
            blessed = blessed.replace(&before, &format!("$ lineaged {line}\n{is}\n```"));
        } else {
            assert_eq!(without_times(is), without_times(&printed), "{line}: {ran:?}");
        }
    }
    blessed
}

fn is_blessed() -> bool {
    std::env::var_os("BLESS").is_some()
}

fn write_readme(parts: [String; 3]) {
    if is_blessed() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"), parts.concat()).expect("written");
    }
}

/// `BLESS=1 cargo test readme_shows` writes what is printed into README.
#[test]
fn readme_shows_what_the_commands_print() {
    let [before, part, after] = parts(&readme());
    let folder = tempfile::tempdir().expect("a folder");
    let demo = run(&mut binary(folder.path(), &["demo"]));
    assert_eq!(demo.code, Some(0), "{demo:?}");
    assert!(shown(&before).len() + shown(&after).len() >= 8);
    let of_the_demo = |arguments: &[&str]| binary(folder.path(), arguments);
    let [before, after] = [before, after].map(|part| compare(&part, of_the_demo));
    write_readme([before, on_a_platform(&part), after]);
}

/// What the commands print with the platform of the demo, from an empty folder on.
fn on_a_platform(part: &str) -> String {
    let project = Project::bundled(Timestamp::now());
    let (server, folder) =
        (Server::start(vec![(1, project)]).expect("a server"), tempfile::tempdir().expect("a folder"));
    let command = |arguments: &[&str]| {
        let mut command = binary(folder.path(), arguments);
        command.envs(server.settings());
        command
    };
    let ok = |arguments: &[&str]| {
        let ran = run(&mut command(arguments));
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
    };
    ok(&["init"]);
    compare(part, |arguments| {
        // The first is shown before anything was written.
        if arguments != ["discover"] && !folder.path().join("lineaged.db").exists() {
            ok(&["discover", "--write"]);
            ok(&["sync"]);
        }
        command(arguments)
    })
}

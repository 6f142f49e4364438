//! The statements of `corpus.txt`, which says how to read it; and that names which a statement makes up itself mean nothing.

use std::collections::BTreeMap;

use super::*;

const CORPUS: &str = include_str!("corpus.txt");

/// A block of the corpus.
pub(super) struct Case<'c> {
    title: &'c str,
    pub(super) dialect: Dialect,
    pub(super) sql: String,
    /// The lines that say what is right, sorted where the order tells nothing.
    right: Vec<String>,
}

pub(super) fn cases() -> Vec<Case<'static>> {
    CORPUS.split("\n== ").skip(1).map(case).collect()
}

fn case(block: &'static str) -> Case<'static> {
    let (title, body) = block.split_once('\n').expect("a title");
    let (title, adapter) = title.split_once(" | ").unwrap_or((title, "postgres"));
    let mut lines = body.lines().filter(|line| !line.is_empty());
    let sql = lines.next().expect("a statement").to_owned();
    Case { title, dialect: Dialect::of(Some(adapter)), sql, right: lines.map(str::to_owned).collect() }
}

/// The relations that every statement may read.
pub(super) fn world(dialect: Dialect) -> (Vec<&'static str>, Vec<Relation>) {
    let start = CORPUS.find("  orders (").expect("the relations");
    let all = CORPUS[start..].lines().take_while(|line| !line.is_empty()).map(|line| {
        let (name, columns) = line.trim().trim_end_matches(')').split_once(" (").expect("a relation");
        let columns = columns.split(", ").filter(|column| *column != "?");
        let relation = Relation {
            path: if name == "eph" {
                Vec::new()
            } else {
                ["db", "shop", name].map(|part| folded(dialect, part)).into()
            },
            inlined_as: if name == "eph" { vec!["__dbt__cte__eph".to_owned()] } else { Vec::new() },
            columns: columns.map(|column| folded(dialect, column)).collect(),
            unlisted: Vec::new(),
            is_spelled: true,
            is_own: name == "target",
        };
        (name, relation)
    });
    all.unzip()
}

fn folded(dialect: Dialect, name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => quoted.to_owned(),
        None => dialect.fold(name, false).into_owned(),
    }
}

pub(super) fn on_a_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(256 << 20).spawn_scoped(scope, work).expect("a thread");
        thread.join().expect("no panic")
    })
}

/// What is said of a statement, in the words of the corpus but for the case of names.
pub(super) fn said(dialect: Dialect, sql: &str) -> Vec<String> {
    let (names, relations) = world(dialect);
    let resolved = match resolve(sql, dialect, &relations) {
        Ok(resolved) => resolved,
        Err(Failure { status, reason }) => return vec![format!("! {} {reason}", status.as_str())],
    };
    let mut lines = Vec::new();
    if resolved.status != Status::Resolved {
        lines.push(format!("! {} {}", resolved.status.as_str(), resolved.reason.unwrap_or_default()));
    }
    let parent = |parent: &Parent| format!("{}.{}", names[parent.relation], parent.column);
    for column in &resolved.columns {
        let origins = resolved.origins.iter().filter(|((name, _), _)| name == column).map(|((_, of), origin)| {
            let mark = if origin.is_listed { "" } else { "?" };
            format!("{}{mark} {}", parent(of), origin.kind.as_str())
        });
        let mut origins: Vec<String> = origins.collect();
        origins.sort();
        let origins = if origins.is_empty() { "-".to_owned() } else { origins.join(", ") };
        lines.push(format!("{column}: {origins}"));
    }
    let mut uses: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (of, clause) in resolved.uses.keys() {
        uses.entry(clause.as_str()).or_default().push(parent(of));
    }
    for (clause, mut parents) in uses {
        parents.sort();
        lines.push(format!("[{clause}] {}", parents.join(", ")));
    }
    lines
}

/// A line of the corpus as [`said`] would say it.
fn right(dialect: Dialect, line: &str) -> String {
    let name = |name: &str| folded(dialect, name);
    let parent = |text: &str| {
        let (relation, column) = text.split_once('.').expect("a relation");
        format!("{relation}.{}", name(column))
    };
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all.join(", ")
    };
    if line.starts_with('!') {
        return line.to_owned();
    }
    if let Some((clause, parents)) = line.split_once("] ") {
        // Whether what is used is listed is said of lineage alone.
        return format!(
            "{clause}] {}",
            sorted(parents.split(", ").map(|it| parent(it.trim_end_matches('?'))).collect())
        );
    }
    let (column, origins) = line.split_once(": ").unwrap_or_else(|| panic!("{line}"));
    if origins == "-" {
        return format!("{}: -", name(column));
    }
    let origin = |text: &str| {
        let (of, kind) = text.rsplit_once(' ').expect("a kind");
        let mark = if of.ends_with('?') { "?" } else { "" };
        format!("{}{mark} {kind}", parent(of.trim_end_matches('?')))
    };
    format!("{}: {}", name(column), sorted(origins.split(", ").map(origin).collect()))
}

#[test]
fn every_statement_of_the_corpus_says_what_is_right() {
    let wrong: Vec<String> = on_a_large_stack(|| cases().iter().filter_map(wrong).collect());
    assert!(cases().len() >= 120, "only {} statements", cases().len());
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

fn wrong(case: &Case<'_>) -> Option<String> {
    let Case { title, dialect, sql, right: lines } = case;
    let mut right: Vec<String> = lines.iter().map(|line| right(*dialect, line)).collect();
    let mut said = said(*dialect, sql);
    // Of a reason the corpus gives a part.
    if let (Some(one), Some(other)) = (right.first(), said.first())
        && let (Some((_, part)), true) =
            (one.strip_prefix("! ").and_then(|it| it.split_once(' ')), other.starts_with("! "))
        && other.contains(part)
        && other.split(' ').nth(1) == one.split(' ').nth(1)
    {
        right.remove(0);
        said.remove(0);
    }
    let columns = |lines: &[String]| lines.iter().filter(|line| !line.starts_with('[')).cloned().collect::<Vec<_>>();
    let uses = |lines: &[String]| {
        let mut uses: Vec<String> = lines.iter().filter(|line| line.starts_with('[')).cloned().collect();
        uses.sort();
        uses
    };
    let is_right = columns(&right) == columns(&said) && uses(&right) == uses(&said);
    (!is_right).then(|| {
        format!("{title} ({dialect:?})\n{sql}\nright:\n  {}\nsaid:\n  {}", right.join("\n  "), said.join("\n  "))
    })
}

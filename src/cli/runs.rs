//! `lineaged runs`: which runs there were, and what happened in one of them.

use std::collections::BTreeMap;
use std::io::Write;

use super::reading::{ENVIRONMENT, age, since, until, with_environment};
use super::show::shortened;
use super::{Exit, Files, Printing, Reading, note};
use crate::answers::{Row, RunStory, Table, Wanted};
use crate::output::{sanitize, state, write_facts, write_text};
use crate::time::Timestamp;

/// So many runs, or nodes of one that did not do well, are shown to people, unless told otherwise.
const SHOWN: usize = 20;

/// So many characters of a message are shown.
const MESSAGE: usize = 300;

/// So many characters of a commit tell it from others.
const COMMIT: usize = 7;

/// What did not end well, the worst first.
const BAD: [&str; 4] = ["error", "fail", "warn", "skipped"];

const EXAMPLES: &str = "\
Examples:
  lineaged runs
  lineaged runs --job Nightly --failed --since 7d
  lineaged runs 70403004                        what happened in it
  lineaged runs 70403004 --format json          its nodes, as rows of `run_results`

Names of jobs, causes and commits are known where the platform's Admin API or the files of dbt tell them.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Runs {
    /// One run, by the platform's number or dbt's invocation id: what happened in it
    #[arg(conflicts_with_all = ["job", "failed", "since", "until"])]
    run: Option<String>,
    /// Only of this job, by its name or number
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Only those that failed or were cancelled, or in which a node failed
    #[arg(long)]
    failed: bool,
    /// Only those that ended from then on: 2026-03-01, 2026-03-01T06:00, 7d (ago)
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Only those that ended until then; a day counts to its end
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<Timestamp>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    printing: Printing,
}

impl Runs {
    pub(super) fn run(mut self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let (reader, environment_id) = self.reading.open(files)?;
        let is_for_people = self.printing.is_for_people();
        if let Some(run) = &self.run {
            let story = reader.run(environment_id, run)?;
            drop(reader);
            match self.printing.is_table() {
                true => tell(&story, self.printing.limit.unwrap_or(SHOWN), out)?,
                false => self.print_results(story, out)?,
            }
            return Ok(Exit::Done);
        }
        let Self { job, failed, since, until, .. } = &self;
        let wanted = Wanted { job: job.clone(), failed: *failed, since: *since, until: *until };
        let runs = reader.runs(environment_id, &wanted)?;
        let several = self.reading.several(&reader)?;
        drop(reader);
        if is_for_people {
            if self.printing.is_table() {
                self.printing.limit.get_or_insert(SHOWN);
            }
            self.printing.print_as(runs, |runs| readable(&with_environment(runs, &several)), out)?;
        } else {
            self.printing.print(runs, out)?;
        }
        Ok(Exit::Done)
    }

    fn print_results(&self, story: RunStory, out: &mut dyn Write) -> std::io::Result<()> {
        if story.results.rows.is_empty() {
            note(UNNAMED);
        }
        let results = match self.printing.is_for_people() {
            true => story.results.only(&RESULTS),
            false => story.results,
        };
        self.printing.print(results, out)
    }
}

/// What a page tells of a node in a run.
const RESULTS: [&str; 5] = ["unique_id", "status", "execution_seconds", "failures", "error"];

/// Why a run that the platform knows has no nodes.
const UNNAMED: &str =
    "no node names this run any more: its nodes have run again since, between two syncs, or it ran none";

/// For people, in short words, since a terminal is narrow: when it began, else when its last node ended; and nothing that no run tells.
fn readable(runs: &Table) -> Table {
    let columns = [
        ENVIRONMENT,
        "run_id",
        "job",
        "status",
        "started_at",
        "completed_at",
        "took",
        "nodes",
        "failed",
        "cause",
        "commit",
    ];
    let row = |run: Row<'_>| {
        let job = run.text("job_name").map(str::to_owned).or(run.int("job_id").map(|id| id.to_string()));
        let ended = run.text("completed_at").filter(|_| run.text("started_at").is_none());
        vec![
            run.get(ENVIRONMENT).clone(),
            run.get("run_id").clone(),
            job.into(),
            run.get("status").clone(),
            run.get("started_at").clone(),
            ended.into(),
            run.number("duration_seconds").map(age).into(),
            run.get("node_count").clone(),
            run.get("failed_count").clone(),
            run.get("cause").clone(),
            run.text("git_sha").map(|sha| sha.chars().take(COMMIT).collect::<String>()).into(),
        ]
    };
    Table::new(columns, runs.iter().map(row).collect()).without_empty()
}

/// One run on one screen: what it was, what did not end well, and how much did.
fn tell(story: &RunStory, shown: usize, out: &mut dyn Write) -> std::io::Result<()> {
    let Some(run) = story.run.iter().next() else { return Ok(()) };
    writeln!(out, "run {} in {}", sanitize(run.str("run_id")), sanitize(&story.environment.name))?;
    write_facts(&facts(run, story.error.as_deref()), out)?;
    if story.results.rows.is_empty() {
        return writeln!(out, "\n{UNNAMED}");
    }
    let all: Vec<Row<'_>> = story.results.iter().collect();
    writeln!(out, "\nnodes: {} ({})", all.len(), counts(&all))?;
    let mut bad: Vec<&Row<'_>> = all.iter().filter(|row| rank(row) < BAD.len()).collect();
    bad.sort_by_key(|row| rank(row));
    for row in bad.iter().take(shown) {
        write_bad(**row, out)?;
    }
    if let left_out @ 1.. = bad.len().saturating_sub(shown) {
        writeln!(out, "  … {left_out} more: raise `--limit`")?;
    }
    let rest: Vec<Row<'_>> = all.iter().filter(|row| rank(row) == BAD.len()).copied().collect();
    match (bad.is_empty(), rest.is_empty()) {
        (false, false) => writeln!(out, "\nthe rest: {}", counts(&rest)),
        _ => Ok(()),
    }
}

fn facts(run: Row<'_>, error: Option<&str>) -> Vec<(String, String)> {
    let job = match (run.text("job_name"), run.int("job_id")) {
        (Some(name), Some(id)) => Some(format!("{name} ({id})")),
        (name, id) => name.map(str::to_owned).or(id.map(|id| id.to_string())),
    };
    let text = |name: &str| run.text(name).map(str::to_owned);
    let facts = [
        ("job", job),
        ("cause", text("cause")),
        ("status", text("status")),
        ("began", text("started_at")),
        ("ended", text("finished_at").or(text("completed_at"))),
        ("took", run.number("duration_seconds").map(age)),
        ("commit", text("git_sha")),
        ("message", error.map(|error| shortened(error, MESSAGE)).filter(|_| run.str("status") != "success")),
    ];
    facts.into_iter().filter_map(|(label, fact)| Some((label.to_owned(), fact?))).collect()
}

/// How bad the end of a node is, the worst first.
fn rank(row: &Row<'_>) -> usize {
    BAD.iter().position(|status| row.str("status") == *status).unwrap_or(BAD.len())
}

/// How many nodes ended in which way, the worst first.
fn counts(rows: &[Row<'_>]) -> String {
    let mut counts: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for row in rows {
        *counts.entry((rank(row), row.text("status").unwrap_or("not known how"))).or_default() += 1;
    }
    let counts: Vec<String> =
        counts.iter().map(|((_, status), count)| format!("{count} {}", sanitize(status))).collect();
    counts.join(", ")
}

fn write_bad(row: Row<'_>, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "  {}: {}", state(&sanitize(row.str("status"))), sanitize(row.str("unique_id")))?;
    match (row.text("error"), row.int("failures")) {
        (Some(error), _) => write_text(6, &shortened(error, MESSAGE), out),
        (None, Some(rows @ 1..)) => writeln!(out, "      {rows} rows"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::answers::Environment;

    /// A story of nodes that ended so.
    fn story(ends: &[(&str, Option<&str>)]) -> RunStory {
        let columns = ["run_id", "job_name", "job_id", "status", "started_at", "duration_seconds", "git_sha"];
        let run = vec![
            json!("7"),
            json!("Nightly"),
            json!(5),
            json!("error"),
            json!("2026-03-01T05:00:00.000Z"),
            json!(90),
            json!("abc"),
        ];
        let row = |(n, (status, error)): (usize, &(&str, Option<&str>))| {
            vec![json!(format!("n{n}")), json!(status), json!(error)]
        };
        let rows: Vec<Vec<Value>> = ends.iter().enumerate().map(row).collect();
        RunStory {
            environment: Environment { id: 1, name: "prod".to_owned() },
            run: Table::new(columns, vec![run]),
            error: Some("dbt \u{1b}failed".to_owned()),
            results: Table::new(["unique_id", "status", "error"], rows),
        }
    }

    fn told(story: &RunStory, shown: usize) -> String {
        let mut out = Vec::new();
        tell(story, shown, &mut out).expect("written");
        String::from_utf8(out).expect("text")
    }

    const HEAD: &str = "run 7 in prod\n job      Nightly (5)\n status   error\n began    2026-03-01T05:00:00.000Z\n took     90 s\n \
                        commit   abc\n message  dbt \u{FFFD}failed\n";

    #[test]
    fn what_failed_comes_first_and_the_rest_is_counted() {
        let ends = [
            ("success", None),
            ("skipped", None),
            ("warn", Some("Got 2 results")),
            ("fail", Some("Got 1 result")),
            ("error", Some("no such\ntable")),
            ("pass", None),
            ("success", None),
        ];
        let text = told(&story(&ends), 9);
        let nodes = "\nnodes: 7 (1 error, 1 fail, 1 warn, 1 skipped, 1 pass, 2 success)
  error: n4
      no such table
  fail: n3
      Got 1 result
  warn: n2
      Got 2 results
  skipped: n1

the rest: 1 pass, 2 success
";
        assert_eq!(text, format!("{HEAD}{nodes}"));
        let text = told(&story(&ends), 1);
        assert!(text.contains("  error: n4\n      no such table\n  … 3 more: raise `--limit`\n\nthe rest"), "{text}");
    }

    #[test]
    fn a_run_that_no_node_names_says_so_and_one_that_did_well_only_counts() {
        assert_eq!(told(&story(&[]), 9), format!("{HEAD}\n{UNNAMED}\n"));
        assert_eq!(told(&story(&[("success", None)]), 9), format!("{HEAD}\nnodes: 1 (1 success)\n"));
    }

    #[test]
    fn runs_are_listed_without_what_no_run_tells() {
        let columns = ["environment_id", "run_id", "job_id", "completed_at", "started_at", "git_sha", "node_count"];
        let row = |started: Value| {
            let completed = json!("2026-03-01T06:00:30.000Z");
            vec![json!(1), json!("7"), json!(5), completed, started, json!("0123456789abcdef"), json!(3)]
        };
        let shown = |rows: Vec<Vec<Value>>, several: &[Environment]| {
            readable(&with_environment(Table::new(columns, rows), several))
        };
        let one = shown(vec![row(Value::Null)], &[]);
        assert_eq!(one.names().collect::<Vec<_>>(), ["run_id", "job", "completed_at", "nodes", "commit"]);
        assert_eq!(
            one.rows[0],
            [json!("7"), json!("5"), json!("2026-03-01T06:00:30.000Z"), json!(3), json!("0123456")]
        );
        let prod = [Environment { id: 1, name: "prod".to_owned() }];
        let one = shown(vec![row(json!("2026-03-01T05:00:00.000Z"))], &prod);
        assert_eq!(one.names().collect::<Vec<_>>(), ["environment", "run_id", "job", "started_at", "nodes", "commit"]);
    }
}

//! `lineaged coverage`: how much is documented and tested, what is missing, and whether it got better.

mod compare;
mod gate;
mod missing;
mod print;

use std::io::Write;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::packages::Packages;
use super::reading::since;
use super::{Choosing, Exit, Files, Misuse, Reading, note};
use crate::answers::coverage::{self, By, Inheritance, Measure, NodeCoverage, Share};
use crate::answers::{self, Environment, Reader};
use crate::config::{CoverageTargets, Need};
use crate::output::{self, Format};
use crate::time::Timestamp;

const LEGEND: &str = "\
Figures are part/whole and percent (cut, never rounded up):
  documented       nodes with a description that is no placeholder, of all nodes
  placeholders     nodes whose description says nothing (`coverage.placeholders`, or the own
                   name)
  column docs      columns with a description that is no placeholder, of the warehouse's
                   columns
  inherited        columns without one that would inherit it: they come unchanged, or only under
                   another name, from a column that has one (`--inherit` counts them as documented)
  column tests     columns with a test, of the warehouse's columns
  unknown          models, seeds, snapshots and sources whose columns are not known; they are in no
                   figure of columns
  tested           models, seeds, snapshots and sources with a test, of all of them
What `coverage.exclude` selects is in no figure. TARGET is `coverage.targets`.";

#[derive(Debug, clap::Args)]
#[command(after_help = LEGEND)]
pub(super) struct Coverage {
    /// A row for each; a node counts in each of its tags, and `path` is the folder
    /// [default: environment if there are several and none is named, else resource_type]
    #[arg(long, value_parser = PossibleValuesParser::new(By::ALL.map(By::as_str)).map(by))]
    by: Option<By>,
    #[command(flatten)]
    packages: Packages,
    /// List what is to be written, node by node
    #[arg(long)]
    missing: bool,
    /// Count columns as documented that would inherit their description from the column that they come from unchanged, or only
    /// under another name
    #[arg(long)]
    inherit: bool,
    /// End with exit code 3 if less of the nodes are documented, in percent; with the dbt-coverage formats, of the columns
    #[arg(long, value_name = "P", value_parser = percent)]
    fail_under: Option<f64>,
    /// End with exit code 3 if a percentage is below its target (`coverage.targets`)
    #[arg(long)]
    fail_under_targets: bool,
    /// Compare with the catalog as it was then; with `--missing`, list only what was not missing then.
    /// 2026-03-31 (the beginning of that day), 2026-03-31T06:00, 7d (ago)
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// End with exit code 3 if a percentage of an environment is lower than at `--since` [default: than before its figures last changed]
    #[arg(long)]
    fail_on_drop: bool,
    /// How to print; the last two are the JSON of the tool dbt-coverage, of documented and of tested columns
    #[arg(long, value_enum, default_value_t = CoverageFormat::Table)]
    format: CoverageFormat,
    /// At most so many rows; the total is always shown
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    choosing: Choosing,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CoverageFormat {
    Table,
    Json,
    Ndjson,
    Csv,
    Markdown,
    DbtCoverage,
    DbtCoverageTest,
}

impl CoverageFormat {
    /// What its report counts, for people.
    fn words(self) -> &'static str {
        if self == Self::DbtCoverageTest { print::words("tested_columns") } else { print::words("documented_columns") }
    }

    fn kind(self) -> Result<Format, Measure> {
        match self {
            Self::Table => Ok(Format::Table),
            Self::Json => Ok(Format::Json),
            Self::Ndjson => Ok(Format::Ndjson),
            Self::Csv => Ok(Format::Csv),
            Self::Markdown => Ok(Format::Markdown),
            Self::DbtCoverage => Err(Measure::Doc),
            Self::DbtCoverageTest => Err(Measure::Test),
        }
    }
}

fn by(name: String) -> By {
    By::ALL.into_iter().find(|by| by.as_str() == name).unwrap_or(By::ResourceType)
}

fn percent(text: &str) -> Result<f64, String> {
    let number: f64 = text.trim_end_matches('%').trim().parse().map_err(|_| "it is no number".to_owned())?;
    match number {
        n if n > 0.0 && n < 1.0 => Err(format!("it is in percent: say `{}`", n * 100.0)),
        n if (0.0..=100.0).contains(&n) => Ok(n),
        _ => Err("it is a percentage, from 0 to 100".to_owned()),
    }
}

/// A catalog at one moment, and the nodes that are looked at, with what their columns would inherit.
struct State {
    reader: Reader,
    nodes: Vec<NodeCoverage>,
    inheritance: Inheritance,
}

impl Coverage {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let (reader, environment_id) = self.reading.open(files)?;
        let targets = self.targets(files)?;
        let mut environments = reader.environments()?;
        environments.retain(|environment| environment_id.is_none_or(|id| id == environment.id));
        let mut now = self.state(reader, environment_id)?;
        self.leave_out(&mut now, environment_id)?;
        let mut before = None;
        if let Some(time) = self.since {
            let path = files.load(Need::Reading)?.catalog.path;
            let mut then = self.state(Reader::open(&path, Some(time))?, environment_id)?;
            then.nodes.retain(|node| self.is_wanted(node));
            before = Some(then);
        }
        let judged = match self.format.kind() {
            Ok(format) => {
                let by = self.by(&environments);
                let view = print::View { by, format, asked: &self, environments: &environments, targets };
                view.print(&now, before.as_ref(), out)?;
                ("documented", coverage::total(&now.nodes).documented)
            }
            Err(measure) => (self.format.words(), self.print_report(&now, measure, &environments, out)?),
        };
        let mut passes = self.fail_under.is_none_or(|percent| gate::is_reached(judged, percent));
        if self.fail_under_targets {
            passes &= gate::targets_are_reached(&coverage::total(&now.nodes), targets);
        }
        if self.fail_on_drop {
            passes &= gate::nothing_fell(&self, &now, before.as_ref(), &environments)?;
        }
        Ok(if passes { Exit::Done } else { Exit::No })
    }

    fn by(&self, environments: &[Environment]) -> By {
        self.by.unwrap_or(if environments.len() > 1 { By::Environment } else { By::ResourceType })
    }

    fn state(&self, reader: Reader, environment_id: Option<i64>) -> Result<State, answers::Error> {
        let mut nodes = reader.coverage(environment_id)?;
        if let Some(chosen) = self.choosing.chosen(&reader, environment_id)? {
            nodes.retain(|node| chosen.contains(node.environment_id, &node.unique_id));
        }
        let inheritance = reader.inheritance()?;
        nodes.iter_mut().for_each(|node| node.inherit(&inheritance, self.inherit));
        Ok(State { reader, nodes, inheritance })
    }

    /// What is to be reached.
    fn targets(&self, files: &Files) -> anyhow::Result<CoverageTargets> {
        let targets = files.load(Need::Reading)?.coverage.targets;
        if self.fail_under_targets && targets == CoverageTargets::default() {
            let text = "`--fail-under-targets` needs `coverage.targets` in the configuration, e.g. { nodes = 90 }";
            return Err(Misuse(text.to_owned()).into());
        }
        Ok(targets)
    }

    fn is_wanted(&self, node: &NodeCoverage) -> bool {
        node.counts(self.packages.are_all())
    }

    /// Leaves those nodes that count, and says which do not.
    fn leave_out(&self, state: &mut State, environment_id: Option<i64>) -> anyhow::Result<()> {
        let excluded = state.nodes.iter().filter(|node| node.is_excluded).count();
        if excluded > 0 {
            note(&format!("{excluded} nodes are left out: `coverage.exclude` selects them"));
        }
        let all = state.nodes.len() - excluded;
        self.packages.warn(&state.reader, environment_id)?;
        state.nodes.retain(|node| self.is_wanted(node));
        self.packages.tell(all - state.nodes.len());
        Ok(())
    }

    /// Prints the JSON of dbt-coverage, and says what of it is judged.
    fn print_report(
        &self,
        now: &State,
        measure: Measure,
        environments: &[Environment],
        out: &mut dyn Write,
    ) -> anyhow::Result<Share> {
        let misfits = [
            (self.by.is_some(), "--by"),
            (self.missing, "--missing"),
            (self.inherit, "--inherit"),
            (self.limit.is_some(), "--limit"),
            (self.since.is_some() && !self.fail_on_drop, "--since"),
        ];
        if let Some((_, flag)) = misfits.into_iter().find(|(given, _)| *given) {
            return Err(Misuse(format!("the report of dbt-coverage lists every table: leave out `{flag}`")).into());
        }
        if environments.len() > 1 {
            let names: Vec<String> = environments.iter().map(|it| format!("`{}`", it.name)).collect();
            let names = names.join(", ");
            return Err(Misuse(format!(
                "the report of dbt-coverage is of one project: add `--environment` with one of {names}"
            ))
            .into());
        }
        let report = now.reader.coverage_report(&now.nodes, measure)?;
        output::write_json(&report, out)?;
        Ok(report.share())
    }
}

//! `lineaged sync`: brings the catalog up to date.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::progress::Progress;
use super::stop::on_signal;
use super::{Exit, Files, Misuse, note};
use crate::catalog::{SyncId, Trigger, Writers};
use crate::config::{Config, Need};
use crate::deliver::Delivery;
use crate::origin::discovery::Limits;
use crate::output::sanitize;
use crate::plan::{Held, Loss, LossKind};
use crate::sync::{self, Environment, Failed, Found, Interrupted, Outcome, Report, Request};

/// So many warnings and ids are printed; all of them are in the catalog.
pub(super) const SHOWN: usize = 10;

/// So long an event is tried again before it is left for the next time …
const PATIENCE: Duration = Duration::from_secs(30);

/// … and so long all deliveries may take together.
const ALL_DELIVERIES: Duration = Duration::from_secs(600);

#[derive(Debug, clap::Args)]
pub(super) struct Sync {
    /// Only this environment (may be given more than once)
    #[arg(long, value_name = "NAME")]
    environment: Vec<String>,
    /// Print what would change, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Read everything, even if the platform says that nothing has moved
    #[arg(long)]
    full: bool,
}

impl Sync {
    pub(super) async fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let config = files.load(Need::Origins)?;
        let limits = Limits::new(config.concurrency(), 1);
        let writers = Writers::default();
        let mut stop = on_signal(&writers, Exit::Interrupted);
        let mut exits = Vec::new();
        let found = tokio::select! {
            found = self.find(config, &limits, &writers) => found?,
            () = stop.pulled() => return Ok(Exit::Interrupted),
        };
        found.news.iter().for_each(|news| note(&sanitize(news)));
        exits.extend(found.failed.as_ref().map(|failed| told(failed, found.config.environments.is_empty())));
        let config = Arc::new(found.config);
        let environments = choose(&config, &self.environment)?;
        let mut deliveries = Vec::new();
        for environment in environments {
            if stop.is_pulled() {
                exits.push(Exit::Interrupted);
                break;
            }
            let name = environment.config.name.clone();
            if !self.dry_run {
                deliveries.extend(Delivery::all(&config, (environment.id, &environment.config), &writers)?);
            }
            let request = Request {
                config: Arc::clone(&config),
                environment,
                trigger: Trigger::Manual,
                dry_run: self.dry_run,
                full: self.full,
                writers: writers.clone(),
                stop: stop.clone(),
                watch: Progress::start(&name).watch(),
            };
            let result = sync::run(&request, &limits).await;
            match &result {
                Ok(report) => {
                    exits.push(tell(&name, report, out)?);
                }
                Err(error) => {
                    super::complain(&format!("error: {name}"), error);
                    exits.push(super::exit_of(error));
                }
            }
            if !self.dry_run && !result.is_err_and(|error| error.is::<Interrupted>()) {
                out.flush()?;
                ask_beside(&name, &request, &limits).await;
            }
        }
        tokio::select! {
            () = deliver(deliveries) => {}
            () = stop.pulled() => exits.push(Exit::Interrupted),
        }
        Ok(Exit::of_all(&exits))
    }

    /// The environments that are to be found by themselves; they are looked for anew if one is named that is not known.
    async fn find(&self, config: Config, limits: &Limits, writers: &Writers) -> anyhow::Result<Found> {
        let is_known = |config: &Config, name: &String| config.environments.iter().any(|it| it.name == *name);
        let known = sync::with_kept(config.clone())?;
        let is_new = self.environment.iter().any(|name| !is_known(&known, name));
        sync::with_found(config, limits, writers, self.full || is_new).await
    }
}

/// Says why environments could not be found. Where others are known, those are synced, and it is a warning.
fn told(failed: &Failed, is_nothing_known: bool) -> Exit {
    let (what, exit) = match (failed.is_misuse, is_nothing_known) {
        (true, _) => ("error", Exit::Usage),
        (false, true) => ("error", Exit::Failed),
        (false, false) => ("warning", Exit::Done),
    };
    note(&format!("{what}: {}", sanitize(&failed.text)));
    exit
}

/// Asks the platform's other interfaces. The sync has ended, so nothing fails here: the next one asks again.
async fn ask_beside(name: &str, request: &Request, limits: &Limits) {
    let odd = sync::ask_beside(request, limits).await.unwrap_or_else(|error| vec![format!("{error:#}")]);
    odd.iter().for_each(|odd| note(&format!("warning: {}", sanitize(&format!("{name}: {odd}")))));
}

/// Brings receivers what they do not have yet, all at once. The catalog is up to date in any case, so nothing fails here: what can't be
/// delivered goes with the next sync.
async fn deliver(deliveries: Vec<Delivery>) {
    let mut tasks = JoinSet::new();
    for mut delivery in deliveries {
        tasks.spawn(async move {
            let why = match timeout(ALL_DELIVERIES, delivery.finish(PATIENCE, &|| ())).await {
                Ok(Ok(())) => return,
                Ok(Err(failure)) => failure.text,
                Err(_) => format!("it was not done after {} minutes", ALL_DELIVERIES.as_secs() / 60),
            };
            let (environment, receiver) = (delivery.environment(), delivery.receiver());
            let text = format!("warning: {environment}: receiver `{receiver}` did not take all: {why}");
            note(&sanitize(&format!("{text}; the next sync tries again")));
        });
    }
    while tasks.join_next().await.is_some() {}
}

fn choose(config: &Config, names: &[String]) -> anyhow::Result<Vec<Environment>> {
    let mut environments = sync::environments(config)?;
    let known: Vec<&str> = environments.iter().map(|environment| environment.config.name.as_str()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let known = known.join("`, `");
        return Err(Misuse(format!("the configuration has no environment `{unknown}`, but `{known}`")).into());
    }
    environments.retain(|environment| names.is_empty() || names.contains(&environment.config.name));
    Ok(environments)
}

/// Prints what a sync did: its line on standard output, what needs attention on standard error.
pub(super) fn tell(name: &str, report: &Report, out: &mut dyn Write) -> std::io::Result<Exit> {
    let Report { outcome, seen, cost, took, warnings } = report;
    for warning in warnings.iter().take(SHOWN) {
        note(&format!("warning: {name}: {}", sanitize(warning)));
    }
    if warnings.len() > SHOWN {
        let more = warnings.len() - SHOWN;
        note(&format!("warning: {name}: {more} more, see `select warnings from syncs`"));
    }
    let (what, exit) = match outcome {
        Outcome::Applied(counts) => {
            (format!("{} added, {} changed, {} removed", counts.added, counts.changed, counts.removed), Exit::Done)
        }
        Outcome::Unchanged => ("unchanged".to_owned(), Exit::Done),
        Outcome::Held(sync, held) => {
            tell_held(name, *sync, held);
            (format!("held for approval{}", of_losses(&held.losses)), Exit::Held)
        }
        Outcome::Planned(lines, counts, held) => {
            for line in lines {
                writeln!(out, "{}", sanitize(line))?;
            }
            let verdict = held.as_ref().map(|held| format!("; would be held: {}", held.reasons.join("; ")));
            let counts = format!("{} added, {} changed, {} removed", counts.added, counts.changed, counts.removed);
            let exit = if held.is_some() { Exit::Held } else { Exit::Done };
            (format!("dry run, nothing written: {counts}{}", verdict.unwrap_or_default()), exit)
        }
    };
    let seconds = took.as_secs_f64();
    let (requests, size) = (cost.requests, bytes(cost.bytes));
    let seen = seen.map_or_else(String::new, |seen| format!("{seen} nodes seen, "));
    let requests = match requests {
        // Files are read, not asked for.
        0 => String::new(),
        1 => "1 request, ".to_owned(),
        count => format!("{count} requests, "),
    };
    writeln!(out, "{name}: {seen}{what}; {requests}{size}, {seconds:.1} s")?;
    Ok(exit)
}

fn tell_held(name: &str, SyncId(sync): SyncId, held: &Held) {
    note(&format!("held: {name}: {}", held.reasons.join("; ")));
    for line in loss_lines(&held.losses, SHOWN) {
        note(&line);
    }
    note(&format!(
        "nothing was changed; it is read again by itself. If this is really so, run `lineaged approve {sync}` and then `lineaged sync`"
    ));
}

fn of_losses(losses: &[Loss]) -> String {
    match losses.len() {
        0 => String::new(),
        count => format!(", {count} nodes would lose something"),
    }
}

/// The first of what nodes would lose, one line each, and how many more there are.
pub(super) fn loss_lines(losses: &[Loss], shown: usize) -> Vec<String> {
    let line = |Loss { kind, unique_id }: &Loss| match kind {
        LossKind::Removed => format!("  - {}", sanitize(unique_id.as_str())),
        other => format!("  - {} ({})", sanitize(unique_id.as_str()), other.as_str()),
    };
    let mut lines: Vec<String> = losses.iter().take(shown).map(line).collect();
    if losses.len() > shown {
        lines.push(format!("  and {} more: `lineaged status --all` shows them", losses.len() - shown));
    }
    lines
}

fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.0} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

//! What fails a build: too little, or less than before. Each is told with its figures on standard error.

use super::print::{part_of, words};
use super::{Coverage, State};
use crate::answers::Environment;
use crate::answers::coverage::{self, Fall, Figures, Moment, Share};
use crate::cli::{Misuse, note};
use crate::config::CoverageTargets;
use crate::output::sanitize;

/// So many groups of a fall are told.
const GROUPS_TOLD: usize = 10;

/// True if at least so many percent are reached; of nothing, no percentage is.
pub(super) fn is_reached((name, share): (&str, Share), percent: f64) -> bool {
    if share.whole == 0 {
        note(&format!("{name}: nothing is known, so {percent} % can't be reached"));
        return false;
    }
    let is_reached = share.part as f64 * 100.0 >= percent * share.whole as f64;
    if !is_reached {
        note(&format!("{name}: {} is below {percent} %", part_of(share)));
    }
    is_reached
}

/// True if every percentage that has a target reaches it.
pub(super) fn targets_are_reached(total: &Figures, targets: CoverageTargets) -> bool {
    let CoverageTargets { nodes, columns, tests } = targets;
    let pairs = [
        (words("documented"), total.documented, nodes),
        (words("documented_columns"), total.documented_columns, columns),
        (words("tested"), total.tested, tests),
    ];
    // Each is told, so all are judged.
    let missed = pairs
        .into_iter()
        .filter(|(name, share, target)| target.is_some_and(|percent| !is_reached((name, *share), percent)));
    missed.count() == 0
}

/// True if no percentage of an environment is lower than `before`; without that, than before its figures last changed.
pub(super) fn nothing_fell(
    asked: &Coverage,
    now: &State,
    before: Option<&State>,
    environments: &[Environment],
) -> anyhow::Result<bool> {
    if before.is_none() && asked.choosing.is_given() {
        let text = "the history of coverage is of whole projects: with a selection, `--fail-on-drop` needs `--since`";
        return Err(Misuse(text.to_owned()).into());
    }
    let mut fell = false;
    for environment in environments {
        let steps = match (before, asked.since) {
            (Some(before), Some(since)) => {
                let by = asked.by(environments);
                let of = |state: &State| {
                    coverage::moment(state.nodes.iter().filter(|it| it.environment_id == environment.id), by)
                };
                Some((since.to_string(), of(before), of(now)))
            }
            _ => last_step(asked, now, environment)?,
        };
        let Some((since, was, is)) = steps else {
            note(&format!("{}: there is no earlier state to compare with", sanitize(&environment.name)));
            continue;
        };
        for fall in coverage::falls(&was, &is) {
            tell(&environment.name, &since, &fall);
            fell = true;
        }
    }
    Ok(!fell)
}

/// Since when its figures were what they were before the last change, what they were, and what they are.
fn last_step(
    asked: &Coverage,
    now: &State,
    environment: &Environment,
) -> anyhow::Result<Option<(String, Moment, Moment)>> {
    let points = now.reader.coverage_trend(environment.id, asked.packages.are_all())?;
    Ok(match points.as_slice() {
        [.., was, is] => Some((was.changed_at.clone(), was.moment.clone(), is.moment.clone())),
        _ => None,
    })
}

/// Says which percentage fell, and in which groups.
fn tell(environment: &str, since: &str, fall: &Fall) {
    let (name, environment) = (words(fall.name), sanitize(environment));
    let (before, after) = (part_of(fall.before), part_of(fall.after));
    note(&format!("{environment}: {name} fell since {since}: {before} → {after}"));
    for (group, before, after) in fall.groups.iter().take(GROUPS_TOLD) {
        note(&format!("  {}: {} → {}", sanitize(group), part_of(*before), part_of(*after)));
    }
    if fall.groups.len() > GROUPS_TOLD {
        note(&format!("  and {} more groups", fall.groups.len() - GROUPS_TOLD));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_itself_is_judged_and_not_what_is_shown_of_it() {
        let judged = |part, whole, percent| is_reached(("documented", Share { part, whole }), percent);
        assert!(judged(4, 5, 80.0));
        assert!(!judged(79_999, 100_000, 80.0));
        assert!(judged(1, 3, 33.3));
        assert!(!judged(0, 0, 0.0), "nothing is no proof");
    }
}

//! Whether the platform tells this daemon of ended runs: which subscription points here, of what it tells, and what would make one. Of
//! other people's subscriptions nothing is printed, since their addresses may hold secrets.

use serde_json::json;
use url::Url;

use super::interfaces::{WEBHOOKS, shown};
use super::row::{Row, State};
use crate::inventory::platform::Job;
use crate::origin::platform::Subscription;
use crate::outbound::printable;
use crate::redact;

/// Where the daemon takes deliveries.
const ROUTE: &str = "/webhooks/dbt";

/// The event that makes an environment due.
const EVENT: &str = "job.run.completed";

/// So many jobs are named.
const NAMED: usize = 5;

const NO_SECRET: &str = "`webhook.secret` is not set: until it is, the route `/webhooks/dbt` does not exist";

/// What is known of this daemon and of one environment.
pub(super) struct Hooks<'a> {
    /// The access URL.
    pub(super) access: &'a Url,
    pub(super) account: i64,
    /// `webhook.public_url`, with the route's path.
    pub(super) own: Option<&'a Url>,
    /// Whether `webhook.secret` is set.
    pub(super) has_secret: bool,
    /// The environment's jobs, if they are known.
    pub(super) jobs: Option<Vec<Job>>,
}

impl Hooks<'_> {
    /// The row, for the account's subscriptions.
    pub(super) fn row(&self, subscriptions: &[Subscription]) -> Row {
        let pointing: Vec<&Subscription> = subscriptions.iter().filter(|it| self.is_pointed_at(it)).collect();
        // What the platform says of them may repeat their address.
        pointing.iter().for_each(|it| redact::keep_url(&it.client_url));
        let tells = |it: &&&Subscription| it.is_active && it.event_types.iter().any(|event| event == EVENT);
        let telling: Vec<&Subscription> = pointing.iter().filter(tells).copied().collect();
        let mut row = match (telling.as_slice(), pointing.as_slice()) {
            ([], []) => return self.missing(subscriptions),
            ([], silent) => silence(silent),
            (telling, _) => self.coverage(telling),
        };
        for code in telling.iter().filter_map(|it| it.http_status_code.as_deref()) {
            if code != "0" && !code.starts_with('2') {
                let code = printable(code, 20);
                row = row.and(format!(
                    "its last delivery was answered with {code}: is `webhook.secret` the secret of this one?"
                ));
            }
        }
        if self.own.is_none() {
            row = row.and(format!(
                "it is told by its path `{ROUTE}` only: with `webhook.public_url` the whole address is compared"
            ));
        }
        if !self.has_secret {
            row.state = row.state.map(|state| if state == State::Active { State::Incomplete } else { state });
            row = row.and(NO_SECRET);
        }
        row
    }

    fn is_pointed_at(&self, subscription: &Subscription) -> bool {
        let Ok(url) = Url::parse(&subscription.client_url) else { return false };
        match self.own {
            Some(own) => is_same(own, &url),
            None => path(&url) == ROUTE,
        }
    }

    /// Of which of the environment's jobs the subscriptions tell.
    fn coverage(&self, telling: &[&Subscription]) -> Row {
        let names = names(telling);
        if telling.iter().any(|it| it.job_ids.is_empty()) {
            return Row::new(WEBHOOKS, State::Active, format!("all jobs, by {names}"));
        }
        let Some(jobs) = &self.jobs else {
            let text = format!("some jobs only, by {names}: whether this environment's are among them is not known");
            return Row::new(WEBHOOKS, State::Incomplete, text);
        };
        // CI does not move the state of an environment.
        let moves_state = |job: &&Job| job.job_type.as_deref() != Some("ci");
        let is_told = |job: &Job| telling.iter().any(|it| it.job_ids.contains(&job.job_id));
        let left_out: Vec<&Job> = jobs.iter().filter(moves_state).filter(|job| !is_told(job)).collect();
        if left_out.is_empty() {
            return Row::new(WEBHOOKS, State::Active, format!("this environment's jobs, by {names}"));
        }
        let text = format!("some jobs only, by {names}: of this environment's it leaves out {}", named(&left_out));
        Row::new(WEBHOOKS, State::Incomplete, text).and("add them to it in the platform, or let it tell of all jobs")
    }

    /// There is none, and this would make one.
    fn missing(&self, all: &[Subscription]) -> Row {
        let has_path =
            |it: &&Subscription| Url::parse(&it.client_url).is_ok_and(|url| self.own.is_some() && path(&url) == ROUTE);
        let (here, elsewhere) = (self.own.map(shown), all.iter().filter(has_path).count());
        let here = here.map_or_else(|| format!("has the path `{ROUTE}`"), |own| format!("points at {own}"));
        let mut row = Row::new(WEBHOOKS, State::Missing, format!("no subscription of account {} {here}", self.account));
        if elsewhere > 0 {
            row = row
                .and(format!("{elsewhere} with the path `{ROUTE}` at another address: is `webhook.public_url` right?"));
        }
        row = row.and("this makes one, with a token of Account Admin, Admin or Developer; lineaged makes none:");
        row = row.and(self.request());
        row = row.and("the answer holds `hmac_secret`, this once: give it to lineaged as `webhook.secret`");
        if self.has_secret { row } else { row.and(NO_SECRET) }
    }

    /// The request that makes a subscription, for a shell.
    fn request(&self) -> String {
        let own = self.own.map_or_else(|| format!("https://YOUR-HOST{ROUTE}"), shown);
        let body = json!({
            "name": "lineaged", "description": "tells lineaged that a run has ended", "client_url": own,
            "event_types": [EVENT], "job_ids": [], "active": true,
        });
        let url = format!("{}/api/v3/accounts/{}/webhooks/subscriptions", shown(self.access), self.account);
        format!(
            "curl -X POST {} -H \"Authorization: Token $LINEAGED_PLATFORM__TOKEN\" -H 'Content-Type: application/json' -d {}",
            quoted(&url),
            quoted(&body.to_string())
        )
    }
}

/// Why those that point here tell of nothing.
fn silence(pointing: &[&Subscription]) -> Row {
    let Some(off) = pointing.iter().find(|it| !it.is_active) else {
        let text = format!("{} does not tell of `{EVENT}`: add this event to it in the platform", names(pointing));
        return Row::new(WEBHOOKS, State::Incomplete, text);
    };
    let reason = off.deactivate_reason.as_ref().map(|reason| format!("`{}`", printable(reason, 200)));
    // `0`: it was never called.
    let code = off.http_status_code.as_ref().filter(|code| *code != "0");
    let code = code.map(|code| format!("the last answer was {}", printable(code, 20)));
    let why: Vec<String> = reason.into_iter().chain(code).collect();
    let why = if why.is_empty() { "the platform does not say why".to_owned() } else { why.join(", ") };
    Row::new(WEBHOOKS, State::SwitchedOff, format!("{}: {why}", names(&[off])))
        .and("it can be switched on again in the platform, Account settings > Webhooks")
}

/// Scheme, host, port and path: the rest says nothing of where it goes.
fn is_same(own: &Url, other: &Url) -> bool {
    let place = |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
    place(own) == place(other) && path(own) == path(other)
}

fn path(url: &Url) -> &str {
    url.path().trim_end_matches('/')
}

fn names(subscriptions: &[&Subscription]) -> String {
    let names = subscriptions.iter().map(|it| format!("`{}`", printable(&it.name, 80)));
    names.collect::<Vec<_>>().join(" and ")
}

fn named(jobs: &[&Job]) -> String {
    let name = |job: &&Job| match &job.name {
        Some(name) => format!("{} ({})", printable(name, 80), job.job_id),
        None => job.job_id.to_string(),
    };
    let mut names: Vec<String> = jobs.iter().take(NAMED).map(name).collect();
    if jobs.len() > NAMED {
        names.push(format!("and {} more", jobs.len() - NAMED));
    }
    names.join(", ")
}

/// In single quotes, as a shell reads it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("an address")
    }

    fn hook(client_url: &str) -> Subscription {
        Subscription {
            name: "lineaged".into(),
            client_url: client_url.into(),
            event_types: vec![EVENT.into()],
            job_ids: Vec::new(),
            is_active: true,
            deactivate_reason: None,
            http_status_code: None,
        }
    }

    fn row(own: Option<&str>, hooks: &[Subscription]) -> Row {
        let (access, own) = (url("https://cloud.getdbt.com/"), own.map(url));
        let job = |job_id, kind: &str| Job { job_id, job_type: Some(kind.into()), ..Job::default() };
        let jobs = Some(vec![job(1, "scheduled"), job(2, "other"), job(3, "ci")]);
        Hooks { access: &access, account: 7, own: own.as_ref(), has_secret: true, jobs }.row(hooks)
    }

    const OWN: &str = "https://catalog.example.com/webhooks/dbt";

    #[test]
    fn an_address_is_the_same_whatever_its_last_slash_and_its_spelling_of_host_and_port() {
        for same in
            [OWN, "https://Catalog.Example.com:443/webhooks/dbt/", "https://catalog.example.com/webhooks/dbt?x=1"]
        {
            assert!(is_same(&url(OWN), &url(same)), "{same}");
        }
        for other in [
            "http://catalog.example.com/webhooks/dbt",
            "https://catalog.example.com:8443/webhooks/dbt",
            "https://catalog.example.org/webhooks/dbt",
            "https://catalog.example.com/webhooks/dbt2",
            "https://catalog.example.com/",
        ] {
            assert!(!is_same(&url(OWN), &url(other)), "{other}");
        }
    }

    #[test]
    fn jobs_that_several_subscriptions_tell_of_are_told_and_ci_need_not_be() {
        let of = |jobs: &[i64]| Subscription { job_ids: jobs.to_vec(), ..hook(OWN) };
        assert_eq!(row(Some(OWN), &[of(&[1]), of(&[2])]).state, Some(State::Active));
        let some = row(Some(OWN), &[of(&[1, 9])]);
        assert_eq!(some.state, Some(State::Incomplete));
        assert!(some.text.ends_with("it leaves out 2"), "{some:?}");
    }

    #[test]
    fn one_that_is_switched_off_or_of_another_event_does_not_hide_one_that_works() {
        let off = Subscription { is_active: false, http_status_code: Some("502".into()), ..hook(OWN) };
        let other = Subscription { event_types: vec!["job.run.started".into()], ..hook(OWN) };
        assert_eq!(row(Some(OWN), &[off.clone(), other.clone(), hook(OWN)]).state, Some(State::Active));
        assert!(row(Some(OWN), std::slice::from_ref(&off)).text.ends_with("the last answer was 502"));
        assert!(row(Some(OWN), &[other]).text.contains("does not tell of `job.run.completed`"));
    }

    #[test]
    fn the_request_that_makes_one_survives_a_shell() {
        let row = row(Some("https://catalog.example.com/it's"), &[hook("https://secret.example.com/webhooks/dbt")]);
        assert_eq!(row.state, Some(State::Missing));
        assert!(
            row.more.iter().any(|line| line.contains(r#""client_url":"https://catalog.example.com/it'\''s""#)),
            "{row:?}"
        );
        assert!(row.more.iter().any(|line| line.contains("is `webhook.public_url` right")), "{row:?}");
        assert!(!format!("{row:?}").contains("secret.example.com"), "{row:?}");
    }
}

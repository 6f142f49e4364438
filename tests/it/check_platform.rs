//! What `lineaged check` says of the platform's interfaces and of webhooks: nothing of it but Discovery makes it fail.

use std::process::Command;

use lineaged::demo::{Action, Fault, Job, Project, Subscription};
use lineaged::time::Timestamp;

use super::support::{ENVIRONMENT, Ran, World, run};

const OWN: &str = "https://catalog.example.com";
const HOOK: &str = "https://catalog.example.com/webhooks/dbt";

/// The binary, with the second token.
fn check(world: &World) -> Command {
    let mut command = world.command(&["check"]);
    command.env("LINEAGED_PLATFORM__TOKEN", world.server.platform_token());
    command
}

/// The same for a daemon that is reached, and has a secret.
fn check_hooks(world: &World) -> Command {
    let mut command = check(world);
    command.env("LINEAGED_WEBHOOK__PUBLIC_URL", OWN).env("LINEAGED_WEBHOOK__SECRET", "a-good-secret");
    command
}

#[track_caller]
fn well(command: &mut Command) -> String {
    let ran = run(command);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout
}

/// What is said of an interface: its row, and the lines below it.
#[track_caller]
fn said(out: &str, name: &str) -> String {
    let (start, rest) = out.split_once(&format!("  {name} ")).unwrap_or_else(|| panic!("no {name}: {out}"));
    assert!(start.ends_with('\n'), "{out}");
    let mut lines = rest.lines();
    let first = lines.next().unwrap_or_default().trim().to_owned();
    let below = lines.take_while(|line| line.starts_with("          ")).map(|line| line.trim().to_owned());
    [first].into_iter().chain(below).collect::<Vec<_>>().join("\n")
}

fn subscribe(world: &World, subscription: Subscription) {
    world.server.change_platform(|platform| platform.subscriptions.push(subscription));
}

fn asked(world: &World, path: &str) -> usize {
    world.server.requests().iter().filter(|request| request.target.split('?').next() == Some(path)).count()
}

#[test]
fn each_interface_that_is_reached_says_where_and_what_is_there() {
    let world = World::bundled();
    let out = well(check(&world).env("LINEAGED_PLATFORM__SEMANTIC_LAYER", "true"));
    let address = world.server.platform_url();
    let address = address.trim_end_matches('/');
    assert_eq!(said(&out, "access URL"), format!("{address}, follows from Discovery's address"));
    assert_eq!(said(&out, "Discovery"), format!("reached        {}", world.server.url()));
    let admin = said(&out, "Admin");
    assert!(admin.starts_with(&format!("reached        {address}, account 1: ")), "{admin}");
    assert!(admin.contains(" job") && admin.contains("the last run ended at 20"), "{admin}");
    let semantic_layer = said(&out, "Semantic Layer");
    assert!(semantic_layer.starts_with(&format!("reached        {address}/api/graphql, ")), "{semantic_layer}");
    assert!(semantic_layer.contains(" metric"), "{semantic_layer}");
    assert_eq!(asked(&world, "/api/v2/accounts/1/jobs/"), 1);
    assert_eq!(asked(&world, "/api/v2/accounts/1/runs/"), 0);
    let out = well(check(&world).env("LINEAGED_PLATFORM__URL", address));
    assert_eq!(said(&out, "access URL"), format!("{address}, as `platform.url` says"));
    assert!(said(&out, "Semantic Layer").starts_with("not asked      `platform.semantic_layer = true`"), "{out}");
}

#[test]
fn where_nothing_is_said_of_the_platform_it_is_not_asked() {
    let world = World::bundled();
    let out = world.ok(&["check"]);
    assert!(said(&out, "Admin").starts_with("not asked      `platform.token` asks for jobs and runs"), "{out}");
    assert!(said(&out, "webhooks").starts_with("not asked"), "{out}");
    assert!(world.server.requests().iter().all(|request| request.target == "/graphql"));
    std::fs::write(
        world.folder.path().join("lineaged.toml"),
        "[[environments]]\nname = \"core\"\norigin = \"artifacts\"\npaths = [\"target\"]\n",
    )
    .expect("written");
    let ran = world.run(&["check"]);
    assert!(!ran.stdout.contains("Admin") && !ran.stdout.contains("webhooks"), "files have none of these: {ran:?}");
}

#[test]
fn discoverys_token_does_not_reach_the_admin_api_and_what_does_is_said() {
    let world = World::bundled();
    let out = well(world.command(&["check"]).env("LINEAGED_PLATFORM__ACCOUNT_ID", "1"));
    let admin = said(&out, "Admin");
    assert!(admin.starts_with("refused") && admin.contains("set `platform.token` to one"), "{admin}");
    assert!(admin.contains("this is Discovery's token: `platform.token` is not set, or the same"), "{admin}");
    assert!(said(&out, "webhooks").starts_with("refused"), "{out}");
    let out = well(world.command(&["check"]).env("LINEAGED_PLATFORM__SEMANTIC_LAYER", "true"));
    assert!(said(&out, "webhooks").starts_with("unknown"), "{out}");
}

#[test]
fn only_discovery_makes_check_fail() {
    let world = World::bundled();
    for operation in ["jobs", "webhooks", "Metrics"] {
        world.server.add_fault(Fault::new(Action::Status(400, Vec::new(), String::new())).on(operation).always());
    }
    let out = well(check_hooks(&world).env("LINEAGED_PLATFORM__SEMANTIC_LAYER", "true"));
    for name in ["Admin", "Semantic Layer", "webhooks"] {
        assert!(said(&out, name).starts_with("failed"), "{out}");
    }
    world.server.clear_faults();
    let ran = run(check_hooks(&world).env("LINEAGED_DISCOVERY__TOKEN", "dbtc_wrong"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(said(&ran.stdout, "Discovery").starts_with("refused"), "{ran:?}");
    assert!(said(&ran.stdout, "Admin").starts_with("reached"), "{ran:?}");
}

#[test]
fn a_subscription_is_told_by_its_address_or_only_by_its_path() {
    let world = World::bundled();
    subscribe(&world, Subscription::new("wsu_1", &format!("{HOOK}/")));
    assert_eq!(said(&well(&mut check_hooks(&world)), "webhooks"), "active         all jobs, by `lineaged`");
    let by_path = said(&well(check_hooks(&world).env_remove("LINEAGED_WEBHOOK__PUBLIC_URL")), "webhooks");
    assert!(by_path.starts_with("active") && by_path.contains("by its path `/webhooks/dbt` only"), "{by_path}");
    let elsewhere = well(check_hooks(&world).env("LINEAGED_WEBHOOK__PUBLIC_URL", "https://other.example.com"));
    assert!(said(&elsewhere, "webhooks").contains("is `webhook.public_url` right?"), "{elsewhere}");
    assert!(!elsewhere.contains("catalog.example.com"), "{elsewhere}");
    let deaf = said(&well(check_hooks(&world).env_remove("LINEAGED_WEBHOOK__SECRET")), "webhooks");
    assert!(deaf.starts_with("incomplete") && deaf.contains("the route `/webhooks/dbt` does not exist"), "{deaf}");
}

#[test]
fn a_subscription_that_was_switched_off_says_why_and_shows_no_secret_of_its_address() {
    let world = World::bundled();
    let address = format!("{HOOK}?key=s3cret-of-the-hook");
    subscribe(
        &world,
        Subscription {
            is_active: false,
            http_status_code: "502".to_owned(),
            deactivate_reason: Some(format!("too many failures at {address}")),
            ..Subscription::new("wsu_1", &address)
        },
    );
    let row = said(&well(&mut check_hooks(&world)), "webhooks");
    assert!(row.starts_with("switched off   `lineaged`: `too many failures at "), "{row}");
    assert!(row.contains("the last answer was 502") && row.contains("switched on again in the platform"), "{row}");
    assert!(!row.contains("s3cret"), "{row}");
}

#[test]
fn a_subscription_that_names_jobs_says_which_it_leaves_out() {
    let world = World::bundled();
    let known = world.server.change_platform(|platform| {
        platform.jobs.push(Job::new(9001, "Hourly", ENVIRONMENT));
        let its = platform.jobs.iter().filter(|job| job.environment_id == ENVIRONMENT && job.id != 9001);
        its.map(|job| job.id).collect::<Vec<_>>()
    });
    subscribe(&world, Subscription { job_ids: known, ..Subscription::new("wsu_1", HOOK) });
    let row = said(&well(&mut check_hooks(&world)), "webhooks");
    assert!(row.starts_with("incomplete") && row.contains("it leaves out Hourly (9001)"), "{row}");
    world.server.change_platform(|platform| platform.subscriptions[0].job_ids.push(9001));
    let row = said(&well(&mut check_hooks(&world)), "webhooks");
    assert!(row.starts_with("active         this environment's jobs"), "{row}");
    world.server.change_platform(|platform| platform.subscriptions[0].event_types = vec!["job.run.started".to_owned()]);
    let row = said(&well(&mut check_hooks(&world)), "webhooks");
    assert!(row.contains("does not tell of `job.run.completed`"), "{row}");
}

#[test]
fn without_a_subscription_the_request_that_makes_one_is_shown_and_not_sent() {
    let world = World::bundled();
    subscribe(&world, Subscription::new("wsu_1", "https://hooks.example.org/T000/s3cret-path?token=s3cret-query"));
    let Ran { code, stdout, stderr } =
        run(check(&world).env("LINEAGED_WEBHOOK__PUBLIC_URL", OWN).env("LINEAGED_LOG", "trace"));
    assert_eq!(code, Some(0), "{stdout} {stderr}");
    let row = said(&stdout, "webhooks");
    assert!(row.starts_with(&format!("none           no subscription of account 1 points at {HOOK}")), "{row}");
    let request = row.lines().find(|line| line.starts_with("curl")).expect("a request");
    for part in [
        "curl -X POST 'http://127.0.0.1:",
        "/api/v3/accounts/1/webhooks/subscriptions'",
        "\"Authorization: Token $LINEAGED_PLATFORM__TOKEN\"",
        &format!(r#""client_url":"{HOOK}""#),
        r#""event_types":["job.run.completed"]"#,
        r#""job_ids":[]"#,
        r#""active":true"#,
    ] {
        assert!(request.contains(part), "{part}: {request}");
    }
    assert!(row.contains("as `webhook.secret`") && row.contains("does not exist"), "{row}");
    for secret in ["s3cret", "hooks.example.org", world.server.platform_token(), world.server.token()] {
        assert!(!stdout.contains(secret) && !stderr.contains(secret), "{secret}");
    }
    assert_eq!(asked(&world, "/api/v3/accounts/1/webhooks/subscriptions"), 1, "it is only read");
}

#[test]
fn an_account_is_asked_once_for_all_its_environments() {
    let projects = || Project::bundled(Timestamp::now());
    let world = World::with(vec![(ENVIRONMENT, projects()), (835, projects())], "");
    subscribe(&world, Subscription::new("wsu_1", HOOK));
    let out = well(&mut check_hooks(&world));
    assert_eq!(out.matches("all jobs, by `lineaged`").count(), 2, "{out}");
    assert_eq!(asked(&world, "/api/v3/accounts/"), 1);
    assert_eq!(asked(&world, "/api/v3/accounts/1/webhooks/subscriptions"), 1);
    assert_eq!(asked(&world, "/api/v2/accounts/1/jobs/"), 2);
}

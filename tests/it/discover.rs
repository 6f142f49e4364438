//! Environments that the platform tells of: listed, appended to the configuration, and found by themselves.

use std::path::Path;
use std::process::Command;

use lineaged::demo::{Action, Fault, PlatformEnvironment, PlatformProject, Project, Server};
use lineaged::time::Timestamp;

use super::support::{Ran, World, binary, json, run};

/// Two projects, 7 and 834, in one account.
fn server() -> Server {
    let project = || Project::bundled(Timestamp::now());
    Server::start(vec![(834, project()), (7, project())]).expect("a server")
}

fn command(server: &Server, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = binary(folder, arguments);
    command.envs(server.settings());
    command
}

#[track_caller]
fn ok(server: &Server, folder: &Path, arguments: &[&str]) -> Ran {
    let ran = run(&mut command(server, folder, arguments));
    assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
    ran
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn from_an_empty_folder_to_the_dimensions_of_a_metric_in_five_commands() {
    let (server, folder) = (server(), folder());
    let path = folder.path();
    ok(&server, path, &["init"]);
    let before = std::fs::read_to_string(path.join("lineaged.toml")).expect("read");
    let ran = ok(&server, path, &["discover", "--write"]);
    let after = std::fs::read_to_string(path.join("lineaged.toml")).expect("read");
    assert!(after.starts_with(&before), "what was there stays");
    let added = "[[environments]]\nid = 7\nname = \"mini_shop-Production-7\"\naccount_id = 1\n\n\
                 [[environments]]\nid = 834\nname = \"mini_shop-Production-834\"\naccount_id = 1\n";
    assert!(after.ends_with(added), "{ran:?}: {after}");
    ok(&server, path, &["sync"]);
    assert!(ok(&server, path, &["status"]).stdout.contains("mini_shop-Production-834"));
    ok(&server, path, &["discover", "--write"]);
    assert_eq!(std::fs::read_to_string(path.join("lineaged.toml")).expect("read"), after, "nothing twice");
    let rows = json(&ok(&server, path, &["discover", "--format", "json"]).stdout);
    let expected = serde_json::json!({
        "environment_id": 834, "name": "mini_shop-Production-834", "platform_id": 834, "account_id": 1,
        "deployment_type": "production", "dbt_version": rows[1]["dbt_version"], "in_catalog": 1,
    });
    assert_eq!((rows.len(), &rows[1]), (2, &expected));
}

#[test]
fn what_is_configured_keeps_its_name_and_number() {
    let (server, folder) = (server(), folder());
    let config = "[[environments]]\nid = 1\nname = \"mini_shop\"\nplatform_id = 834\n";
    std::fs::write(folder.path().join("lineaged.toml"), config).expect("written");
    let rows = json(&ok(&server, folder.path(), &["discover", "--format", "json"]).stdout);
    let told: Vec<_> =
        rows.iter().map(|row| format!("{} {} {}", row["environment_id"], row["name"], row["in_catalog"])).collect();
    assert_eq!(told, ["7 \"mini_shop-Production\" 0", "1 \"mini_shop\" 0"]);
    ok(&server, folder.path(), &["discover", "--write"]);
    let after = std::fs::read_to_string(folder.path().join("lineaged.toml")).expect("read");
    assert_eq!(after, format!("{config}\n[[environments]]\nid = 7\nname = \"mini_shop-Production\"\naccount_id = 1\n"));
}

#[test]
fn a_number_that_is_taken_is_not_given_twice() {
    let (server, folder) = (server(), folder());
    let config = "[[environments]]\nid = 834\nname = \"other\"\nplatform_id = 5\n";
    std::fs::write(folder.path().join("lineaged.toml"), config).expect("written");
    let ran = ok(&server, folder.path(), &["discover"]);
    assert!(
        ran.stdout.contains("id = 1\nname = \"mini_shop-Production-834\"\nplatform_id = 834\naccount_id = 1\n"),
        "{ran:?}"
    );
}

#[test]
fn environments_are_found_by_themselves_and_one_that_vanished_is_marked() {
    let (server, folder) = (server(), folder());
    let path = folder.path();
    let sync = |every: &str| {
        let mut command = command(&server, path, &["sync"]);
        command.env("LINEAGED_PLATFORM__ENVIRONMENTS", "production").env("LINEAGED_SYNC__FULL_EVERY", every);
        run(&mut command)
    };
    let ran = sync("24h");
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 2), "{ran:?}");
    let lists = || server.requests().iter().filter(|request| request.operation == "projects").count();
    let before = lists();
    sync("24h");
    assert_eq!(lists(), before, "they are looked for again only every `full_every`");
    let configured = || {
        let reader = rusqlite::Connection::open(path.join("lineaged.db")).expect("open");
        super::support::rows(&reader, "SELECT environment_id, is_configured, account_id FROM environments ORDER BY 1")
    };
    assert_eq!(configured(), [["7", "1", "1"], ["834", "1", "1"]]);
    server.change_platform(|platform| {
        for account in &mut platform.accounts {
            account.projects.retain(|project| project.environments.iter().all(|environment| environment.id != 7));
        }
    });
    let ran = sync("1ms");
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 1), "{ran:?}");
    assert_eq!(configured(), [["7", "0", "1"], ["834", "1", "1"]]);
    server.add_fault(Fault::new(Action::Status(500, Vec::new(), String::new())).on("projects").always());
    let ran = sync("1ms");
    assert_eq!(
        (ran.code, ran.stdout.lines().count()),
        (Some(0), 1),
        "those found before are synced all the same: {ran:?}"
    );
    assert!(ran.stderr.contains("environments can't be looked for"), "{ran:?}");
    server.clear_faults();
    server.change_platform(|platform| platform.accounts[0].projects.clear());
    let ran = sync("1ms");
    assert!(ran.code == Some(0) && ran.stderr.contains("lists none of those that were found before"), "{ran:?}");
    assert_eq!(configured(), [["7", "0", "1"], ["834", "1", "1"]], "an empty list takes nothing away");
}

#[test]
fn an_entry_for_what_was_found_adopts_its_number() {
    let (server, folder) = (server(), folder());
    let path = folder.path();
    let other = "[[environments]]\nid = 834\nname = \"files\"\norigin = \"artifacts\"\npaths = [\"nowhere\"]\n";
    std::fs::write(path.join("lineaged.toml"), format!("{other}[platform]\nenvironments = \"production\"\n"))
        .expect("written");
    run(&mut command(&server, path, &["sync"]));
    let kept = || {
        let reader = rusqlite::Connection::open(path.join("lineaged.db")).expect("open");
        super::support::rows(
            &reader,
            "SELECT environment_id, name, platform_id FROM environments WHERE platform_id = 834",
        )
    };
    assert_eq!(kept(), [["1", "mini_shop-Production-834", "834"]]);
    let own = "[[environments]]\nid = 9\nname = \"shop\"\nplatform_id = 834\naccount_id = 1\n";
    std::fs::write(path.join("lineaged.toml"), format!("{other}{own}")).expect("written");
    let ran = run(&mut command(&server, path, &["sync", "--environment", "shop"]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(kept(), [["1", "shop", "834"]]);
}

#[test]
fn more_accounts_than_one_are_all_listed_and_a_short_list_is_refused() {
    let (server, folder) = (server(), folder());
    server.change_platform(|platform| {
        let mut other = platform.accounts[0].clone();
        (other.id, other.name) = (2, "Other".to_owned());
        other.projects = vec![PlatformProject { name: "lake".to_owned(), ..other.projects[0].clone() }];
        other.projects[0].environments = vec![PlatformEnvironment::new(834, "Production", "deployment")];
        other.projects[0].environments[0].deployment_type = Some("production".to_owned());
        platform.accounts.push(other);
    });
    let rows = json(&ok(&server, folder.path(), &["discover", "--format", "json"]).stdout);
    let told: Vec<_> = rows
        .iter()
        .map(|row| format!("{} {} {}", row["environment_id"], row["platform_id"], row["account_id"]))
        .collect();
    assert_eq!(told, ["7 7 1", "834 834 1", "1 834 2"]);
    server.add_fault(Fault::new(Action::TotalOff(1)).on("projects").always());
    let ran = run(&mut command(&server, folder.path(), &["discover"]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("the list of projects is not complete") && ran.stdout.is_empty(), "{ran:?}");
}

#[test]
fn a_token_that_does_not_reach_the_admin_api_is_told_what_it_needs() {
    let (server, folder) = (server(), folder());
    let mut command = command(&server, folder.path(), &["discover"]);
    let ran = run(command.env_remove("LINEAGED_PLATFORM__TOKEN"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("403") && ran.stderr.contains("platform.token"), "{ran:?}");
    assert!(!ran.stderr.contains(server.token()), "{ran:?}");
}

#[test]
fn a_daemon_syncs_environments_that_turn_up_and_leaves_those_that_vanish() {
    let (server, folder) = (server(), folder());
    let take = |id: i64| {
        server.change_platform(|platform| {
            let is_it = |project: &PlatformProject| project.environments.iter().any(|environment| environment.id == id);
            let projects = &mut platform.accounts[0].projects;
            let place = projects.iter().position(is_it).expect("a project");
            projects.remove(place)
        })
    };
    let seventh = take(7);
    let config = format!(
        "[platform]\nurl = \"{}\"\ntoken = \"{}\"\nenvironments = \"production\"\n[discovery]\nrequests_per_minute = 60000\n[sync]\nfull_every = \"1s\"\n\
         [schedule]\ninterval = \"1s\"\n[http]\nlisten = \"127.0.0.1:0\"\n",
        server.platform_url(),
        server.platform_token()
    );
    std::fs::write(folder.path().join("lineaged.toml"), config).expect("written");
    let world = World { server, folder };
    let mut daemon = world.serve();
    let synced = |id: i64| {
        let sql = format!(
            "SELECT 1 FROM environments WHERE environment_id = {id} AND last_synced_at IS NOT NULL AND is_configured"
        );
        move |world: &World| !world.cells(&sql).is_empty()
    };
    daemon.until("a sync of the first", || synced(834)(&world));
    assert!(!synced(7)(&world));
    world.server.change_platform(|platform| platform.accounts[0].projects.push(seventh));
    daemon.line("the platform's environments changed");
    daemon.until("a sync of the second", || synced(7)(&world));
    let metrics = String::from_utf8(daemon.connect().get("/metrics").body).expect("text");
    assert!(metrics.contains("lineaged_syncs_total{environment=\"mini_shop-Production"), "{metrics}");
    world.server.change_platform(|platform| platform.accounts[0].projects.retain(|it| it.environments[0].id != 834));
    daemon.line("the platform's environments changed");
    daemon.until("it is marked", || {
        !world.cells("SELECT 1 FROM environments WHERE environment_id = 834 AND NOT is_configured").is_empty()
    });
    daemon.end();
}

/// What `sync` says with these environments to be found.
fn sync_of(server: &Server, folder: &Path, which: &str) -> Ran {
    std::fs::write(folder.join("lineaged.toml"), format!("[platform]\nenvironments = {which}\n")).expect("written");
    run(&mut command(server, folder, &["sync"]))
}

#[test]
fn another_setting_is_looked_for_at_once_and_one_that_means_nothing_is_refused() {
    let (server, folder) = (server(), folder());
    server.change_platform(|platform| platform.accounts[0].projects[0].name = "shop".to_owned());
    let path = folder.path();
    let ran = sync_of(&server, path, "[\"shopp\"]");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("there is no project `shopp`: the token sees `mini_shop`, `shop`"), "{ran:?}");
    assert_eq!(sync_of(&server, path, "\"production\"").stdout.lines().count(), 2);
    let ran = sync_of(&server, path, "[\"shop\"]");
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 1), "{ran:?}");
    assert!(ran.stderr.contains("the platform lists `mini_shop` no longer"), "{ran:?}");
    server.change_platform(|platform| platform.accounts[0].projects[0].name = "store".to_owned());
    std::fs::write(path.join("lineaged.toml"), "[platform]\nenvironments = \"production\"\n").expect("written");
    let ran = run(&mut command(&server, path, &["sync", "--full"]));
    assert!(ran.stderr.contains("`shop`, is called `store` now"), "{ran:?}");
    assert!(ran.stderr.contains("found the environment `mini_shop`"), "{ran:?}");
}

#[test]
fn an_entry_takes_no_number_from_what_was_found() {
    let (server, folder) = (server(), folder());
    let path = folder.path();
    sync_of(&server, path, "\"production\"");
    let entry = "[[environments]]\nid = 7\nname = \"m\"\nplatform_id = 999\naccount_id = 1\n";
    std::fs::write(path.join("lineaged.toml"), format!("[platform]\nenvironments = \"production\"\n{entry}"))
        .expect("written");
    let ran = run(&mut command(&server, path, &["sync"]));
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("7"), "{ran:?}");
    let reader = rusqlite::Connection::open(path.join("lineaged.db")).expect("open");
    let kept = super::support::rows(&reader, "SELECT platform_id FROM environments WHERE environment_id = 7");
    assert_eq!(kept, [["7"]]);
}

#[test]
fn one_id_in_two_accounts_is_two_environments_whatever_an_entry_leaves_out() {
    let (server, folder) = (server(), folder());
    server.change_platform(|platform| {
        let mut other = platform.accounts[0].clone();
        (other.id, other.name) = (2, "Other".to_owned());
        platform.accounts.push(other);
    });
    ok(&server, folder.path(), &["init"]);
    ok(&server, folder.path(), &["discover", "--write"]);
    let rows = json(&ok(&server, folder.path(), &["discover", "--format", "json"]).stdout);
    let names: std::collections::BTreeSet<String> = rows.iter().map(|row| row["name"].to_string()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    let entry = "[[environments]]\nid = 834\nname = \"m\"\n";
    std::fs::write(folder.path().join("lineaged.toml"), entry).expect("written");
    let rows = json(&ok(&server, folder.path(), &["discover", "--format", "json"]).stdout);
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row["name"] != "m"), "which account it is of is not known: {rows:?}");
    ok(&server, folder.path(), &["sync"]);
    let rows = json(&ok(&server, folder.path(), &["discover", "--format", "json"]).stdout);
    let numbers: std::collections::BTreeSet<String> =
        rows.iter().map(|row| row["environment_id"].to_string()).collect();
    assert!(numbers.len() == 4 && !numbers.contains("834"), "{numbers:?}");
}

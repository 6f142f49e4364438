//! Several processes that write one catalog, whichever way they reach it; how they end when they are told to; and what readers of it
//! cost them.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lineaged::catalog::{Catalog, Writers};
use lineaged::demo::{Action, Fault};

use crate::support::{World, assert_same};

const ORDERS: &str = "model.mini_shop.orders";

fn signal(child: &Child, name: &str) {
    let told = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().expect("kill");
    assert!(told.success());
}

/// A command whose standard error is read here.
fn start(world: &World, arguments: &[&str]) -> (Child, BufReader<impl Read + use<>>) {
    let mut child = world.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started");
    let errors = BufReader::new(child.stderr.take().expect("its errors"));
    (child, errors)
}

/// Reads until a line holds `text`; all that was read.
fn read_until(errors: &mut impl BufRead, text: &str) -> String {
    let mut read = String::new();
    while !read.contains(text) {
        assert_ne!(errors.read_line(&mut read).expect("text"), 0, "`{text}` did not come: {read}");
    }
    read
}

/// Its exit code, and how long it took to end.
fn ended(mut child: Child, began: Instant) -> (Option<i32>, Duration) {
    (child.wait().expect("ended").code(), began.elapsed())
}

#[cfg(unix)]
#[test]
fn two_writers_through_a_link_record_a_change_once() {
    let world = World::served("interval = \"12h\"");
    world.ok(&["sync"]);
    std::os::unix::fs::symlink("lineaged.db", world.folder.path().join("link.db")).expect("linked");
    for round in 0..5 {
        world.change(|project| project.describe(ORDERS, &format!("Round {round}.")));
        let both = [&["sync", "--full"][..], &["sync", "--full", "--catalog", "link.db"][..]]
            .map(|arguments| world.command(arguments).stdout(Stdio::null()).spawn().expect("started"));
        for mut child in both {
            assert!(child.wait().expect("ended").success());
        }
        let changes =
            format!("SELECT count(*) FROM changes WHERE field = 'description' AND after LIKE '%Round {round}.%'");
        assert_eq!(world.cells(&changes), ["1"], "round {round}");
    }
    std::fs::hard_link(world.catalog(), world.folder.path().join("other.db")).expect("linked");
    for arguments in [&["sync"][..], &["ls"], &["sync", "--catalog", "other.db"]] {
        let ran = world.run(arguments);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("2 names (hard links)"), "{ran:?}");
    }
}

#[test]
fn told_to_end_while_it_waits_for_another_writer_it_ends() {
    let world = World::served("interval = \"12h\"");
    let held = Catalog::open(&world.catalog(), &Writers::default(), "a test", &|_| {}).expect("a catalog");
    for (arguments, code) in [(["sync"], 130), (["serve"], 0)] {
        let (child, mut errors) = start(&world, &arguments);
        read_until(&mut errors, "a test (process ");
        let began = Instant::now();
        signal(&child, "TERM");
        let (found, took) = ended(child, began);
        assert_eq!(found, Some(code), "{arguments:?}");
        assert!(took < Duration::from_secs(8), "{arguments:?}: {took:?}");
    }
    drop(held);
    // A daemon that serves already, and whose sync waits.
    let mut daemon = world.serve();
    daemon.until("the first sync", || world.cells("SELECT count(*) FROM syncs WHERE outcome = 'applied'") == ["1"]);
    let held = Catalog::open(&world.catalog(), &Writers::default(), "a test", &|_| {}).expect("a catalog");
    assert_eq!(daemon.connect().ask("POST", "/api/v1/sync?environment=prod", &[], "").status, 202);
    let (status, took) = daemon.end();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(8), "{took:?}");
    drop(held);
}

#[test]
fn told_to_end_while_another_program_holds_the_file_it_is_gone_in_time_and_says_what_became_of_it() {
    let world = World::served("interval = \"12h\"");
    world.ok(&["sync"]);
    let mut daemon = world.serve();
    let other = rusqlite::Connection::open(world.catalog()).expect("the catalog");
    other.execute_batch("BEGIN IMMEDIATE").expect("held");
    assert_eq!(daemon.connect().ask("POST", "/api/v1/sync?environment=prod", &[], "").status, 202);
    let lock = world.folder.path().join("lineaged.db.lock");
    daemon.until("its sync", || std::fs::read_to_string(&lock).is_ok_and(|text| text.contains("sync of prod")));
    let (status, took, log) = daemon.end_with_log();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(log.iter().any(|line| line.contains("what is still under way is dropped")), "{log:#?}");
    other.execute_batch("ROLLBACK").expect("let go");
    world.ok(&["sync"]);
    assert_same(&world.content(), &world.truth(), "afterwards");
}

#[test]
fn a_sync_that_is_told_to_end_says_so_in_its_row_and_its_exit_code() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let before = world.content();
    world.change(|project| drop(project.add_model("late", &[ORDERS])));
    for (number, name) in ["INT", "TERM"].into_iter().enumerate() {
        world.server.add_fault(Fault::new(Action::Delay(Duration::from_secs(60))).on("AppliedModels").always());
        world.server.clear_requests();
        let (child, mut errors) = start(&world, &["sync"]);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !world.server.requests().iter().any(|it| it.operation == "AppliedModels") {
            assert!(Instant::now() < deadline, "it never read");
            std::thread::yield_now();
        }
        let began = Instant::now();
        signal(&child, name);
        let (code, took) = ended(child, began);
        assert_eq!(code, Some(130), "{name}");
        assert!(took < Duration::from_secs(8), "{name}: {took:?}");
        let mut said = String::new();
        errors.read_to_string(&mut said).expect("text");
        assert!(said.contains("stopped before it was done; nothing was changed"), "{said}");
        let outcomes = world.cells("SELECT outcome FROM syncs WHERE sync_id > 1");
        assert_eq!(outcomes, vec!["interrupted"; number + 1], "{name}");
        assert_same(&world.content(), &before, name);
        world.server.clear_faults();
    }
    world.ok(&["sync"]);
    assert_same(&world.content(), &world.truth(), "the next sync");
}

#[test]
fn a_reader_that_stays_makes_no_sync_slow() {
    let world = World::served("interval = \"12h\"");
    world.ok(&["sync"]);
    let reader = world.reader();
    reader.execute_batch("BEGIN; SELECT count(*) FROM nodes").expect("a moment");
    let began = Instant::now();
    for round in 0..3 {
        world.change(|project| project.describe(ORDERS, &format!("Round {round}.")));
        world.ok(&["sync"]);
    }
    // Each of them once waited for thirty seconds.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    drop(reader);
    world.ok(&["sync"]);
    let log = std::fs::metadata(world.folder.path().join("lineaged.db-wal")).map_or(0, |file| file.len());
    assert_eq!(log, 0, "the log is empty, or gone");
}

#[test]
fn whether_the_file_is_whole_is_told_on_demand() {
    let world = World::bundled();
    world.ok(&["sync"]);
    assert!(world.ok(&["check", "--integrity"]).contains("is whole"));
    let file = rusqlite::Connection::open(world.catalog()).expect("the catalog");
    let page = "SELECT (rootpage - 1) * 4096 FROM sqlite_schema WHERE name = 'horizon'";
    let page: i64 = file.query_row(page, [], |row| row.get(0)).expect("a page");
    drop(file);
    let mut file = std::fs::OpenOptions::new().write(true).open(world.catalog()).expect("the catalog");
    file.seek(SeekFrom::Start(page.unsigned_abs())).expect("there");
    file.write_all(&[0xA5; 4096]).expect("broken");
    drop(file);
    let ran = world.run(&["check", "--integrity"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("is damaged") && ran.stderr.contains("restore a backup"), "{ran:?}");
    let ran = world.run(&["backup", "copy.db"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let serve = world.run(&["serve"]);
    assert_eq!(serve.code, Some(1), "{serve:?}");
    assert!(serve.stderr.contains("is damaged"), "{serve:?}");
    let left = std::fs::read_dir(world.folder.path()).expect("read").map(|entry| entry.expect("a name").file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().contains("copy")));
}

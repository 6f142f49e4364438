//! kill -9 at random moments of a sync: the file opens, is whole, and equals the last commit; the next sync repairs all.

use std::time::Duration;

use crate::support::{World, assert_same};

/// How many kills; one in many hits the commit itself.
const ROUNDS: usize = 50;

fn kill_in_the_middle(rounds: usize) {
    let world = World::bundled();
    world.ok(&["sync"]);
    let mut killed = 0;
    for round in 0..rounds {
        let before = world.content();
        let after = world.change(|project| {
            project.describe("model.mini_shop.orders", &format!("Round {round}."));
            let id = project.add_model(&format!("round_{round:04}"), &["model.mini_shop.orders"]);
            project.add_column(&id, "more", "TEXT");
            crate::support::Content::truth(project)
        });
        let mut child = world.command(&["sync"]).stdout(std::process::Stdio::null()).spawn().expect("started");
        // A moment between nothing and a little more than a whole sync takes, another one in each round.
        let moment = Duration::from_micros((round as u64 * 7919) % 150_000);
        let deadline = std::time::Instant::now() + moment;
        while std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        child.kill().expect("killed");
        let ended = child.wait().expect("ended");
        killed += usize::from(!ended.success());
        assert_eq!(world.cells("PRAGMA integrity_check"), ["ok"], "round {round}");
        assert_eq!(world.rows("PRAGMA foreign_key_check").len(), 0, "round {round}");
        let now = world.content();
        if now != before {
            assert_same(&now, &after, &format!("round {round}: neither the old nor the new state"));
        }
    }
    assert!(killed > rounds / 4, "only {killed} of {rounds} were killed before they ended");
    world.ok(&["sync"]);
    assert_same(&world.content(), &world.truth(), "the next clean sync");
    assert_eq!(world.cells("SELECT count(*) FROM syncs WHERE outcome IS NULL"), ["0"]);
    assert_ne!(world.cells("SELECT count(*) FROM syncs WHERE outcome = 'interrupted'"), ["0"]);
}

#[test]
fn a_killed_sync_leaves_the_last_commit_and_needs_no_repair() {
    kill_in_the_middle(ROUNDS);
}

#[test]
#[ignore = "takes minutes; for a release"]
fn a_thousand_killed_syncs_leave_the_last_commit() {
    kill_in_the_middle(1000);
}

//! Deletion that can be trusted: what is held, what approving does, and that the last good catalog keeps serving.

use lineaged::demo::{Project, Side};
use lineaged::time::Timestamp;

use crate::support::{World, assert_same, json};

/// The platform forgets what was built, and still knows what is defined.
fn unapply_all(project: &mut Project) {
    for id in project.applied_ids() {
        project.unapply(&id);
    }
}

/// A world whose catalog holds a project with thirty more models, of which the platform then loses `lost`.
fn shrunk(lost: usize) -> World {
    let world = World::bundled();
    let ids: Vec<String> = world.change(|project| {
        (0..30).map(|n| project.add_model(&format!("extra_{n:02}"), &["model.mini_shop.orders"])).collect()
    });
    world.ok(&["sync"]);
    world.change(|project| ids.iter().take(lost).for_each(|id| project.remove(id)));
    world
}

#[test]
fn a_read_that_would_remove_too_much_is_held_until_it_is_approved() {
    let world = shrunk(15);
    let before = world.content();
    let ran = world.run(&["sync"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("15 of 42 applied model nodes would go"), "{}", ran.stderr);
    assert_same(&world.content(), &before, "held");
    let error = world.cells("SELECT error FROM syncs WHERE outcome = 'held'")[0].clone();
    assert!(world.ok(&["status"]).contains("and 5 more"));
    let status = world.ok(&["status", "--all"]);
    for number in 0..15 {
        let id = format!("model.mini_shop.extra_{number:02}");
        assert!(error.contains(&id) && status.contains(&id), "{id}");
    }
    assert_eq!(world.run(&["sync"]).code, Some(4), "held again as long as nobody approves");
    assert_eq!(world.run(&["approve", "1"]).code, Some(2), "sync 1 was not held");
    assert_eq!(world.cells("SELECT count(*) FROM held_losses WHERE kind = 'removed'"), ["15"]);
    world.ok(&["approve", "--all", "--reason", "we cleaned up"]);
    assert_eq!(world.cells("SELECT approve_reason FROM syncs WHERE approved_at IS NOT NULL"), ["we cleaned up"]);
    world.ok(&["sync"]);
    assert_same(&world.content(), &world.truth(), "approved");
    assert_eq!(world.cells("SELECT count(*) FROM removed_nodes"), ["15"]);
    assert!(!world.ok(&["status"]).contains("is held"));
}

#[test]
fn an_approval_is_of_that_list_and_no_other() {
    let world = shrunk(15);
    world.run(&["sync"]);
    world.ok(&["approve", "2"]);
    world.change(|project| {
        for number in 15..28 {
            project.remove(&format!("model.mini_shop.extra_{number:02}"));
        }
    });
    let ran = world.run(&["sync"]);
    assert_eq!(ran.code, Some(4), "thirteen others are not approved: {ran:?}");
    assert!(ran.stderr.contains("13 of 27 applied model nodes would go"), "{}", ran.stderr);
}

#[test]
fn few_removals_are_never_held() {
    let world = shrunk(10);
    world.ok(&["sync"]);
    assert_same(&world.content(), &world.truth(), "ten of forty-two are below the floor");
}

#[test]
fn an_environment_that_falls_to_nothing_is_held_and_so_is_one_without_its_applied_state() {
    for (change, reason) in [
        (Project::empty as fn(&mut Project), "the environment would be left empty"),
        (|project: &mut Project| project.set_null_applied(true), "answered `applied: null`"),
        (unapply_all, "lists nothing as applied"),
    ] {
        let world = World::bundled();
        world.ok(&["sync"]);
        let before = world.content();
        world.change(change);
        let ran = world.run(&["sync"]);
        assert_eq!(ran.code, Some(4), "{ran:?}");
        assert!(ran.stderr.contains(reason), "{}", ran.stderr);
        assert_same(&world.content(), &before, reason);
        assert_eq!(json(&world.ok(&["status", "--format", "json"]))[0]["last_outcome"], "held");
    }
}

#[test]
fn removals_are_held_where_the_platform_may_have_forgotten_the_environment() {
    let world = shrunk(1);
    let long_ago = Timestamp::now().plus_millis(-61 * 86_400_000);
    world.change(|project| project.set_last_updated_at(Side::Applied, Some(long_ago)));
    let ran = world.run(&["sync"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("last updated 61 days ago"), "{}", ran.stderr);
}

#[test]
fn a_dry_run_says_that_it_would_be_held() {
    let world = shrunk(15);
    let ran = world.run(&["sync", "--dry-run"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stdout.contains("would be held: 15 of 42"), "{ran:?}");
}

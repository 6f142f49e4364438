//! One test per kind of fault, in the first, a middle and the last page: the catalog afterwards equals the truth, or it is
//! unchanged and the sync's row says why; and the next clean sync repairs all.

use std::time::Duration;

use lineaged::demo::{Action, Fault, Length, Page, Project, Side};
use lineaged::time::Timestamp;

use crate::support::{Content, ENVIRONMENT, Ran, World, assert_same};

const PAGES: [Page; 3] = [Page::First, Page::Middle, Page::Last];

/// What a sync must come to that meets the fault.
#[derive(Clone, Copy)]
enum Then<'a> {
    /// It gets over it: the catalog equals the truth.
    Recovers,
    /// It fails, changes nothing, and its row and output say this.
    Fails(&'a str),
}

/// Syncs, lets the project change, spoils answers of `operation` by each rule, and syncs through them.
fn meet(operation: &str, rules: impl Fn(Page) -> Fault, then: Then<'_>) {
    meet_in(&World::bundled(), operation, rules, then);
}

fn meet_in(world: &World, operation: &str, rules: impl Fn(Page) -> Fault, then: Then<'_>) {
    world.ok(&["sync"]);
    for (round, page) in PAGES.into_iter().enumerate() {
        let before = world.content();
        world.change(|project| {
            project.describe("model.mini_shop.orders", &format!("Round {round}."));
            let id = project.add_model(&format!("round_{round}"), &["model.mini_shop.orders"]);
            project.add_test(&format!("test_round_{round}"), &[&id]);
        });
        world.server.add_fault(rules(page).on(operation).page(page));
        let ran = world.run(&["sync"]);
        check(world, &ran, &before, then, page);
        world.server.clear_faults();
        world.ok(&["sync"]);
        assert_same(&world.content(), &world.truth(), &format!("the clean sync after {page:?}"));
        let described = world.cells("SELECT description FROM nodes WHERE unique_id = 'model.mini_shop.orders'");
        assert_eq!(described, [format!("Round {round}.")]);
    }
}

fn check(world: &World, ran: &Ran, before: &Content, then: Then<'_>, page: Page) {
    match then {
        Then::Recovers => {
            assert_eq!(ran.code, Some(0), "{page:?}: {ran:?}");
            assert_same(&world.content(), &world.truth(), &format!("{page:?}"));
        }
        Then::Fails(why) => {
            assert_eq!(ran.code, Some(1), "{page:?}: {ran:?}");
            assert_same(&world.content(), before, &format!("{page:?}"));
            let error = world.cells("SELECT error FROM syncs ORDER BY sync_id DESC LIMIT 1")[0].to_lowercase();
            assert!(error.contains(why), "{page:?}: `{why}` is not in: {error}");
            assert!(ran.stderr.to_lowercase().contains(why), "{page:?}: {ran:?}");
            assert_eq!(world.cells("SELECT outcome FROM syncs ORDER BY sync_id DESC LIMIT 1"), ["failed"]);
        }
    }
}

fn once(action: impl Fn() -> Action) -> impl Fn(Page) -> Fault {
    move |_| Fault::new(action())
}

fn always(action: impl Fn() -> Action) -> impl Fn(Page) -> Fault {
    move |_| Fault::new(action()).always()
}

fn status(code: u16, header: Option<(&str, &str)>) -> Action {
    let headers = header.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    Action::Status(code, headers, "{}".to_owned())
}

fn errors(keep_data: bool, code: Option<&str>, message: &str) -> Action {
    Action::GraphqlErrors { keep_data, code: code.map(str::to_owned), message: message.to_owned() }
}

#[test]
fn a_server_error_is_tried_again() {
    meet("AppliedTests", once(|| status(503, None)), Then::Recovers);
}

#[test]
fn a_server_error_that_stays_changes_nothing() {
    meet("AppliedTests", always(|| status(502, None)), Then::Fails("502"));
}

#[test]
fn a_429_waits_as_long_as_it_is_told() {
    meet("AppliedTests", once(|| status(429, Some(("Retry-After", "0")))), Then::Recovers);
}

#[test]
fn a_429_that_does_not_say_waits_for_the_cooldown() {
    meet("AppliedTests", once(|| status(429, None)), Then::Recovers);
}

#[test]
fn a_429_that_asks_for_more_patience_than_there_is_fails() {
    meet("AppliedTests", once(|| status(429, Some(("Retry-After", "3600")))), Then::Fails("429"));
}

#[test]
fn refusals_are_not_tried_again() {
    for (code, why) in [(400, "400"), (401, "401"), (403, "403")] {
        meet("AppliedTests", once(move || status(code, None)), Then::Fails(why));
    }
}

#[test]
fn a_reset_connection_is_tried_again() {
    meet("AppliedTests", once(|| Action::Reset), Then::Recovers);
}

#[test]
fn a_cut_body_is_tried_again_wherever_it_was_cut() {
    for length in [Length::Whole, Length::Cut, Length::Missing] {
        meet("AppliedTests", once(move || Action::CutBody(100, length)), Then::Recovers);
    }
}

#[test]
fn an_empty_body_is_tried_again() {
    meet("AppliedTests", once(|| Action::EmptyBody), Then::Recovers);
}

#[test]
fn a_body_that_drips_for_ever_ends_with_the_timeout() {
    // A second try must fit into the patience after a first one that took the whole timeout.
    let world = World::with(vec![(ENVIRONMENT, Project::bundled(Timestamp::now()))], "give_up_after = \"20s\"");
    meet_in(&world, "AppliedTests", once(|| Action::Drip(1, Duration::from_millis(20))), Then::Recovers);
}

#[test]
fn an_answer_that_is_a_web_page_is_named() {
    meet("AppliedTests", always(|| Action::HtmlPage), Then::Fails("did not answer as a graphql server"));
}

#[test]
fn errors_beside_partial_data_are_tried_again_and_never_taken() {
    meet("AppliedTests", once(|| errors(true, None, "upstream timeout")), Then::Recovers);
    meet("AppliedTests", always(|| errors(true, None, "upstream timeout")), Then::Fails("upstream timeout"));
    meet("AppliedTests", once(|| errors(false, Some("INTERNAL_SERVER_ERROR"), "oh no")), Then::Recovers);
}

#[test]
fn errors_about_access_are_not_tried_again() {
    meet("AppliedTests", once(|| errors(false, Some("FORBIDDEN"), "not for you")), Then::Fails("not for you"));
}

#[test]
fn a_lost_page_changes_nothing() {
    meet("AppliedTests", once(|| Action::LosePage), Then::Fails("not complete"));
}

#[test]
fn a_lost_node_changes_nothing() {
    meet("AppliedTests", once(|| Action::DropLastNode), Then::Fails("not complete"));
}

#[test]
fn a_node_that_comes_twice_changes_nothing() {
    meet("AppliedTests", once(|| Action::DuplicateNode), Then::Fails("twice"));
}

/// The first page has no cursor to repeat, so the rule is for the pages after it.
#[test]
fn a_repeated_cursor_is_an_error_not_a_loop() {
    let world = World::bundled();
    world.ok(&["sync"]);
    for page in [Page::Middle, Page::Last] {
        let before = world.content();
        world.change(|project| project.add_model(&format!("round_{page:?}"), &["model.mini_shop.orders"]));
        world.server.add_fault(Fault::new(Action::RepeatCursor).on("AppliedTests").page(page).always());
        let ran = world.run(&["sync"]);
        check(&world, &ran, &before, Then::Fails("cursor"), page);
        world.server.clear_faults();
        world.ok(&["sync"]);
        assert_same(&world.content(), &world.truth(), "the clean sync");
    }
}

#[test]
fn a_null_where_the_schema_has_none_changes_nothing() {
    for place in ["/tags", "/uniqueId", "/parents", "/executionInfo", ""] {
        meet(
            "AppliedTests",
            always(move || Action::NullAt(place.to_owned())),
            Then::Fails("does not fit the schema at `data.environment.applied.tests"),
        );
    }
}

#[test]
fn a_state_that_moves_during_the_read_starts_it_again() {
    for side in [Side::Applied, Side::Definition] {
        meet("AppliedTests", once(move || Action::MoveBefore(side)), Then::Recovers);
        meet("AppliedTests", once(move || Action::MoveAfter(side)), Then::Recovers);
    }
}

#[test]
fn an_environment_that_moves_during_every_read_is_busy() {
    meet("AppliedTests", always(|| Action::MoveAfter(Side::Applied)), Then::Fails("busy"));
}

#[test]
fn a_state_that_vanishes_during_the_read_removes_nothing() {
    meet("AppliedTests", once(|| Action::NullState(Side::Applied)), Then::Recovers);
    meet("AppliedTests", always(|| Action::NullState(Side::Applied)), Then::Fails("busy"));
}

#[test]
fn an_unknown_optional_field_is_left_out_and_its_stored_value_stays() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let relation = "SELECT relation_name FROM nodes WHERE unique_id = 'model.mini_shop.orders'";
    let status = "SELECT group_concat(status) FROM tests";
    let before = (world.cells(relation), world.cells(status));
    assert!(!before.0[0].is_empty());
    for field in ["relationName", "lastKnownResult"] {
        world.server.add_fault(Fault::new(Action::UnknownField(field.to_owned())).always());
    }
    let out = world.ok(&["sync", "--full"]);
    assert!(out.contains("unchanged"), "{out}");
    assert_eq!((world.cells(relation), world.cells(status)), before);
    assert_same(&world.content(), &world.truth(), "with optional fields unknown");
}

#[test]
fn any_other_unknown_field_fails_the_sync_and_is_named() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let before = world.content();
    world.change(|project| project.remove("exposure.mini_shop.churn_notebook"));
    world.server.add_fault(Fault::new(Action::UnknownField("ModelAppliedStateNode.language".to_owned())).always());
    let ran = world.run(&["sync"]);
    let why = Then::Fails(
        "environment 834, models, page 1: the server does not know the field `language` of `modelappliedstatenode`",
    );
    check(&world, &ran, &before, why, Page::First);
}

#[test]
fn unknown_words_fields_and_numbers_as_text_are_no_failure() {
    let world = World::bundled();
    world.server.add_fault(
        Fault::new(Action::RewriteNode(Box::new(|node| {
            node["executionInfo"]["lastRunStatus"] = "partial_success".into();
            node["aFieldOfTomorrow"] = "x".into();
            let run = node["executionInfo"]["lastRunId"].as_i64();
            node["executionInfo"]["lastRunId"] = run.map(|run| run.to_string()).into();
            node["executionInfo"]["executionTime"] = "1.5".into();
            node["executionInfo"]["lastRunGeneratedAt"] = "0001-01-01T00:00:00.000Z".into();
            if let Some(columns) = node["catalog"]["columns"].as_array_mut() {
                columns.iter_mut().for_each(|column| column["index"] = column["index"].to_string().into());
            }
        })))
        .on("AppliedModels")
        .always(),
    );
    world.ok(&["sync"]);
    assert_same(&world.content(), &world.truth(), "with unknown words");
    let row = "SELECT last_run_status, execution_seconds, last_run_at, last_run_id IS NOT NULL
               FROM nodes WHERE unique_id = 'model.mini_shop.orders'";
    assert_eq!(world.rows(row), [["error", "1.5", "", "1"]], "another spelling of a known word");
    let position = "SELECT max(position) FROM columns WHERE unique_id = 'model.mini_shop.orders'";
    assert_eq!(world.cells(position), ["5"]);
}

#[test]
fn a_body_over_the_cap_is_asked_again_in_smaller_pages_and_then_given_up() {
    let project = || {
        let mut project = Project::bundled(Timestamp::now());
        project.grow(70);
        vec![(ENVIRONMENT, project)]
    };
    let patient = || World::with(project(), "page_size = 50\ntimeout = \"60s\"\ngive_up_after = \"120s\"");
    let bomb = || Action::GzipBomb(65 << 20);
    meet_in(&patient(), "AppliedTests", once(bomb), Then::Recovers);
    meet_in(&patient(), "AppliedTests", always(bomb), Then::Fails("larger than 64 mib"));
}

#[test]
fn a_redirect_is_refused_and_names_only_the_host() {
    let elsewhere = ("Location", "http://elsewhere.example/login?next=secret");
    let world = World::bundled();
    world.server.add_fault(Fault::new(status(302, Some(elsewhere))));
    let ran = world.run(&["sync"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("elsewhere.example") && !ran.stderr.contains("secret"), "{ran:?}");
}

#[test]
fn a_page_size_above_what_the_server_takes_is_a_problem_of_the_configuration() {
    let world = World::bundled();
    let config = world.folder.path().join("lineaged.toml");
    let text = std::fs::read_to_string(&config).expect("read").replace("page_size = 10", "page_size = 501");
    std::fs::write(&config, text).expect("written");
    let ran = world.run(&["sync"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

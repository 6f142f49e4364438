//! Answers that look complete and are not: each is held, kept apart or applied without being relied upon, and the next clean firings
//! heal the catalog without a person.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lineaged::demo::{Action, Fault, Page, Project, Side};
use lineaged::time::Timestamp;
use serde_json::{Value, json};

use crate::support::{Content, ENVIRONMENT, Ran, World, assert_same};

const LISTS: [&str; 12] = [
    "AppliedModels",
    "AppliedSources",
    "AppliedSeeds",
    "AppliedSnapshots",
    "AppliedTests",
    "AppliedExposures",
    "DefinitionMetrics",
    "DefinitionSemanticModels",
    "DefinitionSavedQueries",
    "DefinitionGroups",
    "DefinitionLineage",
    "DefinitionIds",
];

/// A project of several pages, so that a lie can strike in the first, a middle and the last.
fn world() -> World {
    World::with(project(), "page_size = 10")
}

fn project() -> Vec<(i64, Project)> {
    let mut project = Project::bundled(Timestamp::now());
    for number in 0..30 {
        project.add_model(&format!("wide_{number:02}"), &["model.mini_shop.orders"]);
    }
    vec![(ENVIRONMENT, project)]
}

fn requests(world: &World) -> u64 {
    world.cells("SELECT requests FROM syncs ORDER BY sync_id DESC LIMIT 1")[0].parse().expect("a number")
}

/// The next clean firing makes the catalog equal the truth; from then on one costs one request.
fn heals(world: &World, lie: &str) {
    world.server.clear_faults();
    world.run(&["sync"]);
    assert_same(&world.content(), &world.truth(), lie);
    assert_eq!(world.run(&["sync"]).code, Some(0), "{lie}");
    assert_eq!(requests(world), 1, "{lie}: settled");
}

fn without_counts(world: &World) {
    for operation in ["Probe", "EnvironmentState"] {
        let forget = |answer: &mut Value| {
            for state in ["applied", "definition"] {
                answer["data"]["environment"][state]["resourceCounts"] = Value::Null;
            }
        };
        world.server.add_fault(Fault::new(Action::EditAnswer(Box::new(forget))).on(operation).always());
    }
}

/// Syncs once while the platform answers so, and then as it should.
fn told(lie: &str, counted: bool, tell: impl Fn(&World), check: impl Fn(&Ran, &Content, &Content)) {
    let world = world();
    world.ok(&["sync"]);
    let before = world.content();
    if !counted {
        without_counts(&world);
    }
    tell(&world);
    world.change(Project::touch);
    let ran = world.run(&["sync"]);
    check(&ran, &before, &world.content());
    heals(&world, &format!("{lie}, counted: {counted}"));
}

fn add(world: &World, operation: &str, page: Page, action: Action) {
    world.server.add_fault(Fault::new(action).on(operation).page(page).always());
}

#[test]
fn a_list_that_is_empty_for_one_sync_takes_nothing_away() {
    for (list, counted) in
        LISTS.map(|list| (list, true)).into_iter().chain(LISTS[2..9].iter().map(|list| (*list, false)))
    {
        told(
            list,
            counted,
            |world| {
                add(world, list, Page::Any, Action::EmptyList);
                if list == "DefinitionIds" {
                    refuse_lineage(world);
                }
            },
            |ran, before, after| {
                // What is only defined is small here, and is only in one list: it may go until the next firing.
                if !["DefinitionIds", "DefinitionLineage"].contains(&list) {
                    assert_eq!(ran.code, Some(4), "{list}: {ran:?}");
                    assert_same(after, before, list);
                }
            },
        );
    }
}

/// The ids then are read list by list.
fn refuse_lineage(world: &World) {
    let refused = r#"{"errors":[{"message":"`lineage` is not available"}]}"#;
    add(world, "DefinitionLineage", Page::Any, Action::Status(400, Vec::new(), refused.to_owned()));
}

/// Of the bundled project an exposure is only defined: it is there as long as its id is told.
fn with_defined_only() -> World {
    let mut project = Project::bundled(Timestamp::now());
    project.unapply("exposure.mini_shop.churn_notebook");
    World::with(vec![(ENVIRONMENT, project)], "page_size = 10")
}

/// How many requests of these names there were.
fn asked(world: &World, operation: &str) -> usize {
    world.server.requests().iter().filter(|asked| asked.operation == operation).count()
}

#[test]
fn a_lineage_that_lies_or_is_refused_changes_nothing() {
    type Tell = fn(&World);
    fn edit(world: &World, edit: impl Fn(&mut Vec<Value>) + Send + Sync + 'static) {
        let lineage = move |answer: &mut Value| {
            edit(answer["data"]["environment"]["definition"]["lineage"].as_array_mut().expect("a lineage"));
        };
        add(world, "DefinitionLineage", Page::Any, Action::EditAnswer(Box::new(lineage)));
    }
    let lies: [(&str, Tell, bool); 11] = [
        ("empty", |world| edit(world, Vec::clear), true),
        ("half", |world| edit(world, |nodes| nodes.truncate(nodes.len() / 2)), true),
        ("one is lost", |world| add(world, "DefinitionLineage", Page::Any, Action::DropLastNode), true),
        ("one stands for another", |world| add(world, "DefinitionLineage", Page::Any, Action::DuplicateNode), true),
        ("all came twice", |world| edit(world, |nodes| nodes.extend(nodes.clone())), false),
        ("types changed", |world| edit(world, |nodes| nodes[0]["resourceType"] = "Seed".into()), true),
        ("no id", |world| edit(world, |nodes| nodes[0]["uniqueId"] = "".into()), true),
        ("a null id", |world| edit(world, |nodes| nodes[0]["uniqueId"] = Value::Null), true),
        (
            "a null lineage",
            |world| {
                let null = |answer: &mut Value| answer["data"]["environment"]["definition"]["lineage"] = Value::Null;
                add(world, "DefinitionLineage", Page::Any, Action::EditAnswer(Box::new(null)));
            },
            true,
        ),
        ("too large", |world| add(world, "DefinitionLineage", Page::Any, Action::HugeBody(65 << 20)), true),
        ("refused", refuse_lineage, true),
    ];
    for (lie, tell, falls_back) in lies {
        let world = with_defined_only();
        tell(&world);
        for full in [&["sync"][..], &["sync", "--full"]] {
            world.server.clear_requests();
            world.ok(full);
            assert_same(&world.content(), &world.truth(), lie);
            assert_eq!(asked(&world, "DefinitionLineage"), 1, "{lie}: asked once");
            assert_eq!(asked(&world, "DefinitionIds") > 0, falls_back, "{lie}");
        }
        heals(&world, lie);
    }
}

#[test]
fn an_id_that_is_not_there_in_place_of_one_that_is_fails_the_read() {
    let world = with_defined_only();
    world.ok(&["sync"]);
    let before = world.content();
    let swap = |node: &mut Value| {
        if node["uniqueId"] == "exposure.mini_shop.churn_notebook" {
            node["uniqueId"] = "exposure.mini_shop.made_up".into();
        }
    };
    add(&world, "DefinitionLineage", Page::Any, Action::RewriteNode(Box::new(swap)));
    world.change(Project::touch);
    let ran = world.run(&["sync"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("exposure.mini_shop.made_up"), "{ran:?}");
    assert_same(&world.content(), &before, "nothing was changed");
    heals(&world, "the lineage is true again");
}

#[test]
fn a_glitch_that_is_over_before_the_second_look_is_a_warning() {
    let world = world();
    world.ok(&["sync"]);
    world.change(Project::touch);
    world.server.add_fault(Fault::new(Action::EmptyList).on("AppliedModels"));
    let ran = world.run(&["sync"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("a second one did not confirm it"), "{ran:?}");
    assert_same(&world.content(), &world.truth(), "looked twice");
}

#[test]
fn edges_columns_and_whole_states_that_vanish_for_one_sync_come_back() {
    type Edit = fn(&mut Value);
    let lies: [(&str, &str, Edit, &[Page]); 4] = [
        (
            "parents",
            "AppliedModels",
            |node| node["parents"] = json!([]),
            &[Page::First, Page::Middle, Page::Last, Page::Any],
        ),
        ("columns", "AppliedModels", |node| node["catalog"]["columns"] = json!([]), &[Page::First, Page::Any]),
        ("catalog", "AppliedModels", |node| node["catalog"] = Value::Null, &[Page::Last, Page::Any]),
        ("parents of tests", "AppliedTests", |node| node["parents"] = json!([]), &[Page::Any]),
    ];
    for (lie, operation, edit, pages) in lies {
        for page in pages.iter().copied() {
            told(
                &format!("{lie} on {page:?}"),
                true,
                |world| add(world, operation, page, Action::RewriteNode(Box::new(edit))),
                |ran, before, after| {
                    if page == Page::Any {
                        assert_same(after, before, &format!("{lie}: {ran:?}"));
                    }
                },
            );
        }
    }
}

#[test]
fn a_null_definition_hides_no_change() {
    let world = world();
    world.ok(&["sync"]);
    world.server.add_fault(Fault::new(Action::NullState(Side::Definition)).always());
    world.change(|project| project.describe("model.mini_shop.orders", "Changed."));
    let ran = world.run(&["sync"]);
    assert!(ran.stderr.contains("definition: null"), "{ran:?}");
    world.run(&["sync"]);
    assert!(requests(&world) > 1, "what was kept is not relied upon");
    heals(&world, "a null definition");
}

/// A value that was edited without a run carries no stamp: while a catalog is null its node is read again and again.
#[test]
fn a_null_catalog_hides_no_change() {
    let world = world();
    world.ok(&["sync"]);
    add(&world, "AppliedModels", Page::Any, Action::RewriteNode(Box::new(|node| node["catalog"] = Value::Null)));
    world.change(Project::touch);
    let ran = world.run(&["sync"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("stored values were kept"), "{ran:?}");
    world.server.clear_faults();
    world.change(|project| project.retype_column("model.mini_shop.orders", "amount", "DECIMAL(20,2)"));
    world.ok(&["sync"]);
    assert_same(&world.content(), &world.truth(), "the change arrived");
}

#[test]
fn where_there_never_was_a_catalog_or_a_definition_nothing_costs_one_request() {
    let world = world();
    add(&world, "AppliedModels", Page::Any, Action::RewriteNode(Box::new(|node| node["catalog"] = Value::Null)));
    world.server.add_fault(Fault::new(Action::NullState(Side::Definition)).always());
    world.ok(&["sync"]);
    world.ok(&["sync"]);
    assert_eq!(requests(&world), 1);
}

/// One replica has the new state already and answers the probe; another one, with the old state, answers the pages.
#[test]
fn a_probe_that_is_ahead_of_its_pages_is_not_remembered() {
    let world = world();
    world.ok(&["sync"]);
    let ahead = Timestamp::now().plus_millis(60_000);
    let edit =
        move |answer: &mut Value| answer["data"]["environment"]["applied"]["lastUpdatedAt"] = ahead.to_string().into();
    world.server.add_fault(Fault::new(Action::EditAnswer(Box::new(edit))).on("Probe"));
    assert!(world.ok(&["sync"]).contains("unchanged"));
    assert!(requests(&world) > 1);
    world.change(|project| {
        project.add_model("of_tomorrow", &["model.mini_shop.orders"]);
        project.set_last_updated_at(Side::Applied, Some(ahead));
    });
    world.ok(&["sync"]);
    assert_same(&world.content(), &world.truth(), "the next firing reads");
}

#[test]
fn a_source_that_the_pages_show_as_it_was_is_read_again() {
    let world = world();
    world.ok(&["sync"]);
    let source = "source.mini_shop.raw_shop.customers";
    let old = world.change(|project| project.told(source)["freshness"].clone());
    let keep = move |node: &mut Value| {
        if node["uniqueId"] == source {
            node["freshness"] = old.clone();
        }
    };
    add(&world, "AppliedSources", Page::Any, Action::RewriteNode(Box::new(keep)));
    world.change(|project| project.freshness(source, "error", Some(Timestamp::now())));
    world.ok(&["sync"]);
    world.server.clear_faults();
    world.ok(&["sync"]);
    let status = format!("SELECT checked_status FROM freshness WHERE unique_id = '{source}'");
    assert_eq!(world.cells(&status), ["error"]);
}

#[test]
fn an_older_state_is_held_and_heals() {
    let world = world();
    world.ok(&["sync"]);
    let before = world.content();
    let (old, stamps) = (Timestamp::now().plus_millis(-7_200_000), world.change(|project| project.clone()));
    world.change(|project| {
        project.remove("exposure.mini_shop.churn_notebook");
        project.set_last_updated_at(Side::Applied, Some(old));
    });
    let ran = world.run(&["sync"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("is older than that of"), "{ran:?}");
    assert_same(&world.content(), &before, "held");
    world.change(|project| *project = stamps);
    heals(&world, "the replica caught up");
}

#[test]
fn the_last_of_a_type_goes_without_a_person() {
    let world = world();
    world.ok(&["sync"]);
    world.change(|project| {
        let exposures: Vec<String> =
            project.ids().into_iter().filter(|(_, kind)| *kind == "exposure").map(|(id, _)| id).collect();
        exposures.iter().for_each(|id| project.remove(id));
    });
    world.ok(&["sync"]);
    assert_same(&world.content(), &world.truth(), "no exposure is left");
    world.ok(&["sync"]);
    assert_eq!(requests(&world), 1);
}

#[test]
fn a_list_that_never_ends_fails_at_once() {
    let world = world();
    world.ok(&["sync"]);
    let before = world.content();
    let (page, count) = (Mutex::new(None), AtomicUsize::new(0));
    let endless = move |answer: &mut Value| {
        let mut page = page.lock().expect("no panic");
        let page = page.get_or_insert_with(|| answer.clone());
        let number = count.fetch_add(1, Ordering::SeqCst);
        let mut next = page.clone();
        let list = &mut next["data"]["environment"]["applied"]["tests"];
        list["pageInfo"] = json!({"hasNextPage": true, "endCursor": format!("fresh {number}")});
        for (place, edge) in list["edges"].as_array_mut().into_iter().flatten().enumerate() {
            edge["node"]["uniqueId"] = format!("test.mini_shop.endless_{number}_{place}").into();
        }
        next.as_object_mut().expect("a map").remove("errors");
        *answer = next;
    };
    add(&world, "AppliedTests", Page::Any, Action::EditAnswer(Box::new(endless)));
    world.change(Project::touch);
    let ran = world.run(&["sync"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("nodes came, `totalCount` is"), "{ran:?}");
    assert!(requests(&world) < 30, "{}", requests(&world));
    assert_same(&world.content(), &before, "nothing was changed");
}

#[test]
fn a_node_without_an_id_is_refused() {
    for edit in [(|node: &mut Value| node["uniqueId"] = "".into()) as fn(&mut Value), |node| {
        node["parents"][0]["uniqueId"] = "".into()
    }] {
        let world = world();
        add(&world, "AppliedModels", Page::Last, Action::RewriteNode(Box::new(edit)));
        let ran = world.run(&["sync"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("empty"), "{ran:?}");
    }
}

#[test]
fn an_answer_whose_parts_are_too_large_is_refused_and_says_which() {
    let many = |answer: &mut Value| answer["errors"] = vec![json!({"message": "x"}); 1_000_000].into();
    let long = |answer: &mut Value| {
        answer["data"]["environment"]["applied"]["models"]["edges"][0]["node"]["description"] =
            "x".repeat(5 << 20).into();
    };
    for (edit, words) in
        [(many as fn(&mut Value), "2000000 are taken at most"), (long, "a text of 5242880 bytes came (`description`")]
    {
        let world = World::with(project(), "page_size = 10\ntimeout = \"60s\"\ngive_up_after = \"120s\"");
        world.server.add_fault(Fault::new(Action::EditAnswer(Box::new(edit))).on("AppliedModels").always());
        let ran = world.run(&["sync"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
}

#[test]
fn a_read_that_does_not_end_in_time_fails() {
    let world = World::with(project(), "page_size = 10\nread_deadline = \"1ms\"");
    let ran = world.run(&["sync"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("discovery.read_deadline"), "{ran:?}");
}

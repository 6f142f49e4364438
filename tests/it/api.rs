//! What programs ask the server for: filters, formats, what they wait for.

use lineaged::demo::Project;
use lineaged::time::Timestamp;

use crate::support::World;
use crate::support::site::Site;

/// Two environments, both synced.
fn two() -> World {
    let project = || Project::bundled(Timestamp::now());
    let mut other = project();
    other.add_model("only_here", &["model.mini_shop.orders"]);
    let world = World::with(vec![(834, project()), (835, other)], "");
    world.ok(&["sync"]);
    world
}

#[test]
fn a_filter_may_be_repeated_and_any_of_its_values_is_meant() {
    let world = two();
    let site = Site::of(&world);
    let ids = world.cells("SELECT environment_id FROM environments ORDER BY name DESC");
    for (path, sql) in [
        (
            "nodes?resource_type=model&resource_type=source&environment=prod".to_owned(),
            "nodes WHERE resource_type IN ('model', 'source') AND environment_id = (SELECT environment_id FROM environments WHERE name = 'prod')",
        ),
        (
            format!("nodes?environment=env2&environment={}&name=only_here&name=orders", ids[0]),
            "nodes WHERE name IN ('only_here', 'orders')",
        ),
        (format!("nodes?environment={}&environment=env2&name=only_here", ids[1]), "nodes WHERE name = 'only_here'"),
        (
            "changes?environment=prod&environment=env2&kind=added&kind=removed&limit=5000".to_owned(),
            "changes WHERE kind IN ('added', 'removed')",
        ),
        ("lineage?environment=prod&environment=env2&limit=5000".to_owned(), "lineage"),
        ("freshness?needs_run=true&needs_run=0".to_owned(), "freshness WHERE needs_run IN (0, 1)"),
        ("tests?status=pass&status=fail".to_owned(), "tests WHERE status IN ('pass', 'fail')"),
        (
            "nodes?select=orders&select=only_here&resource_type=model".to_owned(),
            "nodes WHERE name IN ('orders', 'only_here') AND resource_type = 'model'",
        ),
    ] {
        let found = site.get(&format!("/api/v1/{path}")).rows().len().to_string();
        assert_eq!(found, world.cells(&format!("SELECT count(*) FROM {sql}"))[0], "{path}");
    }
    let (mut pages, mut next) =
        (0, Some("/api/v1/nodes?name=orders&name=only_here&environment=prod&environment=env2&limit=2".to_owned()));
    while let Some(path) = next {
        let page = site.get(&path);
        pages += page.rows().len();
        next = page.next();
    }
    assert_eq!(pages, 3, "the link keeps all of them");
}

#[test]
fn what_a_view_cannot_hold_is_refused_with_what_it_can() {
    let world = two();
    let site = Site::of(&world);
    for (path, text) in [
        ("nodes?resource_type=modle", "`resource_type` is never `modle`, but one of model,"),
        ("nodes?resource_type=model&resource_type=modle", "`resource_type` is never `modle`"),
        ("tests?status=passed", "one of pass, warn, fail, error, skipped"),
        ("freshness?needs_run=maybe", "one of 0, 1, false, true"),
        ("changes?sync_id=1&sync_id=one", "a whole number"),
        ("nodes?name=", "never empty"),
        ("nodes?environment=prod&environment=nowhere", "no environment `nowhere`"),
        ("nodes?environment=", "no environment ``"),
        ("nodes?limit=1&limit=2", "more than once"),
        ("search?q=a&environment=nowhere", "no environment `nowhere`"),
        ("nodes/model.mini_shop.orders?environment=nowhere", "no environment `nowhere`"),
        ("nodes/model.mini_shop.orders/lineage?environment=nowhere", "no environment `nowhere`"),
        ("impact?node=model.mini_shop.orders&environment=nowhere", "no environment `nowhere`"),
    ] {
        let answer = site.get(&format!("/api/v1/{path}"));
        assert_eq!(answer.code, 400, "{path}: {}", answer.text());
        assert!(
            answer.json()["detail"].as_str().is_some_and(|detail| detail.contains(text)),
            "{path}: {}",
            answer.text()
        );
    }
}

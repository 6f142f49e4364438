//! A sync against what the artifacts say: every id, edge and column; and what a second and later syncs write.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use lineaged::demo::{Project, Side};
use lineaged::time::Timestamp;
use rusqlite::Connection;

use crate::support::{Content, ENVIRONMENT, World, assert_same, run, sample};

#[test]
fn the_bundled_project_arrives_whole_and_again_costs_one_row() {
    let world = World::bundled();
    world.ok(&["sync"]);
    assert_same(&world.content(), &world.truth(), "first sync");
    let before = world.rows("SELECT last_seq FROM catalog_info");
    let out = world.ok(&["sync", "--full"]);
    assert!(out.contains("unchanged"), "{out}");
    assert_eq!(world.rows("SELECT last_seq FROM catalog_info"), before);
    assert_eq!(world.cells("SELECT outcome FROM syncs ORDER BY sync_id"), ["applied", "unchanged"]);
}

#[test]
fn an_unchanged_environment_costs_one_request() {
    let world = World::bundled();
    world.ok(&["sync"]);
    world.server.clear_requests();
    let out = world.ok(&["sync"]);
    assert!(out.contains("unchanged; 1 request"), "{out}");
    assert_eq!(world.server.requests().len(), 1);
    assert_eq!(
        world.rows("SELECT mode, outcome, requests FROM syncs WHERE sync_id = 2"),
        [["probe", "unchanged", "1"]]
    );
    // A run that only checks freshness may not move `lastUpdatedAt`, but is seen.
    let before = world.change(|project| project.last_updated_at(Side::Applied));
    world.change(|project| {
        project.freshness("source.mini_shop.raw_shop.customers", "warn", None);
        project.set_last_updated_at(Side::Applied, before);
    });
    world.ok(&["sync"]);
    assert_eq!(world.cells("SELECT outcome FROM syncs WHERE sync_id = 3"), ["applied"]);
}

#[test]
fn a_first_sync_asks_for_pages_and_three_questions_more() {
    let world = World::bundled();
    world.change(|project| project.unapply("exposure.mini_shop.churn_notebook"));
    world.ok(&["sync"]);
    let asked = |operation: &str| world.server.requests().iter().filter(|it| it.operation == operation).count();
    let (applied, defined) = world.change(|project| (project.applied_ids(), project.ids()));
    // A list takes at least one page.
    let pages = |kinds: &[&str], is_applied: bool| {
        let listed = defined.iter().filter(|(id, kind)| kinds.contains(kind) && (!is_applied || applied.contains(*id)));
        listed.count().div_ceil(10).max(1)
    };
    for (operation, kinds, is_applied) in [
        ("AppliedModels", &["model"][..], true),
        ("AppliedSources", &["source"], true),
        ("AppliedSeeds", &["seed"], true),
        ("AppliedSnapshots", &["snapshot"], true),
        ("AppliedTests", &["test", "unit_test"], true),
        ("AppliedExposures", &["exposure"], true),
        ("DefinitionMetrics", &["metric"], false),
        ("DefinitionSemanticModels", &["semantic_model"], false),
        ("DefinitionSavedQueries", &["saved_query"], false),
        ("DefinitionGroups", &["group"], false),
    ] {
        assert_eq!(asked(operation), pages(kinds, is_applied), "{operation}");
    }
    assert_eq!(asked("DefinitionExposures"), 1, "what is only defined is read in detail");
    let pages = |operation: &str| operation.starts_with("Applied") || operation.starts_with("Definition");
    let others: Vec<String> = world.server.requests().into_iter().map(|it| it.operation).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).filter(|it| !pages(it)).collect();
    assert_eq!(others, ["Probe", "EnvironmentState"], "the moment before, and after");
    assert_eq!((asked("DefinitionLineage"), asked("DefinitionIds")), (1, 0));
}

#[test]
fn an_unchanged_sync_writes_a_few_pages_of_the_file() {
    let world = World::bundled();
    world.ok(&["sync"]);
    for arguments in [&["sync"][..], &["sync", "--full"]] {
        // What was written is in the file itself when a sync has ended.
        let before = std::fs::read(world.catalog()).expect("read");
        world.ok(arguments);
        let after = std::fs::read(world.catalog()).expect("read");
        let moved = before.chunks(4096).zip(after.chunks(4096)).filter(|(before, after)| before != after).count();
        let grown = after.len().abs_diff(before.len()) / 4096;
        assert!(moved + grown <= 12, "{arguments:?}: {moved} pages of {} written, {grown} more", before.len() / 4096);
    }
}

#[test]
fn a_second_process_counts_what_the_first_one_asked_in_the_last_minute() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let asked = world.server.requests().len();
    world.server.clear_requests();
    let now = Instant::now();
    let ended = Timestamp::now().plus_millis(-59_000);
    let catalog = Connection::open(world.catalog()).expect("the catalog");
    catalog.execute("UPDATE sync SET finished_at = ?1", [ended.to_string()]).expect("a minute ago, almost");
    drop(catalog);
    let mut second = world.command(&["sync"]);
    let ran = run(second.env("LINEAGED_DISCOVERY__REQUESTS_PER_MINUTE", asked.to_string()));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let first = world.server.requests()[0].at;
    assert!(first - now >= Duration::from_millis(990), "{:?}", first - now);
}

#[test]
fn real_projects_arrive_whole() {
    let samples = [
        "hubspot-v4",
        "openlineage-spark-v4",
        "dbt-docs-ci-v9",
        "dbt-bouncer-1.12",
        "jaffle-semantic-1.12",
        "mesh-downstream",
        "quickbooks-1.6-local",
    ];
    for name in samples {
        let Some(folder) = sample(name) else { continue };
        let project = Project::load(&folder, Timestamp::now()).expect(name);
        let world =
            World::with(vec![(ENVIRONMENT, project)], "page_size = 100\ntimeout = \"60s\"\ngive_up_after = \"120s\"");
        world.ok(&["sync"]);
        assert_same(&world.content(), &world.truth(), name);
        let again = world.ok(&["sync", "--full"]);
        assert!(again.contains("unchanged"), "{name}: {again}");
    }
}

#[test]
fn the_largest_sample_and_its_growth_arrive_whole() {
    let (Some(small), Some(large)) = (sample("tuva-2024-v11"), sample("tuva-0.18-large")) else { return };
    let world = World::with(
        vec![(ENVIRONMENT, Project::load(&small, Timestamp::now()).expect("loaded"))],
        "page_size = 500\ntimeout = \"60s\"\ngive_up_after = \"120s\"\n[sync]\nmax_removed_percent = 100",
    );
    world.ok(&["sync"]);
    assert_same(&world.content(), &world.truth(), "the older project");
    world.change(|project| {
        *project = Project::load(&large, Timestamp::now()).expect("loaded");
        // Its stamps are of another project: they must not be older than those that were read before.
        for side in [Side::Applied, Side::Definition] {
            project.set_last_updated_at(side, Some(Timestamp::now().plus_millis(3_600_000)));
        }
    });
    world.ok(&["sync"]);
    let (mut found, truth) = (world.content(), world.truth());
    // Where the grown project has no catalog, the columns of before are kept.
    found.columns.retain(|(id, _, _)| truth.columns.iter().any(|(known, _, _)| known == id));
    assert_same(&found, &truth, "the grown project");
}

#[test]
fn each_kind_of_change_is_one_row_of_the_feed() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let orders = "model.mini_shop.orders";
    let seq = world.cells("SELECT last_seq FROM catalog_info")[0].clone();
    world.change(|project| {
        project.describe(orders, "New words.");
        project.retype_column(orders, "amount", "DOUBLE");
        project.add_column(orders, "tax", "DOUBLE");
        project.remove_column(orders, "status");
        project.set_code(orders, "select 2");
        project.rewire("model.mini_shop.customer_segments", &["model.mini_shop.orders"]);
        project.add_model("fresh", &[orders]);
        project.remove("exposure.mini_shop.churn_notebook");
    });
    world.ok(&["sync"]);
    let rows = world.rows(&format!(
        "SELECT kind, unique_id, coalesce(field, ''), coalesce(parent_id, column_name, '') FROM changes WHERE seq > {seq}"
    ));
    let rows: Vec<String> = rows.iter().map(|row| row.join(" ").trim().to_owned()).collect();
    for expected in [
        "changed model.mini_shop.orders description",
        "changed model.mini_shop.orders raw_code",
        "column_changed model.mini_shop.orders data_type amount",
        "column_added model.mini_shop.orders  tax",
        "column_removed model.mini_shop.orders  status",
        "edge_added model.mini_shop.customer_segments  model.mini_shop.orders",
        "edge_removed model.mini_shop.customer_segments  model.mini_shop.dim_customers.v2",
        "added model.mini_shop.fresh",
        "removed exposure.mini_shop.churn_notebook",
    ] {
        assert_eq!(rows.iter().filter(|row| *row == expected).count(), 1, "{expected}: {rows:#?}");
    }
    assert_same(&world.content(), &world.truth(), "after the changes");
    world.change(|project| project.restore("exposure.mini_shop.churn_notebook"));
    world.ok(&["sync"]);
    assert_eq!(world.cells("SELECT kind FROM changes ORDER BY seq DESC LIMIT 1"), ["restored"]);
}

#[test]
fn a_run_that_changes_nothing_is_history_of_runs_but_no_change() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let before = world.rows("SELECT last_seq, (SELECT count(DISTINCT run_id) FROM run_results) FROM catalog_info");
    world.change(Project::touch);
    world.ok(&["sync"]);
    let after = world.rows("SELECT last_seq, (SELECT count(DISTINCT run_id) FROM run_results) FROM catalog_info");
    assert_eq!(after[0][0], before[0][0], "no change");
    assert!(after[0][1] > before[0][1], "another run: {before:?} {after:?}");
}

#[test]
fn a_command_whose_output_waits_keeps_no_moment_of_the_catalog() {
    let mut project = Project::bundled(Timestamp::now());
    project.grow(300);
    let world = World::of(project);
    world.ok(&["sync"]);
    let mut command = world.command(&["ls", "--format", "json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("started");
    let mut output = child.stdout.take().expect("its output");
    output.read_exact(&mut [0]).expect("it has begun to print");
    world.change(|project| project.describe("model.mini_shop.orders", "New words."));
    world.ok(&["sync"]);
    let writer = rusqlite::Connection::open(world.catalog()).expect("the catalog");
    let is_busy = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).expect("a row");
    let is_waiting = child.try_wait().expect("asked").is_none();
    child.kill().expect("ended");
    child.wait().expect("gone");
    assert!(is_waiting, "its output is longer than a pipe holds");
    assert_eq!(is_busy, 0);
}

#[test]
fn what_is_defined_and_not_built_is_kept_as_such() {
    let world = World::bundled();
    world.change(|project| project.unapply("model.mini_shop.orders"));
    world.ok(&["sync"]);
    assert_same(&world.content(), &world.truth(), "with a model that is not built");
    let applied = world.cells("SELECT is_applied FROM nodes WHERE unique_id = 'model.mini_shop.orders'");
    assert_eq!(applied, ["0"]);
    assert_eq!(
        world.cells("SELECT count(*) FROM nodes WHERE resource_type = 'metric' AND is_applied IS NOT NULL"),
        ["0"]
    );
}

#[test]
fn a_null_catalog_keeps_the_columns_and_a_null_definition_what_only_it_provides() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let truth = world.truth();
    world.change(|project| {
        project.drop_catalog("model.mini_shop.orders");
        project.set_null_definition(true);
    });
    world.ok(&["sync"]);
    assert_same(&world.content(), &truth, "with parts unanswered");
    let warnings = world.cells("SELECT warnings FROM syncs ORDER BY sync_id DESC LIMIT 1");
    assert!(warnings[0].contains("definition: null"), "{warnings:?}");
}

#[test]
fn parents_that_were_not_read_are_external_and_a_cycle_is_kept_with_a_warning() {
    let world = World::bundled();
    world.change(|project| {
        project.rewire("model.mini_shop.stg_orders", &["model.mini_shop.orders", "source.mini_shop.raw_shop.orders"]);
    });
    world.ok(&["sync"]);
    let warnings = world.cells("SELECT warnings FROM syncs")[0].clone();
    let cycle = "`model.mini_shop.orders` → `model.mini_shop.stg_orders` → `model.mini_shop.orders`";
    assert!(warnings.contains(cycle), "{warnings}");
    assert_same(&world.content(), &world.truth(), "with a cycle");
}

#[test]
fn several_environments_share_one_catalog_and_one_failing_does_not_stop_the_others() {
    let project = || Project::bundled(Timestamp::now());
    let world = World::with(vec![(ENVIRONMENT, project()), (2, project()), (3, project())], "");
    let ran = world.run(&["sync"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(world.cells("SELECT name FROM environments ORDER BY environment_id"), ["env2", "env3", "prod"]);
    world.server.change(2, |project| project.set_null_applied(true));
    world.server.change(3, |project| project.describe("model.mini_shop.orders", "In env3."));
    let ran = world.run(&["sync"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert_eq!(
        world.cells("SELECT last_outcome FROM environments ORDER BY environment_id"),
        ["held", "applied", "unchanged"]
    );
}

#[test]
fn a_dry_run_prints_the_difference_and_writes_nothing() {
    let world = World::bundled();
    let out = world.ok(&["sync", "--dry-run"]);
    assert!(out.contains("+ model.mini_shop.orders\n"), "{out}");
    assert!(!world.catalog().exists());
    world.ok(&["sync"]);
    world.change(|project| project.describe("model.mini_shop.orders", "New words."));
    let bytes = std::fs::read(world.catalog()).expect("read");
    let out = world.ok(&["sync", "--dry-run"]);
    assert!(out.contains("~ model.mini_shop.orders description: \"Order facts.\" → \"New words.\""), "{out}");
    assert_eq!(std::fs::read(world.catalog()).expect("read"), bytes);
    world.ok(&["sync"]);
    assert_eq!(world.cells("SELECT description FROM nodes WHERE unique_id = 'model.mini_shop.orders'"), ["New words."]);
}

#[test]
fn coverage_counts_the_warehouses_columns() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let of = |id: &str| {
        world.rows(&format!(
            "SELECT is_own_package, is_documented, is_placeholder, column_count, documented_columns, tested_columns, test_count
             FROM coverage WHERE unique_id = '{id}'"
        ))
    };
    assert_eq!(of("model.mini_shop.orders"), [["1", "1", "0", "5", "4", "3", "4"]]);
    assert_eq!(of("model.mini_shop.int_order_payments")[0][3..6], ["", "", ""], "an ephemeral model has no columns");
    world.change(|project| project.describe("model.mini_shop.orders", " TBD "));
    world.ok(&["sync"]);
    assert_eq!(of("model.mini_shop.orders")[0][1..3], ["0", "1"], "a placeholder is not documented");
}

#[test]
fn lineage_reads_well_and_says_what_a_limit_left_out() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let tree = world.ok(&["lineage", "model.mini_shop.orders"]);
    assert!(
        tree.contains("│  └─ source.mini_shop.raw_shop.orders")
            || tree.contains("   └─ source.mini_shop.raw_shop.orders"),
        "{tree}"
    );
    assert!(tree.contains("model.mini_shop.broken_model [error]"), "{tree}");
    let ran = world.run(&["lineage", "model.mini_shop.orders", "--downstream", "1"]);
    assert!(ran.stderr.contains("more nodes are further away"), "{ran:?}");
    let pairs = crate::support::json(&world.ok(&["lineage", "model.mini_shop.orders", "--format", "json"]));
    let expected =
        world.cells("SELECT count(*) FROM lineage WHERE 'model.mini_shop.orders' IN (ancestor_id, descendant_id)");
    assert_eq!(pairs.len().to_string(), expected[0]);
    for (format, part) in
        [("dot", "\"model.mini_shop.stg_orders\" -> \"model.mini_shop.orders\";"), ("mermaid", "flowchart LR")]
    {
        let text = world.ok(&["lineage", "model.mini_shop.orders", "--format", format]);
        assert!(text.contains(part), "{text}");
    }
    let models = world.ok(&["lineage", "source.mini_shop.raw_shop.orders", "--types", "exposure"]);
    assert!(models.contains("exposure.mini_shop.churn_notebook") && !models.contains("model."), "{models}");
    assert_eq!(world.run(&["lineage", "nothing_like_it"]).code, Some(2));
}

#[test]
fn freshness_can_fail_a_check_and_a_backup_is_the_catalog() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let ran = world.run(&["freshness", "--stale", "--fail-on", "error"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stdout.contains("source.mini_shop.raw_shop.payments") && !ran.stdout.contains("raw_unused"), "{ran:?}");
    world.ok(&["backup", "copy.db"]);
    assert_eq!(world.run(&["backup", "copy.db"]).code, Some(1), "never over a file");
    let copy = rusqlite::Connection::open(world.folder.path().join("copy.db")).expect("the copy");
    let content = Content::of(&copy, ENVIRONMENT);
    assert_same(&content, &world.truth(), "the copy");
    let info = "SELECT catalog_id, last_seq FROM catalog_info";
    assert_eq!(crate::support::rows(&copy, info), world.rows(info));
}

#[test]
fn a_run_of_docs_generate_is_no_run() {
    let Some(folder) = sample("jaffle-semantic-1.12") else { return };
    let world = World::of(Project::load(&folder, Timestamp::now()).expect("loaded"));
    world.ok(&["sync"]);
    assert_eq!(
        world.cells("SELECT count(*) FROM nodes WHERE last_run_status IS NOT NULL OR last_built_at IS NOT NULL"),
        ["0"]
    );
    assert_eq!(world.cells("SELECT count(*) FROM run_results"), ["0"]);
}

#[test]
fn a_catalog_that_is_removed_during_a_sync_is_not_silently_lost() {
    let world = World::bundled();
    world.ok(&["sync"]);
    world.change(|project| project.describe("model.mini_shop.orders", "New words."));
    let delay = lineaged::demo::Action::Delay(std::time::Duration::from_millis(400));
    world.server.add_fault(lineaged::demo::Fault::new(delay).on("AppliedModels"));
    world.server.clear_requests();
    let mut child = world.command(&["sync"]).stderr(std::process::Stdio::piped()).spawn().expect("started");
    while world.server.requests().is_empty() {
        std::thread::yield_now();
    }
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(world.folder.path().join(format!("lineaged.db{ending}")));
    }
    assert_eq!(child.wait().expect("ended").code(), Some(1));
    world.ok(&["sync"]);
    assert_same(&world.content(), &world.truth(), "the next sync");
}

#[test]
fn a_name_means_one_environment_also_after_the_id_was_corrected() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let config = world.folder.path().join("lineaged.toml");
    let text = std::fs::read_to_string(&config).expect("read").replace("id = 834", "id = 835");
    std::fs::write(&config, text).expect("written");
    assert_eq!(world.run(&["sync"]).code, Some(1), "there is no such environment");
    assert_eq!(world.cells("SELECT name FROM environments ORDER BY 1"), ["prod", "prod (834)"]);
    assert!(world.ok(&["ls", "--environment", "prod (834)"]).contains("model.mini_shop.orders"));
}

#[test]
fn an_environment_that_left_the_configuration_is_told_and_comes_back_with_it() {
    let project = || Project::bundled(Timestamp::now());
    let world = World::with(vec![(ENVIRONMENT, project()), (2, project())], "");
    world.ok(&["sync"]);
    let told = || world.rows("SELECT environment_id, origin, is_configured, platform_id, account_id FROM environments");
    let prod = ["834", "discovery", "1", "834", ""];
    assert_eq!(told(), [["2", "discovery", "1", "2", ""], prod]);
    let config = world.folder.path().join("lineaged.toml");
    let whole = std::fs::read_to_string(&config).expect("read");
    let second = whole.rfind("[[environments]]").expect("the second environment");
    std::fs::write(&config, &whole[..second]).expect("written");
    world.ok(&["sync"]);
    assert_eq!(told(), [["2", "discovery", "0", "2", ""], prod]);
    std::fs::write(&config, whole).expect("written");
    world.ok(&["sync", "--environment", "prod"]);
    assert_eq!(told(), [["2", "discovery", "1", "2", ""], prod], "whichever of them is synced");
}

//! What is judged otherwise where files were read.

use std::sync::Arc;

use super::*;

/// Models of a project in these schemas, one after another.
fn models(schemas: &[&str]) -> Inventory {
    let mut inventory = inventory(&[(Model, APPLIED, 0..schemas.len())]);
    for (node, schema) in inventory.nodes.values_mut().map(Arc::make_mut).zip(schemas) {
        node.schema_name = Some((*schema).into());
        node.relation_name = Some(format!("{schema}.x").into());
    }
    inventory.environment.project_name = Some("shop".to_owned());
    inventory.environment.adapter_type = Some("snowflake".to_owned());
    inventory
}

fn of_files<'a>(stored: &'a Inventory, fetched: &'a Inventory) -> Read<'a> {
    Read { is_of_files: true, ..read(stored, fetched) }
}

fn held(stored: &Inventory, fetched: &Inventory) -> Option<Held> {
    judge(&of_files(stored, fetched), POLICY, &mut Doubts::default()).held
}

#[test]
fn a_manifest_of_another_target_is_held_and_an_edited_schema_is_not() {
    let stored = models(&["prod"; 30]);
    let moved = held(&stored, &models(&["dbt_ana"; 30])).expect("held");
    assert_eq!((moved.losses.len(), moved.losses[0].to_string()), (30, "moved model.Some(true).0000".to_owned()));
    assert!(moved.reasons[0].contains("30 of 30 model nodes would move to another database or schema"), "{moved}");
    let edited = models(&[["mart"; 5].as_slice(), &["prod"; 25]].concat());
    assert_eq!(held(&stored, &edited), None);
    assert_eq!(held(&stored, &models(&["PROD"; 30])), None, "case is no place");
    assert_eq!(judged(&stored, &models(&["dbt_ana"; 30]), &[]), None, "the platform's environments have one target");
}

#[test]
fn all_of_a_small_type_that_moves_is_held_however_often_it_is_read() {
    let (stored, fetched) = (models(&["prod"; 3]), models(&["dbt_ana"; 3]));
    assert_eq!(held(&stored, &models(&["prod", "prod", "dbt_ana"])), None);
    let mut doubts = Doubts::default();
    for hours in 0..5 {
        let read = Read { now: now().plus_millis(hours * 3_600_000), ..of_files(&stored, &fetched) };
        let verdict = judge(&read, POLICY, &mut doubts);
        assert_eq!(verdict.held.expect("held").losses.len(), 3);
        assert!(!verdict.look_again, "the same files say the same");
    }
}

#[test]
fn a_place_that_was_approved_once_is_no_loss_again() {
    let (blue, green, red) = (models(&["blue"; 30]), models(&["green"; 30]), models(&["red"; 30]));
    let listed = held(&blue, &green).expect("held").losses;
    let mut doubts = approving(&listed);
    let mut judge = |stored, fetched| judge(&of_files(stored, fetched), POLICY, &mut doubts).held;
    assert_eq!(judge(&blue, &green), None, "approved");
    assert_eq!(judge(&green, &green), None);
    assert_eq!(judge(&green, &blue), None, "and back");
    assert_eq!(judge(&blue, &green), None);
    assert!(judge(&green, &red).is_some());
}

#[test]
fn another_projects_or_adapters_manifest_is_held_with_one_row_that_names_both() {
    let stored = models(&["prod"; 3]);
    for (project, adapter) in [("other", "snowflake"), ("shop", "duckdb")] {
        let mut fetched = models(&["prod"; 3]);
        fetched.environment.project_name = Some(project.to_owned());
        fetched.environment.adapter_type = Some(adapter.to_owned());
        let held = held(&stored, &fetched).expect("held");
        assert_eq!(held.losses.len(), 1);
        let loss = &held.losses[0];
        assert_eq!(
            (loss.kind.as_str(), loss.unique_id.as_str()),
            ("project", &*format!("shop (snowflake) -> {project} ({adapter})"))
        );
        assert_eq!(Loss::parse(&loss.to_string()).as_ref(), Some(loss));
        assert!(
            held.reasons[0].contains(&format!("{project} ({adapter})")) && held.reasons[0].contains("shop"),
            "{held}"
        );
        let approved = judge(&of_files(&stored, &fetched), POLICY, &mut approving(&held.losses));
        assert_eq!(approved.held, None);
    }
    let mut nameless = models(&["prod"; 3]);
    nameless.environment.project_name = None;
    assert_eq!(held(&stored, &nameless), None, "a manifest of before version 10 names none");
}

#[test]
fn a_small_type_that_falls_to_nothing_is_applied_at_once_with_a_warning() {
    let stored = inventory(&[(Model, APPLIED, 0..50), (ResourceType::Exposure, APPLIED, 0..2)]);
    let fetched = inventory(&[(Model, APPLIED, 0..50)]);
    let verdict = judge(&of_files(&stored, &fetched), POLICY, &mut Doubts::default());
    assert!(verdict.held.is_none() && verdict.is_certain, "{verdict:?}");
    assert_eq!(verdict.warnings, ["all 2 exposure nodes would go, as the manifest says"]);
    let gone = inventory(&[(Model, APPLIED, 0..20), (ResourceType::Exposure, APPLIED, 0..2)]);
    assert!(held(&stored, &gone).is_some(), "guarded as ever");
    assert!(held(&fetched, &Inventory::default()).is_some(), "nothing at all is left");
}

#[test]
fn old_files_are_neither_forgotten_nor_late() {
    let mut stored = inventory(&[(Model, APPLIED, 0..50)]);
    let mut fetched = inventory(&[(Model, APPLIED, 1..50)]);
    let long_ago = |days: i64| Some(now().plus_millis(-days * 86_400_000));
    (stored.environment.definition_at, fetched.environment.definition_at) = (long_ago(100), long_ago(200));
    assert_eq!(held(&stored, &fetched), None);
    assert!(judged(&stored, &fetched, &[]).is_some(), "of the platform it says something");
}

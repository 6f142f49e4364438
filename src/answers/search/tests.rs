//! Searching a catalog of a few nodes, and with whatever somebody may type.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Two environments; the nodes of the second are those of the first but for `only_here`.
const NODES: &str = r#"
    INSERT INTO environment (environment_id, name) VALUES (1, 'prod'), (2, 'dev');
    INSERT INTO node (node_key, environment_id, unique_id, resource_type, name, description, tags, meta, owner_name,
                      owner_email, file_path, properties, first_seen_at, last_changed_at)
    VALUES
    (1, 1, 'model.shop.orders', 'model', 'orders', 'All orders of the shop.', '["nightly"]',
     '{"owner":"Ana","contact":{"email":"ana@example.com"},"sla":[4,"gold"]}', 'Finance team', 'f@example.com',
     'models/marts/orders.sql', '{}', 'x', 'x'),
    (2, 1, 'model.shop.stg_order_items', 'model', 'stg_order_items', 'The owner is sla.', '[]', '{"sla":"none"}', NULL, NULL,
     'models/staging/stg_order_items.sql', '{}', 'x', 'x'),
    (3, 1, 'model.shop.customers', 'model', 'customers', 'Who buys: e-mail, orders.', NULL, NULL, NULL, NULL, NULL, '{}', 'x', 'x'),
    (4, 1, 'test.shop.unique_orders_order_id.0a1b', 'test', 'orders_are_unique', NULL, NULL, NULL, NULL, NULL, NULL, '{}', 'x', 'x'),
    (5, 1, 'model.shop.gone', 'model', 'orders_gone', NULL, NULL, NULL, NULL, NULL, NULL, '{}', 'x', 'x'),
    (6, 2, 'model.shop.orders', 'model', 'orders', 'All orders of the shop.', NULL, NULL, NULL, NULL, NULL, '{}', 'x', 'x'),
    (7, 2, 'model.shop.only_here', 'model', 'only_here', 'Alles über uns', NULL, NULL, NULL, NULL, NULL, '{}', 'x', 'x');
    UPDATE node SET removed_at = 'x' WHERE node_key = 5;
    INSERT INTO node_column (node_key, name, description, tags, meta) VALUES
    (2, 'order_id', 'Which order.', '[]', '{}'),
    (3, 'customer_email', 'Where to write to.', '["pii"]', '{"pii":true}'),
    (3, 'note', 'Anything, also: «an email»', '[]', '{}');
    INSERT INTO node (node_key, environment_id, unique_id, resource_type, name, properties, first_seen_at, last_changed_at)
    VALUES (8, 1, 'metric.shop.revenue', 'metric', 'revenue', '{}', 'x', 'x');
    INSERT INTO metric_dimension (node_key, name, type, granularities, entity_path) VALUES
    (8, 'metric_time', 'time', '["day","week"]', NULL), (8, 'region', 'categorical', NULL, 'sale__buyer');
    INSERT INTO search (search) VALUES ('rebuild');"#;

fn catalog() -> Reader {
    Reader::over(NODES)
}

fn explained(reader: &Reader, environment_id: Option<i64>, text: &str) -> Vec<Hit> {
    let search = Search::of(text).expect("few words");
    reader.search(&search, environment_id, None, usize::MAX).expect("an answer").hits
}

/// The ids found in the first environment, without what they have in common.
fn found(text: &str) -> Vec<String> {
    explained(&catalog(), Some(1), text).iter().map(|hit| hit.unique_id.replace("model.shop.", "")).collect()
}

#[test]
fn an_exact_name_comes_first_then_names_that_begin_so_and_tests_last() {
    let test = "test.shop.unique_orders_order_id.0a1b";
    assert_eq!(found("orders"), ["orders", "customers", test]);
    assert_eq!(found("ORDERS"), ["orders", "customers", test]);
    assert_eq!(found("stg_order"), ["stg_order_items"]);
    assert_eq!(found("model.shop.customers"), ["customers"]);
    assert_eq!(found("orders_are_unique"), [test]);
    assert_eq!(found("orders_gone"), [""; 0], "removed");
}

#[test]
fn a_name_is_found_by_each_of_its_parts() {
    for text in ["order items", "order_items", "stg_order_items", "items", "ite", "items stg"] {
        assert_eq!(found(text), ["stg_order_items"], "{text}");
    }
    assert_eq!(found("\"items order\""), [""; 0], "a phrase keeps its order");
    assert_eq!(found("rder"), [""; 0], "words are found by their beginning");
}

#[test]
fn all_words_must_be_found_wherever_they_stand() {
    assert_eq!(found("customer email"), ["customers"]);
    assert_eq!(found("customer nonsense"), [""; 0]);
    assert_eq!(found("marts finance"), ["orders"]);
    assert_eq!(found("who order_id"), [""; 0]);
}

#[test]
fn a_field_binds_its_word() {
    assert_eq!(found("col:order"), ["stg_order_items"]);
    assert_eq!(found("owner:finance"), ["orders"]);
    assert_eq!(found("owner:\"finance team\" orders"), ["orders"]);
    assert_eq!(found("tag:nightly"), ["orders"]);
    assert_eq!(found("tag:pii"), ["customers"], "a column's tag");
    assert_eq!(found("tag:orders"), [""; 0]);
}

#[test]
fn meta_is_found_by_its_very_key_and_what_its_value_contains() {
    assert_eq!(found("meta.owner:ana"), ["orders"]);
    assert_eq!(found("meta.Owner:Ana"), ["orders"]);
    assert_eq!(found("meta.sla:gold"), ["orders"], "in a list");
    assert_eq!(found("meta.sla:"), ["stg_order_items", "orders"]);
    assert_eq!(found("meta.contact.email:ana"), ["orders"], "in a map");
    assert_eq!(found("meta.email:ana"), [""; 0]);
    assert_eq!(found("meta.owner:gold"), [""; 0], "another key's value");
    assert_eq!(found("meta.pii:true"), ["customers"], "a column's meta");
    assert_eq!(found("meta.pii:false"), [""; 0]);
}

#[test]
fn each_hit_tells_where_the_words_stand() {
    let catalog = catalog();
    let told = |text: &str| -> Vec<String> {
        let hits = explained(&catalog, Some(1), text);
        hits.iter().map(|hit| format!("{}: {}", hit.matched_fields, hit.context)).collect()
    };
    assert_eq!(told("customer email"), ["column: «customer»_«email»"]);
    assert_eq!(told("to write"), ["column_description: customer_email: Where «to» «write» «to»."]);
    assert_eq!(told("gold"), ["meta: owner: Ana, contact: email: ana@example.com, sla: 4, «gold»"]);
    assert_eq!(told("tag:night"), ["tag: «nightly»"]);
    assert_eq!(told("staging"), ["path: models/«staging»/stg_order_items.sql"]);
    assert_eq!(told("finance marts"), ["owner, path: «Finance» team · models/«marts»/orders.sql"]);
    assert_eq!(told("\"the shop\""), ["description: All orders of «the shop»."]);
}

#[test]
fn a_metric_is_found_by_what_it_can_be_grouped_by() {
    for (text, context) in [
        ("region", "sale__buyer__«region»"),
        ("buyer region", "sale__«buyer»__«region»"),
        ("sale__buyer__region", "«sale__buyer__region»"),
        ("metric_time", "«metric_time»"),
    ] {
        let hits = explained(&catalog(), Some(1), text);
        let told: Vec<[&str; 3]> =
            hits.iter().map(|hit| [&*hit.unique_id, &*hit.matched_fields, &*hit.context]).collect();
        assert_eq!(told, [["metric.shop.revenue", "dimension", context]], "{text}");
    }
}

#[test]
fn environments_are_told_apart() {
    let catalog = catalog();
    let environments = |text: &str, id| -> BTreeSet<i64> {
        explained(&catalog, id, text).iter().map(|hit| hit.environment_id).collect()
    };
    assert_eq!(environments("model.shop.orders", None), BTreeSet::from([1, 2]));
    assert_eq!(environments("model.shop.orders", Some(2)), BTreeSet::from([2]));
    assert_eq!(environments("uber", None), BTreeSet::from([2]), "marks on letters make no difference");
}

#[test]
fn who_finds_nothing_is_told_the_nearest_names() {
    let near = |text: &str| catalog().nearly(&Search::of(text).expect("few words"), Some(1)).expect("names");
    assert_eq!(near("custmers"), ["model.shop.customers"]);
    assert_eq!(near("stg ordr items")[0], "model.shop.stg_order_items");
    assert_eq!(near("tag:custmers"), [""; 0]);
    assert_eq!(near("xyz"), [""; 0]);
}

proptest! {
    #[test]
    fn no_text_breaks_the_query(text in any::<String>()) {
        explained(&catalog(), None, &text);
    }

    #[test]
    fn no_text_of_signs_breaks_the_query(text in "([\"*:^(){}+, -]|NEAR|AND|NOT|OR|a|ö|_|\u{0}|🎉|col:|tag:|meta\\.|meta\\.a:){0,24}") {
        explained(&catalog(), None, &text);
    }
}

#[test]
fn long_texts_of_few_words_are_answered() {
    for text in ["a_".repeat(50_000), "\"".repeat(50_001), "(".repeat(50_000), format!("\"{}", "word ".repeat(10_000))]
    {
        explained(&catalog(), None, &text);
    }
}

//! Column lineage: what a sync resolves anew, what it keeps of what it drops, and that it says the same as one that begins with nothing.

use super::*;

fn texts_of(test: &TestCatalog, sql: &str) -> Vec<String> {
    texts(&open_to_read(&test.path()).expect("a catalog"), sql)
}

/// A relation of `db.shop`, with columns that the warehouse has.
fn relation(name: &str, resource_type: ResourceType, columns: &[&str]) -> Node {
    let column = |(place, name): (usize, &&str)| Column {
        name: (*name).into(),
        position: Some(place as i64 + 1),
        in_warehouse: Some(true),
        ..Column::default()
    };
    Node {
        name: Some(name.into()),
        database_name: Some("db".into()),
        schema_name: Some("shop".into()),
        identifier: Some(name.into()),
        columns: columns.iter().enumerate().map(column).collect(),
        ..Node::new(name, resource_type)
    }
}

impl TestCatalog {
    fn model(&mut self, name: &str, parents: &[&str], code: &str) -> Node {
        self.texts.push(code.to_owned());
        Node {
            language: Some("sql".into()),
            raw_code: Some(Code::of(code)),
            compiled_code: Some(Code::of(code)),
            parents: parents.iter().map(|parent| UniqueId::from(*parent)).collect(),
            ..relation(name, ResourceType::Model, &[])
        }
    }
}

fn shop(nodes: impl IntoIterator<Item = Node>) -> Inventory {
    let mut inventory = Inventory::default();
    inventory.environment.adapter_type = Some("postgres".to_owned());
    for mut node in nodes {
        node.normalize();
        inventory.nodes.insert(node.unique_id.clone(), node.into());
    }
    inventory.add_externals();
    inventory
}

const LINEAGE: &str = "SELECT parent_id || '.' || parent_column || ' ' || child_id || '.' || child_column || ' ' || kind
                              || iif(is_listed, '', '?') || coalesce(' ' || expression, '') FROM column_lineage ORDER BY 1";
const USES: &str =
    "SELECT parent_id || '.' || parent_column || ' ' || child_id || ' ' || clause FROM column_uses ORDER BY 1";
const STATUS: &str = "SELECT unique_id || ' ' || status || coalesce(' ' || resolved_columns || '/' || column_count, '')
                             || coalesce(' ' || reason, '') FROM column_lineage_status ORDER BY 1";
const REVISIONS: &str = "SELECT unique_id || ' ' || revision FROM column_lineage_status ORDER BY 1";
const GONE: &str =
    "SELECT g.sync_id || ' ' || p.unique_id || '.' || parent_column || ' ' || c.unique_id || '.' || child_column
                           || ' ' || how FROM column_gone g JOIN node p ON p.node_key = parent_key
                    JOIN node c ON c.node_key = child_key ORDER BY 1";

#[test]
fn columns_are_known_through_models_that_the_warehouse_does_not_list() {
    let mut test = TestCatalog::new();
    let source = relation("raw", ResourceType::Source, &["id", "amount"]);
    let first = test.model("staged", &["raw"], "select id, amount * 2 as twice from db.shop.raw where amount > 0");
    let second = test.model("mart", &["staged"], "select * from shop.staged");
    test.sync(&shop([source, first, second]));
    assert_eq!(
        texts_of(&test, LINEAGE),
        [
            "raw.amount staged.twice transformation amount * 2",
            "raw.id staged.id passthrough",
            "staged.id mart.id passthrough",
            "staged.twice mart.twice passthrough",
        ]
    );
    assert_eq!(texts_of(&test, USES), ["raw.amount staged filter"]);
    assert_eq!(texts_of(&test, STATUS), ["mart resolved 2/2", "staged resolved 2/2"]);
    assert_eq!(texts_of(&test, "SELECT last_revision || '' FROM catalog_info"), ["2"]);
}

#[test]
fn each_branch_of_a_union_has_its_own_expression() {
    let mut test = TestCatalog::new();
    let source = relation("raw", ResourceType::Source, &["a", "b", "c", "d"]);
    let code = "with u as (select a as x, 1 as y from db.shop.raw union all select upper(b), c from db.shop.raw
                           union all select lower(d), null from db.shop.raw) select x, y from u";
    let model = test.model("m", &["raw"], code);
    test.sync(&shop([source, model]));
    assert_eq!(
        texts_of(&test, LINEAGE),
        [
            "raw.a m.x rename",
            "raw.b m.x transformation upper(b)",
            "raw.c m.y rename",
            "raw.d m.x transformation lower(d)"
        ]
    );
}

#[test]
fn only_what_moved_is_resolved_and_only_rows_that_differ_count_as_a_revision() {
    let mut test = TestCatalog::new();
    let source = relation("raw", ResourceType::Source, &["id"]);
    let (a, b) = ("select id from db.shop.raw", "select id as k from db.shop.a");
    let nodes = [source.clone(), test.model("a", &["raw"], a), test.model("b", &["a"], b)];
    test.sync(&shop(nodes.clone()));
    assert_eq!(texts_of(&test, REVISIONS), ["a 1", "b 2"]);
    // Other words for the same: it is resolved, and nothing is new.
    let mut spelled = nodes.clone();
    spelled[1] = test.model("a", &["raw"], "select raw.id from db.shop.raw");
    test.sync(&shop(spelled.clone()));
    assert_eq!(texts_of(&test, REVISIONS), ["a 1", "b 2"]);
    // A column of the source that only a description knows of.
    spelled[0].description = Some("new".into());
    test.sync(&shop(spelled.clone()));
    // The parent gives other columns now: both are other.
    spelled[1] = test.model("a", &["raw"], "select id + 1 as id2 from db.shop.raw");
    test.sync(&shop(spelled));
    assert_eq!(texts_of(&test, REVISIONS), ["a 3", "b 4"]);
    assert_eq!(
        texts_of(&test, LINEAGE),
        ["a.id b.k rename?", "raw.id a.id2 transformation id + 1"],
        "what the child still names is not listed any more"
    );
}

#[test]
fn rows_that_a_sync_drops_are_kept_with_it_until_it_is_pruned() {
    let mut test = TestCatalog::new();
    let source = relation("raw", ResourceType::Source, &["id", "amount"]);
    let code = "select amount as paid from db.shop.raw where id > 0";
    let (a, b) = (test.model("a", &["raw"], code), test.model("b", &["a"], "select paid from db.shop.a"));
    test.sync(&shop([source.clone(), a, b]));
    assert_eq!(texts_of(&test, GONE), Vec::<String>::new());
    // The column goes, and with it what read it; another node goes at all.
    let gone = relation("raw", ResourceType::Source, &["id"]);
    let changed = test.model("a", &["raw"], "select id as paid from db.shop.raw");
    test.sync(&shop([gone, changed]));
    assert_eq!(
        texts_of(&test, GONE),
        ["2 a.paid b.paid passthrough", "2 raw.amount a.paid rename", "2 raw.id a. filter"]
    );
    assert_eq!(texts_of(&test, STATUS), ["a resolved 1/1"]);
    test.sync(&shop([source]));
    let mut catalog = test.open();
    let now = test.now();
    catalog.forget(now, now).expect("pruned");
    drop(catalog);
    assert_eq!(texts_of(&test, GONE), Vec::<String>::new());
    assert_eq!(texts_of(&test, LINEAGE), Vec::<String>::new());
}

#[test]
fn a_declared_column_that_the_warehouse_lacks_is_spelled_as_declared_and_not_listed() {
    let mut test = TestCatalog::new();
    let mut source = relation("raw", ResourceType::Source, &["ID"]);
    source.columns.push(Column { name: "later".into(), in_warehouse: Some(false), ..Column::default() });
    let mut shop = shop([source, test.model("a", &["raw"], "select id, later as x from db.shop.raw")]);
    shop.environment.adapter_type = Some("snowflake".to_owned());
    test.sync(&shop);
    assert_eq!(texts_of(&test, LINEAGE), ["raw.ID a.ID passthrough", "raw.later a.X rename?"]);
}

#[test]
fn code_that_can_not_be_resolved_has_a_status_and_a_reason() {
    let mut test = TestCatalog::new();
    let mut nodes = vec![relation("raw", ResourceType::Source, &["id"])];
    for (name, code) in [("jinja", "select {{ x }}"), ("nonsense", "select from where"), ("two", "select 1; select 2")]
    {
        nodes.push(test.model(name, &["raw"], code));
    }
    nodes.push(test.model("huge", &["raw"], &format!("select 1{}", " or true".repeat(200_000))));
    nodes.push(Node { language: Some("python".into()), ..test.model("snake", &["raw"], "def model(): pass") });
    nodes.push(Node { compiled_code: None, ..test.model("raw_only", &["raw"], "select id from db.shop.raw") });
    nodes.push(test.model("elsewhere", &["raw"], "select id from other.things"));
    test.sync(&shop(nodes));
    let statuses = texts_of(&test, STATUS);
    let starts = [
        "elsewhere partial 0/1 `other.things` is none",
        "huge too_large ",
        "jinja unparsed Jinja",
        "nonsense unparsed the parser",
        "raw_only no_code it was not compiled",
        "snake not_sql it is written in python",
        "two unparsed its code holds 2",
    ];
    assert_eq!(statuses.len(), starts.len(), "{statuses:?}");
    for (status, start) in statuses.iter().zip(starts) {
        assert!(status.starts_with(start), "{status}");
    }
}

#[test]
fn a_node_that_is_compiled_later_or_no_more_says_so() {
    let mut test = TestCatalog::new();
    let source = relation("raw", ResourceType::Source, &["id"]);
    let whole = test.model("a", &["raw"], "select id from db.shop.raw");
    let bare = Node { compiled_code: None, ..whole.clone() };
    for (node, status) in [(&bare, "no_code"), (&whole, "resolved"), (&bare, "no_code")] {
        test.sync(&shop([source.clone(), node.clone()]));
        assert_eq!(texts_of(&test, "SELECT status FROM column_lineage_status"), [status]);
    }
    assert_eq!(texts_of(&test, GONE), ["3 raw.id a.id passthrough"]);
}

/// A model of a few, and what it selects from others by their numbers.
#[derive(Debug, Clone)]
struct Piece {
    form: u8,
    first: u8,
    second: u8,
    listed: Option<u8>,
}

fn arbitrary_pieces() -> impl Strategy<Value = Vec<Option<Piece>>> {
    let piece = (0_u8..6, 0_u8..6, 0_u8..6, prop::option::weighted(0.3, 0_u8..3));
    let piece = piece.prop_map(|(form, first, second, listed)| Piece { form, first, second, listed });
    prop::collection::vec(prop::option::weighted(0.9, piece), 6)
}

fn built(test: &mut TestCatalog, pieces: &[Option<Piece>]) -> Inventory {
    const COLUMNS: [&[&str]; 3] = [&["a"], &["a", "b"], &["b", "c"]];
    let mut nodes = vec![relation("n0", ResourceType::Source, COLUMNS[1])];
    for (number, piece) in (1..).zip(pieces) {
        let Some(Piece { form, first, second, listed }) = piece else { continue };
        let (one, other) = (format!("n{}", first % number), format!("n{}", second % number));
        let code = match form {
            0 => format!("select * from db.shop.{one}"),
            1 => format!("select a, b as c from db.shop.{one} where d > 0"),
            2 => format!("select x.*, y.a as z from db.shop.{one} x join db.shop.{other} y using (a)"),
            3 => format!("select * from db.shop.{one} union all select * from db.shop.{other}"),
            4 => format!("select sum(a) as s from db.shop.{one} group by b"),
            _ => "select {{".to_owned(),
        };
        let mut node = test.model(&format!("n{number}"), &[&one, &other], &code);
        node.columns =
            listed.map_or(Vec::new(), |listed| relation("", ResourceType::Model, COLUMNS[usize::from(listed)]).columns);
        nodes.push(node);
    }
    shop(nodes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_is_kept_from_sync_to_sync_is_what_one_that_begins_with_nothing_finds(
        history in prop::collection::vec(arbitrary_pieces(), 2..5),
    ) {
        let mut test = TestCatalog::new();
        let mut last = Inventory::default();
        for pieces in &history {
            last = built(&mut test, pieces);
            test.sync(&last);
        }
        let mut fresh = TestCatalog::new();
        fresh.texts.clone_from(&test.texts);
        fresh.sync(&last);
        for sql in [LINEAGE, USES, STATUS] {
            prop_assert_eq!(texts_of(&test, sql), texts_of(&fresh, sql));
        }
    }
}

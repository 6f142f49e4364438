//! The catalog as it was, and what pruning leaves of its history.

use super::*;

/// Everything that has a history, as the views show it.
const WITH_HISTORY: [&str; 12] = [
    "SELECT * FROM environments",
    "SELECT environment_id, unique_id, resource_type, is_applied, name, description, contract_enforced, deprecation_date, tags,
        meta, properties, last_run_status, first_seen_at, last_changed_at FROM nodes ORDER BY 1, 2",
    "SELECT environment_id, unique_id, raw_code FROM code WHERE raw_code IS NOT NULL ORDER BY 1, 2",
    "SELECT * FROM edges ORDER BY 1, 2, 3",
    "SELECT * FROM lineage ORDER BY 1, 2, 3",
    "SELECT * FROM columns ORDER BY 1, 2, 3",
    "SELECT unique_id, tested_id, column_name, test_name, test_type, status FROM tests ORDER BY 1",
    "SELECT unique_id, tested_column FROM node WHERE removed_at IS NULL ORDER BY 1",
    "SELECT * FROM coverage ORDER BY 1, 2",
    "SELECT environment_id, unique_id, resource_type, name, removed_at, sync_id FROM removed_nodes ORDER BY 1, 2",
    "SELECT * FROM changes ORDER BY seq",
    "SELECT last_seq, oldest_seq, (SELECT count(*) FROM syncs), (SELECT count(*) FROM coverage_history) FROM catalog_info",
];

fn shown(connection: &Connection) -> Vec<Vec<String>> {
    let lines = |sql: &&str| -> Vec<String> {
        let mut statement = connection.prepare(sql).expect(sql);
        let width = statement.column_count();
        let line = |row: &rusqlite::Row<'_>| {
            let cells: Vec<String> = (0..width).map(|n| format!("{:?}", row.get_ref(n).expect("a cell"))).collect();
            Ok(cells.join(" "))
        };
        statement.query_map([], line).expect(sql).collect::<Result<_, _>>().expect(sql)
    };
    WITH_HISTORY.iter().map(lines).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn as_of_equals_a_catalog_of_only_the_syncs_until_then(
        history in prop::collection::vec(arbitrary_inventory(), 2..6),
        cut in 1_usize..5,
        later in 0_i64..1999,
    ) {
        let cut = cut.min(history.len() - 1);
        let (mut whole, mut part) = (TestCatalog::new(), TestCatalog::new());
        for inventory in &history {
            whole.sync(inventory);
        }
        for inventory in &history[..cut] {
            part.sync(inventory);
        }
        // A sync begins and ends a second after what was before it: until the next one has ended, nothing is different.
        let time = Timestamp::from_millis(part.clock + later).expect("a time");
        let then = match open_as_of(&whole.path(), time) {
            Ok(then) => then,
            // Nothing had ever been applied.
            Err(Error::TooEarly { .. }) => {
                prop_assert_eq!(&part.stored().nodes.len(), &0);
                return Ok(());
            }
            Err(error) => panic!("{error:?}"),
        };
        prop_assert_eq!(shown(&then), shown(&open_to_read(&part.path()).expect("a catalog")));
        prop_assert!(then.execute("DELETE FROM change", []).is_err(), "it is for reading only");
    }
}

#[test]
fn a_time_before_the_first_sync_has_no_answer() {
    let mut test = TestCatalog::new();
    test.sync(&one_node());
    let early = Timestamp::from_millis(test.clock - 1).expect("a time");
    let error = open_as_of(&test.path(), early).expect_err("too early");
    assert!(error.to_string().contains("its history begins at 2026"), "{error}");
    assert!(open_as_of(&test.path(), early.plus_millis(1)).is_ok());
    assert!(open_as_of(&test.path(), early.plus_millis(1_000_000_000)).is_ok(), "the future is as now");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn pruning_forgets_whole_syncs_from_the_old_end_and_nothing_else(
        history in prop::collection::vec(arbitrary_inventory(), 2..7),
        cut in 0_usize..6,
    ) {
        let mut test = TestCatalog::new();
        let ends: Vec<i64> = history.iter().map(|inventory| { test.sync(inventory); test.clock }).collect();
        let path = test.path();
        let read = || open_to_read(&path).expect("a catalog");
        let (before, state) = (shown(&read()), follow(&read()));
        let at = |millis: i64| Timestamp::from_millis(millis).expect("a time");
        let kept_from = at(ends[cut.min(ends.len() - 1)]);
        let seqs = "SELECT seq FROM changes ORDER BY seq";
        let kept = numbers(&read(), &format!("SELECT seq FROM changes WHERE changed_at >= '{kept_from}' ORDER BY seq"));
        let forgotten = numbers(&read(), seqs).len() - kept.len();
        let then = |end: &&i64| open_as_of(&path, at(**end)).ok().map(|then| shown(&then));
        let thens: Vec<_> = ends.iter().filter(|end| **end >= kept_from.millis()).map(|end| (end, then(&end))).collect();
        prop_assert_eq!(test.open().forget(kept_from, at(ends[ends.len() - 1])).expect("pruned"), forgotten);
        prop_assert_eq!(numbers(&read(), seqs), kept.clone());
        let oldest = kept.first().copied().unwrap_or(before[9].len() as i64 + 1);
        prop_assert_eq!(numbers(&read(), "SELECT oldest_seq FROM catalog_info"), [oldest]);
        for (number, (was, is)) in before.iter().zip(shown(&read())).enumerate().filter(|(number, _)| *number < 9) {
            prop_assert_eq!(was, &is, "view {}", number);
        }
        prop_assert_eq!(numbers(&read(), "SELECT count(*) FROM pragma_foreign_key_check"), [0]);
        prop_assert_eq!(numbers(&read(), UNRESOLVED_CODE), [0], "code is kept as long as something refers to it");
        // What is left of the history still leads from its beginning to now.
        for (end, was) in thens {
            let is = then(&end);
            prop_assert_eq!(was.as_ref().map(|was| &was[2..8]), is.as_ref().map(|is| &is[2..8]), "as of {}", end);
        }
        let early = open_as_of(&path, at(ends[0] - 1)).expect_err("forgotten");
        prop_assert!(matches!(early, Error::TooEarly { .. }), "{early:?}");
        test.sync(&history[0]);
        test.sync(&history[history.len() - 1]);
        prop_assert_eq!(as_json(&test.stored()), state, "syncs go on as before");
    }
}

const UNRESOLVED_CODE: &str = "
    SELECT count(*) FROM (
        SELECT before ->> '$.sha256' AS code FROM changes WHERE field = 'raw_code'
        UNION ALL SELECT after ->> '$.sha256' FROM changes WHERE field = 'raw_code'
        UNION ALL SELECT after ->> '$.raw_code.sha256' FROM changes WHERE kind IN ('added', 'restored'))
    WHERE code IS NOT NULL AND code NOT IN (SELECT sha256 FROM raw_code)";

//! What no author should write, and what nobody should notice: long chains, deep nesting, and names that a statement makes up.

use super::corpus::{on_a_large_stack, said};
use super::*;

fn status(sql: &str) -> Status {
    on_a_large_stack(|| match resolve(sql, Dialect::Postgres, &[]) {
        Ok(resolved) => resolved.status,
        Err(failure) => failure.status,
    })
}

fn chain(start: &str, link: &str, count: usize) -> String {
    format!("{start}{}", link.repeat(count))
}

#[test]
fn half_a_million_links_are_too_large() {
    for link in [" + 1", " or true", " union select 1", "::int", " || 'x'", " and 1 = 1", "[1]", " is null"] {
        assert_eq!(status(&chain("select 1", link, 500_000)), Status::TooLarge, "{link}");
    }
}

/// Short enough to be read, and longer than what the program takes for one expression.
#[test]
fn a_chain_that_fits_into_the_longest_code_is_too_large() {
    for link in
        ["+1", " or a", " union select 1", "::int", "||'x'", "->'a'", " is null", "+case when a then 1 end", "+(1)"]
    {
        let count = 990_000 / link.len();
        assert_eq!(status(&chain("select a", link, count)), Status::TooLarge, "{link}");
    }
}

#[test]
fn the_longest_chains_that_are_let_through_are_resolved_and_dropped() {
    for (link, count) in
        [("+1", 19_900), (" or b", 19_900), (" union all select 1", 9_900), ("::int", 19_900), ("+(1)", 13_000)]
    {
        assert_eq!(status(&chain("select a", link, count)), Status::Partial, "{link}");
    }
    let cases = "+case when a then 1 end".repeat(12_000);
    assert_eq!(status(&format!("select a{cases}")), Status::Partial);
}

#[test]
fn what_stands_deep_in_something_else_is_too_large() {
    for (open, close) in
        [("(", ")"), ("not ", ""), ("- ", ""), ("case when ", " then 1 end"), ("f(", ")"), ("(select ", ")")]
    {
        for depth in [1_000, 100_000] {
            let sql = format!("select {}a{}", open.repeat(depth), close.repeat(depth));
            assert!(matches!(status(&sql), Status::TooLarge | Status::Unparsed), "{depth} of {open}");
        }
    }
    let sql = format!("{}select 1{}", "select * from (".repeat(50_000), ")".repeat(50_000));
    assert_eq!(status(&sql), Status::TooLarge);
}

#[test]
fn columns_that_double_with_each_query_are_given_up() {
    let mut sql = "with q0 as (select 1 as a)".to_owned();
    (1..40).for_each(|n| sql.push_str(&format!(", q{n} as (select x.*, y.* from q{0} x, q{0} y)", n - 1)));
    assert_eq!(status(&format!("{sql} select * from q39")), Status::TooLarge);
}

#[test]
fn text_of_any_kind_is_an_answer() {
    for text in [
        "",
        ";",
        "(",
        ")",
        "select",
        "'",
        "\"",
        "/*",
        "select '\u{0}'",
        "é",
        "select \u{202e}",
        "{{",
        "with a as (",
        "select 1 from t t t",
    ] {
        let _ = status(text);
    }
    assert_eq!(said(Dialect::Postgres, "select \"é\" from orders"), ["é: orders.é? passthrough"]);
}

mod aliases {
    use std::collections::BTreeSet;
    use std::ops::ControlFlow;

    use proptest::prelude::*;
    use sqlparser::ast::{Ident, Query, Select, SelectItem, TableAlias, TableFactor, Visit, Visitor};
    use sqlparser::tokenizer::{Token, Tokenizer};

    use super::super::corpus::{cases, on_a_large_stack, said, world};
    use super::super::{Dialect, parse};

    /// The names that a statement makes up.
    #[derive(Default)]
    struct MadeUp(BTreeSet<String>);

    impl MadeUp {
        fn add(&mut self, ident: &Ident) {
            if ident.quote_style.is_none() {
                self.0.insert(ident.value.to_lowercase());
            }
        }

        fn add_alias(&mut self, alias: &TableAlias) {
            self.add(&alias.name);
            alias.columns.iter().for_each(|column| self.add(&column.name));
        }
    }

    impl Visitor for MadeUp {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            query.with.iter().flat_map(|with| &with.cte_tables).for_each(|cte| self.add_alias(&cte.alias));
            ControlFlow::Continue(())
        }

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            for item in &select.projection {
                if let SelectItem::ExprWithAlias { alias, .. } = item {
                    self.add(alias);
                }
            }
            ControlFlow::Continue(())
        }

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            use TableFactor::{Derived, Function, Pivot, Table, UNNEST, Unpivot};
            if let Table { alias, .. } | Derived { alias, .. } | Function { alias, .. } | UNNEST { alias, .. } = factor
            {
                alias.iter().for_each(|alias| self.add_alias(alias));
            }
            if let Pivot { alias: Some(alias), .. } | Unpivot { alias: Some(alias), .. } = factor {
                self.add_alias(alias);
            }
            ControlFlow::Continue(())
        }
    }

    /// The names of a statement that nothing else in it, and nothing that it reads, has.
    fn made_up(dialect: Dialect, sql: &str) -> Vec<String> {
        let Ok(query) = parse::parse(sql, dialect) else { return Vec::new() };
        let mut found = MadeUp::default();
        let _ = query.visit(&mut found);
        let (names, relations) = world(dialect);
        let columns = relations.iter().flat_map(|relation| &relation.columns);
        let columns = columns.flat_map(|name| name.split('.').map(str::to_lowercase).collect::<Vec<_>>());
        let known: BTreeSet<String> = columns.chain(names.into_iter().map(str::to_owned)).collect();
        // What a name is besides: unlisted columns, fields, functions, and the columns that dialects add.
        let other = ["discount", "zip", "at", "other", "seq", "value", "index", "lat", "sku", "price", "first", "last"];
        let is_free =
            |name: &String| !known.contains(name) && !other.contains(&name.as_str()) && !name.starts_with("__dbt");
        found.0.into_iter().filter(is_free).collect()
    }

    fn renamed(dialect: Dialect, sql: &str, names: &[(String, String)]) -> String {
        let mut tokens = Tokenizer::new(dialect.parsing(), sql).tokenize().expect("tokens");
        for token in &mut tokens {
            if let Token::Word(word) = token
                && word.quote_style.is_none()
                && let Some((_, new)) = names.iter().find(|(old, _)| word.value.eq_ignore_ascii_case(old))
            {
                word.value.clone_from(new);
            }
        }
        tokens.iter().map(ToString::to_string).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
        #[test]
        fn another_name_for_every_alias_changes_nothing(seed in "[a-z]{1,6}") {
            let differ: Vec<String> = on_a_large_stack(|| {
                cases().iter().filter_map(|case| {
                    let names: Vec<(String, String)> = made_up(case.dialect, &case.sql).into_iter().enumerate()
                        .map(|(place, name)| (name, format!("zq{seed}_{place}_"))).collect();
                    let other = renamed(case.dialect, &case.sql, &names);
                    let (one, mut two) = (said(case.dialect, &case.sql), said(case.dialect, &other));
                    let lower = |lines: &[String]| lines.iter().map(|line| line.to_lowercase()).collect::<Vec<_>>();
                    for (old, new) in &names {
                        two = lower(&two).iter().map(|line| line.replace(new, old)).collect();
                    }
                    (lower(&one) != lower(&two)).then(|| format!("{}\n{other}\n{one:?}\n{two:?}", case.sql))
                }).collect()
            });
            prop_assert!(differ.is_empty(), "{}", differ.join("\n\n"));
        }
    }
}

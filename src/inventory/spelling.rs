//! One thing, spelled in several ways: names with and without a warehouse's quotes, in upper and lower case.

use super::Column;

/// Text without its case, whatever its alphabet: equal for what differs in case only.
pub fn fold(text: &str) -> String {
    folded(text).collect()
}

/// The same, letter by letter. By way of the upper case, since some letters have several lower ones (`σ` and `ς`), and first of the
/// lower, since `ẞ` is its own upper case, and that of `ß` is `SS`.
pub(super) fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(|c| {
        // Its upper case is `I`, but it is another letter than `i`.
        let is_dotless = c == 'ı';
        let upper = c.to_lowercase().flat_map(char::to_uppercase).filter(move |_| !is_dotless);
        upper.flat_map(char::to_lowercase).chain(is_dotless.then_some(c))
    })
}

/// A column's name without the quotes that a warehouse wants around it, or around each of its dotted parts: `"a"`, `` `a` ``,
/// `[a]` and `'a'`, in which a quote that is doubled stands for itself. What is no such name (an expression) stays as it is.
pub fn unquoted(name: &str) -> String {
    let name = name.trim();
    parts_unquoted(name).filter(|inner| !inner.is_empty()).unwrap_or_else(|| name.to_owned())
}

fn parts_unquoted(name: &str) -> Option<String> {
    let mut rest = name;
    let mut inner = String::with_capacity(name.len());
    loop {
        let (part, after) = match closing(rest.chars().next()?) {
            Some(close) => quoted_part(&rest[1..], close)?,
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        inner.push_str(&part);
        match after.strip_prefix('.') {
            Some(next) => {
                inner.push('.');
                rest = next;
            }
            None => return after.is_empty().then_some(inner),
        }
    }
}

fn closing(open: char) -> Option<char> {
    match open {
        '"' | '`' | '\'' => Some(open),
        '[' => Some(']'),
        _ => None,
    }
}

/// What stands before the closing quote, and what follows it.
fn quoted_part(text: &str, close: char) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once(close)?;
        part.push_str(before);
        match after.strip_prefix(close) {
            Some(next) => {
                part.push(close);
                rest = next;
            }
            None => return Some((part, after)),
        }
    }
}

/// The column that a name means: the one of exactly this name, else the only one that differs from it in case alone.
pub fn column_named<'a>(columns: &'a [Column], name: &str) -> Option<&'a Column> {
    let exact = columns.iter().find(|column| &*column.name == name);
    exact.or_else(|| {
        let wanted = fold(name);
        let mut alike = columns.iter().filter(|column| fold(&column.name) == wanted);
        alike.next().filter(|_| alike.next().is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_from_the_quotes_of_every_warehouse() {
        for (quoted, name) in [
            ("order_id", "order_id"),
            (r#""order_id""#, "order_id"),
            ("`order_id`", "order_id"),
            ("[order_id]", "order_id"),
            ("'order_id'", "order_id"),
            (" \"order id\" ", "order id"),
            (r#""a""b""#, r#"a"b"#),
            ("[a]]b]", "a]b"),
            ("`a``b`", "a`b"),
            ("`address`.`geo`.`lat`", "address.geo.lat"),
            ("`address.geo`", "address.geo"),
            (r#"address."Geo""#, "address.Geo"),
            ("\"Größe\"", "Größe"),
            // No names: they stay what they are.
            (r#"lower("x")"#, r#"lower("x")"#),
            (r#""a" || "b""#, r#""a" || "b""#),
            (r#""a"#, r#""a"#),
            (r#""""#, r#""""#),
            ("[", "["),
            ("a.", "a."),
            ("", ""),
        ] {
            assert_eq!(unquoted(quoted), name, "{quoted}");
        }
    }

    #[test]
    fn case_is_nothing_in_any_alphabet() {
        for (one, other) in [
            ("Id", "iD"),
            ("GRÖSSE", "größe"),
            ("GRÖẞE", "größe"),
            ("ſtatus", "STATUS"),
            ("ΟΔΟΣ", "οδος"),
            ("ЗАКАЗ", "заказ"),
        ] {
            assert_eq!(fold(one), fold(other));
        }
        assert_ne!(fold("a"), fold("á"));
    }

    #[test]
    fn a_column_is_the_one_of_that_name_else_the_only_one_alike() {
        let columns: Vec<Column> =
            ["id", "ID", "Straße"].map(|name| Column { name: name.into(), ..Column::default() }).into();
        let found = |name| column_named(&columns, name).map(|column| &*column.name);
        assert_eq!(found("id"), Some("id"));
        assert_eq!(found("ID"), Some("ID"));
        assert_eq!(found("Id"), None, "it could be either");
        assert_eq!(found("STRASSE"), Some("Straße"));
        assert_eq!(found("x"), None);
    }
}

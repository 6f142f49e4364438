//! What somebody types to search, understood: words, `"phrases"` and fields. Whatever it is, what goes to FTS5 is made of quoted
//! strings only.

use std::collections::BTreeSet;

use crate::answers::Error;

/// More words than this are refused: each costs a look-up, and nobody types so many.
const MOST: usize = 64;

/// What is searched for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Words {
    /// An expression of FTS5, each part once; empty if there is nothing to search for.
    pub(super) expression: String,
    /// Each word or phrase as its letters and digits in lower case, for telling which one a hit is of.
    pub(super) plain: Vec<String>,
    /// The words that are bound to no field, for comparing with names.
    pub(super) free: String,
    /// Keys of meta, and what their values must contain; in lower case.
    pub(super) meta: Vec<(String, String)>,
}

/// Where a word must stand.
#[derive(Debug, PartialEq)]
enum Field<'a> {
    Any,
    Named(&'static str),
    Meta(&'a str),
}

impl Words {
    /// Understands `text`. All its words must be found, each at the beginning of a word of the catalog; a phrase as it is. What has
    /// neither letter nor digit is ignored.
    ///
    /// # Errors
    /// [`Error::Question`] if there are too many words.
    pub(super) fn of(text: &str) -> Result<Self, Error> {
        let text = text.replace(char::is_control, " ");
        let (mut parts, mut free, mut words) = (BTreeSet::new(), Vec::new(), Self::default());
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (field, after) = field(rest);
            let (value, is_phrase, after) = value(after);
            rest = after.trim_start();
            words.plain.push(plain(value));
            let star = if is_phrase { "" } else { "*" };
            match field {
                Field::Any => {
                    parts.extend(quoted(value).map(|value| format!("{value}{star}")));
                    free.push(value);
                }
                Field::Named(name) => parts.extend(quoted(value).map(|value| format!("{name} : {value}{star}"))),
                Field::Meta(key) => {
                    // The parts of a key that leads into a map need not stand together.
                    parts.extend(key.split('.').filter_map(quoted).map(|key| format!("meta : {key}")));
                    parts.extend(quoted(value).map(|value| format!("meta : {value}{star}")));
                    words.meta.push((key.to_lowercase(), value.to_lowercase()));
                }
            }
            if parts.len() > MOST {
                return Err(Error::Malformed(format!("there are more than {MOST} words to search for: use fewer")));
            }
        }
        words.plain.retain(|word| !word.is_empty());
        words.expression = parts.into_iter().collect::<Vec<_>>().join(" AND ");
        words.free = free.join(" ");
        Ok(words)
    }
}

/// The field that `text` begins with, and what follows.
fn field(text: &str) -> (Field<'_>, &str) {
    let end = text.find(|c: char| c == ':' || c == '"' || c.is_whitespace());
    let Some((name, after)) = end.and_then(|end| Some((&text[..end], text[end..].strip_prefix(':')?))) else {
        return (Field::Any, text);
    };
    match name.to_ascii_lowercase().as_str() {
        "col" => (Field::Named("columns"), after),
        "owner" => (Field::Named("owner"), after),
        "tag" => (Field::Named("tags"), after),
        lower if lower.strip_prefix("meta.").is_some_and(|key| key.contains(char::is_alphanumeric)) => {
            (Field::Meta(&name["meta.".len()..]), after)
        }
        _ => (Field::Any, text),
    }
}

/// The phrase or the word that `text` begins with, whether it is a phrase, and what follows.
fn value(text: &str) -> (&str, bool, &str) {
    if let Some(inside) = text.strip_prefix('"') {
        let (phrase, after) = inside.split_once('"').unwrap_or((inside, ""));
        return (phrase, true, after);
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], false, &text[end..])
}

/// The letters and digits, in lower case.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A string of FTS5; nothing if it would have no word in it.
fn quoted(text: &str) -> Option<String> {
    text.contains(char::is_alphanumeric).then(|| format!("\"{}\"", text.replace('"', "\"\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(text: &str) -> String {
        Words::of(text).expect("few words").expression
    }

    #[test]
    fn words_phrases_and_fields_are_told_apart() {
        for (text, expected) in [
            ("customer email", r#""customer"* AND "email"*"#),
            ("email email", r#""email"*"#),
            (r#""customer email""#, r#""customer email""#),
            (r#""never closed"#, r#""never closed""#),
            ("col:email tag:pii", r#"columns : "email"* AND tags : "pii"*"#),
            (r#"owner:"data team""#, r#"owner : "data team""#),
            ("OWNER:finance", r#"owner : "finance"*"#),
            ("meta.pii:true", r#"meta : "pii" AND meta : "true"*"#),
            ("meta.a.b:", r#"meta : "a" AND meta : "b""#),
            ("model:orders", r#""model:orders"*"#),
            ("NEAR(a b) -c ^d e*", r#""NEAR(a"* AND "^d"* AND "b)"* AND "e*"* AND "-c"*"#),
            (r#"a"b"#, r#""a""b"*"#),
            ("a\0b", r#""a"* AND "b"*"#),
            (" - … \u{1f389} \t\"\" col: ", ""),
            ("meta.:x", r#""meta.:x"*"#),
        ] {
            let sorted = |text: &str| text.split(" AND ").map(str::to_owned).collect::<BTreeSet<_>>();
            assert_eq!(sorted(&expression(text)), sorted(expected), "{text}");
        }
    }

    #[test]
    fn free_words_are_compared_with_names_and_keys_of_meta_are_kept_apart() {
        let words = Words::of("Dim_Customers tag:x meta.Owner:Ana").expect("few words");
        assert_eq!(words.free, "Dim_Customers");
        assert_eq!(words.meta, [("owner".to_owned(), "ana".to_owned())]);
    }

    #[test]
    fn too_many_words_are_refused_but_not_one_that_comes_often() {
        let many: String = (0..100).map(|n| format!("w{n} ")).collect();
        assert!(matches!(Words::of(&many), Err(Error::Malformed(_))));
        assert_eq!(expression(&"again ".repeat(10_000)), r#""again"*"#);
    }
}

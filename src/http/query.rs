//! The part of an address after the `?`: read strictly, so that a misspelt filter does not answer everything.

use std::collections::BTreeSet;

use axum::http::Uri;
use serde_json::Value;
use url::form_urlencoded;

use super::problem::Problem;
use crate::answers::{self, Chosen, Reader};
use crate::time::Timestamp;

/// The parameters of a request, each known to its route; filters may be given more than once, and any of their values is meant.
#[derive(Debug, Clone)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the parameters of `uri`; others than `known` are refused, and those that are given more than once.
    pub(super) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        Self::with_filters(uri, known, &[])
    }

    /// The same, where those of `known` that are `filters` may be repeated.
    pub(super) fn with_filters(uri: &Uri, known: &[&str], filters: &[&str]) -> Result<Self, Problem> {
        let mut found: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(Problem::Bad(format!("there is no parameter `{name}` here, but {known}")));
            }
            if found.iter().any(|(other, _)| *other == name) && !filters.contains(&name.as_ref()) {
                return Err(Problem::Bad(format!("the parameter `{name}` is given more than once")));
            }
            found.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(found))
    }

    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter, in their order.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// As of when the catalog is asked for; the time to come has not happened yet.
    pub(super) fn as_of(&self) -> Result<Option<Timestamp>, Problem> {
        let now = Timestamp::now();
        let time = self.get("as_of").map(|text| Timestamp::of_people(text, now, true).map_err(Problem::Bad));
        Ok(time.transpose()?.map(|time| time.min(now)))
    }

    /// Selectors in dbt's grammar; none if none was given. Whoever writes `+orders` into an address has asked for ` orders`, which
    /// means something else.
    fn selectors(&self, name: &str) -> Result<Vec<String>, Problem> {
        if self.all(name).any(|text| text.starts_with(' ') || text.ends_with(' ')) {
            return Err(Problem::Bad(format!("in an address `+` means a blank: write `%2B` for it in `{name}`")));
        }
        Ok(self.all(name).map(str::to_owned).collect())
    }

    /// The environment that is asked for, if one is.
    pub(super) fn environment_id(&self, reader: &Reader) -> Result<Option<i64>, Problem> {
        Ok(self.environment_ids(reader)?.first().copied())
    }

    /// The environments that are asked for, by their names or numbers; an unknown one can't be.
    pub(super) fn environment_ids(&self, reader: &Reader) -> Result<BTreeSet<i64>, Problem> {
        let id = |name| match reader.environment(name) {
            Err(answers::Error::Question(text)) => Err(Problem::Bad(text)),
            found => Ok(found?.id),
        };
        self.all("environment").map(id).collect()
    }

    /// The nodes that are asked for by selectors, if any are.
    pub(super) fn chosen(&self, reader: &Reader, environment_id: Option<i64>) -> Result<Option<Chosen>, Problem> {
        Ok(reader.chosen(environment_id, &self.selectors("select")?, &self.selectors("exclude")?)?)
    }

    /// How many rows are asked for.
    pub(super) fn limit(&self, default: usize, most: usize) -> Result<usize, Problem> {
        let limit = self.number("limit", 1)?;
        match limit.map_or(default, |limit| usize::try_from(limit).unwrap_or(usize::MAX)) {
            limit if limit > most => Err(Problem::Bad(format!("`limit` may be {most} at most"))),
            limit => Ok(limit),
        }
    }

    /// The value of a parameter that is a whole number of at least `least`.
    pub(super) fn number(&self, name: &str, least: i64) -> Result<Option<i64>, Problem> {
        self.get(name).map(|text| number(name, text, least)).transpose()
    }

    /// The same parameters with another `after`.
    pub(super) fn with_after(&self, after: &str) -> String {
        let others = self.0.iter().filter(|(name, _)| name != "after");
        form_urlencoded::Serializer::new(String::new()).extend_pairs(others).append_pair("after", after).finish()
    }

    /// The parameters in one text that is the same whatever their order.
    pub(super) fn canonical(&self) -> String {
        let mut pairs = self.0.clone();
        pairs.sort();
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }
}

/// The value of the parameter `name` as a whole number of at least `least`.
pub(super) fn number(name: &str, text: &str, least: i64) -> Result<i64, Problem> {
    let number = text.parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| Problem::Bad(format!("`{name}` must be a whole number of at least {least}")))
}

/// The key of a row as a text that goes into an address as it is.
pub(super) fn cursor(key: &[Value]) -> String {
    Value::from(key).to_string().bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The key that [`cursor`] wrote, if it has `columns` values, each a text or a whole number.
pub(super) fn key(cursor: &str, columns: usize) -> Option<Vec<Value>> {
    let nibble = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, []) = cursor.as_bytes().as_chunks::<2>() else { return None };
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(nibble(high)? << 4 | nibble(low)?)).collect();
    let key: Vec<Value> = serde_json::from_slice(&bytes?).ok()?;
    let fits = key.len() == columns && key.iter().all(|value| value.is_string() || value.is_i64());
    fits.then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        let row = [Value::from(834), Value::from("model.a.b&c=ü")];
        let text = cursor(&row);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
        assert_eq!(key(&text, 2), Some(row.to_vec()));
        for wrong in ["", "0", "zz", "5b5d", "6e756c6c", &text[2..], &format!("{text}0"), "5b312e352c6e756c6c5d"] {
            assert_eq!(key(wrong, 2), None, "{wrong}");
        }
        assert_eq!(key(&text, 3), None);
    }

    #[test]
    fn parameters_are_known_and_given_once_unless_they_are_filters() {
        let of = |text: &'static str| Query::of(&Uri::from_static(text), &["limit", "after"]);
        assert_eq!(of("/x?limit=5&after=%C3%BC").expect("fine").get("after"), Some("ü"));
        assert_eq!(of("/x?after=1&limit=5").expect("fine").with_after("9"), "limit=5&after=9");
        assert!(matches!(of("/x?as_of=1"), Err(Problem::Bad(text)) if text.contains("`limit`, `after`")));
        assert!(matches!(of("/x?limit=5&limit=6"), Err(Problem::Bad(text)) if text.contains("more than once")));
        let query = Query::with_filters(&Uri::from_static("/x?a=1&b=2&a=3"), &["a", "b"], &["a"]).expect("fine");
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(
            (query.with_after("9").as_str(), query.canonical().as_str()),
            ("a=1&b=2&a=3&after=9", "a=1&a=3&b=2")
        );
    }
}

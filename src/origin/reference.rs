//! What a test's `model` argument says: `ref(…)` or `source(…)`, and which of the test's parents that names.

use crate::inventory::UniqueId;

/// A node, as dbt's Jinja names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    Ref { package: Option<String>, name: String, version: Option<String> },
    Source { source: String, table: String },
}

/// What of a parent can be named.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Named<'a> {
    pub name: Option<&'a str>,
    pub package: Option<&'a str>,
    pub version: Option<&'a str>,
    pub latest_version: Option<&'a str>,
    /// Of a source alone.
    pub source: Option<&'a str>,
}

/// An argument of a call: its name, if it has one, and its value.
type Argument = (Option<String>, String);

impl Reference {
    /// Reads `ref('a')`, `ref('package', 'a', v=1)` or `source('s', 't')`, whatever stands around it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (function, arguments) = call(text)?;
        let positional: Vec<&String> =
            arguments.iter().filter(|(name, _)| name.is_none()).map(|(_, value)| value).collect();
        let named = |names: &[&str]| {
            let found = arguments.iter().find(|(name, _)| name.as_deref().is_some_and(|name| names.contains(&name)));
            found.map(|(_, value)| value.clone())
        };
        if function == "source" {
            let [source, table] = positional[..] else { return None };
            return Some(Self::Source { source: source.clone(), table: table.clone() });
        }
        let version = named(&["v", "version"]);
        let (package, name, third) = match positional[..] {
            [name] => (named(&["package", "package_name"]), name, None),
            [package, name] => (Some(package.clone()), name, None),
            [package, name, version] => (Some(package.clone()), name, Some(version.clone())),
            _ => return None,
        };
        Some(Self::Ref { package, name: name.clone(), version: version.or(third) })
    }

    /// What a unit test's `model` says, which is a name alone or the same as above.
    pub(crate) fn of_unit_test(model: &str) -> Self {
        Self::parse(model).unwrap_or_else(|| Self::Ref { package: None, name: model.trim().to_owned(), version: None })
    }

    /// Which of the parents is meant. Where several packages have the name it is the root project's, else the test's own package's; without
    /// a version it is the latest.
    pub(crate) fn among(
        &self,
        parents: &[(&UniqueId, Named<'_>)],
        root: Option<&str>,
        own: Option<&str>,
    ) -> Option<UniqueId> {
        let mut found: Vec<&(&UniqueId, Named<'_>)> = parents.iter().filter(|(_, parent)| self.names(parent)).collect();
        for package in [root, own].into_iter().flatten() {
            if found.iter().any(|(_, parent)| parent.package == Some(package)) {
                found.retain(|(_, parent)| parent.package == Some(package));
                break;
            }
        }
        let is_latest = |parent: &Named<'_>| parent.version.is_some() && parent.version == parent.latest_version;
        let latest = found.iter().find(|(_, parent)| is_latest(parent));
        latest.or(found.first()).map(|(id, _)| (*id).clone())
    }

    fn names(&self, parent: &Named<'_>) -> bool {
        match self {
            Self::Source { source, table } => parent.source == Some(source) && parent.name == Some(table),
            Self::Ref { package, name, version } => {
                parent.source.is_none()
                    && parent.name == Some(name)
                    && package.as_deref().is_none_or(|package| parent.package == Some(package))
                    && version.as_deref().is_none_or(|version| parent.version.is_some_and(|its| same(its, version)))
            }
        }
    }
}

/// Versions are numbers or words: `1` and `1.0` are one.
fn same(one: &str, other: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    one == other || number(one).is_some_and(|one| Some(one) == number(other))
}

/// The first call of `ref` or `source` in a text.
fn call(text: &str) -> Option<(&'static str, Vec<Argument>)> {
    let mut words = Words(text);
    let mut last = Word::Sign('\0');
    while let Some(word) = words.next() {
        if let (Word::Name(name), Word::Sign('(')) = (&last, &word) {
            let function = ["ref", "source"].into_iter().find(|function| name.rsplit('.').next() == Some(function));
            if let Some(function) = function {
                return Some((function, arguments(&mut words)?));
            }
        }
        last = word;
    }
    None
}

/// What stands up to the closing parenthesis; `None` where that is more than names, texts and numbers.
fn arguments(words: &mut Words<'_>) -> Option<Vec<Argument>> {
    let mut arguments = Vec::new();
    let (mut name, mut value) = (None, None);
    loop {
        match words.next()? {
            Word::Sign('=') => name = value.take(),
            Word::Sign(end @ (',' | ')')) => {
                if let Some(value) = value.take() {
                    arguments.push((name.take(), value));
                }
                if end == ')' {
                    return Some(arguments);
                }
            }
            Word::Name(text) | Word::Text(text) if value.is_none() => value = Some(text),
            _ => return None,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Word {
    /// A name or a number.
    Name(String),
    /// What stood in quotes.
    Text(String),
    Sign(char),
}

struct Words<'a>(&'a str);

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        self.0 = self.0.trim_start();
        let first = self.0.chars().next()?;
        if matches!(first, '\'' | '"') {
            let mut text = String::new();
            let mut rest = self.0[1..].char_indices();
            while let Some((at, c)) = rest.next() {
                match c {
                    '\\' => text.extend(rest.next().map(|(_, c)| c)),
                    c if c == first => {
                        self.0 = &self.0[1 + at + 1..];
                        return Some(Word::Text(text));
                    }
                    c => text.push(c),
                }
            }
            return None;
        }
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
        let end =
            if is_name(first) { self.0.find(|c: char| !is_name(c)).unwrap_or(self.0.len()) } else { first.len_utf8() };
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(if is_name(first) { Word::Name(word.to_owned()) } else { Word::Sign(first) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(package: Option<&str>, name: &str, version: Option<&str>) -> Option<Reference> {
        Some(Reference::Ref {
            package: package.map(str::to_owned),
            name: name.to_owned(),
            version: version.map(str::to_owned),
        })
    }

    #[test]
    fn a_reference_is_found_whatever_stands_around_it() {
        for (text, expected) in [
            ("{{ get_where_subquery(ref('orders')) }}", model(None, "orders", None)),
            ("{{ref(\"orders\")}}", model(None, "orders", None)),
            ("ref( 'shop' , 'orders' )", model(Some("shop"), "orders", None)),
            ("ref('orders', v='1')", model(None, "orders", Some("1"))),
            ("ref('shop', 'orders', version = 1.5)", model(Some("shop"), "orders", Some("1.5"))),
            ("ref('shop', 'orders', 2)", model(Some("shop"), "orders", Some("2"))),
            ("ref('my\\'s', v=alpha)", model(None, "my's", Some("alpha"))),
            ("{{ xref('a') }} {{ ref('b') }}", model(None, "b", None)),
            ("'ref(1)' ~ ref('b')", model(None, "b", None)),
            ("builtins.ref(name)", model(None, "name", None)),
            ("ref('a' ~ 'b')", None),
            ("ref('a'", None),
            ("orders", None),
            ("ref()", None),
        ] {
            assert_eq!(Reference::parse(text), expected, "{text}");
        }
        let source = Reference::Source { source: "raw".to_owned(), table: "orders".to_owned() };
        assert_eq!(Reference::parse("{{ get_where_subquery(source('raw', 'orders')) }}"), Some(source));
        assert_eq!(Some(Reference::of_unit_test(" orders ")), model(None, "orders", None));
        assert_eq!(Some(Reference::of_unit_test("ref('orders', v=2)")), model(None, "orders", Some("2")));
    }

    #[test]
    fn of_several_it_is_the_root_projects_then_the_tests_own_and_the_latest() {
        let ids = ["p.a", "q.a", "r.a1", "r.a2", "s.raw"].map(UniqueId::from);
        let named = |package, version, source| Named {
            name: Some("a"),
            package: Some(package),
            version,
            latest_version: version.map(|_| "2"),
            source,
        };
        let parents = [
            (&ids[0], named("p", None, None)),
            (&ids[1], named("q", None, None)),
            (&ids[2], named("r", Some("1"), None)),
            (&ids[3], named("r", Some("2"), None)),
            (&ids[4], named("s", None, Some("raw"))),
        ];
        let among = |text: &str, root, own| {
            Reference::parse(text).expect("a reference").among(&parents, root, own).map(|id| id.to_string())
        };
        assert_eq!(among("ref('a')", Some("q"), Some("p")).as_deref(), Some("q.a"));
        assert_eq!(among("ref('a')", Some("none"), Some("q")).as_deref(), Some("q.a"));
        assert_eq!(among("ref('a')", Some("r"), None).as_deref(), Some("r.a2"));
        assert_eq!(among("ref('a', v=1.0)", Some("p"), None).as_deref(), Some("r.a1"));
        assert_eq!(among("ref('p', 'a')", Some("q"), None).as_deref(), Some("p.a"));
        assert_eq!(among("source('raw', 'a')", Some("q"), None).as_deref(), Some("s.raw"));
        assert_eq!(among("source('raw', 'b')", Some("q"), None), None);
        assert_eq!(among("ref('b')", None, None), None);
    }
}

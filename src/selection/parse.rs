//! A selector's text as criteria.

use super::SelectorError;
use super::methods::{METHODS, Method, Wanted};

/// A criterion may have so many characters …
const MOST_CHARACTERS: usize = 1_000;

/// … and a selector so many criteria.
const MOST_CRITERIA: usize = 2_000;

/// A union of intersections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector(pub(super) Vec<Intersection>);

impl Selector {
    /// What the criteria look into.
    pub(crate) fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for criterion in self.0.iter().flat_map(|part| &part.criteria) {
            match criterion.method {
                Method::Config(_) => needs.config = true,
                Method::Path => needs.patch_path = true,
                Method::Group => needs.group = true,
                Method::Source => needs.source_name = true,
                Method::TestName | Method::TestType => needs.test = true,
                Method::Result => needs.last_run_status = true,
                Method::SourceStatus => needs.is_fresher = true,
                _ => {}
            }
        }
        needs
    }
}

/// What has to be known of candidates beside what is read at once. Taking a node's properties apart for it costs most of a selection, so
/// that what is not needed may be left out.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)] // The fields of candidates.
pub struct Needs {
    pub config: bool,
    pub patch_path: bool,
    pub group: bool,
    pub source_name: bool,
    /// `test_name` and `test_type`.
    pub test: bool,
    pub last_run_status: bool,
    pub is_fresher: bool,
}

impl Needs {
    /// What two selectors need.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            config: self.config || other.config,
            patch_path: self.patch_path || other.patch_path,
            group: self.group || other.group,
            source_name: self.source_name || other.source_name,
            test: self.test || other.test,
            last_run_status: self.last_run_status || other.last_run_status,
            is_fresher: self.is_fresher || other.is_fresher,
        }
    }
}

/// Criteria that must all be met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Intersection {
    /// As it was written.
    pub(super) text: String,
    pub(super) criteria: Vec<Criterion>,
}

/// A method, its value, and what stands around whatever that finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Criterion {
    pub(super) method: Method,
    pub(super) value: Wanted,
    /// How far upstream.
    pub(super) parents: Reach,
    /// How far downstream.
    pub(super) children: Reach,
    /// All descendants, with all of their ancestors.
    pub(super) childrens_parents: bool,
}

/// How far an operator reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    None,
    Steps(usize),
    All,
}

/// Reads selectors, each a union of what blanks part.
///
/// # Errors
/// If one can't be understood; the error points at the place.
pub(crate) fn parse(selectors: &[String]) -> Result<Selector, SelectorError> {
    let (mut union, mut count) = (Vec::new(), 0);
    for selector in selectors {
        let mut at = 0;
        for text in selector.split(' ') {
            if !text.is_empty() {
                let part = intersection(selector, text, at)?;
                count += part.criteria.len();
                if count > MOST_CRITERIA {
                    let text = format!("there are more than {MOST_CRITERIA} criteria to select by: use fewer");
                    return Err(Place { selector, at }.error(0, text));
                }
                union.push(part);
            }
            at += text.chars().count() + 1;
        }
    }
    Ok(Selector(union))
}

fn intersection(selector: &str, text: &str, mut at: usize) -> Result<Intersection, SelectorError> {
    let mut criteria = Vec::new();
    for part in text.split(',') {
        let place = Place { selector, at };
        criteria.push(criterion(&place, part)?);
        at += part.chars().count() + 1;
    }
    Ok(Intersection { text: text.to_owned(), criteria })
}

/// Where in a selector something stands.
struct Place<'a> {
    selector: &'a str,
    at: usize,
}

impl Place<'_> {
    /// An error so many characters further on.
    fn error(&self, on: usize, text: String) -> SelectorError {
        SelectorError { selector: self.selector.to_owned(), at: self.at + on, text }
    }
}

fn criterion(place: &Place<'_>, text: &str) -> Result<Criterion, SelectorError> {
    if text.chars().nth(MOST_CHARACTERS).is_some() {
        let text =
            format!("this has more than the {MOST_CHARACTERS} characters that one criterion may have: use fewer");
        return Err(place.error(0, text));
    }
    let offset = |rest: &str| text.chars().count() - rest.chars().count();
    let (childrens_parents, rest) = text.strip_prefix('@').map_or((false, text), |rest| (true, rest));
    let (parents, rest) = leading(rest);
    let parents = reach(place, offset(rest).saturating_sub(1), parents)?;
    let (method, value) = named_method(rest);
    let value_at = offset(value);
    let (value, children) = trailing(value);
    let children_at = value_at + value.chars().count();
    let children = reach(place, children_at, children)?;
    if childrens_parents && children != Reach::None {
        return Err(place.error(children_at, "`@` in front and `+` behind can't be combined: leave one out".to_owned()));
    }
    if value.is_empty() {
        return Err(place.error(value_at, "there is nothing to select by".to_owned()));
    }
    let method = match method {
        None => Method::of_value(value),
        Some(name) => Method::named(name).map_err(|text| place.error(offset(rest), text))?,
    };
    method.check(value).map_err(|text| place.error(value_at, text))?;
    Ok(Criterion { method, value: Wanted::new(value), parents, children, childrens_parents })
}

/// What stands before the first `+`, if it is a number or nothing; and the rest.
fn leading(text: &str) -> (Option<&str>, &str) {
    match text.split_once('+') {
        Some((digits, rest)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => (Some(digits), rest),
        _ => (None, text),
    }
}

/// What stands behind the last `+`, if it is a number or nothing; and what stands before.
fn trailing(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('+') {
        Some((value, digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => (value, Some(digits)),
        _ => (text, None),
    }
}

fn named_method(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some((name, value))
            if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.') =>
        {
            (Some(name), value)
        }
        _ => (None, text),
    }
}

fn reach(place: &Place<'_>, on: usize, digits: Option<&str>) -> Result<Reach, SelectorError> {
    match digits {
        None => Ok(Reach::None),
        Some("") => Ok(Reach::All),
        Some(digits) => match digits.parse() {
            Ok(steps) => Ok(Reach::Steps(steps)),
            Err(_) => Err(place.error(on, format!("`{digits}` is too many steps"))),
        },
    }
}

impl Method {
    fn named(name: &str) -> Result<Self, String> {
        let (name, arguments) = name.split_once('.').unwrap_or((name, ""));
        match name {
            "config" => {
                Ok(Self::Config(arguments.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect()))
            }
            "state" => {
                Err("`state:` compares with an earlier manifest, which is not supported yet: see `lineaged changes`"
                    .to_owned())
            }
            "selector" => {
                Err("`selector:` names a selector of the project's files, which the platform does not serve".to_owned())
            }
            name => match METHODS.iter().find(|(known, _)| *known == name) {
                Some((_, method)) => Ok(method.clone()),
                None => {
                    let names: Vec<&str> = METHODS.iter().map(|(name, _)| *name).collect();
                    Err(format!("there is no method `{name}`, but {}, config", names.join(", ")))
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Criterion {
        let mut selector = parse(&[text.to_owned()]).expect(text);
        assert_eq!(selector.0.len(), 1, "{text}");
        selector.0.remove(0).criteria.remove(0)
    }

    #[test]
    fn operators_methods_and_values_are_told_apart() {
        let whole = one("2+tag:a+b+13");
        assert_eq!((whole.method, whole.value.text.as_str()), (Method::Tag, "a+b"));
        assert_eq!((whole.parents, whole.children), (Reach::Steps(2), Reach::Steps(13)));
        let at = one("@source:raw.orders");
        assert!(at.childrens_parents && at.method == Method::Source && at.value.text == "raw.orders");
        assert_eq!(one("+orders").parents, Reach::All);
        assert_eq!(one("orders+").children, Reach::All);
        assert_eq!(one("models/marts").method, Method::Path);
        assert_eq!(one("orders.SQL").method, Method::File);
        assert_eq!(one("orders").method, Method::Fqn);
        assert_eq!(one("config.meta.owner:ops").method, Method::Config(vec!["meta".to_owned(), "owner".to_owned()]));
        let union = parse(&["a b,c".to_owned(), " d ".to_owned()]).expect("fine");
        assert_eq!(union.0.iter().map(|part| part.criteria.len()).collect::<Vec<_>>(), [1, 2, 1]);
    }

    #[test]
    fn a_selector_is_bounded_and_the_error_says_how() {
        let parse = |text: String| parse(&[text]);
        let long = "x".repeat(MOST_CHARACTERS);
        assert!(parse(long.clone()).is_ok());
        for text in [format!("{long}x"), format!("a,tag:{long}"), format!("config.{long}:x"), "[".repeat(10_000)] {
            let error = parse(text.clone()).expect_err("too long");
            assert!(error.text.contains("1000 characters"), "{error}");
            assert!(error.to_string().len() < 500, "{error}");
        }
        assert!(parse("x ".repeat(MOST_CRITERIA)).is_ok());
        for text in ["x ".repeat(MOST_CRITERIA + 1), vec!["x"; MOST_CRITERIA + 1].join(",")] {
            let error = parse(text).expect_err("too many");
            assert!(error.text.contains("2000 criteria"), "{error}");
        }
        let many = vec!["x".to_owned(); MOST_CRITERIA + 1];
        assert!(super::parse(&many).is_err(), "over several selectors, too");
    }

    #[test]
    fn an_error_points_at_its_place() {
        for (text, at, part) in [
            ("ok tag:nightly,stat:x", 15, "no method `stat`"),
            ("state:modified", 0, "not supported yet"),
            ("a,1+result:failed+", 11, "`failed` is none of error, fail, pass, skipped, success, warn"),
            ("result:Error", 7, "`Error`"),
            ("result:err*", 7, "`err*`"),
            ("x @source_status:stale", 17, "`stale` is not `fresher`"),
            ("selector:nightly", 0, "does not serve"),
            ("@orders+", 7, "can't be combined"),
            ("a,,b", 2, "nothing to select by"),
            ("+", 1, "nothing to select by"),
            ("resource_type:modell", 14, "`modell`"),
            ("test_type:x", 10, "`x`"),
            ("version:newest", 8, "`newest`"),
            ("x source:a.b.c.d", 9, "at most"),
            ("x+99999999999999999999999", 1, "too many steps"),
        ] {
            let error = parse(&[text.to_owned()]).expect_err(text);
            assert!(error.text.contains(part), "{text}: {error}");
            assert_eq!(error.at, at, "{text}: {error}");
        }
        let error = parse(&["a,stat:ü".to_owned()]).expect_err("no method");
        assert!(error.to_string().ends_with("\n  a,stat:ü\n    ^"), "{error}");
    }
}

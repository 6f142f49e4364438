//! An answer whose values are of other types than the schema says, made to fit. A number written as text, or with a fraction of zero, is
//! that number; what is of no use is null, and told. What identifies a node or connects it has to be right.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::inventory::shape;
use crate::origin::printable;

/// Never changed: a read in which one of these is wrong is no read.
const NEEDED: [&str; 4] = ["__typename", "uniqueId", "parents", "resourceType"];

/// May be empty where the schema has no null for them, and what came is of no use.
const MAY_BE_EMPTY: [&str; 13] = [
    "tags",
    "fqn",
    "filePath",
    "tests",
    "constraints",
    "entities",
    "dimensions",
    "measures",
    "exports",
    "executionInfo",
    "testMetadata",
    "freshness",
    "criteria",
];

/// So many kinds of misfits in one answer are mended.
const MOST: usize = 1000;

/// What was of no use.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Misfits {
    /// By field and node, what came.
    values: BTreeMap<(String, String), String>,
    /// Whether an answer held `NaN` or `Infinity`.
    pub bare_numbers: bool,
}

impl Misfits {
    pub(crate) fn extend(&mut self, other: Self) {
        self.values.extend(other.values);
        self.bare_numbers |= other.bare_numbers;
    }

    /// What to say of them: a sentence for each field.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut fields: BTreeMap<&str, (&str, &str, usize)> = BTreeMap::new();
        for ((field, id), value) in &self.values {
            fields.entry(field).or_insert((id, value, 0)).2 += 1;
        }
        let warning = |(field, (id, value, count)): (&str, (&str, &str, usize))| {
            let others = if count == 1 { String::new() } else { format!(" and {} more", count - 1) };
            format!("`{field}` of `{id}`{others} is of another type than it should be (`{value}`): taken as unknown")
        };
        let bare = self.bare_numbers.then(|| {
            "the platform answered with `NaN` or `Infinity`, which JSON does not have: taken as unknown".to_owned()
        });
        fields.into_iter().map(warning).chain(bare).collect()
    }
}

/// Why an answer does not fit: where, and what is wrong.
#[derive(Debug)]
pub(crate) struct Unfit {
    pub path: String,
    pub reason: String,
}

/// A step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

/// Decodes `value` field by field. Slow, and only for answers that did not fit.
pub(crate) fn decode<T: DeserializeOwned>(mut value: Value, misfits: &mut Misfits) -> Result<T, Unfit> {
    for _ in 0..MOST {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(decoded) => return Ok(decoded),
            Err(error) => error,
        };
        let unfit = Unfit { path: error.path().to_string(), reason: error.inner().to_string() };
        let path = steps(&error).filter(|_| !unfit.reason.starts_with("missing field"));
        if !path.is_some_and(|path| mend::<T>(&mut value, &path, misfits)) {
            return Err(unfit);
        }
    }
    Err(Unfit { path: "data".to_owned(), reason: format!("more than {MOST} values are of another type") })
}

fn steps(error: &serde_path_to_error::Error<serde_json::Error>) -> Option<Vec<Step>> {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(Step::Item(*index)),
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    error.path().iter().map(step).collect()
}

/// Mends what stands at `path`, and whatever is as wrong in the same place of other nodes. False if nothing helps.
fn mend<T: DeserializeOwned>(value: &mut Value, path: &[Step], misfits: &mut Misfits) -> bool {
    let Some(field) = path.iter().rev().find_map(|step| match step {
        Step::Key(key) => Some(key.clone()),
        Step::Item(_) => None,
    }) else {
        return false;
    };
    let Some(wrong) = at(value, path).filter(|wrong| !wrong.is_null()).cloned() else { return false };
    if NEEDED.contains(&field.as_str()) {
        return false;
    }
    let kind = Kind::of(&wrong);
    for replacement in Replacement::for_field(&field, path) {
        let Some(new) = replacement.of(&wrong).filter(|new| *new != wrong) else { continue };
        set(value, path, new);
        let helps = match serde_path_to_error::deserialize::<_, T>(&*value) {
            Ok(_) => true,
            Err(error) => steps(&error).is_none_or(|place| place != path),
        };
        set(value, path, wrong.clone());
        if helps {
            each(value, path, "", &mut |found, id| {
                if Kind::of(found) != kind {
                    return;
                }
                if let Some(new) = replacement.of(found) {
                    if replacement.is_loss() {
                        let key = (field.clone(), id.to_owned());
                        misfits.values.entry(key).or_insert_with(|| printable(&found.to_string(), 60));
                    }
                    *found = new;
                }
            });
            return true;
        }
    }
    false
}

fn at<'a>(value: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Item(index) => value.get(index),
    })
}

fn set(value: &mut Value, path: &[Step], new: Value) {
    let found = path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Item(index) => value.get_mut(index),
    });
    if let Some(found) = found {
        *found = new;
    }
}

/// Everything in the same place, whichever item of a list it is in; with the id of the node that it is of.
fn each(value: &mut Value, path: &[Step], id: &str, found: &mut dyn FnMut(&mut Value, &str)) {
    let own = value.get("uniqueId").and_then(Value::as_str).map(str::to_owned);
    let id = own.as_deref().unwrap_or(id);
    match (path, value) {
        ([], value) => found(value, id),
        ([Step::Key(key), rest @ ..], Value::Object(map)) => {
            if let Some(inner) = map.get_mut(key) {
                each(inner, rest, id, found);
            }
        }
        ([Step::Item(_), rest @ ..], Value::Array(list)) => {
            list.iter_mut().for_each(|item| each(item, rest, id, found));
        }
        _ => {}
    }
}

/// What a value looks like: what looks alike in the same place is right or wrong together.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Null,
    Bool,
    Whole,
    Fraction,
    WholeText,
    NumberText,
    Text,
    List,
    Map,
}

impl Kind {
    fn of(value: &Value) -> Self {
        let is_whole = shape::integer(value).is_some();
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Bool,
            Value::Number(_) if is_whole => Self::Whole,
            Value::Number(_) => Self::Fraction,
            Value::String(_) if is_whole => Self::WholeText,
            Value::String(_) if shape::float(value).is_some() => Self::NumberText,
            Value::String(_) => Self::Text,
            Value::Array(_) => Self::List,
            Value::Object(_) => Self::Map,
        }
    }
}

/// What may stand for a value of the wrong type, in the order in which it is tried.
#[derive(Debug, Clone, Copy)]
enum Replacement {
    Whole,
    Number,
    YesOrNo,
    Digits,
    Owners,
    Nothing,
    EmptyList,
    EmptyText,
    EmptyMap,
}

impl Replacement {
    fn for_field(field: &str, path: &[Step]) -> Vec<Self> {
        let mut tried = vec![Self::Whole, Self::Number];
        let key = |name: &str| Step::Key(name.to_owned());
        // Around the nodes all else counts: totals, cursors, whether a state is there at all.
        if path.iter().position(|step| *step == key("node")).is_none_or(|node| node + 1 >= path.len()) {
            return tried;
        }
        tried.extend([Self::YesOrNo, Self::Digits]);
        if field.starts_with("owner") {
            tried.push(Self::Owners);
        }
        tried.push(Self::Nothing);
        if MAY_BE_EMPTY.contains(&field) {
            tried.extend([Self::EmptyList, Self::EmptyText, Self::EmptyMap]);
        }
        tried
    }

    fn is_loss(self) -> bool {
        matches!(self, Self::Nothing | Self::EmptyList | Self::EmptyText | Self::EmptyMap)
    }

    fn of(self, value: &Value) -> Option<Value> {
        match self {
            Self::Whole => shape::integer(value).map(Value::from),
            Self::Number => shape::float(value).map(Value::from),
            Self::YesOrNo => match shape::text(value)?.to_lowercase().as_str() {
                "true" | "1" => Some(true.into()),
                "false" | "0" => Some(false.into()),
                _ => None,
            },
            Self::Digits => shape::text(value).map(Value::from),
            Self::Owners => shape::joined(value).map(Value::from),
            Self::Nothing => Some(Value::Null),
            Self::EmptyList => Some(Value::Array(Vec::new())),
            Self::EmptyText => Some("".into()),
            Self::EmptyMap => Some(Value::Object(serde_json::Map::new())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Item {
        unique_id: String,
        seconds: Option<f64>,
        failures: Option<i64>,
        is_enforced: Option<bool>,
        version: Option<String>,
        owner_email: Option<String>,
        tags: Vec<String>,
        parents: Vec<String>,
    }

    #[derive(Debug, Deserialize)]
    struct Edge {
        node: Item,
    }

    #[derive(Debug, Deserialize)]
    struct List {
        edges: Vec<Edge>,
    }

    fn item(id: &str) -> Value {
        json!({"uniqueId": id, "seconds": 1.5, "failures": 1, "isEnforced": true, "version": "1", "ownerEmail": "a@x",
            "tags": ["a"], "parents": []})
    }

    fn read(changes: &[(&str, Value)]) -> Result<(Vec<Item>, Misfits), String> {
        let mut items = vec![item("a"), item("b"), item("c")];
        for (number, (field, value)) in changes.iter().enumerate() {
            items[number % 3][*field] = value.clone();
        }
        let list = json!({"edges": items.into_iter().map(|node| json!({"node": node})).collect::<Vec<_>>()});
        let mut misfits = Misfits::default();
        let list: List = decode(list, &mut misfits).map_err(|unfit| unfit.path)?;
        Ok((list.edges.into_iter().map(|edge| edge.node).collect(), misfits))
    }

    #[test]
    fn a_value_of_another_type_is_itself_where_it_says_something() {
        let changes = [
            ("failures", json!("100")),
            ("failures", json!(250.0)),
            ("seconds", json!("2.5")),
            ("isEnforced", json!("true")),
            ("version", json!(2)),
            ("ownerEmail", json!(["a@x", null, "b@x"])),
            ("isEnforced", json!(0)),
        ];
        let (items, misfits) = read(&changes).expect("it fits");
        assert_eq!((items[0].failures, items[1].failures, items[2].seconds), (Some(100), Some(250), Some(2.5)));
        assert_eq!((items[0].is_enforced, items[1].version.as_deref()), (Some(false), Some("2")));
        assert_eq!(items[2].owner_email.as_deref(), Some("a@x, b@x"));
        assert_eq!(misfits, Misfits::default());
    }

    #[test]
    fn what_says_nothing_is_unknown_and_told_once_for_its_field() {
        let changes = [
            ("failures", json!("many")),
            ("failures", json!([1])),
            ("failures", json!("7")),
            ("tags", json!("a")),
            ("version", json!({})),
        ];
        let (items, misfits) = read(&changes).expect("it fits");
        assert_eq!((items[0].failures, items[1].failures, items[2].failures), (None, None, Some(7)));
        assert_eq!((items[0].tags.len(), items[1].version.as_deref(), items[2].tags.len()), (0, None, 1));
        assert_eq!(
            misfits.warnings(),
            [
                "`failures` of `a` and 1 more is of another type than it should be (`\"many\"`): taken as unknown",
                "`tags` of `a` is of another type than it should be (`\"a\"`): taken as unknown",
                "`version` of `b` is of another type than it should be (`{}`): taken as unknown",
            ]
        );
    }

    #[test]
    fn what_identifies_or_connects_a_node_has_to_be_right() {
        for (field, value) in [
            ("uniqueId", json!(5)),
            ("uniqueId", Value::Null),
            ("parents", json!("b")),
            ("parents", Value::Null),
            ("tags", Value::Null),
        ] {
            let path = read(&[(field, value)]).expect_err(field);
            assert_eq!(path, format!("edges[0].node.{field}"));
        }
        let list = json!({"edges": "none"});
        assert!(decode::<List>(list, &mut Misfits::default()).is_err());
    }

    #[test]
    fn a_page_of_misfits_takes_no_time_for_each() {
        let nodes: Vec<Value> = (0..500)
            .map(|n| {
                let mut item = item(&format!("n{n}"));
                item["seconds"] = format!("fast {n}").into();
                json!({"node": item})
            })
            .collect();
        let mut misfits = Misfits::default();
        let list: List = decode(json!({"edges": nodes}), &mut misfits).expect("it fits");
        assert!(list.edges.iter().all(|edge| edge.node.seconds.is_none()));
        assert_eq!(misfits.values.len(), 500);
    }
}

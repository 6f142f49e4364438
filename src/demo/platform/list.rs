//! The lists of the Admin API: the parameters of a request, and which items they let through, in which order and on which page. It works on
//! items as the API writes them, so each filter is a field's name.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::time::Timestamp;

/// The items of a page whose request does not say, and the most that a page has.
const MOST: i64 = 100;

/// What one list can be asked.
pub(super) struct Kind {
    /// The fields that a parameter of the same name lets through.
    pub filters: &'static [&'static str],
    /// The fields by which it can be ordered.
    pub orders: &'static [&'static str],
}

/// The parameters of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters(BTreeMap<String, String>);

/// A parameter that cannot be obeyed, in words.
pub(super) type Refusal = String;

impl Parameters {
    pub(super) fn parse(query: &str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The parameters as a request's variables: page and place as numbers, the others as they stand.
    pub(super) fn variables(&self) -> Value {
        let mut variables = json!(self.0);
        (variables["limit"], variables["offset"]) = (self.limit().ok().into(), self.offset().ok().into());
        variables
    }

    /// Whether `include_related` names this: as JSON, as Python writes lists, or parted by commas.
    pub(super) fn relates(&self, name: &str) -> bool {
        let list = self.0.get("include_related").map_or("", String::as_str);
        list.split(',').any(|it| it.trim_matches(|c: char| "[]'\" ".contains(c)) == name)
    }

    fn number(&self, name: &str, default: i64) -> Result<i64, Refusal> {
        let Some(text) = self.0.get(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| *number >= 0);
        number.ok_or_else(|| format!("`{name}` must be a number, not `{text}`"))
    }

    fn limit(&self) -> Result<i64, Refusal> {
        Ok(self.number("limit", MOST)?.min(MOST))
    }

    pub(super) fn offset(&self) -> Result<i64, Refusal> {
        self.number("offset", 0)
    }

    fn order(&self, kind: &Kind) -> Result<&str, Refusal> {
        let order = self.0.get("order_by").map_or("id", String::as_str);
        let is_known = kind.orders.contains(&order.trim_start_matches('-'));
        if is_known { Ok(order) } else { Err(format!("`order_by` cannot be `{order}`")) }
    }
}

/// A page of what the parameters let through, with what the envelope says of it. `gone` items were removed before the page since the first
/// was read (fewer than none: added).
pub(super) fn page(
    mut items: Vec<Value>,
    asked: &Parameters,
    kind: &Kind,
    gone: i64,
) -> Result<(Value, Value), Refusal> {
    let (limit, offset, order) = (asked.limit()?, asked.offset()?, asked.order(kind)?);
    for (name, wanted) in &asked.0 {
        if !["limit", "offset", "order_by", "include_related"].contains(&name.as_str()) {
            let lets_through = filter(name, wanted, kind)?;
            items.retain(|item| lets_through(item));
        }
    }
    items.retain(|item| item["state"] != super::state::DELETED || asked.0.contains_key("state"));
    items.sort_by(|left, right| compare(left, right, order));
    let total = items.len() as i64 - gone;
    let place = usize::try_from(offset + gone).unwrap_or_default();
    let page: Vec<Value> = items.into_iter().skip(place).take(usize::try_from(limit).unwrap_or_default()).collect();
    let extra = json!({"filters": {"limit": limit, "offset": offset}, "order_by": order,
        "pagination": {"count": page.len(), "total_count": total.max(0)}});
    Ok((page.into(), extra))
}

type Filter = Box<dyn Fn(&Value) -> bool>;

/// What a parameter lets through: `field`, `field__in`, `field__gt`, or `field__range`, which takes in both its ends.
fn filter(parameter: &str, wanted: &str, kind: &Kind) -> Result<Filter, Refusal> {
    let (field, how) = parameter.split_once("__").unwrap_or((parameter, ""));
    if !kind.filters.contains(&parameter) {
        return Err(format!("`{parameter}` is not served here"));
    }
    let (field, wanted) = (field.to_owned(), wanted.to_owned());
    let wrong = || format!("`{parameter}` cannot be `{wanted}`");
    Ok(match how {
        "range" => {
            let (from, to) = range(&wanted).ok_or_else(wrong)?;
            let at = move |item: &Value| Timestamp::parse(item[&field].as_str()?);
            Box::new(move |item| at(item).is_some_and(|at| from <= at && at <= to))
        }
        "in" => {
            let list: Vec<String> =
                wanted.split(',').map(|it| it.trim_matches(|c| "[] ".contains(c)).to_owned()).collect();
            Box::new(move |item| list.contains(&text(&item[&field])))
        }
        "gt" => {
            let number: i64 = wanted.parse().map_err(|_| wrong())?;
            Box::new(move |item| item[&field].as_i64() > Some(number))
        }
        _ if field == "state" => Box::new(move |item| is_in_state(&item["state"], &wanted)),
        _ => Box::new(move |item| text(&item[&field]) == wanted),
    })
}

fn is_in_state(state: &Value, wanted: &str) -> bool {
    match wanted {
        "all" => true,
        "active" => *state == super::state::ACTIVE,
        "deleted" => *state == super::state::DELETED,
        number => text(state) == number,
    }
}

/// Both ends, from one JSON list of two times.
fn range(text: &str) -> Option<(Timestamp, Timestamp)> {
    let [from, to]: [String; 2] = serde_json::from_str(text).ok()?;
    Some((Timestamp::parse(&from)?, Timestamp::parse(&to)?))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// By the field, what has none last; then by id. A `-` turns all of it around.
fn compare(left: &Value, right: &Value, order: &str) -> Ordering {
    let field = order.trim_start_matches('-');
    let key = |item: &Value| {
        let id = |field: &str| item[field].as_i64();
        (item[field].is_null(), id(field), text(&item[field]), id("id"))
    };
    let order_up = key(left).cmp(&key(right));
    if order.starts_with('-') { order_up.reverse() } else { order_up }
}

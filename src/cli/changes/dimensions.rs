//! How the dimensions of a metric changed: only those that differ, since the others would hide them.

use serde_json::Value;

use crate::cli::reading::dimension_name;

/// What is gone from a list of dimensions, and what is new, in words; what changed is in both. Both lists are JSON text.
pub(super) fn differing(before: &Value, after: &Value) -> (Vec<String>, Vec<String>) {
    let (before, after) = (list(before), list(after));
    let words = |of: &[Value], others: &[Value]| -> Vec<String> {
        of.iter().filter(|dimension| !others.contains(dimension)).map(told).collect()
    };
    (words(&before, &after), words(&after, &before))
}

fn list(cell: &Value) -> Vec<Value> {
    cell.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// `customer__region (categorical)`, `order_date (time: day, week)`.
fn told(dimension: &Value) -> String {
    let name = dimension_name(dimension["entity_path"].as_str(), dimension["name"].as_str().unwrap_or_default());
    let granularities = dimension["granularities"].as_array();
    let granularities: Vec<&str> = granularities.into_iter().flatten().filter_map(Value::as_str).collect();
    let kind = dimension["type"].as_str().unwrap_or("unknown");
    match granularities.is_empty() {
        true => format!("{name} ({kind})"),
        false => format!("{name} ({kind}: {})", granularities.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_dimensions_that_differ_are_told() {
        let region =
            json!({"name": "region", "type": "categorical", "granularities": [], "entity_path": "sale__buyer"});
        let days =
            |granularities: &[&str]| json!({"name": "metric_time", "type": "time", "granularities": granularities});
        let cell = |list: &[&Value]| Value::from(json!(list).to_string());
        let (day, week) = (days(&["day"]), days(&["day", "week"]));
        assert_eq!(
            differing(&cell(&[&day, &region]), &cell(&[&week, &region])),
            (vec!["metric_time (time: day)".to_owned()], vec!["metric_time (time: day, week)".to_owned()])
        );
        let (gone, new) = differing(&cell(&[]), &cell(&[&region]));
        assert_eq!((gone.join(", "), new.join(", ")), (String::new(), "sale__buyer__region (categorical)".to_owned()));
        assert_eq!(differing(&Value::Null, &Value::from("no list")), (vec![], vec![]));
    }
}

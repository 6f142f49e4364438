//! Values of the Admin API, lenient in form: what is not there, or of another type, is unknown.

use serde_json::Value;

use crate::inventory::Text;
use crate::time::Timestamp;

/// A text that says something.
pub(super) fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The same, to be shared.
pub(super) fn shared(value: &Value) -> Option<Text> {
    text(value).map(Text::from)
}

/// A whole number, also as text.
pub(super) fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A moment, as any of dbt's interfaces writes it.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    Timestamp::parse(value.as_str()?)
}

/// How a run ended, in the words of the view `runs`; `None` where it has not, or the number is unknown.
pub(super) fn run_status(value: &Value) -> Option<&'static str> {
    match number(value)? {
        10 => Some("success"),
        20 => Some("error"),
        30 => Some("cancelled"),
        _ => None,
    }
}

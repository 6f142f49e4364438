//! The shapes in which writers of JSON leave a value that the schema has another type for.

use serde_json::Value;

/// The whole number that a value is: also as text, or with a fraction of zero.
pub fn integer(value: &Value) -> Option<i64> {
    // Beyond 2^53 a float no longer says which number was meant.
    let whole =
        |number: f64| (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64);
    match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok().or_else(|| whole(text.trim().parse().ok()?)),
        _ => None,
    }
}

/// The finite number that a value is, also as text.
pub fn float(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// The text that a value is, or the digits of the number that it is.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Several owners are one text, parted by commas; what says nothing is left out.
pub fn joined(value: &Value) -> Option<String> {
    let all = match value {
        Value::Array(list) => list.iter().filter_map(joined).collect::<Vec<_>>().join(", "),
        value => text(value)?.trim().to_owned(),
    };
    Some(all).filter(|text| !text.is_empty())
}

/// The same JSON with null for the bare words `NaN`, `Infinity` and `-Infinity`, which Python writes and JSON does not have. `None` if it
/// holds none of them.
pub fn without_bare_numbers(json: &[u8]) -> Option<Vec<u8>> {
    const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];
    let (mut at, mut copied, mut kept) = (0, 0, Vec::new());
    let mut in_text = false;
    while at < json.len() {
        match json[at] {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            b'-' | b'I' | b'N' if !in_text => {
                if let Some(word) = WORDS.iter().find(|word| json[at..].starts_with(word)) {
                    kept.extend_from_slice(&json[copied..at]);
                    kept.extend_from_slice(b"null");
                    at += word.len();
                    copied = at;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return None;
    }
    kept.extend_from_slice(&json[copied..]);
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_is_one_in_every_spelling() {
        for (value, expected) in [
            (json!(100), Some(100)),
            (json!("100"), Some(100)),
            (json!(250.0), Some(250)),
            (json!(" 250.0 "), Some(250)),
            (json!(-3), Some(-3)),
            (json!("9007199254740993"), Some(9_007_199_254_740_993)),
            (json!(2.5), None),
            (json!("many"), None),
            (json!(""), None),
            (json!("inf"), None),
            (json!(true), None),
            (json!([1]), None),
        ] {
            assert_eq!(integer(&value), expected, "{value}");
        }
        assert_eq!((float(&json!("1.5")), float(&json!(0)), float(&json!("NaN"))), (Some(1.5), Some(0.0), None));
        assert_eq!((text(&json!(2)), text(&json!(true))), (Some("2".to_owned()), None));
    }

    #[test]
    fn several_owners_are_one_text() {
        assert_eq!(joined(&json!(["a", null, "", ["b "]])).as_deref(), Some("a, b"));
        assert_eq!(joined(&json!([])), None);
        assert_eq!(joined(&json!({"name": "a"})), None);
    }

    #[test]
    fn bare_words_are_null_and_those_in_texts_stay() {
        let json = br#"{"a": [NaN, Infinity,-Infinity, -1], "NaN": "Infinity \" NaN", "b":NaN}"#;
        let mended = without_bare_numbers(json).expect("some");
        let value: Value = serde_json::from_slice(&mended).expect("JSON");
        assert_eq!(value, json!({"a": [null, null, null, -1], "NaN": "Infinity \" NaN", "b": null}));
        assert_eq!(without_bare_numbers(br#"{"a": "NaN", "b": -1}"#), None);
    }
}

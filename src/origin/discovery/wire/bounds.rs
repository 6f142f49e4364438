//! How large the parts of an answer may be. Looked at before it is parsed, since parsing multiplies what an answer takes: a JSON
//! value of two bytes becomes one of thirty.

use crate::origin::discovery::error::Kind;
use crate::origin::printable;

/// The longest text, in bytes as it came: more than ten times the longest that was seen (compiled code).
pub(crate) const LONGEST_TEXT: usize = 4 << 20;

/// The most JSON values of one answer: ten times what a page of 500 wide tables has.
pub(crate) const MOST_VALUES: usize = 2_000_000;

/// Refuses an answer that would take too much memory, and names what is too large.
pub(crate) fn check(body: &[u8]) -> Result<(), Kind> {
    let (mut at, mut values) = (0, 0);
    let (mut key, mut node): (&[u8], Option<&[u8]>) = (b"", None);
    while let Some(&byte) = body.get(at) {
        match byte {
            b'"' => {
                let text = text_at(body, at + 1);
                at += text.len() + 1;
                let after = body.get(at + 1..).and_then(|rest| rest.iter().find(|byte| !byte.is_ascii_whitespace()));
                if after == Some(&b':') {
                    key = text;
                } else if text.len() > LONGEST_TEXT {
                    let said = |bytes: &[u8]| printable(&String::from_utf8_lossy(bytes), 120);
                    let (field, node) = (said(key), node.map(said));
                    return Err(Kind::TextTooLarge { field, node, size: text.len(), limit: LONGEST_TEXT });
                } else if key == b"uniqueId" {
                    node = Some(text);
                }
            }
            b',' | b'[' | b'{' => values += 1,
            _ => {}
        }
        if values > MOST_VALUES {
            return Err(Kind::TooManyValues { values, limit: MOST_VALUES });
        }
        at += 1;
    }
    Ok(())
}

/// The text that begins here, up to its closing quote or the end.
fn text_at(body: &[u8], start: usize) -> &[u8] {
    let mut at = start;
    while let Some(&byte) = body.get(at) {
        match byte {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    &body[start..at.min(body.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_is_named_with_its_node_and_field() {
        let long = "x".repeat(LONGEST_TEXT + 1);
        let body = format!(r#"{{"data": {{"node": {{"uniqueId": "model.a", "description" : "{long}"}}}}}}"#);
        let error = check(body.as_bytes()).expect_err("too long").to_string();
        assert!(error.contains("`description` of `model.a`") && error.contains("4194304"), "{error}");
        let fits = body.replace(&long, &long[1..]);
        assert_eq!(check(fits.as_bytes()), Ok(()));
    }

    #[test]
    fn more_values_than_any_page_has_are_refused() {
        let errors = format!(r#"{{"data": null, "errors": [{}{{}}]}}"#, "{},".repeat(MOST_VALUES));
        assert!(matches!(check(errors.as_bytes()), Err(Kind::TooManyValues { .. })));
        // What stands in a text is no value.
        let text = format!(r#"["{}"]"#, "[\\\"{,".repeat(LONGEST_TEXT / 8));
        assert_eq!(check(text.as_bytes()), Ok(()));
    }

    #[test]
    fn an_answer_that_ends_within_a_text_is_no_panic() {
        for body in ["\"", "\"\\", "\"a\\\"", "{\"a\": \"b", ""] {
            assert_eq!(check(body.as_bytes()), Ok(()), "{body}");
        }
    }
}

//! Halves of a character: JSON can write one, and no text can hold it.

/// The same JSON with the replacement character for each half of a surrogate pair that stands alone; `None` where there is none.
pub(super) fn without_lone_surrogates(json: &[u8]) -> Option<Vec<u8>> {
    let (mut at, mut copied, mut kept) = (0, 0, Vec::new());
    let mut in_text = false;
    while at < json.len() {
        match json[at] {
            b'"' => in_text = !in_text,
            b'\\' if in_text => {
                let length = match (escaped(json, at), escaped(json, at + 6)) {
                    (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
                    (Some(0xD800..=0xDFFF), _) => {
                        kept.extend_from_slice(&json[copied..at]);
                        kept.extend_from_slice(b"\\ufffd");
                        copied = at + 6;
                        6
                    }
                    _ => 2,
                };
                at += length;
                continue;
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

/// The number of the escape that begins here, if one does.
fn escaped(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_that_stands_alone_is_replaced_and_a_pair_is_not() {
        for (given, expected) in [
            (r#""\ud800""#, Some(r#""\ufffd""#)),
            (r#""a\uDC00\ud83d\ude00b""#, Some(r#""a\ufffd\ud83d\ude00b""#)),
            (r#""\ud800\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#)),
            (r#""\\ud800""#, None),
            (r#""\ud83d\ude00""#, None),
            (r#""\u00"#, None),
        ] {
            let mended = without_lone_surrogates(given.as_bytes());
            assert_eq!(mended.as_deref(), expected.map(str::as_bytes), "{given}");
        }
    }
}

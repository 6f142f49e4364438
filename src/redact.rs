//! What must never be printed, and the one place that takes it out: of a message that is finished, on its way to a terminal, a log, a
//! row of `syncs` or an answer. Data of the catalog are no messages and pass as they are.
//!
//! A secret is recognized as it was written and in these spellings, each mixed with any other: other upper and lower case (from 8
//! characters on); the escapes of JSON, JavaScript and Rust (`\u0041`, `\u{41}`, `\x41`, `\101`, `\"`), also behind several `\`;
//! percent encoding, once or more often, with `+` for a blank; HTML's references (`&amp;`, `&#65;`, `&#x41;`); as a whole in
//! hexadecimal digits or in Base64 of either alphabet, also where other text was encoded with it; and its beginning where a message was
//! cut. Compressed, hashed or encrypted it is not recognized, and shorter than 4 characters it is no secret.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::{PoisonError, RwLock};

/// What stands in a secret's place.
const INSTEAD: &str = "<redacted>";

/// Shorter ones would take words out of every message.
const SHORTEST: usize = 4;

/// From so many characters on, case does not matter, and so many of a secret's first characters are enough where a text was cut.
const LONG: usize = 8;

/// All secrets that this process has met. One list for all, since whoever prints does not know whose secrets a text may hold.
static KNOWN: RwLock<Vec<Spelling>> = RwLock::new(Vec::new());

#[derive(Debug, Clone, PartialEq, Eq)]
struct Spelling {
    letters: Vec<char>,
    any_case: bool,
}

/// From now on this is printed nowhere.
pub(crate) fn keep(secret: &str) {
    if secret.chars().count() < SHORTEST {
        return;
    }
    let hexadecimal = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let base64 = (0..3).map(|before| base64_within(secret.as_bytes(), before));
    let base64 = base64.flat_map(|text| [text.replace('+', "-").replace('/', "_"), text]);
    let encoded = base64.filter(|text| text.len() >= LONG).map(|text| (text, false));
    remember([(secret.to_owned(), secret.chars().count() >= LONG), (hexadecimal, true)].into_iter().chain(encoded));
}

/// The same of what is secret in an address: user and password, and the query. The address may be no valid one.
pub(crate) fn keep_url(address: &str) {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    // Where a password holds a `/` or a `?`, the address is no valid one, and what stands before the last `@` is not the host.
    let is_valid = || url::Url::parse(address).is_ok_and(|url| url.has_host());
    let user = authority.rsplit_once('@').or_else(|| if is_valid() { None } else { rest.rsplit_once('@') });
    if let Some((user, _)) = user {
        remember([(format!("{user}@"), false)]);
        keep_decoded(user.split_once(':').map_or(user, |(_, password)| password));
    }
    let Some(query) = rest.find(['?', '#']).map(|at| &rest[at + 1..]) else { return };
    keep(query);
    for pair in query.split(['&', ';', '#', '?']) {
        keep(pair);
        let value = pair.split_once('=').map_or(pair, |(_, value)| value);
        // A short one may be any word.
        if value.len() >= LONG {
            keep_decoded(value);
        }
    }
}

fn keep_decoded(text: &str) {
    keep(text);
    let pair = format!("={text}");
    for (_, decoded) in url::form_urlencoded::parse(pair.as_bytes()) {
        keep(&decoded);
    }
}

fn remember(spellings: impl IntoIterator<Item = (String, bool)>) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    for (text, any_case) in spellings {
        let spelling = Spelling { letters: text.chars().collect(), any_case };
        if !known.contains(&spelling) {
            known.push(spelling);
        }
    }
}

/// What of the Base64 of a longer text tells of `secret`, if so many other bytes (modulo 3) come before.
fn base64_within(secret: &[u8], before: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = |at: usize| secret.get(at / 8).map_or(0, |byte| usize::from(byte >> (7 - at % 8) & 1));
    // Only digits all of whose six bits are the secret's.
    let first = (before * 8).next_multiple_of(6) - before * 8;
    let digits = (first..).step_by(6).take_while(|at| at + 6 <= secret.len() * 8);
    digits.map(|at| char::from(ALPHABET[(at..at + 6).fold(0, |sum, at| sum << 1 | bits(at))])).collect()
}

/// The text without any secret.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let (mut clean, mut at, mut copied) = (String::new(), 0, 0);
    while let Some(letter) = text[at..].chars().next() {
        match known.iter().filter_map(|spelling| spelling.end_in(text, at)).max() {
            Some(end) => {
                clean.push_str(&text[copied..at]);
                clean.push_str(INSTEAD);
                (at, copied) = (end, end);
            }
            None => at += letter.len_utf8(),
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(&text[copied..]);
    Cow::Owned(clean)
}

impl Spelling {
    /// Where this spelling ends, if it, or the beginning of it that a cut has left, begins at `start`.
    fn end_in(&self, text: &str, start: usize) -> Option<usize> {
        // A text can be read in several ways: `%41` may be an `A` or a `%`.
        let mut ends = vec![start];
        for (count, wanted) in self.letters.iter().enumerate() {
            let is_wanted =
                |c: char| c == *wanted || self.any_case && c.eq_ignore_ascii_case(wanted) || c == '+' && *wanted == ' ';
            let mut next: Vec<usize> = Vec::new();
            for end in &ends {
                let readings = readings(&text[*end..]).into_iter().flatten();
                next.extend(readings.filter(|(letter, _)| is_wanted(*letter)).map(|(_, length)| end + length));
            }
            if next.is_empty() {
                let enough = count >= LONG.min(SHORTEST.max(self.letters.len() / 2));
                let is_cut = |end: &usize| is_cut(&text[*end..]);
                return ends.into_iter().filter(|end| enough && is_cut(end)).max();
            }
            next.sort_unstable();
            next.dedup();
            ends = next;
        }
        ends.into_iter().max()
    }
}

/// True if a text was cut before this, perhaps within an escape.
fn is_cut(rest: &str) -> bool {
    let rest = match rest.strip_prefix(['\\', '%', '&']) {
        None => rest,
        Some(escape) => {
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '\\' | '#' | '{' | '%');
            let end = escape.char_indices().take(LONG).find(|(_, c)| !is_part(*c));
            &escape[end.map_or(escape.len().min(LONG), |(at, _)| at)..]
        }
    };
    rest.is_empty() || rest.starts_with(['…', '`', '\n'])
}

/// The letter that a text begins with, as it is and as an escape, each with its length.
fn readings(text: &str) -> [Option<(char, usize)>; 3] {
    let Some(first) = text.chars().next() else { return [None; 3] };
    let escaped = match first {
        '\\' => backslash(text),
        '%' => percent(text),
        '&' => reference(text),
        _ => None,
    };
    // All of them may be one that was escaped again and again.
    let backslashes = text.len() - text.trim_start_matches('\\').len();
    let one = (backslashes > 1).then_some(('\\', backslashes));
    [Some((first, first.len_utf8())), escaped, one]
}

fn backslash(text: &str) -> Option<(char, usize)> {
    let rest = text.trim_start_matches('\\');
    let before = text.len() - rest.len();
    let digits = |from: usize, count: usize| Some((letter(rest.get(from..from + count)?, 16)?, before + from + count));
    match rest.chars().next() {
        Some('u') => match rest.strip_prefix("u{").and_then(|inner| inner.split_once('}')) {
            Some((inner, _)) => Some((letter(inner, 16)?, before + inner.len() + 3)),
            None => digits(1, 4),
        },
        Some('U') => digits(1, 8),
        Some('x') => digits(1, 2),
        Some('0'..='7') => Some((letter(rest.get(..3)?, 8)?, before + 3)),
        Some(other) if other.is_ascii_punctuation() => Some((other, before + 1)),
        // An even number of them stands for half as many.
        _ => (before >= 2).then_some(('\\', 2)),
    }
    .or_else(|| (before >= 2).then_some(('\\', 2)))
}

fn percent(text: &str) -> Option<(char, usize)> {
    // `%2541` is `%41`, encoded again.
    let mut at = 1;
    while text[at..].starts_with("25") && text.get(at + 2..at + 4).is_some_and(|next| letter(next, 16).is_some()) {
        at += 2;
    }
    Some((letter(text.get(at..at + 2)?, 16)?, at + 2))
}

fn reference(text: &str) -> Option<(char, usize)> {
    const NAMED: [(&str, char); 6] =
        [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&apos;", '\''), ("&lowbar;", '_')];
    if let Some((name, letter)) = NAMED.iter().find(|(name, _)| text.starts_with(name)) {
        return Some((*letter, name.len()));
    }
    let number = text.strip_prefix("&#")?;
    let (digits, base) = number.strip_prefix(['x', 'X']).map_or((number, 10), |digits| (digits, 16));
    let end = digits.find(|c: char| !c.is_digit(base)).unwrap_or(digits.len());
    let semicolon = usize::from(digits[end..].starts_with(';'));
    Some((letter(&digits[..end], base)?, text.len() - digits.len() + end + semicolon))
}

fn letter(digits: &str, base: u32) -> Option<char> {
    let all = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
    all.then(|| u32::from_str_radix(digits, base).ok().and_then(char::from_u32)).flatten()
}

/// Writes each line without secrets.
#[derive(Debug)]
pub(crate) struct Redacted<W: Write> {
    inner: W,
    line: Vec<u8>,
}

impl<W: Write> Redacted<W> {
    /// Whatever is written here goes to `inner`.
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, line: Vec::new() }
    }

    fn write_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.inner.write_all(redact(&String::from_utf8_lossy(&line)).as_bytes())
    }
}

impl<W: Write> Write for Redacted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.write_line()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_line()?;
        self.inner.flush()
    }
}

impl<W: Write> Drop for Redacted<W> {
    fn drop(&mut self) {
        // Nothing can be done where even this fails.
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "tok_A b&\"c\\d/0123456789";

    /// The secret with each letter written by `write`.
    fn written(write: impl Fn(char) -> String) -> String {
        SECRET.chars().map(write).collect()
    }

    #[test]
    fn a_secret_is_recognized_in_every_spelling() {
        keep(SECRET);
        let inside = |text: &str| serde_json::Value::from(text).to_string().trim_matches('"').to_owned();
        let json = inside(SECRET);
        for spelled in [
            SECRET.to_owned(),
            SECRET.to_lowercase(),
            SECRET.to_uppercase(),
            json.clone(),
            inside(&json),
            format!("{SECRET:?}").trim_matches('"').to_owned(),
            written(|c| format!("\\u{:04x}", u32::from(c))),
            written(|c| format!("\\\\u{:04X}", u32::from(c))),
            written(|c| format!("\\u{{{:x}}}", u32::from(c))),
            written(|c| format!("\\x{:02x}", u32::from(c))),
            written(|c| format!("\\{:03o}", u32::from(c))),
            written(|c| format!("%{:02X}", u32::from(c))),
            written(|c| format!("%25{:02x}", u32::from(c))),
            written(|c| format!("&#{};", u32::from(c))),
            written(|c| format!("&#x{:x};", u32::from(c))),
            url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect(),
            SECRET.replace('&', "&amp;").replace('"', "&quot;"),
            written(|c| if c == 'A' { "\\u0041".to_owned() } else { c.to_string() }),
            written(|c| if c == '_' { "%5f".to_owned() } else { c.to_string() }),
            written(|c| format!("{:02x}", u32::from(c))),
            written(|c| format!("{:02X}", u32::from(c))),
        ] {
            assert_eq!(redact(&format!("a {spelled}, b")), "a <redacted>, b", "{spelled}");
            assert_eq!(redact(&spelled), "<redacted>", "{spelled}");
        }
        assert_eq!(redact(&format!("a {}…", &SECRET[..9])), "a <redacted>…", "cut");
        assert_eq!(redact(&format!("begins `{}`", &SECRET[..9])), "begins `<redacted>`", "cut");
        let escaped = written(|c| format!("\\u{:04x}", u32::from(c)));
        assert_eq!(
            redact(&format!("begins `{}…`", &escaped[..58])),
            "begins `<redacted>\\u00…`",
            "cut within an escape"
        );
        for text in ["a tok_ b", "tok_A b is not it", "", "\\", "%", "&#", "\\u00", "%2", "ü%zz&#xg;"] {
            assert!(matches!(redact(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn base64_is_recognized_also_within_other_text() {
        keep("base64 of this one");
        // Of `x`, `xy`, `xyz` before it and `!` behind.
        for encoded in [
            "YmFzZTY0IG9mIHRoaXMgb25l",
            "eGJhc2U2NCBvZiB0aGlzIG9uZSE=",
            "eHliYXNlNjQgb2YgdGhpcyBvbmUh",
            "eHl6YmFzZTY0IG9mIHRoaXMgb25lIQ==",
        ] {
            let clean = redact(encoded).into_owned();
            assert!(clean.contains(INSTEAD) && clean.len() < 20, "{clean}");
        }
    }

    #[test]
    fn an_address_keeps_its_user_its_password_and_its_query_to_itself() {
        for (address, clean) in [
            ("https://ann:PASSa1@h.example/graphql", "https://<redacted>h.example/graphql"),
            ("https://ann:p%40ss%2Fa2@h.example/", "https://<redacted>h.example/"),
            ("https://ann:pa/ss?a3@h.example/", "https://<redacted>h.example/"),
            ("ann:PASSa4@h.example", "<redacted>h.example"),
            ("https://a:b@h.example", "https://<redacted>h.example"),
            ("https://h.example/graphql?key=0a1b2c3d4e&x=1", "https://h.example/graphql?<redacted>"),
        ] {
            keep_url(address);
            assert_eq!(redact(address), clean, "{address}");
        }
        assert_eq!(redact("p@ss/a2 PASSa4 pa/ss?a3 0a1b2c3d4e"), "<redacted> <redacted> <redacted> <redacted>");
        assert_eq!(redact("ann at h.example"), "ann at h.example");
    }

    #[test]
    fn lines_are_written_whole_however_they_come() {
        keep("in several pieces");
        let mut out = Vec::new();
        let mut writer = Redacted::new(&mut out);
        for piece in ["a in sev", "eral pie", "ces b\nin several", " pieces"] {
            writer.write_all(piece.as_bytes()).expect("written");
        }
        drop(writer);
        assert_eq!(String::from_utf8(out).expect("text"), "a <redacted> b\n<redacted>");
    }
}

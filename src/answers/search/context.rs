//! Where in a node the words of a search stand, and the words around them.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::Hit;
use super::words::{Words, plain};
use crate::answers::table::table;
use crate::answers::{Error, Reader};

/// What `matched_fields` says, in the order of the index's columns: of equal hits the first is told.
const FIELDS: [&str; 9] =
    ["name", "column", "description", "column_description", "tag", "meta", "owner", "path", "dimension"];

/// FTS5 puts these around a hit. Neither is in a text that people wrote.
const OPEN: char = '\u{2}';
const CLOSE: char = '\u{3}';

/// So many characters are shown before a hit, and so many in all.
const BEFORE: usize = 30;
const SHOWN: usize = 100;

/// So many places are told of one node, if the words are not in one.
const PLACES: usize = 3;

/// Fills `matched_fields` and `context` of what was found.
pub(super) fn fill(reader: &Reader, words: &Words, hits: &mut [Hit]) -> Result<(), Error> {
    if hits.is_empty() {
        return Ok(());
    }
    let wanted: Vec<Value> =
        hits.iter().map(|hit| vec![Value::from(hit.environment_id), hit.unique_id.as_str().into()].into()).collect();
    let highlights: Vec<String> = (0..FIELDS.len()).map(|n| format!("highlight(search, {n}, ?3, ?4)")).collect();
    // The `+` keeps FTS5 from searching again for each node.
    let sql = format!(
        "SELECT k.environment_id, k.unique_id, {}
         FROM search CROSS JOIN node k ON k.node_key = search.rowid
         WHERE search MATCH ?1 AND +search.rowid IN (
             SELECT w.node_key FROM json_each(?2) j JOIN node w
             ON w.environment_id = json_extract(j.value, '$[0]') AND w.unique_id = json_extract(j.value, '$[1]'))",
        highlights.join(", ")
    );
    let (open, close) = (OPEN.to_string(), CLOSE.to_string());
    let found = table(&reader.connection, &sql, &[&words.expression, &Value::from(wanted).to_string(), &open, &close])?;
    let found: HashMap<(Option<i64>, &str), &[Value]> =
        found.rows.iter().map(|row| ((row[0].as_i64(), row[1].as_str().unwrap_or_default()), &row[2..])).collect();
    for hit in hits {
        let texts = found.get(&(Some(hit.environment_id), hit.unique_id.as_str()));
        let places = places(texts.copied().unwrap_or_default(), &words.plain);
        let mut fields: Vec<&str> = places.iter().map(|place| place.field).collect();
        fields.dedup();
        hit.matched_fields = fields.join(", ");
        let excerpts: Vec<String> = places.iter().map(|place| excerpt(&readable(place.field, place.line))).collect();
        hit.context = excerpts.join(" · ");
    }
    Ok(())
}

/// A line with a hit, and which of the words are in it.
struct Place<'a> {
    field: &'static str,
    line: &'a str,
    words: BTreeSet<usize>,
}

/// The line with the most words; then, if words are missing there, the one with most of those; and so on.
fn places<'a>(texts: &'a [Value], words: &[String]) -> Vec<Place<'a>> {
    let lines = FIELDS.into_iter().zip(texts).flat_map(|(field, text)| {
        let lines = text.as_str().unwrap_or_default().lines().filter(|line| line.contains(OPEN));
        lines.map(move |line| Place { field, line, words: marked(line, words) })
    });
    let mut lines: Vec<Place<'a>> = lines.collect();
    let mut places: Vec<Place<'a>> = Vec::new();
    let mut told: BTreeSet<usize> = BTreeSet::new();
    while places.len() < PLACES && !lines.is_empty() {
        let news = |place: &Place<'_>| place.words.difference(&told).count();
        // Of equal ones `max_by_key` would take the last.
        let best = (0..lines.len()).rev().max_by_key(|n| news(&lines[*n])).unwrap_or_default();
        if news(&lines[best]) == 0 && !places.is_empty() {
            break;
        }
        let best = lines.swap_remove(best);
        told.extend(&best.words);
        places.push(best);
    }
    places
}

/// Which of the words stand between marks. One whose letters the index takes for others (`ü` for `u`) is not recognized.
fn marked(line: &str, words: &[String]) -> BTreeSet<usize> {
    let marks = line.split(OPEN).skip(1).filter_map(|rest| rest.split_once(CLOSE));
    let marks: Vec<String> = marks.map(|(mark, _)| plain(mark)).collect();
    (0..words.len()).filter(|n| marks.iter().any(|mark| mark.starts_with(&words[*n]))).collect()
}

/// Lists and maps without the signs of JSON.
fn readable(field: &str, line: &str) -> String {
    match field {
        "tag" | "meta" => {
            let spaced = line.replace("\":", "\": ").replace(',', ", ");
            spaced.replace(['{', '}', '[', ']', '"'], "")
        }
        _ => line.to_owned(),
    }
}

/// The part of a line around its first hit, the hits between « and ».
fn excerpt(line: &str) -> String {
    let line: Vec<char> = line.trim().chars().collect();
    let hit = line.iter().position(|c| *c == OPEN).unwrap_or(0);
    let start = if line.len() <= SHOWN { 0 } else { hit.saturating_sub(BEFORE) };
    let shown = &line[start..line.len().min(start + SHOWN)];
    let count = |mark: char| shown.iter().filter(|c| **c == mark).count();
    let mut text = if start > 0 { "…".to_owned() } else { String::new() };
    text.extend(shown);
    if count(OPEN) > count(CLOSE) {
        text.push(CLOSE);
    }
    if start + shown.len() < line.len() {
        text.push('…');
    }
    text.replace(OPEN, "«").replace(CLOSE, "»")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_whole_in_its_marks_and_says_where_it_was_cut() {
        assert_eq!(excerpt(" a \u{2}hit\u{3} "), "a «hit»");
        let long = format!("{} \u{2}hit\u{3} {}", "é".repeat(200), "x".repeat(200));
        let text = excerpt(&long);
        assert!(text.starts_with('…') && text.ends_with('…') && text.contains("«hit»"), "{text}");
        assert!(text.chars().count() <= SHOWN + 2, "{text}");
        let cut = excerpt(&format!("\u{2}{}\u{3} and more", "y".repeat(300)));
        assert!(cut.ends_with("»…") && cut.matches('«').count() == 1, "{cut}");
    }

    #[test]
    fn the_line_with_most_words_is_told_and_those_with_the_others() {
        let texts = |texts: [&str; 8]| texts.map(Value::from);
        let words = ["a", "b"].map(str::to_owned);
        let told = |texts: &[Value]| -> Vec<String> {
            places(texts, &words).iter().map(|place| format!("{} {}", place.field, place.line)).collect()
        };
        let both = texts(["\u{2}a\u{3}", "x\n\u{2}A\u{3} \u{2}b\u{3}", "\u{2}a\u{3} \u{2}a\u{3}", "", "", "", "", ""]);
        assert_eq!(told(&both), ["column \u{2}A\u{3} \u{2}b\u{3}"]);
        let apart = texts(["\u{2}a\u{3}", "\u{2}ab\u{3}", "", "", "", "", "", "\u{2}b\u{3}"]);
        assert_eq!(told(&apart), ["name \u{2}a\u{3}", "path \u{2}b\u{3}"]);
        let unknown = texts(["", "", "\u{2}é\u{3}", "", "", "", "", ""]);
        assert_eq!(told(&unknown), ["description \u{2}é\u{3}"]);
        assert_eq!(told(&texts([""; 8])), [""; 0]);
    }

    #[test]
    fn lists_and_maps_are_told_without_the_signs_of_json() {
        assert_eq!(readable("meta", "c: {\"owner\":\"ana\",\"x\":[1,2]}"), "c: owner: ana, x: 1, 2");
        assert_eq!(readable("description", "a {b}"), "a {b}");
    }
}

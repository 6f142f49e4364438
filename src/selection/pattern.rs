//! The wildcards of selectors: those of a shell, as Python's `fnmatch` and `glob` have them. A pattern is taken apart once, and
//! compared in no more steps than the product of its length and the text's.

use super::budget::Budget;

/// `*` for anything, `?` for one character, `[ab]`, `[a-c]` and `[!ab]` for one of some. A `[` that is never closed stands for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Anything,
    One,
    Exactly(char),
    /// One in these ranges, which are sorted and apart; or one that is in none.
    In(Vec<(char, char)>),
    NotIn(Vec<(char, char)>),
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        let text: Vec<char> = text.chars().collect();
        let last_close = text.iter().rposition(|c| *c == ']').unwrap_or(0);
        let (mut parts, mut at) = (Vec::new(), 0);
        while let Some(c) = text.get(at) {
            let (part, next) = match c {
                '*' => (Part::Anything, at + 1),
                '?' => (Part::One, at + 1),
                '[' if at < last_close => set(&text, at).unwrap_or((Part::Exactly('['), at + 1)),
                c => (Part::Exactly(*c), at + 1),
            };
            // Two stars in a row are one.
            if part != Part::Anything || parts.last() != Some(&Part::Anything) {
                parts.push(part);
            }
            at = next;
        }
        Self(parts)
    }

    /// True if the whole text matches.
    pub(super) fn matches(&self, text: &str, budget: &Budget) -> bool {
        let (mut rest, mut place) = (text.chars(), 0);
        // Where to go on if what follows the last `*` does not match.
        let mut back = None;
        while budget.spend(1) {
            let here = rest.clone();
            let next = rest.next();
            match (self.0.get(place), next) {
                (Some(Part::Anything), _) => {
                    place += 1;
                    if place == self.0.len() {
                        return true;
                    }
                    back = Some((place, here.clone()));
                    rest = here;
                }
                (None, None) => return true,
                (Some(part), Some(c)) if part.is(c) => place += 1,
                // The text is at its end, and so is each later try.
                (_, None) => return false,
                _ => match &mut back {
                    Some((after, from)) => {
                        from.next();
                        (rest, place) = (from.clone(), *after);
                    }
                    None => return false,
                },
            }
        }
        false
    }
}

impl Part {
    fn is(&self, c: char) -> bool {
        let within = |ranges: &[(char, char)]| {
            let place = ranges.partition_point(|(low, _)| *low <= c);
            place > 0 && ranges[place - 1].1 >= c
        };
        match self {
            Self::Anything | Self::One => true,
            Self::Exactly(wanted) => *wanted == c,
            Self::In(ranges) => within(ranges),
            Self::NotIn(ranges) => !within(ranges),
        }
    }
}

/// The set that begins at `place`, and where the pattern goes on; `None` if it is not closed.
fn set(pattern: &[char], place: usize) -> Option<(Part, usize)> {
    let is_not = pattern.get(place + 1) == Some(&'!');
    let first = place + 1 + usize::from(is_not);
    // A `]` that comes first stands for itself.
    let close = (first + 1..pattern.len()).find(|at| pattern[*at] == ']')?;
    let (mut ranges, mut at) = (Vec::new(), first);
    while at < close {
        let (range, next) = match at + 2 < close && pattern[at + 1] == '-' {
            true => ((pattern[at], pattern[at + 2]), at + 3),
            false => ((pattern[at], pattern[at]), at + 1),
        };
        // One whose end comes before its begin is of nothing.
        if range.0 <= range.1 {
            ranges.push(range);
        }
        at = next;
    }
    ranges.sort_unstable();
    let mut apart: Vec<(char, char)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match apart.last_mut() {
            Some(last) if low <= last.1 => last.1 = last.1.max(high),
            _ => apart.push((low, high)),
        }
    }
    Some((if is_not { Part::NotIn(apart) } else { Part::In(apart) }, close + 1))
}

/// A path with wildcards: none reaches over a `/`, but a part `**` is any number of folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathPattern(Vec<Folder>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Folder {
    AnyNumber,
    Like(Pattern),
}

impl PathPattern {
    pub(super) fn new(text: &str) -> Self {
        let folder = |part| if part == "**" { Folder::AnyNumber } else { Folder::Like(Pattern::new(part)) };
        Self(folders(text).map(folder).collect())
    }

    /// True if the path matches as a whole.
    pub(super) fn matches(&self, path: &str, budget: &Budget) -> bool {
        self.walk(path, budget).1
    }

    /// True if the path, or a folder that it is in, matches; the outermost folder is the project's own.
    pub(super) fn matches_or_holds(&self, path: &str, budget: &Budget) -> bool {
        self.walk(path, budget).0
    }

    /// Whether the pattern was fulfilled on the way, and at the end: all places in it where one could be are followed at once.
    fn walk(&self, path: &str, budget: &Budget) -> (bool, bool) {
        let mut places = vec![false; self.0.len() + 1];
        places[0] = true;
        self.pass_over(&mut places);
        let mut on_the_way = places[self.0.len()];
        for part in folders(path) {
            let mut next = vec![false; places.len()];
            for (place, folder) in self.0.iter().enumerate().filter(|(place, _)| places[*place]) {
                match folder {
                    Folder::AnyNumber => next[place] = true,
                    Folder::Like(pattern) => next[place + 1] |= pattern.matches(part, budget),
                }
            }
            budget.spend(places.len());
            self.pass_over(&mut next);
            places = next;
            on_the_way |= places[self.0.len()];
        }
        (on_the_way, places[self.0.len()])
    }

    /// `**` may be no folder at all.
    fn pass_over(&self, places: &mut [bool]) {
        for (place, folder) in self.0.iter().enumerate() {
            places[place + 1] |= places[place] && *folder == Folder::AnyNumber;
        }
    }
}

fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(text: &str, pattern: &str) -> bool {
        Pattern::new(pattern).matches(text, &Budget::until(None))
    }

    #[test]
    fn wildcards_match_as_in_a_shell() {
        for (text, pattern, expected) in [
            ("stg_orders", "stg_*", true),
            ("stg_orders", "*_ord*s", true),
            ("stg_orders", "stg_", false),
            ("a.b", "?.b", true),
            ("", "*", true),
            ("", "", true),
            ("a", "", false),
            ("", "?", false),
            ("abc", "***", true),
            ("abc", "a[bx]c", true),
            ("abc", "a[!b]c", false),
            ("a-c", "a[-]c", true),
            ("a5c", "a[0-9]c", true),
            ("a5c", "a[9-0]c", false),
            ("a5c", "a[!9-0]c", true),
            ("a]c", "a[]]c", true),
            ("axc", "a[!]]c", true),
            ("a]c", "a[!]]c", false),
            ("a[c", "a[c", true),
            ("a[!c", "a[!c", true),
            ("[]", "[]", true),
            ("a-z", "a[a-]z", true),
            ("dx", "[a-cx-z]x", false),
            ("bx", "[x-za-c]x", true),
            ("aab", "*ab", true),
            ("Stg", "stg", false),
            ("ü", "?", true),
        ] {
            assert_eq!(matches(text, pattern), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn no_pattern_takes_more_steps_than_the_product_of_the_lengths() {
        let text = "a".repeat(2000);
        for pattern in [
            "*a".repeat(500) + "b",
            "a*".repeat(500) + "b",
            "*[a-z]".repeat(160) + "b",
            format!("*{}b", "a".repeat(998)),
            "[".repeat(1000),
            "*[a-".repeat(250),
            "?*".repeat(500) + "b",
        ] {
            let budget = Budget::until(None);
            let compiled = Pattern::new(&pattern);
            assert!(!compiled.matches(&text, &budget), "{pattern}");
            assert!(budget.spent() <= ((text.len() + 1) * (pattern.len() + 1)) as u64, "{}: {pattern}", budget.spent());
        }
    }

    proptest! {
        #[test]
        fn a_pattern_means_what_its_definition_says(text in "[ab\\[\\]-]{0,6}", pattern in "[ab*?!\\[\\]-]{0,8}") {
            fn naive(text: &[char], pattern: &[Part]) -> bool {
                match (pattern, text) {
                    ([], text) => text.is_empty(),
                    ([Part::Anything, rest @ ..], text) => (0..=text.len()).any(|skip| naive(&text[skip..], rest)),
                    ([part, rest @ ..], [c, text @ ..]) => part.is(*c) && naive(text, rest),
                    (_, []) => false,
                }
            }
            let text_chars: Vec<char> = text.chars().collect();
            prop_assert_eq!(matches(&text, &pattern), naive(&text_chars, &Pattern::new(&pattern).0));
        }
    }

    #[test]
    fn no_wildcard_reaches_over_a_folder_but_two_stars_do() {
        for (path, pattern, whole, holds) in [
            ("models/marts/a.sql", "models/*/a.sql", true, true),
            ("models/marts/a.sql", "models/*.sql", false, false),
            ("models/marts/a.sql", "models/*", false, true),
            ("models/marts/a.sql", "models/**/a.sql", true, true),
            ("models/a.sql", "models/**/a.sql", true, true),
            ("models/marts", "./models/marts/", true, true),
            ("models/marts", "marts", false, false),
            ("", "**", true, true),
            ("models", "", false, true),
            ("a/b/c", "**/**/c", true, true),
        ] {
            let (pattern_of, budget) = (PathPattern::new(pattern), Budget::until(None));
            assert_eq!(pattern_of.matches(path, &budget), whole, "{path} {pattern}");
            assert_eq!(pattern_of.matches_or_holds(path, &budget), holds, "{path} {pattern}");
        }
    }
}

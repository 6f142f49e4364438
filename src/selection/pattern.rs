//! The wildcards of selectors: those of a shell, as Python's `fnmatch` and `glob` have them.

/// True if the whole text matches: `*` for anything, `?` for one character, `[ab]`, `[a-c]` and `[!ab]` for one of some. A `[` that
/// is never closed stands for itself.
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut place) = (0, 0);
    // Where to go on if what follows the last `*` does not match.
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        if pattern.get(place) == Some(&'*') {
            back = Some((place + 1, at));
            place += 1;
        } else if let Some(next) = step(&pattern, place, text[at]) {
            (at, place) = (at + 1, next);
        } else if let Some((after, from)) = back {
            back = Some((after, from + 1));
            (at, place) = (from + 1, after);
        } else {
            return false;
        }
    }
    pattern[place..].iter().all(|c| *c == '*')
}

/// Where the pattern goes on if what stands at `place` in it (no `*`) matches `c`.
fn step(pattern: &[char], place: usize, c: char) -> Option<usize> {
    match pattern.get(place)? {
        '?' => Some(place + 1),
        '[' => match set(pattern, place) {
            Some((wanted, is_not, end)) => {
                (wanted.iter().any(|(low, high)| (*low..=*high).contains(&c)) != is_not).then_some(end)
            }
            None => (c == '[').then_some(place + 1),
        },
        other => (*other == c).then_some(place + 1),
    }
}

/// The ranges of a set that begins at `place`, whether it is negated, and where the pattern goes on; `None` if it is not closed.
#[allow(clippy::type_complexity)]
fn set(pattern: &[char], place: usize) -> Option<(Vec<(char, char)>, bool, usize)> {
    let is_not = pattern.get(place + 1) == Some(&'!');
    let first = place + 1 + usize::from(is_not);
    // A `]` that comes first stands for itself.
    let close = (first + 1..pattern.len()).find(|at| pattern[*at] == ']')?;
    let (mut ranges, mut at) = (Vec::new(), first);
    while at < close {
        if at + 2 < close && pattern[at + 1] == '-' {
            ranges.push((pattern[at], pattern[at + 2]));
            at += 3;
        } else {
            ranges.push((pattern[at], pattern[at]));
            at += 1;
        }
    }
    Some((ranges, is_not, close + 1))
}

/// True if a path matches, part by part: no wildcard reaches over a `/`, but a part `**` is any number of folders.
pub(super) fn matches_path(path: &str, pattern: &str) -> bool {
    fn parts(text: &str) -> Vec<&str> {
        text.split('/').filter(|part| !part.is_empty() && *part != ".").collect()
    }
    let (path, pattern) = (parts(path), parts(pattern));
    let (mut at, mut place, mut back) = (0, 0, None);
    while at < path.len() {
        match pattern.get(place) {
            Some(&"**") => {
                back = Some((place + 1, at));
                place += 1;
            }
            Some(part) if matches(path[at], part) => (at, place) = (at + 1, place + 1),
            _ => match back {
                Some((after, from)) => {
                    back = Some((after, from + 1));
                    (at, place) = (from + 1, after);
                }
                None => return false,
            },
        }
    }
    pattern[place..].iter().all(|part| *part == "**")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_in_a_shell() {
        for (text, pattern, expected) in [
            ("stg_orders", "stg_*", true),
            ("stg_orders", "*_ord*s", true),
            ("stg_orders", "stg_", false),
            ("a.b", "?.b", true),
            ("", "*", true),
            ("", "?", false),
            ("abc", "a[bx]c", true),
            ("abc", "a[!b]c", false),
            ("a-c", "a[-]c", true),
            ("a5c", "a[0-9]c", true),
            ("a]c", "a[]]c", true),
            ("a[c", "a[c", true),
            ("aab", "*ab", true),
            ("Stg", "stg", false),
        ] {
            assert_eq!(matches(text, pattern), expected, "{text} {pattern}");
        }
        assert!(!matches(&"a".repeat(5000), &format!("{}b*", "*a".repeat(20))), "in no time");
    }

    #[test]
    fn no_wildcard_reaches_over_a_folder_but_two_stars_do() {
        for (path, pattern, expected) in [
            ("models/marts/a.sql", "models/*/a.sql", true),
            ("models/marts/a.sql", "models/*.sql", false),
            ("models/marts/a.sql", "models/**/a.sql", true),
            ("models/a.sql", "models/**/a.sql", true),
            ("models/marts", "./models/marts/", true),
            ("", "**", true),
            ("models", "", false),
        ] {
            assert_eq!(matches_path(path, pattern), expected, "{path} {pattern}");
        }
    }
}

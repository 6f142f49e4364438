//! Descriptions that say nothing: told as people read them, without case, and without what is invisible around them.

use super::spelling::folded;

/// Descriptions that say nothing.
#[derive(Debug, Default)]
pub struct Placeholders(Vec<String>);

impl Placeholders {
    /// Those that the configuration lists.
    pub fn new(listed: &[String]) -> Self {
        Self(listed.iter().map(|text| folded(shown(text)).collect()).collect())
    }

    /// True if a description, as a whole, is a listed text or the name of the thing itself.
    pub fn include(&self, description: &str, name: Option<&str>) -> bool {
        let is = |text: &str| folded(shown(description)).eq(text.chars());
        self.0.iter().any(|listed| is(listed))
            || name.is_some_and(|name| folded(shown(description)).eq(folded(shown(name))))
    }
}

/// True if nothing of the text can be seen.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(is_invisible)
}

/// The text without what is invisible around it.
fn shown(text: &str) -> &str {
    text.trim_matches(is_invisible)
}

/// White space of any kind: what Unicode calls so, what has no width, and what is drawn as nothing.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(
            c,
            '\u{2060}'..='\u{206f}' | '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholders(listed: &[&str]) -> Placeholders {
        Placeholders::new(&listed.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_placeholder_is_one_in_any_case_and_within_any_white_space() {
        let listed = placeholders(&["todo", "à compléter", "groß", " n/a ", "σκοπός", "diğer"]);
        for text in [
            "todo",
            "TODO",
            " ToDo\n",
            "\u{a0}todo\u{3000}",
            "\u{2028}\ttodo\u{85}\u{200b}",
            "\u{feff}todo",
            "À COMPLÉTER",
            "GROSS",
            "GROẞ",
            "N/A",
            "ΣΚΟΠΌΣ",
            "DIĞER",
        ] {
            assert!(listed.include(text, None), "{text:?}");
        }
        for text in ["todo!", "to do", "to\u{a0}do", "a todo", "a completer", "grob", "dığer", "", "-"] {
            assert!(!listed.include(text, None), "{text:?}");
        }
    }

    #[test]
    fn the_own_name_says_nothing_however_it_is_written() {
        let none = placeholders(&[]);
        for (text, name) in [("Straße\u{a0}", "STRASSE"), ("ORDERS", "orders"), ("İd", "i̇d"), ("ſtatus", "Status")]
        {
            assert!(none.include(text, Some(name)), "{text} {name}");
        }
        assert!(!none.include("orders", Some("order")));
        assert!(!none.include("ıd", Some("id")), "a dotless i is another letter");
        assert!(!none.include("orders", None));
    }

    #[test]
    fn what_cannot_be_seen_is_blank() {
        for text in ["", " ", "\n\t", "\u{a0}", "\u{200b}\u{feff}", "\u{2003}\u{3000}\u{2029}", "\u{2800}", "\0\u{7}"] {
            assert!(is_blank(text), "{text:?}");
        }
        for text in [".", "-", " a ", "\u{301}", "か"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }
}

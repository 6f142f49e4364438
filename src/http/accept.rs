//! In which form the rows of a view are asked for, by `Accept`.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use super::problem::Problem;
use crate::output::Format;

/// A form of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Csv,
    Ndjson,
}

impl Form {
    /// The first is answered to those to whom all are the same.
    pub(super) const ALL: [Self; 3] = [Self::Json, Self::Csv, Self::Ndjson];

    /// What is asked for; json where nothing is said.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges: Vec<Range<'_>> = values.flat_map(|value| value.split(',')).filter_map(Range::of).collect();
        if ranges.is_empty() {
            return Ok(Self::Json);
        }
        let mut best = (0.0, None);
        for form in Self::ALL {
            let wish = form.wish(&ranges);
            if wish > best.0 {
                best = (wish, Some(form));
            }
        }
        best.1.ok_or(Problem::NotAcceptable)
    }

    /// How much it is wished for: the range that fits best says that.
    fn wish(self, ranges: &[Range<'_>]) -> f32 {
        let fitting = ranges.iter().filter_map(|range| Some((range.fits(self.name())?, range.wish)));
        fitting.max_by_key(|(fit, _)| *fit).map_or(0.0, |(_, wish)| wish)
    }

    /// Its media type.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// What `Content-Type` says.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            other => other.name(),
        }
    }

    /// How it is written.
    pub(super) fn format(self) -> Format {
        match self {
            Self::Json => Format::Json,
            Self::Csv => Format::Csv,
            Self::Ndjson => Format::Ndjson,
        }
    }
}

/// A part of `Accept`: which types, and how much they are wished for.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    wish: f32,
}

impl<'a> Range<'a> {
    /// What can't be understood is as if it was not there.
    fn of(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let wish =
            parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        let wish =
            wish.map_or(Some(1.0), |(_, wish)| wish.trim().parse().ok().filter(|wish| (0.0..=1.0).contains(wish)))?;
        Some(Self { kind, subtype, wish })
    }

    /// How closely it names this type, if it does.
    fn fits(&self, name: &str) -> Option<u8> {
        let (kind, subtype) = name.split_once('/')?;
        match (self.kind.eq_ignore_ascii_case(kind), self.subtype.eq_ignore_ascii_case(subtype)) {
            (true, true) => Some(2),
            (true, false) if self.subtype == "*" => Some(1),
            _ if (self.kind, self.subtype) == ("*", "*") => Some(0),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_the_one_that_is_wished_for_most() {
        let of = |texts: &[&str]| {
            let mut headers = HeaderMap::new();
            for text in texts {
                headers.append(ACCEPT, text.parse().expect("a header"));
            }
            Form::of(&headers).ok()
        };
        for (texts, form) in [
            (&[][..], Some(Form::Json)),
            (&[""], Some(Form::Json)),
            (&["*/*"], Some(Form::Json)),
            (&["application/*"], Some(Form::Json)),
            (&["text/csv"], Some(Form::Csv)),
            (&["TEXT/CSV; charset=utf-8"], Some(Form::Csv)),
            (&["text/*"], Some(Form::Csv)),
            (&["application/x-ndjson"], Some(Form::Ndjson)),
            (&["application/json;q=0.5, text/csv"], Some(Form::Csv)),
            (&["application/json;q=0.5", "application/x-ndjson;q=0.7"], Some(Form::Ndjson)),
            (&["text/csv, application/json"], Some(Form::Json)),
            (&["application/json;q=0, */*;q=0.1"], Some(Form::Csv)),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], Some(Form::Json)),
            (&["text/html"], None),
            (&["application/json;q=0"], None),
            (&["text/csv;q=2, application/json;q=0.1"], Some(Form::Json)),
        ] {
            assert_eq!(of(texts), form, "{texts:?}");
        }
    }
}

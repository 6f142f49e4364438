//! A moment, in milliseconds, as the views write it.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};

/// A moment in UTC, to the millisecond. Its text is RFC 3339: `2026-11-01T06:00:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Milliseconds since 1970 began; `None` outside the years 2 to 9999 (the platform writes year 1 for "none").
    pub fn from_millis(millis: i64) -> Option<Self> {
        let year = DateTime::<Utc>::from_timestamp_millis(millis).map(|time| chrono::Datelike::year(&time));
        year.filter(|year| (2..=9999).contains(year)).map(|_| Self(millis))
    }

    /// The present moment. Only the edges of the program ask for it; everything else is given the time.
    pub fn now() -> Self {
        Self(Utc::now().timestamp_millis())
    }

    /// Milliseconds since 1970 began.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339, with or without a zone (then UTC), with a blank for the `T`, a zone of any spelling (`+0200`, `+02`, `UTC`), or a
    /// bare date. `None` for anything else and for year 1, by which the platform means "none".
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_suffix("UTC").map_or(text, str::trim_end);
        let spelled = || {
            let formats = ["%Y-%m-%dT%H:%M:%S%.f %#z", "%Y-%m-%d %H:%M:%S%.f %#z"];
            formats.iter().find_map(|format| DateTime::parse_from_str(text, format).ok())
        };
        let zoned = DateTime::parse_from_rfc3339(text).ok().or_else(spelled).map(|time| time.timestamp_millis());
        let plain = || {
            let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
            formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        };
        let date = || chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
        let millis = zoned.or_else(|| Some(plain().or_else(date)?.and_utc().timestamp_millis()))?;
        Self::from_millis(millis)
    }

    /// What people write on a command line or in an address: whatever [`parse`](Self::parse) reads, also without seconds, or how
    /// long ago (`7d`, `24h`, `90m`). A bare date means the end of that day in UTC if `end_of_day`, else its beginning.
    ///
    /// # Errors
    /// A sentence that says what can be read.
    pub fn of_people(text: &str, now: Self, end_of_day: bool) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || {
            format!(
                "`{text}` is no time: write 2026-03-31, 2026-03-31T06:00:00Z, or how long ago, as in 7d, 24h or 90m"
            )
        };
        let ago = || {
            let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
            let unit = match unit {
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return None,
            };
            let number = number.parse::<u32>().ok()?;
            Self::from_millis(now.0 - i64::from(number) * unit)
        };
        let is_date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok();
        let found = Self::parse(text).or_else(|| Self::parse(&format!("{}:00Z", text.trim_end_matches('Z'))));
        match found.or_else(ago) {
            Some(day) if is_date && end_of_day => Ok(day.plus_millis(86_400_000 - 1)),
            found => found.ok_or_else(wrong),
        }
    }

    /// The same moment, so many milliseconds later.
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// How many milliseconds lie between `earlier` and this moment; negative if it is later.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        f.pad(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_shape_read_as_one_text() {
        for text in [
            "2026-11-01T06:00:00Z",
            "2026-11-01T07:00:00.000+01:00",
            "2026-11-01 06:00:00",
            "2026-11-01T06:00:00.000000",
            "2026-11-01 06:00:00.00+00:00",
            "2026-11-01T08:00:00+0200",
            "2026-11-01 08:00:00 +02",
            "2026-11-01 06:00:00 UTC",
        ] {
            assert_eq!(Timestamp::parse(text).expect(text).to_string(), "2026-11-01T06:00:00.000Z");
        }
        assert_eq!(Timestamp::parse("2026-11-01").expect("a date").to_string(), "2026-11-01T00:00:00.000Z");
    }

    #[test]
    fn people_write_dates_times_and_how_long_ago() {
        let now = Timestamp::parse("2026-11-24T12:00:00Z").expect("a time");
        for (text, end_of_day, expected) in [
            ("2026-03-31", true, "2026-03-31T23:59:59.999Z"),
            ("2026-03-31", false, "2026-03-31T00:00:00.000Z"),
            ("2026-03-31T06:00", true, "2026-03-31T06:00:00.000Z"),
            ("2026-03-31 06:00:30", true, "2026-03-31T06:00:30.000Z"),
            ("2026-03-31T06:00:00+02:00", true, "2026-03-31T04:00:00.000Z"),
            ("7d", true, "2026-11-17T12:00:00.000Z"),
            ("90m", false, "2026-11-24T10:30:00.000Z"),
        ] {
            let time = Timestamp::of_people(text, now, end_of_day).expect(text);
            assert_eq!(time.to_string(), expected, "{text}");
        }
        for text in ["", "d", "soon", "7w", "-7d", "2026-13-01", "99999999999d", "ä"] {
            let error = Timestamp::of_people(text, now, true).expect_err(text);
            assert!(error.contains("is no time"), "{error}");
        }
    }

    #[test]
    fn year_one_means_none() {
        assert_eq!(Timestamp::parse("0001-01-01T00:00:00.000Z"), None);
        assert_eq!(Timestamp::parse("soon"), None);
    }
}

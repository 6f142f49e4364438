//! When to sync: five-field cron text, or an interval, to the next time. Pure; the only file that knows `cron`.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::time::Timestamp;

/// How far a clock is ever set forward or back, and then some.
const CLOCK_CHANGE: TimeDelta = TimeDelta::hours(3);

/// When to sync.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// At the times of a cron expression.
    Cron(Cron),
    /// Ever again after so long.
    Every(Duration),
}

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub struct Cron {
    /// One schedule, or two where day and weekday are both restricted: crontab fires when either matches.
    schedules: Vec<cron::Schedule>,
    zone: Tz,
    /// The hour is `*` or `*/n`: such an expression means "so often", and fires through both halves of a repeated hour.
    every_hour: bool,
}

impl Schedule {
    /// An interval of at least a second.
    pub fn every(interval: Duration) -> Option<Self> {
        (interval >= Duration::from_secs(1)).then_some(Self::Every(interval))
    }

    /// Reads minute, hour, day of month, month and weekday, the last by name (`mon-fri`, `sun`), as a crontab has them.
    ///
    /// Where the clock is set forward, a time that does not exist fires at the first moment after the gap. Where it is set
    /// back, a time that comes twice fires the first time only, unless the hour is `*` or `*/n`.
    ///
    /// # Errors
    /// In plain words, if the expression is not valid or never fires.
    pub fn cron(expression: &str, zone: Tz) -> Result<Self, String> {
        let fields: Vec<&str> = expression.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!(
                "a schedule has five fields (minute hour day month weekday), and this has {}: e.g. `*/15 * * * *`",
                fields.len()
            ));
        };
        if weekday.contains(|c: char| c.is_ascii_digit()) {
            return Err(
                "name the weekday (mon, tue-fri), since numbers mean different days to different programs".to_owned()
            );
        }
        let parse = |day: &str, weekday: &str| {
            let text = format!("0 {minute} {hour} {day} {month} {weekday}");
            cron::Schedule::from_str(&text)
                .map_err(|_| "is no cron expression: e.g. `*/15 * * * *` or `30 6 * * mon-fri`".to_owned())
        };
        let schedules = match (day, weekday) {
            (day, weekday) if day != "*" && weekday != "*" => vec![parse(day, "*")?, parse("*", weekday)?],
            (day, weekday) => vec![parse(day, weekday)?],
        };
        let every_hour = hour == "*" || hour.starts_with("*/");
        let schedule = Self::Cron(Cron { schedules, zone, every_hour });
        let fires = Timestamp::from_millis(0).and_then(|start| schedule.next(start)).is_some();
        if fires { Ok(schedule) } else { Err("never fires: there is no such day".to_owned()) }
    }

    /// The first time after `after`.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(interval) => Some(after.plus_millis(i64::try_from(interval.as_millis()).ok()?)),
            Self::Cron(cron) => {
                let after = DateTime::from_timestamp_millis(after.millis())?;
                let next = cron.schedules.iter().filter_map(|schedule| cron.next_of(schedule, after)).min()?;
                Timestamp::from_millis(next.timestamp_millis())
            }
        }
    }

    /// The next three times from now, for people: to the minute, where they are whole minutes.
    pub fn next_three(&self) -> String {
        let short = |time: &Timestamp| {
            let text = time.to_string();
            text.strip_suffix(":00.000Z").map_or(text.clone(), |minute| format!("{minute}Z"))
        };
        self.upcoming(Timestamp::now(), 3).iter().map(short).collect::<Vec<_>>().join(", ")
    }

    /// The next `count` times after `after`.
    pub fn upcoming(&self, after: Timestamp, count: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next(after), |time| self.next(*time)).take(count).collect()
    }
}

impl Cron {
    /// The expression is followed on the clock on the wall, and each of its times is then looked up on the time line.
    fn next_of(&self, schedule: &cron::Schedule, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let wall = after.with_timezone(&self.zone).naive_local();
        let mut first: Option<(NaiveDateTime, DateTime<Utc>)> = None;
        for time in schedule.after(&Utc.from_utc_datetime(&(wall - CLOCK_CHANGE))) {
            let time = time.naive_utc();
            if first.is_some_and(|(found, _)| time > found + CLOCK_CHANGE) {
                break;
            }
            let moments = self.moments(time);
            for moment in moments.into_iter().flatten().filter(|moment| *moment > after) {
                let earlier = first.is_none_or(|(_, best)| moment < best);
                if earlier {
                    first = Some((first.map_or(time, |(found, _)| found), moment));
                }
            }
        }
        first.map(|(_, moment)| moment)
    }

    /// When the wall clock shows `time`: once, twice, or (in a gap) when it first shows something later.
    fn moments(&self, time: NaiveDateTime) -> [Option<DateTime<Utc>>; 2] {
        let utc = |moment: DateTime<Tz>| moment.with_timezone(&Utc);
        match self.zone.from_local_datetime(&time) {
            LocalResult::Single(moment) => [Some(utc(moment)), None],
            LocalResult::Ambiguous(first, second) => [Some(utc(first)), self.every_hour.then(|| utc(second))],
            LocalResult::None => {
                let later = (1..=CLOCK_CHANGE.num_minutes()).map(|minutes| time + TimeDelta::minutes(minutes));
                let shown = |time: NaiveDateTime| self.zone.from_local_datetime(&time).earliest();
                [later.into_iter().find_map(shown).map(utc), None]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, Timelike};
    use proptest::prelude::*;

    use super::*;

    fn firings(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::cron(expression, zone.parse().expect("a zone")).expect(expression);
        let after = Timestamp::parse(after).expect("a time");
        schedule.upcoming(after, count).iter().map(|time| time.to_string()[..16].to_owned()).collect()
    }

    #[test]
    fn weekdays_are_names_and_mean_what_they_say() {
        // 2026-11-23 is a Monday.
        let times = firings("30 6 * * mon-fri", "UTC", "2026-11-20T12:00:00Z", 2);
        assert_eq!(times, ["2026-11-23T06:30", "2026-11-24T06:30"]);
    }

    #[test]
    fn a_day_or_a_weekday_is_enough() {
        let times = firings("0 0 13 * fri", "UTC", "2026-11-10T00:00:00Z", 3);
        assert_eq!(times, ["2026-11-13T00:00", "2026-11-20T00:00", "2026-11-27T00:00"]);
        let times = firings("0 0 15 * fri", "UTC", "2026-11-14T00:00:00Z", 2);
        assert_eq!(times, ["2026-11-15T00:00", "2026-11-20T00:00"]);
    }

    #[test]
    fn a_time_in_the_gap_fires_right_after_it() {
        // Vienna: 2026-03-29 02:00 becomes 03:00, which is 01:00 UTC.
        let times = firings("30 2 * * *", "Europe/Vienna", "2026-03-28T12:00:00Z", 2);
        assert_eq!(times, ["2026-03-29T01:00", "2026-03-30T00:30"]);
        // Santiago: 2026-09-06 00:00 becomes 01:00, which is 04:00 UTC.
        let times = firings("0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", 2);
        assert_eq!(times, ["2026-09-06T04:00", "2026-09-07T03:00"]);
    }

    #[test]
    fn a_time_that_comes_twice_fires_once_unless_it_means_so_often() {
        // Vienna: 2026-10-25 03:00 becomes 02:00; 02:30 is 00:30 and again 01:30 UTC.
        let times = firings("30 2 * * *", "Europe/Vienna", "2026-10-24T12:00:00Z", 2);
        assert_eq!(times, ["2026-10-25T00:30", "2026-10-26T01:30"]);
        let times = firings("*/30 * * * *", "Europe/Vienna", "2026-10-25T00:10:00Z", 4);
        assert_eq!(times, ["2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30", "2026-10-25T02:00"]);
    }

    #[test]
    fn mistakes_are_told_in_plain_words() {
        for (expression, part) in [
            ("*/15 * * *", "five fields"),
            ("0 0 * * 1-5", "name the weekday"),
            ("0 25 * * *", "no cron expression"),
            ("0 0 30 2 *", "never fires"),
            ("every day at six", "five fields"),
        ] {
            let error = Schedule::cron(expression, Tz::UTC).expect_err(expression);
            assert!(error.contains(part), "{expression}: {error}");
        }
        assert!(Schedule::every(Duration::from_millis(10)).is_none());
    }

    fn matches(field: &str, value: u32) -> bool {
        field == "*"
            || field.strip_prefix("*/").is_some_and(|step| value.is_multiple_of(step.parse::<u32>().expect("a step")))
            || field.split(',').any(|part| part.parse() == Ok(value))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_next_time_is_the_first_minute_that_matches(
            minute in prop::sample::select(vec!["*", "*/7", "0", "5,50"]),
            hour in prop::sample::select(vec!["*", "*/5", "3", "0,23"]),
            day in prop::sample::select(vec!["*", "1", "13,28"]),
            weekday in prop::sample::select(vec!["*", "sun", "mon,fri"]),
            start in 1_790_000_000_i64..1_800_000_000,
        ) {
            let schedule = Schedule::cron(&format!("{minute} {hour} {day} * {weekday}"), Tz::UTC).expect("valid");
            let after = DateTime::<Utc>::from_timestamp(start, 0).expect("a time");
            let names = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
            let fires = |time: DateTime<Utc>| {
                let by_day = matches(day, time.day());
                let by_weekday = weekday == "*" || weekday.split(',').any(|name| {
                    names[time.weekday().num_days_from_sunday() as usize] == name
                });
                let days = if day != "*" && weekday != "*" { by_day || by_weekday } else { by_day && by_weekday };
                matches(minute, time.minute()) && matches(hour, time.hour()) && days
            };
            let next_minute = after + TimeDelta::seconds(60 - i64::from(after.second()));
            let naive = (0..60 * 24 * 40).map(|n| next_minute + TimeDelta::minutes(n)).find(|time| fires(*time));
            let found = schedule.next(Timestamp::from_millis(start * 1000).expect("a time"));
            prop_assert_eq!(found.map(Timestamp::millis), naive.map(|time| time.timestamp_millis()));
        }
    }
}

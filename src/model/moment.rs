//! Moments as people write them: `2 hours ago`, `yesterday 14:00`, `2026-11-20`, `2026-11-20 13:00`, `14:00`.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};

use super::timestamp::Timestamp;

/// The moment that a text names, told at `now` in a time zone; `None` when it names none. A day alone means its end: what was
/// newest on that day; today means now. A time alone is of today.
#[must_use]
pub fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let now = jiff::Timestamp::from_second(now.seconds()).ok()?;
    let now = now.to_zoned(zone.clone());
    let words: Vec<&str> = text
        .split([' ', 'T'])
        .filter(|word| !word.is_empty())
        .collect();
    let moment = match words.as_slice() {
        ["now"] => now,
        [count, unit, "ago"] => now.checked_sub(span(count.parse().ok()?, unit)?).ok()?,
        [day] => match (date(day, &now), time(day)) {
            (Some(date), _) if date == now.date() => now,
            (Some(date), _) => end_of(date, zone)?,
            (None, Some(time)) => now.date().to_datetime(time).to_zoned(zone.clone()).ok()?,
            (None, None) => return None,
        },
        [day, clock] => date(day, &now)?
            .to_datetime(time(clock)?)
            .to_zoned(zone.clone())
            .ok()?,
        _ => return None,
    };
    Some(Timestamp::from_seconds(moment.timestamp().as_second()))
}

fn end_of(date: Date, zone: &TimeZone) -> Option<Zoned> {
    let next = date.tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
    next.checked_sub(Span::new().seconds(1)).ok()
}

/// A span of so many units; whole units only.
fn span(count: i64, unit: &str) -> Option<Span> {
    let span = Span::new();
    let unit = unit.strip_suffix('s').unwrap_or(unit);
    let made = match unit {
        "second" => span.try_seconds(count),
        "minute" => span.try_minutes(count),
        "hour" => span.try_hours(count),
        "day" => span.try_days(count),
        "week" => span.try_weeks(count),
        "month" => span.try_months(count),
        "year" => span.try_years(count),
        _ => return None,
    };
    made.ok().filter(|_| count >= 0)
}

fn date(text: &str, now: &Zoned) -> Option<Date> {
    match text {
        "today" => Some(now.date()),
        "yesterday" => now.date().yesterday().ok(),
        _ => {
            let is_date =
                text.len() == 10 && text.bytes().filter(|byte| *byte == b'-').count() == 2;
            text.parse().ok().filter(|_| is_date)
        }
    }
}

fn time(text: &str) -> Option<Time> {
    let is_time = matches!(text.len(), 5 | 8) && text.contains(':');
    text.parse().ok().filter(|_| is_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_understood_in_their_time_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let of = |text: &str| {
            let time: jiff::Timestamp = text.parse().unwrap();
            Timestamp::from_seconds(time.as_second())
        };
        let now = of("2026-11-25T12:30:00Z");
        for (text, moment) in [
            ("now", "2026-11-25T12:30:00Z"),
            ("2 hours ago", "2026-11-25T10:30:00Z"),
            ("1 hour ago", "2026-11-25T11:30:00Z"),
            ("90 minutes ago", "2026-11-25T11:00:00Z"),
            ("3 days ago", "2026-11-22T12:30:00Z"),
            ("yesterday", "2026-11-24T21:59:59Z"),
            ("yesterday 14:00", "2026-11-24T12:00:00Z"),
            ("today 09:15", "2026-11-25T07:15:00Z"),
            ("09:15", "2026-11-25T07:15:00Z"),
            ("2026-11-20", "2026-11-20T21:59:59Z"),
            ("2026-11-20 13:00", "2026-11-20T11:00:00Z"),
            ("2026-11-20T13:00:30", "2026-11-20T11:00:30Z"),
        ] {
            assert_eq!(parse(text, now, &zone), Some(of(moment)), "{text}");
        }
        for text in [
            "",
            "soon",
            "hours ago",
            "-1 hours ago",
            "1.5 hours ago",
            "2 fortnights ago",
            "2026-13-01",
            "2026-11-31",
            "25:00",
            "yesterday 25:00",
            "2026-11-20 13:00 14:00",
            "99999999999999 years ago",
        ] {
            assert_eq!(parse(text, now, &zone), None, "{text}");
        }
    }
}

//! Which snapshots a policy keeps: the newest ones, and the last of each of the newest hours, days and weeks.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::escape::text_name;
use super::timestamp::Timestamp;

/// How many of each kind are kept. What any of them keeps is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The newest ones.
    pub last: u64,
    /// The newest one of each of so many hours that have any.
    pub hourly: u64,
    /// The same of days.
    pub daily: u64,
    /// The same of weeks, which begin on Monday.
    pub weekly: u64,
    /// Those with one of these labels.
    pub labels: Vec<String>,
    /// And of those only the newest ones that fit into so many bytes.
    pub max_bytes: Option<u64>,
}

impl Policy {
    /// Whether it says what to keep, so that anything else may go.
    #[must_use]
    pub fn keeps_by_rule(&self) -> bool {
        let counts = [self.last, self.hourly, self.daily, self.weekly];
        counts.iter().any(|count| *count > 0) || !self.labels.is_empty()
    }

    /// In words, for the log.
    #[must_use]
    pub fn words(&self) -> String {
        let counts = [
            ("last", self.last),
            ("hourly", self.hourly),
            ("daily", self.daily),
            ("weekly", self.weekly),
        ];
        let counts = counts.into_iter().filter(|(_, count)| *count > 0);
        let mut words: Vec<String> = counts
            .map(|(name, count)| format!("--keep-{name} {count}"))
            .collect();
        let labels = self.labels.iter();
        words.extend(labels.map(|label| format!("--keep-label {}", text_name(label.as_bytes()))));
        words.extend(self.max_bytes.map(|bytes| format!("--max-size {bytes}")));
        words.join(" ")
    }

    /// Why each of some snapshots is kept, given when they were sealed and what labels they have, the oldest first; nothing for one
    /// that is not kept. The size is not asked.
    #[must_use]
    pub fn reasons(
        &self,
        snapshots: &[(Timestamp, &[String])],
        zone: &TimeZone,
    ) -> Vec<Vec<&'static str>> {
        let mut reasons = vec![Vec::new(); snapshots.len()];
        if !self.keeps_by_rule() {
            // Only a size is given, or nothing: by rule, all stay.
            return vec![vec!["fits"]; snapshots.len()];
        }
        let newest_first = || snapshots.iter().enumerate().rev();
        let mut note = |place: usize, reason| {
            if let Some(reasons) = reasons.get_mut(place) {
                reasons.push(reason);
            }
        };
        let places = newest_first().map(|(place, _)| place);
        for place in places.take(usize::try_from(self.last).unwrap_or(usize::MAX)) {
            note(place, "last");
        }
        let calendar: [(&'static str, u64, BucketOf); 3] = [
            ("hourly", self.hourly, hour),
            ("daily", self.daily, day),
            ("weekly", self.weekly, week),
        ];
        for (reason, count, bucket_of) in calendar {
            let mut buckets: BTreeMap<Bucket, usize> = BTreeMap::new();
            for (place, (time, _)) in newest_first() {
                let is_full = buckets.len() as u64 >= count;
                let Some(bucket) = zoned(*time, zone).as_ref().map(bucket_of) else {
                    // A time outside of the calendar is in no hour: it stays.
                    note(place, reason);
                    continue;
                };
                if !is_full && !buckets.contains_key(&bucket) {
                    buckets.insert(bucket, place);
                    note(place, reason);
                }
            }
        }
        for (place, (_, labels)) in newest_first() {
            if labels.iter().any(|label| self.labels.contains(label)) {
                note(place, "label");
            }
        }
        reasons
    }
}

/// An hour, day or week.
type Bucket = (i16, i16, i64);

/// Gives the one that a time is in.
type BucketOf = fn(&jiff::Zoned) -> Bucket;

fn zoned(time: Timestamp, zone: &TimeZone) -> Option<jiff::Zoned> {
    let time = jiff::Timestamp::from_second(time.seconds()).ok()?;
    Some(time.to_zoned(zone.clone()))
}

/// Two hours of one name, when clocks are set back, are two.
fn hour(time: &jiff::Zoned) -> Bucket {
    let began = time.timestamp().as_second() - i64::from(time.minute()) * 60;
    (0, 0, (began - i64::from(time.second())).div_euclid(60))
}

fn day(time: &jiff::Zoned) -> Bucket {
    (time.year(), time.day_of_year(), 0)
}

fn week(time: &jiff::Zoned) -> Bucket {
    let week = time.date().iso_week_date();
    (week.year(), i16::from(week.week()), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One snapshot at each of these times, in seconds.
    fn kept(policy: &Policy, times: &[i64]) -> Vec<i64> {
        let snapshots: Vec<(Timestamp, &[String])> = times
            .iter()
            .map(|time| (Timestamp::from_seconds(*time), &[][..]))
            .collect();
        let reasons = policy.reasons(&snapshots, &TimeZone::UTC);
        let kept = times.iter().zip(reasons);
        kept.filter(|(_, reasons)| !reasons.is_empty())
            .map(|(time, _)| *time)
            .collect()
    }

    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    #[test]
    fn the_last_of_each_hour_day_and_week_that_has_any_is_kept() {
        // 1970-01-01 was a Thursday.
        let times = [0, 10, HOUR, HOUR + 10, DAY, 5 * DAY, 5 * DAY + 1, 12 * DAY];
        let policy = |hourly, daily, weekly| Policy {
            hourly,
            daily,
            weekly,
            ..Policy::default()
        };
        assert_eq!(kept(&policy(2, 0, 0), &times), [5 * DAY + 1, 12 * DAY]);
        assert_eq!(
            kept(&policy(100, 0, 0), &times),
            [10, HOUR + 10, DAY, 5 * DAY + 1, 12 * DAY]
        );
        assert_eq!(
            kept(&policy(0, 100, 0), &times),
            [HOUR + 10, DAY, 5 * DAY + 1, 12 * DAY]
        );
        assert_eq!(
            kept(&policy(0, 0, 100), &times),
            [DAY, 5 * DAY + 1, 12 * DAY]
        );
    }

    #[test]
    fn what_any_rule_keeps_is_kept() {
        let times = [0, HOUR, 2 * HOUR, DAY, DAY + 1];
        let policy = Policy {
            last: 1,
            daily: 2,
            ..Policy::default()
        };
        assert_eq!(kept(&policy, &times), [2 * HOUR, DAY + 1]);
    }

    #[test]
    fn without_a_rule_all_stay() {
        let policy = Policy {
            max_bytes: Some(0),
            ..Policy::default()
        };
        assert_eq!(kept(&policy, &[1, 2, 3]), [1, 2, 3]);
        assert!(!policy.keeps_by_rule());
    }

    /// What is newest is told by the order of the log, so a clock that was wrong favours nothing.
    #[test]
    fn a_clock_that_was_ahead_or_set_back_favours_nothing() {
        let times = [0, 100 * DAY, 100 * DAY + 1, HOUR, 2 * HOUR, 2 * HOUR + 1];
        let policy = |last, hourly, daily| Policy {
            last,
            hourly,
            daily,
            ..Policy::default()
        };
        assert_eq!(kept(&policy(1, 0, 0), &times), [2 * HOUR + 1]);
        assert_eq!(kept(&policy(0, 2, 0), &times), [HOUR, 2 * HOUR + 1]);
        assert_eq!(kept(&policy(0, 0, 1), &times), [2 * HOUR + 1]);
        assert_eq!(
            kept(&policy(0, 0, 9), &times),
            [100 * DAY + 1, 2 * HOUR + 1]
        );
        let once = kept(&policy(2, 3, 2), &times);
        assert_eq!(kept(&policy(2, 3, 2), &once), once);
    }

    #[test]
    fn what_is_kept_stays_kept_when_the_rest_is_gone() {
        let times: Vec<i64> = (0..200).map(|number| number * 5000).collect();
        let policy = Policy {
            last: 3,
            hourly: 7,
            daily: 5,
            weekly: 2,
            ..Policy::default()
        };
        let once = kept(&policy, &times);
        assert_eq!(kept(&policy, &once), once);
    }
}

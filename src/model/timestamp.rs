//! A moment in time as it is written into records: UTC, whole seconds, RFC 3339.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seconds since 1970-01-01T00:00:00Z. Information for people: the order of events comes from the log's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    seconds: i64,
}

impl Timestamp {
    /// Makes a timestamp; seconds outside the years -9999 to 9999 are brought to the nearest one inside.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        let bounds = (
            jiff::Timestamp::MIN.as_second(),
            jiff::Timestamp::MAX.as_second(),
        );
        Self {
            seconds: seconds.clamp(bounds.0, bounds.1),
        }
    }

    /// Seconds since the epoch.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.seconds
    }
}

/// A moment to the nanosecond, for people; empty outside the calendar.
#[must_use]
pub fn exact(nanoseconds: i128) -> String {
    jiff::Timestamp::from_nanosecond(nanoseconds).map_or_else(
        |_outside_the_calendar| String::new(),
        |time| time.to_string(),
    )
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.seconds) {
            Ok(time) => write!(formatter, "{time}"),
            Err(_outside_the_calendar) => Err(fmt::Error),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        let parsed = Self::from_seconds(time.as_second());
        if parsed.to_string() == text {
            Ok(parsed)
        } else {
            Err(serde::de::Error::custom("not a time in whole seconds, UTC"))
        }
    }
}

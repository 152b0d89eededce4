//! When something was done, in how many attempts, and by which build: what manifests and receipts say of themselves.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The version of Sluice that this is.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A time, to the millisecond; in documents as `2026-12-01T09:14:12.345Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(DateTime<Utc>);

impl Moment {
    /// The present, by the clock of this machine.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// The time from an earlier moment to this one, in milliseconds; zero where clocks of two machines say that it is not earlier.
    pub fn millis_since(self, earlier: Self) -> u64 {
        u64::try_from((self.0 - earlier.0).num_milliseconds()).unwrap_or_default()
    }

    /// The moment so long before this one; the earliest there is where it reaches back too far.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        let span = chrono::TimeDelta::from_std(span).ok();
        Self(span.and_then(|span| self.0.checked_sub_signed(span)).unwrap_or(DateTime::<Utc>::MIN_UTC))
    }

    /// For people, to the second: `2026-12-01 09:14:12Z`.
    pub fn to_second(self) -> String {
        self.0.format("%Y-%m-%d %H:%M:%SZ").to_string()
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let time = DateTime::<Utc>::from(time);
        // What is written and read again is the same moment.
        Self(DateTime::from_timestamp_millis(time.timestamp_millis()).unwrap_or(time))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        DateTime::parse_from_rfc3339(&text).map(|time| Self(time.to_utc())).map_err(de::Error::custom)
    }
}

/// How a job was split, or loaded as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When the first attempt began to read the source.
    pub started: Moment,
    /// When all was done.
    pub ended: Moment,
    /// The time between the two, in milliseconds; waiting included.
    pub duration_ms: u64,
    /// Attempts at what took the most of them: to split the source, or to load one of its chunks.
    pub attempts: u32,
    /// Size of the source in bytes, as it is stored.
    pub bytes: u64,
    /// Version of Sluice that ended it.
    pub sluice: String,
}

impl Run {
    /// What began then, and ends now.
    pub fn until_now(started: Moment, attempts: u32, bytes: u64) -> Self {
        let ended = Moment::now();
        let (duration_ms, sluice) = (ended.millis_since(started), VERSION.to_owned());
        Self { started, ended, duration_ms, attempts, bytes, sluice }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_format() {
        let at = |millis| Moment::from(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        let (started, ended) = (at(1_795_970_188_863), at(1_795_970_190_000));
        let run = Run {
            started,
            ended,
            duration_ms: ended.millis_since(started),
            attempts: 2,
            bytes: 7,
            sluice: "0.1.0".to_owned(),
        };
        let text = serde_json::to_string(&run).unwrap();
        insta::assert_snapshot!(text, @r#"{"started":"2026-11-29T16:36:28.863Z","ended":"2026-11-29T16:36:30.000Z","duration_ms":1137,"attempts":2,"bytes":7,"sluice":"0.1.0"}"#);
        assert_eq!(serde_json::from_str::<Run>(&text).unwrap(), run);
        assert_eq!(started.millis_since(ended), 0);
        assert_eq!(ended.before(Duration::from_mins(1)).to_second(), "2026-11-29 16:35:30Z");
        assert_eq!(serde_json::to_string(&Moment::now()).unwrap().len(), "\"2026-11-29T16:36:28.863Z\"".len());
    }
}

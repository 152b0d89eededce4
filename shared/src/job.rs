//! A job: one source object bound for one table, and how it is cut and read.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::examined::Examined;
use crate::hex::hex;
use crate::location::Location;
use crate::policy::{LoadPolicy, Policy};
use crate::routes::pinned::PinnedRoute;
use crate::source_object::SourceObject;

/// Name of a job: the stem of the source's name and a digest of source object and table.
///
/// Settings have no part in it, so the same drop is the same job whatever the settings are now.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// The id of the `generation`-th job (from 1) for this source object and destination.
    pub fn derive(source: &SourceObject, destination: &Location, generation: u32) -> Self {
        let mut digest = Sha256::new();
        for part in [source.uri.to_string(), source.version.0.clone(), source.size.to_string(), destination.to_string()]
        {
            // The length first, so that no two lists of parts read the same.
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        let stem = Self::stem_of(&source.uri);
        let hash = hex(&digest.finalize(), 8);
        Self(match generation {
            0 | 1 => format!("{stem}-{hash}"),
            n => format!("{stem}-{hash}-g{n}"),
        })
    }

    /// What the names of all jobs of a source begin with.
    pub fn stem_of(source: &Location) -> String {
        let stem = source.name().split('.').next().unwrap_or_default().chars();
        stem.map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).take(40).collect()
    }

    /// The id of the `generation`-th replay (from 1) of what a job rejected.
    #[must_use]
    pub fn of_replay(&self, generation: u32) -> Self {
        Self(match generation {
            0 | 1 => format!("{self}-replay"),
            n => format!("{self}-replay-g{n}"),
        })
    }

    /// The id as text, made of lower-case letters, digits and hyphens.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for JobId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// A digest of the policy a job is cut by, recorded in the table with the job's first commit: chunks that were cut in
/// another way, from a second work area say, are refused instead of being loaded beside the first ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seal(pub i64);

impl Seal {
    /// The seal of a policy, by the form that `job.json` has of it.
    fn of(policy: &Policy, load: &LoadPolicy) -> Self {
        match serde_json::to_vec(&(policy, load)) {
            Ok(form) => Self::of_form(&form),
            // No policy has what JSON cannot write.
            Err(_) => Self::before(policy, load),
        }
    }

    /// The seal that builds before this one gave, by the names in the code. Tables have such seals; a job whose work area is
    /// lost is known by it for one release more.
    fn before(policy: &Policy, load: &LoadPolicy) -> Self {
        Self::of_form(format!("{policy:?}{load:?}").as_bytes())
    }

    fn of_form(form: &[u8]) -> Self {
        let digest = Sha256::digest(form);
        let first: [u8; 8] = digest.iter().copied().take(8).collect::<Vec<_>>().try_into().unwrap_or_default();
        Self(i64::from_be_bytes(first) & i64::MAX)
    }
}

/// What is being split, and how: `job.json`, written first, by put-if-absent, and adopted by every later attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Version of this document, 1.
    pub version: u32,
    /// Name of the job.
    pub job_id: JobId,
    /// 1, and one more each time the same drop is loaded again on purpose.
    pub generation: u32,
    /// The dropped file.
    pub source: SourceObject,
    /// The table it is bound for; none when the splitter is used alone.
    pub table: Option<Location>,
    /// The table's URI that its name is made of, where that is a former one: the table was moved, or is a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_for: Option<String>,
    /// The path by which the source was dropped, where that is a link to it: what takes the place of what goes by this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_as: Option<String>,
    /// How it is cut and read.
    pub policy: Policy,
    /// How it is put into the table.
    pub load: LoadPolicy,
    /// What was found out about the source beside the policy; none of replays, and of jobs from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examined: Option<Examined>,
    /// Number among the drops of its source for its table, from 1; see [`Drops`](crate::Drops). None when it has no table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop: Option<u32>,
    /// The same among the drops of the file that a link led to, where it was dropped by a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_of_target: Option<u32>,
    /// The job whose rejected records it reads once more, where it is such a replay, after those that this one replays in turn.
    /// It comes into no table that holds one of them in another cut, or from which one was taken out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replay_of: Vec<SealedJob>,
    /// Earlier generations that it was begun in place of, as nothing of them was in the table. With its first commit the table says that
    /// they are undone; it comes into no table that holds one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instead_of: Vec<JobId>,
    /// Whether a notice of its end is wanted: who writes its receipt may know of no topic to send it to.
    #[serde(default)]
    pub is_noticed: bool,
    /// When the source was dropped, in milliseconds since 1970 (UTC): by the event, or else when the job was first seen. None where neither SQL nor a
    /// column asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingested_at: Option<i64>,
    /// When the source was dropped, in milliseconds since 1970 (UTC), where an event says it: for the time that loads take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_at: Option<i64>,
    /// The route that it came by; none of a job that was begun without routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<PinnedRoute>,
    /// Where its SQL and look-ups are given, if by a route, for messages: its name, and its line in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql_place: Option<String>,
    /// Digest of `policy` and `load`.
    pub seal: Seal,
}

impl Job {
    /// A job that was not seen before.
    pub fn new(
        source: SourceObject,
        destination: &Location,
        generation: u32,
        table: Option<Location>,
        policy: Policy,
        load: LoadPolicy,
    ) -> Self {
        let named_for = table.as_ref().filter(|table| *table != destination).map(|_| destination.to_string());
        let job_id = JobId::derive(&source, destination, generation);
        Self { named_for, ..Self::named(job_id, source, generation, table, policy, load) }
    }

    /// The table that its name is made of, by the URI that the table had then; none when it is bound for no table.
    pub fn destination(&self) -> Option<Location> {
        let former = self.named_for.as_deref().map(Location::as_written);
        former.or_else(|| self.table.clone())
    }

    /// The same job with other words for how its column types came to be, and the seal that follows from it.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        let seal = Seal::of(&policy, &self.load);
        Self { policy, seal, ..self }
    }

    /// The seal that builds before this one gave to such a job.
    pub fn former_seal(&self) -> Seal {
        Seal::before(&self.policy, &self.load)
    }

    /// The job under a seal that its table has, if that is the seal of its policies; none if it is that of others.
    #[must_use]
    pub fn sealed_as(self, seal: Seal) -> Option<Self> {
        let is_own = [self.seal, self.former_seal()].contains(&seal);
        is_own.then_some(Self { seal, ..self })
    }

    /// The `generation`-th replay, from 1, of what a job rejected. Its source is that job's quarantine, which never changes
    /// once the job is split; its name follows from the job's alone.
    pub fn replay(of: &Self, generation: u32, source: SourceObject, policy: Policy, load: LoadPolicy) -> Self {
        let job_id = of.job_id.of_replay(generation);
        // The original has none where neither its SQL nor a column asked for it.
        let ingested_at = of.ingested_at.or_else(|| load.asks_ingested_at().then(now_millis));
        let job = Self::named(job_id, source, generation, of.table.clone(), policy, load);
        let mut replay_of = of.replay_of.clone();
        replay_of.push(SealedJob { job_id: of.job_id.clone(), seal: of.seal });
        let (named_for, route, sql_place) = (of.named_for.clone(), of.route.clone(), of.sql_place.clone());
        Self { named_for, replay_of, ingested_at, route, sql_place, ..job }
    }

    fn named(
        job_id: JobId,
        source: SourceObject,
        generation: u32,
        table: Option<Location>,
        policy: Policy,
        load: LoadPolicy,
    ) -> Self {
        let seal = Seal::of(&policy, &load);
        let (named_for, dropped_as, drop, replay_of, is_noticed) = (None, None, None, Vec::new(), false);
        Self {
            version: 1,
            job_id,
            generation,
            source,
            table,
            named_for,
            dropped_as,
            policy,
            load,
            examined: None,
            drop,
            drop_of_target: None,
            replay_of,
            instead_of: Vec::new(),
            is_noticed,
            ingested_at: None,
            dropped_at: None,
            route: None,
            sql_place: None,
            seal,
        }
    }
}

/// The present time, in milliseconds since 1970 (UTC).
pub fn now_millis() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |before| -before),
    }
}

/// A job in one cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedJob {
    /// The job.
    pub job_id: JobId,
    /// Digest of how it is cut and read.
    pub seal: Seal,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::ObjectVersion;

    fn source(uri: &str, version: &str) -> SourceObject {
        SourceObject { uri: uri.parse().unwrap(), size: 7, version: ObjectVersion(version.to_owned()) }
    }

    #[test]
    fn id_depends_on_source_and_table_alone() {
        let table: Location = "s3://lake/t".parse().unwrap();
        let id = JobId::derive(&source("s3://in/My Flights.v2.csv", "a"), &table, 1);
        assert_eq!(id.as_str(), "my-flights-d40430cfabdf4477");
        let others = [
            JobId::derive(&source("s3://in/My Flights.v2.csv", "b"), &table, 1),
            JobId::derive(&source("s3://in/My Flights.v3.csv", "a"), &table, 1),
            JobId::derive(&source("s3://in/My Flights.v2.csv", "a"), &"s3://lake/u".parse().unwrap(), 1),
            JobId::derive(&source("s3://in/My Flights.v2.csv", "a"), &table, 2),
        ];
        for other in others {
            assert_ne!(other, id);
        }
        let replays = [id.of_replay(1), id.of_replay(2), id.of_replay(1).of_replay(1)].map(|id| id.to_string());
        let endings = replays.each_ref().map(|replay| replay.strip_prefix(id.as_str()).unwrap());
        assert_eq!(endings, ["-replay", "-replay-g2", "-replay-replay"]);
    }
}

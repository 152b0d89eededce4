//! Chunks that lost a race for the next version are offered to whoever wins the one after: it commits them along with its own.
//!
//! So a crowd of processes makes a few versions with many chunks, as the loads of one process do (`commit.rs`), and nobody who is
//! unlucky at racing starves. An offer is a document below the table, which its maker takes back when its chunks are decided. Who
//! commits an offered chunk looks its transaction and seal up as if it were its own, so it comes in at most once, whoever else tries; its
//! maker finds it in the table, and writes its receipt.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use deltalake::logstore::ObjectStoreRef;
use deltalake::logstore::object_store::{ObjectMeta, ObjectStoreExt};
use deltalake::{DeltaResult, DeltaTableError, Path};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chunk::Origin;
use crate::commit::prepared::Prepared;
use crate::delta::commit_info::LoadedFrom;
use crate::delta::data_file::{DataFile, DataFileV1};
use crate::delta::presence::missing;
use crate::delta::snapshot::TableSnapshot;
use crate::schema::constraints::Constraint;
use crate::schema::write_schema::{Comparison, NotedSchema};

/// Where offers are, below the table. Readers and vacuum skip names that begin with an underscore.
const FOLDER: &str = "_sluice/_offers";

/// Age from which an offer is not taken any more: its maker is dead, and vacuum may take its files after an hour.
const STALE: Duration = Duration::from_mins(15);

/// Offers that are read at once.
const AT_ONCE: usize = 64;

/// Most chunks that are taken along: an entry of the log is read by everyone.
const MOST: usize = 200;

/// What one process offers: a document.
#[derive(Debug, Serialize, Deserialize)]
struct Offer {
    /// Version of this document, 2.
    version: u32,
    chunks: Vec<Offered>,
}

/// A chunk whose data files are written, with all that its commit takes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Offered {
    pub(crate) app_id: String,
    /// Seal of its job, with the application id that it has in the table; none when it is there.
    pub(crate) seal: Option<(String, i64)>,
    schema: NotedSchema,
    pub(crate) files: Vec<DataFile>,
    /// Where its rows come from; none in offers of earlier versions.
    #[serde(default)]
    pub(crate) from: Option<LoadedFrom>,
}

/// Version 1 of it, which is read for one release.
#[derive(Debug, Deserialize)]
struct OfferedV1 {
    app_id: String,
    seal: Option<(String, i64)>,
    fields: Vec<Value>,
    partition_by: Vec<String>,
    #[serde(default)]
    constraints: Vec<Constraint>,
    #[serde(default)]
    is_mapped: bool,
    files: Vec<DataFileV1>,
    #[serde(default)]
    from: Option<LoadedFrom>,
}

impl Offer {
    fn parse(document: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct OfferV1 {
            chunks: Vec<OfferedV1>,
        }
        let document: Value = serde_json::from_slice(document)?;
        if document["version"] != 1 {
            return serde_json::from_value(document);
        }
        let OfferV1 { chunks } = serde_json::from_value(document)?;
        Ok(Self { version: 2, chunks: chunks.into_iter().map(Offered::from).collect() })
    }
}

impl From<OfferedV1> for Offered {
    fn from(offered: OfferedV1) -> Self {
        let OfferedV1 { app_id, seal, fields, partition_by, constraints, is_mapped, files, from } = offered;
        let schema = NotedSchema::of_v1(fields, partition_by, constraints, is_mapped);
        Self { app_id, seal, schema, files: files.into_iter().map(DataFile::from).collect(), from }
    }
}

impl Offered {
    fn new(chunk: &Prepared) -> DeltaResult<Self> {
        Ok(Self {
            app_id: chunk.chunk.app_id.clone(),
            seal: chunk.chunk.origin.as_ref().map(|origin| (origin.seal_id(), origin.seal.0)),
            schema: chunk.write_schema.noted()?,
            files: chunk.files.clone(),
            from: Some(chunk.chunk.from.clone()),
        })
    }
}

/// The offers that there were at a look.
#[derive(Debug, Default)]
pub(crate) struct Seen(Vec<ObjectMeta>);

/// Looks for offers.
pub(crate) async fn look(store: &ObjectStoreRef) -> Seen {
    match store.list(Some(&Path::from(FOLDER))).try_collect().await {
        Ok(listed) => Seen(listed),
        Err(error) => {
            tracing::debug!(%error, "offers of others are not seen");
            Seen::default()
        }
    }
}

/// The offer of one commit under way, and its sight of others'. That a store does not take or show offers costs time and
/// nothing else, so it is not an error.
#[derive(Debug)]
pub(crate) struct Offers {
    at: Path,
    made: bool,
}

impl Offers {
    /// Nothing is offered yet.
    pub(crate) fn new() -> Self {
        Self { at: Path::from(format!("{FOLDER}/{}.json", uuid::Uuid::new_v4())), made: false }
    }

    /// Offers chunks, in place of what was offered before; gives whether they are. From now on their data files may be anyone's. Chunks
    /// on which the table's word about other jobs decides are not offered: an offer does not say so.
    pub(crate) async fn make(&mut self, store: &ObjectStoreRef, chunks: &[Prepared]) -> bool {
        let leans = |chunk: &Prepared| chunk.chunk.origin.as_ref().is_some_and(Origin::leans_on_others);
        if chunks.iter().any(leans) {
            return false;
        }
        self.made = true;
        let made = async {
            let offer = Offer { version: 2, chunks: chunks.iter().map(Offered::new).collect::<DeltaResult<_>>()? };
            store.put(&self.at, serde_json::to_vec(&offer)?.into()).await?;
            Ok::<_, DeltaTableError>(())
        };
        let made = made.await;
        if let Err(error) = &made {
            tracing::debug!(at = %self.at, %error, "chunks are not offered to others");
        }
        made.is_ok()
    }

    /// Whether something is offered.
    pub(crate) fn are_made(&self) -> bool {
        self.made
    }

    /// Takes the offer back.
    pub(crate) async fn withdraw(&self, store: &ObjectStoreRef) {
        if self.made {
            delete(store, &self.at).await;
        }
    }

    /// What others offer, and what can go into the version after that which `snapshot` is at beside `own` chunks. `seals` are those of the
    /// jobs that go into it in any case.
    pub(crate) async fn of_others(
        &self,
        seen: Seen,
        snapshot: &TableSnapshot,
        own: &[Prepared],
        mut seals: HashMap<String, i64>,
    ) -> Vec<Offered> {
        let store = snapshot.table().object_store();
        let mut ids: HashSet<String> = own.iter().map(|chunk| chunk.chunk.app_id.clone()).collect();
        let mut taken = Vec::new();
        for (at, offer) in self.read(seen, &store).await {
            let mut is_open = false;
            for mut chunk in offer.chunks {
                let standing = Standing::of(&chunk, snapshot, &seals).await;
                is_open |= standing != Standing::Settled;
                if !matches!(standing, Standing::Fits { .. })
                    || taken.len() >= MOST
                    || ids.contains(&chunk.app_id)
                    || !is_there(snapshot, &chunk.files).await
                {
                    continue;
                }
                ids.insert(chunk.app_id.clone());
                if standing == (Standing::Fits { is_sealed: true }) {
                    chunk.seal = None;
                }
                seals.extend(chunk.seal.clone());
                taken.push(chunk);
            }
            if !is_open {
                // Its maker is dead, or will find that it is gone.
                delete(&store, &at).await;
            }
        }
        taken
    }

    async fn read(&self, Seen(listed): Seen, store: &ObjectStoreRef) -> Vec<(Path, Offer)> {
        let oldest = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()) - STALE;
        let (fresh, stale): (Vec<_>, Vec<_>) = listed.into_iter().partition(|meta| meta.last_modified > oldest);
        for meta in stale {
            delete(store, &meta.location).await;
        }
        let others = fresh.into_iter().map(|meta| meta.location).filter(|at| *at != self.at).take(MOST);
        let reads = others.map(|at| async move {
            let document = store.get(&at).await.ok()?.bytes().await.ok()?;
            Some((at, Offer::parse(&document).ok()?))
        });
        // One that cannot be read was taken back.
        stream::iter(reads).buffered(AT_ONCE).filter_map(|read| async { read }).collect().await
    }
}

/// How it stands with an offered chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It can go into the next version; whether the table has the seal of its job.
    Fits { is_sealed: bool },
    /// Not into this one.
    Waits,
    /// It is in the table, or never will be.
    Settled,
}

impl Standing {
    async fn of(chunk: &Offered, snapshot: &TableSnapshot, seals: &HashMap<String, i64>) -> Self {
        match snapshot.transaction(&chunk.app_id).await {
            Ok(None) => {}
            Ok(Some(_)) => return Self::Settled,
            Err(_) => return Self::Waits,
        }
        let mut is_sealed = false;
        if let Some((id, seal)) = &chunk.seal {
            match snapshot.transaction(id).await {
                Ok(None) if seals.get(id).is_some_and(|other| other != seal) => return Self::Waits,
                Ok(None) => is_sealed = seals.contains_key(id),
                Ok(Some(known)) if known == *seal => is_sealed = true,
                Ok(Some(_)) => return Self::Settled,
                Err(_) => return Self::Waits,
            }
        }
        let write_schema = chunk.schema.clone().read();
        match write_schema.ok().zip(snapshot.state()).map(|(write_schema, state)| write_schema.compare(state)) {
            Some(Ok(Comparison::Fits)) => Self::Fits { is_sealed },
            _ => Self::Waits,
        }
    }
}

/// Whether the data files of an offer are there: its maker may have been suspended since it wrote them.
async fn is_there(snapshot: &TableSnapshot, files: &[DataFile]) -> bool {
    let table = snapshot.table();
    matches!(missing(table, files, table.id().as_deref()).await, Ok(None))
}

async fn delete(store: &ObjectStoreRef, at: &Path) {
    if let Err(error) = store.delete(at).await {
        tracing::debug!(%at, %error, "an offer was not removed");
    }
}

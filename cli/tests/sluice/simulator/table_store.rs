//! The store of the table, as one process reaches it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::logstore::object_store::memory::InMemory;
use deltalake::logstore::object_store::{
    self, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use deltalake::{ObjectStoreError, Path};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};

use super::faults::Service;
use super::storage::at_once;
use super::world::{Call, Failure, Process};

type Result<T> = object_store::Result<T>;

/// The store in memory, behind everything that can go wrong.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedTable {
    process: Arc<Process>,
}

impl fmt::Display for SimulatedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated")
    }
}

impl SimulatedTable {
    pub(crate) fn new(process: &Arc<Process>) -> Arc<Self> {
        Arc::new(Self { process: Arc::clone(process) })
    }

    async fn call<T: Send + 'static>(
        &self,
        verb: &'static str,
        at: &Path,
        if_absent: bool,
        effect: impl FnOnce(&InMemory) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let failed = |failure: Failure| match failure {
            Failure::Exists => ObjectStoreError::AlreadyExists { path: at.to_string(), source: failure.text().into() },
            _ => ObjectStoreError::Generic { store: "simulated", source: failure.text().into() },
        };
        let table = Arc::clone(&self.process.world.table);
        let call = Call { service: Service::Table, verb, object: at.as_ref(), if_absent };
        self.process.call(call, failed, move || effect(&table)).await
    }

    async fn delete_one(self, at: Path) -> Result<Path> {
        let (place, process) = (at.clone(), Arc::clone(&self.process));
        self.call("delete", &at, false, move |table| {
            let checked = process.world.ledger().delete(&place);
            process.world.check(&process.name, checked);
            at_once(table.delete(&place))
        })
        .await?;
        Ok(at)
    }
}

/// The names and bytes of all objects.
pub(crate) fn contents(table: &InMemory) -> Vec<(Path, Bytes)> {
    let metas: Vec<ObjectMeta> = at_once(table.list(None).try_collect()).unwrap();
    let body = |at: &Path| at_once(async { table.get(at).await.unwrap().bytes().await.unwrap() });
    metas.into_iter().map(|meta| (meta.location.clone(), body(&meta.location))).collect()
}

#[async_trait]
impl ObjectStore for SimulatedTable {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let (place, process) = (at.clone(), Arc::clone(&self.process));
        let if_absent = matches!(options.mode, PutMode::Create);
        self.call("put", at, if_absent, move |table| {
            let body: Bytes = payload.clone().into();
            let put = at_once(table.put_opts(&place, payload, options))?;
            let exists = |file: &Path| at_once(table.head(file)).is_ok();
            let checked = process.world.ledger().put_to_table(&place, &body, exists);
            process.world.check(&process.name, checked);
            Ok(put)
        })
        .await
    }

    async fn put_multipart_opts(&self, at: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        // Nothing here is as large.
        Err(ObjectStoreError::NotImplemented { operation: at.to_string(), implementer: "simulated".to_owned() })
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let place = at.clone();
        self.call("get", at, false, move |table| at_once(table.get_opts(&place, options))).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let table = self.clone();
        locations.and_then(move |at| table.clone().delete_one(at)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (table, prefix) = (self.clone(), prefix.cloned().unwrap_or_default());
        let listed = async move {
            let place = prefix.clone();
            let list = move |table: &InMemory| at_once(table.list(Some(&place)).try_collect::<Vec<_>>());
            table.call("list", &prefix, false, list).await.map(|metas| stream::iter(metas.into_iter().map(Ok)))
        };
        listed.into_stream().try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.cloned().unwrap_or_default();
        let place = prefix.clone();
        self.call("list", &prefix, false, move |table| at_once(table.list_with_delimiter(Some(&place)))).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (place, to) = (from.clone(), to.clone());
        self.call("copy", from, false, move |table| at_once(table.copy_opts(&place, &to, options))).await
    }
}

//! The splitter's function reads drops by the contract of `CONTRACT_URI`.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use shared::testing::MemoryStorage;
use shared::{
    Location, Manifest, MemoryQueue, Message, PutMode, ReceiptHandle, Settings, Storage, Verdict, WorkArea, get_json,
};
use splitter::{HandlerContext, SplitContext, handle_message};

use crate::properties::rows;

const CONTRACT: &str = "version = 1\n[read]\nformat = \"csv\"\n[policy]\nnew_columns = \"ignore\"\n[[columns]]\nname = \"id\"\ntype = \"int64\"\n[[columns]]\nname = \"n\"\ntype = \"text\"\n";

fn at(uri: &str) -> Location {
    uri.parse().unwrap()
}

struct World {
    storage: Arc<MemoryStorage>,
    context: HandlerContext,
}

impl World {
    fn new() -> Self {
        let lookup = |name: &str| (name == "CONTRACT_URI").then(|| "s3://chunks/contracts/c.toml".to_owned());
        let storage = Arc::new(MemoryStorage::default());
        let queue = Arc::new(MemoryQueue::new(Duration::from_secs(30), 5));
        let split = SplitContext::new(storage.clone(), at("s3://chunks/work"), Settings::from_lookup(lookup).unwrap());
        let split = SplitContext { queue: Some(queue), ..split };
        Self { storage, context: HandlerContext { split, source_queue: None, routes: None } }
    }

    async fn put(&self, uri: &str, text: &str) {
        self.storage.put(&at(uri), text.to_owned().into(), PutMode::Overwrite).await.unwrap();
    }

    async fn drop(&self, key: &str, text: &str) -> Verdict {
        self.put(&format!("s3://drops/{key}"), text).await;
        self.again(key).await
    }

    async fn again(&self, key: &str) -> Verdict {
        let body = format!(r#"{{"s3_bucket": "drops", "s3_object_key": "{key}"}}"#);
        let message = Message { id: "1".to_owned(), receipt: ReceiptHandle(String::new()), body, receive_count: 1 };
        handle_message(&self.context, &message).await
    }

    /// Objects of work areas.
    fn written(&self) -> Vec<Location> {
        let all = self.storage.objects().into_keys();
        all.filter(|at| at.key().starts_with("work")).collect()
    }
}

fn rejected(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Reject { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn drops_are_read_by_the_contract() {
    let world = World::new();
    let missing = world.drop("a.csv", "x,n,id\n1,a,007\n").await;
    assert!(
        matches!(&missing, Verdict::Retry { reason, .. } if reason.contains("cannot read the contract: s3://chunks/contracts/c.toml does not exist")),
        "{missing:?}"
    );
    world.put("s3://chunks/contracts/c.toml", "version = 3\n[[columns]]").await;
    let broken = world.again("a.csv").await;
    assert!(
        rejected(&broken).contains("s3://chunks/contracts/c.toml, line 2, [[columns]]: missing field"),
        "{broken:?}"
    );
    world.put("s3://chunks/contracts/c.toml", CONTRACT).await;
    let deviates = world.drop("b.csv", "x,n\n1,a\n").await;
    assert!(
        rejected(&deviates).contains(
            "s3://drops/b.csv deviates from its contract s3://chunks/contracts/c.toml: column 'id' (int64) is missing"
        ),
        "{deviates:?}"
    );
    assert_eq!(world.written(), [], "nothing is pinned");
    assert_eq!(world.again("a.csv").await, Verdict::Done);
    let manifest = world.written().into_iter().find(|at| at.name() == "manifest.json").unwrap();
    let area = WorkArea::of_chunk(&manifest.parent().unwrap().join("chunks/00000.parquet")).unwrap();
    let read: Manifest = get_json(world.storage.as_ref(), &manifest, "manifest").await.unwrap();
    assert_eq!((read.records, read.quarantined), (1, 0));
    let chunk = rows(world.storage.get(&area.chunk(0)).await.unwrap()).remove(0);
    assert_eq!(chunk.column_by_name("id").unwrap().as_primitive::<Int64Type>().value(0), 7);
    assert_eq!(chunk.num_columns(), 2);
    // A job in progress does not ask for the contract again.
    world.put("s3://chunks/contracts/c.toml", "version = 3").await;
    assert_eq!(world.again("a.csv").await, Verdict::Done);
}

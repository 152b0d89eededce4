//! The splitter's function binds drops for tables by the routes of `ROUTES_URI`.

use std::sync::Arc;
use std::time::Duration;

use shared::testing::MemoryStorage;
use shared::{
    Job, Location, MemoryQueue, Message, PutMode, ReceiptHandle, Settings, Storage, Verdict, WorkArea, get_json,
};
use splitter::{HandlerContext, KeptRoutes, SplitContext, handle_message};

fn at(uri: &str) -> Location {
    uri.parse().unwrap()
}

/// Each route by its name, with key, table and more.
fn file(routes: &[(&str, &str, &str, &str)]) -> String {
    let route = |(name, key, table, more): &(&str, &str, &str, &str)| {
        format!("[[route]]\nname = \"{name}\"\nkey = \"{key}\"\ntable = \"s3://lake/{table}\"\n{more}\n")
    };
    format!("version = 1\n{}", routes.iter().map(route).collect::<String>())
}

struct World {
    storage: Arc<MemoryStorage>,
    queue: Arc<MemoryQueue>,
}

impl World {
    fn new() -> Self {
        Self { storage: Arc::default(), queue: Arc::new(MemoryQueue::new(Duration::from_secs(30), 5)) }
    }

    async fn put(&self, uri: &str, text: &str) {
        self.storage.put(&at(uri), text.to_owned().into(), PutMode::Overwrite).await.unwrap();
    }

    /// What a process that starts now makes of a drop that is there.
    async fn again(&self, key: &str) -> Verdict {
        let settings = Settings::from_lookup(|_| None).unwrap();
        let work = at("s3://chunks/work");
        let split = SplitContext::new(self.storage.clone(), work.clone(), settings);
        let split = SplitContext { queue: Some(self.queue.clone()), ..split };
        let routes = Some(KeptRoutes::new(at("s3://config/routes.toml").into(), work));
        let context = HandlerContext { split, source_queue: None, routes };
        let body = format!(r#"{{"s3_bucket": "drops", "s3_object_key": "{key}"}}"#);
        let message = Message { id: "1".to_owned(), receipt: ReceiptHandle(String::new()), body, receive_count: 1 };
        handle_message(&context, &message).await
    }

    async fn drop(&self, key: &str, text: &str) -> Verdict {
        self.put(&format!("s3://drops/{key}"), text).await;
        self.again(key).await
    }

    /// The jobs by their tables and routes, in order.
    async fn jobs(&self) -> Vec<(String, Job)> {
        let mut jobs = Vec::new();
        for at in self.storage.objects().into_keys().filter(|at| at.name() == "job.json") {
            let job: Job = get_json(self.storage.as_ref(), &at, "job").await.unwrap();
            let route = job.route.as_ref().unwrap();
            jobs.push((format!("{} by {}", job.table.as_ref().unwrap().key(), route.name), job));
        }
        jobs.sort_by(|(one, _), (other, _)| one.cmp(other));
        jobs
    }

    async fn tables(&self) -> Vec<String> {
        self.jobs().await.into_iter().map(|(told, _)| told).collect()
    }
}

const ORDERS: (&str, &str, &str, &str) =
    ("orders", "{system}/orders/*", "{system}/orders", "sql = \"SELECT id FROM chunk\"");

#[tokio::test]
async fn drops_go_where_their_routes_say() {
    let world = World::new();
    let none = world.drop("crm/orders/a.csv", "id\n1\n").await;
    assert!(matches!(&none, Verdict::Retry { reason, .. } if reason.contains("cannot read the routes")), "{none:?}");
    world.put("s3://config/routes.toml", "version = 1\n[[route]]\n").await;
    let broken = world.again("crm/orders/a.csv").await;
    assert!(
        matches!(&broken, Verdict::Retry { reason, .. } if reason.contains("the routes cannot be used")),
        "{broken:?}"
    );
    world
        .put("s3://config/routes.toml", &file(&[ORDERS, ("raw", "**", "raw", "also = true\nchunk_size_mb = 1")]))
        .await;
    assert_eq!(world.again("crm/orders/a.csv").await, Verdict::Done);
    assert_eq!(world.tables().await, ["crm/orders by orders", "raw by raw"]);
    let jobs = world.jobs().await;
    assert_eq!(jobs[0].1.load.sql.as_deref(), Some("SELECT id FROM chunk"));
    assert_eq!((&jobs[1].1.load.sql, jobs[1].1.policy.chunk_bytes), (&None, 1 << 20));
    world.put("s3://config/routes.toml", &file(&[ORDERS])).await;
    let none = world.drop("crm/people/a.csv", "id\n1\n").await;
    let reason = "no route: none of the 1 routes in s3://config/routes.toml takes s3://drops/crm/people/a.csv; hint: ";
    assert!(matches!(&none, Verdict::Reject { reason: said, .. } if said.starts_with(reason)), "{none:?}");
    assert_eq!(world.tables().await.len(), 2);
}

/// Routes that change do not send the rest of a file to another table, and do not load it twice.
#[tokio::test]
async fn a_job_in_progress_keeps_its_routes() {
    let world = World::new();
    world.put("s3://config/routes.toml", &file(&[ORDERS])).await;
    assert_eq!(world.drop("crm/orders/a.csv", "id\n1\n").await, Verdict::Done);
    let job = world.jobs().await.remove(0).1;
    let area = WorkArea::new(&at("s3://chunks/work"), &job.job_id);
    // As an attempt leaves it that was killed.
    world.storage.delete(&area.manifest()).await.unwrap();
    world.put("s3://config/routes.toml", &file(&[("orders", "**", "other", "")])).await;
    assert_eq!(world.again("crm/orders/a.csv").await, Verdict::Done);
    assert_eq!(world.tables().await, ["crm/orders by orders"]);
    assert!(world.storage.exists(&area.manifest()).await.unwrap());
    world.storage.delete(&area.manifest()).await.unwrap();
    world.put("s3://config/routes.toml", &file(&[("people", "people/*", "people", "")])).await;
    assert_eq!(world.again("crm/orders/a.csv").await, Verdict::Done, "also where it has no route by now");
    // What is at its end goes by the routes of today, and so does a new drop.
    world.put("s3://config/routes.toml", &file(&[("orders", "**", "other", "")])).await;
    assert_eq!(world.again("crm/orders/a.csv").await, Verdict::Done);
    assert_eq!(world.tables().await, ["crm/orders by orders", "other by orders"]);
}

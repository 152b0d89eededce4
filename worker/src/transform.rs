//! The rows of a chunk as they go on: as they are, or through SQL.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::stream::{BoxStream, StreamExt};

use crate::error::LoadError;
use crate::fetch::ChunkFile;
use crate::route::RoutedChunk;

/// Names under which SQL finds the chunk.
const TABLES: [&str; 2] = ["chunk", "source"];

/// Rows on their way to the table.
pub(crate) struct Rows {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: BoxStream<'static, Result<RecordBatch, LoadError>>,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// The rows that the chunk's SQL makes of it; the rows as they are when there is none. SQL may use `memory` bytes.
///
/// The SQL is one query that reads nothing but the chunk and gives the same rows each time: what depends on chance or on
/// the clock is refused, since a chunk may be loaded in more than one attempt.
pub(crate) async fn transform(file: &Arc<ChunkFile>, chunk: &RoutedChunk, memory: u64) -> Result<Rows, LoadError> {
    let Some(sql) = &chunk.sql else {
        return Ok(Rows { schema: Arc::clone(file.schema()), batches: file.batches() });
    };
    let wrong = {
        let (file, at) = (Arc::clone(file), chunk.at.clone());
        let columns: Vec<String> = file.schema().fields().iter().map(|field| field.name().clone()).collect();
        move |error: DataFusionError| {
            let reason = text_of(&error);
            file.take_failure().unwrap_or_else(|| LoadError::Sql {
                chunk: at.clone(),
                reason,
                columns: columns.clone(),
            })
        }
    };
    let query = plan(file, sql, memory).await.map_err(&wrong)?;
    let schema = Arc::new(query.schema().as_arrow().clone());
    let stream = query.execute_stream().await.map_err(&wrong)?;
    Ok(Rows { schema, batches: stream.map(move |batch| batch.map_err(&wrong)).boxed() })
}

async fn plan(file: &Arc<ChunkFile>, sql: &str, memory: u64) -> Result<DataFrame, DataFusionError> {
    let pool = GreedyMemoryPool::new(usize::try_from(memory).unwrap_or(usize::MAX));
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .build_arc()?;
    // One partition: the rows keep their order, so that each attempt gives the same.
    let config = SessionConfig::new().with_target_partitions(1);
    let session = SessionContext::new_with_config_rt(config, runtime);
    for name in TABLES {
        let partition = Arc::new(ChunkPartition { file: Arc::clone(file) });
        let table = StreamingTable::try_new(Arc::clone(file.schema()), vec![partition])?;
        session.register_table(name, Arc::new(table))?;
    }
    let query = session.state().create_logical_plan(sql).await?;
    let queries_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    queries_only.verify_plan(&query)?;
    refuse_what_is_no_query(&query)?;
    refuse_what_varies(&query)?;
    Ok(DataFrame::new(session.state(), query))
}

fn refuse_what_is_no_query(query: &LogicalPlan) -> Result<(), DataFusionError> {
    match query {
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_) => {
            Err(DataFusionError::Plan("it is no query".to_owned()))
        }
        _ => Ok(()),
    }
}

fn refuse_what_varies(query: &LogicalPlan) -> Result<(), DataFusionError> {
    query.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|expression| match varying(expression) {
                Some(name) => Err(DataFusionError::Plan(format!(
                    "{name} may give another value at each attempt, and a chunk that is loaded again must give the same rows"
                ))),
                None => Ok(TreeNodeRecursion::Continue),
            })
        })
    })?;
    Ok(())
}

/// The function of an expression when its value is not decided by its arguments alone.
fn varying(expression: &Expr) -> Option<String> {
    let (name, volatility) = match expression {
        Expr::ScalarFunction(call) => (call.name().to_owned(), call.func.signature().volatility),
        Expr::AggregateFunction(call) => (call.func.name().to_owned(), call.func.signature().volatility),
        Expr::WindowFunction(call) => (call.fun.name().to_owned(), call.fun.signature().volatility),
        Expr::ScalarVariable(_, names) => (names.join("."), Volatility::Volatile),
        _ => return None,
    };
    (volatility != Volatility::Immutable).then(|| format!("{name}()"))
}

/// What the engine says, without its traces.
fn text_of(error: &DataFusionError) -> String {
    if let DataFusionError::ResourcesExhausted(_) = error.find_root() {
        return "it needs more memory than SQL_MEMORY_MB allows".to_owned();
    }
    error.strip_backtrace().lines().next().unwrap_or_default().to_owned()
}

/// The chunk as SQL reads it; read anew at each scan.
#[derive(Debug)]
struct ChunkPartition {
    file: Arc<ChunkFile>,
}

impl PartitionStream for ChunkPartition {
    fn schema(&self) -> &SchemaRef {
        self.file.schema()
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let file = Arc::clone(&self.file);
        let batches = self.file.batches().map(move |batch| {
            batch.map_err(|error| {
                file.keep_failure(error);
                DataFusionError::Execution("the chunk could not be read".to_owned())
            })
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(self.file.schema()), batches))
    }
}

//! What SQL finds under a name: the chunk, look-ups, and functions of one row.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DataFusionError, Result, TableReference};
use datafusion_expr::planner::{ContextProvider, ExprPlanner};
use datafusion_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};

use super::digests;
use super::references::{Reference, References};

/// Names under which SQL finds the chunk.
pub(super) const TABLES: [&str; 2] = ["chunk", "source"];

/// What is there to be named.
pub(crate) struct Names {
    chunk: Arc<dyn TableSource>,
    references: Vec<Arc<Reference>>,
    functions: HashMap<String, Arc<ScalarUDF>>,
    /// How operators and literals become calls of functions.
    planners: Vec<Arc<dyn ExprPlanner>>,
    options: ConfigOptions,
}

impl Names {
    /// The names there are for a chunk with these columns, and these look-ups.
    pub(crate) fn of(chunk: &SchemaRef, references: References<'_>) -> Self {
        let mut functions = HashMap::new();
        let all = datafusion_functions::all_default_functions();
        let nested = datafusion_functions_nested::all_default_nested_functions();
        for function in all.into_iter().chain(nested).chain(digests::all()) {
            for alias in function.aliases() {
                functions.insert(alias.clone(), Arc::clone(&function));
            }
            functions.insert(function.name().to_owned(), function);
        }
        let mut options = ConfigOptions::default();
        // Else ORDER BY would be dropped there without a word.
        options.sql_parser.enable_subquery_sort_elimination = false;
        Self {
            chunk: Arc::new(Chunk { schema: Arc::clone(chunk) }),
            references: references.to_vec(),
            functions,
            planners: vec![
                Arc::new(datafusion_functions::core::planner::CoreFunctionPlanner::default()),
                Arc::new(datafusion_functions_nested::planner::NestedFunctionPlanner),
                Arc::new(datafusion_functions_nested::planner::FieldAccessPlanner),
                Arc::new(datafusion_functions::datetime::planner::DatetimeFunctionPlanner),
                Arc::new(datafusion_functions::unicode::planner::UnicodeFunctionPlanner),
            ],
            options,
        }
    }
}

/// The chunk as a table, all of whose rows are given.
struct Chunk {
    schema: SchemaRef,
}

impl TableSource for Chunk {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// A look-up as a table.
pub(super) struct Joinable(pub(super) Arc<Reference>);

impl TableSource for Joinable {
    fn schema(&self) -> SchemaRef {
        self.0.rows.schema()
    }
}

impl ContextProvider for Names {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        if name.schema().is_none() && TABLES.contains(&name.table()) {
            return Ok(Arc::clone(&self.chunk));
        }
        let named = self.references.iter().find(|reference| name.schema().is_none() && reference.name == name.table());
        if let Some(reference) = named {
            return Ok(Arc::new(Joinable(Arc::clone(reference))));
        }
        let others =
            self.references.iter().fold(String::new(), |others, reference| others + ", '" + &reference.name + "'");
        Err(DataFusionError::Plan(format!("there is no table '{name}', only 'chunk', also called 'source'{others}")))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.get(name).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, _name: &str) -> Option<Arc<AggregateUDF>> {
        None
    }

    fn get_window_meta(&self, _name: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.functions.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}

//! The parts of `DataFusion` that queries and conditions share.

use std::sync::Arc;

use datafusion_common::{DFSchema, DataFusionError};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::{Expr, LogicalPlan};
use datafusion_optimizer::{Optimizer, OptimizerContext, OptimizerRule};
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};

pub(super) type Result<T, E = DataFusionError> = std::result::Result<T, E>;

pub(super) type Rules = Vec<Arc<dyn OptimizerRule + Send + Sync>>;

pub(super) fn optimized(plan: LogicalPlan, rules: Rules) -> Result<LogicalPlan> {
    Optimizer::with_rules(rules).optimize(plan, &OptimizerContext::new(), |_, _| {})
}

pub(super) fn physical(expression: &Expr, input: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
    create_physical_expr(expression, input, &ExecutionProps::new(), &PhysicalPlanningContext::default())
}

//! Floats as Spark compares them: -0.0 is 0.0, NaN is one value, after all others, and what is compared with a decimal is a double.
//!
//! Here they are compared bit by bit: -0.0 is less than 0.0, and of the many NaN those with a sign come first.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, DataFusionError, Result};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarUDF, Volatility, cast, create_udf,
};

/// A plan in which decimals that meet floats are doubles, as the floats are then, too. Here they would become decimals, which have no
/// room for most floats.
pub(super) fn with_doubles(plan: LogicalPlan) -> Result<LogicalPlan> {
    let [input] = plan.inputs()[..] else { return Ok(plan) };
    let schema = Arc::clone(input.schema());
    let widen = |expression: Expr| expression.transform_up(|expression| widened(expression, &schema));
    Ok(plan.map_expressions(widen)?.data)
}

/// An expression in which operands that become one type are doubles where some are decimals and others floats.
fn widened(mut expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let operands: Vec<&mut Expr> = match &mut expression {
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => vec![left, right],
        Expr::Between(between) => vec![&mut between.expr, &mut between.low, &mut between.high],
        Expr::InList(list) => std::iter::once(list.expr.as_mut()).chain(&mut list.list).collect(),
        Expr::Case(case) => {
            let results = case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut());
            results.chain(case.else_expr.as_deref_mut()).collect()
        }
        Expr::ScalarFunction(ScalarFunction { args, .. }) => args.iter_mut().collect(),
        _ => return Ok(Transformed::no(expression)),
    };
    let types = operands.iter().map(|operand| operand.get_type(schema)).collect::<Result<Vec<_>>>()?;
    if !(types.iter().any(DataType::is_floating) && types.iter().any(DataType::is_decimal)) {
        return Ok(Transformed::no(expression));
    }
    for (operand, data_type) in operands.into_iter().zip(types) {
        if data_type.is_decimal() || data_type == DataType::Float32 {
            *operand = cast(std::mem::take(operand), DataType::Float64);
        }
    }
    Ok(Transformed::yes(expression))
}

/// An expression in which each float is one that is compared as by Spark.
pub(super) fn normalized(expression: Expr, input: &DFSchema) -> Result<Expr> {
    let functions = [DataType::Float32, DataType::Float64].map(|data_type| (data_type.clone(), function(data_type)));
    let normal = |expression: Expr| {
        let data_type = expression.get_type(input)?;
        let function = functions.iter().find(|(of, _)| *of == data_type && !matches!(expression, Expr::Literal(..)));
        let Some((_, function)) = function else { return Ok(Transformed::no(expression)) };
        let call = ScalarFunction::new_udf(Arc::clone(function), vec![expression]);
        Ok(Transformed::yes(Expr::ScalarFunction(call)))
    };
    Ok(expression.transform_up(normal)?.data)
}

fn function(data_type: DataType) -> Arc<ScalarUDF> {
    let compute = |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let [values] = arrays.as_slice() else {
            return Err(DataFusionError::Internal("one value at a time is normalized".to_owned()));
        };
        let values: ArrayRef = match values.data_type() {
            DataType::Float32 => {
                each::<Float32Type>(values, |value| if value.is_nan() { f32::NAN } else { value + 0.0 })
            }
            _ => each::<Float64Type>(values, |value| if value.is_nan() { f64::NAN } else { value + 0.0 }),
        };
        Ok(ColumnarValue::Array(values))
    };
    let (name, arguments) = (format!("normal_{data_type}"), vec![data_type.clone()]);
    Arc::new(create_udf(&name, arguments, data_type, Volatility::Immutable, Arc::new(compute)))
}

fn each<T: ArrowPrimitiveType>(values: &ArrayRef, normal: impl Fn(T::Native) -> T::Native) -> ArrayRef {
    Arc::new(values.as_primitive::<T>().unary::<_, T>(normal))
}

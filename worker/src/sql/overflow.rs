//! Arithmetic that fails where a result has no room. The engine's own wraps around instead, and it does so when it computes constants,
//! too.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum};
use arrow::compute::kernels::numeric::{add, mul, neg, sub};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type};
use arrow::error::ArrowError;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

/// A plan in which sums, differences, products and negations of integers, decimals and durations are checked. Its types are those that
/// the analyzer gave.
pub(super) fn checked(plan: LogicalPlan) -> Result<LogicalPlan> {
    let checked = plan.transform_up(|node| {
        let (names, schema) = (NamePreserver::new(&node), merge_schema(&node.inputs()));
        let node = node.map_expressions(|expression| {
            let name = names.save(&expression);
            let made = expression.transform_up(|expression| checked_expression(expression, &schema))?;
            Ok(made.update_data(|expression| name.restore(expression)))
        })?;
        if node.transformed { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
    })?;
    Ok(checked.data)
}

fn checked_expression(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (kind, arguments) = match &expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Plus => (Arithmetic::Add, vec![left.as_ref(), right.as_ref()]),
            Operator::Minus => (Arithmetic::Subtract, vec![left.as_ref(), right.as_ref()]),
            Operator::Multiply => (Arithmetic::Multiply, vec![left.as_ref(), right.as_ref()]),
            _ => return Ok(Transformed::no(expression)),
        },
        Expr::Negative(inner) => (Arithmetic::Negate, vec![inner.as_ref()]),
        _ => return Ok(Transformed::no(expression)),
    };
    let types = arguments.iter().map(|argument| argument.get_type(schema)).collect::<Result<Vec<_>>>()?;
    let data_type = expression.get_type(schema)?;
    let is_whole = types.iter().all(DataType::is_integer) || types.iter().all(DataType::is_decimal);
    if !is_whole && !matches!(data_type, DataType::Duration(_)) {
        return Ok(Transformed::no(expression));
    }
    let args = arguments.into_iter().cloned().collect();
    let function = ScalarUDF::new_from_impl(Checked::new(kind, data_type));
    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), args))))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Negate,
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "+",
            Self::Subtract | Self::Negate => "-",
            Self::Multiply => "*",
        })
    }
}

/// An operation on numbers that fails where the result has no room.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    kind: Arithmetic,
    data_type: DataType,
    signature: Signature,
}

impl Checked {
    fn new(kind: Arithmetic, data_type: DataType) -> Self {
        let arguments = if kind == Arithmetic::Negate { 1 } else { 2 };
        Self { kind, data_type, signature: Signature::any(arguments, Volatility::Immutable) }
    }

    fn compute(&self, arguments: &[ColumnarValue]) -> Result<ArrayRef> {
        let made = match arguments {
            [one] => neg(as_array(one)?.as_ref()),
            [one, other] => {
                let (one, other) = (datum(one)?, datum(other)?);
                match self.kind {
                    Arithmetic::Add => add(one.as_ref(), other.as_ref()),
                    Arithmetic::Subtract | Arithmetic::Negate => sub(one.as_ref(), other.as_ref()),
                    Arithmetic::Multiply => mul(one.as_ref(), other.as_ref()),
                }
            }
            _ => return Err(DataFusionError::Internal("arithmetic takes one value or two".to_owned())),
        };
        let made = made.map_err(|error| self.overflow(error))?;
        // Of these the engine takes more digits than the type has.
        let in_bounds = match made.data_type() {
            DataType::Decimal128(digits, _) => {
                made.as_primitive::<Decimal128Type>().validate_decimal_precision(*digits)
            }
            DataType::Decimal256(digits, _) => {
                made.as_primitive::<Decimal256Type>().validate_decimal_precision(*digits)
            }
            _ => Ok(()),
        };
        in_bounds.map_err(|error| self.overflow(error))?;
        Ok(made)
    }

    /// In the words that other engines have for it.
    fn overflow(&self, error: ArrowError) -> DataFusionError {
        match error {
            ArrowError::ArithmeticOverflow(what) => {
                let data_type = shared::type_name(&self.data_type);
                DataFusionError::Execution(format!("the result of {} has no room in {data_type}: {what}", self.kind))
            }
            error => error.into(),
        }
    }
}

fn as_array(value: &ColumnarValue) -> Result<ArrayRef> {
    value.to_array(1)
}

fn datum(value: &ColumnarValue) -> Result<Box<dyn Datum>> {
    Ok(match value {
        ColumnarValue::Array(values) => Box::new(Arc::clone(values)),
        ColumnarValue::Scalar(value) => Box::new(value.to_scalar()?),
    })
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &'static str {
        match self.kind {
            Arithmetic::Add => "checked_add",
            Arithmetic::Subtract => "checked_subtract",
            Arithmetic::Multiply => "checked_multiply",
            Arithmetic::Negate => "checked_negate",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let made = self.compute(&args.args)?;
        if is_constant {
            ScalarValue::try_from_array(&made, 0).map(ColumnarValue::Scalar)
        } else {
            Ok(ColumnarValue::Array(made))
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, DurationMicrosecondArray, Int8Array, Int32Array, Int64Array, UInt64Array};
    use arrow::array::{RecordBatch, TimestampMicrosecondArray};
    use arrow::compute::concat_batches;

    use super::super::{Query, text_of};
    use super::*;

    fn chunk() -> RecordBatch {
        let most = 10_i128.pow(38) - 1;
        let decimal = |values: Vec<i128>| Decimal128Array::from(values).with_precision_and_scale(38, 0).unwrap();
        let columns: [(&str, ArrayRef); 8] = [
            ("l", Arc::new(Int64Array::from(vec![Some(i64::MAX), Some(2), None]))),
            ("least", Arc::new(Int64Array::from(vec![i64::MIN, 0, 1]))),
            ("i", Arc::new(Int32Array::from(vec![i32::MAX, 2, 3]))),
            ("b", Arc::new(Int8Array::from(vec![i8::MIN, 2, 3]))),
            ("u", Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1]))),
            ("d", Arc::new(decimal(vec![most, 1, 2]))),
            ("t", Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN, 0, 1]))),
            ("p", Arc::new(DurationMicrosecondArray::from(vec![i64::MAX, 0, 1]))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn run(sql: &str) -> std::result::Result<RecordBatch, String> {
        let chunk = chunk();
        let query = Query::new(sql, chunk.schema_ref()).map_err(|error| text_of(&error))?;
        let made = query.run(&chunk).map_err(|error| text_of(&error))?;
        Ok(concat_batches(query.schema(), &made).unwrap())
    }

    /// Each was seen to give a number before: of the engine, 9223372036854775807 + 1 is -9223372036854775808.
    #[test]
    fn a_number_without_room_is_an_error() {
        for expression in [
            "l + 1",
            "1 + l",
            "l + l",
            "l * 2",
            "least - 1",
            "-least",
            "abs(least)",
            "least / -1",
            "i + i",
            "cast(i + 1 as int)",
            "cast(l as int)",
            "cast(l * 1.5 as bigint)",
            "-b",
            "u * u * u * u",
            "cast(u as bigint)",
            "d + d",
            "d * d",
            "-cast(least as decimal(19,0)) * d * 10",
            "cast(d as decimal(20,0))",
            "t - timestamp '2024-01-01 00:00:00'",
            "p + p",
            "9223372036854775807 + 1",
            "l + 9223372036854775807 + 1",
            "case when l > 2 then l + 1 else 0 end",
            "coalesce(null, l) + 1",
            "factorial(i)",
            "lcm(l, 2)",
        ] {
            for sql in [
                format!("select {expression} as x from chunk"),
                format!("select 1 as x from chunk where cast(({expression}) as varchar) <> ''"),
            ] {
                let made = run(&sql);
                assert!(made.is_err(), "{sql}: {made:?}");
            }
        }
        assert_eq!(
            run("select l + 1 as x from chunk").unwrap_err(),
            "the result of + has no room in int64: Overflow happened on: 9223372036854775807 + 1"
        );
    }

    #[test]
    fn all_else_is_as_before() {
        let made = run(
            "select l - 1, l + 0 as same, case when i < 9 then i + 1 end as few, -i, d - 1 as d, cast(b as int) * 2 as b from chunk where i < 9",
        )
        .unwrap();
        let names: Vec<&str> = made.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["chunk.l - Int64(1)", "same", "few", "(- chunk.i)", "d", "b"]);
        let (longs, ints) = (Int64Array::from(vec![Some(1), None]), Int32Array::from(vec![-2, -3]));
        let (longs, ints): (&dyn Array, &dyn Array) = (&longs, &ints);
        assert_eq!((made.column(0).as_ref(), made.column(3).as_ref()), (longs, ints));
        let union = run(
            "select l + 1 as x from chunk where l < 9 union all select x + i as x from (select i + 1 as x, i from chunk) where i < 9",
        );
        let longs: &dyn Array = &Int64Array::from(vec![3, 5, 7]);
        assert_eq!(union.unwrap().column(0).as_ref(), longs);
    }
}

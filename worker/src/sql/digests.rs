//! `md5()` and `sha256()` of texts and bytes, as text in hexadecimal digits.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use md5::Md5;
use sha2::{Digest, Sha256};

/// The functions.
pub(super) fn all() -> [Arc<ScalarUDF>; 2] {
    [Kind::Md5, Kind::Sha256].map(|kind| Arc::new(ScalarUDF::new_from_impl(Function::new(kind))))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Md5,
    Sha256,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    kind: Kind,
    signature: Signature,
}

impl Function {
    fn new(kind: Kind) -> Self {
        let signature = Signature::any(1, Volatility::Immutable);
        Self { kind, signature }
    }

    fn compute(&self, values: &ArrayRef) -> Result<StringArray> {
        let bytes = cast(values, &DataType::LargeBinary)?;
        let mut made = StringBuilder::new();
        for value in bytes.as_binary::<i64>() {
            made.append_option(value.map(|value| match self.kind {
                Kind::Md5 => hex(&Md5::digest(value)),
                Kind::Sha256 => hex(&Sha256::digest(value)),
            }));
        }
        Ok(made.finish())
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _: std::fmt::Result = write!(text, "{byte:02x}");
        text
    })
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Md5 => "md5",
            Kind::Sha256 => "sha256",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        use DataType as T;
        match types {
            [T::Utf8 | T::LargeUtf8 | T::Utf8View | T::Binary | T::LargeBinary | T::BinaryView | T::Null] => {
                Ok(T::Utf8)
            }
            _ => Err(DataFusionError::Plan(format!(
                "{}() takes one text, or bytes: use cast(... as varchar)",
                self.name()
            ))),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(values)] => Ok(ColumnarValue::Array(Arc::new(self.compute(values)?))),
            [ColumnarValue::Scalar(value)] => {
                let made = self.compute(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?))
            }
            _ => Err(DataFusionError::Internal("a digest is of one value".to_owned())),
        }
    }
}

//! What a GB of the source costs on AWS, by chunk size.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::model::{float, mib};
use crate::args::Architecture;
use crate::error::CliError;

/// Prices in US dollars, beyond the free tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Prices {
    /// Where they hold.
    region: String,
    /// When they were looked up, as `YYYY-MM`.
    date: String,
    /// A second of a Lambda function with 1,024 MB, on arm64.
    lambda_gb_second_arm64: f64,
    /// The same on `x86_64`.
    lambda_gb_second_x86_64: f64,
    /// A call of a Lambda function.
    lambda_request: f64,
    /// A request to a standard queue of SQS.
    sqs_request: f64,
    /// A put, a part of an upload, or a listing, of S3 Standard.
    s3_write: f64,
    /// A get of S3 Standard.
    s3_read: f64,
}

impl Default for Prices {
    /// The list prices of AWS.
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            date: "2026-05".to_owned(),
            lambda_gb_second_arm64: 0.000_013_333_4,
            lambda_gb_second_x86_64: 0.000_016_666_7,
            lambda_request: 0.000_000_2,
            sqs_request: 0.000_000_4,
            s3_write: 0.000_005,
            s3_read: 0.000_000_4,
        }
    }
}

impl Prices {
    /// List prices, in place of which those count that a JSON file names.
    pub(super) fn read(file: Option<&Path>) -> Result<Self, CliError> {
        let Some(file) = file else { return Ok(Self::default()) };
        let failed = |reason: String| CliError::Prices { file: file.to_owned(), reason };
        let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
        let prices: Self = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
        match prices.each().into_iter().find(|(_, price)| *price < 0.0) {
            Some((name, price)) => Err(failed(format!("{name} is {price}, and no price is less than 0"))),
            None => Ok(prices),
        }
    }

    fn each(&self) -> [(&'static str, f64); 6] {
        [
            ("lambda_gb_second_arm64", self.lambda_gb_second_arm64),
            ("lambda_gb_second_x86_64", self.lambda_gb_second_x86_64),
            ("lambda_request", self.lambda_request),
            ("sqs_request", self.sqs_request),
            ("s3_write", self.s3_write),
            ("s3_read", self.s3_read),
        ]
    }

    /// Where and when they hold, for people.
    pub(super) fn stand(&self) -> String {
        format!("{}, {}", self.region, self.date)
    }

    fn gb_second(&self, architecture: Architecture) -> f64 {
        match architecture {
            Architecture::Arm64 => self.lambda_gb_second_arm64,
            Architecture::X86 => self.lambda_gb_second_x86_64,
        }
    }
}

/// What loading the whole source takes of AWS.
#[derive(Clone, Copy, Debug)]
pub(super) struct Consumption {
    /// Bytes of the source.
    pub(super) source_bytes: u64,
    pub(super) chunks: u64,
    /// Bytes of all chunks.
    pub(super) chunk_bytes: u64,
    /// Calls of both functions.
    pub(super) calls: u64,
    /// Seconds of both functions, each times its memory in GiB.
    pub(super) gb_seconds: f64,
}

/// Dollars for 10^9 bytes of the source. Without storage, which does not go by the size of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Cost {
    pub(super) lambda: f64,
    pub(super) sqs: f64,
    pub(super) s3: f64,
    pub(super) all: f64,
}

/// Requests that count as writes: of a source, of a chunk, and of a MiB of chunks, whose parts are of 8 MiB. Counted, as [`READS`] are,
/// at `sluice ingest` on an emulated S3: 95 and 191 MiB of TPC-H lineitem in chunks of 5 to 40 MiB, which the worker took over as
/// they are. With SQL there are some more a MiB.
const WRITES: [f64; 3] = [18.0, 9.5, 0.125];

/// Requests that count as reads: of a source, of a chunk, of a MiB of chunks, and of a MiB of the source, whose ranges are of 4 MiB.
const READS: [f64; 4] = [20.0, 14.0, 0.1, 0.25];

/// Requests to SQS: send, receive and delete, of the drop and of each chunk.
const SQS_REQUESTS: f64 = 3.0;

impl Consumption {
    /// What it costs.
    pub(super) fn cost(&self, prices: &Prices, architecture: Architecture) -> Cost {
        let (chunks, chunk_mib) = (float(self.chunks), mib(self.chunk_bytes));
        let [source, chunk, a_mib] = WRITES;
        let writes = source + chunk * chunks + a_mib * chunk_mib;
        let [source, chunk, a_mib, a_source_mib] = READS;
        let reads = source + chunk * chunks + a_mib * chunk_mib + a_source_mib * mib(self.source_bytes);
        let a_gb = |dollars: f64| dollars * 1e9 / float(self.source_bytes.max(1));
        let lambda = a_gb(self.gb_seconds * prices.gb_second(architecture) + float(self.calls) * prices.lambda_request);
        let sqs = a_gb((1.0 + chunks) * SQS_REQUESTS * prices.sqs_request);
        let s3 = a_gb(writes * prices.s3_write + reads * prices.s3_read);
        Cost { lambda, sqs, s3, all: lambda + sqs + s3 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_prices_replace_those_of_the_list() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("prices.json");
        for (text, stand, put) in [
            ("{}", "us-east-1, 2026-05", 0.000_005),
            (r#"{"region":"eu-central-1","date":"2027-01","s3_write":1}"#, "eu-central-1, 2027-01", 1.0),
        ] {
            std::fs::write(&file, text).unwrap();
            let prices = Prices::read(Some(&file)).unwrap();
            assert_eq!((prices.stand().as_str(), prices.s3_write), (stand, put), "{text}");
        }
        std::fs::write(&file, r#"{"s3_put":1}"#).unwrap();
        assert!(Prices::read(Some(&file)).unwrap_err().to_string().contains("unknown field `s3_put`"));
    }

    #[test]
    fn each_service_is_paid_for() {
        let taken =
            Consumption { source_bytes: 1_000_000_000, chunks: 4, chunk_bytes: 400 << 20, calls: 5, gb_seconds: 50.0 };
        let cost = taken.cost(&Prices::default(), Architecture::Arm64);
        let sum = cost.lambda + cost.sqs + cost.s3;
        assert!(
            (cost.all - sum).abs() < 1e-12 && cost.lambda > 0.000_66 && cost.sqs > 0.0 && cost.s3 > 0.0,
            "{cost:?}"
        );
        let dearer = taken.cost(&Prices::default(), Architecture::X86);
        assert!(dearer.lambda > cost.lambda && (dearer.s3 - cost.s3).abs() < 1e-12);
    }
}

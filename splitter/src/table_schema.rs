//! Columns of the target table, from the newest metadata in its Delta log.
//!
//! Only what is needed of the log's format is read, so that the splitter does without the library that the worker has.

use std::sync::Arc;

use arrow::array::AsArray;
use futures::{StreamExt, TryStreamExt, stream};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use serde::Deserialize;
use shared::{ColumnType, Location, Progress, SourceObject, Storage, StorageError, ToldColumn};

use crate::error::SplitError;
use crate::ranged_file::RangedFile;

/// Files of the log that are read at once.
const FILES_AHEAD: usize = 8;

/// Bytes of a commit that are read at once.
const PIECE_BYTES: u64 = 4 << 20;

/// The column of a checkpoint that has the schema.
const SCHEMA_COLUMN: &str = "metaData.schemaString";

/// A line of a commit, as far as it is of interest here.
#[derive(Deserialize)]
struct Action {
    #[serde(rename = "metaData")]
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "schemaString")]
    schema: String,
}

#[derive(Deserialize)]
struct TableSchema {
    fields: Vec<TableField>,
}

#[derive(Deserialize)]
struct TableField {
    name: String,
    /// A word, or for nested types an object.
    #[serde(rename = "type")]
    data_type: serde_json::Value,
}

/// The columns of a table that have a type which text can be read as; none when there is no table yet.
///
/// Commits and checkpoints are looked through from the newest on, until one tells of the schema.
pub(crate) async fn columns(storage: &Arc<dyn Storage>, table: &Location) -> Result<Vec<ToldColumn>, SplitError> {
    let listed = storage.list(&table.join("_delta_log")).await.map_err(SplitError::Table)?;
    let mut files: Vec<(u64, bool, Location)> = listed
        .into_iter()
        .filter_map(|file| {
            let name = file.location.name();
            let (version, kind) = name.split_once('.')?;
            let is_known = kind == "json" || kind.starts_with("checkpoint.");
            let version = version.parse().ok().filter(|_| is_known && version.len() == 20)?;
            Some((version, kind == "json", file.location.clone()))
        })
        .collect();
    files.sort_by(|one, other| other.cmp(one));
    let schemas = stream::iter(files).map(|(.., at)| async move {
        match schema_in(storage, &at).await {
            // It was cleaned up, so there is a newer checkpoint.
            Err(StorageError::NotFound { .. }) => Ok(None),
            schema => schema.map(|schema| Some((at, schema?))),
        }
    });
    let schemas = schemas.buffered(FILES_AHEAD).try_filter_map(|schema| async { Ok(schema) });
    let newest = std::pin::pin!(schemas).try_next().await.map_err(SplitError::Table)?;
    let Some((at, schema)) = newest else { return Ok(Vec::new()) };
    let schema: TableSchema = serde_json::from_str(&schema).map_err(|error| SplitError::Table(malformed(at, error)))?;
    let told = |field: TableField| {
        let column_type = column_type(field.data_type.as_str()?)?;
        Some(ToldColumn { name: field.name, column_type, date_format: None })
    };
    Ok(schema.fields.into_iter().filter_map(told).collect())
}

/// The type that text for a column of the table is read as; the worker carries values over to the table's own.
fn column_type(of_table: &str) -> Option<ColumnType> {
    match of_table {
        "byte" | "short" | "integer" | "long" => Some(ColumnType::Int64),
        "float" | "double" => Some(ColumnType::Float64),
        "timestamp" => Some(ColumnType::TimestampUtc),
        "timestamp_ntz" => Some(ColumnType::Timestamp),
        "string" | "binary" => Some(ColumnType::Utf8),
        // "boolean", "date" and "decimal(P,S)" are words of ours too.
        other => other.parse().ok(),
    }
}

async fn schema_in(storage: &Arc<dyn Storage>, at: &Location) -> Result<Option<String>, StorageError> {
    let file = SourceObject::look_up(storage.as_ref(), at).await?;
    if at.name().ends_with(".parquet") {
        return schema_in_checkpoint(Arc::clone(storage), file).await;
    }
    let mut line = Vec::new();
    for start in (0..file.size).step_by(usize::try_from(PIECE_BYTES).unwrap_or(usize::MAX)) {
        let end = file.size.min(start + PIECE_BYTES);
        let piece = storage.get_range(at, &file.version, start..end).await?;
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") || end == file.size {
                if let Some(schema) = schema_in_line(&line).map_err(|error| malformed(at.clone(), error))? {
                    return Ok(Some(schema));
                }
                line.clear();
            }
        }
    }
    Ok(None)
}

fn schema_in_line(line: &[u8]) -> Result<Option<String>, serde_json::Error> {
    if memchr::memmem::find(line, b"\"metaData\"").is_none() {
        return Ok(None);
    }
    let action: Action = serde_json::from_slice(line)?;
    Ok(action.metadata.map(|metadata| metadata.schema))
}

/// The one column of a checkpoint that matters is read and nothing else, since a checkpoint has all files of its table.
async fn schema_in_checkpoint(storage: Arc<dyn Storage>, file: SourceObject) -> Result<Option<String>, StorageError> {
    let at = file.uri.clone();
    let file = RangedFile::new(storage, file, Arc::new(Progress::default()));
    let reader = file.clone();
    let read = move || {
        let builder = ParquetRecordBatchReaderBuilder::try_new(reader)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), [SCHEMA_COLUMN]);
        for batch in builder.with_projection(mask).build()? {
            let batch = batch?;
            let metadata = batch.column_by_name("metaData").and_then(|column| column.as_struct_opt());
            let schemas = metadata.and_then(|metadata| metadata.column_by_name("schemaString"));
            let schemas = schemas.and_then(|schemas| schemas.as_string_opt::<i32>());
            if let Some(schema) = schemas.and_then(|schemas| schemas.iter().flatten().next()) {
                return Ok(Some(schema.to_owned()));
            }
        }
        Ok(None)
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read.map_err(|error: ParquetError| file.store_failure().unwrap_or_else(|| malformed(at, error))),
        Err(panic) => Err(malformed(at, panic)),
    }
}

fn malformed(at: Location, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StorageError {
    StorageError::Malformed { at, what: "part of a Delta log", source: source.into() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
    use arrow::datatypes::{DataType, Field};
    use parquet::arrow::ArrowWriter;
    use shared::PutMode;
    use shared::testing::MemoryStorage;

    use super::*;

    fn metadata(fields: &str) -> String {
        let schema = serde_json::json!(format!("{{\"type\":\"struct\",\"fields\":[{fields}]}}"));
        format!("{{\"metaData\":{{\"id\":\"x\",\"schemaString\":{schema},\"partitionColumns\":[]}}}}\n")
    }

    fn field(name: &str, data_type: &str) -> String {
        format!("{{\"name\":\"{name}\",\"type\":{data_type},\"nullable\":true,\"metadata\":{{}}}}")
    }

    fn checkpoint(schema: Option<&str>) -> Vec<u8> {
        let schemas: ArrayRef = Arc::new(StringArray::from(vec![None, schema]));
        let other: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let field = Arc::new(Field::new("schemaString", DataType::Utf8, true));
        let metadata: ArrayRef = Arc::new(StructArray::from(vec![(field, schemas)]));
        let batch = RecordBatch::try_from_iter([("other", other), ("metaData", metadata)]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    /// The columns of a table whose log has these files.
    async fn of_log(files: &[(&str, Vec<u8>)]) -> Result<String, String> {
        let storage = MemoryStorage::default();
        let table: Location = "s3://lake/t".parse().unwrap();
        for (name, body) in files {
            let at = table.join("_delta_log").join(name);
            storage.put(&at, body.clone().into(), PutMode::Overwrite).await.unwrap();
        }
        let storage: Arc<dyn Storage> = Arc::new(storage);
        let columns = columns(&storage, &table).await.map_err(|error| shared::error_chain(&error))?;
        Ok(columns.iter().map(|told| format!("{}:{}", told.name, told.column_type)).collect::<Vec<_>>().join(" "))
    }

    #[tokio::test]
    async fn the_newest_schema_wins() {
        let commit =
            |fields: &[String]| (String::from("{\"protocol\":{}}\n") + &metadata(&fields.join(","))).into_bytes();
        let (zero, one) = ("00000000000000000000.json", "00000000000000000001.json");
        let two = "00000000000000000002.json";
        let a = commit(&[field("a", "\"long\"")]);
        let b =
            commit(&[field("b", "\"string\""), field("c", "{\"type\":\"array\"}"), field("d", "\"decimal(12,2)\"")]);
        let append = b"{\"add\":{\"path\":\"\\\"metaData\\\"\"}}\n".to_vec();
        let schema = "{\"type\":\"struct\",\"fields\":[{\"name\":\"e\",\"type\":\"date\"}]}";
        let at_one = "00000000000000000001.checkpoint.parquet";
        for (files, expected) in [
            (vec![], ""),
            (vec![(zero, a.clone())], "a:int64"),
            (vec![(zero, a.clone()), (one, append.clone())], "a:int64"),
            (vec![(zero, a.clone()), (one, b.clone()), (two, append.clone())], "b:text d:decimal(12,2)"),
            (vec![(at_one, checkpoint(Some(schema))), (two, append.clone())], "e:date"),
            (vec![(at_one, checkpoint(Some(schema))), (two, a.clone())], "a:int64"),
            // A checkpoint that says nothing is no harm while the commits before it are there.
            (vec![(zero, a.clone()), (at_one, checkpoint(None))], "a:int64"),
            (vec![("_last_checkpoint", b"{}".to_vec()), ("1.json", b.clone()), (zero, a.clone())], "a:int64"),
        ] {
            assert_eq!(of_log(&files).await, Ok(expected.to_owned()));
        }
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_read_is_told_of() {
        let broken = vec![("00000000000000000000.json", b"{\"metaData\":{}}\n".to_vec())];
        insta::assert_snapshot!(
            of_log(&broken).await.unwrap_err(),
            @"cannot look up the columns of the table: s3://lake/t/_delta_log/00000000000000000000.json is not a valid part of a Delta log: missing field `schemaString` at line 1 column 14"
        );
        let broken = vec![("00000000000000000000.checkpoint.parquet", b"PAR1".to_vec())];
        insta::assert_snapshot!(
            of_log(&broken).await.unwrap_err(),
            @"cannot look up the columns of the table: s3://lake/t/_delta_log/00000000000000000000.checkpoint.parquet is not a valid part of a Delta log: EOF: Parquet file too small. Size is 4 but need 8"
        );
    }
}

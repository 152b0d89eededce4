//! Columns of the target table, from the newest metadata in its Delta log.
//!
//! Only what is needed of the log's format is read, so that the splitter does without the library that the worker has.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use futures::{StreamExt, stream};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use serde::Deserialize;
use shared::{ColumnType, Location, Progress, SourceObject, Storage, StorageError, TypedColumn};

use crate::error::SplitError;
use crate::source::ranged_file::RangedFile;

/// Files of the log that are read at once.
const FILES_AHEAD: usize = 8;

/// How often a log is listed again that others clean up meanwhile.
const MOST_LISTINGS: usize = 3;

/// Bytes of a commit that are read at once.
const PIECE_BYTES: u64 = 4 << 20;

/// The column of a checkpoint that has the schema.
const SCHEMA_COLUMN: &str = "metaData.schemaString";

/// The hint at the last checkpoint.
const HINT: &str = "_last_checkpoint";

/// A line of a commit, as far as it is of interest here.
#[derive(Deserialize)]
struct Action {
    #[serde(rename = "metaData")]
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Hint {
    version: u64,
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

/// The columns of a table; none when there is no table yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableColumns {
    /// Names of all.
    pub(crate) names: Vec<String>,
    /// Those that have a type which text can be read as.
    pub(crate) typed: Vec<TypedColumn>,
}

/// The columns of a table.
///
/// Commits and checkpoints are searched from the newest on, until one has the schema.
pub(crate) async fn columns(storage: &Arc<dyn Storage>, table: &Location) -> Result<TableColumns, SplitError> {
    let newest = newest_schema(storage, &table.join("_delta_log")).await.map_err(SplitError::Table)?;
    let Some((at, schema)) = newest else { return Ok(TableColumns::default()) };
    columns_of(&schema, &at)
}

/// The columns by a schema as a log writes it; `at` is where it is from.
pub(crate) fn columns_of(schema: &str, at: &Location) -> Result<TableColumns, SplitError> {
    let malformed = |error| SplitError::Table(malformed(at.clone(), error));
    let schema: TableSchema = serde_json::from_str(schema).map_err(malformed)?;
    let typed = |field: &TableField| {
        let column_type = column_type(field.data_type.as_str()?)?;
        Some(TypedColumn { name: field.name.clone(), column_type, date_format: None })
    };
    let typed = schema.fields.iter().filter_map(typed).collect();
    Ok(TableColumns { typed, names: schema.fields.into_iter().map(|field| field.name).collect() })
}

/// The newest schema of a log, and the file that has it; none when there is no log.
async fn newest_schema(storage: &Arc<dyn Storage>, log: &Location) -> Result<Option<(Location, String)>, StorageError> {
    let mut attempts = 0..MOST_LISTINGS;
    loop {
        let files = entries_and_checkpoints(storage, log).await?;
        let Some(oldest) = files.last().map(|(version, ..)| *version) else { return Ok(None) };
        let looks = files.into_iter().map(|(.., at)| async move { (schema_in(storage, &at).await, at) });
        let mut looks = std::pin::pin!(stream::iter(looks).buffered(FILES_AHEAD));
        let mut is_cleaned_up = false;
        while let Some((schema, at)) = looks.next().await {
            match schema {
                Ok(Some(schema)) => return Ok(Some((at, schema))),
                Ok(None) => {}
                // Somebody cleans up, so there is a newer checkpoint, which may have come after the listing.
                Err(StorageError::NotFound { .. }) => is_cleaned_up = true,
                Err(error) => return Err(error),
            }
        }
        if !is_cleaned_up || attempts.next().is_none() {
            let named = missing_checkpoint(storage, log).await?;
            let named =
                named.map(|version| format!("; {HINT} names a checkpoint of version {version}, which is missing"));
            let reason = format!(
                "neither its entries nor its checkpoints have a schema; the oldest is version {oldest}{}",
                named.unwrap_or_default()
            );
            return Err(StorageError::Malformed { at: log.clone(), what: "Delta log", source: reason.into() });
        }
    }
}

/// The version of the last checkpoint by the hint at it, if there is no such checkpoint.
async fn missing_checkpoint(storage: &Arc<dyn Storage>, log: &Location) -> Result<Option<u64>, StorageError> {
    let at = log.join(HINT);
    let hint = match SourceObject::look_up(storage.as_ref(), &at).await {
        Ok(hint) => storage.get_range(&at, &hint.version, 0..hint.size).await?,
        Err(StorageError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    // One that is not valid is taken for none.
    let Ok(Hint { version }) = serde_json::from_slice(&hint) else { return Ok(None) };
    let files = entries_and_checkpoints(storage, log).await?;
    let is_there = files.iter().any(|(of, is_entry, _)| *of == version && !is_entry);
    Ok((!is_there).then_some(version))
}

/// Commits and checkpoints of a log, the newest first; a commit comes before the checkpoint of its version. A checkpoint may be
/// in several parts, or have a UUID in its name and be JSON; its sidecars are in a folder of their own and have no schema.
async fn entries_and_checkpoints(
    storage: &Arc<dyn Storage>,
    log: &Location,
) -> Result<Vec<(u64, bool, Location)>, StorageError> {
    let listed = storage.list(log).await?;
    let own = listed.into_iter().map(|file| file.location).filter(|at| at.parent().as_ref() == Some(log));
    let known = own.filter_map(|at| {
        let (version, kind) = at.name().split_once('.')?;
        let is_known = kind == "json" || kind.starts_with("checkpoint.");
        let version = version.parse().ok().filter(|_| is_known && version.len() == 20)?;
        Some((version, kind == "json", at.clone()))
    });
    let mut files: Vec<_> = known.collect();
    files.sort_by(|one, other| other.cmp(one));
    Ok(files)
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
        // Without the hints of Arrow, texts are of one type, whatever their writer held them as.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(reader, options)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), [SCHEMA_COLUMN]);
        for batch in builder.with_projection(mask).build()? {
            if let Some(schema) = schema_in_batch(&batch?)? {
                return Ok(Some(schema));
            }
        }
        Ok(None)
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read.map_err(|error: ParquetError| file.store_failure().unwrap_or_else(|| malformed(at, error))),
        Err(panic) => Err(malformed(at, panic)),
    }
}

/// The schema is in the one row that is a `metaData` action. In all others the struct is null, and then its fields have any
/// value: that of a required field is an empty text.
fn schema_in_batch(batch: &RecordBatch) -> Result<Option<String>, ParquetError> {
    let Some(metadata) = batch.column_by_name("metaData").and_then(|column| column.as_struct_opt()) else {
        return Ok(None);
    };
    let Some(schemas) = metadata.column_by_name("schemaString") else { return Ok(None) };
    let schemas = match schemas.data_type() {
        // Texts that their writer did not say to be text.
        DataType::Binary => &cast(schemas, &DataType::Utf8)?,
        _ => schemas,
    };
    let schemas = schemas.as_string_opt::<i32>().ok_or_else(|| {
        ParquetError::General(format!("{SCHEMA_COLUMN} is of type {}, and not text", schemas.data_type()))
    })?;
    let row = (0..batch.num_rows()).find(|row| metadata.is_valid(*row) && schemas.is_valid(*row));
    Ok(row.map(|row| schemas.value(row).to_owned()))
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
        Ok(columns.typed.iter().map(|told| format!("{}:{}", told.name, told.column_type)).collect::<Vec<_>>().join(" "))
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

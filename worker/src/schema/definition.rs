//! What a table is by its log, its protocol and its columns, tried in memory before it is committed.
//!
//! A schema that the library cannot read back makes a table that nobody can open, whatever wrote it. So a new table, and a
//! table with new columns, are first opened from memory by the code that every reader opens tables with.

use std::collections::HashMap;

use buoyant_kernel::table_features::TableFeature;
use bytes::Bytes;
use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{Action, DataType, Metadata, PrimitiveType, Protocol, StructField, StructType};
use deltalake::logstore::CommitOrBytes;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaTable, DeltaTableError};
use serde_json::{Value, json};

use crate::delta::commit_info::commit_data;
use crate::schema::features;
use crate::schema::refusal::Refusal;
use crate::schema::write_schema::WriteSchema;
use crate::schema::write_schema::numbers::{LAST_ID, highest};

/// Commits between two checkpoints of a table that Sluice creates. Tables that Sluice created are known by it.
const CHECKPOINT_INTERVAL: (&str, &str) = ("delta.checkpointInterval", "100");

/// The feature that timestamps without time zone ask of a table.
const WITHOUT_ZONE: TableFeature = TableFeature::TimestampWithoutTimezone;

/// Versions of the protocol from which on a table lists its features.
const LISTING_READER: i32 = 3;
const LISTING_WRITER: i32 = 7;

/// Most lists, maps and structs within each other in a column.
const MOST_LEVELS: usize = 56;

/// The first entry of the log of a new table.
pub(crate) async fn first_entry(write_schema: &WriteSchema) -> Result<Bytes, Refusal> {
    let refused = |error: DeltaTableError| refused(&error);
    let protocol = protocol_of_new(write_schema.fields()).map_err(refused)?;
    let metadata = metadata(write_schema.fields().to_vec(), write_schema.partition_by()).map_err(refused)?;
    let draft = DeltaTable::new_in_memory();
    let operation = DeltaOperation::Create {
        mode: SaveMode::ErrorIfExists,
        location: draft.log_store().root_url().clone(),
        protocol: protocol.clone(),
        metadata: metadata.clone(),
    };
    let actions = vec![Action::Protocol(protocol.clone()), Action::Metadata(metadata)];
    let about = json!({ "text": "created", "version": env!("CARGO_PKG_VERSION") });
    let entry = commit_data(actions, operation, about, HashMap::new(), Vec::new()).get_bytes();
    let entry = entry.map_err(|error| refused(error.into()))?;
    match open(draft, entry.clone()).await {
        Ok(()) => Ok(entry),
        Err(error) => Err(named(&protocol, write_schema.fields(), &[], &error).await),
    }
}

/// What a commit has to have for a table to get these columns: those that it lacks, and those of its own that get fields.
pub(crate) async fn additions(state: &DeltaTableState, new: &[StructField]) -> Result<Vec<Action>, Refusal> {
    let old: Vec<StructField> = state.schema().fields().cloned().collect();
    let protocol = protocol_with(state, new)?;
    let metadata = with_fields(state, with(&old, new)).map_err(|error| refused(&error))?;
    let mut actions = vec![Action::Metadata(metadata)];
    if let Some(protocol) = &protocol {
        actions.push(Action::Protocol(protocol.clone()));
    }
    let protocol = protocol.unwrap_or_else(|| state.protocol().clone());
    if let Err(error) = open_with(&protocol, &actions).await {
        return Err(named(&protocol, new, &old, &error).await);
    }
    Ok(actions)
}

/// Whether a table can be what a schema says: as it is, with more columns, or made again.
pub(crate) async fn check(state: Option<&DeltaTableState>, write_schema: &WriteSchema) -> Result<(), Refusal> {
    let Some(state) = state else { return first_entry(write_schema).await.map(|_| ()) };
    let now = state.schema();
    let new: Vec<StructField> =
        write_schema.fields().iter().filter(|field| now.field(field.name()) != Some(*field)).cloned().collect();
    if new.is_empty() { Ok(()) } else { additions(state, &new).await.map(|_| ()) }
}

/// The protocol of a new table: the lowest that its columns can do with.
fn protocol_of_new(fields: &[StructField]) -> Result<Protocol, DeltaTableError> {
    if fields.iter().any(|field| is_without_zone(field.data_type())) {
        return listing(&[WITHOUT_ZONE], &[WITHOUT_ZONE]);
    }
    Ok(serde_json::from_value(json!({"minReaderVersion": 1, "minWriterVersion": 2}))?)
}

/// The protocol that a table needs for new columns; none when it has it.
///
/// An append must not lock out the readers of a table that others look after, so the protocol is raised only where the
/// table lists its features already, or where Sluice created it.
fn protocol_with(state: &DeltaTableState, new: &[StructField]) -> Result<Option<Protocol>, Refusal> {
    let now = state.protocol();
    let Some(asking) = new.iter().find(|field| is_without_zone(field.data_type())) else { return Ok(None) };
    let (readers, writers) = (now.reader_features(), now.writer_features());
    let has = |features: Option<&[TableFeature]>| features.is_some_and(|features| features.contains(&WITHOUT_ZONE));
    if has(readers) && has(writers) {
        return Ok(None);
    }
    let (name, interval) = CHECKPOINT_INTERVAL;
    let is_ours = state.metadata().configuration().get(name).is_some_and(|found| found == interval);
    let (reader, writer) = (now.min_reader_version(), now.min_writer_version());
    if reader < LISTING_READER && !is_ours {
        let reason = format!(
            "column '{}' has timestamps without time zone, which need the table feature timestampNtz, and the table's protocol \
             (reader {reader}, writer {writer}) has no features",
            asking.name()
        );
        let hint = "ALTER TABLE ... SET TBLPROPERTIES ('delta.feature.timestampNtz' = 'supported') enables it for all who use the \
                    table; or have the column written as an instant (UTC), or make it one by SQL";
        return Err(Refusal { reason, hint: Some(hint) });
    }
    let listed = |features: Option<&[TableFeature]>, implied: &[TableFeature]| {
        let mut features = features.unwrap_or(implied).to_vec();
        if !features.contains(&WITHOUT_ZONE) {
            features.push(WITHOUT_ZONE);
        }
        features
    };
    // Writers without an SQL engine refuse tables that list constraints, so what the table does not use is not listed.
    let writers = listed(writers, &features::implied(state));
    listing(&listed(readers, &[]), &writers).map(Some).map_err(|error| refused(&error))
}

/// A protocol that lists features.
fn listing(readers: &[TableFeature], writers: &[TableFeature]) -> Result<Protocol, DeltaTableError> {
    let names = |features: &[TableFeature]| features.iter().map(ToString::to_string).collect::<Vec<_>>();
    Ok(serde_json::from_value(json!({
        "minReaderVersion": LISTING_READER, "minWriterVersion": LISTING_WRITER,
        "readerFeatures": names(readers), "writerFeatures": names(writers),
    }))?)
}

/// Whether values of this type have timestamps without time zone, at any depth.
fn is_without_zone(data_type: &DataType) -> bool {
    match data_type {
        DataType::Primitive(primitive) => *primitive == PrimitiveType::TimestampNtz,
        DataType::Array(array) => is_without_zone(array.element_type()),
        DataType::Map(map) => is_without_zone(map.key_type()) || is_without_zone(map.value_type()),
        DataType::Struct(fields) => fields.fields().any(|field| is_without_zone(field.data_type())),
        DataType::Variant(_) => false,
    }
}

/// Columns with others after them, or in place of those of their names.
fn with(old: &[StructField], new: &[StructField]) -> Vec<StructField> {
    let changed = |field: &StructField| new.iter().find(|new| new.name() == field.name()).unwrap_or(field).clone();
    let is_new = |field: &&StructField| old.iter().all(|old| old.name() != field.name());
    old.iter().map(changed).chain(new.iter().filter(is_new).cloned()).collect()
}

/// The same table with other columns.
fn with_fields(state: &DeltaTableState, fields: Vec<StructField>) -> Result<Metadata, DeltaTableError> {
    let mut changed = serde_json::to_value(state.metadata())?;
    let settings = changed.get_mut("configuration").and_then(Value::as_object_mut);
    if let Some(settings) = settings.filter(|_| features::maps_columns(state)) {
        let said = settings.get(LAST_ID).and_then(Value::as_str).and_then(|last| last.parse().ok()).unwrap_or_default();
        settings.insert(LAST_ID.to_owned(), highest(fields.iter()).max(said).to_string().into());
    }
    let schema = serde_json::to_string(&StructType::try_new(fields)?)?;
    if let Some(text) = changed.get_mut("schemaString") {
        *text = Value::String(schema);
    }
    Ok(serde_json::from_value(changed)?)
}

/// A table of this protocol and metadata, without files, at version 0.
pub(crate) async fn state(protocol: &Protocol, metadata: &Metadata) -> Result<DeltaTableState, DeltaTableError> {
    let actions = vec![Action::Protocol(protocol.clone()), Action::Metadata(metadata.clone())];
    let operation = DeltaOperation::AddColumn { fields: Vec::new() };
    let entry = CommitData::new(actions, operation, HashMap::new(), Vec::new()).get_bytes()?;
    let mut draft = DeltaTable::new_in_memory();
    draft.log_store().write_commit_entry(0, CommitOrBytes::LogBytes(entry), uuid::Uuid::new_v4()).await?;
    draft.load().await?;
    draft.state.ok_or(DeltaTableError::NotInitialized)
}

/// Opens a table of this protocol and the metadata among these actions.
async fn open_with(protocol: &Protocol, actions: &[Action]) -> Result<(), DeltaTableError> {
    let mut all = vec![Action::Protocol(protocol.clone())];
    all.extend(actions.iter().filter(|action| matches!(action, Action::Metadata(_))).cloned());
    let operation = DeltaOperation::AddColumn { fields: Vec::new() };
    let entry = CommitData::new(all, operation, HashMap::new(), Vec::new()).get_bytes()?;
    open(DeltaTable::new_in_memory(), entry).await
}

/// Opens a table whose log begins with this entry, as every reader would, and asks whether it can be written to.
async fn open(mut draft: DeltaTable, entry: Bytes) -> Result<(), DeltaTableError> {
    let log = draft.log_store();
    log.write_commit_entry(0, CommitOrBytes::LogBytes(entry), uuid::Uuid::new_v4()).await?;
    draft.load().await?;
    let state = draft.snapshot()?;
    check_levels(state)?;
    match features::obstacle(state) {
        Some(reason) => Err(DeltaTableError::generic(reason)),
        None => WriteSchema::of(state).map(|_| ()),
    }
}

/// Arrow hands schemas on with 64 levels at most, and readers add some of their own.
fn check_levels(state: &DeltaTableState) -> Result<(), DeltaTableError> {
    let deepest = state.schema().fields().map(|field| levels(field.data_type())).max().unwrap_or(0);
    if deepest > MOST_LEVELS {
        return Err(DeltaTableError::generic(format!(
            "{deepest} levels of lists, maps and structs, and {MOST_LEVELS} can be read"
        )));
    }
    Ok(())
}

fn levels(data_type: &DataType) -> usize {
    let below = match data_type {
        DataType::Primitive(_) | DataType::Variant(_) => return 0,
        DataType::Array(array) => levels(array.element_type()),
        // A map is a list of pairs.
        DataType::Map(map) => 1 + levels(map.key_type()).max(levels(map.value_type())),
        DataType::Struct(fields) => fields.fields().map(|field| levels(field.data_type())).max().unwrap_or(0),
    };
    below + 1
}

/// The refusal of columns that could not be read back, with the name of the first that cannot be by itself.
async fn named(protocol: &Protocol, new: &[StructField], old: &[StructField], error: &DeltaTableError) -> Refusal {
    for field in new {
        let fields = with(old, std::slice::from_ref(field));
        let alone = async { open_with(protocol, &[Action::Metadata(metadata(fields, &[])?)]).await };
        if let Err(error) = alone.await {
            let Refusal { reason, hint } = refused(&error);
            return Refusal { reason: format!("column '{}': {reason}", field.name()), hint };
        }
    }
    refused(error)
}

fn metadata(fields: Vec<StructField>, partition_by: &[String]) -> Result<Metadata, DeltaTableError> {
    let (name, interval) = CHECKPOINT_INTERVAL;
    Ok(serde_json::from_value(json!({
        "id": uuid::Uuid::new_v4().to_string(),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": serde_json::to_string(&StructType::try_new(fields)?)?,
        "partitionColumns": partition_by,
        "configuration": {name: interval},
        "createdTime": crate::delta::log::now(),
    }))?)
}

/// What the library says, without where it was in it.
fn refused(error: &DeltaTableError) -> Refusal {
    let said = shared::error_chain(error);
    let reason = format!("no reader could open the table with it: {}", said.lines().next().unwrap_or_default());
    Refusal { reason, hint: Some("leave it out, or take out of it what is needed, by SQL") }
}

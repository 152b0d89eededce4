//! What a table asks of its writers: features that its protocol lists, settings, and marks on its columns.
//!
//! A feature that is listed and not used asks for nothing. One that is used is heeded, or the table is refused by name.

use buoyant_kernel::schema::MetadataValue;
use buoyant_kernel::table_features::TableFeature;
use deltalake::kernel::transaction::TransactionError;
use deltalake::kernel::{Action, DataType, Metadata, Protocol, StructField, StructType};
use deltalake::protocol::DeltaOperation;
use deltalake::table::state::DeltaTableState;

/// Latest versions of the protocol that are known.
const READER: i32 = 3;
const WRITER: i32 = 7;

/// How settings of a table begin that are constraints.
pub(crate) const CONSTRAINT: &str = "delta.constraints.";

/// Mark of a column whose value is computed where rows have none.
const DEFAULT: &str = "CURRENT_DEFAULT";

/// Why this worker must not write to a table; none when it may.
pub(crate) fn obstacle(state: &DeltaTableState) -> Option<String> {
    let (protocol, metadata) = (state.protocol(), state.metadata());
    let (reader, writer) = (protocol.min_reader_version(), protocol.min_writer_version());
    if reader > READER || writer > WRITER {
        return Some(format!(
            "the table's protocol (reader {reader}, writer {writer}) is later than those that are known here ({READER}, {WRITER})"
        ));
    }
    let of_settings = || of_setting(metadata).map(str::to_owned);
    listed(protocol).find_map(|feature| of_feature(feature, metadata)).or_else(of_settings).or_else(|| {
        let mut found = None;
        each_field(&state.schema(), &mut |path, field| {
            found = found.take().or_else(|| of_column(path, field));
        });
        found
    })
}

/// The features that a protocol lists, of readers and writers.
fn listed(protocol: &Protocol) -> impl Iterator<Item = &TableFeature> {
    let features = [protocol.reader_features(), protocol.writer_features()];
    features.into_iter().flatten().flatten()
}

/// Whether a protocol lists a feature.
pub(crate) fn lists(protocol: &Protocol, feature: &TableFeature) -> bool {
    listed(protocol).any(|listed| listed == feature)
}

/// Whether a setting of the table is `true`.
pub(crate) fn is_on(metadata: &Metadata, setting: &str) -> bool {
    metadata.configuration().get(setting).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Why a feature stands in the way.
fn of_feature(feature: &TableFeature, metadata: &Metadata) -> Option<String> {
    use TableFeature as F;
    let is_in_use = match feature {
        // What is used of these is seen in settings and columns.
        F::AppendOnly
        | F::Invariants
        | F::CheckConstraints
        | F::ChangeDataFeed
        | F::GeneratedColumns
        | F::IdentityColumns
        | F::AllowColumnDefaults
        | F::ColumnMapping
        | F::IcebergCompatV1
        | F::IcebergCompatV2
        | F::IcebergCompatV3
        // What these ask of a commit is done where it is put.
        | F::InCommitTimestamp
        | F::RowTracking
        | F::DomainMetadata
        | F::ClusteredTable
        // What these ask is asked of readers, or of who writes deletion vectors, checkpoints or removes files.
        | F::DeletionVectors
        | F::V2Checkpoint
        | F::VacuumProtocolCheck
        | F::TypeWidening
        | F::TypeWideningPreview
        | F::TimestampWithoutTimezone
        | F::VariantType
        | F::VariantTypePreview => false,
        F::MaterializePartitionColumns => !metadata.partition_columns().is_empty(),
        F::Unknown(name) => name != CHECKPOINT_PROTECTION,
        _ => true,
    };
    is_in_use.then(|| format!("the table has the feature {feature}, which this worker does not support"))
}

/// A feature that keeps the log's entries and checkpoints from being removed.
const CHECKPOINT_PROTECTION: &str = "checkpointProtection";

/// Whether log entries must not be removed, other than by who does all that the table ever asked for.
pub(crate) fn protects_log(protocol: &Protocol) -> bool {
    lists(protocol, &TableFeature::Unknown(CHECKPOINT_PROTECTION.to_owned()))
}

/// What a protocol that lists no features stands for, as far as the table uses it.
pub(crate) fn implied(state: &DeltaTableState) -> Vec<TableFeature> {
    let metadata = state.metadata();
    let mut has_invariants = false;
    each_field(&state.schema(), &mut |_, field| has_invariants |= invariant(field).is_some());
    let mut keys = metadata.configuration().keys();
    let uses = [
        (TableFeature::AppendOnly, true),
        (TableFeature::Invariants, has_invariants),
        (TableFeature::CheckConstraints, keys.any(|key| key.starts_with(CONSTRAINT))),
        (TableFeature::ChangeDataFeed, is_on(metadata, "delta.enableChangeDataFeed")),
    ];
    uses.into_iter().filter_map(|(feature, is_used)| is_used.then_some(feature)).collect()
}

/// Whether columns of a table have other names in its data files.
pub(crate) fn maps_columns(state: &DeltaTableState) -> bool {
    let (protocol, settings) = (state.protocol(), state.metadata().configuration());
    let mode = settings.get("delta.columnMapping.mode");
    let is_supported = protocol.min_reader_version() == 2 || lists(protocol, &TableFeature::ColumnMapping);
    is_supported && mode.is_some_and(|mode| !mode.eq_ignore_ascii_case("none"))
}

/// Why a setting stands in the way.
fn of_setting(metadata: &Metadata) -> Option<&'static str> {
    if metadata.configuration().contains_key("delta.setTransactionRetentionDuration") {
        return Some(
            "the table forgets transactions (delta.setTransactionRetentionDuration), by which a chunk is known that came before",
        );
    }
    let iceberg = ["delta.enableIcebergCompatV1", "delta.enableIcebergCompatV2", "delta.enableIcebergCompatV3"];
    iceberg.iter().any(|setting| is_on(metadata, setting)).then_some(
        "the table is kept compatible with Iceberg (delta.enableIcebergCompat), which this worker does not support",
    )
}

/// Why a column stands in the way.
fn of_column(path: &[String], field: &StructField) -> Option<String> {
    let asks = |mark: &&str| field.metadata().contains_key(*mark);
    let mark = ["delta.generationExpression", "delta.identity.start", "delta.identity.step"].into_iter().find(asks)?;
    let kind = if mark == "delta.generationExpression" { "a generated" } else { "an identity" };
    let path = path.join(".");
    Some(format!("column '{path}' is {kind} column ({mark}), and this worker computes no values of columns"))
}

/// Calls with each field of a schema, at any depth, and its path. Items of lists, and keys and values of maps, are in the path.
pub(crate) fn each_field(schema: &StructType, call: &mut impl FnMut(&[String], &StructField)) {
    fn below(data_type: &DataType, path: &mut Vec<String>, call: &mut impl FnMut(&[String], &StructField)) {
        let mut step = |name: &str, data_type: &DataType| {
            path.push(name.to_owned());
            below(data_type, path, call);
            path.pop();
        };
        match data_type {
            DataType::Array(array) => step("element", array.element_type()),
            DataType::Map(map) => {
                step("key", map.key_type());
                step("value", map.value_type());
            }
            DataType::Struct(fields) => {
                for field in fields.fields() {
                    path.push(field.name().clone());
                    call(path, field);
                    below(field.data_type(), path, call);
                    path.pop();
                }
            }
            DataType::Primitive(_) | DataType::Variant(_) => {}
        }
    }
    below(&DataType::from(schema.clone()), &mut Vec::new(), call);
}

/// Whether rows without a value of this column get one that this worker does not compute.
pub(crate) fn has_default(field: &StructField) -> bool {
    match field.metadata().get(DEFAULT) {
        Some(MetadataValue::String(default)) => !default.trim().eq_ignore_ascii_case("null"),
        Some(_) => true,
        None => false,
    }
}

/// The text of an invariant of a column, as the log has it.
pub(crate) fn invariant(field: &StructField) -> Option<String> {
    field.metadata().get("delta.invariants").map(ToString::to_string)
}

/// Whether rows may only be added to a table.
pub(crate) fn is_append_only(state: &DeltaTableState) -> bool {
    let protocol = state.protocol();
    let is_heeded = match protocol.min_writer_version() {
        ..=1 => false,
        2..WRITER => true,
        _ => lists(protocol, &TableFeature::AppendOnly),
    };
    is_heeded && is_on(state.metadata(), "delta.appendOnly")
}

/// Refuses a commit that removes rows of a table to which rows may only be added.
pub(crate) fn check_commit(
    state: &DeltaTableState,
    actions: &[Action],
    operation: &DeltaOperation,
) -> Result<(), TransactionError> {
    let removes_rows = |action: &Action| matches!(action, Action::Remove(remove) if remove.data_change);
    let may_remove = matches!(operation, DeltaOperation::Restore { .. } | DeltaOperation::FileSystemCheck { .. });
    if !may_remove && actions.iter().any(removes_rows) && is_append_only(state) {
        return Err(TransactionError::DeltaTableAppendOnly);
    }
    Ok(())
}

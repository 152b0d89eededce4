//! Which column of the table each column of a chunk goes to, and what the table becomes by it.

pub(crate) mod evolve;
mod mapping;
mod names;
pub(crate) mod numbers;
mod types;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use deltalake::DeltaTableError;
use deltalake::kernel::StructField;
use deltalake::table::state::DeltaTableState;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rows::partition;
use crate::schema::constraints::Constraint;
use crate::schema::features;
use crate::schema::refusal::Refusal;
use mapping::Mapping;
use names::Names;
use types::{arrow_schema, check_name, check_types, new_field};

/// The columns of a table, as it is or as it will be once the chunks in progress are in it.
#[derive(Clone, Debug)]
pub(crate) struct WriteSchema {
    fields: Vec<StructField>,
    partition_by: Vec<String>,
    arrow: SchemaRef,
    /// What rows have to be like.
    constraints: Vec<Constraint>,
    /// The columns of data files, where these have other names.
    mapping: Option<Mapping>,
    /// Whether the table is there; its partitioning is settled then.
    exists: bool,
}

/// Where the values of each column of the table come from: the position among the columns of the chunk, if there is one.
pub(crate) type Sources = Vec<Option<usize>>;

impl WriteSchema {
    /// The table as it is.
    pub(crate) fn of(state: &DeltaTableState) -> Result<Self, DeltaTableError> {
        let fields: Vec<StructField> = state.schema().fields().cloned().collect();
        let partition_by = state.metadata().partition_columns().to_vec();
        let (constraints, mapping) = (Constraint::of(state), Mapping::of(state, &partition_by)?);
        Ok(Self { arrow: arrow_schema(&fields)?, fields, partition_by, constraints, mapping, exists: true })
    }

    /// A table that is yet to be created.
    pub(crate) fn new(partition_by: &[String]) -> Self {
        let (arrow, partition_by) = (Arc::new(Schema::empty()), partition_by.to_vec());
        let (fields, constraints, mapping) = (Vec::new(), Vec::new(), None);
        Self { fields, partition_by, arrow, constraints, mapping, exists: false }
    }

    /// What data files were written by: the columns of the table, the constraints that their rows were held against, and whether the
    /// files have other names for the columns.
    fn written(
        fields: Vec<StructField>,
        partition_by: Vec<String>,
        constraints: Vec<Constraint>,
        is_mapped: bool,
    ) -> Result<Self, DeltaTableError> {
        let arrow = arrow_schema(&fields)?;
        let mapping = if is_mapped { Some(Mapping::of_fields(&fields, &partition_by)?) } else { None };
        Ok(Self { arrow, fields, partition_by, constraints, mapping, exists: true })
    }

    /// What notes of data files have of it.
    pub(crate) fn noted(&self) -> Result<NotedSchema, DeltaTableError> {
        let columns = self.fields.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
        let (partition_by, constraints) = (self.partition_by.clone(), self.constraints.clone());
        Ok(NotedSchema { columns, partition_by, constraints, is_mapped: self.is_mapped() })
    }

    /// The columns, as data for the table must have them.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.arrow
    }

    pub(crate) fn fields(&self) -> &[StructField] {
        &self.fields
    }

    pub(crate) fn partition_by(&self) -> &[String] {
        &self.partition_by
    }

    /// Whether data files have other names for the columns.
    pub(crate) fn is_mapped(&self) -> bool {
        self.mapping.is_some()
    }

    /// The columns, as data files have them.
    pub(crate) fn file_fields(&self) -> &[StructField] {
        self.mapping.as_ref().map_or(&self.fields, |mapping| &mapping.fields)
    }

    /// The columns, as data for a file must have them.
    pub(crate) fn file_schema(&self) -> &SchemaRef {
        self.mapping.as_ref().map_or(&self.arrow, |mapping| &mapping.arrow)
    }

    /// The partition columns, as entries of files have them.
    pub(crate) fn file_partition_by(&self) -> &[String] {
        self.mapping.as_ref().map_or(&self.partition_by, |mapping| &mapping.partition_by)
    }

    /// Rows with exactly the columns of the table, as data for a file must have them.
    pub(crate) fn to_file(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        self.mapping.as_ref().map_or_else(|| Ok(rows.clone()), |mapping| mapping.to_file(rows))
    }

    /// Rows of a data file, with the names that its columns have in the table.
    pub(crate) fn of_file(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        match &self.mapping {
            Some(mapping) => mapping.of_file(&self.fields, &self.arrow, rows),
            None => Ok(rows.clone()),
        }
    }

    /// The name of a partition column in folders; none of other columns.
    pub(crate) fn folder_name(&self, column: &str) -> Option<&str> {
        let place = self.partition_by.iter().position(|name| name == column)?;
        self.file_partition_by().get(place).map(String::as_str)
    }

    /// Whether the table's partition columns have values that can be written.
    pub(crate) fn check_partitions(&self) -> Result<(), Refusal> {
        let columns = self.fields.iter().filter(|field| self.partition_by.contains(field.name()));
        partition::check(&columns.collect::<Vec<_>>(), self.exists)
    }

    /// What rows have to be like.
    pub(crate) fn constraints(&self) -> &[Constraint] {
        &self.constraints
    }

    /// This schema with a place for every column of a chunk. Names are matched without regard to case; columns that the table
    /// lacks are added. The error says what does not fit.
    pub(crate) fn accommodate(&self, chunk: &Schema) -> Result<(Self, Sources), Refusal> {
        let mut fields = self.fields.clone();
        let mut names = Names::of(&fields);
        let mut sources: Sources = vec![None; fields.len()];
        if chunk.fields().is_empty() {
            return Err("it has no columns".to_owned().into());
        }
        for (position, column) in chunk.fields().iter().enumerate() {
            let Some(place) = names.find(column.name()) else {
                names.add(column.name(), fields.len());
                fields.push(new_field(column)?);
                sources.push(Some(position));
                continue;
            };
            if let Some(taken) = sources.get_mut(place).and_then(|source| source.replace(position)) {
                let other = chunk.field(taken).name();
                return Err(format!("columns '{other}' and '{}' have one name", column.name()).into());
            }
            if let Some(field) = fields.get_mut(place) {
                let with_new = evolve::with_fields_of(&field.data_type, column.data_type());
                field.data_type = with_new.map_err(|reason| format!("column '{}' {reason}", column.name()))?;
            }
        }
        check_lacking(&fields, &sources)?;
        if let Some(mapping) = &self.mapping {
            mapping.numbers.clone().give(&mut fields)?;
        }
        let partition_by = self.partitioning(&fields, &sources)?;
        let arrow = arrow_schema(&fields).map_err(|error| shared::error_chain(&error))?;
        for (field, source) in arrow.fields().iter().zip(&sources) {
            if let Some(source) = source {
                check_types(chunk.field(*source), field)?;
            }
        }
        let mapping = match &self.mapping {
            Some(mapping) => Some(mapping.with(&fields, &partition_by).map_err(|error| shared::error_chain(&error))?),
            None => None,
        };
        let constraints = self.constraints.clone();
        Ok((Self { fields, partition_by, arrow, constraints, mapping, exists: self.exists }, sources))
    }

    /// Whether each column of a chunk has a name of its own that the table has, or can be given a column of.
    pub(crate) fn check_names(&self, chunk: &Schema) -> Result<(), String> {
        let mut met = HashMap::new();
        let names = Names::of(&self.fields);
        for column in chunk.fields() {
            let there = names.find(column.name()).and_then(|place| self.fields.get(place));
            let name = there.map_or(column.name().as_str(), |field| field.name());
            if let Some(other) = met.insert(name.to_lowercase(), column.name()) {
                return Err(format!("columns '{other}' and '{}' have one name", column.name()));
            }
            if there.is_none() {
                check_name(name)?;
            }
        }
        Ok(())
    }

    /// The partition columns by their names in the table.
    fn partitioning(&self, fields: &[StructField], sources: &Sources) -> Result<Vec<String>, Refusal> {
        let (mut columns, places) = (Vec::new(), Names::of(fields));
        for name in &self.partition_by {
            let like = || if self.exists { None } else { names::single_like(name, fields) };
            let field = (places.find(name).or_else(like))
                .filter(|place| sources.get(*place).is_some_and(Option::is_some))
                .and_then(|place| fields.get(place));
            columns.push(field.ok_or_else(|| lacks_partition_column(name, fields))?);
        }
        partition::check(&columns, self.exists)?;
        if !self.exists && columns.len() == fields.len() {
            return Err("a table needs a column besides those it is partitioned by".to_owned().into());
        }
        Ok(columns.into_iter().map(|field| field.name().clone()).collect())
    }

    /// What must happen to a table before files that were written by this schema can be added to it.
    pub(crate) fn compare(&self, state: &DeltaTableState) -> Result<Comparison, DeltaTableError> {
        let now = Self::of(state)?;
        if now.partition_by != self.partition_by || now.constraints != self.constraints {
            return Ok(Comparison::Outdated);
        }
        let is_taken = |mapping: &Mapping| mapping.numbers.are_taken(&now.fields, &self.fields);
        if now.is_mapped() != self.is_mapped() || now.mapping.as_ref().is_some_and(is_taken) {
            return Ok(Comparison::Outdated);
        }
        let mut missing = Vec::new();
        let (of_table, of_files) = (Names::of(&now.fields), Names::of(&self.fields));
        for field in &self.fields {
            let Some(there) = of_table.find(field.name()).and_then(|place| now.fields.get(place)) else {
                missing.push(field.clone());
                continue;
            };
            let is_lax = field.is_nullable() && !there.is_nullable();
            let both = evolve::both(&there.data_type, &field.data_type);
            let Some(both) = both.filter(|_| there.name() == field.name() && !is_lax && numbers::are_one(there, field))
            else {
                return Ok(Comparison::Outdated);
            };
            if both != there.data_type {
                missing.push(StructField { data_type: both, ..there.clone() });
            }
        }
        let unwritten = |field: &&StructField| of_files.find(field.name()).is_none();
        if now.fields.iter().filter(unwritten).any(|field| !field.is_nullable()) {
            return Ok(Comparison::Outdated);
        }
        Ok(if missing.is_empty() { Comparison::Fits } else { Comparison::Lacks(missing) })
    }
}

/// What data files were written by, as durable notes have it: a form of our own, around the schema as Delta's protocol writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NotedSchema {
    /// Columns of the table that the files were written for, as the `fields` of the protocol's `schemaString`.
    columns: Vec<Value>,
    partition_by: Vec<String>,
    /// What rows were held against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    constraints: Vec<Constraint>,
    /// Whether the files have other names for the columns.
    #[serde(default)]
    is_mapped: bool,
}

impl NotedSchema {
    /// The same of the fields that version 1 of the notes had.
    pub(crate) fn of_v1(
        columns: Vec<Value>,
        partition_by: Vec<String>,
        constraints: Vec<Constraint>,
        is_mapped: bool,
    ) -> Self {
        Self { columns, partition_by, constraints, is_mapped }
    }

    /// What the files were written by.
    pub(crate) fn read(self) -> Result<WriteSchema, DeltaTableError> {
        let Self { columns, partition_by, constraints, is_mapped } = self;
        let fields = columns.into_iter().map(serde_json::from_value).collect::<Result<_, _>>()?;
        WriteSchema::written(fields, partition_by, constraints, is_mapped)
    }
}

/// Whether columns can be lacking in rows.
fn check_lacking(fields: &[StructField], sources: &Sources) -> Result<(), String> {
    let mut lacking = fields.iter().zip(sources).filter(|(_, source)| source.is_none()).map(|(field, _)| field);
    let with_default = lacking.find(|field| features::has_default(field));
    with_default.map_or(Ok(()), |field| {
        let name = field.name();
        Err(format!("it lacks column '{name}', of which the table has a default value that is not computed here"))
    })
}

/// The refusal of rows without a column that the table is to be partitioned by.
fn lacks_partition_column(name: &str, fields: &[StructField]) -> Refusal {
    /// Most names that are shown.
    const SHOWN: usize = 20;
    let mut there: Vec<&str> = fields.iter().take(SHOWN).map(|field| field.name().as_str()).collect();
    let more = fields.len().saturating_sub(SHOWN).to_string() + " more";
    if fields.len() > SHOWN {
        there.push(&more);
    }
    Refusal {
        reason: format!("it lacks the partition column '{name}'; the columns are {}", there.join(", ")),
        hint: Some("PARTITION_BY, or --partition-by, takes names of columns of the table; `sluice plan` shows them"),
    }
}

/// What a schema is to a table that may have changed since.
#[derive(Debug)]
pub(crate) enum Comparison {
    /// Files can be added.
    Fits,
    /// Files can be added once the table has these columns, or its own of their names have these fields.
    Lacks(Vec<StructField>),
    /// Files have to be written again.
    Outdated,
}

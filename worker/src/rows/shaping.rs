//! What rows become on their way to the table: by SQL, and with columns that say where they come from.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, SecondsFormat, Utc};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use shared::{Job, JobId, Lookup, PinnedLookup, Provenance, Settings, SourceObject, now_millis};

use crate::keyed;
use crate::sql::parameters::{Parameter, Parameters};
use crate::sql::references::Reference;
use crate::sql::{Query, text_of};

/// What is to become of the rows of a job.
#[derive(Clone, Debug, Default)]
pub struct Shaping {
    pub(crate) sql: Option<String>,
    parameters: Parameters,
    /// The look-ups that SQL names.
    pub(crate) lookups: Vec<AskedLookup>,
    /// The same in memory, once they are read.
    pub(crate) references: Vec<Arc<Reference>>,
    /// Where SQL and look-ups are given, if by a route.
    pub(crate) place: Option<String>,
    provenance: Vec<Provenance>,
    /// What is known of rows, if they are of a job.
    about: About,
}

/// A look-up of SQL, in the version of a job if there is one.
#[derive(Clone, Debug)]
pub(crate) struct AskedLookup {
    pub(crate) lookup: Lookup,
    pub(crate) pinned: Option<PinnedLookup>,
}

/// Where rows come from.
#[derive(Clone, Debug, Default)]
struct About {
    source: Option<String>,
    job: Option<String>,
    chunk: Option<u32>,
    /// In milliseconds since 1970, UTC.
    ingested_at: Option<i64>,
}

impl Shaping {
    /// As the rows of a source are to be shaped by settings, before there is a job: as those of a first chunk that came just now.
    pub fn of_settings(settings: &Settings, source: &SourceObject) -> Self {
        let destination = settings.table.as_ref().unwrap_or(&source.uri);
        let about = About {
            source: Some(source.uri.to_string()),
            job: Some(JobId::derive(source, destination, 1).to_string()),
            chunk: Some(0),
            ingested_at: Some(now_millis()),
        };
        let (sql, provenance) = (settings.load.sql.clone(), &settings.load.provenance);
        Self::new(sql, &settings.captures, provenance, about).with_lookups_of(settings)
    }

    /// As the rows of a chunk are by their job.
    pub(crate) fn of_job(job: &Job, chunk: u32) -> Self {
        let parameters: Vec<(String, String)> = job.load.parameters.clone().into_iter().collect();
        let about = About {
            source: Some(job.source.uri.to_string()),
            job: Some(job.job_id.to_string()),
            chunk: Some(chunk),
            ingested_at: job.ingested_at,
        };
        let shaping = Self::new(job.load.sql.clone(), &parameters, &job.load.provenance, about);
        let pinned = job.load.lookups.iter();
        let lookups = pinned.map(|pinned| AskedLookup { lookup: pinned.lookup(), pinned: Some(pinned.clone()) });
        Self { lookups: lookups.collect(), place: job.sql_place.clone(), ..shaping }
    }

    /// As the rows of a file are that no job describes.
    pub(crate) fn of_bare(settings: &Settings, source: String) -> Self {
        let about = About { source: Some(source), ..About::default() };
        Self::new(settings.load.sql.clone(), &[], &settings.load.provenance, about).with_lookups_of(settings)
    }

    fn with_lookups_of(self, settings: &Settings) -> Self {
        let named = settings.load.named_lookups();
        let lookups = named.map(|lookup| AskedLookup { lookup: lookup.clone(), pinned: None });
        Self { lookups: lookups.collect(), place: settings.load.place.clone(), ..self }
    }

    /// As the rows of a version of another table are, which was made at this time in milliseconds since 1970.
    pub(crate) fn of_version(settings: &Settings, table: String, made: Option<i64>) -> Self {
        let about = About { source: Some(table), ingested_at: made, ..About::default() };
        Self { place: settings.load.place.clone(), ..Self::new(settings.load.sql.clone(), &[], &[], about) }
    }

    /// The same for another chunk of the job.
    pub(crate) fn of_chunk(&self, chunk: u32) -> Self {
        let mut shaping = self.clone();
        shaping.about.chunk = Some(chunk);
        let of_chunk = shaping.parameters.0.iter_mut().rfind(|(name, _)| name == "chunk");
        if let Some((_, value)) = of_chunk {
            *value = Parameter::Number(Some(u64::from(chunk)));
        }
        shaping
    }

    fn new(sql: Option<String>, captures: &[(String, String)], provenance: &[Provenance], about: About) -> Self {
        let own = [
            ("source", Parameter::Text(about.source.clone())),
            ("job", Parameter::Text(about.job.clone())),
            ("chunk", Parameter::Number(about.chunk.map(u64::from))),
            ("ingested_at", Parameter::Moment(about.ingested_at.and_then(moment))),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let captures = captures.iter().map(|(name, value)| (name.clone(), Parameter::Text(Some(value.clone()))));
        let parameters = Parameters(captures.chain(own).collect());
        let (lookups, references, place) = (Vec::new(), Vec::new(), None);
        Self { sql, parameters, lookups, references, place, provenance: provenance.to_vec(), about }
    }

    /// The same with its look-ups in memory.
    pub(crate) fn with_references(self, references: Vec<Arc<Reference>>) -> Self {
        Self { references, ..self }
    }

    /// What the engine says of its SQL, and where that is given if by a route.
    pub(crate) fn told(&self, error: &DataFusionError) -> String {
        let text = text_of(error);
        self.place.as_ref().map_or_else(|| text.clone(), |place| format!("{place}: {text}"))
    }

    /// Whether rows stay as they are.
    pub fn is_none(&self) -> bool {
        self.sql.is_none() && self.provenance.is_empty()
    }
}

/// A moment in milliseconds since 1970, as SQL writes it.
fn moment(millis: i64) -> Option<String> {
    let moment = DateTime::<Utc>::from_timestamp_millis(millis)?;
    Some(moment.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// The same, ready for batches of a chunk.
#[derive(Debug)]
pub(crate) struct Shape {
    query: Option<Query>,
    /// How many columns the batches have.
    columns: usize,
    provenance: Vec<Origin>,
    schema: SchemaRef,
}

/// A row that SQL cannot be computed for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failing {
    /// Its place in the batch, from 0.
    pub(crate) row: usize,
    pub(crate) expression: Option<String>,
    pub(crate) reason: String,
}

/// A column that says where rows come from.
#[derive(Clone, Debug)]
enum Origin {
    Constant(ScalarValue),
    RecordNumber,
}

impl Shape {
    /// For chunks with these columns.
    pub(crate) fn new(shaping: &Shaping, columns: &SchemaRef) -> Result<Self> {
        let Shaping { sql, parameters, references, .. } = shaping;
        let query = sql.as_ref().map(|sql| Query::with_parameters(sql, columns, parameters, references));
        let query = query.transpose()?;
        let made = query.as_ref().map_or(columns, Query::schema);
        let mut fields: Vec<_> = made.fields().iter().cloned().collect();
        let mut provenance = Vec::new();
        for of in &shaping.provenance {
            let name = of.column();
            if made.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name)) {
                let reason = format!("the rows have a column '{name}' already, which PROVENANCE adds");
                return Err(DataFusionError::Plan(reason));
            }
            let (data_type, origin) = origin(*of, &shaping.about);
            fields.push(Arc::new(Field::new(name, data_type, true)));
            provenance.push(origin);
        }
        let schema = if provenance.is_empty() { Arc::clone(made) } else { Arc::new(Schema::new(fields)) };
        Ok(Self { query, columns: columns.fields().len(), provenance, schema })
    }

    /// The columns that come out.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// For each column that comes out, the column of the chunk whose values it has; none for those that are computed.
    pub(crate) fn unchanged(&self) -> Vec<Option<usize>> {
        let of_rows = match &self.query {
            Some(query) => query.unchanged(),
            None => (0..self.columns).map(Some).collect(),
        };
        of_rows.into_iter().chain(self.provenance.iter().map(|_| None)).collect()
    }

    /// Whether it takes the record number of each row.
    pub(crate) fn asks_numbers(&self) -> bool {
        let is_number = |origin: &Origin| matches!(origin, Origin::RecordNumber);
        self.query.as_ref().is_some_and(Query::asks_number) || self.provenance.iter().any(is_number)
    }

    /// The columns of the chunk that it reads, in order, and the same for batches that have just these.
    pub(crate) fn narrowed(mut self) -> (Vec<usize>, Self) {
        let Some(query) = self.query.take() else { return ((0..self.columns).collect(), self) };
        let (read, query) = query.narrowed();
        (self.query, self.columns) = (Some(query), read.len());
        (read, self)
    }

    /// What comes of the rows of a batch, in their order, batch by batch. `numbers` has the record number of each row; it may be missing
    /// where these are not asked for.
    pub(crate) fn run(&self, batch: &RecordBatch, numbers: Option<ArrayRef>) -> Result<Vec<RecordBatch>> {
        let made = match &self.query {
            Some(query) => query.run_numbered(batch, numbers)?,
            None => vec![(batch.clone(), numbers)],
        };
        if self.provenance.is_empty() {
            return Ok(made.into_iter().map(|(batch, _)| batch).collect());
        }
        made.into_iter().map(|(batch, numbers)| self.with_provenance(&batch, numbers.as_ref())).collect()
    }

    /// The first row of a batch that SQL cannot be computed for, from 0, with the expression if it is known, and why.
    pub(crate) fn failing(&self, batch: &RecordBatch, numbers: Option<&ArrayRef>) -> Option<Failing> {
        let part =
            |from: usize, rows: usize| (batch.slice(from, rows), numbers.map(|numbers| numbers.slice(from, rows)));
        let fails = |from: usize, rows: usize| {
            let (batch, numbers) = part(from, rows);
            self.run(&batch, numbers).err()
        };
        let (mut row, mut rows) = (0, batch.num_rows());
        while rows > 1 {
            let half = rows / 2;
            if fails(row, half).is_some() {
                rows = half;
            } else {
                (row, rows) = (row + half, rows - half);
            }
        }
        let reason = text_of(&fails(row, rows)?);
        let (batch, numbers) = part(row, rows);
        let expression = self.query.as_ref().and_then(|query| query.failing(&batch, numbers.as_ref()));
        Some(Failing { row, expression, reason })
    }

    fn with_provenance(&self, batch: &RecordBatch, numbers: Option<&ArrayRef>) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let has_keys = batch.columns().iter().any(|values| keyed::of(values).is_some());
        let column = |origin: &Origin| match (origin, numbers) {
            (Origin::Constant(value), _) if has_keys => Ok(keyed::constant(&value.to_array()?, rows)?),
            (Origin::Constant(value), _) => value.to_array_of_size(rows),
            (Origin::RecordNumber, Some(numbers)) => Ok(Arc::clone(numbers)),
            (Origin::RecordNumber, None) => ScalarValue::Int64(None).to_array_of_size(rows),
        };
        let added = self.provenance.iter().map(column).collect::<Result<Vec<_>>>()?;
        let columns = batch.columns().iter().cloned().chain(added).collect();
        Ok(keyed::batch(&self.schema, columns, rows)?)
    }
}

fn origin(of: Provenance, about: &About) -> (DataType, Origin) {
    let utc: Arc<str> = "UTC".into();
    let micros = |millis: i64| millis.saturating_mul(1000);
    let value = match of {
        Provenance::RecordNumber => return (DataType::Int64, Origin::RecordNumber),
        Provenance::Source => ScalarValue::Utf8(about.source.clone()),
        Provenance::Job => ScalarValue::Utf8(about.job.clone()),
        Provenance::Chunk => ScalarValue::Int64(about.chunk.map(i64::from)),
        Provenance::IngestedAt => {
            ScalarValue::TimestampMicrosecond(about.ingested_at.map(micros), Some(Arc::clone(&utc)))
        }
    };
    let data_type = match of {
        Provenance::IngestedAt => DataType::Timestamp(TimeUnit::Microsecond, Some(utc)),
        _ => value.data_type(),
    };
    (data_type, Origin::Constant(value))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray, Int64Array, ListArray};
    use arrow::compute::concat_batches;
    use arrow::datatypes::Int64Type;
    use shared::ObjectVersion;

    use super::*;

    fn numbers(sql: &str) -> Vec<i64> {
        let lists = [Some(vec![Some(1), Some(2)]), None, Some(vec![Some(3)]), Some(vec![])];
        let columns: [(&str, ArrayRef); 2] = [
            ("a", Arc::new(Int64Array::from(vec![1, 2, 3, 4]))),
            ("l", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))),
        ];
        let chunk = RecordBatch::try_from_iter(columns).unwrap();
        let shaping =
            Shaping::new(Some(sql.to_owned()), &[], &[Provenance::RecordNumber, Provenance::Source], About::default());
        let (columns, shape) = Shape::new(&shaping, chunk.schema_ref()).unwrap().narrowed();
        let records: ArrayRef = Arc::new(Int64Array::from(vec![10, 20, 30, 40]));
        let made = shape.run(&chunk.project(&columns).unwrap(), Some(records)).unwrap();
        let made = concat_batches(shape.schema(), &made).unwrap();
        made.column_by_name("_record_number").unwrap().as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn rows_keep_the_numbers_of_their_records() {
        assert_eq!(numbers("select a from chunk"), [10, 20, 30, 40]);
        assert_eq!(numbers("select 1 as one from chunk where a > 2"), [30, 40]);
        assert_eq!(numbers("select unnest(l) as x from chunk"), [10, 10, 30]);
        assert_eq!(numbers("select unnest_outer(l) as x from chunk where a < 3"), [10, 10, 20]);
        assert_eq!(
            numbers("select a from chunk where a = 4 union all select a from chunk where $record_number < 30"),
            [40, 10, 20]
        );
        assert_eq!(numbers("select * from (select a, $record_number as n from chunk) where n = 30"), [30]);
    }

    #[test]
    fn the_row_that_fails_is_found() {
        let mut texts = vec!["1".to_owned(); 100];
        texts[77] = "x".to_owned();
        let column: ArrayRef = Arc::new(arrow::array::StringArray::from(texts));
        let chunk = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let failing = |sql: &str, rows: usize| {
            let shaping = Shaping::new(Some(sql.to_owned()), &[], &[], About::default());
            Shape::new(&shaping, chunk.schema_ref()).unwrap().failing(&chunk.slice(0, rows), None)
        };
        for sql in [
            "select a, cast(a as bigint) as b from chunk",
            "select a from chunk where cast(a as bigint) = 1",
            "select a from (select a, cast(a as bigint) as b from chunk) where b > 0 union all select a from chunk",
        ] {
            let Failing { row, expression, reason } = failing(sql, 100).unwrap();
            assert_eq!((row, expression.as_deref()), (77, Some("CAST(a AS Int64)")), "{sql}");
            assert!(reason.contains("Cannot cast string 'x'"), "{reason}");
            assert_eq!(failing(sql, 77), None);
        }
    }

    #[test]
    fn a_trial_has_the_source() {
        let sql = "select cast(split_part($source, '_', 2) as date) as d, $record_number as n from chunk";
        let settings = Settings::from_lookup(|name| (name == "TRANSFORM_SQL").then(|| sql.to_owned())).unwrap();
        let uri = "s3://in/x_2024-01-31_y.csv".parse().unwrap();
        let source = SourceObject { uri, size: 1, version: ObjectVersion("a".to_owned()) };
        let columns: SchemaRef = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let shape = Shape::new(&Shaping::of_settings(&settings, &source), &columns).unwrap();
        assert_eq!(shape.schema().field(0).data_type(), &DataType::Date32);
    }

    #[test]
    fn what_is_not_known_is_null() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let chunk = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let sql = "select $source as s, $job as j, $chunk as c, $ingested_at as i from chunk";
        let shaping = Shaping::new(Some(sql.to_owned()), &[], &[], About::default());
        let shape = Shape::new(&shaping, chunk.schema_ref()).unwrap();
        let made = concat_batches(shape.schema(), &shape.run(&chunk, None).unwrap()).unwrap();
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        for (column, expected) in [DataType::Utf8, DataType::Utf8, DataType::Int64, utc].iter().enumerate() {
            assert_eq!(made.schema_ref().field(column).data_type(), expected);
            assert_eq!(made.column(column).null_count(), 1, "{expected}");
        }
    }

    #[test]
    fn the_moment_is_that_of_the_column() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let chunk = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let about = About { ingested_at: Some(1_700_000_000_123), ..About::default() };
        let sql = "select $ingested_at as i from chunk where $ingested_at > '2023-11-14T22:13:20Z'";
        let shaping = Shaping::new(Some(sql.to_owned()), &[], &[Provenance::IngestedAt], about);
        let shape = Shape::new(&shaping, chunk.schema_ref()).unwrap();
        let made = concat_batches(shape.schema(), &shape.run(&chunk, None).unwrap()).unwrap();
        assert_eq!(made.num_rows(), 1);
        assert_eq!(made.column(0).data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
        assert_eq!(made.column(0), made.column(1));
    }

    #[test]
    fn the_number_of_records_is_no_column_of_the_chunk() {
        let columns: SchemaRef = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let shaping = |sql: &str| {
            Shaping::new(Some(sql.to_owned()), &[("s".to_owned(), "'x'".to_owned())], &[], About::default())
        };
        for (sql, expected) in [
            ("select *, $record_number as n, $s as s from chunk", &["a", "n", "s"][..]),
            ("select c.* from chunk c where $record_number > 1", &["a"]),
            ("select * exclude (a), $record_number + 1 as n from chunk", &["n"]),
            ("with t as (select a from chunk where $record_number > 1) select * from t", &["a"]),
            (
                "with t as (select *, $record_number as n from chunk), u as (select * from t) select * from u",
                &["a", "n"],
            ),
            ("with chunk as (select *, $record_number as n from chunk) select * from chunk", &["a", "n"]),
            ("select * from (select a, $record_number as n from CHUNK)", &["a", "n"]),
        ] {
            let shape = Shape::new(&shaping(sql), &columns).unwrap();
            let names: Vec<&str> = shape.schema().fields().iter().map(|field| field.name().as_str()).collect();
            assert_eq!(names, expected, "{sql}");
        }
        let error = Shape::new(&shaping("select $t from chunk"), &columns).unwrap_err();
        assert!(error.to_string().contains("there is no parameter $t, only $s, $source"), "{error}");
    }
}

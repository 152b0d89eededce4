//! How a source is written: found out from its first bytes, from samples, or from all of it.

mod by_contract;
mod doubts;
mod encoding;
mod last_lines;
mod observe;
mod refusals;
mod sample;
mod tar;
mod unsupported;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use shared::{
    BadRecords, Column, CsvPolicy, Examined, Format, FormatChoice, Infer, Lines, Location, NdjsonPolicy, OtherKeys,
    Policy, Setting, Settings, SourceObject, TableFit, TextPolicy,
};

use crate::chunk::encode::ENCODER;
use crate::column::types::schema as columns_schema;
use crate::context::SplitContext;
use crate::contract::difference::Difference;
use crate::contract::under_contract;
use crate::csv::header;
use crate::csv::header::Layout;
use crate::csv::known_names::KnownNames;
use crate::error::{BadInput, SplitError};
use crate::examination::Examination;
use crate::examine::by_contract::Held;
use crate::examine::last_lines::LastLines;
use crate::examine::observe::{from_all, from_sample};
use crate::examine::sample::{HEAD_BYTES, Sample};
use crate::json::detect;
use crate::json::keys::Keys;
use crate::parquet_source::ParquetSource;
use crate::parquet_source::footer;
use crate::records::framer::after_first_line_end;
use crate::schema::column_names::{check_columns, column_names};
use crate::schema::infer::{Evidence, observe_csv};
use crate::schema::table_schema;
use crate::schema::table_schema::TableColumns;
use crate::{schema, value};

/// Most text bytes of a block. What a core holds is several times as much: text, columns and what is being encoded.
const BLOCK_BYTES: u64 = 4 << 20;

/// Blocks that a chunk has room for, at least, so that little of it is left unused.
const BLOCKS_IN_CHUNK: u64 = 8;

/// Finds out how a source would be read, and pins nothing: no job is looked up, and nothing is written.
pub async fn examine(context: &SplitContext, uri: &Location) -> Result<Examination, SplitError> {
    let source = SourceObject::look_up(context.storage.as_ref(), uri).await.map_err(SplitError::Source)?;
    examine_source(context, &source).await
}

pub(crate) async fn examine_source(context: &SplitContext, source: &SourceObject) -> Result<Examination, SplitError> {
    let settings = under_contract(context.storage.as_ref(), context.settings.clone()).await?;
    let context = &SplitContext { settings, ..context.clone() };
    let settings = &context.settings;
    let mut policy = Policy {
        encoder: ENCODER,
        chunk_bytes: settings.read.chunk_bytes,
        block_bytes: (settings.read.chunk_bytes / BLOCKS_IN_CHUNK).clamp(1, BLOCK_BYTES),
        max_record_bytes: settings.read.max_record_bytes,
        codec: settings.read.chunk_codec.clone(),
        bad_records: settings.read.bad_records,
        text: TextPolicy::default(),
        format: Format::Parquet { column_names: Vec::new(), int96_instants: false },
    };
    let head = context.storage.get_range(&source.uri, &source.version, 0..HEAD_BYTES.min(source.size)).await;
    let head = head.map_err(SplitError::Source)?;
    if is_parquet(&head, settings.read.format) {
        let parquet = ParquetSource::open(context, source, None).await?;
        for column in parquet.empty_groups() {
            tracing::warn!(source = %source.uri, column, "a group without fields has no values, and is left out");
        }
        let names = parquet.column_names();
        let table = table_columns(context).await?;
        let (names, differences) = match Held::new(&source.uri, settings) {
            Some(contract) => {
                let columns: Vec<(String, String)> = names.into_iter().zip(parquet.columns()).collect();
                contract.parquet(&columns, &table.names)?
            }
            None => (column_names(&names, settings.read.column_names, &table.names), Vec::new()),
        };
        let (schema, is_empty) = (parquet.schema(&names), parquet.rows() == 0);
        let types = schema.fields().iter().map(|field| field.data_type().to_string()).collect();
        let examined = Examined { types, table: table_fit(context, &schema, &table), ..Examined::default() };
        policy.format = Format::Parquet { column_names: names, int96_instants: parquet.int96_instants };
        let (source, evidence) = (source.clone(), Vec::new());
        return Ok(Examination { source, policy, schema, is_empty, evidence, layout: None, examined, differences });
    }
    let examined = Box::pin(examine_text(context, source, policy, head)).await;
    if matches!(examined, Err(SplitError::BadInput(_))) && ends_as_parquet(context, source).await? {
        let reason = "this ends as a Parquet file, and does not begin as one: its start is missing";
        return Err(BadInput::whole(&source.uri, reason, "have the file written, or copied, again").into());
    }
    examined
}

/// The same of a source that is no Parquet.
async fn examine_text(
    context: &SplitContext,
    source: &SourceObject,
    mut policy: Policy,
    head: Bytes,
) -> Result<Examination, SplitError> {
    let settings = &context.settings;
    let (text, sample) = sample::read(context, source, head).await?;
    policy.text = text;
    let table = table_columns(context).await?;
    let (format, columns, data_start, evidence, found, differences) =
        if is_ndjson(&source.uri, &sample, settings.read.format)? {
            let (json, evidence, differences) = ndjson(context, source, &policy, &sample, &table).await?;
            let (columns, data_start) = (columns_schema(&json.columns), json.data_start);
            (Format::Ndjson(json), columns, data_start, evidence, None, differences)
        } else {
            let (csv, evidence, found, differences) = csv(context, source, &policy, &sample, &table).await?;
            let (columns, data_start) = (columns_schema(&csv.columns), csv.data_start);
            (Format::Csv(csv), columns, data_start, evidence, Some(found), differences)
        };
    let (found, last) = found.unzip();
    let last = last.unwrap_or_default();
    policy.format = format;
    by_contract::check_values(context, source, &policy).await?;
    let data = sample.head.get(usize::try_from(data_start).unwrap_or(usize::MAX)..).unwrap_or_default();
    let is_empty = sample.is_whole && data.trim_ascii().is_empty();
    let (layout, head) = found.unzip();
    let fit = table_fit(context, &columns, &table);
    let found = layout.as_ref().zip(head.as_ref());
    let mut warnings = doubts::warnings(settings, &policy, sample.guess, found, &evidence, fit.as_ref());
    warnings.extend(last.warning);
    let examined = Examined {
        confidence: layout.map(|layout| layout.confidence),
        header_rows: layout.map(|layout| layout.header_rows),
        null_words_in: doubts::null_words_in(&policy.format, &evidence),
        warnings,
        table: fit,
        footer_lines: last.lines,
        head: Some(head.unwrap_or_default()),
        types: Vec::new(),
    };
    Ok(Examination {
        source: source.clone(),
        policy,
        schema: columns,
        is_empty,
        evidence,
        layout,
        examined,
        differences,
    })
}

/// How the columns of a source meet those of the table; none where there is no table, or SQL stands before it.
fn table_fit(context: &SplitContext, columns: &SchemaRef, table: &TableColumns) -> Option<TableFit> {
    let is_direct = context.table.is_some() && context.settings.load.sql.is_none();
    let names = columns.fields().iter().map(|field| field.name().as_str());
    let added = context.settings.load.provenance.iter().map(|of| of.column());
    is_direct.then(|| TableFit::of(names.chain(added), &table.names))
}

/// Whether a source is Parquet, by the settings or its first bytes.
fn is_parquet(head: &[u8], choice: FormatChoice) -> bool {
    match choice {
        FormatChoice::Auto => footer::is_parquet(head),
        choice => choice == FormatChoice::Parquet,
    }
}

/// Whether a source that is not text has the last bytes of a Parquet file.
async fn ends_as_parquet(context: &SplitContext, source: &SourceObject) -> Result<bool, SplitError> {
    const LAST: &[u8] = b"PAR1";
    let Some(start) = source.size.checked_sub(4) else { return Ok(false) };
    let last = context.storage.get_range(&source.uri, &source.version, start..source.size).await;
    Ok(last.map_err(SplitError::Source)? == LAST)
}

/// Whether a text is NDJSON, by the settings or its first lines; the error is of JSON in another shape.
fn is_ndjson(at: &Location, sample: &Sample, choice: FormatChoice) -> Result<bool, SplitError> {
    if choice != FormatChoice::Auto {
        return Ok(choice == FormatChoice::Ndjson);
    }
    let text = header::without_byte_order_mark(&sample.head);
    if !detect::is_ndjson(text, sample.is_whole) && detect::is_other_json(text) {
        if let Some((number, fault)) = detect::broken_line(text) {
            let hint = "NaN and Infinity are not JSON: have them written as null; with FORMAT=ndjson such lines are rejected, and the others loaded";
            return Err(BadInput::whole(at, format!("line {number} is {fault}"), hint).into());
        }
        let (reason, hint) = if detect::is_array(text) {
            ("this is one JSON array of objects, not one object a line", ARRAY_HINT)
        } else {
            ("this is JSON, but not one object a line", OBJECTS_HINT)
        };
        return Err(BadInput::whole(at, reason, hint).into());
    }
    let is_named_so = [".ndjson", ".jsonl"].iter().any(|end| at.name().contains(end));
    if !is_named_so
        && sample.is_whole
        && let Some(key) = detect::rows_within(text)
    {
        let reason = format!("this is one JSON object, whose rows are in '{key}'");
        let hint = "write each row to a line of its own, with that key: `jq -c '.KEY[]' FILE | sluice ingest - ...`; if the object is one record, set FORMAT=ndjson";
        return Err(BadInput::whole(at, reason, hint).into());
    }
    Ok(detect::is_ndjson(text, sample.is_whole))
}

const ARRAY_HINT: &str = "write each object to a line of its own: `jq -c '.[]' FILE | sluice ingest - ...`; if it is CSV all the same, set FORMAT=csv";
const OBJECTS_HINT: &str = "write each object to a line of its own: `jq -c . FILE | sluice ingest - ...`, with '.KEY[]' in place of the point if the rows are in a key; if it is CSV all the same, set FORMAT=csv";

/// Names that show the header: those of the table's columns, and of columns whose types are given.
fn known_names(settings: &Settings, table: &TableColumns) -> Vec<String> {
    table.names.iter().chain(settings.read.schema.iter().map(|one| &one.name)).cloned().collect()
}

fn null_words(settings: &Settings) -> Vec<String> {
    let default = || value::NULL_WORDS.iter().map(|word| (*word).to_owned()).collect();
    settings.read.null_words.clone().unwrap_or_else(default)
}

/// What was found before the first record of a CSV, and after the last.
type FoundLines = ((Layout, Lines), LastLines);

async fn csv(
    context: &SplitContext,
    source: &SourceObject,
    policy: &Policy,
    sample: &Sample,
    table: &TableColumns,
) -> Result<(CsvPolicy, Vec<Evidence>, FoundLines, Vec<Difference>), SplitError> {
    let settings = &context.settings;
    let known = known_names(settings, table);
    let known = KnownNames::of(&known, settings.read.column_names);
    let header = header::read(&source.uri, &sample.head, sample.is_whole, &settings.read.csv, &known)?;
    check_columns(&source.uri, header.names.len())?;
    if let Some(contract) = Held::new(&source.uri, settings) {
        let (mut csv, differences) = contract.csv(&header, (&sample.head, sample.is_whole), &table.names)?;
        let last = last_lines::find(context, source, (&policy.text, sample), &csv).await?;
        csv.footer_start = last.start;
        let evidence = vec![Evidence::of_text(); csv.columns.len()];
        return Ok((csv, evidence, ((header.layout, header.head), last), differences));
    }
    refusals::too_few_lines(&source.uri, sample, &settings.read.csv, &header)?;
    if header.names.len() == 1 && settings.read.csv.delimiter == Setting::Auto {
        refusals::fixed_width(&source.uri, sample)?;
    }
    let names = column_names(&header.names, settings.read.column_names, &table.names);
    refusals::strangers(&source.uri, &settings.read.csv, &header, &names, &table.names)?;
    let mut csv = CsvPolicy {
        dialect: header.dialect,
        data_start: header.data_start,
        columns: header.names.into_iter().zip(names).map(|(source, name)| Column::of_text(source, name)).collect(),
        null_words: null_words(settings),
        fields: None,
        footer_start: None,
    };
    let last = last_lines::find(context, source, (&policy.text, sample), &csv).await?;
    csv.footer_start = last.start;
    let sample = &sample.before(last.start);
    let mut evidence = match infer(settings) {
        Infer::None => vec![Evidence::of_text(); csv.columns.len()],
        Infer::Sample => {
            let of_sample = csv.clone();
            let observe = move |text: &[u8], ends_open, is_cut| {
                let text = if is_cut { after_first_line_end(text, &of_sample.dialect) } else { text };
                observe_csv(text, &of_sample, ends_open, is_cut)
            };
            from_sample(context, source, sample, csv.data_start, observe, merge).await?
        }
        Infer::Full => {
            let of_block = csv.clone();
            let observe = move |text: &[u8]| observe_csv(text, &of_block, false, false);
            from_all(context, source, policy, (&csv).into(), observe, merge).await?
        }
    };
    // A source without records is none of blocks either.
    evidence.resize(csv.columns.len(), Evidence::default());
    schema::settle(&source.uri, &mut csv.columns, &evidence, settings, &table.typed)?;
    Ok((csv, evidence, ((header.layout, header.head), last), Vec::new()))
}

async fn ndjson(
    context: &SplitContext,
    source: &SourceObject,
    policy: &Policy,
    sample: &Sample,
    table: &TableColumns,
) -> Result<(NdjsonPolicy, Vec<Evidence>, Vec<Difference>), SplitError> {
    let settings = &context.settings;
    let data_start = sample.head.len() - header::without_byte_order_mark(&sample.head).len();
    let data_start = u64::try_from(data_start).unwrap_or_default();
    let null_words = settings.read.null_words.clone().unwrap_or_default();
    let mut json = NdjsonPolicy { data_start, columns: Vec::new(), null_words, other_keys: OtherKeys::default() };
    let mut keys = match infer(settings) {
        Infer::None | Infer::Sample => {
            let null_words = json.null_words.clone();
            let observe = move |text: &[u8], ends_open, _| Keys::observe(text, &null_words, ends_open);
            from_sample(context, source, sample, data_start, observe, Keys::merge).await?
        }
        Infer::Full => {
            let null_words = json.null_words.clone();
            let observe = move |text: &[u8]| Keys::observe(text, &null_words, false);
            from_all(context, source, policy, (&json).into(), observe, Keys::merge).await?
        }
    };
    if let Some(contract) = Held::new(&source.uri, settings) {
        let (json, differences) = contract.ndjson(json, &keys, sample.head.trim_ascii().is_empty(), &table.names)?;
        let evidence = vec![Evidence::of_text(); json.columns.len()];
        return Ok((json, evidence, differences));
    }
    // A key that was declared may come late, or never.
    let seen = keys.columns(settings.read.column_names, &table.names);
    for declared in
        settings.read.schema.iter().filter(|declared| !seen.iter().any(|column| schema::names(declared, column)))
    {
        keys.declare(&declared.name);
    }
    json.columns = keys.columns(settings.read.column_names, &table.names);
    let mut evidence = keys.into_evidence();
    if settings.read.infer == Infer::None {
        evidence.fill(Evidence::of_text());
    }
    if json.columns.is_empty() && !sample.head.trim_ascii().is_empty() {
        let hint = "each line must be a JSON object; name the keys in SCHEMA if they come late in the file";
        return Err(BadInput::whole(&source.uri, "no object with a key was found", hint).into());
    }
    schema::settle(&source.uri, &mut json.columns, &evidence, settings, &table.typed)?;
    Ok((json, evidence, Vec::new()))
}

/// How column types are found: so that no later record is a surprise where types are to be as wide as the values need.
fn infer(settings: &Settings) -> Infer {
    match (settings.read.bad_records, settings.read.infer) {
        (BadRecords::Widen, Infer::Sample) => Infer::Full,
        (_, infer) => infer,
    }
}

/// The columns of the target table. With SQL in between, a column of the table need not be the source's of that name.
async fn table_columns(context: &SplitContext) -> Result<TableColumns, SplitError> {
    match &context.table {
        Some(table) if context.settings.load.sql.is_none() => match &context.known.table_schema {
            Some(schema) => table_schema::columns_of(schema, table),
            None => table_schema::columns(&context.storage, table).await,
        },
        _ => Ok(TableColumns::default()),
    }
}

fn merge(evidence: &mut Vec<Evidence>, more: &Vec<Evidence>) {
    evidence.resize(more.len(), Evidence::default());
    for (evidence, more) in evidence.iter_mut().zip(more) {
        evidence.merge(more);
    }
}

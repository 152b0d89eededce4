//! What would become of one source.

use std::sync::Arc;

use shared::{
    Column, ColumnType, CsvPolicy, CsvSettings, Format, FormatChoice, Infer, Progress, Setting, Settings, Stores,
    TextPolicy,
};
use splitter::{Evidence, Gate, Layout, Plan, SplitContext};
use worker::{LoadContext, Shaping, SqlTrial, TableStore, Tables};

use super::document::{
    ColumnDocument, Decided, DialectDocument, Document, EvidenceDocument, ExpectedDocument, SampleDocument,
    SqlColumnDocument, SqlDocument, TextDocument,
};
use crate::args::{self, PlanArgs};
use crate::contract::save::save;
use crate::contract::settled;
use crate::error::CliError;
use crate::expected;
use crate::gate::{TableGate, not_split, refuse_new, shaping};
use crate::routed::routed;
use crate::stop;

/// Rows that SQL made which are shown at most.
const SHOWN: usize = 10;

/// What would become of a source; `save_at` is where its contract is written.
pub(super) async fn planned(args: &PlanArgs, source: &str, save_at: Option<&str>) -> Result<Document, CliError> {
    let routed = routed(args.settings()?, source, |variable| args.gives(variable)).await?;
    // Of several tables, that of the route which wins.
    let settings = routed.into_iter().next().ok_or(CliError::NoTable)?;
    let settings = settled(settings).await?;
    let source = args::location(source)?;
    let threads = splitter::threads(&settings, args::cores());
    let context = SplitContext {
        storage: Stores::from_env(),
        queue: None,
        topic: None,
        gate: None,
        // Nothing is written: no work area is come to.
        work_prefix: source.clone(),
        table: settings.table.clone(),
        settings,
        threads,
        known: splitter::Known::default(),
        announce_again: false,
        progress: Arc::new(Progress::default()),
        stop: stop::on_signal(),
    };
    let plan = splitter::plan(&context, &source).await.map_err(CliError::Split)?;
    let load = LoadContext::new(context.storage.clone(), context.settings.clone(), TableStore::from_env());
    let shaping = shaping(&load, &plan.examination.source).await.map_err(not_split)?;
    let sql = check(&context, &plan, &shaping).await?;
    let expectations = expected::tried(&context.settings, &plan, &shaping)?;
    let saved = save_at.map(args::location).transpose()?;
    if let Some(at) = &saved {
        save(&context, &plan, at, args.force).await?;
    }
    let saved = saved.map(|at| at.to_string());
    Ok(Document { sql, expectations, saved, ..document(plan, &context.settings) })
}

/// What `ingest` would refuse before it splits; and what SQL makes of the first rows.
async fn check(context: &SplitContext, plan: &Plan, shaping: &Shaping) -> Result<Option<SqlDocument>, CliError> {
    let (found, partition_by) = (&plan.examination, &context.settings.load.partition_by);
    if found.is_empty {
        return Ok(None);
    }
    let try_sql = || worker::try_sql(shaping, &found.schema, &plan.sample, SHOWN).map_err(CliError::Sql);
    let tried = if context.settings.load.sql.is_none() { None } else { Some(try_sql()?) };
    if let Some(table) = context.settings.table.clone() {
        TableGate::new(context, Tables::default(), table).admit(found).await.map_err(not_split)?;
    } else {
        if !shaping.is_none() {
            worker::check_sql(shaping, &found.schema).map_err(CliError::Sql)?;
        }
        if !partition_by.is_empty() {
            refuse_new(found, worker::check_new_columns(&found.schema, shaping, partition_by).await)?;
        }
    }
    Ok(tried.map(sql_document))
}

fn sql_document(tried: SqlTrial) -> SqlDocument {
    let SqlTrial { columns, read, made, rows } = tried;
    let column = |(name, column_type)| SqlColumnDocument { name, column_type };
    SqlDocument { columns: columns.into_iter().map(column).collect(), read, made, rows }
}

fn document(plan: Plan, settings: &Settings) -> Document {
    let found = plan.examination;
    let (word, dialect) = match &found.policy.format {
        Format::Csv(csv) => ("csv", found.layout.map(|layout| dialect(csv, layout, &settings.read.csv))),
        Format::Ndjson(_) => ("ndjson", None),
        Format::Parquet { .. } => ("parquet", None),
    };
    let of_text = || {
        let TextPolicy { compression, encoding } = &found.policy.text;
        TextDocument {
            compression: Decided::new(*compression, settings.read.compression.is_some()),
            encoding: Decided::new(encoding.name().to_owned(), settings.read.encoding.is_some()),
        }
    };
    let columns = match &found.policy.format {
        Format::Csv(CsvPolicy { columns, .. }) => text_columns(columns, &found.evidence, settings),
        Format::Ndjson(json) => text_columns(&json.columns, &found.evidence, settings),
        Format::Parquet { .. } => plan.parquet_columns.into_iter().map(parquet_column).collect(),
    };
    let splitter::Expected { is_estimate, chunks, rows, bytes } = plan.expected;
    Document {
        source: found.source.uri.to_string(),
        bytes: found.source.size,
        format: Decided::new(word, settings.read.format != FormatChoice::Auto),
        text: plan.row_groups.is_none().then(of_text),
        dialect,
        row_groups: plan.row_groups,
        route: settings.route.clone(),
        table: settings.table.as_ref().map(ToString::to_string),
        columns,
        sample: SampleDocument {
            records: plan.records,
            rejected: plan.rejected,
            first_rejected: plan.first_rejected,
            rows: plan.rows,
        },
        sql: None,
        expectations: None,
        saved: None,
        expected: ExpectedDocument { is_estimate, chunks, rows, bytes, chunk_bytes: found.policy.chunk_bytes },
    }
}

fn dialect(csv: &CsvPolicy, layout: Layout, told: &CsvSettings) -> DialectDocument {
    fn by<V, T: Copy>(value: V, told: Setting<T>) -> Decided<V> {
        Decided::new(value, told.explicit().is_some())
    }
    let found = &csv.dialect;
    let skipped = told.skip_lines.explicit().unwrap_or_default() + layout.preamble_lines;
    DialectDocument {
        confidence: layout.confidence,
        delimiter: by(found.delimiter, told.delimiter),
        quote: by(found.quote, told.quote),
        escape: by(found.escape, told.escape),
        comment: by(found.comment, told.comment),
        terminator: by(found.terminator, told.terminator),
        decimal: by(found.decimal, told.decimal),
        trailing_delimiter: found.trailing_delimiter,
        skipped_lines: by(skipped, told.skip_lines),
        header_rows: by(layout.header_rows, told.header),
        data_start: csv.data_start,
    }
}

fn text_columns(columns: &[Column], evidence: &[Evidence], settings: &Settings) -> Vec<ColumnDocument> {
    let column = |(column, evidence): (&Column, &Evidence)| ColumnDocument {
        name: column.name.clone(),
        source_name: column.source_name.clone(),
        column_type: column.column_type.to_string(),
        date_format: Some(column.date_format).filter(|_| column.column_type.has_dates()),
        origin: Some(column.origin),
        // Without inference there was no look at any value.
        evidence: (settings.read.infer != Infer::None).then(|| self::evidence(evidence, column.column_type)),
    };
    columns.iter().zip(evidence).map(column).collect()
}

fn evidence(evidence: &Evidence, column_type: ColumnType) -> EvidenceDocument {
    EvidenceDocument {
        values: evidence.values(),
        nulls: evidence.nulls(),
        example: evidence.example().map(str::to_owned),
        against: evidence.against().map(|(kind, value)| (kind, value.to_owned())).collect(),
        ambiguous_dates: evidence.ambiguous_dates().filter(|_| column_type == ColumnType::Utf8),
        doubtful_numbers: column_type == ColumnType::Utf8 && evidence.has_doubtful_numbers(),
    }
}

fn parquet_column(column: splitter::ParquetColumn) -> ColumnDocument {
    let splitter::ParquetColumn { source_name, name, data_type: column_type } = column;
    ColumnDocument { name, source_name, column_type, date_format: None, origin: None, evidence: None }
}

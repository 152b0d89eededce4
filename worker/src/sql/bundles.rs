//! Columns that a query does not name, planned as if they were one.
//!
//! To plan a query, the engine looks for each column among all columns, several times over: two thousand columns of `SELECT *` take
//! seconds. Columns that a query does not name come out as they are, side by side, or not at all. So those that stand next to each other are
//! put into a struct, and are taken out of it again in what comes of the query.

use std::collections::{HashMap, HashSet};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion_common::DataFusionError;
use datafusion_sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind as Qualified, SetExpr, Statement, TableFactor, Visit, Visitor,
};
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::engine::Result;
use crate::keyed;

/// Columns that are worth it.
const LEAST_COLUMNS: usize = 64;

/// What the names of bundles begin with, several times if need be.
const MARK: char = '\u{1}';

/// The columns of a chunk, some of them in bundles.
#[derive(Debug)]
pub(super) struct Bundles {
    /// Columns of the chunk that each column stands for.
    groups: Vec<Range<usize>>,
    /// Which of them are bundles, by name.
    by_name: HashMap<String, usize>,
    /// The chunk as the query is planned for it.
    schema: SchemaRef,
}

impl Bundles {
    /// Those for a query; none where it has few columns, or may mean something else when it is planned for others.
    pub(super) fn of(statement: &Statement, chunk: &SchemaRef) -> Option<Self> {
        let is_wide = chunk.fields().len() >= LEAST_COLUMNS;
        is_wide.then(|| Self::made(statement, chunk)).flatten()
    }

    pub(super) fn made(statement: &Statement, chunk: &SchemaRef) -> Option<Self> {
        if statement.visit(&mut Shape).is_break() {
            return None;
        }
        let named = names(&statement.to_string())?;
        let mut groups: Vec<Range<usize>> = Vec::new();
        let mut is_open = false;
        for (column, field) in chunk.fields().iter().enumerate() {
            let is_named = named.contains(&field.name().to_lowercase());
            match groups.last_mut().filter(|_| is_open && !is_named) {
                Some(group) => group.end = column + 1,
                None => groups.push(column..column + 1),
            }
            is_open = !is_named;
        }
        Some(Self::new(groups, chunk.fields(), &named))
    }

    fn new(groups: Vec<Range<usize>>, fields: &Fields, named: &HashSet<String>) -> Self {
        // No name of a column or of the query has as many of the character as the names of bundles.
        let taken = fields.iter().map(|field| field.name()).chain(named);
        let marks = taken.map(|name| name.chars().filter(|letter| *letter == MARK).count()).max().unwrap_or(0);
        let mark = String::from(MARK).repeat(marks + 1);
        let mut by_name = HashMap::new();
        let bundle = |(number, group): (usize, &Range<usize>)| {
            let of_group = fields.get(group.clone()).unwrap_or_default();
            if let [field] = of_group {
                return Arc::clone(field);
            }
            let name = format!("{mark}{number}");
            by_name.insert(name.clone(), number);
            // Not nullable: that shows where a query makes other columns of those of the chunk.
            Arc::new(Field::new(name, DataType::Struct(of_group.into()), false))
        };
        let bundled: Vec<FieldRef> = groups.iter().enumerate().map(bundle).collect();
        Self { groups, by_name, schema: Arc::new(Schema::new(bundled)) }
    }

    /// The chunk as the query is planned for it.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns of the chunk that a column of it stands for.
    pub(super) fn columns(&self, column: usize) -> Range<usize> {
        self.groups.get(column).cloned().unwrap_or_default()
    }

    /// Columns that come out, each by itself.
    pub(super) fn unbundled_schema(&self, schema: &SchemaRef) -> SchemaRef {
        let mut fields: Vec<FieldRef> = Vec::new();
        for field in schema.fields() {
            match field.data_type() {
                DataType::Struct(inner) if self.by_name.contains_key(field.name()) && !field.is_nullable() => {
                    fields.extend(inner.iter().cloned());
                }
                DataType::Struct(inner) if self.by_name.contains_key(field.name()) => {
                    let made = |field: &FieldRef| Field::new(field.name(), field.data_type().clone(), true);
                    fields.extend(inner.iter().map(made).map(Arc::new));
                }
                _ => fields.push(Arc::clone(field)),
            }
        }
        Arc::new(Schema::new(fields))
    }

    /// For each column that comes out, the column of the chunk whose values it has, of the same for those that are planned.
    pub(super) fn unbundled_sources(&self, schema: &SchemaRef, sources: &[Option<usize>]) -> Vec<Option<usize>> {
        let mut unbundled = Vec::new();
        for (field, source) in schema.fields().iter().zip(sources) {
            let made = self.by_name.get(field.name()).map_or(1, |bundle| self.columns(*bundle).len());
            match source {
                Some(source) => unbundled.extend(self.columns(*source).map(Some)),
                None => unbundled.extend(vec![None; made]),
            }
        }
        unbundled
    }

    /// The same for batches that have just the columns of the chunk that these stand for.
    pub(super) fn narrowed(self, read: &[usize]) -> Self {
        let mut start = 0;
        let groups = read.iter().map(|column| {
            let group = start..start + self.columns(*column).len();
            start = group.end;
            group
        });
        let groups = groups.collect();
        let by_name = self.by_name.into_iter();
        let by_name = by_name.filter_map(|(name, number)| Some((name, read.binary_search(&number).ok()?))).collect();
        let fields = read.iter().filter_map(|column| self.schema.fields().get(*column)).cloned();
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self { groups, by_name, schema }
    }

    /// A batch of the chunk as the query takes it.
    pub(super) fn bundle(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.groups.iter().zip(self.schema.fields()).map(|(group, field)| -> Result<ArrayRef> {
            match (batch.columns().get(group.clone()), field.data_type()) {
                (Some(columns), DataType::Struct(fields)) if self.by_name.contains_key(field.name()) => {
                    let fields = fields.iter().zip(columns).map(of_type).collect::<Fields>();
                    Ok(Arc::new(StructArray::try_new(fields, columns.to_vec(), None)?))
                }
                (Some([column]), _) => Ok(Arc::clone(column)),
                _ => Err(DataFusionError::Internal("a batch has other columns than the chunk".to_owned())),
            }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let fields: Fields = self.schema.fields().iter().zip(&columns).map(of_type).collect();
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
    }

    /// What comes of it, each column by itself.
    pub(super) fn unbundle(&self, batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if self.by_name.contains_key(field.name()) {
                columns.extend(column.as_struct().columns().iter().cloned());
            } else {
                columns.push(Arc::clone(column));
            }
        }
        Ok(keyed::batch(schema, columns, batch.num_rows())?)
    }
}

/// A field of the type that its values have: they may have keys.
fn of_type((field, values): (&FieldRef, &ArrayRef)) -> FieldRef {
    if field.data_type() == values.data_type() {
        return Arc::clone(field);
    }
    Arc::new(field.as_ref().clone().with_data_type(values.data_type().clone()))
}

/// Names that a query may mean in any way, in lower case.
fn names(sql: &str) -> Option<HashSet<String>> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().ok()?;
    let name = |token: Token| match token {
        Token::Word(word) => Some(word.value.to_lowercase()),
        Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => Some(text.to_lowercase()),
        _ => None,
    };
    Some(tokens.into_iter().filter_map(name).collect())
}

/// Ends at whatever may depend on how many columns there are, or take them otherwise than by name and by `*`.
struct Shape;

impl Visitor for Shape {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let are_renamed = query.with.iter().flat_map(|with| &with.cte_tables).any(|cte| !cte.alias.columns.is_empty());
        let is_simple = matches!(*query.body, SetExpr::Select(_) | SetExpr::Query(_));
        go_on(is_simple && !are_renamed)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        go_on(select.projection.iter().all(|item| match item {
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => true,
            SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(Qualified::ObjectName(_), options) => {
                options.opt_ilike.is_none()
            }
            _ => false,
        }))
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        go_on(match table {
            TableFactor::Table { alias, args: None, .. } | TableFactor::Derived { alias, .. } => {
                alias.as_ref().is_none_or(|alias| alias.columns.is_empty())
            }
            _ => false,
        })
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        let Expr::Function(function) = expression else { return go_on(true) };
        go_on(match &function.args {
            FunctionArguments::List(list) => {
                list.args.iter().all(|arg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(_))))
            }
            FunctionArguments::None => true,
            FunctionArguments::Subquery(_) => false,
        })
    }
}

fn go_on(goes: bool) -> ControlFlow<()> {
    if goes { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

//! What kinds of columns there are, and which a file has, by its footer.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::page::Page;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::Type;

/// A kind of column, by its name in [`ALL`].
pub(super) type Kind = &'static str;

/// Each kind of column, and what the rows of the table in `docs/formats.md` that are about it begin with.
pub(super) const ALL: &[(Kind, &str)] = &[
    ("BOOLEAN", "`BOOLEAN`"),
    ("INT(8)", SIGNED),
    ("INT(16)", SIGNED),
    ("INT32", SIGNED),
    ("INT64", SIGNED),
    ("INT(8) unsigned", UNSIGNED),
    ("INT(16) unsigned", UNSIGNED),
    ("INT(32) unsigned", UNSIGNED),
    ("INT(64) unsigned", "`INT(64)` unsigned"),
    ("FLOAT", FLOATS),
    ("DOUBLE", FLOATS),
    ("FLOAT16", "`FLOAT16`"),
    ("DECIMAL in INT32", DECIMAL),
    ("DECIMAL in INT64", DECIMAL),
    ("DECIMAL in BYTE_ARRAY", DECIMAL),
    ("DECIMAL in FIXED_LEN_BYTE_ARRAY", DECIMAL),
    ("DECIMAL of more than 38 digits", "`DECIMAL` of more digits"),
    ("STRING", TEXT),
    ("ENUM", TEXT),
    ("JSON", TEXT),
    ("BYTE_ARRAY", BYTES),
    ("FIXED_LEN_BYTE_ARRAY", BYTES),
    ("BSON", BYTES),
    ("UUID", "`UUID`"),
    ("GEOMETRY", GEO),
    ("GEOGRAPHY", GEO),
    ("DATE", "`DATE`"),
    ("TIME in milliseconds", TIME),
    ("TIME in microseconds", TIME),
    ("TIME in nanoseconds", TIME),
    ("TIMESTAMP in milliseconds, UTC", AT),
    ("TIMESTAMP in microseconds, UTC", AT),
    ("TIMESTAMP in nanoseconds, UTC", AT_NANOS),
    ("TIMESTAMP in milliseconds", "the same, not in UTC"),
    ("TIMESTAMP in microseconds", "the same, not in UTC"),
    ("TIMESTAMP in nanoseconds", AT_NANOS),
    ("INT96", "`INT96`"),
    ("INTERVAL", "`INTERVAL`"),
    ("LIST", "`LIST`, bare repeated fields"),
    ("bare repeated fields", "`LIST`, bare repeated fields"),
    ("MAP", "`MAP`"),
    ("VARIANT", "`VARIANT`"),
    ("groups", "groups"),
    ("groups without fields", "groups without fields"),
    ("UNKNOWN", "`UNKNOWN` (always null)"),
    ("types of later versions of the format", "types of later versions of the format"),
];

const SIGNED: &str = "`INT(8)` to `INT(64)`, signed; `INT32`, `INT64`";
const UNSIGNED: &str = "`INT(8)`, `INT(16)`, `INT(32)` unsigned";
const FLOATS: &str = "`FLOAT`, `DOUBLE`";
const DECIMAL: &str = "`DECIMAL` of up to 38 digits, stored in any way";
const TEXT: &str = "`STRING`, `ENUM`, `JSON`";
const BYTES: &str = "bytes, bytes of one length, `BSON`";
const GEO: &str = "`GEOMETRY`, `GEOGRAPHY`";
const TIME: &str = "`TIME` in milliseconds, microseconds or nanoseconds";
const AT: &str = "`TIMESTAMP` in milliseconds or microseconds, in UTC";
const AT_NANOS: &str = "`TIMESTAMP` in nanoseconds";

/// The first cells of the table of types in `docs/formats.md`.
pub(super) fn documented() -> Vec<String> {
    let text = include_str!("../../../../docs/formats.md");
    let section = text.split("## Parquet types").nth(1).unwrap();
    let rows =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.split('|').nth(1).unwrap().trim().to_owned()).collect()
}

/// The writer of a file, and the kinds of its columns; `None` where the Parquet crate does not read its footer.
pub(super) fn of(file: &Path) -> Option<(String, BTreeSet<Kind>)> {
    let reader = SerializedFileReader::new(File::open(file).unwrap()).ok()?;
    let described = reader.metadata().file_metadata();
    let writer = described.created_by().unwrap_or_default();
    let writer = writer.split([' ', '(']).next().unwrap().to_owned();
    let mut kinds = BTreeSet::new();
    for field in described.schema().get_fields() {
        add(field, false, &mut kinds);
    }
    Some((writer, kinds))
}

/// Adds the kinds of a field and of all below it; `is_of_list` tells the group that repeats within a list or a map.
fn add(field: &Type, is_of_list: bool, kinds: &mut BTreeSet<Kind>) {
    let info = field.get_basic_info();
    if info.has_repetition() && info.repetition() == Repetition::REPEATED && !is_of_list {
        kinds.insert("bare repeated fields");
    }
    if field.is_primitive() {
        kinds.insert(leaf(field));
        return;
    }
    let (kind, is_list) = match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::Variant(_)), _) => {
            kinds.insert("VARIANT");
            return;
        }
        (Some(LogicalType::List), _) | (None, ConvertedType::LIST) => ("LIST", true),
        (Some(LogicalType::Map), _) | (None, ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE) => ("MAP", true),
        _ if field.get_fields().is_empty() => ("groups without fields", false),
        _ => ("groups", false),
    };
    if !is_of_list {
        kinds.insert(kind);
    }
    for below in field.get_fields() {
        add(below, is_list && !is_of_list, kinds);
    }
}

fn leaf(field: &Type) -> Kind {
    let Type::PrimitiveType { basic_info: info, physical_type, precision, .. } = field else { unreachable!() };
    if let Some(logical) = info.logical_type_ref() {
        return of_logical(logical, *physical_type, *precision);
    }
    match (info.converted_type(), *physical_type) {
        (ConvertedType::UTF8, _) => "STRING",
        (ConvertedType::ENUM, _) => "ENUM",
        (ConvertedType::JSON, _) => "JSON",
        (ConvertedType::BSON, _) => "BSON",
        (ConvertedType::INTERVAL, _) => "INTERVAL",
        (ConvertedType::DATE, _) => "DATE",
        (ConvertedType::TIME_MILLIS, _) => "TIME in milliseconds",
        (ConvertedType::TIME_MICROS, _) => "TIME in microseconds",
        (ConvertedType::TIMESTAMP_MILLIS, _) => "TIMESTAMP in milliseconds, UTC",
        (ConvertedType::TIMESTAMP_MICROS, _) => "TIMESTAMP in microseconds, UTC",
        (ConvertedType::DECIMAL, physical) => decimal(physical, *precision),
        (ConvertedType::INT_8, _) => integer(8, true),
        (ConvertedType::INT_16, _) => integer(16, true),
        (ConvertedType::UINT_8, _) => integer(8, false),
        (ConvertedType::UINT_16, _) => integer(16, false),
        (ConvertedType::UINT_32, _) => integer(32, false),
        (ConvertedType::UINT_64, _) => integer(64, false),
        (_, Physical::BOOLEAN) => "BOOLEAN",
        (_, Physical::INT32) => "INT32",
        (_, Physical::INT64) => "INT64",
        (_, Physical::INT96) => "INT96",
        (_, Physical::FLOAT) => "FLOAT",
        (_, Physical::DOUBLE) => "DOUBLE",
        (_, Physical::BYTE_ARRAY) => "BYTE_ARRAY",
        (_, Physical::FIXED_LEN_BYTE_ARRAY) => "FIXED_LEN_BYTE_ARRAY",
    }
}

fn of_logical(logical: &LogicalType, physical: Physical, precision: i32) -> Kind {
    match logical {
        LogicalType::Integer(int) => integer(int.bit_width, int.is_signed),
        LogicalType::Decimal(_) => decimal(physical, precision),
        LogicalType::Time(time) => match &time.unit {
            TimeUnit::MILLIS => "TIME in milliseconds",
            TimeUnit::MICROS => "TIME in microseconds",
            TimeUnit::NANOS => "TIME in nanoseconds",
        },
        LogicalType::Timestamp(at) => match (&at.unit, at.is_adjusted_to_u_t_c) {
            (TimeUnit::MILLIS, true) => "TIMESTAMP in milliseconds, UTC",
            (TimeUnit::MICROS, true) => "TIMESTAMP in microseconds, UTC",
            (TimeUnit::NANOS, true) => "TIMESTAMP in nanoseconds, UTC",
            (TimeUnit::MILLIS, false) => "TIMESTAMP in milliseconds",
            (TimeUnit::MICROS, false) => "TIMESTAMP in microseconds",
            (TimeUnit::NANOS, false) => "TIMESTAMP in nanoseconds",
        },
        LogicalType::String => "STRING",
        LogicalType::Enum => "ENUM",
        LogicalType::Json => "JSON",
        LogicalType::Bson => "BSON",
        LogicalType::Uuid => "UUID",
        LogicalType::Date => "DATE",
        LogicalType::Float16 => "FLOAT16",
        LogicalType::Geometry(_) => "GEOMETRY",
        LogicalType::Geography(_) => "GEOGRAPHY",
        LogicalType::Unknown => "UNKNOWN",
        _ => "types of later versions of the format",
    }
}

fn integer(bits: i8, is_signed: bool) -> Kind {
    match (bits, is_signed) {
        (8, true) => "INT(8)",
        (16, true) => "INT(16)",
        (32, true) => "INT32",
        (8, false) => "INT(8) unsigned",
        (16, false) => "INT(16) unsigned",
        (32, false) => "INT(32) unsigned",
        (_, true) => "INT64",
        (_, false) => "INT(64) unsigned",
    }
}

fn decimal(physical: Physical, precision: i32) -> Kind {
    match physical {
        _ if precision > 38 => "DECIMAL of more than 38 digits",
        Physical::INT32 => "DECIMAL in INT32",
        Physical::INT64 => "DECIMAL in INT64",
        Physical::BYTE_ARRAY => "DECIMAL in BYTE_ARRAY",
        _ => "DECIMAL in FIXED_LEN_BYTE_ARRAY",
    }
}

/// Codecs, and kinds of pages and their encodings, of a file.
pub(super) fn layouts(file: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let Ok(reader) = SerializedFileReader::new(File::open(file).unwrap()) else { return found };
    for number in 0..reader.num_row_groups() {
        let group = reader.get_row_group(number).unwrap();
        for (place, column) in group.metadata().columns().iter().enumerate() {
            let codec = format!("{:?}", column.compression());
            found.insert(codec.split('(').next().unwrap().to_owned());
            let pages = group.get_column_page_reader(place).into_iter().flatten();
            for page in pages.map_while(Result::ok) {
                match page {
                    Page::DataPage { .. } => found.insert("v1".to_owned()),
                    Page::DataPageV2 { .. } => found.insert("v2".to_owned()),
                    Page::DictionaryPage { .. } => continue,
                };
                found.insert(page.encoding().to_string());
            }
        }
    }
    found
}

//! A column of a text source: its names, its type, and how its values are written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One column of a text source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the source: in the header of a CSV, where the names of several header rows are joined by spaces, or the key
    /// in JSON.
    pub source_name: String,
    /// Its name in the chunks.
    pub name: String,
    /// Its type in the chunks.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// How its dates, and those of its timestamps, are written.
    #[serde(default)]
    pub date_format: DateFormat,
    /// Where its type comes from, and so how strictly its values are read.
    #[serde(default)]
    pub origin: TypeOrigin,
    /// Whether the null words hold in it: in text they are words like any other, unless `NULL_WORDS` is set.
    pub null_words: bool,
}

impl Column {
    /// A column of which nothing is known: text, in which null words hold.
    pub fn of_text(source_name: String, name: String) -> Self {
        let (column_type, date_format, origin) = (ColumnType::Utf8, DateFormat::default(), TypeOrigin::default());
        Self { source_name, name, column_type, date_format, origin, null_words: true }
    }
}

/// Where the type of a column comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TypeOrigin {
    /// Its values. A text is a value of the type only if no text is lost by it.
    #[default]
    Inferred,
    /// The target table. Any text that names exactly one value of the type is that value.
    Table,
    /// `SCHEMA`. Read as with `Table`.
    Declared,
}

impl TypeOrigin {
    /// Whether the type was given rather than inferred.
    pub fn is_given(self) -> bool {
        self != Self::Inferred
    }
}

/// Most digits of a decimal.
pub const DECIMAL_DIGITS: u8 = 38;

/// Type of a column of text. As text: `boolean`, `int64`, `float64`, `decimal(P,S)`, `date`, `timestamp`, `timestamp_utc`,
/// `text`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ColumnType {
    /// `true` and `false`.
    Boolean,
    /// Signed 64-bit integer.
    Int64,
    /// Double-precision number.
    Float64,
    /// Decimal number of so many digits, `scale` of them after the point.
    Decimal {
        /// Digits in all, 1 to [`DECIMAL_DIGITS`].
        precision: u8,
        /// Digits after the point, 0 to `precision`.
        scale: u8,
    },
    /// Calendar date.
    Date32,
    /// Date and time in microseconds, without a zone.
    Timestamp,
    /// Instant in microseconds.
    TimestampUtc,
    /// Text.
    Utf8,
}

impl ColumnType {
    /// Whether its values hold a date.
    pub fn has_dates(self) -> bool {
        matches!(self, Self::Date32 | Self::Timestamp | Self::TimestampUtc)
    }
}

const TYPES: &str = "one of boolean, int64, float64, decimal(PRECISION,SCALE), date, timestamp, timestamp_utc and text";

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::Int64 => f.write_str("int64"),
            Self::Float64 => f.write_str("float64"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Date32 => f.write_str("date"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::TimestampUtc => f.write_str("timestamp_utc"),
            Self::Utf8 => f.write_str("text"),
        }
    }
}

impl FromStr for ColumnType {
    type Err = String;

    /// Names of SQL and of Arrow do too, in any case.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "boolean" | "bool" => Ok(Self::Boolean),
            "int64" | "bigint" | "long" | "int" | "integer" | "smallint" | "tinyint" => Ok(Self::Int64),
            "float64" | "double" | "double precision" | "float" | "real" => Ok(Self::Float64),
            "date" | "date32" => Ok(Self::Date32),
            "timestamp" | "timestamp_ntz" | "datetime" => Ok(Self::Timestamp),
            "timestamp_utc" | "timestamptz" => Ok(Self::TimestampUtc),
            "text" | "utf8" | "string" | "varchar" => Ok(Self::Utf8),
            name => decimal(name).ok_or_else(|| format!("'{text}' is not a type: {TYPES}")),
        }
    }
}

/// `decimal(P,S)`, or `decimal(P)` with no digits after the point; `numeric` is the same.
fn decimal(text: &str) -> Option<ColumnType> {
    let digits = text.strip_prefix("decimal").or_else(|| text.strip_prefix("numeric"))?;
    let digits = digits.trim_start().strip_prefix('(')?.strip_suffix(')')?;
    let (precision, scale) = digits.split_once(',').unwrap_or((digits, "0"));
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    let fits = (1..=DECIMAL_DIGITS).contains(&precision) && scale <= precision;
    fits.then_some(ColumnType::Decimal { precision, scale })
}

impl TryFrom<String> for ColumnType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ColumnType> for String {
    fn from(column_type: ColumnType) -> Self {
        column_type.to_string()
    }
}

/// How dates are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DateFormat {
    /// `YYYY-MM-DD`, ISO 8601.
    #[default]
    Iso,
    /// `YYYY/MM/DD`.
    YearSlash,
    /// `DD.MM.YYYY`.
    DayDot,
    /// `DD/MM/YYYY`.
    DaySlash,
    /// `DD-MM-YYYY`.
    DayDash,
    /// `MM/DD/YYYY`.
    MonthSlash,
    /// `MM-DD-YYYY`.
    MonthDash,
    /// `DD-MON-YYYY`, the month by three letters of its English name.
    DayName,
    /// `YYYYMMDD`.
    Digits,
}

impl DateFormat {
    /// All there are, in the order of preference.
    pub const ALL: [Self; 9] = [
        Self::Iso,
        Self::YearSlash,
        Self::DayDot,
        Self::DaySlash,
        Self::DayDash,
        Self::MonthSlash,
        Self::MonthDash,
        Self::DayName,
        Self::Digits,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Iso => "YYYY-MM-DD",
            Self::YearSlash => "YYYY/MM/DD",
            Self::DayDot => "DD.MM.YYYY",
            Self::DaySlash => "DD/MM/YYYY",
            Self::DayDash => "DD-MM-YYYY",
            Self::MonthSlash => "MM/DD/YYYY",
            Self::MonthDash => "MM-DD-YYYY",
            Self::DayName => "DD-MON-YYYY",
            Self::Digits => "YYYYMMDD",
        }
    }
}

impl fmt::Display for DateFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DateFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|format| format.as_str().eq_ignore_ascii_case(text));
        known.ok_or_else(|| format!("'{text}' is not a date format: one of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

impl TryFrom<String> for DateFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DateFormat> for String {
    fn from(format: DateFormat) -> Self {
        format.to_string()
    }
}

/// A column whose type is given rather than inferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedColumn {
    /// Its name, in the source or in the chunks.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
    /// How its dates are written, where that is given too.
    pub date_format: Option<DateFormat>,
}

impl FromStr for TypedColumn {
    type Err = String;

    /// `NAME:TYPE`, or `NAME:TYPE(FORMAT)` where the type has dates.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, told) = text.rsplit_once(':').ok_or_else(|| format!("'{text}' is not written as NAME:TYPE"))?;
        let (name, told) = (name.trim().to_owned(), told.trim());
        if name.is_empty() {
            return Err(format!("'{text}' has no name before its type"));
        }
        let with_format = told.strip_suffix(')').and_then(|told| told.split_once('('));
        match with_format.map(|(word, format)| (word.parse::<ColumnType>(), format)) {
            Some((Ok(column_type), format)) if column_type.has_dates() => {
                Ok(Self { name, column_type, date_format: Some(format.trim().parse()?) })
            }
            _ => Ok(Self { name, column_type: told.parse()?, date_format: None }),
        }
    }
}

/// Columns as `SCHEMA` has them: `NAME:TYPE,NAME:TYPE`, each name once.
pub(crate) fn typed_columns(text: &str) -> Result<Vec<TypedColumn>, String> {
    let mut columns: Vec<TypedColumn> = Vec::new();
    let mut depth = 0;
    let outside = |character: char| {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        character == ',' && depth <= 0
    };
    for item in text.split(outside).map(str::trim).filter(|item| !item.is_empty()) {
        let column: TypedColumn = item.parse()?;
        if columns.iter().any(|other| other.name == column.name) {
            return Err(format!("'{}' is named twice", column.name));
        }
        columns.push(column);
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_they_are_written() {
        for text in [
            "boolean",
            "int64",
            "float64",
            "decimal(38,0)",
            "decimal(12,2)",
            "date",
            "timestamp",
            "timestamp_utc",
            "text",
        ] {
            assert_eq!(text.parse::<ColumnType>().unwrap().to_string(), text);
        }
        assert_eq!("decimal(5)".parse(), Ok(ColumnType::Decimal { precision: 5, scale: 0 }));
        for (name, text) in [
            ("INT", "int64"),
            ("bigint", "int64"),
            ("double precision", "float64"),
            ("Real", "float64"),
            ("bool", "boolean"),
            ("NUMERIC (12, 2)", "decimal(12,2)"),
            ("timestamptz", "timestamp_utc"),
            ("timestamp_ntz", "timestamp"),
            ("datetime", "timestamp"),
            ("string", "text"),
            ("varchar", "text"),
        ] {
            assert_eq!(name.parse::<ColumnType>().unwrap().to_string(), text, "{name}");
        }
        for name in ["varchar(20)", "decimalish(3)", "decimal", "numeric", ""] {
            assert!(name.parse::<ColumnType>().is_err(), "{name}");
        }
        for format in DateFormat::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
    }

    #[test]
    fn schemas() {
        let told = |text: &str| {
            let columns = typed_columns(text)?;
            let show = |column: &TypedColumn| match column.date_format {
                Some(format) => format!("{}={}/{format}", column.name, column.column_type),
                None => format!("{}={}", column.name, column.column_type),
            };
            Ok::<_, String>(columns.iter().map(show).collect::<Vec<_>>().join(" "))
        };
        for (text, expected) in [
            ("id:int64,price:decimal(12,2),day:date", Ok("id=int64 price=decimal(12,2) day=date")),
            (" a b : text , t:timestamp( dd.mm.yyyy ) ,", Ok("a b=text t=timestamp/DD.MM.YYYY")),
            ("a:b:int64", Ok("a:b=int64")),
            ("", Ok("")),
            ("id", Err("'id' is not written as NAME:TYPE")),
            (":int64", Err("':int64' has no name before its type")),
            ("a:int64,a:text", Err("'a' is named twice")),
            (
                "d:date(DDMMYY)",
                Err(
                    "'DDMMYY' is not a date format: one of YYYY-MM-DD, YYYY/MM/DD, DD.MM.YYYY, DD/MM/YYYY, DD-MM-YYYY, MM/DD/YYYY, MM-DD-YYYY, DD-MON-YYYY, YYYYMMDD",
                ),
            ),
            (
                "p:decimal(39,2)",
                Err(
                    "'decimal(39,2)' is not a type: one of boolean, int64, float64, decimal(PRECISION,SCALE), date, timestamp, timestamp_utc and text",
                ),
            ),
        ] {
            assert_eq!(told(text), expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }
}

//! How instants are written in partitions: the protocol has two ways, and a table is to have one.
//!
//! The log says `2024-07-01 12:00:00.000000`, or `2024-07-01T12:00:00.000000Z`, and so may the names of folders, from which some readers
//! take the values. Polars cannot read a table whose folders have both.

use buoyant_kernel::expressions::Scalar;
use chrono::DateTime;
use deltalake::kernel::scalars::ScalarExt;
use deltalake::table::state::DeltaTableState;

/// One of the two ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Style {
    /// `2024-07-01 12:00:00.000000`
    #[default]
    Spaced,
    /// `2024-07-01T12:00:00.000000Z`
    Iso,
}

/// Which of them a partition column of a table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InstantStyle {
    in_log: Style,
    in_folders: Style,
}

/// Bytes of a date.
const DATE: usize = "2024-07-01".len();

impl Style {
    fn of(text: &str) -> Self {
        if text.as_bytes().get(DATE) == Some(&b'T') { Self::Iso } else { Self::Spaced }
    }

    /// A value in this style, if it is an instant.
    fn text(self, value: &Scalar) -> String {
        match (self, value) {
            (Self::Iso, Scalar::Timestamp(micros)) => DateTime::from_timestamp_micros(*micros)
                .map_or_else(|| value.serialize(), |at| at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()),
            _ => value.serialize(),
        }
    }
}

impl InstantStyle {
    /// That of the files of a table, by the first that has a value of the column. Log and folders may differ, as Spark's do.
    pub(super) fn of(state: &DeltaTableState, column: &str) -> Self {
        let files = state.log_data();
        let mut found = files.iter().filter_map(|file| {
            let text = file.partition_values_map().remove(column)??;
            Some(Self::of_file(&text, &file.path(), column))
        });
        found.next().unwrap_or_default()
    }

    fn of_file(text: &str, path: &str, column: &str) -> Self {
        let in_log = Style::of(text);
        let folder = path.split('/').find_map(|folder| folder.strip_prefix(column)?.strip_prefix('='));
        Self { in_log, in_folders: folder.map_or(in_log, Style::of) }
    }

    /// A value as the log has it.
    pub(super) fn in_log(self, value: &Scalar) -> String {
        self.in_log.text(value)
    }

    /// The name of the folder of a value.
    pub(super) fn folder(self, column: &str, value: &Scalar) -> String {
        // An escaped text is what it was with each character escaped, so a text can stand for the value.
        let value = match value {
            Scalar::Timestamp(_) => Scalar::from(self.in_folders.text(value)),
            value => value.clone(),
        };
        format!("{column}={}", value.serialize_encoded())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_the_table_has_them() {
        let (spaced, iso) = ("2023-11-14 22:13:20.123456", "2023-11-14T22:13:20.123456Z");
        let folders = ["p=2023-11-14%2022%3A13%3A20.123456", "p=2023-11-14T22%3A13%3A20.123456Z"];
        let value = Scalar::Timestamp(1_700_000_000_123_456);
        for (text, path, in_log, folder) in [
            (spaced, "p=2023-11-14%2022%3A13%3A20/x.parquet", spaced, folders[0]),
            ("2023-11-14 22:13:20", "x.parquet", spaced, folders[0]),
            (iso, "q=a/p=2023-11-14T22%3A13%3A20.123456Z/x.parquet", iso, folders[1]),
            ("2023-11-14T22:13:20Z", "ab/x.parquet", iso, folders[1]),
            (iso, "p=2023-11-14 22%3A13%3A20/x.parquet", iso, folders[0]),
        ] {
            let style = InstantStyle::of_file(text, path, "p");
            assert_eq!((style.in_log(&value).as_str(), style.folder("p", &value).as_str()), (in_log, folder));
        }
        let iso = InstantStyle { in_log: Style::Iso, in_folders: Style::Iso };
        assert_eq!(iso.in_log(&Scalar::TimestampNtz(0)), "1970-01-01 00:00:00.000000", "those have no zone");
        assert_eq!(iso.folder("p", &Scalar::from("a b")), "p=a%20b");
    }
}

//! Values of variables.

use std::time::Duration;

use crate::backoff::BackoffSettings;
use crate::column::{TypedColumn, typed_columns};
use crate::dialect::{CsvSettings, Setting};
use crate::lookups::Lookup;
use crate::memory::{Memory, given_mb};
use crate::provenance::Provenance;
use crate::text_policy::Encoding;

use super::groups::{AwsSettings, LoadSettings, ReadSettings};
use super::variables::{CONTRACT_KEYS, Kind, REPLACED_BY_CONTRACT, Variable};

/// A variable whose value cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name}='{value}' cannot be used: it must be {expected}")]
pub struct SettingsError {
    /// Name of the variable.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What it should be.
    pub expected: String,
}

/// Reads variables, each as its row of [`VARIABLES`] says.
pub(super) struct Reader<L> {
    pub(super) lookup: L,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    pub(super) fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
    }

    pub(super) fn or_default(&self, name: &str) -> String {
        let default = Variable::find(name).map_or("", |variable| variable.default);
        self.text(name).unwrap_or_else(|| default.to_owned())
    }

    /// The value or the default; the error says what its row expects.
    pub(super) fn parsed<T>(&self, name: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<T, SettingsError> {
        let expected = || Variable::find(name).map_or_else(String::new, |variable| variable.kind.expected());
        self.worded(name, |text| parse(text).ok_or_else(expected))
    }

    /// As [`Reader::parsed`], where the error says by itself what is wrong.
    fn worded<T>(&self, name: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, SettingsError> {
        let value = self.or_default(name);
        parse(&value).map_err(|expected| SettingsError { name, value, expected })
    }

    pub(super) fn optional<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingsError> {
        self.text(name).map(|_| self.parsed(name, parse)).transpose()
    }

    /// A whole number within the bounds of its row.
    fn number(&self, name: &'static str) -> Result<u64, SettingsError> {
        self.parsed(name, |text| match Variable::find(name)?.kind {
            Kind::Whole { least, most } => text.parse().ok().filter(|number| (least..=most).contains(number)),
            Kind::Word { .. } | Kind::Text { .. } => None,
        })
    }

    fn number_or_none(&self, name: &'static str) -> Result<Option<u64>, SettingsError> {
        self.text(name).map(|_| self.number(name)).transpose()
    }

    /// One of the words of its row.
    fn one_of(&self, name: &'static str) -> Result<String, SettingsError> {
        self.parsed(name, |text| match Variable::find(name)?.kind {
            Kind::Word { words } => words.contains(&text).then(|| text.to_owned()),
            Kind::Whole { .. } | Kind::Text { .. } => None,
        })
    }

    fn word<T: std::str::FromStr<Err = String>>(&self, name: &'static str) -> Result<T, SettingsError> {
        self.worded(name, str::parse)
    }

    pub(super) fn read(&self) -> Result<ReadSettings, SettingsError> {
        let mib = |count: u64| count << 20;
        Ok(ReadSettings {
            chunk_bytes: mib(self.number("CHUNK_SIZE_MB")?),
            chunk_codec: self.one_of("CHUNK_CODEC")?,
            format: self.word("FORMAT")?,
            infer: self.word("INFER")?,
            schema: self.schema()?,
            column_names: self.word("COLUMN_NAMES")?,
            compression: self.unless_auto("COMPRESSION", |word| word.parse().ok())?,
            encoding: self.unless_auto("ENCODING", Encoding::for_label)?,
            max_expanded_bytes: self.number_or_none("MAX_EXPANDED_MB")?.map(mib),
            max_expansion_ratio: self.number("MAX_EXPANSION_RATIO")?,
            max_footer_bytes: mib(self.number("MAX_FOOTER_MB")?),
            csv: self.csv()?,
            null_words: self.list("NULL_WORDS"),
            bad_records: self.word("BAD_RECORDS")?,
            max_bad_records: self.optional("MAX_BAD_RECORDS", |text| text.parse().ok())?,
            max_record_bytes: mib(self.number("MAX_RECORD_MB")?),
            contract_uri: self.optional("CONTRACT_URI", |text| text.parse().ok())?,
            contract: None,
            given: self.given(),
        })
    }

    pub(super) fn load(&self) -> Result<LoadSettings, SettingsError> {
        Ok(LoadSettings {
            sql: self.text("TRANSFORM_SQL"),
            partition_by: self.list("PARTITION_BY").unwrap_or_default(),
            commit_mode: self.word("COMMIT_MODE")?,
            data_files: self.word("DATA_FILES")?,
            on_replace: self.word("ON_REPLACE")?,
            provenance: self.worded("PROVENANCE", Provenance::list)?,
            lookups: self.worded("LOOKUPS", Lookup::list)?,
            place: None,
            max_partitions: usize::try_from(self.number("MAX_PARTITIONS")?).unwrap_or(usize::MAX),
        })
    }

    pub(super) fn aws(&self) -> Result<AwsSettings, SettingsError> {
        Ok(AwsSettings {
            chunk_queue_url: self.text("CHUNK_QUEUE_URL"),
            source_queue_url: self.text("SOURCE_QUEUE_URL"),
            completion_topic_arn: self.optional("COMPLETION_TOPIC_ARN", topic_arn)?,
        })
    }

    /// What is given of the variables that a contract may speak of.
    fn given(&self) -> Vec<(&'static str, String)> {
        let names = CONTRACT_KEYS.iter().chain(REPLACED_BY_CONTRACT);
        names.filter_map(|name| Some((*name, self.text(name)?))).collect()
    }

    fn schema(&self) -> Result<Vec<TypedColumn>, SettingsError> {
        self.worded("SCHEMA", |text| {
            typed_columns(text).map_err(|wrong| format!("NAME:TYPE, separated by commas; {wrong}"))
        })
    }

    /// `None` where it is `auto`.
    fn unless_auto<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingsError> {
        self.parsed(name, |text| if text == "auto" { Some(None) } else { parse(text).map(Some) })
    }

    /// A setting that is found when it is `auto`.
    fn setting<T>(&self, name: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<Setting<T>, SettingsError> {
        Ok(self.unless_auto(name, parse)?.map_or(Setting::Auto, Setting::Explicit))
    }

    fn csv(&self) -> Result<CsvSettings, SettingsError> {
        let mark = |text: &str| if text == "none" { Some(None) } else { character(text).map(Some) };
        let count = |most: usize| move |text: &str| text.parse().ok().filter(|number| *number <= most);
        let header = |text: &str| match text {
            "true" => Some(1),
            "false" => Some(0),
            _ => count(16)(text),
        };
        let decimal = |text: &str| character(text).filter(|c| matches!(c, '.' | ','));
        let csv = CsvSettings {
            delimiter: self.setting("CSV_DELIMITER", |text| character(text).filter(|c| !matches!(c, '\r' | '\n')))?,
            quote: self.setting("CSV_QUOTE", mark)?,
            escape: self.setting("CSV_ESCAPE", mark)?,
            comment: self.setting("CSV_COMMENT", mark)?,
            terminator: self.setting("CSV_TERMINATOR", |text| character(text).map(Some))?,
            header: self.setting("CSV_HEADER", header)?,
            skip_lines: self.setting("CSV_SKIP_LINES", count(10_000))?,
            footer: self.setting("CSV_FOOTER", count(64))?,
            decimal: self.setting("CSV_DECIMAL", decimal)?,
        };
        self.each_once(&csv)?;
        Ok(csv)
    }

    /// A character can have one meaning only.
    fn each_once(&self, csv: &CsvSettings) -> Result<(), SettingsError> {
        let told = [
            ("CSV_DELIMITER", csv.delimiter.explicit()),
            ("CSV_QUOTE", csv.quote.explicit().flatten()),
            ("CSV_ESCAPE", csv.escape.explicit().flatten()),
            ("CSV_COMMENT", csv.comment.explicit().flatten()),
            ("CSV_TERMINATOR", csv.terminator.explicit().flatten()),
        ];
        for (place, (name, character)) in told.iter().enumerate() {
            let same = told.iter().take(place).find(|(_, other)| character.is_some() && other == character);
            if let Some((other, _)) = same {
                let expected = format!("another character than that of {other}");
                return Err(SettingsError { name, value: self.or_default(name), expected });
            }
        }
        Ok(())
    }

    pub(super) fn memory(&self) -> Result<Memory, SettingsError> {
        let told = self.number_or_none("MEMORY_MB")?;
        Ok(Memory::of_mb(told.unwrap_or_else(|| given_mb(|name| self.text(name)))))
    }

    pub(super) fn commit(&self) -> Result<BackoffSettings, SettingsError> {
        Ok(BackoffSettings {
            max_attempts: u32::try_from(self.number("COMMIT_MAX_ATTEMPTS")?).unwrap_or(u32::MAX),
            initial: Duration::from_millis(self.number("COMMIT_BACKOFF_INITIAL_MS")?),
            max: Duration::from_millis(self.number("COMMIT_BACKOFF_MAX_MS")?),
            max_elapsed: None,
        })
    }

    fn list(&self, name: &str) -> Option<Vec<String>> {
        Some(self.text(name)?.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect())
    }
}

fn topic_arn(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split(':').collect();
    matches!(parts[..], ["arn", _, "sns", _, _, name] if !name.is_empty()).then(|| text.to_owned())
}

/// One ASCII character: as it is, `tab`, or as a byte in hexadecimal.
fn character(text: &str) -> Option<char> {
    match text {
        "tab" | "\\t" => return Some('\t'),
        "\\n" => return Some('\n'),
        "\\r" => return Some('\r'),
        _ => {}
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii).map(char::from);
    }
    let mut characters = text.chars();
    let first = characters.next().filter(char::is_ascii)?;
    characters.next().is_none().then_some(first)
}

//! Settings: one list of variables, read by the Lambdas from their environment and by the command line as defaults.

mod expected;
mod groups;
pub(crate) mod limit;
mod reader;
mod under_contract;
mod variables;

use std::sync::Arc;

use crate::backoff::BackoffSettings;
use crate::contract::terms::{Contract, ContractError};
use crate::expectations::Expectations;
use crate::location::Location;
use crate::memory::Memory;
use crate::notice::{SnsTopic, Topic};
use crate::routes::at::RoutesAt;
use crate::routes::pinned::PinnedRoute;
pub use groups::{AwsSettings, LoadSettings, ReadSettings};
pub use limit::BadRecordLimit;
use reader::Reader;
pub use reader::SettingsError;
pub use variables::{CliOption, Function, Kind, VARIABLES, Variable};

/// All settings, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How sources are read, and cut into chunks.
    pub read: ReadSettings,
    /// How chunks are put into tables.
    pub load: LoadSettings,
    /// `COMMIT_MAX_ATTEMPTS`, `COMMIT_BACKOFF_INITIAL_MS`, `COMMIT_BACKOFF_MAX_MS`.
    pub commit: BackoffSettings,
    /// Queues and topics of a deployment.
    pub aws: AwsSettings,
    /// `CHUNK_BUCKET` and `CHUNK_PREFIX`.
    pub work_prefix: Option<Location>,
    /// `TABLE_URI`.
    pub table: Option<Location>,
    /// `ROUTES_URI`.
    pub routes: Option<RoutesAt>,
    /// The route that these settings are of, where they are of one.
    pub route: Option<PinnedRoute>,
    /// What the captures of that route are.
    pub captures: Vec<(String, String)>,
    /// The variables that were given, as they were.
    given: Arc<Vec<(&'static str, String)>>,
    /// `MEMORY_MB`: the account that all work draws on which was begun with these settings, or clones of them.
    pub memory: Memory,
}

impl Settings {
    /// The topic that gets notices of completed jobs.
    pub fn topic(&self) -> Option<Arc<dyn Topic>> {
        let arn = self.aws.completion_topic_arn.as_ref()?;
        Some(Arc::new(SnsTopic::new(arn)))
    }

    /// Settings from a source of variables, such as the environment; an empty value is one that is not set.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let read = Reader { lookup: |name: &str| lookup(name).filter(|value| !value.is_empty()) };
        let work_prefix = match read.text("CHUNK_BUCKET") {
            Some(bucket) => Some(read.parsed("CHUNK_BUCKET", |_| {
                let root = if bucket.contains('/') { bucket.clone() } else { format!("s3://{bucket}") };
                Some(root.parse::<Location>().ok()?.join(&read.or_default("CHUNK_PREFIX")))
            })?),
            None => None,
        };
        Ok(Self {
            read: read.read()?,
            load: read.load()?,
            commit: read.commit()?,
            aws: read.aws()?,
            work_prefix,
            table: read.optional("TABLE_URI", |text| text.parse().ok())?,
            routes: read.optional("ROUTES_URI", |text| text.parse().ok())?,
            route: None,
            captures: Vec::new(),
            given: Arc::new(VARIABLES.iter().filter_map(|row| Some((row.name, read.text(row.name)?))).collect()),
            memory: read.memory()?,
        })
    }

    /// The value that a variable was given, as it was.
    pub fn given(&self, variable: &str) -> Option<&str> {
        self.given.iter().find(|(name, _)| *name == variable).map(|(_, value)| value.as_str())
    }

    /// The same for an object that a route takes to a table: what the route gives comes before what was given. The account of memory
    /// stays the same.
    pub(crate) fn routed(
        &self,
        given: &[(&'static str, String)],
        table: Location,
        (route, place): (PinnedRoute, Option<String>),
        captures: Vec<(String, String)>,
    ) -> Result<Self, SettingsError> {
        let of_route = |name: &str| given.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let routed = Self::from_lookup(|name| of_route(name).or_else(|| self.given(name).map(str::to_owned)))?;
        let (work_prefix, memory) = (self.work_prefix.clone(), self.memory.clone());
        let load = LoadSettings { place, ..routed.load };
        Ok(Self { table: Some(table), route: Some(route), captures, work_prefix, memory, load, ..routed })
    }

    /// The same with chunks of another size.
    #[must_use]
    pub fn with_chunk_bytes(mut self, chunk_bytes: u64) -> Self {
        self.read.chunk_bytes = chunk_bytes;
        self
    }

    /// The same, read by a contract. The error names what the contract cannot say, or what contradicts a variable that is given.
    pub fn under(self, contract: Contract) -> Result<Self, ContractError> {
        let commit_mode = self.given("COMMIT_MODE").map(str::to_owned);
        let load = expected::load_under(&contract, self.load, commit_mode.as_deref())?;
        let read = under_contract::read_under(contract, self.read)?;
        Ok(Self { read, load, ..self })
    }

    /// What the contract expects of rows; none without a contract, or where it expects nothing.
    pub fn expectations(&self) -> Option<Expectations> {
        self.read.contract.as_ref()?.expectations()
    }

    /// Settings from the environment.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{CsvSettings, Setting};

    fn with(name: &str, value: &str) -> Result<Settings, SettingsError> {
        Settings::from_lookup(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn defaults_are_usable() {
        let settings = Settings::from_lookup(|_| None).unwrap();
        assert_eq!(settings.read.chunk_bytes, 100 << 20);
        assert_eq!(settings.work_prefix, None);
        assert_eq!(settings.load.max_partitions, 10_000);
        assert_eq!(settings.read.csv, CsvSettings::default());
    }

    #[test]
    fn sql_names_look_ups_by_words() {
        let named = |sql: &str| {
            let lookups = "rate=/ref/rates.csv,c=/ref/c.csv";
            let variable = |name: &str| match name {
                "LOOKUPS" => Some(lookups.to_owned()),
                "TRANSFORM_SQL" => Some(sql.to_owned()),
                _ => None,
            };
            let settings = Settings::from_lookup(variable).unwrap();
            settings.load.named_lookups().map(|lookup| lookup.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(named("select separate, rate_of from chunk"), Vec::<String>::new());
        assert_eq!(named("select x from chunk join Rate on rate.id = x"), ["rate"]);
        assert_eq!(named("select c.x, \"rate\".y from chunk"), ["rate", "c"]);
    }

    #[test]
    fn texts_name_the_values() {
        for Variable { name, kind, about, .. } in VARIABLES {
            let named = match kind {
                Kind::Whole { least, most } if *most < 1 << 32 => vec![format!("{least} to {most}")],
                Kind::Word { words } => words.iter().map(|word| format!("`{word}`")).collect(),
                Kind::Whole { .. } | Kind::Text { .. } => Vec::new(),
            };
            for value in named {
                assert!(about.contains(&value), "the text of {name} should name {value}");
            }
        }
    }

    #[test]
    fn each_word_is_read() {
        for Variable { name, kind, .. } in VARIABLES {
            let Kind::Word { words } = kind else { continue };
            for word in *words {
                assert!(with(name, word).is_ok(), "{name}={word}");
            }
        }
    }

    #[test]
    fn values_that_cannot_be_used_are_named() {
        for (name, value) in [
            ("CHUNK_SIZE_MB", "0"),
            ("CHUNK_SIZE_MB", "5121"),
            ("CHUNK_SIZE_MB", "1.5"),
            ("CHUNK_SIZE_MB", "ten"),
            ("CHUNK_CODEC", "rar"),
            ("FORMAT", "xml"),
            ("INFER", "maybe"),
            ("COMPRESSION", "rar"),
            ("ENCODING", "ebcdic"),
            ("MAX_EXPANDED_MB", "0"),
            ("MAX_EXPANSION_RATIO", "none"),
            ("MAX_FOOTER_MB", "0"),
            ("SCHEMA", "id:number"),
            ("BAD_RECORDS", "drop"),
            ("COMMIT_MODE", "row"),
            ("ON_REPLACE", "merge"),
            ("MAX_BAD_RECORDS", "101%"),
            ("MAX_BAD_RECORDS", "-1"),
            ("CSV_DELIMITER", "::"),
            ("CSV_DELIMITER", "é"),
            ("CSV_DELIMITER", "none"),
            ("CSV_DELIMITER", "0xff"),
            ("CSV_QUOTE", "quote"),
            ("CSV_HEADER", "17"),
            ("CSV_HEADER", "yes"),
            ("CSV_SKIP_LINES", "-1"),
            ("CSV_FOOTER", "65"),
            ("CSV_DECIMAL", ";"),
            ("COMMIT_MAX_ATTEMPTS", "0"),
            ("MAX_PARTITIONS", "0"),
            ("MEMORY_MB", "127"),
            ("MEMORY_MB", "all"),
            ("COMPLETION_TOPIC_ARN", "done"),
            ("COMPLETION_TOPIC_ARN", "arn:aws:sqs:eu-central-1:123456789012:done"),
            ("LOOKUPS", "a"),
            ("TABLE_URI", "gs://b/t"),
            ("CONTRACT_URI", "gs://b/t"),
            ("ROUTES_URI", "gs://b/routes"),
        ] {
            let error = with(name, value).unwrap_err();
            assert_eq!((error.name, error.value.as_str()), (name, value));
        }
    }

    #[test]
    fn error_text() {
        let error = with("CHUNK_SIZE_MB", "ten").unwrap_err();
        insta::assert_snapshot!(error, @"CHUNK_SIZE_MB='ten' cannot be used: it must be a whole number from 1 to 5120");
    }

    #[test]
    fn dialects_that_are_told() {
        let csv = |name, value| with(name, value).unwrap().read.csv;
        let auto = CsvSettings::default;
        for (name, value, expected) in [
            ("CSV_DELIMITER", "auto", auto()),
            ("CSV_DELIMITER", ";", CsvSettings { delimiter: Setting::Explicit(';'), ..auto() }),
            ("CSV_DELIMITER", "tab", CsvSettings { delimiter: Setting::Explicit('\t'), ..auto() }),
            ("CSV_DELIMITER", "\\t", CsvSettings { delimiter: Setting::Explicit('\t'), ..auto() }),
            ("CSV_DELIMITER", "0x1F", CsvSettings { delimiter: Setting::Explicit('\x1f'), ..auto() }),
            ("CSV_QUOTE", "'", CsvSettings { quote: Setting::Explicit(Some('\'')), ..auto() }),
            ("CSV_QUOTE", "none", CsvSettings { quote: Setting::Explicit(None), ..auto() }),
            ("CSV_ESCAPE", "\\", CsvSettings { escape: Setting::Explicit(Some('\\')), ..auto() }),
            ("CSV_COMMENT", "#", CsvSettings { comment: Setting::Explicit(Some('#')), ..auto() }),
            ("CSV_TERMINATOR", "0x1e", CsvSettings { terminator: Setting::Explicit(Some('\x1e')), ..auto() }),
            ("CSV_HEADER", "true", CsvSettings { header: Setting::Explicit(1), ..auto() }),
            ("CSV_HEADER", "false", CsvSettings { header: Setting::Explicit(0), ..auto() }),
            ("CSV_HEADER", "3", CsvSettings { header: Setting::Explicit(3), ..auto() }),
            ("CSV_FOOTER", "64", CsvSettings { footer: Setting::Explicit(64), ..auto() }),
            ("CSV_SKIP_LINES", "7", CsvSettings { skip_lines: Setting::Explicit(7), ..auto() }),
            ("CSV_DECIMAL", ",", CsvSettings { decimal: Setting::Explicit(','), ..auto() }),
        ] {
            assert_eq!(csv(name, value), expected, "{name}={value}");
        }
    }

    #[test]
    fn a_character_has_one_meaning() {
        let twice = |name: &str| matches!(name, "CSV_DELIMITER" | "CSV_COMMENT").then(|| "#".to_owned());
        let error = Settings::from_lookup(twice).unwrap_err();
        insta::assert_snapshot!(error, @"CSV_COMMENT='#' cannot be used: it must be another character than that of CSV_DELIMITER");
    }

    #[test]
    fn work_area_is_bucket_and_prefix() {
        let work = |bucket: &str| with("CHUNK_BUCKET", bucket).unwrap().work_prefix.unwrap().to_string();
        assert_eq!(work("chunks"), "s3://chunks/sluice");
        assert_eq!(work("/no-such/dir"), "/no-such/dir/sluice");
    }

    #[test]
    fn limits_of_bad_records() {
        let limit = |text: &str| with("MAX_BAD_RECORDS", text).unwrap().read.max_bad_records.unwrap();
        for (text, bad, all, exceeded) in
            [("0", 0, 9, false), ("0", 1, 9, true), ("1%", 1, 100, false), ("1%", 2, 100, true), ("0.5%", 1, 100, true)]
        {
            assert_eq!(limit(text).is_exceeded(bad, all), exceeded, "{text} {bad}/{all}");
            assert_eq!(limit(text).to_string(), text);
        }
        for (text, bad, all, hopeless) in [
            ("2", 2, 9, false),
            ("2", 3, 9, true),
            ("1%", 999, 999, false),
            ("1%", 11, 1000, true),
            ("1%", 10, 1000, false),
        ] {
            assert_eq!(limit(text).is_hopeless(bad, all), hopeless, "{text} {bad}/{all}");
        }
    }
}

//! `sluice.toml`: values of settings, by their names, for what neither an option nor the environment gives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use shared::{Settings, SettingsError, VARIABLES};
use toml::{Spanned, Value};

/// The file that is looked for in the working folder.
const NAME: &str = "sluice.toml";

/// The variable that names another one.
const VARIABLE: &str = "SLUICE_CONFIG";

/// Parts of names that secrets have.
const SECRETS: [&str; 5] = ["SECRET", "TOKEN", "PASSWORD", "ACCESS_KEY", "CREDENTIAL"];

/// What this process was configured with. Set once, before anything asks for a setting.
static CONFIG: OnceLock<Config> = OnceLock::new();

/// Values from a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// The file, as it was named.
    pub(crate) at: PathBuf,
    values: BTreeMap<&'static str, String>,
}

/// Why a file gives no settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the settings in {at}")]
    Unreadable {
        at: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{at}, line {line}: {reason}")]
    NotToml { at: String, line: usize, reason: String },
    #[error("{at}, line {line}: there is no setting {name}")]
    Unknown { at: String, line: usize, name: String, nearest: Option<&'static str> },
    #[error("{at}, line {line}: {name} looks like a secret, which settings never are")]
    Secret { at: String, line: usize, name: String },
    #[error("{at}, line {line}: the value of {name} must be a text, a whole number, true or false")]
    Value { at: String, line: usize, name: String },
}

impl ConfigError {
    /// What may help.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Unreadable { .. } => "--config FILE and SLUICE_CONFIG name a file of settings".to_owned(),
            Self::NotToml { .. } => "a line is NAME = \"value\"; docs/settings.md has the names".to_owned(),
            Self::Unknown { nearest: Some(nearest), .. } => format!("is {nearest} meant?"),
            Self::Unknown { nearest: None, .. } => "`sluice settings` lists the names".to_owned(),
            Self::Secret { .. } => {
                "credentials come from the environment, a profile or a role; remove the line, and replace the secret if others could read the file"
                    .to_owned()
            }
            Self::Value { .. } => "write a list as a text: \"a,b\"".to_owned(),
        }
    }
}

impl Config {
    /// Reads a file's text.
    fn parse(at: &Path, text: &str) -> Result<Self, ConfigError> {
        let named = || at.display().to_string();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let line = |byte: usize| text.get(..byte).unwrap_or(text).matches('\n').count() + 1;
        let lines: BTreeMap<Spanned<String>, Spanned<Value>> = toml::from_str(text).map_err(|error| {
            let line = line(error.span().map_or(0, |span| span.start));
            ConfigError::NotToml { at: named(), line, reason: error.message().replace('\n', "; ") }
        })?;
        let mut values = BTreeMap::new();
        for (key, value) in lines {
            let (line, name) = (line(key.span().start), key.into_inner());
            let upper = name.to_uppercase();
            let Some(variable) = VARIABLES.iter().find(|variable| variable.name == upper) else {
                return Err(if SECRETS.iter().any(|part| upper.contains(part)) {
                    ConfigError::Secret { at: named(), line, name }
                } else {
                    ConfigError::Unknown { at: named(), line, nearest: nearest(&upper), name }
                });
            };
            let value = match value.into_inner() {
                Value::String(text) => text,
                Value::Integer(number) => number.to_string(),
                Value::Boolean(is_so) => is_so.to_string(),
                Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
                    return Err(ConfigError::Value { at: named(), line, name });
                }
            };
            values.insert(variable.name, value);
        }
        Ok(Self { at: at.to_owned(), values })
    }

    /// The settings that it gives, and that the environment does not.
    pub(crate) fn in_use(&self) -> Vec<&'static str> {
        self.values.keys().copied().filter(|name| of_environment(name).is_none()).collect()
    }
}

/// The name of a setting that is like this one.
fn nearest(name: &str) -> Option<&'static str> {
    let distance = |known: &'static str| (strsim::damerau_levenshtein(name, known), known);
    let (distance, known) = VARIABLES.iter().map(|variable| distance(variable.name)).min()?;
    (distance <= name.len().div_ceil(3)).then_some(known)
}

/// Reads the file that is asked for, or the one in the working folder, if there is one. To be called once.
pub(crate) fn load(asked: Option<&Path>) -> Result<(), ConfigError> {
    let named = asked.map(Path::to_owned).or_else(|| of_environment(VARIABLE).map(PathBuf::from));
    let at = match named {
        Some(at) => at,
        None if Path::new(NAME).is_file() => PathBuf::from(NAME),
        None => return Ok(()),
    };
    let text = std::fs::read_to_string(&at)
        .map_err(|source| ConfigError::Unreadable { at: at.display().to_string(), source })?;
    let config = Config::parse(&at, &text)?;
    tracing::info!(file = %at.display(), settings = config.in_use().join(" "), "settings");
    // A second call would be a mistake of the program's, and changes nothing.
    drop(CONFIG.set(config));
    Ok(())
}

/// The file that was read; none where there is none.
pub(crate) fn config() -> Option<&'static Config> {
    CONFIG.get()
}

/// The value of a setting: the environment's, or else the file's.
pub(crate) fn value(name: &str) -> Option<String> {
    of_environment(name).or_else(|| CONFIG.get()?.values.get(name).cloned())
}

/// An empty variable is one that is not set.
fn of_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Settings from the environment, or else from the file.
pub(crate) fn settings() -> Result<Settings, SettingsError> {
    Settings::from_lookup(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::error_chain;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("sluice.toml"), text)
            .map_err(|error| format!("{}; {}", error_chain(&error), error.hint()))
    }

    #[test]
    fn settings_by_their_names() {
        let config =
            parse("# the lake\nTABLE_URI = \"s3://lake/orders\"\nchunk_size_mb = 64\nCSV_HEADER = true\n").unwrap();
        let values: Vec<(&str, &str)> = config.values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(values, [("CHUNK_SIZE_MB", "64"), ("CSV_HEADER", "true"), ("TABLE_URI", "s3://lake/orders")]);
        assert!(parse("").unwrap().values.is_empty());
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        for (text, expected) in [
            ("\nCHUNK_SIZ_MB = 64", "sluice.toml, line 2: there is no setting CHUNK_SIZ_MB; is CHUNK_SIZE_MB meant?"),
            ("colour = 'red'", "sluice.toml, line 1: there is no setting colour; `sluice settings` lists the names"),
            (
                "AWS_SECRET_ACCESS_KEY = 'x'",
                "sluice.toml, line 1: AWS_SECRET_ACCESS_KEY looks like a secret, which settings never are; credentials",
            ),
            ("db_password = 'x'", "sluice.toml, line 1: db_password looks like a secret"),
            (
                "PARTITION_BY = ['a', 'b']",
                "sluice.toml, line 1: the value of PARTITION_BY must be a text, a whole number",
            ),
            ("[ingest]\nFORMAT = 'csv'", "sluice.toml, line 1: there is no setting ingest"),
            ("FORMAT = csv", "sluice.toml, line 1: "),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}

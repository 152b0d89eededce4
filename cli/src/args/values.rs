//! Values of options.

use std::path::PathBuf;
use std::time::Duration;

use shared::{Location, RoutesAt, Settings, SettingsError};

use crate::error::CliError;

/// Loads that run at once when nobody says how many.
pub(super) fn default_workers() -> usize {
    const MOST: usize = 4;
    cores().min(MOST)
}

/// The URL of a queue, as far as that can be told from its looks.
pub(super) fn queue_url(text: &str) -> Result<String, String> {
    if text.starts_with("https://") || text.starts_with("http://") {
        Ok(text.to_owned())
    } else {
        Err("a queue is named by its URL, as https://sqs.eu-central-1.amazonaws.com/123456789012/name".to_owned())
    }
}

/// A bucket, with or without a prefix.
pub(super) fn s3_uri(text: &str) -> Result<Location, String> {
    match text.parse() {
        // A folder stays one: "in/" is not where "input.csv" is dropped.
        Ok(Location::S3 { bucket, key }) if text.ends_with('/') && !key.is_empty() => {
            Ok(Location::S3 { bucket, key: format!("{key}/") })
        }
        Ok(location @ Location::S3 { .. }) => Ok(location),
        Ok(Location::Local { .. }) => {
            Err("files are dropped in a bucket, as s3://bucket or s3://bucket/prefix".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// A time as `90s`, `15m`, `1h` or `2d`.
pub(super) fn time_span(text: &str) -> Result<Duration, String> {
    let known = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let span = known.into_iter().find_map(|(unit, seconds)| {
        let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(Duration::from_secs(count.checked_mul(seconds)?))
    });
    span.ok_or_else(|| "a time is a whole number and s, m, h or d, as 90s or 2d".to_owned())
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// SQL as it was given, or as its file has it.
pub(super) fn sql(text: Option<&str>, file: Option<&PathBuf>) -> Result<Option<String>, CliError> {
    let read = |file: &PathBuf| {
        let sql = std::fs::read_to_string(file).map_err(|source| CliError::SqlFile { file: file.clone(), source })?;
        match sql.strip_prefix('\u{feff}').unwrap_or(&sql) {
            // It would load all, which nobody can mean who names a file.
            "" => Err(CliError::Sql(format!("there is none in {}", file.display()))),
            sql => Ok(sql.to_owned()),
        }
    };
    file.map(read).transpose().map(|sql| sql.or_else(|| text.map(str::to_owned)))
}

/// Where work areas are: as the option says, or `CHUNK_BUCKET`, or below the table, so that what was loaded in which way
/// stays with the table that it was loaded into.
pub(crate) fn work_prefix(option: Option<&str>, settings: &Settings) -> Result<Location, CliError> {
    match (option, &settings.work_prefix, &settings.table) {
        (Some(text), ..) => location(text),
        (None, Some(prefix), _) => Ok(prefix.clone()),
        (None, None, Some(table)) => Ok(table.join("_sluice")),
        (None, None, None) => Err(CliError::NoTableOrArea),
    }
}

/// A path or URI as the user wrote it.
pub(crate) fn location(text: &str) -> Result<Location, CliError> {
    // Standard input is taken if a file was redirected to it.
    let text = if text == "-" { "/dev/stdin" } else { text };
    text.parse().map_err(CliError::Location)
}

/// Where routes are kept, as the user wrote it.
pub(crate) fn routes_at(text: &str) -> Result<RoutesAt, CliError> {
    text.parse().map_err(|expected| {
        CliError::Settings(SettingsError {
            name: "ROUTES_URI",
            value: text.to_owned(),
            expected: format!("a place of routes: {expected}"),
        })
    })
}

/// The absolute path of a link, if that is what the user named.
pub(crate) fn link(text: &str) -> Option<Location> {
    let path = std::path::Path::new(text.strip_prefix("file://").unwrap_or(text));
    // Links to what a process has open, as `/dev/stdin`, are another file each time.
    let is_of_process = ["/dev", "/proc"].iter().any(|root| path.starts_with(root));
    if text.starts_with("s3") && text.contains("://") || is_of_process || !path.is_symlink() {
        return None;
    }
    let absolute = std::path::absolute(path).ok()?;
    let folder = absolute.parent()?.canonicalize().ok()?;
    Some(Location::Local { path: folder.join(absolute.file_name()?).into_os_string().into_string().ok()? })
}

/// Settings of a command that does not read by routes: with some, it would read in another way than they say.
pub(super) fn without_routes(settings: Settings, command: &str) -> Result<Settings, CliError> {
    let Some(routes) = &settings.routes else { return Ok(settings) };
    let (value, expected) = (routes.to_string(), format!("unset: `sluice {command}` does not read by routes"));
    Err(CliError::Settings(SettingsError { name: "ROUTES_URI", value, expected }))
}

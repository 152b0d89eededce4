//! Sources that are read by a contract: nothing is detected, and what deviates is refused before anything is pinned.

use std::pin::pin;
use std::sync::Arc;

use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE};
use futures::TryStreamExt;
use shared::{
    BadRecords, Compression, Contract, CsvPolicy, CsvSettings, Encoding, FormatChoice, Location, Match, NdjsonPolicy,
    Policy, Setting, Settings, SourceObject,
};

use crate::blocks::blocks;
use crate::context::SplitContext;
use crate::contract::difference::{Deviation, Difference, DifferenceKind, DifferenceOutcome};
use crate::contract::matching::{CsvColumns, Naming, of_csv, of_ndjson, of_parquet};
use crate::csv::dialect::ends_with_returns;
use crate::csv::header::{self, Header};
use crate::csv::known_names::KnownNames;
use crate::decode::decode;
use crate::error::{BadInput, SplitError};
use crate::examine::encoding::{Detected, Guess, detect};
use crate::json::keys::Keys;
use crate::parquet_source::footer;
use crate::records::format::format;
use crate::text::Start;
use crate::text::decompress;
use crate::value;

/// A source and the contract that it is read by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held<'a> {
    at: &'a Location,
    contract: &'a Contract,
    settings: &'a Settings,
}

impl<'a> Held<'a> {
    /// A source under its contract, if there is one.
    pub(super) fn new(at: &'a Location, settings: &'a Settings) -> Option<Self> {
        Some(Self { at, contract: settings.read.contract.as_deref()?, settings })
    }

    /// Refuses a source that is stored in another way than the contract says, as far as its first bytes and samples of others tell for
    /// sure.
    pub(super) fn check_stored(&self, head: &[u8]) -> Result<(), SplitError> {
        if self.settings.read.format != FormatChoice::Parquet && footer::is_parquet(head) {
            return Err(self.other_reading("format", "text", "parquet"));
        }
        let (found, expected) = (decompress::recognise(head), self.settings.read.compression);
        match expected {
            Some(expected) if found != expected && !head.is_empty() => {
                Err(self.other_reading("compression", &word(expected), &word(found)))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a text whose encoding is another for sure: one of the two is UTF-8 or UTF-16.
    pub(super) fn check_encoding(&self, head: &[u8], spread: &[&[u8]], expected: &Encoding) -> Result<(), SplitError> {
        let decoder = expected.decoder();
        let is_ascii = head.is_ascii() && spread.iter().all(|piece| piece.is_ascii());
        if is_ascii && decoder.is_ascii_compatible() {
            return Ok(());
        }
        let Detected { encoding: found, guess } = detect(head, spread);
        let is_sure = [found, decoder].iter().any(|one| [UTF_8, UTF_16LE, UTF_16BE].contains(one));
        if found == decoder || guess == Some(Guess::FewLetters) || !is_sure {
            return Ok(());
        }
        Err(self.other_reading("encoding", expected.name(), found.name()))
    }

    /// The columns of a CSV source whose header was read from `head`.
    pub(super) fn csv(
        &self,
        header: &Header,
        (head, is_whole): (&[u8], bool),
        table: &[String],
    ) -> Result<(CsvPolicy, Vec<Difference>), SplitError> {
        if header.dialect.terminator.is_none() && ends_with_returns(head) {
            // Else all of the file would be its header.
            return Err(self.other_reading("csv_terminator", "line ends", "0x0d"));
        }
        let found = of_csv(self.contract, &header.names, self.naming(table));
        let CsvColumns { columns, fields, matched, differences } = found;
        if header.names.is_empty() && !head.trim_ascii().is_empty() {
            // Else a file without the lines that are skipped would be one without records.
            return Err(self.other_reading("csv_skip_lines", "lines before the header", "no line after them"));
        }
        let is_one_field = header.names.len() == 1 && self.contract.columns.len() > 1;
        if !header.names.is_empty()
            && (matched == 0 || (is_one_field && self.contract.policies.match_by == Match::Position))
        {
            return Err(self.deviates(self.another_table(header, head, is_whole, differences)));
        }
        self.judge(&differences)?;
        let default_words = || value::NULL_WORDS.iter().map(|word| (*word).to_owned()).collect();
        let null_words = self.settings.read.null_words.clone().unwrap_or_else(default_words);
        let (dialect, data_start) = (header.dialect.clone(), header.data_start);
        Ok((CsvPolicy { dialect, data_start, columns, null_words, fields, footer_start: None }, differences))
    }

    /// The columns of an NDJSON source by the keys of its sample.
    pub(super) fn ndjson(
        &self,
        json: NdjsonPolicy,
        keys: &Keys,
        is_empty: bool,
        table: &[String],
    ) -> Result<(NdjsonPolicy, Vec<Difference>), SplitError> {
        if keys.records() == 0 && !is_empty {
            return Err(self.other_reading("format", "ndjson", "text without an object in its first lines"));
        }
        let (columns, other_keys, differences) =
            of_ndjson(self.contract, keys.names(), keys.records() > 0, self.naming(table));
        self.judge(&differences)?;
        Ok((NdjsonPolicy { columns, other_keys, ..json }, differences))
    }

    /// The names of the columns of a Parquet source, given by name and type.
    pub(super) fn parquet(
        &self,
        columns: &[(String, String)],
        table: &[String],
    ) -> Result<(Vec<String>, Vec<Difference>), SplitError> {
        let (names, differences) = of_parquet(self.contract, columns, self.naming(table));
        self.judge(&differences)?;
        Ok((names, differences))
    }

    fn naming<'t>(&self, table: &'t [String]) -> Naming<'t> {
        let read = &self.settings.read;
        Naming { style: read.column_names, table, null_words_set: read.null_words.is_some() }
    }

    /// Refuses what the policies refuse, and tells of columns that come or go.
    fn judge(&self, differences: &[Difference]) -> Result<(), SplitError> {
        if differences.iter().any(|difference| difference.outcome == DifferenceOutcome::Refused) {
            return Err(self.deviates(differences.to_vec()));
        }
        for difference in differences {
            let (source, contract) = (self.at, &self.contract.at);
            match &difference.outcome {
                DifferenceOutcome::Added => tracing::warn!(
                    %source,
                    %contract,
                    "{difference}, and is added to the table as text; to say so for good, write the contract again: \
                     sluice plan {source} --contract {contract} --save {contract} --force"
                ),
                DifferenceOutcome::Null => tracing::warn!(%source, %contract, "{difference}, and is null"),
                _ => tracing::info!(%source, %contract, "{difference}"),
            }
        }
        Ok(())
    }

    /// What to tell of a header that has nothing of the contract: the delimiter, if that is another, or else the names.
    fn another_table(
        &self,
        header: &Header,
        head: &[u8],
        is_whole: bool,
        differences: Vec<Difference>,
    ) -> Vec<Difference> {
        const SHOWN: usize = 5;
        let any = CsvSettings { delimiter: Setting::Auto, ..self.settings.read.csv.clone() };
        let known = KnownNames::of(&[], self.settings.read.column_names);
        let other = header::read(self.at, head, is_whole, &any, &known).ok().filter(|other| {
            other.dialect.delimiter != header.dialect.delimiter && other.names.len() > header.names.len()
        });
        if let Some(other) = other {
            let shown = |character: char| format!("{character:?}");
            let (expected, found) = (shown(header.dialect.delimiter), shown(other.dialect.delimiter));
            return vec![reading("csv_delimiter", &expected, &found)];
        }
        let names = |names: Vec<&str>| names.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ");
        let expected = names(self.contract.columns.iter().map(|column| column.source.as_str()).collect());
        let found = names(header.names.iter().map(String::as_str).collect());
        let mut all = vec![reading("the header", &format!("'{expected}'"), &format!("'{found}'"))];
        all.extend(differences);
        all
    }

    pub(super) fn other_reading(&self, key: &str, expected: &str, found: &str) -> SplitError {
        self.deviates(vec![reading(key, expected, found)])
    }

    fn deviates(&self, differences: Vec<Difference>) -> SplitError {
        let (at, contract) = (self.at.clone(), self.contract.at.clone());
        Deviation { at, contract, differences }.into()
    }
}

fn reading(key: &str, expected: &str, found: &str) -> Difference {
    Difference {
        kind: DifferenceKind::Reading,
        name: key.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
        outcome: DifferenceOutcome::Refused,
    }
}

fn word(compression: Compression) -> String {
    format!("{compression:?}").to_lowercase()
}

/// Refuses a source, where the contract says that bad records are not to be kept aside, if there is one in its first block.
pub(super) async fn check_values(
    context: &SplitContext,
    source: &SourceObject,
    policy: &Policy,
) -> Result<(), SplitError> {
    let is_asked = context.settings.read.contract.is_some() && policy.bad_records == BadRecords::Fail;
    let Some(format) = format(policy).filter(|_| is_asked) else { return Ok(()) };
    let start = Start { from: format.data_start(), resume_point: None };
    let mut blocks = pin!(blocks(context, source, policy, &format, start, &Arc::default()));
    let Some((block, _)) = blocks.try_next().await? else { return Ok(()) };
    let (bad_records, most) = (policy.bad_records, policy.max_record_bytes);
    let decoded = tokio::task::spawn_blocking(move || decode(&block, &format, bad_records, most)).await;
    let decoded = decoded.map_err(|error| SplitError::internal(&source.uri, error))?;
    let decoded = decoded.map_err(|error| SplitError::internal(&source.uri, error))?;
    let Some(first) = decoded.rejects.iter().next() else { return Ok(()) };
    let hint = "the contract says type_changes = \"fail\"; with \"quarantine\" such records are kept aside and the others loaded";
    let (byte, record) = (Some(first.byte_offset), Some(first.record));
    Err(BadInput {
        byte,
        record,
        column: first.column.map(str::to_owned),
        ..BadInput::whole(&source.uri, first.reason, hint)
    }
    .into())
}

//! What goes to stdout and stderr.

use std::borrow::Cow;
use std::io::{self, ErrorKind, IsTerminal, Write};

use serde::Serialize;
use shared::error_chain;

use crate::error::CliError;
use crate::hints::hint;

/// How results are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// As JSON, rather than for people.
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct ErrorDocument<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    exit_status: u8,
}

impl Output {
    /// Prints a result: the document, or its text.
    pub(crate) fn result(self, document: &impl Serialize, text: &str) -> Result<(), CliError> {
        if self.json { Self::json_line(document) } else { print(&printable(text)) }
    }

    /// Prints a result in place of the one before, on a terminal; after it elsewhere.
    pub(crate) fn again(self, document: &impl Serialize, text: &str) -> Result<(), CliError> {
        const CLEARED: &str = "\u{1b}[2J\u{1b}[H";
        if self.json {
            return Self::json_line(document);
        }
        let cleared = if io::stdout().is_terminal() { CLEARED } else { "" };
        print(&format!("{cleared}{}", printable(text)))
    }

    /// Prints a document of another program's, as it is.
    pub(crate) fn bytes(document: &[u8]) -> Result<(), CliError> {
        written(|stdout| stdout.write_all(document))
    }

    /// Prints one line of JSON.
    pub(crate) fn json_line(document: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string(document).map_err(|source| CliError::Output { source: source.into() })?;
        print(&text)
    }

    /// Prints an error with its hint; as JSON on stdout too, when JSON is wanted and no result was printed before it.
    pub(crate) fn error(self, error: &CliError) {
        let chain = error_chain(error);
        let hint = hint(error);
        let mut lines = lines(&chain, hint.as_deref());
        if self.json && !error.has_result() {
            let document = ErrorDocument { error: &chain, hint: hint.as_deref(), exit_status: error.exit_code() };
            if let Err(error) = Self::json_line(&document) {
                lines.push_str("\nerror: ");
                lines.push_str(&one_line(&error_chain(&error)));
            }
        }
        // Nobody is left to tell when stderr is gone, too; the exit status says that it failed.
        drop(writeln!(io::stderr(), "{lines}"));
    }

    /// Prints as JSON what is wrong with the command line, which its text says on stderr.
    pub(crate) fn usage(text: &str) {
        let (error, hint) = usage(text);
        let document = ErrorDocument { error: &error, hint: hint.as_deref(), exit_status: 2 };
        // The text says it, too.
        drop(Self::json_line(&document));
    }

    /// Prints the error of one of many sources with its hint.
    pub(crate) fn failure(source: &str, error: &CliError) {
        let chain = error_chain(error);
        let chain = if chain.contains(source) { chain } else { format!("{source}: {chain}") };
        drop(writeln!(io::stderr(), "{}", lines(&chain, hint(error).as_deref())));
    }
}

/// The error and the hint in what the parser of the command line prints.
fn usage(text: &str) -> (String, Option<String>) {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = text.lines().map(line).filter(|line| !line.is_empty()).collect();
    let is_end =
        |line: &&String| line.starts_with("Usage:") || line.starts_with("For more") || line.starts_with("tip:");
    let error: Vec<&str> = lines.iter().take_while(|line| !is_end(line)).map(String::as_str).collect();
    let error = match error.join(" ").strip_prefix("error: ") {
        Some(error) => error.to_owned(),
        // Without a command it prints its help.
        None => "no command is given".to_owned(),
    };
    let hint = lines.iter().find_map(|line| line.strip_prefix("tip: ").or_else(|| line.strip_prefix("Usage: ")));
    (error, hint.map(str::to_owned))
}

fn lines(chain: &str, hint: Option<&str>) -> String {
    let hint = hint.map_or_else(String::new, |hint| format!("\nhint: {}", one_line(hint)));
    format!("error: {}{hint}", one_line(chain))
}

/// Prints a line on stdout. A reader that has enough and leaves, as `head` does, is not a failure.
fn print(text: &str) -> Result<(), CliError> {
    written(|stdout| writeln!(stdout, "{text}"))
}

fn written(write: impl FnOnce(&mut io::StdoutLock<'static>) -> io::Result<()>) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|source| CliError::Output { source }),
    }
}

/// Text as a terminal may have it: control characters, which names and values of a source can hold, are escaped. So are
/// those that turn the direction of text around, with which a name can look like another one.
fn printable(text: &str) -> Cow<'_, str> {
    let is_unsafe =
        |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| if is_unsafe(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// A message of which no line but the first begins at the margin, so that a name in it cannot look like another message.
fn one_line(text: &str) -> String {
    printable(text).replace('\n', "\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_usage_in_one_line() {
        let said = "error: the following required arguments were not provided:\n  --table <TABLE_URI>\n  <SOURCE>\n\n\
                    Usage: sluice ingest <SOURCE>...\n\nFor more information, try '--help'.\n";
        let error = "the following required arguments were not provided: --table <TABLE_URI> <SOURCE>";
        assert_eq!(usage(said), (error.to_owned(), Some("sluice ingest <SOURCE>...".to_owned())));
        let said =
            "error: unexpected argument '--tabel' found\n\n  tip: a similar argument exists: '--table'\n\nUsage: x\n";
        let hint = "a similar argument exists: '--table'";
        assert_eq!(usage(said), ("unexpected argument '--tabel' found".to_owned(), Some(hint.to_owned())));
        assert_eq!(usage("Takes files.\n\nUsage: sluice <COMMAND>\n").0, "no command is given");
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        for (text, expected) in [
            ("plain, \u{e9} and \u{65e5}\nnext line", "plain, \u{e9} and \u{65e5}\nnext line"),
            ("red \u{1b}[31mname\u{7}", "red \\u{1b}[31mname\\u{7}"),
            ("over\rwritten", "over\\rwritten"),
            ("c1 \u{9b}2J", "c1 \\u{9b}2J"),
            ("turned \u{202e}txt.exe", "turned \\u{202e}txt.exe"),
        ] {
            assert_eq!(printable(text), expected);
        }
        assert_eq!(one_line("no table 'a\nerror: b'"), "no table 'a\n  error: b'");
    }
}

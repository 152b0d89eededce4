//! Sources that a list names.

use std::io::{self, Read};

use super::error::SourcesError;

/// The sources that a file lists, or standard input for `-`: one a line, or, where there is a NUL byte, one before each NUL byte, as
/// `find -print0` writes them. Empty ones are passed over.
pub(crate) fn listed(at: &str) -> Result<Vec<String>, SourcesError> {
    let failed = |source| SourcesError::List { at: at.to_owned(), source };
    let mut bytes = Vec::new();
    if at == "-" {
        io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?;
    } else {
        bytes = std::fs::read(at).map_err(failed)?;
    }
    let text = String::from_utf8(bytes).map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    let sources = of_text(&text);
    if sources.is_empty() { Err(SourcesError::EmptyList { at: at.to_owned() }) } else { Ok(sources) }
}

fn of_text(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let all: Vec<&str> = if text.contains('\0') { text.split('\0').collect() } else { text.lines().collect() };
    all.into_iter().filter(|source| !source.trim().is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_or_nul_bytes() {
        for (text, expected) in [
            ("a.csv\nb c.csv\n", &["a.csv", "b c.csv"][..]),
            ("\u{feff}a.csv\r\n\r\n  \r\nb.csv", &["a.csv", "b.csv"]),
            ("a.csv\0odd\nname.csv\0", &["a.csv", "odd\nname.csv"]),
            ("\n\n", &[]),
        ] {
            assert_eq!(of_text(text), expected, "{text:?}");
        }
    }
}

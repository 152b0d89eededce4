//! How the text of a source is stored: what it has to be taken out of before records can be looked for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::words::words;

/// Compression and encoding of a source of text; those of Parquet are its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextPolicy {
    /// What the file as a whole is compressed with.
    pub compression: Compression,
    /// What the text is written in.
    pub encoding: Encoding,
}

impl Default for TextPolicy {
    /// UTF-8 as it is, which is all that jobs before this policy had.
    fn default() -> Self {
        Self { compression: Compression::None, encoding: Encoding::utf_8() }
    }
}

/// What a file is compressed with: `COMPRESSION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Nothing.
    None,
    /// gzip, of one member or many.
    Gzip,
    /// Zstandard, of one frame or many.
    Zstd,
    /// bzip2, of one stream or many.
    Bzip2,
    /// xz, of one stream or many.
    Xz,
    /// LZ4 frames.
    Lz4,
    /// Snappy in its framing format.
    Snappy,
    /// A zip archive with one file in it.
    Zip,
}

words!(Compression: "none" => None, "gzip" => Gzip, "zstd" => Zstd, "bzip2" => Bzip2, "xz" => Xz, "lz4" => Lz4,
    "snappy" => Snappy, "zip" => Zip);

/// A character encoding, by the name that the WHATWG gave it: `ENCODING`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Encoding(String);

impl Encoding {
    /// The encoding of a label, in any case: `latin1`, `windows-1252`, `UTF-16LE`, `sjis`.
    pub fn for_label(label: &str) -> Option<Self> {
        let encoding = encoding_rs::Encoding::for_label_no_replacement(label.as_bytes())?;
        Some(Self(encoding.name().to_owned()))
    }

    /// The encoding that needs no transcoding.
    pub fn utf_8() -> Self {
        Self(encoding_rs::UTF_8.name().to_owned())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// What decodes it.
    pub fn decoder(&self) -> &'static encoding_rs::Encoding {
        // A name in a document that was tampered with; what is not UTF-8 is then rejected.
        encoding_rs::Encoding::for_label(self.0.as_bytes()).unwrap_or(encoding_rs::UTF_8)
    }

    /// Whether it needs no transcoding.
    pub fn is_utf_8(&self) -> bool {
        self.0 == encoding_rs::UTF_8.name()
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for (label, name) in [
            ("utf8", Some("UTF-8")),
            ("Latin1", Some("windows-1252")),
            ("UTF-16", Some("UTF-16LE")),
            ("utf-16be", Some("UTF-16BE")),
            ("sjis", Some("Shift_JIS")),
            ("ebcdic", None),
            // Known to the WHATWG as an encoding that nobody should decode.
            ("hz-gb-2312", None),
        ] {
            assert_eq!(Encoding::for_label(label).as_ref().map(Encoding::name), name, "{label}");
        }
    }
}

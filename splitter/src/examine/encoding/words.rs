//! Words with bytes beyond ASCII, and what they say of an encoding.

use std::collections::BTreeSet;

use encoding_rs::{Encoding, ISO_8859_2, ISO_8859_4, WINDOWS_1250, WINDOWS_1254, WINDOWS_1257, WINDOWS_1258};

/// Different words that are kept.
const MOST: usize = 64;

/// Different words from which an encoding of Latin letters is known. These differ from each other in a few letters.
const LATIN_WORDS: usize = 8;

/// Different words with letters beyond ASCII in a row from which an encoding of other letters is known.
const OTHER_WORDS: usize = 3;

/// Encodings of Latin letters that differ from Windows-1252 in a few of them.
const LATIN: &[&Encoding] = &[WINDOWS_1250, ISO_8859_2, WINDOWS_1254, WINDOWS_1257, WINDOWS_1258, ISO_8859_4];

/// Different words of a text that have bytes beyond ASCII.
#[derive(Debug, Default)]
pub(super) struct Words(BTreeSet<Vec<u8>>);

impl Words {
    /// With those of one more piece of the text.
    pub(super) fn with(mut self, text: &[u8]) -> Self {
        let words = text.split(|byte| !is_part(*byte)).filter(|word| !word.is_ascii());
        for word in words {
            if self.0.len() >= MOST {
                break;
            }
            if !self.0.contains(word) {
                self.0.insert(word.to_vec());
            }
        }
        self
    }

    /// Whether they are enough to distinguish an encoding from others.
    pub(super) fn tell(&self, encoding: &'static Encoding) -> bool {
        if LATIN.contains(&encoding) {
            return self.0.len() >= LATIN_WORDS;
        }
        let has_run = |word: &&Vec<u8>| {
            word.windows(2).any(|pair| !matches!(pair, [one, next] if one.is_ascii() || next.is_ascii()))
        };
        self.0.iter().filter(has_run).count() >= OTHER_WORDS
    }

    /// Whether all of them could be words of Windows-1252.
    pub(super) fn can_be_windows_1252(&self) -> bool {
        self.0.iter().all(|word| is_usual(word))
    }
}

/// Whether a byte may be part of a word: letters, and in Windows-1252 symbols, but no quotation marks and dashes.
fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || (byte >= 0x80 && !matches!(byte, 0x85 | 0x91..=0x97 | 0xa0 | 0xab | 0xad | 0xbb))
}

/// What a byte is in Windows-1252.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Small,
    Capital,
    Symbol,
}

fn kind(byte: u8) -> Kind {
    match byte {
        b'a'..=b'z' | 0x83 | 0x9a | 0x9c | 0x9e | 0xaa | 0xb5 | 0xba | 0xdf..=0xf6 | 0xf8..=0xff => Kind::Small,
        b'A'..=b'Z' | 0x8a | 0x8c | 0x8e | 0x9f | 0xc0..=0xd6 | 0xd8..=0xde => Kind::Capital,
        _ => Kind::Symbol,
    }
}

/// Whether a word is such as people write with Windows-1252: no three letters beyond ASCII in a row, no symbol beside one of
/// these or between letters, no capital beyond ASCII after a small letter.
fn is_usual(word: &[u8]) -> bool {
    let letter = |byte: u8| kind(byte) != Kind::Symbol;
    let beyond = |byte: u8| !byte.is_ascii() && letter(byte);
    let three = |three: &[u8]| match *three {
        [a, b, c] => {
            let is_run = beyond(a) && beyond(b) && beyond(c);
            let is_between = letter(a) && !letter(b) && letter(c);
            !is_run && !is_between
        }
        _ => true,
    };
    let two = |two: &[u8]| match *two {
        [a, b] => {
            let is_beside = (beyond(a) && !letter(b)) || (!letter(a) && beyond(b));
            let is_capital = kind(a) == Kind::Small && beyond(b) && kind(b) == Kind::Capital;
            !is_beside && !is_capital
        }
        _ => true,
    };
    word.windows(3).all(three) && word.windows(2).all(two)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_windows_1252() {
        for (word, expected) in [
            (&b"LOGRO\xd1O"[..], true),
            (b"M\xfcller", true),
            (b"\xb5g", true),
            (b"m\xb3", true),
            (b"\xb0C", true),
            // L with stroke, o with acute: a pound sign beside a letter.
            (b"\xa3\xf3d\x9f", false),
            (b"\xcc\xee\xf1\xea\xe2\xe0", false),
            (b"a\xb9b", false),
            (b"b\xd1", false),
        ] {
            assert_eq!(is_usual(word), expected, "{word:?}");
        }
    }
}

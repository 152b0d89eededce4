//! Values: which text is which typed value.
//!
//! Inference and decoding ask the same functions, so what one found the other can read. Where a type was given rather
//! than inferred, the functions whose names begin with `lenient` are asked: these take what is plainly meant, too.

mod double;
pub(crate) mod moment;
pub(crate) mod number;

/// Words that mean null in columns of a CSV that are not text, unless `NULL_WORDS` says otherwise.
pub(crate) const NULL_WORDS: &[&str] = &["NA", "N/A", "NULL", "null", "\\N"];

/// Those of them that may be values as well, as of a country or a region: a column of nothing else is text.
pub(crate) const AMBIGUOUS_WORDS: &[&str] = &["NA", "N/A"];

/// Why a value is rejected that is not text.
pub(crate) const UNDECODABLE: &str = "the text is not valid UTF-8, or not valid in the file's encoding";

/// `true` and `false`, in small letters, capitals, or with a capital at the start.
pub(crate) fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"true" | b"True" | b"TRUE" => Some(true),
        b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

/// A text without the blanks around it, which are not part of a number, a boolean or a date: exports pad these to a width.
pub(crate) fn unpadded(text: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// `true`, `t`, `yes`, `y`, `1`, and their opposites, in letters of either case.
pub(crate) fn lenient_boolean(text: &[u8]) -> Option<bool> {
    let is_one_of = |words: [&[u8]; 5]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of([b"true", b"t", b"yes", b"y", b"1"]) {
        return Some(true);
    }
    is_one_of([b"false", b"f", b"no", b"n", b"0"]).then_some(false)
}

/// The start of a text, as a message shows it; none when it is not UTF-8.
pub(crate) fn shown(text: &[u8]) -> Option<String> {
    const CHARACTERS: usize = 60;
    let text = std::str::from_utf8(text).ok()?;
    let mut shown: String = text.chars().take(CHARACTERS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans() {
        for (text, strictly, told) in [
            ("true", Some(true), Some(true)),
            ("FALSE", Some(false), Some(false)),
            ("tRUE", None, Some(true)),
            ("Y", None, Some(true)),
            ("no", None, Some(false)),
            ("0", None, Some(false)),
            ("ja", None, None),
            ("", None, None),
        ] {
            assert_eq!((boolean(text.as_bytes()), lenient_boolean(text.as_bytes())), (strictly, told), "{text}");
        }
    }
}

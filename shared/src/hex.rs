//! Digests as text.

use std::fmt;

/// The first bytes of a digest, in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8], length: usize) -> String {
    use fmt::Write;

    bytes.iter().take(length).fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _: fmt::Result = write!(text, "{byte:02x}");
        text
    })
}

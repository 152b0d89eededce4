//! Text in any encoding becomes UTF-8, piece by piece.

use encoding_rs::{DecoderResult, Encoding, ISO_2022_JP, UTF_16BE, UTF_16LE};

/// Transcodes one text.
///
/// A byte that cannot be decoded never becomes a replacement character: it is marked by two bytes that are not valid UTF-8,
/// so that the record which holds it is rejected like any other that is not valid UTF-8, and no other record is.
pub(crate) struct Transcoder {
    encoding: &'static Encoding,
    decoder: encoding_rs::Decoder,
    /// The last bytes that were decoded, since those that turn out to be undecodable may be of an earlier piece.
    recent: Vec<u8>,
}

/// Most bytes between the first byte of an undecodable sequence and where the decoder stands when it says so.
const RECENT_BYTES: usize = 8;

impl Transcoder {
    /// Transcodes from the start of a text, or from a place where a character begins.
    pub(crate) fn new(encoding: &'static Encoding) -> Self {
        Self { encoding, decoder: encoding.new_decoder_without_bom_handling(), recent: Vec::new() }
    }

    /// Appends the next bytes, as UTF-8, to `text`; `is_last` when no more will come.
    pub(crate) fn transcode(&mut self, mut bytes: &[u8], is_last: bool, text: &mut Vec<u8>) {
        loop {
            let start = text.len();
            // More than this only where a number overflows.
            let room = self.decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(bytes.len());
            text.resize(start + room, 0);
            let out = text.get_mut(start..).unwrap_or_default();
            let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(bytes, out, is_last);
            text.truncate(start + written);
            let (done, rest) = bytes.split_at_checked(read).unwrap_or((bytes, &[]));
            self.remember(done);
            bytes = rest;
            match result {
                DecoderResult::InputEmpty => return,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(length, behind) => {
                    let end = self.recent.len().saturating_sub(usize::from(behind));
                    let start = end.saturating_sub(usize::from(length));
                    self.recent.get(start..end).unwrap_or_default().iter().for_each(|byte| mark(*byte, text));
                }
            }
        }
    }

    fn remember(&mut self, bytes: &[u8]) {
        self.recent.extend_from_slice(bytes.get(bytes.len().saturating_sub(RECENT_BYTES)..).unwrap_or_default());
        self.recent.drain(..self.recent.len().saturating_sub(RECENT_BYTES));
    }

    /// How many of these bytes, which stand at `offset`, come before the first place at which another transcoder could
    /// begin: after a line end, which is never part of a character and leaves nothing to remember.
    pub(crate) fn fresh_start(&self, bytes: &[u8], offset: u64) -> Option<usize> {
        let odd = usize::from(offset % 2 == 1);
        let unit = |line_end: [u8; 2]| {
            let units = bytes.get(odd..)?.chunks_exact(2);
            Some(odd + 2 * (units.into_iter().position(|unit| unit == line_end)? + 1))
        };
        match self.encoding {
            encoding if encoding == UTF_16LE => unit(*b"\n\0"),
            encoding if encoding == UTF_16BE => unit(*b"\0\n"),
            // What a byte means depends on shifts that may stand anywhere before it.
            encoding if encoding == ISO_2022_JP => None,
            _ => Some(memchr::memchr(b'\n', bytes)? + 1),
        }
    }
}

fn mark(byte: u8, text: &mut Vec<u8>) {
    text.extend([0xf8 | byte >> 6, 0x80 | byte & 0x3f]);
}

/// Transcoded text with the bytes that could not be decoded as they were.
pub(crate) fn unmarked(text: &[u8]) -> Vec<u8> {
    let mut unmarked = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let second = bytes.next_if(|second| matches!(byte, 0xf8..=0xfb) && second & 0xc0 == 0x80);
        unmarked.push(second.map_or(byte, |second| byte << 6 | second & 0x3f));
    }
    unmarked
}

#[cfg(test)]
mod tests {
    use encoding_rs::{BIG5, EUC_JP, EUC_KR, GB18030, GBK, SHIFT_JIS, UTF_8, WINDOWS_1251, WINDOWS_1252};
    use proptest::prelude::*;

    use super::*;

    fn transcode(encoding: &'static Encoding, pieces: &[&[u8]]) -> Vec<u8> {
        let (mut transcoder, mut text) = (Transcoder::new(encoding), Vec::new());
        for piece in pieces {
            transcoder.transcode(piece, false, &mut text);
        }
        transcoder.transcode(&[], true, &mut text);
        text
    }

    #[test]
    fn text_and_what_is_none() {
        for (encoding, bytes, expected) in [
            (UTF_16LE, &b"a\0\xe9\0\x3d\xd8\x00\xde"[..], "aé😀".as_bytes()),
            (UTF_16BE, b"\0a\0\xe9", "aé".as_bytes()),
            (WINDOWS_1252, b"\x80\xe9\x81", "€é\u{81}".as_bytes()),
            (WINDOWS_1251, b"\xd0\xee\xf1", "Рос".as_bytes()),
            (SHIFT_JIS, b"\x93\xfa\x96\x7b,\xb1", "日本,ｱ".as_bytes()),
            (GBK, b"\xd6\xd0\xb9\xfa", "中国".as_bytes()),
            (EUC_KR, b"\xc7\xd1\xb1\xdb", "한글".as_bytes()),
            // An undecodable byte is marked, and the ASCII byte after it stays.
            (SHIFT_JIS, b"a\x81\n,b", b"a\xfa\x81\n,b"),
            // A low surrogate by itself, a high one before a line end, and half a unit.
            (UTF_16LE, b"\x00\xdc\n\0", b"\xf8\x80\xfb\x9c\n"),
            (UTF_16LE, b"\x3d\xd8\n\0", b"\xf8\xbd\xfb\x98\n"),
            (UTF_16LE, b"a\0b", b"a\xf9\xa2"),
        ] {
            assert_eq!(transcode(encoding, &[bytes]), expected, "{} {bytes:?}", encoding.name());
        }
    }

    #[test]
    fn marks_go() {
        let text = transcode(SHIFT_JIS, &[b"\x93\xfa\xff,\xfd\n"]);
        assert_eq!(std::str::from_utf8(&text).unwrap_err().valid_up_to(), "日".len());
        assert_eq!(unmarked(&text), b"\xe6\x97\xa5\xff,\xfd\n");
        assert_eq!(unmarked("aé😀".as_bytes()), "aé😀".as_bytes());
    }

    fn encodings() -> impl Strategy<Value = &'static Encoding> {
        proptest::sample::select(vec![
            UTF_16LE,
            UTF_16BE,
            WINDOWS_1252,
            SHIFT_JIS,
            GBK,
            GB18030,
            BIG5,
            EUC_JP,
            EUC_KR,
            ISO_2022_JP,
            UTF_8,
        ])
    }

    /// Bytes that are likely to be parts of characters, and line ends among them.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![any::<u8>(), proptest::sample::select(b"\n\0\x1b$B(0\x81\x30\xd8\xdc\xfe".to_vec())];
        proptest::collection::vec(byte, 0..80)
    }

    proptest! {
        #[test]
        fn pieces_leave_no_trace(encoding in encodings(), bytes in bytes(), cuts in proptest::collection::vec(0_usize..80, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= bytes.len()).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let text = transcode(encoding, &pieces);
            prop_assert_eq!(&text, &transcode(encoding, &[&bytes]));
            // What can be decoded is as the library has it, and what cannot is not valid UTF-8.
            match encoding.decode_without_bom_handling_and_without_replacement(&bytes) {
                Some(decoded) => prop_assert_eq!(decoded.as_bytes(), &text),
                None => prop_assert!(std::str::from_utf8(&text).is_err()),
            }
        }

        #[test]
        fn a_fresh_start_gives_the_same_text(encoding in encodings(), bytes in bytes(), from in 0_usize..80) {
            let from = from.min(bytes.len());
            let offset = u64::try_from(from).unwrap();
            if let Some(more) = Transcoder::new(encoding).fresh_start(&bytes[from..], offset) {
                let (mut transcoder, mut before) = (Transcoder::new(encoding), Vec::new());
                transcoder.transcode(&bytes[..from + more], false, &mut before);
                before.extend(transcode(encoding, &[&bytes[from + more..]]));
                prop_assert_eq!(before, transcode(encoding, &[&bytes]));
            }
        }
    }
}

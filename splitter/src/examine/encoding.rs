//! Which encoding a text is written in, from samples of its bytes.

mod words;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use shared::Location;

use crate::error::{BadInput, SplitError};
use words::Words;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Detected {
    pub(crate) encoding: &'static Encoding,
    /// How it was guessed; none where the text itself says what it is written in.
    pub(crate) guess: Option<Guess>,
}

/// By what an encoding was guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guess {
    /// By letters that make sense in it.
    Letters,
    /// By letters that are too few to be sure.
    FewLetters,
}

impl Detected {
    fn sure(encoding: &'static Encoding) -> Self {
        Self { encoding, guess: None }
    }

    fn by(guess: Guess, encoding: &'static Encoding) -> Self {
        Self { encoding, guess: Some(guess) }
    }
}

/// The encoding of a text: by its byte order mark, by the NUL bytes of UTF-16, by being UTF-8, or else by what its letters
/// are most likely to be. `head` begins the text, `spread` are samples from anywhere else.
///
/// Where the text has too few letters to decide, and can be Windows-1252, it is that: most texts which are not UTF-8 are.
pub(crate) fn detect(head: &[u8], spread: &[&[u8]]) -> Detected {
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        return Detected::sure(encoding);
    }
    if let Some(encoding) = by_nul_bytes(head) {
        return Detected::sure(encoding);
    }
    // A sample may begin and end within a character.
    let lines = || std::iter::once(head).chain(spread.iter().map(|sample| after_first_line(sample)));
    let (characters, invalid) = lines().map(count_utf_8).fold((0, 0), |all, more| (all.0 + more.0, all.1 + more.1));
    // Other encodings hardly ever have a character of UTF-8 by chance: a file with some of these and a few bytes that are
    // none is UTF-8 with records to be rejected.
    if invalid == 0 || characters >= invalid {
        return Detected::sure(UTF_8);
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    for sample in lines() {
        detector.feed(sample, false);
    }
    detector.feed(&[], true);
    let encoding = detector.guess(None, Utf8Detection::Deny);
    if encoding == WINDOWS_1252 {
        return Detected::by(Guess::Letters, encoding);
    }
    let words = lines().fold(Words::default(), Words::with);
    match (words.tell(encoding), words.can_be_windows_1252()) {
        (true, _) => Detected::by(Guess::Letters, encoding),
        (false, true) => Detected::by(Guess::FewLetters, WINDOWS_1252),
        (false, false) => Detected::by(Guess::FewLetters, encoding),
    }
}

/// Refuses a text that an encoding which was detected makes control characters of: it is written in one that is not known here, as
/// CP850 is.
pub(crate) fn refuse_controls(at: &Location, head: &[u8], encoding: &'static Encoding) -> Result<(), SplitError> {
    /// Of so many bytes beyond ASCII one, at most, may be a control character.
    const ONE_OF: usize = 10;
    // JSON is written in UTF-8, so a record that is not is rejected by itself.
    let is_json = head.trim_ascii_start().first().is_some_and(|first| matches!(first, b'{' | b'['));
    if !encoding.is_single_byte() || is_json {
        return Ok(());
    }
    let is_control = |byte: u8| {
        let text =
            encoding.decode_without_bom_handling_and_without_replacement(&[byte]).map(std::borrow::Cow::into_owned);
        text.is_none_or(|text| text.chars().all(|character| ('\u{80}'..='\u{9f}').contains(&character)))
    };
    let controls: Vec<u8> = (0x80..=0xff).filter(|byte| is_control(*byte)).collect();
    let beyond = || head.iter().enumerate().filter(|(_, byte)| !byte.is_ascii());
    let mut found = beyond().filter(|(_, byte)| controls.contains(byte));
    let Some((place, byte)) = found.next() else { return Ok(()) };
    if (found.count() + 1) * ONE_OF < beyond().count() {
        return Ok(());
    }
    let reason =
        format!("byte 0x{byte:02x} is not a character of {}, in which the text seems to be written", encoding.name());
    let hint = "set ENCODING to what the file is written in; CP437 and CP850 cannot be read, so have such a file written in UTF-8";
    Err(BadInput::at_byte(at, u64::try_from(place).unwrap_or_default(), reason, hint).into())
}

/// UTF-16 without a byte order mark: delimiters, digits and line ends, at the least, have a NUL byte each, all on one side.
fn by_nul_bytes(head: &[u8]) -> Option<&'static Encoding> {
    /// Of so many units one has a NUL byte on its high side, and of so many of those at most one on its low side. A single
    /// NUL byte says nothing.
    const ONE_OF: usize = 8;
    // Most line ends have one, too.
    let are_wide = |low: usize| {
        let is_wide = |unit: &&[u8]| unit.get(low) == Some(&b'\n') && unit.get(1 - low) == Some(&0);
        let (wide, all) = (head.chunks_exact(2).filter(is_wide).count(), memchr::memchr_iter(b'\n', head).count());
        all == 0 || wide * 2 > all
    };
    let units = head.len() / 2;
    let nuls = |side: usize| head.iter().skip(side).step_by(2).filter(|byte| **byte == 0).count();
    let (first, second) = (nuls(0), nuls(1));
    let is = |high: usize, low: usize| high > 1 && high * ONE_OF >= units && low * ONE_OF <= high;
    if is(second, first) && are_wide(0) {
        Some(UTF_16LE)
    } else if is(first, second) && are_wide(1) {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// What of a sample stands after its first line, however lines end.
fn after_first_line(sample: &[u8]) -> &[u8] {
    let end = memchr::memchr2(b'\n', b'\r', sample).map_or(sample.len(), |end| end + 1);
    sample.get(end..).unwrap_or_default()
}

/// Characters of several bytes in UTF-8, and sequences that are none.
fn count_utf_8(text: &[u8]) -> (usize, usize) {
    let mut counts = (0, 0);
    let mut chunks = text.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        counts.0 += chunk.valid().chars().filter(|character| !character.is_ascii()).count();
        let is_cut_off = chunks.peek().is_none()
            && std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
        counts.1 += usize::from(!chunk.invalid().is_empty() && !is_cut_off);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(head: &[u8], spread: &[&[u8]]) -> &'static str {
        detect(head, spread).encoding.name()
    }

    #[test]
    fn encodings() {
        let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let swapped = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        let in_encoding =
            |label: &str, text: &str| Encoding::for_label(label.as_bytes()).unwrap().encode(text).0.into_owned();
        let german = "id,ort\n1,München\n2,Köln\n3,Gießen\n";
        let japanese = "番号,都市\n1,東京\n2,大阪市の北\n3,ひらがなとカタカナ\n";
        for (bytes, expected) in [
            (b"id,name\n1,bolt\n".to_vec(), "UTF-8"),
            (Vec::new(), "UTF-8"),
            (german.into(), "UTF-8"),
            (b"\xef\xbb\xbfid\n\xe9\n".to_vec(), "UTF-8"),
            (b"\xff\xfei\0d\0".to_vec(), "UTF-16LE"),
            (b"\xfe\xff\0i\0d".to_vec(), "UTF-16BE"),
            (utf_16(german), "UTF-16LE"),
            (swapped(german), "UTF-16BE"),
            (utf_16(japanese), "UTF-16LE"),
            (swapped(japanese), "UTF-16BE"),
            (b"a,b\n1,\0\n".to_vec(), "UTF-8"),
            (in_encoding("latin1", german), "windows-1252"),
            (in_encoding("shift_jis", japanese), "Shift_JIS"),
            (in_encoding("euc-jp", japanese), "EUC-JP"),
            (in_encoding("gbk", "编号,城市\n1,北京市\n2,上海市\n3,中华人民共和国\n"), "GBK"),
            (in_encoding("big5", "編號,城市\n1,臺北市\n2,高雄市\n3,這是一個中文句子\n"), "Big5"),
            (in_encoding("euc-kr", "번호,도시\n1,서울특별시\n2,부산광역시\n3,대한민국 사람\n"), "EUC-KR"),
            (in_encoding("windows-1251", "номер,город\n1,Москва\n2,Санкт-Петербург\n"), "windows-1251"),
            // Some UTF-8 and a byte that is none: a record to be rejected.
            (b"Orl\xc3\xa9ans\nOrl\xe9ans\n".to_vec(), "UTF-8"),
            // Symbols, and too few letters to decide: Windows-1252.
            (b"sku,price\nA,\xa312.50\nB,\xa39.99\n".to_vec(), "windows-1252"),
            (b"sensor,unit\ns1,\xb5g/m\xb3\ns2,\xb5g/m\xb3\n".to_vec(), "windows-1252"),
            (b"id,gap\n1,5 \xb5m\n2,7 \xb5m\n".to_vec(), "windows-1252"),
            (b"id,tol\n1,\xb13\n2,\xb15\n".to_vec(), "windows-1252"),
            (b"ID,CIUDAD\n1,LOGRO\xd1O\n2,M\xc1LAGA\n".to_vec(), "windows-1252"),
            (b"t\n5 \xb0C\n".to_vec(), "windows-1252"),
            // Letters too few, which would be odd in Windows-1252.
            (in_encoding("windows-1250", "id,miasto\n1,\u{141}\u{f3}d\u{17a}\n"), "windows-1250"),
            (in_encoding("gbk", "id,\u{57ce}\u{5e02}\n1,x\n"), "GBK"),
            (
                in_encoding(
                    "windows-1251",
                    "id,\u{433}\u{43e}\u{440}\u{43e}\u{434}\n1,\u{41c}\u{43e}\u{441}\u{43a}\u{432}\u{430}\n",
                ),
                "windows-1251",
            ),
            // NUL bytes in text of one byte a character.
            (b"id,v\n1,a\0\n22,b\n3,c\0\n".to_vec(), "UTF-8"),
            // A character that the sample's end cuts through.
            (b"a\xc3".to_vec(), "UTF-8"),
        ] {
            assert_eq!(name(&bytes, &[]), expected, "{bytes:?}");
        }
    }

    #[test]
    fn control_characters_are_no_text() {
        let at = "s3://b/k.csv".parse().unwrap();
        let refused =
            |head: &[u8]| refuse_controls(&at, head, detect(head, &[]).encoding).map_err(|bad| bad.to_string());
        assert_eq!(
            refused(b"Nr;Name\n1;M\x81ller\n2;J\x84ger\n").unwrap_err(),
            "s3://b/k.csv, byte 11: byte 0x81 is not a character of windows-1252, in which the text seems to be written"
        );
        assert_eq!(refused("id,ort\n1,M\u{fc}nchen\n".as_bytes()), Ok(()));
        assert_eq!(refused(b"id,ort\n1,M\xfcnchen\n2,K\xf6ln\n"), Ok(()));
        // One byte of many is a slip, which its record is rejected or kept for.
        assert_eq!(refused(&[&b"1,K\xf6ln\n".repeat(20)[..], b"2,\x81\n"].concat()), Ok(()));
    }

    #[test]
    fn doubt_is_told() {
        let guess = |head: &[u8]| detect(head, &[]).guess;
        for (head, expected) in [
            (&b"ID,CIUDAD\n1,LOGRO\xd1O\n2,M\xc1LAGA\n"[..], Some(Guess::FewLetters)),
            (b"id,ort\n1,M\xfcnchen\n2,K\xf6ln\n3,Gie\xdfen\n", Some(Guess::Letters)),
            ("id,ort\n1,M\u{fc}nchen\n".as_bytes(), None),
            (b"\xff\xfei\0d\0", None),
        ] {
            assert_eq!(guess(head), expected, "{head:?}");
        }
    }

    #[test]
    fn samples_have_a_say() {
        assert_eq!(name(b"id,city\n", &[b"x\n1,K\xf6ln\n2,M\xfcnchen\n"]), "windows-1252");
        // Cut through a character at both ends.
        assert_eq!(name(b"id,city\n", &[b"\xb6ln\n1,K\xc3\xb6ln\n2,M\xc3"]), "UTF-8");
    }
}

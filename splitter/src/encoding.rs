//! Which encoding a text is written in, from samples of its bytes.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use shared::Dialect;

use crate::records::behind_first_line_end;

/// The encoding of a text: by its byte order mark, by the NUL bytes of UTF-16, by being UTF-8, or else by what its letters
/// are most likely to be. `head` begins the text, `spread` are samples from anywhere else.
pub(crate) fn detect(head: &[u8], spread: &[&[u8]]) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        return encoding;
    }
    if let Some(encoding) = by_nul_bytes(head) {
        return encoding;
    }
    // A sample may begin and end within a character.
    let lines =
        || std::iter::once(head).chain(spread.iter().map(|sample| behind_first_line_end(sample, &Dialect::default())));
    let (characters, invalid) = lines().map(count_utf_8).fold((0, 0), |all, more| (all.0 + more.0, all.1 + more.1));
    // Other encodings hardly ever have a character of UTF-8 by chance: a file with some of these and a few bytes that are
    // none is UTF-8 with records to be rejected.
    if invalid == 0 || characters >= invalid {
        return UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    for sample in lines() {
        detector.feed(sample, false);
    }
    detector.feed(&[], true);
    detector.guess(None, Utf8Detection::Deny)
}

/// UTF-16 without a byte order mark: delimiters, digits and line ends, at the least, have a NUL byte each, all on one side.
fn by_nul_bytes(head: &[u8]) -> Option<&'static Encoding> {
    /// Of so many units one has a NUL byte on its high side, and of so many of those at most one on its low side. A single
    /// NUL byte says nothing.
    const ONE_OF: usize = 8;
    let units = head.len() / 2;
    let nuls = |side: usize| head.iter().skip(side).step_by(2).filter(|byte| **byte == 0).count();
    let (first, second) = (nuls(0), nuls(1));
    let is = |high: usize, low: usize| high > 1 && high * ONE_OF >= units && low * ONE_OF <= high;
    if is(second, first) {
        Some(UTF_16LE)
    } else if is(first, second) {
        Some(UTF_16BE)
    } else {
        None
    }
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
        detect(head, spread).name()
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
            // A character that the sample's end cuts through.
            (b"a\xc3".to_vec(), "UTF-8"),
        ] {
            assert_eq!(name(&bytes, &[]), expected, "{bytes:?}");
        }
    }

    #[test]
    fn samples_have_a_say() {
        assert_eq!(name(b"id,city\n", &[b"x\n1,K\xf6ln\n2,M\xfcnchen\n"]), "windows-1252");
        // Cut through a character at both ends.
        assert_eq!(name(b"id,city\n", &[b"\xb6ln\n1,K\xc3\xb6ln\n2,M\xc3"]), "UTF-8");
    }
}

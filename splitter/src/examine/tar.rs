//! Tar archives, by the headers of their members.

/// Bytes of a header, and of what members are filled up to.
const BLOCK: usize = 512;

/// Most members that are named.
const NAMED: usize = 3;

/// The names of the first members of a tar archive, of which these are the first bytes; none where they are no such archive. Where it
/// has more, the last one says so.
pub(super) fn members(mut head: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let (mut long_name, mut is_archive) = (None, false);
    while let Some(header) = head.first_chunk::<BLOCK>().filter(|header| is_header(header)) {
        is_archive = true;
        // One of many GiB is not in octal digits.
        let length = header.get(124..136).and_then(number).unwrap_or(usize::MAX);
        let data = head.get(BLOCK..).unwrap_or_default();
        match header.get(156)? {
            // A name that has no room in the header, as GNU tar writes it.
            b'L' => long_name = data.get(..length).map(text),
            b'0' | 0 if names.len() == NAMED => {
                names.push("…".to_owned());
                break;
            }
            b'0' | 0 => names.push(long_name.take().unwrap_or_else(|| name(header))),
            _ => {}
        }
        let filled = length.checked_next_multiple_of(BLOCK);
        head = filled.and_then(|filled| data.get(filled..)).unwrap_or_default();
    }
    is_archive.then_some(names)
}

/// Whether a block has the sum of its bytes where a header has it, that field read as blanks.
fn is_header(block: &[u8; BLOCK]) -> bool {
    let sum = |from: usize, to: usize| -> usize {
        block.get(from..to).unwrap_or_default().iter().map(|byte| usize::from(*byte)).sum()
    };
    let blanks = 8 * usize::from(b' ');
    block.get(148..156).and_then(number) == Some(sum(0, 148) + blanks + sum(156, BLOCK))
}

/// A number in octal digits, ended by a blank or NUL.
fn number(field: &[u8]) -> Option<usize> {
    let is_filler = |character: char| character == '\0' || character == ' ';
    let digits = std::str::from_utf8(field).ok()?.trim_matches(is_filler);
    usize::from_str_radix(digits, 8).ok()
}

/// The name of a member, after its folder where it is a long one.
fn name(header: &[u8; BLOCK]) -> String {
    let name = text(header.get(..100).unwrap_or_default());
    let is_posix = header.get(257..263) == Some(b"ustar\0");
    let folder = header.get(345..500).filter(|_| is_posix).map(text).filter(|folder| !folder.is_empty());
    folder.map_or_else(|| name.clone(), |folder| format!("{folder}/{name}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member as `tar --format=v7` writes it.
    fn member(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
        let mut header = vec![0; BLOCK];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[156] = kind;
        header[148..156].fill(b' ');
        let sum: usize = header.iter().map(|byte| usize::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let filled = content.len().next_multiple_of(BLOCK);
        header.extend(content.iter().copied().chain(std::iter::repeat(0)).take(filled));
        header
    }

    #[test]
    fn first_members_of_archives() {
        let csv = |name| member(name, b'0', b"id\n1\n");
        let long = [member("././@LongLink", b'L', b"long/name.csv\0"), csv("long/na")].concat();
        for (head, names) in [
            (csv("a.csv"), Some(&["a.csv"][..])),
            ([csv("a.csv"), csv("b.csv")].concat(), Some(&["a.csv", "b.csv"])),
            ([member("d/", b'5', b""), csv("d/a.csv"), vec![0; 1024]].concat(), Some(&["d/a.csv"])),
            ([csv("a"), csv("b"), csv("c"), csv("d"), csv("e")].concat(), Some(&["a", "b", "c", "…"])),
            (long, Some(&["long/name.csv"])),
            (csv("a.csv")[..600].to_vec(), Some(&["a.csv"])),
            (vec![0; 1024], None),
            (b"id,name\n".repeat(100), None),
            (vec![b' '; 1024], None),
        ] {
            let names = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
            assert_eq!(members(&head), names);
        }
    }
}

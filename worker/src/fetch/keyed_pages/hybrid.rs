//! Small numbers as Parquet packs them: runs, and groups of eight of few bits each.

/// Numbers that are packed together.
const GROUP: usize = 8;

/// Bytes of a packed group of any width, and of what is read beyond it.
const ROOM: usize = 40;

/// Most bits of a number.
const WIDEST: u8 = 31;

/// So many numbers of `width` bits; none where there are not so many, or the bytes mean something else.
pub(super) fn numbers(mut bytes: &[u8], width: u8, count: usize) -> Option<Vec<i32>> {
    if width > WIDEST {
        return None;
    }
    let mut numbers = Vec::with_capacity(count + GROUP);
    while numbers.len() < count {
        let (length, is_packed) = header(&mut bytes)?;
        if is_packed {
            let (packed, rest) = bytes.split_at_checked(length.checked_mul(usize::from(width))?)?;
            bytes = rest;
            if width == 0 {
                numbers.resize(count.min(numbers.len().checked_add(length.checked_mul(GROUP)?)?), 0);
            }
            for group in (0..packed.len()).step_by(usize::from(width).max(1)) {
                numbers.extend_from_slice(&unpacked(packed.get(group..).unwrap_or_default(), width));
            }
        } else {
            let number = run(&mut bytes, width)?;
            numbers.resize(numbers.len().checked_add(length)?.min(count), number);
        }
    }
    numbers.truncate(count);
    Some(numbers)
}

/// Whether all there is is one run of a number of one bit.
pub(super) fn is_run_of(mut bytes: &[u8], number: i32, count: usize) -> bool {
    header(&mut bytes) == Some((count, false)) && run(&mut bytes, 1) == Some(number)
}

fn run(bytes: &mut &[u8], width: u8) -> Option<i32> {
    let (stored, rest) = bytes.split_at_checked(usize::from(width.div_ceil(8)))?;
    *bytes = rest;
    let mut number = [0; 4];
    number.iter_mut().zip(stored).for_each(|(byte, stored)| *byte = *stored);
    Some(i32::from_le_bytes(number))
}

/// Length of the run, or groups of the packed numbers, that come next.
fn header(bytes: &mut &[u8]) -> Option<(usize, bool)> {
    let mut header = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        header |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((usize::try_from(header >> 1).ok()?, header & 1 == 1));
        }
    }
    None
}

/// The numbers of the group that comes next, the first of them in the lowest bits.
#[inline]
fn unpacked(bytes: &[u8], width: u8) -> [i32; GROUP] {
    let mask = (1_u64 << width) - 1;
    let number = |bits: u64| {
        let [a, b, c, d, ..] = (bits & mask).to_le_bytes();
        i32::from_le_bytes([a, b, c, d])
    };
    if width <= 8 {
        let all = u64::from_le_bytes(first(bytes));
        return std::array::from_fn(|place| number(all >> (place * usize::from(width))));
    }
    let all: [u8; ROOM] = first(bytes);
    std::array::from_fn(|place| {
        let bit = place * usize::from(width);
        let from = all.get(bit / 8..).and_then(|rest| rest.first_chunk::<8>());
        number(from.map_or(0, |bytes| u64::from_le_bytes(*bytes)) >> (bit % 8))
    })
}

/// The first bytes, and zeros where there are not so many.
#[inline]
fn first<const COUNT: usize>(bytes: &[u8]) -> [u8; COUNT] {
    bytes.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0; COUNT];
        padded.iter_mut().zip(bytes).for_each(|(padded, byte)| *padded = *byte);
        padded
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Packs as the format describes it, bit by bit.
    fn packed(numbers: &[i32], width: u8) -> Vec<u8> {
        let groups = numbers.len().div_ceil(GROUP);
        let mut bytes = vec![u8::try_from(groups << 1 | 1).unwrap()];
        let mut bits = vec![0_u8; groups * usize::from(width)];
        for (place, number) in numbers.iter().enumerate() {
            for bit in (0..usize::from(width)).filter(|bit| number >> bit & 1 == 1) {
                let at = place * usize::from(width) + bit;
                bits[at / 8] |= 1 << (at % 8);
            }
        }
        bytes.extend(bits);
        bytes
    }

    proptest! {
        #[test]
        fn numbers_of_any_width_are_read(
            width in 0_u8..=31,
            all in prop::collection::vec(any::<i32>(), 1..400),
            run in 1_u8..60,
        ) {
            let most = i32::MAX >> (31 - width);
            let all: Vec<i32> = all.into_iter().map(|number| number & most).collect();
            let mut bytes = packed(&all, width);
            prop_assert_eq!(numbers(&bytes, width, all.len()), Some(all.clone()));
            // Behind whole groups, a run of the last number.
            let whole = all.len() / GROUP * GROUP;
            bytes = if whole > 0 { packed(&all[..whole], width) } else { Vec::new() };
            let last = *all.last().unwrap();
            bytes.push(run << 1);
            bytes.extend(last.to_le_bytes().into_iter().take(usize::from(width.div_ceil(8))));
            let expected = [&all[..whole], &vec![last; usize::from(run)][..]].concat();
            prop_assert_eq!(numbers(&bytes, width, expected.len()), Some(expected.clone()));
            // What is cut off, or is not there.
            prop_assert_eq!(numbers(&bytes, width, expected.len() + 1), None);
            prop_assert_eq!(numbers(&bytes[..bytes.len() - 1], width, expected.len()), None);
        }
    }

    #[test]
    fn runs_are_known() {
        assert!(is_run_of(&[20, 1], 1, 10));
        assert!(!is_run_of(&[20, 0], 1, 10) && !is_run_of(&[18, 1], 1, 10) && !is_run_of(&[3, 255], 1, 8));
    }
}

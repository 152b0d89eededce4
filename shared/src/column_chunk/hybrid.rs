//! Small numbers as runs, and in as few bits each as the largest takes: Parquet's hybrid of run lengths and bit packing.

use crate::compact;
use parquet::errors::ParquetError;

use super::nulls::Nulls;

/// Numbers that are packed together: so many of any width fill whole bytes.
const GROUP: usize = 8;

/// Bytes of a group of any width, of which those beyond its own are cut off.
const WIDEST: usize = 32;

/// Bits of the largest of so many numbers from 0. Not every reader takes it that one number needs none.
pub(super) fn width(numbers: u32) -> u8 {
    u8::try_from(u32::BITS - numbers.saturating_sub(1).leading_zeros()).unwrap_or_default().max(1)
}

/// Appends numbers of at most `width` bits, which are 31 at most.
pub(super) fn append(numbers: &[i32], width: u8, out: &mut Vec<u8>) {
    let mut packed = 0;
    let mut place = 0;
    while let Some(rest) = numbers.get(place..).filter(|rest| !rest.is_empty()) {
        let run = run(rest);
        if run < GROUP {
            place += GROUP;
            continue;
        }
        append_packed(numbers.get(packed..place).unwrap_or_default(), width, out);
        append_run(rest.first().copied().unwrap_or_default(), run, width, out);
        place += run;
        packed = place;
    }
    append_packed(numbers.get(packed..).unwrap_or_default(), width, out);
}

/// How often the first number stands there in a row; 0 for less than a group.
fn run(numbers: &[i32]) -> usize {
    let Some(group) = numbers.first_chunk::<GROUP>() else { return 0 };
    let [first, ..] = *group;
    if group.iter().fold(0, |differ, number| differ | (number ^ first)) != 0 {
        return 0;
    }
    numbers.iter().position(|number| *number != first).unwrap_or(numbers.len())
}

fn append_run(number: i32, run: usize, width: u8, out: &mut Vec<u8>) {
    append_varint(run << 1, out);
    out.extend(number.to_le_bytes().into_iter().take(usize::from(width.div_ceil(8))));
}

fn append_packed(numbers: &[i32], width: u8, out: &mut Vec<u8>) {
    if numbers.is_empty() {
        return;
    }
    append_varint(numbers.len().div_ceil(GROUP) << 1 | 1, out);
    let (groups, rest) = numbers.as_chunks();
    out.reserve((groups.len() + 1) * usize::from(width) + WIDEST);
    for group in groups {
        append_group(group, width, out);
    }
    if !rest.is_empty() {
        let mut group = [0; GROUP];
        group.iter_mut().zip(rest).for_each(|(padded, number)| *padded = *number);
        append_group(&group, width, out);
    }
}

/// The first number is in the lowest bits.
#[inline]
fn append_group(group: &[i32; GROUP], width: u8, out: &mut Vec<u8>) {
    let end = out.len() + usize::from(width);
    let [n0, n1, n2, n3, n4, n5, n6, n7] = group.map(|number| u64::from(number.cast_unsigned()));
    let pair = |low: u64, high: u64| low | high << width;
    if width <= 16 {
        let four = |low: u64, high: u64| low | high << (2 * width);
        let (low, high) = (four(pair(n0, n1), pair(n2, n3)), four(pair(n4, n5), pair(n6, n7)));
        out.extend_from_slice(&(u128::from(low) | u128::from(high) << (4 * width)).to_le_bytes());
    } else {
        let four = |low: u64, high: u64| u128::from(low) | u128::from(high) << (2 * width);
        let (low, high) = (four(pair(n0, n1), pair(n2, n3)), four(pair(n4, n5), pair(n6, n7)));
        // Half a group of an odd width ends within a byte.
        out.extend_from_slice(&(low | high << (4 * width)).to_le_bytes());
        out.extend_from_slice(&(high >> (128 - 4 * width)).to_le_bytes());
    }
    out.truncate(end);
}

fn append_varint(number: usize, out: &mut Vec<u8>) {
    compact::append_varint(u64::try_from(number).unwrap_or(u64::MAX), out);
}

/// Appends the definition levels of a column of so many rows: 0 for those that are null, and 1 for the others.
pub(super) fn levels(nulls: &Nulls, rows: usize, out: &mut Vec<u8>) -> Result<(), ParquetError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    match nulls {
        Nulls::None => append_run(1, rows, 1, out),
        Nulls::All => append_run(0, rows, 1, out),
        Nulls::Some(nulls) if nulls.null_count() == rows => append_run(0, rows, 1, out),
        Nulls::Some(nulls) => {
            append_varint(rows.div_ceil(GROUP) << 1 | 1, out);
            super::plain::append_bits(nulls.inner(), out);
        }
    }
    let length = u32::try_from(out.len() - start - 4)?;
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn varint(bytes: &mut &[u8]) -> usize {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let (byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    /// Bit by bit, as the format describes it.
    fn read(mut bytes: &[u8], width: u8, count: usize) -> Vec<i32> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let header = varint(&mut bytes);
            let (is_packed, length) = (header & 1 == 1, header >> 1);
            let size = if is_packed { length * usize::from(width) } else { usize::from(width.div_ceil(8)) };
            let (run, rest) = bytes.split_at(size);
            bytes = rest;
            let bit = |place: usize| i32::from(run[place / 8] >> (place % 8) & 1);
            let number =
                |first: usize| (0..usize::from(width)).fold(0, |number, place| number | bit(first + place) << place);
            if is_packed {
                numbers.extend((0..length * GROUP).map(|place| number(place * usize::from(width))));
            } else {
                numbers.extend(vec![number(0); length]);
            }
        }
        assert!(bytes.is_empty());
        numbers.truncate(count);
        numbers
    }

    proptest! {
        #[test]
        fn numbers_of_any_width_come_back(
            width in 1_u8..=31,
            runs in proptest::collection::vec((any::<i32>(), prop_oneof![Just(1_usize), 1_usize..40]), 0..60),
        ) {
            let most = i32::MAX >> (31 - width);
            let numbers: Vec<i32> = runs.into_iter().flat_map(|(number, run)| vec![number & most; run]).collect();
            let mut bytes = Vec::new();
            append(&numbers, width, &mut bytes);
            prop_assert_eq!(read(&bytes, width, numbers.len()), numbers);
        }
    }

    #[test]
    fn widths() {
        for (numbers, expected) in [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (256, 8), (257, 9), (1 << 20, 20)] {
            assert_eq!(width(numbers), expected, "{numbers}");
        }
    }
}

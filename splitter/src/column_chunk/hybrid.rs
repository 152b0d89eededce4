//! Small numbers as runs, and in as few bits each as the largest takes: Parquet's hybrid of run lengths and bit packing.

use arrow::buffer::NullBuffer;
use parquet::errors::ParquetError;

/// Numbers that are packed together: so many of any width fill whole bytes.
const GROUP: usize = 8;

/// Bits of the largest of so many numbers from 0. Not every reader takes it that one number needs none.
pub(super) fn width(numbers: u32) -> u8 {
    u8::try_from(u32::BITS - numbers.saturating_sub(1).leading_zeros()).unwrap_or_default().max(1)
}

/// Appends numbers of at most `width` bits.
pub(super) fn append(numbers: &[u32], width: u8, out: &mut Vec<u8>) {
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
fn run(numbers: &[u32]) -> usize {
    let Some(group) = numbers.first_chunk::<GROUP>() else { return 0 };
    let [first, ..] = *group;
    if group.iter().fold(0, |differ, number| differ | (number ^ first)) != 0 {
        return 0;
    }
    numbers.iter().position(|number| *number != first).unwrap_or(numbers.len())
}

fn append_run(number: u32, run: usize, width: u8, out: &mut Vec<u8>) {
    append_varint(run << 1, out);
    out.extend(number.to_le_bytes().into_iter().take(usize::from(width.div_ceil(8))));
}

fn append_packed(numbers: &[u32], width: u8, out: &mut Vec<u8>) {
    if numbers.is_empty() {
        return;
    }
    append_varint(numbers.len().div_ceil(GROUP) << 1 | 1, out);
    let (groups, rest) = numbers.as_chunks();
    out.reserve((groups.len() + 1) * usize::from(width));
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
fn append_group(group: &[u32; GROUP], width: u8, out: &mut Vec<u8>) {
    let pack = |numbers: &[u32]| numbers.iter().rev().fold(0, |bits: u128, number| bits << width | u128::from(*number));
    let bytes = usize::from(width);
    if width <= 8 {
        let bits = group.iter().rev().fold(0, |bits: u64, number| bits << width | u64::from(*number));
        out.extend_from_slice(bits.to_le_bytes().get(..bytes).unwrap_or_default());
    } else if width <= 16 {
        out.extend_from_slice(pack(group).to_le_bytes().get(..bytes).unwrap_or_default());
    } else {
        let (low, high) = group.split_at(GROUP / 2);
        // Half a group of an odd width ends within a byte.
        let (low, high) = (pack(low), pack(high));
        let shift = u32::from(width) * 4;
        let (low, high) =
            (low | high.checked_shl(shift).unwrap_or_default(), high.checked_shr(128 - shift).unwrap_or_default());
        let both = low.to_le_bytes().into_iter().chain(high.to_le_bytes());
        out.extend(both.take(bytes));
    }
}

fn append_varint(mut number: usize, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// Appends the definition levels of a column of so many rows: 0 for those that are null, and 1 for the others.
pub(super) fn levels(nulls: Option<&NullBuffer>, rows: usize, out: &mut Vec<u8>) -> Result<(), ParquetError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    match nulls {
        None => append_run(1, rows, 1, out),
        Some(nulls) if nulls.null_count() == rows => append_run(0, rows, 1, out),
        Some(nulls) => {
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
    fn read(mut bytes: &[u8], width: u8, count: usize) -> Vec<u32> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let header = varint(&mut bytes);
            let (is_packed, length) = (header & 1 == 1, header >> 1);
            let size = if is_packed { length * usize::from(width) } else { usize::from(width.div_ceil(8)) };
            let (run, rest) = bytes.split_at(size);
            bytes = rest;
            let bit = |place: usize| u32::from(run[place / 8] >> (place % 8) & 1);
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
            runs in proptest::collection::vec((any::<u32>(), prop_oneof![Just(1_usize), 1_usize..40]), 0..60),
        ) {
            let numbers: Vec<u32> = runs.into_iter().flat_map(|(number, run)| vec![number & ((1 << width) - 1); run]).collect();
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

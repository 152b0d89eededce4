//! Records that are rejected, and how those of a block are kept in little memory until they are stored.

use std::collections::HashMap;

use bytes::Bytes;
use shared::compact::{append_varint, varint};

/// A record that could not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reject<'a> {
    /// Record number from 1, without the header.
    pub(crate) record: u64,
    /// Byte offset of its first byte in the text of the source.
    pub(crate) byte_offset: u64,
    /// Name of the column whose value does not fit, where it is one.
    pub(crate) column: Option<&'a str>,
    /// Why.
    pub(crate) reason: &'a str,
    /// The record as it stands in the text, without its line end; bytes that cannot be decoded as they stand in the source.
    pub(crate) raw: &'a [u8],
}

impl Reject<'_> {
    /// Where it stands and what is wrong with it; `records_before` is added to its number.
    pub(crate) fn describe(&self, records_before: u64) -> String {
        let (record, byte) = (records_before + self.record, self.byte_offset);
        let column = self.column.map_or_else(String::new, |column| format!(", column '{column}'"));
        format!("record {record}, byte {byte}{column}: {}", self.reason)
    }
}

/// Why a record is rejected: a column, where a value of it is at fault, and the reason.
pub(crate) type Fault = (Option<String>, String);

/// The same, of a record that is kept.
type FaultRef<'a> = (Option<&'a str>, &'a str);

fn as_ref((column, reason): &Fault) -> FaultRef<'_> {
    (column.as_deref(), reason)
}

/// Different faults that are kept once for all records that have them. Texts of records can be part of a fault, so there may be as many
/// as records; the others are kept with their record.
const MOST_FAULTS: usize = 1024;

/// Rejected records of a block, in its order.
///
/// A block may have millions of them, so each takes a few bytes: its place in the block's text, as the distance from the one before, and the
/// number of its fault.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rejects {
    /// The block's text, and the byte offset at which it begins.
    text: Bytes,
    start: u64,
    packed: Vec<u8>,
    last: Entry,
    count: usize,
    faults: Vec<Fault>,
    numbers: HashMap<Fault, usize>,
    /// Number of the fault of the record before, which many have one after the other.
    last_fault: usize,
}

/// Where a record stands in its block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Entry {
    record: u64,
    start: usize,
    end: usize,
}

impl Rejects {
    /// None yet, of a block with this text.
    pub(crate) fn of(text: &Bytes, start: u64) -> Self {
        Self { text: text.clone(), start, ..Self::default() }
    }

    /// Adds a record after the others: its number in the block, from 1, and the bytes that it has there without its line end.
    pub(crate) fn push(&mut self, record: u64, place: (usize, usize), fault: &Fault) {
        self.push_ref(record, place, as_ref(fault));
    }

    fn push_ref(&mut self, record: u64, (start, end): (usize, usize), fault: FaultRef<'_>) {
        let number = self.number(fault);
        for distance in [record - self.last.record, wide(start - self.last.end), wide(end - start), wide(number)] {
            append_varint(distance, &mut self.packed);
        }
        if number == 0 {
            let (column, reason) = fault;
            let column = column.map(str::as_bytes);
            append_varint(column.map_or(0, |column| wide(column.len()) + 1), &mut self.packed);
            append_varint(wide(reason.len()), &mut self.packed);
            self.packed.extend_from_slice(column.unwrap_or_default());
            self.packed.extend_from_slice(reason.as_bytes());
        }
        self.last = Entry { record, start, end };
        self.count += 1;
    }

    /// The number of a fault from 1; 0 for one that is not kept for others.
    fn number(&mut self, fault: FaultRef<'_>) -> usize {
        if self.last_fault.checked_sub(1).and_then(|place| self.faults.get(place)).map(as_ref) == Some(fault) {
            return self.last_fault;
        }
        let fault = (fault.0.map(str::to_owned), fault.1.to_owned());
        if let Some(number) = self.numbers.get(&fault) {
            self.last_fault = *number;
            return *number;
        }
        if self.faults.len() == MOST_FAULTS {
            return 0;
        }
        self.faults.push(fault.clone());
        self.numbers.insert(fault, self.faults.len());
        self.last_fault = self.faults.len();
        self.last_fault
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Reject<'_>> + use<'_> {
        self.entries().map(|(entry, (column, reason))| Reject {
            record: entry.record,
            byte_offset: self.start + wide(entry.start),
            column,
            reason,
            raw: self.text.get(entry.start..entry.end).unwrap_or_default(),
        })
    }

    /// The same records and others of the block, all in its order; the others with their numbers and places, as in [`Self::push`].
    pub(crate) fn merged(&self, others: impl IntoIterator<Item = (u64, (usize, usize), Fault)>) -> Self {
        let mut merged = Self::of(&self.text, self.start);
        let mut own = self.entries().peekable();
        for (record, place, fault) in others {
            while let Some((entry, fault)) = own.next_if(|(entry, _)| entry.record < record) {
                merged.push_ref(entry.record, (entry.start, entry.end), fault);
            }
            merged.push(record, place, &fault);
        }
        own.for_each(|(entry, fault)| merged.push_ref(entry.record, (entry.start, entry.end), fault));
        merged
    }

    fn entries(&self) -> impl Iterator<Item = (Entry, FaultRef<'_>)> + use<'_> {
        let (mut packed, mut last) = (self.packed.as_slice(), Entry::default());
        std::iter::from_fn(move || {
            let [record, gap, length, number] =
                [varint(&mut packed)?, varint(&mut packed)?, varint(&mut packed)?, varint(&mut packed)?];
            let start = last.end + narrow(gap);
            last = Entry { record: last.record + record, start, end: start + narrow(length) };
            let fault = match narrow(number).checked_sub(1) {
                Some(number) => as_ref(self.faults.get(number)?),
                None => own_fault(&mut packed)?,
            };
            Some((last, fault))
        })
    }
}

/// A fault that is kept with its record.
fn own_fault<'a>(packed: &mut &'a [u8]) -> Option<FaultRef<'a>> {
    let (column, reason) = (varint(packed)?, varint(packed)?);
    let mut text = |bytes: usize| {
        let (text, rest) = packed.split_at_checked(bytes)?;
        *packed = rest;
        std::str::from_utf8(text).ok()
    };
    let column = if column == 0 { None } else { Some(text(narrow(column - 1))?) };
    Some((column, text(narrow(reason))?))
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn narrow(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_come_back_in_order(
            lengths in proptest::collection::vec((0_usize..300, 0_usize..300, 0_u64..3, 0_usize..2000), 0..2000),
        ) {
            let text = Bytes::from((0..600_000_u32).flat_map(u32::to_be_bytes).take(1_200_000).collect::<Vec<u8>>());
            let (mut all, mut record, mut end) = (Vec::new(), 0, 0);
            for (gap, length, records, fault) in lengths {
                record += records + 1;
                let start = end + gap;
                end = start + length;
                let column = (fault % 3 > 0).then(|| format!("c{fault}"));
                all.push((record, (start, end), (column, format!("reason {fault}"))));
            }
            let expected = all.clone();
            let expected: Vec<Reject<'_>> = expected.iter().map(|(record, (start, end), (column, reason))| Reject {
                record: *record,
                byte_offset: 7 + wide(*start),
                column: column.as_deref(),
                reason,
                raw: &text[*start..*end],
            }).collect();
            let (some, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, (start, _), _)| start % 2 == 0);
            let mut rejects = Rejects::of(&text, 7);
            for (record, place, fault) in some {
                rejects.push(record, place, &fault);
            }
            let rejects = rejects.merged(others);
            prop_assert_eq!(rejects.len(), expected.len());
            prop_assert!(rejects.iter().eq(expected));
        }
    }

    #[test]
    fn a_record_of_two_bytes_takes_four_more() {
        let mut rejects = Rejects::of(&Bytes::from(vec![b'x'; 300_000]), 0);
        for record in 1..=100_000 {
            let start = narrow(record - 1) * 3;
            rejects.push(record, (start, start + 2), &(None, "1 fields where 2 are expected".to_owned()));
        }
        assert_eq!((rejects.len(), rejects.packed.len(), rejects.faults.len()), (100_000, 400_000, 1));
    }
}

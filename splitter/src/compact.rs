//! Thrift's compact protocol, which footers of Parquet are written in, as far as places in a footer have to be found.

/// Most structs within structs: those of a footer are a few.
const MOST_DEPTH: u8 = 32;

/// The kind of a list.
const LIST: u8 = 9;

/// What is left of a text in Thrift's compact protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compact<'a>(pub(crate) &'a [u8]);

impl Compact<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    /// Goes behind the next field; its number.
    pub(crate) fn skip_field(&mut self, last: i16) -> Option<i16> {
        let (number, kind) = self.field(last)?;
        self.skip(kind, 0)?;
        Some(number)
    }

    /// Goes to the first element of the list that a field has, the fields before it passed over; how many elements there are. None where
    /// there is no such field, or it is no list.
    pub(crate) fn list_of(&mut self, wanted: i16) -> Option<u64> {
        let mut last = 0;
        loop {
            let (number, kind) = self.field(last)?;
            if number == wanted {
                return if kind == LIST { self.list().map(|(count, _)| count) } else { None };
            }
            self.skip(kind, 0)?;
            last = number;
        }
    }

    /// The number that a field has, the fields before it passed over; none where there is no such field, or it is no number.
    pub(crate) fn number_of(&mut self, wanted: i16) -> Option<i64> {
        let mut last = 0;
        loop {
            let (number, kind) = self.field(last)?;
            if number == wanted {
                return if matches!(kind, 4..=6) { self.signed() } else { None };
            }
            self.skip(kind, 0)?;
            last = number;
        }
    }

    fn signed(&mut self) -> Option<i64> {
        let coded = self.varint()?;
        Some(i64::try_from(coded >> 1).ok()? ^ -i64::try_from(coded & 1).ok()?)
    }

    /// How many elements a list that begins here has, and their kind.
    fn list(&mut self) -> Option<(u64, u8)> {
        let header = self.byte()?;
        let count = if header >> 4 == 15 { self.varint()? } else { u64::from(header >> 4) };
        Some((count, header & 0x0f))
    }

    /// Goes behind a struct that begins here, within so many others.
    pub(crate) fn skip_struct(&mut self, depth: u8) -> Option<()> {
        let mut number = 0;
        while self.0.first().copied()? & 0x0f != 0 {
            let (next, kind) = self.field(number)?;
            number = next;
            self.skip(kind, depth + 1)?;
        }
        self.take(1)
    }

    /// Number and kind of the next field; none at the end of a struct.
    pub(crate) fn field(&mut self, last: i16) -> Option<(i16, u8)> {
        let header = self.byte()?;
        let kind = header & 0x0f;
        if kind == 0 {
            return None;
        }
        let number = match header >> 4 {
            0 => i16::try_from(self.signed()?).ok()?,
            step => last.checked_add(i16::from(step))?,
        };
        Some((number, kind))
    }

    /// Goes behind a value of a kind, within so many structs.
    pub(crate) fn skip(&mut self, kind: u8, depth: u8) -> Option<()> {
        if depth > MOST_DEPTH {
            return None;
        }
        match kind {
            1 | 2 => Some(()),
            3 => self.take(1),
            4..=6 => self.varint().map(drop),
            7 => self.take(8),
            8 => {
                let length = self.varint()?;
                self.take(usize::try_from(length).ok()?)
            }
            9 | 10 => {
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| self.skip_element(kind, depth + 1))
            }
            11 => {
                let count = self.varint()?;
                if count == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                (0..count).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth + 1)?;
                    self.skip_element(kinds & 0x0f, depth + 1)
                })
            }
            12 => self.skip_struct(depth),
            _ => None,
        }
    }

    /// As `skip`, of what is in lists and maps: truths have a byte there.
    fn skip_element(&mut self, kind: u8, depth: u8) -> Option<()> {
        if matches!(kind, 1 | 2) { self.take(1) } else { self.skip(kind, depth) }
    }
}

//! Thrift's compact protocol, which footers and page headers of Parquet are written in, as far as something has to be found in them that
//! the library does not say.

/// Most structs within structs: those of a footer are a few.
const MOST_DEPTH: u8 = 32;

/// The kind of a list.
const LIST: u8 = 9;

/// What is left of a text in Thrift's compact protocol.
#[derive(Clone, Copy, Debug)]
pub struct Compact<'a>(pub &'a [u8]);

/// Appends a number from 0 in groups of seven bits, the lowest first.
#[inline]
pub fn append_varint(mut number: u64, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// Takes such a number from the start of a text; `None` if there is none.
#[inline]
pub fn varint(text: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = text.split_first()?;
        *text = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

impl Compact<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        varint(&mut self.0)
    }

    fn take(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    /// Moves past the next field; its number.
    pub fn skip_field(&mut self, last: i16) -> Option<i16> {
        let (number, kind) = self.field(last)?;
        self.skip(kind, 0)?;
        Some(number)
    }

    /// Goes to the first element of the list that a field has, the fields before it passed over; how many elements there are. None where
    /// there is no such field, or it is not a list.
    pub fn list_of(&mut self, wanted: i16) -> Option<u64> {
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

    /// The number that a field has, the fields before it passed over; none where there is no such field, or it is not a number.
    pub fn number_of(&mut self, wanted: i16) -> Option<i64> {
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

    /// A number that begins here.
    pub fn signed(&mut self) -> Option<i64> {
        let coded = self.varint()?;
        Some(i64::try_from(coded >> 1).ok()? ^ -i64::try_from(coded & 1).ok()?)
    }

    /// How many elements a list that begins here has, and their kind.
    fn list(&mut self) -> Option<(u64, u8)> {
        let header = self.byte()?;
        let count = if header >> 4 == 15 { self.varint()? } else { u64::from(header >> 4) };
        Some((count, header & 0x0f))
    }

    /// Moves past a struct that begins here, within so many others.
    pub fn skip_struct(&mut self, depth: u8) -> Option<()> {
        self.each_field(|fields, _, kind| fields.skip(kind, depth + 1))
    }

    /// Moves past a struct that begins here. Each of its fields is handed over, with its number and its kind; its value is to be passed.
    pub fn each_field(&mut self, mut take: impl FnMut(&mut Self, i16, u8) -> Option<()>) -> Option<()> {
        let mut number = 0;
        while self.0.first().copied()? & 0x0f != 0 {
            let (next, kind) = self.field(number)?;
            number = next;
            take(self, number, kind)?;
        }
        self.take(1)
    }

    /// Number and kind of the next field; none at the end of a struct.
    pub fn field(&mut self, last: i16) -> Option<(i16, u8)> {
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

    /// Moves past a value of a kind, within so many structs.
    pub fn skip(&mut self, kind: u8, depth: u8) -> Option<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut text = Vec::new();
            append_varint(number, &mut text);
            let mut rest = text.as_slice();
            assert_eq!((varint(&mut rest), rest), (Some(number), &[][..]));
            assert_eq!(varint(&mut text.get(..text.len() - 1).unwrap_or_default()), None);
        }
    }

    #[test]
    fn a_struct_that_is_cut_off_is_none() {
        // A number in field 1, a struct of one number in field 2, and what follows.
        let text = [0x15, 4, 0x1c, 0x15, 6, 0, 0, 9];
        let mut seen = Vec::new();
        let mut fields = Compact(&text);
        let read = fields.each_field(|fields, number, kind| {
            seen.push((number, kind));
            if kind == 5 { fields.signed().map(drop) } else { fields.skip(kind, 0) }
        });
        assert_eq!((read, fields.0, seen), (Some(()), &[9][..], vec![(1, 5), (2, 12)]));
        for length in 0..text.len() - 1 {
            assert_eq!(Compact(&text[..length]).skip_struct(0), None, "{length}");
        }
    }
}

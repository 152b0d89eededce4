//! Where a field or a record is in a text.

/// Where a field is. Blocks, a longest record included, have less than 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// From a place to another.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        // The mask is for the compiler, which then has nothing to check.
        let place = |place: usize| u32::try_from(place & 0xffff_ffff).unwrap_or_default();
        Self { start: place(start), end: place(end) }
    }

    pub(crate) fn start(self) -> usize {
        usize::try_from(self.start).unwrap_or(usize::MAX)
    }

    pub(crate) fn end(self) -> usize {
        usize::try_from(self.end).unwrap_or(usize::MAX)
    }

    /// Further on by so many bytes.
    pub(crate) fn moved(self, by: usize) -> Self {
        Self::new(self.start() + by, self.end() + by)
    }

    /// Further back by so many bytes.
    pub(crate) fn moved_back(self, by: usize) -> Self {
        Self::new(self.start().saturating_sub(by), self.end().saturating_sub(by))
    }

    pub(crate) fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start()..self.end()).unwrap_or_default()
    }
}

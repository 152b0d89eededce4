//! Where the fields of records are.

use crate::records::span::Span;
use crate::records::structural::{Positions, STRIDE};

/// Where fields are, and room for those of one more stride, at least, so that they are written without a look at the room for each.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    room: Vec<Span>,
    length: usize,
}

impl Spans {
    /// None, and room for so many.
    pub(crate) fn with_room(fields: usize) -> Self {
        Self { room: vec![Span::new(0, 0); fields + STRIDE], length: 0 }
    }

    pub(crate) fn all(&self) -> &[Span] {
        self.room.get(..self.length).unwrap_or_default()
    }

    pub(crate) fn all_mut(&mut self) -> &mut [Span] {
        self.room.get_mut(..self.length).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    #[inline]
    pub(super) fn push(&mut self, span: Span) {
        if let Some(room) = self.room_for_stride().first_mut() {
            *room = span;
            self.length += 1;
        }
    }

    /// Those of fields that end at these places of one stride, the first of which begins at `field`; where the next one begins.
    #[inline]
    pub(super) fn push_delimited(&mut self, mut field: usize, places: Positions) -> usize {
        let mut count = 0;
        for (room, place) in self.room_for_stride().iter_mut().zip(places) {
            *room = Span::new(field, place);
            field = place + 1;
            count += 1;
        }
        self.length += count;
        field
    }

    /// Room for as many as a stride has places.
    #[inline]
    fn room_for_stride(&mut self) -> &mut [Span] {
        if self.room.len() < self.length + STRIDE {
            self.grow();
        }
        let room = self.room.get_mut(self.length..self.length + STRIDE).unwrap_or_default();
        debug_assert_eq!(room.len(), STRIDE);
        room
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        self.room.resize(self.room.len() * 2 + STRIDE, Span::new(0, 0));
    }
}

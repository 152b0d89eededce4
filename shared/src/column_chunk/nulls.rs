//! Which rows of a column are null.

use arrow::buffer::NullBuffer;

/// Which rows are null.
#[derive(Debug)]
pub(super) enum Nulls {
    None,
    All,
    Some(NullBuffer),
}

impl Nulls {
    pub(super) fn of(nulls: Option<NullBuffer>) -> Self {
        nulls.filter(|nulls| nulls.null_count() > 0).map_or(Self::None, Self::Some)
    }
}

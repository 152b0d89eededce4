//! In which order rows that were gathered go to a file.

/// Which of the rows, in which order: batch and row of each.
#[derive(Debug)]
pub(super) enum Order {
    /// All, as they come.
    All(usize),
    /// These.
    Of(Vec<(u32, u32)>),
}

impl Order {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::All(count) => *count,
            Self::Of(rows) => rows.len(),
        }
    }
}

/// Batch and row, as Arrow takes them.
pub(super) fn places(rows: &[(u32, u32)]) -> Vec<(usize, usize)> {
    let place = |place: u32| usize::try_from(place).unwrap_or(usize::MAX);
    rows.iter().map(|(batch, row)| (place(*batch), place(*row))).collect()
}

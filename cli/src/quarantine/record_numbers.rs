//! Which records of a source the rows of its chunks are.

/// Numbers of the records that a few rows are, found in one pass over the records that are in no chunk. It takes memory for the rows alone,
/// however many records were rejected.
#[derive(Debug)]
pub(super) struct RecordNumbers {
    /// Rows that are looked for, counted from 1 over all chunks, in order; and of those that were passed, their records.
    rows: Vec<(u64, u64)>,
    /// How many were passed.
    passed: usize,
    /// Rejected records so far.
    rejected: u64,
}

impl RecordNumbers {
    /// Of rows that are counted from 1 over all chunks, in any order.
    pub(super) fn of_rows(rows: impl Iterator<Item = u64>) -> Self {
        // Without rejected records, rows are records.
        let mut rows: Vec<_> = rows.map(|row| (row, row)).collect();
        rows.sort_unstable();
        rows.dedup();
        Self { rows, passed: 0, rejected: 0 }
    }

    /// Takes the number of the next rejected record, in the order of the source.
    pub(super) fn pass(&mut self, rejected: u64) {
        while let Some((row, record)) =
            self.rows.get_mut(self.passed).filter(|(row, _)| *row + self.rejected < rejected)
        {
            *record = *row + self.rejected;
            self.passed += 1;
        }
        self.rejected += 1;
    }

    /// The record that one of the rows is, once all rejected records were passed.
    pub(super) fn record(&self, row: u64) -> Option<u64> {
        let place = self.rows.binary_search_by_key(&row, |(row, _)| *row).ok()?;
        let (row, record) = self.rows.get(place)?;
        Some(if place < self.passed { *record } else { *row + self.rejected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_chunks_are_records_of_the_source() {
        for (rejected, expected) in [
            (&[][..], [1, 2, 3, 4]),
            (&[1, 2, 5], [3, 4, 6, 7]),
            (&[3, 9], [1, 2, 4, 5]),
            (&[2, 3, 4, 5, 6], [1, 7, 8, 9]),
        ] {
            let mut numbers = RecordNumbers::of_rows([4, 2, 3, 1, 2].into_iter());
            for record in rejected {
                numbers.pass(*record);
            }
            assert_eq!([1, 2, 3, 4].map(|row| numbers.record(row)), expected.map(Some), "{rejected:?}");
            assert_eq!(numbers.record(5), None);
        }
    }
}

//! The footer of a chunk.

use bytes::Bytes;
use shared::{Location, Memory, ObjectStat, Storage};

use crate::error::LoadError;

/// What a footer takes in memory, for each of its bytes.
const FOOTER_TIMES: u64 = 16;

/// Bytes read from the end of a chunk at first; they hold the footer of all but very wide files.
const FOOTER_GUESS: u64 = 64 << 10;

/// Length of the end of a footer: four bytes of length and the word `PAR1`.
pub(super) const FOOTER_TAIL: usize = 8;

/// The footer with its tail, and where it begins.
pub(super) async fn read_footer(
    storage: &dyn Storage,
    at: &Location,
    stat: &ObjectStat,
    memory: &Memory,
) -> Result<(u64, Bytes), LoadError> {
    let damaged = |reason: &str| LoadError::Damaged { chunk: at.clone(), reason: reason.to_owned() };
    let read = |start: u64| async move {
        let read = storage.get_range(at, &stat.version, start..stat.size).await;
        read.map_err(|source| LoadError::reading(at, source))
    };
    let mut begin = stat.size.saturating_sub(FOOTER_GUESS);
    let mut bytes = read(begin).await?;
    let end = bytes.len().checked_sub(FOOTER_TAIL).map(|end| bytes.slice(end..));
    let Some([a, b, c, d, b'P', b'A', b'R', b'1']) = end.as_deref() else {
        return Err(damaged("it does not end as Parquet does"));
    };
    let length = u64::from(u32::from_le_bytes([*a, *b, *c, *d])) + 8;
    let footer_start = stat.size.checked_sub(length).ok_or_else(|| damaged("its footer is longer than the file"))?;
    let checked = memory.check(|_| length.saturating_mul(FOOTER_TIMES));
    checked.map_err(|source| {
        let what = format!("the footer of {length} bytes");
        LoadError::Memory { at: Box::new(at.clone()), what, source }
    })?;
    if footer_start < begin {
        begin = footer_start;
        bytes = read(begin).await?;
    }
    let skip = usize::try_from(footer_start - begin).unwrap_or(usize::MAX);
    Ok((footer_start, bytes.slice(skip..)))
}

#[cfg(test)]
mod tests {
    use shared::PutMode;
    use shared::testing::MemoryStorage;

    use super::*;

    #[tokio::test]
    async fn a_footer_that_there_is_no_memory_for_is_not_read() {
        let at: Location = "s3://b/k".parse().unwrap();
        let storage = MemoryStorage::default();
        for (bytes, is_read) in [(3_usize << 20, true), (5 << 20, false)] {
            let footer = [&vec![7; bytes][..], &u32::try_from(bytes).unwrap().to_le_bytes(), b"PAR1"].concat();
            storage.put(&at, [b"PAR1", &footer[..]].concat().into(), PutMode::Overwrite).await.unwrap();
            let stat = storage.stat(&at).await.unwrap();
            let read = read_footer(&storage, &at, &stat, &Memory::of_mb(128)).await;
            match read {
                Ok(read) => assert!(is_read && read == (4, footer.into())),
                Err(error) => {
                    assert!(!is_read);
                    assert!(matches!(error, LoadError::Memory { .. }), "{error}");
                    assert!(error.to_string().starts_with("the footer of 5242888 bytes of s3://b/k"), "{error}");
                }
            }
        }
    }
}

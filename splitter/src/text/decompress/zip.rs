//! The directory of a zip archive, which stands at its end: where its one file is.

use std::ops::Range;

use shared::{SourceObject, Storage};

use crate::error::{BadInput, SplitError};

/// The one file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ZipFile {
    /// Where its data stand in the archive.
    pub(super) data: Range<u64>,
    /// Deflated, or stored as it is.
    pub(super) is_deflated: bool,
    pub(super) crc32: u32,
    /// Bytes that it holds.
    pub(super) length: u64,
}

/// An entry of the directory.
#[derive(Debug)]
struct Entry {
    name: Vec<u8>,
    is_encrypted: bool,
    method: u16,
    crc32: u32,
    stored_length: u64,
    length: u64,
    header: u64,
}

/// End record, with the longest comment there can be, and the locator of the end record of large archives before it.
const TAIL_BYTES: u64 = 20 + 22 + 65_535;

/// Most bytes of a directory that is looked into; one of a single file and some folders is a tiny part of that.
const DIRECTORY_BYTES: u64 = 1 << 20;

const MEND: &str = "have the archive written again, or decompress it first";
const ONE_FILE: &str = "Sluice takes archives of one file: unpack it, and drop each file by itself; or load one of them: `unzip -p ARCHIVE NAME | sluice ingest - ...`";
const OFFICE: &str = "save the sheet as CSV";

/// Finds the one file of an archive.
pub(super) async fn the_file(storage: &dyn Storage, source: &SourceObject) -> Result<ZipFile, SplitError> {
    let bad = |reason: String, hint| SplitError::from(BadInput::whole(&source.uri, reason, hint));
    let read = |range: Range<u64>| async move {
        let end = range.end.min(source.size);
        storage.get_range(&source.uri, &source.version, range.start.min(end)..end).await.map_err(SplitError::Source)
    };
    let cut_off = || bad("the zip archive has no directory at its end: it is cut off or damaged".to_owned(), MEND);
    let tail = read(source.size.saturating_sub(TAIL_BYTES)..source.size).await?;
    let end = End::find(&tail).ok_or_else(cut_off)?;
    let end = match end.large {
        Some(at) => End::large(&read(at..at.saturating_add(56)).await?).ok_or_else(cut_off)?,
        None => end,
    };
    if end.length > DIRECTORY_BYTES {
        return Err(bad(format!("the zip archive holds {} files", end.entries), ONE_FILE));
    }
    let directory = read(end.start..end.start.saturating_add(end.length)).await?;
    let entries = entries(&directory, end.entries).ok_or_else(cut_off)?;
    if entries.iter().any(|entry| entry.name == b"[Content_Types].xml") {
        return Err(bad("this is an Excel workbook or another Office document, not CSV or Parquet".to_owned(), OFFICE));
    }
    let files: Vec<Entry> = entries.into_iter().filter(|entry| !entry.name.ends_with(b"/")).collect();
    if files.len() > 1 {
        return Err(bad(format!("the zip archive holds {} files: {}", files.len(), names(&files)), ONE_FILE));
    }
    let Some(file) = files.into_iter().next() else {
        return Err(bad("the zip archive holds no file".to_owned(), "drop the file itself"));
    };
    if file.is_encrypted {
        return Err(bad("the file in the zip archive is encrypted".to_owned(), "decrypt it first"));
    }
    let is_deflated = match file.method {
        0 => false,
        8 => true,
        method => {
            let reason =
                format!("the file in the zip archive is compressed by method {method}, not deflated or stored");
            return Err(bad(reason, MEND));
        }
    };
    let header = read(file.header..file.header.saturating_add(30)).await?;
    let start = data_start(&header).and_then(|length| file.header.checked_add(length)).ok_or_else(cut_off)?;
    let data_end = start.checked_add(file.stored_length).filter(|end| *end <= source.size).ok_or_else(cut_off)?;
    Ok(ZipFile { data: start..data_end, is_deflated, crc32: file.crc32, length: file.length })
}

/// The names of the first files, in UTF-8 as far as they are.
fn names(files: &[Entry]) -> String {
    /// Most that are named.
    const NAMED: usize = 3;
    let mut names: Vec<_> = files.iter().take(NAMED).map(|file| String::from_utf8_lossy(&file.name)).collect();
    if files.len() > NAMED {
        names.push("…".into());
    }
    names.join(", ")
}

/// What the end record says of the directory.
#[derive(Debug, PartialEq, Eq)]
struct End {
    entries: u64,
    start: u64,
    length: u64,
    /// Where the end record of large archives is, where the archive is one.
    large: Option<u64>,
}

impl End {
    /// Finds the last end record, whose comment reaches to the end of the file.
    fn find(tail: &[u8]) -> Option<Self> {
        let at = memchr::memmem::rfind_iter(tail, b"PK\x05\x06")
            .find(|at| u16_at(tail, at + 20).is_some_and(|comment| at + 22 + usize::from(comment) == tail.len()))?;
        let end = tail.get(at..)?;
        let locator = at.checked_sub(20).and_then(|before| tail.get(before..at));
        let large = locator.filter(|locator| locator.starts_with(b"PK\x06\x07")).and_then(|locator| u64_at(locator, 8));
        Some(Self {
            entries: u16_at(end, 10)?.into(),
            length: u32_at(end, 12)?.into(),
            start: u32_at(end, 16)?.into(),
            large,
        })
    }

    /// The end record of large archives.
    fn large(record: &[u8]) -> Option<Self> {
        let record = Some(record).filter(|record| record.starts_with(b"PK\x06\x06"))?;
        let (entries, length, start) = (u64_at(record, 32)?, u64_at(record, 40)?, u64_at(record, 48)?);
        Some(Self { entries, start, length, large: None })
    }
}

fn entries(mut directory: &[u8], count: u64) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    for _ in 0..count {
        if !directory.starts_with(b"PK\x01\x02") {
            return None;
        }
        let lengths = [u16_at(directory, 28)?, u16_at(directory, 30)?, u16_at(directory, 32)?];
        let [name, extra, comment] = lengths.map(usize::from);
        let extra_start = 46 + name;
        let mut large = LargeFields(large_field(directory.get(extra_start..extra_start + extra)?));
        // In this order, each only where the field of 32 bits is full.
        let length = large.or_next(u32_at(directory, 24)?)?;
        let stored_length = large.or_next(u32_at(directory, 20)?)?;
        let header = large.or_next(u32_at(directory, 42)?)?;
        entries.push(Entry {
            name: directory.get(46..extra_start)?.to_vec(),
            is_encrypted: u16_at(directory, 8)? & 1 != 0,
            method: u16_at(directory, 10)?,
            crc32: u32_at(directory, 16)?,
            stored_length,
            length,
            header,
        });
        directory = directory.get(extra_start + extra + comment..)?;
    }
    Some(entries)
}

/// The extra field with numbers of 64 bits; empty where there is none.
fn large_field(mut extra: &[u8]) -> &[u8] {
    while let (Some(id), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let end = 4 + usize::from(length);
        if id == 1 {
            return extra.get(4..end).unwrap_or_default();
        }
        extra = extra.get(end..).unwrap_or_default();
    }
    &[]
}

/// Numbers of 64 bits that have not been taken yet.
struct LargeFields<'a>(&'a [u8]);

impl LargeFields<'_> {
    fn or_next(&mut self, small: u32) -> Option<u64> {
        if small != u32::MAX {
            return Some(small.into());
        }
        let large = u64_at(self.0, 0)?;
        self.0 = self.0.get(8..)?;
        Some(large)
    }
}

/// Length of the header that stands before the data of a file.
fn data_start(header: &[u8]) -> Option<u64> {
    let header = Some(header).filter(|header| header.starts_with(b"PK\x03\x04"))?;
    Some(30 + u64::from(u16_at(header, 26)?) + u64::from(u16_at(header, 28)?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

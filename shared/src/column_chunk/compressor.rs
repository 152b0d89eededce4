//! Pages become smaller, where that pays.

use std::fmt;

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::column::page::{CompressedPage, Page};
use parquet::errors::ParquetError;

/// Compression that saves less than this share of a column, as a divisor, is left out: it would cost every reader.
const LEAST_SAVED: usize = 10;

/// Compresses pages, in memory that is kept from one to the next.
pub struct Compressor {
    compression: Compression,
    snappy: snap::raw::Encoder,
    room: Vec<u8>,
    /// Made for the first page that is compressed by zstd.
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("compression", &self.compression).finish_non_exhaustive()
    }
}

impl Compressor {
    /// Compresses by this codec: none, Snappy, raw LZ4 or zstd. Other codecs leave pages as they are.
    pub fn new(compression: Compression) -> Self {
        Self { compression, snappy: snap::raw::Encoder::new(), room: Vec::new(), zstd: None }
    }

    /// Compresses pages, if that pays for all of them together, as a column has one codec.
    pub(super) fn compress(
        &mut self,
        mut pages: Vec<Page>,
    ) -> Result<(Compression, Vec<CompressedPage>), ParquetError> {
        let sizes: Vec<usize> = pages.iter().map(|page| page.buffer().len()).collect();
        let compressed: Result<Vec<_>, _> = pages.iter().map(|page| self.compress_page(page.buffer())).collect();
        let compressed: Vec<Bytes> = compressed?.into_iter().flatten().collect();
        let (before, after) = (sizes.iter().sum::<usize>(), compressed.iter().map(Bytes::len).sum::<usize>());
        let pays = compressed.len() == pages.len() && after + before / LEAST_SAVED <= before;
        if pays {
            for (page, compressed) in pages.iter_mut().zip(compressed) {
                let (Page::DataPage { buf, .. } | Page::DataPageV2 { buf, .. } | Page::DictionaryPage { buf, .. }) =
                    page;
                *buf = compressed;
            }
        }
        let pages = pages.into_iter().zip(sizes).map(|(page, size)| CompressedPage::new(page, size)).collect();
        Ok((if pays { self.compression } else { Compression::UNCOMPRESSED }, pages))
    }

    /// `None` where there is nothing to compress with.
    fn compress_page(&mut self, page: &[u8]) -> Result<Option<Bytes>, ParquetError> {
        let compressed = match self.compression {
            Compression::SNAPPY => return self.compress_by_snappy(page).map(Some),
            Compression::LZ4_RAW => lz4_flex::block::compress(page),
            Compression::ZSTD(level) => {
                let zstd = match &mut self.zstd {
                    Some(zstd) => zstd,
                    none => none.insert(zstd::bulk::Compressor::new(level.compression_level())?),
                };
                zstd.compress(page)?
            }
            _ => return Ok(None),
        };
        Ok(Some(compressed.into()))
    }

    fn compress_by_snappy(&mut self, page: &[u8]) -> Result<Bytes, ParquetError> {
        let most = snap::raw::max_compress_len(page.len());
        if self.room.len() < most {
            self.room = vec![0; most];
        }
        let length = self.snappy.compress(page, &mut self.room);
        let length = length.map_err(|error| ParquetError::External(error.into()))?;
        Ok(Bytes::copy_from_slice(self.room.get(..length).unwrap_or_default()))
    }
}

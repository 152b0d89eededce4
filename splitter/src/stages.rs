//! The stages of the pipeline, each by itself, for benchmarks. As in the pipeline, what came of one block is gone before the next.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use shared::{Format, Location};

use crate::blocks::{blocks, text_source};
use crate::chunk::encode::{EncodeError, compression, encode_text};
use crate::chunk::row_group::ChunkSchema;
use crate::column::cell::{Cells, STRIP};
use crate::column::types::schema;
use crate::context::SplitContext;
use crate::csv::fields::Fields;
use crate::decode::{Decoded, decode};
use crate::error::SplitError;
use crate::examination::Examination;
use crate::examine::examine;
use crate::json::Objects;
use crate::records::format::RecordFormat;
use crate::records::framer::{Block, Framer};
use crate::text::{Start, TextSource};

/// Bytes that are free after a piece, as after a range of a store: room to complete its last record.
const ROOM_BYTES: usize = 16 << 10;

/// A source of text, and what each stage is given of it, which is made beforehand and held in memory.
#[derive(Debug)]
pub struct Stages {
    examination: Examination,
    format: RecordFormat,
    schema: Arc<ChunkSchema>,
    source: TextSource,
    start: Start,
    pieces: Vec<Bytes>,
    blocks: Vec<Block>,
    decoded: Vec<Decoded>,
}

impl Stages {
    /// Examines a source and takes it through all stages. Fails with what is wrong with it, and with an internal error of Parquet,
    /// which has no text.
    pub async fn of(context: &SplitContext, uri: &Location) -> Result<Self, SplitError> {
        let examination = examine(context, uri).await?;
        let Examination { source, policy, .. } = &examination;
        let format: RecordFormat = match &policy.format {
            Format::Csv(csv) => csv.into(),
            Format::Ndjson(json) => json.into(),
            Format::Parquet { .. } => return Err(SplitError::internal(uri, "Parquet has no text")),
        };
        let schema = ChunkSchema::of(&schema(format.columns())).map_err(|error| SplitError::internal(uri, error))?;
        let start = Start { from: format.data_start(), resume_point: None };
        let text = text_source(context, source, policy.text.clone(), policy.block_bytes);
        let pieces = text.clone().pieces(start.clone(), Arc::default()).map_ok(|piece| piece.text);
        let blocks = blocks(context, source, policy, &format, start.clone(), &Arc::default());
        let (pieces, blocks) = (pieces.try_collect().await?, blocks.map_ok(|(block, _)| block).try_collect().await?);
        let stages = Self {
            schema: Arc::new(schema),
            source: text,
            format,
            start,
            pieces,
            blocks,
            decoded: vec![],
            examination,
        };
        let decoded = stages.blocks.iter().map(|block| stages.decode_block(block)).collect::<Result<_, _>>()?;
        Ok(Self { decoded, ..stages })
    }

    /// Bytes of the text.
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// Stored bytes → text: reads, decompresses and transcodes; bytes of the text.
    pub async fn text(&self) -> Result<usize, SplitError> {
        let pieces = self.source.clone().pieces(self.start.clone(), Arc::default());
        pieces.try_fold(0, async |bytes, piece| Ok(bytes + piece.text.len())).await
    }

    /// The text as it comes to [`Self::blocks`], which takes possession of it: a copy.
    pub fn pieces(&self) -> Vec<Bytes> {
        let copy = |piece: &Bytes| {
            let mut copy = BytesMut::with_capacity(piece.len() + ROOM_BYTES);
            copy.extend_from_slice(piece);
            copy.freeze()
        };
        self.pieces.iter().map(copy).collect()
    }

    /// Text → blocks; how many.
    pub fn blocks(&self, pieces: Vec<Bytes>) -> usize {
        let (dialect, block_bytes) = (self.format.dialect(), self.examination.policy.block_bytes);
        let mut framer = Framer::new(dialect, block_bytes, self.max_record_bytes(), self.start.from);
        let mut blocks = 0;
        for piece in pieces {
            framer.push(piece);
            while framer.next_block().is_some() {
                blocks += 1;
            }
        }
        while framer.last_block().is_some() {
            blocks += 1;
        }
        blocks
    }

    /// Blocks → records and their fields; records that have as many fields as there are columns.
    pub fn fields(&self) -> usize {
        let of_block = |block: &Block| match &self.format {
            RecordFormat::Csv(csv) => count(&mut Fields::new(block, csv, self.max_record_bytes())),
            RecordFormat::Ndjson(json) => Objects::read(block, json, self.max_record_bytes()).rows(),
        };
        self.blocks.iter().map(of_block).sum()
    }

    /// Blocks → typed columns, by way of [`Self::fields`]; rows.
    pub fn decode(&self) -> Result<usize, SplitError> {
        self.blocks.iter().map(|block| Ok(self.decode_block(block)?.rows.rows)).sum()
    }

    /// Typed columns → row groups; their bytes.
    pub fn encode(&self) -> Result<usize, SplitError> {
        self.decoded.iter().map(|decoded| self.encode_rows(decoded)).sum()
    }

    fn max_record_bytes(&self) -> usize {
        usize::try_from(self.examination.policy.max_record_bytes).unwrap_or(usize::MAX)
    }

    fn decode_block(&self, block: &Block) -> Result<Decoded, SplitError> {
        let Examination { source, policy, .. } = &self.examination;
        let decoded = decode(block, &self.format, policy.bad_records, policy.max_record_bytes);
        decoded.map_err(|error| SplitError::internal(&source.uri, error))
    }

    fn encode_rows(&self, decoded: &Decoded) -> Result<usize, SplitError> {
        let Examination { source, policy, .. } = &self.examination;
        let row_groups = encode_text(&decoded.rows, &self.schema, compression(&policy.codec), policy.chunk_bytes);
        let row_groups = row_groups.map_err(|error| match error {
            EncodeError::Parquet(error) => SplitError::internal(&source.uri, error),
            EncodeError::RowTooLarge => SplitError::internal(&source.uri, "a row is larger than a chunk"),
        })?;
        let bytes = row_groups.iter().map(|row_group| row_group.metadata.compressed_size()).sum::<i64>();
        Ok(usize::try_from(bytes).unwrap_or_default())
    }
}

/// Goes through all rows of a block.
fn count(rows: &mut impl Cells) -> usize {
    std::iter::from_fn(|| Some(rows.advance(STRIP)).filter(|count| *count > 0)).sum()
}

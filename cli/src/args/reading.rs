//! What the user typed about how a source is read and cut.
#![expect(clippy::doc_markdown, reason = "the comments on options are their help texts")]

/// How a source is read and cut.
#[derive(Debug, clap::Args)]
pub(crate) struct ReadingArgs {
    /// Most MiB of a chunk as written [env: CHUNK_SIZE_MB] [default: 100]
    #[arg(long, value_name = "N")]
    chunk_size_mb: Option<String>,
    /// Compression of chunks: snappy, zstd, lz4 or none [env: CHUNK_CODEC] [default: snappy]
    #[arg(long, value_name = "CODEC")]
    chunk_codec: Option<String>,
    /// What the file is: csv, ndjson, parquet or auto [env: FORMAT] [default: auto]
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// How column types are found: sample, full or none [env: INFER] [default: sample]
    #[arg(long, value_name = "HOW")]
    infer: Option<String>,
    /// Types of columns, as id:int64,price:decimal(12,2),day:date [env: SCHEMA]
    #[arg(long, value_name = "NAME:TYPE,...")]
    schema: Option<String>,
    /// How columns are named: lower, snake or keep [env: COLUMN_NAMES] [default: lower]
    #[arg(long, value_name = "HOW")]
    column_names: Option<String>,
    /// Compression of the file: auto, none, gzip, zstd, bzip2, xz, lz4, snappy, zip [env: COMPRESSION] [default: auto]
    #[arg(long, value_name = "NAME")]
    compression: Option<String>,
    /// Encoding of its text: auto, or a label such as utf-16le or windows-1252 [env: ENCODING] [default: auto]
    #[arg(long, value_name = "LABEL")]
    encoding: Option<String>,
    /// Most MiB that a compressed file may expand to [env: MAX_EXPANDED_MB]
    #[arg(long, value_name = "N")]
    max_expanded_mb: Option<String>,
    /// Times its size that it may expand to, beyond 256 MiB [env: MAX_EXPANSION_RATIO] [default: 1000]
    #[arg(long, value_name = "N")]
    max_expansion_ratio: Option<String>,
    /// Most MiB of memory that the footer of a Parquet file may take [env: MAX_FOOTER_MB] [default: 128]
    #[arg(long, value_name = "N")]
    max_footer_mb: Option<String>,
    /// Field separator of a CSV: one character, tab, a byte such as 0x1f, or auto [env: CSV_DELIMITER] [default: auto]
    #[arg(long, value_name = "CHAR")]
    csv_delimiter: Option<String>,
    /// Quote character of a CSV: one character, none or auto [env: CSV_QUOTE] [default: auto]
    #[arg(long, value_name = "CHAR")]
    csv_quote: Option<String>,
    /// Character that makes the one behind it text within quotes: one character, none or auto [env: CSV_ESCAPE] [default: auto]
    #[arg(long, value_name = "CHAR")]
    csv_escape: Option<String>,
    /// Character at the start of lines that are no records and are left out: one character or none [env: CSV_COMMENT]
    #[arg(long, value_name = "CHAR")]
    csv_comment: Option<String>,
    /// Character that ends a record: one character, a byte such as 0x1e, or auto [env: CSV_TERMINATOR] [default: auto]
    #[arg(long, value_name = "CHAR")]
    csv_terminator: Option<String>,
    /// Rows of the header: true, false, a number or auto [env: CSV_HEADER] [default: auto]
    #[arg(long, value_name = "ROWS")]
    csv_header: Option<String>,
    /// Lines before the header that are no part of the table, or auto [env: CSV_SKIP_LINES] [default: auto]
    #[arg(long, value_name = "N")]
    csv_skip_lines: Option<String>,
    /// What stands before the fraction of a number: ".", "," or auto [env: CSV_DECIMAL] [default: auto]
    #[arg(long, value_name = "CHAR")]
    csv_decimal: Option<String>,
    /// Words that mean null in every column [env: NULL_WORDS]
    #[arg(long, value_name = "A,B")]
    null_words: Option<String>,
    /// What becomes of a bad record: quarantine, fail, null or widen [env: BAD_RECORDS] [default: quarantine]
    #[arg(long, value_name = "HOW")]
    bad_records: Option<String>,
    /// Rejected records, as a number or a percentage, beyond which the file is given up [env: MAX_BAD_RECORDS]
    #[arg(long, value_name = "N_OR_%")]
    max_bad_records: Option<String>,
    /// Most MiB of one record [env: MAX_RECORD_MB] [default: 16]
    #[arg(long, value_name = "N")]
    max_record_mb: Option<String>,
    /// Memory of the process in MiB, that work waits for [env: MEMORY_MB] [default: that of the container, else 512]
    #[arg(long, value_name = "N")]
    memory_mb: Option<String>,
}

impl ReadingArgs {
    /// The variables that these options stand for.
    pub(super) fn variables(&self) -> [(&'static str, Option<&str>); 24] {
        [
            ("CHUNK_SIZE_MB", self.chunk_size_mb.as_deref()),
            ("CHUNK_CODEC", self.chunk_codec.as_deref()),
            ("FORMAT", self.format.as_deref()),
            ("INFER", self.infer.as_deref()),
            ("SCHEMA", self.schema.as_deref()),
            ("COLUMN_NAMES", self.column_names.as_deref()),
            ("COMPRESSION", self.compression.as_deref()),
            ("ENCODING", self.encoding.as_deref()),
            ("MAX_EXPANDED_MB", self.max_expanded_mb.as_deref()),
            ("MAX_EXPANSION_RATIO", self.max_expansion_ratio.as_deref()),
            ("MAX_FOOTER_MB", self.max_footer_mb.as_deref()),
            ("CSV_DELIMITER", self.csv_delimiter.as_deref()),
            ("CSV_QUOTE", self.csv_quote.as_deref()),
            ("CSV_ESCAPE", self.csv_escape.as_deref()),
            ("CSV_COMMENT", self.csv_comment.as_deref()),
            ("CSV_TERMINATOR", self.csv_terminator.as_deref()),
            ("CSV_HEADER", self.csv_header.as_deref()),
            ("CSV_SKIP_LINES", self.csv_skip_lines.as_deref()),
            ("CSV_DECIMAL", self.csv_decimal.as_deref()),
            ("NULL_WORDS", self.null_words.as_deref()),
            ("BAD_RECORDS", self.bad_records.as_deref()),
            ("MAX_BAD_RECORDS", self.max_bad_records.as_deref()),
            ("MAX_RECORD_MB", self.max_record_mb.as_deref()),
            ("MEMORY_MB", self.memory_mb.as_deref()),
        ]
    }
}

//! Records of a text: where they end, where fields are, and which are rejected.

pub(crate) mod block_lines;
pub(crate) mod content;
pub(crate) mod field;
pub(crate) mod format;
pub(crate) mod framer;
pub(crate) mod object;
pub(crate) mod record_ends;
pub(crate) mod rejects;
pub(crate) mod rows;
pub(crate) mod span;
pub(crate) mod structural;
pub(crate) mod unterminated;

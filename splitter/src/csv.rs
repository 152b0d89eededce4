//! CSV: its dialect and header, its records and their fields.

pub(crate) mod dialect;
pub(crate) mod fields;
pub(crate) mod fixed_width;
pub(crate) mod footer;
pub(crate) mod head_lines;
pub(crate) mod header;
pub(crate) mod known_names;
pub(crate) mod record;

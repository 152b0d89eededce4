//! A digest of the text of a source, by which the same content is recognised in another drop.

use shared::checksum::Checksum;

use crate::records::framer::Block;

/// A digest of the text of a source after its header, block by block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content(String);

impl Content {
    /// The digest that a checkpoint has of the text before its block.
    pub(crate) fn resume(noted: Option<&String>) -> Self {
        Self(noted.cloned().unwrap_or_default())
    }

    /// The digest with one block more, of which there is this.
    #[must_use]
    pub(crate) fn with(&self, block: &str) -> Self {
        let mut checksum = Checksum::default();
        checksum.update(self.0.as_bytes());
        checksum.update(block.as_bytes());
        Self(checksum.text())
    }

    /// The digest as text.
    pub(crate) fn text(&self) -> String {
        self.0.clone()
    }
}

/// What a digest takes of a block.
pub(crate) fn of_block(block: &Block) -> String {
    let mut checksum = Checksum::default();
    checksum.update(&block.start.to_be_bytes());
    checksum.update(&block.text);
    checksum.text()
}

//! The checksum of chunks: CRC-64/NVME, the full-object checksum that S3 computes too.

use crc_fast::{CrcAlgorithm, Digest};

/// A checksum in the making; bytes are added in the order in which they stand in the object.
#[derive(Clone, Debug)]
pub struct Checksum(Digest);

impl Default for Checksum {
    fn default() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Nvme))
    }
}

impl Checksum {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes so far, as `crc64nvme:` and sixteen hexadecimal digits.
    pub fn text(&self) -> String {
        text(self.0.finalize())
    }
}

/// A checksum as text.
pub(crate) fn text(value: u64) -> String {
    format!("crc64nvme:{value:016x}")
}

#[cfg(test)]
mod tests {
    use super::Checksum;

    #[test]
    fn check_value_of_the_catalogue() {
        let mut checksum = Checksum::default();
        checksum.update(b"1234");
        checksum.update(b"56789");
        assert_eq!(checksum.text(), "crc64nvme:ae8b14860a799888");
    }
}

//! Where reading of a compressed or transcoded source can resume.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A place in a source at which its text can be read on without what stands before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePoint {
    /// Offset in the file as it is stored.
    pub stored: u64,
    /// Decompressed bytes before that place.
    pub expanded: u64,
    /// Decompressed bytes from that place on which belong to text before `text`.
    pub skip: u64,
    /// Byte offset of the text that begins here.
    pub text: u64,
    /// What the decompressor must know, in the middle of a gzip member or of the file in a zip archive.
    pub member: Option<MemberState>,
}

/// State of a decompressor between two blocks of deflated data. Of data that is stored as it is, only what is counted.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberState {
    /// Bits of the byte before that belong to the next block, 0 to 7.
    pub bits: u8,
    /// These bits, the lowest first.
    pub bit_buffer: u8,
    /// CRC-32 of what the member or file holds so far.
    pub crc32: u32,
    /// Bytes that it holds so far.
    pub length: u64,
    /// The last 32 KiB of these, as many as there are; base64 in JSON.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub window: Vec<u8>,
}

impl std::fmt::Debug for MemberState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A list of thirty thousand numbers does not help.
        f.debug_struct("MemberState").field("length", &self.length).finish_non_exhaustive()
    }
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    use base64::Engine;
    serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    use base64::Engine;
    let text = String::deserialize(deserializer)?;
    base64::engine::general_purpose::STANDARD.decode(text).map_err(serde::de::Error::custom)
}

//! Where a job keeps what it makes.

use crate::job::JobId;
use crate::location::Location;

/// The work area of one job, below the chunk prefix: the names of everything in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkArea {
    root: Location,
}

impl WorkArea {
    /// The work area of a job below a prefix.
    pub fn new(prefix: &Location, job: &JobId) -> Self {
        Self { root: prefix.join(job.as_str()) }
    }

    /// The work area that a chunk lies in; `None` when it lies in none.
    pub fn of_chunk(chunk: &Location) -> Option<Self> {
        let chunks = chunk.parent()?;
        (chunks.name() == "chunks").then(|| chunks.parent()).flatten().map(|root| Self { root })
    }

    /// The work area of another job below the same prefix.
    #[must_use]
    pub fn beside(&self, job: &JobId) -> Self {
        Self { root: self.root.parent().map_or_else(|| self.root.clone(), |prefix| prefix.join(job.as_str())) }
    }

    /// The whole area.
    pub fn root(&self) -> &Location {
        &self.root
    }

    /// What is being split, and how; written first.
    pub fn job(&self) -> Location {
        self.root.join("job.json")
    }

    /// A chunk.
    pub fn chunk(&self, index: u32) -> Location {
        self.root.join(&format!("chunks/{index:05}.parquet"))
    }

    /// Where a later attempt resumes.
    pub fn checkpoint(&self) -> Location {
        self.root.join("checkpoint.json")
    }

    /// All rejected records.
    pub fn quarantine(&self) -> Location {
        self.root.join("quarantine")
    }

    /// Records that the splitter rejected while it made a chunk.
    pub fn split_quarantine(&self, chunk: u32, part: u32) -> Location {
        self.root.join(&format!("quarantine/split-{chunk:05}-{part:03}.parquet"))
    }

    /// Rows of a chunk that the worker rejected.
    pub fn load_quarantine(&self, chunk: u32) -> Location {
        self.root.join(&format!("quarantine/load-{chunk:05}.parquet"))
    }

    /// Whether an object of a quarantine holds rows that the worker rejected.
    pub fn is_load_quarantine(at: &Location) -> bool {
        at.name().starts_with("load-")
    }

    /// What was split; written last by the splitter.
    pub fn manifest(&self) -> Location {
        self.root.join("manifest.json")
    }

    /// What became of the rows of a chunk, written before its commit: what the chunk receipt is made of when a worker dies
    /// between the two.
    pub fn staged(&self, index: u32) -> Location {
        self.root.join(&format!("staged/{index:05}.json"))
    }

    /// The same of an attempt that was not the first.
    pub fn staged_again(&self, index: u32, attempt: &str) -> Location {
        self.root.join(&format!("staged/{index:05}-{attempt}.json"))
    }

    /// The data files of a chunk that waits for the others of its file.
    pub fn prepared(&self, index: u32) -> Location {
        self.root.join(&format!("prepared/{index:05}.json"))
    }

    /// All chunks that wait for the others of their file.
    pub fn all_prepared(&self) -> Location {
        self.root.join("prepared")
    }

    /// All chunk receipts.
    pub fn loaded(&self) -> Location {
        self.root.join("loaded")
    }

    /// The receipt of one chunk; written after its commit.
    pub fn chunk_receipt(&self, index: u32) -> Location {
        self.root.join(&format!("loaded/{index:05}.json"))
    }

    /// The chunk whose document this is, by its name, which is that of [`Self::chunk_receipt`] or [`Self::prepared`]; none for what else
    /// may lie beside these.
    pub fn index_of(document: &Location) -> Option<u32> {
        let digits = document.name().strip_suffix(".json")?;
        let is_number = digits.len() >= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse().ok()).flatten()
    }

    /// Written once, when every chunk is committed.
    pub fn receipt(&self) -> Location {
        self.root.join("receipt.json")
    }

    /// Why the last run on one machine did not load all chunks.
    pub fn load_failure(&self) -> Location {
        self.root.join("failed.json")
    }

    /// Says that the notice of the receipt was sent.
    pub fn noticed(&self) -> Location {
        self.root.join("noticed.json")
    }

    /// What was removed from the table when the job was undone; the last word on it, whatever the receipt says.
    pub fn undone(&self) -> Location {
        self.root.join("undone.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_knows_its_area() {
        let area = WorkArea::new(&"s3://b/p".parse().unwrap(), &JobId::from("j-1".to_owned()));
        assert_eq!(area.chunk(7).to_string(), "s3://b/p/j-1/chunks/00007.parquet");
        assert_eq!(WorkArea::of_chunk(&area.chunk(7)), Some(area));
        assert_eq!(WorkArea::of_chunk(&"s3://b/x.parquet".parse().unwrap()), None);
    }

    #[test]
    fn documents_of_chunks() {
        let area = WorkArea::new(&"s3://b/p".parse().unwrap(), &JobId::from("j-1".to_owned()));
        for index in [0, 7, 123_456] {
            assert_eq!(WorkArea::index_of(&area.chunk_receipt(index)), Some(index));
        }
        for name in ["00000.json_first-wins-0f-one", "00000-0f.json", "7.json", "+0007.json", "x.json", "00000.json~"] {
            assert_eq!(WorkArea::index_of(&area.loaded().join(name)), None, "{name}");
        }
    }
}

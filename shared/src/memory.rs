//! The memory of this process: how much there is, and who has which part of it in use.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds of `MEMORY_MB`.
pub(crate) const LEAST_MEMORY_MB: u64 = 128;
pub(crate) const MOST_MEMORY_MB: u64 = 1 << 20;

/// What the process takes for itself: its code, its threads, connections, and the state of its tables.
const OWN_BYTES: u64 = 64 << 20;

/// Memory where nothing says how much there is.
const DEFAULT_MB: u64 = 512;

/// Unit of the account: a permit counts 32 bits.
const UNIT: u64 = 1 << 10;

/// The account of one process's memory. Clones are of the same account.
///
/// Work that holds much takes its share before it begins and returns it when it ends, so that work waits for memory and is not
/// killed for it. Nobody who holds a share asks for another, so that nobody waits for himself.
#[derive(Clone, Debug)]
pub struct Memory {
    mb: u64,
    free: Arc<Semaphore>,
}

/// A part of the memory in use. It is returned when this is dropped.
#[derive(Debug)]
pub struct MemoryShare {
    permit: Option<OwnedSemaphorePermit>,
}

/// Work needs more memory than there is, however long it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it needs {} MiB of memory, and MEMORY_MB={mb} leaves {} MiB for it", needed.div_ceil(1 << 20), left >> 20)]
pub struct MemoryTooSmall {
    /// Bytes that it needs.
    pub needed: u64,
    /// Bytes that there are for all work.
    pub left: u64,
    /// The setting that says so, in MiB.
    pub mb: u64,
    /// The least setting with which the same work has room, in MiB: with more memory it may be done in larger pieces.
    pub sufficient_mb: u64,
}

impl MemoryTooSmall {
    /// What helps.
    pub fn hint(&self) -> String {
        let mb = self.sufficient_mb;
        format!("set MEMORY_MB={mb} where there is as much, or give the function {mb} MB of memory")
    }
}

impl Memory {
    /// An account of so many MiB.
    pub fn of_mb(mb: u64) -> Self {
        let units = usize::try_from((mb << 20).saturating_sub(OWN_BYTES) / UNIT).unwrap_or(Semaphore::MAX_PERMITS);
        Self { mb, free: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))) }
    }

    /// The setting, in MiB.
    pub fn mb(&self) -> u64 {
        self.mb
    }

    /// Bytes for all work together.
    pub fn bytes(&self) -> u64 {
        (self.mb << 20).saturating_sub(OWN_BYTES)
    }

    /// A part of the whole, within bounds: how much one piece of work may keep before it writes it down.
    pub fn part(&self, of: u64, least: u64, most: u64) -> u64 {
        (self.bytes() / of.max(1)).clamp(least, most)
    }

    /// How many pieces of work there is room for at once, of `each` bytes; `most` at most, and one at least.
    pub fn at_once(&self, most: usize, each: u64) -> usize {
        usize::try_from(self.bytes() / each.max(1)).unwrap_or(usize::MAX).clamp(1, most.max(1))
    }

    /// Bytes that work needs which goes by the memory that there is, if there will be as many once all others have returned theirs.
    pub fn check(&self, needed: impl Fn(&Self) -> u64) -> Result<u64, MemoryTooSmall> {
        let (bytes, left) = (needed(self), self.bytes());
        if bytes <= left {
            return Ok(bytes);
        }
        let (mut sufficient_mb, mut wanted) = (self.mb, bytes);
        // With more memory the work may need more, but less than that more.
        while wanted > Self::of_mb(sufficient_mb).bytes() && sufficient_mb < MOST_MEMORY_MB {
            sufficient_mb = wanted.saturating_add(OWN_BYTES).div_ceil(1 << 20);
            wanted = needed(&Self::of_mb(sufficient_mb));
        }
        Err(MemoryTooSmall { needed: bytes, left, mb: self.mb, sufficient_mb })
    }

    /// Takes a share of so many bytes, and waits until others have returned as much. Who waits for more is not overtaken by who wants
    /// less.
    pub async fn reserve(&self, bytes: u64) -> Result<MemoryShare, MemoryTooSmall> {
        self.reserve_for(|_| bytes).await
    }

    /// As [`Self::reserve`], for work that goes by the memory that there is.
    pub async fn reserve_for(&self, needed: impl Fn(&Self) -> u64) -> Result<MemoryShare, MemoryTooSmall> {
        let units = self.units(self.check(needed)?);
        // Nobody closes it.
        let permit = Arc::clone(&self.free).acquire_many_owned(units).await.ok();
        Ok(MemoryShare { permit })
    }

    /// Makes a share one of so many bytes, if as many are free now; whether it is. Never waits, since others may wait for this share.
    pub fn try_grow(&self, share: &mut MemoryShare, bytes: u64) -> bool {
        if bytes > self.bytes() {
            return false;
        }
        let held = share.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = self.units(bytes).saturating_sub(u32::try_from(held).unwrap_or(u32::MAX));
        match (Arc::clone(&self.free).try_acquire_many_owned(more), &mut share.permit) {
            (Ok(more), Some(held)) => held.merge(more),
            (Ok(more), held) => *held = Some(more),
            (Err(_), _) => return false,
        }
        true
    }

    fn units(&self, bytes: u64) -> u32 {
        let whole = u32::try_from(self.bytes() / UNIT).unwrap_or(u32::MAX);
        u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(whole)
    }
}

/// Two accounts of as much memory are the same setting.
impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        self.mb == other.mb
    }
}

/// The memory that this process was given, in MiB: that of its function, or of its control group; else a default.
pub(crate) fn given_mb(lookup: impl Fn(&str) -> Option<String>) -> u64 {
    let function = lookup("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|text| text.parse().ok());
    let given = function.or_else(|| group_mb(Path::new("/sys/fs/cgroup"), Path::new("/proc/self/cgroup")));
    given.unwrap_or(DEFAULT_MB).clamp(LEAST_MEMORY_MB, MOST_MEMORY_MB)
}

/// The least limit of the control groups that this process is in, in MiB; none where there is no limit. A container sees its own
/// group at the root.
fn group_mb(root: &Path, own: &Path) -> Option<u64> {
    let groups = std::fs::read_to_string(own).unwrap_or_default();
    let own = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        match controllers {
            "" => Some(root.join(path)),
            _ if controllers.split(',').any(|one| one == "memory") => Some(root.join("memory").join(path)),
            _ => None,
        }
    });
    let folders = own.chain([root.to_owned(), root.join("memory")]);
    let above = |folder: std::path::PathBuf| {
        let within: Vec<_> =
            folder.ancestors().take_while(|above| above.starts_with(root)).map(Path::to_owned).collect();
        within
    };
    let files = folders.flat_map(above).flat_map(|at| [at.join("memory.max"), at.join("memory.limit_in_bytes")]);
    let limits = files.filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok());
    // The first version says "no limit" by a number beyond all memory.
    limits.min().map(|bytes| bytes >> 20).filter(|mb| *mb < 1 << 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_waits_for_memory_and_returns_it() {
        let memory = Memory::of_mb(128);
        let first = memory.reserve(40 << 20).await.unwrap();
        let second = memory.clone();
        let second = tokio::spawn(async move { second.reserve(40 << 20).await.map(drop) });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_never_fits_is_refused_with_what_would_do() {
        let refused = Memory::of_mb(128).reserve(65 << 20).await.unwrap_err();
        insta::assert_snapshot!(refused, @"it needs 65 MiB of memory, and MEMORY_MB=128 leaves 64 MiB for it");
        insta::assert_snapshot!(refused.hint(), @"set MEMORY_MB=129 where there is as much, or give the function 129 MB of memory");
        assert_eq!(Memory::of_mb(refused.sufficient_mb).check(|_| 65 << 20), Ok(65 << 20));
        drop(Memory::of_mb(128).reserve(64 << 20).await.unwrap());
    }

    #[test]
    fn a_hint_takes_into_account_that_more_memory_makes_larger_pieces() {
        // Half of it for pieces of 80 MiB at most, and 100 MiB besides.
        let needed = |memory: &Memory| (100 << 20) + memory.part(2, 0, 80 << 20);
        let refused = Memory::of_mb(128).check(needed).unwrap_err();
        assert_eq!((refused.needed >> 20, refused.sufficient_mb), (132, 244));
        assert!(Memory::of_mb(244).check(needed).is_ok());
        assert!(Memory::of_mb(242).check(needed).is_err());
        // What no memory is enough for ends, too.
        assert!(Memory::of_mb(128).check(|memory| memory.bytes() + 1).unwrap_err().sufficient_mb >= MOST_MEMORY_MB);
    }

    #[tokio::test]
    async fn a_share_grows_only_by_what_is_free() {
        let memory = Memory::of_mb(128);
        let mut share = memory.reserve(40 << 20).await.unwrap();
        assert!(memory.try_grow(&mut share, 30 << 20), "it is large enough");
        let other = memory.reserve(20 << 20).await.unwrap();
        assert!(!memory.try_grow(&mut share, 50 << 20));
        drop(other);
        assert!(memory.try_grow(&mut share, 64 << 20));
        assert!(!memory.try_grow(&mut share, 65 << 20));
        drop(share);
        drop(memory.reserve(64 << 20).await.unwrap());
    }

    #[test]
    fn work_at_once() {
        let memory = Memory::of_mb(512);
        assert_eq!([1, 100, 448, 1000].map(|mib| memory.at_once(4, mib << 20)), [4, 4, 1, 1]);
        assert_eq!(memory.at_once(0, 1), 1);
        assert_eq!(memory.part(14, 1, 64 << 20), 32 << 20);
    }

    #[test]
    fn the_least_limit_of_a_control_group_counts() {
        let folder = tempfile::tempdir().unwrap();
        let (root, own) = (folder.path().join("fs"), folder.path().join("own"));
        let limit = |group: &str, name: &str, text: &str| {
            std::fs::create_dir_all(root.join(group)).unwrap();
            std::fs::write(root.join(group).join(name), text).unwrap();
        };
        std::fs::write(&own, "0::/a/b\n").unwrap();
        assert_eq!(group_mb(&root, &own), None);
        limit("a/b", "memory.max", "max\n");
        assert_eq!(group_mb(&root, &own), None);
        limit("a", "memory.max", "536870912\n");
        assert_eq!(group_mb(&root, &own), Some(512));
        limit("a/b", "memory.max", "268435456\n");
        assert_eq!(group_mb(&root, &own), Some(256));
        std::fs::write(&own, "9:cpu:/x\n4:memory:/c\n").unwrap();
        limit("memory/c", "memory.limit_in_bytes", "134217728\n");
        assert_eq!(group_mb(&root, &own), Some(128));
        std::fs::write(&own, "").unwrap();
        limit("memory", "memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(group_mb(&root, &own), None);
        limit("", "memory.max", "1073741824\n");
        assert_eq!(group_mb(&root, &own), Some(1024));
    }

    #[test]
    fn a_function_says_its_memory() {
        let given = |mb: &str| given_mb(|name| (name == "AWS_LAMBDA_FUNCTION_MEMORY_SIZE").then(|| mb.to_owned()));
        assert_eq!(["1769", "10"].map(given), [1769, LEAST_MEMORY_MB]);
    }
}

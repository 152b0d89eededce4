//! Whether of several writers of one name only the first wins. Commits, jobs and receipts rest on that, and there are servers that
//! speak the protocol of S3 and ignore the header that asks for it: with these, writers overwrite each other in silence.

use std::future::Future;

use bytes::Bytes;
use futures::future::try_join_all;

use super::{Location, PutMode, Storage, StorageError};

/// Writers that race for a name.
const RACERS: usize = 4;

/// Tries it: one put after the other, then several at once. `put` writes to one of two new names, if it is absent, and gives
/// whether it won. `false` says that the store let more than one win.
pub async fn first_wins<E, P>(put: impl Fn(&'static str) -> P) -> Result<bool, E>
where
    P: Future<Output = Result<bool, E>>,
{
    // That the first put lost is no fault: the client may have repeated it.
    put(NAMES[0]).await?;
    if put(NAMES[0]).await? {
        return Ok(false);
    }
    let racers = try_join_all((0..RACERS).map(|_| put(NAMES[1]))).await?;
    Ok(racers.into_iter().filter(|won| *won).count() <= 1)
}

/// Ends of the two names that are written to.
pub const NAMES: [&str; 2] = ["-one", "-two"];

/// What trying it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstWins {
    /// Whether only the first writer won.
    pub is_heeded: bool,
    /// Objects that were written and could not be deleted again.
    pub left_over: Vec<Location>,
}

impl FirstWins {
    /// Tries it with objects below a location.
    pub async fn test(storage: &dyn Storage, below: &Location) -> Result<Self, StorageError> {
        let name = format!("_first-wins-{}", uuid::Uuid::new_v4());
        let at = |end: &str| below.join(&format!("{name}{end}"));
        let put = |end| {
            let at = at(end);
            async move {
                match storage.put(&at, Bytes::new(), PutMode::IfAbsent).await {
                    Ok(()) => Ok(true),
                    Err(StorageError::AlreadyExists { .. }) => Ok(false),
                    Err(error) => Err(error),
                }
            }
        };
        let is_heeded = match first_wins(put).await {
            // Some stores have tried it by themselves.
            Err(StorageError::NotExclusive { .. }) => false,
            tried => tried?,
        };
        let mut left_over = Vec::new();
        for end in NAMES {
            if storage.delete(&at(end)).await.is_err() {
                left_over.push(at(end));
            }
        }
        Ok(Self { is_heeded, left_over })
    }
}

/// Whether an endpoint is a server of somebody's own, rather than one of AWS, of which it is known.
pub fn is_own_server(endpoint: &str) -> bool {
    let host = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let host = host.split(['/', '?']).next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).to_ascii_lowercase();
    ![".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws"].iter().any(|aws| host.ends_with(aws))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn stores_that_let_several_win_are_found() {
        // How many puts to each of the two names win.
        for (most, is_heeded) in [([1, 1], true), ([0, 0], true), ([9, 1], false), ([1, 2], false), ([1, 9], false)] {
            let won = [Cell::new(0), Cell::new(0)];
            let put = |name| {
                let index = usize::from(name == NAMES[1]);
                let wins = won[index].get() < most[index];
                won[index].set(won[index].get() + 1);
                async move { Ok::<_, Infallible>(wins) }
            };
            assert_eq!(first_wins(put).await, Ok(is_heeded), "{most:?}");
        }
    }

    #[test]
    fn endpoints_of_aws_are_known() {
        for (endpoint, is_own) in [
            ("http://127.0.0.1:9000", true),
            ("https://minio.example.com/s3", true),
            ("https://s3.amazonaws.com.example.com", true),
            ("https://s3.eu-central-1.amazonaws.com", false),
            ("https://bucket.vpce-1a2b3c4d.s3.eu-central-1.vpce.amazonaws.com:443", false),
            ("https://s3.cn-north-1.amazonaws.com.cn/", false),
        ] {
            assert_eq!(is_own_server(endpoint), is_own, "{endpoint}");
        }
    }
}

//! Whether of several writers of one name only the first wins. Commits, jobs and receipts rest on that, and there are servers that
//! speak the protocol of S3 and ignore the header that asks for it: with these, writers overwrite each other in silence.

use std::fmt::Display;
use std::future::Future;

use bytes::Bytes;
use futures::future::try_join_all;

use crate::location::Location;
use crate::storage::{PutMode, Storage, StorageError};

/// Writers that race for a name.
const RACERS: usize = 4;

/// Folder of the objects that are written. Nothing is read there, so what is left over of a test that was cut off does no harm.
pub(super) const FOLDER: &str = "_first-wins";

/// Ends of the two names that are written to.
const ENDS: [&str; 2] = ["one", "two"];

/// What trying it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstWins {
    /// Whether only the first writer won.
    pub is_heeded: bool,
    /// Objects that were written and could not be deleted again.
    pub left_over: Vec<String>,
}

/// Tries it: one put after the other, then several at once. `put` writes an empty object of this name, if it is absent, and gives
/// whether it won. Names are new, and in a folder of their own. Afterwards they are deleted.
pub async fn first_wins<E, P, D>(put: impl Fn(String) -> P, delete: impl Fn(String) -> D) -> Result<FirstWins, E>
where
    E: Display,
    P: Future<Output = Result<bool, E>>,
    D: Future<Output = Result<(), E>>,
{
    let id = uuid::Uuid::new_v4();
    let names = ENDS.map(|end| format!("{FOLDER}/{id}-{end}"));
    let is_heeded = race(&names, put).await;
    let mut left_over = Vec::new();
    for name in names {
        if let Err(error) = delete(name.clone()).await {
            tracing::debug!(name, %error, "what was written for a test is left over");
            left_over.push(name);
        }
    }
    Ok(FirstWins { is_heeded: is_heeded?, left_over })
}

async fn race<E, P>(names: &[String; 2], put: impl Fn(String) -> P) -> Result<bool, E>
where
    P: Future<Output = Result<bool, E>>,
{
    let [one, two] = names;
    // That the first put lost is not a fault: the client may have repeated it.
    put(one.clone()).await?;
    if put(one.clone()).await? {
        return Ok(false);
    }
    let racers = try_join_all((0..RACERS).map(|_| put(two.clone()))).await?;
    Ok(racers.into_iter().filter(|won| *won).count() <= 1)
}

impl FirstWins {
    /// Tries it with objects below a location.
    pub async fn test(storage: &dyn Storage, below: &Location) -> Result<Self, StorageError> {
        let put = |name: String| async move {
            match storage.put(&below.join(&name), Bytes::new(), PutMode::IfAbsent).await {
                // Some stores have tried it by themselves: then the second writer gets a success.
                Ok(()) | Err(StorageError::NotExclusive { .. }) => Ok(true),
                Err(StorageError::AlreadyExists { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        };
        first_wins(put, |name| async move { storage.delete(&below.join(&name)).await }).await
    }
}

/// Whether an endpoint is a server of its own, rather than one of AWS, of which it is known.
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
            let (won, deleted) = ([Cell::new(0), Cell::new(0)], Cell::new(0));
            let put = |name: String| {
                let index = usize::from(name.ends_with("-two"));
                let wins = won[index].get() < most[index];
                won[index].set(won[index].get() + 1);
                async move { Ok::<_, Infallible>(wins) }
            };
            let delete = |name: String| {
                assert!(name.starts_with("_first-wins/"), "{name}");
                deleted.set(deleted.get() + 1);
                async { Ok(()) }
            };
            let expected = FirstWins { is_heeded, left_over: Vec::new() };
            assert_eq!(first_wins(put, delete).await, Ok(expected), "{most:?}");
            assert_eq!(deleted.get(), 2);
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

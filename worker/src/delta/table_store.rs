//! How the object stores of tables are reached.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use deltalake::logstore::ObjectStoreRef;
use shared::{aws_region, is_own_server};

/// How the object stores of tables are reached.
#[derive(Clone, Debug, Default)]
pub struct TableStore {
    /// Options of the store, by their names in `object_store`; what is not here is taken from the `AWS_*` variables of the
    /// environment.
    pub options: HashMap<String, String>,
    /// A store to use in place of the one that the table's URI names; its root is the root of the URI. For tests.
    pub object_store: Option<ObjectStoreRef>,
    /// Where the server is that tables on S3 are on; none for AWS itself.
    pub own_server: Option<String>,
    /// Buckets that passed the test for exclusive puts in this process.
    pub tested: TestedBuckets,
}

/// Buckets, by server, where only the first of several writers wins; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct TestedBuckets(Arc<tokio::sync::Mutex<HashSet<(String, String)>>>);

impl TestedBuckets {
    /// The buckets that were tested; whoever tests one keeps the others waiting.
    pub(crate) async fn lock(&self) -> tokio::sync::MutexGuard<'_, HashSet<(String, String)>> {
        self.0.lock().await
    }
}

impl TableStore {
    /// Options by the usual AWS variables.
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok().filter(|value| !value.is_empty()), aws_region())
    }

    /// The object store reads most variables itself. It does not know the endpoint of S3 alone, it wants to be told that an
    /// endpoint speaks plain HTTP, and with an endpoint it looks into no profile unless it is told to. It takes no region from a profile,
    /// but Virginia in its place.
    fn from_lookup(lookup: impl Fn(&str) -> Option<String>, region: Option<String>) -> Self {
        let mut options = HashMap::new();
        if lookup("AWS_REGION").or_else(|| lookup("AWS_DEFAULT_REGION")).is_none() {
            options.extend(region.map(|region| ("aws_region".to_owned(), region)));
        }
        if let Some(endpoint) = lookup("AWS_ENDPOINT_URL_S3").or_else(|| lookup("AWS_ENDPOINT_URL")) {
            if endpoint.starts_with("http://") {
                options.insert("aws_allow_http".to_owned(), "true".to_owned());
            }
            options.insert("aws_endpoint".to_owned(), endpoint);
            if lookup("AWS_ACCESS_KEY_ID").is_none() {
                options.insert("AWS_FORCE_CREDENTIAL_LOAD".to_owned(), "true".to_owned());
            }
        }
        let endpoint = options.get("aws_endpoint").cloned().or_else(|| lookup("AWS_ENDPOINT"));
        let own_server = endpoint.filter(|endpoint| is_own_server(endpoint));
        Self { options, own_server, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_endpoint_is_allowed() {
        let store =
            TableStore::from_lookup(|name| (name == "AWS_ENDPOINT_URL").then(|| "http://localhost:1".to_owned()), None);
        assert_eq!(store.options["aws_allow_http"], "true");
        assert_eq!(store.options["aws_endpoint"], "http://localhost:1");
        assert_eq!(store.options["AWS_FORCE_CREDENTIAL_LOAD"], "true");
        assert_eq!(store.own_server.as_deref(), Some("http://localhost:1"));
        let aws = TableStore::from_lookup(|_| None, None);
        assert!(aws.options.is_empty() && aws.own_server.is_none());
    }

    #[test]
    fn the_region_of_a_profile_counts_unless_a_variable_names_one() {
        let region = |variable: &str| {
            let lookup = |name: &str| (name == variable).then(|| "eu-west-1".to_owned());
            TableStore::from_lookup(lookup, Some("eu-west-3".to_owned())).options.get("aws_region").cloned()
        };
        assert_eq!(region("").as_deref(), Some("eu-west-3"));
        assert_eq!(["AWS_REGION", "AWS_DEFAULT_REGION"].map(region), [None, None]);
    }
}

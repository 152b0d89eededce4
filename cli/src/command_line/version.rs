//! What `sluice --version` says.

/// The libraries that decide what is read and written, with their versions.
#[cfg(test)]
const LIBRARIES: &str = env!("SLUICE_LIBRARIES");

/// Version, commit (none where the build had no work tree of git), and the libraries on a second line.
pub(super) const LONG: &str =
    concat!(env!("CARGO_PKG_VERSION"), env!("SLUICE_COMMIT_IN_BRACKETS"), "\n", env!("SLUICE_LIBRARIES"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_library_has_a_version() {
        let named: Vec<&str> = LIBRARIES.split(", ").map(|library| library.rsplit_once(' ').unwrap().0).collect();
        assert_eq!(named, ["deltalake", "delta kernel", "datafusion", "arrow", "parquet"], "{LIBRARIES}");
        assert!(LONG.ends_with(&format!("\n{LIBRARIES}")));
    }
}

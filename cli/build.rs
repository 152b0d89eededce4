//! What `sluice --version` says beyond the version: the commit, and the libraries that decide what is read and written.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// Libraries that are named, by their names in `Cargo.lock`, with what they are called.
const LIBRARIES: [(&str, &str); 5] = [
    ("deltalake", "deltalake"),
    ("buoyant_kernel", "delta kernel"),
    ("datafusion-sql", "datafusion"),
    ("arrow", "arrow"),
    ("parquet", "parquet"),
];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let lock = root.join("Cargo.lock");
    println!("cargo:rerun-if-changed={}", lock.display());
    println!("cargo:rerun-if-env-changed=SLUICE_COMMIT");
    let locked = fs::read_to_string(&lock).unwrap_or_default();
    let libraries = LIBRARIES.iter().filter_map(|(name, called)| Some(format!("{called} {}", version(&locked, name)?)));
    println!("cargo:rustc-env=SLUICE_LIBRARIES={}", libraries.collect::<Vec<_>>().join(", "));
    let commit = env::var("SLUICE_COMMIT").ok().or_else(|| commit(&root)).unwrap_or_default();
    let commit = commit.trim();
    let in_brackets = if commit.is_empty() { String::new() } else { format!(" ({commit})") };
    println!("cargo:rustc-env=SLUICE_COMMIT_IN_BRACKETS={in_brackets}");
}

/// The version of a package in `Cargo.lock`.
fn version<'a>(locked: &'a str, name: &str) -> Option<&'a str> {
    let (_, package) = locked.split_once(&format!("\nname = \"{name}\"\nversion = \""))?;
    package.split('"').next()
}

/// The commit of the work tree whose root this is; none of an archive, also where that lies in the work tree of something else.
fn commit(root: &Path) -> Option<String> {
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if fs::canonicalize(top).ok()? != fs::canonicalize(root).ok()? {
        return None;
    }
    // Of a commit, a reset or another branch, this file is written.
    let moved = git(root, &["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo:rerun-if-changed={}", root.join(moved).display());
    git(root, &["rev-parse", "--short=12", "HEAD"])
}

fn git(root: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).ok()).flatten().map(|text| text.trim().to_owned())
}

//! What is no source though it lies in a folder, below a prefix or under a pattern.

/// How the names of hidden files and folders begin, and those of what other programs write beside data.
const HIDDEN: [char; 2] = ['.', '_'];

/// How the names of files end that are not written to their end, or are kept by editors.
const UNFINISHED: [&str; 8] = ["~", ".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".swp"];

/// The folder of a table's log.
pub(super) const LOG: &str = "_delta_log";

/// Characters that stand for others.
const WILD: [char; 3] = ['*', '?', '['];

/// Whether a text has characters that stand for others.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(WILD)
}

/// Whether the name of a file or folder is left out.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with(HIDDEN)
}

/// Whether the name of a file is that of an unfinished one.
pub(super) fn is_unfinished(name: &str) -> bool {
    let name = name.to_lowercase();
    UNFINISHED.iter().any(|ending| name.ends_with(ending))
}

/// Whether a file under a pattern is left out, by its path below the first part of the pattern that stands for several names: a part that
/// begins, or ends, as those do that are left out is meant.
pub(super) fn is_left_out(below: &str, pattern: &str) -> bool {
    let parts = || pattern.split('/').skip_while(|part| !is_pattern(part));
    let is_asked = |first: char| parts().any(|part| part.starts_with(first));
    let is_hidden = |name: &str| HIDDEN.iter().any(|first| name.starts_with(*first) && !is_asked(*first));
    let name = below.rsplit('/').next().unwrap_or_default();
    below.split('/').any(is_hidden) || is_unfinished(name) && !is_unfinished(pattern)
}

/// The folder of a pattern, which has no such part, and ends at a slash or is empty.
pub(super) fn base(pattern: &str) -> &str {
    let first = pattern.find(WILD).unwrap_or(pattern.len());
    let end = pattern.get(..first).and_then(|before| before.rfind('/')).map_or(0, |slash| slash + 1);
    pattern.get(..end).unwrap_or_default()
}

/// How patterns are read: `*` and `?` stop at a slash. Hidden files are left out by [`is_left_out`]: the library leaves them out even if
/// they are asked for.
pub(super) const READ: glob::MatchOptions =
    glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

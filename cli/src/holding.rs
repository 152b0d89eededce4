//! What a table has of a job, for people.

use worker::{Holding, TakenOut};

use crate::numbers::{counted, grouped};

/// What a table has of a job that brought in so many rows, and who took out the others. Of rows that others rewrote nobody can tell whose
/// they were, so none of these are counted.
pub(crate) fn held(holding: &Holding, committed: u64) -> String {
    let all = counted(committed, "row");
    let taken = holding.taken_out.as_ref();
    let by = taken.map(taken_out).unwrap_or_default();
    match holding.rows.map(grouped) {
        Some(rows) if taken.is_some_and(|taken| taken.may_be_rewritten) => {
            format!("{rows} of its {all} are in files of its own{by}; the rest is deleted, or in files of that writer")
        }
        Some(rows) => format!("the table has {rows} of its {all}{by}"),
        None if taken.is_none() => format!(
            "the table's log does not tell how many of its {all} are there: entries are gone, and other writers rewrote files"
        ),
        None => format!("the table has an unknown number of its {all}{by}"),
    }
}

fn taken_out(taken: &TakenOut) -> String {
    let time = taken.time.and_then(date_time).map(|time| format!(", {time}"));
    let by = taken.by.as_ref().map(|by| format!(", by {by}"));
    let files = match taken.of {
        0 => "all of its files".to_owned(),
        of => format!("{} of its {}", grouped(taken.files), counted(of, "file")),
    };
    format!(
        ": version {} ({}{}{}) {} {files}",
        taken.version,
        taken.operation,
        time.unwrap_or_default(),
        by.unwrap_or_default(),
        if taken.may_be_rewritten { "rewrote or took out" } else { "took out" },
    )
}

/// A time in milliseconds since 1970, as `2026-11-29 16:36:28Z`.
fn date_time(millis: i64) -> Option<String> {
    Some(chrono::DateTime::from_timestamp_millis(millis)?.format("%Y-%m-%d %H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(date_time(1_795_970_188_863).as_deref(), Some("2026-11-29 16:36:28Z"));
    }
}

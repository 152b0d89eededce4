//! What a table has of a job, for people.

use worker::{Holding, TakenOut};

use crate::numbers::{counted, grouped};

/// What a table has of a job that brought in so many rows, and who took out the others. Of rows that others rewrote nobody can tell whose
/// they were, so none of these are counted.
pub(crate) fn held(holding: &Holding, committed: u64) -> String {
    let rows = holding.rows.map_or_else(|| "an unknown number".to_owned(), grouped);
    let all = counted(committed, "row");
    match &holding.taken_out {
        Some(taken) if taken.may_be_rewritten => {
            format!(
                "{rows} of its {all} are in files of its own{}; the rest is deleted, or in files of that writer",
                taken_out(taken)
            )
        }
        taken => format!("the table has {rows} of its {all}{}", taken.as_ref().map(taken_out).unwrap_or_default()),
    }
}

fn taken_out(taken: &TakenOut) -> String {
    let time = taken.time.and_then(date_time).map(|time| format!(", {time}"));
    let by = taken.by.as_ref().map(|by| format!(", by {by}"));
    format!(
        ": version {} ({}{}{}) {} {} of its {}",
        taken.version,
        taken.operation,
        time.unwrap_or_default(),
        by.unwrap_or_default(),
        if taken.may_be_rewritten { "rewrote or took out" } else { "took out" },
        grouped(taken.files),
        counted(taken.of, "file"),
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

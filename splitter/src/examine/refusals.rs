//! CSV sources that are refused before anything is pinned: those that the settings do not fit, and those that would be guessed at.

use shared::{CsvSettings, Location, Setting, TableFit};

use crate::csv::fixed_width as fixed;
use crate::csv::header::{Header, without_byte_order_mark};
use crate::error::{BadInput, SplitError};
use crate::examine::sample::Sample;

/// Names, or values, that are shown.
const SHOWN: usize = 5;

/// Most characters of each.
const SHOWN_CHARACTERS: usize = 40;

/// Refuses a text in which blanks part the columns: each line would be one value.
pub(super) fn fixed_width(at: &Location, sample: &Sample) -> Result<(), SplitError> {
    let Some(columns) = fixed::columns(&sample.head, sample.is_whole) else { return Ok(()) };
    let places: Vec<String> = columns.iter().take(8).map(usize::to_string).collect();
    let reason =
        format!("columns of a fixed width: blanks in all lines end before byte {} of a line", places.join(", "));
    let hint = "have it written as CSV; or read each line as one text, and cut it with SQL: docs/formats.md#fixed-width has the options";
    Err(BadInput::whole(at, reason, hint).into())
}

/// Refuses a source that has fewer lines than are to be skipped, or fewer rows than the header is to have. An empty one has no records, and
/// that is all.
pub(super) fn too_few_lines(
    at: &Location,
    sample: &Sample,
    told: &CsvSettings,
    header: &Header,
) -> Result<(), SplitError> {
    let text = without_byte_order_mark(&sample.head);
    if text.trim_ascii().is_empty() {
        return Ok(());
    }
    if let (Some(skipped), true) = (told.skip_lines.explicit().filter(|lines| *lines > 0), header.names.is_empty()) {
        let lines = text.split_inclusive(|byte| header.dialect.ends_record(*byte)).count();
        let reason = format!("CSV_SKIP_LINES={skipped} leaves no header and no record: the file has {lines} lines");
        return Err(BadInput::whole(at, reason, "set CSV_SKIP_LINES to the number of lines before the header").into());
    }
    let (found, names) = (header.layout.header_rows, header.names.len());
    match told.header.explicit().filter(|rows| *rows > found && names > 0) {
        Some(rows) => {
            let reason = format!("CSV_HEADER={rows}, and only {found} of these rows are there to be read");
            Err(BadInput::whole(at, reason, "set CSV_HEADER to the number of rows that have names, or 0").into())
        }
        None => Ok(()),
    }
}

/// Refuses a source none of whose columns is one of the table, if that may be since its first row was misjudged: names would become
/// values, or values names of new columns. `names` are those that its columns would have in the table.
pub(super) fn strangers(
    at: &Location,
    told: &CsvSettings,
    header: &Header,
    names: &[String],
    table: &[String],
) -> Result<(), SplitError> {
    let layout = &header.layout;
    let has_names = layout.header_rows > 0;
    if table.is_empty() || told.header != Setting::Auto || names.is_empty() || (has_names && !layout.is_header_doubtful)
    {
        return Ok(());
    }
    let fit = TableFit::of(names.iter().map(String::as_str), table);
    if fit.added.len() < names.len() {
        return Ok(());
    }
    let of_table = listed(table);
    let (reason, hint) = if has_names {
        let first = listed(&header.names);
        (
            format!(
                "none of the table's columns ({of_table}) is named in the first row ({first}), and no value shows that it is the header"
            ),
            "set CSV_HEADER=1 if these are names of new columns; if they are values, see docs/loading.md#files-without-a-header",
        )
    } else {
        (
            format!("it has no header: its columns would be {}, and the table's are {of_table}", listed(names)),
            "set CSV_HEADER=1 if the first row has names; if it has values, see docs/loading.md#files-without-a-header",
        )
    };
    Err(BadInput::whole(at, reason, hint).into())
}

/// The first of some names, or values.
fn listed(items: &[String]) -> String {
    let shown = |item: &String| -> String {
        item.trim().chars().take(SHOWN_CHARACTERS).map(|c| if c.is_control() { ' ' } else { c }).collect()
    };
    let mut listed = items.iter().take(SHOWN).map(shown).collect::<Vec<_>>().join(", ");
    if items.len() > SHOWN {
        listed += ", …";
    }
    listed
}

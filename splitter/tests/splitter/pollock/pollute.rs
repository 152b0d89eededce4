//! The pollutions: each file has one.

use std::collections::BTreeMap;

use super::score::Clean;
use super::table::{COLUMNS, Cell, RECORDS, Row, table};

/// A file with a pollution.
#[derive(Clone)]
pub(super) struct Polluted {
    pub(super) family: &'static str,
    pub(super) name: String,
    /// Files of the benchmark that it stands for.
    pub(super) weight: f64,
    /// All there is, in order: lines before the table, header, records, and what comes behind them.
    rows: Vec<Row>,
    preamble: usize,
    header: usize,
    records: usize,
    delimiter: String,
    quote: char,
    /// What stands before a quote within quotes.
    escape: &'static str,
}

impl Polluted {
    fn of(family: &'static str, name: impl Into<String>) -> Self {
        let (delimiter, quote, escape) = (",".to_owned(), '"', "\"");
        let rows = table();
        Self {
            family,
            name: name.into(),
            weight: 1.0,
            rows,
            preamble: 0,
            header: 1,
            records: RECORDS,
            delimiter,
            quote,
            escape,
        }
    }

    fn with(mut self, pollute: impl FnOnce(&mut Self)) -> Self {
        pollute(&mut self);
        self
    }

    /// The file.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            for (cell, before) in row.cells.iter().zip(&row.before) {
                text += before;
                text += &self.rendered(cell);
            }
            text += &row.end;
        }
        text
    }

    fn rendered(&self, cell: &Cell) -> String {
        let stray = if cell.stray_quote { "\"" } else { "" };
        if !cell.quoted {
            return format!("{stray}{}", cell.text);
        }
        let quote = self.quote;
        // Another quote character leaves the escapes as they are, and needs some that are not there.
        let escaped = cell.text.replace('"', &format!("{}\"", self.escape));
        let close = if cell.open { String::new() } else { quote.to_string() };
        format!("{quote}{stray}{escaped}{close}")
    }

    /// What is to be loaded of it.
    pub(super) fn clean(&self) -> Clean {
        let table = self.rows.get(self.preamble..).unwrap_or_default();
        let (header, records) = table.split_at(self.header);
        let names = |column: usize| header.iter().map(|row| row.values()[column].clone()).collect::<Vec<_>>().join(" ");
        let header = header.first().map(|first| (0..first.cells.len()).map(names).collect());
        Clean { header, records: records.iter().take(self.records).map(Row::values).collect() }
    }

    /// The settings that tell its dialect.
    pub(super) fn told(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            // Of a delimiter of several characters, the first can be told.
            ("CSV_DELIMITER", if self.delimiter == "\t" { "tab".to_owned() } else { self.delimiter[..1].to_owned() }),
            ("CSV_QUOTE", self.quote.to_string()),
            ("CSV_ESCAPE", if self.escape == "\\" { "\\".to_owned() } else { "none".to_owned() }),
            ("CSV_HEADER", self.header.to_string()),
            ("CSV_SKIP_LINES", self.preamble.to_string()),
        ])
    }
}

/// The files of the benchmark: of those with a pollution in one row, those of the header and of every `step`-th record, which
/// stand for all.
pub(super) fn pollutions(step: usize) -> Vec<Polluted> {
    let mut files = vec![Polluted::of("source", "source")];
    files.extend(of_files());
    files.extend(of_dialects());
    let records: Vec<usize> = (1..=RECORDS).step_by(step).collect();
    let weight = f64::from(u32::try_from(RECORDS).unwrap()) / f64::from(u32::try_from(records.len()).unwrap());
    files.extend(of_row(0));
    for row in records {
        files.extend(of_row(row).into_iter().map(|file| Polluted { weight, ..file }));
    }
    files
}

fn of_row(row: usize) -> Vec<Polluted> {
    let mut files = Vec::new();
    for column in 0..COLUMNS {
        files.push(Polluted::of("row: cell too many", format!("more {row} {column}")).with(|file| {
            let before = &mut file.rows[row].before[column];
            *before += ",";
        }));
        if column > 0 {
            files.push(Polluted::of("row: cell too few", format!("less {row} {column}")).with(|file| {
                file.rows[row].before[column].clear();
            }));
        }
        files.push(Polluted::of("row: stray quote", format!("quote {row} {column}")).with(|file| {
            file.rows[row].cells[column].stray_quote = true;
        }));
    }
    files.push(Polluted::of("row: other delimiter", format!("space {row}")).with(|file| {
        file.rows[row].delimit(" ");
    }));
    files
}

fn of_files() -> Vec<Polluted> {
    let file = |name: &str| Polluted::of("file", name);
    let last = |file: &mut Polluted, end: &str| {
        if let Some(row) = file.rows.last_mut() {
            end.clone_into(&mut row.end);
        }
    };
    let header_rows = |count: usize| {
        file(&format!("header of {count} rows")).with(|file| {
            for _ in 1..count {
                file.rows.insert(0, file.rows[0].clone());
            }
            file.header = count;
        })
    };
    let only = |name: &str, records: usize| {
        file(name).with(|file| {
            file.rows.truncate(1 + records);
            file.records = records;
        })
    };
    vec![
        file("no payload").with(|file| {
            file.rows.clear();
            (file.header, file.records) = (0, 0);
        }),
        file("no final newline").with(|file| last(file, "")),
        file("two final newlines").with(|file| last(file, "\r\n\r\n")),
        file("no header").with(|file| {
            file.rows.remove(0);
            file.header = 0;
        }),
        header_rows(2),
        header_rows(3),
        file("preamble").with(|file| {
            let row = |text: &str| Row::of(std::iter::once(text).chain([""; COLUMNS - 1]).map(Cell::plain).collect());
            file.rows.splice(0..0, [row("PREAMBLE"), row("")]);
            file.preamble = 2;
        }),
        second_table(COLUMNS - 1),
        second_table(COLUMNS),
        second_table(COLUMNS + 1),
        only("header only", 0),
        only("one record", 1),
    ]
}

/// A second table behind the first, of another width or not; the first alone is to be loaded.
fn second_table(columns: usize) -> Polluted {
    Polluted::of("file", format!("second table of {columns} columns")).with(|file| {
        for mut row in table().into_iter().take(RECORDS) {
            row.cells.resize(columns, Cell::plain(""));
            row.delimit(",");
            file.rows.push(row);
        }
    })
}

fn of_dialects() -> Vec<Polluted> {
    let mut files: Vec<_> = [";", "\t", ", ", " "].map(|delimiter| delimited("dialect: delimiter", delimiter)).into();
    files.extend(["\n", "\r"].map(|end| {
        Polluted::of("dialect: record end", format!("{end:?}")).with(|file| {
            for row in &mut file.rows {
                end.clone_into(&mut row.end);
            }
        })
    }));
    files.push(Polluted::of("dialect: quote", "'").with(|file| file.quote = '\''));
    files.extend(
        ["\\", ""]
            .map(|escape| Polluted::of("dialect: escape", format!("{escape:?}")).with(|file| file.escape = escape)),
    );
    files
}

fn delimited(family: &'static str, delimiter: &str) -> Polluted {
    Polluted::of(family, format!("{delimiter:?}")).with(|file| {
        for row in &mut file.rows {
            row.delimit(delimiter);
        }
        delimiter.clone_into(&mut file.delimiter);
    })
}

/// The table as a good writer writes it with a delimiter: what contains it is quoted.
fn written_with(delimiter: &str) -> Polluted {
    delimited("delimiter", delimiter).with(|file| {
        for cell in file.rows.iter_mut().flat_map(|row| &mut row.cells) {
            cell.quoted |= cell.text.contains(delimiter);
        }
    })
}

/// Pollutions that are not among those of the benchmark.
pub(super) fn more_pollutions() -> Vec<Polluted> {
    let mut files: Vec<_> = ["|", "^", "~", "\x1f", "\x01", ":", ";", "\t", " "].map(written_with).into();
    let line = |text: &str| Row::of(vec![Cell::plain(text)]);
    for lines in 1..4 {
        let preamble = Polluted::of("preamble", format!("{lines} lines"));
        files.push(preamble.with(|file| {
            file.rows.splice(0..0, (0..lines).map(|number| line(&format!("Readings of 2018, part {number}"))));
            file.preamble = lines;
        }));
        let footnotes = Polluted::of("footnotes", format!("{lines} lines"));
        files.push(footnotes.with(|file| file.rows.extend((0..lines).map(|number| line(&format!("note {number}"))))));
    }
    files.push(Polluted::of("record ends mixed", "").with(|file| {
        for row in file.rows.iter_mut().step_by(3) {
            "\n".clone_into(&mut row.end);
        }
    }));
    for row in [0, 1, 40, RECORDS] {
        for column in 6..8 {
            files.push(Polluted::of("row: missing quote", format!("{row} {column}")).with(|file| {
                file.rows[row].cells[column].open = true;
            }));
        }
        files.push(Polluted::of("row: blank line", format!("{row}")).with(|file| {
            file.rows[row].end += "\r\n";
        }));
    }
    files
}

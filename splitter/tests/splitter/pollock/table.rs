//! The table that is polluted.

/// One cell: its text, and whether it is quoted in the file.
#[derive(Clone)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) quoted: bool,
    /// Whether a quote that is not escaped stands before the text; it is part of the value.
    pub(super) stray_quote: bool,
    /// Whether the closing quote is missing.
    pub(super) open: bool,
}

impl Cell {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), quoted: false, stray_quote: false, open: false }
    }

    fn quoted(text: impl Into<String>) -> Self {
        Self { quoted: true, ..Self::plain(text) }
    }
}

/// One row: cells, what stands before each of them, and how it ends.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) cells: Vec<Cell>,
    /// As many as cells; the first is empty in a clean row.
    pub(super) before: Vec<String>,
    pub(super) end: String,
}

impl Row {
    pub(super) fn of(cells: Vec<Cell>) -> Self {
        let mut row = Self { before: Vec::new(), cells, end: "\r\n".to_owned() };
        row.delimit(",");
        row
    }

    /// Puts a delimiter between all cells.
    pub(super) fn delimit(&mut self, delimiter: &str) {
        let before = (0..self.cells.len()).map(|column| if column == 0 { "" } else { delimiter }.to_owned());
        self.before = before.collect();
    }

    pub(super) fn values(&self) -> Vec<String> {
        let value = |cell: &Cell| if cell.stray_quote { format!("\"{}", cell.text) } else { cell.text.clone() };
        self.cells.iter().map(value).collect()
    }
}

pub(super) const RECORDS: usize = 83;
pub(super) const COLUMNS: usize = 9;

/// Header and 83 records: a day, a time, a count, a name, an amount, text that is quoted where it must be, a longer text
/// and a link that always are, and remarks, of which there are none.
pub(super) fn table() -> Vec<Row> {
    let names = ["DAY", "HOUR", "Visits", "STATION", "Fee", "Gauge", "Remark", "Link", "Notes"];
    let is_quoted = |name: &str| matches!(name, "Remark" | "Link");
    let header = names.map(|name| if is_quoted(name) { Cell::quoted(name) } else { Cell::plain(name) });
    let mut rows = vec![Row::of(header.to_vec())];
    rows.extend((0..RECORDS).map(|number| Row::of(record(number))));
    rows
}

fn record(number: usize) -> Vec<Cell> {
    let rivers = ["Elbe", "Po", "Rhône", "Oder", "Ebro", "Severn", "Glomma"];
    let gauges = ["Float gauge", "Keeper's staff gauge", "Radar", "Wire-weight gauge", "Bubbler (old)"];
    let remarks = [
        "Read at noon, from the left bank, after the ice had gone.",
        "The lamp was out; nobody came to mend it, so the night's readings are guesses.",
        "High water, brown, with driftwood and a rowing boat.",
        "Nothing of note.",
    ];
    let (river, gauge) = (rivers[number % rivers.len()], gauges[number % gauges.len()]);
    let station = format!("{}-{}", &river[..2].to_uppercase(), 1000 + number * 7919 % 9000);
    // Every so often, a text that cannot do without quotes.
    let gauge = match number % 14 {
        5 => Cell::quoted(format!("{gauge}, 10\" pipe")),
        9 => Cell::quoted(format!("{gauge}, upper {river}")),
        _ => Cell::plain(gauge),
    };
    vec![
        Cell::plain(format!("{:02}/{:02}/2018", 1 + number % 28, 1 + number / 28)),
        Cell::plain(format!("{:02}:{:02}", number / 4, number % 4 * 15)),
        Cell::plain((number * 37 % 11).to_string()),
        Cell::plain(&station),
        Cell::plain(format!("${}.{:02}", 20 + number * 13 % 80, number * 29 % 100)),
        gauge,
        Cell::quoted(remarks[number % remarks.len()]),
        Cell::quoted(format!("https://www.example.com/gauge/{station}.html")),
        Cell::plain(""),
    ]
}

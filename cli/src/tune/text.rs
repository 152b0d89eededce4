//! The sizes for people.

use super::candidate::{Basis, Candidate, Deployment, Stage};
use super::document::Document;
use super::model::mib;
use crate::args::Architecture;
use crate::numbers::{counted, grouped, mebibytes};

/// Heads of the columns, over two lines.
const HEADS: [(&str, &str); 13] = [
    ("CHUNK_", "SIZE_MB"),
    ("", "chunks"),
    ("all", "s"),
    ("splitter", "s"),
    ("", "MiB"),
    ("", "from MB"),
    ("worker", "s"),
    ("", "s left"),
    ("", "MiB"),
    ("", "from MB"),
    ("", "commits"),
    ("", "conflicts"),
    ("$", "a GB"),
];

/// The sizes as a table, and the advice.
pub(super) fn text(document: &Document) -> String {
    let head = format!(
        "{} ({}, {}, about {})",
        document.source,
        mebibytes(document.bytes),
        document.format,
        counted(document.rows, "row")
    );
    let mut lines = vec![head];
    lines.extend(table(&document.sizes));
    if document.sizes.iter().any(|candidate| candidate.basis == Basis::Predicted) {
        let sample = document.sample_mb;
        lines.push(format!("* predicted from the sizes above, of which samples of {sample} MiB were split and loaded"));
    }
    lines.extend(notes(&document.deployment, &document.prices.stand()));
    let advice = &document.recommended;
    lines.push(format!("recommended: CHUNK_SIZE_MB={}: {}", advice.chunk_size_mb, advice.reason));
    lines.join("\n")
}

fn table(sizes: &[Candidate]) -> Vec<String> {
    let mut rows: Vec<Vec<String>> = vec![
        HEADS.iter().map(|(first, _)| (*first).to_owned()).collect(),
        HEADS.iter().map(|(_, second)| (*second).to_owned()).collect(),
    ];
    rows.extend(sizes.iter().map(cells));
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max();
    let widths: Vec<usize> = (0..HEADS.len()).filter_map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        format!("  {}", cells.join("  ")).trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// One size, in the order of the heads.
fn cells(candidate: &Candidate) -> Vec<String> {
    let star = if candidate.basis == Basis::Predicted { "*" } else { "" };
    let [splitter, worker] = [&candidate.splitter, &candidate.worker].map(memory);
    let mut cells = vec![format!("{star}{}", candidate.chunk_size_mb), grouped(candidate.chunks)];
    cells.push(format!("{:.1}", candidate.seconds));
    cells.push(format!("{:.1}", candidate.splitter.seconds));
    cells.extend(splitter);
    cells.push(format!("{:.1}", candidate.worker.seconds));
    cells.push(format!("{:.0}", candidate.seconds_left));
    cells.extend(worker);
    cells.push(grouped(candidate.commits));
    cells.push(format!("{:.1}", candidate.conflicts));
    cells.push(format!("{:.4}", candidate.cost_per_gb.all));
    cells
}

/// Peak in MiB, and the least memory of a function that holds it.
pub(super) fn memory(stage: &Stage) -> [String; 2] {
    let Some(peak) = stage.peak_bytes else { return ["unknown".to_owned(), "unknown".to_owned()] };
    let least = stage.least_memory_mb.map_or_else(|| "none".to_owned(), |memory_mb| memory_mb.to_string());
    [format!("{:.0}", mib(peak)), least]
}

/// What the numbers hold for.
pub(super) fn notes(deployment: &Deployment, prices: &str) -> [String; 2] {
    let Deployment { concurrency, splitter_memory_mb, worker_memory_mb, timeout_seconds, architecture } = deployment;
    let architecture = match architecture {
        Architecture::Arm64 => "arm64",
        Architecture::X86 => "x86_64",
    };
    [
        format!(
            "for Lambda on {architecture}, splitter {splitter_memory_mb} MB, {} of {worker_memory_mb} MB and {timeout_seconds} s at once on the table",
            counted(u64::from(*concurrency), "worker")
        ),
        format!(
            "prices of {prices}, without storage; --prices FILE has others; memory as measured, from MB with a quarter to spare"
        ),
    ]
}

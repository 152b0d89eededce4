//! The sizes as a page: one file, without scripts, that needs no network.

use super::candidate::{Basis, Candidate};
use super::chart::{Chart, Curve};
use super::document::Document;
use super::model::{Line, mib};
use super::text::{memory, notes};
use crate::html::{escaped, joined};
use crate::numbers::{counted, grouped, mebibytes};

const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1d2329; --dim: #66707a; --rule: #d9dee3; --ground: #ffffff; --card: #f6f8fa;
  --c0: #0b62c4; --c1: #c2410c; --c2: #15803d; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ec; --dim: #9aa4ae; --rule: #343b43; --ground: #14181c; --card: #1c2127;
    --c0: #6cb2ff; --c1: #ff9a62; --c2: #66d28c; } }
body { margin: 2rem auto; max-width: 66rem; padding: 0 1rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; }
.dim, figcaption { color: var(--dim); }
.advice { background: var(--card); border-left: 4px solid var(--c0); padding: .8rem 1rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0; }
th, td { padding: .25rem .5rem; font-size: 14px; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
tr.chosen td { font-weight: 600; background: var(--card); }
svg { width: 100%; background: var(--card); border-radius: 6px; }
svg text { font-size: 12px; fill: var(--dim); }
svg .title { font-size: 14px; fill: var(--ink); }
svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg .grid { stroke: var(--rule); }
svg polyline { fill: none; } svg polyline, svg line, svg circle { stroke-width: 2; }
.curve0 { stroke: var(--c0); } circle.curve0 { fill: var(--c0); }
.curve1 { stroke: var(--c1); } circle.curve1 { fill: var(--c1); }
.curve2 { stroke: var(--c2); } circle.curve2 { fill: var(--c2); }
circle.predicted { fill: var(--card); }";

/// The page.
pub(super) fn page(document: &Document) -> String {
    let source = escaped(&document.source);
    let (size, rows) = (mebibytes(document.bytes), counted(document.rows, "row"));
    let (best, reason) = (document.recommended.chunk_size_mb, escaped(&document.recommended.reason));
    let plots = joined(&charts(document), |plot| format!("<figure>{plot}</figure>\n"));
    let notes = notes(&document.deployment, &document.prices.stand());
    let notes = joined(&notes, |note| format!("<li>{}</li>\n", escaped(note)));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>Chunk sizes for {source}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n\
         <h1>{source}</h1>\n<p class=\"dim\">{size}, {}, about {rows}</p>\n\
         <p class=\"advice\"><strong>CHUNK_SIZE_MB={best}</strong>: {reason}</p>\n\
         <div class=\"plots\">\n{plots}</div>\n\
         <p class=\"dim\">Filled points were measured, hollow ones are predicted from them.</p>\n\
         <div class=\"wide\">{}</div>\n<ul class=\"dim\">\n{notes}{}</ul>\n</body>\n</html>\n",
        document.format,
        table(document),
        model(document)
    )
}

fn charts(document: &Document) -> Vec<String> {
    let is_predicted = |candidate: &Candidate| candidate.basis == Basis::Predicted;
    let sizes: Vec<_> = document.sizes.iter().map(|size| (size.chunk_size_mb, is_predicted(size))).collect();
    let curve =
        |name, value: fn(&Candidate) -> Option<f64>| Curve { name, values: document.sizes.iter().map(value).collect() };
    let charts = [
        (
            "US dollars a GB of source",
            vec![
                curve("all", |size| Some(size.cost_per_gb.all)),
                curve("Lambda", |size| Some(size.cost_per_gb.lambda)),
                curve("S3 requests", |size| Some(size.cost_per_gb.s3)),
            ],
        ),
        (
            "Peak memory, MiB",
            vec![
                curve("splitter", |size| size.splitter.peak_bytes.map(mib)),
                curve("worker", |size| size.worker.peak_bytes.map(mib)),
            ],
        ),
        (
            "Seconds",
            vec![
                curve("worker, a chunk", |size| Some(size.worker.seconds)),
                curve("until all is loaded", |size| Some(size.seconds)),
            ],
        ),
        (
            "Commits of the source",
            vec![
                curve("commits", |size| Some(super::model::float(size.commits))),
                curve("conflicts", |size| Some(size.conflicts)),
            ],
        ),
    ];
    charts.into_iter().map(|(title, curves)| Chart { title, sizes: &sizes, curves }.svg()).collect()
}

const HEADS: [&str; 11] = [
    "CHUNK_SIZE_MB",
    "chunks",
    "s in all",
    "splitter MiB",
    "from MB",
    "worker s",
    "s left",
    "worker MiB",
    "from MB",
    "conflicts",
    "$ a GB",
];

fn table(document: &Document) -> String {
    let heads = joined(&HEADS, |head| format!("<th>{head}</th>"));
    let row = |candidate: &Candidate| {
        let is_chosen = candidate.chunk_size_mb == document.recommended.chunk_size_mb;
        let class = if is_chosen { " class=\"chosen\"" } else { "" };
        let ([splitter, splitter_mb], [worker, worker_mb]) = (memory(&candidate.splitter), memory(&candidate.worker));
        let cells = [
            format!("{}{}", if candidate.basis == Basis::Predicted { "*" } else { "" }, candidate.chunk_size_mb),
            grouped(candidate.chunks),
            format!("{:.1}", candidate.seconds),
            splitter,
            splitter_mb,
            format!("{:.1}", candidate.worker.seconds),
            format!("{:.0}", candidate.seconds_left),
            worker,
            worker_mb,
            format!("{:.1}", candidate.conflicts),
            format!("{:.4}", candidate.cost_per_gb.all),
        ];
        let cells = joined(&cells, |cell| format!("<td>{cell}</td>"));
        format!("<tr{class}>{cells}</tr>\n")
    };
    let rows = joined(&document.sizes, row);
    format!("<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>")
}

/// The lines that were fitted.
fn model(document: &Document) -> String {
    let model = &document.model;
    if document.sizes.len() < 2 {
        // Through one point there is no line.
        return String::new();
    }
    let line = |Line { fixed, each }: Line| format!("{fixed:.2} + {each:.4} × MiB of a chunk");
    let Line { fixed, each } = model.splitter_cpu_seconds;
    let peak = |peak: Option<Line>| peak.map_or_else(|| "unknown".to_owned(), line);
    [
        format!("worker, CPU seconds: {}", line(model.worker_cpu_seconds)),
        format!("worker, peak MiB: {}", peak(model.worker_peak_mib)),
        format!("splitter, peak MiB: {}", peak(model.splitter_peak_mib)),
        format!("splitter, CPU seconds: {fixed:.2} + {each:.4} × millions of records"),
    ]
    .map(|note| format!("<li>{note}</li>\n"))
    .concat()
}

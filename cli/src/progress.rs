//! The progress line on stderr.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use shared::Progress;

use crate::numbers::grouped;

/// A line that shows how far a job has come, while it lives; nothing when stderr is not a terminal.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    bar: ProgressBar,
    ticker: tokio::task::JoinHandle<()>,
}

impl ProgressLine {
    /// Shows the line from now on.
    pub(crate) fn show(progress: Arc<Progress>) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let template = "{spinner} {bytes}/{total_bytes} {binary_bytes_per_sec} eta {eta} | {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let shown = bar.clone();
        let ticker = tokio::spawn(async move {
            let mut every = tokio::time::interval(Duration::from_millis(200));
            loop {
                every.tick().await;
                let now = progress.snapshot();
                shown.set_length(now.bytes_total);
                shown.set_position(now.bytes_read.min(now.bytes_total));
                shown.set_message(format!(
                    "{} rows, {} chunks split, {} committed",
                    grouped(now.rows_read),
                    now.chunks_split,
                    now.chunks_committed
                ));
            }
        });
        Self { bar, ticker }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.ticker.abort();
        self.bar.finish_and_clear();
    }
}

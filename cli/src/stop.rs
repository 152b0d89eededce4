//! Stopping on request.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGINT or SIGTERM; the second ends the process at once.
pub(crate) fn on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::warn!("signals cannot be caught here; Ctrl-C ends the process at once");
        return stop;
    };
    let token = stop.clone();
    tokio::spawn(async move {
        for last in [false, true] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if last {
                #[expect(clippy::exit, reason = "asked for twice, and nothing needs to be tidied up to resume")]
                std::process::exit(130);
            }
            tracing::warn!("stopping: work in progress is finished first; interrupt again to stop at once");
            token.cancel();
        }
    });
    stop
}

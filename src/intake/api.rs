//! The side of the API server: how a source asks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::failure::Failure;
use super::request::{self, RequestKind};
use super::response::ApiResponse;
use super::selector::{self, Selector};
use super::source::{Source, Status};
use crate::sharding::Slice;

/// How long an answer may be without a byte. A watch gets a bookmark each minute; two and a half without any mean that the
/// connection is dead, whatever TCP says.
pub const SILENCE: Duration = Duration::from_secs(150);

/// A streaming list is a steady stream up to its last bookmark; a server that falls silent before does not know what it is.
pub const STREAMING_SILENCE: Duration = Duration::from_secs(30);

/// The API server, as one source sees it.
pub struct Api {
    client: kube::Client,
    /// What is watched.
    pub source: Source,
    /// What happens.
    pub status: Arc<Status>,
    /// What the server is asked to leave out.
    pub selector: Selector,
    /// Whether streaming lists are asked for.
    streaming: AtomicBool,
}

/// An answer, and what it is of.
pub struct Opened {
    /// The answer.
    pub answer: ApiResponse,
    /// What the server was asked to send alone; `None` for everything.
    pub selected: Option<Slice>,
}

impl Api {
    /// Nothing is asked yet.
    pub fn new(client: kube::Client, source: Source, status: Arc<Status>) -> Self {
        Self {
            client,
            status,
            selector: Selector::new(source.server_side),
            // A streaming list has no limit.
            streaming: AtomicBool::new(source.object_limit == 0),
            source,
        }
    }

    /// Asks for `slice`. The server may send more.
    ///
    /// # Errors
    /// It does not answer, or says no.
    pub async fn open(&self, kind: RequestKind<'_>, slice: &Slice) -> Result<Opened, Failure> {
        if !self.selector.is_for(slice) {
            return Ok(Opened { answer: self.send(kind, None).await?, selected: None });
        }
        match self.send(kind, Some(&selector::text(slice))).await {
            Ok(answer) => Ok(Opened { answer, selected: Some(slice.clone()) }),
            Err(Failure::Status { code, message, .. }) if selector::may_blame(code) => {
                let answer = self.send(kind, None).await?;
                tracing::info!("the server refuses to filter, it sends everything for now: {code}: {message}");
                self.selector.refuse();
                Ok(Opened { answer, selected: None })
            }
            Err(failure) => Err(failure),
        }
    }

    async fn send(&self, kind: RequestKind<'_>, selector: Option<&str>) -> Result<ApiResponse, Failure> {
        let request = request::request(&self.source, kind, selector)?;
        let answer = ApiResponse::receive(&self.client, &self.source, request, SILENCE).await?;
        if self.status.refused.swap(0, Ordering::Relaxed) != 0 {
            tracing::info!("the server no longer refuses it");
        }
        Ok(answer)
    }

    /// Something arrived just now.
    pub fn arrived(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.status.last_event.store(now.as_secs(), Ordering::Relaxed);
    }

    /// Whether streaming lists are asked for.
    pub fn is_streaming(&self) -> bool {
        self.streaming.load(Ordering::Relaxed)
    }

    /// The server knows none.
    pub fn stop_streaming(&self) {
        self.streaming.store(false, Ordering::Relaxed);
    }
}

/// A server without streaming lists refuses their parameters.
pub fn no_streaming(failure: Failure) -> Failure {
    match failure {
        Failure::Status { code: 400 | 422, message, .. } => Failure::NoStreaming { why: message, for_good: true },
        other => other,
    }
}

/// One more.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

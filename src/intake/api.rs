//! Sends the requests of a source to the API server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::time::sleep;

use super::condition::PATIENCE;
use super::failure::Failure;
use super::frames::{ListFrames, ListPart};
use super::request::{self, RequestKind};
use super::response::ApiResponse;
use super::selector::{self, Selector};
use super::source::{Source, Status};
use crate::resource_version::number;
use crate::sharding::Slice;

/// How long a response may stay silent. A watch receives a bookmark every minute, so after two and a half minutes without one the
/// connection is dead, even if TCP has not noticed.
pub const SILENCE: Duration = Duration::from_secs(150);

/// How long a streaming list may stay silent before its last bookmark. A server that stays silent longer does not support it.
pub const STREAMING_SILENCE: Duration = Duration::from_secs(30);

/// How long a page may take. By default, an API server ends a list after a minute.
pub const PAGE_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a streaming list may take. API servers end it, as any watch, after less, because a source asks for that.
pub const STREAMING_TIMEOUT: Duration = Duration::from_secs(600);

/// The API server, as one source sees it.
pub struct Api {
    client: kube::Client,
    pub source: Source,
    pub status: Arc<Status>,
    pub selector: Selector,
    /// The highest resourceVersion of a complete backfill since the server went back; 0 if there is none.
    pub backfilled: AtomicU64,
    /// Whether to request streaming lists.
    streaming: AtomicBool,
}

/// A response that has begun.
pub struct Opened {
    pub answer: ApiResponse,
    /// The slice to which the server was asked to restrict the response; `None` if it was not.
    pub selected: Option<Slice>,
}

impl Api {
    pub fn new(client: kube::Client, source: Source, status: Arc<Status>) -> Self {
        Self {
            client,
            status,
            selector: Selector::new(source.server_side),
            backfilled: AtomicU64::new(0),
            // A streaming list has no limit.
            streaming: AtomicBool::new(source.object_limit == 0),
            source,
        }
    }

    /// Requests `slice`. The server may send more.
    ///
    /// # Errors
    /// The server does not respond, or responds with an error.
    pub async fn open(&self, kind: RequestKind<'_>, slice: &Slice) -> Result<Opened, Failure> {
        if !self.selector.is_for(slice) {
            return Ok(Opened { answer: self.send(kind, None).await?, selected: None });
        }
        match self.send(kind, Some(&selector::text(slice))).await {
            Ok(answer) => Ok(Opened { answer, selected: Some(slice.clone()) }),
            Err(Failure::Status { code, message, .. }) if selector::may_blame(code) => {
                let answer = self.send(kind, None).await?;
                tracing::info!("the server refused shardSelector, requesting all objects for now: {code}: {message}");
                self.selector.refuse();
                Ok(Opened { answer, selected: None })
            }
            Err(failure) => Err(failure),
        }
    }

    /// Returns the newest resourceVersion of the API server, by a consistent read; 0 if it has none.
    ///
    /// # Errors
    /// The server does not respond, or responds with an error.
    pub async fn newest_version(&self) -> Result<u64, Failure> {
        let mut answer = self.send(RequestKind::Newest, None).await?;
        let mut frames = ListFrames::new(answer.encoding);
        let mut newest = 0;
        while let Some(chunk) = self.chunk(&mut answer, Some(PAGE_TIMEOUT)).await? {
            frames.feed(&chunk, |part| {
                if let ListPart::Metadata { version, .. } = part {
                    newest = number(version);
                }
                Ok::<_, Failure>(())
            })?;
        }
        frames.finish()?;
        Ok(newest)
    }

    async fn send(&self, kind: RequestKind<'_>, selector: Option<&str>) -> Result<ApiResponse, Failure> {
        let request = request::request(&self.source, kind, selector)?;
        let answer = self.attended(ApiResponse::receive(&self.client, &self.source, request, SILENCE)).await?;
        self.source.shard.heard();
        if self.status.refused.swap(0, Ordering::Relaxed) != 0 {
            tracing::info!("the server accepts the resource again");
        }
        Ok(answer)
    }

    /// Returns the next bytes of a list that may take until `limit`, or of a watch, which may be quiet and has none.
    ///
    /// # Errors
    /// As [`ApiResponse::chunk`]; also if the list takes longer.
    pub async fn chunk(&self, answer: &mut ApiResponse, limit: Option<Duration>) -> Result<Option<Bytes>, Failure> {
        let Some(limit) = limit else { return answer.chunk().await };
        let chunk = self.attended(answer.chunk()).await?;
        // NB: no timeout around the read, which is never reached while data is always there.
        if answer.age() > limit {
            return Err(Failure::Pages("it takes too long"));
        }
        if chunk.is_some() {
            self.source.shard.progressed();
        }
        Ok(chunk)
    }

    /// Waits for an answer, and records each time that it is late.
    async fn attended<T>(&self, answer: impl Future<Output = T>) -> T {
        let mut answer = std::pin::pin!(answer);
        loop {
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                () = sleep(PATIENCE) => self.source.shard.stalled(),
            }
        }
    }

    /// Records that data arrived now.
    pub fn arrived(&self) {
        self.source.shard.heard();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.status.last_event.store(now.as_secs(), Ordering::Relaxed);
    }

    /// Whether to request streaming lists.
    pub fn is_streaming(&self) -> bool {
        self.streaming.load(Ordering::Relaxed)
    }

    /// Requests no more streaming lists, because the server does not support them.
    pub fn stop_streaming(&self) {
        self.streaming.store(false, Ordering::Relaxed);
    }
}

/// Recognises the error with which a server without streaming lists rejects their parameters.
pub fn no_streaming(failure: Failure) -> Failure {
    match failure {
        Failure::Status { code: 400 | 422, message, .. } => Failure::NoStreaming { why: message, for_good: true },
        other => other,
    }
}

/// Adds 1 to a counter.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

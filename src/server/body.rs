//! Bodies of answers.
//!
//! A scrape is produced while it is sent: a slow reader holds only a few chunks, and a client that disconnects ends its scrape.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http_body::{Body, Frame, SizeHint};

use crate::exposition::Scrape;

/// What a scrape notifies.
pub(super) trait Guard {
    /// The last chunk was taken. A scrape that ends before, because its client disconnects, only drops the guard.
    fn sent(&mut self);
}

/// The chunks of a scrape. Drops the guard when the scrape ends.
pub(super) struct ScrapeBody<T> {
    scrape: Scrape,
    /// Whether to yield to the runtime before the next chunk.
    yields: bool,
    guard: T,
}

impl<T> ScrapeBody<T> {
    pub(super) const fn new(scrape: Scrape, guard: T) -> Self {
        Self { scrape, yields: false, guard }
    }
}

impl<T: Guard + Unpin> Stream for ScrapeBody<T> {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let body = self.get_mut();
        // A connection polls for chunks while it has room. Compressing one takes a good part of a millisecond, so watches
        // and other scrapes get a turn in between.
        if std::mem::take(&mut body.yields) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        body.yields = true;
        let chunk = body.scrape.next();
        if chunk.is_none() {
            body.guard.sent();
        }
        Poll::Ready(chunk.map(Ok))
    }
}

/// A body with a guard, which is dropped together with the body, and before it.
pub(super) struct GuardedBody<B, E> {
    pub _guard: E,
    pub body: B,
}

impl<B: Body + Unpin, E: Unpin> Body for GuardedBody<B, E> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! A scrape as the body of an answer, made while it is sent: a client that reads slowly holds a few chunks, one that goes
//! away ends its scrape.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;

use crate::exposition::Scrape;

/// The chunks of a scrape. What is kept in `on_end` is dropped with it.
pub(super) struct ScrapeBody<T> {
    scrape: Scrape,
    /// Whether the runtime is given a turn before the next chunk.
    yields: bool,
    _on_end: T,
}

impl<T> ScrapeBody<T> {
    pub(super) const fn new(scrape: Scrape, on_end: T) -> Self {
        Self { scrape, yields: false, _on_end: on_end }
    }
}

impl<T: Unpin> Stream for ScrapeBody<T> {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let body = self.get_mut();
        // A connection asks for chunks as long as it has room. Deflating one takes a good part of a millisecond,
        // so watches and other scrapes are let in between.
        if std::mem::take(&mut body.yields) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        body.yields = true;
        Poll::Ready(body.scrape.next().map(Ok))
    }
}

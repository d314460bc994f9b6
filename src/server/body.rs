//! Bodies. A scrape is made while it is sent: a client that reads slowly holds a few chunks, one that goes away ends its
//! scrape.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http_body::{Body, Frame, SizeHint};

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

/// A body, and what is dropped with it, before it.
pub(super) struct With<B, E> {
    pub _on_end: E,
    pub body: B,
}

impl<B: Body + Unpin, E: Unpin> Body for With<B, E> {
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

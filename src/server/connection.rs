//! The timeouts of a connection, by what it is doing.
//!
//! hyper has one timeout for reading a request's head, and counts idle time between requests into it; a client that keeps
//! its connection would be cut off after seconds. Here each state has its own.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tower::Service;

use super::Routes;

/// From a request's first byte to the end of its head. Upstream's default for `--server-read-header-timeout`.
const HEAD: Duration = Duration::from_secs(5);
/// Between requests. Upstream's default for `--server-idle-timeout`.
const IDLE: Duration = Duration::from_secs(300);
/// How long a client may take no byte of an answer: what it still holds is then freed.
const STALL: Duration = Duration::from_secs(60);

/// What a connection is doing; shared between its socket and its answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(Arc<AtomicU8>);

/// A request's head is being read; a new connection starts here.
const READING: u8 = 0;
/// Nothing is asked.
const WAITING: u8 = 1;
/// A request is being answered.
const ANSWERING: u8 = 2;

impl Activity {
    fn get(&self) -> u8 {
        self.0.load(Relaxed)
    }

    fn set(&self, state: u8) {
        self.0.store(state, Relaxed);
    }
}

/// Answers a request by `routes`.
pub(super) async fn answer<B>(
    routes: Routes,
    activity: Activity,
    request: Request<B>,
) -> Result<Response<impl Body<Data = Bytes, Error = warp::Error>>, Infallible>
where
    B: Body + Send + Sync + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    activity.set(ANSWERING);
    let response = warp::service(routes).call(request).await?;
    Ok(response.map(|body| Answer { body, activity }))
}

/// The body of an answer; when it is dropped the connection waits for the next request.
struct Answer<B> {
    body: B,
    activity: Activity,
}

impl<B> Drop for Answer<B> {
    fn drop(&mut self) {
        self.activity.set(WAITING);
    }
}

impl<B: Body + Unpin> Body for Answer<B> {
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

/// A socket whose reads and writes end in an error when the client takes too long.
pub(super) struct Timed<S> {
    stream: S,
    activity: Activity,
    /// The state that `reads` was set for.
    timed: Option<u8>,
    reads: Pin<Box<Sleep>>,
    stalled: bool,
    writes: Pin<Box<Sleep>>,
}

impl<S> Timed<S> {
    pub(super) fn new(stream: S, activity: Activity) -> Self {
        let (reads, writes) = (Box::pin(sleep(HEAD)), Box::pin(sleep(STALL)));
        Self { stream, activity, timed: None, reads, stalled: false, writes }
    }

    /// Whether the client may still take its time to send something.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let state = self.activity.get();
        let patience = match state {
            READING => HEAD,
            WAITING => IDLE,
            // It is our turn.
            _ => {
                self.timed = None;
                return Poll::Pending;
            }
        };
        if self.timed != Some(state) {
            self.timed = Some(state);
            self.reads.as_mut().reset(Instant::now() + patience);
        }
        self.reads.as_mut().poll(context).map(|()| io::ErrorKind::TimedOut.into())
    }

    /// Passes a write on, unless the client has not taken anything for too long.
    fn poll_progress<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = false;
            return written;
        }
        if !std::mem::replace(&mut self.stalled, true) {
            self.writes.as_mut().reset(Instant::now() + STALL);
        }
        ready!(self.writes.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            if self.activity.get() == WAITING {
                self.activity.set(READING);
                self.timed = None;
            }
            return read;
        }
        self.poll_patience(context).map(Err)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.poll_progress(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.poll_progress(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.poll_progress(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.poll_progress(context, shut)
    }
}

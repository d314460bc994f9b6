//! One connection, and its timeouts by what it is doing.
//!
//! hyper has one timeout for reading a request's head, and counts idle time between requests into it; a client that keeps
//! its connection would be cut off after seconds. Here each state has its own.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::debug;

use super::{Remote, Routes};

/// From a request's first byte to the end of its head. Upstream's default for `--server-read-header-timeout`.
const HEAD: Duration = Duration::from_secs(5);
/// Between requests. Upstream's default for `--server-idle-timeout`.
const IDLE: Duration = Duration::from_secs(300);
/// How long a client may take no byte of an answer: what it still holds is then freed.
const STALL: Duration = Duration::from_secs(60);

/// Bytes of a request's head, and of an answer before the socket has to take some.
const BUFFER: usize = 64 << 10;

/// Answers by `routes` as many requests as the client, at `remote`, has; after `stop` only the one that has begun.
pub(super) async fn converse<S>(stream: S, remote: IpAddr, routes: Routes, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let activity = Activity::default();
    let io = TokioIo::new(Timed::new(stream, activity.clone()));
    let service = hyper::service::service_fn(move |mut request: Request<_>| {
        request.extensions_mut().insert(Remote(remote));
        answer(routes.clone(), activity.clone(), request)
    });
    let mut connection = pin!(http1::Builder::new().max_buf_size(BUFFER).serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended early");
    }
}

/// What a connection is doing; shared between its socket and its answers.
#[derive(Clone, Debug, Default)]
struct Activity(Arc<AtomicU8>);

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
async fn answer<B>(
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
struct Timed<S> {
    stream: S,
    activity: Activity,
    /// The state that `reads` was set for.
    timed: Option<u8>,
    reads: Pin<Box<Sleep>>,
    stalled: bool,
    writes: Pin<Box<Sleep>>,
}

impl<S> Timed<S> {
    fn new(stream: S, activity: Activity) -> Self {
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

    /// A client that takes what was buffered for it is not idle, though its answer has been made.
    fn note_taken(&mut self, written: &Poll<io::Result<usize>>) {
        if written.is_ready() {
            self.timed = None;
        }
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
        self.note_taken(&written);
        self.poll_progress(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note_taken(&written);
        self.poll_progress(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        // After an answer hyper flushes, but it does not read again before it is woken: the timer must be set here.
        if flushed.is_ready()
            && let Poll::Ready(error) = self.poll_patience(context)
        {
            return Poll::Ready(Err(error));
        }
        self.poll_progress(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.poll_progress(context, shut)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::task::JoinHandle;
    use warp::{Filter, Reply};

    use super::*;

    /// A client whose pipe holds `room` bytes, and the server's end of it, which answers all with `length` bytes.
    fn connect(room: usize, length: usize) -> (DuplexStream, JoinHandle<()>) {
        let routes = warp::any().map(move || vec![b'x'; length].into_response()).boxed();
        let (client, stream) = tokio::io::duplex(room);
        (client, tokio::spawn(converse(stream, Ipv4Addr::LOCALHOST.into(), routes, CancellationToken::new())))
    }

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: replica\r\n\r\n";

    async fn ask(client: &mut DuplexStream) {
        client.write_all(REQUEST).await.expect("it is read");
        let mut answer = Vec::new();
        while !answer.ends_with(b"xxx") {
            assert_ne!(client.read_buf(&mut answer).await.expect("it is answered"), 0, "the connection is open");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_asks_nothing_is_cut_off_after_seconds() {
        let (_client, server) = connect(1 << 20, 3);
        let began = Instant::now();
        server.await.expect("no panic");
        assert_eq!(began.elapsed().as_secs(), HEAD.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_in_drops_is_cut_off_too() {
        let (mut client, server) = connect(1 << 20, 3);
        ask(&mut client).await;
        tokio::time::sleep(Duration::from_secs(100)).await;
        let began = Instant::now();
        for byte in REQUEST {
            if client.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        server.await.expect("no panic");
        assert!(began.elapsed() < HEAD + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_may_be_idle_for_minutes_between_requests() {
        let (mut client, server) = connect(1 << 20, 3);
        for _ in 0..3 {
            ask(&mut client).await;
            tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
        }
        ask(&mut client).await;
        let began = Instant::now();
        server.await.expect("no panic");
        assert_eq!(began.elapsed().as_secs(), IDLE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_of_its_answer_is_cut_off() {
        let (mut client, server) = connect(1 << 10, 1 << 20);
        client.write_all(REQUEST).await.expect("it is read");
        let mut taken = vec![0; 2 << 10];
        client.read_exact(&mut taken).await.expect("it is answered");
        let began = Instant::now();
        server.await.expect("no panic");
        assert_eq!(began.elapsed().as_secs(), STALL.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_slowly_gets_all_of_its_answer() {
        let (mut client, server) = connect(1 << 10, 10 << 10);
        client.write_all(REQUEST).await.expect("it is read");
        let mut answer = Vec::new();
        while answer.iter().filter(|b| **b == b'x').count() < 10 << 10 {
            tokio::time::sleep(STALL - Duration::from_secs(1)).await;
            assert_ne!(client.read_buf(&mut answer).await.expect("it is answered"), 0, "the connection is open");
        }
        drop(client);
        server.await.expect("no panic");
    }
}

//! Serves one HTTP/1 connection, with a timeout for each of its states.
//!
//! hyper has a single timeout for reading the head of a request, which includes the idle time between requests. It would cut
//! off clients that keep their connection open, so each state has its own timeout here.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tracing::debug;

use super::auth_layer::AuthLayer;
use super::body::GuardedBody;
use super::client_ip::ClientIp;
use super::connection::{Connection, RequestInProgress};
use crate::settings::Timeouts;
use crate::sync::lock;

/// Maximum size in bytes of a request's head, and of the part of an answer that is buffered before the socket.
const BUFFER: usize = 32 << 10;

/// Answers the requests of a connection. After the port's `stop` it only completes the request in progress.
pub(super) async fn serve_connection<S>(stream: S, connection: Connection)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let activity = Activity::default();
    let io = TokioIo::new(TimedStream::new(stream, connection.port.timeouts, activity.clone()));
    let (remote, stop) = (connection.remote, connection.port.stop.clone());
    let service = hyper::service::service_fn(move |mut request: Request<_>| {
        request.extensions_mut().insert(ClientIp(remote));
        answer(connection.port.layer.clone(), activity.clone(), connection.begin_request(), request)
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
        debug!(%remote, %error, "connection ended early");
    }
}

/// The state of a connection, shared between its socket and its answers.
#[derive(Clone, Default)]
struct Activity(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: AtomicU32,
    /// The request whose answer is complete, but perhaps still buffered.
    unsent: Mutex<Option<RequestInProgress>>,
}

/// Reads the head of a request. New connections start in this state.
const READING: u32 = 0;
/// Waits for the next request.
const IDLE: u32 = 1;
/// Reads the body of a request.
const RECEIVING: u32 = 2;
/// Answers a request.
const ANSWERING: u32 = 3;
/// The bits of the state. The bits above count the requests, so that the same state of two requests differs.
const STATE: u32 = 3;

impl Activity {
    fn get(&self) -> u32 {
        self.0.state.load(Relaxed)
    }

    fn set(&self, state: u32) {
        // No race: a single task drives the connection.
        self.0.state.store(self.get() & !STATE | state, Relaxed);
    }

    /// The head of another request was read, which has a body or not.
    fn on_request(&self, body: bool) {
        self.0.state.store(self.get().wrapping_add(STATE + 1), Relaxed);
        self.set(if body { RECEIVING } else { ANSWERING });
    }

    /// The body of the request ended.
    fn on_received(&self) {
        if self.get() & STATE == RECEIVING {
            self.set(ANSWERING);
        }
    }

    /// The answer was handed over to hyper in full.
    fn on_answered(&self, request: Option<RequestInProgress>) {
        self.set(IDLE);
        *lock(&self.0.unsent) = request;
    }

    /// Everything that hyper has buffered is sent.
    fn on_sent(&self) {
        lock(&self.0.unsent).take();
    }
}

/// Answers a request, and keeps the state of the connection up to date.
async fn answer<B>(
    layer: AuthLayer,
    activity: Activity,
    progress: RequestInProgress,
    request: Request<B>,
) -> Result<Response<impl Body<Data = Bytes, Error = warp::Error>>, Infallible>
where
    B: Body<Data = Bytes> + Unpin + Send + Sync + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    activity.on_request(!request.body().is_end_stream());
    let received = OnReceived(activity.clone());
    let response = layer.answer(request.map(|body| GuardedBody { _guard: received, body })).await?;
    Ok(response.map(|body| AnswerBody { request: Some(progress), activity, body }))
}

/// Dropped together with the body of a request.
struct OnReceived(Activity);

impl Drop for OnReceived {
    fn drop(&mut self) {
        self.0.on_received();
    }
}

/// The body of an answer.
struct AnswerBody<B> {
    request: Option<RequestInProgress>,
    activity: Activity,
    body: B,
}

impl<B: Body<Data = Bytes> + Unpin> Body for AnswerBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(request) = &self.request {
            request.touch();
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for AnswerBody<B> {
    fn drop(&mut self) {
        self.activity.on_answered(self.request.take());
    }
}

/// A socket whose reads and writes fail when the client takes too long.
struct TimedStream<S> {
    stream: S,
    timeouts: Timeouts,
    activity: Activity,
    /// The state and request that `timer` was set for.
    timed: Option<u32>,
    timer: Pin<Box<Sleep>>,
    /// When the current request began.
    began: Instant,
    /// When the current state times out.
    deadline: Option<Instant>,
    /// Whether something was written since the last flush.
    unsent: bool,
}

impl<S> TimedStream<S> {
    fn new(stream: S, timeouts: Timeouts, activity: Activity) -> Self {
        let timer = Box::pin(sleep(Duration::ZERO));
        Self { stream, timeouts, activity, timed: None, timer, began: Instant::now(), deadline: None, unsent: false }
    }

    /// Returns when a state that begins now times out, if it does.
    fn deadline_of(&mut self, state: u32) -> Option<Instant> {
        let Timeouts { read, read_header, write, idle } = self.timeouts;
        let now = Instant::now();
        match state {
            READING => read_header.or(read).map(|limit| self.began + read.map_or(limit, |read| read.min(limit))),
            RECEIVING => read.map(|limit| self.began + limit),
            IDLE => {
                // The next request may already have arrived, together with the previous one.
                self.began = now;
                idle.or(read).map(|limit| now + limit)
            }
            _ => write.map(|limit| now + limit),
        }
    }

    /// Becomes ready with an error when the current state times out.
    fn poll_timeout(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let mut state = self.activity.get();
        if state & STATE == IDLE && self.unsent {
            // The answer was produced in full, but a part of it is still buffered.
            state |= ANSWERING;
        }
        if self.timed != Some(state) {
            self.timed = Some(state);
            self.deadline = self.deadline_of(state & STATE);
            if let Some(deadline) = self.deadline {
                self.timer.as_mut().reset(deadline);
            }
        }
        match self.deadline {
            Some(_) => self.timer.as_mut().poll(context).map(|()| io::ErrorKind::TimedOut.into()),
            None => Poll::Pending,
        }
    }

    /// Returns `written`, or an error if the client takes too long to receive the answer.
    fn poll_write_timeout<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            return written;
        }
        self.poll_timeout(context).map(Err)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            if self.activity.get() & STATE == IDLE {
                self.activity.set(READING);
                self.began = Instant::now();
            }
            return read;
        }
        self.poll_timeout(context).map(Err)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.unsent = true;
        self.poll_write_timeout(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.unsent = true;
        self.poll_write_timeout(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.unsent &= flushed.is_pending();
        if flushed.is_ready() {
            self.activity.on_sent();
        }
        // NB: sets the timer here, because hyper flushes after an answer but reads again only when it is woken.
        if flushed.is_ready()
            && let Poll::Ready(error) = self.poll_timeout(context)
        {
            return Poll::Ready(Err(error));
        }
        self.poll_write_timeout(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.poll_write_timeout(context, shut)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::task::JoinHandle;
    use tokio_util::sync::CancellationToken;
    use warp::{Filter, Reply};

    use super::*;
    use crate::server::connection::Port;
    use crate::server::reply::Routes;

    /// A client whose pipe holds `room` bytes, and a server that answers each request with `length` bytes.
    fn connect(room: usize, length: usize) -> (DuplexStream, JoinHandle<()>) {
        serve(room, warp::any().map(move || vec![b'x'; length].into_response()).boxed(), TIMEOUTS)
    }

    /// A client whose pipe holds `room` bytes, and a server of `routes`.
    fn serve(room: usize, routes: Routes, timeouts: Timeouts) -> (DuplexStream, JoinHandle<()>) {
        let (client, stream) = tokio::io::duplex(room);
        (client, tokio::spawn(serve_connection(stream, connection(routes, timeouts))))
    }

    fn connection(routes: Routes, timeouts: Timeouts) -> Connection {
        let port = Port::new(AuthLayer::new(routes, None, None), timeouts, CancellationToken::new());
        Connection::open(port, Ipv4Addr::LOCALHOST.into())
    }

    const HEAD: Duration = Duration::from_secs(5);
    const READ: Duration = Duration::from_secs(50);
    const WRITE: Duration = Duration::from_secs(60);
    const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
    const TIMEOUTS: Timeouts =
        Timeouts { read: Some(READ), read_header: Some(HEAD), write: Some(WRITE), idle: Some(IDLE_TIMEOUT) };

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: replica\r\n\r\n";

    async fn ask(client: &mut DuplexStream) {
        client.write_all(REQUEST).await.expect("it is read");
        let mut answer = Vec::new();
        while !answer.ends_with(b"xxx") {
            assert_ne!(client.read_buf(&mut answer).await.expect("it is answered"), 0, "the connection is open");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_no_request_is_cut_off_after_seconds() {
        let (_client, server) = connect(1 << 20, 3);
        let began = Instant::now();
        server.await.expect("no panic");
        assert_eq!(began.elapsed().as_secs(), HEAD.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_arrives_too_slowly_is_cut_off() {
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
            tokio::time::sleep(IDLE_TIMEOUT - Duration::from_secs(1)).await;
        }
        ask(&mut client).await;
        let began = Instant::now();
        server.await.expect("no panic");
        assert_eq!(began.elapsed().as_secs(), IDLE_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_its_answer_is_cut_off() {
        // The server still produces the first answer. It has produced all of the second one, and a part is not read.
        for length in [1 << 20, 10 << 10] {
            let (mut client, server) = connect(1 << 10, length);
            client.write_all(REQUEST).await.expect("it is read");
            let began = Instant::now();
            let mut taken = vec![0; 2 << 10];
            client.read_exact(&mut taken).await.expect("it is answered");
            server.await.expect("no panic");
            assert_eq!(began.elapsed().as_secs(), WRITE.as_secs());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_cut_off_and_each_answer_has_its_own_timeout() {
        let (mut client, server) = connect(1 << 10, 10 << 10);
        for pause in [3, 3, 7] {
            client.write_all(REQUEST).await.expect("it is read");
            let began = Instant::now();
            let mut answer = Vec::new();
            while answer.iter().filter(|b| **b == b'x').count() < 10 << 10 {
                tokio::time::sleep(Duration::from_secs(pause)).await;
                if client.read_buf(&mut answer).await.expect("it is answered") == 0 {
                    break;
                }
            }
            assert_eq!(began.elapsed() > WRITE, pause == 7, "{:?}", began.elapsed());
        }
        server.await.expect("no panic");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_body_that_arrives_too_slowly_is_cut_off() {
        let routes = warp::body::bytes().map(|_| "all of it".into_response()).boxed();
        let (mut client, server) = serve(1 << 10, routes, TIMEOUTS);
        client
            .write_all(b"POST / HTTP/1.1\r\nhost: replica\r\ncontent-length: 1000\r\n\r\n")
            .await
            .expect("it is read");
        let began = Instant::now();
        while client.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        server.await.expect("no panic");
        assert!(began.elapsed().abs_diff(READ) <= Duration::from_secs(2), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_timeout_of_a_body_starts_with_its_own_request() {
        let routes = warp::body::bytes().map(|_| "xxx".into_response()).boxed();
        let (mut client, server) = serve(1 << 10, routes, TIMEOUTS);
        for _ in 0..5 {
            let head = b"POST / HTTP/1.1\r\nhost: replica\r\ncontent-length: 4\r\n\r\n";
            client.write_all(head).await.expect("it is read");
            tokio::time::sleep(READ - Duration::from_secs(1)).await;
            client.write_all(b"body").await.expect("it is read");
            let mut answer = Vec::new();
            while !answer.ends_with(b"xxx") {
                assert_ne!(client.read_buf(&mut answer).await.expect("it is answered"), 0, "the connection is open");
            }
            tokio::time::sleep(IDLE_TIMEOUT - Duration::from_secs(1)).await;
        }
        drop(client);
        server.await.expect("no panic");
    }

    #[tokio::test(start_paused = true)]
    async fn without_limits_no_client_is_cut_off() {
        let routes = warp::any().map(|| vec![b'x'; 3].into_response()).boxed();
        let (mut client, stream) = tokio::io::duplex(1 << 10);
        let none = Timeouts { read: None, read_header: None, write: None, idle: None };
        let server = tokio::spawn(serve_connection(stream, connection(routes, none)));
        tokio::time::sleep(Duration::from_secs(100_000)).await;
        ask(&mut client).await;
        tokio::time::sleep(Duration::from_secs(100_000)).await;
        ask(&mut client).await;
        drop(client);
        server.await.expect("no panic");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_in_progress_until_its_answer_is_sent() {
        let routes = warp::any().map(|| vec![b'x'; 10 << 10].into_response()).boxed();
        let connection = connection(routes, TIMEOUTS);
        let requests = connection.port.requests.clone();
        let (mut client, stream) = tokio::io::duplex(1 << 10);
        let server = tokio::spawn(serve_connection(stream, connection));
        for _ in 0..2 {
            client.write_all(REQUEST).await.expect("it is read");
            // hyper has the whole answer, and the pipe a part of it.
            client.read_exact(&mut [0; 4 << 10]).await.expect("it is answered");
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!(requests.len(), 1);
            let mut rest = Vec::new();
            while !rest.ends_with(&[b'x'; 100]) || rest.len() < 6 << 10 {
                client.read_buf(&mut rest).await.expect("it is answered");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!(requests.len(), 0);
        }
        drop(client);
        server.await.expect("no panic");
        assert_eq!(requests.len(), 0);
    }
}

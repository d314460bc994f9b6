//! One connection, and its timeouts by what it is doing.
//!
//! hyper has one timeout for reading a request's head, and counts idle time between requests into it; a client that keeps
//! its connection would be cut off after seconds. Here each state has its own.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::body::With;
use super::{AuthLayer, Remote};
use crate::settings::Timeouts;

/// Bytes of a request's head, and of an answer before the socket has to take some.
const BUFFER: usize = 64 << 10;

/// Answers by `layer` as many requests as the client, at `remote`, has; after `stop` only the one that has begun.
pub(super) async fn serve_connection<S>(
    stream: S,
    remote: IpAddr,
    layer: AuthLayer,
    timeouts: Timeouts,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let activity = Activity::default();
    let io = TokioIo::new(Timed::new(stream, timeouts, activity.clone()));
    let service = hyper::service::service_fn(move |mut request: Request<_>| {
        request.extensions_mut().insert(Remote(remote));
        answer(layer.clone(), activity.clone(), request)
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
struct Activity(Arc<AtomicU32>);

/// A request's head is being read; a new connection starts here.
const READING: u32 = 0;
/// Nothing is asked.
const WAITING: u32 = 1;
/// The body of a request is being read.
const RECEIVING: u32 = 2;
/// A request is being answered.
const ANSWERING: u32 = 3;
/// The bits of a state; those above count the requests.
const STATE: u32 = 3;

impl Activity {
    fn get(&self) -> u32 {
        self.0.load(Relaxed)
    }

    fn set(&self, state: u32) {
        // Only one task works at a connection.
        self.0.store(self.get() & !STATE | state, Relaxed);
    }

    /// One more request is there, with a body or without.
    fn asked(&self, body: bool) {
        self.0.store(self.get().wrapping_add(STATE + 1), Relaxed);
        self.set(if body { RECEIVING } else { ANSWERING });
    }

    /// The body of a request, if that is what was read, is over.
    fn received(&self) {
        if self.get() & STATE == RECEIVING {
            self.set(ANSWERING);
        }
    }

    /// The answer, as far as it is ours to make, is over.
    fn answered(&self) {
        self.set(WAITING);
    }
}

/// Answers a request by `layer`.
async fn answer<B>(
    layer: AuthLayer,
    activity: Activity,
    request: Request<B>,
) -> Result<Response<impl Body<Data = Bytes, Error = warp::Error>>, Infallible>
where
    B: Body<Data = Bytes> + Unpin + Send + Sync + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    activity.asked(!request.body().is_end_stream());
    let received = Next { activity: activity.clone(), over: Activity::received };
    let response = layer.answer(request.map(|body| With { _on_end: received, body })).await?;
    Ok(response.map(|body| With { _on_end: Next { activity, over: Activity::answered }, body }))
}

/// What is done next when it is dropped.
struct Next {
    activity: Activity,
    over: fn(&Activity),
}

impl Drop for Next {
    fn drop(&mut self) {
        (self.over)(&self.activity);
    }
}

/// A socket whose reads and writes end in an error when the client takes too long.
struct Timed<S> {
    stream: S,
    timeouts: Timeouts,
    activity: Activity,
    /// The state that `timer` was set for, and of which request.
    timed: Option<u32>,
    timer: Pin<Box<Sleep>>,
    /// When the request that is being read began.
    began: Instant,
    /// When what is being done is to be over.
    deadline: Option<Instant>,
    /// Something was written since the last flush.
    unsent: bool,
}

impl<S> Timed<S> {
    fn new(stream: S, timeouts: Timeouts, activity: Activity) -> Self {
        let timer = Box::pin(sleep(Duration::ZERO));
        Self { stream, timeouts, activity, timed: None, timer, began: Instant::now(), deadline: None, unsent: false }
    }

    /// When a state that begins now is to be over, if ever.
    fn limit(&mut self, state: u32) -> Option<Instant> {
        let Timeouts { read, read_header, write, idle } = self.timeouts;
        let now = Instant::now();
        match state {
            READING => read_header.or(read).map(|limit| self.began + read.map_or(limit, |read| read.min(limit))),
            RECEIVING => read.map(|limit| self.began + limit),
            WAITING => {
                // The next request may have arrived already, together with the one before.
                self.began = now;
                idle.or(read).map(|limit| now + limit)
            }
            _ => write.map(|limit| now + limit),
        }
    }

    /// Whether the client may still take its time.
    fn poll_timeouts(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let mut state = self.activity.get();
        if state & STATE == WAITING && self.unsent {
            // What is buffered of an answer is a part of it, though all of it has been made.
            state |= ANSWERING;
        }
        if self.timed != Some(state) {
            self.timed = Some(state);
            self.deadline = self.limit(state & STATE);
            if let Some(deadline) = self.deadline {
                self.timer.as_mut().reset(deadline);
            }
        }
        match self.deadline {
            Some(_) => self.timer.as_mut().poll(context).map(|()| io::ErrorKind::TimedOut.into()),
            None => Poll::Pending,
        }
    }

    /// Passes a write on, unless the answer takes too long.
    fn poll_progress<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            return written;
        }
        self.poll_timeouts(context).map(Err)
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
            if self.activity.get() & STATE == WAITING {
                self.activity.set(READING);
                self.began = Instant::now();
            }
            return read;
        }
        self.poll_timeouts(context).map(Err)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.unsent = true;
        self.poll_progress(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.unsent = true;
        self.poll_progress(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.unsent &= flushed.is_pending();
        // After an answer hyper flushes, but it does not read again before it is woken: the timer must be set here.
        if flushed.is_ready()
            && let Poll::Ready(error) = self.poll_timeouts(context)
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
    use crate::server::Routes;

    /// A client whose pipe holds `room` bytes, and the server's end of it, which answers all with `length` bytes.
    fn connect(room: usize, length: usize) -> (DuplexStream, JoinHandle<()>) {
        serve(room, warp::any().map(move || vec![b'x'; length].into_response()).boxed(), TIMEOUTS)
    }

    /// A client whose pipe holds `room` bytes, and the server's end of it.
    fn serve(room: usize, routes: Routes, timeouts: Timeouts) -> (DuplexStream, JoinHandle<()>) {
        let (client, stream) = tokio::io::duplex(room);
        let layer = AuthLayer::new(routes, None, None);
        (
            client,
            tokio::spawn(serve_connection(
                stream,
                Ipv4Addr::LOCALHOST.into(),
                layer,
                timeouts,
                CancellationToken::new(),
            )),
        )
    }

    const HEAD: Duration = Duration::from_secs(5);
    const READ: Duration = Duration::from_secs(50);
    const WRITE: Duration = Duration::from_secs(60);
    const IDLE: Duration = Duration::from_secs(300);
    const TIMEOUTS: Timeouts =
        Timeouts { read: Some(READ), read_header: Some(HEAD), write: Some(WRITE), idle: Some(IDLE) };

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
        // One answer that the server still makes, and one of which all is made and a part not taken.
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
    async fn an_answer_that_is_read_too_slowly_is_cut_off_and_the_next_one_has_its_own_time() {
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
    async fn a_body_in_drops_is_cut_off() {
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
    async fn a_body_has_its_time_from_its_own_request_on() {
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
            tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
        }
        drop(client);
        server.await.expect("no panic");
    }

    #[tokio::test(start_paused = true)]
    async fn without_limits_nobody_is_cut_off() {
        let routes = warp::any().map(|| vec![b'x'; 3].into_response()).boxed();
        let (mut client, stream) = tokio::io::duplex(1 << 10);
        let none = Timeouts { read: None, read_header: None, write: None, idle: None };
        let layer = AuthLayer::new(routes, None, None);
        let server =
            tokio::spawn(serve_connection(stream, Ipv4Addr::LOCALHOST.into(), layer, none, CancellationToken::new()));
        tokio::time::sleep(Duration::from_secs(100_000)).await;
        ask(&mut client).await;
        tokio::time::sleep(Duration::from_secs(100_000)).await;
        ask(&mut client).await;
        drop(client);
        server.await.expect("no panic");
    }
}

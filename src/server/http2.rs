//! Serves one HTTP/2 connection, with timeouts for each of its concurrent requests.
//!
//! Clients choose HTTP/2 during the TLS handshake. A request that times out closes the whole connection, since a client that
//! stalls one stream could stall them all.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::auth_layer::AuthLayer;
use super::body::GuardedBody;
use super::client_ip::ClientIp;
use super::connection::{Connection, Port, RequestInProgress};
use crate::settings::Timeouts;
use crate::sync::lock;

/// Maximum number of concurrent requests.
const MAX_STREAMS: u32 = 16;
/// Maximum size in bytes of a request's head.
const MAX_HEAD: u32 = 32 << 10;
/// Bytes of an answer that are buffered per stream.
const BUFFER: usize = 32 << 10;
/// Bytes that a client may send before they are read: for one request, and for all of a connection. The minimum of the protocol.
const WINDOW: u32 = 65_535;
/// Maximum number of streams that were reset and are not yet forgotten. A client that exceeds it is cut off.
const MAX_RESETS: usize = 32;
/// A silent client gets a ping after this time, and has as long to answer it.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Stands for "no deadline".
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Answers the requests of a connection. After the port's `stop` it only completes the requests in progress.
pub(super) async fn serve_connection<S>(stream: S, connection: Connection)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Connection { remote, .. } = connection;
    let Port { timeouts, stop, .. } = connection.port.clone();
    let active =
        ActiveRequests(Arc::new(Shared { timeouts, requests: Mutex::new(Requests::new()), changed: Notify::new() }));
    let requests = active.clone();
    let service = hyper::service::service_fn(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ClientIp(remote));
        let held = Held { active: requests.begin(), progress: connection.begin_request() };
        answer(connection.port.layer.clone(), held, request)
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD)
        .max_send_buf_size(BUFFER)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    debug!(%remote, %error, "connection ended early");
                }
                return;
            }
            () = active.timed_out() => {
                debug!(%remote, "connection closed: idle, or a request timed out");
                return;
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn answer(
    layer: AuthLayer,
    held: Held,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<impl Body<Data = Bytes, Error = warp::Error>>, Infallible> {
    if request.body().is_end_stream() {
        held.active.on_received();
    }
    let held = Arc::new(held);
    let request = request.map(|body| GuardedBody { _guard: OnReceived(Arc::clone(&held)), body });
    let response = layer.answer(request).await?;
    Ok(response.map(|body| AnswerBody { body, held }))
}

/// The requests in progress on a connection.
#[derive(Clone)]
struct ActiveRequests(Arc<Shared>);

struct Shared {
    timeouts: Timeouts,
    requests: Mutex<Requests>,
    changed: Notify,
}

struct Requests {
    /// By number: when each request times out, first for its body to arrive and then for its answer to be sent.
    deadlines: HashMap<u64, Option<Instant>>,
    next: u64,
    /// When the last request ended.
    idle_since: Instant,
}

impl Requests {
    fn new() -> Self {
        Self { deadlines: HashMap::new(), next: 0, idle_since: Instant::now() }
    }
}

impl ActiveRequests {
    fn requests(&self) -> MutexGuard<'_, Requests> {
        lock(&self.0.requests)
    }

    /// Starts the timeout of a request whose head was read.
    fn begin(&self) -> ActiveRequest {
        let mut requests = self.requests();
        let number = requests.next;
        requests.next += 1;
        let deadline = self.0.timeouts.read.map(|limit| Instant::now() + limit);
        requests.deadlines.insert(number, deadline);
        drop(requests);
        self.0.changed.notify_one();
        ActiveRequest { number, active: self.clone() }
    }

    /// Returns when the connection times out, if nothing changes before.
    fn deadline(&self) -> Instant {
        let requests = self.requests();
        let Timeouts { read, read_header, idle, .. } = self.0.timeouts;
        let first = match requests.next {
            // Before the first request its head has the usual timeout.
            0 => read_header.or(read).map(|limit| requests.idle_since + limit),
            _ if requests.deadlines.is_empty() => idle.or(read).map(|limit| requests.idle_since + limit),
            _ => requests.deadlines.values().flatten().min().copied(),
        };
        first.unwrap_or_else(|| Instant::now() + FOREVER)
    }

    async fn timed_out(&self) {
        loop {
            let changed = self.0.changed.notified();
            tokio::select! {
                () = sleep_until(self.deadline()) => return,
                () = changed => {}
            }
        }
    }
}

/// One request in progress, until it is dropped.
struct ActiveRequest {
    number: u64,
    active: ActiveRequests,
}

impl ActiveRequest {
    /// The request was received in full: starts the timeout of its answer.
    fn on_received(&self) {
        let limit = self.active.0.timeouts.write;
        let mut requests = self.active.requests();
        requests.deadlines.insert(self.number, limit.map(|limit| Instant::now() + limit));
        drop(requests);
        self.active.0.changed.notify_one();
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let mut requests = self.active.requests();
        requests.deadlines.remove(&self.number);
        requests.idle_since = Instant::now();
        drop(requests);
        self.active.0.changed.notify_one();
    }
}

/// Dropped together with the body of a request, when that was received in full.
struct OnReceived(Arc<Held>);

impl Drop for OnReceived {
    fn drop(&mut self) {
        self.0.active.on_received();
    }
}

/// A request in progress: its timeout, and its place.
struct Held {
    active: ActiveRequest,
    progress: RequestInProgress,
}

/// The body of an answer. The request ends when this and all of its chunks are dropped.
///
/// hyper takes a chunk from a body before the client has room for it, and drops the body together with the last one.
struct AnswerBody<B> {
    body: B,
    held: Arc<Held>,
}

/// A chunk of an answer, until it is written to the socket.
struct Chunk {
    bytes: Bytes,
    _held: Arc<Held>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for AnswerBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.held.progress.touch();
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let hold = |bytes| Bytes::from_owner(Chunk { bytes, _held: Arc::clone(&self.held) });
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(hold))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use http_body_util::{BodyExt, Empty, StreamBody};
    use hyper::client::conn::http2::{Builder, SendRequest};
    use tokio::task::JoinHandle;
    use tokio::time::sleep;
    use tokio_util::sync::CancellationToken;
    use warp::{Filter, Reply};

    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        read: Some(Duration::from_secs(50)),
        read_header: Some(Duration::from_secs(5)),
        write: Some(Duration::from_secs(60)),
        idle: Some(Duration::from_secs(300)),
    };

    type Sender<B> = SendRequest<B>;

    /// A client, and a server that receives each request in full and answers with `length` bytes.
    async fn connect<B>(length: usize) -> (Sender<B>, JoinHandle<()>)
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let routes = warp::body::bytes().map(move |_| vec![b'x'; length].into_response()).boxed();
        let port = Port::new(AuthLayer::new(routes, None, None), TIMEOUTS, CancellationToken::new());
        let (sender, server, _) = connect_to(port, Builder::new(TokioExecutor::new())).await;
        (sender, server)
    }

    /// A client of `port`, with a token that closes the connection.
    async fn connect_to<B>(port: Port, client: Builder<TokioExecutor>) -> (Sender<B>, JoinHandle<()>, CancellationToken)
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let (near, far) = tokio::io::duplex(1 << 16);
        let connection = Connection::open(port, Ipv4Addr::LOCALHOST.into());
        let close = connection.close();
        let server = {
            let close = close.clone();
            async move { close.run_until_cancelled(serve_connection(far, connection)).await.unwrap_or_default() }
        };
        let server = tokio::spawn(server);
        let (sender, connection) = client.handshake(TokioIo::new(near)).await.expect("HTTP/2");
        tokio::spawn(connection);
        (sender, server, close)
    }

    fn request() -> Request<Empty<Bytes>> {
        Request::get("http://replica/").body(Empty::new()).expect("a request")
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_be_idle_between_requests_but_not_before_the_first() {
        let began = Instant::now();
        let (_sender, server) = connect::<Empty<Bytes>>(3).await;
        server.await.expect("no panic");
        assert_eq!(began.elapsed().as_secs(), 5);
        let (mut sender, server) = connect(3).await;
        for _ in 0..3 {
            let answer = sender.send_request(request()).await.expect("it is answered");
            assert_eq!(answer.into_body().collect().await.expect("all of it").to_bytes(), "xxx");
            sleep(Duration::from_secs(290)).await;
        }
        let began = Instant::now();
        server.await.expect("no panic");
        assert!(began.elapsed() <= Duration::from_secs(11));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_its_answer_is_cut_off() {
        let (mut sender, server) = connect(10 << 20).await;
        let answer = sender.send_request(request()).await.expect("it is answered");
        let began = Instant::now();
        server.await.expect("no panic");
        assert!(began.elapsed().as_secs().abs_diff(60) <= 1, "{:?}", began.elapsed());
        drop(answer);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_body_that_arrives_too_slowly_is_cut_off() {
        let drops = futures::stream::unfold((), |()| async {
            sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x"))), ()))
        });
        let (mut sender, server) = connect(3).await;
        let body = StreamBody::new(Box::pin(drops));
        let request = Request::post("http://replica/").body(body).expect("a request");
        let began = Instant::now();
        let answer = tokio::spawn(sender.send_request(request));
        server.await.expect("no panic");
        assert!(began.elapsed().as_secs().abs_diff(50) <= 1, "{:?}", began.elapsed());
        assert!(answer.await.expect("no panic").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn clients_without_flow_control_windows_hold_a_bounded_number_of_chunks() {
        const PIECE: usize = 64 << 10;
        // Each answer is endless, in chunks that count themselves.
        static CHUNKS: AtomicUsize = AtomicUsize::new(0);
        struct Counted(Vec<u8>);
        impl AsRef<[u8]> for Counted {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        impl Drop for Counted {
            fn drop(&mut self) {
                CHUNKS.fetch_sub(1, Relaxed);
            }
        }
        let routes = warp::any()
            .map(|| {
                let chunks = futures::stream::repeat_with(|| {
                    CHUNKS.fetch_add(1, Relaxed);
                    Ok::<_, Infallible>(Bytes::from_owner(Counted(vec![b'x'; PIECE])))
                });
                warp::reply::stream(chunks).into_response()
            })
            .boxed();
        for window in [0, 1, 1 << 20] {
            let port = Port::new(AuthLayer::new(routes.clone(), None, None), TIMEOUTS, CancellationToken::new());
            let mut clients = Vec::new();
            for _ in 0..40 {
                let mut client = Builder::new(TokioExecutor::new());
                client.initial_stream_window_size(window).initial_connection_window_size(1 << 24);
                let (mut sender, server, close) = connect_to(port.clone(), client).await;
                // The client never reads the answers.
                let mut answers = Vec::new();
                for _ in 0..MAX_STREAMS {
                    if let Ok(answer) = sender.send_request(request()).await {
                        answers.push(answer);
                    }
                }
                clients.push((sender, server, close, answers));
                assert!(port.requests.len() <= 96, "the places of one address");
                tokio::task::yield_now().await;
            }
            sleep(Duration::from_secs(1)).await;
            let open = clients.iter().filter(|(.., close, _)| !close.is_cancelled()).count();
            assert!((1..=7).contains(&open), "{open} connections with 16 requests");
            // A request holds the chunk that waits, and those that fit into the client's window or the buffer.
            let most = 96 * (2 + window as usize / PIECE);
            assert!(CHUNKS.load(Relaxed) <= most, "{} chunks", CHUNKS.load(Relaxed));
            // The newest client is served.
            assert_eq!(clients.last().map(|(.., answers)| answers.len()), Some(MAX_STREAMS as usize));
            drop(clients);
            sleep(Duration::from_secs(1)).await;
            assert_eq!((CHUNKS.load(Relaxed), port.requests.len(), port.connections.len()), (0, 0, 0));
        }
    }
}

//! One connection of HTTP/2, and its timeouts: many requests may be under way on it, each of which has its own time.
//!
//! HTTP/2 is spoken by those who chose it under TLS. A request that takes too long ends the whole connection: whoever stalls one
//! stream could stall them all.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
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
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::body::With;
use super::{AuthLayer, Remote};
use crate::settings::Timeouts;
use crate::sync::lock;

/// Requests at a time.
const STREAMS: u32 = 16;
/// Bytes of a request's head.
const HEAD: u32 = 64 << 10;
/// Bytes of an answer before the client has to take some, on each stream.
const BUFFER: usize = 64 << 10;
/// A client that says nothing is asked after this long whether it is there, and has as long to answer.
const PING: Duration = Duration::from_secs(20);
/// Without any limit there is still an end.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Answers by `layer` the requests of the client at `remote`; after `stop` only those that have begun.
pub(super) async fn serve_connection<S>(
    stream: S,
    remote: IpAddr,
    layer: AuthLayer,
    timeouts: Timeouts,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let under_way =
        UnderWay(Arc::new(Shared { timeouts, requests: Mutex::new(Requests::new()), changed: Notify::new() }));
    let requests = under_way.clone();
    let service = hyper::service::service_fn(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Remote(remote));
        answer(layer.clone(), requests.begin(), request)
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD)
        .max_send_buf_size(BUFFER)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    debug!(%error, "a connection ended early");
                }
                return;
            }
            () = under_way.overdue() => {
                debug!(%remote, "a connection is cut off: it was idle, or a request took too long");
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
    turn: Turn,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<impl Body<Data = Bytes, Error = warp::Error>>, Infallible> {
    if request.body().is_end_stream() {
        turn.received();
    }
    let turn = Arc::new(turn);
    let request = request.map(|body| With { _on_end: Received(Arc::clone(&turn)), body });
    let response = layer.answer(request).await?;
    Ok(response.map(|body| Sent { body, rest: Bytes::new(), _turn: turn }))
}

/// What is under way on a connection.
#[derive(Clone)]
struct UnderWay(Arc<Shared>);

struct Shared {
    timeouts: Timeouts,
    requests: Mutex<Requests>,
    changed: Notify,
}

struct Requests {
    /// By number: by when each is to be over, or to be received.
    until: HashMap<u64, Option<Instant>>,
    next: u64,
    /// Since when there is none.
    idle: Instant,
}

impl Requests {
    fn new() -> Self {
        Self { until: HashMap::new(), next: 0, idle: Instant::now() }
    }
}

impl UnderWay {
    fn requests(&self) -> MutexGuard<'_, Requests> {
        lock(&self.0.requests)
    }

    /// A request whose head is there.
    fn begin(&self) -> Turn {
        let mut requests = self.requests();
        let number = requests.next;
        requests.next += 1;
        let until = self.0.timeouts.read.map(|limit| Instant::now() + limit);
        requests.until.insert(number, until);
        drop(requests);
        self.0.changed.notify_one();
        Turn { number, under_way: self.clone() }
    }

    /// When something will have taken too long.
    fn deadline(&self) -> Instant {
        let requests = self.requests();
        let Timeouts { read, read_header, idle, .. } = self.0.timeouts;
        let first = match requests.next {
            // Nothing was asked yet, as while the head of a request is read.
            0 => read_header.or(read).map(|limit| requests.idle + limit),
            _ if requests.until.is_empty() => idle.or(read).map(|limit| requests.idle + limit),
            _ => requests.until.values().flatten().min().copied(),
        };
        first.unwrap_or_else(|| Instant::now() + LONGEST)
    }

    async fn overdue(&self) {
        loop {
            let changed = self.0.changed.notified();
            tokio::select! {
                () = sleep_until(self.deadline()) => return,
                () = changed => {}
            }
        }
    }
}

/// One request.
struct Turn {
    number: u64,
    under_way: UnderWay,
}

impl Turn {
    /// All of the request is there.
    fn received(&self) {
        let limit = self.under_way.0.timeouts.write;
        let mut requests = self.under_way.requests();
        requests.until.insert(self.number, limit.map(|limit| Instant::now() + limit));
        drop(requests);
        self.under_way.0.changed.notify_one();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut requests = self.under_way.requests();
        requests.until.remove(&self.number);
        requests.idle = Instant::now();
        drop(requests);
        self.under_way.0.changed.notify_one();
    }
}

/// All of a request is there when it is dropped.
struct Received(Arc<Turn>);

impl Drop for Received {
    fn drop(&mut self) {
        self.0.received();
    }
}

/// The body of an answer: the request is over with it.
///
/// It is handed over in pieces, since hyper drops a body with the last of them: all but that piece and the one before has its time, and
/// what is left then is so little that it may take as long as a connection may be idle.
struct Sent<B> {
    body: B,
    /// Of a piece that is too large.
    rest: Bytes,
    _turn: Arc<Turn>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Sent<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => self.rest = bytes,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => return Poll::Ready(other),
            }
        }
        let size = self.rest.len().min(BUFFER);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // It is asked before anything is taken.
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use http_body_util::{BodyExt, Empty, StreamBody};
    use hyper::client::conn::http2::{SendRequest, handshake};
    use tokio::task::JoinHandle;
    use tokio::time::sleep;
    use warp::{Filter, Reply};

    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        read: Some(Duration::from_secs(50)),
        read_header: Some(Duration::from_secs(5)),
        write: Some(Duration::from_secs(60)),
        idle: Some(Duration::from_secs(300)),
    };

    type Sender<B> = SendRequest<B>;

    /// A client, and the server, which answers all with `length` bytes after it has the whole request.
    async fn connect<B>(length: usize) -> (Sender<B>, JoinHandle<()>)
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let routes = warp::body::bytes().map(move |_| vec![b'x'; length].into_response()).boxed();
        let (client, stream) = tokio::io::duplex(1 << 16);
        let layer = AuthLayer::new(routes, None, None);
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve_connection(stream, Ipv4Addr::LOCALHOST.into(), layer, TIMEOUTS, stop));
        let io = TokioIo::new(client);
        let (sender, connection) = handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
        tokio::spawn(connection);
        (sender, server)
    }

    fn request() -> Request<Empty<Bytes>> {
        Request::get("http://replica/").body(Empty::new()).expect("a request")
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_be_idle_between_requests_and_not_before_the_first() {
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
    async fn who_takes_nothing_of_an_answer_is_cut_off() {
        let (mut sender, server) = connect(10 << 20).await;
        let answer = sender.send_request(request()).await.expect("it is answered");
        let began = Instant::now();
        server.await.expect("no panic");
        assert!(began.elapsed().as_secs().abs_diff(60) <= 1, "{:?}", began.elapsed());
        drop(answer);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_in_drops_is_cut_off() {
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
}

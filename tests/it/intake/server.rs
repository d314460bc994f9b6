//! A scripted API server: each request waits until the test answers it, and the test writes each body in pieces.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc as stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use kube::client::Body;
use kube_state_fleet::intake::Status;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

type Piece = Result<Frame<Bytes>, std::io::Error>;
type Answer = Response<StreamBody<stream::UnboundedReceiver<Piece>>>;

/// Longer than any pause of the code under test. On a paused clock the wait takes no time.
const LONG: Duration = Duration::from_secs(3600);

/// The handle with which a test answers requests.
pub struct Server {
    calls: mpsc::UnboundedReceiver<Call>,
    /// What a watch has to repeat: from which version it then starts, and the event.
    checkpoint: (u64, Vec<u8>),
    /// What the source says of itself.
    status: Arc<Status>,
}

/// A request that waits for its answer.
pub struct Call {
    /// Path and query.
    pub uri: String,
    /// The header `Accept`.
    pub accept: String,
    reply: oneshot::Sender<Answer>,
    /// The event with which the answer begins.
    repeated: Option<Vec<u8>>,
}

/// The body of an answer; it ends when this is dropped.
pub struct Pieces(stream::UnboundedSender<Piece>);

impl Server {
    /// A server, and a client of it for the source with this status.
    pub fn new(status: Arc<Status>) -> (Self, kube::Client) {
        let (calls, served) = mpsc::unbounded_channel();
        let service = tower::service_fn(move |request: Request<Body>| {
            let calls = calls.clone();
            async move {
                let (reply, answer) = oneshot::channel();
                let accept = request.headers()[http::header::ACCEPT].to_str().unwrap().to_owned();
                let _ = calls.send(Call { uri: request.uri().to_string(), accept, reply, repeated: None });
                answer.await.map_err(|_| std::io::Error::other("connection refused"))
            }
        });
        (Self { calls: served, checkpoint: (0, Vec::new()), status }, kube::Client::new(service, "default"))
    }

    /// From now on `event` at `version` is the newest one that the source knows. A watch that starts before it begins with it.
    pub fn knows(&mut self, version: u64, event: impl Into<Vec<u8>>) {
        self.checkpoint = (version - 1, event.into());
    }

    /// The next request. Before it resumes a watch, a source may read the newest version; this server has always gone on.
    pub async fn call(&mut self) -> Call {
        loop {
            let mut call = self.any_call().await;
            let (from, event) = &self.checkpoint;
            if call.parameter("watch").is_some() && call.parameter("resourceVersion") == Some(from.to_string()) {
                call.repeated = Some(event.clone());
            }
            if call.parameter("limit").as_deref() != Some("1") {
                return call;
            }
            call.newest(u64::MAX);
        }
    }

    /// The next request of any kind.
    pub async fn any_call(&mut self) -> Call {
        timeout(LONG, self.calls.recv()).await.expect("a request in time").expect("a client")
    }

    /// The next request, which must be a streaming list.
    pub async fn streaming_list(&mut self) -> Call {
        let call = self.call().await;
        assert_eq!(call.parameter("sendInitialEvents").as_deref(), Some("true"), "{}", call.uri);
        assert_eq!(call.parameter("resourceVersionMatch").as_deref(), Some("NotOlderThan"));
        assert_eq!(call.parameter("allowWatchBookmarks").as_deref(), Some("true"));
        call
    }

    /// The next request, which must be a page that starts at `from`.
    pub async fn page(&mut self, from: Option<&str>) -> Call {
        let call = self.call().await;
        assert_eq!(call.parameter("watch"), None, "{}", call.uri);
        assert_eq!(call.parameter("continue").as_deref(), from, "{}", call.uri);
        call
    }

    /// The next request, which must be a watch from `version` on, or one that repeats the newest known event.
    pub async fn watch(&mut self, version: &str) -> Call {
        let call = self.call().await;
        assert_eq!(call.parameter("watch").as_deref(), Some("1"), "{}", call.uri);
        assert_eq!(call.parameter("sendInitialEvents"), None, "{}", call.uri);
        let known = match call.repeated {
            // It continues from there.
            Some(_) => Some(self.status.position.load(Ordering::Relaxed).to_string()),
            None => call.parameter("resourceVersion"),
        };
        assert_eq!(known.as_deref(), Some(version), "{}", call.uri);
        assert_eq!(call.parameter("allowWatchBookmarks").as_deref(), Some("true"));
        call
    }

    /// Asserts that no request arrives in the next `time`.
    pub async fn quiet(&mut self, time: Duration) {
        if let Ok(call) = timeout(time, self.calls.recv()).await {
            panic!("unexpected {}", call.map(|c| c.uri).unwrap_or_default());
        }
    }
}

impl Call {
    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.uri.split_once('?')?;
        form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// Answers with a head; the test sends the body.
    pub fn answer(self, status: u16, content_type: &str, headers: &[(&str, &str)]) -> Pieces {
        let (pieces, body) = stream::unbounded();
        let mut response = Response::builder().status(status).header("content-type", content_type);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let _ = self.reply.send(response.body(StreamBody::new(body)).unwrap());
        let pieces = Pieces(pieces);
        if let Some(event) = self.repeated.filter(|_| status == 200) {
            pieces.send(event);
        }
        pieces
    }

    /// 200, JSON.
    pub fn json(self) -> Pieces {
        self.answer(200, "application/json", &[])
    }

    /// 200, protobuf.
    pub fn protobuf(self) -> Pieces {
        self.answer(200, "application/vnd.kubernetes.protobuf;stream=watch", &[])
    }

    /// Answers a read of the newest version.
    pub fn newest(self, version: u64) {
        assert_eq!((self.parameter("limit").as_deref(), self.parameter("resourceVersion")), (Some("1"), None));
        self.json().send(format!(r#"{{"kind":"PodList","metadata":{{"resourceVersion":"{version}"}},"items":[]}}"#));
    }

    /// A complete error response.
    pub fn refuse(self, status: u16) {
        self.fail(status, &format!("no because {status}"));
    }

    /// Answers with a Status that has this message.
    pub fn fail(self, status: u16, words: &str) {
        let message = format!(r#"{{"kind":"Status","code":{status},"message":"{words}"}}"#);
        self.answer(status, "application/json", &[]).send(message);
    }

    /// Breaks the connection without an answer.
    pub fn hang_up(self) -> Result<(), Infallible> {
        drop(self.reply);
        Ok(())
    }
}

impl Pieces {
    /// Sends a piece.
    pub fn send(&self, bytes: impl Into<Bytes>) -> &Self {
        let _ = self.0.unbounded_send(Ok(Frame::data(bytes.into())));
        self
    }

    /// Breaks the connection.
    pub fn break_off(self) {
        let _ = self.0.unbounded_send(Err(std::io::Error::other("connection reset")));
    }

    /// Whether the client stopped reading the answer.
    pub fn is_dropped(&self) -> bool {
        self.0.is_closed()
    }
}

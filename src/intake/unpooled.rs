//! Sends one request on a connection of its own, which the reader of the response drives.
//!
//! A task drives a pooled connection: the task wakes the reader for each piece, and the reader wakes the task for the
//! next. Here nothing is read before the reader polls, no data moves between threads, and all buffers are freed with
//! the response. Knows HTTP, not Kubernetes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::HOST;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::Connection;
use tower::{BoxError, Service, ServiceExt};

/// The most that HTTP reads at once and buffers ahead of the reader.
const BUFFER: usize = 64 << 10;

/// The body of a response, and its connection.
pub struct UnpooledBody<T, B>
where
    T: Read + Write,
    B: Body + 'static,
{
    body: Incoming,
    /// `None` after the connection ended.
    connection: Option<Pin<Box<http1::Connection<T, B>>>>,
    /// Keeps the connection open: without a sender it might close.
    _sender: SendRequest<B>,
}

/// Connects, sends `request` and waits for the head of the response. The connection's extras become extensions of the
/// response.
///
/// # Errors
/// The server is unreachable, or does not speak HTTP.
pub async fn send<C, T, B>(connector: C, mut request: Request<B>) -> Result<Response<UnpooledBody<T, B>>, BoxError>
where
    C: Service<Uri, Response = T>,
    C::Error: Into<BoxError>,
    T: Connection + Read + Write + Unpin,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let io = connector.oneshot(request.uri().clone()).await.map_err(Into::into)?;
    let about = io.connected();
    let (mut sender, connection) = http1::Builder::new().max_buf_size(BUFFER).handshake(io).await?;
    let mut connection = Box::pin(connection);
    if let Some(authority) = request.uri().authority() {
        let host = HeaderValue::from_str(authority.as_str())?;
        request.headers_mut().entry(HOST).or_insert(host);
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from(path.unwrap_or(PathAndQuery::from_static("/")));
    let answer = sender.send_request(request);
    tokio::pin!(answer);
    let (answer, connection) = tokio::select! {
        biased;
        answer = &mut answer => (answer?, Some(connection)),
        ended = &mut connection => {
            ended?;
            (answer.await?, None)
        }
    };
    let (mut head, body) = answer.into_parts();
    about.get_extras(&mut head.extensions);
    Ok(Response::from_parts(head, UnpooledBody { body, connection, _sender: sender }))
}

impl<T, B> Body for UnpooledBody<T, B>
where
    T: Read + Write + Unpin,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let Some(connection) = &mut self.connection else { return Poll::Pending };
        let mut failure = None;
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            self.connection = None;
            failure = ended.err();
        }
        match (Pin::new(&mut self.body).poll_frame(cx), failure) {
            // Report the error of the body, or else the error of the connection.
            (Poll::Ready(None) | Poll::Pending, Some(failure)) => Poll::Ready(Some(Err(failure))),
            (frame, _) => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use http_body_util::{BodyExt, Empty};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tower::service_fn;

    use super::*;
    use crate::intake::socket::{BatchDelay, Socket};

    /// Sends a request to a server that writes `pieces` and hangs up. Returns the request and the result.
    async fn ask(pieces: &'static [&'static str]) -> (String, Result<Vec<String>, BoxError>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.unwrap());
            }
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await.unwrap();
            }
            String::from_utf8(asked).unwrap()
        };
        let connector = service_fn(|uri: Uri| async move {
            TcpStream::connect(uri.authority().unwrap().as_str()).await.map(|tcp| TokioIo::new(Socket::new(tcp)))
        });
        let client = async {
            let request = Request::get(format!("http://{address}/path?query")).body(Empty::<Bytes>::new())?;
            let answer = send(connector, request).await?;
            assert!(answer.extensions().get::<BatchDelay>().is_some(), "the batch delay can be set");
            let mut body = answer.into_body();
            let mut read = Vec::new();
            while let Some(frame) = body.frame().await {
                read.push(String::from_utf8(frame?.into_data().unwrap().to_vec())?);
            }
            Ok(read)
        };
        tokio::join!(server, client)
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_end() {
        let (asked, read) =
            ask(&["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"]).await;
        assert!(asked.starts_with("GET /path?query HTTP/1.1\r\n") && asked.contains("host: 127.0.0.1:"), "{asked}");
        assert_eq!(read.unwrap().concat(), "abc");
        let (_, read) = ask(&["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab"]).await;
        assert_eq!(read.unwrap().concat(), "ab");
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_an_error() {
        for pieces in [
            &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"][..],
            &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"],
            &["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"],
            &["HTTP/1.1 200 OK\r\n"],
            &["nonsense\r\n\r\n"],
            &[],
        ] {
            let (_, read) = ask(pieces).await;
            read.unwrap_err();
        }
    }
}

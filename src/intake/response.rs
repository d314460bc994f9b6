//! One response of the API server: its status and headers are checked, then its body is read chunk by chunk.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use kube::client::Body;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::encoding::Encoding;
use super::failure::Failure;
use super::form::Form;
use super::socket::BatchDelay;
use super::source::Source;
use crate::shown;

/// How much of an error response is read for its message.
const ERROR_BYTES: usize = 16 << 10;
/// How long an error response is read.
const ERROR_TIME: Duration = Duration::from_secs(10);

/// The body of a successful response.
pub struct ApiResponse {
    /// The encoding of its objects.
    pub encoding: Encoding,
    body: Body,
    /// The batch delay of its connection, if the connection supports one.
    batch_delay: Option<BatchDelay>,
    silence: Duration,
    timer: Pin<Box<Sleep>>,
    /// The timer runs, because nothing has arrived since the last piece. It runs on if a read is given up and another one begins, as
    /// when a watch is widened.
    waits: bool,
    /// When its head arrived.
    begun: Instant,
}

impl ApiResponse {
    /// Sends a request. Neither the head of the response nor any part of its body may take longer than `silence`.
    ///
    /// # Errors
    /// There is no response, its status is not 200, or its content type was not requested.
    pub async fn receive(
        client: &kube::Client,
        source: &Source,
        request: http::Request<Body>,
        silence: Duration,
    ) -> Result<Self, Failure> {
        let response = timeout(silence, client.send(request))
            .await
            .map_err(|_| Failure::Silent(silence))?
            .map_err(Failure::Request)?;
        let (mut head, body) = response.into_parts();
        if head.status != StatusCode::OK {
            let text = timeout(ERROR_TIME, first_bytes(body)).await.unwrap_or_default();
            return Err(Failure::of_response(head.status, retry_after(&head.headers), &text));
        }
        let encoding = encoding(source, &head.headers)?;
        let batch_delay = head.extensions.remove();
        let timer = Box::pin(sleep(silence));
        Ok(Self { encoding, body, batch_delay, silence, timer, waits: false, begun: Instant::now() })
    }

    /// Returns the next bytes, at least one; `None` at the end.
    ///
    /// # Errors
    /// The connection broke, or nothing arrived in time.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Looks for the next bytes. Most pieces of a batch are there already, and need no timer.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        while let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            match frame {
                None => return Poll::Ready(Ok(None)),
                Some(Err(error)) => return Poll::Ready(Err(Failure::Broken(error))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        self.waits = false;
                        return Poll::Ready(Ok(Some(data)));
                    }
                }
            }
        }
        if !std::mem::replace(&mut self.waits, true) {
            self.timer.as_mut().reset(Instant::now() + self.silence);
        }
        self.timer.as_mut().poll(cx).map(|()| Err(Failure::Silent(self.silence)))
    }

    /// Returns the time since its head arrived.
    pub fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Sets how long arriving data may wait for more before it is read. Has no effect behind a proxy.
    pub fn set_batch_delay(&self, delay: Duration) {
        if let Some(batch_delay) = &self.batch_delay {
            batch_delay.set(delay);
        }
    }

    /// Sets how long the response may stay silent.
    pub const fn set_silence(&mut self, silence: Duration) {
        self.silence = silence;
    }
}

/// Reads the first bytes of an error response, as far as possible.
async fn first_bytes(mut body: Body) -> BytesMut {
    let mut text = BytesMut::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            text.extend_from_slice(&data[..data.len().min(ERROR_BYTES - text.len())]);
        }
        if text.len() >= ERROR_BYTES {
            break;
        }
    }
    text
}

/// `Retry-After` in seconds, the only format that API servers use.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn encoding(source: &Source, headers: &HeaderMap) -> Result<Encoding, Failure> {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let protobuf = source.endpoint.protobuf && source.endpoint.form != Form::Table;
    match media.split(';').next().unwrap_or_default().trim() {
        "application/json" => Ok(Encoding::Json),
        "application/vnd.kubernetes.protobuf" if protobuf || source.endpoint.form == Form::Metadata => {
            Ok(Encoding::Protobuf)
        }
        _ => Err(Failure::WrongForm(format!("content type {:?}", shown::value(media)))),
    }
}

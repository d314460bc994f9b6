//! Bodies of requests and answers.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

/// The reason for an aborted answer.
pub type Broken = Box<dyn std::error::Error + Send + Sync>;
/// The body of a request.
pub trait RequestBody: http_body::Body<Data = Bytes, Error: Into<Broken>> + Send {}

impl<B: http_body::Body<Data = Bytes, Error: Into<Broken>> + Send> RequestBody for B {}

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, Broken>;

/// The largest body of a write, a little above etcd's limit.
pub(super) const LARGEST_BODY: usize = 4 << 20;

/// Aborts a body, after everything before it was written.
pub(super) async fn cut<T>() -> Result<T, Broken> {
    tokio::task::yield_now().await;
    Err("cut off, as the simulator was told".into())
}

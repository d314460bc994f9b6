//! Failures of lists and watches, and how the source reacts to each.

use std::time::Duration;

use http::StatusCode;

use super::discard;
use super::encoding::Encoding;
use super::frames::FrameError;
use super::protobuf::wire::{Fields, Value};
use crate::shown;

/// How the API server's message begins when a request names a resourceVersion that it has not reached. The status is that of any
/// timeout. Source: `NewTooLargeResourceVersionError` in `k8s.io/apiserver/pkg/storage/errors.go`.
const TOO_LARGE: &str = "Too large resource version";

/// The maximum length of a server's message. Those of API servers are shorter.
const MESSAGE_BYTES: usize = 500;

/// The error with its causes, which kube's own message omits.
fn chain(error: &kube::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    shown::line(&text)
}

/// Why a list or a watch failed. The source retries after each; the variants say how.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection or no response. Backed off.
    #[error("request failed: {}", chain(.0))]
    Request(#[source] kube::Error),
    /// The name of the endpoint or namespace is not valid in a URL. Backed off.
    #[error("cannot write the request: {0}")]
    Write(#[from] http::Error),
    /// 403, 404 or 405: missing permission or no such resource. Retried slowly.
    #[error("the server refuses the resource: {code}: {message}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// The server's message.
        message: String,
    },
    /// 410: the resourceVersion or the page token expired. Relisted.
    #[error("resourceVersion expired: {0}")]
    Expired(String),
    /// 504 for a resourceVersion that the server has not reached: it was restored from a backup, or it is another cluster. The
    /// known objects say nothing about the current ones. Relisted from scratch.
    #[error("the server went back to earlier resourceVersions: {0}")]
    Rewound(String),
    /// The API server may have been restored, and no known event can prove that it was not. Relisted.
    #[error("the server may have been restored from a backup")]
    Unproven,
    /// A backfill is older than the position of its watch. Backed off.
    #[error("the list has resourceVersion {version}, older than {at_least}")]
    Stale {
        /// The list's resourceVersion.
        version: String,
        /// The requested resourceVersion.
        at_least: u64,
    },
    /// Any other status. Backed off, at least as long as `Retry-After` says.
    #[error("the server responded {code}: {message}")]
    Status {
        /// HTTP status.
        code: u16,
        /// The server's message.
        message: String,
        /// `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The server does not support streaming lists, or ignored the request for one. Listed in pages at once.
    #[error("no streaming list: {why}")]
    NoStreaming {
        /// What the server did instead.
        why: String,
        /// Whether to request no more streaming lists.
        for_good: bool,
    },
    /// The response does not have the requested form. Backed off.
    #[error("the server sent {0}, which was not requested")]
    WrongForm(String),
    /// The response cannot be split into frames. Backed off.
    #[error(transparent)]
    Frames(#[from] FrameError),
    /// The pages of a list do not end. Backed off.
    #[error("the list does not end: {0}")]
    Pages(&'static str),
    /// A watch failed, and its `Status` cannot be read. Backed off.
    #[error("the watch failed with a status that cannot be read")]
    UnreadableStatus,
    /// The connection broke. Backed off.
    #[error("the response broke off: {}", chain(.0))]
    Broken(#[source] kube::Error),
    /// A watch ended at once, without an error and without an event. Backed off.
    #[error("the watch ended without an event")]
    Brief,
    /// Nothing arrived in time. A watch is reopened at once, a list is backed off.
    #[error("nothing arrived for {} s", .0.as_secs())]
    Silent(Duration),
}

impl Failure {
    /// A streaming list ended before its last bookmark.
    pub const ENDED: &str = "it ended before the last bookmark";
    /// A streaming list stayed silent before its last bookmark.
    pub const SILENT: &str = "it stayed silent before the last bookmark";

    /// A streaming list did not complete, but the next one may.
    pub fn no_end(why: &str) -> Self {
        Self::NoStreaming { why: why.to_owned(), for_good: false }
    }

    /// The server has reached only `version`, although `known` was reached before.
    pub fn rewound(version: &str, known: u64) -> Self {
        Self::Rewound(format!("resourceVersion {} after {known}", shown::value(version)))
    }

    /// A plain bookmark arrived during a streaming list: the server ignored the request for one.
    pub fn early_bookmark() -> Self {
        let why = "the server sent a bookmark before the end of the initial events".to_owned();
        Self::NoStreaming { why, for_good: true }
    }

    /// Whether a watch from the same resourceVersion will likely fail again. False when the server is busy or unreachable.
    pub fn is_likely_to_repeat(&self) -> bool {
        match self {
            Self::Frames(_) | Self::WrongForm(_) | Self::Silent(_) | Self::UnreadableStatus => true,
            Self::Status { code, .. } => !matches!(code, 401 | 429 | 502..=504),
            _ => false,
        }
    }

    /// Whether no API server answered. False for a status, which a degraded resource may have for long.
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Request(_) | Self::Broken(_) | Self::Silent(_))
    }

    /// The kind of the failure, as a label value.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Request(_) | Self::Broken(_) | Self::Brief => "connection",
            Self::Silent(_) => "timeout",
            Self::Refused { .. } | Self::Status { .. } => "status",
            Self::Expired(_) | Self::Rewound(_) | Self::Unproven | Self::Stale { .. } => "version",
            Self::NoStreaming { .. } | Self::Pages(_) => "endless",
            Self::Write(_) | Self::WrongForm(_) | Self::Frames(_) | Self::UnreadableStatus => "format",
        }
    }

    /// Whether the server does not serve the resource, so that there is nothing to read: 404 or 405.
    pub const fn is_not_served(&self) -> bool {
        matches!(self, Self::Refused { code: 404 | 405, .. })
    }

    /// The failure for an HTTP status or the status of an `ERROR` event.
    pub fn of_status(code: u16, message: &str, retry_after: Option<Duration>) -> Self {
        let is_rewound = message.contains(TOO_LARGE);
        let message = shown::within(message, MESSAGE_BYTES);
        match code {
            403..=405 => Self::Refused { code, message },
            410 => Self::Expired(message),
            504 if is_rewound => Self::Rewound(message),
            _ => Self::Status { code, message, retry_after },
        }
    }

    /// The failure for an `ERROR` event with this object.
    pub fn of_event(encoding: Encoding, object: &[u8]) -> Self {
        let status = match encoding {
            Encoding::Protobuf => Status::from_protobuf(object),
            Encoding::Json => serde_json::from_slice(object).ok(),
        };
        match status.filter(|status: &Status| status.code != 0) {
            Some(status) => Self::of_status(status.code, &status.message, status.retry_after()),
            None => Self::UnreadableStatus,
        }
    }

    /// The failure for a response other than 200, given its first bytes.
    pub fn of_response(code: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let status = match discard::open_envelope(body) {
            Ok((_, message)) => Status::from_protobuf(message),
            Err(_) => serde_json::from_slice(body).ok(),
        };
        // A proxy responds with text of its own.
        let message = status.as_ref().map(|s| s.message.clone()).unwrap_or_else(|| {
            let text = String::from_utf8_lossy(body);
            text.trim().chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
        });
        let retry_after = retry_after.or(status.and_then(|s| s.retry_after()));
        Self::of_status(code.as_u16(), &message, retry_after)
    }
}

/// The fields of `meta.k8s.io/v1 Status` that matter here.
#[derive(Debug, Default, serde::Deserialize)]
struct Status {
    #[serde(default)]
    message: String,
    #[serde(default)]
    code: u16,
    #[serde(default)]
    details: Option<Details>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(default)]
    retry_after_seconds: u64,
}

impl Status {
    /// Status{message=3, details=5{retryAfterSeconds=5}, code=6}
    fn from_protobuf(bytes: &[u8]) -> Option<Self> {
        let mut status = Self::default();
        for field in Fields::new(bytes) {
            match field.ok()? {
                (3, Value::Bytes(text)) => status.message = String::from_utf8_lossy(text).into_owned(),
                (5, Value::Bytes(details)) => {
                    let seconds = Fields::new(details).find_map(|field| match field {
                        Ok((5, Value::Varint(seconds))) => Some(seconds),
                        _ => None,
                    });
                    status.details = seconds.map(|retry_after_seconds| Details { retry_after_seconds });
                }
                (6, Value::Varint(code)) => status.code = u16::try_from(code).ok()?,
                _ => {}
            }
        }
        Some(status)
    }

    fn retry_after(&self) -> Option<Duration> {
        self.details.as_ref().map(|d| Duration::from_secs(d.retry_after_seconds)).filter(|d| !d.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_error_event_is_named() {
        for object in ["", "{}", "null", "[]", "\"x\"", "{\"code\":\"x\"}", "{\"message\":\"m\"}", "{\"code\":70000}"] {
            let failure = Failure::of_event(Encoding::Json, object.as_bytes());
            assert!(matches!(failure, Failure::UnreadableStatus), "{object}: {failure}");
            assert!(failure.is_likely_to_repeat());
        }
        assert!(matches!(Failure::of_event(Encoding::Protobuf, b"\xff"), Failure::UnreadableStatus));
        let failure = Failure::of_event(Encoding::Json, b"{\"code\":410,\"message\":\"a\\nb\\u001b[31m\"}");
        assert!(matches!(failure, Failure::Expired(ref message) if message == "a\\nb\\u{1b}[31m"), "{failure}");
    }

    #[test]
    fn messages_of_the_server_are_one_line_of_limited_length() {
        let body = format!("{{\"code\":500,\"message\":\"{}\"}}", "x\\n".repeat(9999));
        let failure = Failure::of_response(StatusCode::INTERNAL_SERVER_ERROR, None, body.as_bytes()).to_string();
        assert!(failure.len() < 600 && !failure.contains('\n'), "{failure}");
    }
}

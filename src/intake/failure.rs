//! Why a list or a watch did not go on, and what follows from it.

use std::time::Duration;

use http::StatusCode;

use super::discard;
use super::encoding::Encoding;
use super::frames::FrameError;
use super::protobuf::wire::{Fields, Value};

/// How the API server's message begins that answers a resourceVersion which it has not reached; the status alone is that of
/// any timeout. Source: `NewTooLargeResourceVersionError` in `k8s.io/apiserver/pkg/storage/errors.go`.
const TOO_LARGE: &str = "Too large resource version";

/// What went wrong, and what made it: kube's own message stops at the first.
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
    text
}

/// Why a list or a watch did not go on. All are retried; how is said at each.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection, or no answer. Backed off.
    #[error("the request failed: {}", chain(.0))]
    Request(#[source] kube::Error),
    /// The request cannot be written: the endpoint or namespace has an impossible name. Backed off.
    #[error("the request cannot be written: {0}")]
    Write(#[from] http::Error),
    /// 403, 404 or 405: no right, or no such resource. Retried slowly.
    #[error("the server refuses it with {code}: {message}")]
    Refused {
        /// The status.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// 410: the resourceVersion or the page is too old. Listed again.
    #[error("too old: {0}")]
    Expired(String),
    /// 504 for a resourceVersion that the server has not reached: it was restored from a backup, or is another one. What is
    /// known says nothing about what it has now. Listed again from nothing.
    #[error("the server is behind what it said before: {0}")]
    Rewound(String),
    /// A list aside is older than what its watch had come to. Backed off.
    #[error("the list is as of {version}, older than {at_least}")]
    Stale {
        /// Its resourceVersion.
        version: String,
        /// What was asked for.
        at_least: u64,
    },
    /// Any other status. Backed off, at least for as long as the server asks.
    #[error("the server answers {code}: {message}")]
    Status {
        /// The status.
        code: u16,
        /// The server's words.
        message: String,
        /// `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The server knows no streaming lists, or ignores that one was asked for. Listed in pages, at once.
    #[error("no streaming list: {why}")]
    NoStreaming {
        /// What it did instead.
        why: String,
        /// Whether to ask for none again.
        for_good: bool,
    },
    /// The answer is not in the form that was asked for. Backed off.
    #[error("the answer is {0}, which was not asked for")]
    WrongForm(String),
    /// The frames of the answer are broken. Backed off.
    #[error(transparent)]
    Frames(#[from] FrameError),
    /// The connection broke. Backed off.
    #[error("the answer broke off: {}", chain(.0))]
    Broken(#[source] kube::Error),
    /// A watch ended well, but at once and without an event. Backed off.
    #[error("the watch ended at once")]
    Brief,
    /// Nothing arrived for too long. A watch is opened again at once, a list is backed off.
    #[error("nothing arrived for {} s", .0.as_secs())]
    Silent(Duration),
}

impl Failure {
    /// A streaming list ended too early.
    pub const ENDED: &str = "it ended before all objects were sent";
    /// A streaming list fell silent too early.
    pub const SILENT: &str = "it fell silent";

    /// A streaming list came to no end in this way, and may the next time.
    pub fn no_end(why: &str) -> Self {
        Self::NoStreaming { why: why.to_owned(), for_good: false }
    }

    /// A bookmark came before the end of a streaming list: the server ignores that one was asked for.
    pub fn early_bookmark() -> Self {
        let why = "it sent a bookmark, but not the end of the initial events".to_owned();
        Self::NoStreaming { why, for_good: true }
    }

    /// Whether a watch from the same resourceVersion may well end the same way: not what says that the server is busy, or
    /// out of reach.
    pub fn will_come_again(&self) -> bool {
        match self {
            Self::Frames(_) | Self::WrongForm(_) | Self::Silent(_) => true,
            Self::Status { code, .. } => !matches!(code, 401 | 429 | 502..=504),
            _ => false,
        }
    }

    /// What an HTTP status or the status of an `ERROR` event means.
    pub fn of_status(code: u16, message: String, retry_after: Option<Duration>) -> Self {
        match code {
            403..=405 => Self::Refused { code, message },
            410 => Self::Expired(message),
            504 if message.contains(TOO_LARGE) => Self::Rewound(message),
            _ => Self::Status { code, message, retry_after },
        }
    }

    /// What an `ERROR` event with this object means.
    pub fn of_event(encoding: Encoding, object: &[u8]) -> Self {
        let status = match encoding {
            Encoding::Protobuf => Status::from_protobuf(object),
            Encoding::Json => serde_json::from_slice(object).ok(),
        };
        let status = status.unwrap_or_default();
        let retry_after = status.retry_after();
        Self::of_status(status.code, status.message, retry_after)
    }

    /// What an answer other than 200 means, by its first bytes.
    pub fn of_answer(code: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let status = match discard::open_envelope(body) {
            Ok((_, message)) => Status::from_protobuf(message),
            Err(_) => serde_json::from_slice(body).ok(),
        };
        // A proxy answers in its own words.
        let message = status.as_ref().map(|s| s.message.clone()).unwrap_or_else(|| {
            let text = String::from_utf8_lossy(body);
            text.trim().chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
        });
        let retry_after = retry_after.or(status.and_then(|s| s.retry_after()));
        Self::of_status(code.as_u16(), message, retry_after)
    }
}

/// `meta.k8s.io/v1 Status`, as far as it matters.
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

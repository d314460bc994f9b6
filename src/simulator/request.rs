//! The log of received requests.

/// A received request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// HTTP method.
    pub method: String,
    /// Path.
    pub path: String,
    /// Query, still encoded.
    pub query: String,
    /// The `Accept` header.
    pub accept: String,
}

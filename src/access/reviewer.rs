//! The question of the filter, its answers, and why there may be none.

use std::time::Duration;

use futures::future::BoxFuture;

/// The result of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The token is valid, and its user has the permission.
    Allowed,
    /// The token is not valid.
    Unauthenticated,
    /// The token is valid, but its user lacks the permission.
    Forbidden,
}

/// What the API server says about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Review {
    /// The token is not valid.
    Unauthenticated,
    /// The token is valid.
    Authenticated {
        /// Whether its user may read the series of all objects.
        everything: bool,
        /// Whether its user may read the series of these namespaces, up to the first refusal; none if it may read everything.
        namespaces: Vec<bool>,
    },
}

/// Why a review has no verdict. None of these messages contains the token.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// The configuration is still loading.
    #[error("the configuration is not loaded yet")]
    NotLoaded,
    /// This replica may not create the review.
    #[error(
        "missing permission \"create {resource}\": add the rules that `kube-state-fleet docs rbac --auth-filter` prints"
    )]
    MissingPermission {
        /// The resource of the review.
        resource: &'static str,
    },
    /// The API server refused the review for another reason.
    #[error("the API server rejected \"create {resource}\" with status {code}: {message}")]
    Rejected {
        /// The resource of the review.
        resource: &'static str,
        /// The HTTP status.
        code: u16,
        /// The API server's message.
        message: String,
    },
    /// The request failed before the API server answered.
    #[error("\"create {resource}\" failed: {reason}")]
    Unreachable {
        /// The resource of the review.
        resource: &'static str,
        /// The client's error.
        reason: kube::Error,
    },
    /// The review took too long.
    #[error("no answer from the API server within {} s", .0.as_secs())]
    TimedOut(Duration),
}

/// Reviews tokens.
pub trait TokenReviewer: Send + Sync {
    /// Reviews `token`, for the series of all objects, and for those of each of `namespaces`.
    fn review<'a>(&'a self, token: &'a str, namespaces: &'a [String]) -> BoxFuture<'a, Result<Review, ReviewError>>;
}

/// The reviewer while the configuration is still loading: it has no verdict, so every request is refused.
#[derive(Clone, Copy, Debug)]
pub struct NoReviewer;

impl TokenReviewer for NoReviewer {
    fn review<'a>(&'a self, _: &'a str, _: &'a [String]) -> BoxFuture<'a, Result<Review, ReviewError>> {
        Box::pin(std::future::ready(Err(ReviewError::NotLoaded)))
    }
}

//! `--auth-filter`: lets a request through if the API server says that its bearer token may read `/metrics`.
//!
//! For each token the filter creates a TokenReview (is the token valid, and whose is it?) and a SubjectAccessReview (may this
//! user `get` the non-resource URL `/metrics`?). If the request names namespaces, `get namespaces/metrics` in each of them suffices
//! ([`--namespaced-scrapes`](../../docs/tenants.md)). It caches the verdict for a while, by a keyed hash of the token; it never
//! stores the token. Without an answer from the API server it refuses the request.
//!
//! Any client can cause reviews. So unknown tokens share a few [`Turns`], and tokens that were allowed before do not wait
//! for them.
//!
//! This module must not know HTTP servers, nor the served series.

mod api_server;
mod cache;
mod filter;
mod key;
mod reviewer;
mod turns;

pub use api_server::ApiServerReviewer;
pub use filter::{AuthFilter, NoVerdict};
pub use key::random_key;
pub use reviewer::{NoReviewer, Review, ReviewError, TokenReviewer, Verdict};
pub use turns::{Busy, Turn, Turns};

#[cfg(test)]
mod tests;

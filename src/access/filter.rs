//! The filter: caches verdicts, and limits how many reviews run at a time.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tracing::warn;
use zeroize::Zeroizing;

use super::cache::{TokenHash, VerdictCache};
use super::reviewer::{ReviewError, TokenReviewer, Verdict};
use crate::sync::lock;

/// How long an allowed token stays allowed, and so the delay until a revoked permission takes effect.
pub(super) const ALLOWED_TTL: Duration = Duration::from_secs(60);
/// How long a refused token stays refused. Short, so that a newly granted permission takes effect soon.
pub(super) const REFUSED_TTL: Duration = Duration::from_secs(10);
/// How long a review may take.
pub(super) const REVIEW_TIMEOUT: Duration = Duration::from_secs(10);
/// Concurrent reviews of tokens that were allowed before, and as many of other tokens.
pub(super) const MAX_REVIEWS: usize = 4;
/// The minimum time between two warnings about failed reviews.
const WARN_PERIOD: Duration = Duration::from_secs(60);

/// Decides whether the bearer of a token may read `/metrics`. Cheap to clone.
#[derive(Clone)]
pub struct AuthFilter(Arc<Inner>);

struct Inner {
    reviewer: Box<dyn TokenReviewer>,
    cache: Mutex<VerdictCache>,
    /// Tokens that were allowed before have turns of their own, so that a flood of unknown tokens cannot delay them.
    known_turns: Arc<Semaphore>,
    unknown_turns: Arc<Semaphore>,
    warned: Mutex<Option<Instant>>,
}

impl AuthFilter {
    /// Creates a filter that asks `reviewer`.
    pub fn new(reviewer: impl TokenReviewer + 'static) -> Self {
        Self(Arc::new(Inner {
            reviewer: Box::new(reviewer),
            cache: Mutex::default(),
            known_turns: Arc::new(Semaphore::new(MAX_REVIEWS)),
            unknown_turns: Arc::new(Semaphore::new(MAX_REVIEWS)),
            warned: Mutex::default(),
        }))
    }

    /// Returns the verdict on `token`, or `None` if the reviewer has none.
    pub async fn authorize(&self, token: &str) -> Option<Verdict> {
        let inner = &self.0;
        let hash = inner.cache().hash(token);
        let cached = inner.cache().get(&hash);
        if let Some((verdict, age)) = cached {
            let ttl = if verdict == Verdict::Allowed { ALLOWED_TTL } else { REFUSED_TTL };
            if age < ttl {
                return Some(verdict);
            }
        }
        let was_allowed = cached.is_some_and(|(verdict, _)| verdict == Verdict::Allowed);
        self.review(hash, token, was_allowed).await
    }

    /// Waits for a turn and reviews the token. A review that has begun is cached even if its request has gone away.
    async fn review(&self, hash: TokenHash, token: &str, known: bool) -> Option<Verdict> {
        let inner = Arc::clone(&self.0);
        let began = Instant::now();
        let turn = Arc::clone(if known { &inner.known_turns } else { &inner.unknown_turns }).acquire_owned();
        // The inner error cannot occur, since the semaphores are never closed.
        let turn = timeout(REVIEW_TIMEOUT, turn).await.ok()?.ok()?;
        if let Some(verdict) = inner.cache().get_since(&hash, began) {
            return Some(verdict);
        }
        let token = Zeroizing::new(token.to_owned());
        let review = async move {
            let _turn = turn;
            let reviewed = timeout(REVIEW_TIMEOUT, inner.reviewer.review(&token)).await;
            match reviewed.unwrap_or(Err(ReviewError::TimedOut(REVIEW_TIMEOUT))) {
                Ok(verdict) => {
                    inner.cache().insert(hash, verdict);
                    Some(verdict)
                }
                Err(error) => {
                    inner.warn(&error);
                    None
                }
            }
        };
        tokio::spawn(review).await.ok().flatten()
    }
}

impl Inner {
    fn cache(&self) -> MutexGuard<'_, VerdictCache> {
        lock(&self.cache)
    }

    fn warn(&self, error: &ReviewError) {
        let mut warned = lock(&self.warned);
        if warned.is_none_or(|warned| warned.elapsed() >= WARN_PERIOD) {
            *warned = Some(Instant::now());
            warn!(%error, "--auth-filter cannot review tokens; requests without a cached verdict are refused");
        }
    }
}

impl std::fmt::Debug for AuthFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthFilter").finish_non_exhaustive()
    }
}

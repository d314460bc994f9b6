//! The filter: caches verdicts, and limits how many reviews run at a time.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::warn;
use zeroize::Zeroizing;

use super::cache::{TokenHash, VerdictCache};
use super::reviewer::{ReviewError, TokenReviewer, Verdict};
use super::turns::{Busy, Turns};
use crate::sync::lock;

/// How long an allowed token stays allowed, and so the delay until a revoked permission takes effect.
pub(super) const ALLOWED_TTL: Duration = Duration::from_secs(60);
/// How long a refused token stays refused. Short, so that a newly granted permission takes effect soon.
pub(super) const REFUSED_TTL: Duration = Duration::from_secs(10);
/// How long a review may take.
pub(super) const REVIEW_TIMEOUT: Duration = Duration::from_secs(10);
/// Concurrent reviews of tokens that were allowed before, and as many of other tokens.
pub(super) const MAX_REVIEWS: usize = 4;
/// The pause after a review that refuses a token, before another one takes its turn: at most 20 such reviews per second.
pub(super) const REFUSED_PAUSE: Duration = Duration::from_millis(200);
/// Requests that wait for the review of an unknown token.
const MAX_WAITING: usize = 128;
/// The minimum time between two warnings about failed reviews.
const WARN_PERIOD: Duration = Duration::from_secs(60);

/// Decides whether the bearer of a token may read `/metrics`. Cheap to clone.
#[derive(Clone)]
pub struct AuthFilter(Arc<Inner>);

struct Inner {
    reviewer: Box<dyn TokenReviewer>,
    cache: Mutex<VerdictCache>,
    /// Tokens that were allowed before have turns of their own, so that a flood of unknown tokens cannot delay them.
    known_turns: Turns,
    unknown_turns: Turns,
    warned: Mutex<Option<Instant>>,
}

/// Why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoVerdict {
    /// The reviewer did not answer.
    NoAnswer,
    /// Too many unknown tokens wait for a review.
    Busy,
}

impl AuthFilter {
    /// Creates a filter that asks `reviewer`.
    pub fn new(reviewer: impl TokenReviewer + 'static) -> Self {
        Self(Arc::new(Inner {
            reviewer: Box::new(reviewer),
            cache: Mutex::default(),
            known_turns: Turns::new(MAX_REVIEWS, MAX_WAITING),
            unknown_turns: Turns::new(MAX_REVIEWS, MAX_WAITING),
            warned: Mutex::default(),
        }))
    }

    /// Returns the verdict on `token`, which a client at `address` sent.
    ///
    /// # Errors
    /// There is no verdict, so the request must be refused.
    pub async fn authorize(&self, token: &str, address: IpAddr) -> Result<Verdict, NoVerdict> {
        let inner = &self.0;
        let hash = inner.cache().hash(token);
        let cached = inner.cache().get(&hash);
        if let Some((verdict, _)) = cached.filter(|(verdict, age)| *age < ttl(*verdict)) {
            return Ok(verdict);
        }
        let was_allowed = cached.is_some_and(|(verdict, _)| verdict == Verdict::Allowed);
        self.review(hash, token, address, was_allowed).await
    }

    /// Forgets the verdict on a token.
    #[cfg(test)]
    pub(super) fn forget(&self, token: &str) {
        let mut cache = self.0.cache();
        let hash = cache.hash(token);
        cache.remove(&hash);
    }

    /// Waits for a turn and reviews the token. A review that has begun is cached even if its request has gone away.
    async fn review(&self, hash: TokenHash, token: &str, address: IpAddr, known: bool) -> Result<Verdict, NoVerdict> {
        let inner = Arc::clone(&self.0);
        let turns = if known { &inner.known_turns } else { &inner.unknown_turns };
        let turn = timeout(REVIEW_TIMEOUT, turns.take(address)).await;
        let turn = turn.map_err(|_| NoVerdict::Busy)?.map_err(|Busy| NoVerdict::Busy)?;
        let cached = inner.cache().get(&hash);
        if let Some((verdict, _)) = cached.filter(|(verdict, age)| *age < ttl(*verdict)) {
            return Ok(verdict);
        }
        let token = Zeroizing::new(token.to_owned());
        let review = async move {
            let reviewed = timeout(REVIEW_TIMEOUT, inner.reviewer.review(&token)).await;
            match reviewed.unwrap_or(Err(ReviewError::TimedOut(REVIEW_TIMEOUT))) {
                Ok(verdict) => {
                    inner.cache().insert(hash, verdict);
                    if verdict != Verdict::Allowed {
                        turn.fail(REFUSED_PAUSE);
                    }
                    Ok(verdict)
                }
                Err(error) => {
                    inner.warn(&error);
                    // Not the client's fault, but as frequent as its requests.
                    turn.pause(REFUSED_PAUSE);
                    Err(NoVerdict::NoAnswer)
                }
            }
        };
        tokio::spawn(review).await.unwrap_or(Err(NoVerdict::NoAnswer))
    }
}

/// How long a verdict is valid.
fn ttl(verdict: Verdict) -> Duration {
    if verdict == Verdict::Allowed { ALLOWED_TTL } else { REFUSED_TTL }
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

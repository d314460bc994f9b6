//! The filter: caches verdicts, and limits how many reviews run at a time.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::warn;
use zeroize::Zeroizing;

use super::cache::VerdictCache;
use super::reviewer::{Review, ReviewError, TokenReviewer, Verdict};
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
/// Maximum number of cached tokens: those of all scrapers, with room for wrong ones and attacks.
const MAX_TOKENS: usize = 2048;
/// Maximum number of cached verdicts about a namespace. A cache of their own: whoever has rights in many namespaces evicts no others.
const MAX_NAMESPACED: usize = 8192;
/// Requests that wait for the review of an unknown token.
const MAX_WAITING: usize = 128;
/// The minimum time between two warnings about failed reviews.
const WARN_PERIOD: Duration = Duration::from_secs(60);

/// Decides whether the bearer of a token may read `/metrics`, or the part of it that some namespaces have. Cheap to clone.
#[derive(Clone)]
pub struct AuthFilter(Arc<Inner>);

struct Inner {
    reviewer: Box<dyn TokenReviewer>,
    verdicts: Mutex<Verdicts>,
    /// Tokens that were allowed before have turns of their own, so that a flood of unknown tokens cannot delay them.
    known_turns: Turns,
    unknown_turns: Turns,
    warned: Mutex<Option<Instant>>,
}

/// The last verdicts.
struct Verdicts {
    /// About the series of all objects.
    everything: VerdictCache,
    /// About those of a namespace: never that the token is not valid.
    namespaces: VerdictCache,
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
            verdicts: Mutex::new(Verdicts {
                everything: VerdictCache::new(MAX_TOKENS),
                namespaces: VerdictCache::new(MAX_NAMESPACED),
            }),
            known_turns: Turns::new(MAX_REVIEWS, MAX_WAITING),
            unknown_turns: Turns::new(MAX_REVIEWS, MAX_WAITING),
            warned: Mutex::default(),
        }))
    }

    /// Returns the verdict on `token`, which a client at `address` sent to read the series of `namespaces`; of all objects if there are
    /// none. A token that may read everything may read each namespace.
    ///
    /// # Errors
    /// There is no verdict, so the request must be refused.
    pub async fn authorize(&self, token: &str, namespaces: &[String], address: IpAddr) -> Result<Verdict, NoVerdict> {
        let (cached, was_allowed) = {
            let verdicts = self.0.verdicts();
            (verdicts.fresh(token, namespaces), verdicts.was_allowed(token, namespaces))
        };
        match cached {
            Some(verdict) => Ok(verdict),
            None => self.review(token, namespaces, address, was_allowed).await,
        }
    }

    /// Forgets the verdict on a token.
    #[cfg(test)]
    pub(super) fn forget(&self, token: &str) {
        let cache = &mut self.0.verdicts().everything;
        let hash = cache.hash(token);
        cache.remove(&hash);
    }

    /// Waits for a turn and reviews the token. A review that has begun is cached even if its request has gone away.
    async fn review(
        &self,
        token: &str,
        namespaces: &[String],
        address: IpAddr,
        known: bool,
    ) -> Result<Verdict, NoVerdict> {
        let inner = Arc::clone(&self.0);
        let turns = if known { &inner.known_turns } else { &inner.unknown_turns };
        let turn = timeout(REVIEW_TIMEOUT, turns.take(address)).await;
        let turn = turn.map_err(|_| NoVerdict::Busy)?.map_err(|Busy| NoVerdict::Busy)?;
        if let Some(verdict) = inner.verdicts().fresh(token, namespaces) {
            return Ok(verdict);
        }
        let asked = inner.verdicts().unknown(token, namespaces);
        let (token, namespaces) = (Zeroizing::new(token.to_owned()), namespaces.to_vec());
        let review = async move {
            let reviewed = timeout(REVIEW_TIMEOUT, inner.reviewer.review(&token, &asked)).await;
            match reviewed.unwrap_or(Err(ReviewError::TimedOut(REVIEW_TIMEOUT))) {
                Ok(review) => {
                    let verdict = inner.verdicts().store(&token, &namespaces, &asked, &review);
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

impl Verdicts {
    /// Returns the verdict on a request, if fresh verdicts suffice for it.
    fn fresh(&self, token: &str, namespaces: &[String]) -> Option<Verdict> {
        let everything = fresh(self.everything.get(&self.everything.hash(token)));
        if namespaces.is_empty() || matches!(everything, Some(Verdict::Allowed | Verdict::Unauthenticated)) {
            return everything;
        }
        let mut all_allowed = true;
        for namespace in namespaces {
            match self.fresh_in(token, namespace) {
                Some(Verdict::Allowed) => {}
                Some(_) if everything.is_some() => return Some(Verdict::Forbidden),
                _ => all_allowed = false,
            }
        }
        all_allowed.then_some(Verdict::Allowed)
    }

    fn fresh_in(&self, token: &str, namespace: &str) -> Option<Verdict> {
        fresh(self.namespaces.get(&self.namespaces.hash_in(token, namespace)))
    }

    /// Returns whether the last verdicts allowed a request, however old they are.
    fn was_allowed(&self, token: &str, namespaces: &[String]) -> bool {
        let is_allowed =
            |cached: Option<(Verdict, Duration)>| cached.is_some_and(|(verdict, _)| verdict == Verdict::Allowed);
        let in_namespace =
            |namespace: &String| is_allowed(self.namespaces.get(&self.namespaces.hash_in(token, namespace)));
        is_allowed(self.everything.get(&self.everything.hash(token)))
            || (!namespaces.is_empty() && namespaces.iter().all(in_namespace))
    }

    /// Returns the namespaces without a fresh verdict that allows them.
    fn unknown(&self, token: &str, namespaces: &[String]) -> Vec<String> {
        let is_unknown = |namespace: &&String| self.fresh_in(token, namespace) != Some(Verdict::Allowed);
        namespaces.iter().filter(is_unknown).cloned().collect()
    }

    /// Stores the review of a token that asked for `asked` of `namespaces`. Returns the verdict.
    fn store(&mut self, token: &str, namespaces: &[String], asked: &[String], review: &Review) -> Verdict {
        let verdict = |allowed| if allowed { Verdict::Allowed } else { Verdict::Forbidden };
        let hash = self.everything.hash(token);
        let Review::Authenticated { everything, namespaces: allowed } = review else {
            self.everything.insert(hash, Verdict::Unauthenticated);
            return Verdict::Unauthenticated;
        };
        self.everything.insert(hash, verdict(*everything));
        for (namespace, allowed) in asked.iter().zip(allowed) {
            let hash = self.namespaces.hash_in(token, namespace);
            self.namespaces.insert(hash, verdict(*allowed));
        }
        let all_allowed =
            !namespaces.is_empty() && allowed.len() == asked.len() && allowed.iter().all(|allowed| *allowed);
        verdict(*everything || all_allowed)
    }
}

/// Returns a cached verdict that is still valid.
fn fresh(cached: Option<(Verdict, Duration)>) -> Option<Verdict> {
    cached.filter(|(verdict, age)| *age < ttl(*verdict)).map(|(verdict, _)| verdict)
}

/// How long a verdict is valid.
fn ttl(verdict: Verdict) -> Duration {
    if verdict == Verdict::Allowed { ALLOWED_TTL } else { REFUSED_TTL }
}

impl Inner {
    fn verdicts(&self) -> MutexGuard<'_, Verdicts> {
        lock(&self.verdicts)
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

//! `--auth-filter`: whether who asks may, by the word of the API server.
//!
//! Who shows a token is asked about twice: who that is (TokenReview), and whether they may get `/metrics`
//! (SubjectAccessReview). The answer is remembered for a while under a keyed hash of the token, never the token itself. Without an
//! answer nobody is let in. What replicas tell each other goes by the last answer for longer, so that a fleet does not fall
//! apart while the API server is away.
//! May not know HTTP servers, nor what is served.

mod cache;
mod reviews;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::future::BoxFuture;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tracing::warn;
use zeroize::Zeroizing;

use cache::{Cache, Key};

use crate::sync::lock;

pub use reviews::ApiServerReviewer;

/// What is known of who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They have the right.
    Allowed,
    /// The token is none.
    Unauthenticated,
    /// The token is valid, and the right is missing.
    Forbidden,
}

/// Who is asked about a token.
pub trait TokenReviewer: Send + Sync {
    /// The verdict about who shows `token`, or why there is none.
    fn review<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Verdict, String>>;
}

/// NoReviewer to ask: nobody is let in.
#[derive(Clone, Copy, Debug)]
pub struct NoReviewer;

impl TokenReviewer for NoReviewer {
    fn review<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Verdict, String>> {
        Box::pin(std::future::ready(Err("the configuration is not loaded yet".to_owned())))
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requester {
    /// Anyone.
    Anyone,
    /// Another replica, for what members of a fleet tell each other.
    Peer,
}

/// How long who was let in is let in. Who loses the right is refused as soon.
const ALLOWED: Duration = Duration::from_secs(60);
/// How long who was refused is refused: a right that was granted shall not be waited for.
const REFUSED: Duration = Duration::from_secs(10);
/// How long the last answer counts between replicas while there is no newer one; about as long as a token is valid.
const PEERS: Duration = Duration::from_secs(3600);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// TokenReviewer at a time of tokens that were let in before, and as many of others.
const AT_ONCE: usize = 4;
/// How often it is told that there is no answer.
const TOLD: Duration = Duration::from_secs(60);

/// A key that is known to this process alone: what is hashed with it is worth nothing elsewhere.
pub fn secret() -> hmac::Key {
    // It fails where the system has no randomness at all, without which there is no TLS either.
    #[expect(clippy::expect_used, reason = "there is nothing to go on with")]
    hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).expect("the system has randomness")
}

/// The filter. Cheap to clone.
#[derive(Clone)]
pub struct AuthFilter(Arc<Inner>);

struct Inner {
    reviews: Box<dyn TokenReviewer>,
    cache: Mutex<Cache>,
    /// Strangers, who may be many, wait for each other and not those for them who are known.
    known: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    told: Mutex<Option<Instant>>,
}

impl AuthFilter {
    /// A filter that asks `reviews`.
    pub fn new(reviews: impl TokenReviewer + 'static) -> Self {
        Self(Arc::new(Inner {
            reviews: Box::new(reviews),
            cache: Mutex::default(),
            known: Arc::new(Semaphore::new(AT_ONCE)),
            strangers: Arc::new(Semaphore::new(AT_ONCE)),
            told: Mutex::default(),
        }))
    }

    /// The verdict about who shows `token`; `None` if there is no answer.
    pub async fn authorize(&self, token: &str, requester: Requester) -> Option<Verdict> {
        let inner = &self.0;
        let key = inner.cache().key(token);
        let known = inner.cache().get(&key);
        if let Some((verdict, age)) = known {
            let fresh = if verdict == Verdict::Allowed { ALLOWED } else { REFUSED };
            if age < fresh {
                return Some(verdict);
            }
            if requester == Requester::Peer && verdict == Verdict::Allowed && age < PEERS {
                // NB: a peer does not wait as long as a review may take.
                if inner.cache().renews(&key, REFUSED) {
                    let (access, token) = (self.clone(), Zeroizing::new(token.to_owned()));
                    tokio::spawn(async move { access.ask(key, &token, true).await });
                }
                return Some(verdict);
            }
        }
        let was_let_in = known.is_some_and(|(verdict, _)| verdict == Verdict::Allowed);
        self.ask(key, token, was_let_in).await
    }

    /// Asks when it is our turn. Once asked, the answer is remembered also if nobody waits for it any more.
    async fn ask(&self, key: Key, token: &str, known: bool) -> Option<Verdict> {
        let inner = Arc::clone(&self.0);
        let asked = Instant::now();
        let turn = Arc::clone(if known { &inner.known } else { &inner.strangers }).acquire_owned();
        // NoReviewer closes it.
        let turn = timeout(PATIENCE, turn).await.ok()?.ok()?;
        if let Some(verdict) = inner.cache().newer(&key, asked) {
            return Some(verdict);
        }
        let token = Zeroizing::new(token.to_owned());
        let review = async move {
            let _turn = turn;
            let reviewed = timeout(PATIENCE, inner.reviews.review(&token)).await;
            match reviewed.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs()))) {
                Ok(verdict) => {
                    inner.cache().put(key, verdict);
                    Some(verdict)
                }
                Err(reason) => {
                    inner.tell(&reason);
                    None
                }
            }
        };
        tokio::spawn(review).await.ok().flatten()
    }
}

impl Inner {
    fn cache(&self) -> MutexGuard<'_, Cache> {
        lock(&self.cache)
    }

    fn tell(&self, reason: &str) {
        let mut told = lock(&self.told);
        if told.is_none_or(|told| told.elapsed() >= TOLD) {
            *told = Some(Instant::now());
            warn!("--auth-filter lets nobody in that it does not know: {reason}");
        }
    }
}

impl std::fmt::Debug for AuthFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthFilter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

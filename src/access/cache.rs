//! Verdicts by token, for a bounded number of tokens and without them.

use std::collections::HashMap;
use std::time::Duration;

use ring::hmac;
use tokio::time::Instant;

use super::Verdict;

/// Tokens that are remembered: those of who scrapes and of all peers, and those that come with mistakes and attacks.
const MOST: usize = 2048;

/// A token, as a hash that is worth nothing elsewhere.
pub(super) type Key = [u8; 32];

/// What is known of tokens.
#[derive(Debug)]
pub(super) struct Cache {
    secret: hmac::Key,
    known: HashMap<Key, Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    verdict: Verdict,
    /// When that was said.
    at: Instant,
    /// When it was last asked about anew, without anybody waiting for it.
    renewed: Option<Instant>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { secret: super::secret(), known: HashMap::new() }
    }
}

impl Cache {
    pub fn key(&self, token: &str) -> Key {
        let mut key = Key::default();
        key.copy_from_slice(hmac::sign(&self.secret, token.as_bytes()).as_ref());
        key
    }

    /// What was said last of a token, and how long ago.
    pub fn get(&self, key: &Key) -> Option<(Verdict, Duration)> {
        self.known.get(key).map(|known| (known.verdict, known.at.elapsed()))
    }

    /// What was said since then.
    pub fn newer(&self, key: &Key, since: Instant) -> Option<Verdict> {
        self.known.get(key).filter(|known| known.at >= since).map(|known| known.verdict)
    }

    /// Whether it is time to ask anew; at most once a period.
    pub fn renews(&mut self, key: &Key, period: Duration) -> bool {
        let Some(known) = self.known.get_mut(key) else { return true };
        let due = known.renewed.is_none_or(|renewed| renewed.elapsed() >= period);
        if due {
            known.renewed = Some(Instant::now());
        }
        due
    }

    /// Something was said of a token. For one that is new, of too many the oldest one is forgotten, first of those that were
    /// refused.
    pub fn put(&mut self, key: Key, verdict: Verdict) {
        if self.known.len() >= MOST && !self.known.contains_key(&key) {
            let oldest = self.known.iter().min_by_key(|(_, known)| (known.verdict == Verdict::Allowed, known.at));
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                self.known.remove(&oldest);
            }
        }
        self.known.insert(key, Known { verdict, at: Instant::now(), renewed: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_tokens_is_forgotten_before_those_that_were_let_in() {
        let mut cache = Cache::default();
        let good = cache.key("good");
        cache.put(good, Verdict::Allowed);
        for n in 0..2 * MOST {
            tokio::time::advance(Duration::from_millis(1)).await;
            let key = cache.key(&n.to_string());
            cache.put(key, Verdict::Unauthenticated);
        }
        assert_eq!(cache.known.len(), MOST);
        assert_eq!(cache.get(&good).map(|(verdict, _)| verdict), Some(Verdict::Allowed));
        assert_eq!(cache.get(&cache.key("0")), None);
        assert!(cache.get(&cache.key(&(2 * MOST - 1).to_string())).is_some());
    }

    #[test]
    fn hashes_of_tokens_are_worth_nothing_in_another_process() {
        assert_ne!(Cache::default().key("token"), Cache::default().key("token"));
    }
}

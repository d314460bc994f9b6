//! A cache of verdicts, by keyed hashes of tokens.

use std::collections::HashMap;
use std::time::Duration;

use ring::hmac;
use tokio::time::Instant;

use super::key::random_key;
use super::reviewer::Verdict;

/// Maximum number of cached tokens: those of all scrapers, with room for wrong ones and attacks.
const MAX_TOKENS: usize = 2048;

/// A keyed hash of a token, useless in any other process.
pub(super) type TokenHash = [u8; 32];

/// The last verdicts.
#[derive(Debug)]
pub(super) struct VerdictCache {
    key: hmac::Key,
    entries: HashMap<TokenHash, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    verdict: Verdict,
    decided: Instant,
}

impl Default for VerdictCache {
    fn default() -> Self {
        Self { key: random_key(), entries: HashMap::new() }
    }
}

impl VerdictCache {
    pub fn hash(&self, token: &str) -> TokenHash {
        let mut hash = TokenHash::default();
        hash.copy_from_slice(hmac::sign(&self.key, token.as_bytes()).as_ref());
        hash
    }

    /// Returns the last verdict on a token, and its age.
    pub fn get(&self, token: &TokenHash) -> Option<(Verdict, Duration)> {
        self.entries.get(token).map(|entry| (entry.verdict, entry.decided.elapsed()))
    }

    #[cfg(test)]
    pub fn remove(&mut self, token: &TokenHash) {
        self.entries.remove(token);
    }

    /// Stores a verdict. If the cache is full, a new token evicts the oldest one, refused tokens first.
    pub fn insert(&mut self, token: TokenHash, verdict: Verdict) {
        if self.entries.len() >= MAX_TOKENS && !self.entries.contains_key(&token) {
            let oldest =
                self.entries.iter().min_by_key(|(_, entry)| (entry.verdict == Verdict::Allowed, entry.decided));
            if let Some(oldest) = oldest.map(|(token, _)| *token) {
                self.entries.remove(&oldest);
            }
        }
        self.entries.insert(token, Entry { verdict, decided: Instant::now() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_wrong_tokens_does_not_evict_allowed_ones() {
        let mut cache = VerdictCache::default();
        let good = cache.hash("good");
        cache.insert(good, Verdict::Allowed);
        for n in 0..2 * MAX_TOKENS {
            tokio::time::advance(Duration::from_millis(1)).await;
            let token = cache.hash(&n.to_string());
            cache.insert(token, Verdict::Unauthenticated);
        }
        assert_eq!(cache.entries.len(), MAX_TOKENS);
        assert_eq!(cache.get(&good).map(|(verdict, _)| verdict), Some(Verdict::Allowed));
        assert_eq!(cache.get(&cache.hash("0")), None);
        assert!(cache.get(&cache.hash(&(2 * MAX_TOKENS - 1).to_string())).is_some());
    }

    #[test]
    fn a_hash_of_a_token_is_useless_in_another_process() {
        assert_ne!(VerdictCache::default().hash("token"), VerdictCache::default().hash("token"));
    }
}

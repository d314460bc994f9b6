//! A cache of verdicts, by keyed hashes of tokens.

use std::collections::HashMap;
use std::time::Duration;

use ring::hmac;
use tokio::time::Instant;

use super::key::random_key;
use super::reviewer::Verdict;

/// A keyed hash of a token, and perhaps a namespace; useless in any other process.
pub(super) type TokenHash = [u8; 32];

/// The last verdicts.
#[derive(Debug)]
pub(super) struct VerdictCache {
    key: hmac::Key,
    /// Maximum number of verdicts.
    most: usize,
    entries: HashMap<TokenHash, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    verdict: Verdict,
    decided: Instant,
}

impl VerdictCache {
    /// Creates a cache of at most `most` verdicts.
    pub fn new(most: usize) -> Self {
        Self { key: random_key(), most, entries: HashMap::new() }
    }

    /// Returns the hash of a token.
    pub fn hash(&self, token: &str) -> TokenHash {
        self.hash_in(token, "")
    }

    /// Returns the hash of a token and a namespace. Neither contains a zero byte: a header cannot.
    pub fn hash_in(&self, token: &str, namespace: &str) -> TokenHash {
        let mut context = hmac::Context::with_key(&self.key);
        [token.as_bytes(), &[0], namespace.as_bytes()].into_iter().for_each(|part| context.update(part));
        let mut hash = TokenHash::default();
        hash.copy_from_slice(context.sign().as_ref());
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
        if self.entries.len() >= self.most && !self.entries.contains_key(&token) {
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

    const MOST: usize = 64;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_wrong_tokens_does_not_evict_allowed_ones() {
        let mut cache = VerdictCache::new(MOST);
        let good = cache.hash("good");
        cache.insert(good, Verdict::Allowed);
        for n in 0..2 * MOST {
            tokio::time::advance(Duration::from_millis(1)).await;
            let token = cache.hash(&n.to_string());
            cache.insert(token, Verdict::Unauthenticated);
        }
        assert_eq!(cache.entries.len(), MOST);
        assert_eq!(cache.get(&good).map(|(verdict, _)| verdict), Some(Verdict::Allowed));
        assert_eq!(cache.get(&cache.hash("0")), None);
        assert!(cache.get(&cache.hash(&(2 * MOST - 1).to_string())).is_some());
    }

    #[test]
    fn each_namespace_has_a_verdict_of_its_own() {
        let mut cache = VerdictCache::new(MOST);
        let hashes = [("t", ""), ("t", "a"), ("t", "b"), ("ta", ""), ("ta", "a")].map(|(t, n)| cache.hash_in(t, n));
        assert_eq!(hashes[0], cache.hash("t"));
        cache.insert(hashes[1], Verdict::Allowed);
        let known = hashes.map(|hash| cache.get(&hash).is_some());
        assert_eq!(known, [false, true, false, false, false]);
    }

    #[test]
    fn a_hash_of_a_token_is_useless_in_another_process() {
        assert_ne!(VerdictCache::new(MOST).hash("token"), VerdictCache::new(MOST).hash("token"));
    }
}

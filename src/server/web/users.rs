//! Basic authentication with bcrypt hashes of passwords.
//!
//! A bcrypt hash is expensive, and any client can cause one. So verified credentials are remembered, and only one password is
//! checked at a time. A wrong one is followed by a pause of the same length, and the number of waiting requests is limited. An
//! unknown user costs as much time as a known one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{HeaderMap, StatusCode};
use ring::hmac;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use crate::access::random_key;
use crate::sync::lock;

/// Maximum number of remembered credentials: one per user, and those replaced lately.
const MAX_REMEMBERED: usize = 128;
/// Maximum number of requests that wait for a password check.
const MAX_WAITING: usize = 32;
/// Maximum pause after a wrong password.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The authentication scheme by which `verify` proves that it has the same configuration.
const PROOF_SCHEME: &str = "Fleet";
const PROOF_MESSAGE: &[u8] = b"a replica that has these users";

/// The users of one configuration.
#[derive(Debug)]
pub(super) struct Users {
    hashes: BTreeMap<String, String>,
    /// The key that signs [`PROOF_MESSAGE`]. It is derived from all hashes, so processes with the same file have the same key.
    key: hmac::Key,
}

impl Users {
    pub fn new(hashes: BTreeMap<String, String>) -> Self {
        let secret: Zeroizing<String> =
            Zeroizing::new(hashes.iter().map(|(user, hash)| format!("{user}:{hash}\n")).collect());
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Self { hashes, key }
    }

    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Returns the value of `Authorization` that `verify` sends instead of a password; `None` if there are no users.
    pub fn proof(&self) -> Option<HeaderValue> {
        let proof = STANDARD.encode(hmac::sign(&self.key, PROOF_MESSAGE));
        let mut value = HeaderValue::from_str(&format!("{PROOF_SCHEME} {proof}")).ok().filter(|_| !self.is_empty())?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether a request carries the proof of the same users.
    pub fn is_proof(&self, headers: &HeaderMap) -> bool {
        let shown =
            headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()?.strip_prefix(PROOF_SCHEME)?.strip_prefix(' '));
        let proof = shown.and_then(|shown| STANDARD.decode(shown).ok());
        !self.is_empty() && proof.is_some_and(|proof| hmac::verify(&self.key, PROOF_MESSAGE, &proof).is_ok())
    }

    /// Returns the hash to compare a password with, and whether it is that of the user. An unknown name always gets the same
    /// hash of another user.
    fn hash(&self, user: &str, key: &hmac::Key) -> (Option<&str>, bool) {
        if let Some(hash) = self.hashes.get(user) {
            return (Some(hash), true);
        }
        let at = hmac::sign(key, user.as_bytes()).as_ref().first().copied().unwrap_or_default();
        (self.hashes.values().nth(usize::from(at) % self.hashes.len().max(1)).map(String::as_str), false)
    }
}

/// Checks passwords, and remembers the right ones.
#[derive(Debug)]
pub(super) struct PasswordChecker {
    /// When each of the verified credentials was last used, by their keyed hash.
    verified: Mutex<HashMap<Vec<u8>, Instant>>,
    key: hmac::Key,
    turn: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for PasswordChecker {
    fn default() -> Self {
        Self {
            verified: Mutex::default(),
            key: random_key(),
            turn: Arc::new(Semaphore::new(1)),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
        }
    }
}

impl PasswordChecker {
    /// Checks that a request carries the name and password of one of `users`. The error is the status of the refusal.
    pub async fn check(&self, users: &Users, headers: &HeaderMap) -> Result<(), StatusCode> {
        let Some((user, password)) = credentials(headers) else { return Err(StatusCode::UNAUTHORIZED) };
        let (hash, known) = users.hash(&user, &self.key);
        let hash = hash.ok_or(StatusCode::UNAUTHORIZED)?.to_owned();
        let credentials = self.digest(&user, &password, &hash);
        if known && self.remembers(&credentials) {
            return Ok(());
        }
        let _waiting = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        // The semaphore is never closed.
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        if known && self.remembers(&credentials) {
            return Ok(());
        }
        let began = Instant::now();
        let checked = tokio::task::spawn_blocking(move || bcrypt::verify(password.as_bytes(), &hash).unwrap_or(false));
        let right = checked.await.unwrap_or(false) && known;
        if right {
            self.remember(credentials);
            return Ok(());
        }
        let pause = began.elapsed().min(MAX_PAUSE);
        tokio::spawn(async move {
            sleep(pause).await;
            drop(turn);
        });
        Err(StatusCode::UNAUTHORIZED)
    }

    /// Returns a keyed hash of credentials, which stands for them in memory.
    fn digest(&self, user: &str, password: &str, hash: &str) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [user, password, hash] {
            context.update(&part.len().to_be_bytes());
            context.update(part.as_bytes());
        }
        context.sign().as_ref().to_vec()
    }

    fn remembers(&self, credentials: &[u8]) -> bool {
        let mut verified = lock(&self.verified);
        verified.get_mut(credentials).map(|last| *last = Instant::now()).is_some()
    }

    fn remember(&self, credentials: Vec<u8>) {
        let mut verified = lock(&self.verified);
        if verified.len() >= MAX_REMEMBERED
            && let Some(oldest) =
                verified.iter().min_by_key(|(_, last)| **last).map(|(credentials, _)| credentials.clone())
        {
            verified.remove(&oldest);
        }
        verified.insert(credentials, Instant::now());
    }
}

/// Returns the name and password of a request (RFC 7617).
fn credentials(headers: &HeaderMap) -> Option<(String, Zeroizing<String>)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = Zeroizing::new(String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?);
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), Zeroizing::new(password.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        // The lowest cost that bcrypt allows.
        let hash = |password: &str| bcrypt::hash(password, 4).expect("a hash");
        Users::new([("ann".to_owned(), hash("right")), ("bob".to_owned(), hash("other"))].into())
    }

    fn basic(user: &str, password: &str) -> HeaderMap {
        let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        [(AUTHORIZATION, HeaderValue::from_str(&value).expect("a header"))].into_iter().collect()
    }

    #[tokio::test]
    async fn only_a_user_with_the_right_password_is_accepted() {
        let (users, passwords) = (users(), PasswordChecker::default());
        for _ in 0..2 {
            assert_eq!(passwords.check(&users, &basic("ann", "right")).await, Ok(()));
        }
        assert_eq!(passwords.verified.lock().expect("no panic").len(), 1);
        for (user, password) in [("ann", "other"), ("bob", "right"), ("eve", "right"), ("", ""), ("ann", "right ")] {
            assert_eq!(passwords.check(&users, &basic(user, password)).await, Err(StatusCode::UNAUTHORIZED), "{user}");
        }
        assert_eq!(passwords.check(&users, &HeaderMap::new()).await, Err(StatusCode::UNAUTHORIZED));
        let odd: HeaderMap = [(AUTHORIZATION, HeaderValue::from_static("Basic ?"))].into_iter().collect();
        assert_eq!(passwords.check(&users, &odd).await, Err(StatusCode::UNAUTHORIZED));
    }

    #[tokio::test]
    async fn a_replaced_password_is_no_longer_accepted() {
        let passwords = PasswordChecker::default();
        assert_eq!(passwords.check(&users(), &basic("ann", "right")).await, Ok(()));
        let later = Users::new([("ann".to_owned(), bcrypt::hash("new", 4).expect("a hash"))].into());
        assert_eq!(passwords.check(&later, &basic("ann", "right")).await, Err(StatusCode::UNAUTHORIZED));
        assert_eq!(passwords.check(&later, &basic("ann", "new")).await, Ok(()));
    }

    #[tokio::test]
    async fn a_flood_of_wrong_passwords_is_bounded_and_does_not_delay_verified_users() {
        let (users, passwords) = (users(), PasswordChecker::default());
        assert_eq!(passwords.check(&users, &basic("ann", "right")).await, Ok(()));
        let tries: Vec<_> = (0..3 * MAX_WAITING).map(|n| basic("ann", &n.to_string())).collect();
        let flood = futures::future::join_all(tries.iter().map(|headers| passwords.check(&users, headers)));
        // Nothing is checked until all have arrived, however slow the machine is.
        let turn = Arc::clone(&passwords.turn).acquire_owned().await.expect("it is open");
        let let_in = async {
            for _ in 0..3 * MAX_WAITING {
                tokio::task::yield_now().await;
            }
            let answer = passwords.check(&users, &basic("ann", "right")).await;
            drop(turn);
            answer
        };
        let (refused, let_in) = tokio::join!(flood, let_in);
        assert_eq!(let_in, Ok(()));
        let at_once = refused.iter().filter(|answer| **answer == Err(StatusCode::SERVICE_UNAVAILABLE)).count();
        assert_eq!(at_once, 2 * MAX_WAITING);
    }

    #[test]
    fn an_unknown_name_is_always_checked_against_the_same_hash() {
        let (users, passwords) = (users(), PasswordChecker::default());
        let hashes: std::collections::BTreeSet<_> = (0..20).map(|_| users.hash("eve", &passwords.key)).collect();
        assert_eq!(hashes.len(), 1);
        assert!(hashes.iter().all(|(hash, known)| hash.is_some() && !known));
        assert_eq!(Users::new(BTreeMap::new()).hash("eve", &passwords.key), (None, false));
    }

    #[test]
    fn a_process_with_the_same_users_proves_that() {
        let users = users();
        let shown: HeaderMap = users.proof().into_iter().map(|proof| (AUTHORIZATION, proof)).collect();
        assert!(users.is_proof(&shown));
        assert!(!self::users().is_proof(&shown), "hashes with other salts differ");
        assert!(!users.is_proof(&HeaderMap::new()));
        let none = Users::new(BTreeMap::new());
        assert!(none.proof().is_none() && !none.is_proof(&shown));
    }
}

//! Basic authentication with bcrypt hashes of passwords.
//!
//! A bcrypt hash is expensive, and any client can cause one. So verified credentials are remembered, and so are wrong ones for a
//! while. Only one password is checked at a time. A wrong one is followed by a pause of the same length. Addresses take turns
//! ([`Turns`]), so wrong passwords of some do not lock out others. An unknown user costs as much time as a known one.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{HeaderMap, StatusCode};
use ring::hmac;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use crate::access::{Busy, Turns, random_key};
use crate::sync::lock;

/// Maximum number of remembered credentials: one per user, and those replaced lately.
const MAX_REMEMBERED: usize = 128;
/// Maximum number of wrong credentials that are remembered.
const MAX_WRONG: usize = 1024;
/// Maximum number of requests that wait for a password check.
const MAX_WAITING: usize = 128;
/// How long a request waits for its turn.
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);
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

/// Checks passwords, and remembers the results. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct PasswordChecker(Arc<Checker>);

#[derive(Debug)]
struct Checker {
    /// The right credentials, by their keyed hash.
    right: Mutex<Remembered>,
    /// Wrong credentials. A new password has another hash, so these stay wrong.
    wrong: Mutex<Remembered>,
    key: hmac::Key,
    turns: Turns,
}

impl Default for PasswordChecker {
    fn default() -> Self {
        Self(Arc::new(Checker {
            right: Mutex::new(Remembered::new(MAX_REMEMBERED)),
            wrong: Mutex::new(Remembered::new(MAX_WRONG)),
            key: random_key(),
            turns: Turns::new(1, MAX_WAITING),
        }))
    }
}

impl PasswordChecker {
    /// Checks that a request from `remote` carries the name and password of one of `users`. The error is the status of the
    /// refusal.
    pub async fn check(&self, users: &Users, headers: &HeaderMap, remote: IpAddr) -> Result<(), StatusCode> {
        let Some((user, password)) = credentials(headers) else { return Err(StatusCode::UNAUTHORIZED) };
        let (hash, known) = users.hash(&user, &self.0.key);
        let hash = hash.ok_or(StatusCode::UNAUTHORIZED)?.to_owned();
        let credentials = self.0.digest(&user, &password, &hash);
        if let Some(result) = self.0.remembered(&credentials) {
            return result;
        }
        let turn = timeout(WAIT_TIMEOUT, self.0.turns.take(remote)).await;
        let turn =
            turn.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?.map_err(|Busy| StatusCode::SERVICE_UNAVAILABLE)?;
        if let Some(result) = self.0.remembered(&credentials) {
            return result;
        }
        let checker = Arc::clone(&self.0);
        // NB: a task of its own, so that the result is remembered even if the client does not wait for it.
        let check = async move {
            let began = Instant::now();
            let verify = move || bcrypt::verify(password.as_bytes(), &hash).unwrap_or(false);
            let right = tokio::task::spawn_blocking(verify).await.unwrap_or(false) && known;
            if right {
                lock(&checker.right).insert(credentials);
                return Ok(());
            }
            lock(&checker.wrong).insert(credentials);
            turn.fail(began.elapsed().min(MAX_PAUSE));
            Err(StatusCode::UNAUTHORIZED)
        };
        tokio::spawn(check).await.unwrap_or(Err(StatusCode::UNAUTHORIZED))
    }
}

impl Checker {
    /// Returns the result for credentials that were checked before.
    fn remembered(&self, credentials: &[u8]) -> Option<Result<(), StatusCode>> {
        if lock(&self.right).contains(credentials) {
            return Some(Ok(()));
        }
        lock(&self.wrong).contains(credentials).then_some(Err(StatusCode::UNAUTHORIZED))
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
}

/// A bounded set of keyed hashes. A new one replaces the one that was used least recently.
#[derive(Debug)]
struct Remembered {
    used: HashMap<Vec<u8>, Instant>,
    most: usize,
}

impl Remembered {
    fn new(most: usize) -> Self {
        Self { used: HashMap::new(), most }
    }

    fn contains(&mut self, credentials: &[u8]) -> bool {
        self.used.get_mut(credentials).map(|last| *last = Instant::now()).is_some()
    }

    fn insert(&mut self, credentials: Vec<u8>) {
        if self.used.len() >= self.most
            && let Some(oldest) = self.used.iter().min_by_key(|(_, last)| **last).map(|(hash, _)| hash.clone())
        {
            self.used.remove(&oldest);
        }
        self.used.insert(credentials, Instant::now());
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
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use tokio::task::JoinHandle;
    use tokio::time::sleep;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

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
            assert_eq!(passwords.check(&users, &basic("ann", "right"), HERE).await, Ok(()));
        }
        assert_eq!(lock(&passwords.0.right).used.len(), 1);
        for (user, password) in [("ann", "other"), ("bob", "right"), ("eve", "right"), ("", ""), ("ann", "right ")] {
            assert_eq!(
                passwords.check(&users, &basic(user, password), HERE).await,
                Err(StatusCode::UNAUTHORIZED),
                "{user}"
            );
        }
        assert_eq!(passwords.check(&users, &HeaderMap::new(), HERE).await, Err(StatusCode::UNAUTHORIZED));
        let odd: HeaderMap = [(AUTHORIZATION, HeaderValue::from_static("Basic ?"))].into_iter().collect();
        assert_eq!(passwords.check(&users, &odd, HERE).await, Err(StatusCode::UNAUTHORIZED));
    }

    #[tokio::test]
    async fn a_replaced_password_is_no_longer_accepted() {
        let passwords = PasswordChecker::default();
        assert_eq!(passwords.check(&users(), &basic("ann", "right"), HERE).await, Ok(()));
        let later = Users::new([("ann".to_owned(), bcrypt::hash("new", 4).expect("a hash"))].into());
        assert_eq!(passwords.check(&later, &basic("ann", "right"), HERE).await, Err(StatusCode::UNAUTHORIZED));
        assert_eq!(passwords.check(&later, &basic("ann", "new"), HERE).await, Ok(()));
    }

    #[tokio::test]
    async fn the_right_password_gets_through_a_flood_of_wrong_ones() {
        let (users, passwords) = (Arc::new(users()), PasswordChecker::default());
        let checks = Arc::new(AtomicUsize::new(0));
        let flood: Vec<_> = (0..64)
            .map(|client| {
                let (users, passwords, checks) = (Arc::clone(&users), passwords.clone(), Arc::clone(&checks));
                tokio::spawn(async move {
                    for attempt in 0.. {
                        let headers = basic("ann", &format!("{client} {attempt}"));
                        let answer = passwords.check(&users, &headers, HERE).await;
                        assert_eq!(answer, Err(StatusCode::UNAUTHORIZED), "nobody is turned away");
                        checks.fetch_add(1, Relaxed);
                    }
                })
            })
            .collect();
        while passwords.0.turns.waiting() < 63 {
            sleep(Duration::from_millis(1)).await;
        }
        for (remote, most) in [(THERE, 3), (HERE, 70)] {
            // Not remembered: the salt differs.
            let users = self::users();
            let before = checks.load(Relaxed);
            assert_eq!(passwords.check(&users, &basic("ann", "right"), remote).await, Ok(()));
            let waited = checks.load(Relaxed) - before;
            assert!(waited <= most, "{waited} checks of {remote}");
            let before = checks.load(Relaxed);
            assert_eq!(passwords.check(&users, &basic("ann", "right"), remote).await, Ok(()));
            assert_eq!(checks.load(Relaxed), before, "it is remembered");
        }
        flood.iter().for_each(JoinHandle::abort);
    }

    #[tokio::test]
    async fn a_wrong_password_is_checked_once() {
        let (users, passwords) = (users(), PasswordChecker::default());
        let tries = (0..100).map(|_| async { passwords.check(&users, &basic("ann", "wrong"), HERE).await });
        let answers = futures::future::join_all(tries).await;
        assert_eq!(answers, [Err(StatusCode::UNAUTHORIZED); 100]);
        assert_eq!(lock(&passwords.0.wrong).used.len(), 1);
        for n in 0..MAX_WRONG {
            lock(&passwords.0.wrong).insert(n.to_be_bytes().to_vec());
        }
        assert_eq!(lock(&passwords.0.wrong).used.len(), MAX_WRONG);
    }

    #[test]
    fn an_unknown_name_is_always_checked_against_the_same_hash() {
        let (users, passwords) = (users(), PasswordChecker::default());
        let hashes: std::collections::BTreeSet<_> = (0..20).map(|_| users.hash("eve", &passwords.0.key)).collect();
        assert_eq!(hashes.len(), 1);
        assert!(hashes.iter().all(|(hash, known)| hash.is_some() && !known));
        assert_eq!(Users::new(BTreeMap::new()).hash("eve", &passwords.0.key), (None, false));
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

//! Basic authentication: names and passwords, kept as bcrypt hashes.
//!
//! A hash is made to cost time, and anybody may make us compute one. So what was right once is remembered; of all others one
//! is computed at a time, a wrong one is followed by a pause as long as it took, and only so many wait. A name that is unknown
//! costs what a known one does.

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

/// Credentials that are remembered. There are as many as there are users, and those that were replaced lately.
const MOST: usize = 128;
/// Who waits for a password to be checked, at most.
const WAITING: usize = 32;
/// No password makes the pause after it longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How a peer says that it is configured as we are.
const SCHEME: &str = "Fleet";
const SIGNED: &[u8] = b"a replica that has these users";

/// The users of one configuration.
#[derive(Debug)]
pub(super) struct Users {
    hashes: BTreeMap<String, String>,
    /// With which a peer signs [`SIGNED`]: who knows all hashes has it.
    key: hmac::Key,
}

impl Users {
    pub fn new(hashes: BTreeMap<String, String>) -> Self {
        let secret: Zeroizing<String> =
            Zeroizing::new(hashes.iter().map(|(user, hash)| format!("{user}:{hash}\n")).collect());
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Self { hashes, key }
    }

    pub fn hashes(&self) -> &BTreeMap<String, String> {
        &self.hashes
    }

    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// What a peer shows where users have to give their password.
    pub fn proof(&self) -> Option<HeaderValue> {
        let proof = STANDARD.encode(hmac::sign(&self.key, SIGNED));
        let mut value = HeaderValue::from_str(&format!("{SCHEME} {proof}")).ok().filter(|_| !self.is_empty())?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether a peer shows it.
    pub fn is_peer(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()?.strip_prefix(SCHEME)?.strip_prefix(' '));
        let proof = shown.and_then(|shown| STANDARD.decode(shown).ok());
        !self.is_empty() && proof.is_some_and(|proof| hmac::verify(&self.key, SIGNED, &proof).is_ok())
    }

    /// The hash that a password is compared with, and whether it is that of the user: for a name that is unknown always the
    /// same one.
    fn hash(&self, user: &str, key: &hmac::Key) -> (Option<&str>, bool) {
        if let Some(hash) = self.hashes.get(user) {
            return (Some(hash), true);
        }
        let at = hmac::sign(key, user.as_bytes()).as_ref().first().copied().unwrap_or_default();
        (self.hashes.values().nth(usize::from(at) % self.hashes.len().max(1)).map(String::as_str), false)
    }
}

/// Checks passwords, and remembers those that were right.
#[derive(Debug)]
pub(super) struct Passwords {
    /// By what was given, as a keyed hash; when it was given last.
    right: Mutex<HashMap<Vec<u8>, Instant>>,
    key: hmac::Key,
    turn: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            right: Mutex::default(),
            key: random_key(),
            turn: Arc::new(Semaphore::new(1)),
            waiting: Arc::new(Semaphore::new(WAITING)),
        }
    }
}

impl Passwords {
    /// Whether the request is one of `users`'; else the status that it is refused with.
    pub async fn check(&self, users: &Users, headers: &HeaderMap) -> Result<(), StatusCode> {
        let Some((user, password)) = credentials(headers) else { return Err(StatusCode::UNAUTHORIZED) };
        let (hash, known) = users.hash(&user, &self.key);
        let hash = hash.ok_or(StatusCode::UNAUTHORIZED)?.to_owned();
        let given = self.given(&user, &password, &hash);
        if known && self.remembers(&given) {
            return Ok(());
        }
        let _waits = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        // Nobody closes it.
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        if known && self.remembers(&given) {
            return Ok(());
        }
        let began = Instant::now();
        let checked = tokio::task::spawn_blocking(move || bcrypt::verify(password.as_bytes(), &hash).unwrap_or(false));
        let right = checked.await.unwrap_or(false) && known;
        if right {
            self.remember(given);
            return Ok(());
        }
        let pause = began.elapsed().min(LONGEST_PAUSE);
        tokio::spawn(async move {
            sleep(pause).await;
            drop(turn);
        });
        Err(StatusCode::UNAUTHORIZED)
    }

    /// What stands for credentials in memory.
    fn given(&self, user: &str, password: &str, hash: &str) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [user, password, hash] {
            context.update(&part.len().to_be_bytes());
            context.update(part.as_bytes());
        }
        context.sign().as_ref().to_vec()
    }

    fn remembers(&self, given: &[u8]) -> bool {
        let mut right = lock(&self.right);
        right.get_mut(given).map(|last| *last = Instant::now()).is_some()
    }

    fn remember(&self, given: Vec<u8>) {
        let mut right = lock(&self.right);
        if right.len() >= MOST
            && let Some(oldest) = right.iter().min_by_key(|(_, last)| **last).map(|(given, _)| given.clone())
        {
            right.remove(&oldest);
        }
        right.insert(given, Instant::now());
    }
}

/// Name and password of a request (RFC 7617).
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
        // The least that bcrypt takes.
        let hash = |password: &str| bcrypt::hash(password, 4).expect("a hash");
        Users::new([("ann".to_owned(), hash("right")), ("bob".to_owned(), hash("other"))].into())
    }

    fn basic(user: &str, password: &str) -> HeaderMap {
        let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        [(AUTHORIZATION, HeaderValue::from_str(&value).expect("a header"))].into_iter().collect()
    }

    #[tokio::test]
    async fn only_a_user_with_the_right_password_is_let_in() {
        let (users, passwords) = (users(), Passwords::default());
        for _ in 0..2 {
            assert_eq!(passwords.check(&users, &basic("ann", "right")).await, Ok(()));
        }
        assert_eq!(passwords.right.lock().expect("no panic").len(), 1);
        for (user, password) in [("ann", "other"), ("bob", "right"), ("eve", "right"), ("", ""), ("ann", "right ")] {
            assert_eq!(passwords.check(&users, &basic(user, password)).await, Err(StatusCode::UNAUTHORIZED), "{user}");
        }
        assert_eq!(passwords.check(&users, &HeaderMap::new()).await, Err(StatusCode::UNAUTHORIZED));
        let odd: HeaderMap = [(AUTHORIZATION, HeaderValue::from_static("Basic ?"))].into_iter().collect();
        assert_eq!(passwords.check(&users, &odd).await, Err(StatusCode::UNAUTHORIZED));
    }

    #[tokio::test]
    async fn a_password_that_is_replaced_is_no_longer_right() {
        let passwords = Passwords::default();
        assert_eq!(passwords.check(&users(), &basic("ann", "right")).await, Ok(()));
        let later = Users::new([("ann".to_owned(), bcrypt::hash("new", 4).expect("a hash"))].into());
        assert_eq!(passwords.check(&later, &basic("ann", "right")).await, Err(StatusCode::UNAUTHORIZED));
        assert_eq!(passwords.check(&later, &basic("ann", "new")).await, Ok(()));
    }

    #[tokio::test]
    async fn a_flood_of_wrong_passwords_waits_in_a_short_line_and_keeps_nobody_out_who_was_let_in() {
        let (users, passwords) = (users(), Passwords::default());
        assert_eq!(passwords.check(&users, &basic("ann", "right")).await, Ok(()));
        let tries: Vec<_> = (0..3 * WAITING).map(|n| basic("ann", &n.to_string())).collect();
        let flood = futures::future::join_all(tries.iter().map(|headers| passwords.check(&users, headers)));
        let let_in = async {
            tokio::task::yield_now().await;
            passwords.check(&users, &basic("ann", "right")).await
        };
        let (refused, let_in) = tokio::join!(flood, let_in);
        assert_eq!(let_in, Ok(()));
        let at_once = refused.iter().filter(|answer| **answer == Err(StatusCode::SERVICE_UNAVAILABLE)).count();
        assert_eq!(at_once, 2 * WAITING);
    }

    #[test]
    fn an_unknown_name_is_checked_against_one_hash_which_is_always_the_same() {
        let (users, passwords) = (users(), Passwords::default());
        let hashes: std::collections::BTreeSet<_> = (0..20).map(|_| users.hash("eve", &passwords.key)).collect();
        assert_eq!(hashes.len(), 1);
        assert!(hashes.iter().all(|(hash, known)| hash.is_some() && !known));
        assert_eq!(Users::new(BTreeMap::new()).hash("eve", &passwords.key), (None, false));
    }

    #[test]
    fn who_has_the_same_users_is_a_peer() {
        let users = users();
        let shown: HeaderMap = users.proof().into_iter().map(|proof| (AUTHORIZATION, proof)).collect();
        assert!(users.is_peer(&shown));
        assert!(!self::users().is_peer(&shown), "other salts are other hashes");
        assert!(!users.is_peer(&HeaderMap::new()));
        let none = Users::new(BTreeMap::new());
        assert!(none.proof().is_none() && !none.is_peer(&shown));
    }
}

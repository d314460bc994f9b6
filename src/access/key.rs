//! The key of keyed hashes.

use ring::hmac;
use ring::rand::SystemRandom;

/// Returns a random HMAC key. Only this process knows it, so hashes made with it are useless elsewhere.
pub fn random_key() -> hmac::Key {
    // It fails only where the system has no source of randomness, and TLS cannot work there either.
    #[expect(clippy::expect_used, reason = "nothing works without a source of randomness")]
    hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).expect("the system has randomness")
}

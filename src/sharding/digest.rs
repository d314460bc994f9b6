//! The fingerprint of a set of objects.

use serde::{Deserialize, Serialize};

use super::Hashes;

/// Count and sum of a set of UIDs: sets that share no UID add up to the digest of their union, so many replicas' digests
/// can be compared with that of the whole cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// How many.
    pub count: u64,
    /// The sum of [`super::Hasher::XxHash64`] of each UID, modulo 2^64.
    pub sum: u64,
}

impl Digest {
    /// One object more.
    pub const fn add(&mut self, hashes: Hashes) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hashes.xxhash64);
    }

    /// One object less.
    pub const fn remove(&mut self, hashes: Hashes) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hashes.xxhash64);
    }

    /// Both sets together, an object of both counted twice.
    pub const fn plus(self, other: Self) -> Self {
        Self { count: self.count.wrapping_add(other.count), sum: self.sum.wrapping_add(other.sum) }
    }
}

//! Digests of sets of objects.

use serde::{Deserialize, Serialize};

use super::Hashes;

/// Count and sum of a set of UIDs. Digests of disjoint sets add up to the digest of their union, so the digests of the replicas
/// can be compared with that of the whole cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Number of UIDs.
    pub count: u64,
    /// The sum of [`super::Hasher::XxHash64`] of each UID, modulo 2^64.
    pub sum: u64,
}

impl Digest {
    /// Adds an object.
    pub const fn add(&mut self, hashes: Hashes) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hashes.xxhash64);
    }

    /// Removes an object.
    pub const fn remove(&mut self, hashes: Hashes) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hashes.xxhash64);
    }

    /// Returns the sum. An object in both sets counts twice.
    pub const fn plus(self, other: Self) -> Self {
        Self { count: self.count.wrapping_add(other.count), sum: self.sum.wrapping_add(other.sum) }
    }
}

//! Assigns objects to shards: UID -> hash -> owner, the ranges of an assignment, the ordinal in the name of a pod.
//!
//! Pure functions of their arguments. Must not use kube, clocks or I/O.

mod changes;
mod digest;
mod hash;
mod ordinal;
mod ranges;
mod slice;

pub use changes::Changes;
pub use digest::Digest;
pub use hash::Hasher;
pub use ordinal::ordinal;
pub use ranges::{Assignment, AssignmentError, Ranges};
pub use slice::{Hashes, Slice};

/// Limit for the number of shards. The ranges of each are computed, so a typo must not request a billion of them.
pub const MOST_SHARDS: u32 = 1_024;

//! Which objects are ours: UID -> hash -> owner, the ranges of an assignment, the ordinal in a pod's name.
//!
//! Pure functions of their arguments. May not know kube, clocks or I/O.

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

/// More shards than anyone runs: ranges are worked out for each, so that a slip of the keyboard must not ask for a billion.
pub const MOST_SHARDS: u32 = 1_024;

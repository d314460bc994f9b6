//! Which objects are ours: UID -> hash -> owner, the ranges of an assignment, the ordinal in a pod's name.
//!
//! Pure functions of their arguments. May not know kube, clocks or I/O.

mod digest;
mod hash;
mod ordinal;
mod ranges;
mod slice;

pub use digest::Digest;
pub use hash::Hasher;
pub use ordinal::ordinal;
pub use ranges::{Assignment, AssignmentError, Ranges};
pub use slice::{Hashes, Slice};

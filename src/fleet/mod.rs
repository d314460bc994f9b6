//! Who else is there, who owns what, and when that changes.
//!
//! `record` holds what members tell each other, `handover` the pure state machine; `coverage` is what can be proven of what
//! they expose together, and `audit` asks them.
//! May not know how series look.

pub mod audit;
pub mod coverage;
pub mod handover;
pub mod record;

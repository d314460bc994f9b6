//! Who else is there, who owns what, and when that changes.
//!
//! `record` holds what members tell each other, `handover` the pure state machine.
//! May not know how series look.

pub mod handover;
pub mod record;

//! Handover of ranges between members: the state machine of one member. Events in, decisions out; no clock, no I/O.
//!
//! Every member runs a [`Machine`]. All members follow one record, which holds the current assignment and at most one
//! next assignment. The coordinator is the live member that wrote the record last; it alone writes the next one.
//!
//! | file | holds |
//! |---|---|
//! | `machine` | the state machine: what this member exposes, loads, says and writes |
//! | `participation` | whether this member serves, prepares, leaves or was superseded |
//! | `coordinator` | the change of the record that this member would make as coordinator |
//! | `facts` | everything that this member has observed, and pure questions about it |
//! | `peers` | what it knows of each other member, and which of them are alive |
//! | `statement` | what it says about itself |
//! | `load` | when the slice to load grows and shrinks |
//! | `range_cache` | the ranges of each member in an assignment |
//! | `interface`, `status`, `timing` | inputs and outputs, the view for telemetry, clocks and time limits |
//!
//! May not know any task that runs, nor where events come from.

mod coordinator;
mod facts;
mod interface;
mod load;
mod machine;
#[cfg(test)]
mod model;
mod participation;
mod peers;
mod range_cache;
mod statement;
mod status;
#[cfg(test)]
mod tests;
mod timing;

pub use interface::{Config, Decision, Event, Notice, Plan};
pub use machine::Machine;
pub use status::{HandoverState, Status};
pub use timing::{LEASE_DURATION, Now, RENEW_PERIOD};

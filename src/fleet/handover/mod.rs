//! Handover of ranges between members: the state machine of one member. Events in, decisions out; no clock, no I/O.
//!
//! Every member runs a [`Machine`]. All members follow one record, which holds the current assignment and at most one
//! next assignment. The coordinator is the live member that wrote the record last; it alone writes the next one.
//!
//! | file | holds |
//! |---|---|
//! | `machine` | the state machine: the slices to expose and to load, the record to write |
//! | `participation` | the phase of this member: preparing, serving, leaving or contested |
//! | `contest` | whether this process still is the one of its ordinal |
//! | `coordinator` | the change of the record that this member would make as coordinator |
//! | `facts` | all observations of this member, and pure functions of them |
//! | `confirmation` | how long this member may rely on what it knows |
//! | `peers` | the statement, the liveness and the clock of each other member |
//! | `statement` | its own statement, which its Lease and its heartbeats carry |
//! | `capacity` | how much this member can load |
//! | `load` | the slice to load, which shrinks after a delay |
//! | `range_cache` | the ranges of each member in an assignment |
//! | `seamless` | timestamps for series that are about to move, and the wait for scrapers |
//! | `cause` | why the current assignment changed |
//! | `interface`, `status`, `timing` | inputs and outputs, the view for telemetry, clocks and time limits |
//!
//! May not know any task that runs, nor where events come from.

mod capacity;
mod cause;
mod confirmation;
mod contest;
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
mod seamless;
mod statement;
mod status;
#[cfg(test)]
mod tests;
mod timing;

pub use cause::Cause;
pub use interface::{Config, Decision, Event, Memory, Notice, Plan, Stamps, Topic};
pub use machine::Machine;
pub use status::{Change, HandoverState, Lost, ScrapeOutcome, Status};
pub(super) use timing::millis;
pub use timing::{LEASE_DURATION, Now, RENEW_PERIOD};

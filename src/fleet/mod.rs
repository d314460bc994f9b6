//! Who else is there, who owns what, and when that changes.
//!
//! `record` holds what members tell each other, `handover` the pure state machine. `run` is the task around that machine: it
//! hears from `api` (the API server) and `peers` (the other members), and what it decides is read from a [`FleetHandle`].
//! `coverage` is what can be proven of what members expose together, and `audit` asks them. `report` is what they
//! tell people who look.
//! May not know how series look.

mod address;
mod api;
pub mod audit;
mod clock;
pub mod coverage;
mod handle;
pub mod handover;
mod headroom;
pub mod ledger;
mod message;
pub mod overview;
pub mod peer_client;
mod peers;
pub mod record;
pub mod report;
mod run;

pub use api::{FleetError, MissingPermission, is_ready};
pub use handle::{FleetHandle, Refusal, Snapshot};
pub use headroom::resident;
pub use run::{ShardLoader, Start, run};

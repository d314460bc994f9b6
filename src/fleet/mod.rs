//! The fleet: its members, the shards that each member owns, and handovers between them.
//!
//! `record` defines the data that members exchange, `wire` reads it, and `handover` is the pure state machine. `run` is the task around that
//! machine: it receives events from `api` (the API server) and `peers` (the other members), and publishes each decision in
//! a [`FleetHandle`]. `events` decides which decisions operators see as Kubernetes Events. `roster` knows the keys of the members, and `tls` authenticates connections by them. `coverage` checks that the members together expose each object once, and `audit` collects the data for
//! that check. `bounds` holds the times that faults may cost, for the tests. `switches` measures how exactly the members switch, and `measurements` keeps the results. `report` and `overview` describe the fleet for the status page.
//!
//! May not know the format of series.

mod address;
mod api;
pub mod audit;
#[cfg(any(test, feature = "simulation"))]
pub mod bounds;
pub mod clock;
pub mod coverage;
pub mod events;
mod format_error;
mod handle;
pub mod handover;
mod host;
pub mod instructions;
pub mod ledger;
pub mod measurements;
mod memory;
mod message;
pub mod overview;
pub mod peer_client;
mod peers;
pub mod record;
pub mod refusals;
pub mod report;
pub mod roster;
mod run;
pub mod switches;
pub mod tls;
mod wire;

pub use api::{FleetError, InspectError, Inspector, MissingPermission, StatefulSetState, StoredFleet, is_ready};
pub use format_error::FormatError;
pub use handle::{FleetHandle, Refusal, Snapshot};
pub use host::Host;
pub use memory::resident;
pub use run::{ShardLoader, Start, run};

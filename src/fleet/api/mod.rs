//! The requests of a member to the API server about its fleet: its own Pod, the StatefulSet, Leases, and Events.
//!
//! The objects are few and small, and read as JSON. Failed requests are retried with backoff, and every request has a timeout.

mod discovery;
mod events;
mod inspect;
mod leases;
mod list_watch;
mod names;
mod permission;
mod pods;
mod request;
mod statefulset;

pub use discovery::FleetError;
pub(super) use discovery::{Identity, discover};
pub(super) use events::post_events;
pub use inspect::{InspectError, Inspector, StoredFleet};
pub(super) use leases::{Leases, Write};
pub(super) use names::Names;
pub use permission::MissingPermission;
pub use pods::is_ready;
pub(super) use pods::watch_pod_readiness;
pub use statefulset::StatefulSetState;
pub(super) use statefulset::follow_statefulset;

#[cfg(test)]
mod deaf;
#[cfg(test)]
mod tests;

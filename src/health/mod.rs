//! The resources that a replica watches, how fresh they are, and whether the replica is ready.
//!
//! `replica` fills it. The readiness check, the self-metrics, the status page and the audit read it. Nothing is counted or
//! exported here. May not know prometheus-client, HTTP servers or Kubernetes types.

mod readiness;
mod watched;

pub use readiness::{DEFINITIONS, Health};
pub use watched::{Degraded, SharedDegraded, SharedFollowed, SharedWatchSet, WatchSet, WatchedResource};

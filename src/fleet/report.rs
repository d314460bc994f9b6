//! The report of a replica about itself, for the status page and for the other replicas.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::handover::HandoverState;
use super::ledger::CoverageState;

/// The report of one replica: `GET /fleet/replica` on the telemetry port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaReport {
    /// Version of the program.
    pub version: String,
    /// Name of its pod, if it is known.
    pub pod: Option<String>,
    /// Its shard.
    pub ordinal: u32,
    /// Number of shards, 0 while it is unknown.
    pub shards: u32,
    /// The share of all UIDs that it exposes, from 0 to 1.
    pub share: f64,
    /// Whether it is ready, as `/readyz` says.
    pub ready: bool,
    /// Why it is not ready.
    pub waits_for: Vec<String>,
    /// The port of its `/metrics`.
    pub metrics_port: u16,
    /// Resident memory in bytes, if the operating system reports it.
    pub memory: Option<u64>,
    /// Seconds since it started.
    pub uptime: u64,
    /// The features that are enabled beyond the defaults.
    pub enabled: Vec<Feature>,
    /// Its state in the fleet; absent outside a fleet.
    pub part: Option<FleetReport>,
    /// The watched resources, in the order of `/metrics`.
    pub resources: Vec<ResourceReport>,
}

/// An enabled feature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Feature {
    /// The flag without dashes, for example `namespaces`.
    pub name: String,
    /// Its value in a few words; empty for a switch.
    pub value: String,
}

/// The state of one resource on one replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceReport {
    /// The plural.
    pub resource: String,
    /// Number of objects that it exposes.
    pub owned: u64,
    /// Number of objects of all shards; absent where the API server filters, or outside a fleet.
    pub seen: Option<u64>,
    /// Whether it has synced, or is refused.
    pub loaded: bool,
    /// The HTTP status by which the API server refuses it.
    pub refused: Option<u16>,
    /// The last error, if it fails for so long that nothing waits for it.
    pub degraded: Option<String>,
    /// Seconds since the API server last sent anything about it.
    pub silent: Option<u64>,
}

/// The state of a fleet as one member knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FleetReport {
    /// `namespace/name` of the StatefulSet.
    pub fleet: String,
    /// Whether it coordinates with the others; otherwise it follows the StatefulSet alone.
    pub coordinated: bool,
    /// Whether it is the coordinator.
    pub coordinator: bool,
    /// Whether its last confirmation is too old to expose anything.
    pub isolated: bool,
    /// Whether it has been asked to stop.
    pub leaving: bool,
    /// The current generation; 0 for none.
    pub generation: u64,
    /// The StatefulSet's replica count.
    pub wanted: Option<u32>,
    /// The ordinals whose objects other members expose.
    pub absent: Vec<u32>,
    /// Those absent ordinals whose objects no member has the memory to expose.
    pub untaken: Vec<u32>,
    /// The current handover, and the last one.
    pub handover: HandoverReport,
    /// The results of the audit; on the coordinator only.
    pub cover: Vec<ResourceCoverage>,
}

/// The state of handovers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HandoverReport {
    /// The state of the current handover.
    pub state: HandoverState,
    /// The ordinals that it waits for. While the state is `stamping`, it waits for their scrapers.
    pub waiting_for: Vec<u32>,
    /// Seconds for which the fleet has differed from its target.
    pub pending: Option<f64>,
    /// Seconds since the last handover ended; absent if this replica has seen none.
    pub last: Option<f64>,
    /// Seconds that it took; absent if it was not planned.
    pub took: Option<f64>,
    /// Number of handovers since this replica started.
    pub count: u64,
    /// For how many seconds each ordinal of `waiting_for` has blocked a change.
    pub blocked_for: BTreeMap<u32, u64>,
    /// Whether an annotation of the StatefulSet pauses handovers.
    pub paused: bool,
    /// Annotations of the StatefulSet that have no effect.
    pub problems: Vec<String>,
}

/// The result of the last audit of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceCoverage {
    /// The plural.
    pub resource: String,
    /// The result.
    pub verdict: CoverageVerdict,
    /// Seconds since the last proof.
    pub age: u64,
}

/// Whether each object of a resource is exposed once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CoverageVerdict {
    /// No audit has run.
    #[default]
    Unknown,
    /// Each object is exposed once.
    Exact,
    /// Some objects are exposed by no replica.
    Missing,
    /// Some objects are exposed more than once.
    Doubled,
    /// Some objects are exposed by no replica, and some more than once.
    MissingAndDoubled,
    /// There was no proof for minutes.
    Unproven,
}

impl From<CoverageState> for CoverageVerdict {
    fn from(state: CoverageState) -> Self {
        match state {
            CoverageState { unproven: true, .. } => Self::Unproven,
            CoverageState { missing: true, doubled: true, .. } => Self::MissingAndDoubled,
            CoverageState { missing: true, .. } => Self::Missing,
            CoverageState { doubled: true, .. } => Self::Doubled,
            CoverageState { exact: true, .. } => Self::Exact,
            CoverageState { .. } => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_names_the_worst() {
        let state = |exact, missing, doubled, unproven| {
            CoverageVerdict::from(CoverageState { exact, missing, doubled, unproven })
        };
        assert_eq!(state(true, false, false, false), CoverageVerdict::Exact);
        assert_eq!(state(false, true, false, false), CoverageVerdict::Missing);
        assert_eq!(state(false, false, true, false), CoverageVerdict::Doubled);
        assert_eq!(state(false, true, true, false), CoverageVerdict::MissingAndDoubled);
        assert_eq!(state(false, false, false, true), CoverageVerdict::Unproven);
        assert_eq!(state(false, false, false, false), CoverageVerdict::Unknown);
    }
}

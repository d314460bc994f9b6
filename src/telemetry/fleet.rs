//! What a member says of its fleet.

use std::fmt::Error;
use std::time::Duration;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::metrics::{Labels, gauge};
use crate::fleet::Snapshot;
use crate::fleet::handover::{HandoverState, Status};

/// Writes what was last seen.
pub(super) fn encode(out: &mut DescriptorEncoder, snapshot: &Snapshot) -> Result<(), Error> {
    let status = &snapshot.status;
    one(
        out,
        "kube_state_fleet_coordination",
        "1 when this replica agrees with the others about who serves what; 0 when it goes by the StatefulSet alone, for want of \
         a right, or does not know its fleet yet.",
        u64::from(snapshot.coordinated),
    )?;
    if let Some(replicas) = status.replicas {
        let help = "Replicas that the StatefulSet wants.";
        one(out, "kube_state_fleet_replicas_wanted", help, u64::from(replicas))?;
    }
    if snapshot.coordinated { members(out, status).and_then(|()| handover(out, status)) } else { Ok(()) }
}

fn members(out: &mut DescriptorEncoder, status: &Status) -> Result<(), Error> {
    one(
        out,
        "kube_state_fleet_generation",
        "Who serves what, by number; 0 before it is agreed on.",
        status.generation,
    )?;
    let count = |ordinals: &[u32]| ordinals.len() as u64;
    let states = [
        ("present", u64::from(status.present)),
        ("absent", count(&status.absent)),
        ("untaken", count(&status.untaken)),
    ];
    gauge(
        out,
        "kube_state_fleet_members",
        "Members of the current generation: those who serve for themselves (present), those whom others serve for (absent), \
         and of these the ones whose objects nobody may take for want of memory (untaken).",
        states.map(|(state, count)| (vec![("state", state)], count)),
    )?;
    let help = "1 on the replica that decides for the fleet.";
    one(out, "kube_state_fleet_coordinator", help, u64::from(status.coordinator))?;
    one(out, "kube_state_fleet_peers", "Other members that live.", status.peers.len() as u64)?;
    let help = "Of those, how many answer this replica directly.";
    one(out, "kube_state_fleet_peers_answering", help, u64::from(status.answering))?;
    if let Some(age) = status.confirmed_age {
        let help = "How long ago the API server last confirmed what this replica goes by, to itself or to a peer.";
        seconds(out, "kube_state_fleet_confirmed_age_seconds", help, age)?;
    }
    let help = "1 when that is so long ago that nothing is served.";
    one(out, "kube_state_fleet_isolated", help, u64::from(status.isolated))
}

fn handover(out: &mut DescriptorEncoder, status: &Status) -> Result<(), Error> {
    let states = [
        ("idle", HandoverState::Idle),
        ("preparing", HandoverState::Preparing),
        ("switching", HandoverState::Switching),
        ("waiting", HandoverState::Waiting),
    ];
    gauge(
        out,
        "kube_state_fleet_handover_state",
        "How a change of who serves what stands: there is none (idle), members load (preparing), the moment is set \
         (switching), or somebody who should serve is not there (waiting).",
        states.map(|(label, state)| (vec![("state", label)], u64::from(status.handover == state))),
    )?;
    let help = "For how long the fleet has not been as its StatefulSet wants it; 0 when it is.";
    seconds(out, "kube_state_fleet_handover_pending_seconds", help, status.pending.unwrap_or_default())?;
    if let Some(took) = status.last_handover {
        let help = "How long the last planned change took, from its proposal to the switch.";
        seconds(out, "kube_state_fleet_handover_last_duration_seconds", help, took)?;
    }
    let help = "How often who serves what has changed since this replica started.";
    out.encode_descriptor("kube_state_fleet_handovers", help, None, MetricType::Counter)?
        .encode_counter::<NoLabelSet, _, u64>(&status.handovers, None)
}

fn one(out: &mut DescriptorEncoder, name: &str, help: &str, value: u64) -> Result<(), Error> {
    gauge(out, name, help, [(Labels::new(), value)])
}

fn seconds(out: &mut DescriptorEncoder, name: &str, help: &str, value: Duration) -> Result<(), Error> {
    out.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value.as_secs_f64())
}

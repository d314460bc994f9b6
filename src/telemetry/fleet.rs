//! The self-metrics of a fleet's member.

use std::collections::BTreeMap;
use std::fmt::Error;
use std::time::Duration;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::encode::{Labels, counter, gauge};
use crate::fleet::FleetHandle;
use crate::fleet::handover::{Cause, HandoverState, ScrapeOutcome, Status};
use crate::fleet::record::MeasuredSwitch;

/// The most members that the metrics name as blocking.
const MOST_BLOCKED: usize = 32;

/// Writes the metrics of a member.
pub(super) fn encode(out: &mut DescriptorEncoder, fleet: &FleetHandle) -> Result<(), Error> {
    let snapshot = fleet.snapshot();
    let status = &snapshot.status;
    counter(
        out,
        "kube_state_fleet_messages_refused",
        "Number of connections and messages on the fleet port, and of Leases, that this replica refused, by reason: a key that is in          no Lease (unknown_key), a message about another member (wrong_member), a malformed or too large one (invalid), an unknown          version, layout or hash (unknown_format), or too many at a time (queue_full).",
        fleet.refusals().counts().map(|(reason, count)| (vec![("reason", reason)], count)),
    )?;
    counter(
        out,
        "kube_state_fleet_kubernetes_events",
        "Number of Kubernetes Events about the fleet by outcome: posted, or dropped because of the rate limit (rate_limited), \
         because too many waited (queue_full), because the permission is missing (forbidden), or because the API server did not \
         accept them or did not answer (failed).",
        fleet.events().counts().map(|(outcome, count)| (vec![("outcome", outcome)], count)),
    )?;
    one(
        out,
        "kube_state_fleet_coordination",
        "Whether this replica coordinates with the other members; 0 if a missing permission makes it follow the StatefulSet \
         alone, or if it has not found its fleet yet.",
        u64::from(snapshot.coordinated),
    )?;
    if let Some(replicas) = status.replicas {
        let help = "Number of replicas that the StatefulSet asks for.";
        one(out, "kube_state_fleet_replicas_wanted", help, u64::from(replicas))?;
    }
    if !snapshot.coordinated {
        return Ok(());
    }
    members(out, status)?;
    handover(out, status)?;
    // Others know the measurements too, but one series of each is enough.
    if status.coordinator { measured(out, &fleet.measurements().get()) } else { Ok(()) }
}

/// How exact the last measured change of each cause was.
fn measured(out: &mut DescriptorEncoder, last: &BTreeMap<Cause, MeasuredSwitch>) -> Result<(), Error> {
    let by_cause = |cause: &Cause| vec![("cause", cause.name())];
    let seconds = |millis: u64| Duration::from_millis(millis).as_secs_f64();
    gauge(
        out,
        "kube_state_fleet_handover_gap_seconds",
        "Longest time in seconds for which objects were missing in the last measured change of the assignment, by its cause: from \
         the first that a member hid to the last that another one showed. For a dismissal: from the last sign of life of the lost \
         member until others had loaded its objects.",
        last.iter().map(|(cause, switch)| (by_cause(cause), seconds(switch.gap))),
    )?;
    gauge(
        out,
        "kube_state_fleet_handover_overlap_seconds",
        "Longest time in seconds for which objects were exposed twice in the last measured change of the assignment, by its cause: \
         from the first that a member showed to the last that another one hid. Unknown for a dismissal.",
        last.iter().filter_map(|(cause, switch)| Some((by_cause(cause), seconds(switch.overlap?)))),
    )?;
    gauge(
        out,
        "kube_state_fleet_handover_measured_generation",
        "Generation that the last measured change of the assignment led to, by its cause.",
        last.iter().map(|(cause, switch)| (by_cause(cause), switch.generation)),
    )
}

fn members(out: &mut DescriptorEncoder, status: &Status) -> Result<(), Error> {
    one(
        out,
        "kube_state_fleet_generation",
        "Generation of the current shard assignment; 0 before the first one.",
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
        "Number of members in the current generation: those that serve their own objects (present), those whose objects other \
         members serve (absent), and absent members whose objects fit into no other member's memory (untaken).",
        states.map(|(state, count)| (vec![("state", state)], count)),
    )?;
    let help = "Whether this replica is the coordinator of the fleet.";
    one(out, "kube_state_fleet_coordinator", help, u64::from(status.coordinator))?;
    one(out, "kube_state_fleet_peers", "Number of other members that are alive.", status.peers.len() as u64)?;
    let help = "Number of live members that answer this replica directly.";
    one(out, "kube_state_fleet_peers_answering", help, u64::from(status.answering))?;
    if let Some(age) = status.confirmed_age {
        let help = "Seconds since the API server last confirmed the current assignment to this replica or to a peer.";
        seconds(out, "kube_state_fleet_confirmed_age_seconds", help, age)?;
    }
    let help = "Whether the last confirmation is so old that other replicas may serve the objects of this one (--on-lost-quorum).";
    one(out, "kube_state_fleet_isolated", help, u64::from(status.isolated))
}

fn handover(out: &mut DescriptorEncoder, status: &Status) -> Result<(), Error> {
    let states = [
        ("idle", HandoverState::Idle),
        ("preparing", HandoverState::Preparing),
        ("stamping", HandoverState::Stamping),
        ("switching", HandoverState::Switching),
        ("waiting", HandoverState::Waiting),
    ];
    gauge(
        out,
        "kube_state_fleet_handover_state",
        "Whether the handover is in this state: there is none (idle), members load their new objects (preparing), moving series \
         have a timestamp (stamping), the time of the switch is set (switching), or a member that should serve is missing (waiting).",
        states.map(|(label, state)| (vec![("state", label)], u64::from(status.handover == state))),
    )?;
    let help = "Seconds for which the assignment has differed from the StatefulSet; 0 if it does not.";
    seconds(out, "kube_state_fleet_handover_pending_seconds", help, status.pending.unwrap_or_default())?;
    if let Some(took) = status.last_handover {
        let help = "Duration of the last planned handover in seconds, from its proposal to the switch.";
        seconds(out, "kube_state_fleet_handover_last_duration_seconds", help, took)?;
    }
    let count = |cause| status.handovers.get(&cause).copied().unwrap_or_default();
    counter(
        out,
        "kube_state_fleet_handovers",
        "Number of changes of the shard assignment since this replica started, by cause: a cold start of the fleet, or the first \
         assignment that this replica saw (start), the number of replicas (scale), the hash (hash), a lost member (dismissal), a \
         member that left in order (leave) or came back (rejoin), or room for the objects of an absent member (room).",
        Cause::ALL.map(|cause| (vec![("cause", cause.name())], count(cause))),
    )?;
    if let Some(outcomes) = &status.scrape_outcomes {
        let count = |outcome| outcomes.get(&outcome).copied().unwrap_or_default();
        counter(
            out,
            "kube_state_fleet_seamless_handovers",
            "Number of planned handovers since this replica started, by what Prometheus could notice of them: nothing, because every \
             scraper had fetched the moving series with a timestamp (seamless); gaps, because a scraper did not come in time \
             (timed_out); there was no timestamp, because no scraper was known (plain). With --seamless-handover only.",
            ScrapeOutcome::ALL.map(|outcome| (vec![("outcome", outcome.name())], count(outcome))),
        )?;
    }
    let help = "Whether an annotation of the StatefulSet pauses handovers.";
    one(out, "kube_state_fleet_handovers_paused", help, u64::from(status.instructions.paused))?;
    let help = "Number of annotations of the StatefulSet with the prefix kube-state-fleet.io/ that have no effect.";
    one(out, "kube_state_fleet_instructions_ignored", help, status.instructions.problems.len() as u64)?;
    let help = "Whether another process holds the Lease of this replica, which serves nothing any more.";
    one(out, "kube_state_fleet_superseded", help, u64::from(status.superseded))?;
    let blocked = status.blocked_for.iter().filter(|_| status.coordinator).take(MOST_BLOCKED);
    let blocked: Vec<_> = blocked.map(|(ordinal, age)| (ordinal.to_string(), age.as_secs())).collect();
    gauge(
        out,
        "kube_state_fleet_handover_blocked_by",
        "Seconds for which the member with this ordinal has blocked a change of the assignment; on the coordinator only, for at \
         most 32 members.",
        blocked.iter().map(|(ordinal, age)| (vec![("ordinal", ordinal.as_str())], *age)),
    )
}

fn one(out: &mut DescriptorEncoder, name: &str, help: &str, value: u64) -> Result<(), Error> {
    gauge(out, name, help, [(Labels::new(), value)])
}

fn seconds(out: &mut DescriptorEncoder, name: &str, help: &str, value: Duration) -> Result<(), Error> {
    out.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value.as_secs_f64())
}

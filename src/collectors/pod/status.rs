//! Families of the observed state of a pod.

use core::net::IpAddr;

use super::super::common::{ZERO_TIME, bool_value, boolean, condition_states, integer_if_set, text, unix};
use super::super::objects::{Pod, PodCondition};
use super::super::states::one_of;
use super::super::time::seconds;
use super::containers::{Containers, Main};
use super::parts::{spec_of, status_of};
use crate::exposition::Samples;

const PHASES: [&str; 5] = ["Pending", "Succeeded", "Failed", "Unknown", "Running"];

const QOS_CLASSES: [&str; 3] = ["BestEffort", "Burstable", "Guaranteed"];

/// The reasons that the family `reason` shows by name.
const REASONS: [&str; 8] = [
    "Evicted",
    "NodeAffinity",
    "NodeLost",
    "PreemptionByScheduler",
    "SchedulingGated",
    "Shutdown",
    "TerminationByKubelet",
    "UnexpectedAdmissionError",
];

/// The reasons that the family `disruption_reason` shows by name.
const DISRUPTION_REASONS: [&str; 5] = [
    "PreemptionByScheduler",
    "DeletionByTaintManager",
    "EvictionByEvictionAPI",
    "DeletionByPodGC",
    "TerminationByKubelet",
];

/// The reason in the status of pods that the kubelet evicts.
const EVICTED: &str = "Evicted";

/// The reasons of the family `evictions`: [`DISRUPTION_REASONS`], [`EVICTED`] and [`OTHER`].
const EVICTIONS: [&str; 7] = [
    DISRUPTION_REASONS[0],
    DISRUPTION_REASONS[1],
    DISRUPTION_REASONS[2],
    DISRUPTION_REASONS[3],
    DISRUPTION_REASONS[4],
    EVICTED,
    OTHER,
];

/// Replaces all other reasons, which bounds the number of label values.
const OTHER: &str = "Other";

pub fn completion_time(pod: &Pod, samples: &mut Samples) {
    let ends = Main::statuses(pod).iter().filter_map(|status| status.state.as_ref()?.terminated.as_ref());
    let last = ends.filter_map(|end| Some(seconds(end.finished_at.as_ref()?.0))).max();
    integer_if_set(last.filter(|last| *last > 0), samples);
}

pub fn info(pod: &Pod, samples: &mut Samples) {
    let (spec, status) = (spec_of(pod), status_of(pod));
    let controller = pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    let labels = [
        ("host_ip", text(&status.host_ip)),
        ("pod_ip", text(&status.pod_ip)),
        ("node", text(&spec.node_name)),
        ("created_by_kind", controller.map_or("", |owner| &owner.kind)),
        ("created_by_name", controller.map_or("", |owner| &owner.name)),
        ("priority_class", text(&spec.priority_class_name)),
        ("host_network", boolean(spec.host_network == Some(true))),
    ];
    samples.sample(&labels, 1.0);
}

/// Skips texts that are not addresses.
pub fn ips(pod: &Pod, samples: &mut Samples) {
    for address in status_of(pod).pod_ips.iter().flatten() {
        let family = match address.ip.parse() {
            Ok(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_none() => "6",
            Ok(_) => "4",
            Err(_) => continue,
        };
        samples.sample(&[("ip", &address.ip), ("ip_family", family)], 1.0);
    }
}

pub fn start_time(pod: &Pod, samples: &mut Samples) {
    if let Some(time) = &status_of(pod).start_time {
        samples.sample(&[], unix(time.0));
    }
}

pub fn phase(pod: &Pod, samples: &mut Samples) {
    one_of("phase", &PHASES, text(&status_of(pod).phase), samples);
}

pub fn qos_class(pod: &Pod, samples: &mut Samples) {
    one_of("qos_class", &QOS_CLASSES, text(&status_of(pod).qos_class), samples);
}

pub fn ready(pod: &Pod, samples: &mut Samples) {
    states_of(pod, "Ready", samples);
}

pub fn ready_time(pod: &Pod, samples: &mut Samples) {
    since(pod, "Ready", "True", samples);
}

pub fn initialized_time(pod: &Pod, samples: &mut Samples) {
    since(pod, "Initialized", "True", samples);
}

pub fn container_ready_time(pod: &Pod, samples: &mut Samples) {
    since(pod, "ContainersReady", "True", samples);
}

pub fn scheduled(pod: &Pod, samples: &mut Samples) {
    states_of(pod, "PodScheduled", samples);
}

pub fn scheduled_time(pod: &Pod, samples: &mut Samples) {
    since(pod, "PodScheduled", "True", samples);
}

pub fn unschedulable(pod: &Pod, samples: &mut Samples) {
    for _ in conditions(pod, "PodScheduled").filter(|condition| condition.status == "False") {
        samples.sample(&[], 1.0);
    }
}

pub fn unscheduled_time(pod: &Pod, samples: &mut Samples) {
    since(pod, "PodScheduled", "False", samples);
}

/// Emits the known reasons in the status, the conditions, and the terminations of containers.
pub fn reason(pod: &Pod, samples: &mut Samples) {
    let status = status_of(pod);
    let own = text(&status.reason);
    let conditions = status.conditions.iter().flatten().map(|condition| text(&condition.reason));
    let ends = Main::statuses(pod).iter().filter_map(|status| status.state.as_ref()?.terminated.as_ref());
    let mut found = [false; REASONS.len()];
    for reason in conditions.chain(ends.map(|end| text(&end.reason))).chain([own]) {
        if let Some(place) = REASONS.iter().position(|known| *known == reason) {
            found[place] = true;
        }
    }
    for (reason, _) in REASONS.iter().zip(found).filter(|(_, found)| *found) {
        samples.sample(&[("reason", reason)], 1.0);
    }
    if !own.is_empty() && !REASONS.contains(&own) {
        samples.sample(&[("reason", OTHER)], 1.0);
    }
}

pub fn disruption_reason(pod: &Pod, samples: &mut Samples) {
    for condition in conditions(pod, "DisruptionTarget") {
        let reason = text(&condition.reason);
        let shown = if DISRUPTION_REASONS.contains(&reason) { reason } else { OTHER };
        samples.sample(&[("reason", shown)], 1.0);
    }
}

/// Emits 0 or 1 for each reason of an eviction, so that a scrape after it finds a series that it knows.
pub fn evictions(pod: &Pod, samples: &mut Samples) {
    let found = eviction(pod);
    for reason in EVICTIONS {
        samples.sample(&[("reason", reason)], bool_value(found == Some(reason)));
    }
}

/// Returns the reason why a pod is evicted. A pod counts under one reason.
fn eviction(pod: &Pod) -> Option<&'static str> {
    // The kubelet sets it on pods that it evicts for want of resources, with a condition that other terminations have as well.
    if text(&status_of(pod).reason) == EVICTED {
        return Some(EVICTED);
    }
    // The disruption controller sets it to False if the pod is not deleted within two minutes.
    let condition = conditions(pod, "DisruptionTarget").find(|condition| condition.status == "True")?;
    let reason = text(&condition.reason);
    Some(DISRUPTION_REASONS.into_iter().find(|known| *known == reason).unwrap_or(OTHER))
}

fn conditions<'a>(pod: &'a Pod<'a>, kind: &'static str) -> impl Iterator<Item = &'a PodCondition<'a>> {
    status_of(pod).conditions.iter().flatten().filter(move |condition| condition.type_ == kind)
}

fn states_of(pod: &Pod, kind: &'static str, samples: &mut Samples) {
    for condition in conditions(pod, kind) {
        for (state, value) in condition_states(&condition.status) {
            samples.sample(&[("condition", state)], value);
        }
    }
}

/// Emits the time since which a condition has a status. NB: upstream does not check that the condition has a time.
fn since(pod: &Pod, kind: &'static str, status: &str, samples: &mut Samples) {
    for condition in conditions(pod, kind).filter(|condition| condition.status == status) {
        samples.sample(&[], condition.last_transition_time.as_ref().map_or(ZERO_TIME as f64, |time| unix(time.0)));
    }
}

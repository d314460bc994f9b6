//! Families of containers. Main and init containers differ only in their place in a pod: [`Containers`].

use std::borrow::Cow;

use super::super::common::{ZERO_TIME, bool_value, text, unix};
use super::super::objects::{
    Container, ContainerState, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod,
    ResourceRequirements, Time,
};
use super::super::resources::{ResourceList, each_with_unit, in_unit};
use super::parts::{spec_of, status_of};
use crate::exposition::Samples;

/// A list of containers of a pod.
pub trait Containers {
    /// Returns the desired states.
    fn specs<'a>(pod: &'a Pod<'a>) -> &'a [Container<'a>];
    /// Returns the observed states.
    fn statuses<'a>(pod: &'a Pod<'a>) -> &'a [ContainerStatus<'a>];
}

/// The main containers.
pub struct Main;

/// The init containers.
pub struct Init;

impl Containers for Main {
    fn specs<'a>(pod: &'a Pod<'a>) -> &'a [Container<'a>] {
        &spec_of(pod).containers
    }

    fn statuses<'a>(pod: &'a Pod<'a>) -> &'a [ContainerStatus<'a>] {
        status_of(pod).container_statuses.as_deref().unwrap_or_default()
    }
}

impl Containers for Init {
    fn specs<'a>(pod: &'a Pod<'a>) -> &'a [Container<'a>] {
        spec_of(pod).init_containers.as_deref().unwrap_or_default()
    }

    fn statuses<'a>(pod: &'a Pod<'a>) -> &'a [ContainerStatus<'a>] {
        status_of(pod).init_container_statuses.as_deref().unwrap_or_default()
    }
}

pub fn info(pod: &Pod, samples: &mut Samples) {
    for (container, status) in pairs::<Main>(pod) {
        samples.sample(&image_labels(container, status), 1.0);
    }
}

pub fn init_info(pod: &Pod, samples: &mut Samples) {
    for (container, status) in pairs::<Init>(pod) {
        let [name, image_spec, image, image_id, container_id] = image_labels(container, status);
        let restart_policy = ("restart_policy", text(&container.restart_policy));
        samples.sample(&[name, image_spec, image, image_id, container_id, restart_policy], 1.0);
    }
}

/// Returns the containers that have a status, with it.
fn pairs<'a, C: Containers>(pod: &'a Pod<'a>) -> impl Iterator<Item = (&'a Container<'a>, &'a ContainerStatus<'a>)> {
    C::specs(pod).iter().flat_map(|container| {
        let statuses = C::statuses(pod).iter().filter(|status| status.name == container.name);
        statuses.map(move |status| (container, status))
    })
}

fn image_labels<'a>(container: &'a Container<'a>, status: &'a ContainerStatus<'a>) -> [(&'static str, &'a str); 5] {
    [
        ("container", &status.name),
        ("image_spec", text(&container.image)),
        ("image", &status.image),
        ("image_id", &status.image_id),
        ("container_id", text(&status.container_id)),
    ]
}

pub fn limits<C: Containers>(pod: &Pod, samples: &mut Samples) {
    resources::<C>(pod, |resources| &resources.limits, samples);
}

pub fn requests<C: Containers>(pod: &Pod, samples: &mut Samples) {
    resources::<C>(pod, |resources| &resources.requests, samples);
}

fn resources<C: Containers>(
    pod: &Pod,
    list: for<'a> fn(&'a ResourceRequirements<'a>) -> &'a ResourceList<'a>,
    samples: &mut Samples,
) {
    let node = text(&spec_of(pod).node_name);
    for container in C::specs(pod) {
        let Some(resources) = &container.resources else { continue };
        each_with_unit(list(resources), |resource, unit, amount| {
            let labels = [("container", &*container.name), ("node", node), ("resource", resource), ("unit", unit)];
            samples.sample(&labels, in_unit(unit, amount));
        });
    }
}

pub fn state_started<C: Containers>(pod: &Pod, samples: &mut Samples) {
    for status in C::statuses(pod) {
        let Some(state) = &status.state else { continue };
        let started = match (&state.running, &state.terminated) {
            (Some(running), _) => &running.started_at,
            (None, Some(terminated)) => &terminated.started_at,
            (None, None) => continue,
        };
        emit(status, seconds(started), samples);
    }
}

pub fn last_terminated_reason<C: Containers>(pod: &Pod, samples: &mut Samples) {
    for (status, end) in last_ends::<C>(pod) {
        emit_reason(status, &end.reason, samples);
    }
}

pub fn last_terminated_exitcode<C: Containers>(pod: &Pod, samples: &mut Samples) {
    for (status, end) in last_ends::<C>(pod) {
        emit(status, f64::from(end.exit_code), samples);
    }
}

pub fn last_terminated_timestamp<C: Containers>(pod: &Pod, samples: &mut Samples) {
    for (status, end) in last_ends::<C>(pod) {
        emit(status, seconds(&end.finished_at), samples);
    }
}

fn last_ends<'a, C: Containers>(
    pod: &'a Pod<'a>,
) -> impl Iterator<Item = (&'a ContainerStatus<'a>, &'a ContainerStateTerminated<'a>)> {
    C::statuses(pod).iter().filter_map(|status| Some((status, status.last_state.as_ref()?.terminated.as_ref()?)))
}

pub fn ready<C: Containers>(pod: &Pod, samples: &mut Samples) {
    for status in C::statuses(pod) {
        emit(status, bool_value(status.ready), samples);
    }
}

pub fn restarts_total<C: Containers>(pod: &Pod, samples: &mut Samples) {
    for status in C::statuses(pod) {
        emit(status, f64::from(status.restart_count), samples);
    }
}

pub fn running<C: Containers>(pod: &Pod, samples: &mut Samples) {
    in_state::<C>(pod, |state| state.running.is_some(), samples);
}

pub fn terminated<C: Containers>(pod: &Pod, samples: &mut Samples) {
    in_state::<C>(pod, |state| state.terminated.is_some(), samples);
}

pub fn waiting<C: Containers>(pod: &Pod, samples: &mut Samples) {
    in_state::<C>(pod, |state| state.waiting.is_some(), samples);
}

fn in_state<C: Containers>(pod: &Pod, holds: fn(&ContainerState) -> bool, samples: &mut Samples) {
    for status in C::statuses(pod) {
        emit(status, bool_value(status.state.as_ref().is_some_and(holds)), samples);
    }
}

pub fn terminated_reason<C: Containers>(pod: &Pod, samples: &mut Samples) {
    for status in C::statuses(pod) {
        if let Some(ContainerStateTerminated { reason, .. }) = status.state.as_ref().and_then(|s| s.terminated.as_ref())
        {
            emit_reason(status, reason, samples);
        }
    }
}

pub fn waiting_reason<C: Containers>(pod: &Pod, samples: &mut Samples) {
    for status in C::statuses(pod) {
        if let Some(ContainerStateWaiting { reason, .. }) = status.state.as_ref().and_then(|s| s.waiting.as_ref()) {
            emit_reason(status, reason, samples);
        }
    }
}

fn emit(status: &ContainerStatus, value: f64, samples: &mut Samples) {
    samples.sample(&[("container", &status.name)], value);
}

fn emit_reason(status: &ContainerStatus, reason: &Option<Cow<'_, str>>, samples: &mut Samples) {
    samples.sample(&[("container", &status.name), ("reason", text(reason))], 1.0);
}

/// NB: upstream does not look whether there is a time here.
fn seconds(time: &Option<Time>) -> f64 {
    time.as_ref().map_or(ZERO_TIME as f64, |time| unix(time.0))
}

//! Families of the desired state of a pod.

use std::borrow::Cow;

use super::super::common::{bool_value, name, text};
use super::super::labels::{KeyFilter, emit};
use super::super::objects::Pod;
use super::super::quantity::Amount;
use super::parts::{spec_of, status_of};
use crate::exposition::Samples;

pub fn overhead_cpu_cores(pod: &Pod, samples: &mut Samples) {
    if let Some(amount) = overhead(pod, "cpu") {
        samples.sample(&[], amount.to_f64());
    }
}

pub fn overhead_memory_bytes(pod: &Pod, samples: &mut Samples) {
    if let Some(amount) = overhead(pod, "memory") {
        samples.sample(&[], amount.value() as f64);
    }
}

fn overhead(pod: &Pod, resource: &str) -> Option<Amount> {
    Amount::parse(&spec_of(pod).overhead.as_ref()?.get(resource)?.0)
}

/// If a claim comes from a template, the status has its name.
pub fn resourceclaim_info(pod: &Pod, samples: &mut Samples) {
    for claim in spec_of(pod).resource_claims.iter().flatten() {
        let (own, template) = (&claim.resource_claim_name, &claim.resource_claim_template_name);
        if own.is_none() && template.is_none() {
            continue;
        }
        // Of several statuses with the name, the last one with a claim counts.
        let made = || {
            let statuses = status_of(pod).resource_claim_statuses.as_deref().unwrap_or_default().iter();
            statuses.rev().filter(|made| made.name == claim.name).find_map(|made| made.resource_claim_name.as_deref())
        };
        let labels = [
            ("claim_name", &*claim.name),
            ("resourceclaim_name", own.as_deref().or_else(made).unwrap_or_default()),
            ("resourceclaim_template_name", text(template)),
        ];
        samples.sample(&labels, 1.0);
    }
}

pub fn restart_policy(pod: &Pod, samples: &mut Samples) {
    samples.sample(&[("type", text(&spec_of(pod).restart_policy))], 1.0);
}

pub fn runtimeclass_name_info(pod: &Pod, samples: &mut Samples) {
    if let Some(class) = &spec_of(pod).runtime_class_name {
        samples.sample(&[("runtimeclass_name", class)], 1.0);
    }
}

pub fn claims_info(pod: &Pod, samples: &mut Samples) {
    each_claim(pod, |labels, _| samples.sample(labels, 1.0));
}

pub fn claims_readonly(pod: &Pod, samples: &mut Samples) {
    each_claim(pod, |labels, read_only| samples.sample(labels, bool_value(read_only)));
}

/// Calls `visit` for each volume with a claim, with its labels and whether it is read-only. The claim of an ephemeral volume
/// has the names of pod and volume.
fn each_claim(pod: &Pod, mut visit: impl FnMut(&[(&str, &str)], bool)) {
    for volume in spec_of(pod).volumes.iter().flatten() {
        let (claim, ephemeral, read_only) = match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(claim), _) => (Cow::Borrowed(&*claim.claim_name), "false", claim.read_only == Some(true)),
            (None, Some(_)) => (Cow::Owned([name(pod), "-", &volume.name].concat()), "true", false),
            (None, None) => continue,
        };
        let labels = [("volume", &*volume.name), ("persistentvolumeclaim", claim.as_ref()), ("ephemeral", ephemeral)];
        visit(&labels, read_only);
    }
}

pub fn tolerations(pod: &Pod, samples: &mut Samples) {
    for toleration in spec_of(pod).tolerations.iter().flatten() {
        let seconds = toleration.toleration_seconds.map(|seconds| seconds.to_string());
        let labels = [
            ("key", text(&toleration.key)),
            ("operator", text(&toleration.operator)),
            ("value", text(&toleration.value)),
            ("effect", text(&toleration.effect)),
            ("toleration_seconds", seconds.as_deref().unwrap_or_default()),
        ];
        samples.sample(&labels, 1.0);
    }
}

pub fn nodeselectors(pod: &Pod, samples: &mut Samples) {
    emit("nodeselector", spec_of(pod).node_selector.as_ref(), &KeyFilter::All, samples);
}

pub fn service_account(pod: &Pod, samples: &mut Samples) {
    samples.sample(&[("service_account", text(&spec_of(pod).service_account_name))], 1.0);
}

pub fn scheduler(pod: &Pod, samples: &mut Samples) {
    samples.sample(&[("name", text(&spec_of(pod).scheduler_name))], 1.0);
}

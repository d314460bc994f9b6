//! PersistentVolumeClaims, `v1`.
//!
//! Upstream:
//! <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/storage/persistentvolumeclaim-metrics.md>

use std::sync::LazyLock;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus};

use super::common::{created, deletion_timestamp, name, namespace, text};
use super::quantity::Amount;
use super::states::{conditions, one_of};
use super::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `persistentvolumeclaims`.
pub struct PersistentVolumeClaims;

impl Resource for PersistentVolumeClaims {
    type Object = PersistentVolumeClaim;
    const FAMILIES: &'static [Family<PersistentVolumeClaim>] = &[
        Family::labels("kube_persistentvolumeclaim_labels", "Labels of a claim, as far as they are allowed.").stable(),
        Family::annotations(
            "kube_persistentvolumeclaim_annotations",
            "Annotations of a claim, as far as they are allowed.",
        ),
        Family::gauge("kube_persistentvolumeclaim_info", "Class, volume and mode of a claim.", info).stable(),
        Family::gauge("kube_persistentvolumeclaim_status_phase", "1 for the phase that the claim is in.", status_phase)
            .stable(),
        Family::gauge(
            "kube_persistentvolumeclaim_resource_requests_storage_bytes",
            "The bytes that a claim asks for.",
            requested_storage,
        )
        .stable(),
        Family::gauge(
            "kube_persistentvolumeclaim_access_mode",
            "The access modes that a claim asks for, a series each.",
            access_mode,
        )
        .stable(),
        Family::gauge(
            "kube_persistentvolumeclaim_status_condition",
            "1 for the status that a condition of the claim has.",
            status_condition,
        ),
        Family::gauge("kube_persistentvolumeclaim_created", "When the claim was created, in Unix seconds.", created),
        Family::gauge(
            "kube_persistentvolumeclaim_deletion_timestamp",
            "When the claim's deletion was asked for, in Unix seconds.",
            deletion_timestamp,
        ),
    ];

    fn identity(claim: &PersistentVolumeClaim) -> Identity<'_> {
        vec![("namespace", namespace(claim)), ("persistentvolumeclaim", name(claim))]
    }
}

/// How the class was named before it had a field; where it is still there it counts.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
const PHASES: [&str; 3] = ["Lost", "Bound", "Pending"];

static NO_SPEC: LazyLock<PersistentVolumeClaimSpec> = LazyLock::new(PersistentVolumeClaimSpec::default);
static NO_STATUS: LazyLock<PersistentVolumeClaimStatus> = LazyLock::new(PersistentVolumeClaimStatus::default);

fn spec(claim: &PersistentVolumeClaim) -> &PersistentVolumeClaimSpec {
    claim.spec.as_ref().unwrap_or_else(|| &NO_SPEC)
}

fn status(claim: &PersistentVolumeClaim) -> &PersistentVolumeClaimStatus {
    claim.status.as_ref().unwrap_or_else(|| &NO_STATUS)
}

fn info(claim: &PersistentVolumeClaim, samples: &mut Samples) {
    let spec = spec(claim);
    let annotation = claim.metadata.annotations.as_ref().and_then(|a| a.get(CLASS_ANNOTATION));
    let labels = [
        ("storageclass", annotation.map_or_else(|| text(&spec.storage_class_name), String::as_str)),
        ("volumename", text(&spec.volume_name)),
        ("volumemode", text(&spec.volume_mode)),
    ];
    samples.sample(&labels, 1.0);
}

fn status_phase(claim: &PersistentVolumeClaim, samples: &mut Samples) {
    one_of("phase", &PHASES, text(&status(claim).phase), samples);
}

fn requested_storage(claim: &PersistentVolumeClaim, samples: &mut Samples) {
    let requests = spec(claim).resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let storage = requests.and_then(|requests| requests.get("storage"));
    if let Some(amount) = storage.and_then(|amount| Amount::parse(&amount.0)) {
        samples.sample(&[], amount.value() as f64);
    }
}

fn access_mode(claim: &PersistentVolumeClaim, samples: &mut Samples) {
    for mode in spec(claim).access_modes.iter().flatten() {
        samples.sample(&[("access_mode", mode)], 1.0);
    }
}

fn status_condition(claim: &PersistentVolumeClaim, samples: &mut Samples) {
    let list = status(claim).conditions.iter().flatten();
    conditions(list.map(|c| (c.type_.as_str(), c.status.as_str())), samples);
}

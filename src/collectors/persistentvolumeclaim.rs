//! PersistentVolumeClaims, `v1`.
//!
//! Upstream:
//! <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/storage/persistentvolumeclaim-metrics.md>

use std::sync::LazyLock;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus};

use super::common::{name, namespace, text};
use super::quantity::Amount;
use super::states::{conditions, one_of};
use super::table::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `persistentvolumeclaims`.
pub struct PersistentVolumeClaims;

impl Resource for PersistentVolumeClaims {
    type Object = PersistentVolumeClaim;
    const FAMILIES: &'static [Family<PersistentVolumeClaim>] = &[
        Family::labels("kube_persistentvolumeclaim_labels").stable(),
        Family::annotations("kube_persistentvolumeclaim_annotations"),
        Family::gauge(
            "kube_persistentvolumeclaim_info",
            "Storage class, volume and volume mode of the claim, as labels.",
            info,
        )
        .stable(),
        Family::gauge("kube_persistentvolumeclaim_status_phase", "Whether the claim is in this phase.", status_phase)
            .stable(),
        Family::gauge(
            "kube_persistentvolumeclaim_resource_requests_storage_bytes",
            "Storage that the claim requests, in bytes.",
            requested_storage,
        )
        .stable(),
        Family::gauge(
            "kube_persistentvolumeclaim_access_mode",
            "Access modes that the claim requests, one series per mode.",
            access_mode,
        )
        .stable(),
        Family::gauge(
            "kube_persistentvolumeclaim_status_condition",
            "Whether a condition of the claim has this status.",
            status_condition,
        ),
        Family::created("kube_persistentvolumeclaim_created"),
        Family::deletion_timestamp("kube_persistentvolumeclaim_deletion_timestamp"),
    ];

    /// The storage class may be an annotation.
    const READS_ANNOTATIONS: bool = true;

    fn identity(claim: &PersistentVolumeClaim) -> Identity<'_> {
        vec![("namespace", namespace(claim)), ("persistentvolumeclaim", name(claim))]
    }
}

/// The annotation that named the class before the spec had a field. It takes precedence over the field.
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

//! PersistentVolumeClaims, `v1`.
//!
//! Upstream:
//! <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/storage/persistentvolumeclaim-metrics.md>

use std::sync::LazyLock;

use super::common::{name, namespace, text};
use super::objects::{PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus};
use super::quantity::Amount;
use super::states::{conditions, one_of};
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `persistentvolumeclaims`.
pub struct PersistentVolumeClaims;

impl Resource for PersistentVolumeClaims {
    type Object<'a> = PersistentVolumeClaim<'a>;
    const API: Api = Api::namespaced("v1", "PersistentVolumeClaim", "persistentvolumeclaims");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::labels("kube_persistentvolumeclaim_labels").stable(),
        Family::annotations("kube_persistentvolumeclaim_annotations"),
        Family::<Self>::gauge(
            "kube_persistentvolumeclaim_info",
            "Storage class, volume and volume mode of the claim, as labels.",
            info,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_persistentvolumeclaim_status_phase",
            "Whether the claim is in this phase.",
            status_phase,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_persistentvolumeclaim_resource_requests_storage_bytes",
            "Storage that the claim requests, in bytes.",
            requested_storage,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_persistentvolumeclaim_access_mode",
            "Access modes that the claim requests, one series per mode.",
            access_mode,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_persistentvolumeclaim_status_condition",
            "Whether a condition of the claim has this status.",
            status_condition,
        ),
        Family::created("kube_persistentvolumeclaim_created"),
        Family::deletion_timestamp("kube_persistentvolumeclaim_deletion_timestamp"),
    ];

    /// The storage class may be an annotation.
    const READS_ANNOTATIONS: bool = true;

    fn identity<'o>(claim: &'o PersistentVolumeClaim<'_>) -> Identity<'o> {
        vec![("namespace", namespace(claim)), ("persistentvolumeclaim", name(claim))]
    }
}

/// The annotation that named the class before the spec had a field. It takes precedence over the field.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
const PHASES: [&str; 3] = ["Lost", "Bound", "Pending"];

static NO_SPEC: LazyLock<PersistentVolumeClaimSpec<'static>> = LazyLock::new(PersistentVolumeClaimSpec::default);
static NO_STATUS: LazyLock<PersistentVolumeClaimStatus<'static>> = LazyLock::new(PersistentVolumeClaimStatus::default);

fn spec<'a>(claim: &'a PersistentVolumeClaim<'a>) -> &'a PersistentVolumeClaimSpec<'a> {
    claim.spec.as_ref().unwrap_or_else(|| &NO_SPEC)
}

fn status<'a>(claim: &'a PersistentVolumeClaim<'a>) -> &'a PersistentVolumeClaimStatus<'a> {
    claim.status.as_ref().unwrap_or_else(|| &NO_STATUS)
}

fn info(claim: &PersistentVolumeClaim, samples: &mut Samples) {
    let spec = spec(claim);
    let annotation = claim.metadata.annotations.as_ref().and_then(|a| a.get(CLASS_ANNOTATION));
    let labels = [
        ("storageclass", annotation.map_or_else(|| text(&spec.storage_class_name), |class| &**class)),
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
    conditions(list.map(|c| (&*c.type_, &*c.status)), samples);
}

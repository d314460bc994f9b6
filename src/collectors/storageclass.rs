//! StorageClasses, `storage.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/storage/storageclass-metrics.md>

use super::common::name;
use super::objects::StorageClass;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `storageclasses`.
pub struct StorageClasses;

impl Resource for StorageClasses {
    type Object<'a> = StorageClass<'a>;
    const API: Api = Api::cluster("storage.k8s.io/v1", "StorageClass", "storageclasses");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge(
            "kube_storageclass_info",
            "Provisioner, reclaim policy and volume binding mode of the StorageClass, as labels.",
            info,
        )
        .stable(),
        Family::created("kube_storageclass_created").stable(),
        Family::annotations("kube_storageclass_annotations"),
        Family::labels("kube_storageclass_labels").stable(),
    ];

    fn identity<'o>(class: &'o StorageClass<'_>) -> Identity<'o> {
        vec![("storageclass", name(class))]
    }
}

fn info(class: &StorageClass, samples: &mut Samples) {
    let labels = [
        ("provisioner", &*class.provisioner),
        ("reclaim_policy", class.reclaim_policy.as_deref().unwrap_or("Delete")),
        ("volume_binding_mode", class.volume_binding_mode.as_deref().unwrap_or("Immediate")),
    ];
    samples.sample(&labels, 1.0);
}

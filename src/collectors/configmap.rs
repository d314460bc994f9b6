//! ConfigMaps, `v1`. Only metadata is requested: the data of a ConfigMap never reaches this process.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/storage/configmap-metrics.md>

use k8s_openapi::api::core::v1::ConfigMap;

use super::common::{exists, name, namespace};
use super::table::{Family, Identity, Resource};

/// The resource `configmaps`.
pub struct ConfigMaps;

impl Resource for ConfigMaps {
    type Object = ConfigMap;
    const FAMILIES: &'static [Family<ConfigMap>] = &[
        Family::annotations("kube_configmap_annotations"),
        Family::labels("kube_configmap_labels").stable(),
        Family::gauge("kube_configmap_info", "Whether the ConfigMap exists; always 1.", exists).stable(),
        Family::created("kube_configmap_created").stable(),
        Family::resource_version("kube_configmap_metadata_resource_version"),
    ];

    fn identity(map: &ConfigMap) -> Identity<'_> {
        vec![("namespace", namespace(map)), ("configmap", name(map))]
    }
}

//! ConfigMaps, `v1`. Only metadata is requested: the data of a ConfigMap never reaches this process.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/storage/configmap-metrics.md>

use super::common::{name, namespace};
use super::objects::ConfigMap;
use super::table::{Api, Family, Identity, Resource, exists};

/// The resource `configmaps`.
pub struct ConfigMaps;

impl Resource for ConfigMaps {
    type Object<'a> = ConfigMap<'a>;
    const API: Api = Api::namespaced("v1", "ConfigMap", "configmaps");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::annotations("kube_configmap_annotations"),
        Family::labels("kube_configmap_labels").stable(),
        Family::<Self>::gauge("kube_configmap_info", "Whether the ConfigMap exists; always 1.", exists::<Self>)
            .stable(),
        Family::created("kube_configmap_created").stable(),
        Family::resource_version("kube_configmap_metadata_resource_version"),
    ];

    fn identity<'o>(map: &'o ConfigMap<'_>) -> Identity<'o> {
        vec![("namespace", namespace(map)), ("configmap", name(map))]
    }
}

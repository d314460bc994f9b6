//! ConfigMaps, `v1`. Only metadata is asked for: what a ConfigMap holds never reaches this process.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/storage/configmap-metrics.md>

use k8s_openapi::api::core::v1::ConfigMap;

use super::common::{created, exists, metadata_resource_version, name, namespace};
use super::{Family, Identity, Resource};

/// The resource `configmaps`.
pub struct ConfigMaps;

impl Resource for ConfigMaps {
    type Object = ConfigMap;
    const FAMILIES: &'static [Family<ConfigMap>] = &[
        Family::annotations("kube_configmap_annotations", "Annotations of a ConfigMap, as far as they are allowed."),
        Family::labels("kube_configmap_labels", "Labels of a ConfigMap, as far as they are allowed.").stable(),
        Family::gauge("kube_configmap_info", "A ConfigMap exists.", exists).stable(),
        Family::gauge("kube_configmap_created", "When the ConfigMap was created, in Unix seconds.", created).stable(),
        Family::gauge(
            "kube_configmap_metadata_resource_version",
            "The resourceVersion of the ConfigMap.",
            metadata_resource_version,
        ),
    ];

    fn identity(map: &ConfigMap) -> Identity<'_> {
        vec![("namespace", namespace(map)), ("configmap", name(map))]
    }
}

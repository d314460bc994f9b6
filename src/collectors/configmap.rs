//! ConfigMaps, `v1`. Only metadata is asked for: what a ConfigMap holds never reaches this process.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/storage/configmap-metrics.md>

use k8s_openapi::api::core::v1::ConfigMap;

use super::{Family, Form, Identity, Resource};
use crate::exposition::Samples;

/// The resource `configmaps`.
pub struct ConfigMaps;

impl Resource for ConfigMaps {
    type Object = ConfigMap;
    const FORM: Form = Form::Metadata;
    const FAMILIES: &'static [Family<ConfigMap>] = &[
        Family::annotations("kube_configmap_annotations", "Annotations of a ConfigMap, as far as they are allowed."),
        Family::labels("kube_configmap_labels", "Labels of a ConfigMap, as far as they are allowed.").stable(),
        Family::gauge("kube_configmap_info", "A ConfigMap exists.", info).stable(),
        Family::gauge("kube_configmap_created", "When the ConfigMap was created, in Unix seconds.", created).stable(),
        Family::gauge(
            "kube_configmap_metadata_resource_version",
            "The resourceVersion of the ConfigMap.",
            metadata_resource_version,
        ),
    ];

    fn identity(map: &ConfigMap) -> Identity<'_> {
        vec![
            ("namespace", map.metadata.namespace.as_deref().unwrap_or_default()),
            ("configmap", map.metadata.name.as_deref().unwrap_or_default()),
        ]
    }
}

fn info(_: &ConfigMap, samples: &mut Samples) {
    samples.sample(&[], 1.0);
}

fn created(map: &ConfigMap, samples: &mut Samples) {
    if let Some(time) = &map.metadata.creation_timestamp {
        samples.sample(&[], time.0.as_second() as f64);
    }
}

fn metadata_resource_version(map: &ConfigMap, samples: &mut Samples) {
    if let Some(version) = map.metadata.resource_version.as_deref().and_then(|v| v.parse().ok()) {
        samples.sample(&[], version);
    }
}

//! Secrets, `v1`. Only metadata and the type are asked for: what a Secret holds never reaches this process.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/storage/secret-metrics.md>

use k8s_openapi::api::core::v1::Secret;

use super::common::{created, exists, metadata_resource_version, name, namespace, owner, text};
use super::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `secrets`.
pub struct Secrets;

impl Resource for Secrets {
    type Object = Secret;
    const FAMILIES: &'static [Family<Secret>] = &[
        Family::gauge("kube_secret_info", "A Secret exists.", exists).stable(),
        Family::gauge("kube_secret_type", "The type of the Secret.", secret_type).stable(),
        Family::annotations("kube_secret_annotations", "Annotations of a Secret, as far as they are allowed."),
        Family::labels("kube_secret_labels", "Labels of a Secret, as far as they are allowed.").stable(),
        Family::gauge("kube_secret_created", "When the Secret was created, in Unix seconds.", created).stable(),
        Family::gauge(
            "kube_secret_metadata_resource_version",
            "The resourceVersion of the Secret.",
            metadata_resource_version,
        ),
        Family::gauge("kube_secret_owner", "Who owns the Secret, a series an owner.", owner),
    ];

    fn identity(secret: &Secret) -> Identity<'_> {
        vec![("namespace", namespace(secret)), ("secret", name(secret))]
    }
}

fn secret_type(secret: &Secret, samples: &mut Samples) {
    samples.sample(&[("type", text(&secret.type_))], 1.0);
}

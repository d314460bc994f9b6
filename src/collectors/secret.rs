//! Secrets, `v1`. Only metadata and the type are requested: the data of a Secret never reaches this process.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/storage/secret-metrics.md>

use k8s_openapi::api::core::v1::Secret;

use super::common::{exists, name, namespace, text};
use super::table::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `secrets`.
pub struct Secrets;

impl Resource for Secrets {
    type Object = Secret;
    const FAMILIES: &'static [Family<Secret>] = &[
        Family::gauge("kube_secret_info", "Whether the Secret exists; always 1.", exists).stable(),
        Family::gauge("kube_secret_type", "Type of the Secret, as a label.", secret_type).stable(),
        Family::annotations("kube_secret_annotations"),
        Family::labels("kube_secret_labels").stable(),
        Family::created("kube_secret_created").stable(),
        Family::resource_version("kube_secret_metadata_resource_version"),
        Family::owner("kube_secret_owner"),
    ];

    fn identity(secret: &Secret) -> Identity<'_> {
        vec![("namespace", namespace(secret)), ("secret", name(secret))]
    }
}

fn secret_type(secret: &Secret, samples: &mut Samples) {
    samples.sample(&[("type", text(&secret.type_))], 1.0);
}

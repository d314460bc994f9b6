//! Secrets, `v1`. Only metadata and the type are requested: the data of a Secret never reaches this process.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/storage/secret-metrics.md>

use super::common::{name, namespace, text};
use super::objects::Secret;
use super::table::{Api, Family, Identity, Resource, exists};
use crate::exposition::Samples;

/// The resource `secrets`.
pub struct Secrets;

impl Resource for Secrets {
    type Object<'a> = Secret<'a>;
    const API: Api = Api::namespaced("v1", "Secret", "secrets");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge("kube_secret_info", "Whether the Secret exists; always 1.", exists::<Self>).stable(),
        Family::<Self>::gauge("kube_secret_type", "Type of the Secret, as a label.", secret_type).stable(),
        Family::annotations("kube_secret_annotations"),
        Family::labels("kube_secret_labels").stable(),
        Family::created("kube_secret_created").stable(),
        Family::resource_version("kube_secret_metadata_resource_version"),
        Family::owner("kube_secret_owner"),
    ];

    fn identity<'o>(secret: &'o Secret<'_>) -> Identity<'o> {
        vec![("namespace", namespace(secret)), ("secret", name(secret))]
    }
}

fn secret_type(secret: &Secret, samples: &mut Samples) {
    samples.sample(&[("type", text(&secret.type_))], 1.0);
}

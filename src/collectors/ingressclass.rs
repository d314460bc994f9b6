//! IngressClasses, `networking.k8s.io/v1`. Not watched by default.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/service/ingressclass-metrics.md>

use super::common::name;
use super::objects::IngressClass;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `ingressclasses`.
pub struct IngressClasses;

impl Resource for IngressClasses {
    type Object<'a> = IngressClass<'a>;
    const API: Api = Api::cluster("networking.k8s.io/v1", "IngressClass", "ingressclasses");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge("kube_ingressclass_info", "Controller of the IngressClass, as a label.", info),
        Family::created("kube_ingressclass_created"),
        Family::annotations("kube_ingressclass_annotations"),
        Family::labels("kube_ingressclass_labels"),
    ];

    fn identity<'o>(class: &'o IngressClass<'_>) -> Identity<'o> {
        vec![("ingressclass", name(class))]
    }
}

fn info(class: &IngressClass, samples: &mut Samples) {
    let controller = class.spec.as_ref().and_then(|s| s.controller.as_deref()).unwrap_or_default();
    samples.sample(&[("controller", controller)], 1.0);
}

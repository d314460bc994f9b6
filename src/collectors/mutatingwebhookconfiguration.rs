//! MutatingWebhookConfigurations, `admissionregistration.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/extend/mutatingwebhookconfiguration-metrics.md>

use super::common::{name, namespace, webhook_service};
use super::objects::MutatingWebhookConfiguration;
use super::table::{Api, Family, Identity, Resource, exists};
use crate::exposition::Samples;

/// The resource `mutatingwebhookconfigurations`.
pub struct MutatingWebhookConfigurations;

impl Resource for MutatingWebhookConfigurations {
    type Object<'a> = MutatingWebhookConfiguration<'a>;
    const API: Api = Api::cluster(
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
    );
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge(
            "kube_mutatingwebhookconfiguration_info",
            "Whether the MutatingWebhookConfiguration exists; always 1.",
            exists::<Self>,
        ),
        Family::created("kube_mutatingwebhookconfiguration_created"),
        Family::resource_version("kube_mutatingwebhookconfiguration_metadata_resource_version"),
        Family::<Self>::gauge(
            "kube_mutatingwebhookconfiguration_webhook_clientconfig_service",
            "Service that a webhook calls, one series per webhook.",
            webhook_clientconfig_service,
        ),
    ];

    fn identity<'o>(configuration: &'o MutatingWebhookConfiguration<'_>) -> Identity<'o> {
        vec![("namespace", namespace(configuration)), ("mutatingwebhookconfiguration", name(configuration))]
    }
}

fn webhook_clientconfig_service(configuration: &MutatingWebhookConfiguration, samples: &mut Samples) {
    for webhook in configuration.webhooks.iter().flatten() {
        webhook_service(&webhook.name, &webhook.client_config, samples);
    }
}

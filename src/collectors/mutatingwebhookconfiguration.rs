//! MutatingWebhookConfigurations, `admissionregistration.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/extend/mutatingwebhookconfiguration-metrics.md>

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;

use super::common::{exists, name, namespace, webhook_service};
use super::table::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `mutatingwebhookconfigurations`.
pub struct MutatingWebhookConfigurations;

impl Resource for MutatingWebhookConfigurations {
    type Object = MutatingWebhookConfiguration;
    const FAMILIES: &'static [Family<MutatingWebhookConfiguration>] = &[
        Family::gauge(
            "kube_mutatingwebhookconfiguration_info",
            "Whether the MutatingWebhookConfiguration exists; always 1.",
            exists,
        ),
        Family::created("kube_mutatingwebhookconfiguration_created"),
        Family::resource_version("kube_mutatingwebhookconfiguration_metadata_resource_version"),
        Family::gauge(
            "kube_mutatingwebhookconfiguration_webhook_clientconfig_service",
            "Service that a webhook calls, one series per webhook.",
            webhook_clientconfig_service,
        ),
    ];

    fn identity(configuration: &MutatingWebhookConfiguration) -> Identity<'_> {
        vec![("namespace", namespace(configuration)), ("mutatingwebhookconfiguration", name(configuration))]
    }
}

fn webhook_clientconfig_service(configuration: &MutatingWebhookConfiguration, samples: &mut Samples) {
    for webhook in configuration.webhooks.iter().flatten() {
        webhook_service(&webhook.name, &webhook.client_config, samples);
    }
}

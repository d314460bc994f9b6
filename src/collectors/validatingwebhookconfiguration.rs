//! ValidatingWebhookConfigurations, `admissionregistration.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/extend/validatingwebhookconfiguration-metrics.md>

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;

use super::common::{exists, name, namespace, webhook_service};
use super::table::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `validatingwebhookconfigurations`.
pub struct ValidatingWebhookConfigurations;

impl Resource for ValidatingWebhookConfigurations {
    type Object = ValidatingWebhookConfiguration;
    const FAMILIES: &'static [Family<ValidatingWebhookConfiguration>] = &[
        Family::gauge(
            "kube_validatingwebhookconfiguration_info",
            "Whether the ValidatingWebhookConfiguration exists; always 1.",
            exists,
        ),
        Family::created("kube_validatingwebhookconfiguration_created"),
        Family::resource_version("kube_validatingwebhookconfiguration_metadata_resource_version"),
        Family::gauge(
            "kube_validatingwebhookconfiguration_webhook_clientconfig_service",
            "Service that a webhook calls, one series per webhook.",
            webhook_clientconfig_service,
        ),
    ];

    fn identity(configuration: &ValidatingWebhookConfiguration) -> Identity<'_> {
        vec![("namespace", namespace(configuration)), ("validatingwebhookconfiguration", name(configuration))]
    }
}

fn webhook_clientconfig_service(configuration: &ValidatingWebhookConfiguration, samples: &mut Samples) {
    for webhook in configuration.webhooks.iter().flatten() {
        webhook_service(&webhook.name, &webhook.client_config, samples);
    }
}

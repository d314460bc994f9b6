//! ValidatingWebhookConfigurations, `admissionregistration.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/extend/validatingwebhookconfiguration-metrics.md>

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;

use super::common::{created, exists, metadata_resource_version, name, namespace, webhook_service};
use super::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `validatingwebhookconfigurations`.
pub struct ValidatingWebhookConfigurations;

impl Resource for ValidatingWebhookConfigurations {
    type Object = ValidatingWebhookConfiguration;
    const FAMILIES: &'static [Family<ValidatingWebhookConfiguration>] = &[
        Family::gauge("kube_validatingwebhookconfiguration_info", "A ValidatingWebhookConfiguration exists.", exists),
        Family::gauge(
            "kube_validatingwebhookconfiguration_created",
            "When the ValidatingWebhookConfiguration was created, in Unix seconds.",
            created,
        ),
        Family::gauge(
            "kube_validatingwebhookconfiguration_metadata_resource_version",
            "The resourceVersion of the ValidatingWebhookConfiguration.",
            metadata_resource_version,
        ),
        Family::gauge(
            "kube_validatingwebhookconfiguration_webhook_clientconfig_service",
            "The Service that a webhook calls.",
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

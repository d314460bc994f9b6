//! ValidatingWebhookConfigurations, `admissionregistration.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/extend/validatingwebhookconfiguration-metrics.md>

use super::common::{name, namespace, webhook_service};
use super::objects::ValidatingWebhookConfiguration;
use super::table::{Api, Family, Identity, Resource, exists};
use crate::exposition::Samples;

/// The resource `validatingwebhookconfigurations`.
pub struct ValidatingWebhookConfigurations;

impl Resource for ValidatingWebhookConfigurations {
    type Object<'a> = ValidatingWebhookConfiguration<'a>;
    const API: Api = Api::cluster(
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
    );
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge(
            "kube_validatingwebhookconfiguration_info",
            "Whether the ValidatingWebhookConfiguration exists; always 1.",
            exists::<Self>,
        ),
        Family::created("kube_validatingwebhookconfiguration_created"),
        Family::resource_version("kube_validatingwebhookconfiguration_metadata_resource_version"),
        Family::<Self>::gauge(
            "kube_validatingwebhookconfiguration_webhook_clientconfig_service",
            "Service that a webhook calls, one series per webhook.",
            webhook_clientconfig_service,
        ),
    ];

    fn identity<'o>(configuration: &'o ValidatingWebhookConfiguration<'_>) -> Identity<'o> {
        vec![("namespace", namespace(configuration)), ("validatingwebhookconfiguration", name(configuration))]
    }
}

fn webhook_clientconfig_service(configuration: &ValidatingWebhookConfiguration, samples: &mut Samples) {
    for webhook in configuration.webhooks.iter().flatten() {
        webhook_service(&webhook.name, &webhook.client_config, samples);
    }
}

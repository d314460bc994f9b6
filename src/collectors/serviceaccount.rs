//! ServiceAccounts, `v1`.
//!
//! Upstream:
//! <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/auth/serviceaccount-metrics.md>

use k8s_openapi::api::core::v1::ServiceAccount;

use super::common::{boolean, created, deletion_timestamp, name, namespace, text};
use super::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `serviceaccounts`.
pub struct ServiceAccounts;

impl Resource for ServiceAccounts {
    type Object = ServiceAccount;
    const FAMILIES: &'static [Family<ServiceAccount>] = &[
        Family::gauge("kube_serviceaccount_info", "A ServiceAccount, and whether its token is mounted.", info),
        Family::gauge("kube_serviceaccount_created", "When the ServiceAccount was created, in Unix seconds.", created),
        Family::gauge(
            "kube_serviceaccount_deleted",
            "When the ServiceAccount's deletion was asked for, in Unix seconds.",
            deletion_timestamp,
        ),
        Family::gauge("kube_serviceaccount_secret", "The Secrets that a ServiceAccount names, a series each.", secret),
        Family::gauge(
            "kube_serviceaccount_image_pull_secret",
            "The Secrets that a ServiceAccount pulls images with, a series each.",
            image_pull_secret,
        ),
        Family::annotations(
            "kube_serviceaccount_annotations",
            "Annotations of a ServiceAccount, as far as they are allowed.",
        ),
        Family::labels("kube_serviceaccount_labels", "Labels of a ServiceAccount, as far as they are allowed."),
    ];

    fn identity(account: &ServiceAccount) -> Identity<'_> {
        vec![("namespace", namespace(account)), ("serviceaccount", name(account)), ("uid", text(&account.metadata.uid))]
    }
}

fn info(account: &ServiceAccount, samples: &mut Samples) {
    samples.sample(&[("automount_token", account.automount_service_account_token.map_or("", boolean))], 1.0);
}

fn secret(account: &ServiceAccount, samples: &mut Samples) {
    for secret in account.secrets.iter().flatten() {
        samples.sample(&[("name", text(&secret.name))], 1.0);
    }
}

fn image_pull_secret(account: &ServiceAccount, samples: &mut Samples) {
    for secret in account.image_pull_secrets.iter().flatten() {
        samples.sample(&[("name", &secret.name)], 1.0);
    }
}

//! ServiceAccounts, `v1`.
//!
//! Upstream:
//! <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/auth/serviceaccount-metrics.md>

use super::common::{boolean, name, namespace, text};
use super::objects::ServiceAccount;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `serviceaccounts`.
pub struct ServiceAccounts;

impl Resource for ServiceAccounts {
    type Object<'a> = ServiceAccount<'a>;
    const API: Api = Api::namespaced("v1", "ServiceAccount", "serviceaccounts");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge(
            "kube_serviceaccount_info",
            "Whether Pods of the ServiceAccount mount its token, as a label.",
            info,
        ),
        Family::created("kube_serviceaccount_created"),
        Family::deletion_timestamp("kube_serviceaccount_deleted"),
        Family::<Self>::gauge(
            "kube_serviceaccount_secret",
            "Secrets that the ServiceAccount lists, one series per Secret.",
            secret,
        ),
        Family::<Self>::gauge(
            "kube_serviceaccount_image_pull_secret",
            "Secrets for image pulls of the ServiceAccount, one series per Secret.",
            image_pull_secret,
        ),
        Family::annotations("kube_serviceaccount_annotations"),
        Family::labels("kube_serviceaccount_labels"),
    ];

    fn identity<'o>(account: &'o ServiceAccount<'_>) -> Identity<'o> {
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
        samples.sample(&[("name", text(&secret.name))], 1.0);
    }
}

//! Leases, `coordination.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/cluster/lease-metrics.md>

use k8s_openapi::api::coordination::v1::Lease;

use super::common::{name, namespace, owners, time_if_set};
use super::table::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `leases`.
pub struct Leases;

impl Resource for Leases {
    type Object = Lease;
    const FAMILIES: &'static [Family<Lease>] = &[
        Family::gauge(
            "kube_lease_owner",
            "Holder of the Lease and owner of the object, as labels; owner labels are empty without an owner.",
            owner,
        ),
        Family::gauge("kube_lease_renew_time", "Unix timestamp of the last renewal of the Lease.", renew_time),
    ];

    fn identity(lease: &Lease) -> Identity<'_> {
        vec![("lease", name(lease)), ("namespace", namespace(lease))]
    }
}

fn owner(lease: &Lease, samples: &mut Samples) {
    let holder = lease.spec.as_ref().and_then(|s| s.holder_identity.as_deref()).unwrap_or_default();
    for (owner_kind, owner_name, _) in owners(lease) {
        let labels = [("owner_kind", owner_kind), ("owner_name", owner_name), ("lease_holder", holder)];
        samples.sample(&labels, 1.0);
    }
}

fn renew_time(lease: &Lease, samples: &mut Samples) {
    let time = lease.spec.as_ref().and_then(|s| s.renew_time.as_ref());
    time_if_set(time.map(|t| t.0), samples);
}

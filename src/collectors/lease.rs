//! Leases, `coordination.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/cluster/lease-metrics.md>

use super::common::{name, namespace, owners, time_if_set};
use super::objects::Lease;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `leases`.
pub struct Leases;

impl Resource for Leases {
    type Object<'a> = Lease<'a>;
    const API: Api = Api::namespaced("coordination.k8s.io/v1", "Lease", "leases");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge(
            "kube_lease_owner",
            "Holder of the Lease and owner of the object, as labels; owner labels are empty without an owner.",
            owner,
        ),
        Family::<Self>::gauge("kube_lease_renew_time", "Unix timestamp of the last renewal of the Lease.", renew_time),
    ];

    fn identity<'o>(lease: &'o Lease<'_>) -> Identity<'o> {
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

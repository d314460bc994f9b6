//! How the objects of a fleet are called.

use crate::fleet::record::Incarnation;

/// The annotation of the fleet's Lease.
pub(super) const RECORD: &str = "kube-state-fleet.io/record";
/// The annotation of a member's Lease.
pub(super) const MEMBER: &str = "kube-state-fleet.io/member";
/// Who made a Lease.
pub(super) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kube-state-fleet");
/// The label with the StatefulSet's name.
pub(super) const STATEFULSET: &str = "kube-state-fleet.io/statefulset";

/// The fleet of a StatefulSet, and who of it we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Where all of it lives.
    pub namespace: String,
    /// The StatefulSet.
    pub statefulset: String,
    /// Our ordinal, counted from `start`.
    pub ordinal: u32,
    /// `spec.ordinals.start`.
    pub start: u32,
}

impl Names {
    /// `namespace/name` of the StatefulSet.
    pub fn fleet(&self) -> String {
        format!("{}/{}", self.namespace, self.statefulset)
    }

    /// The Lease with the record.
    pub fn record(&self) -> String {
        format!("kube-state-fleet.{}", self.statefulset)
    }

    /// The Lease of a member.
    pub fn member(&self, ordinal: u32) -> String {
        format!("kube-state-fleet.{}.{ordinal}", self.statefulset)
    }

    /// The pod of a member.
    pub fn pod(&self, ordinal: u32) -> String {
        format!("{}-{}", self.statefulset, u64::from(self.start) + u64::from(ordinal))
    }

    /// What selects all Leases of the fleet.
    pub fn selector(&self) -> String {
        let (key, value) = MANAGED_BY;
        format!("{key}={value},{STATEFULSET}={}", self.statefulset)
    }
}

/// What a Lease says about its holder.
pub(super) fn holder(id: &Incarnation) -> String {
    id.to_string()
}

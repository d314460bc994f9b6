//! The names of the objects of a fleet.

use crate::fleet::record::Incarnation;

/// The annotation with the record, on the Lease of the fleet.
pub(super) const RECORD: &str = "kube-state-fleet.io/record";
/// The annotation with the state of a member, on its Lease.
pub(super) const MEMBER: &str = "kube-state-fleet.io/member";
/// The label of all Leases of this program.
pub(super) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kube-state-fleet");
/// The label with the name of the StatefulSet.
pub(super) const STATEFULSET: &str = "kube-state-fleet.io/statefulset";

/// The names of the fleet, and the ordinal of this member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The namespace of all objects.
    pub namespace: String,
    /// The name of the StatefulSet.
    pub statefulset: String,
    /// The ordinal of this member, counted from `start`.
    pub ordinal: u32,
    /// `spec.ordinals.start`.
    pub start: u32,
}

impl Names {
    /// Returns `namespace/name` of the StatefulSet.
    pub fn fleet(&self) -> String {
        format!("{}/{}", self.namespace, self.statefulset)
    }

    /// Returns the name of the Lease with the record.
    pub fn record(&self) -> String {
        format!("kube-state-fleet.{}", self.statefulset)
    }

    /// Returns the name of the Lease of a member.
    pub fn member(&self, ordinal: u32) -> String {
        format!("kube-state-fleet.{}.{ordinal}", self.statefulset)
    }

    /// Returns the ordinal of the member whose Lease has this name.
    pub fn ordinal(&self, lease: &str) -> Option<u32> {
        let ordinal = lease.strip_prefix(&self.record())?.strip_prefix('.')?.parse().ok()?;
        (self.member(ordinal) == lease).then_some(ordinal)
    }

    /// Returns the name of the pod of a member.
    pub fn pod(&self, ordinal: u32) -> String {
        format!("{}-{}", self.statefulset, u64::from(self.start) + u64::from(ordinal))
    }

    /// Returns the label selector of all Leases of the fleet.
    pub fn selector(&self) -> String {
        let (key, value) = MANAGED_BY;
        format!("{key}={value},{STATEFULSET}={}", self.statefulset)
    }
}

/// Returns the `holderIdentity` of a process.
pub(super) fn holder(id: &Incarnation) -> String {
    id.to_string()
}

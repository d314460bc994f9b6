//! A permission that the ServiceAccount of the replica lacks.

/// A missing permission.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("missing permission \"{verb} {resource}\" in namespace \"{namespace}\"; add manifests/base/role.yaml")]
pub struct MissingPermission {
    /// For example `get`.
    pub verb: &'static str,
    /// For example `leases.coordination.k8s.io`.
    pub resource: &'static str,
    /// The namespace of the fleet.
    pub namespace: String,
}

//! The resourceVersions of Kubernetes. Those of one resource compare as integers:
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>

/// Returns a resourceVersion as a number; 0, which no object has, if it is not a number.
pub fn number(version: &str) -> u64 {
    version.parse().unwrap_or_default()
}

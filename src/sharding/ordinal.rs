//! The ordinal of a pod in a StatefulSet.

/// Returns the ordinal at the end of the name of a pod: `fleet-12` is 12. `None` if there is none, or if it is not a plain decimal
/// number (`fleet-007`, `fleet-`, `fleet`).
///
/// Source: the StatefulSet controller names its pods `$(statefulset name)-$(ordinal)`,
/// <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#ordinal-index>.
pub fn ordinal(pod: &str) -> Option<u32> {
    let (name, digits) = pod.rsplit_once('-')?;
    let plain =
        !name.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::ordinal;

    #[test]
    fn a_pod_name_ends_in_its_ordinal() {
        assert_eq!(ordinal("fleet-0"), Some(0));
        assert_eq!(ordinal("kube-state-fleet-12"), Some(12));
        for name in ["fleet", "fleet-", "-1", "fleet-007", "fleet-+1", "fleet-99999999999", "fleet-1a", ""] {
            assert_eq!(ordinal(name), None, "{name}");
        }
    }
}

//! What makes a replica a member of a fleet, and how that hands objects over.

use std::net::IpAddr;

use super::{Environment, SettingsError};

/// Where a member of a fleet finds itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetSettings {
    /// `--pod`: name of the own pod.
    pub pod: String,
    /// `--pod-namespace`.
    pub namespace: String,
    /// `POD_IP`: where the other members find this one, if it says so.
    pub ip: Option<IpAddr>,
}

/// The fleet, if a pod is named. Empty names count as absent: so does kube-state-metrics.
pub(super) fn fleet(
    pod: Option<&str>,
    namespace: Option<&str>,
    environment: &Environment,
) -> Result<Option<FleetSettings>, SettingsError> {
    let given = |value: Option<&str>| value.filter(|v| !v.is_empty()).map(str::to_owned);
    match (given(pod), given(namespace)) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(SettingsError::PodNamespaceAlone),
        (Some(pod), namespace) => {
            let namespace = namespace.or_else(|| environment.pod_namespace().map(str::to_owned));
            let namespace = namespace.ok_or(SettingsError::PodAlone)?;
            Ok(Some(FleetSettings { pod, namespace, ip: environment.pod_ip()? }))
        }
    }
}

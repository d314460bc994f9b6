//! What makes a replica a member of a fleet, and how that hands objects over.

use std::net::IpAddr;
use std::time::Duration;

use jiff::SignedDuration;

use super::{Environment, SettingsError};

/// Longer than anyone scrapes: what is served twice for minutes is no handover.
const LONGEST_OVERLAP: Duration = Duration::from_secs(600);

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

/// `--handover-overlap`, as Go writes times.
pub(super) fn overlap(value: Option<&str>) -> Result<Duration, SettingsError> {
    let Some(value) = value.map(str::trim).filter(|v| !v.is_empty() && *v != "0") else { return Ok(Duration::ZERO) };
    let error =
        || SettingsError::Time { flag: "--handover-overlap", value: value.to_owned(), maximum: LONGEST_OVERLAP };
    let time: SignedDuration = value.parse().map_err(|_| error())?;
    Duration::try_from(time).ok().filter(|time| *time <= LONGEST_OVERLAP).ok_or_else(error)
}

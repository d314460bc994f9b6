//! The settings that make a replica a member of a fleet.

use std::net::IpAddr;

use clap::ValueEnum;

use super::{Environment, SettingsError, names};

/// What a member does when neither the API server nor all of its peers have confirmed the assignment for 15 s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnLostQuorum {
    /// It serves its own objects, which other members may serve too.
    #[default]
    Serve,
    /// It serves nothing.
    Refuse,
}

impl OnLostQuorum {
    /// Returns the value of the flag, unless it is the default.
    pub(super) fn feature(self) -> Option<String> {
        (self == Self::Refuse).then(|| "refuse".to_owned())
    }
}

/// The identity of a member of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetSettings {
    /// `--pod`: name of this replica's pod.
    pub pod: String,
    /// `--pod-namespace`: namespace of that pod.
    pub namespace: String,
    /// `POD_IP`: address at which the other members reach this one.
    pub ip: Option<IpAddr>,
}

/// Returns the identity if a pod is named. As in kube-state-metrics, empty names count as absent.
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
            names::objects("--pod", [&pod])?;
            names::namespaces("--pod-namespace", [&namespace])?;
            Ok(Some(FleetSettings { pod, namespace, ip: environment.pod_ip()? }))
        }
    }
}

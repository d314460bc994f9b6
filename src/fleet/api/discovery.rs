//! Finds the StatefulSet that owns the pod of this replica, and the ordinal of the pod.

use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::time::sleep;
use tracing::warn;

use super::names::Names;
use super::permission::MissingPermission;
use super::request::{RequestError, Retries, with_timeout};
use super::statefulset::first_ordinal;
use crate::settings::FleetSettings;
use crate::sharding::ordinal;

/// Kubernetes' default of `terminationGracePeriodSeconds`.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// The identity of this replica in its fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The names of the fleet, and the ordinal of this member.
    pub names: Names,
    /// UID of the pod; its name if the permission to read the pod is missing.
    pub pod: String,
    /// `status.podIP` of the pod.
    pub ip: Option<IpAddr>,
    /// Whether the process runs in that pod, as far as its address tells.
    pub owns_pod: Option<bool>,
    /// `terminationGracePeriodSeconds` of the pod.
    pub grace: Duration,
    /// A permission that coordination needs, and that is missing.
    pub missing_permission: Option<MissingPermission>,
}

/// Why a replica is in no fleet. A retry does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    /// There is no such pod.
    #[error("--pod: there is no pod {pod} in namespace {namespace}; check --pod and --pod-namespace")]
    NoPod {
        /// Its name.
        pod: String,
        /// Its namespace.
        namespace: String,
    },
    /// No StatefulSet owns the pod.
    #[error(
        "--pod: pod {pod} in namespace {namespace} belongs to no StatefulSet; leave out --pod to run without a fleet"
    )]
    NoOwner {
        /// Its name.
        pod: String,
        /// Its namespace.
        namespace: String,
    },
    /// The name of the pod does not have the form that StatefulSets use.
    #[error("--pod: the name of pod {pod} does not end in an ordinal of {start} or above")]
    NoOrdinal {
        /// Its name.
        pod: String,
        /// `spec.ordinals.start`.
        start: u32,
    },
    /// The StatefulSet cannot be read.
    #[error("--pod: cannot read the replica count of the StatefulSet: {0}")]
    Forbidden(#[source] MissingPermission),
    /// The other members could not connect to this one.
    #[error(
        "--fleet-host: found no address of this replica that other members can reach; set the environment variable POD_IP from \
         status.podIP (manifests/base/statefulset.yaml), or --fleet-host to the address"
    )]
    NoAddress,
    /// Another process renews the Lease of this member.
    #[error(
        "another process runs as member {ordinal} of the fleet, in the Pod with UID {pod}: this one ends. Look for a Pod \
         that was deleted by force while its node still runs it, and for a second process with the same --pod"
    )]
    Outrun {
        /// The ordinal of both.
        ordinal: u32,
        /// The UID of its pod.
        pod: String,
    },
    /// The first ordinal of the StatefulSet changed, so this pod has another shard.
    #[error("spec.ordinals.start of the StatefulSet changed from {before} to {now}: restarting")]
    Renumbered {
        /// The previous `spec.ordinals.start`.
        before: u32,
        /// The new one.
        now: u32,
    },
}

/// Reads the pod and its StatefulSet. Retries until the API server answers.
///
/// # Errors
/// The replica is in no fleet, or may not read the StatefulSet.
pub async fn discover(client: &Client, settings: &FleetSettings) -> Result<Identity, FleetError> {
    let FleetSettings { pod, namespace, .. } = settings;
    let permission = |verb, resource| MissingPermission { verb, resource, namespace: namespace.clone() };
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut retries = Retries::default();
    let (found, mut missing) = loop {
        match with_timeout(pods.get(pod)).await {
            Ok(found) => break (Some(found), None),
            Err(RequestError::NotFound) => {
                return Err(FleetError::NoPod { pod: pod.clone(), namespace: namespace.clone() });
            }
            Err(error) => match retries.failed(&error, "read the pod of this replica") {
                Some(pause) => sleep(pause).await,
                None => break (None, Some(permission("get", "pods"))),
            },
        }
    };
    let no_owner = || FleetError::NoOwner { pod: pod.clone(), namespace: namespace.clone() };
    let owner = match &found {
        Some(found) => owner(found),
        // Without the permission to read the pod, derive the name of the StatefulSet from that of the pod.
        None => pod.rsplit_once('-').map(|(name, _)| name.to_owned()),
    };
    let statefulset = owner.ok_or_else(no_owner)?;
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
    let mut retries = Retries::default();
    let start = loop {
        match with_timeout(sets.get(&statefulset)).await {
            Ok(set) => break first_ordinal(&set),
            Err(RequestError::NotFound) if missing.is_some() => return Err(no_owner()),
            Err(error) => match retries.failed(&error, "read the StatefulSet") {
                Some(pause) => sleep(pause).await,
                None => match ordinal(pod) {
                    // The later watch suffices. If that is forbidden too, it fails with an error of its own.
                    Some(_) if missing.is_none() => {
                        missing = Some(permission("get", "statefulsets.apps"));
                        warn!(
                            "cannot get the StatefulSet: assuming spec.ordinals.start 0; add manifests/base/role.yaml"
                        );
                        break 0;
                    }
                    _ => return Err(FleetError::Forbidden(permission("get", "statefulsets.apps"))),
                },
            },
        }
    };
    let ordinal = ordinal(pod).and_then(|ordinal| ordinal.checked_sub(start));
    let ordinal = ordinal.ok_or_else(|| FleetError::NoOrdinal { pod: pod.clone(), start })?;
    let names = Names { namespace: namespace.clone(), statefulset, ordinal, start };
    let owns_pod = settings.ip.zip(found.as_ref()).and_then(|(ip, pod)| has_address(pod, ip));
    if owns_pod == Some(false) {
        warn!("POD_IP is no address of the Pod that the API server has: this process may belong to a deleted Pod");
    }
    let uid = found.as_ref().and_then(|found| found.metadata.uid.clone());
    let ip = found.as_ref().and_then(|found| found.status.as_ref()?.pod_ip.as_ref()?.parse().ok());
    let spec = found.and_then(|found| found.spec);
    let grace = spec.and_then(|spec| spec.termination_grace_period_seconds).and_then(|s| u64::try_from(s).ok());
    Ok(Identity {
        names,
        pod: uid.unwrap_or_else(|| pod.clone()),
        ip,
        owns_pod,
        grace: grace.map_or(DEFAULT_GRACE, Duration::from_secs),
        missing_permission: missing,
    })
}

/// Whether a pod has an address; `None` if it has none yet.
fn has_address(pod: &Pod, address: IpAddr) -> Option<bool> {
    let status = pod.status.as_ref();
    let all = status.and_then(|status| status.pod_ips.as_deref()).unwrap_or_default();
    let mut all = all.iter().filter_map(|it| it.ip.parse::<IpAddr>().ok()).peekable();
    all.peek()?;
    Some(all.any(|known| known == address))
}

/// Returns the name of the StatefulSet that controls a pod.
fn owner(pod: &Pod) -> Option<String> {
    let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
    let of_set = |owner: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference| {
        owner.controller == Some(true) && owner.kind == "StatefulSet" && owner.api_version.starts_with("apps/")
    };
    owners.iter().find(of_set).map(|owner| owner.name.clone())
}

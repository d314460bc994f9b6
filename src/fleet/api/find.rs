//! Which StatefulSet a pod belongs to, and as which of its pods.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::time::sleep;
use tracing::warn;

use super::{Names, Right, Tries, Trouble, ask};
use crate::settings::FleetSettings;
use crate::sharding::ordinal;

/// Kubernetes' default of `terminationGracePeriodSeconds`.
const GRACE: Duration = Duration::from_secs(30);

/// Where we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Our fleet, and who of it we are.
    pub names: Names,
    /// UID of the pod; its name if we may not read it.
    pub pod: String,
    /// How long the pod may take to end.
    pub grace: Duration,
    /// What we may not do although we should.
    pub missing: Option<Right>,
}

/// Why a pod is in no fleet. No retry helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There is no such pod.
    #[error("--pod: there is no pod {pod} in namespace {namespace}")]
    NoPod {
        /// Its name.
        pod: String,
        /// Where.
        namespace: String,
    },
    /// It is nobody's.
    #[error(
        "--pod: pod {pod} in namespace {namespace} belongs to no StatefulSet; leave out --pod to run without a fleet"
    )]
    NoOwner {
        /// Its name.
        pod: String,
        /// Where.
        namespace: String,
    },
    /// It is not named as a StatefulSet names its pods.
    #[error("--pod: the name of pod {pod} does not end in an ordinal from {start} on")]
    NoOrdinal {
        /// Its name.
        pod: String,
        /// `spec.ordinals.start`.
        start: u32,
    },
    /// Nobody tells us.
    #[error("--pod: the number of shards is that of the StatefulSet's replicas, and the right is missing to {0}")]
    Forbidden(Right),
    /// The StatefulSet counts its pods anew, so we are another one of them.
    #[error("the StatefulSet counts its pods from {now} instead of {before}: starting over")]
    Renumbered {
        /// What `spec.ordinals.start` was.
        before: u32,
        /// What it is.
        now: u32,
    },
}

/// `spec.ordinals.start`.
pub(super) fn start(set: &StatefulSet) -> u32 {
    let ordinals = set.spec.as_ref().and_then(|spec| spec.ordinals.as_ref());
    ordinals.and_then(|ordinals| ordinals.start).and_then(|start| u32::try_from(start).ok()).unwrap_or_default()
}

/// Asks until the API server has told, or it is clear that there is no fleet.
///
/// # Errors
/// There is none.
pub async fn find(client: &Client, settings: &FleetSettings) -> Result<Place, Unfit> {
    let FleetSettings { pod, namespace, .. } = settings;
    let right = |verb, resource| Right { verb, resource, namespace: namespace.clone() };
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut tries = Tries::default();
    let (found, mut missing) = loop {
        match ask(pods.get(pod)).await {
            Ok(found) => break (Some(found), None),
            Err(Trouble::NotFound) => {
                return Err(Unfit::NoPod { pod: pod.clone(), namespace: namespace.clone() });
            }
            Err(trouble) => match tries.failed(&trouble, "read the own pod") {
                Some(pause) => sleep(pause).await,
                None => break (None, Some(right("get", "pods"))),
            },
        }
    };
    let no_owner = || Unfit::NoOwner { pod: pod.clone(), namespace: namespace.clone() };
    let owner = match &found {
        Some(found) => owner(found),
        // Its name tells as much, where we may not read it.
        None => pod.rsplit_once('-').map(|(name, _)| name.to_owned()),
    };
    let statefulset = owner.ok_or_else(no_owner)?;
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
    let mut tries = Tries::default();
    let start = loop {
        match ask(sets.get(&statefulset)).await {
            Ok(set) => break start(&set),
            Err(Trouble::NotFound) if missing.is_some() => return Err(no_owner()),
            Err(trouble) => match tries.failed(&trouble, "read the StatefulSet") {
                Some(pause) => sleep(pause).await,
                None => match ordinal(pod) {
                    // Who is watched need not be read; if that is forbidden too, it will show.
                    Some(_) if missing.is_none() => {
                        missing = Some(right("get", "statefulsets.apps"));
                        warn!("--pod: not allowed to read the StatefulSet once: its ordinals are taken to start at 0");
                        break 0;
                    }
                    _ => return Err(Unfit::Forbidden(right("get", "statefulsets.apps"))),
                },
            },
        }
    };
    let ordinal = ordinal(pod).and_then(|ordinal| ordinal.checked_sub(start));
    let ordinal = ordinal.ok_or_else(|| Unfit::NoOrdinal { pod: pod.clone(), start })?;
    let names = Names { namespace: namespace.clone(), statefulset, ordinal, start };
    let uid = found.as_ref().and_then(|found| found.metadata.uid.clone());
    let spec = found.and_then(|found| found.spec);
    let grace = spec.and_then(|spec| spec.termination_grace_period_seconds).and_then(|s| u64::try_from(s).ok());
    Ok(Place {
        names,
        pod: uid.unwrap_or_else(|| pod.clone()),
        grace: grace.map_or(GRACE, Duration::from_secs),
        missing,
    })
}

/// The StatefulSet that controls a pod.
fn owner(pod: &Pod) -> Option<String> {
    let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
    let of_set = |owner: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference| {
        owner.controller == Some(true) && owner.kind == "StatefulSet" && owner.api_version.starts_with("apps/")
    };
    owners.iter().find(of_set).map(|owner| owner.name.clone())
}

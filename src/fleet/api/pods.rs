//! Reads the readiness of the pods of members that never had a Lease.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::time::sleep;
use tracing::debug;

use super::names::Names;
use super::request::{RequestError, with_timeout};
use crate::sync::watch;

/// Time between reads of the same pods.
const PERIOD: Duration = Duration::from_secs(10);

/// Reads the pods of the `wanted` ordinals, and calls `on` with their readiness. Pods that cannot be read are omitted.
pub async fn watch_pod_readiness(
    client: &Client,
    names: &Names,
    mut wanted: watch::Receiver<Vec<u32>>,
    on: impl Fn(BTreeMap<u32, bool>),
) {
    let api: Api<Pod> = Api::namespaced(client.clone(), &names.namespace);
    loop {
        let ordinals = wanted.borrow_and_update().clone();
        if ordinals.is_empty() {
            if wanted.changed().await.is_err() {
                return;
            }
            continue;
        }
        let mut pods = BTreeMap::new();
        for ordinal in ordinals {
            match with_timeout(api.get(&names.pod(ordinal))).await {
                Ok(pod) => drop(pods.insert(ordinal, is_ready(&pod))),
                Err(RequestError::NotFound) => drop(pods.insert(ordinal, false)),
                Err(error) => debug!(ordinal, %error, "cannot read the pod of a member"),
            }
        }
        on(pods);
        sleep(PERIOD).await;
    }
}

/// Whether the Pod's condition `Ready` is `True`.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

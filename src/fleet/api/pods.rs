//! Whether members that never spoke have a Pod that is Ready.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::debug;

use super::{Names, Trouble, ask};

/// How often the same pods are asked about.
const PERIOD: Duration = Duration::from_secs(10);

/// Asks about the pods of the `wanted` ordinals, and tells `on` which are Ready. Who cannot be asked about is left out.
pub async fn ask_pods(
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
            match ask(api.get(&names.pod(ordinal))).await {
                Ok(pod) => drop(pods.insert(ordinal, is_ready(&pod))),
                Err(Trouble::NotFound) => drop(pods.insert(ordinal, false)),
                Err(error) => debug!(ordinal, %error, "cannot read a member's pod"),
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

//! How many replicas are wanted.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{Api, Client};

use super::find::start;
use super::follow::{Change, Selected, follow};
use super::{Names, Right};

/// The StatefulSet as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its UID: one that was deleted and made anew is another.
    pub uid: String,
    /// How many pods it wants.
    pub replicas: u32,
    /// `spec.ordinals.start`.
    pub start: u32,
}

/// Tells `on` how the StatefulSet is, whenever that changes; `None` while there is none. Ends if that may not be seen.
///
/// It is selected by its name: its labels may change, and it may be deleted and made anew under the pods that it leaves.
pub async fn follow_statefulset(client: &Client, names: &Names, mut on: impl FnMut(Option<Seen>)) -> Right {
    let api: Api<StatefulSet> = Api::namespaced(client.clone(), &names.namespace);
    let selected = Selected {
        fields: Some(format!("metadata.name={}", names.statefulset)),
        resource: "statefulsets.apps",
        namespace: names.namespace.clone(),
        ..Selected::default()
    };
    let mut last = None;
    let mut tell = |seen: Option<Seen>| {
        if last.as_ref() != Some(&seen) {
            last = Some(seen.clone());
            on(seen);
        }
    };
    let is_ours = |set: &StatefulSet| set.metadata.name.as_deref() == Some(&names.statefulset);
    let changed = |change| match change {
        Change::Listed(sets, _) => tell(sets.iter().find(|set| is_ours(set)).map(see)),
        Change::Put(set) if is_ours(&set) => tell(Some(see(&set))),
        Change::Gone(set) if is_ours(&set) => tell(None),
        Change::Put(_) | Change::Gone(_) | Change::Reached(_) => {}
    };
    follow(&api, &selected, changed, || false).await
}

fn see(set: &StatefulSet) -> Seen {
    let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    Seen {
        uid: set.metadata.uid.clone().unwrap_or_default(),
        replicas: u32::try_from(replicas).unwrap_or_default(),
        start: start(set),
    }
}

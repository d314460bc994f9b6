//! Watches the StatefulSet for its replica count.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{Api, Client};

use super::list_watch::{ObjectEvent, Selection, list_and_watch};
use super::names::Names;
use super::permission::MissingPermission;
use crate::fleet::instructions::Instructions;

/// The fields of the StatefulSet that a fleet depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatefulSetState {
    /// Its UID, which changes when it is deleted and created again.
    pub uid: String,
    /// `spec.replicas`.
    pub replicas: u32,
    /// `spec.ordinals.start`.
    pub start: u32,
    /// What its annotations ask for.
    pub instructions: Instructions,
}

/// Calls `on` with each new state of the StatefulSet, or `None` while it does not exist. Returns if a permission is missing.
///
/// It is selected by name: its labels may change, and it may be deleted without its pods and created again.
pub async fn follow_statefulset(
    client: &Client,
    names: &Names,
    mut on: impl FnMut(Option<StatefulSetState>),
) -> MissingPermission {
    let api: Api<StatefulSet> = Api::namespaced(client.clone(), &names.namespace);
    let selected = Selection {
        fields: Some(format!("metadata.name={}", names.statefulset)),
        resource: "statefulsets.apps",
        namespace: names.namespace.clone(),
        relist: true,
        ..Selection::default()
    };
    let mut last = None;
    let mut report = |new: Option<StatefulSetState>| {
        if last.as_ref() != Some(&new) {
            last = Some(new.clone());
            on(new);
        }
    };
    let is_ours = |set: &StatefulSet| set.metadata.name.as_deref() == Some(&names.statefulset);
    let changed = |change| match change {
        ObjectEvent::Listed(sets, _) => report(sets.iter().find(|set| is_ours(set)).map(state)),
        ObjectEvent::Put(set) if is_ours(&set) => report(Some(state(&set))),
        ObjectEvent::Deleted(set) if is_ours(&set) => report(None),
        ObjectEvent::Put(_) | ObjectEvent::Deleted(_) | ObjectEvent::Bookmark(_) => {}
    };
    list_and_watch(&api, &selected, changed, || None).await
}

pub(super) fn state(set: &StatefulSet) -> StatefulSetState {
    let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    StatefulSetState {
        uid: set.metadata.uid.clone().unwrap_or_default(),
        replicas: u32::try_from(replicas).unwrap_or_default(),
        start: first_ordinal(set),
        instructions: Instructions::read(set.metadata.annotations.as_ref()),
    }
}

/// Returns `spec.ordinals.start`.
pub(super) fn first_ordinal(set: &StatefulSet) -> u32 {
    let ordinals = set.spec.as_ref().and_then(|spec| spec.ordinals.as_ref());
    ordinals.and_then(|ordinals| ordinals.start).and_then(|start| u32::try_from(start).ok()).unwrap_or_default()
}

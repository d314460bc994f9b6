//! Lists and watches a few objects, as long as the process lives.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, interval, sleep};
use tracing::debug;

use super::permission::MissingPermission;
use super::request::{RequestError, Retries, with_timeout};

/// Timeout of a watch request, in seconds.
const WATCH_SECONDS: u32 = 290;
/// How often to check whether a watch is stale.
const CHECK_PERIOD: Duration = Duration::from_secs(1);
/// A watch without any event for this long is dead: bookmarks arrive every minute.
const SILENCE_LIMIT: Duration = Duration::from_secs(150);
/// Minimum pause before a watch is reopened.
const REOPEN_PAUSE: Duration = Duration::from_millis(100);

/// A change of the watched objects.
pub(super) enum ObjectEvent<K> {
    /// All objects, as of a resourceVersion.
    Listed(Vec<K>, String),
    /// An object was created or changed.
    Put(K),
    /// An object was deleted.
    Deleted(K),
    /// No watched object changed up to this resourceVersion.
    Bookmark(String),
}

/// The objects to watch.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    pub labels: Option<String>,
    pub fields: Option<String>,
    /// The plural and group, for messages.
    pub resource: &'static str,
    pub namespace: String,
}

impl Selection {
    fn permission(&self, verb: &'static str) -> MissingPermission {
        MissingPermission { verb, resource: self.resource, namespace: self.namespace.clone() }
    }
}

/// Why a watch ended.
enum End {
    /// A new watch can continue from the last version.
    Resume,
    /// The last version is too old to continue from.
    Relist,
}

/// Calls `on` for every change until the permission to list or watch turns out to be missing. `stale` returns whether the watch
/// has missed a change, so that it is reopened.
pub(super) async fn list_and_watch<K>(
    api: &Api<K>,
    selected: &Selection,
    mut on: impl FnMut(ObjectEvent<K>),
    stale: impl Fn() -> bool,
) -> MissingPermission
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let what = format!("watch {}", selected.resource);
    let parameters = ListParams {
        label_selector: selected.labels.clone(),
        field_selector: selected.fields.clone(),
        ..ListParams::default()
    };
    let (mut lists, mut watches) = (Retries::default(), Retries::default());
    loop {
        let list = match with_timeout(api.list(&parameters)).await {
            Ok(list) => list,
            Err(error) => match lists.failed(&error, &what) {
                Some(pause) => {
                    sleep(pause).await;
                    continue;
                }
                None => return selected.permission("list"),
            },
        };
        lists.succeeded();
        let mut version = list.metadata.resource_version.clone().unwrap_or_default();
        on(ObjectEvent::Listed(list.items, version.clone()));
        loop {
            match watch(api, selected, &mut version, &mut on, &stale).await {
                Ok(End::Resume) => {
                    watches.succeeded();
                    sleep(REOPEN_PAUSE).await;
                }
                Ok(End::Relist) => {
                    watches.succeeded();
                    break;
                }
                Err(error) => {
                    let Some(pause) = watches.failed(&error, &what) else { return selected.permission("watch") };
                    sleep(pause).await;
                    if matches!(error, RequestError::Status { .. } | RequestError::NotFound) {
                        break;
                    }
                }
            }
        }
        // If every watch ends immediately, this pause limits the rate of lists.
        sleep(REOPEN_PAUSE).await;
    }
}

/// Runs one watch from `version`, and advances `version`.
async fn watch<K>(
    api: &Api<K>,
    selected: &Selection,
    version: &mut String,
    on: &mut impl FnMut(ObjectEvent<K>),
    stale: &impl Fn() -> bool,
) -> Result<End, RequestError>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let parameters = WatchParams {
        label_selector: selected.labels.clone(),
        field_selector: selected.fields.clone(),
        timeout: Some(WATCH_SECONDS),
        bookmarks: true,
        ..WatchParams::default()
    };
    let mut events = pin!(with_timeout(api.watch(&parameters, version)).await?);
    let mut check = interval(CHECK_PERIOD);
    let mut last_event = Instant::now();
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            _ = check.tick() => {
                if stale() || last_event.elapsed() >= SILENCE_LIMIT {
                    debug!(resource = selected.resource, "watch is stale: reopening");
                    return Ok(End::Resume);
                }
                continue;
            }
        };
        last_event = Instant::now();
        let mut move_to = |meta: &ObjectMeta| {
            if let Some(at) = &meta.resource_version {
                version.clone_from(at);
            }
        };
        match event {
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                move_to(&meta(&object));
                on(ObjectEvent::Put(object));
            }
            Some(Ok(WatchEvent::Deleted(object))) => {
                move_to(&meta(&object));
                on(ObjectEvent::Deleted(object));
            }
            Some(Ok(WatchEvent::Bookmark(bookmark))) => {
                version.clone_from(&bookmark.metadata.resource_version);
                on(ObjectEvent::Bookmark(version.clone()));
            }
            Some(Ok(WatchEvent::Error(status))) => {
                debug!(resource = selected.resource, error = %status.message, "watch expired: relisting");
                return Ok(End::Relist);
            }
            Some(Err(error)) => {
                debug!(resource = selected.resource, %error, "watch broke: reopening");
                return Ok(End::Resume);
            }
            None => return Ok(End::Resume),
        }
    }
}

fn meta<K: Resource>(object: &K) -> ObjectMeta {
    object.meta().clone()
}

//! A list and a watch of a few objects, for as long as the process lives.

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

use super::{Right, Tries, Trouble, ask};

/// How long the API server lets a watch go on, in seconds.
const WATCH_SECONDS: u32 = 290;
/// How often a watch is asked whether it still lives.
const PULSE: Duration = Duration::from_secs(1);
/// Bookmarks come each minute: a watch that brings nothing for so long has lost its server.
const SILENCE: Duration = Duration::from_secs(150);
/// Who opens a watch that ends at once waits at least so long.
const REOPEN: Duration = Duration::from_millis(100);

/// What happened to the objects.
pub(super) enum Change<K> {
    /// All of them, as of a resourceVersion.
    Listed(Vec<K>, String),
    /// One was made or changed.
    Put(K),
    /// One was deleted.
    Gone(K),
    /// Nothing of ours was changed up to this resourceVersion.
    Reached(String),
}

/// Which objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Selected {
    pub labels: Option<String>,
    pub fields: Option<String>,
    /// The resource, for messages.
    pub resource: &'static str,
    pub namespace: String,
}

impl Selected {
    fn right(&self, verb: &'static str) -> Right {
        Right { verb, resource: self.resource, namespace: self.namespace.clone() }
    }
}

/// Why a watch ended.
enum End {
    /// It goes on from where it was.
    Resume,
    /// What is known is too old to go on from.
    Relist,
}

/// Tells `on` of every change, until the right to see them turns out to be missing. `stale` says whether the watch keeps
/// something from us.
pub(super) async fn follow<K>(
    api: &Api<K>,
    selected: &Selected,
    mut on: impl FnMut(Change<K>),
    stale: impl Fn() -> bool,
) -> Right
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let what = format!("follow {}", selected.resource);
    let parameters = ListParams {
        label_selector: selected.labels.clone(),
        field_selector: selected.fields.clone(),
        ..ListParams::default()
    };
    let (mut lists, mut watches) = (Tries::default(), Tries::default());
    loop {
        let list = match ask(api.list(&parameters)).await {
            Ok(list) => list,
            Err(trouble) => match lists.failed(&trouble, &what) {
                Some(pause) => {
                    sleep(pause).await;
                    continue;
                }
                None => return selected.right("list"),
            },
        };
        lists.succeeded();
        let mut version = list.metadata.resource_version.clone().unwrap_or_default();
        on(Change::Listed(list.items, version.clone()));
        loop {
            match watch(api, selected, &mut version, &mut on, &stale).await {
                Ok(End::Resume) => {
                    watches.succeeded();
                    sleep(REOPEN).await;
                }
                Ok(End::Relist) => {
                    watches.succeeded();
                    break;
                }
                Err(trouble) => {
                    let Some(pause) = watches.failed(&trouble, &what) else { return selected.right("watch") };
                    sleep(pause).await;
                    if matches!(trouble, Trouble::Status(_) | Trouble::NotFound) {
                        break;
                    }
                }
            }
        }
        // Whatever ends watches at once must not make us list without a pause.
        sleep(REOPEN).await;
    }
}

/// One watch, from `version`, which it moves on.
async fn watch<K>(
    api: &Api<K>,
    selected: &Selected,
    version: &mut String,
    on: &mut impl FnMut(Change<K>),
    stale: &impl Fn() -> bool,
) -> Result<End, Trouble>
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
    let mut events = pin!(ask(api.watch(&parameters, version)).await?);
    let mut pulse = interval(PULSE);
    let mut heard = Instant::now();
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            _ = pulse.tick() => {
                if stale() || heard.elapsed() >= SILENCE {
                    debug!(resource = selected.resource, "the watch is silent although something was written");
                    return Ok(End::Resume);
                }
                continue;
            }
        };
        heard = Instant::now();
        let mut move_to = |meta: &ObjectMeta| {
            if let Some(at) = &meta.resource_version {
                version.clone_from(at);
            }
        };
        match event {
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                move_to(&meta(&object));
                on(Change::Put(object));
            }
            Some(Ok(WatchEvent::Deleted(object))) => {
                move_to(&meta(&object));
                on(Change::Gone(object));
            }
            Some(Ok(WatchEvent::Bookmark(bookmark))) => {
                version.clone_from(&bookmark.metadata.resource_version);
                on(Change::Reached(version.clone()));
            }
            Some(Ok(WatchEvent::Error(status))) => {
                debug!(resource = selected.resource, error = %status.message, "the watch was ended");
                return Ok(End::Relist);
            }
            Some(Err(error)) => {
                debug!(resource = selected.resource, %error, "the watch broke");
                return Ok(End::Resume);
            }
            None => return Ok(End::Resume),
        }
    }
}

fn meta<K: Resource>(object: &K) -> ObjectMeta {
    object.meta().clone()
}

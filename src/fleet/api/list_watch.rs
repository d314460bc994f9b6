//! Lists and watches a few objects, as long as the process lives.
//!
//! A watch can be deaf: it is open, and delivers nothing. A proxy may hold it, the API server's watch cache may be stuck, or the
//! API server was restored and has lower resourceVersions than the one from which the watch continues. Only a list shows what such
//! a watch missed. The user of the watch therefore says how long a change has been [`overdue`](list_and_watch), and the watch is
//! resumed once, and then replaced by a list.
//!
//! A list also follows a watch that broke or ended early. The API server may have been restored from a backup, and its resourceVersions
//! may have caught up since, so a watch from the last one would miss the changes before it.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use backon::ExponentialBackoff;
use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, interval_at, sleep};
use tracing::debug;

use super::permission::MissingPermission;
use super::request::{RequestError, Retries, with_timeout};
use crate::backoff::exponential;

/// Timeout of a watch request, in seconds.
const WATCH_SECONDS: u32 = 290;
/// How often to check whether a watch is stale.
const CHECK_PERIOD: Duration = Duration::from_secs(1);
/// A watch without any event for this long is dead: bookmarks arrive every minute.
const SILENCE_LIMIT: Duration = Duration::from_secs(150);
/// A change appears in the watch within milliseconds. If it does not for this long, the watch is resumed. The limit leaves time
/// for another watch and a list before a Lease expires.
pub(super) const STALE_AFTER: Duration = Duration::from_secs(7);
/// How long a resumed watch has to deliver the change, before a list replaces it.
const RESUME_GRACE: Duration = Duration::from_secs(2);
/// The same limit as [`STALE_AFTER`], while no watch has delivered what it owed since the last one was stale. A list follows at once.
const DEAF_AFTER: Duration = Duration::from_secs(3);
/// The first pause before a watch is reopened, or a list repeated, and the longest; jitter adds up to as much again. They grow
/// while watches end early.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// After a watch that lasted for this long, the pauses begin with the first one again.
const LASTING: Duration = DEAF_AFTER;

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
    /// List again after each watch, because a list costs no more than a watch. It shows whether the API server went back to
    /// earlier resourceVersions, after which a watch from the last one misses changes.
    pub relist: bool,
}

impl Selection {
    fn permission(&self, verb: &'static str) -> MissingPermission {
        MissingPermission { verb, resource: self.resource, namespace: self.namespace.clone() }
    }
}

/// Why a watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A new watch can continue from the last version.
    Resume,
    /// The watch owes a change. A new one may deliver it.
    Stale,
    /// Only a list shows the changes after the last version.
    Relist,
}

/// Whether watches deliver changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// None was stale, or a later one delivered what it owed.
    Trusted,
    /// The last one was stale at this time, and later ones continue from its version.
    Resumed(Instant),
    /// The resumed one was stale, too.
    Deaf,
}

impl Trust {
    /// What to do if a change is `overdue`.
    fn judge(self, overdue: Option<Duration>) -> Option<End> {
        let overdue = overdue?;
        match self {
            // The API server went back.
            _ if overdue == Duration::MAX => Some(End::Relist),
            Self::Trusted if overdue >= STALE_AFTER => Some(End::Stale),
            Self::Resumed(at) if overdue >= STALE_AFTER && at.elapsed() >= RESUME_GRACE => Some(End::Relist),
            Self::Deaf if overdue >= DEAF_AFTER => Some(End::Relist),
            _ => None,
        }
    }
}

/// Calls `on` for every change until the permission to list or watch turns out to be missing. `overdue` returns how long the
/// watch has owed a change that exists, or `Duration::MAX` if it cannot deliver it.
pub(super) async fn list_and_watch<K>(
    api: &Api<K>,
    selected: &Selection,
    mut on: impl FnMut(ObjectEvent<K>),
    overdue: impl Fn() -> Option<Duration>,
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
    let mut pauses = Pauses::default();
    let mut trust = Trust::Trusted;
    loop {
        // NB: without a resourceVersion, so it is consistent, whatever the API server's watch cache holds.
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
            let opened = Instant::now();
            let result = watch(api, selected, &mut version, &mut trust, &mut on, &overdue).await;
            let end = match &result {
                // Also if no watch lives until the next check.
                Ok(End::Resume) | Err(_) => trust.judge(overdue()).unwrap_or(End::Resume),
                Ok(end) => *end,
            };
            trust = match (end, trust) {
                (End::Stale, _) => Trust::Resumed(Instant::now()),
                (End::Relist, Trust::Resumed(_)) => Trust::Deaf,
                (_, trust) => trust,
            };
            let has_ended_in_time = result.is_ok() && opened.elapsed() >= Duration::from_secs(WATCH_SECONDS.into());
            let pause = match &result {
                Ok(_) => {
                    watches.succeeded();
                    pauses.after(opened.elapsed())
                }
                Err(error) => match watches.failed(error, &what) {
                    Some(pause) => pause,
                    None => return selected.permission("watch"),
                },
            };
            sleep(pause).await;
            let resumes = end == End::Stale || (end == End::Resume && has_ended_in_time);
            if selected.relist || !resumes {
                break;
            }
        }
    }
}

/// The pauses between watches, so that watches which end at once do not cause a flood of requests.
struct Pauses(ExponentialBackoff);

impl Default for Pauses {
    fn default() -> Self {
        Self(exponential(FIRST_PAUSE, LONGEST_PAUSE))
    }
}

impl Pauses {
    /// The pause after a watch of this age.
    fn after(&mut self, age: Duration) -> Duration {
        if age >= LASTING {
            *self = Self::default();
        }
        self.0.next().unwrap_or(LONGEST_PAUSE)
    }
}

/// Runs one watch from `version`, and advances `version`.
async fn watch<K>(
    api: &Api<K>,
    selected: &Selection,
    version: &mut String,
    trust: &mut Trust,
    on: &mut impl FnMut(ObjectEvent<K>),
    overdue: &impl Fn() -> Option<Duration>,
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
    let mut last_event = Instant::now();
    // NB: the first tick of `interval` fires at once, before the watch could deliver anything.
    let mut check = interval_at(last_event + CHECK_PERIOD, CHECK_PERIOD);
    loop {
        let event = tokio::select! {
            biased;
            _ = check.tick() => {
                if let Some(end) = trust.judge(overdue()) {
                    debug!(resource = selected.resource, relist = end == End::Relist, "watch is stale");
                    return Ok(end);
                }
                if last_event.elapsed() >= SILENCE_LIMIT {
                    debug!(resource = selected.resource, "watch is silent: relisting");
                    return Ok(End::Relist);
                }
                continue;
            }
            event = events.next() => event,
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
        // Events alone are no proof: they may be older than the change that is overdue.
        if overdue().is_none_or(|overdue| overdue < CHECK_PERIOD) {
            *trust = Trust::Trusted;
        }
    }
}

fn meta<K: Resource>(object: &K) -> ObjectMeta {
    object.meta().clone()
}

//! What a replica serves may depend on the objects of a kind: on Namespaces, or on CustomResourceDefinitions. Every replica then watches
//! all of them, and a selector sets the resources when they or the settings change.
//!
//! Knows neither kind.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio_util::sync::{CancellationToken, DropGuard};

use super::tasks::Spawner;
use crate::exposition::ResourceStore;
use crate::health::{SharedFollowed, WatchedResource};
use crate::intake::{self, Endpoint, Form, ShardState, Sink, Source, Status};
use crate::settings::Settings;
use crate::sharding::Slice;
use crate::sync::{lock, watch};

/// What is known of all objects of a kind, as their watch tells it. The methods are those of [`Sink`].
#[derive(Debug)]
pub(super) struct KnownObjects<T> {
    /// By UID. An object that was deleted and created again has another one.
    by_uid: HashMap<String, T>,
    /// The UIDs that the current list has contained so far.
    listed: Option<HashSet<String>>,
    /// Whether a list has been completed.
    complete: bool,
}

impl<T> Default for KnownObjects<T> {
    fn default() -> Self {
        Self { by_uid: HashMap::new(), listed: None, complete: false }
    }
}

impl<T> KnownObjects<T> {
    /// Begins a list.
    pub fn init(&mut self) {
        self.listed = Some(HashSet::new());
    }

    /// Returns what was known of the object before.
    pub fn apply(&mut self, uid: &str, object: T) -> Option<T> {
        self.keep(uid);
        self.by_uid.insert(uid.to_owned(), object)
    }

    /// The current list contains the object.
    pub fn keep(&mut self, uid: &str) {
        if let Some(listed) = &mut self.listed {
            listed.insert(uid.to_owned());
        }
    }

    /// Gives the current list up.
    pub fn give_up(&mut self) {
        self.listed = None;
    }

    /// Returns whether the object was known.
    pub fn delete(&mut self, uid: &str) -> bool {
        self.by_uid.remove(uid).is_some()
    }

    /// Completes the current list. Returns the number of objects that it lacks.
    pub fn init_done(&mut self) -> usize {
        let before = self.by_uid.len();
        if let Some(listed) = self.listed.take() {
            self.by_uid.retain(|uid, _| listed.contains(uid));
        }
        self.complete = true;
        before - self.by_uid.len()
    }

    /// Returns the number of objects.
    pub fn len(&self) -> usize {
        self.by_uid.len()
    }

    /// Returns all objects. `None` before the first list is complete, and during a list.
    pub fn all(&self) -> Option<impl Iterator<Item = &T>> {
        (self.complete && self.listed.is_none()).then(|| self.by_uid.values())
    }
}

/// Publishes what is known, if it is news.
pub(super) fn publish<T: ?Sized + PartialEq>(known: &watch::Sender<Option<Arc<T>>>, now: Arc<T>) {
    known.send_if_modified(|published| {
        let is_new = published.as_ref() != Some(&now);
        if is_new {
            *published = Some(now);
        }
        is_new
    });
}

/// Runs a selector and its watch while the settings ask for it.
pub(super) struct Follower {
    client: kube::Client,
    spawner: Spawner,
    /// Whoever sets resources holds this lock, so that a selector that was stopped sets nothing afterwards.
    active: Arc<Mutex<Option<Active>>>,
    /// The watch.
    followed: SharedFollowed,
}

/// A running selector.
struct Active {
    /// Stops the selector and its watch. Comes first, and so is dropped first: a selector whose settings are gone has been stopped.
    _stop: DropGuard,
    /// Number of the cluster.
    cluster: u32,
    settings: watch::Sender<Arc<Settings>>,
}

/// What a selector follows.
pub(super) struct Following {
    pub settings: watch::Receiver<Arc<Settings>>,
    /// Number of the cluster.
    pub cluster: u32,
    /// The shard state of the objects, of which every replica reads all.
    pub shard: Arc<ShardState>,
    /// Ticks when the API server starts or stops refusing the objects, and when a request for them fails or succeeds.
    pub conditions: watch::Receiver<()>,
    active: Arc<Mutex<Option<Active>>>,
    stop: CancellationToken,
}

/// Proves that nobody else sets the resources.
pub(super) struct Turn<'a>(#[expect(dead_code, reason = "it is held")] MutexGuard<'a, Option<Active>>);

impl Following {
    /// Returns the right to set resources. `None` if the selector was stopped, because others may have set them since.
    pub fn turn(&self) -> Option<Turn<'_>> {
        let active = lock(&self.active);
        (!self.stop.is_cancelled()).then_some(Turn(active))
    }
}

impl Follower {
    /// Starts without a selector.
    pub fn new(client: kube::Client, spawner: Spawner) -> Self {
        Self { client, spawner, active: Arc::default(), followed: Arc::default() }
    }

    /// Returns the resource that is watched, with the counts of its requests.
    pub fn followed(&self) -> SharedFollowed {
        Arc::clone(&self.followed)
    }

    /// Passes the settings on to the selector. Starts one if there is none for this cluster: `start` returns the sinks of the objects and
    /// the selector, which ends when its settings are gone. `names` are those of the tasks: the watch and the selector.
    pub fn follow<S: Future<Output = ()> + Send + 'static>(
        &self,
        settings: &Settings,
        cluster: u32,
        endpoint: Endpoint,
        names: [&str; 2],
        start: impl FnOnce(Following) -> ([Box<dyn Sink>; 2], S),
    ) {
        let mut active = lock(&self.active);
        if let Some(active) = active.as_ref().filter(|active| active.cluster == cluster) {
            drop(active.settings.send_replace(Arc::new(settings.clone())));
            return;
        }
        let [watch_name, selector_name] = names.map(str::to_owned);
        let (changed, conditions) = watch::channel(());
        let source = source(settings, endpoint, ShardState::new(Slice::all()).notifying(changed));
        let stop = self.spawner.stop_token().child_token();
        let sender = watch::Sender::new(Arc::new(settings.clone()));
        let (sinks, selector) = start(Following {
            settings: sender.subscribe(),
            cluster,
            shard: Arc::clone(&source.shard),
            conditions,
            active: Arc::clone(&self.active),
            stop: stop.clone(),
        });
        let status = Arc::new(Status::default());
        self.followed.store(Some(Arc::new(watched(&source.endpoint, &status))));
        let watch = intake::run(self.client.clone(), source, sinks, status, stop.clone());
        self.spawner.spawn_until(stop.clone(), watch_name, watch);
        self.spawner.spawn_dropped(stop.clone(), selector_name, selector);
        *active = Some(Active { _stop: stop.drop_guard(), cluster, settings: sender });
    }

    /// Stops the selector, and then calls `set`, which may set the resources, with whether there was one.
    pub fn stop<R>(&self, set: impl FnOnce(bool) -> R) -> R {
        let mut active = lock(&self.active);
        let was_active = active.take().is_some();
        self.followed.store(None);
        set(was_active)
    }
}

/// Returns what telemetry sees of a watch. Its objects are not stored.
fn watched(endpoint: &Endpoint, status: &Arc<Status>) -> WatchedResource {
    WatchedResource {
        name: endpoint.plural.clone(),
        kind: endpoint.go_type(),
        object_limit: 0,
        objects: ResourceStore::without_history(&endpoint.plural, Vec::new()),
        sources: vec![Arc::clone(status)],
        degraded: Arc::default(),
        selection: None,
    }
}

/// Returns the source of all objects of a kind.
fn source(settings: &Settings, endpoint: Endpoint, shard: ShardState) -> Source {
    Source {
        endpoint,
        namespace: None,
        field_selector: String::new(),
        label_selector: String::new(),
        shard: Arc::new(shard),
        server_side: false,
        audited: false,
        use_cache: settings.live.use_apiserver_cache,
        object_limit: 0,
        batch_delay: settings.live.event_batch_delay,
        summed_up: false,
    }
}

/// Returns the endpoint of a kind without namespaces, whose objects are read as JSON: they are small, seldom change, and are read
/// without the field tables.
pub(super) fn cluster_scoped(group: &str, kind: &str, plural: &str) -> Endpoint {
    Endpoint {
        group: group.to_owned(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        namespaced: false,
        form: Form::Object,
        protobuf: false,
        typed: false,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;

    use kube::client::Body;

    use super::super::tasks::Tasks;
    use super::*;
    use crate::settings::{Environment, Flags};

    struct NoSink;

    impl Sink for NoSink {
        fn init(&mut self, _: &Slice) {}
        fn apply(&mut self, _: &intake::Item<'_>) -> Result<(), intake::DecodeError> {
            Ok(())
        }
        fn keep(&mut self, _: &str) {}
        fn give_up(&mut self) {}
        fn rewind(&mut self) {}
        fn delete(&mut self, _: &str, _: u64) {}
        fn init_done(&mut self, _: u64) {}
    }

    #[tokio::test]
    async fn a_selector_hears_of_settings_and_has_no_turn_once_stopped() {
        let mut tasks = Tasks::new(CancellationToken::new());
        let silent = tower::service_fn(|_: http::Request<Body>| pending::<Result<http::Response<Body>, Infallible>>());
        let follower = Follower::new(kube::Client::new(silent, "default"), tasks.spawner());
        let settings =
            Settings::resolve(&Flags::default(), &Environment::default(), || None).expect("they are valid").0;
        let follow = |cluster| {
            let mut started = None;
            follower.follow(
                &settings,
                cluster,
                cluster_scoped("", "Namespace", "namespaces"),
                ["watch", "selector"],
                |it| {
                    let mut heard = it.settings.clone();
                    started = Some(it);
                    let selector = async move { while heard.changed().await.is_ok() {} };
                    ([(); 2].map(|()| Box::new(NoSink) as Box<dyn Sink>), selector)
                },
            );
            started
        };
        assert!(follower.followed().load().is_none());
        let first = follow(1).expect("it starts");
        let kind = follower.followed().load().as_ref().map(|watched| watched.kind.clone());
        assert_eq!(kind.as_deref(), Some("*v1.Namespace"));
        assert!(first.turn().is_some());
        assert!(follow(1).is_none(), "it runs");
        assert!(first.settings.has_changed().expect("it runs"));
        let second = follow(2).expect("it starts for another cluster");
        assert!(first.turn().is_none());
        assert!(follower.stop(|was_active| was_active && second.stop.is_cancelled()));
        assert!(second.turn().is_none() && follower.followed().load().is_none());
        assert!(!follower.stop(|was_active| was_active));
        tasks.spawner().spawn("last".to_owned(), async { tokio::task::yield_now().await });
        assert_eq!(tasks.ended().await.expect_err("it ended").to_string(), "task last ended unexpectedly");
        tasks.stop().await;
    }
}

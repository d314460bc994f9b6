//! A small API server on loopback, for `demo` and for tests: lists, watches and writes as a real one answers them, in JSON.
//!
//! Lists come whole or in pages, as objects, `PartialObjectMetadata` or a `Table`; watches resume, carry bookmarks, stream the
//! initial state, and end in a 410 when asked for what was forgotten. Objects are made, changed and removed over HTTP or
//! through [`Simulator`]'s own methods; [`Faults`] and the methods beside them make it misbehave.
//! There are no controllers, and nothing changes by itself, but for the Pods of StatefulSets where that is asked for
//! ([`Options::statefulsets`]). Which resources exist is the caller's choice.
//! May not know how replicas work: nothing of this crate but this folder.

mod error;
mod forms;
mod objects;
mod paths;
mod proxy;
mod select;
mod serve;
mod shards;
mod statefulsets;
mod stream;

use std::any::TypeId;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use k8s_openapi::NamespaceResourceScope;
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use error::ApiError;
pub use objects::uid;
use objects::{Fate, State};

use crate::sync::lock;

/// A resource that the simulator serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceType {
    /// API group, empty for the core group.
    pub group: String,
    /// API version, for example `v1`.
    pub version: String,
    /// Plural, for example `pods`.
    pub plural: String,
    /// Kind, for example `Pod`.
    pub kind: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
}

impl ResourceType {
    /// A resource by its names.
    pub fn new(group: &str, version: &str, plural: &str, kind: &str, namespaced: bool) -> Self {
        let [group, version, plural, kind] = [group, version, plural, kind].map(str::to_owned);
        Self { group, version, plural, kind, namespaced }
    }

    /// The resource of a k8s-openapi type.
    pub fn of<T>() -> Self
    where
        T: k8s_openapi::Resource,
        T::Scope: 'static,
    {
        let namespaced = TypeId::of::<T::Scope>() == TypeId::of::<NamespaceResourceScope>();
        Self::new(T::GROUP, T::VERSION, T::URL_PATH_SEGMENT, T::KIND, namespaced)
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `pods` or `deployments.apps`.
    fn full_name(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }
}

/// How the simulator behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many events of a resource are remembered: who asks for older ones is told 410, who reads slower is cut off.
    pub history: usize,
    /// How often a watch that allows bookmarks gets one.
    pub bookmarks: Duration,
    /// From which UIDs and generated names are drawn.
    pub seed: u64,
    /// Whether StatefulSets have a controller: it makes their Pods, tells them to end, and rolls them. Who plays the kubelet
    /// writes the status of the Pods, and deletes one ([`Simulator::delete`], or over HTTP with a grace period of 0) when what
    /// it ran has ended.
    pub statefulsets: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { history: 16_384, bookmarks: Duration::from_secs(60), seed: 0, statefulsets: false }
    }
}

/// What goes wrong for one resource, until it is changed again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Every request is refused with this HTTP status.
    pub refuse: Option<u16>,
    /// A list breaks off after so many bytes.
    pub cut_lists: Option<usize>,
    /// A list is answered with a `continue` token that has already expired.
    pub expire_pages: bool,
    /// Every new watch is told 410 as its first event.
    pub watches_gone: bool,
    /// Every new watch is accepted and then never sent anything.
    pub silent_watches: bool,
    /// Streaming lists are refused, as by a server that does not know them.
    pub no_streaming_lists: bool,
    /// Objects are answered whole, whatever form was asked for.
    pub whole_objects: bool,
    /// `shardSelector` is ignored, as by a server that does not know it: everything is sent.
    pub ignore_shards: bool,
    /// Requests with a `shardSelector` are refused with 400.
    pub refuse_shards: bool,
}

/// A request that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// HTTP method.
    pub method: String,
    /// Path.
    pub path: String,
    /// Query, still encoded.
    pub query: String,
    /// The `Accept` header.
    pub accept: String,
}

/// What connections and handles share.
struct Shared {
    state: Mutex<State>,
    options: Options,
    address: SocketAddr,
}

impl Shared {
    /// The state; that a thread panicked while holding it does not make it wrong, since every change is made at its end.
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A running simulator. It ends, with all its connections, when it is dropped.
pub struct Simulator {
    shared: Arc<Shared>,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Simulator {
    /// Serves `resources`, all empty, on `listen`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(listen: SocketAddr, resources: Vec<ResourceType>) -> std::io::Result<Self> {
        Self::start_with(listen, resources, Options::default()).await
    }

    /// As [`Self::start`], with options.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start_with(
        listen: SocketAddr,
        resources: Vec<ResourceType>,
        options: Options,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { state: Mutex::new(State::new(resources, &options)), options, address });
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve::serve(listener, Arc::clone(&shared), stop.clone()));
        Ok(Self { shared, stop, server })
    }

    /// Ends it and waits until its port is free.
    pub async fn stop(mut self) {
        self.stop.cancel();
        // The task ends by itself; that it panicked is of no interest to who ends it.
        let _ = (&mut self.server).await;
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Its URL, for a `kube::Config`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Creates an object. A UID, a creation time and a generation that it brings along are kept.
    ///
    /// # Errors
    /// It is no object of a resource that is served, has no name, or exists already.
    pub fn create(&self, object: &impl Serialize) -> Result<Value, ApiError> {
        self.write(object, |state, table, object| state.create(table, object, true))
    }

    /// Replaces an object. With a `resourceVersion`, only if that is the current one.
    ///
    /// # Errors
    /// As [`Self::create`]; it does not exist, or was changed since.
    pub fn update(&self, object: &impl Serialize) -> Result<Value, ApiError> {
        self.write(object, |state, table, object| state.update(table, object, true))
    }

    /// Creates or replaces an object.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub fn apply(&self, object: &impl Serialize) -> Result<Value, ApiError> {
        self.write(object, |state, table, object| match state.update(table, object.clone(), true) {
            Err(ApiError { code: 404, .. }) => state.create(table, object, true),
            done => done,
        })
    }

    /// Deletes an object at once, named by plural (`pods`, or `events.events.k8s.io` where the plural is not enough), namespace
    /// (empty for none) and name.
    ///
    /// # Errors
    /// The resource or the object does not exist.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) -> Result<Value, ApiError> {
        let mut state = self.shared.state();
        let table = state.position(resource)?;
        let deleted = state.delete(table, namespace, name, &Value::Null)?;
        state.settle();
        Ok(Value::clone(&deleted))
    }

    /// An object as it is now.
    ///
    /// # Errors
    /// The resource or the object does not exist.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Result<Value, ApiError> {
        let state = self.shared.state();
        let table = state.position(resource)?;
        state.get(table, namespace, name).map(|object| Value::clone(&object))
    }

    /// The objects of a resource in a namespace (empty for none), by name.
    ///
    /// # Errors
    /// The resource does not exist.
    pub fn list(&self, resource: &str, namespace: &str) -> Result<Vec<Value>, ApiError> {
        let mut state = self.shared.state();
        let all = state.named(resource)?.objects.iter();
        Ok(all.filter(|((within, _), _)| within == namespace).map(|(_, object)| Value::clone(object)).collect())
    }

    /// How many objects a resource has; 0 for one that does not exist.
    pub fn count(&self, resource: &str) -> usize {
        self.shared.state().named(resource).map_or(0, |table| table.objects.len())
    }

    /// The UIDs of a resource's objects; none for one that does not exist.
    pub fn uids(&self, resource: &str) -> BTreeSet<String> {
        let mut state = self.shared.state();
        let Ok(table) = state.named(resource) else { return BTreeSet::new() };
        table.objects.values().filter_map(|object| object["metadata"]["uid"].as_str()).map(str::to_owned).collect()
    }

    /// The resourceVersion of the last change of anything.
    pub fn version(&self) -> u64 {
        self.shared.state().version
    }

    /// How many watches of a resource are open.
    pub fn open_watches(&self, resource: &str) -> usize {
        self.shared.state().named(resource).map_or(0, |table| table.watches.load(Ordering::Relaxed))
    }

    /// The requests that were made, oldest first; only the last ones are remembered.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.iter().cloned().collect()
    }

    /// Changes what goes wrong for a resource.
    ///
    /// # Errors
    /// The resource does not exist.
    pub fn faults(&self, resource: &str, change: impl FnOnce(&mut Faults)) -> Result<(), ApiError> {
        change(&mut self.shared.state().named(resource)?.faults);
        Ok(())
    }

    /// Breaks the connections of the watches of a resource that are open.
    ///
    /// # Errors
    /// The resource does not exist.
    pub fn drop_watches(&self, resource: &str) -> Result<(), ApiError> {
        self.decide(resource, Fate::Cut)
    }

    /// Tells 410 to the watches of a resource that are open, and ends them.
    ///
    /// # Errors
    /// The resource does not exist.
    pub fn expire_watches(&self, resource: &str) -> Result<(), ApiError> {
        self.decide(resource, Fate::Gone)
    }

    /// Never sends another byte on the watches of a resource that are open; new ones work.
    ///
    /// # Errors
    /// The resource does not exist.
    pub fn silence_watches(&self, resource: &str) -> Result<(), ApiError> {
        self.decide(resource, Fate::Silent)
    }

    /// Sends a bookmark now to the watches of a resource that are open and allow it.
    ///
    /// # Errors
    /// The resource does not exist.
    pub fn send_bookmarks(&self, resource: &str) -> Result<(), ApiError> {
        self.decide(resource, Fate::Bookmark)
    }

    /// Lets the watches of a resource read these bytes, whatever they are.
    ///
    /// # Errors
    /// The resource does not exist.
    pub fn send_raw(&self, resource: &str, bytes: impl Into<Bytes>) -> Result<(), ApiError> {
        self.shared.state().line(resource, bytes.into())
    }

    /// Forgets the history of everything: who resumes a watch from an older version, or reads on in a list, is told 410.
    pub fn compact(&self) {
        self.shared.state().compact();
    }

    fn decide(&self, resource: &str, fate: Fate) -> Result<(), ApiError> {
        self.shared.state().named(resource)?.decide(fate);
        Ok(())
    }

    fn write(
        &self,
        object: &impl Serialize,
        write: impl FnOnce(&mut State, usize, Value) -> Result<objects::Object, ApiError>,
    ) -> Result<Value, ApiError> {
        let object = serde_json::to_value(object).map_err(|error| ApiError::bad_request(error.to_string()))?;
        let text = |key: &str| object[key].as_str().unwrap_or_default();
        let mut state = self.shared.state();
        let table = state.of_kind(text("apiVersion"), text("kind"))?;
        let written = write(&mut state, table, object)?;
        state.settle();
        Ok(Value::clone(&written))
    }
}

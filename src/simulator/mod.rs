//! A small API server on loopback, for `demo` and for tests. It answers lists, watches and writes as a real one does, in JSON.
//!
//! Lists come whole or in pages, as objects, `PartialObjectMetadata` or a `Table`. Watches resume, carry bookmarks, stream the
//! initial state, and end with 410 if the requested version has expired. Objects are created, changed and deleted over HTTP or
//! through [`Simulator`]'s methods. [`Faults`], and methods next to it, inject errors.
//! There are no controllers, except one for the Pods of StatefulSets if requested
//! ([`Options::statefulsets`]). The caller chooses the resources.
//! It may not know how replicas work: it imports nothing of this crate outside this folder, except `sync`.

mod body;
mod error;
mod forms;
mod objects;
mod options;
mod paths;
mod proxy;
mod request;
mod resource_type;
mod select;
mod serve;
mod shards;
mod shared;
mod statefulsets;
mod stream;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use objects::{Fate, State};
use shared::Shared;

pub use body::{Body, Broken, RequestBody};
pub use error::ApiError;
pub use objects::{Saved, uid};
pub use options::{Faults, Options};
pub use request::Request;
pub use resource_type::ResourceType;

/// A running simulator. Dropping it ends it and its connections.
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
    /// Serves `resources`, all empty, on `listen`; port 0 selects a free one.
    ///
    /// # Errors
    /// The address is not available.
    pub async fn start(listen: SocketAddr, resources: Vec<ResourceType>) -> std::io::Result<Self> {
        Self::start_with(listen, resources, Options::default()).await
    }

    /// As [`Self::start`], with options.
    ///
    /// # Errors
    /// The address is not available.
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

    /// Returns a simulator without a port, which only [`Self::answer`] reaches.
    pub fn unconnected(resources: Vec<ResourceType>, options: Options) -> Self {
        let address = ([0, 0, 0, 0], 0).into();
        let shared = Arc::new(Shared { state: Mutex::new(State::new(resources, &options)), options, address });
        let stop = CancellationToken::new();
        let server = tokio::spawn(stop.clone().cancelled_owned());
        Self { shared, stop, server }
    }

    /// Answers a request without a connection. The future and the body of the answer need not be polled on the runtime of the
    /// simulator.
    pub fn answer<B: RequestBody>(
        &self,
        request: http::Request<B>,
    ) -> impl Future<Output = http::Response<Body>> + Send + use<B> {
        let shared = Arc::clone(&self.shared);
        async move { serve::answer(&shared, request).await }
    }

    /// Stops it and waits until its port is free.
    pub async fn stop(mut self) {
        self.stop.cancel();
        // The task ends by itself, and a caller that stops it does not need its panic.
        let _ = (&mut self.server).await;
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Its URL, for a `kube::Config`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Creates an object. It keeps its UID, creation time and generation, if it has them.
    ///
    /// # Errors
    /// The object belongs to no served resource, has no name, or exists already.
    pub fn create(&self, object: &impl Serialize) -> Result<Value, ApiError> {
        self.write(object, |state, table, object| state.create(table, object, true))
    }

    /// Replaces an object. With a `resourceVersion`, only if that is the current one.
    ///
    /// # Errors
    /// As [`Self::create`]; also if it does not exist, or has changed.
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

    /// Deletes an object at once, by plural (`pods`, or `events.events.k8s.io` if the plural is ambiguous), namespace
    /// (empty for none) and name.
    ///
    /// # Errors
    /// The resource or the object does not exist.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) -> Result<Value, ApiError> {
        let mut state = self.shared.state();
        let table = state.position(resource)?;
        let deleted = state.delete(table, namespace, name, &Value::Null)?;
        statefulsets::settle(&mut state);
        Ok(Value::clone(&deleted))
    }

    /// Returns the current object.
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
    pub fn list(&self, resource: &str, namespace: &str) -> Result<Vec<Arc<Value>>, ApiError> {
        let mut state = self.shared.state();
        let all = state.named(resource)?.objects.iter();
        Ok(all.filter(|((within, _), _)| within == namespace).map(|(_, object)| Arc::clone(object)).collect())
    }

    /// The number of objects of a resource; 0 if it does not exist.
    pub fn count(&self, resource: &str) -> usize {
        self.shared.state().named(resource).map_or(0, |table| table.objects.len())
    }

    /// The UIDs of a resource's objects; empty if it does not exist.
    pub fn uids(&self, resource: &str) -> BTreeSet<String> {
        let mut state = self.shared.state();
        let Ok(table) = state.named(resource) else { return BTreeSet::new() };
        table.objects.values().filter_map(|object| object["metadata"]["uid"].as_str()).map(str::to_owned).collect()
    }

    /// The resourceVersion of the last change of any object.
    pub fn version(&self) -> u64 {
        self.shared.state().version
    }

    /// The number of open watches of a resource.
    pub fn open_watches(&self, resource: &str) -> usize {
        self.shared.state().named(resource).map_or(0, |table| table.watches.load(Ordering::Relaxed))
    }

    /// The most recent requests, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.iter().cloned().collect()
    }

    /// Changes the injected faults of a resource.
    ///
    /// # Errors
    /// The resource does not exist.
    pub fn faults(&self, resource: &str, change: impl FnOnce(&mut Faults)) -> Result<(), ApiError> {
        change(&mut self.shared.state().named(resource)?.faults);
        Ok(())
    }

    /// Breaks the connections of the open watches of a resource.
    ///
    /// # Errors
    /// The resource does not exist.
    pub fn drop_watches(&self, resource: &str) -> Result<(), ApiError> {
        self.decide(resource, Fate::Cut)
    }

    /// Ends the open watches of a resource with 410.
    ///
    /// # Errors
    /// The resource does not exist.
    pub fn expire_watches(&self, resource: &str) -> Result<(), ApiError> {
        self.decide(resource, Fate::Gone)
    }

    /// Silences the open watches of a resource; new ones work.
    ///
    /// # Errors
    /// The resource does not exist.
    pub fn silence_watches(&self, resource: &str) -> Result<(), ApiError> {
        self.decide(resource, Fate::Silent)
    }

    /// Sends a bookmark to the open watches of a resource that allow bookmarks.
    ///
    /// # Errors
    /// The resource does not exist.
    pub fn send_bookmarks(&self, resource: &str) -> Result<(), ApiError> {
        self.decide(resource, Fate::Bookmark)
    }

    /// Sends these bytes to the watches of a resource.
    ///
    /// # Errors
    /// The resource does not exist.
    pub fn send_raw(&self, resource: &str, bytes: impl Into<Bytes>) -> Result<(), ApiError> {
        self.shared.state().line(resource, bytes.into())
    }

    /// Forgets all history: resuming a watch at an older version, or continuing a list, gets 410.
    pub fn compact(&self) {
        self.shared.state().compact();
    }

    /// Returns the number of changes of a resource so far; 0 if it does not exist.
    pub fn changes(&self, resource: &str) -> u64 {
        self.shared.state().named(resource).map_or(0, |table| table.next())
    }

    /// Saves the content.
    pub fn save(&self) -> Saved {
        self.shared.state().save()
    }

    /// Goes back to what was saved, as after the restore of a backup of etcd and a restart: versions go back, the history is lost, and
    /// open watches break.
    pub fn restore(&self, saved: &Saved) {
        let mut state = self.shared.state();
        state.restore(saved);
        statefulsets::settle(&mut state);
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
        statefulsets::settle(&mut state);
        Ok(Value::clone(&written))
    }
}

//! Events of the busiest kinds, and a store that receives them through intake, collector and sink, as in a replica.

use std::sync::Arc;

use kube_state_fleet::collectors::labels::KeyFilter;
use kube_state_fleet::collectors::{Collector, Resource, Visitor, name, visit_all};
use kube_state_fleet::exposition::{Format, ResourceStore, Selection, Store};
use kube_state_fleet::intake::{Encoding, Endpoint, Feed, Form};
use kube_state_fleet::replica::sink;
use kube_state_fleet::sharding::{Hasher, Ranges, Slice};
use serde_json::json;

use super::wire::{New, field, set};
use super::{drain, recorded, served, uid};

/// The busiest kinds.
pub const KINDS: [&str; 10] = [
    "configmaps",
    "deployments",
    "endpoints",
    "endpointslices",
    "jobs",
    "leases",
    "nodes",
    "pods",
    "replicasets",
    "secrets",
];

/// Number of objects in the store: a page.
const OBJECTS: u32 = 100;

/// The pod of `pod.json` as protobuf.
const POD: &[u8] = include_bytes!("../data/pod.bin");

/// What an event changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An object of another shard.
    Foreign,
    /// Nothing that a family shows: for nodes a heartbeat, for others `managedFields`.
    Invisible,
    /// The state: for Leases their renewal, for ConfigMaps and Secrets a label that is not shown.
    Update,
}

impl What {
    pub const ALL: [(&'static str, Self); 3] =
        [("foreign", Self::Foreign), ("invisible", Self::Invisible), ("update", Self::Update)];
}

/// Half of the hash space.
pub fn half() -> Slice {
    Slice::of(Hasher::default(), Ranges::from_parts([(0, 1 << 63)]))
}

/// Returns the UIDs inside or outside of the slice.
pub fn uids(own: bool) -> impl Iterator<Item = String> {
    (0..).map(uid).filter(move |uid| half().contains_uid(uid) == own)
}

/// A store of objects of one kind, and the events for it.
pub struct Events {
    feed: Feed,
    pub store: Store,
    encoding: Encoding,
    frame: Frame,
    version: u64,
}

/// Returns the event for a state of an object.
pub type Frame = Box<dyn Fn(&Change<'_>) -> Vec<u8>>;

/// The state of an object.
pub struct Change<'a> {
    pub uid: &'a str,
    /// The number of the object among the others.
    pub number: u32,
    pub version: u64,
    /// A number that is in a field that no family shows.
    pub invisible: u64,
    /// A number that the state depends on.
    pub state: u64,
}

impl Change<'_> {
    fn name(&self) -> String {
        format!("object-{:05}", self.number)
    }
}

impl Events {
    /// Creates a full page of objects of a kind.
    pub fn new(kind: &str) -> Self {
        let mut find = Find { kind, found: None };
        visit_all(&mut find);
        find.found.expect("a resource has this name")
    }

    fn of<R: Resource>() -> Self {
        let collector = Collector::<R>::new(served, KeyFilter::None, KeyFilter::None);
        let objects = ResourceStore::new(name::<R>(), collector.headers());
        let store = Store::new(vec![Arc::clone(&objects)]);
        let form = Form::of::<R>();
        let endpoint = Endpoint {
            group: R::API.group().to_owned(),
            version: R::API.version().to_owned(),
            kind: R::API.kind.to_owned(),
            plural: R::API.plural.to_owned(),
            namespaced: true,
            form,
            protobuf: true,
            typed: true,
        };
        let feed = Feed::new(endpoint, half(), sink(collector, objects));
        let (encoding, frame): (_, Frame) = match form {
            Form::Table => (Encoding::Json, table()),
            Form::Object => (Encoding::Protobuf, message::<R>(example(name::<R>()))),
            Form::Metadata => (Encoding::Protobuf, message::<R>(Vec::new())),
        };
        Self::empty(feed, store, encoding, frame).page()
    }

    /// Returns events for the store that `feed` fills, which is empty.
    pub fn empty(feed: Feed, store: Store, encoding: Encoding, frame: Frame) -> Self {
        Self { feed, store, encoding, frame, version: 1 }
    }

    /// Lists a full page of objects in half of the hash space, as the feed must expect.
    pub fn page(mut self) -> Self {
        self.list(uids(true).take(OBJECTS as usize));
        // Columns are compressed, as usual between scrapes.
        drain(self.store.scrape(&Selection::All, Format::Text, &Slice::all()).gzipped());
        self
    }

    /// Lists objects.
    pub fn list(&mut self, uids: impl Iterator<Item = String>) {
        for (number, uid) in (0..).zip(uids) {
            let frame = (self.frame)(&Change { uid: &uid, number, version: 1, invisible: 0, state: 0 });
            self.feed.event(self.encoding, &frame, true);
        }
        self.feed.listed("1");
    }

    /// Returns this number of events for the same object, each of which changes it.
    pub fn frames(&mut self, what: What, number: u64) -> Vec<Vec<u8>> {
        let uid = uids(what != What::Foreign).nth(7).expect("there are many");
        let frame = |number: u64| {
            let (invisible, state) = if what == What::Update { (0, number) } else { (number, 0) };
            self.version += 1;
            (self.frame)(&Change { uid: &uid, number: 7, version: self.version, invisible, state })
        };
        (1..=number).map(frame).collect()
    }

    /// Handles events.
    pub fn receive(&mut self, frames: &[Vec<u8>]) {
        for frame in frames {
            self.feed.event(self.encoding, frame, false);
        }
    }

    /// Returns the numbers of objects that were stored, and of objects that were discarded.
    pub fn counts(&self) -> (u64, u64) {
        use std::sync::atomic::Ordering::Relaxed;
        (self.feed.status().applied.load(Relaxed), self.feed.status().foreign.load(Relaxed))
    }
}

struct Find<'a> {
    kind: &'a str,
    found: Option<Events>,
}

impl Visitor for Find<'_> {
    fn visit<R: Resource>(&mut self) {
        if name::<R>() == self.kind {
            self.found = Some(Events::of::<R>());
        }
    }
}

/// Returns a realistic pod, and of other kinds the largest recorded object, as the bare protobuf message.
fn example(resource: &str) -> Vec<u8> {
    if resource == "pods" { POD.to_vec() } else { recorded(resource) }
}

/// Returns the event for a state of the object in `message`.
fn message<R: Resource>(message: Vec<u8>) -> Frame {
    let kind = if Form::of::<R>() == Form::Object { R::API.kind } else { "PartialObjectMetadata" };
    let types = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
    Box::new(move |change| {
        // ObjectMeta: name 1, uid 5, resourceVersion 6, managedFields 17 with manager 1.
        let mut object = set(&message, &[1, 1], &(&*change.name()).into());
        object = set(&object, &[1, 5], &change.uid.into());
        object = set(&object, &[1, 6], &(&*change.version.to_string()).into());
        object = set(&object, &[1, 17, 1], &(&*format!("kubelet-{:05}", change.invisible)).into());
        let number = New::Number;
        let edits: Vec<(&[u32], New<'_>)> = match name::<R>() {
            "configmaps" => vec![(&[1, 11, 2], New::Bytes(format!("v{:05}", change.state).into_bytes().into()))],
            "deployments" | "replicasets" => vec![(&[3, 1], number(change.state)), (&[3, 2], number(change.state))],
            // The first address of the first subset.
            "endpoints" => vec![(&[2, 1, 1], New::Bytes(format!("10.0.0.{}", change.state % 256).into_bytes().into()))],
            // Whether the first endpoint is ready.
            "endpointslices" => vec![(&[2, 2, 1], number(change.state % 2))],
            "jobs" => vec![(&[3, 4], number(change.state)), (&[3, 5], number(change.state))],
            // spec.renewTime.seconds
            "leases" => vec![(&[2, 4, 1], number(1_790_000_000 + change.state))],
            // The heartbeat and the status of the first condition.
            "nodes" => vec![
                (&[3, 4, 3, 1], number(1_790_000_000 + change.invisible)),
                (&[3, 4, 2], if change.state % 2 == 0 { "True".into() } else { "False".into() }),
            ],
            // restartCount and ready of the first container.
            "pods" => vec![(&[3, 8, 5], number(change.state)), (&[3, 8, 4], number(change.state % 2))],
            _ => Vec::new(),
        };
        for (path, new) in &edits {
            object = set(&object, path, new);
        }
        let unknown = [b"k8s\0".to_vec(), field(1, &types), field(2, &object)].concat();
        [field(1, b"MODIFIED"), field(2, &field(1, &unknown))].concat()
    })
}

/// Returns the event for a state of a Secret: a Table of one row.
fn table() -> Frame {
    Box::new(|change| {
        let metadata = json!({
            "name": change.name(),
            "namespace": "team-0001-production",
            "uid": change.uid,
            "resourceVersion": change.version.to_string(),
            "creationTimestamp": "2026-09-21T14:13:21Z",
            "labels": {"state": change.state.to_string(), "app.kubernetes.io/part-of": "shop"},
            "managedFields": [{"manager": format!("kubectl-{:05}", change.invisible)}],
        });
        let object = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata});
        let columns = json!([{"name": "Name"}, {"name": "Type"}, {"name": "Data"}]);
        let rows = json!([{"cells": [change.name(), "Opaque", 1], "object": object}]);
        let table =
            json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": columns, "rows": rows});
        json!({"type": "MODIFIED", "object": table}).to_string().into_bytes()
    })
}

//! Shared by the benches: pods like those of a real cluster, and a store of them.

#![allow(dead_code, reason = "each bench uses a part")]

pub mod events;
pub mod options;
pub mod wire;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use kube_state_fleet::collectors::labels::KeyFilter;
use kube_state_fleet::collectors::objects::Pod;
use kube_state_fleet::collectors::{Collector, Family, Pods, Resource};
use kube_state_fleet::exposition::{
    Block, Format, NamespaceLabels, NamespacedBy, Parts, Remembered, ResourceStore, Scope, Scrape, Selection, Stamp,
    Store, Update,
};
use kube_state_fleet::intake::{Form, Unreadable, decode_object};
use kube_state_fleet::sharding::{Hashes, Slice};

/// A pod like those of the end-to-end loader: two containers, probes, volumes, labels, managedFields.
const POD: &str = include_str!("../data/pod.json");

/// Returns the pod in the file.
pub fn pod() -> Pod<'static> {
    let json: serde_json::Value = serde_json::from_str(POD).expect("the file holds JSON");
    decode_object::<Pods>(&json, Form::Object, &Unreadable::default()).expect("the file holds a pod")
}

/// Returns whether a family is served: by default, or because the variable `OPT_IN` has a part of its name.
pub fn served<R: Resource>(family: &Family<R>) -> bool {
    !family.opt_in || std::env::var("OPT_IN").is_ok_and(|part| family.name.contains(&part))
}

/// Returns the largest object of the recorded corpus, as the bare protobuf message.
pub fn recorded(resource: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/corpus/{resource}.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
    let file = File::open(path).expect("the corpus has every resource");
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    let messages = lines.map(|line| {
        let case: serde_json::Value = serde_json::from_str(&line.expect("UTF-8")).expect("JSON");
        STANDARD.decode(case["protobuf"].as_str().expect("a message")).expect("base64")
    });
    messages.max_by_key(Vec::len).expect("an object")
}

/// A store of pods, and the collector that fills it.
pub struct World {
    pub store: Store,
    pub things: Arc<ResourceStore>,
    collector: Collector<Pods>,
    pod: Pod<'static>,
}

impl World {
    /// Creates a store with `pods` pods. Each has its own name, UID, addresses and node.
    pub fn new(pods: u32) -> Self {
        Self::of(pods, &Slice::all())
    }

    /// Creates a store with `pods` pods, 200 in each namespace, indexed by namespace. Series have `labels` of their Namespaces.
    pub fn indexed(pods: u32, labels: &Arc<NamespaceLabels>) -> Self {
        Self::prepared(pods, &Slice::all(), |things| {
            things.index_namespaces(NamespacedBy::Namespace);
            things.label_namespaces(labels).for_each(drop);
        })
    }

    /// Creates a store with those of `pods` pods that are in a slice.
    pub fn of(pods: u32, slice: &Slice) -> Self {
        Self::prepared(pods, slice, |_| {})
    }

    fn prepared(pods: u32, slice: &Slice, prepare: impl FnOnce(&ResourceStore)) -> Self {
        let collector = Collector::<Pods>::new(served, KeyFilter::None, KeyFilter::None);
        let things = ResourceStore::without_history("pods", collector.headers());
        prepare(&things);
        let store = Store::new(vec![Arc::clone(&things)]);
        let mut world = Self { store, things, collector, pod: pod() };
        let list = world.things.begin(None);
        for number in (0..pods).filter(|number| slice.contains_uid(&uid(*number))) {
            world.apply(number, 1, 0);
        }
        world.things.finish(list, Scope { partition: 0, slice }, 1);
        world
    }

    /// Returns the block of a pod after this number of restarts.
    pub fn block(&mut self, number: u32, restarts: i32) -> Block {
        self.set(number, restarts);
        self.collector.collect(&self.pod)
    }

    /// Makes [`World::pod`] the state of a pod after this number of restarts.
    fn set(&mut self, number: u32, restarts: i32) {
        let pod = &mut self.pod;
        pod.metadata.uid = Some(uid(number).into());
        pod.metadata.name = Some(format!("checkout-service-{}-7d9f8b6c5d-{number:05x}", number / 10).into());
        pod.metadata.namespace = Some(namespace(number).into());
        if let Some(spec) = &mut pod.spec {
            spec.node_name = Some(format!("node-{:05}.example.internal", number / 30).into());
        }
        if let Some(status) = &mut pod.status {
            let address = format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255);
            status.pod_ip = Some(address.clone().into());
            status.pod_ips.iter_mut().flatten().for_each(|ip| ip.ip = address.clone().into());
            for (index, container) in status.container_statuses.iter_mut().flatten().enumerate() {
                container.container_id =
                    Some(format!("containerd://{:064x}", u64::from(number) << 8 | index as u64).into());
                container.restart_count = if index == 0 { restarts } else { 0 };
                container.ready = restarts % 2 == 0;
            }
        }
    }

    /// Stores a pod.
    pub fn apply(&mut self, number: u32, version: u64, restarts: i32) {
        if !self.collector.remembers(Parts::ALL) {
            let block = self.block(number, restarts);
            return self.put(number, version, block);
        }
        self.set(number, restarts);
        let uid = uid(number);
        let past = self.things.past(&uid.as_str().into(), Hashes::of(&uid));
        let memo = self.collector.remember(&self.pod, &past);
        let block = self.collector.collect_remembered(&self.pod, &memo);
        let remembered = Some(Remembered { memo, of_known: past.is_known });
        self.put(number, version, Update { remembered, ..block.into() });
    }

    /// Stores an existing block for a pod.
    pub fn put(&self, number: u32, version: u64, update: impl Into<Update>) {
        let uid = uid(number);
        let stamp = Stamp { version, listed: false };
        let namespace = self.things.namespaced_by().map(|_| namespace(number)).unwrap_or_default();
        let update = Update { namespace, ..update.into() };
        self.things.apply(0, uid.as_str().into(), Hashes::of(&uid), stamp, update);
    }

    /// Starts a scrape of everything.
    pub fn scrape(&self) -> Scrape {
        self.store.scrape(&Selection::All, Format::Text, &Slice::all())
    }
}

/// Returns the namespace of a pod.
pub fn namespace(number: u32) -> String {
    format!("team-{:04}-production", number / 200)
}

/// Returns the label `team` of the namespaces of this many pods.
pub fn teams(pods: u32, team: &str) -> Arc<NamespaceLabels> {
    let names: Vec<_> = (0..pods).step_by(200).map(namespace).collect();
    let label = || vec![("namespace_label_team".to_owned(), team)];
    Arc::new(NamespaceLabels::new(names.iter().map(|name| (name.as_str(), label()))))
}

/// Returns the number of bytes of a scrape.
pub fn drain(scrape: Scrape) -> usize {
    scrape.map(|chunk| chunk.len()).sum()
}

pub fn uid(number: u32) -> String {
    let mut random = fastrand::Rng::with_seed(u64::from(number));
    let (a, b) = (random.u64(..), random.u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

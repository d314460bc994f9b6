//! The objects that the fleet serves. They come, change and go all the time. Each scrape of all replicas is compared with what the
//! API server had.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::excuses::NEWS;
use crate::sharding::Slice;
use crate::simulator::Simulator;

/// The namespace of the objects, and their number: at the start, and while they come and go.
pub const NAMESPACE: &str = "shop";
const FIRST: usize = 16;
const COUNT: std::ops::Range<usize> = 8..24;
/// Changes of the servers of an object that a failure shows.
const SHOWN: usize = 6;
/// What lasts shorter is never wrong.
const NOTABLE: Duration = Duration::from_millis(400);
/// Names are taken again, by objects with other UIDs.
const NAMES: u32 = 30;

/// An object, and what is wrong with it.
struct Object {
    name: Arc<str>,
    created: Instant,
    deleted: Option<Instant>,
    /// Its values, and since when it has them.
    values: Vec<(Instant, Arc<str>)>,
    /// Since when it has been missing.
    missing: Option<Instant>,
    /// The pairs of replicas that serve it, and since when. The old owner of a handover may keep serving, so an object that moves
    /// twice has two such pairs.
    doubled: BTreeMap<(u32, u32), Instant>,
    /// Since when which replicas have served it: for the message of a failure.
    served: Vec<(Instant, Vec<u32>)>,
}

impl Object {
    /// Describes who served it in the last seconds.
    fn history(&self, now: Instant) -> String {
        let text = |(since, by): &(Instant, Vec<u32>)| format!("{by:?} {:.1} s ago", (now - *since).as_secs_f64());
        let last = self.served.len().saturating_sub(SHOWN);
        self.served[last..].iter().map(text).collect::<Vec<_>>().join(", ")
    }
}

/// What a scrape of all replicas contains of each UID: the ordinal of the replica, and the value.
pub type Served = BTreeMap<Arc<str>, Vec<(u32, Arc<str>)>>;

/// For how long objects have been missing and served twice, at most.
#[derive(Clone, Debug, Default)]
pub struct Worst {
    pub missing: (Duration, String),
    pub doubled: (Duration, String),
}

/// All objects, also those that are gone: they must not come back.
pub struct Objects {
    api: Arc<Simulator>,
    known: BTreeMap<Arc<str>, Object>,
    changes: u64,
    /// Whether the last scrape showed something that changed longer ago than a change takes.
    stale: bool,
}

impl Objects {
    /// Creates the first objects.
    pub fn new(api: Arc<Simulator>, random: &mut fastrand::Rng) -> Self {
        let mut objects = Self { api, known: BTreeMap::new(), changes: 0, stale: false };
        while objects.count() < FIRST {
            objects.add(random);
        }
        objects.learn();
        objects
    }

    fn count(&self) -> usize {
        self.api.list("pods", NAMESPACE).expect("there are pods").len()
    }

    fn object(&mut self, name: &str) -> serde_json::Value {
        self.changes += 1;
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": NAMESPACE, "name": name},
            "spec": {"nodeName": format!("n{}", self.changes), "containers": []},
        })
    }

    fn add(&mut self, random: &mut fastrand::Rng) {
        let object = self.object(&format!("p{}", random.u32(..NAMES)));
        // The name may be taken.
        let _ = self.api.create(&object);
    }

    /// Adds, changes or deletes an object.
    pub fn churn(&mut self, random: &mut fastrand::Rng) {
        let live: Vec<_> = self.known.values().filter(|object| object.deleted.is_none()).collect();
        let any = live.get(random.usize(..live.len().max(1))).map(|object| object.name.clone());
        let count = live.len();
        match (any, random.u8(..4)) {
            (Some(name), 0) if count > COUNT.start => {
                self.api.delete("pods", NAMESPACE, &name).expect("it exists");
            }
            (Some(name), 1) => {
                let object = self.object(&name);
                self.api.update(&object).expect("it exists");
            }
            // Deleted and created in one step.
            (Some(name), 2) => {
                self.api.delete("pods", NAMESPACE, &name).expect("it exists");
                let object = self.object(&name);
                self.api.create(&object).expect("the name is free");
            }
            _ if count < COUNT.end => self.add(random),
            _ => {}
        }
        self.learn();
    }

    /// Learns what the API server has.
    pub fn learn(&mut self) {
        let now = Instant::now();
        let mut present = BTreeSet::new();
        for object in self.api.list("pods", NAMESPACE).expect("there are pods") {
            let text = |value: &serde_json::Value| -> Arc<str> { value.as_str().expect("a text").into() };
            let (uid, value) = (text(&object["metadata"]["uid"]), text(&object["spec"]["nodeName"]));
            let known = self.known.entry(Arc::clone(&uid)).or_insert_with(|| Object {
                name: text(&object["metadata"]["name"]),
                created: now,
                deleted: None,
                values: Vec::new(),
                missing: None,
                doubled: BTreeMap::new(),
                served: Vec::new(),
            });
            if known.deleted.take().is_some() {
                known.created = now;
            }
            if known.values.last().is_none_or(|(_, last)| *last != value) {
                known.values.push((now, value));
            }
            present.insert(uid);
        }
        for (_, object) in self.known.iter_mut().filter(|(uid, _)| !present.contains(*uid)) {
            object.deleted.get_or_insert(now);
            object.missing = None;
            object.doubled.clear();
        }
    }

    /// Returns what a scrape of all replicas contains that was gone, or replaced by another value, at `known`.
    fn old(&self, served: &Served, known: Instant) -> Option<String> {
        let mut old = String::new();
        for (uid, copies) in served {
            let Some(object) = self.known.get(uid) else {
                let _ = write!(old, "{uid} never existed; ");
                continue;
            };
            if object.deleted.is_some_and(|deleted| deleted <= known) {
                let _ = write!(old, "{} ({uid}) is served by {copies:?}, although it is gone; ", object.name);
            }
            let replaced = object.values.iter().skip(1).map(|(from, _)| Some(*from)).chain([None]);
            let values = object.values.iter().zip(replaced);
            let current: Vec<_> =
                values.filter(|(_, at)| at.is_none_or(|at| at > known)).map(|(it, _)| &it.1).collect();
            for (ordinal, value) in copies.iter().filter(|(_, value)| !current.contains(&value)) {
                let _ = write!(old, "{ordinal} serves {} ({uid}) with {value}, not {current:?}; ", object.name);
            }
        }
        Some(old).filter(|old| !old.is_empty())
    }

    /// Returns an object of a slice that has existed since `known`, and which a replica does not serve.
    pub fn lacking(&self, served: &Served, known: Instant, ordinal: u32, slice: &Slice) -> Option<String> {
        let lacks = |(uid, object): &(&Arc<str>, &Object)| {
            let copies = served.get(&**uid).map(Vec::as_slice).unwrap_or_default();
            let exists = object.deleted.is_none() && object.created <= known;
            exists && slice.contains_uid(uid) && copies.iter().all(|(by, _)| *by != ordinal)
        };
        self.known.iter().find(lacks).map(|(uid, object)| format!("{} ({uid})", object.name))
    }

    /// Compares a scrape of all replicas with what the API server had at `known` and later. `may_double` decides whether these
    /// replicas may serve an object at the same time.
    ///
    /// # Errors
    /// An object is served that was gone, or with a value that it no longer had.
    pub fn check(
        &mut self,
        served: &Served,
        known: Instant,
        may_double: impl Fn(&[u32]) -> bool,
    ) -> Result<Worst, String> {
        let now = Instant::now();
        let mut worst = Worst::default();
        self.stale = self.old(served, now - NEWS).is_some();
        if self.stale
            && let Some(old) = self.old(served, known)
        {
            return Err(old);
        }
        for (uid, object) in self.known.iter_mut().filter(|(_, object)| object.deleted.is_none()) {
            let copies = served.get(uid).map(Vec::as_slice).unwrap_or_default();
            let by: Vec<u32> = copies.iter().map(|(ordinal, _)| *ordinal).collect();
            if object.served.last().is_none_or(|(_, last)| *last != by) {
                object.served.push((now, by.clone()));
            }
            let missing = by.is_empty() && object.created <= known;
            object.missing = missing.then(|| object.missing.unwrap_or(now));
            let pairs = by.iter().enumerate().flat_map(|(i, one)| by[i + 1..].iter().map(|other| (*one, *other)));
            let pairs = pairs.filter(|(one, other)| !may_double(&[*one, *other]));
            object.doubled = pairs.map(|pair| (pair, object.doubled.get(&pair).copied().unwrap_or(now))).collect();
            let note = |since: Option<Instant>, worst: &mut (Duration, String)| {
                let lasts = since.map_or(Duration::ZERO, |since| now - since);
                if lasts > worst.0.max(NOTABLE) {
                    *worst = (lasts, format!("{} ({uid}) was served by {}", object.name, object.history(now)));
                }
            };
            note(object.missing, &mut worst.missing);
            note(object.doubled.values().min().copied(), &mut worst.doubled);
        }
        Ok(worst)
    }

    /// Whether nothing is missing, served twice or old.
    pub fn is_exact(&self) -> bool {
        !self.stale && self.known.values().all(|object| object.missing.is_none() && object.doubled.is_empty())
    }
}

/// A metric of the objects from a config.
pub const CONFIG: &str = "
spec:
  resources:
    - groupVersionKind: {group: '', version: v1, kind: Pod}
      metricNamePrefix: own
      labelsFromPath: {uid: [metadata, uid], node: [spec, nodeName]}
      metrics:
        - {name: pod_info, each: {type: Gauge, gauge: {path: [metadata, generation], nilIsZero: true}}}
";
/// Its name.
pub const OF_CONFIG: &str = "own_pod_info";

/// What a replica served last. Most scrapes repeat the one before, and are not read again.
#[derive(Default)]
pub struct LastScrape {
    text: Vec<u8>,
    /// The UIDs, and the values.
    objects: Vec<(Arc<str>, Arc<str>)>,
}

impl LastScrape {
    /// Adds what a replica serves. `combined`: the series of [`CONFIG`] are served with the others.
    pub fn read(&mut self, text: Vec<u8>, ordinal: u32, combined: bool, served: &mut Served) {
        if self.text != text {
            self.objects = series(&text, "kube_pod_info");
            let of_config = series(&text, OF_CONFIG);
            let expected = if combined { &self.objects[..] } else { &[] };
            assert_eq!(of_config, expected, "{ordinal} serves both families or none");
            self.text = text;
        }
        for (uid, node) in &self.objects {
            served.entry(Arc::clone(uid)).or_default().push((ordinal, Arc::clone(node)));
        }
    }
}

/// Returns the UIDs and values of the objects in a family.
fn series(text: &[u8], family: &str) -> Vec<(Arc<str>, Arc<str>)> {
    let text = std::str::from_utf8(text).expect("UTF-8");
    let label = |line: &str, name: &str| -> Arc<str> {
        let (_, rest) = line.split_once(name).unwrap_or_else(|| panic!("{name} is missing: {line}"));
        rest.split_once('"').expect("the end of a value").0.into()
    };
    let series = text.lines().filter(|line| line.strip_prefix(family).is_some_and(|rest| rest.starts_with('{')));
    let mut objects: Vec<_> = series.map(|line| (label(line, "uid=\""), label(line, "node=\""))).collect();
    objects.sort();
    objects
}

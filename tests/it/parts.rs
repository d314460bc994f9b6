//! Incremental equals whole: a store that reads only the changed parts of an object shows what a new store shows.
//!
//! The states of an object are splices of the recorded corpus: any part of one object is replaced by the same part of another one,
//! at any depth, or removed. So families, cuts and views that do not match show as a stale or missing series.

use std::collections::BTreeSet;
use std::sync::Arc;

use fastrand::Rng;
use kube_state_fleet::collectors::custom::{CustomCollector, GroupVersionKind};
use kube_state_fleet::collectors::labels::KeyFilter;
use kube_state_fleet::collectors::objects::Pod;
use kube_state_fleet::collectors::parts::{CONTAINERS, Cut, FieldSet, STATUS};
use kube_state_fleet::collectors::{
    Api, Collector, Family, Identity, Pods, Resource, Series, Visitor, name, visit_all,
};
use kube_state_fleet::exposition::{Format, ResourceStore, Samples, Selection, Store};
use kube_state_fleet::intake::protobuf::wire::{Fields, Value};
use kube_state_fleet::intake::{Encoding, Item, Sink, Unreadable};
use kube_state_fleet::replica::{custom_sink, sink};
use kube_state_fleet::settings::custom::CustomResources;
use kube_state_fleet::sharding::Slice;

use serde_json::Value as Json;

use crate::common::corpus::recorded;
use crate::common::wire::{New, put, set};
use crate::custom;

/// Number of states of the object of a kind, and of a kind with a cut.
const STATES: (usize, usize) = (60, 600);

/// A store, and the sink that fills it.
struct Replica {
    store: Store,
    sink: Box<dyn Sink>,
}

impl Replica {
    /// `fields`: the families are those that read no other fields.
    fn new<R: Resource>(fields: FieldSet, shown: &KeyFilter) -> Self {
        // A new store has not counted anything: see the test of what is counted.
        let counted = |family: &Family<R>| matches!(family.series, Series::Counted(_));
        let enabled =
            |family: &Family<R>| !counted(family) && (fields == FieldSet::More || family.fields == FieldSet::Usual);
        let collector = Collector::<R>::new(enabled, shown.clone(), shown.clone()).promoting(match shown {
            KeyFilter::All => KeyFilter::from_keys(["app"]),
            _ => KeyFilter::None,
        });
        let objects = ResourceStore::new(name::<R>(), collector.headers());
        Self { store: Store::new(vec![Arc::clone(&objects)]), sink: sink(collector, objects) }
    }

    /// Stores a state. Returns the number of fields that cannot be read, and `None` if the object does not decode.
    fn apply(&mut self, uid: &str, version: u64, bytes: &[u8]) -> Option<u64> {
        let unreadable = Unreadable::default();
        let item = Item::changed(uid, version, Encoding::Protobuf, bytes, &unreadable);
        self.sink.apply(&item).ok()?;
        Some(unreadable.count())
    }

    /// Stores a state of a custom resource. Returns whether it decodes.
    fn apply_text(&mut self, version: u64, text: &str) -> bool {
        let unreadable = Unreadable::default();
        let item = Item::changed("changing", version, Encoding::Json, text.as_bytes(), &unreadable);
        self.sink.apply(&item).is_ok()
    }

    /// Returns all series. A scrape also puts waiting objects into columns, where updates are incremental.
    fn series(&self) -> BTreeSet<String> {
        let text: Vec<u8> = self.store.scrape(&Selection::All, Format::Text, &Slice::all()).flatten().collect();
        String::from_utf8(text).unwrap().lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }
}

/// Returns the value of a random member or element of `json`, at some depth.
pub fn random_place<'a>(json: &'a mut Json, random: &mut Rng) -> &'a mut Json {
    let size = match json {
        Json::Array(elements) => elements.len(),
        Json::Object(members) => members.len(),
        _ => 0,
    };
    if size == 0 || random.u8(..4) == 0 {
        return json;
    }
    let chosen = random.usize(..size);
    match json {
        Json::Array(elements) => random_place(&mut elements[chosen], random),
        Json::Object(members) => random_place(members.values_mut().nth(chosen).unwrap(), random),
        _ => unreachable!("it has a size"),
    }
}

#[test]
fn changed_custom_resources_show_what_new_ones_show() {
    let mut random = Rng::with_seed(seed());
    let mut invisible = 0;
    for case in custom::all_cases().step_by(3) {
        let Ok(resources) = CustomResources::parse("config", &case.config) else { continue };
        let mut state: Json = serde_json::from_str(&case.object).unwrap();
        let (group, version) = state["apiVersion"].as_str().unwrap().split_once('/').unwrap();
        let kind = state["kind"].as_str().unwrap().to_owned();
        let of = GroupVersionKind { group: group.to_owned(), version: version.to_owned(), kind };
        let Some(entry) = resources.of(&of) else { continue };
        let replica = || {
            let collector = CustomCollector::new(&entry.definition, &of, |_| true, 0);
            let objects = ResourceStore::new("things", collector.headers());
            Replica { store: Store::new(vec![Arc::clone(&objects)]), sink: custom_sink(collector, objects) }
        };
        let mut incremental = replica();
        for version in 1..12 {
            let (mut other, before) = (state.clone(), incremental.series());
            match random.u8(..5) {
                0 => *random_place(&mut state, &mut random) = random_place(&mut other, &mut random).take(),
                1 => *random_place(&mut state, &mut random) = Json::Null,
                2 => *random_place(&mut state, &mut random) = random.u8(..).into(),
                _ => {}
            }
            if !state.is_object() {
                state = other;
            }
            if state["metadata"].is_object() {
                state["metadata"]["resourceVersion"] = version.to_string().into();
                state["metadata"]["managedFields"] = serde_json::json!([{"manager": format!("m{version}")}]);
            }
            let mut whole = replica();
            let text = state.to_string();
            assert_eq!(incremental.apply_text(version, &text), whole.apply_text(version, &text), "{text}");
            let shown = incremental.series();
            assert_eq!(shown, whole.series(), "{text}\n{}", case.config);
            invisible += usize::from(shown == before);
        }
    }
    assert!(invisible > 100, "{invisible} invisible changes");
}

/// Returns whether the bytes look like a message, not a text.
fn is_message(bytes: &[u8]) -> bool {
    Fields::new(bytes).all(|field| field.is_ok())
}

/// Returns the fields of a message with their numbers.
fn split(message: &[u8]) -> Vec<(u32, Value<'_>, &[u8])> {
    let mut fields = Fields::new(message);
    let mut split = Vec::new();
    loop {
        let before = fields.rest();
        let Some(field) = fields.next() else { return split };
        let (number, value) = field.expect("a corpus without broken messages");
        split.push((number, value, &before[..before.len() - fields.rest().len()]));
    }
}

/// Returns `message` with one field, at some depth, as in `other`.
fn splice(message: &[u8], other: &[u8], random: &mut Rng) -> Vec<u8> {
    let (own, others) = (split(message), split(other));
    let numbers: BTreeSet<u32> = own.iter().chain(&others).map(|(number, ..)| *number).collect();
    let Some(chosen) = random.choice(numbers) else { return Vec::new() };
    let at = own.iter().position(|(number, ..)| *number == chosen);
    let inner = |fields: &[(u32, Value<'_>, &[u8])]| match random_of(fields, chosen) {
        Some(Value::Bytes(bytes)) if is_message(bytes) && !bytes.is_empty() => Some(bytes.to_vec()),
        _ => None,
    };
    let mut out = Vec::new();
    if let (Some(at), Some(Value::Bytes(ours)), Some(theirs)) =
        (at, own.get(at.unwrap_or(0)).map(|f| f.1), inner(&others))
        && is_message(ours)
        && random.u8(..8) > 0
    {
        for (index, (number, _, raw)) in own.iter().enumerate() {
            if index == at {
                put(&mut out, *number, &New::Bytes(splice(ours, &theirs, random).into()));
            } else {
                out.extend_from_slice(raw);
            }
        }
        return out;
    }
    // In place of the first, so that fields stay in the order of encoders.
    let theirs: Vec<u8> =
        others.iter().filter(|(number, ..)| *number == chosen).flat_map(|(_, _, raw)| raw.to_vec()).collect();
    let mut is_put = false;
    for (number, _, raw) in &own {
        if *number >= chosen && !is_put {
            is_put = true;
            out.extend_from_slice(&theirs);
        }
        if *number != chosen {
            out.extend_from_slice(raw);
        }
    }
    if !is_put {
        out.extend_from_slice(&theirs);
    }
    out
}

fn random_of<'a>(fields: &[(u32, Value<'a>, &[u8])], chosen: u32) -> Option<Value<'a>> {
    fields.iter().find(|(number, ..)| *number == chosen).map(|(_, value, _)| *value)
}

/// Plays states of an object of `R`. Returns the first difference between an incremental and a whole reading.
fn first_difference<R: Resource>(
    objects: &[Vec<u8>],
    states: usize,
    how: (FieldSet, &KeyFilter),
    seed: u64,
) -> Option<String> {
    let (fields, shown) = how;
    let mut random = Rng::with_seed(seed);
    let mut incremental = Replica::new::<R>(fields, shown);
    // The neighbours differ, so that columns have several sections.
    for (number, object) in objects.iter().take(3).enumerate() {
        incremental.apply(&format!("neighbour-{number}"), 1, object);
    }
    let mut neighbours = Replica::new::<R>(fields, shown);
    for (number, object) in objects.iter().take(3).enumerate() {
        neighbours.apply(&format!("neighbour-{number}"), 1, object);
    }
    let others = neighbours.series();
    let mut state = random.choice(objects)?.clone();
    for version in 2..states as u64 {
        state = match random.u8(..20) {
            // As an API server writes it with every change.
            0..4 => set(&state, &[1, 17, 1], &New::Bytes(format!("manager-{version}").into_bytes().into())),
            4 => random.choice(objects)?.clone(),
            _ => splice(&state, random.choice(objects)?, &mut random),
        };
        // Another name or namespace could make it equal to a neighbour.
        state = set(&state, &[1, 1], &"changing".into());
        state = set(&state, &[1, 6], &New::Bytes(version.to_string().into_bytes().into()));
        let mut whole = Replica::new::<R>(fields, shown);
        let unreadable = whole.apply("changing", version, &state);
        if incremental.apply("changing", version, &state) != unreadable {
            return Some(format!("{} {version}: other unreadable fields", name::<R>()));
        }
        // Otherwise the last state stays.
        if unreadable.is_some() {
            let (shown, mut expected) = (incremental.series(), whole.series());
            expected.extend(others.iter().cloned());
            let differing: Vec<_> = shown.symmetric_difference(&expected).collect();
            if !differing.is_empty() {
                return Some(format!("{} {version}: {differing:#?}", name::<R>()));
            }
        }
    }
    None
}

/// The objects of the corpus as messages.
fn messages<R: Resource>() -> Vec<Vec<u8>> {
    recorded::<R>().into_iter().map(|(_, message)| message).collect()
}

/// Returns the seed that `scripts/test` sets, so that it repeats itself, or a new one.
pub fn seed() -> u64 {
    let fixed = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok());
    fixed.unwrap_or_else(|| fastrand::u64(..))
}

struct Compare(u64);

impl Visitor for Compare {
    fn visit<R: Resource>(&mut self) {
        let objects = messages::<R>();
        let states = if R::CUT.parts.is_empty() { STATES.0 } else { STATES.1 };
        for shown in [KeyFilter::None, KeyFilter::All] {
            for fields in [FieldSet::Usual, FieldSet::More] {
                // Few kinds have families that read more.
                if fields == FieldSet::More && R::FAMILIES.iter().all(|family| family.fields == FieldSet::Usual) {
                    continue;
                }
                if let Some(difference) = first_difference::<R>(&objects, states, (fields, &shown), self.0) {
                    panic!("seed {}: {difference}", self.0);
                }
            }
        }
    }
}

#[test]
fn changed_parts_show_what_a_whole_object_shows() {
    visit_all(&mut Compare(seed()));
}

/// Counts depend on the past of an object, so both stores have to see all of it. JSON has no fingerprints, and is read whole.
#[test]
fn what_is_counted_after_changed_parts_is_what_is_counted_after_whole_objects() {
    let (objects, mut random) = (messages::<Pods>(), Rng::with_seed(seed()));
    let counts = |fields: FieldSet| {
        let counted = |family: &Family<Pods>| matches!(family.series, Series::Counted(_));
        // Others as well, so that changes of other parts are visible, and all views are read.
        let enabled = |family: &Family<Pods>| {
            counted(family)
                || family.name == "kube_pod_status_phase"
                || fields == FieldSet::More && family.fields == FieldSet::More
        };
        let collector = Collector::<Pods>::new(enabled, KeyFilter::None, KeyFilter::None);
        let objects = ResourceStore::new("pods", collector.headers());
        Replica { store: Store::new(vec![Arc::clone(&objects)]), sink: sink(collector, objects) }
    };
    for fields in [FieldSet::Usual, FieldSet::More] {
        let (mut incremental, mut whole) = (counts(fields), counts(fields));
        let (mut state, mut counted, mut last) = (objects[0].clone(), 0, BTreeSet::new());
        for version in 1..1500 {
            state = match random.u8(..10) {
                0..2 => set(&state, &[1, 17, 1], &New::Bytes(format!("manager-{version}").into_bytes().into())),
                2 => random.choice(&objects).unwrap().clone(),
                _ => splice(&state, random.choice(&objects).unwrap(), &mut random),
            };
            state = set(&state, &[1, 1], &"changing".into());
            let unreadable = Unreadable::default();
            let item = Item::changed("changing", version, Encoding::Protobuf, &state, &unreadable);
            // Statuses that do not decode stay as they were in both.
            let Ok(pod) = item.decode::<Pods>(FieldSet::More) else { continue };
            if unreadable.count() > 0 || incremental.sink.apply(&item).is_err() {
                continue;
            }
            assert!(whole.apply_text(version, &serde_json::to_string(&pod).unwrap()));
            let shown = incremental.series();
            assert_eq!(shown, whole.series(), "version {version}");
            counted +=
                usize::from(shown != last && shown.iter().any(|line| line.contains("_total") && !line.ends_with(" 0")));
            last = shown;
        }
        assert!(counted > 20, "{counted} states with counts");
    }
}

/// Pods with a family that declares the wrong part.
struct Liars;

impl Resource for Liars {
    type Object<'a> = Pod<'a>;
    const API: Api = Pods::API;
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge("kube_pod_liar", "Number of conditions.", conditions).reads(CONTAINERS),
        Family::<Self>::gauge("kube_pod_honest", "Number of containers.", containers).reads(CONTAINERS),
    ];
    const CUT: Cut = Pods::CUT;

    fn identity<'o>(pod: &'o Pod<'_>) -> Identity<'o> {
        Pods::identity(pod)
    }
}

fn conditions(pod: &Pod, samples: &mut Samples) {
    let conditions = pod.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    samples.sample(&[], conditions.filter(|condition| condition.status == "True").count() as f64);
}

fn containers(pod: &Pod, samples: &mut Samples) {
    let statuses = pod.status.iter().filter_map(|status| status.container_statuses.as_ref()).flatten();
    samples.sample(&[], statuses.count() as f64);
}

/// Pods with a family whose field is in no view: it reads the desired state as well, but does not say so.
struct Blind;

impl Resource for Blind {
    type Object<'a> = Pod<'a>;
    const API: Api = Pods::API;
    const FAMILIES: &'static [Family<Self>] =
        &[Family::<Self>::gauge("kube_pod_blind", "Number of tolerations.", tolerations).reads(STATUS)];
    const CUT: Cut = Pods::CUT;

    fn identity<'o>(pod: &'o Pod<'_>) -> Identity<'o> {
        Pods::identity(pod)
    }
}

fn tolerations(pod: &Pod, samples: &mut Samples) {
    let tolerations = pod.spec.iter().filter_map(|spec| spec.tolerations.as_ref()).flatten();
    samples.sample(&[], tolerations.count() as f64);
}

#[test]
fn a_family_that_lies_about_what_it_reads_is_found() {
    let objects = messages::<Pods>();
    let found = |difference: Option<String>, family: &str| {
        let difference = difference.expect("the lie shows");
        assert!(difference.contains(family) && !difference.contains("honest"), "{difference}");
    };
    found(first_difference::<Liars>(&objects, 900, (FieldSet::Usual, &KeyFilter::None), 1), "kube_pod_liar");
    found(first_difference::<Blind>(&objects, 900, (FieldSet::Usual, &KeyFilter::None), 1), "kube_pod_blind");
}

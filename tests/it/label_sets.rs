//! Whatever objects and configs contain, Prometheus takes every series: each label name once, none reserved, valid escapes.
//!
//! The objects are deterministic: each round derives its random numbers from its own index, which a failure prints.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use kube_state_fleet::collectors::custom::{CustomCollector, GroupVersionKind};
use kube_state_fleet::collectors::labels::KeyFilter;
use kube_state_fleet::collectors::{Collector, Resource, Visitor, name, visit_all};
use kube_state_fleet::exposition::{Block, Format, Header, ResourceStore, Selection, Stamp, Store};
use kube_state_fleet::intake::{Form, decode_object};
use kube_state_fleet::settings::custom::CustomResources;
use kube_state_fleet::sharding::{Hashes, Slice};
use serde_json::{Map, Value as Json, json};

use crate::common::corpus::objects;
use crate::common::strict::{self, Series};

/// Rounds per resource: about 5 s of CPU in a debug build.
const ROUNDS: u64 = 30;

/// Rounds of custom resources: about 5 s of CPU in a debug build.
const CUSTOM_ROUNDS: u64 = 2_000;

/// Pieces of keys. Some keys become the same label name, with and without a suffix; others are names with a meaning.
const KEY_PIECES: &[&str] = &[
    "a",
    "A",
    "b",
    "-",
    ".",
    "_",
    "/",
    "_",
    "conflict1",
    "_conflict1",
    "_conflict2",
    "__name__",
    "--name--",
    "__type__",
    "name",
    "namespace",
    "pod",
    "uid",
    "key",
    "state",
    "le",
    "quantile",
    "label_a",
    "9",
    "é",
    "日",
    "\"",
    "\\",
    "\n",
    "{",
    "}",
    "=",
    ",",
    " ",
    "\0",
];

/// Pieces of values.
const VALUE_PIECES: &[&str] = &[
    "",
    "a",
    "1",
    "\"",
    "\\",
    "\n",
    "\\n",
    "\\\"",
    "\r",
    "\0",
    "\t",
    "}",
    "} 1\n",
    "# EOF",
    "é",
    "\u{2028}",
    "\u{10ffff}",
];

fn pieces(rng: &mut Rng, from: &[&str], most: usize) -> String {
    (0..rng.usize(..=most)).map(|_| from[rng.usize(..from.len())]).collect()
}

fn key(rng: &mut Rng) -> String {
    pieces(rng, KEY_PIECES, 3)
}

fn value(rng: &mut Rng) -> String {
    pieces(rng, VALUE_PIECES, 3)
}

fn odd_map(rng: &mut Rng) -> Map<String, Json> {
    (0..rng.usize(..10)).map(|_| (key(rng), json!(value(rng)))).collect()
}

/// Adds odd keys to every map. Where the type of the object has fields and no map, they are ignored.
fn add_keys(json: &mut Json, rng: &mut Rng) {
    match json {
        Json::Object(fields) => {
            fields.values_mut().for_each(|field| add_keys(field, rng));
            if fields.values().all(Json::is_string) {
                fields.extend(odd_map(rng));
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| add_keys(item, rng)),
        _ => {}
    }
}

/// Replaces some texts.
fn replace_texts(json: &mut Json, rng: &mut Rng) {
    match json {
        Json::Object(fields) => fields.values_mut().for_each(|field| replace_texts(field, rng)),
        Json::Array(items) => items.iter_mut().for_each(|item| replace_texts(item, rng)),
        Json::String(text) if rng.u8(..8) == 0 => *text = value(rng),
        _ => {}
    }
}

fn filter(rng: &mut Rng) -> KeyFilter {
    match rng.u8(..4) {
        0 => KeyFilter::None,
        1 => KeyFilter::from_keys([key(rng), format!("{}*", key(rng)), format!("*{}", key(rng))]),
        _ => KeyFilter::All,
    }
}

/// Returns the series of one object, out of both text formats. `context` names the object in a failure.
fn series(headers: Vec<Header>, block: Block, context: &str) -> BTreeMap<String, Vec<Series>> {
    let objects = ResourceStore::new("objects", headers);
    objects.apply(0, "u".into(), Hashes::of("u"), Stamp { version: 1, listed: false }, block);
    let store = Store::new(vec![objects]);
    let parsed = [Format::Text, Format::OpenMetrics].map(|format| {
        let text: Vec<u8> = store.scrape(&Selection::All, format, &Slice::all()).flatten().collect();
        strict::parse(&text, format).unwrap_or_else(|reason| panic!("{context}: {reason}"))
    });
    let [text, open] = parsed;
    // NaN differs from itself.
    assert_eq!(format!("{text:?}"), format!("{open:?}"), "{context}: the formats differ");
    text
}

#[derive(Default)]
struct Rounds {
    read: usize,
    total: usize,
    labels: BTreeSet<String>,
}

impl Visitor for Rounds {
    fn visit<R: Resource>(&mut self) {
        let objects = objects::<R>();
        for round in 0..ROUNDS {
            let mut rng = Rng::with_seed(round);
            // The first object has every field.
            let at = if round % 2 == 0 { 0 } else { rng.usize(..objects.len()) };
            let mut object = objects[at].clone();
            add_keys(&mut object, &mut rng);
            for field in ["labels", "annotations"] {
                object["metadata"][field] = odd_map(&mut rng).into();
            }
            let mut replaced = object.clone();
            replace_texts(&mut replaced, &mut rng);
            let (labels, annotations, promoted) = (filter(&mut rng), filter(&mut rng), filter(&mut rng));
            let collector = Collector::<R>::new(|_| rng.u8(..8) > 0, labels, annotations).promoting(promoted);
            // Not every text is a time.
            for object in [object, replaced] {
                self.total += 1;
                let Ok(decoded) =
                    decode_object::<R>(&object, Form::of::<R>(), &kube_state_fleet::intake::Unreadable::default())
                else {
                    continue;
                };
                self.read += 1;
                let context = format!("{} {round}: {object}", name::<R>());
                let families = series(collector.headers(), collector.collect(&decoded), &context);
                self.labels.extend(families.into_values().flatten().flat_map(|(labels, _)| labels.into_keys()));
            }
        }
    }
}

#[test]
fn no_built_in_object_spoils_a_scrape() {
    let mut rounds = Rounds::default();
    visit_all(&mut rounds);
    assert!(rounds.read * 3 > rounds.total * 2, "only {} of {} objects can be read", rounds.read, rounds.total);
    // The objects have conflicts of conflicts in every map whose keys become labels.
    for prefix in ["label_", "annotation_", "nodeselector_", "metadata_"] {
        let conflicts = |label: &&String| label.starts_with(prefix) && label.matches("_conflict").count() > 1;
        assert!(rounds.labels.iter().any(|label| conflicts(&label)), "no conflict of conflicts in {prefix}*");
    }
}

/// A path into an object of [`custom_object`].
fn path(rng: &mut Rng) -> Json {
    let paths: &[&[&str]] = &[
        &[],
        &["spec"],
        &["spec", "map"],
        &["spec", "maps"],
        &["spec", "list"],
        &["spec", "list", "0"],
        &["n"],
        &["a"],
    ];
    json!(paths[rng.usize(..paths.len())])
}

fn label_paths(rng: &mut Rng) -> Json {
    let paths = (0..rng.usize(..4)).map(|_| {
        let name = match rng.u8(..4) {
            0 => "*".to_owned(),
            1 => format!("{}*", key(rng)),
            2 => format!("*{}", key(rng)),
            _ => key(rng),
        };
        (name, path(rng))
    });
    Json::Object(paths.collect())
}

fn common_labels(rng: &mut Rng) -> Json {
    let mut labels = odd_map(rng);
    labels.retain(|name, _| !name.is_empty());
    labels.into()
}

fn custom_config(rng: &mut Rng) -> Json {
    let gauge = json!({"type": "Gauge", "gauge": {
        "path": path(rng), "labelsFromPath": label_paths(rng), "labelFromKey": key(rng), "valueFrom": path(rng),
        "nilIsZero": rng.bool(),
    }});
    let info = json!({"type": "Info", "info": {"path": path(rng), "labelsFromPath": label_paths(rng), "labelFromKey": key(rng)}});
    let state_set = json!({"type": "StateSet", "stateSet": {
        "path": path(rng), "labelsFromPath": label_paths(rng), "labelName": key(rng), "valueFrom": path(rng),
        "list": [value(rng), value(rng), "a"],
    }});
    let mut metrics = Vec::new();
    for (name, each) in [("g", gauge), ("i", info), ("s", state_set)] {
        metrics.push(json!({
            "name": name, "help": value(rng), "commonLabels": common_labels(rng), "labelsFromPath": label_paths(rng), "each": each,
        }));
    }
    json!({"spec": {"resources": [{
        "groupVersionKind": {"group": "a.b", "version": "v1", "kind": "Foo"},
        "commonLabels": common_labels(rng), "labelsFromPath": label_paths(rng), "metrics": metrics,
    }]}})
}

fn custom_object(rng: &mut Rng) -> Json {
    let mut maps = Map::new();
    for _ in 0..rng.usize(..5) {
        maps.insert(key(rng), odd_map(rng).into());
    }
    let list: Vec<Json> = (0..rng.usize(..5)).map(|_| odd_map(rng).into()).collect();
    let mut object = odd_map(rng);
    object.insert("n".to_owned(), json!(1));
    object.insert("spec".to_owned(), json!({"map": odd_map(rng), "maps": maps, "list": list, "n": 1, "a": value(rng)}));
    object.into()
}

#[test]
fn no_custom_resource_spoils_a_scrape() {
    let of = GroupVersionKind { group: "a.b".to_owned(), version: "v1".to_owned(), kind: "Foo".to_owned() };
    let (mut valid, mut seen) = (0, BTreeSet::new());
    for round in 0..CUSTOM_ROUNDS {
        let mut rng = Rng::with_seed(round);
        let (config, object) = (custom_config(&mut rng).to_string(), custom_object(&mut rng));
        // A StateSet needs a name for its label.
        let Ok(custom) = CustomResources::parse("config", &config) else { continue };
        valid += 1;
        let collector = CustomCollector::new(&custom.entries()[0].definition, &of, |_| true, 0);
        let block = collector.collect(&object).expect("an object").block;
        let families = series(collector.headers(), block, &format!("{round}: {config} {object}"));
        for (family, series) in families {
            seen.extend((!series.is_empty()).then_some(family.clone()));
            let (labels, _) = &series.first().cloned().unwrap_or_default();
            seen.extend(labels.keys().filter(|name| ["le", "quantile"].contains(&name.as_str())).cloned());
        }
    }
    assert!(valid * 2 > CUSTOM_ROUNDS, "only {valid} of {CUSTOM_ROUNDS} configs are valid");
    for expected in ["kube_customresource_g", "kube_customresource_i", "kube_customresource_s", "le", "quantile"] {
        assert!(seen.contains(expected), "no {expected} in {seen:?}");
    }
}

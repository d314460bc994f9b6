//! Every object of the corpus gives the same series from protobuf as from JSON, in the form in which a server sends it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::iter;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use k8s_openapi::Resource as _;
use kube_state_fleet::collectors::labels::KeyFilter;
use kube_state_fleet::collectors::{Collector, Resource, Visitor, name, visit_all};
use kube_state_fleet::intake::protobuf::wire::{Fields, Value};
use kube_state_fleet::intake::{Encoding, Form, Item, decode_object};
use kube_state_fleet::sharding::Hashes;
use serde_json::{Value as Json, json};

/// The fields of `PartialObjectMetadata` as a server cuts it from a whole object: `metadata`, number 1.
fn partial_protobuf(object: &[u8]) -> Vec<u8> {
    let mut partial = Vec::new();
    let mut fields = Fields::new(object);
    loop {
        let before = fields.rest();
        match fields.next() {
            Some(Ok((1, Value::Bytes(_)))) => partial.extend(&before[..before.len() - fields.rest().len()]),
            Some(field) => assert!(field.is_ok(), "the corpus holds no broken messages"),
            None => return partial,
        }
    }
}

/// The same in JSON, as it stands in the row of a `Table`.
fn partial_json(object: &Json) -> Vec<u8> {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
        .to_string()
        .into_bytes()
}

/// The objects of a resource, as JSON and as the whole protobuf message.
fn corpus<R: Resource>() -> Vec<(Json, Vec<u8>)> {
    let path = format!("{}/tests/data/corpus/{}.jsonl.gz", env!("CARGO_MANIFEST_DIR"), name::<R>());
    BufReader::new(GzDecoder::new(File::open(path).unwrap()))
        .lines()
        .map(|line| {
            let mut line: Json = serde_json::from_str(&line.unwrap()).unwrap();
            let protobuf = STANDARD.decode(line["protobuf"].as_str().unwrap()).unwrap();
            (line["object"].take(), protobuf)
        })
        .collect()
}

struct Compare;

impl Visitor for Compare {
    fn visit<R: Resource>(&mut self) {
        let collector = Collector::<R>::new(|_| true, KeyFilter::All, KeyFilter::All);
        for (number, (object, protobuf)) in corpus::<R>().iter().enumerate() {
            let (encoding, bytes, table_type) = match Form::of::<R::Object>() {
                Form::Object => (Encoding::Protobuf, protobuf.clone(), None),
                Form::Metadata => (Encoding::Protobuf, partial_protobuf(protobuf), None),
                Form::Table => (Encoding::Json, partial_json(object), object["type"].as_str().or(Some(""))),
            };
            let item = Item {
                uid: "",
                hashes: Hashes::default(),
                version: 0,
                listed: true,
                encoding,
                form: Form::of::<R::Object>(),
                table_type,
                bytes: &bytes,
            };

            let from_json: R::Object = decode_object(object, Form::of::<R::Object>()).unwrap();
            let from_server: R::Object = item.decode().unwrap();
            assert!(
                collector.collect(&from_server) == collector.collect(&from_json),
                "the series of the object in line {} of {}.jsonl.gz differ",
                number + 1,
                name::<R>(),
            );
        }
    }
}

#[test]
fn protobuf_and_json_of_an_object_give_the_same_series() {
    visit_all(&mut Compare);
}

/// The leaves of `fields.txt` under the heading `kind`, each a path of JSON names.
fn listed(kind: &str) -> Vec<Vec<&'static str>> {
    let mut paths = Vec::new();
    let mut ours = false;
    for line in include_str!("../../src/intake/protobuf/fields.txt").lines().filter(|line| !line.starts_with('#')) {
        let Some(fields) = line.strip_prefix("  ") else {
            ours = line == kind;
            continue;
        };
        if ours {
            let (prefix, names) = fields.split_once(": ").unwrap_or(("", fields));
            let prefix = || prefix.split('.').filter(|part| !part.is_empty());
            paths.extend(names.split_whitespace().map(|name| prefix().chain([name]).collect()));
        }
    }
    paths
}

/// Removes what is at `path`, in every element where the path leads through arrays.
fn remove(json: &mut Json, path: &[&str]) {
    match (json, path) {
        (Json::Array(elements), _) => elements.iter_mut().for_each(|element| remove(element, path)),
        (Json::Object(fields), [name]) => drop(fields.remove(*name)),
        (Json::Object(fields), [name, rest @ ..]) => {
            if let Some(inner) = fields.get_mut(*name) {
                remove(inner, rest);
            }
        }
        _ => {}
    }
}

/// Removes everything beside the last field of `path`.
fn keep_alone(json: &mut Json, path: &[&str]) {
    match (json, path) {
        (Json::Array(elements), _) => elements.iter_mut().for_each(|element| keep_alone(element, path)),
        (Json::Object(fields), [name]) => fields.retain(|field, _| field == name),
        (Json::Object(fields), [name, rest @ ..]) => {
            if let Some(inner) = fields.get_mut(*name) {
                keep_alone(inner, rest);
            }
        }
        _ => {}
    }
}

/// Fields that are read, though nothing in the corpus shows it: resource backends, and the two attributes that count.
const NOT_IN_CORPUS: [&str; 4] = [
    "networking.k8s.io/v1 Ingress spec.rules.http.paths.backend.resource.apiGroup",
    "networking.k8s.io/v1 Ingress spec.rules.http.paths.backend.resource.kind",
    "networking.k8s.io/v1 Ingress spec.rules.http.paths.backend.resource.name",
    "v1 PersistentVolume spec.csi.volumeAttributes",
];

struct FindUnread(Vec<String>);

impl Visitor for FindUnread {
    fn visit<R: Resource>(&mut self) {
        let collector = Collector::<R>::new(|_| true, KeyFilter::All, KeyFilter::All);
        let kind = format!("{} {}", R::Object::API_VERSION, R::Object::KIND);
        let objects = corpus::<R>();
        let series =
            |object: &Json| collector.collect(&decode_object::<R::Object, _>(object, Form::of::<R::Object>()).unwrap());
        let paths = listed(&kind);
        assert!(!paths.is_empty(), "fields.txt has no heading {kind}");
        for path in paths {
            let read = objects.iter().any(|(object, _)| {
                // What a field says may be hidden by its neighbours: of a volume's sources only one counts.
                let alone = (1..path.len()).map(|depth| {
                    let mut object = object.clone();
                    keep_alone(&mut object, &path[..depth]);
                    object
                });
                iter::once(object.clone()).chain(alone).any(|object| {
                    let mut without = object.clone();
                    remove(&mut without, &path);
                    without != object && series(&without) != series(&object)
                })
            });
            if !read {
                self.0.push(format!("{kind} {}", path.join(".")));
            }
        }
    }
}

#[test]
fn every_listed_field_is_read_by_a_collector() {
    let mut unread = FindUnread(Vec::new());
    visit_all(&mut unread);
    assert_eq!(unread.0, NOT_IN_CORPUS, "fields.txt names fields that change no series");
}

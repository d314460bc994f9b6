//! Checks that `fields.txt` lists exactly the fields that the collectors read.

use std::collections::BTreeSet;
use std::iter;

use kube_state_fleet::collectors::labels::KeyFilter;
use kube_state_fleet::collectors::{Collector, Resource, Visitor, visit_all};
use kube_state_fleet::intake::{Form, Unreadable, decode_object};
use serde_json::Value as Json;

use crate::common::corpus::objects;

/// Returns the fields under the headings `kind` and `kind +` in `fields.txt`, as paths of JSON names.
fn listed(kind: &str) -> Vec<Vec<&'static str>> {
    let mut paths = Vec::new();
    let mut ours = false;
    for line in include_str!("../../src/intake/protobuf/fields.txt").lines().filter(|line| !line.starts_with('#')) {
        let Some(fields) = line.strip_prefix("  ") else {
            ours = line.strip_suffix(" +").unwrap_or(line) == kind;
            continue;
        };
        if ours && fields != "*" {
            let (prefix, names) = fields.split_once(": ").unwrap_or(("", fields));
            let prefix = prefix.strip_suffix(" only with").unwrap_or(prefix);
            let prefix = || prefix.split('.').filter(|part| !part.is_empty());
            paths.extend(names.split_whitespace().map(|name| prefix().chain([name]).collect()));
        }
    }
    paths
}

/// Removes the field at `path`, in every element of the arrays on the path.
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

/// Removes all fields next to the last field of `path`.
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

/// Fields that collectors read, but without an effect in the objects: two attributes of a map.
const WITHOUT_EFFECT: [&str; 1] = ["v1 PersistentVolume spec.csi.volumeAttributes"];

struct FindUnread(Vec<String>);

impl Visitor for FindUnread {
    fn visit<R: Resource>(&mut self) {
        let collector = Collector::<R>::new(|_| true, KeyFilter::All, KeyFilter::All);
        let kind = format!("{} {}", R::API.api_version, R::API.kind);
        let objects = objects::<R>();
        let series = |object: &Json| {
            collector.collect(&decode_object::<R>(object, Form::of::<R>(), &Unreadable::default()).unwrap())
        };
        let paths = listed(&kind);
        assert!(!paths.is_empty(), "fields.txt has no heading {kind}");
        for path in paths {
            let read = objects.iter().any(|object| {
                // Other fields may hide the effect of a field: only one source of a volume counts.
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
    assert_eq!(unread.0, WITHOUT_EFFECT, "fields.txt names fields that change no series");
}

/// The annotation that the decoder drops from objects that it does not read whole.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Reads all fields that the types of an object have: those that any kind lists. `None` if a value does not fit its field.
fn plain<R: Resource>(object: &Json) -> Option<R::Object<'static>> {
    let mut object = object.clone();
    drop_nulls(&mut object);
    if Form::of::<R>() != Form::Object {
        remove(&mut object, &["metadata", "annotations", LAST_APPLIED]);
    }
    serde_json::from_value(object).ok()
}

/// Removes all `null` values. Only the decoder accepts them for required fields.
fn drop_nulls(json: &mut Json) {
    match json {
        Json::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Json::Array(elements) => elements.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Collects the paths of all fields of `json`, without indices.
fn paths(json: &Json, path: &[String], found: &mut BTreeSet<Vec<String>>) {
    match json {
        Json::Object(fields) => {
            for (name, value) in fields {
                let path = [path, std::slice::from_ref(name)].concat();
                paths(value, &path, found);
                found.insert(path);
            }
        }
        Json::Array(elements) => elements.iter().for_each(|element| paths(element, path, found)),
        _ => {}
    }
}

/// Collects the families whose series change if the decoder skips the unlisted fields, with these fields.
struct FindLost(BTreeSet<String>);

impl Visitor for FindLost {
    fn visit<R: Resource>(&mut self) {
        let kind = format!("{} {}", R::API.api_version, R::API.kind);
        let all = Collector::<R>::new(|_| true, KeyFilter::All, KeyFilter::All);
        let mut compared = 0;
        for object in objects::<R>() {
            let Some(whole) = plain::<R>(&object) else { continue };
            let listed =
                decode_object::<R>(&object, Form::of::<R>(), &Unreadable::default()).expect("the object decodes");
            compared += 1;
            if all.collect(&whole) == all.collect(&listed) {
                continue;
            }
            for family in R::FAMILIES {
                let one = Collector::<R>::new(|f| f.name == family.name, KeyFilter::All, KeyFilter::All);
                let expected = one.collect(&whole);
                if expected == one.collect(&listed) {
                    continue;
                }
                let fields = unlisted(&kind, &object).into_iter().filter(|path| {
                    let mut without = object.clone();
                    remove(&mut without, &path.iter().map(String::as_str).collect::<Vec<_>>());
                    plain::<R>(&without).is_some_and(|without| one.collect(&without) != expected)
                });
                let fields: Vec<String> = fields.map(|path| path.join(".")).collect();
                self.0.insert(format!("{kind}: {} reads {}", family.name, fields.join(" or ")));
            }
        }
        assert!(compared > 0, "{kind}: no object fits its type");
    }
}

/// Returns the fields of `object` that `fields.txt` does not list under `kind`.
fn unlisted(kind: &str, object: &Json) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    paths(object, &[], &mut found);
    let listed = listed(kind);
    found.retain(|path| !listed.iter().any(|listed| iter::zip(listed, path).all(|(listed, name)| listed == name)));
    found
}

#[test]
fn a_collector_reads_fields_that_its_kind_lists_only() {
    let mut lost = FindLost(BTreeSet::new());
    visit_all(&mut lost);
    let lost: Vec<_> = lost.0.into_iter().collect();
    assert!(
        lost.is_empty(),
        "add the fields to src/intake/protobuf/fields.txt and run scripts/gen-fields:\n{}",
        lost.join("\n")
    );
}

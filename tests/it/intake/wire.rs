//! Responses of API servers, built by hand in protobuf and JSON.

use serde_json::{Value, json};

/// A field of bytes.
pub fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut out = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(content);
    out
}

fn envelope(kind: &str, raw: &[u8]) -> Vec<u8> {
    [b"k8s\0".to_vec(), field(1, [field(1, "v1"), field(2, kind)].concat()), field(2, raw), field(3, ""), field(4, "")]
        .concat()
}

/// An object with metadata only.
pub fn object(uid: &str, version: u64) -> Vec<u8> {
    field(1, [field(1, format!("name-{uid}")), field(3, "ns"), field(5, uid), field(6, version.to_string())].concat())
}

/// A list of one kind.
pub fn list(kind: &str, version: u64, next: &str, items: &[Vec<u8>]) -> Vec<u8> {
    let metadata = field(1, [field(1, ""), field(2, version.to_string()), field(3, next)].concat());
    let items = items.iter().flat_map(|item| field(2, item));
    envelope(kind, &metadata.into_iter().chain(items).collect::<Vec<_>>())
}

/// A list of pods in two parts: the first ends after `cut` items.
pub fn list_in_two(version: u64, items: &[Vec<u8>], cut: usize) -> [Vec<u8>; 2] {
    let mut head = list("PodList", version, "", items);
    // After the items come two empty fields of the envelope.
    let tail = head.split_off(head.len() - 4 - items[cut..].iter().map(|item| field(2, item).len()).sum::<usize>());
    [head, tail]
}

/// A watch event with its frame.
pub fn event(verb: &str, kind: &str, object: &[u8]) -> Vec<u8> {
    let event = [field(1, verb), field(2, field(1, envelope(kind, object)))].concat();
    [&(event.len() as u32).to_be_bytes()[..], &event].concat()
}

/// A watch event of a pod.
pub fn pod(verb: &str, uid: &str, version: u64) -> Vec<u8> {
    event(verb, "Pod", &object(uid, version))
}

/// A bookmark. With `end` it is the one after the initial events.
pub fn bookmark(version: u64, end: bool) -> Vec<u8> {
    let annotation = field(12, [field(1, "k8s.io/initial-events-end"), field(2, "true")].concat());
    let metadata = [field(5, ""), field(6, version.to_string()), if end { annotation } else { Vec::new() }].concat();
    event("BOOKMARK", "Pod", &field(1, metadata))
}

/// An `ERROR` event.
pub fn error(code: u8) -> Vec<u8> {
    // Status.code is field 6, a varint; all codes in use need two bytes.
    let code = u64::from(code) + 256;
    event(
        "ERROR",
        "Status",
        &[field(3, "too old resource version"), vec![0x30, code as u8 | 0x80, (code >> 7) as u8]].concat(),
    )
}

/// A line of JSON.
pub fn line(verb: &str, object: &Value) -> String {
    json!({"type": verb, "object": object}).to_string() + "\n"
}

/// An object in JSON.
pub fn json_object(kind: &str, uid: &str, version: u64) -> Value {
    json!({
        "kind": kind, "apiVersion": "v1",
        "metadata": {"name": format!("name-{uid}"), "namespace": "ns", "uid": uid, "resourceVersion": version.to_string()},
    })
}

/// A bookmark in JSON.
pub fn json_bookmark(kind: &str, version: u64, end: bool) -> Value {
    let annotations = if end { json!({"k8s.io/initial-events-end": "true"}) } else { json!({}) };
    json!({"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": version.to_string(), "annotations": annotations}})
}

/// A Table around one object.
pub fn table(columns: bool, cell: &str, object: Value) -> Value {
    let columns = if columns { json!([{"name": "Name"}, {"name": "Type"}, {"name": "Data"}]) } else { Value::Null };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": object["metadata"]["resourceVersion"]},
        "columnDefinitions": columns, "rows": [{"cells": ["x", cell, 1], "object": object}],
    })
}

//! Compares the series of every object in the corpus from protobuf and from JSON, in the forms in which a server sends it.

use kube_state_fleet::collectors::labels::KeyFilter;
use kube_state_fleet::collectors::parts::FieldSet;
use kube_state_fleet::collectors::{Collector, Resource, Visitor, name, visit_all};
use kube_state_fleet::intake::protobuf::wire::{Fields, Value};
use kube_state_fleet::intake::{Encoding, Form, Item, Unreadable, decode_object};
use kube_state_fleet::sharding::Hashes;
use serde_json::{Value as Json, json};

use crate::common::corpus::recorded;

/// Returns the `PartialObjectMetadata` of a whole object: the field `metadata`, number 1.
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

/// Returns the `PartialObjectMetadata` as JSON, as in a row of a `Table`.
fn partial_json(object: &Json) -> Vec<u8> {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
        .to_string()
        .into_bytes()
}

struct Compare;

impl Visitor for Compare {
    fn visit<R: Resource>(&mut self) {
        let collector = Collector::<R>::new(|_| true, KeyFilter::All, KeyFilter::All);
        // Without the families that read more, fewer fields are decoded.
        let usual = Collector::<R>::new(|family| family.fields == FieldSet::Usual, KeyFilter::All, KeyFilter::All);
        assert_eq!(usual.fields(), FieldSet::Usual);
        for (number, (object, message)) in (1..).zip(recorded::<R>()) {
            let object = &object;
            let (encoding, bytes, table_type) = match Form::of::<R>() {
                Form::Object => (Encoding::Protobuf, message, None),
                Form::Metadata => (Encoding::Protobuf, partial_protobuf(&message), None),
                Form::Table => (Encoding::Json, partial_json(object), object["type"].as_str().or(Some(""))),
            };
            let item = Item {
                uid: "",
                hashes: Hashes::default(),
                version: 0,
                listed: true,
                encoding,
                form: Form::of::<R>(),
                table_type,
                bytes: &bytes,
                unreadable: &Unreadable::default(),
            };

            let from_json = decode_object::<R>(object, Form::of::<R>(), &Unreadable::default()).unwrap();
            for collector in [&collector, &usual] {
                let from_server = item.decode::<R>(collector.fields()).unwrap();
                assert!(
                    collector.collect(&from_server) == collector.collect(&from_json),
                    "the series of recorded object {} of {} differ",
                    number,
                    name::<R>(),
                );
            }
        }
    }
}

#[test]
fn protobuf_and_json_of_an_object_give_the_same_series() {
    visit_all(&mut Compare);
}

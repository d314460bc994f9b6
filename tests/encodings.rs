//! Every object of the corpus gives the same series from protobuf as from JSON, in the form in which a server sends it.

use std::fs::File;
use std::io::{BufRead, BufReader};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use kube_state_fleet::collectors::labels::KeyFilter;
use kube_state_fleet::collectors::{Collector, Form, Resource, Visitor, name, visit_all};
use kube_state_fleet::intake::protobuf::wire::{Fields, Value};
use kube_state_fleet::intake::{Encoding, Item, decode_object};
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

struct Compare;

impl Visitor for Compare {
    fn visit<R: Resource>(&mut self) {
        let collector = Collector::<R>::new(|_| true, KeyFilter::All, KeyFilter::All);
        let path = format!("{}/tests/data/corpus/{}.jsonl.gz", env!("CARGO_MANIFEST_DIR"), name::<R>());
        let lines = BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines();
        for (number, line) in lines.enumerate() {
            let line: Json = serde_json::from_str(&line.unwrap()).unwrap();
            let object = &line["object"];
            let protobuf = STANDARD.decode(line["protobuf"].as_str().unwrap()).unwrap();
            let (encoding, bytes, table_type) = match R::FORM {
                Form::Object => (Encoding::Protobuf, protobuf, None),
                Form::Metadata => (Encoding::Protobuf, partial_protobuf(&protobuf), None),
                Form::Table => (Encoding::Json, partial_json(object), object["type"].as_str().or(Some(""))),
            };
            let item = Item { uid: "", hash: 0, version: 0, encoding, form: R::FORM, table_type, bytes: &bytes };

            let from_json: R::Object = decode_object(object, R::FORM).unwrap();
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

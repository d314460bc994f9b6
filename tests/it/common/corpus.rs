//! The objects of `tests/data/corpus`, and objects made from them.

use std::fs::File;
use std::io::{BufRead, BufReader};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use kube_state_fleet::collectors::{Resource, name};
use serde::Deserialize;
use serde_json::Value as Json;

use super::saturate::{fill, saturated_of};

/// One line of the corpus.
#[derive(Deserialize)]
pub struct Case {
    pub object: Json,
    /// The whole object as a protobuf message, in base64.
    protobuf: String,
    /// The allowlists under which the series were recorded.
    pub labels: Option<Vec<String>>,
    pub annotations: Option<Vec<String>>,
    /// The series that kube-state-metrics printed.
    pub expect: Vec<String>,
}

impl Case {
    pub fn protobuf(&self) -> Vec<u8> {
        STANDARD.decode(&self.protobuf).expect("messages of the corpus are base64")
    }
}

/// The cases of a resource; none if kube-state-metrics does not have it.
pub fn cases<R: Resource>() -> Vec<Case> {
    let prefix = format!("{}\t", name::<R>());
    if !include_str!("../../data/families.tsv").lines().any(|row| row.starts_with(&prefix)) {
        return Vec::new();
    }
    let path = format!("{}/tests/data/corpus/{}.jsonl.gz", env!("CARGO_MANIFEST_DIR"), name::<R>());
    let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    BufReader::new(GzDecoder::new(file))
        .lines()
        .map(|line| serde_json::from_str(&line.expect("the corpus is gzipped UTF-8")).expect("a line is a case"))
        .collect()
}

/// Pods of `tests/data/pod-resources.jsonl.gz` with resources as opt-in families show them, also as messages.
fn resized_pods() -> Vec<(Json, Vec<u8>)> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/pod-resources.jsonl.gz");
    let lines = BufReader::new(GzDecoder::new(File::open(file).expect("the file exists"))).lines();
    let pods = lines.filter_map(|line| {
        let mut case: Json = serde_json::from_str(&line.expect("gzipped UTF-8")).expect("a line is a case");
        let message = STANDARD.decode(case.get("protobuf")?.as_str()?).expect("base64");
        Some((case["pod"].take(), message))
    });
    pods.collect()
}

/// The recorded objects of a resource, with their protobuf messages.
pub fn recorded<R: Resource>() -> Vec<(Json, Vec<u8>)> {
    let own = if name::<R>() == "pods" { resized_pods() } else { Vec::new() };
    let cases = cases::<R>().into_iter().map(|case| {
        let message = case.protobuf();
        (case.object, message)
    });
    cases.chain(own).collect()
}

/// The objects of a resource, an object with every field set, and the objects with their unset fields set as there.
pub fn objects<R: Resource>() -> Vec<Json> {
    let full = saturated_of(R::API.plural);
    let recorded: Vec<Json> = recorded::<R>().into_iter().map(|(object, _)| object).collect();
    let filled: Vec<Json> = recorded
        .iter()
        .cloned()
        .map(|mut object| {
            fill(&mut object, &full);
            object
        })
        .collect();
    [vec![full], recorded, filled].concat()
}

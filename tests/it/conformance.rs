//! Compares the series of every object in the recorded corpus with those of kube-state-metrics.
//!
//! `CORPUS=pods,nodes cargo test --test it conformance::` checks only these resources and shows more differences.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube_state_fleet::collectors::labels::KeyFilter;
use kube_state_fleet::collectors::{Collector, Resource, Visitor, name, visit_all};
use kube_state_fleet::exposition::{Block, Format, ResourceStore, Selection, Stamp, Store, Uid};
use kube_state_fleet::intake::{Form, Unreadable, decode_object};
use kube_state_fleet::sharding::{Hashes, Slice};

use crate::common::corpus::cases;

/// Families that kube-state-metrics does not have.
const OWN: &str = include_str!("../data/own-families.txt");

fn filter(keys: &Option<Vec<String>>) -> KeyFilter {
    match keys {
        None => KeyFilter::None,
        Some(keys) => KeyFilter::from_keys(keys),
    }
}

/// Name, labels by name, and value: the identity of a series regardless of the order of its labels.
type Sample = (String, BTreeMap<String, String>, u64);

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a series has a value");
    let value: f64 = value.parse().expect("a value is a number");
    let (name, mut rest) = series.split_once('{').unwrap_or((series, "}"));
    let mut labels = BTreeMap::new();
    while rest != "}" {
        let (label, after) = rest.split_once("=\"").expect("a label has a value");
        let mut end = 0;
        while after.as_bytes()[end] != b'"' {
            end += 1 + usize::from(after.as_bytes()[end] == b'\\');
        }
        labels.insert(label.trim_start_matches(',').to_owned(), after[..end].to_owned());
        rest = &after[end + 1..];
    }
    (name.to_owned(), labels, value.to_bits())
}

fn series(headers: &[kube_state_fleet::exposition::Header], block: Block) -> Vec<Sample> {
    let one = ResourceStore::new("one", headers.to_vec());
    let store = Store::new(vec![Arc::clone(&one)]);
    one.apply(0, Uid::from("uid"), Hashes::of("uid"), Stamp { version: 1, listed: false }, block);
    let text: Vec<u8> = store.scrape(&Selection::All, Format::Text, &Slice::all()).flatten().collect();
    let text = String::from_utf8(text).expect("the exposition is UTF-8");
    text.lines().filter(|l| !l.starts_with('#')).map(sample).collect()
}

struct Check {
    only: Option<Vec<String>>,
    good: usize,
    total: usize,
    problems: Vec<String>,
}

impl Visitor for Check {
    fn visit<R: Resource>(&mut self) {
        let resource = name::<R>();
        if self.only.as_ref().is_some_and(|only| !only.iter().any(|o| o == resource)) {
            return;
        }
        for case in cases::<R>() {
            let object = decode_object::<R>(&case.object, Form::of::<R>(), &Unreadable::default())
                .expect("a corpus object parses");
            let recorded = |name| !OWN.lines().any(|own| own == name);
            let collector =
                Collector::<R>::new(|family| recorded(family.name), filter(&case.labels), filter(&case.annotations));
            let mut actual = series(&collector.headers(), collector.collect(&object));
            let mut expected: Vec<_> = case.expect.iter().map(|line| sample(line)).collect();
            actual.sort();
            expected.sort();
            self.total += expected.len();
            self.good += expected.iter().filter(|e| actual.binary_search(e).is_ok()).count();
            let name = object_name(&case.object);
            self.problems.extend(difference(&expected, &actual).map(|s| format!("{resource} {name}: - {s}")));
            self.problems.extend(difference(&actual, &expected).map(|s| format!("{resource} {name}: + {s}")));
        }
    }
}

fn object_name(object: &serde_json::Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or("without a name")
}

fn difference<'a>(a: &'a [Sample], b: &'a [Sample]) -> impl Iterator<Item = String> + 'a {
    a.iter()
        .filter(|s| b.binary_search(s).is_err())
        .map(|(name, labels, value)| format!("{name}{labels:?} {}", f64::from_bits(*value)))
}

#[test]
fn every_object_gives_the_recorded_series() {
    let only: Option<Vec<String>> = std::env::var("CORPUS").ok().map(|v| v.split(',').map(str::to_owned).collect());
    let shown = if only.is_some() { 60 } else { 20 };
    let mut check = Check { only, good: 0, total: 0, problems: Vec::new() };
    visit_all(&mut check);
    println!("{}/{} series as recorded, {} differences", check.good, check.total, check.problems.len());
    for problem in check.problems.iter().take(shown) {
        println!("{problem}");
    }
    assert!(check.problems.is_empty(), "{} differences", check.problems.len());
}

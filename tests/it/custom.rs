//! Compares the series of custom resources with those of kube-state-metrics.
//!
//! The cases in `tests/data/custom/cases.jsonl.gz` are generated: an object with values of all types in unusual places, and a
//! config with paths into it. The expected series were recorded from the collectors of kube-state-metrics v2.20.0.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::common::series;
use flate2::read::GzDecoder;
use kube_state_fleet::collectors::custom::{CustomCollector, GroupVersionKind};
use kube_state_fleet::exposition::{Format, ResourceStore, Selection, Stamp, Store};
use kube_state_fleet::settings::custom::CustomResources;
use kube_state_fleet::sharding::{Hashes, Slice};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Case {
    pub config: String,
    /// JSON.
    pub object: String,
    /// The error, if the config is rejected.
    error: Option<String>,
    /// The message, if the collector panicked.
    panic: Option<String>,
    series: Vec<String>,
}

/// The values of each label set: several if it occurs more than once.
type Series = BTreeMap<String, BTreeSet<String>>;

/// A series with its labels sorted, and its value.
fn canonical(line: &str) -> (String, String) {
    let (name, labels, value) = series::split(line);
    // The only difference: a name that starts with a digit is invalid.
    let valid =
        |label: &str| format!("{}{label}", if label.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" });
    let mut labels: Vec<_> = labels.into_iter().map(valid).filter(|label| !label.starts_with("=\"")).collect();
    labels.sort_unstable();
    (format!("{name}{{{}}}", labels.join(",")), value.to_owned())
}

fn gathered<'a>(lines: impl Iterator<Item = &'a str>) -> Series {
    let mut series = Series::new();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let (labels, value) = canonical(line);
        series.entry(labels).or_default().insert(value);
    }
    series
}

fn collected(custom: &CustomResources, object: &str) -> Series {
    let json: serde_json::Value = serde_json::from_str(object).expect("an object");
    let (group, version) = json["apiVersion"].as_str().unwrap().split_once('/').unwrap();
    let kind = json["kind"].as_str().unwrap();
    let of = GroupVersionKind { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() };
    let Some(entry) = custom.of(&of) else { return Series::new() };
    let collector = CustomCollector::new(&entry.definition, &of, |_| true, 0);
    let block = collector.collect(&mut serde_json::Deserializer::from_str(object)).expect("JSON").block;
    assert_eq!(block, collector.collect(&json).expect("a tree").block, "text and tree give the same");
    let objects = ResourceStore::new("things", collector.headers());
    objects.apply(0, "u".into(), Hashes::of("u"), Stamp { version: 1, listed: false }, block);
    let store = Store::new(vec![objects]);
    let text: Vec<u8> = store.scrape(&Selection::All, Format::Text, &Slice::all()).flatten().collect();
    gathered(String::from_utf8(text).expect("UTF-8").lines())
}

/// Returns the path of the cases: the recorded ones, or the file in `KSF_CUSTOM_CASES`.
fn cases() -> PathBuf {
    let recorded = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/custom/cases.jsonl.gz");
    std::env::var_os("KSF_CUSTOM_CASES").map_or_else(recorded, PathBuf::from)
}

/// Returns all cases.
pub fn all_cases() -> impl Iterator<Item = Case> {
    let file = std::fs::File::open(cases()).expect("the cases");
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    lines.map(|line| serde_json::from_str(&line.expect("UTF-8")).expect("a case"))
}

#[test]
fn series_equal_those_of_kube_state_metrics() {
    let (mut compared, mut wrong) = (0, Vec::new());
    for (number, case) in all_cases().enumerate() {
        let custom = match (CustomResources::parse("config", &case.config), &case.error) {
            (Ok(custom), None) => custom,
            (Err(_), Some(_)) => continue,
            (Ok(_), Some(error)) => panic!("case {number} is accepted: {error}\n{}", case.config),
            (Err(error), None) => panic!("case {number}: {error}\n{}", case.config),
        };
        let actual = collected(&custom, &case.object);
        if case.panic.is_some() {
            continue;
        }
        compared += 1;
        let expected = gathered(case.series.iter().map(String::as_str));
        // If a label set occurs twice, one of its values is served.
        let same = |(labels, values): (&String, &BTreeSet<String>)| {
            actual.get(labels).is_some_and(|of_ours| of_ours.is_subset(values))
        };
        if expected.len() != actual.len() || !expected.iter().all(same) {
            wrong.push(format!(
                "case {number}: {}\n{}\nexpected {expected:#?}\nis {actual:#?}",
                case.object, case.config
            ));
        }
    }
    assert!(compared > 200, "{compared} cases");
    assert!(wrong.is_empty(), "{} of {compared} cases, the first: {}", wrong.len(), wrong[0]);
}

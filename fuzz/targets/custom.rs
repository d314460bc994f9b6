//! Configs of custom resources and objects, whatever they are. Up to a zero byte stands a config, behind it an object; and, so
//! that more than mistakes of YAML is tried, the lines of the same text are the parts of a path into the same object.

#![no_main]

use std::collections::BTreeMap;

use kube_state_fleet::collectors::custom::{
    CustomCollector, Definition, Each, GroupVersionKind, Kind, LabelPaths, Metric, Path,
};
use kube_state_fleet::settings::custom::CustomResources;

fn collect(definition: &Definition, object: &str) {
    let of = GroupVersionKind { group: "a.b".to_owned(), version: "v1".to_owned(), kind: "Foo".to_owned() };
    let collector = CustomCollector::new(definition, &of, |_| true, u8::MAX);
    let _ = collector.collect(&mut serde_json::Deserializer::from_str(object));
}

/// A metric of each type, with `parts` as the path to it, of its value and of its labels.
fn everywhere(parts: &[&str]) -> Option<Definition> {
    let (first, second) = parts.split_at(parts.len() / 2);
    let (path, value_from) = (Path::new(first).ok()?, Path::new(second).ok()?);
    let labels = LabelPaths::new([("*", &path), ("p_*", &value_from), ("a", &value_from), ("b", &path)]);
    let key = Some("key".to_owned());
    let kinds = [
        Kind::Gauge { label_from_key: key.clone(), value_from: value_from.clone(), nil_is_zero: parts.len() % 2 == 0 },
        Kind::Info { label_from_key: key },
        Kind::StateSet { label_name: "state".to_owned(), states: vec!["a".to_owned()], value_from },
    ];
    let metrics = kinds.map(|kind| Metric {
        name: "m".to_owned(),
        help: String::new(),
        common_labels: BTreeMap::new(),
        labels: labels.clone(),
        error_log_v: 0,
        each: Each { path: path.clone(), labels: labels.clone(), kind },
    });
    Some(Definition { common_labels: BTreeMap::new(), metrics: metrics.into() })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (config, object) = text.split_once('\0').unwrap_or((text, ""));
    if let Ok(custom) = CustomResources::parse("config", config) {
        custom.entries().iter().for_each(|entry| collect(&entry.definition, object));
    }
    let parts: Vec<_> = config.lines().collect();
    if let Some(definition) = everywhere(&parts) {
        collect(&definition, object);
    }
});

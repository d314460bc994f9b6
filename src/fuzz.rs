//! The harnesses of the fuzz targets, which tests run on stable compilers too. None of them may panic on any input.

use crate::collectors::custom::{
    CommonLabels, CustomCollector, Definition, Each, GroupVersionKind, Kind, LabelPaths, Metric, Path,
};
use crate::collectors::label_names::LabelName;
pub use crate::commands::rules_fuzz as rules;
pub use crate::intake::fuzz::read as intake;
use crate::settings::custom::CustomResources;

/// Reads `bytes` as a config of custom resources and, behind a zero byte, an object in JSON. Few mutated configs parse, so
/// the lines of the same text also serve as the parts of paths into the same object.
pub fn custom(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (config, object) = text.split_once('\0').unwrap_or((text, ""));
    if let Ok(custom) = CustomResources::parse("config", config) {
        custom.entries().iter().for_each(|entry| collect(&entry.definition, object));
    }
    let parts: Vec<_> = config.lines().collect();
    if let Some(definition) = definition(&parts) {
        collect(&definition, object);
    }
}

fn collect(definition: &Definition, object: &str) {
    let of = GroupVersionKind { group: "a.b".to_owned(), version: "v1".to_owned(), kind: "Foo".to_owned() };
    let collector = CustomCollector::new(definition, &of, |_| true, u8::MAX);
    // Only a panic is an error here.
    let _ = collector.collect(&mut serde_json::Deserializer::from_str(object));
}

/// One metric of each type, with `parts` in the paths of the metric, of its value and of its labels.
fn definition(parts: &[&str]) -> Option<Definition> {
    let (first, second) = parts.split_at(parts.len() / 2);
    let (path, value_from) = (Path::new(first).ok()?, Path::new(second).ok()?);
    let labels = LabelPaths::new([("*", &path), ("p_*", &value_from), ("a", &value_from), ("b", &path)]);
    let name = |text| LabelName::new(text).ok();
    let key = name("key");
    let kinds = [
        Kind::Gauge {
            label_from_key: key.clone(),
            value_from: value_from.clone(),
            nil_is_zero: parts.len().is_multiple_of(2),
        },
        Kind::Info { label_from_key: key },
        Kind::StateSet { label_name: name("state")?, states: vec!["a".to_owned()], value_from },
    ];
    let metrics = kinds.map(|kind| Metric {
        name: "m".to_owned(),
        help: String::new(),
        common_labels: CommonLabels::new(),
        labels: labels.clone(),
        error_log_v: 0,
        each: Each { path: path.clone(), labels: labels.clone(), kind },
    });
    Some(Definition { common_labels: CommonLabels::new(), metrics: metrics.into() })
}

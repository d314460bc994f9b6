//! The harnesses of the fuzz targets, which tests run on stable compilers too. None of them may panic on any input.

use std::collections::BTreeMap;

use crate::collectors::custom::{
    CommonLabels, Convert, CustomCollector, Definition, Each, Entries, EntryKind, EntryLabels, GroupVersionKind, Kind,
    LabelPaths, Metric, Number, NumberSource, Path, Reach, SeriesOf, Walk,
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
    for definition in [definition(&parts), richer_definition(&parts)].into_iter().flatten() {
        collect(&definition, object);
    }
}

fn collect(definition: &Definition, object: &str) {
    let of = GroupVersionKind { group: "a.b".to_owned(), version: "v1".to_owned(), kind: "Foo".to_owned() };
    let collector = CustomCollector::new(definition, &of, |_| true, u8::MAX);
    // Only a panic is an error here.
    let _ = collector.collect(&mut serde_json::Deserializer::from_str(object));
    let _ = collector.hints(&mut serde_json::Deserializer::from_str(object));
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
    Some(of_metrics(
        labels.clone(),
        kinds.map(|kind| SeriesOf::Each(Each { path: path.clone(), labels: labels.clone(), kind })),
    ))
}

/// One metric of each type in the richer format, with `parts` in its paths.
fn richer_definition(parts: &[&str]) -> Option<Definition> {
    let (first, second) = parts.split_at(parts.len() / 2);
    let path = Walk::new(first).ok()?;
    let walk = || Walk::new(second).ok();
    let reach = Reach::new(second, first.len()).unwrap_or_default();
    let name = |text| LabelName::new(text).ok();
    let numbers = [
        (NumberSource::At(reach.clone()), Convert::Values { numbers: BTreeMap::new(), otherwise: Some(0.0) }),
        (NumberSource::Count(walk()?), Convert::Number),
        (NumberSource::Sum(walk()?), Convert::Duration),
    ];
    let gauges = numbers.map(|(source, convert)| EntryKind::Gauge(Number { source, convert, default: Some(1.0) }));
    let states = vec!["a".to_owned()];
    let set = EntryKind::StateSet { label_name: name("state")?, states, from: reach.clone(), default: None };
    let labels = [("*", reach.clone()), ("a", reach)].map(|(name, reach)| (name.to_owned(), (reach, None)));
    let labels = EntryLabels::new(labels.into());
    let label_from_key = path.behind_last_each().and_then(|behind| Some((name("key")?, Reach::key(behind))));
    let entries = gauges.into_iter().chain([EntryKind::Info, set]).map(|kind| {
        let (path, labels, label_from_key) = (path.clone(), labels.clone(), label_from_key.clone());
        SeriesOf::Entries(Box::new(Entries { path, labels, label_from_key, kind }))
    });
    Some(of_metrics(LabelPaths::default(), entries))
}

fn of_metrics(labels: LabelPaths, series: impl IntoIterator<Item = SeriesOf>) -> Definition {
    let metric = |series| Metric {
        name: "m".to_owned(),
        help: String::new(),
        common_labels: CommonLabels::new(),
        labels: labels.clone(),
        error_log_v: 0,
        series,
    };
    Definition { common_labels: CommonLabels::new(), metrics: series.into_iter().map(metric).collect() }
}

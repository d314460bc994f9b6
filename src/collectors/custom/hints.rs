//! Why an object has fewer series than the author of a config may expect. For people who try a config: serving does not need it.
//!
//! kube-state-metrics leaves out what a path does not reach, without a word, because a missing field is no mistake. A path that goes
//! through a list, and an Info without labels, are.

use std::collections::HashSet;

use serde::Deserializer;
use serde::de::DeserializeSeed;

use super::each::{Kind, Line, Out};
use super::entries::{EntryKind, NumberSource};
use super::labels::{LabelPaths, Labels};
use super::path::Path;
use super::value::Value;
use super::walk::{Found, Memory, Reach, Trail};
use super::{CustomCollector, Each, Entries, Family, Problem, SeriesOf};

/// The most hints of one metric about one object.
const HINTS: usize = 64;

/// What an object shows about a config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Paths that end early or late.
    pub problems: Vec<Problem>,
    /// The Info metrics whose path exists in the object, and whether they have a series.
    pub infos: Vec<(String, bool)>,
    /// The series of each metric, in the order of the config.
    pub series: Vec<SeriesCount>,
}

/// The number of series that a metric has for an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesCount {
    /// The name of the family.
    pub metric: String,
    /// The number of different label sets.
    pub distinct: u64,
    /// The number of series whose labels an earlier one has: they are not served.
    pub repeated: u64,
}

impl SeriesOf {
    /// Whether it is an Info that no object can give a label of its own.
    pub fn is_info_without_labels(&self) -> bool {
        match self {
            Self::Each(each) => {
                let Kind::Info { label_from_key } = &each.kind else { return false };
                label_from_key.is_none()
                    && each.labels.named().next().is_none()
                    && each.labels.copied().next().is_none()
            }
            Self::Entries(entries) => {
                let labels = &entries.labels;
                let is_empty = labels.named().next().is_none() && labels.copied().next().is_none();
                matches!(entries.kind, EntryKind::Info) && entries.label_from_key.is_none() && is_empty
            }
        }
    }
}

impl CustomCollector {
    /// Returns what the object in `json` shows about the config.
    ///
    /// # Errors
    /// The input is not JSON.
    pub fn hints<'de, D: Deserializer<'de>>(&self, json: D) -> Result<Hints, D::Error> {
        let object = self.read().deserialize(json)?;
        let mut hints = Hints::default();
        for family in &self.families {
            let mut texts = Vec::new();
            of_labels(&self.bases[family.base].paths, &object, &mut texts);
            family.hints(&object, &mut texts, &mut hints.infos);
            texts.sort();
            texts.dedup();
            let metric = &family.metric.name;
            hints.series.push(family.count(&object, &self.bases[family.base].labels(&object)));
            hints.problems.extend(texts.into_iter().map(|problem| Problem { metric: metric.clone(), problem }));
        }
        Ok(hints)
    }
}

impl Family {
    fn count(&self, object: &Value<'_>, base: &Labels<'_>) -> SeriesCount {
        let mut out = Out { lines: Vec::new(), problems: None };
        self.metric.series.lines(object, &mut out);
        let labels = |line: &Line<'_>| {
            let base = base.iter().filter(|(name, _)| line.labels.get(name).is_none());
            let all = base.chain(line.labels.iter()).filter(|(_, value)| !value.is_empty());
            let mut all: Vec<_> = all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            all.sort_unstable();
            all
        };
        let distinct = out.lines.iter().map(labels).collect::<HashSet<_>>().len();
        let repeated = (out.lines.len() - distinct) as u64;
        SeriesCount { metric: self.metric.name.clone(), distinct: distinct as u64, repeated }
    }

    fn hints(&self, object: &Value<'_>, texts: &mut Vec<String>, infos: &mut Vec<(String, bool)>) {
        match &self.metric.series {
            SeriesOf::Each(each) => self.of_each(each, object, texts, infos),
            SeriesOf::Entries(entries) => self.of_entries(entries, object, texts, infos),
        }
    }

    fn of_each(&self, each: &Each, object: &Value<'_>, texts: &mut Vec<String>, infos: &mut Vec<(String, bool)>) {
        texts.extend(each.path.lost_in_list(object));
        let Some(value) = each.path.get(Some(object)) else { return };
        if matches!(each.kind, Kind::Info { .. }) {
            let mut out = Out { lines: Vec::new(), problems: None };
            each.lines(object, &mut out);
            infos.push((self.metric.name.clone(), !out.lines.is_empty()));
        }
        // The entries of a map may be lists that the metric does not mean.
        let entries = match value {
            Value::List(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        for entry in entries {
            of_labels(&each.labels, entry, texts);
            match &each.kind {
                Kind::Gauge { value_from, .. } if !matches!(entry, Value::Map(_)) || value_from.steps().len() > 1 => {
                    texts.extend(value_from.lost_in_list(entry));
                }
                Kind::StateSet { value_from, .. } => texts.extend(value_from.lost_in_list(entry)),
                Kind::Gauge { .. } | Kind::Info { .. } => {}
            }
        }
    }
}

impl Family {
    fn of_entries(
        &self,
        entries: &Entries,
        object: &Value<'_>,
        texts: &mut Vec<String>,
        infos: &mut Vec<(String, bool)>,
    ) {
        let (mut exists, mut memory, mut checked) = (false, Memory::default(), Memory::default());
        entries.path.ends(Some(object), &mut |trail| {
            exists |= trail.last().is_some_and(|(value, _)| value.is_some());
            for (name, reach) in entries.labels.named() {
                texts.extend(lost(reach, trail, &mut checked).map(|text| format!("label {name}: {text}")));
                if let Some(Found::Value(value @ (Value::List(_) | Value::Map(_)))) = reach.get(trail, &mut memory) {
                    let kind = value.kind();
                    texts.push(format!("label {name}: {reach} is {kind}; a label shows it as Go prints it"));
                }
            }
            for reach in entries.labels.copied() {
                texts.extend(lost(reach, trail, &mut checked));
                if let Some(Found::Value(value @ Value::List(_))) = reach.get(trail, &mut memory) {
                    texts.push(format!("{reach} is {}; only a map can be copied to labels", value.kind()));
                }
            }
            match &entries.kind {
                EntryKind::Gauge(number) => {
                    if let NumberSource::At(reach) = &number.source {
                        texts.extend(lost(reach, trail, &mut checked));
                    }
                }
                EntryKind::StateSet { from, .. } => texts.extend(lost(from, trail, &mut checked)),
                EntryKind::Info => {}
            }
            texts.len() < HINTS
        });
        if exists && matches!(entries.kind, EntryKind::Info) {
            let mut out = Out { lines: Vec::new(), problems: None };
            entries.lines(object, &mut out);
            infos.push((self.metric.name.clone(), !out.lines.is_empty()));
        }
    }
}

/// Why a path ends at a list.
fn lost<'v, 'a>(reach: &Reach, trail: &Trail<'v, 'a>, checked: &mut Memory<'v, 'a>) -> Option<String> {
    let value = reach.start(trail)?.0?;
    checked.is_new(reach.path(), value).then(|| reach.path().lost_in_list(value)).flatten()
}

/// Adds the label paths that go through a list, or lead to a list or map.
fn of_labels(labels: &LabelPaths, from: &Value<'_>, texts: &mut Vec<String>) {
    for (name, path) in labels.named() {
        texts.extend(path.lost_in_list(from).map(|text| format!("label {name}: {text}")));
        if let Some(value @ (Value::List(_) | Value::Map(_))) = path.get(Some(from)) {
            texts.push(format!("label {name}: {path} is {}; a label shows it as Go prints it", value.kind()));
        }
    }
    for path in labels.copied() {
        texts.extend(path.lost_in_list(from));
        if let Some(value @ Value::List(_)) = path.get(Some(from)) {
            texts.push(format!("{path} is {}; only a map can be copied to labels", value.kind()));
        }
    }
}

impl Path {
    /// Why the path ends at a list, if it does before its last step.
    fn lost_in_list(&self, from: &Value<'_>) -> Option<String> {
        let mut value = from.present()?;
        for (index, step) in self.steps().iter().enumerate() {
            if let Value::List(_) = value
                && step.is_name()
            {
                let list = self.beginning(index);
                if step.to_string() == "*" {
                    return Some(format!(
                        "{list} is a list, and \"*\" is a field of a map; write \"[*]\" for each item"
                    ));
                }
                return Some(format!(
                    "{list} is a list, so {self} leads nowhere; select an item by its index or as \"[key=value]\", or end the path of \
                     the metric at the list"
                ));
            }
            value = step.get(value)?;
        }
        None
    }
}

//! The series of a metric in the richer format: one series for each end of its path.
//!
//! kube-state-metrics rejects this format. Nothing is iterated except by `[*]`, and the rules are regular.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::duration;
use super::each::{Line, Out};
use super::labels::Labels;
use super::mask::{Mask, NodeId, ROOT};
use super::number;
use super::value::Value;
use super::walk::{Found, Memory, Reach, Shown, Trail, Walk};
use crate::collectors::label_names::LabelName;
use crate::exposition::MetricType;

/// The most bytes of labels that the entries of a metric read, in one object, from values before them. Many entries may read the same
/// value, so the size of the object is no bound.
const SHARED_LABEL_BYTES: usize = 1 << 20;

/// The most problems of one metric with one object that are described.
const PROBLEMS: usize = 16;

/// A metric: its path, and the series for each end of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entries {
    /// `path`.
    pub path: Walk,
    /// `labelsFromPath`.
    pub labels: EntryLabels,
    /// `labelFromKey`: the key of the last `[*]`.
    pub label_from_key: Option<(LabelName<'static>, Reach)>,
    /// The type, with its settings.
    pub kind: EntryKind,
}

/// The type of a metric.
#[derive(Clone, Debug, PartialEq)]
pub enum EntryKind {
    /// A number.
    Gauge(Number),
    /// A 1 for each end that exists and has a label.
    Info,
    /// One series per state, 1 for the current one.
    StateSet {
        /// `labelName`.
        label_name: LabelName<'static>,
        /// `list`.
        states: Vec<String>,
        /// The place of the state.
        from: Reach,
        /// The state if there is none.
        default: Option<String>,
    },
}

/// The number of a gauge.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// Where it comes from.
    pub source: NumberSource,
    /// How a value becomes a number.
    pub convert: Convert,
    /// The number if there is no value.
    pub default: Option<f64>,
}

/// Where a number comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum NumberSource {
    /// The value at a path.
    At(Reach),
    /// The number of values at a path.
    Count(Walk),
    /// The sum of the values at a path.
    Sum(Walk),
}

/// How a value becomes a number.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Convert {
    /// By the rules of kube-state-metrics.
    #[default]
    Number,
    /// The seconds of a duration.
    Duration,
    /// By a table of texts.
    Values {
        /// The numbers of the texts.
        numbers: BTreeMap<String, f64>,
        /// The number of all other texts.
        otherwise: Option<f64>,
    },
}

impl Convert {
    fn number(&self, value: &Value<'_>) -> Result<f64, String> {
        match (self, value) {
            (_, Value::List(_) | Value::Map(_)) => Err(format!("{} is not a number", value.kind())),
            (Self::Number, _) => number::of(value),
            (Self::Duration, Value::Text(text)) => {
                duration::seconds(text).ok_or_else(|| format!("{text:?} is not a duration such as 1h30m or 5d"))
            }
            (Self::Duration, Value::Bool(_)) => Err("a boolean is not a duration".to_owned()),
            (Self::Duration, _) => number::of(value),
            (Self::Values { numbers, otherwise }, _) => {
                let text = value.label();
                let known = numbers.get(text.as_ref()).copied().or(*otherwise);
                known.ok_or_else(|| format!("{text:?} is none of values, and there is no otherwise"))
            }
        }
    }

    fn of_found(&self, found: Found<'_, '_>) -> Result<f64, String> {
        match found {
            Found::Value(value) => self.number(value),
            Found::Key(key) => self.number(&Value::Text(key)),
        }
    }
}

/// `labelsFromPath` of a metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EntryLabels {
    copies: Vec<(String, Reach)>,
    named: Vec<(LabelName<'static>, Reach, Option<String>)>,
}

impl EntryLabels {
    /// Takes the paths, with defaults, by the names of their labels. Names that begin or end with `*` are copies. Ignores empty and
    /// reserved names.
    pub fn new(paths: BTreeMap<String, (Reach, Option<String>)>) -> Self {
        let mut all = Self::default();
        for (name, (reach, default)) in paths {
            if let Some(prefix) = name.strip_suffix('*') {
                all.copies.push((prefix.to_owned(), reach));
            } else if name.starts_with('*') {
                all.copies.push((String::new(), reach));
            } else if let Ok(name) = LabelName::new(name) {
                all.named.push((name, reach, default));
            }
        }
        all
    }

    /// Returns the labels with a name of their own, with their paths.
    pub(super) fn named(&self) -> impl Iterator<Item = (&str, &Reach)> {
        self.named.iter().map(|(name, reach, _)| (name.as_str(), reach))
    }

    /// Returns the paths of the maps that are copied.
    pub(super) fn copied(&self) -> impl Iterator<Item = &Reach> {
        self.copies.iter().map(|(_, reach)| reach)
    }

    /// Sets the labels at the end of `trail`. Returns the bytes of those that other ends may have as well.
    ///
    /// # Errors
    /// A label would show a list or map of an earlier value, which all ends would repeat.
    fn set<'v, 'a>(
        &'v self,
        trail: &Trail<'v, 'a>,
        memory: &mut Memory<'v, 'a>,
        labels: &mut Labels<'v>,
    ) -> Result<usize, String> {
        let mut shared = 0;
        for (prefix, reach) in &self.copies {
            let Some(Found::Value(Value::Map(fields))) = reach.get(trail, memory) else { continue };
            for (key, value) in fields {
                let value = value.label();
                // Names that are left out count as well: each takes time.
                shared += if reach.goes_back() { key.len() + value.len() + 1 } else { 0 };
                let Ok(name) = LabelName::new(format!("{prefix}{key}")) else { continue };
                labels.set(name, value);
            }
        }
        for (name, reach, default) in &self.named {
            let value = match reach.get(trail, memory) {
                Some(Found::Value(value @ (Value::List(_) | Value::Map(_)))) if reach.goes_back() => {
                    return Err(format!("label {}: {reach} is {}; lead it to a text", name.as_str(), value.kind()));
                }
                Some(found) => found.label(),
                None => match default {
                    Some(default) => Cow::Borrowed(default.as_str()),
                    None => continue,
                },
            };
            shared += if reach.goes_back() { value.len() } else { 0 };
            labels.set(name.reborrow(), value);
        }
        Ok(shared)
    }

    fn need(&self, mask: &mut Mask, nodes: &[NodeId]) {
        let copied = self.copies.iter().map(|(_, reach)| reach);
        copied.chain(self.named.iter().map(|(_, reach, _)| reach)).for_each(|reach| reach.need(mask, nodes, true));
    }
}

impl Entries {
    /// Returns the type of the family.
    pub fn metric_type(&self) -> MetricType {
        match self.kind {
            EntryKind::Gauge(_) => MetricType::Gauge,
            EntryKind::Info => MetricType::Info,
            EntryKind::StateSet { .. } => MetricType::StateSet,
        }
    }

    /// Generates the series of `object`.
    pub(super) fn lines<'v>(&'v self, object: &'v Value<'_>, out: &mut Out<'v, '_>) {
        let (mut shared, mut problems, mut memory) = (0, 0, Memory::default());
        self.path.ends(Some(object), &mut |trail| {
            let line = self.line(trail, &mut memory, &mut shared, out);
            if shared > SHARED_LABEL_BYTES {
                out.problem(|| {
                    format!(
                        "{}: labels from values before the entries exceed {} MiB; the remaining entries are left out",
                        self.path,
                        SHARED_LABEL_BYTES >> 20
                    )
                });
                return false;
            }
            if let Err(reason) = line {
                problems += 1;
                if problems <= PROBLEMS {
                    out.problem(|| format!("{}: {reason}", Shown(trail)));
                }
            }
            true
        });
    }

    fn line<'v, 'a>(
        &'v self,
        trail: &Trail<'v, 'a>,
        memory: &mut Memory<'v, 'a>,
        shared: &mut usize,
        out: &mut Out<'v, '_>,
    ) -> Result<(), String> {
        let exists = trail.last().is_some_and(|(value, _)| value.is_some());
        let value = match &self.kind {
            EntryKind::Gauge(number) => match number.value(trail, memory)? {
                Some(value) => value,
                None => return Ok(()),
            },
            EntryKind::Info if !exists => return Ok(()),
            EntryKind::Info => 1.0,
            EntryKind::StateSet { label_name, states, from, default } => {
                let found = from.get(trail, memory);
                let current = match (&found, default) {
                    (Some(Found::Value(Value::Text(text))), _) => text.as_ref(),
                    (Some(Found::Key(key)), _) => key.as_ref(),
                    (Some(Found::Value(other)), _) => {
                        return Err(format!("{} is not a state; a state is a string", other.kind()));
                    }
                    (None, Some(default)) => default.as_str(),
                    (None, None) => return Ok(()),
                };
                let mut common = Labels::default();
                let bytes = self.set_labels(trail, memory, &mut common)?;
                for state in states {
                    *shared += bytes;
                    if *shared > SHARED_LABEL_BYTES {
                        return Ok(());
                    }
                    let mut labels = common.clone();
                    labels.set(label_name.reborrow(), Cow::Borrowed(state));
                    out.lines.push(Line { labels, value: f64::from(u8::from(state == current)) });
                }
                return Ok(());
            }
        };
        let mut labels = Labels::default();
        *shared += self.set_labels(trail, memory, &mut labels)?;
        if *shared <= SHARED_LABEL_BYTES && !(matches!(self.kind, EntryKind::Info) && labels.is_empty()) {
            out.lines.push(Line { labels, value });
        }
        Ok(())
    }

    fn set_labels<'v, 'a>(
        &'v self,
        trail: &Trail<'v, 'a>,
        memory: &mut Memory<'v, 'a>,
        labels: &mut Labels<'v>,
    ) -> Result<usize, String> {
        let mut shared = 0;
        if let Some((name, reach)) = &self.label_from_key
            && let Some(found) = reach.get(trail, memory)
        {
            let key = found.label();
            shared += if reach.goes_back() { key.len() } else { 0 };
            labels.set(name.reborrow(), key);
        }
        Ok(shared + self.labels.set(trail, memory, labels)?)
    }

    /// Adds the fields that the metric reads to the mask.
    pub(super) fn need(&self, mask: &mut Mask) {
        let nodes = self.path.need(mask, ROOT);
        self.labels.need(mask, &nodes);
        let end = *nodes.last().unwrap_or(&ROOT);
        match &self.kind {
            EntryKind::Gauge(number) => match &number.source {
                NumberSource::At(reach) => reach.need(mask, &nodes, false),
                NumberSource::Count(walk) | NumberSource::Sum(walk) => {
                    let nodes = walk.need(mask, end);
                    mask.entries_of(*nodes.last().unwrap_or(&end));
                }
            },
            EntryKind::Info => {}
            EntryKind::StateSet { from, .. } => from.need(mask, &nodes, false),
        }
    }
}

impl Number {
    /// Returns the number at the end of `trail`. `None` if there is none.
    fn value<'v, 'a>(&self, trail: &Trail<'v, 'a>, memory: &mut Memory<'v, 'a>) -> Result<Option<f64>, String> {
        let from = trail.last().and_then(|(value, _)| *value);
        let number = match &self.source {
            NumberSource::At(reach) => match reach.get(trail, memory) {
                Some(found) => Some(self.convert.of_found(found)?),
                None => self.default,
            },
            NumberSource::Count(walk) => {
                let mut count = 0;
                walk.ends(from, &mut |trail| {
                    count += match trail.last().and_then(|(value, _)| *value) {
                        Some(Value::List(items)) if !walk.iterates() => present(items.iter()).count(),
                        Some(Value::Map(fields)) if !walk.iterates() => present(fields.iter().map(|(_, v)| v)).count(),
                        Some(_) => 1,
                        None => 0,
                    };
                    true
                });
                Some(count as f64)
            }
            NumberSource::Sum(walk) => Some(self.sum(walk, from)?),
        };
        Ok(number)
    }

    fn sum(&self, walk: &Walk, from: Option<&Value<'_>>) -> Result<f64, String> {
        let (mut sum, mut wrong) = (0.0, None);
        walk.ends(from, &mut |trail| {
            let numbers: Result<f64, String> = match trail.last().and_then(|(value, _)| *value) {
                Some(Value::List(items)) if !walk.iterates() => self.total(items.iter()),
                Some(Value::Map(fields)) if !walk.iterates() => self.total(fields.iter().map(|(_, value)| value)),
                one => self.total(one.into_iter()),
            };
            match numbers {
                Ok(number) => sum += number,
                Err(reason) => wrong = Some(format!("{}: {reason}", Shown(trail))),
            }
            wrong.is_none()
        });
        // A sum that lacks a part is wrong, so there is none.
        wrong.map_or(Ok(sum), Err)
    }

    fn total<'v, 'a: 'v>(&self, values: impl Iterator<Item = &'v Value<'a>>) -> Result<f64, String> {
        present(values).map(|value| self.convert.number(value)).sum()
    }
}

fn present<'v, 'a: 'v>(values: impl Iterator<Item = &'v Value<'a>>) -> impl Iterator<Item = &'v Value<'a>> {
    values.filter(|value| **value != Value::Null)
}

//! The series of a metric from the value at its path: one series, or one per entry.
//!
//! The rules, even the odd ones, are those of kube-state-metrics v2.20.0.

use std::borrow::Cow;

use super::labels::{LabelPaths, Labels};
use super::mask::{Mask, ROOT};
use super::number;
use super::path::Path;
use super::value::Value;
use crate::collectors::label_names::LabelName;
use crate::exposition::MetricType;

/// The problem of a path that leads to nothing. Often it is none: the field is optional.
pub const NO_VALUE: &str = "no value";

/// A metric: its path, and the series that it generates.
#[derive(Clone, Debug, PartialEq)]
pub struct Each {
    /// `path`.
    pub path: Path,
    /// `labelsFromPath`, relative to the path.
    pub labels: LabelPaths,
    /// The type, with its settings.
    pub kind: Kind,
}

/// The type of a metric, with its own settings.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A number per entry of a map or list, or of a single value.
    Gauge {
        /// `labelFromKey`, if it is not empty.
        label_from_key: Option<LabelName<'static>>,
        /// `valueFrom`.
        value_from: Path,
        /// `nilIsZero`.
        nil_is_zero: bool,
    },
    /// Always 1; the labels carry the information.
    Info {
        /// `labelFromKey`, if it is not empty.
        label_from_key: Option<LabelName<'static>>,
    },
    /// One series per state, 1 for the current one.
    StateSet {
        /// `labelName`.
        label_name: LabelName<'static>,
        /// `list`.
        states: Vec<String>,
        /// `valueFrom`.
        value_from: Path,
    },
}

/// One series: its own labels and its value.
pub(super) struct Line<'v> {
    pub labels: Labels<'v>,
    pub value: f64,
}

/// Collects lines and, if they are reported, problems.
pub(super) struct Out<'v, 'p> {
    pub lines: Vec<Line<'v>>,
    pub problems: Option<&'p mut Vec<String>>,
}

impl Out<'_, '_> {
    pub fn problem(&mut self, text: impl FnOnce() -> String) {
        if let Some(problems) = &mut self.problems {
            problems.push(text());
        }
    }
}

impl Each {
    /// Returns the type of the family.
    pub fn metric_type(&self) -> MetricType {
        match self.kind {
            Kind::Gauge { .. } => MetricType::Gauge,
            Kind::Info { .. } => MetricType::Info,
            Kind::StateSet { .. } => MetricType::StateSet,
        }
    }

    /// Generates the series of `object`.
    pub(super) fn lines<'v>(&'v self, object: &'v Value<'_>, out: &mut Out<'v, '_>) {
        let value = self.path.get(Some(object));
        match &self.kind {
            Kind::Gauge { label_from_key, value_from, nil_is_zero } => {
                let gauge =
                    Gauge { of: self, label_from_key: label_from_key.as_ref(), value_from, nil_is_zero: *nil_is_zero };
                gauge.lines(value, out);
            }
            Kind::Info { label_from_key } => self.info(label_from_key.as_ref(), value, out),
            Kind::StateSet { label_name, states, value_from } => match value {
                Some(Value::List(items)) => {
                    for item in items {
                        self.states(label_name, states, value_from, item.present(), out);
                    }
                }
                value => self.states(label_name, states, value_from, value, out),
            },
        }
    }

    fn info<'v>(
        &'v self,
        label_from_key: Option<&'v LabelName<'static>>,
        value: Option<&'v Value<'_>>,
        out: &mut Out<'v, '_>,
    ) {
        match value {
            Some(Value::List(items)) => {
                items.iter().for_each(|item| self.labelled(item.present(), Labels::default(), out))
            }
            Some(Value::Map(fields)) => {
                for (key, item) in fields {
                    let mut labels = Labels::default();
                    if let Some(name) = label_from_key.filter(|_| !key.is_empty()) {
                        labels.set(name.reborrow(), Cow::Borrowed(key));
                    }
                    self.labelled(item.present(), labels, out);
                }
                self.labelled(value, Labels::default(), out);
            }
            value => self.labelled(value, Labels::default(), out),
        }
    }

    /// Generates a series with the value 1, if it has any label.
    fn labelled<'v>(&'v self, from: Option<&'v Value<'_>>, mut labels: Labels<'v>, out: &mut Out<'v, '_>) {
        self.labels.set(from, &mut labels);
        if !labels.is_empty() {
            out.lines.push(Line { labels, value: 1.0 });
        }
    }

    fn states<'v>(
        &'v self,
        label_name: &'v LabelName<'static>,
        states: &'v [String],
        value_from: &Path,
        from: Option<&'v Value<'_>>,
        out: &mut Out<'v, '_>,
    ) {
        let current = match value_from.get(from) {
            // For example a status that no controller has written yet.
            None => return,
            Some(Value::Text(text)) => text,
            Some(other) => {
                return out.problem(|| {
                    format!("{} of {}: {} is not a state; a state is a string", value_from, self.path, other.kind())
                });
            }
        };
        for state in states {
            let mut labels = Labels::default();
            labels.set(label_name.reborrow(), Cow::Borrowed(state));
            // NB: a label of the same name wins, as in kube-state-metrics. All states then are one series, the first one.
            self.labels.set(from, &mut labels);
            out.lines.push(Line { labels, value: f64::from(u8::from(state == current)) });
        }
    }

    /// Adds the fields that the metric reads to the mask.
    pub(super) fn need(&self, mask: &mut Mask) {
        let node = mask.add(ROOT, &self.path);
        let entries = mask.entries_of(node);
        for node in [node, entries] {
            self.labels.need(mask, node);
            if let Kind::Gauge { value_from, .. } | Kind::StateSet { value_from, .. } = &self.kind {
                mask.add(node, value_from);
            }
        }
    }
}

/// A metric of type gauge.
struct Gauge<'v> {
    of: &'v Each,
    label_from_key: Option<&'v LabelName<'static>>,
    value_from: &'v Path,
    nil_is_zero: bool,
}

impl<'v> Gauge<'v> {
    fn lines(&self, value: Option<&'v Value<'_>>, out: &mut Out<'v, '_>) {
        let Each { path, labels: paths, .. } = self.of;
        match value {
            Some(Value::Map(fields)) => {
                // The value may be a field of the map itself, next to other fields that are maps with such a field.
                let own_field = self.value_from.only_field();
                for (key, item) in fields {
                    let item = item.present();
                    let number = if own_field.as_deref() == Some(key) {
                        match self.convert(item) {
                            Ok(number) => number,
                            Err(problem) => {
                                out.problem(|| format!("{key} of {path}: {problem}"));
                                continue;
                            }
                        }
                    } else {
                        // An entry without a number is another field of the map, which is not a problem.
                        let Ok(Some(number)) = self.number(item) else { continue };
                        number
                    };
                    let mut labels = Labels::default();
                    if let Some(name) = self.label_from_key.filter(|_| !key.is_empty()) {
                        labels.set(name.reborrow(), Cow::Borrowed(key));
                    }
                    paths.set(item, &mut labels);
                    paths.set(value, &mut labels);
                    out.lines.push(Line { labels, value: number });
                }
            }
            Some(Value::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.line(item.present(), out, |problem| format!("item {index} of {path}: {problem}"));
                }
            }
            value => self.line(value, out, |problem| format!("{path}: {problem}")),
        }
    }

    fn line(&self, from: Option<&'v Value<'_>>, out: &mut Out<'v, '_>, problem: impl FnOnce(String) -> String) {
        match self.number(from) {
            Ok(Some(value)) => {
                let mut labels = Labels::default();
                self.of.labels.set(from, &mut labels);
                out.lines.push(Line { labels, value });
            }
            Ok(None) => {}
            Err(reason) => out.problem(|| problem(reason)),
        }
    }

    /// Returns the number at `valueFrom`. `None` if it is missing in a value that exists.
    fn number(&self, from: Option<&Value<'_>>) -> Result<Option<f64>, String> {
        match self.value_from.get(from) {
            Some(value) => number::of(value).map(Some),
            None if self.nil_is_zero => Ok(Some(0.0)),
            None if from.is_none() => Err(NO_VALUE.to_owned()),
            None => Ok(None),
        }
    }

    fn convert(&self, value: Option<&Value<'_>>) -> Result<f64, String> {
        match value {
            None if self.nil_is_zero => Ok(0.0),
            value => number::of(value.unwrap_or(&Value::Null)),
        }
    }
}

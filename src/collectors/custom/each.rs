//! What a metric of a config makes of the part of an object that its path names: one series, or one for each entry.
//!
//! The rules are those of kube-state-metrics v2.20.0, the odd ones too: they are what people see today.

use std::borrow::Cow;

use super::labels::{LabelPaths, Labels};
use super::mask::{Mask, ROOT};
use super::number;
use super::path::Path;
use super::value::Value;
use crate::exposition::MetricType;

/// A metric: where it looks, and what it makes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Each {
    /// Its `path`.
    pub path: Path,
    /// Its `labelsFromPath`, seen from there.
    pub labels: LabelPaths,
    /// Its type.
    pub kind: Kind,
}

/// The type of a metric, with what is its alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A number for each entry of a map or list, or of a single value.
    Gauge {
        /// `labelFromKey`, where it is not empty.
        label_from_key: Option<String>,
        /// `valueFrom`.
        value_from: Path,
        /// `nilIsZero`.
        nil_is_zero: bool,
    },
    /// Always 1, for its labels.
    Info {
        /// `labelFromKey`, where it is not empty.
        label_from_key: Option<String>,
    },
    /// One series for each state, 1 for the one that is.
    StateSet {
        /// `labelName`.
        label_name: String,
        /// `list`.
        states: Vec<String>,
        /// `valueFrom`.
        value_from: Path,
    },
}

/// One series: its own labels, and its value.
pub(super) struct Line<'v> {
    pub labels: Labels<'v>,
    pub value: f64,
}

/// Takes lines and, if somebody reads them, problems.
pub(super) struct Out<'v, 'p> {
    pub lines: Vec<Line<'v>>,
    pub problems: Option<&'p mut Vec<String>>,
}

impl Out<'_, '_> {
    fn problem(&mut self, text: impl FnOnce() -> String) {
        if let Some(problems) = &mut self.problems {
            problems.push(text());
        }
    }
}

impl Each {
    /// The type of its family.
    pub fn metric_type(&self) -> MetricType {
        match self.kind {
            Kind::Gauge { .. } => MetricType::Gauge,
            Kind::Info { .. } => MetricType::Info,
            Kind::StateSet { .. } => MetricType::StateSet,
        }
    }

    /// The series of `object`.
    pub(super) fn lines<'v>(&'v self, object: &'v Value<'_>, out: &mut Out<'v, '_>) {
        let value = self.path.get(Some(object));
        match &self.kind {
            Kind::Gauge { label_from_key, value_from, nil_is_zero } => {
                let gauge = Gauge {
                    of: self,
                    label_from_key: label_from_key.as_deref(),
                    value_from,
                    nil_is_zero: *nil_is_zero,
                };
                gauge.lines(value, out);
            }
            Kind::Info { label_from_key } => self.info(label_from_key.as_deref(), value, out),
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

    fn info<'v>(&'v self, label_from_key: Option<&'v str>, value: Option<&'v Value<'_>>, out: &mut Out<'v, '_>) {
        match value {
            Some(Value::List(items)) => {
                items.iter().for_each(|item| self.labelled(item.present(), Labels::default(), out))
            }
            Some(Value::Map(fields)) => {
                for (key, item) in fields {
                    let mut labels = Labels::default();
                    if let Some(name) = label_from_key.filter(|_| !key.is_empty()) {
                        labels.set(Cow::Borrowed(name), Cow::Borrowed(key));
                    }
                    self.labelled(item.present(), labels, out);
                }
                self.labelled(value, Labels::default(), out);
            }
            value => self.labelled(value, Labels::default(), out),
        }
    }

    /// A series of 1, if there is any label to tell.
    fn labelled<'v>(&'v self, from: Option<&'v Value<'_>>, mut labels: Labels<'v>, out: &mut Out<'v, '_>) {
        self.labels.set(from, &mut labels);
        if !labels.is_empty() {
            out.lines.push(Line { labels, value: 1.0 });
        }
    }

    fn states<'v>(
        &'v self,
        label_name: &'v str,
        states: &'v [String],
        value_from: &Path,
        from: Option<&'v Value<'_>>,
        out: &mut Out<'v, '_>,
    ) {
        let current = match value_from.get(from) {
            // As a status is before a controller has written it.
            None => return,
            Some(Value::Text(text)) => text,
            Some(other) => {
                return out.problem(|| {
                    format!("{} of {}: {} is no state, which is a string", value_from, self.path, other.kind())
                });
            }
        };
        for state in states {
            let mut labels = Labels::default();
            labels.set(Cow::Borrowed(label_name), Cow::Borrowed(state));
            self.labels.set(from, &mut labels);
            out.lines.push(Line { labels, value: f64::from(u8::from(state == current)) });
        }
    }

    /// Marks what is looked at.
    pub(super) fn need(&self, mask: &mut Mask) {
        let place = mask.add(ROOT, &self.path);
        let entries = mask.entries_of(place);
        for place in [place, entries] {
            self.labels.need(mask, place);
            if let Kind::Gauge { value_from, .. } | Kind::StateSet { value_from, .. } = &self.kind {
                mask.add(place, value_from);
            }
        }
    }
}

/// A metric of type gauge.
struct Gauge<'v> {
    of: &'v Each,
    label_from_key: Option<&'v str>,
    value_from: &'v Path,
    nil_is_zero: bool,
}

impl<'v> Gauge<'v> {
    fn lines(&self, value: Option<&'v Value<'_>>, out: &mut Out<'v, '_>) {
        let Each { path, labels: paths, .. } = self.of;
        match value {
            Some(Value::Map(fields)) => {
                // The value may be a field of the map itself, beside others that are maps with such a field.
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
                        // What has no number here is another field of the map, and no problem.
                        let Ok(Some(number)) = self.number(item) else { continue };
                        number
                    };
                    let mut labels = Labels::default();
                    if let Some(name) = self.label_from_key.filter(|_| !key.is_empty()) {
                        labels.set(Cow::Borrowed(name), Cow::Borrowed(key));
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

    /// The number at `valueFrom`; none if it is not there, though what should hold it is.
    fn number(&self, from: Option<&Value<'_>>) -> Result<Option<f64>, String> {
        match self.value_from.get(from) {
            Some(value) => number::of(value).map(Some),
            None if self.nil_is_zero => Ok(Some(0.0)),
            None if from.is_none() => Err("there is nothing".to_owned()),
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

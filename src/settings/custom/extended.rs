//! The richer format: additions that kube-state-metrics rejects, so that no file of it changes its meaning.
//!
//! A section (`gauge`, `info` or `stateSet`) is in the richer format if a path in it has a step `[*]`, `[..]` or `[key]`, or if
//! `valueFrom` or a label is a map. kube-state-metrics reads such a step as an invalid lookup, and expects lists.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;

use super::file::{self, LabelFrom, LabelSource, Numbers, Parts, Paths, Text, ValueFrom, ValueSource, name_of_key};
use super::wrong::{Wrong, within, wrong};
use crate::collectors::custom::{
    Convert, Entries, EntryKind, EntryLabels, Number, NumberSource, Reach, SeriesOf, Walk, WalkError,
    is_extended as is_step,
};
use crate::collectors::label_names::LabelName;

/// Returns whether a section is in the richer format.
pub(super) fn is_extended(path: &Parts, labels: &Paths, value_from: &Option<Spanned<ValueFrom>>) -> bool {
    let has_step = |parts: &Parts| parts.iter().any(|part| is_step(&part.value.0));
    has_step(path)
        || labels.values().flatten().any(|from| match &from.value {
            LabelFrom::Path(parts) => has_step(parts),
            LabelFrom::Source(_) => true,
        })
        || value_from.as_ref().is_some_and(|from| match &from.value {
            ValueFrom::Path(parts) => has_step(parts),
            ValueFrom::Source(_) => true,
        })
}

/// Compiles a gauge.
pub(super) fn gauge(gauge: &file::Gauge) -> Result<SeriesOf, Wrong> {
    let path = walk("path", &gauge.path)?;
    let mut number = match &gauge.value_from {
        None => Number { source: NumberSource::At(Reach::default()), convert: Convert::Number, default: None },
        Some(from) => match &from.value {
            ValueFrom::Path(parts) => {
                let reach = reach("valueFrom", parts, &path)?;
                Number { source: NumberSource::At(reach), convert: Convert::Number, default: None }
            }
            ValueFrom::Source(source) => {
                self::number(source, &path, from.referenced.line()).map_err(|wrong| within("valueFrom", wrong))?
            }
        },
    };
    if gauge.nil_is_zero {
        number.default.get_or_insert(0.0);
    }
    entries(path, &gauge.labels_from_path, &gauge.label_from_key, EntryKind::Gauge(number))
}

/// Compiles an info.
pub(super) fn info(info: &file::Info) -> Result<SeriesOf, Wrong> {
    entries(walk("path", &info.path)?, &info.labels_from_path, &info.label_from_key, EntryKind::Info)
}

/// Compiles a state set.
pub(super) fn state_set(
    set: &file::StateSet,
    label_name: LabelName<'static>,
    states: Vec<String>,
) -> Result<SeriesOf, Wrong> {
    let path = walk("path", &set.path)?;
    let (from, default) = match set.value_from.as_ref().map(|from| (&from.value, from.referenced.line())) {
        None => (Reach::default(), None),
        Some((ValueFrom::Path(parts), _)) => (reach("valueFrom", parts, &path)?, None),
        Some((ValueFrom::Source(source), line)) => {
            let ValueSource { path: from, count, sum, format, values, otherwise, default } = source;
            let of_gauges = [
                ("count", count.is_some()),
                ("sum", sum.is_some()),
                ("format", format.is_some()),
                ("values", values.is_some()),
                ("otherwise", otherwise.is_some()),
            ];
            if let Some((key, _)) = of_gauges.iter().find(|(_, given)| *given) {
                return Err(wrong(line, format!("valueFrom.{key}"), "only a gauge has it; a state is a string"));
            }
            let from = from.as_ref().map_or(Ok(Reach::default()), |from| reach("valueFrom.path", from, &path))?;
            (from, default.as_ref().map(|default| default.0.clone()))
        }
    };
    entries(path, &set.labels_from_path, &None, EntryKind::StateSet { label_name, states, from, default })
}

fn entries(
    path: Walk,
    labels: &Paths,
    label_from_key: &Option<Spanned<Text>>,
    kind: EntryKind,
) -> Result<SeriesOf, Wrong> {
    let label_from_key = match (label_from_key, path.behind_last_each()) {
        (Some(name), None) if !name.value.0.is_empty() => {
            let reason =
                "the path has no \"[*]\", so there is no key; a metric of the richer format iterates only there";
            return Err(wrong(name.referenced.line(), "labelFromKey", reason));
        }
        (name, behind) => name_of_key(name).zip(behind.map(Reach::key)),
    };
    let label = |(name, from): (&Text, &Option<Spanned<LabelFrom>>)| {
        let (reach, default) = match from.as_ref().map(|from| (&from.value, from.referenced.line())) {
            None => (Reach::default(), None),
            Some((LabelFrom::Path(parts), _)) => (reach(&name.0, parts, &path)?, None),
            Some((LabelFrom::Source(source), line)) => {
                let reach = reach("path", &source.path, &path).map_err(|wrong| within(&name.0, wrong))?;
                (reach, label_default(&name.0, source, line)?)
            }
        };
        Ok((name.0.clone(), (reach, default)))
    };
    let labels: Result<BTreeMap<_, _>, _> = labels.iter().map(label).collect();
    let labels = EntryLabels::new(labels.map_err(|wrong| within("labelsFromPath", wrong))?);
    Ok(SeriesOf::Entries(Box::new(Entries { path, labels, label_from_key, kind })))
}

/// Returns the default of a label.
pub(super) fn label_default(name: &str, source: &LabelSource, line: u64) -> Result<Option<String>, Wrong> {
    let default = source.default.as_ref().map(|default| default.0.clone());
    if default.is_some() && (name.starts_with('*') || name.ends_with('*')) {
        return Err(wrong(line, format!("{name}.default"), "a label that copies a map has no default"));
    }
    Ok(default)
}

fn number(source: &ValueSource, path: &Walk, line: u64) -> Result<Number, Wrong> {
    let ValueSource { path: at, count, sum, format, values, otherwise, default } = source;
    let of = [("path", at), ("count", count), ("sum", sum)];
    let given: Vec<_> = of.iter().filter_map(|(key, parts)| Some((*key, parts.as_ref()?))).collect();
    let convert = convert(format, values, *otherwise, line)?;
    let default = match default {
        None => None,
        Some(text) => match text.0.parse::<f64>() {
            Ok(number) if number.is_finite() => Some(number),
            _ => return Err(wrong(line, "default", format!("{:?} is not a number", text.0))),
        },
    };
    let source = match given.as_slice() {
        [] => NumberSource::At(Reach::default()),
        [("path", parts)] => NumberSource::At(reach("path", parts, path)?),
        [("count", parts)] => NumberSource::Count(walk("count", parts)?),
        [("sum", parts)] => NumberSource::Sum(walk("sum", parts)?),
        [(first, _), (second, _), ..] => {
            return Err(wrong(line, *second, format!("{first} is given as well; choose one of path, count and sum")));
        }
        [(key, _)] => return Err(wrong(line, *key, "not possible here")),
    };
    if !matches!(source, NumberSource::At(_)) && default.is_some() {
        return Err(wrong(line, "default", "the count or sum of nothing is 0; only a path has a default"));
    }
    if matches!(source, NumberSource::Count(_)) && convert != Convert::Number {
        return Err(wrong(line, "count", "a count reads no values, so it has no format, values and otherwise"));
    }
    Ok(Number { source, convert, default })
}

fn convert(
    format: &Option<Text>,
    values: &Option<Numbers>,
    otherwise: Option<f64>,
    line: u64,
) -> Result<Convert, Wrong> {
    let format = format.as_ref().map(|format| format.0.to_lowercase());
    match (format.as_deref(), values) {
        (Some(_), Some(_)) => Err(wrong(line, "values", "format is given as well; choose one of them")),
        (None, Some(Numbers(values))) => {
            if let Some((text, _)) = values.iter().find(|(_, number)| !number.is_finite()) {
                return Err(wrong(line, format!("values.{}", text.0), "expected a finite number"));
            }
            if otherwise.is_some_and(|number| !number.is_finite()) {
                return Err(wrong(line, "otherwise", "expected a finite number"));
            }
            let mut numbers = BTreeMap::new();
            for (text, number) in values {
                if numbers.insert(text.0.clone(), *number).is_some() {
                    return Err(wrong(line, format!("values.{}", text.0), "the same text is there twice"));
                }
            }
            Ok(Convert::Values { numbers, otherwise })
        }
        _ if otherwise.is_some() => {
            Err(wrong(line, "otherwise", "there are no values; otherwise is for texts that they lack"))
        }
        (None | Some("" | "number"), None) => Ok(Convert::Number),
        (Some("duration"), None) => Ok(Convert::Duration),
        (Some(other), None) => {
            Err(wrong(line, "format", format!("{other:?} is not a format; expected number or duration")))
        }
    }
}

fn walk(key: &str, parts: &Parts) -> Result<Walk, Wrong> {
    for (index, part) in parts.iter().enumerate() {
        if let Err(error) = Walk::new([&part.value.0]) {
            return Err(at_part(key, index, part, &error));
        }
    }
    // NB: each part has already been checked above, where its line is known.
    Walk::new(parts.iter().map(|part| &part.value.0)).map_err(|error| (None, key.to_owned(), error.to_string()))
}

fn reach(key: &str, parts: &Parts, of: &Walk) -> Result<Reach, Wrong> {
    let texts: Vec<_> = parts.iter().map(|part| part.value.0.as_str()).collect();
    Reach::new(&texts, of.len()).map_err(|error| {
        // The first beginning of the path that is wrong names the part.
        let wrong = (1..=texts.len()).find(|end| Reach::new(&texts[..*end], of.len()).is_err());
        match wrong.and_then(|end| parts.get(end - 1).map(|part| (end - 1, part))) {
            Some((index, part)) => at_part(key, index, part, &error),
            None => (None, key.to_owned(), error.to_string()),
        }
    })
}

fn at_part(key: &str, index: usize, part: &Spanned<Text>, error: &WalkError) -> Wrong {
    wrong(part.referenced.line(), format!("{key}[{index}]"), error.to_string())
}

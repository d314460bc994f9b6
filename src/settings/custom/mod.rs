//! The configuration of custom resources and their metrics: `--custom-resource-state-config` and
//! `--custom-resource-state-config-file`.
//!
//! [`CustomResources::parse`] compiles it; errors name file, line and key. Only the cluster knows which kinds exist:
//! [`CustomResources::of`] returns the entry for a kind.

mod extended;
mod file;
#[cfg(test)]
mod tests;
mod unknown;
mod wrong;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde_path_to_error::Segment;
use serde_saphyr::Spanned;

use super::{kinds, yaml};
use crate::collectors::custom::{
    CommonLabels, Definition, Each, GroupVersionKind, Kind, LabelPaths, Metric, Path, SeriesOf, is_extended,
};
use crate::collectors::label_names::{LabelName, LabelNameError};
use crate::shown;
use file::{LabelFrom, Labels, Parts, Paths, Text, ValueFrom, name_of_key};
use wrong::{Wrong, within, wrong};

/// A compiled configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CustomResources {
    /// The file, or the flag that contains the text.
    origin: String,
    kinds: Kinds,
    entries: Vec<Entry>,
    /// The keys of the text that mean nothing.
    unknown: Vec<CustomConfigError>,
    /// The labels that series cannot have.
    reserved: Vec<CustomConfigError>,
    repeated: Vec<CustomConfigError>,
}

/// The kinds that entries may name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kinds {
    /// Those of CustomResourceDefinitions, as in kube-state-metrics since v2.9.
    #[default]
    Defined,
    /// All that the API server serves, built-in and aggregated ones too: `--custom-resource-state-all-kinds`.
    All,
}

impl Kinds {
    /// Returns the kinds for the value of the flag.
    pub const fn all(all: bool) -> Self {
        if all { Self::All } else { Self::Defined }
    }
}

/// An item of `resources`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// API group.
    pub group: String,
    /// API version; `None` for any.
    pub version: Option<String>,
    /// Kind; `None` for any.
    pub kind: Option<String>,
    /// `resourcePlural`: for use without access to the CRD.
    pub plural: Option<String>,
    /// Its line in the configuration, from 1.
    pub line: u64,
    /// Its metrics.
    pub definition: Definition,
}

impl Entry {
    /// Whether it applies to objects of this group, version and kind.
    pub fn matches(&self, of: &GroupVersionKind) -> bool {
        let wants = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        self.group == of.group && wants(&self.version, &of.version) && wants(&self.kind, &of.kind)
    }
}

impl Entry {
    /// The built-in kind that it names, if it names one by group and kind, and in its version or in any.
    pub fn built_in(&self) -> Option<&'static kinds::Kind> {
        kinds::all().iter().find(|known| self.kind.is_some() && self.matches(&known.group_version_kind()))
    }
}

/// Why a configuration, or one of its keys, cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomConfigError {
    /// The file, or the flag that contains the text.
    pub origin: String,
    /// From 1; `None` if the error has no place.
    pub line: Option<u64>,
    /// The key, for example `spec.resources[0].metrics[2].each`; empty for the whole text.
    pub key: String,
    /// The reason.
    pub reason: String,
}

impl std::error::Error for CustomConfigError {}

impl fmt::Display for CustomConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if let Some(line) = self.line {
            write!(f, ": line {line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", shown::value(&self.key))?;
        }
        write!(f, ": {}", shown::line(&self.reason))
    }
}

/// Returns the JSON schema of a configuration, for editors.
pub fn json_schema() -> serde_json::Value {
    file::schema().to_value()
}

/// The default of `metricNamePrefix`.
const PREFIX: &str = "kube_customresource";

impl CustomResources {
    /// Compiles a configuration. `origin` is the file, or the flag that contains the text; errors begin with it.
    ///
    /// # Errors
    /// The text is not YAML, not a configuration, or not valid.
    pub fn parse(origin: &str, text: &str) -> Result<Self, CustomConfigError> {
        Self::parse_for(Kinds::Defined, origin, text)
    }

    /// Like [`CustomResources::parse`], for entries that may name these kinds.
    ///
    /// # Errors
    /// As [`CustomResources::parse`].
    pub fn parse_for(kinds: Kinds, origin: &str, text: &str) -> Result<Self, CustomConfigError> {
        let error = |(line, key, reason): Wrong| CustomConfigError { origin: origin.to_owned(), line, key, reason };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let document = first_document(text).ok_or_else(|| {
            let reason = "no content; expected a CustomResourceStateMetrics configuration";
            error((None, String::new(), reason.to_owned()))
        })?;
        let file = read(document).map_err(error)?;
        let reserved = reserved_labels(&file).into_iter().map(error).collect();
        let repeated = repeated_names(&file).into_iter().map(error).collect();
        let entries = file.spec.resources.into_iter().enumerate().map(|(index, resource)| {
            entry(resource, kinds).map_err(|wrong: Wrong| error(within(&format!("spec.resources[{index}]"), wrong)))
        });
        let entries = entries.collect::<Result<_, _>>()?;
        let unknown = unknown::keys(document).into_iter().map(|(line, key, reason)| error((Some(line), key, reason)));
        Ok(Self { origin: origin.to_owned(), kinds, entries, unknown: unknown.collect(), reserved, repeated })
    }

    /// Compiles the configuration in `file`, the value of `--custom-resource-state-config-file`.
    ///
    /// # Errors
    /// The file cannot be read, or as [`CustomResources::parse`].
    pub fn read(file: &std::path::Path, kinds: Kinds) -> Result<Self, CustomConfigError> {
        let text = crate::file::read_text(file, crate::file::CONFIG_BYTES).map_err(|error| CustomConfigError {
            origin: format!("--custom-resource-state-config-file: {}", file.display()),
            line: None,
            key: String::new(),
            reason: error.to_string(),
        })?;
        Self::parse_for(kinds, &file.display().to_string(), &text)
    }

    /// Returns the entry for objects of this group, version and kind. If several apply, the last one counts, as in
    /// kube-state-metrics.
    pub fn of(&self, of: &GroupVersionKind) -> Option<&Entry> {
        self.entries.iter().rfind(|entry| entry.matches(of))
    }

    /// Returns the entry for a built-in kind, if entries may name one.
    pub fn of_built_in(&self, kind: &kinds::Kind) -> Option<&Entry> {
        (self.kinds == Kinds::All).then(|| self.of(&kind.group_version_kind())).flatten()
    }

    /// Whether entries may also name kinds without a CustomResourceDefinition.
    pub fn takes_all_kinds(&self) -> bool {
        self.kinds == Kinds::All
    }

    /// Entries that may name other kinds than built-in ones, so that only the cluster knows them.
    pub fn of_others(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !self.takes_all_kinds() || entry.built_in().is_none())
    }

    /// Entries without effect, because a later one applies to the same objects: the lines of both.
    pub fn hidden(&self) -> impl Iterator<Item = (u64, u64)> {
        let covers = |later: &Option<String>, earlier: &Option<String>| later.is_none() || later == earlier;
        self.entries.iter().enumerate().filter_map(move |(index, entry)| {
            let later = self.entries[index + 1..].iter().find(|later| {
                later.group == entry.group && covers(&later.version, &entry.version) && covers(&later.kind, &entry.kind)
            })?;
            Some((entry.line, later.line))
        })
    }

    /// The file, or the flag that contains the configuration; empty if there is none.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The keys that mean nothing, each with its place and the key that may be meant. kube-state-metrics ignores them.
    pub fn unknown_keys(&self) -> &[CustomConfigError] {
        &self.unknown
    }

    /// Labels that series do not get, because Prometheus reserves their names.
    pub fn reserved(&self) -> &[CustomConfigError] {
        &self.reserved
    }

    /// Metrics with the name of an earlier one of their entry.
    pub fn repeated(&self) -> &[CustomConfigError] {
        &self.repeated
    }

    /// All entries, in the order of the configuration.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The names of all metrics.
    pub fn metric_names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().flat_map(|entry| &entry.definition.metrics).map(|metric| metric.name.as_str())
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Reads a document.
fn read(document: &str) -> Result<file::File, Wrong> {
    let key = RefCell::new(String::new());
    let read = yaml::read_with(document, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            *key.borrow_mut() = key_of(error.path());
            error.into_inner()
        })
    });
    // The path is more precise than the key on the line.
    read.map_err(|problem| {
        let key = Some(key.into_inner()).filter(|key| !key.is_empty()).or(problem.key);
        (problem.line, key.unwrap_or_default(), problem.reason)
    })
}

/// The path of an error as in the file: without the fields of the wrappers that record the places of values.
fn key_of(path: &serde_path_to_error::Path) -> String {
    let mut key = String::new();
    let mut is_name = false;
    for segment in path {
        match segment {
            Segment::Map { key: name } if name == "value" && !is_name => continue,
            Segment::Map { key: name } => {
                let dot = if key.is_empty() { "" } else { "." };
                key.push_str(&format!("{dot}{name}"));
                // Below these keys a label may have any name, even `value`.
                is_name = matches!(name.as_str(), "labelsFromPath" | "commonLabels");
            }
            Segment::Seq { index } => {
                key.push_str(&format!("[{index}]"));
                is_name = false;
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    key
}

/// Returns the text up to the end of the first document with content, so that lines keep their numbers. Others are ignored, as in
/// kube-state-metrics.
fn first_document(text: &str) -> Option<&str> {
    let first = yaml::documents(text).into_iter().find(|(_, range)| yaml::blank_lines(&text[range.clone()]).is_some());
    first.map(|(_, range)| &text[..range.end])
}

fn entry(resource: Spanned<file::Resource>, kinds: Kinds) -> Result<Entry, Wrong> {
    let line = resource.referenced.line();
    let file::Resource { group_version_kind, metric_name_prefix, metrics, resource_plural, .. } = &resource.value;
    let named = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty() && name != "*");
    let group = group_version_kind.group.as_ref();
    let core = || group.filter(|group| group.value.0.is_empty()).map(|_| String::new());
    let group_name = group.and_then(|group| named(&group.value.0));
    let Some(group_name) = group_name.or_else(|| core().filter(|_| kinds == Kinds::All)) else {
        let line = group.map_or(line, |group| group.referenced.line());
        let reason = match core() {
            Some(_) => {
                "the core group is empty, but its kinds are built in; entries for them need --custom-resource-state-all-kinds"
            }
            None => "missing group; only version and kind can be \"*\"",
        };
        return Err(wrong(line, "groupVersionKind.group", reason));
    };
    if metrics.len() > usize::from(u16::MAX) {
        return Err(wrong(
            line,
            "metrics",
            format!("{} metrics, but at most {} are possible", metrics.len(), u16::MAX),
        ));
    }
    let prefix = metric_name_prefix.as_deref().unwrap_or(PREFIX);
    let of_secrets = group_name.is_empty() && group_version_kind.kind == "Secret";
    let built_in = if kinds == Kinds::All { super::kinds::families() } else { Vec::new() };
    let metrics = metrics.iter().enumerate().map(|(index, metric)| {
        let compiled = self::metric(&resource.value, prefix, metric).and_then(|compiled| {
            if built_in.contains(&compiled.name.as_str()) {
                let reason = format!("{} is a built-in family; choose another name or metricNamePrefix", compiled.name);
                return Err(wrong(metric.referenced.line(), "name", reason));
            }
            Ok(compiled)
        });
        let checked = compiled.and_then(|compiled| match compiled.not_of_secrets().filter(|_| of_secrets) {
            Some((field, reason)) => Err(wrong(metric.referenced.line(), "each", format!("{field}: {reason}"))),
            None => Ok(compiled),
        });
        checked.map_err(|wrong| within(&format!("metrics[{index}]"), wrong))
    });
    Ok(Entry {
        version: named(&group_version_kind.version),
        kind: named(&group_version_kind.kind),
        plural: resource_plural.clone().filter(|plural| !plural.is_empty()),
        group: group_name,
        line,
        definition: Definition {
            metrics: metrics.collect::<Result<_, _>>()?,
            common_labels: labels(&resource.value.common_labels)?,
        },
    })
}

fn metric(resource: &file::Resource, prefix: &str, metric: &Spanned<file::Metric>) -> Result<Metric, Wrong> {
    let line = metric.referenced.line();
    let file::Metric { name, help, common_labels, labels_from_path, error_log_v, each } = &metric.value;
    let own_name = name.as_ref().map_or("", |name| &name.value.0);
    let full_name = if prefix.is_empty() { own_name.to_owned() } else { format!("{prefix}_{own_name}") };
    if own_name.is_empty() || !is_metric_name(&full_name) {
        let line = name.as_ref().map_or(line, |name| name.referenced.line());
        return Err(wrong(line, "name", format!("{full_name:?} is not a metric name")));
    }
    // A path of the metric replaces a path of the resource for the same label.
    let mut label_paths = base_labels(&resource.labels_from_path)?;
    label_paths.extend(base_labels(labels_from_path)?);
    let Some(each) = each else {
        return Err(wrong(line, "each", "missing; expected the type and the paths of the metric"));
    };
    let defaults = label_paths.iter().filter_map(|(name, (_, default))| Some((name.as_str(), default.as_deref()?)));
    Ok(Metric {
        name: full_name,
        help: help.clone(),
        common_labels: labels(common_labels)?,
        labels: LabelPaths::new(label_paths.iter().map(|(name, (path, _))| (name.as_str(), path)))
            .with_defaults(defaults),
        error_log_v: if *error_log_v == 0 { resource.error_log_v } else { *error_log_v },
        series: self::each(each).map_err(|wrong| within("each", wrong))?,
    })
}

fn each(each: &Spanned<file::Each>) -> Result<SeriesOf, Wrong> {
    let file::Each { kind, gauge, state_set, info } = &each.value;
    let line = kind.as_ref().map_or(each.referenced.line(), |kind| kind.referenced.line());
    let kind = kind.as_ref().map_or("", |kind| &kind.value.0);
    let missing = |key: &str| wrong(line, key, format!("missing, but required by type {kind}"));
    match kind.to_lowercase().as_str() {
        "gauge" => {
            let gauge = gauge.as_ref().ok_or_else(|| missing("gauge"))?;
            self::gauge(gauge).map_err(|wrong| within("gauge", wrong))
        }
        "info" => {
            let info = info.as_ref().ok_or_else(|| missing("info"))?;
            self::info(info).map_err(|wrong| within("info", wrong))
        }
        "stateset" => {
            let set = state_set.as_ref().ok_or_else(|| missing("stateSet"))?;
            self::state_set(set, line).map_err(|wrong| within("stateSet", wrong))
        }
        _ => Err(wrong(line, "type", format!("{kind:?} is not a type; expected Gauge, Info or StateSet"))),
    }
}

fn gauge(gauge: &file::Gauge) -> Result<SeriesOf, Wrong> {
    let file::Gauge { path, labels_from_path, label_from_key, value_from, nil_is_zero } = gauge;
    if extended::is_extended(path, labels_from_path, value_from) {
        return extended::gauge(gauge);
    }
    let kind = Kind::Gauge {
        label_from_key: name_of_key(label_from_key),
        value_from: value_path(value_from)?,
        nil_is_zero: *nil_is_zero,
    };
    from_path(path, labels_from_path, kind)
}

fn info(info: &file::Info) -> Result<SeriesOf, Wrong> {
    let file::Info { path, labels_from_path, label_from_key } = info;
    if extended::is_extended(path, labels_from_path, &None) {
        return extended::info(info);
    }
    from_path(path, labels_from_path, Kind::Info { label_from_key: name_of_key(label_from_key) })
}

fn state_set(set: &file::StateSet, line: u64) -> Result<SeriesOf, Wrong> {
    let file::StateSet { path, labels_from_path, label_name, list, value_from } = set;
    // Without this label, all states would be one series.
    let label_name = match label_name.as_ref().map(|name| (name, LabelName::new(name.value.0.as_str()))) {
        Some((_, Ok(name))) => name.into_owned(),
        Some((name, Err(reserved @ LabelNameError::Reserved(_)))) => {
            return Err(wrong(name.referenced.line(), "labelName", format!("{reserved}; choose another name")));
        }
        None | Some((_, Err(LabelNameError::Empty))) => {
            return Err(wrong(line, "labelName", "missing; expected the name of the label for the state"));
        }
    };
    let states = list.iter().map(|state| state.0.clone()).collect();
    if extended::is_extended(path, labels_from_path, value_from) {
        return extended::state_set(set, label_name, states);
    }
    from_path(path, labels_from_path, Kind::StateSet { label_name, states, value_from: value_path(value_from)? })
}

fn from_path(path: &Parts, labels: &Paths, kind: Kind) -> Result<SeriesOf, Wrong> {
    // NB: without the richer format there are no defaults.
    let labels = base_labels(labels)?;
    Ok(SeriesOf::Each(Each {
        path: self::path("path", path)?,
        labels: LabelPaths::new(labels.iter().map(|(name, (path, _))| (name.as_str(), path))),
        kind,
    }))
}

fn value_path(from: &Option<Spanned<ValueFrom>>) -> Result<Path, Wrong> {
    match from.as_ref().map(|from| &from.value) {
        Some(ValueFrom::Path(parts)) => path("valueFrom", parts),
        Some(ValueFrom::Source(_)) | None => Ok(Path::default()),
    }
}

fn path(key: &str, parts: &Parts) -> Result<Path, Wrong> {
    for (index, part) in parts.iter().enumerate() {
        if is_extended(&part.value.0) {
            let reason = format!("{:?} is only possible in gauge, info and stateSet", part.value.0);
            return Err(wrong(part.referenced.line(), format!("{key}[{index}]"), reason));
        }
        if let Err(error) = Path::new([&part.value.0]) {
            return Err(wrong(part.referenced.line(), format!("{key}[{index}]"), error.to_string()));
        }
    }
    let texts = parts.iter().map(|part| &part.value.0);
    // NB: each part has already been checked above, where its line is known.
    Path::new(texts).map_err(|error| (None, key.to_owned(), error.to_string()))
}

/// The paths of labels from the object, and their defaults.
type LabelsFromObject = BTreeMap<String, (Path, Option<String>)>;

/// Returns the labels that begin at the object.
fn base_labels(paths: &Paths) -> Result<LabelsFromObject, Wrong> {
    let label = |(name, from): (&Text, &Option<Spanned<LabelFrom>>)| {
        let (path, default) = match from.as_ref().map(|from| (&from.value, from.referenced.line())) {
            None => (Path::default(), None),
            Some((LabelFrom::Path(parts), _)) => (path(&name.0, parts)?, None),
            Some((LabelFrom::Source(source), line)) => {
                let path = path("path", &source.path).map_err(|wrong| within(&name.0, wrong))?;
                (path, extended::label_default(&name.0, source, line)?)
            }
        };
        Ok((name.0.clone(), (path, default)))
    };
    paths.iter().map(label).collect::<Result<_, _>>().map_err(|wrong| within("labelsFromPath", wrong))
}

fn labels(labels: &Labels) -> Result<CommonLabels, Wrong> {
    let label = |(name, value): (&Text, &Spanned<Text>)| match LabelName::new(name.0.as_str()) {
        Ok(name) => Some(Ok((name.into_owned(), value.value.0.clone()))),
        Err(empty @ LabelNameError::Empty) => {
            Some(Err(wrong(value.referenced.line(), "commonLabels", empty.to_string())))
        }
        // NB: `reserved_labels` reports it.
        Err(LabelNameError::Reserved(_)) => None,
    };
    labels.iter().filter_map(label).collect()
}

/// Finds the metrics with the name of an earlier one of their entry.
fn repeated_names(file: &file::File) -> Vec<Wrong> {
    let mut found = Vec::new();
    for (number, resource) in file.spec.resources.iter().enumerate() {
        let mut lines = HashMap::new();
        for (index, metric) in resource.value.metrics.iter().enumerate() {
            let line = metric.referenced.line();
            if let Some(earlier) = lines.insert(metric.value.name.as_ref().map(|name| name.value.0.as_str()), line) {
                let key = format!("spec.resources[{number}].metrics[{index}].name");
                let reason =
                    format!("line {earlier} has the same name; series of both with equal labels are served twice");
                found.push(wrong(line, key, reason));
            }
        }
    }
    found
}

/// Finds the labels with reserved names.
fn reserved_labels(file: &file::File) -> Vec<Wrong> {
    let mut found = Vec::new();
    let mut check = |name: &str, line: u64, key: &dyn Fn() -> String| {
        if let Err(reason @ LabelNameError::Reserved(_)) = LabelName::new(name) {
            found.push(wrong(line, key(), format!("{reason}; the label is left out")));
        }
    };
    let mut maps = |common: &Labels, paths: &Paths, from_key: &Option<Spanned<Text>>, line: u64, at: &str| {
        for (name, value) in common {
            check(&name.0, value.referenced.line(), &|| format!("{at}.commonLabels.{}", name.0));
        }
        for (name, path) in paths {
            let line = path.as_ref().and_then(LabelFrom::line).unwrap_or(line);
            check(&name.0, line, &|| format!("{at}.labelsFromPath.{}", name.0));
        }
        if let Some(name) = from_key {
            check(&name.value.0, name.referenced.line(), &|| format!("{at}.labelFromKey"));
        }
    };
    for (index, resource) in file.spec.resources.iter().enumerate() {
        let at = format!("spec.resources[{index}]");
        let file::Resource { common_labels, labels_from_path, metrics, .. } = &resource.value;
        maps(common_labels, labels_from_path, &None, resource.referenced.line(), &at);
        for (index, metric) in metrics.iter().enumerate() {
            let (line, at) = (metric.referenced.line(), format!("{at}.metrics[{index}]"));
            let file::Metric { common_labels, labels_from_path, each, .. } = &metric.value;
            maps(common_labels, labels_from_path, &None, line, &at);
            let Some(each) = each else { continue };
            let file::Each { gauge, info, state_set, .. } = &each.value;
            if let Some(gauge) = gauge {
                maps(&Labels::new(), &gauge.labels_from_path, &gauge.label_from_key, line, &format!("{at}.each.gauge"));
            }
            if let Some(info) = info {
                maps(&Labels::new(), &info.labels_from_path, &info.label_from_key, line, &format!("{at}.each.info"));
            }
            if let Some(set) = state_set {
                maps(&Labels::new(), &set.labels_from_path, &None, line, &format!("{at}.each.stateSet"));
            }
        }
    }
    found
}

fn is_metric_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':';
    name.bytes().all(allowed) && !name.starts_with(|c: char| c.is_ascii_digit())
}

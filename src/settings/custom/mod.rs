//! What `--custom-resource-state-config` and `--custom-resource-state-config-file` ask for: custom resources and their metrics.
//!
//! [`CustomResources::parse`] is the only way from a text to them; what is wrong is told with file, line and key. Which
//! kinds there are is known to the cluster alone: [`CustomResources::of`] says what the config wants of one.

mod file;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use serde_path_to_error::Segment;
use serde_saphyr::Spanned;

use super::{Flags, SettingsError, Warning, named, yaml};
use crate::collectors::custom::{Definition, Each, GroupVersionKind, Kind, LabelPaths, Metric, Path, label_name};
use file::{Labels, Parts, Paths, Text};

/// What a config asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CustomResources {
    entries: Vec<Entry>,
}

/// An item of the config's `resources`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// API group.
    pub group: String,
    /// API version; any if none.
    pub version: Option<String>,
    /// Kind; any if none.
    pub kind: Option<String>,
    /// `resourcePlural`: what the config calls it, where nobody can be asked for the CRD.
    pub plural: Option<String>,
    /// Where it stands in the config, from 1.
    pub line: u64,
    /// Its metrics.
    pub definition: Definition,
}

impl Entry {
    /// Whether it is about objects of this group, version and kind.
    pub fn matches(&self, of: &GroupVersionKind) -> bool {
        let wants = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        self.group == of.group && wants(&self.version, &of.version) && wants(&self.kind, &of.kind)
    }
}

/// Why a config cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomConfigError {
    /// The file, or the flag that holds the text.
    pub origin: String,
    /// From 1; none where nothing can be said.
    pub line: Option<u64>,
    /// The key, for example `spec.resources[0].metrics[2].each`; empty for the whole.
    pub key: String,
    /// What is wrong.
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
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// The prefix of names of metrics unless `metricNamePrefix` says otherwise.
const PREFIX: &str = "kube_customresource";

impl CustomResources {
    /// Reads a config. `origin` is the file, or the flag that holds the text, as errors call it.
    ///
    /// # Errors
    /// It is not YAML, does not have the form of a config, or asks for what cannot be.
    pub fn parse(origin: &str, text: &str) -> Result<Self, CustomConfigError> {
        let error = |(line, key, reason): Wrong| CustomConfigError { origin: origin.to_owned(), line, key, reason };
        let file = read(text).map_err(error)?;
        let entries = file.spec.resources.into_iter().enumerate().map(|(index, resource)| {
            entry(resource).map_err(|wrong: Wrong| error(within(&format!("spec.resources[{index}]"), wrong)))
        });
        Ok(Self { entries: entries.collect::<Result<_, _>>()? })
    }

    /// Reads the config in a file.
    ///
    /// # Errors
    /// The file cannot be read, or as [`CustomResources::parse`].
    pub fn read(file: &std::path::Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(file).map_err(|error| SettingsError::File {
            flag: FILE,
            file: file.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self::parse(&file.display().to_string(), &text)?)
    }

    /// What is wanted of objects of this group, version and kind. Of several entries the last one counts, as in
    /// kube-state-metrics.
    pub fn of(&self, of: &GroupVersionKind) -> Option<&Entry> {
        self.entries.iter().rfind(|entry| entry.matches(of))
    }

    /// Entries that never count, since a later one is about the same: the lines of both.
    pub fn hidden(&self) -> impl Iterator<Item = (u64, u64)> {
        let covers = |later: &Option<String>, earlier: &Option<String>| later.is_none() || later == earlier;
        self.entries.iter().enumerate().filter_map(move |(index, entry)| {
            let later = self.entries[index + 1..].iter().find(|later| {
                later.group == entry.group && covers(&later.version, &entry.version) && covers(&later.kind, &entry.kind)
            })?;
            Some((entry.line, later.line))
        })
    }

    /// All entries, in the order of the config.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

const INLINE: &str = "--custom-resource-state-config";
const FILE: &str = "--custom-resource-state-config-file";

fn is_optional(flags: &Flags) -> bool {
    flags.continue_without_custom_resource_state_config_file == Some(true)
}

/// The text that counts, if one was given.
fn text_of(flags: &Flags) -> Option<&str> {
    flags.custom_resource_state_config.as_deref().filter(|text| !text.is_empty())
}

/// The file that counts, if one does.
pub(super) fn file_of(flags: &Flags) -> Option<&std::path::Path> {
    named(&flags.custom_resource_state_config_file).filter(|_| text_of(flags).is_none())
}

/// What the flags ask for.
pub(super) fn of_flags(flags: &Flags, warnings: &mut Vec<Warning>) -> Result<CustomResources, SettingsError> {
    let (origin, custom) = match (text_of(flags), file_of(flags)) {
        (Some(text), _) => (INLINE.to_owned(), CustomResources::parse(INLINE, text)?),
        (None, Some(file)) if is_optional(flags) && !file.exists() => {
            warnings.push(Warning::WithoutFile { flag: FILE, file: file.to_owned() });
            Default::default()
        }
        (None, Some(file)) => (file.display().to_string(), CustomResources::read(file)?),
        (None, None) => Default::default(),
    };
    warnings.extend(custom.hidden().map(|(line, later)| Warning::Hidden { origin: origin.clone(), line, later }));
    if custom.is_empty() && flags.custom_resource_state_only == Some(true) {
        warnings.push(Warning::NothingCustom);
    }
    Ok(custom)
}

/// Line, key and reason.
type Wrong = (Option<u64>, String, String);

fn wrong(line: u64, key: impl Into<String>, reason: impl Into<String>) -> Wrong {
    (Some(line), key.into(), reason.into())
}

fn within(outer: &str, (line, key, reason): Wrong) -> Wrong {
    let dot = if key.is_empty() || key.starts_with('[') { "" } else { "." };
    (line, format!("{outer}{dot}{key}"), reason)
}

/// The first document that has anything in it; others are ignored, as in kube-state-metrics.
fn read(text: &str) -> Result<file::File, Wrong> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document = first_document(text).ok_or_else(|| (None, String::new(), "there is nothing in it".to_owned()))?;
    let options = serde_saphyr::options! {
        // The file is the user's own; aliases are still bounded, and the depth, for the stack's sake.
        budget: serde_saphyr::budget! { max_depth: 64 },
        with_snippet: false,
    };
    let key = RefCell::new(String::new());
    let read = serde_saphyr::with_deserializer_from_str_with_options(document, options, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            *key.borrow_mut() = key_of(error.path());
            error.into_inner()
        })
    });
    read.map_err(|error| {
        let (line, reason) = yaml::place(&error);
        (line, key.into_inner(), reason)
    })
}

/// The path of an error as the file has it: without the fields of the wrappers that know the places of values.
fn key_of(path: &serde_path_to_error::Path) -> String {
    let mut key = String::new();
    let mut is_name = false;
    for segment in path {
        match segment {
            Segment::Map { key: name } if name == "value" && !is_name => continue,
            Segment::Map { key: name } => {
                let dot = if key.is_empty() { "" } else { "." };
                key.push_str(&format!("{dot}{name}"));
                // Below these a label may have any name.
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

/// The text up to the end of the first document with content. Lines keep their numbers.
fn first_document(text: &str) -> Option<&str> {
    let first = yaml::documents(text).into_iter().find(|(_, range)| yaml::blank_lines(&text[range.clone()]).is_some());
    first.map(|(_, range)| &text[..range.end])
}

fn entry(resource: Spanned<file::Resource>) -> Result<Entry, Wrong> {
    let line = resource.referenced.line();
    let file::Resource { group_version_kind, metric_name_prefix, metrics, resource_plural, .. } = &resource.value;
    let named = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty() && name != "*");
    let group = group_version_kind.group.as_ref();
    let Some(group_name) = group.and_then(|group| named(&group.value.0)) else {
        let line = group.map_or(line, |group| group.referenced.line());
        return Err(wrong(
            line,
            "groupVersionKind.group",
            "a group is needed; only version and kind can be any, as \"*\"",
        ));
    };
    if metrics.len() > usize::from(u16::MAX) {
        return Err(wrong(line, "metrics", format!("{} metrics are too many", metrics.len())));
    }
    let prefix = metric_name_prefix.as_deref().unwrap_or(PREFIX);
    let metrics = metrics.iter().enumerate().map(|(index, metric)| {
        self::metric(&resource.value, prefix, metric).map_err(|wrong| within(&format!("metrics[{index}]"), wrong))
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
        return Err(wrong(line, "name", format!("{full_name:?} is no name of a metric")));
    }
    // A path replaces one of the resource under the same name.
    let resource_paths = paths(&resource.labels_from_path)?;
    let mut label_paths = resource_paths;
    label_paths.extend(paths(labels_from_path)?);
    let Some(each) = each else {
        return Err(wrong(line, "each", "it is missing: it says what the metric is made of"));
    };
    Ok(Metric {
        name: full_name,
        help: help.clone(),
        common_labels: labels(common_labels)?,
        labels: LabelPaths::new(label_paths.iter().map(|(name, path)| (name.as_str(), path))),
        error_log_v: if *error_log_v == 0 { resource.error_log_v } else { *error_log_v },
        each: self::each(each).map_err(|wrong| within("each", wrong))?,
    })
}

fn each(each: &Spanned<file::Each>) -> Result<Each, Wrong> {
    let file::Each { kind, gauge, state_set, info } = &each.value;
    let line = kind.as_ref().map_or(each.referenced.line(), |kind| kind.referenced.line());
    let kind = kind.as_ref().map_or("", |kind| &kind.value.0);
    let missing = |key: &str| wrong(line, key, format!("it is missing: the type is {kind}"));
    match kind.to_lowercase().as_str() {
        "gauge" => {
            let file::Gauge { path, labels_from_path, label_from_key, value_from, nil_is_zero } =
                gauge.as_ref().ok_or_else(|| missing("gauge"))?;
            let kind = Kind::Gauge {
                label_from_key: name_of_key(label_from_key),
                value_from: self::path("valueFrom", value_from).map_err(|wrong| within("gauge", wrong))?,
                nil_is_zero: *nil_is_zero,
            };
            self::from_path(path, labels_from_path, kind).map_err(|wrong| within("gauge", wrong))
        }
        "info" => {
            let file::Info { path, labels_from_path, label_from_key } = info.as_ref().ok_or_else(|| missing("info"))?;
            let kind = Kind::Info { label_from_key: name_of_key(label_from_key) };
            self::from_path(path, labels_from_path, kind).map_err(|wrong| within("info", wrong))
        }
        "stateset" => {
            let file::StateSet { path, labels_from_path, label_name, list, value_from } =
                state_set.as_ref().ok_or_else(|| missing("stateSet"))?;
            let Some(label_name) = name_of_key(label_name) else {
                return Err(wrong(
                    line,
                    "stateSet.labelName",
                    "it is missing: it names the label that tells the state",
                ));
            };
            let kind = Kind::StateSet {
                label_name,
                states: list.iter().map(|state| state.0.clone()).collect(),
                value_from: self::path("valueFrom", value_from).map_err(|wrong| within("stateSet", wrong))?,
            };
            self::from_path(path, labels_from_path, kind).map_err(|wrong| within("stateSet", wrong))
        }
        _ => Err(wrong(line, "type", format!("{kind:?} is none of Gauge, Info and StateSet"))),
    }
}

fn from_path(path: &Parts, labels: &Paths, kind: Kind) -> Result<Each, Wrong> {
    let labels = paths(labels)?;
    Ok(Each {
        path: self::path("path", path)?,
        labels: LabelPaths::new(labels.iter().map(|(name, path)| (name.as_str(), path))),
        kind,
    })
}

fn name_of_key(name: &Option<Spanned<Text>>) -> Option<String> {
    label_name(&name.as_ref()?.value.0).map(std::borrow::Cow::into_owned)
}

fn path(key: &str, parts: &Parts) -> Result<Path, Wrong> {
    for (index, part) in parts.iter().enumerate() {
        if let Err(error) = Path::new([&part.value.0]) {
            return Err(wrong(part.referenced.line(), format!("{key}[{index}]"), error.to_string()));
        }
    }
    let texts = parts.iter().map(|part| &part.value.0);
    // NB: each part was tried before, with its place at hand.
    Path::new(texts).map_err(|error| (None, key.to_owned(), error.to_string()))
}

fn paths(paths: &Paths) -> Result<BTreeMap<String, Path>, Wrong> {
    let path = |(name, parts): (&Text, &Option<Parts>)| {
        let parts = parts.as_ref();
        let path = parts.map_or_else(|| Ok(Path::default()), |parts| path(&name.0, parts));
        path.map(|path| (name.0.clone(), path)).map_err(|wrong| within("labelsFromPath", wrong))
    };
    paths.iter().map(path).collect()
}

fn labels(labels: &Labels) -> Result<BTreeMap<String, String>, Wrong> {
    let label = |(name, value): (&Text, &Spanned<Text>)| {
        let valid =
            label_name(&name.0).ok_or_else(|| wrong(value.referenced.line(), "commonLabels", "a label has no name"))?;
        Ok((valid.into_owned(), value.value.0.clone()))
    };
    labels.iter().map(label).collect()
}

fn is_metric_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':';
    name.bytes().all(allowed) && !name.starts_with(|c: char| c.is_ascii_digit())
}

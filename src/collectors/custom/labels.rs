//! Labels from an object: values at paths, or copies of whole maps.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::mask::{Mask, NodeId};
use super::path::Path;
use super::value::Value;
use crate::collectors::label_names::LabelName;
use crate::collectors::labels::OF_NAMESPACES;

/// The prefix of a label whose name another one takes.
const YIELDED: &str = "exported_";

/// Labels with unique names, in the order of the names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Labels<'a>(Vec<(LabelName<'a>, Cow<'a, str>)>);

impl<'a> Labels<'a> {
    /// Sets a label.
    pub fn set(&mut self, name: LabelName<'a>, value: Cow<'a, str>) {
        match self.0.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (name, value)),
        }
    }

    /// Returns the value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// Gives labels with names of [`OF_NAMESPACES`] other ones, as Prometheus does with labels that a target may not have.
    pub fn yield_names(&mut self) {
        let is_taken = |name: &LabelName<'_>| {
            let rest = name.as_str().trim_start_matches(YIELDED).strip_prefix(OF_NAMESPACES);
            rest.is_some_and(|key| key.starts_with('_'))
        };
        if self.0.iter().any(|(name, _)| is_taken(name)) {
            for (name, value) in std::mem::take(&mut self.0) {
                // One prefix more, so that names stay different.
                let name = match is_taken(&name) {
                    true => LabelName::new(format!("{YIELDED}{}", name.as_str())).unwrap_or(name),
                    false => name,
                };
                self.set(name, value);
            }
        }
    }

    /// Keeps the labels for which `keep` returns true.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.0.retain(|(name, value)| keep(name.as_str(), value));
    }

    /// Returns all labels.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_ref()))
    }

    /// Returns whether there are no labels.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `labelsFromPath`: labels to set from an object, in this order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelPaths {
    /// `*`, `prefix_*` or `*name`, with the prefix of each key of the copied map.
    copies: Vec<(String, Path)>,
    named: Vec<(LabelName<'static>, Path)>,
    /// The values of labels whose path leads to nothing. Not a part of the format of kube-state-metrics.
    defaults: Vec<(LabelName<'static>, String)>,
}

impl LabelPaths {
    /// Takes the paths by the names of their labels. Names that begin or end with `*` are copies. Ignores empty and
    /// reserved names.
    pub fn new<'p>(paths: impl IntoIterator<Item = (&'p str, &'p Path)>) -> Self {
        let sorted: BTreeMap<_, _> = paths.into_iter().collect();
        let mut all = Self::default();
        for (name, path) in sorted {
            if let Some(prefix) = name.strip_suffix('*') {
                all.copies.push((prefix.to_owned(), path.clone()));
            } else if name.starts_with('*') {
                all.copies.push((String::new(), path.clone()));
            } else if let Ok(name) = LabelName::new(name) {
                all.named.push((name.into_owned(), path.clone()));
            }
        }
        all
    }

    /// Takes the values of labels whose path leads to nothing. Ignores empty and reserved names.
    pub fn with_defaults<'d>(mut self, defaults: impl IntoIterator<Item = (&'d str, &'d str)>) -> Self {
        let defaults = defaults.into_iter().filter_map(|(name, value)| Some((LabelName::new(name).ok()?, value)));
        self.defaults = defaults.map(|(name, value)| (name.into_owned(), value.to_owned())).collect();
        self
    }

    /// Sets the labels whose paths exist. Of several with the same name the last counts; named labels win over copied ones. A key
    /// with a reserved name is not copied.
    pub(super) fn set<'v>(&'v self, from: Option<&'v Value<'_>>, labels: &mut Labels<'v>) {
        for (prefix, path) in &self.copies {
            let Some(Value::Map(fields)) = path.get(from) else { continue };
            for (key, value) in fields {
                let name = if prefix.is_empty() {
                    LabelName::new(key.as_ref())
                } else {
                    LabelName::new(format!("{prefix}{key}"))
                };
                if let Ok(name) = name {
                    labels.set(name, value.label());
                }
            }
        }
        for (name, value) in &self.defaults {
            labels.set(name.reborrow(), Cow::Borrowed(value));
        }
        for (name, path) in &self.named {
            if let Some(value) = path.get(from) {
                labels.set(name.reborrow(), value.label());
            }
        }
    }

    /// Returns the labels with a name of their own, with their paths.
    pub(super) fn named(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.named.iter().map(|(name, path)| (name.as_str(), path))
    }

    /// Returns the paths of the maps that are copied.
    pub(super) fn copied(&self) -> impl Iterator<Item = &Path> {
        self.copies.iter().map(|(_, path)| path)
    }

    pub(super) fn need(&self, mask: &mut Mask, from: NodeId) {
        let copied = self.copies.iter().map(|(_, path)| path);
        for path in copied.chain(self.named.iter().map(|(_, path)| path)) {
            mask.add_whole(from, path);
        }
    }
}

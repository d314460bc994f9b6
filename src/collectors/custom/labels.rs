//! Labels that a config takes from an object: from paths, or copies of whole maps.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::mask::{Mask, PlaceId};
use super::path::Path;
use super::value::Value;
use crate::collectors::labels::sanitise;

/// Labels by name, each name once, in the order of the names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Labels<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Labels<'a> {
    /// Sets a label; its name is a valid one.
    pub fn set(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        match self.0.binary_search_by(|(known, _)| known.as_ref().cmp(&name)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (name, value)),
        }
    }

    /// The value of the label of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// Keeps the labels that `keep` wants.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.0.retain(|(name, value)| keep(name, value));
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A name that Prometheus takes; none for the empty one. As kube-state-metrics has it, but for a digit at its start, which
/// would spoil the whole exposition.
pub fn label_name(text: &str) -> Option<Cow<'_, str>> {
    let name = sanitise(text);
    match name.as_bytes().first()? {
        b'0'..=b'9' => Some(Cow::Owned(format!("_{name}"))),
        _ => Some(name),
    }
}

/// `labelsFromPath`: what is set from an object, in this order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelPaths {
    /// `*`, `prefix_*` or `*name`, with what stands before each key of the copied map.
    copies: Vec<(String, Path)>,
    named: Vec<(String, Path)>,
}

impl LabelPaths {
    /// The paths by the names of their labels. Names that begin or end with a star are copies; a name that is empty is none.
    pub fn new<'p>(paths: impl IntoIterator<Item = (&'p str, &'p Path)>) -> Self {
        let sorted: BTreeMap<_, _> = paths.into_iter().collect();
        let mut all = Self::default();
        for (name, path) in sorted {
            if let Some(prefix) = name.strip_suffix('*') {
                all.copies.push((prefix.to_owned(), path.clone()));
            } else if name.starts_with('*') {
                all.copies.push((String::new(), path.clone()));
            } else if let Some(name) = label_name(name) {
                all.named.push((name.into_owned(), path.clone()));
            }
        }
        all
    }

    /// Sets the labels that are there; of several with one name the last counts, and a named one over a copied one.
    pub(super) fn set<'v>(&'v self, from: Option<&'v Value<'_>>, labels: &mut Labels<'v>) {
        for (prefix, path) in &self.copies {
            let Some(Value::Map(fields)) = path.get(from) else { continue };
            for (key, value) in fields {
                let name = if prefix.is_empty() {
                    label_name(key)
                } else {
                    label_name(&format!("{prefix}{key}")).map(|name| Cow::Owned(name.into_owned()))
                };
                if let Some(name) = name {
                    labels.set(name, value.label());
                }
            }
        }
        for (name, path) in &self.named {
            if let Some(value) = path.get(from) {
                labels.set(Cow::Borrowed(name), value.label());
            }
        }
    }

    pub(super) fn need(&self, mask: &mut Mask, from: PlaceId) {
        for (_, path) in self.copies.iter().chain(&self.named) {
            mask.add_whole(from, path);
        }
    }
}

//! Renders custom resources. Their kinds come from the objects, so no CustomResourceDefinition is needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::collectors::custom::{Collected, CustomCollector, GroupVersionKind, Problem};
use crate::exposition::ResourceStore;
use crate::settings::Settings;
use crate::settings::selectors::of_custom;

use super::input::Object;
use super::target::{Identity, ObjectError, Partitions, Render};

/// The kinds of custom resources seen so far.
pub(super) struct Custom<'s> {
    settings: &'s Settings,
    kinds: BTreeMap<GroupVersionKind, Rendered>,
}

struct Rendered {
    collector: CustomCollector,
    objects: Arc<ResourceStore>,
    /// Partitions of namespaced objects, and of cluster-scoped ones.
    namespaced: Partitions,
    others: Partitions,
    problems: BTreeMap<Problem, u64>,
}

impl<'s> Custom<'s> {
    pub fn new(settings: &'s Settings) -> Self {
        Self { settings, kinds: BTreeMap::new() }
    }

    /// Returns the renderer of `object`, if the configuration has one for its kind.
    pub fn of(&mut self, object: &Object) -> Option<&mut dyn Render> {
        let (group, version) = object.api_version.split_once('/')?;
        let of = GroupVersionKind { group: group.to_owned(), version: version.to_owned(), kind: object.kind.clone() };
        let settings = self.settings;
        let entry = settings.live.custom.of(&of)?;
        let rendered = self.kinds.entry(of).or_insert_with_key(|of| {
            let collector = settings.custom_collector(entry, of);
            let partitions = |namespaced| Partitions::new(settings, of_custom(settings, namespaced));
            Rendered {
                objects: ResourceStore::without_history(&of.to_string(), collector.headers()),
                collector,
                namespaced: partitions(true),
                others: partitions(false),
                problems: BTreeMap::new(),
            }
        });
        Some(rendered)
    }

    pub fn problems(&self) -> impl Iterator<Item = (&Problem, u64)> {
        self.kinds.values().flat_map(|kind| &kind.problems).map(|(problem, count)| (problem, *count))
    }

    pub fn into_stores(self) -> impl Iterator<Item = Arc<ResourceStore>> {
        self.kinds.into_values().map(|kind| kind.objects)
    }
}

impl Render for Rendered {
    fn take(&mut self, fields: Map<String, Value>, identity: &Identity) -> Result<(), ObjectError> {
        let partitions = if identity.namespace.is_empty() { &mut self.others } else { &mut self.namespaced };
        let Some(partition) = partitions.take(identity) else { return Ok(()) };
        let collected = self.collector.collect(&Value::Object(fields))?;
        let Collected { block, problems, .. } = collected;
        for problem in problems {
            *self.problems.entry(problem).or_default() += 1;
        }
        identity.put(&self.objects, partition, block);
        Ok(())
    }
}

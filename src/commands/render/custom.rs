//! The custom resources that are rendered. Which there are, the objects say: no CRD needs to be at hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::collectors::custom::{Collected, CustomCollector, GroupVersionKind, Problem};
use crate::exposition::{ResourceStore, Stamp, Uid};
use crate::settings::Settings;
use crate::settings::selectors::{Selector, of_custom};
use crate::sharding::Hashes;

use super::input::Object;
use super::kinds::{Identity, Render};

/// Those that were seen so far.
pub(super) struct Custom<'s> {
    settings: &'s Settings,
    kinds: BTreeMap<GroupVersionKind, Rendered>,
}

struct Rendered {
    collector: CustomCollector,
    objects: Arc<ResourceStore>,
    /// Of objects in namespaces, and of others: each partition, and how many objects it has taken.
    namespaced: Vec<(Selector, u64)>,
    others: Vec<(Selector, u64)>,
    /// 0 is none.
    object_limit: u64,
    problems: BTreeMap<Problem, u64>,
}

impl<'s> Custom<'s> {
    pub fn new(settings: &'s Settings) -> Self {
        Self { settings, kinds: BTreeMap::new() }
    }

    /// What renders `object`, if a config asks for it.
    pub fn of(&mut self, object: &Object) -> Option<&mut dyn Render> {
        let (group, version) = object.api_version.split_once('/')?;
        let of = GroupVersionKind { group: group.to_owned(), version: version.to_owned(), kind: object.kind.clone() };
        let settings = self.settings;
        let entry = settings.custom.of(&of)?;
        let rendered = self.kinds.entry(of).or_insert_with_key(|of| {
            let enabled = |name: &str| settings.families.is_enabled(name, false);
            let collector = CustomCollector::new(&entry.definition, of, enabled, settings.log.verbosity);
            let partitions = |namespaced| of_custom(settings, namespaced).into_iter().map(|s| (s, 0)).collect();
            Rendered {
                objects: ResourceStore::without_history(&of.to_string(), collector.headers()),
                collector,
                namespaced: partitions(true),
                others: partitions(false),
                object_limit: settings.object_limit,
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
    fn take(&mut self, fields: Map<String, Value>, identity: &Identity) -> Result<(), String> {
        let partitions = if identity.namespace.is_empty() { &mut self.others } else { &mut self.namespaced };
        let partition = partitions.iter().position(|(s, _)| s.selects(&identity.namespace, &identity.node));
        let Some(partition) = partition else { return Ok(()) };
        let taken = &mut partitions[partition].1;
        if self.object_limit != 0 && *taken >= self.object_limit {
            return Ok(());
        }
        *taken += 1;
        let collected = self.collector.collect(&Value::Object(fields)).map_err(|error| error.to_string())?;
        let Collected { block, problems, .. } = collected;
        for problem in problems {
            *self.problems.entry(problem).or_default() += 1;
        }
        let uid = identity.uid.as_str();
        let stamp = Stamp { version: identity.version, listed: true };
        self.objects.apply(partition as u32, Uid::from(uid), Hashes::of(uid), stamp, block);
        Ok(())
    }
}

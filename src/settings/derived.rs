//! What follows from the settings for the rest of the program.

use std::collections::BTreeMap;

use super::Settings;
use super::custom::Entry;
use super::kinds::Kind;
use crate::collectors::custom::{CustomCollector, GroupVersionKind};
use crate::collectors::labels::KeyFilter;
use crate::collectors::{self, Collector, Family, Resource};
use crate::sharding::Hasher;

impl Settings {
    /// The collector of a built-in resource, with its enabled families, labels and annotations.
    pub fn collector<R: Resource>(&self) -> Collector<R> {
        let live = &self.live;
        let name = collectors::name::<R>();
        let keys = |lists: &BTreeMap<String, KeyFilter>| lists.get(name).cloned().unwrap_or_default();
        let enabled = |family: &Family<R>| live.families.is_enabled(family.name, family.opt_in);
        Collector::new(enabled, keys(&live.labels), keys(&live.annotations)).promoting(keys(&live.promoted))
    }

    /// The collector of a custom resource that `entry` configures.
    pub fn custom_collector(&self, entry: &Entry, of: &GroupVersionKind) -> CustomCollector {
        let enabled = |name: &str| self.live.families.is_enabled(name, false);
        let collector = CustomCollector::new(&entry.definition, of, enabled, self.live.log.verbosity);
        match self.live.promote_namespace_labels {
            KeyFilter::None => collector,
            _ => collector.yielding_names(),
        }
    }

    /// Whether replicas read the objects of a built-in kind, for its own families or for those of an entry of the config of custom
    /// resources. Replicas of nodes share only the pods; each would read all objects of the entry.
    pub fn reads(&self, kind: &Kind) -> bool {
        let is_on = self.live.resources.iter().any(|name| name == kind.plural);
        let has_entry = self.live.custom.of_built_in(kind).is_some();
        is_on || (has_entry && (kind.plural == "pods" || !self.selects_by_node()))
    }

    /// The hash that assigns objects to shards. Server-side sharding supports only FNV-1a; xxHash64 is better distributed.
    pub fn hasher(&self) -> Hasher {
        if self.fixed.server_side_sharding { Hasher::Fnv1a64 } else { Hasher::XxHash64 }
    }

    /// Whether pods are selected by node: `--node`, `--track-unscheduled-pods`.
    pub fn selects_by_node(&self) -> bool {
        self.live.track_unscheduled_pods || !self.live.nodes.is_empty()
    }

    /// Whether selectors choose the objects of a resource: its own, or `--namespace-selector`.
    pub fn selects(&self, resource: &str, namespaced: bool) -> bool {
        self.live.selections.has(resource) || (namespaced && self.live.namespace_selector.is_some())
    }

    /// Whether the replicas together read all objects of the served resources.
    pub fn reads_all(&self) -> bool {
        !self.selects_by_node() && self.live.object_limit == 0
    }
}

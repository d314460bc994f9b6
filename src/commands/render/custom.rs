//! Renders custom resources. Their kinds come from the objects, so no CustomResourceDefinition is needed.
//!
//! Whoever renders a config tries it, so the remarks also name entries without objects, and paths that lead nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::collectors::custom::{Collected, CustomCollector, GroupVersionKind, Problem};
use crate::exposition::{NamespaceLabels, ResourceStore};
use crate::intake::Unreadable;
use crate::settings::custom::Entry;
use crate::settings::selectors::{of_custom, selectors};
use crate::settings::{Settings, resources};

use super::input::Object;
use super::target::{Identity, ObjectError, Partitions, Render, label};

/// How many kinds without an entry are remembered.
const REMEMBERED: usize = 1_000;

/// How many kinds a remark names.
const NAMED: usize = 3;

/// The kinds of custom resources seen so far.
pub(super) struct Custom<'s> {
    settings: &'s Settings,
    /// The labels that the series have of their Namespaces.
    promoted: Option<Arc<NamespaceLabels>>,
    kinds: BTreeMap<GroupVersionKind, Rendered>,
    /// Kinds without an entry.
    others: BTreeSet<GroupVersionKind>,
}

struct Rendered {
    collector: CustomCollector,
    objects: Arc<ResourceStore>,
    /// Partitions of namespaced objects, and of cluster-scoped ones.
    namespaced: Partitions,
    others: Partitions,
    problems: BTreeMap<Problem, u64>,
    /// The Info metrics whose path exists, and whether any object has a series.
    infos: BTreeMap<String, bool>,
}

impl<'s> Custom<'s> {
    pub fn new(settings: &'s Settings, promoted: Option<Arc<NamespaceLabels>>) -> Self {
        Self { settings, promoted, kinds: BTreeMap::new(), others: BTreeSet::new() }
    }

    /// Returns the renderer of `object`, if the configuration has one for its kind.
    pub fn of(&mut self, object: &Object) -> Option<(String, &mut dyn Render)> {
        let (group, version) = object.api_version.split_once('/').unwrap_or(("", &object.api_version));
        let of = GroupVersionKind { group: group.to_owned(), version: version.to_owned(), kind: object.kind.clone() };
        let (settings, promoted) = (self.settings, self.promoted.as_ref());
        let built_in = resources::all().iter().find(|kind| kind.group_version_kind() == of);
        let entry = match built_in {
            Some(kind) => settings.live.custom.of_built_in(kind),
            None => settings.live.custom.of(&of),
        };
        let Some(entry) = entry else {
            if built_in.is_none() && self.others.len() < REMEMBERED {
                self.others.insert(of);
            }
            return None;
        };
        let resource = built_in.map_or_else(|| resource(settings, &of), |kind| kind.plural.to_owned());
        let rendered = self.kinds.entry(of).or_insert_with_key(|of| {
            let collector = settings.custom_collector(entry, of);
            let selectors = |namespaced| match built_in.filter(|kind| settings.reads(kind)) {
                Some(kind) => selectors(settings, kind),
                None => of_custom(settings, &resource, namespaced),
            };
            let partitions = |namespaced| Partitions::new(settings, selectors(namespaced));
            let objects = ResourceStore::without_history(&of.to_string(), collector.headers());
            label(&objects, of.group.is_empty() && of.kind == "Namespace", promoted);
            Rendered {
                objects,
                collector,
                namespaced: partitions(true),
                others: partitions(false),
                problems: BTreeMap::new(),
                infos: BTreeMap::new(),
            }
        });
        Some((resource, rendered))
    }

    /// What the author of the configuration should know, one line each.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        for (problem, objects) in self.kinds.values().flat_map(|kind| &kind.problems) {
            let objects = if *objects == 1 { "1 object".to_owned() } else { format!("{objects} objects") };
            remarks.push(format!("{objects}: {problem}"));
        }
        for (metric, _) in self.kinds.values().flat_map(|kind| &kind.infos).filter(|(_, has_series)| !**has_series) {
            remarks.push(format!("{metric}: no series: an Info needs a label, from labelsFromPath or labelFromKey"));
        }
        let custom = &self.settings.live.custom;
        let hidden: BTreeSet<_> = custom.hidden().map(|(line, _)| line).collect();
        // An entry for all kinds of a group has objects if one of them was not left to a later entry.
        let used: BTreeSet<_> = self.kinds.keys().filter_map(|of| custom.of(of)).map(|entry| entry.line).collect();
        for entry in custom.entries().iter().filter(|e| !used.contains(&e.line) && !hidden.contains(&e.line)) {
            remarks.push(format!("{}: line {}: {}", custom.origin(), entry.line, self.without_objects(entry)));
        }
        remarks
    }

    /// Why `entry` has no objects.
    fn without_objects(&self, entry: &Entry) -> String {
        let [version, kind] = [&entry.version, &entry.kind].map(|part| part.as_deref().unwrap_or("*"));
        let of = GroupVersionKind { group: entry.group.clone(), version: version.to_owned(), kind: kind.to_owned() };
        let wanted = of.to_string();
        if resources::all().iter().any(|known| known.group == entry.group && known.kind == kind) {
            return match self.settings.live.custom.takes_all_kinds() {
                true => format!("the input has no object of {wanted}"),
                false => format!("{wanted} is built in; entries for it need --custom-resource-state-all-kinds"),
            };
        }
        let similar = |of: &&GroupVersionKind| of.group == entry.group || of.kind.eq_ignore_ascii_case(kind);
        let similar: Vec<_> = self.others.iter().filter(similar).take(NAMED).map(ToString::to_string).collect();
        let instead = if similar.is_empty() { String::new() } else { format!(", but of {}", similar.join(", ")) };
        format!("the input has no object of {wanted}{instead}")
    }

    pub fn into_stores(self) -> impl Iterator<Item = Arc<ResourceStore>> {
        self.kinds.into_values().map(|kind| kind.objects)
    }
}

/// Returns the name by which the selectors of a custom resource are configured, `plural.group`. Objects name only their kind, so it is
/// the name with a plural of English that a selector has; else any name without one.
pub(super) fn resource(settings: &Settings, of: &GroupVersionKind) -> String {
    let kind = of.kind.to_lowercase();
    let ies = format!("{}ies", kind.trim_end_matches('y'));
    let plurals = [format!("{kind}s"), format!("{kind}es"), ies, kind];
    let names: Vec<_> = plurals.iter().map(|plural| format!("{plural}.{}", of.group)).collect();
    let has_selector = |name: &&String| settings.live.selections.has(name);
    names.iter().find(has_selector).or(names.first()).cloned().unwrap_or_default()
}

impl Render for Rendered {
    fn take(&mut self, fields: Map<String, Value>, identity: &Identity, _: &Unreadable) -> Result<(), ObjectError> {
        let partitions = if identity.namespace.is_empty() { &mut self.others } else { &mut self.namespaced };
        let Some(partition) = partitions.take(identity) else { return Ok(()) };
        let object = Value::Object(fields);
        let Collected { block, problems, .. } = self.collector.collect(&object)?;
        let hints = self.collector.hints(&object)?;
        for problem in problems.into_iter().chain(hints.problems) {
            *self.problems.entry(problem).or_default() += 1;
        }
        for (metric, has_series) in hints.infos {
            *self.infos.entry(metric).or_default() |= has_series;
        }
        identity.put(&self.objects, partition, block);
        Ok(())
    }
}

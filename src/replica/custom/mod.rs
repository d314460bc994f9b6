//! The custom resources of a running replica: the kinds that the settings ask for and the API server serves.
//!
//! Every replica watches all CustomResourceDefinitions, and reads the groups of entries for other kinds by API discovery
//! ([`discovery`]). The objects of a kind are watched, sharded and handed over like those of built-in resources.

mod blocks;
mod definitions;
mod discovery;
mod problems;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::followed::{Follower, Following, cluster_scoped};
use super::pipeline;
use super::resources::{
    Degradation, Group, Partition, ReadOptions, ResourceShape, ResourceSpec, Resources, Rollout, SeriesOptions,
};
use super::tasks::Spawner;
use crate::collectors::custom::GroupVersionKind;
use crate::health::{DEFINITIONS, Degraded, SharedDegraded};
use crate::intake::{Endpoint, Form, Sink};
use crate::settings::Settings;
use crate::settings::selectors::of_custom;
use crate::sync::watch;
use crate::telemetry::DefinitionEvents;
pub(super) use blocks::CustomBlocks;
pub use blocks::{custom_sink, joined_sink};
use definitions::{CustomKind, DefinitionSink, Definitions, KnownKinds};
use discovery::Discovery;

/// The custom resources of a replica.
pub(super) struct CustomResources {
    resources: Arc<Resources>,
    follower: Follower,
    client: kube::Client,
    events: Arc<DefinitionEvents>,
    degraded: SharedDegraded,
}

impl CustomResources {
    /// Starts without custom resources.
    pub fn new(resources: Arc<Resources>, client: kube::Client, spawner: Spawner) -> Self {
        let (events, degraded) = (Arc::default(), Arc::default());
        Self { resources, follower: Follower::new(client.clone(), spawner), client, events, degraded }
    }

    /// Returns the counts of definitions.
    pub fn events(&self) -> Arc<DefinitionEvents> {
        Arc::clone(&self.events)
    }

    /// Returns why the definitions are degraded, if they are.
    pub fn degraded(&self) -> SharedDegraded {
        Arc::clone(&self.degraded)
    }

    /// Serves the custom resources that `settings` ask for, from the cluster of this number. The previous ones are served until
    /// these are loaded.
    pub fn follow(&self, settings: &Settings, cluster: u32) {
        if settings.live.custom.of_others().next().is_none() {
            self.follower.stop(|was_active| {
                if was_active {
                    serve(&self.resources, Vec::new(), Rollout::Atomic);
                }
            });
            return;
        }
        let endpoint = cluster_scoped("apiextensions.k8s.io", "CustomResourceDefinition", DEFINITIONS);
        let names = ["watch-customresourcedefinitions", "custom-resource-selector"];
        self.follower.follow(settings, cluster, endpoint, names, |following| {
            let definitions = Definitions::new(Arc::clone(&self.events));
            let discovery = Discovery::new(self.client.clone(), following.settings.clone(), definitions.kinds());
            let selector = CustomResourceSelector {
                following,
                resources: Arc::clone(&self.resources),
                found: definitions.kinds(),
                discovered: discovery.found(),
                once_defined: BTreeSet::new(),
                degraded: Arc::clone(&self.degraded),
            };
            let sinks = [(); 2].map(|()| Box::new(DefinitionSink(Arc::clone(&definitions))) as Box<dyn Sink>);
            let run = async {
                tokio::join!(selector.run(), discovery.run());
            };
            (sinks, run)
        });
    }
}

impl fmt::Debug for CustomResources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomResources").finish_non_exhaustive()
    }
}

/// Selects the custom resources that are served.
struct CustomResourceSelector {
    following: Following,
    resources: Arc<Resources>,
    found: watch::Receiver<KnownKinds>,
    /// Kinds that the API server lists without a definition.
    discovered: watch::Receiver<KnownKinds>,
    /// Kinds that have or had a definition: they come and go with it, even if the API server lists them for longer.
    once_defined: BTreeSet<GroupVersionKind>,
    degraded: SharedDegraded,
}

impl Drop for CustomResourceSelector {
    /// Definitions that are not watched any more are not degraded.
    fn drop(&mut self) {
        self.degraded.store(None);
    }
}

impl CustomResourceSelector {
    async fn run(mut self) {
        // Changed settings take effect for all kinds together, changed definitions kind by kind.
        let (mut rollout, mut is_new, mut given_up) = (Rollout::Atomic, true, false);
        let mut degradation = Degradation::new(Instant::now());
        loop {
            // Not marked as seen: what changed since the wait has its turn at the next one.
            let found = self.found.borrow().clone();
            let discovered = self.discovered.borrow().clone();
            self.once_defined.extend(found.iter().flat_map(|kinds| kinds.iter().map(|kind| kind.of.clone())));
            let kinds = self.all(found.as_deref(), discovered.as_deref());
            let settings = Arc::clone(&self.following.settings.borrow());
            self.following.conditions.mark_unchanged();
            let next_check = self.observe(&mut degradation);
            match found {
                _ if discovered.is_none() => {}
                Some(_) if is_new => self.decide(&settings, &kinds, rollout),
                None if self.following.shard.is_refused() && !given_up => {
                    warn!(
                        "missing permission: list and watch customresourcedefinitions.apiextensions.k8s.io; custom resources \
                         are not served"
                    );
                    given_up = true;
                    self.decide(&settings, &kinds, rollout);
                }
                None if degradation.is_degraded() && !given_up => {
                    given_up = true;
                    self.decide(&settings, &kinds, rollout);
                }
                None if given_up && is_new => self.decide(&settings, &kinds, rollout),
                _ => {}
            }
            is_new &= discovered.is_none();
            // An error means that the sender is gone: this task is about to be stopped as well.
            tokio::select! {
                biased;
                changed = self.following.settings.changed() => match changed {
                    Ok(()) => (rollout, is_new) = (Rollout::Atomic, true),
                    Err(_) => return,
                },
                changed = self.found.changed() => match changed {
                    Ok(()) => (rollout, is_new) = (Rollout::Individual, true),
                    Err(_) => return,
                },
                changed = self.discovered.changed() => match changed {
                    Ok(()) if is_new => {}
                    Ok(()) => (rollout, is_new) = (Rollout::Individual, true),
                    Err(_) => return,
                },
                changed = self.following.conditions.changed() => if changed.is_err() { return },
                () = async { sleep_until(next_check.unwrap_or_else(Instant::now)).await }, if next_check.is_some() => {}
            }
        }
    }

    /// Returns the kinds with a definition, and the other ones that the API server lists.
    fn all(&self, defined: Option<&[CustomKind]>, discovered: Option<&[CustomKind]>) -> Vec<CustomKind> {
        let others = discovered.unwrap_or_default().iter().filter(|kind| !self.once_defined.contains(&kind.of));
        defined.unwrap_or_default().iter().chain(others).cloned().collect()
    }

    /// Observes whether the definitions are degraded. Returns when to observe them again.
    fn observe(&self, degradation: &mut Degradation) -> Option<Instant> {
        let now = Instant::now();
        let vitals = self.following.shard.vitals();
        let next_check = degradation.observe(now, &vitals, self.resources.prove_api(now));
        let (is_degraded, was_degraded) = (degradation.is_degraded(), self.degraded.load().is_some());
        match vitals.trouble {
            Some(trouble) if is_degraded && !was_degraded => {
                let (reason, error) = (trouble.reason, &trouble.error);
                warn!(
                    reason,
                    error,
                    "customresourcedefinitions are degraded: nothing waits for custom resources that are not known yet. Check what \
                     \"kubectl get customresourcedefinitions\" answers"
                );
                self.degraded.store(Some(Arc::new(Degraded { trouble, sources: 1 })));
            }
            _ if was_degraded && !is_degraded => {
                info!("customresourcedefinitions are no longer degraded");
                self.degraded.store(None);
            }
            _ => {}
        }
        next_check
    }

    fn decide(&self, settings: &Settings, kinds: &[CustomKind], rollout: Rollout) {
        let Some(_turn) = self.following.turn() else { return };
        let specs: Vec<_> = kinds.iter().filter_map(|kind| spec(settings, kind, self.following.cluster)).collect();
        let names: Vec<_> = specs.iter().map(|spec| spec.name.clone()).collect();
        info!(resources = ?names, "selected custom resources");
        for entry in settings.live.custom.of_others() {
            if !kinds.iter().any(|kind| entry.matches(&kind.of)) {
                let any = || "*".to_owned();
                let (version, kind) =
                    (entry.version.clone().unwrap_or_else(any), entry.kind.clone().unwrap_or_else(any));
                match (entry.built_in().is_some(), settings.live.custom.takes_all_kinds()) {
                    (_, true) => {
                        info!(group = entry.group, version, kind, "waiting for the API server to serve the kind")
                    }
                    (true, false) => info!(
                        group = entry.group,
                        version, kind, "not served: a built-in kind needs --custom-resource-state-all-kinds"
                    ),
                    (false, false) => {
                        info!(group = entry.group, version, kind, "waiting for a CustomResourceDefinition");
                    }
                }
            }
        }
        for resource in settings.live.selections.of_groups() {
            if !kinds.iter().any(|kind| kind.resource() == *resource) {
                info!(resource, "a selector waits for the API server to serve a resource of this name");
            }
        }
        serve(&self.resources, specs, rollout);
    }
}

fn serve(resources: &Resources, specs: Vec<ResourceSpec>, rollout: Rollout) {
    match resources.set(Group::Custom, specs, rollout) {
        // The log says when they are served.
        Ok(served) => drop(served),
        // Starting a thread may fail, but only Secrets have one.
        Err(error) => warn!(%error, "cannot update custom resources"),
    }
}

/// Returns the spec of `kind`, if the settings ask for it.
fn spec(settings: &Settings, kind: &CustomKind, cluster: u32) -> Option<ResourceSpec> {
    let CustomKind { of, plural, namespaced, defined } = kind;
    let entry = settings.live.custom.of(of)?;
    let resource = kind.resource();
    let partitions: Vec<_> = of_custom(settings, &resource, *namespaced).iter().map(Partition::of).collect();
    if partitions.is_empty() && settings.live.selected_namespaces.is_none() {
        return None;
    }
    let collector = settings.custom_collector(entry, of);
    let shape = ResourceShape {
        endpoint: Endpoint {
            group: of.group.clone(),
            version: of.version.clone(),
            kind: of.kind.clone(),
            plural: plural.clone(),
            namespaced: *namespaced,
            form: Form::Object,
            protobuf: false,
            typed: false,
        },
        partitions,
        selected: settings.selects(&resource, *namespaced),
        follows: settings.live.selected_namespaces.is_some() && *namespaced,
        options: ReadOptions::of(settings, cluster),
        headers: collector.headers(),
        of_namespaces: settings.live.promote_namespace_labels.clone(),
        series: SeriesOptions::Custom(entry.definition.clone()),
    };
    // Lists of other kinds leave out the kinds of their items.
    let blocks = if *defined { CustomBlocks::new(collector) } else { CustomBlocks::of(collector, of) };
    let sink = pipeline::sinks(blocks);
    let dot = if of.group.is_empty() { "" } else { "." };
    let name = format!("{plural}.{}{dot}{}", of.version, of.group);
    Some(ResourceSpec { name, kind: "*unstructured.Unstructured".to_owned(), shape, sink })
}

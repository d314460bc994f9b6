//! The custom resources of a running replica: the kinds that the settings ask for and the API server serves.
//!
//! Every replica watches all CustomResourceDefinitions. The objects of a kind are watched, sharded and handed over like those
//! of built-in resources.

mod definitions;
mod problems;

use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::DropGuard;
use tracing::{info, warn};

use super::pipeline::{self, Blocks};
use super::resources::{
    Degradation, Group, Partition, ReadOptions, ResourceShape, ResourceSpec, Resources, Rollout, SeriesOptions,
};
use super::tasks::Spawner;
use crate::collectors::custom::CustomCollector;
use crate::exposition::{Block, Fingerprints, ResourceStore};
use crate::health::{DEFINITIONS, Degraded, SharedDegraded};
use crate::intake::{self, DecodeError, Endpoint, Form, Item, Room, ShardState, Sink, Source, Status};
use crate::settings::Settings;
use crate::settings::selectors::of_custom;
use crate::sharding::Slice;
use crate::sync::{lock, watch};
use crate::telemetry::DefinitionEvents;
use definitions::{CustomKind, DefinitionSink, Definitions, KnownKinds};
use problems::ProblemLog;

/// The custom resources of a replica.
pub(super) struct CustomResources {
    resources: Arc<Resources>,
    client: kube::Client,
    spawner: Spawner,
    events: Arc<DefinitionEvents>,
    degraded: SharedDegraded,
    /// `None` while the settings ask for no custom resources.
    active: Mutex<Option<ActiveSelection>>,
}

/// A running watch of definitions with its selector.
struct ActiveSelection {
    /// Number of the cluster.
    cluster: u32,
    settings: watch::Sender<Arc<Settings>>,
    /// Stops both.
    _stop: DropGuard,
}

impl CustomResources {
    /// Starts without custom resources.
    pub fn new(resources: Arc<Resources>, client: kube::Client, spawner: Spawner) -> Self {
        let (events, degraded) = (Arc::default(), Arc::default());
        Self { resources, client, spawner, events, degraded, active: Mutex::default() }
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
        let mut active = lock(&self.active);
        if settings.live.custom.is_empty() {
            if active.take().is_some() {
                serve(&self.resources, Vec::new(), Rollout::Atomic);
            }
            return;
        }
        match &*active {
            Some(active) if active.cluster == cluster => drop(active.settings.send_replace(Arc::new(settings.clone()))),
            _ => *active = Some(self.start(settings, cluster)),
        }
    }

    /// Starts the watch of definitions and the selector.
    fn start(&self, settings: &Settings, cluster: u32) -> ActiveSelection {
        let (changed, conditions) = watch::channel(());
        let definitions = Definitions::new(Arc::clone(&self.events));
        let found = definitions.kinds();
        let source = source(settings, ShardState::new(Slice::all()).notifying(changed));
        let shard = Arc::clone(&source.shard);
        let sinks = [(); 2].map(|()| Box::new(DefinitionSink(Arc::clone(&definitions))) as Box<dyn Sink>);
        let stop = self.spawner.stop_token().child_token();
        let watch = intake::run(self.client.clone(), source, sinks, Arc::new(Status::default()), stop.clone());
        self.spawner.spawn_until(stop.clone(), "watch-customresourcedefinitions".to_owned(), watch);
        let settings = watch::Sender::new(Arc::new(settings.clone()));
        let selector = CustomResourceSelector {
            settings: settings.subscribe(),
            cluster,
            resources: Arc::clone(&self.resources),
            shard,
            found,
            conditions,
            degraded: Arc::clone(&self.degraded),
        };
        let until = stop.clone();
        self.spawner.spawn_until(stop.clone(), "custom-resource-selector".to_owned(), async move {
            until.run_until_cancelled(selector.run()).await;
        });
        ActiveSelection { cluster, settings, _stop: stop.drop_guard() }
    }
}

impl fmt::Debug for CustomResources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomResources").finish_non_exhaustive()
    }
}

/// The source of definitions.
fn source(settings: &Settings, shard: ShardState) -> Source {
    Source {
        endpoint: Endpoint {
            group: "apiextensions.k8s.io".to_owned(),
            version: "v1".to_owned(),
            kind: "CustomResourceDefinition".to_owned(),
            plural: DEFINITIONS.to_owned(),
            namespaced: false,
            form: Form::Object,
            // There is no protobuf field table for them. They seldom change.
            protobuf: false,
        },
        namespace: None,
        field_selector: String::new(),
        label_selector: String::new(),
        shard: Arc::new(shard),
        server_side: false,
        audited: false,
        use_cache: settings.live.use_apiserver_cache,
        object_limit: 0,
        batch_delay: settings.live.event_batch_delay,
    }
}

/// Selects the custom resources that are served.
struct CustomResourceSelector {
    settings: watch::Receiver<Arc<Settings>>,
    cluster: u32,
    resources: Arc<Resources>,
    /// The shard state of the definitions, of which every replica reads all.
    shard: Arc<ShardState>,
    found: watch::Receiver<KnownKinds>,
    /// Ticks when the API server starts or stops refusing the definitions, and when a request for them fails or succeeds.
    conditions: watch::Receiver<()>,
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
            let settings = Arc::clone(&self.settings.borrow());
            self.conditions.mark_unchanged();
            let next_check = self.observe(&mut degradation);
            match found {
                Some(kinds) if is_new => self.decide(&settings, &kinds, rollout),
                None if self.shard.is_refused() && !given_up => {
                    warn!(
                        "missing permission: list and watch customresourcedefinitions.apiextensions.k8s.io; custom resources \
                         are not served"
                    );
                    given_up = true;
                    self.decide(&settings, &[], rollout);
                }
                None if degradation.is_degraded() && !given_up => {
                    given_up = true;
                    self.decide(&settings, &[], rollout);
                }
                _ => {}
            }
            is_new = false;
            // An error means that the sender is gone: this task is about to be stopped as well.
            tokio::select! {
                biased;
                changed = self.settings.changed() => match changed {
                    Ok(()) => (rollout, is_new) = (Rollout::Atomic, true),
                    Err(_) => return,
                },
                changed = self.found.changed() => match changed {
                    Ok(()) => (rollout, is_new) = (Rollout::Individual, true),
                    Err(_) => return,
                },
                changed = self.conditions.changed() => if changed.is_err() { return },
                () = async { sleep_until(next_check.unwrap_or_else(Instant::now)).await }, if next_check.is_some() => {}
            }
        }
    }

    /// Observes whether the definitions are degraded. Returns when to observe them again.
    fn observe(&self, degradation: &mut Degradation) -> Option<Instant> {
        let now = Instant::now();
        let vitals = self.shard.vitals();
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
        let specs: Vec<_> = kinds.iter().filter_map(|kind| spec(settings, kind, self.cluster)).collect();
        let names: Vec<_> = specs.iter().map(|spec| spec.name.clone()).collect();
        info!(resources = ?names, "selected custom resources");
        for entry in settings.live.custom.entries() {
            if !kinds.iter().any(|kind| entry.matches(&kind.of)) {
                let any = || "*".to_owned();
                let (version, kind) =
                    (entry.version.clone().unwrap_or_else(any), entry.kind.clone().unwrap_or_else(any));
                info!(group = entry.group, version, kind, "waiting for a CustomResourceDefinition");
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
    let CustomKind { of, plural, namespaced } = kind;
    let entry = settings.live.custom.of(of)?;
    let resource = format!("{plural}.{}", of.group);
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
        },
        partitions,
        selected: settings.selects(&resource, *namespaced),
        follows: settings.live.selected_namespaces.is_some() && *namespaced,
        options: ReadOptions::of(settings, cluster),
        headers: collector.headers(),
        series: SeriesOptions::Custom(entry.definition.clone()),
    };
    let sink = pipeline::sinks(LoggingCollector { collector, problems: ProblemLog::default() });
    let name = format!("{plural}.{}.{}", of.version, of.group);
    Some(ResourceSpec { name, kind: "*unstructured.Unstructured".to_owned(), shape, sink })
}

/// Returns the only sink of a custom resource: for tests.
pub fn custom_sink(collector: CustomCollector, objects: Arc<ResourceStore>) -> Box<dyn Sink> {
    pipeline::sinks(LoggingCollector { collector, problems: ProblemLog::default() })(0, objects)
}

/// A collector that logs the problems of objects.
struct LoggingCollector {
    collector: CustomCollector,
    problems: ProblemLog,
}

impl Blocks for LoggingCollector {
    fn block(&self, item: &Item<'_>) -> Result<Block, DecodeError> {
        let mut json = serde_json::Deserializer::from_slice(item.json()?);
        let collected = self.collector.collect(&mut json)?;
        json.end()?;
        for problem in &collected.problems {
            self.problems.log(&collected.object, problem);
        }
        Ok(collected.block)
    }

    fn fingerprints(&self, item: &Item<'_>, room: &mut Room) -> Option<Fingerprints> {
        let reads_all = self.collector.reads_what_every_write_changes();
        (!reads_all).then(|| item.fingerprint_of_custom(room)).flatten().map(Fingerprints::from)
    }
}

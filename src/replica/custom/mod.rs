//! Custom resources of a running replica: which there are, the API server's CustomResourceDefinitions say, and which of them
//! are served, the settings.
//!
//! Every replica watches all definitions; the objects of a kind are watched, sharded and handed over like any others.

mod definitions;
mod problems;

use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tokio_util::sync::DropGuard;
use tracing::{info, warn};

use super::pipeline::{self, Blocks};
use super::resources::{Owner, Partition, Reading, Resources, Shape, Spec, Swap};
use super::tasks::Spawner;
use crate::collectors::custom::CustomCollector;
use crate::exposition::Block;
use crate::intake::{self, DecodeError, Endpoint, Form, Item, ShardState, Sink, Source, Status};
use crate::settings::Settings;
use crate::settings::selectors::of_custom;
use crate::sharding::Slice;
use crate::sync::lock;
use crate::telemetry::DefinitionEvents;
use definitions::{CustomKind, DefinitionSink, Definitions, Found};
use problems::Problems;

/// The custom resources of a replica.
pub(super) struct Custom {
    resources: Arc<Resources>,
    client: kube::Client,
    spawner: Spawner,
    events: Arc<DefinitionEvents>,
    /// While any are asked for.
    choice: Mutex<Option<Choice>>,
}

/// The watch of definitions and the choice among them, as they run.
struct Choice {
    /// By its number.
    cluster: u32,
    settings: watch::Sender<Arc<Settings>>,
    /// Ends both.
    _stop: DropGuard,
}

impl Custom {
    /// None are asked for yet.
    pub fn new(resources: Arc<Resources>, client: kube::Client, spawner: Spawner) -> Self {
        Self { resources, client, spawner, events: Arc::default(), choice: Mutex::default() }
    }

    /// What came of definitions.
    pub fn events(&self) -> Arc<DefinitionEvents> {
        Arc::clone(&self.events)
    }

    /// From now on serves what `settings` ask for, of the cluster of this number. What was served before is until that is loaded.
    pub fn follow(&self, settings: &Settings, cluster: u32) {
        // Nothing that is done under the lock leaves it half changed.
        let mut choice = lock(&self.choice);
        if settings.custom.is_empty() {
            if choice.take().is_some() {
                serve(&self.resources, Vec::new(), Swap::Together);
            }
            return;
        }
        match &*choice {
            Some(choice) if choice.cluster == cluster => drop(choice.settings.send_replace(Arc::new(settings.clone()))),
            _ => *choice = Some(self.start(settings, cluster)),
        }
    }

    /// Starts to watch which custom resources there are, and to serve those that `settings` ask for.
    fn start(&self, settings: &Settings, cluster: u32) -> Choice {
        let (changed, refusals) = watch::channel(());
        let definitions = Definitions::new(Arc::clone(&self.events));
        let found = definitions.found();
        let source = source(settings, ShardState::new(Slice::all()).notifying(changed));
        let shard = Arc::clone(&source.shard);
        let sinks = [(); 2].map(|()| Box::new(DefinitionSink(Arc::clone(&definitions))) as Box<dyn Sink>);
        let stop = self.spawner.stop_token().child_token();
        let watch = intake::run(self.client.clone(), source, sinks, Arc::new(Status::default()), stop.clone());
        self.spawner.spawn_until(stop.clone(), "the watch of customresourcedefinitions".to_owned(), watch);
        let settings = watch::Sender::new(Arc::new(settings.clone()));
        let decider = Decider {
            settings: settings.subscribe(),
            cluster,
            resources: Arc::clone(&self.resources),
            shard,
            found,
            refusals,
        };
        let until = stop.clone();
        self.spawner.spawn_until(stop.clone(), "the choice of custom resources".to_owned(), async move {
            until.run_until_cancelled(decider.run()).await;
        });
        Choice { cluster, settings, _stop: stop.drop_guard() }
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom").finish_non_exhaustive()
    }
}

/// Where the definitions are.
fn source(settings: &Settings, shard: ShardState) -> Source {
    Source {
        endpoint: Endpoint {
            group: "apiextensions.k8s.io".to_owned(),
            version: "v1".to_owned(),
            kind: "CustomResourceDefinition".to_owned(),
            plural: "customresourcedefinitions".to_owned(),
            namespaced: false,
            form: Form::Object,
            // There is no table of their fields; they seldom change.
            protobuf: false,
        },
        namespace: None,
        field_selector: String::new(),
        shard: Arc::new(shard),
        server_side: false,
        audited: false,
        use_cache: settings.use_apiserver_cache,
        object_limit: 0,
        batch_delay: settings.event_batch_delay,
    }
}

/// Decides which custom resources are served.
struct Decider {
    settings: watch::Receiver<Arc<Settings>>,
    cluster: u32,
    resources: Arc<Resources>,
    /// What is held of the definitions.
    shard: Arc<ShardState>,
    found: watch::Receiver<Found>,
    /// Ticks when the definitions may be refused, or no longer.
    refusals: watch::Receiver<()>,
}

impl Decider {
    async fn run(mut self) {
        // What the settings change is served as one; what the cluster changes, each as it is loaded.
        let (mut swap, mut refused) = (Swap::Together, false);
        loop {
            let found = self.found.borrow_and_update().clone();
            let settings = Arc::clone(&self.settings.borrow_and_update());
            self.refusals.mark_unchanged();
            match found {
                Some(kinds) => self.decide(&settings, &kinds, swap),
                None if self.shard.is_refused() && !refused => {
                    warn!(
                        "no custom resource is served: the API server refuses the customresourcedefinitions of \
                         apiextensions.k8s.io; the right to list and watch them is needed"
                    );
                    refused = true;
                    self.decide(&settings, &[], swap);
                }
                None => {}
            }
            // Of what ends for good the other side is gone, and so will this one be.
            tokio::select! {
                changed = self.found.changed() => match changed {
                    Ok(()) => swap = Swap::Each,
                    Err(_) => return,
                },
                changed = self.settings.changed() => match changed {
                    Ok(()) => swap = Swap::Together,
                    Err(_) => return,
                },
                changed = self.refusals.changed(), if self.found.borrow().is_none() => if changed.is_err() { return },
            }
        }
    }

    fn decide(&self, settings: &Settings, kinds: &[CustomKind], swap: Swap) {
        let specs: Vec<_> = kinds.iter().filter_map(|kind| spec(settings, kind, self.cluster)).collect();
        let names: Vec<_> = specs.iter().map(|spec| spec.name.clone()).collect();
        info!(resources = ?names, "custom resources that are there and asked for");
        for entry in settings.custom.entries() {
            if !kinds.iter().any(|kind| entry.matches(&kind.of)) {
                let any = || "*".to_owned();
                let (version, kind) =
                    (entry.version.clone().unwrap_or_else(any), entry.kind.clone().unwrap_or_else(any));
                info!(
                    group = entry.group,
                    version, kind, "no CustomResourceDefinition serves it; it is served once there is one"
                );
            }
        }
        serve(&self.resources, specs, swap);
    }
}

fn serve(resources: &Resources, specs: Vec<Spec>, swap: Swap) {
    match resources.set(Owner::Custom, specs, swap) {
        // The log tells when they are served.
        Ok(served) => drop(served),
        // Only what is kept apart needs a thread, and no custom resource is.
        Err(error) => warn!(%error, "custom resources stay as they are"),
    }
}

/// How `kind` is watched, if the settings ask for it.
fn spec(settings: &Settings, kind: &CustomKind, cluster: u32) -> Option<Spec> {
    let CustomKind { of, plural, namespaced } = kind;
    let entry = settings.custom.of(of)?;
    let partitions: Vec<_> = of_custom(settings, *namespaced).iter().map(Partition::of).collect();
    if partitions.is_empty() {
        return None;
    }
    let collector = settings.custom_collector(entry, of);
    let shape = Shape {
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
        reading: Reading::of(settings, cluster),
        headers: collector.headers(),
        series: format!("{:?}", entry.definition),
    };
    let sink = pipeline::sinks(Collecting { collector, problems: Problems::default() });
    let name = format!("{plural}.{}.{}", of.version, of.group);
    Some(Spec { name, kind: "*unstructured.Unstructured".to_owned(), shape, sink })
}

/// A collector, and those who hear of what it finds wrong.
struct Collecting {
    collector: CustomCollector,
    problems: Problems,
}

impl Blocks for Collecting {
    fn block(&self, item: &Item<'_>) -> Result<Block, DecodeError> {
        let mut json = serde_json::Deserializer::from_slice(item.json()?);
        let collected = self.collector.collect(&mut json)?;
        json.end()?;
        for problem in &collected.problems {
            self.problems.tell(&collected.object, problem);
        }
        Ok(collected.block)
    }
}

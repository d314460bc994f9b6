//! A resource while it is watched.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::context::WatchContext;
use super::degradation::{Degradation, LIMIT};
use super::spec::{self, NewSink, Partition, ReadOptions, ResourceShape, ResourceSpec};
use super::staged::{self, Gate};
use crate::exposition::{NamespacedBy, ResourceStore};
use crate::health::{Degraded, WatchedResource};
use crate::intake::{Condition, Endpoint, ShardState, Sink, Source, Status, Trouble, Vitals};
use crate::replica::linger::{self, LingerSink};
use crate::replica::private;
use crate::replica::tasks::Spawner;
use crate::sync::lock;

/// A resource with its sources and its store.
#[derive(Debug)]
pub(in crate::replica) struct RunningResource {
    /// As at the start; the partitions of one that follows namespaces change.
    pub shape: ResourceShape,
    /// Without its sources, which [`RunningResource::watched`] adds.
    pub resource: WatchedResource,
    parts: Mutex<Parts>,
    /// Stops its watches.
    pub stop: CancellationToken,
}

#[derive(Debug, Default)]
struct Parts {
    parts: Vec<Part>,
    /// The number of the next partition. No number is used twice.
    next: u32,
    /// Counts the changes.
    changes: u64,
}

/// A partition while it is watched.
#[derive(Debug)]
struct Part {
    partition: Partition,
    number: u32,
    source: Source,
    status: Arc<Status>,
    /// How long the source has failed.
    degradation: Degradation,
    /// Whether it was added to a running resource and is not loaded yet. Nothing waits for it.
    is_joining: bool,
    /// Of a resource whose partitions may end.
    gate: Option<Arc<Gate>>,
    stop: CancellationToken,
}

impl RunningResource {
    /// Starts to watch into an empty store. `shard_state` makes the initial state of each source.
    ///
    /// # Errors
    /// No thread can be started for Secrets.
    pub fn start(
        spec: ResourceSpec,
        context: &WatchContext,
        spawner: &Spawner,
        shard_state: impl Fn() -> ShardState,
    ) -> std::io::Result<Arc<Self>> {
        let ResourceSpec { name, kind, shape, sink } = spec;
        let headers = shape.headers.clone();
        let objects = match context.audited {
            true => ResourceStore::new(&name, headers),
            false => ResourceStore::without_history(&name, headers),
        };
        if context.namespaced || shape.shows_namespaces() {
            objects.index_namespaces(namespaced_by(&shape.endpoint));
        }
        if let Some(exposed) = &context.exposed {
            objects.exposed_by(Arc::clone(exposed) as _);
        }
        let stop = spawner.stop_token().child_token();
        // Stops everything if a later step fails.
        let guard = stop.clone().drop_guard();
        if !context.linger.is_zero() {
            let keep = linger::keep(Arc::clone(&objects), context.linger);
            spawner.spawn_dropped(stop.clone(), format!("linger-{name}"), keep);
        }
        let (object_limit, degraded) = (shape.options.object_limit, Arc::default());
        let sources = Vec::new();
        let resource = WatchedResource { name, kind, object_limit, objects, sources, degraded, selection: None };
        let running = Self { shape, resource, parts: Mutex::default(), stop };
        let wanted: Vec<_> = running.shape.partitions.iter().collect();
        running.add(&mut running.parts(), &wanted, false, &sink, context, spawner, shard_state)?;
        guard.disarm();
        Ok(Arc::new(running))
    }

    /// Changes the partitions of a resource that follows namespaces. New ones load beside the others, and their objects appear
    /// together when they are loaded. The objects of the others end at once.
    ///
    /// # Errors
    /// No thread can be started for Secrets. The new partitions are missing then.
    pub fn repartition(
        &self,
        wanted: &[Partition],
        sink: &NewSink,
        context: &WatchContext,
        spawner: &Spawner,
        shard_state: impl Fn() -> ShardState,
    ) -> std::io::Result<()> {
        let mut parts = self.parts();
        let ended: Vec<_> = parts.parts.extract_if(.., |part| !wanted.contains(&part.partition)).collect();
        for part in ended {
            part.stop.cancel();
            if let Some(gate) = part.gate {
                gate.close();
            }
            self.resource.objects.remove_partition(part.number);
            parts.changes += 1;
        }
        let new: Vec<_> =
            wanted.iter().filter(|wanted| parts.parts.iter().all(|part| part.partition != **wanted)).collect();
        self.add(&mut parts, &new, true, sink, context, spawner, shard_state)
    }

    #[expect(clippy::too_many_arguments, reason = "one caller more than a function needs")]
    fn add(
        &self,
        parts: &mut Parts,
        wanted: &[&Partition],
        is_joining: bool,
        sink_of: &NewSink,
        context: &WatchContext,
        spawner: &Spawner,
        shard_state: impl Fn() -> ShardState,
    ) -> std::io::Result<()> {
        let objects = &self.resource.objects;
        let task = format!("watch-{}", self.name());
        let (mut added, mut tasks) = (Vec::new(), Vec::new());
        for partition in wanted {
            let number = parts.next;
            parts.next += 1;
            let status = Arc::new(Status::default());
            let source = source(&self.shape, partition, shard_state(), context.audited);
            let sinks = [(); 2].map(|()| -> Box<dyn Sink> {
                let (sink, objects) = (sink_of(number, Arc::clone(objects)), Arc::clone(objects));
                if context.linger.is_zero() { sink } else { Box::new(LingerSink { sink, objects }) }
            });
            #[cfg(feature = "simulation")]
            let sinks = crate::replica::simulation::seeded::sinks(sinks);
            let (sinks, gate) = match self.shape.follows {
                true => {
                    let scratch =
                        || sink_of(number, ResourceStore::without_history(self.name(), self.shape.headers.clone()));
                    let (sinks, gate) = staged::sinks(sinks, is_joining.then(scratch));
                    (sinks, Some(gate))
                }
                false => (sinks, None),
            };
            // The token of the resource stops the sources of one whose partitions never end.
            let stop = if gate.is_some() { self.stop.child_token() } else { self.stop.clone() };
            let (status_of_task, stop_of_task) = (Arc::clone(&status), stop.clone());
            tasks.push(private::SourceTask {
                source: source.clone(),
                sinks,
                status: status_of_task,
                stop: stop_of_task,
            });
            added.push(Part {
                partition: (*partition).clone(),
                number,
                source,
                status,
                degradation: Degradation::new(Instant::now()),
                is_joining,
                gate,
                stop,
            });
        }
        for (stop, run) in private::run_all(&context.client, context.private.as_ref(), tasks, &self.stop)? {
            spawner.spawn_until(stop, task.clone(), run);
        }
        parts.changes += u64::from(!added.is_empty());
        parts.parts.extend(added);
        Ok(())
    }

    /// Whether it is kept for a spec of the shape `wanted`, perhaps with other partitions. Other selectors of all partitions would end
    /// what it serves before the new partitions are loaded, so they need another resource beside it.
    pub fn is_kept_for(&self, wanted: &ResourceShape) -> bool {
        let parts = self.parts();
        let now: BTreeSet<_> = parts.parts.iter().map(|part| part.partition.selectors()).collect();
        let then: BTreeSet<_> = wanted.partitions.iter().map(Partition::selectors).collect();
        let same_selectors = !wanted.follows || now.is_empty() || then.is_empty() || now == then;
        same_selectors && self.shape.is_kept_for(wanted)
    }

    pub fn name(&self) -> &str {
        &self.resource.name
    }

    /// Returns what health and telemetry see: without partitions that are not loaded yet.
    pub fn watched(&self) -> WatchedResource {
        let parts = self.parts();
        let joined = || parts.parts.iter().filter(|part| !part.is_joining);
        let sources = joined().map(|part| Arc::clone(&part.status)).collect();
        let selection = self.shape.selected.then(|| spec::selection(joined().map(|part| &part.partition)));
        WatchedResource { sources, selection, ..self.resource.clone() }
    }

    /// Returns the sources, without those of partitions that are not loaded yet, and how often they have changed.
    pub fn sources(&self) -> (Vec<Source>, u64) {
        let parts = self.parts();
        let joined = parts.parts.iter().filter(|part| !part.is_joining);
        (joined.map(|part| part.source.clone()).collect(), parts.changes)
    }

    /// Returns the shard states, without those of partitions that are not loaded yet.
    pub fn shard_states(&self) -> Vec<Arc<ShardState>> {
        let parts = self.parts();
        let joined = parts.parts.iter().filter(|part| !part.is_joining);
        joined.map(|part| Arc::clone(&part.source.shard)).collect()
    }

    /// Returns all shard states.
    pub fn all_shard_states(&self) -> Vec<Arc<ShardState>> {
        self.parts().parts.iter().map(|part| Arc::clone(&part.source.shard)).collect()
    }

    /// Counts the partitions that are loaded now, or that nothing waits for, among the others. Returns whether there are any.
    pub fn join(&self) -> bool {
        let mut parts = self.parts();
        let mut joined = false;
        for part in parts.parts.iter_mut().filter(|part| part.is_joining) {
            let shard = &part.source.shard;
            if shard.ready().covers(&shard.desired()) {
                (part.is_joining, joined) = (false, true);
            }
        }
        parts.changes += u64::from(joined);
        joined
    }

    /// Returns why a source fails, or is refused: with the HTTP status then.
    pub fn trouble(&self) -> Option<(Option<u16>, Arc<Trouble>)> {
        let parts = self.parts();
        let mut troubles = parts.parts.iter().filter_map(|Part { source, status, .. }| {
            let refused = u16::try_from(status.refused.load(Relaxed)).ok().filter(|code| *code != 0);
            let Vitals { condition, trouble, .. } = source.shard.vitals();
            Some((refused, trouble?)).filter(|_| refused.is_some() || condition == Condition::Failing)
        });
        troubles.next()
    }

    /// Whether the API server refuses one of its sources.
    pub fn is_refused(&self) -> bool {
        self.shard_states().iter().any(|shard| shard.is_refused())
    }

    /// Whether a source proves that the API server works.
    pub fn is_proof(&self, now: Instant) -> bool {
        self.all_shard_states().iter().any(|shard| shard.vitals().is_proof(now))
    }

    /// Whether it is degraded, and does not work again yet.
    pub fn is_degraded(&self) -> bool {
        self.resource.degraded().is_some()
            && self.all_shard_states().iter().any(|shard| shard.vitals().condition != Condition::Fine)
    }

    /// Decides which sources are degraded. `api_works`: a source of any resource proves that the API server works. Returns when
    /// to decide again if nothing changes before.
    pub fn degrade(&self, now: Instant, api_works: bool) -> Option<Instant> {
        let mut next_check = None;
        let mut degraded: Option<Degraded> = None;
        let mut parts = self.parts();
        for Part { source, status, degradation, .. } in &mut parts.parts {
            let vitals = source.shard.vitals();
            let check = degradation.observe(now, &vitals, api_works);
            next_check = next_check.into_iter().chain(check).min();
            let is_degraded = degradation.is_degraded();
            if status.degraded.swap(is_degraded, Relaxed) != is_degraded {
                source.shard.set_degraded(is_degraded);
                self.log(source, &vitals, is_degraded);
            }
            if let Some(trouble) = vitals.trouble.filter(|_| is_degraded) {
                let sources = degraded.as_ref().map_or(0, |degraded| degraded.sources) + 1;
                let trouble = degraded.map_or(trouble, |degraded| degraded.trouble);
                degraded = Some(Degraded { trouble, sources });
            }
        }
        drop(parts);
        if self.resource.degraded().as_deref() != degraded.as_ref() {
            self.resource.degraded.store(degraded.map(Arc::new));
        }
        next_check
    }

    fn log(&self, source: &Source, vitals: &Vitals, is_degraded: bool) {
        let (resource, namespace) = (self.name(), source.namespace.as_deref());
        let seconds = LIMIT.as_secs();
        if !is_degraded {
            return info!(resource, namespace, "no longer degraded: its requests have succeeded for {seconds} s");
        }
        let (reason, error) = vitals.trouble.as_ref().map(|trouble| (trouble.reason, &trouble.error)).unzip();
        warn!(
            resource,
            namespace,
            reason,
            error,
            "degraded: its requests have failed for {seconds} s, those of other resources succeed. Readiness and handovers do \
             not wait for it, and its objects may be missing. Check what \"kubectl get {}\" answers",
            source.endpoint.plural_and_group(),
        );
    }

    /// Whether it can be served: the desired slice is loaded and up to date, or the API server refuses the resource.
    pub fn is_ready(&self) -> bool {
        self.shard_states().iter().all(|shard| shard.ready().covers(&shard.desired()))
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        lock(&self.parts)
    }
}

/// Returns what tells the namespace of an object. As in RBAC, a Namespace belongs to itself.
fn namespaced_by(endpoint: &Endpoint) -> NamespacedBy {
    let is_namespace = endpoint.group.is_empty() && endpoint.plural == "namespaces";
    if is_namespace { NamespacedBy::Name } else { NamespacedBy::Namespace }
}

fn source(shape: &ResourceShape, partition: &Partition, shard: ShardState, audited: bool) -> Source {
    let ReadOptions { server_side, use_cache, object_limit, batch_delay, .. } = shape.options;
    Source {
        endpoint: shape.endpoint.clone(),
        namespace: partition.namespace.clone(),
        field_selector: partition.field_selector.clone(),
        label_selector: partition.label_selector.clone(),
        shard: Arc::new(shard),
        server_side,
        audited,
        use_cache,
        object_limit,
        batch_delay,
        summed_up: true,
    }
}

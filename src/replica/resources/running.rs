//! A resource while it is watched.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::context::WatchContext;
use super::degradation::{Degradation, LIMIT};
use super::spec::{self, Partition, ReadOptions, ResourceShape, ResourceSpec};
use crate::exposition::ResourceStore;
use crate::health::{Degraded, WatchedResource};
use crate::intake::{Condition, ShardState, Sink, Source, Status, Vitals};
use crate::replica::linger::{self, LingerSink};
use crate::replica::private;
use crate::replica::tasks::Spawner;
use crate::sync::lock;

/// A resource with its sources and its store.
#[derive(Debug)]
pub(in crate::replica) struct RunningResource {
    pub shape: ResourceShape,
    pub watched: WatchedResource,
    /// One per partition.
    pub sources: Vec<Source>,
    /// How long each source has failed.
    degradations: Mutex<Vec<Degradation>>,
    /// Stops its watches.
    pub stop: CancellationToken,
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
        let stop = spawner.stop_token().child_token();
        // Stops everything if a later step fails.
        let guard = stop.clone().drop_guard();
        let task = format!("watch-{name}");
        if !context.linger.is_zero() {
            let keep = linger::keep(Arc::clone(&objects), context.linger);
            let until = stop.clone();
            spawner.spawn_until(stop.clone(), format!("linger-{name}"), async move {
                until.run_until_cancelled(keep).await;
            });
        }
        let (mut sources, mut statuses, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
        for (number, partition) in (0_u32..).zip(&shape.partitions) {
            let status = Arc::new(Status::default());
            let source = source(&shape, partition, shard_state(), context.audited);
            statuses.push(Arc::clone(&status));
            sources.push(source.clone());
            let sinks = [(); 2].map(|()| -> Box<dyn Sink> {
                let (sink, objects) = (sink(number, Arc::clone(&objects)), Arc::clone(&objects));
                if context.linger.is_zero() { sink } else { Box::new(LingerSink { sink, objects }) }
            });
            #[cfg(test)]
            let sinks = crate::replica::simulation::seeded::sinks(sinks);
            tasks.push(private::SourceTask { source, sinks, status });
        }
        for run in private::run_all(&context.client, context.private.as_ref(), tasks, &stop)? {
            spawner.spawn_until(stop.clone(), task.clone(), run);
        }
        guard.disarm();
        let object_limit = shape.options.object_limit;
        let degraded = Arc::default();
        let selection = shape.selected.then(|| spec::selection(&shape.partitions));
        let watched = WatchedResource { name, kind, object_limit, objects, sources: statuses, degraded, selection };
        let now = Instant::now();
        let degradations = Mutex::new(sources.iter().map(|_| Degradation::new(now)).collect());
        Ok(Arc::new(Self { shape, watched, sources, degradations, stop }))
    }

    pub fn name(&self) -> &str {
        &self.watched.name
    }

    pub fn shard_states(&self) -> impl Iterator<Item = &ShardState> {
        self.sources.iter().map(|source| &*source.shard)
    }

    /// Whether the API server refuses one of its sources.
    pub fn is_refused(&self) -> bool {
        self.shard_states().any(ShardState::is_refused)
    }

    /// Whether a source proves that the API server works.
    pub fn is_proof(&self, now: Instant) -> bool {
        self.shard_states().any(|shard| shard.vitals().is_proof(now))
    }

    /// Whether it is degraded, and does not work again yet.
    pub fn is_degraded(&self) -> bool {
        self.watched.degraded().is_some()
            && self.shard_states().any(|shard| shard.vitals().condition != Condition::Fine)
    }

    /// Decides which sources are degraded. `api_works`: a source of any resource proves that the API server works. Returns when
    /// to decide again if nothing changes before.
    pub fn degrade(&self, now: Instant, api_works: bool) -> Option<Instant> {
        let mut next_check = None;
        let mut degraded: Option<Degraded> = None;
        let mut degradations = lock(&self.degradations);
        for ((source, status), degradation) in self.sources.iter().zip(&self.watched.sources).zip(&mut *degradations) {
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
        drop(degradations);
        if self.watched.degraded().as_deref() != degraded.as_ref() {
            self.watched.degraded.store(degraded.map(Arc::new));
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
        self.shard_states().all(|shard| shard.ready().covers(&shard.desired()))
    }
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
    }
}

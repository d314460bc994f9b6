//! A resource while it is watched.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::context::WatchContext;
use super::spec::{Partition, ReadOptions, ResourceShape, ResourceSpec};
use crate::exposition::ResourceStore;
use crate::health::WatchedResource;
use crate::intake::{ShardState, Sink, Source, Status};
use crate::replica::linger::{self, LingerSink};
use crate::replica::private;
use crate::replica::tasks::Spawner;

/// A resource with its sources and its store.
#[derive(Debug)]
pub(in crate::replica) struct RunningResource {
    pub shape: ResourceShape,
    pub watched: WatchedResource,
    /// One per partition.
    pub sources: Vec<Source>,
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
            tasks.push(private::SourceTask { source, sinks, status });
        }
        for run in private::run_all(&context.client, context.private.as_ref(), tasks, &stop)? {
            spawner.spawn_until(stop.clone(), task.clone(), run);
        }
        guard.disarm();
        let watched =
            WatchedResource { name, kind, object_limit: shape.options.object_limit, objects, sources: statuses };
        Ok(Arc::new(Self { shape, watched, sources, stop }))
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
        shard: Arc::new(shard),
        server_side,
        audited,
        use_cache,
        object_limit,
        batch_delay,
    }
}

//! One resource as it shall be, and as it runs.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::context::WatchContext;
use crate::exposition::{Header, ResourceStore};
use crate::health::WatchedResource;
use crate::intake::{Endpoint, ShardState, Sink, Source, Status};
use crate::replica::linger::{self, Named};
use crate::replica::private;
use crate::replica::tasks::Spawner;
use crate::settings::Settings;
use crate::settings::selectors::Selector;

/// What makes the sink of one partition, which fills the store; it hides the resource's type.
pub(in crate::replica) type NewSink = Box<dyn Fn(u32, Arc<ResourceStore>) -> Box<dyn Sink> + Send>;

/// A resource as it shall be.
pub(in crate::replica) struct Spec {
    /// By what `?resources=`, self-metrics and audits call it. No two that run at a time may share it.
    pub name: String,
    /// Its type as upstream's self-metrics name it, for example `*v1.Pod`.
    pub kind: String,
    /// Everything that a running one must have in common with it to be kept.
    pub shape: Shape,
    /// What makes series of objects.
    pub sink: NewSink,
}

/// What is watched of a resource, and what is made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::replica) struct Shape {
    /// Where it is found.
    pub endpoint: Endpoint,
    /// The partitions, which share no object.
    pub partitions: Vec<Partition>,
    /// How all of them are read.
    pub reading: Reading,
    /// The families.
    pub headers: Vec<Header>,
    /// What else shapes the series, in any form that differs when they do.
    pub series: String,
}

/// A list and watch of some of a resource's objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::replica) struct Partition {
    /// The namespace, or all of them.
    pub namespace: Option<String>,
    /// `fieldSelector`, empty for none.
    pub field_selector: String,
}

impl Partition {
    /// As the settings select it.
    pub fn of(selector: &Selector) -> Self {
        Self { namespace: selector.namespace().map(str::to_owned), field_selector: selector.field_selector() }
    }
}

/// What the settings say about how the API server is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::replica) struct Reading {
    /// `--server-side-sharding`.
    pub server_side: bool,
    /// `--use-apiserver-cache`.
    pub use_cache: bool,
    /// `--object-limit`.
    pub object_limit: u64,
    /// `--event-batch-delay`.
    pub batch_delay: Duration,
    /// A number for each cluster that the client was of, one after the other.
    pub cluster: u32,
}

impl Reading {
    /// What these say, of this cluster.
    pub fn of(settings: &Settings, cluster: u32) -> Self {
        Self {
            cluster,
            server_side: settings.server_side_sharding,
            use_cache: settings.use_apiserver_cache,
            object_limit: settings.object_limit,
            batch_delay: settings.event_batch_delay,
        }
    }
}

/// A resource that is watched.
#[derive(Debug)]
pub(in crate::replica) struct Running {
    pub shape: Shape,
    pub watched: WatchedResource,
    /// One for each partition.
    pub sources: Vec<Source>,
    /// Ends its watches.
    pub stop: CancellationToken,
}

impl Running {
    /// Starts to watch, into an empty store. What each source holds is made by `shard`.
    ///
    /// # Errors
    /// There is no thread for what is kept apart.
    pub fn start(
        spec: Spec,
        context: &WatchContext,
        spawner: &Spawner,
        shard: impl Fn() -> ShardState,
    ) -> std::io::Result<Arc<Self>> {
        let Spec { name, kind, shape, sink } = spec;
        let headers = shape.headers.clone();
        let objects = match context.audited {
            true => ResourceStore::new(&name, headers),
            false => ResourceStore::without_history(&name, headers),
        };
        let stop = spawner.stop_token().child_token();
        // Whatever fails below, nothing goes on.
        let guard = stop.clone().drop_guard();
        let task = format!("the watch of {name}");
        if !context.linger.is_zero() {
            let keep = linger::keep(Arc::clone(&objects), context.linger);
            let until = stop.clone();
            spawner.spawn_until(stop.clone(), format!("what lingers of {name}"), async move {
                until.run_until_cancelled(keep).await;
            });
        }
        let (mut sources, mut statuses, mut watches) = (Vec::new(), Vec::new(), Vec::new());
        for (number, partition) in (0_u32..).zip(&shape.partitions) {
            let status = Arc::new(Status::default());
            let source = source(&shape, partition, shard(), context.audited);
            statuses.push(Arc::clone(&status));
            sources.push(source.clone());
            let sinks = [(); 2].map(|()| -> Box<dyn Sink> {
                let (sink, objects) = (sink(number, Arc::clone(&objects)), Arc::clone(&objects));
                if context.linger.is_zero() { sink } else { Box::new(Named { sink, objects }) }
            });
            watches.push(private::Watch { source, sinks, status });
        }
        for watch in private::run_all(&context.client, context.private.as_ref(), watches, &stop)? {
            spawner.spawn_until(stop.clone(), task.clone(), watch);
        }
        guard.disarm();
        let watched =
            WatchedResource { name, kind, object_limit: shape.reading.object_limit, objects, sources: statuses };
        Ok(Arc::new(Self { shape, watched, sources, stop }))
    }

    pub fn name(&self) -> &str {
        &self.watched.name
    }

    pub fn shard_states(&self) -> impl Iterator<Item = &ShardState> {
        self.sources.iter().map(|source| &*source.shard)
    }

    /// Whether the API server refuses some of it.
    pub fn is_refused(&self) -> bool {
        self.shard_states().any(ShardState::is_refused)
    }

    /// Whether it can be served as it should be: all that is wanted is here and up to date, or the API server has none.
    pub fn is_whole(&self) -> bool {
        self.shard_states().all(|shard| shard.ready().covers(&shard.desired()))
    }
}

fn source(shape: &Shape, partition: &Partition, shard: ShardState, audited: bool) -> Source {
    let Reading { server_side, use_cache, object_limit, batch_delay, .. } = shape.reading;
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

//! `--coverage-watch`: the coordinator watches the metadata of all objects, and keeps only counts and sums. This is for fleets
//! whose watches the API server filters, so that no replica sees all objects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{error, info};

use super::inventory::CoverageSources;
use super::private::{self, SourceTask};
use super::resources::RunningResource;
use crate::fleet::audit::PeerDirectory;
use crate::intake::{DecodeError, Form, Item, ShardState, Sink, Source, Status};
use crate::sharding::Slice;
use crate::sync::watch;

/// How often the replica checks whether it is still the coordinator.
const PERIOD: Duration = Duration::from_secs(5);

/// The additional watches of a coordinator.
pub(super) struct CoverageWatch {
    /// Says whether this replica is the coordinator.
    pub members: Arc<dyn PeerDirectory>,
    /// The resources that the replica serves.
    pub served: watch::Receiver<Arc<[Arc<RunningResource>]>>,
    /// For everything but Secrets.
    pub client: kube::Client,
    /// The current client configuration, for threads that read Secrets. Without it, `client` reads them too.
    pub config: Option<watch::Receiver<kube::Config>>,
    /// Where the audit finds the sources.
    pub sources: Arc<CoverageSources>,
}

/// The watches of all objects of one resource. Dropping it stops them.
struct ResourceWatch {
    resource: Arc<RunningResource>,
    /// As in [`RunningResource::sources`].
    changes: u64,
    statuses: Vec<Arc<Status>>,
    _stop: DropGuard,
}

impl CoverageWatch {
    /// Watches while this replica is the coordinator, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let forever = async {
            loop {
                if self.members.peers().is_some() {
                    info!("started the coverage watch");
                    self.watch(&stop).await;
                    info!("stopped the coverage watch: another replica is the coordinator");
                }
                tokio::time::sleep(PERIOD).await;
            }
        };
        stop.run_until_cancelled(forever).await;
    }

    /// Watches until another replica is the coordinator.
    async fn watch(&self, stop: &CancellationToken) {
        let mut served = self.served.clone();
        let mut running = JoinSet::new();
        let mut watches: Vec<ResourceWatch> = Vec::new();
        while self.members.peers().is_some() {
            let now = Arc::clone(&served.borrow_and_update());
            let is_current = |watch: &ResourceWatch, resource: &Arc<RunningResource>| {
                Arc::ptr_eq(resource, &watch.resource) && resource.sources().1 == watch.changes
            };
            watches.retain(|watch| now.iter().any(|resource| is_current(watch, resource)));
            for resource in now.iter() {
                if !watches.iter().any(|watch| is_current(watch, resource)) {
                    watches.push(self.watch_resource(resource, stop.child_token(), &mut running));
                }
            }
            let sources =
                watches.iter().map(|watch| (watch.resource.name().to_owned(), watch.statuses.clone())).collect();
            self.sources.set(sources);
            // Collects the tasks that have ended. Their results do not matter.
            while running.try_join_next().is_some() {}
            if let Ok(Err(_)) = tokio::time::timeout(PERIOD, served.changed()).await {
                // The resources are gone: the replica is about to stop.
                tokio::time::sleep(PERIOD).await;
            }
        }
        self.sources.set(BTreeMap::new());
    }

    /// Watches all objects of one resource.
    fn watch_resource(
        &self,
        resource: &Arc<RunningResource>,
        stop: CancellationToken,
        running: &mut JoinSet<()>,
    ) -> ResourceWatch {
        let (mut statuses, mut tasks) = (Vec::new(), Vec::new());
        let (sources, changes) = resource.sources();
        for source in sources.iter().map(all_shards) {
            let status = Arc::new(Status::default());
            statuses.push(Arc::clone(&status));
            tasks.push(SourceTask {
                source,
                sinks: [Box::new(DiscardSink), Box::new(DiscardSink)],
                status,
                stop: stop.clone(),
            });
        }
        match private::run_all(&self.client, self.config.as_ref(), tasks, &stop) {
            Ok(runs) => runs.into_iter().for_each(|(_, run)| drop(running.spawn(run))),
            // The audit then reports the resource as unproven.
            Err(error) => error!(%error, "cannot start a thread for the coverage watch"),
        }
        ResourceWatch { resource: Arc::clone(resource), changes, statuses, _stop: stop.drop_guard() }
    }
}

/// Returns a source of the same objects, of all shards. Secrets keep their form without data.
fn all_shards(source: &Source) -> Source {
    let mut source = source.clone();
    if source.endpoint.form == Form::Object {
        source.endpoint.form = Form::Metadata;
    }
    Source {
        shard: Arc::new(ShardState::new(Slice::none())),
        server_side: false,
        audited: true,
        summed_up: false,
        ..source
    }
}

/// Keeps no objects: the source's slice is empty.
struct DiscardSink;

impl Sink for DiscardSink {
    fn init(&mut self, _: &Slice) {}

    fn apply(&mut self, _: &Item<'_>) -> Result<(), DecodeError> {
        Ok(())
    }

    fn rewind(&mut self) {}

    fn delete(&mut self, _: &str, _: u64) {}

    fn init_done(&mut self, _: u64) {}
}

//! `--coverage-watch`: while this replica is the coordinator, it watches the metadata of all objects, of which nothing is kept
//! but counts and sums. For fleets whose own watches are filtered by the API server, so that nobody sees all objects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{error, info};

use super::inventory::Sights;
use super::private::{self, Watch};
use super::resources::Running;
use crate::fleet::audit::Members;
use crate::intake::{DecodeError, Form, Item, ShardState, Sink, Source, Status};
use crate::sharding::Slice;

/// How soon it is noticed that the coordinator is another one.
const PERIOD: Duration = Duration::from_secs(5);

/// The watches that a coordinator needs besides its own.
pub(super) struct CoverageWatch {
    /// Who the coordinator is.
    pub members: Arc<dyn Members>,
    /// What the replica itself watches and serves.
    pub served: watch::Receiver<Arc<[Arc<Running>]>>,
    /// For all but what carries Secrets.
    pub client: kube::Client,
    /// How to reach the API server from private threads, whenever that changes; without it, there are none.
    pub private: Option<watch::Receiver<kube::Config>>,
    /// Where the sources are found.
    pub sights: Arc<Sights>,
}

/// The watches of all objects of one resource, which end when this is dropped.
struct Seer {
    of: Arc<Running>,
    statuses: Vec<Arc<Status>>,
    _stop: DropGuard,
}

impl CoverageWatch {
    /// Watches whenever this replica is the coordinator, until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let forever = async {
            loop {
                if self.members.peers().is_some() {
                    info!("watching the metadata of all objects, to prove that each is exposed");
                    self.watch(&stop).await;
                    info!("another replica proves that each object is exposed");
                }
                tokio::time::sleep(PERIOD).await;
            }
        };
        stop.run_until_cancelled(forever).await;
    }

    /// Until another replica is the coordinator.
    async fn watch(&self, stop: &CancellationToken) {
        let mut served = self.served.clone();
        let mut running = JoinSet::new();
        let mut seers: Vec<Seer> = Vec::new();
        while self.members.peers().is_some() {
            let now = Arc::clone(&served.borrow_and_update());
            seers.retain(|seer| now.iter().any(|resource| Arc::ptr_eq(resource, &seer.of)));
            for resource in now.iter() {
                if !seers.iter().any(|seer| Arc::ptr_eq(resource, &seer.of)) {
                    seers.push(self.see(resource, stop.child_token(), &mut running));
                }
            }
            let sights = seers.iter().map(|seer| (seer.of.name().to_owned(), seer.statuses.clone())).collect();
            self.sights.set(sights);
            // Those that have ended: nobody asks what came of them.
            while running.try_join_next().is_some() {}
            let _ = tokio::time::timeout(PERIOD, served.changed()).await;
        }
        self.sights.set(BTreeMap::new());
    }

    /// Watches all objects of one resource.
    fn see(&self, resource: &Arc<Running>, stop: CancellationToken, running: &mut JoinSet<()>) -> Seer {
        let (mut statuses, mut watches) = (Vec::new(), Vec::new());
        for source in resource.sources.iter().map(of_all) {
            let status = Arc::new(Status::default());
            statuses.push(Arc::clone(&status));
            watches.push(Watch { source, sinks: [Box::new(Nothing), Box::new(Nothing)], status });
        }
        match private::run_all(&self.client, self.private.as_ref(), watches, &stop) {
            Ok(watches) => watches.into_iter().for_each(|watch| drop(running.spawn(watch))),
            // The resource is unproven then, and says so.
            Err(error) => error!(%error, "cannot start a thread"),
        }
        Seer { of: Arc::clone(resource), statuses, _stop: stop.drop_guard() }
    }
}

/// A source of the same objects, of all shards. Secrets stay in a form that has no data.
fn of_all(source: &Source) -> Source {
    let mut source = source.clone();
    if source.endpoint.form == Form::Object {
        source.endpoint.form = Form::Metadata;
    }
    Source { shard: Arc::new(ShardState::new(Slice::none())), server_side: false, audited: true, ..source }
}

/// Keeps nothing: all objects are another's.
struct Nothing;

impl Sink for Nothing {
    fn init(&mut self, _: &Slice) {}

    fn apply(&mut self, _: &Item<'_>) -> Result<(), DecodeError> {
        Ok(())
    }

    fn rewind(&mut self) {}

    fn delete(&mut self, _: &str, _: u64) {}

    fn init_done(&mut self, _: u64) {}
}

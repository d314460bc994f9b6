//! `--coverage-watch`: while this replica is the coordinator, it watches the metadata of all objects, of which nothing is kept
//! but counts and sums. For fleets whose own watches are filtered by the API server, so that nobody sees all objects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::inventory::Sights;
use super::private::{self, Watch};
use crate::collectors::Form;
use crate::fleet::audit::Members;
use crate::intake::{self, DecodeError, Holding, Item, Sink, Source, Status};
use crate::sharding::Slice;

/// How soon it is noticed that the coordinator is another one.
const PERIOD: Duration = Duration::from_secs(5);

/// The watches that a coordinator needs besides its own.
pub(super) struct CoverageWatch {
    /// Who the coordinator is.
    pub members: Arc<dyn Members>,
    /// The sources of all resources, as the replica itself has them.
    pub sources: Vec<Source>,
    /// For all but what carries Secrets.
    pub client: kube::Client,
    /// How to reach the API server from the private thread; without it, there is none.
    pub private: Option<kube::Config>,
    /// Where the sources are found.
    pub sights: Arc<Sights>,
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
        let end = stop.child_token();
        // However this ends, what runs on the private thread ends with it.
        let _guard = end.clone().drop_guard();
        let mut running = JoinSet::new();
        let mut sights: BTreeMap<String, Vec<Arc<Status>>> = BTreeMap::new();
        let mut apart = Vec::new();
        for source in self.sources.iter().map(of_all) {
            let status = Arc::new(Status::default());
            sights.entry(source.endpoint.plural.clone()).or_default().push(Arc::clone(&status));
            let sinks: [Box<dyn Sink>; 2] = [Box::new(Nothing), Box::new(Nothing)];
            if source.endpoint.form == Form::Table && self.private.is_some() {
                apart.push(Watch { source, sinks, status });
            } else {
                running.spawn(intake::run(self.client.clone(), source, sinks, status, end.clone()));
            }
        }
        if let Some(config) = self.private.clone().filter(|_| !apart.is_empty()) {
            match private::run(config, apart, end.clone()) {
                Ok(thread) => drop(running.spawn(thread)),
                // The resource is unproven then, and says so.
                Err(error) => error!(%error, "cannot start a thread"),
            }
        }
        self.sights.set(sights);
        while self.members.peers().is_some() {
            tokio::time::sleep(PERIOD).await;
        }
        self.sights.set(BTreeMap::new());
    }
}

/// A source of the same objects, of all shards. Secrets stay in a form that has no data.
fn of_all(source: &Source) -> Source {
    let mut source = source.clone();
    if source.endpoint.form == Form::Object {
        source.endpoint.form = Form::Metadata;
    }
    Source { holding: Arc::new(Holding::new(Slice::none())), server_side: false, audited: true, ..source }
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

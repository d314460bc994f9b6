//! One exporter: wires settings, sharding, intake, collectors, store and servers together. Used by `run` and by `demo`.
//!
//! The one place that knows all rooms of an exporter. Nothing of it is global: several replicas fit in one process.

mod client;
mod coverage_watch;
mod inventory;
mod keeper;
mod leave;
mod pipeline;
mod private;
mod tasks;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::collectors::{Collector, Form, Resource, Visitor, visit_all};
use crate::exposition::{ResourceId, Store, StoreBuilder};
use crate::fleet::audit::{Audit, Coverage, OverHttp, Vantage};
use crate::fleet::{self, Fleet, Unfit};
use crate::intake::{self, Endpoint, Holding, Sink, Source, Status};
use crate::server::{self, Gate, Metrics, Peers, Visitors};
use crate::settings::resources::Kind;
use crate::settings::selectors::{Selector, selectors};
use crate::settings::{Listen, Settings, Shard};
use crate::sharding::{Assignment, AssignmentError, Hasher, Slice};
use crate::telemetry::{self, Telemetry, Watched};
use coverage_watch::CoverageWatch;
use inventory::{Alone, Inventory, Sights};
use keeper::Keeper;
use pipeline::Pipeline;
use tasks::Tasks;

pub use client::{ClientError, client_config};
pub use tasks::StopReason;

/// Why a replica did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("{flags}: cannot listen on {address}: {source}")]
    Listen {
        /// The flags that name the address.
        flags: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Certificates or credentials cannot be used.
    #[error("cannot set up a client for {server}: {source}")]
    Client {
        /// The API server.
        server: Box<http::Uri>,
        /// What is wrong.
        source: Box<kube::Error>,
    },
    /// There is no thread for what is kept apart.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
    /// The shard cannot be.
    #[error("--total-shards: {0}")]
    Shards(#[from] AssignmentError),
}

/// A running exporter. Dropping it ends it at once; [`Replica::stop`] lets answers end first.
#[derive(Debug)]
pub struct Replica {
    metrics: SocketAddr,
    telemetry: SocketAddr,
    tasks: Tasks,
    /// What it is in its fleet, if it is in one.
    member: Option<Arc<Fleet>>,
    visitors: Arc<Visitors>,
    /// Why it can be in none, once that is known.
    unfit: Arc<OnceLock<Unfit>>,
}

impl Replica {
    /// Binds both ports, then watches by `client` and serves what the settings ask for. The API server may be down: sources
    /// retry, and `/readyz` says what is missing.
    ///
    /// # Errors
    /// A port is taken or an address is not ours; nothing runs then.
    pub async fn start(settings: Settings, client: kube::Client) -> Result<Self, StartError> {
        Self::launch(settings, client, None)
    }

    /// As [`Replica::start`], with clients of its own: what may carry a Secret's data is read on a thread whose memory is
    /// wiped, over connections that nothing else uses.
    ///
    /// # Errors
    /// Likewise, or no client can be made of `config`.
    pub async fn connect(settings: Settings, config: kube::Config) -> Result<Self, StartError> {
        let client = intake::shared_client(config.clone()).map_err(|source| StartError::Client {
            server: Box::new(config.cluster_url.clone()),
            source: Box::new(source),
        })?;
        let unchecked = config.accept_invalid_certs.then(|| config.cluster_url.clone());
        let replica = Self::launch(settings, client, Some(config))?;
        if let Some(server) = unchecked {
            warn!(%server, "the API server's certificate is not checked, as the kubeconfig says");
        }
        Ok(replica)
    }

    fn launch(settings: Settings, client: kube::Client, private: Option<kube::Config>) -> Result<Self, StartError> {
        let by_flags =
            Slice::of(hasher(&settings), Assignment::new(settings.shard.total)?.ranges(settings.shard.ordinal));
        let (metrics_port, metrics) = listen("--host, --port", settings.metrics)?;
        let (telemetry_port, telemetry) = listen("--telemetry-host, --telemetry-port", settings.telemetry)?;

        let wanted = Wanted::of(&settings);
        let audited = settings.fleet.is_some();
        let builder = if audited { wanted.store } else { wanted.store.without_history() };
        let store = Arc::new(builder.build());
        let mut tasks = Tasks::new(CancellationToken::new());
        let Watches { watched, holdings, sources } =
            watch_all(&settings, wanted.resources, &by_flags, &store, &client, private.as_ref(), &mut tasks)?;

        let unfit = Arc::default();
        let server = private.as_ref().map(|config| config.cluster_url.clone());
        let member = settings.fleet.clone().map(|fleet| {
            let keeper = Arc::new(Keeper::new(Arc::clone(&store), holdings));
            let (showing, stop) = (Arc::clone(&keeper).run(), tasks.stop_token());
            tasks.spawn("the keeper of what is loaded".to_owned(), async move {
                stop.run_until_cancelled(showing).await;
            });
            let start = fleet::Start {
                client: client.clone(),
                settings: fleet,
                telemetry,
                server,
                hash: hasher(&settings),
                overlap: settings.handover_overlap,
                keeper,
            };
            join(start, &unfit, &mut tasks)
        });
        let (gate, vantage): (Arc<dyn Gate>, Arc<dyn Vantage>) = match &member {
            Some(member) => (Arc::clone(member) as _, Arc::clone(member) as _),
            None => (Arc::new(server::Fixed::new(by_flags.clone())), Arc::new(Alone(by_flags))),
        };
        let sights: Option<Arc<Sights>> = settings.coverage_watch.then(Arc::default);
        let inventory = Arc::new(Inventory {
            store: Arc::clone(&store),
            vantage,
            watched: watched.clone(),
            sights: sights.clone(),
        });
        let coverage = Arc::new(Coverage::default());
        // Who reads only some of the objects cannot know them all.
        let reads_all = settings.nodes.is_empty() && !settings.track_unscheduled_pods && settings.object_limit == 0;
        if let Some(member) = member.as_ref().filter(|_| reads_all) {
            let audit = Audit {
                members: Arc::clone(member) as _,
                witness: Arc::clone(&inventory) as _,
                ask: Arc::new(OverHttp::default()),
                coverage: Arc::clone(&coverage),
            };
            tasks.spawn("the audit".to_owned(), audit.run(tasks.stop_token()));
            if let Some(sights) = sights {
                let members = Arc::clone(member) as _;
                let watch = CoverageWatch { members, sources, client, private, sights };
                tasks.spawn("the watch of all objects".to_owned(), watch.run(tasks.stop_token()));
            }
        }
        let witness = member.as_ref().map(|member| (Arc::clone(member) as _, Arc::clone(&inventory) as _));
        let self_metrics = Arc::new(Telemetry::new(telemetry::Replica {
            shard: settings.shard,
            object_limit: settings.object_limit,
            store: Arc::clone(&store),
            watched,
            server_side: settings.server_side_sharding,
            fleet: member.clone(),
            coverage,
        }));

        let visitors = Arc::new(Visitors::default());
        let routes = server::metrics_routes(Metrics {
            store,
            gate,
            visitors: Arc::clone(&visitors),
            gzip: settings.gzip,
            telemetry: Arc::clone(&self_metrics),
        });
        tasks.spawn(
            "the metrics server".to_owned(),
            server::serve(metrics_port, routes, settings.patience, tasks.stop_token()),
        );
        let peers =
            server::both(server::fleet_routes(Peers { inventory, witness }), server::beat_routes(member.clone()));
        let routes = server::both(server::telemetry_routes(self_metrics), peers);
        tasks.spawn(
            "the telemetry server".to_owned(),
            server::serve(telemetry_port, routes, settings.patience.with_peers(), tasks.stop_token()),
        );
        let resources = settings.resources.len();
        match &settings.fleet {
            Some(fleet) => info!(%metrics, %telemetry, pod = fleet.pod, resources, "serving"),
            None => {
                let Shard { ordinal, total } = settings.shard;
                info!(%metrics, %telemetry, shard = ordinal, shards = total, resources, "serving");
            }
        }
        Ok(Self { metrics, telemetry, tasks, member, visitors, unfit })
    }

    /// Where `/metrics` is served.
    pub fn metrics_address(&self) -> SocketAddr {
        self.metrics
    }

    /// Where self-metrics and `/readyz` are served.
    pub fn telemetry_address(&self) -> SocketAddr {
        self.telemetry
    }

    /// Resolves when a part of the replica ends by itself: what is served would silently grow old from then on.
    ///
    /// # Errors
    /// Always, with the part that ended, as long as the replica was not told to stop.
    pub async fn stopped(&mut self) -> Result<(), StopReason> {
        let ended = self.tasks.ended().await;
        ended.map_err(|reason| StopReason { unfit: self.unfit.get().cloned(), ..reason })
    }

    /// Stops, and in a fleet hands over before, as long as the grace period of the pod allows.
    pub async fn leave(self) {
        let Some(member) = &self.member else { return self.stop().await };
        let began = Instant::now();
        leave::leave(member, &self.visitors).await;
        let rest = leave::rest(member.glance().grace, began);
        // What is still being answered then is cut off.
        let _ = tokio::time::timeout(rest, self.stop()).await;
    }

    /// Stops watching and serving. Answers that have begun may take a few seconds more.
    pub async fn stop(self) {
        self.tasks.stop().await;
    }
}

fn listen(flags: &'static str, listen: Listen) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = server::bind(listen).and_then(|listener| listener.local_addr().map(|address| (listener, address)));
    bound.map_err(|source| StartError::Listen { flags, address: SocketAddr::new(listen.host, listen.port), source })
}

/// What is watched: as telemetry tells of it, what each source holds, and the sources themselves.
#[derive(Default)]
struct Watches {
    watched: Vec<Watched>,
    holdings: Vec<(ResourceId, Vec<Arc<Holding>>)>,
    sources: Vec<Source>,
}

/// Starts the sources of all resources. Outside a fleet they hold `by_flags`.
fn watch_all(
    settings: &Settings,
    resources: Vec<Enabled>,
    by_flags: &Slice,
    store: &Arc<Store>,
    client: &kube::Client,
    private: Option<&kube::Config>,
    tasks: &mut Tasks,
) -> Result<Watches, StartError> {
    // In a fleet, what is held is decided later.
    let holding = || match settings.fleet {
        Some(_) => Holding::undecided(),
        None => Holding::new(by_flags.clone()),
    };
    let mut all = Watches::default();
    for resource in resources {
        let (mut statuses, mut held_by) = (Vec::new(), Vec::new());
        let mut apart = Vec::new();
        for (partition, selector) in (0_u32..).zip(&resource.selectors) {
            let status = Arc::new(Status::default());
            statuses.push(Arc::clone(&status));
            let source = source(settings, &resource.kind, selector, holding());
            held_by.push(Arc::clone(&source.holding));
            all.sources.push(source.clone());
            let sinks = [(); 2].map(|()| (resource.sink)(partition, Arc::clone(store)));
            if resource.kind.form == Form::Table && private.is_some() {
                apart.push(private::Watch { source, sinks, status });
            } else {
                let watch = intake::run(client.clone(), source, sinks, status, tasks.stop_token());
                tasks.spawn(watch_of(&resource.kind), watch);
            }
        }
        if let Some(config) = private
            && !apart.is_empty()
        {
            let thread = private::run(config.clone(), apart, tasks.stop_token()).map_err(StartError::Thread)?;
            tasks.spawn(watch_of(&resource.kind), thread);
        }
        all.holdings.push((resource.id, held_by));
        let kind = format!("*{}.{}", resource.kind.version, resource.kind.kind);
        all.watched.push(Watched {
            resource: resource.kind.plural.to_owned(),
            kind,
            id: resource.id,
            sources: statuses,
        });
    }
    Ok(all)
}

/// Starts what makes a replica a member of its fleet.
fn join(start: fleet::Start, unfit: &Arc<OnceLock<Unfit>>, tasks: &mut Tasks) -> Arc<Fleet> {
    let (member, task) = fleet::run(start);
    let (unfit, stop) = (Arc::clone(unfit), tasks.stop_token());
    tasks.spawn("the fleet".to_owned(), async move {
        if let Some(why) = stop.run_until_cancelled(task).await {
            // It is set once.
            let _ = unfit.set(why);
        }
    });
    member
}

/// Server-side sharding knows one hash; elsewhere the better one is free.
fn hasher(settings: &Settings) -> Hasher {
    if settings.server_side_sharding { Hasher::Fnv1a64 } else { Hasher::XxHash64 }
}

/// How a log line calls the sources of a resource.
fn watch_of(kind: &Kind) -> String {
    format!("the watch of {}", kind.plural)
}

fn source(settings: &Settings, kind: &Kind, selector: &Selector, holding: Holding) -> Source {
    Source {
        endpoint: Endpoint {
            group: kind.group.to_owned(),
            version: kind.version.to_owned(),
            kind: kind.kind.to_owned(),
            plural: kind.plural.to_owned(),
            namespaced: kind.namespaced,
            form: kind.form,
            protobuf: true,
        },
        namespace: selector.namespace().map(str::to_owned),
        field_selector: selector.field_selector(),
        holding: Arc::new(holding),
        server_side: settings.server_side_sharding,
        audited: settings.fleet.is_some(),
        use_cache: settings.use_apiserver_cache,
        object_limit: settings.object_limit,
        batch_delay: settings.event_batch_delay,
    }
}

/// What makes the sink of one partition; it hides the resource's type.
type NewSink = Box<dyn Fn(u32, Arc<Store>) -> Box<dyn Sink> + Send>;

/// A resource that the settings enable.
struct Enabled {
    kind: Kind,
    id: ResourceId,
    selectors: Vec<Selector>,
    sink: NewSink,
}

/// The enabled resources, in the order of the registry, and the store that they will fill.
struct Wanted<'a> {
    settings: &'a Settings,
    store: StoreBuilder,
    resources: Vec<Enabled>,
}

impl<'a> Wanted<'a> {
    fn of(settings: &'a Settings) -> Self {
        let mut wanted = Self { settings, store: Store::builder(), resources: Vec::new() };
        visit_all(&mut wanted);
        wanted
    }
}

impl Visitor for Wanted<'_> {
    fn visit<R: Resource>(&mut self) {
        let kind = Kind::of::<R>();
        if !self.settings.resources.iter().any(|name| name == kind.plural) {
            return;
        }
        let families = &self.settings.families;
        let keys = |lists: &std::collections::BTreeMap<_, _>| lists.get(kind.plural).cloned().unwrap_or_default();
        let collector = Arc::new(
            Collector::<R>::new(
                |family| families.is_enabled(family.name, family.opt_in),
                keys(&self.settings.labels),
                keys(&self.settings.annotations),
            )
            .promoting(keys(&self.settings.promoted)),
        );
        let id = self.store.resource(kind.plural, &collector.headers());
        let selectors = selectors(self.settings, &kind);
        let sink: NewSink = Box::new(move |partition, store| {
            Box::new(Pipeline { collector: Arc::clone(&collector), store, id, partition, list: None })
        });
        self.resources.push(Enabled { kind, id, selectors, sink });
    }
}

#[cfg(test)]
mod tests;

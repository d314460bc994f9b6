//! One exporter: wires settings, sharding, intake, collectors, store and servers together. Used by `run` and by `demo`.
//!
//! The one place that knows all rooms of an exporter. Nothing of it is global: several replicas fit in one process.

mod builtin;
mod client;
mod coverage_watch;
mod custom;
mod door;
mod inventory;
mod leave;
mod linger;
mod pipeline;
mod private;
mod report;
mod resources;
mod tasks;
mod waiting;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::access::{ApiServerReviewer, AuthFilter};
use crate::exposition::Store;
use crate::fleet::audit::{Audit, Coverage, Members, OverHttp, Vantage};
use crate::fleet::door::Door;
use crate::fleet::{self, FleetHandle, Unfit};
use crate::health::Health;
use crate::intake::{self, SwappableClient};
use crate::server::{self, AuthLayer, ExposureGate, Metrics, PeerQueries, ScrapeTracker, WebConfig};
use crate::settings::yaml::FileError;
use crate::settings::{Listen, Settings, Shard};
use crate::sharding::{Assignment, AssignmentError, Slice};
use crate::telemetry::{MetricSources, Reloads, Telemetry};
use coverage_watch::CoverageWatch;
use custom::Custom;
use inventory::{Alone, Inventory, Sights, WhileAllIsRead};
use report::{FeaturesNow, Reporter};
use resources::{Owner, Resources, Swap, WatchContext};
use tasks::{Spawner, Tasks};

pub use client::{ClientError, client_config, client_files};
pub(crate) use door::Secured;
pub use tasks::StopReason;
pub use waiting::waiting;

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
    /// What `--tls-config` names cannot be used.
    #[error("--tls-config: {0}")]
    WebConfig(#[from] FileError),
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
    member: Option<Arc<FleetHandle>>,
    scrape_tracker: Arc<ScrapeTracker>,
    health: Arc<Health>,
    /// Why it can be in none, once that is known.
    unfit: Arc<OnceLock<Unfit>>,
    resources: Arc<Resources>,
    custom: Custom,
    /// As it was started.
    settings: Settings,
    /// How the API server is reached, where that can change.
    way: Option<Way>,
    live: Live,
}

/// How the API server is reached.
#[derive(Debug)]
struct Way {
    api_client: SwappableClient,
    private: watch::Sender<kube::Config>,
    /// How many clusters it was of before.
    cluster: u32,
}

/// What settings say that changes while the replica runs, besides its resources.
#[derive(Clone, Debug)]
struct Live {
    gzip: Arc<AtomicBool>,
    /// [`Settings::reads_all`].
    reads_all: Arc<AtomicBool>,
    features: FeaturesNow,
}

impl Live {
    fn new(settings: &Settings) -> Self {
        Self {
            gzip: Arc::new(settings.gzip.into()),
            reads_all: Arc::new(settings.reads_all().into()),
            features: Arc::new(ArcSwap::from_pointee(settings.features())),
        }
    }

    fn set(&self, settings: &Settings) {
        self.gzip.store(settings.gzip, Relaxed);
        self.reads_all.store(settings.reads_all(), Relaxed);
        self.features.store(Arc::new(settings.features()));
    }
}

impl Replica {
    /// Binds both ports, then watches by `client` and serves what the settings ask for. The API server may be down: sources
    /// retry, and `/readyz` says what is missing.
    ///
    /// # Errors
    /// A port is taken or an address is not ours; nothing runs then.
    pub async fn start(settings: Settings, client: kube::Client) -> Result<Self, StartError> {
        let secured = Security::of(&settings, &client, None).await?;
        Self::launch(settings, client, None, Arc::default(), secured)
    }

    /// As [`Replica::start`], with clients of its own: what may carry a Secret's data is read on a thread whose memory is
    /// wiped, over connections that nothing else uses. What came of reading configuration files is told from `reloads`.
    ///
    /// # Errors
    /// Likewise, or no client can be made of `config`.
    pub async fn connect(settings: Settings, config: kube::Config, reloads: Arc<Reloads>) -> Result<Self, StartError> {
        let (api_client, client) = SwappableClient::new(shared_client(&config)?);
        let unchecked = config.accept_invalid_certs.then(|| config.cluster_url.clone());
        let way = Way { api_client, private: watch::Sender::new(config), cluster: 0 };
        let secured = Security::of(&settings, &client, Some(&way)).await?;
        let replica = Self::launch(settings, client, Some(way), reloads, secured)?;
        if let Some(server) = unchecked {
            warn!(%server, "the API server's certificate is not checked, as the kubeconfig says");
        }
        Ok(replica)
    }

    /// From now on goes by `settings`, and reaches the API server by `config` if there is a new one. Without a hole: what is
    /// unchanged stays as it is, the rest is served as before until the new is loaded. Another API server may be of another cluster,
    /// whose objects are loaded aside, too. Returns the keys of what holds only from the next start on.
    ///
    /// # Errors
    /// All is as before then.
    pub fn reload(
        &mut self,
        settings: &Settings,
        config: Option<kube::Config>,
    ) -> Result<Vec<&'static str>, StartError> {
        let effective = self.settings.with_what_can_change_of(settings);
        let mut cluster = self.way.as_ref().map_or(0, |way| way.cluster);
        if let Some((way, config)) = self.way.as_mut().zip(config) {
            let client = shared_client(&config)?;
            let before = way.private.borrow();
            if (&before.cluster_url, &before.root_cert) != (&config.cluster_url, &config.root_cert) {
                cluster += 1;
                info!(server = %config.cluster_url, "another API server: all is loaded anew");
            }
            drop(before);
            way.api_client.set(client);
            way.private.send_replace(config);
            way.cluster = cluster;
        }
        let specs = builtin::specs(&effective, cluster);
        // It is told in the log when it is served.
        drop(self.resources.set(Owner::BuiltIn, specs, Swap::Together).map_err(StartError::Thread)?);
        self.custom.follow(&effective, cluster);
        self.live.set(&effective);
        Ok(self.settings.fixed(settings))
    }

    fn launch(
        settings: Settings,
        client: kube::Client,
        way: Option<Way>,
        reloads: Arc<Reloads>,
        Security { web, access, door }: Security,
    ) -> Result<Self, StartError> {
        let private = way.as_ref().map(|way| way.private.subscribe());
        let live = Live::new(&settings);
        let by_flags =
            Slice::of(settings.hasher(), Assignment::new(settings.shard.total)?.ranges(settings.shard.ordinal));
        let (metrics_port, metrics) = listen("--host, --port", settings.metrics)?;
        let (telemetry_port, telemetry) = listen("--telemetry-host, --telemetry-port", settings.telemetry)?;

        let tasks = Tasks::new(CancellationToken::new());
        let spawner = tasks.spawner();
        let context = WatchContext {
            client: client.clone(),
            private: private.clone(),
            held: settings.fleet.is_none().then(|| by_flags.clone()),
            audited: settings.fleet.is_some(),
            linger: settings.deleted_linger,
        };
        let customs = (!settings.custom.is_empty()).then_some(Owner::Custom);
        let resources = Resources::new(context, spawner.clone(), [Owner::BuiltIn].into_iter().chain(customs));
        // The first set is served at once.
        drop(resources.set(Owner::BuiltIn, builtin::specs(&settings, 0), Swap::Together).map_err(StartError::Thread)?);
        let custom = Custom::new(Arc::clone(&resources), client.clone(), spawner.clone());
        custom.follow(&settings, 0);
        let (looking, stop) = (Arc::clone(&resources).run(), spawner.stop_token());
        spawner.spawn("the look at what is loaded".to_owned(), async move {
            stop.run_until_cancelled(looking).await;
        });

        let unfit = Arc::default();
        let server = private.as_ref().map(|config| config.borrow().cluster_url.clone());
        let member = settings.fleet.clone().map(|fleet| {
            let start = fleet::Start {
                client: client.clone(),
                settings: fleet,
                telemetry,
                server,
                hash: settings.hasher(),
                overlap: settings.handover_overlap,
                loader: Arc::clone(&resources) as _,
                door: Arc::clone(&door),
            };
            join(start, &unfit, &spawner)
        });
        let (exposure_gate, vantage): (Arc<dyn ExposureGate>, Arc<dyn Vantage>) = match &member {
            Some(member) => (Arc::clone(member) as _, Arc::clone(member) as _),
            None => (Arc::new(server::FixedExposure::new(by_flags.clone())), Arc::new(Alone(by_flags))),
        };
        let sights: Option<Arc<Sights>> = settings.coverage_watch.then(Arc::default);
        let inventory = Arc::new(Inventory { vantage, watch_set: resources.watch_set(), sights: sights.clone() });
        let coverage = Arc::new(Coverage::default());
        if let Some(member) = &member {
            let members: Arc<dyn Members> =
                Arc::new(WhileAllIsRead { members: Arc::clone(member) as _, reads_all: Arc::clone(&live.reads_all) });
            let audit = Audit {
                members: Arc::clone(&members),
                witness: Arc::clone(&inventory) as _,
                ask: Arc::new(OverHttp(Arc::clone(&door))),
                coverage: Arc::clone(&coverage),
            };
            spawner.spawn("the audit".to_owned(), audit.run(spawner.stop_token()));
            if let Some(sights) = sights {
                let watch = CoverageWatch { members, served: resources.served(), client, private, sights };
                spawner.spawn("the watch of all objects".to_owned(), watch.run(spawner.stop_token()));
            }
        }
        let witness = member.as_ref().map(|member| (Arc::clone(member) as _, Arc::clone(&inventory) as _));
        let health =
            Arc::new(Health { shard: settings.shard, watch_set: resources.watch_set(), fleet: member.clone() });
        let self_metrics = Arc::new(Telemetry::new(MetricSources {
            health: Arc::clone(&health),
            definition_events: custom.events(),
            server_side: settings.server_side_sharding,
            reloads,
            coverage: Arc::clone(&coverage),
        }));

        let scrape_tracker = Arc::new(ScrapeTracker::default());
        let reporter: Arc<dyn server::Reporter> = Arc::new(Reporter {
            began: Instant::now(),
            pod: settings.fleet.as_ref().map(|fleet| fleet.pod.clone()),
            metrics_port: metrics.port(),
            features: Arc::clone(&live.features),
            inventory: Arc::clone(&inventory),
            health: Arc::clone(&health),
            coverage,
            member: member.clone(),
        });
        let routes = server::metrics_routes(Metrics {
            store: resources.store(),
            exposure_gate,
            scrape_tracker: Arc::clone(&scrape_tracker),
            gzip: Arc::clone(&live.gzip),
            telemetry: Arc::clone(&self_metrics),
        });
        if let Some(web) = &web {
            spawner.spawn("the reloads of --tls-config".to_owned(), Arc::clone(web).follow(spawner.stop_token()));
        }
        let routes = server::both(routes, server::overview_routes(Arc::clone(&reporter), door));
        let layer = AuthLayer::new(routes, web.clone(), access.clone());
        spawner.spawn(
            "the metrics server".to_owned(),
            server::serve(metrics_port, layer, settings.timeouts, spawner.stop_token()),
        );
        let peers =
            server::both(server::fleet_routes(PeerQueries { inventory, witness }), server::report_routes(reporter));
        let peers = server::both(peers, server::heartbeat_routes(member.clone()));
        let layer = AuthLayer::new(
            server::both(server::telemetry_routes(self_metrics, Arc::clone(&health)), peers),
            web,
            access,
        );
        spawner.spawn(
            "the telemetry server".to_owned(),
            server::serve(telemetry_port, layer, settings.timeouts.with_peers(), spawner.stop_token()),
        );
        match &settings.fleet {
            Some(fleet) => {
                info!(%metrics, %telemetry, pod = fleet.pod, resources = settings.resources.len(), "serving")
            }
            None => {
                let Shard { ordinal, total } = settings.shard;
                info!(%metrics, %telemetry, shard = ordinal, shards = total, resources = settings.resources.len(), "serving");
            }
        }
        Ok(Self {
            metrics,
            telemetry,
            tasks,
            member,
            scrape_tracker,
            health,
            unfit,
            resources,
            custom,
            settings,
            way,
            live,
        })
    }

    /// Where `/metrics` is served.
    pub fn metrics_address(&self) -> SocketAddr {
        self.metrics
    }

    /// Where self-metrics and `/readyz` are served.
    pub fn telemetry_address(&self) -> SocketAddr {
        self.telemetry
    }

    /// What is served.
    pub fn store(&self) -> Arc<Store> {
        self.resources.store()
    }

    /// The resources that it must have loaded before it is ready, and has not.
    pub fn missing(&self) -> Vec<String> {
        self.health.not_loaded()
    }

    /// The resources that the API server refuses, with its HTTP status.
    pub fn refused(&self) -> Vec<(String, u16)> {
        let watch_set = self.resources.watch_set().load_full();
        watch_set.resources.iter().filter_map(|w| Some((w.name.clone(), w.refused_status()?))).collect()
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
        leave::leave(member, &self.scrape_tracker).await;
        let rest = leave::rest(member.snapshot().grace, began);
        // What is still being answered then is cut off.
        let _ = tokio::time::timeout(rest, self.stop()).await;
    }

    /// Stops watching and serving. Answers that have begun may take a few seconds more.
    pub async fn stop(self) {
        self.tasks.stop().await;
    }
}

fn shared_client(config: &kube::Config) -> Result<kube::Client, StartError> {
    intake::shared_client(config.clone())
        .map_err(|source| StartError::Client { server: Box::new(config.cluster_url.clone()), source: Box::new(source) })
}

/// Who may ask this replica, and how it asks others of whom the same is true.
struct Security {
    web: Option<Arc<WebConfig>>,
    access: Option<AuthFilter>,
    door: Arc<dyn Door>,
}

impl Security {
    /// As the settings ask for it. Without a configuration there is no token to show to peers.
    async fn of(settings: &Settings, client: &kube::Client, way: Option<&Way>) -> Result<Self, StartError> {
        let web = WebConfig::of(settings).await?;
        let access = settings.auth_filter.then(|| AuthFilter::new(ApiServerReviewer(client.clone())));
        let filtered = way.filter(|_| settings.auth_filter).map(|way| way.private.subscribe());
        let door = Secured::new(web.clone(), filtered).map_err(|source| StartError::Client {
            server: way.map(|way| Box::new(way.private.borrow().cluster_url.clone())).unwrap_or_default(),
            source: Box::new(source),
        })?;
        Ok(Self { web, access, door: Arc::new(door) })
    }
}

fn listen(flags: &'static str, listen: Listen) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = server::bind(listen).and_then(|listener| listener.local_addr().map(|address| (listener, address)));
    bound.map_err(|source| StartError::Listen { flags, address: SocketAddr::new(listen.host, listen.port), source })
}

/// Starts what makes a replica a member of its fleet.
fn join(start: fleet::Start, unfit: &Arc<OnceLock<Unfit>>, spawner: &Spawner) -> Arc<FleetHandle> {
    let (member, task) = fleet::run(start);
    let (unfit, stop) = (Arc::clone(unfit), spawner.stop_token());
    spawner.spawn("the fleet".to_owned(), async move {
        if let Some(why) = stop.run_until_cancelled(task).await {
            // It is set once.
            let _ = unfit.set(why);
        }
    });
    member
}

#[cfg(test)]
mod tests;

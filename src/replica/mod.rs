//! One exporter: wires settings, sharding, intake, collectors, store and servers together. `run` and `demo` start it.
//!
//! Only this module knows all parts of an exporter. Nothing in it is global, so several replicas fit in one process.

mod api_connection;
mod builtin;
mod client;
mod coverage_watch;
mod custom;
mod degradation_events;
mod error;
mod failure_log;
mod followed;
mod inventory;
mod kubeconfig;
mod launch;
mod leave;
mod linger;
mod live_settings;
mod namespaces;
mod pipeline;
mod plugin;
mod ports;
mod private;
mod report;
mod resources;
mod seamless;
mod security;
mod tasks;
mod unconfigured;
mod url;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::exposition::Store;
use crate::fleet::{FleetError, FleetHandle};
use crate::health::Health;
use crate::server::{Farewell, ScrapeTracker};
use crate::settings::Settings;
use crate::sharding::{Assignment, Slice};
use crate::telemetry::Reloads;
use api_connection::ApiConnection;
use launch::{Launch, Served};
use live_settings::LiveSettings;
use namespaces::FollowedNamespaces;
use ports::Ports;
use resources::Resources;
use security::Security;
use tasks::Tasks;
use url::without_password;

pub use client::{ClientConfig, ClientError, client_config, client_files};
#[doc(hidden)]
pub use custom::{custom_sink, joined_sink};
pub use error::StartError;
#[doc(hidden)]
pub use pipeline::sink;
pub use tasks::StopReason;
pub use unconfigured::serve_unconfigured;

/// A running exporter. Dropping it ends it immediately; [`Replica::stop`] completes the answers in progress first.
#[derive(Debug)]
pub struct Replica {
    metrics: SocketAddr,
    telemetry: SocketAddr,
    fleet_port: Option<SocketAddr>,
    tasks: Tasks,
    member: Option<Arc<FleetHandle>>,
    scrape_tracker: Arc<ScrapeTracker>,
    /// With `--seamless-handover`.
    farewell: Option<Arc<Farewell>>,
    health: Arc<Health>,
    /// Why the replica cannot be a member of a fleet, once known.
    unfit: Arc<OnceLock<FleetError>>,
    resources: Arc<Resources>,
    namespaces: FollowedNamespaces,
    /// The settings at the start.
    settings: Settings,
    /// `None` if the caller gave a client, which cannot change.
    connection: Option<ApiConnection>,
    live: LiveSettings,
}

impl Replica {
    /// Binds all ports, watches through `client`, and serves what `settings` ask for. The API server may be down: sources
    /// retry, and `/readyz` names the missing resources.
    ///
    /// # Errors
    /// A port is in use, or an address does not belong to this host. Nothing runs then.
    pub async fn start(settings: Settings, client: kube::Client) -> Result<Self, StartError> {
        let security = Security::of(&settings, &client).await?;
        Self::launch(settings, client, None, Arc::default(), security)
    }

    /// Like [`Replica::start`], with clients of its own: Secrets are read on a thread that wipes freed memory, over connections
    /// that nothing else uses. The self-metrics report `reloads`.
    ///
    /// # Errors
    /// As [`Replica::start`], or no client can be made of `config`.
    pub async fn connect(settings: Settings, config: kube::Config, reloads: Arc<Reloads>) -> Result<Self, StartError> {
        let unverified = config.accept_invalid_certs.then(|| config.cluster_url.clone());
        let (connection, client) = ApiConnection::new(config)?;
        let security = Security::of(&settings, &client).await?;
        let replica = Self::launch(settings, client, Some(connection), reloads, security)?;
        if let Some(server) = unverified {
            let server = without_password(&server);
            warn!(server, "the kubeconfig disables verification of the API server's certificate");
        }
        Ok(replica)
    }

    /// Applies `settings`, and connects to the API server by `config` if there is a new one. Unchanged resources keep running.
    /// Changed ones are served as before until their replacements are loaded; after a change of the cluster these are all.
    /// Returns the keys whose new values take effect only at the next start.
    ///
    /// # Errors
    /// No client can be made of `config`, or a thread does not start. The resources stay as they are.
    pub fn reload(
        &mut self,
        settings: &Settings,
        config: Option<kube::Config>,
    ) -> Result<Vec<&'static str>, StartError> {
        let effective = self.settings.with_live_of(settings);
        if let Some((connection, config)) = self.connection.as_mut().zip(config) {
            connection.replace(config)?;
        }
        let cluster = self.connection.as_ref().map_or(0, ApiConnection::cluster);
        self.namespaces.follow(&effective, cluster).map_err(StartError::Thread)?;
        self.live.set(&effective);
        Ok(self.settings.keys_that_need_restart(settings))
    }

    fn launch(
        settings: Settings,
        client: kube::Client,
        connection: Option<ApiConnection>,
        reloads: Arc<Reloads>,
        security: Security,
    ) -> Result<Self, StartError> {
        let assignment = Assignment::new(settings.fixed.shard.total)?;
        let slice = Slice::of(settings.hasher(), assignment.ranges(settings.fixed.shard.ordinal));
        let ports = Ports::bind(&settings)?;
        let (metrics, telemetry) = (ports.metrics.address, ports.telemetry.address);
        let tasks = Tasks::new(CancellationToken::new());
        let live = LiveSettings::new(&settings);
        let config = connection.as_ref().map(ApiConnection::config);
        let launch = Launch { settings: &settings, client, config, live: &live, security, spawner: tasks.spawner() };

        let watched = launch.watch_resources(&slice)?;
        let fleet_port = ports.fleet.as_ref().map(|port| port.address);
        let membership = launch.join_fleet(&watched.0, fleet_port, slice);
        let audit = launch.audit_coverage(&watched.0, &membership);
        let Served { health, scrape_tracker, farewell } = launch.serve(ports, &watched, &membership, audit, reloads)?;
        let (resources, _, namespaces) = watched;

        let (member, unfit) = (membership.member, membership.unfit);
        Ok(Self {
            metrics,
            telemetry,
            fleet_port,
            tasks,
            member,
            scrape_tracker,
            farewell: settings.fixed.seamless_handover.then_some(farewell),
            health,
            unfit,
            resources,
            namespaces,
            settings,
            connection,
            live,
        })
    }

    /// Returns the address of `/metrics`.
    pub fn metrics_address(&self) -> SocketAddr {
        self.metrics
    }

    /// Returns the address of the self-metrics and `/readyz`.
    pub fn telemetry_address(&self) -> SocketAddr {
        self.telemetry
    }

    /// Returns the address of the port for other members; `None` outside a fleet.
    pub fn fleet_address(&self) -> Option<SocketAddr> {
        self.fleet_port
    }

    /// Returns the store that scrapes read.
    pub fn store(&self) -> Arc<Store> {
        self.resources.store()
    }

    /// Returns the resources that must be loaded before the replica is ready, and are not.
    pub fn missing(&self) -> Vec<String> {
        self.health.not_loaded()
    }

    /// Returns the resources that the API server refuses, with the HTTP status.
    pub fn refused(&self) -> Vec<(String, u16)> {
        let watch_set = self.resources.watch_set().load_full();
        watch_set.resources.iter().filter_map(|w| Some((w.name.clone(), w.refused_status()?))).collect()
    }

    /// Resolves when a task of the replica ends unexpectedly: the served metrics would silently become stale.
    ///
    /// # Errors
    /// Returns the task that ended, unless the replica is stopping.
    pub async fn stopped(&mut self) -> Result<(), StopReason> {
        let ended = self.tasks.ended().await;
        ended.map_err(|reason| StopReason { unfit: self.unfit.get().cloned(), ..reason })
    }

    /// Stops. In a fleet it first hands over, within the grace period of the Pod. With `--seamless-handover`, a replica that nobody
    /// takes over from first serves each client that scrapes it regularly once more, with timestamps.
    pub async fn leave(self) {
        let (scrapers, farewell) = (&self.scrape_tracker, self.farewell.as_deref());
        let Some(member) = &self.member else {
            leave::say_farewell(scrapers, farewell).await;
            return self.stop().await;
        };
        let started = Instant::now();
        leave::leave(member, scrapers, farewell).await;
        let remaining = leave::remaining(member.snapshot().grace, started);
        // Requests that are still in progress at the end of the grace period are cut off.
        let _ = tokio::time::timeout(remaining, self.stop()).await;
    }

    /// Stops watching and serving. Answers in progress may take a few more seconds.
    pub async fn stop(self) {
        self.tasks.stop().await;
    }
}

#[cfg(test)]
mod tests;

#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation;

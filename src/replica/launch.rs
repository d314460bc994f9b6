//! The steps of starting a replica: watch the resources, join the fleet, audit the coverage, serve.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio::time::Instant;
use tracing::info;

use super::coverage_watch::CoverageWatch;
use super::custom::CustomResources;
use super::degradation_events;
use super::error::StartError;
use super::failure_log;
use super::inventory::{AuditableMembers, CoverageSources, Inventory, StandaloneView};
use super::live_settings::LiveSettings;
use super::namespaces::FollowedNamespaces;
use super::ports::Ports;
use super::report::ReplicaReporter;
use super::resources::{Group, Resources, WatchContext};
use super::seamless;
use super::security::{MemberSecurity, Security};
use super::tasks::Spawner;
use crate::fleet::audit::{Audit, Coverage, HttpCoverageClient, PeerDirectory};
use crate::fleet::coverage::ExposureSource;
use crate::fleet::{self, FleetError, FleetHandle};
use crate::health::Health;
use crate::server::{self, AuthLayer, ExposureGate, Farewell, Members, Metrics, ScrapeTracker};
use crate::settings::{Settings, Shard};
use crate::sharding::Slice;
use crate::sync::watch;
use crate::telemetry::{MetricSources, Reloads, Telemetry};

/// The inputs of all steps.
pub(super) struct Launch<'a> {
    pub settings: &'a Settings,
    pub client: kube::Client,
    /// The current client configuration, where it can change.
    pub config: Option<watch::Receiver<kube::Config>>,
    pub live: &'a LiveSettings,
    pub security: Security,
    pub spawner: Spawner,
}

/// The replica's place in its fleet, or its fixed slice outside one.
pub(super) struct Membership {
    pub member: Option<Arc<FleetHandle>>,
    /// Why the replica cannot be a member, once known.
    pub unfit: Arc<OnceLock<FleetError>>,
    exposure_gate: Arc<dyn ExposureGate>,
    exposure: Arc<dyn ExposureSource>,
}

/// What the running servers share with the rest of the replica.
pub(super) struct Served {
    /// What the telemetry port reports.
    pub health: Arc<Health>,
    pub scrape_tracker: Arc<ScrapeTracker>,
    pub farewell: Arc<Farewell>,
}

/// What the replica exposes and sees, and the results of the audit.
pub(super) struct AuditState {
    inventory: Arc<Inventory>,
    coverage: Arc<Coverage>,
}

/// The resources, the custom ones among them, and their settings.
pub(super) type Watched = (Arc<Resources>, Arc<CustomResources>, FollowedNamespaces);

impl Launch<'_> {
    /// Starts to watch the built-in and the custom resources. Outside a fleet they hold `slice`.
    pub fn watch_resources(&self, slice: &Slice) -> Result<Watched, StartError> {
        let settings = self.settings;
        let context = WatchContext {
            namespaced: settings.fixed.namespaced_scrapes,
            client: self.client.clone(),
            private: self.config.clone(),
            held: settings.fixed.fleet.is_none().then(|| slice.clone()),
            audited: settings.fixed.fleet.is_some(),
            linger: settings.fixed.deleted_linger,
            exposed: settings.fixed.fleet.is_some().then(Arc::default),
        };
        let custom_group = settings.live.custom.of_others().next().is_some().then_some(Group::Custom);
        let groups = [Group::BuiltIn].into_iter().chain(custom_group);
        let resources = Resources::new(context, self.spawner.clone(), groups);
        let custom = Arc::new(CustomResources::new(Arc::clone(&resources), self.client.clone(), self.spawner.clone()));
        let (client, spawner) = (self.client.clone(), self.spawner.clone());
        let namespaces = FollowedNamespaces::new(Arc::clone(&resources), Arc::clone(&custom), client, spawner);
        // The first set is served immediately.
        namespaces.follow(settings, 0).map_err(StartError::Thread)?;
        let stop = || self.spawner.stop_token();
        self.spawner.spawn_dropped(stop(), "resource-loader".to_owned(), Arc::clone(&resources).run());
        let log = failure_log::run(Arc::clone(&resources), self.config.clone());
        self.spawner.spawn_dropped(stop(), "failure-log".to_owned(), log);
        Ok((resources, custom, namespaces))
    }

    /// Joins the fleet, if the settings name one. Else the replica exposes `slice`.
    pub fn join_fleet(&self, resources: &Arc<Resources>, fleet_port: Option<SocketAddr>, slice: Slice) -> Membership {
        let unfit = Arc::new(OnceLock::new());
        let fleet = self.settings.fixed.fleet.clone().zip(fleet_port).zip(self.security.members.clone());
        let member = fleet.map(|((fleet, listen), MemberSecurity { dialer, roster })| {
            let (member, task) = fleet::run(fleet::Start {
                client: self.client.clone(),
                settings: fleet,
                listen,
                server: self.config.as_ref().map(|config| config.borrow().cluster_url.clone()),
                hash: self.settings.hasher(),
                overlap: self.settings.fixed.handover_overlap,
                on_lost_quorum: self.settings.fixed.on_lost_quorum,
                events: self.settings.fixed.fleet_events,
                seamless: self.settings.fixed.seamless_handover,
                loader: Arc::clone(resources) as _,
                host: fleet::Host::system(dialer),
                roster,
            });
            resources.joined(&member);
            let (unfit, stop) = (Arc::clone(&unfit), self.spawner.stop_token());
            self.spawner.spawn("fleet-member".to_owned(), async move {
                if let Some(why) = stop.run_until_cancelled(task).await {
                    // The task runs once, so the cell is empty.
                    let _ = unfit.set(why);
                }
            });
            member
        });
        let (exposure_gate, exposure): (Arc<dyn ExposureGate>, Arc<dyn ExposureSource>) = match &member {
            Some(member) => (Arc::clone(member) as _, Arc::clone(member) as _),
            None => (Arc::new(server::FixedExposure::new(slice.clone())), Arc::new(StandaloneView(slice))),
        };
        Membership { member, unfit, exposure_gate, exposure }
    }

    /// Starts the audit of the fleet's coverage, and the additional watches that it may need.
    pub fn audit_coverage(&self, resources: &Resources, membership: &Membership) -> AuditState {
        let sources: Option<Arc<CoverageSources>> = self.settings.fixed.coverage_watch.then(Arc::default);
        let inventory = Arc::new(Inventory {
            exposure: Arc::clone(&membership.exposure),
            watch_set: resources.watch_set(),
            coverage_sources: sources.clone(),
        });
        let coverage = Arc::new(Coverage::default());
        if let Some((member, security)) = membership.member.as_ref().zip(self.security.members.as_ref()) {
            let reads_all = Arc::clone(&self.live.reads_all);
            let members: Arc<dyn PeerDirectory> =
                Arc::new(AuditableMembers { members: Arc::clone(member) as _, reads_all });
            let audit = Audit {
                members: Arc::clone(&members),
                view: Arc::clone(&inventory) as _,
                client: Arc::new(HttpCoverageClient(security.dialer.clone())),
                coverage: Arc::clone(&coverage),
                interval: self.settings.fixed.audit_interval,
            };
            self.spawner.spawn("coverage-audit".to_owned(), audit.run(self.spawner.stop_token()));
            if let Some(sources) = sources {
                let (client, config) = (self.client.clone(), self.config.clone());
                let watch = CoverageWatch { members, served: resources.served(), client, config, sources };
                self.spawner.spawn("coverage-watch".to_owned(), watch.run(self.spawner.stop_token()));
            }
        }
        AuditState { inventory, coverage }
    }

    /// Serves all ports.
    ///
    /// # Errors
    /// The fleet port cannot be secured.
    pub fn serve(
        self,
        ports: Ports,
        (resources, custom, namespaces): &Watched,
        membership: &Membership,
        AuditState { inventory, coverage }: AuditState,
        reloads: Arc<Reloads>,
    ) -> Result<Served, StartError> {
        let Self { settings, live, security: Security { web, access, members }, spawner, .. } = self;
        let Ports { metrics, telemetry, fleet: fleet_port } = ports;
        let member = &membership.member;
        let health = Arc::new(Health {
            shard: settings.fixed.shard,
            watch_set: resources.watch_set(),
            definitions: custom.degraded(),
            fleet: member.clone(),
        });
        if let Some(member) = member.clone().filter(|_| settings.fixed.fleet_events) {
            let announced = degradation_events::announce(Arc::clone(&health), member, spawner.stop_token());
            spawner.spawn("degradation-events".to_owned(), announced);
        }
        let self_metrics = Arc::new(Telemetry::new(MetricSources {
            health: Arc::clone(&health),
            followed: namespaces.followed(),
            definition_events: custom.events(),
            server_side: settings.fixed.server_side_sharding,
            reloads,
            coverage: Arc::clone(&coverage),
        }));
        let (scrape_tracker, farewell) = (Arc::new(ScrapeTracker::default()), Arc::new(Farewell::default()));
        if let Some(member) = member.clone().filter(|_| settings.fixed.seamless_handover) {
            let run = seamless::run(member, Arc::clone(&scrape_tracker), Arc::clone(resources));
            spawner.spawn_dropped(spawner.stop_token(), "seamless-handover".to_owned(), run);
        }
        let reporter: Arc<dyn server::Reporter> = Arc::new(ReplicaReporter {
            started: Instant::now(),
            pod: settings.fixed.fleet.as_ref().map(|fleet| fleet.pod.clone()),
            metrics_port: metrics.address.port(),
            features: Arc::clone(&live.features),
            inventory: Arc::clone(&inventory),
            health: Arc::clone(&health),
            coverage,
            member: member.clone(),
        });
        if let Some(web) = &web {
            spawner.spawn("tls-config-reloader".to_owned(), Arc::clone(web).reload_periodically(spawner.stop_token()));
        }

        let scrapes = server::metrics_routes(Metrics {
            store: resources.store(),
            exposure_gate: Arc::clone(&membership.exposure_gate),
            farewell: Arc::clone(&farewell),
            scrape_tracker: Arc::clone(&scrape_tracker),
            gzip: Arc::clone(&live.gzip),
            telemetry: Arc::clone(&self_metrics),
        });
        let dialer = members.as_ref().map(|security| security.dialer.clone());
        let routes = server::both(scrapes, server::overview_routes(Arc::clone(&reporter), dialer));
        let hosts = &settings.fixed.allowed_hosts;
        let layer = AuthLayer::new(routes, web.clone(), access.clone()).with_hosts(hosts);
        let layer = layer.with_namespaces(settings.fixed.namespaced_scrapes);
        let server = server::serve(metrics.listener, layer, settings.fixed.timeouts, spawner.stop_token());
        spawner.spawn("metrics-server".to_owned(), server);

        let routes = server::telemetry_routes(self_metrics, Arc::clone(&health));
        let routes = server::both(routes, server::fleet_routes(Arc::clone(&inventory) as _));
        let routes = server::both(routes, server::report_routes(Arc::clone(&reporter)));
        let layer = AuthLayer::new(routes, web, access).with_hosts(hosts);
        let timeouts = settings.fixed.timeouts;
        let server = server::serve(telemetry.listener, layer, timeouts, spawner.stop_token());
        spawner.spawn("telemetry-server".to_owned(), server);

        if let Some(((port, MemberSecurity { dialer, roster }), fleet)) = fleet_port.zip(members).zip(member.clone()) {
            let config = dialer.0.server(Arc::clone(&roster))?;
            info!(address = %port.address, key = %dialer.0.digest(), "serving the fleet port");
            let members = Members { fleet, coverage_view: inventory, reporter, roster };
            let server = server::serve_members(port.listener, config, members, spawner.stop_token());
            spawner.spawn("fleet-server".to_owned(), server);
        }

        let (metrics, telemetry, resources) = (metrics.address, telemetry.address, settings.live.resources.len());
        match &settings.fixed.fleet {
            Some(fleet) => info!(%metrics, %telemetry, pod = fleet.pod, resources, "serving"),
            None => {
                let Shard { ordinal, total } = settings.fixed.shard;
                info!(%metrics, %telemetry, shard = ordinal, shards = total, resources, "serving");
            }
        }
        Ok(Served { health, scrape_tracker, farewell })
    }
}

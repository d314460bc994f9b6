//! The status report of this replica, for the status page and for peers.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::inventory::Inventory;
use super::live_settings::SharedFeatures;
use crate::fleet::audit::{Coverage, CoverageView};
use crate::fleet::coverage::KnownVersions;
use crate::fleet::record::Endpoint;
use crate::fleet::report::{Feature, FleetReport, ReplicaReport, ResourceCoverage, ResourceReport};
use crate::fleet::{self, FleetHandle};
use crate::health::{DEFINITIONS, Degraded, Health, WatchedResource};
use crate::server;
use crate::settings::{self, Shard};
use crate::sharding::Slice;

/// Compiles the report at each request.
pub(super) struct ReplicaReporter {
    pub started: Instant,
    pub pod: Option<String>,
    pub metrics_port: u16,
    pub features: SharedFeatures,
    pub inventory: Arc<Inventory>,
    pub health: Arc<Health>,
    pub coverage: Arc<Coverage>,
    pub member: Option<Arc<FleetHandle>>,
}

impl server::Reporter for ReplicaReporter {
    fn report(&self) -> ReplicaReport {
        let counted = self.inventory.exposure.exposure().counted;
        let waits_for = self.health.unready_reasons();
        let Shard { ordinal, total } = self.health.shard();
        let watch_set = self.inventory.watch_set.load();
        let kept = watch_set.resources.iter().map(|watched| self.kept(watched, &counted));
        let kept = kept.chain(self.health.definitions.load_full().map(|degraded| definitions(&degraded)));
        let enabled = self.features.load();
        let feature = |(name, value): &settings::Feature| Feature { name: (*name).to_owned(), value: value.clone() };
        ReplicaReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pod: self.pod.clone(),
            ordinal,
            shards: total,
            share: counted.size() as f64 / (1_u128 << 64) as f64,
            ready: waits_for.is_empty(),
            waits_for,
            metrics_port: self.metrics_port,
            memory: fleet::resident(),
            uptime: self.started.elapsed().as_secs(),
            enabled: enabled.iter().map(feature).collect(),
            part: self.member.as_ref().map(|member| self.part(member)),
            resources: kept.collect(),
        }
    }

    fn others(&self) -> BTreeMap<u32, Option<Endpoint>> {
        self.member.as_ref().map(|member| member.others()).unwrap_or_default()
    }
}

/// The degraded CustomResourceDefinitions. They have no objects to serve, and only their failure matters.
fn definitions(degraded: &Degraded) -> ResourceReport {
    let degraded = Some(degraded.trouble.error.clone());
    ResourceReport { resource: DEFINITIONS.to_owned(), loaded: true, degraded, ..ResourceReport::default() }
}

impl ReplicaReporter {
    fn part(&self, member: &FleetHandle) -> FleetReport {
        let cover = self.coverage.statuses().into_iter().map(|line| ResourceCoverage {
            resource: line.resource,
            verdict: line.state.into(),
            age: line.age.as_secs(),
        });
        FleetReport { cover: cover.collect(), ..member.part() }
    }

    fn kept(&self, watched: &WatchedResource, counted: &Slice) -> ResourceReport {
        let WatchedResource { name: resource, objects, .. } = watched;
        // Sources count the objects of other shards only in a fleet, as this takes memory.
        let seen = match self.inventory.cluster_versions(resource) {
            KnownVersions::Versions { newest, .. } if self.member.is_some() => {
                self.inventory.seen_at(resource, newest).ok().map(|digest| digest.count)
            }
            _ => None,
        };
        ResourceReport {
            resource: resource.clone(),
            owned: objects.count(counted) as u64,
            seen,
            loaded: watched.is_loaded(),
            refused: watched.refused_status(),
            degraded: watched.degraded().map(|degraded| degraded.trouble.error.clone()),
            silent: watched.last_event_age().map(|age| age.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;

    use super::super::inventory::StandaloneView;
    use super::*;
    use crate::health::{SharedDegraded, WatchSet};
    use crate::intake::Trouble;
    use crate::server::Reporter;

    #[tokio::test]
    async fn degraded_definitions_are_on_the_status_page_until_they_recover() {
        let (definitions, watch_set) =
            (SharedDegraded::default(), Arc::new(ArcSwap::from_pointee(WatchSet::default())));
        let reporter = ReplicaReporter {
            started: Instant::now(),
            pod: None,
            metrics_port: 8080,
            features: SharedFeatures::default(),
            inventory: Arc::new(Inventory {
                exposure: Arc::new(StandaloneView(Slice::all())),
                watch_set: Arc::clone(&watch_set),
                coverage_sources: None,
            }),
            health: Arc::new(Health {
                shard: Shard { ordinal: 0, total: 1 },
                watch_set,
                definitions: Arc::clone(&definitions),
                fleet: None,
            }),
            coverage: Arc::default(),
            member: None,
        };
        assert_eq!(reporter.report().resources, []);
        let trouble = Arc::new(Trouble { reason: "status", error: "503: overloaded".to_owned() });
        definitions.store(Some(Arc::new(Degraded { trouble, sources: 1 })));
        let expected = ResourceReport {
            resource: "customresourcedefinitions".to_owned(),
            loaded: true,
            degraded: Some("503: overloaded".to_owned()),
            ..ResourceReport::default()
        };
        assert_eq!(reporter.report().resources, [expected]);
        definitions.store(None);
        assert_eq!(reporter.report().resources, []);
    }
}

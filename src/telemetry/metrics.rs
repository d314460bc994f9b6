//! The self-metrics of a replica: upstream's names (`kube_state_metrics_*`) and our own (`kube_state_fleet_*`).

use std::collections::BTreeMap;
use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::definitions::DefinitionEvents;
use super::encode::{Labels, counter, gauge};
use super::reloads::Reloads;
use crate::fleet::audit::Coverage;
use crate::fleet::ledger::CoverageState;
use crate::health::{Health, SharedFollowed, WatchedResource};
use crate::intake::Status;

/// The handles from which a replica's self-metrics are read.
#[derive(Clone, Debug)]
pub struct MetricSources {
    /// The watched resources, the shard and the fleet.
    pub health: Arc<Health>,
    /// The watch of Namespaces for settings that depend on them. Its requests count with those of the resource `namespaces`.
    pub followed: SharedFollowed,
    /// Events of CustomResourceDefinitions. They stay 0 without custom resources.
    pub definition_events: Arc<DefinitionEvents>,
    /// Whether the API server is asked to filter objects by shard.
    pub server_side: bool,
    /// The configuration files that were read.
    pub reloads: Arc<Reloads>,
    /// The results of the coverage audit while this replica is the coordinator.
    pub coverage: Arc<Coverage>,
}

/// Reads one number of a source.
type Count = fn(&Status) -> u64;

/// Reads the handles of a replica at each scrape.
#[derive(Debug)]
pub(super) struct ReplicaCollector(pub MetricSources);

impl Collector for ReplicaCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let out = &mut encoder;
        let watch_set = self.0.health.watch_set.load();
        let watched = &watch_set.resources;
        let all_watched = with_followed(watched, self.0.followed.load_full().as_deref());
        self.identity(out)?;
        self.requests(out, &all_watched)?;
        self.0.definition_events.encode(out)?;
        objects(out, watched)?;
        events(out, watched)?;
        loaded(out, watched)?;
        requested(out, &all_watched)?;
        self.degraded(out)?;
        self.cover(out)?;
        self.server_side(out, watched)?;
        self.0.reloads.encode(out)?;
        match &self.0.health.fleet {
            Some(fleet) => super::fleet::encode(out, fleet),
            None => Ok(()),
        }
    }
}

impl ReplicaCollector {
    fn identity(&self, out: &mut DescriptorEncoder) -> Result<(), Error> {
        let build = vec![
            ("version", env!("CARGO_PKG_VERSION")),
            ("revision", option_env!("KUBE_STATE_FLEET_REVISION").unwrap_or("unknown")),
            ("os", std::env::consts::OS),
            ("arch", std::env::consts::ARCH),
        ];
        gauge(
            out,
            "kube_state_metrics_build_info",
            "Always 1; the labels say which version was built, and for which platform.",
            [(build, 1)],
        )?;
        let total = self.0.health.shard().total;
        let ordinals: Vec<_> =
            self.0.health.served_ordinals().into_iter().map(|shard| (shard, shard.to_string())).collect();
        gauge(
            out,
            "kube_state_metrics_shard_ordinal",
            "Ordinal of a shard that this replica serves, as the value and as the label: its own, and in a fleet those of absent \
             members, whose objects the present members serve together.",
            ordinals.iter().map(|(shard, text)| (vec![("shard_ordinal", text.as_str())], u64::from(*shard))),
        )?;
        gauge(
            out,
            "kube_state_metrics_total_shards",
            "Number of shards over which the objects are spread.",
            [(vec![], u64::from(total))],
        )
    }

    /// Lists and watches under upstream's names.
    fn requests(&self, out: &mut DescriptorEncoder, watched: &[WatchedResource]) -> Result<(), Error> {
        // Several resources may have the same type.
        let by_kind = |count: Count| {
            let mut sums = BTreeMap::<&str, u64>::new();
            for w in watched {
                *sums.entry(&w.kind).or_default() += w.sum(count);
            }
            sums
        };
        let by_result = |good: Count, bad: Count| {
            by_kind(good).into_iter().zip(by_kind(bad)).flat_map(|((kind, good), (_, bad))| {
                let labels = |result| vec![("result", result), ("resource", kind)];
                [(labels("success"), good), (labels("error"), bad)]
            })
        };
        counter(
            out,
            "kube_state_metrics_list",
            "Number of list requests to the API server, by result.",
            by_result(|s| s.lists.load(Relaxed), |s| s.list_errors.load(Relaxed)),
        )?;
        counter(
            out,
            "kube_state_metrics_watch",
            "Number of watch requests to the API server, by result.",
            by_result(|s| s.watches.load(Relaxed), |s| s.watch_errors.load(Relaxed)),
        )?;
        let mut limited = BTreeMap::<&str, (u64, u64)>::new();
        for w in watched.iter().filter(|w| w.object_limit != 0) {
            let (objects, limit) = limited.entry(&w.kind).or_default();
            *objects += w.sum(|s| s.listed_objects.load(Relaxed));
            *limit = w.object_limit;
        }
        let limited = |value: fn((u64, u64)) -> u64| {
            limited.iter().map(move |(kind, of)| (vec![("resource", *kind)], value(*of))).collect::<Vec<_>>()
        };
        gauge(
            out,
            "kube_state_metrics_list_objects",
            "Number of objects in the newest list of the resource, over all shards.",
            limited(|(objects, _)| objects),
        )?;
        gauge(
            out,
            "kube_state_metrics_list_objects_limit",
            "Maximum number of objects of the resource that are read, over all shards.",
            limited(|(_, limit)| limit),
        )
    }

    /// The results of the coverage audit. Only the coordinator has any.
    fn cover(&self, out: &mut DescriptorEncoder) -> Result<(), Error> {
        let lines = self.0.coverage.statuses();
        let labelled = |resource, key, value| vec![("resource", resource), (key, value)];
        gauge(
            out,
            "kube_state_fleet_cover",
            "Whether the last audit found the resource in this state: each object exposed once (exact), objects exposed by no \
             replica (missing), objects exposed more than once (doubled), or no proof for 2 minutes (unproven). Only the \
             coordinator exports it.",
            lines.iter().flat_map(|line| {
                let CoverageState { exact, missing, doubled, unproven } = line.state;
                let states = [("exact", exact), ("missing", missing), ("doubled", doubled), ("unproven", unproven)];
                states.map(|(state, is)| (labelled(line.resource.as_str(), "state", state), u64::from(is)))
            }),
        )?;
        gauge(
            out,
            "kube_state_fleet_cover_objects",
            "Number of objects of the resource at the last audit: in the cluster (seen), or exposed by all replicas together (exposed).",
            lines.iter().filter_map(|line| Some((line, line.proof?))).flat_map(|(line, proof)| {
                let counts = [("seen", proof.seen.count), ("exposed", proof.exposed.count)];
                counts.map(|(of, count)| (labelled(line.resource.as_str(), "of", of), count))
            }),
        )?;
        gauge(
            out,
            "kube_state_fleet_cover_age_seconds",
            "Seconds since the last successful audit of the resource; before the first one, since the first attempt.",
            lines.iter().map(|line| (vec![("resource", line.resource.as_str())], line.age.as_secs())),
        )
    }

    fn degraded(&self, out: &mut DescriptorEncoder) -> Result<(), Error> {
        let degraded = self.0.health.degraded();
        gauge(
            out,
            "kube_state_fleet_degraded",
            "Number of sources of the resource, one or one per namespace, that fail for so long that readiness and handovers do \
             not wait for them, by the kind of the last failure. Absent for other resources.",
            degraded.iter().map(|(resource, degraded)| {
                let labels = vec![("resource", resource.as_str()), ("reason", degraded.trouble.reason)];
                (labels, degraded.sources as u64)
            }),
        )
    }

    /// Whether the API server filters by shard, if it is asked to.
    fn server_side(&self, out: &mut DescriptorEncoder, watched: &[WatchedResource]) -> Result<(), Error> {
        if !self.0.server_side {
            return Ok(());
        }
        gauge(
            out,
            "kube_state_fleet_server_side",
            "Whether the API server filters the resource by shard; 0 if it sends all objects and this replica filters them.",
            by_resource(watched, |w| u64::from(w.sources.iter().all(|s| s.filtered.load(Relaxed)))),
        )
    }
}

fn objects(out: &mut DescriptorEncoder, watched: &[WatchedResource]) -> Result<(), Error> {
    gauge(
        out,
        "kube_state_fleet_objects",
        "Number of objects of the resource that this replica keeps.",
        by_resource(watched, |w| w.objects.len() as u64),
    )
}

fn events(out: &mut DescriptorEncoder, watched: &[WatchedResource]) -> Result<(), Error> {
    const OUTCOMES: [(&str, Count); 5] = [
        ("applied", |s| s.applied.load(Relaxed)),
        ("deleted", |s| s.deleted.load(Relaxed)),
        ("foreign", |s| s.foreign.load(Relaxed)),
        ("undecodable", |s| s.undecodable.load(Relaxed)),
        ("wrong_form", |s| s.wrong_form.load(Relaxed)),
    ];
    counter(
        out,
        "kube_state_fleet_events",
        "Number of list items and watch events by outcome: applied, deleted, discarded because another shard owns the object \
         (foreign), skipped as undecodable, or dropped because the API server sent another form than requested (wrong_form).",
        watched.iter().flat_map(|w| {
            OUTCOMES.map(|(outcome, count)| (vec![("resource", w.name.as_str()), ("outcome", outcome)], w.sum(count)))
        }),
    )?;
    counter(
        out,
        "kube_state_fleet_unreadable_fields",
        "Number of fields that could not be read in list items and watch events. Their objects are served without them, and \
         text that is not Unicode is served with U+FFFD.",
        by_resource(watched, |w| w.sum(|s| s.unreadable_fields.load(Relaxed))),
    )
}

/// Returns the watched resources, with the sources of one that is not served.
fn with_followed(watched: &[WatchedResource], followed: Option<&WatchedResource>) -> Vec<WatchedResource> {
    let mut all = watched.to_vec();
    if let Some(followed) = followed {
        match all.iter_mut().find(|resource| resource.name == followed.name) {
            Some(served) => served.sources.extend(followed.sources.iter().cloned()),
            None => all.push(followed.clone()),
        }
    }
    all
}

/// Completeness.
fn loaded(out: &mut DescriptorEncoder, watched: &[WatchedResource]) -> Result<(), Error> {
    gauge(
        out,
        "kube_state_fleet_loaded",
        "Whether the resource has been listed completely, or is refused by the API server.",
        by_resource(watched, |w| u64::from(w.is_loaded())),
    )
}

/// The results of requests, and freshness.
fn requested(out: &mut DescriptorEncoder, watched: &[WatchedResource]) -> Result<(), Error> {
    counter(
        out,
        "kube_state_fleet_not_served",
        "Number of lists and watches that the API server answered with 404 or 405, because it does not serve the resource; \
         kube_state_metrics_list_total and kube_state_metrics_watch_total do not count them.",
        by_resource(watched, |w| w.sum(|s| s.not_served.load(Relaxed))),
    )?;
    let refused: Vec<_> = watched.iter().flat_map(refusals).collect();
    gauge(
        out,
        "kube_state_fleet_refused",
        "Number of sources of the resource that the API server refuses, by HTTP status: 403 forbidden, 404 or 405 not served.",
        refused.iter().map(|(w, code, count)| (vec![("resource", w.name.as_str()), ("code", code)], *count)),
    )?;
    gauge(
        out,
        "kube_state_fleet_last_event_age_seconds",
        "Seconds since the last event or bookmark of the resource; with several sources, the longest of these times.",
        watched.iter().filter_map(|w| Some((vec![("resource", w.name.as_str())], w.last_event_age()?.as_secs()))),
    )
}

fn by_resource(
    watched: &[WatchedResource],
    value: impl Fn(&WatchedResource) -> u64,
) -> impl Iterator<Item = (Labels<'_>, u64)> {
    watched.iter().map(move |w| (vec![("resource", w.name.as_str())], value(w)))
}

/// The HTTP statuses with which sources of a resource are refused, and the number of sources with each.
fn refusals(watched: &WatchedResource) -> impl Iterator<Item = (&WatchedResource, String, u64)> {
    let mut codes = BTreeMap::<u64, u64>::new();
    for code in watched.sources.iter().map(|s| s.refused.load(Relaxed)).filter(|code| *code != 0) {
        *codes.entry(code).or_default() += 1;
    }
    codes.into_iter().map(move |(code, count)| (watched, code.to_string(), count))
}

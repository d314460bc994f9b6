//! The self-metrics of a replica: upstream's names (`kube_state_metrics_*`) and our own (`kube_state_fleet_*`).

use std::collections::BTreeMap;
use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::{DefinitionEvents, Replica, Watched};
use crate::fleet::coverage::State;
use crate::intake::Status;
use crate::settings::Shard;

/// Labels of one sample.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Reads one number of a source.
type Count = fn(&Status) -> u64;

/// Reads the handles of a replica whenever it is asked.
#[derive(Debug)]
pub(super) struct Metrics(pub Arc<Replica>);

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let out = &mut encoder;
        let watching = self.0.watching.load();
        let watched = &watching.resources;
        self.identity(out)?;
        self.requests(out, watched)?;
        self.definitions(out)?;
        objects(out, watched)?;
        events(out, watched)?;
        health(out, watched)?;
        self.cover(out)?;
        self.server_side(out, watched)?;
        self.0.reloads.encode(out)?;
        match &self.0.fleet {
            Some(fleet) => super::fleet::encode(out, &fleet.snapshot()),
            None => Ok(()),
        }
    }
}

impl Metrics {
    /// What this replica is.
    fn identity(&self, out: &mut DescriptorEncoder) -> Result<(), Error> {
        let build = vec![
            ("version", env!("CARGO_PKG_VERSION")),
            ("revision", option_env!("KUBE_STATE_FLEET_REVISION").unwrap_or("unknown")),
            ("os", std::env::consts::OS),
            ("arch", std::env::consts::ARCH),
        ];
        gauge(out, "kube_state_metrics_build_info", "Always 1; the labels say what was built.", [(build, 1)])?;
        let Shard { ordinal: shard, total } = self.0.shard();
        let ordinal = shard.to_string();
        gauge(
            out,
            "kube_state_metrics_shard_ordinal",
            "Which shard this replica serves, as the value and as the label.",
            [(vec![("shard_ordinal", ordinal.as_str())], u64::from(shard))],
        )?;
        gauge(
            out,
            "kube_state_metrics_total_shards",
            "Over how many shards the objects are spread.",
            [(vec![], u64::from(total))],
        )
    }

    /// Lists and watches, by upstream's names.
    fn requests(&self, out: &mut DescriptorEncoder, watched: &[Watched]) -> Result<(), Error> {
        // Several resources may be of one type.
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
            "Lists that were asked of the API server, by result.",
            by_result(|s| s.lists.load(Relaxed), |s| s.list_errors.load(Relaxed)),
        )?;
        counter(
            out,
            "kube_state_metrics_watch",
            "Watches that were asked of the API server, by result.",
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
            "Objects in the newest list of the resource, all shards together.",
            limited(|(objects, _)| objects),
        )?;
        gauge(
            out,
            "kube_state_metrics_list_objects_limit",
            "How many objects of the resource are read at most, all shards together.",
            limited(|(_, limit)| limit),
        )
    }

    /// CustomResourceDefinitions, by upstream's names.
    fn definitions(&self, out: &mut DescriptorEncoder) -> Result<(), Error> {
        let DefinitionEvents { added, updated, deleted, cached } = &*self.0.definition_events;
        for (name, help, count) in [
            ("add", "CustomResourceDefinitions that were new to this replica.", added),
            ("update", "CustomResourceDefinitions that changed.", updated),
            ("delete", "CustomResourceDefinitions that went.", deleted),
        ] {
            let name = format!("kube_state_metrics_custom_resource_state_{name}_events");
            counter(out, &name, help, [(vec![], count.load(Relaxed))])?;
        }
        gauge(
            out,
            "kube_state_metrics_custom_resource_state_cache",
            "CustomResourceDefinitions that this replica knows.",
            [(vec![], cached.load(Relaxed))],
        )
    }

    /// Whether the fleet exposes each object once, if it is this replica that finds out.
    fn cover(&self, out: &mut DescriptorEncoder) -> Result<(), Error> {
        let lines = self.0.coverage.lines();
        let labelled = |resource, key, value| vec![("resource", resource), (key, value)];
        gauge(
            out,
            "kube_state_fleet_cover",
            "What the last audit showed of the resource, 1 if it is so: each object exposed once (exact), some by nobody \
             (missing), some more than once (doubled); or there was no proof for 3 minutes (unproven). From the coordinator only.",
            lines.iter().flat_map(|line| {
                let State { exact, missing, doubled, unproven } = line.state;
                let states = [("exact", exact), ("missing", missing), ("doubled", doubled), ("unproven", unproven)];
                states.map(|(state, is)| (labelled(line.resource.as_str(), "state", state), u64::from(is)))
            }),
        )?;
        gauge(
            out,
            "kube_state_fleet_cover_objects",
            "Objects of the resource at the last audit: in the cluster (seen), and exposed by all replicas together (exposed).",
            lines.iter().filter_map(|line| Some((line, line.proof?))).flat_map(|(line, proof)| {
                let counts = [("seen", proof.seen.count), ("exposed", proof.exposed.count)];
                counts.map(|(of, count)| (labelled(line.resource.as_str(), "of", of), count))
            }),
        )?;
        gauge(
            out,
            "kube_state_fleet_cover_age_seconds",
            "How long ago the last audit of the resource succeeded; before the first, for how long it has been tried.",
            lines.iter().map(|line| (vec![("resource", line.resource.as_str())], line.age.as_secs())),
        )
    }

    /// Where the API server was asked to leave out what is not ours, whether it does.
    fn server_side(&self, out: &mut DescriptorEncoder, watched: &[Watched]) -> Result<(), Error> {
        if !self.0.server_side {
            return Ok(());
        }
        gauge(
            out,
            "kube_state_fleet_server_side",
            "Whether the API server leaves out what is not this replica's (1), or sends all that is filtered here (0).",
            by_resource(watched, |w| u64::from(w.sources.iter().all(|s| s.filtered.load(Relaxed)))),
        )
    }
}

fn objects(out: &mut DescriptorEncoder, watched: &[Watched]) -> Result<(), Error> {
    gauge(
        out,
        "kube_state_fleet_objects",
        "Objects of the resource that this replica keeps.",
        by_resource(watched, |w| w.objects.len() as u64),
    )
}

/// What came of the objects that the API server sent.
fn events(out: &mut DescriptorEncoder, watched: &[Watched]) -> Result<(), Error> {
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
        "List items and watch events by what came of them: applied, deleted, discarded as another shard's (foreign), \
         skipped as undecodable, or dropped since they were not in the form that was asked for (wrong_form).",
        watched.iter().flat_map(|w| {
            OUTCOMES
                .map(|(outcome, count)| (vec![("resource", w.resource.as_str()), ("outcome", outcome)], w.sum(count)))
        }),
    )
}

/// Whether what is served is whole and fresh.
fn health(out: &mut DescriptorEncoder, watched: &[Watched]) -> Result<(), Error> {
    gauge(
        out,
        "kube_state_fleet_loaded",
        "1 when the resource has been listed whole, or is refused by the API server; 0 before.",
        by_resource(watched, |w| u64::from(w.is_settled())),
    )?;
    let refused: Vec<_> = watched.iter().flat_map(refusals).collect();
    gauge(
        out,
        "kube_state_fleet_refused",
        "Sources of the resource that the API server refuses, by status: 403 forbidden, 404 or 405 not there.",
        refused.iter().map(|(w, code, count)| (vec![("resource", w.resource.as_str()), ("code", code)], *count)),
    )?;
    gauge(
        out,
        "kube_state_fleet_last_event_age_seconds",
        "How long ago the API server last said anything about the resource, events and bookmarks alike; of several \
         sources the one that has been silent for longest.",
        watched.iter().filter_map(|w| Some((vec![("resource", w.resource.as_str())], w.silence()?.as_secs()))),
    )
}

fn by_resource(watched: &[Watched], value: impl Fn(&Watched) -> u64) -> impl Iterator<Item = (Labels<'_>, u64)> {
    watched.iter().map(move |w| (vec![("resource", w.resource.as_str())], value(w)))
}

/// The statuses with which the sources of a resource are refused, and how many sources by each.
fn refusals(watched: &Watched) -> impl Iterator<Item = (&Watched, String, u64)> {
    let mut codes = BTreeMap::<u64, u64>::new();
    for code in watched.sources.iter().map(|s| s.refused.load(Relaxed)).filter(|code| *code != 0) {
        *codes.entry(code).or_default() += 1;
    }
    codes.into_iter().map(move |(code, count)| (watched, code.to_string(), count))
}

pub(super) fn gauge<'a>(
    out: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (Labels<'a>, u64)>,
) -> Result<(), Error> {
    let mut samples = samples.into_iter().peekable();
    if samples.peek().is_none() {
        return Ok(());
    }
    let mut family = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
    samples.try_for_each(|(labels, value)| match labels.is_empty() {
        true => family.encode_gauge(&value),
        false => family.encode_family(&labels)?.encode_gauge(&value),
    })
}

/// NB: `_total` is added to the name by the encoder.
fn counter<'a>(
    out: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (Labels<'a>, u64)>,
) -> Result<(), Error> {
    let mut family = out.encode_descriptor(name, help, None, MetricType::Counter)?;
    samples.into_iter().try_for_each(|(labels, value)| match labels.is_empty() {
        true => family.encode_counter::<NoLabelSet, _, u64>(&value, None),
        false => family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None),
    })
}

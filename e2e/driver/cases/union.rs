//! Exactly one replica serves each pod, node and deployment of the API server: seen through Prometheus, with and without
//! compression.

use std::collections::BTreeSet;
use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use serde_json::json;

use crate::api;
use crate::cluster::{Cluster, Options};
use crate::fleet::Fleet;
use crate::http::get;
use crate::prometheus::{Prometheus, Sample};
use crate::replica::Endpoints;
use crate::stage::{Size, Stage};
use crate::wait::until;

const REPLICAS: u8 = 3;
/// How long it may take until Prometheus has scraped everything.
const LIMIT: Duration = Duration::from_secs(90);

/// Objects that must be served once.
struct Expected {
    /// A family with one series per object.
    family: &'static str,
    /// Returns the key of an object.
    key: fn(&Sample) -> String,
    keys: BTreeSet<String>,
}

pub async fn run(stage: &Stage) -> Result<String> {
    let mut cluster = Cluster::start(stage, Options::FLEET).await?;
    let fleet = Fleet::start(stage, &cluster, REPLICAS).await?;
    cluster.fill(stage, stage.pods()).await?;
    let interval = Duration::from_secs(if stage.size == Size::Long { 15 } else { 2 });
    let jobs =
        json!([fleet.scrape_job(stage, &cluster, "plain", false), fleet.scrape_job(stage, &cluster, "gzip", true),]);
    let prometheus = Prometheus::start(stage, interval, jobs).await?;
    let expected = [
        Expected {
            family: "kube_pod_info",
            key: |sample| sample.label("uid").to_owned(),
            keys: cluster.api.keys("/api/v1/pods", api::uid).await?,
        },
        Expected {
            family: "kube_node_info",
            key: |sample| sample.label("node").to_owned(),
            keys: cluster.api.keys("/api/v1/nodes", api::name).await?,
        },
        Expected {
            family: "kube_deployment_created",
            key: |sample| format!("{}/{}", sample.label("namespace"), sample.label("deployment")),
            keys: cluster.api.keys("/apis/apps/v1/deployments", api::namespaced_name).await?,
        },
    ];
    for (job, compressed) in [("plain", false), ("gzip", true)] {
        for each in &expected {
            until("each object once", LIMIT, async || {
                prometheus.ensure_up(2 * usize::from(REPLICAS)).await?;
                let samples = prometheus.query(&format!("{}{{job=\"{job}\"}}", each.family)).await?;
                once(&each.keys, samples.iter().map(each.key)).with_context(|| format!("{job}: {}", each.family))
            })
            .await?;
        }
        // A late scrape removes the series of a replica until the next one.
        until("fair shares", LIMIT, async || fair(&prometheus, job).await).await?;
        for at in &fleet.replicas {
            // The fleet's own Leases change every few seconds, sometimes between the two scrapes.
            until("the same in both forms", LIMIT, async || encoded(at, compressed).await.context(job)).await?;
        }
    }
    let [pods, nodes, deployments] = expected.map(|each| each.keys.len());
    Ok(format!(
        "{pods} pods, {nodes} nodes, {deployments} deployments: each once from {REPLICAS} replicas, plain and gzip"
    ))
}

/// Returns an error unless `seen` contains exactly the keys of `expected`, each once.
pub(super) fn once(expected: &BTreeSet<String>, seen: impl Iterator<Item = String>) -> Result<()> {
    let (mut found, mut doubled) = (BTreeSet::new(), BTreeSet::new());
    for key in seen {
        if let Some(twice) = found.replace(key) {
            doubled.insert(twice);
        }
    }
    let missing: Vec<&String> = expected.difference(&found).collect();
    let unexpected: Vec<&String> = found.difference(expected).collect();
    if missing.is_empty() && unexpected.is_empty() && doubled.is_empty() {
        return Ok(());
    }
    bail!(
        "of {} objects {} are missing ({:?}), {} unexpected ({:?}), {} doubled ({:?})",
        expected.len(),
        missing.len(),
        missing.first(),
        unexpected.len(),
        unexpected.first(),
        doubled.len(),
        doubled.first()
    )
}

/// Each replica serves at least half of an even share.
async fn fair(prometheus: &Prometheus, job: &str) -> Result<()> {
    let shares = prometheus.query(&format!("count by (replica) (kube_pod_info{{job=\"{job}\"}})")).await?;
    ensure!(shares.len() == usize::from(REPLICAS), "{} replicas serve pods", shares.len());
    let total: f64 = shares.iter().map(|share| share.value).sum();
    for share in &shares {
        let name = share.label("replica");
        ensure!(share.value > total / f64::from(REPLICAS) / 2.0, "{name} serves {} pods of {total}", share.value);
    }
    Ok(())
}

/// The answer is compressed exactly if the request accepts that, and is complete.
async fn encoded(at: &Endpoints, compressed: bool) -> Result<()> {
    let accepted = if compressed { "gzip" } else { "identity" };
    let answer = get(&at.metrics_url(), &[("accept-encoding", accepted)]).await?;
    let encoding = answer.header("content-encoding");
    if !compressed {
        ensure!(encoding.is_empty(), "requested no encoding, got {encoding}");
        return Ok(());
    }
    ensure!(encoding == "gzip", "requested gzip, got {encoding:?}");
    let mut text = String::new();
    GzDecoder::new(&answer.body[..]).read_to_string(&mut text).context("not gzip")?;
    ensure!(text == at.scrape().await?, "{}: the compressed text differs from the plain one", at.address);
    Ok(())
}

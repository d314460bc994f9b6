//! Prometheus' own parsers accept both text formats, and read the same samples from them, also of objects with colliding keys.

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kube_state_fleet::collectors::{Resource, Visitor, name, visit_all};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::http::get;
use crate::prometheus::Prometheus;
use crate::replica::{Endpoints, Replica};
use crate::stage::Stage;
use crate::wait::until;

/// Job, protocol in Prometheus' configuration, and media type of the request.
const PROTOCOLS: [(&str, &str, &str); 2] = [
    ("openmetrics", "OpenMetricsText1.0.0", "application/openmetrics-text"),
    ("text", "PrometheusText0.0.4", "text/plain"),
];

/// Series that need names of their own for colliding keys, up to the label `job`, and their number.
const ODD: [(&str, f64); 6] = [
    ("kube_pod_labels{label_tier_a_conflict1_conflict1=\"one\",", 1.0),
    ("kube_pod_annotations{annotation_tier_a_conflict1_conflict1=~\"(?s).*EOF\",", 1.0),
    ("kube_pod_nodeselectors{nodeselector_tier_a_conflict1_conflict2=\"three\",", 1.0),
    ("kube_volumeattachment_labels{label_tier_a_conflict2=\"two\",", 1.0),
    ("kube_volumeattachment_status_attachment_metadata{metadata___name__=\"four\",", 1.0),
    ("kube_state_fleet_horizontalpodautoscaler_spec_target_metric{metric_name=\"depth\",", 2.0),
];

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let mut all = AllResources::default();
    visit_all(&mut all);
    let everything = |flag: &str| {
        let each: Vec<String> = all.0.iter().map(|resource| format!("{resource}=[*]")).collect();
        format!("{flag}={}", each.join(","))
    };
    let mut replica = Replica::start(
        stage,
        10,
        &cluster.kubeconfig,
        &[
            &format!("--resources={}", all.0.join(",")),
            &everything("--metric-labels-allowlist"),
            &everything("--metric-annotations-allowlist"),
            "--metric-opt-in-list=.*",
            // Namespaces in which no other case creates objects: the two scrapes must find the same.
            "--namespaces=variety,trouble,team-0000",
        ],
    )?;
    replica.ready().await?;
    lint(stage, &replica.at).await?;
    configuration(stage)?;
    let samples = scrape(stage, &replica.at).await?;
    Ok(format!("{samples} samples in either format; promtool accepts them"))
}

/// The plurals of all resources.
#[derive(Default)]
struct AllResources(Vec<&'static str>);

impl Visitor for AllResources {
    fn visit<R: Resource>(&mut self) {
        self.0.push(name::<R>());
    }
}

/// `promtool check metrics` accepts the exposition, including the names that come from kube-state-metrics.
async fn lint(stage: &Stage, at: &Endpoints) -> Result<()> {
    let file = stage.directory.join("metrics.txt");
    std::fs::write(&file, at.scrape().await?)?;
    let output = Command::new(stage.tool("promtool")?).args(["check", "metrics"]).stdin(File::open(&file)?).output()?;
    let complaints = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "promtool: {}: {}", output.status, complaints.trim());
    Ok(())
}

/// Prometheus accepts the configuration in `manifests/`.
fn configuration(stage: &Stage) -> Result<()> {
    let file = stage.repository("manifests/prometheus/prometheus.yml");
    let output =
        Command::new(stage.tool("promtool")?).args(["check", "config", "--syntax-only"]).arg(&file).output()?;
    ensure!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Prometheus scrapes with each protocol. Returns the number of samples, which must be equal.
async fn scrape(stage: &Stage, at: &Endpoints) -> Result<f64> {
    for (_, _, media) in PROTOCOLS {
        let answer = get(&at.metrics_url(), &[("accept", media)]).await?;
        ensure!(
            answer.header("content-type").starts_with(media),
            "requested {media}, got {}",
            answer.header("content-type")
        );
    }
    let jobs: Vec<Value> = PROTOCOLS
        .iter()
        .map(|(job, protocol, _)| {
            json!({
                "job_name": job,
                "scrape_protocols": [protocol],
                "static_configs": [{ "targets": [format!("{}:{}", at.address, at.port)] }],
            })
        })
        .collect();
    let prometheus = Prometheus::start(stage, Duration::from_secs(2), json!(jobs)).await?;
    until("agreement of both scrapes", Duration::from_secs(60), async || {
        prometheus.ensure_up(PROTOCOLS.len()).await?;
        let counts = prometheus.query("scrape_samples_scraped").await?;
        let kept = prometheus.query("scrape_samples_post_metric_relabeling").await?;
        let served = at.scrape().await?.lines().filter(|line| !line.starts_with('#')).count();
        let [first, second] = &counts[..] else { bail!("{} counts of samples", counts.len()) };
        ensure!(first.value == second.value, "{} samples in one format, {} in the other", first.value, second.value);
        ensure!(first.value as usize == served, "{} samples scraped, {served} lines served", first.value);
        ensure!(kept.iter().all(|sample| sample.value == first.value), "samples were dropped");
        for (job, _, _) in PROTOCOLS {
            let pods = prometheus.query(&format!("count(kube_pod_info{{job=\"{job}\"}})")).await?;
            pods.first().with_context(|| format!("no pods by {job}"))?;
            for (series, count) in ODD {
                let found = prometheus.query(&format!("count({}job=\"{job}\"}})", series)).await?;
                ensure!(
                    found.first().is_some_and(|found| found.value == count),
                    "not {count} of {series}...}} by {job}"
                );
            }
        }
        Ok(first.value)
    })
    .await
}

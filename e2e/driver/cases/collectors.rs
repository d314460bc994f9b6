//! The samples of docs/collectors.md for Prometheus, the OpenTelemetry collector and vmagent, as they are on the page, beside a fleet of
//! three: a Prometheus that they write to has each object once of each of them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::union::once;
use crate::api;
use crate::cluster::{Cluster, Options};
use crate::fleet::Fleet;
use crate::process::{Process, run as run_program};
use crate::prometheus::{Prometheus, Role, Setup};
use crate::stage::Stage;
use crate::wait::until;

const PAGE: &str = "docs/collectors.md";
/// What the samples select pods by.
const SELECTOR: &str = "app.kubernetes.io/part-of=kube-state-fleet";
const REPLICAS: u8 = 3;
const INTERVAL: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(90);
/// Labels that name a replica. The series of an object must not have its values in others than `instance`.
const OF_TARGETS: [&str; 3] = ["pod", "namespace", "container"];

/// The text of a sample of the page.
pub(super) fn sample(stage: &Stage, name: &str) -> Result<String> {
    let page = std::fs::read_to_string(stage.repository(PAGE)).context(PAGE)?;
    let mut blocks = page.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    let is_meant = |block: &&str| {
        let first = block.lines().next().and_then(|line| line.strip_prefix("# "));
        first.is_some_and(|first| first.split(':').next() == Some(name))
    };
    blocks.find(is_meant).map(str::to_owned).with_context(|| format!("{PAGE} has no {name}"))
}

/// The scrape job of a sample, with the access of this machine, and for this fleet alone: other pods must not receive requests.
fn job(stage: &Stage, cluster: &Cluster, fleet: &Fleet, job: &Value, name: &str) -> Result<Value> {
    let selector = job["kubernetes_sd_configs"][0]["selectors"][0]["label"].as_str();
    ensure!(selector == Some(SELECTOR), "{job}");
    let mut job = job.clone();
    let ours = fleet.scrape_job(stage, cluster, name, true);
    let discovery = &mut job["kubernetes_sd_configs"][0];
    for key in ["api_server", "authorization", "tls_config", "namespaces", "selectors"] {
        discovery[key] = ours["kubernetes_sd_configs"][0][key].clone();
    }
    let rules = job["relabel_configs"].as_array_mut().context("a job without rules")?;
    rules.extend(
        ours["relabel_configs"].as_array().into_iter().flatten().filter(|rule| rule["action"] == "keep").cloned(),
    );
    job["job_name"] = json!(name);
    Ok(job)
}

pub async fn run(stage: &Stage) -> Result<String> {
    let mut cluster = Cluster::start(stage, Options::FLEET).await?;
    let fleet = Fleet::start(stage, &cluster, REPLICAS).await?;
    cluster.fill(stage, stage.pods()).await?;

    let plain: Value = serde_saphyr::from_str(&sample(stage, "prometheus.yaml")?)?;
    let plain = &plain["scrape_configs"][0];
    let setup = Setup {
        name: "prometheus",
        interval: INTERVAL,
        scrape_configs: json!([job(stage, &cluster, &fleet, plain, "prometheus")?]),
        rules: &[],
        role: Role::Receiver,
    };
    let prometheus = Prometheus::set_up(stage, setup).await?;
    let url = prometheus.url("/api/v1/write");
    let agent = json!([job(stage, &cluster, &fleet, plain, "vmagent")?]);
    let _vmagent = Prometheus::victoria(stage, "vmagent", INTERVAL, agent, Some(&url)).await?;
    let _otel = open_telemetry(stage, &cluster, &fleet, &url).await?;

    let pods = cluster.api.keys("/api/v1/pods", api::uid).await?;
    let nodes = cluster.api.keys("/api/v1/nodes", api::name).await?;
    for collector in ["prometheus", "vmagent", "otel"] {
        for (family, key, keys) in [("kube_pod_info", "uid", &pods), ("kube_node_info", "node", &nodes)] {
            until("each object once", LIMIT, async || {
                let samples = prometheus.query(&format!("{family}{{job=\"{collector}\"}}")).await?;
                once(keys, samples.iter().map(|sample| sample.label(key).to_owned()))
            })
            .await
            .with_context(|| format!("{family} by {collector}"))?;
        }
        let instances = format!("count by (instance) (kube_pod_info{{job=\"{collector}\"}})");
        let instances = prometheus.query(&instances).await?;
        ensure!(instances.len() == usize::from(REPLICAS), "{collector} has pods of {} replicas", instances.len());
        // Objects that have no such labels get none of the target.
        for label in OF_TARGETS {
            let query = format!("kube_node_info{{job=\"{collector}\",{label}!=\"\"}}");
            ensure!(
                prometheus.query(&query).await?.is_empty(),
                "{collector} gives nodes the label {label} of the target"
            );
        }
        let renamed = format!("{{job=\"{collector}\",exported_namespace!=\"\"}}");
        ensure!(prometheus.query(&renamed).await?.is_empty(), "{collector} renames labels of objects");
        let up = prometheus.query(&format!("up{{job=\"{collector}\"}}")).await?;
        let is_up = up.iter().all(|sample| sample.value == 1.0);
        ensure!(up.len() == usize::from(REPLICAS) && is_up, "{collector}: up of {} replicas", up.len());
    }
    Ok(format!(
        "{} pods and {} nodes: each once by Prometheus, vmagent and the OpenTelemetry collector",
        pods.len(),
        nodes.len()
    ))
}

/// Starts the collector with the sample, which writes to `url`.
async fn open_telemetry(stage: &Stage, cluster: &Cluster, fleet: &Fleet, url: &str) -> Result<Process> {
    let mut config: Value = serde_saphyr::from_str(&sample(stage, "opentelemetry.yaml")?)?;
    let scrape = &mut config["receivers"]["prometheus"]["config"]["scrape_configs"][0];
    *scrape = job(stage, cluster, fleet, scrape, "otel")?;
    scrape["scrape_interval"] = json!(format!("{}s", INTERVAL.as_secs()));
    config["exporters"]["prometheusremotewrite"]["endpoint"] = json!(url);
    // Its own metrics would need a port.
    config["service"]["telemetry"] = json!({ "metrics": { "level": "none" } });
    let file = stage.directory.join("otel.yml");
    // JSON is YAML.
    std::fs::write(&file, serde_json::to_vec_pretty(&config)?)?;
    let tool = stage.tool("otel")?;
    let config = format!("--config={}", file.display());
    let outcome =
        run_program(&tool, &["validate".to_owned(), config.clone()], &stage.directory, "otel-validate", LIMIT).await?;
    ensure!(outcome.code == 0, "otel validate: {}", outcome.text);
    Process::start(&tool, &[config], &[], &stage.directory.join("otel.log"), None)
}

//! Every panel of every dashboard shows data, and every rule evaluates: in a real Prometheus, with a cluster that has an example of
//! every problem.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::fleet::Fleet;
use crate::prometheus::Prometheus;
use crate::stage::Stage;
use crate::wait::until;

/// The scrape interval.
const INTERVAL: Duration = Duration::from_secs(2);
/// Grafana's value of `$__rate_interval`: four scrapes.
const RATE_INTERVAL: &str = "8s";
/// How long it may take until every panel shows data. An audit may wait a minute for a bookmark.
const LIMIT: Duration = Duration::from_secs(150);

/// There is no kubelet here, so rules make up what its metrics would say of the pods and claims that there are.
const KUBELET: &str = r#"
groups:
- name: kubelet
  rules:
  - record: container_cpu_usage_seconds_total
    expr: max by (namespace, pod, container) (kube_pod_container_resource_requests{resource="cpu"}) * 0 + 0.1 * time()
    labels: { image: made-up }
  - record: container_memory_working_set_bytes
    expr: max by (namespace, pod, container) (kube_pod_container_resource_requests{resource="memory"}) / 2
    labels: { image: made-up }
  - record: kubelet_volume_stats_capacity_bytes
    expr: max by (namespace, persistentvolumeclaim) (kube_persistentvolumeclaim_resource_requests_storage_bytes)
  - record: kubelet_volume_stats_used_bytes
    expr: max by (namespace, persistentvolumeclaim) (kube_persistentvolumeclaim_resource_requests_storage_bytes) / 2
"#;

/// A query of a dashboard, with its variables replaced by values.
struct Query {
    /// The dashboard, and the panel or variable.
    of: String,
    expression: String,
}

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let fleet = Fleet::start(stage, &cluster, 1).await?;
    until("a fleet of one", LIMIT, async || fleet.ensure_settled().await).await?;
    let jobs = json!([
        fleet.scrape_job(stage, &cluster, "kube-state-fleet", true),
        fleet.telemetry_job(stage, &cluster, "kube-state-fleet-telemetry"),
    ]);
    let rules = rules(stage)?;
    let prometheus = Prometheus::start_with_rules(stage, INTERVAL, jobs, &rules).await?;

    until("a scrape of one replica", LIMIT, async || prometheus.ensure_up(2).await).await?;
    // A switch, which a panel measures and annotations mark.
    fleet.scale(2).await?;
    until("a fleet of two", LIMIT, async || fleet.ensure_settled().await).await?;

    let queries = queries(stage)?;
    ensure!(queries.len() > 50, "only {} queries", queries.len());
    let mut answered = vec![false; queries.len()];
    until("data in all panels", LIMIT, async || {
        prometheus.ensure_up(4).await?;
        let mut empty = Vec::new();
        for (query, answered) in queries.iter().zip(&mut answered) {
            if !*answered {
                let samples = prometheus.query(&query.expression).await.with_context(|| query.of.clone())?;
                *answered = samples.iter().any(|sample| !sample.value.is_nan());
            }
            if !*answered {
                empty.push(query.of.as_str());
            }
        }
        ensure!(empty.is_empty(), "no data: {}", empty.join(", "));
        Ok(())
    })
    .await?;
    let (good, wrong) = prometheus.rules().await?;
    ensure!(wrong.is_empty() && good > 50, "{good} rules are evaluated, these are not: {}", wrong.join("; "));
    let firing = prometheus.query(r#"count(count by (alertname) (ALERTS{alertstate="firing"}))"#).await?;
    let firing = firing.first().map_or(0.0, |sample| sample.value);
    Ok(format!("{} queries of panels and variables return data; {good} rules, {firing} alerts fire", queries.len()))
}

/// The rule files, without `for`.
fn rules(stage: &Stage) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for name in ["kubernetes.rules.yaml", "kube-state-fleet.rules.yaml"] {
        let text = fs::read_to_string(stage.repository("manifests/alerts").join(name)).context(name)?;
        let at_once: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("for: ")).collect();
        let file = stage.directory.join(name);
        fs::write(&file, at_once.join("\n"))?;
        files.push(file);
    }
    let file = stage.directory.join("kubelet.rules.yaml");
    fs::write(&file, KUBELET)?;
    files.push(file);
    Ok(files)
}

/// The queries of all dashboards: those of panels, annotations and variables.
fn queries(stage: &Stage) -> Result<Vec<Query>> {
    let mut queries = Vec::new();
    let directory = stage.repository("manifests/dashboards");
    for entry in fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let dashboard: Value = serde_json::from_slice(&fs::read(&path)?).with_context(|| path.display().to_string())?;
        let title = dashboard["title"].as_str().unwrap_or_default();
        for panel in list(&dashboard["panels"]) {
            for target in list(&panel["targets"]) {
                let expression =
                    target["expr"].as_str().with_context(|| format!("{title}: a target without a query"))?;
                let of = format!("{title}: {} {}", panel["title"], target["refId"]);
                queries.push(Query { of, expression: fill(expression) });
            }
        }
        for annotation in list(&dashboard["annotations"]["list"]) {
            let expression = annotation["expr"].as_str().with_context(|| format!("{title}: no query"))?;
            queries.push(Query { of: format!("{title}: {}", annotation["name"]), expression: fill(expression) });
        }
        for variable in list(&dashboard["templating"]["list"]) {
            let name = variable["name"].as_str().unwrap_or_default();
            // No series here has a label for the cluster.
            let Some(query) = variable["definition"].as_str().filter(|_| name != "cluster") else { continue };
            let (selector, label) = query
                .strip_prefix("label_values(")
                .and_then(|rest| rest.strip_suffix(')')?.rsplit_once(", "))
                .with_context(|| format!("{title}: cannot parse the variable {query}"))?;
            let expression = format!("count by ({label}) ({}) > 0", fill(selector));
            queries.push(Query { of: format!("{title}: ${name}"), expression });
        }
    }
    Ok(queries)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A query with values for its variables.
fn fill(query: &str) -> String {
    let mut filled = query.replace("$__rate_interval", RATE_INTERVAL);
    for variable in ["$cluster", "$namespace", "$node", "$job"] {
        filled = filled.replace(variable, ".*");
    }
    filled
}

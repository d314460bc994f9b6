//! The two ways beside kube-prometheus-stack, as the README of the chart has them: this program in its sub-chart, and a fleet by this chart.
//! The stack's rules select the series of both, and find the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::manifests::chart;
use super::upstream_chart::RESOURCES;
use crate::cluster::Cluster;
use crate::fleet::{Fleet, Options};
use crate::prometheus::{Prometheus, Role, Setup};
use crate::replica::Replica;
use crate::stage::Stage;
use crate::wait::until;

/// Rules that the stack renders, with their origin.
const RULES: &str = "tests/data/rules/kube-prometheus-stack.rules.yaml";
/// The values of this chart beside the stack.
const VALUES: &str = "manifests/chart/ci/kube-prometheus-stack.yaml";
/// The job that the stack's rules select. In the sub-chart, the ServiceMonitor's `jobLabel` and the Service's name label make it.
const JOB: &str = "kube-state-metrics";
const INTERVAL: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(120);
/// Some of the rules that the objects of the cluster set off.
const EXPECTED: [&str; 7] = [
    "KubeDeploymentReplicasMismatch",
    "KubePodCrashLooping",
    "KubePodNotReady",
    "cluster:namespace:pod_cpu:active:kube_pod_container_resource_requests",
    "namespace_cpu:kube_pod_container_resource_requests:sum",
    "namespace_workload_pod:kube_pod_owner:relabel",
    "node_namespace_pod:kube_pod_info:",
];

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let mut single = Replica::start(stage, 100, &cluster.kubeconfig, &[RESOURCES])?;
    let flags = vec!["--seamless-handover".to_owned(), RESOURCES.to_owned()];
    let fleet = Fleet::start_with(stage, &cluster, Options { replicas: 3, flags, ..Options::default() }).await?;
    single.ready().await?;

    // The labels that the operator gives the targets of a monitor.
    let labels =
        json!({ "namespace": "monitoring", "pod": "ksm-0", "container": JOB, "endpoint": "http", "service": "ksm" });
    let sub_chart = json!({
        "job_name": JOB,
        "honor_labels": true,
        "static_configs": [{ "targets": [format!("{}:{}", single.at.address, single.at.port)], "labels": labels }],
    });
    let rules = [rules(stage)?];
    let start = async |name, job: Value| {
        let scrape_configs = json!([job]);
        Prometheus::set_up(stage, Setup { name, interval: INTERVAL, scrape_configs, rules: &rules, role: Role::Server })
            .await
    };
    let sub_chart = start("sub-chart", sub_chart).await?;
    let own_chart = start("own-chart", monitored(stage, &cluster, &fleet)?).await?;

    let found = until("the same results by both ways", LIMIT, async || {
        sub_chart.ensure_up(1).await?;
        own_chart.ensure_up(3).await?;
        let (first, second) = (results(&sub_chart).await?, results(&own_chart).await?);
        let missing: Vec<_> = EXPECTED.iter().filter(|name| !first.contains_key(**name)).collect();
        ensure!(missing.is_empty(), "no results of {missing:?}");
        let names: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
        let different = names.into_iter().filter(|name| first.get(*name) != second.get(*name));
        let different: Vec<_> = different.map(|name| (name, first.get(name), second.get(name))).collect();
        ensure!(different.is_empty(), "different numbers of results: {different:?}");
        Ok(first)
    })
    .await?;
    for prometheus in [&sub_chart, &own_chart] {
        let (good, wrong) = prometheus.rules().await?;
        ensure!(good > 50 && wrong.is_empty(), "{good} rules are evaluated, these are not: {}", wrong.join("; "));
    }
    let series: f64 = found.values().sum();
    Ok(format!(
        "{} rules of the stack have {series} results by the sub-chart, and the same by a fleet of three",
        found.len()
    ))
}

/// The scrape job that the operator makes of the chart's PodMonitor, for this fleet.
fn monitored(stage: &Stage, cluster: &Cluster, fleet: &Fleet) -> Result<Value> {
    let text = chart(stage, |helm| helm.arg("--values").arg(stage.repository(VALUES)))?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text)?;
    let object =
        |kind: &str| documents.iter().find(|object| object["kind"] == kind).with_context(|| format!("no {kind}"));
    let monitor = object("PodMonitor")?;
    ensure!(monitor["metadata"]["labels"]["release"] == "prometheus", "the stack does not select the PodMonitor");
    let label = monitor["spec"]["jobLabel"].as_str().context("no jobLabel")?;
    let job = &object("StatefulSet")?["spec"]["template"]["metadata"]["labels"][label];
    ensure!(job == JOB, "the job is {job}");
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    ensure!(endpoint["port"] == "http", "{endpoint}");
    let mut config = fleet.scrape_job(stage, cluster, JOB, true);
    config["honor_labels"] = endpoint["honorLabels"].clone();
    config["honor_timestamps"] = endpoint["honorTimestamps"].clone();
    config["metric_relabel_configs"] = endpoint["metricRelabelings"].clone();
    let rules = config["relabel_configs"].as_array_mut().context("no rules")?;
    rules.retain(|rule| rule["target_label"] != "replica");
    for (source, target) in [
        ("__meta_kubernetes_namespace", "namespace"),
        ("__meta_kubernetes_pod_container_name", "container"),
        ("__meta_kubernetes_pod_name", "pod"),
        ("__meta_kubernetes_pod_container_port_name", "endpoint"),
    ] {
        rules.push(json!({ "source_labels": [source], "target_label": target }));
    }
    Ok(config)
}

/// The rules without `for`.
fn rules(stage: &Stage) -> Result<PathBuf> {
    let text = std::fs::read_to_string(stage.repository(RULES)).context(RULES)?;
    let at_once: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("for: ")).collect();
    let file = stage.directory.join("stack.rules.yaml");
    std::fs::write(&file, at_once.join("\n"))?;
    Ok(file)
}

/// The number of series of each recording rule, and of alerts of each alerting rule.
async fn results(prometheus: &Prometheus) -> Result<BTreeMap<String, f64>> {
    let query = r#"count by (alertname) (ALERTS) or count by (__name__) ({__name__=~".+:.*"})"#;
    let samples = prometheus.query(query).await?;
    let name = |labels: &BTreeMap<String, String>| labels.get("alertname").or(labels.get("__name__")).cloned();
    Ok(samples.into_iter().filter_map(|sample| Some((name(&sample.labels)?, sample.value))).collect())
}

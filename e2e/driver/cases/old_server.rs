//! An API server below 1.36 has no MutatingAdmissionPolicies. Neither upstream's alerts about failing lists and watches fire, nor ours;
//! the resources are counted apart, and served once the API server has them.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::cluster::Cluster;
use crate::old_server::OldServer;
use crate::prometheus::Prometheus;
use crate::replica::Replica;
use crate::series;
use crate::stage::Stage;
use crate::wait::until;

const MISSING: &[&str] = &["mutatingadmissionpolicies", "mutatingadmissionpolicybindings"];
/// The scrape interval.
const INTERVAL: Duration = Duration::from_secs(1);
/// The first four attempts begin within 9 s.
const ATTEMPTS: f64 = 4.0;
/// How long the attempts may take. The next ones follow at most 20 s later.
const LIMIT: Duration = Duration::from_secs(60);

/// `KubeStateMetricsListErrors` and `KubeStateMetricsWatchErrors` of kube-state-metrics' mixin.
fn upstream(what: &str) -> String {
    let rate =
        |result: &str| format!("sum by (cluster) (rate(kube_state_metrics_{what}_total{{job=\"ksf\"{result}}}[5m]))");
    format!("({} / {}) > 0.01", rate(",result=\"error\""), rate(""))
}

/// The expressions of our own rules.
fn own(stage: &Stage) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(stage.repository("manifests/alerts/kubernetes.rules.yaml"))?;
    let rules: serde_json::Value = serde_saphyr::from_str(&text)?;
    let groups = rules["groups"].as_array().into_iter().flatten();
    let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
    let wanted = ["KubeStateMetricsListErrors", "KubeStateMetricsWatchErrors"];
    let found: Vec<_> = rules
        .filter(|rule| wanted.iter().any(|name| rule["alert"] == *name))
        .filter_map(|rule| rule["expr"].as_str().map(str::to_owned))
        .collect();
    ensure!(found.len() == wanted.len(), "{} of our rules are about lists and watches", found.len());
    Ok(found)
}

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let server = OldServer::start(stage, 9, &cluster, MISSING).await?;
    let kubeconfig = stage.directory.join("old.kubeconfig");
    server.write_kubeconfig(&kubeconfig, &cluster)?;
    let resources = format!("--resources=pods,nodes,{}", MISSING.join(","));
    let mut replica = Replica::start(stage, 10, &kubeconfig, &[&resources])?;
    replica.ready().await?;
    let target = format!("{}:{}", replica.at.address, replica.at.telemetry_port);
    let job = json!([{ "job_name": "ksf", "static_configs": [{ "targets": [target] }] }]);
    let prometheus = Prometheus::start(stage, INTERVAL, job).await?;

    until("repeated attempts", LIMIT, async || {
        let counts = prometheus.query("kube_state_fleet_not_served_total").await?;
        for resource in MISSING {
            let count = counts.iter().find(|sample| sample.label("resource") == *resource).map(|sample| sample.value);
            ensure!(count >= Some(ATTEMPTS), "{count:?} attempts for {resource}");
        }
        // The alerts see the attempts of the last minutes.
        ensure!(!prometheus.query("sum(rate(kube_state_fleet_not_served_total[5m])) > 0").await?.is_empty(), "no rate");
        Ok(())
    })
    .await?;
    let mut silent = own(stage)?;
    silent.extend(["list", "watch"].map(upstream));
    silent.extend(["list", "watch"].map(|what| format!("kube_state_metrics_{what}_total{{result=\"error\"}} > 0")));
    silent.push("kube_state_fleet_refused{code=\"403\"}".to_owned());
    for expression in &silent {
        let samples = prometheus.query(expression).await?;
        ensure!(samples.is_empty(), "{expression} has {samples:?}");
    }
    let refused = prometheus.query("kube_state_fleet_refused{code=\"404\"} == 1").await?;
    ensure!(refused.len() == MISSING.len(), "kube_state_fleet_refused shows {refused:?}");

    server.upgrade();
    until("the resources of the new server", LIMIT, async || {
        let telemetry = replica.at.self_metrics().await?;
        let refused = series::of(&telemetry, "kube_state_fleet_refused").count();
        ensure!(refused == 0, "{refused} resources are still refused");
        Ok(())
    })
    .await?;
    Ok(format!("{} expressions stay silent about {} missing kinds", silent.len(), MISSING.len()))
}

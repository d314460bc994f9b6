//! An API server that lacks some kinds: the exporter logs each once, serves the others and becomes ready.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::cluster::{Cluster, Options};
use crate::replica::Replica;
use crate::series;
use crate::stage::Stage;
use crate::wait::until;

/// Disabled API versions, and the resource that each disables.
const MISSING: [(&str, &str); 3] = [
    ("certificates.k8s.io/v1", "certificatesigningrequests"),
    ("autoscaling/v2", "horizontalpodautoscalers"),
    ("policy/v1", "poddisruptionbudgets"),
];

pub async fn run(stage: &Stage) -> Result<String> {
    let off: Vec<String> = MISSING.iter().map(|(version, _)| format!("{version}=false")).collect();
    let mut cluster = Cluster::start(stage, Options { runtime_config: &off.join(","), ..Options::default() }).await?;
    cluster.fill(stage, 30).await?;
    let mut replica = Replica::start(stage, 10, &cluster.kubeconfig, &[])?;
    replica.ready().await?;
    let text = replica.at.scrape().await?;
    for family in ["kube_pod_info", "kube_node_info", "kube_deployment_created", "kube_service_info"] {
        ensure!(series::of(&text, family).next().is_some(), "no series of {family}");
    }
    let telemetry = replica.at.self_metrics().await?;
    let mut refused: Vec<(&str, &str)> = series::of(&telemetry, "kube_state_fleet_refused")
        .filter(|line| series::value(line) == Some(1.0))
        .filter_map(|line| Some((series::label(line, "resource")?, series::label(line, "code")?)))
        .collect();
    refused.sort_unstable();
    let mut expected: Vec<(&str, &str)> = MISSING.iter().map(|&(_, resource)| (resource, "404")).collect();
    expected.sort_unstable();
    ensure!(refused == expected, "kube_state_fleet_refused shows {refused:?}, expected {expected:?}");
    for family in ["kube_state_metrics_list_total", "kube_state_metrics_watch_total"] {
        let mut errors = series::of(&telemetry, family).filter(|line| series::label(line, "result") == Some("error"));
        ensure!(errors.all(|line| series::value(line) == Some(0.0)), "a missing kind counts as an error in {family}");
    }
    // The log gathers refusals for a moment.
    until("the warning", Duration::from_secs(30), async || {
        let log = replica.logged()?;
        for (_, resource) in MISSING {
            let warnings = log.lines().filter(|line| line.contains("WARN") && line.contains(resource)).count();
            ensure!(warnings == 1, "{warnings} warnings about {resource} in {}", replica.process.log.display());
        }
        Ok(())
    })
    .await?;
    Ok(format!("{} kinds missing, the others served", MISSING.len()))
}

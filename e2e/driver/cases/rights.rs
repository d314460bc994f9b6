//! The permissions of a fleet. With those of `manifests/` it hands over. With those of kube-state-metrics' chart, which lack Leases,
//! each replica follows the StatefulSet on its own, and one line of its log names the missing permission.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::json;

use super::handover;
use super::rbac::refused;
use crate::api;
use crate::cluster::Cluster;
use crate::fleet::{self, Fleet};
use crate::observer::{Bounds, Observer};
use crate::stage::{Size, Stage};

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let expected = cluster.api.keys("/api/v1/pods?labelSelector=team", api::uid).await?;
    let everywhere = stage.manifest("clusterrole.yaml")?;

    let token = cluster.api.account("ours", &everywhere, Some(&stage.manifest("role.yaml")?)).await?;
    let fleet = fleet(stage, &cluster, "ours", &token, true).await?;
    let ours = grow(stage, &fleet, &expected, true).await?;
    for (ordinal, running) in fleet.live() {
        let telemetry = running.at.self_metrics().await?;
        ensure!(refused(&telemetry).is_empty(), "replica {ordinal} is refused {:?}", refused(&telemetry));
        let outcome =
            |outcome| fleet::metric(&telemetry, "kube_state_fleet_kubernetes_events_total", &[("outcome", outcome)]);
        ensure!(outcome("forbidden")? + outcome("failed")? == 0.0, "replica {ordinal} cannot post Events");
    }
    ensure!(!fleet.events().await?.is_empty(), "no Events");
    for (pod, log) in fleet.logs(stage)? {
        let missing: Vec<_> = warnings(&log).into_iter().filter(|line| is_of_rights(line)).collect();
        ensure!(missing.is_empty(), "{pod}: {missing:?}");
        // The next fleet writes to the same file.
        std::fs::rename(stage.directory.join(format!("{pod}.log")), stage.directory.join(format!("ours-{pod}.log")))?;
    }
    fleet.remove().await?;

    // charts/kube-state-metrics/templates/stsdiscovery-role.yaml, with `resourceNames` of the one StatefulSet.
    let upstream = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": [
        { "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] },
        {
            "apiGroups": ["apps"], "resources": ["statefulsets"], "resourceNames": ["kube-state-fleet"],
            "verbs": ["get", "list", "watch"],
        },
    ]});
    let token = cluster.api.account("upstream", &everywhere, Some(&upstream)).await?;
    let fleet = self::fleet(stage, &cluster, "upstream", &token, false).await?;
    let alone = grow(stage, &fleet, &expected, false).await?;
    for (pod, log) in fleet.logs(stage)? {
        let warnings = warnings(&log);
        ensure!(warnings.len() == 1 && warnings[0].contains("leases"), "{pod}: {warnings:?}");
    }
    Ok(format!("ours: {ours}; upstream's: {alone}, and a warning that names leases"))
}

/// A fleet of two replicas with this token.
async fn fleet(stage: &Stage, cluster: &Cluster, account: &str, token: &str, coordinated: bool) -> Result<Fleet> {
    let kubeconfig = stage.directory.join(format!("kubeconfig-{account}"));
    cluster.write_kubeconfig(&kubeconfig, token)?;
    let options = fleet::Options { kubeconfig: Some(kubeconfig), coordinated, ..fleet::Options::default() };
    Fleet::start_with(stage, cluster, options).await
}

/// Scales from two replicas to three.
async fn grow(stage: &Stage, fleet: &Fleet, expected: &BTreeSet<String>, coordinated: bool) -> Result<String> {
    // Without a handover, objects that move are missing until the new owner has loaded them.
    let bounds = if coordinated { Bounds::SEAMLESS } else { Bounds::missing(60.0) };
    let mut observer = Observer::new(stage, fleet, expected)?;
    observer.settle(fleet).await?;
    if coordinated && stage.size == Size::Long {
        // Measures the memory of a takeover with all kinds of objects.
        handover::kill(fleet, &mut observer).await?;
    }
    observer.phase(fleet, "scale up", bounds, async || fleet.scale(3).await).await?;
    observer.summary()
}

fn warnings(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect()
}

fn is_of_rights(line: &str) -> bool {
    ["403", "orbidden", "right", "leases"].iter().any(|word| line.contains(word))
}

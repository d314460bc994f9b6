//! The generated ClusterRole is sufficient. Without one of its permissions, exactly one resource is missing.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::replica::Replica;
use crate::series;
use crate::stage::Stage;
use crate::wait::until;

/// The resource whose permission is removed.
const TAKEN: &str = "secrets";

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let role = stage.manifest("clusterrole.yaml")?;

    let whole = exporter(stage, &cluster, 10, "whole", &role).await?;
    let telemetry = whole.at.self_metrics().await?;
    let loaded: Vec<&str> = series::of(&telemetry, "kube_state_fleet_loaded").collect();
    ensure!(!loaded.is_empty(), "no kube_state_fleet_loaded");
    for line in &loaded {
        ensure!(series::value(line) == Some(1.0), "not loaded: {line}");
    }
    ensure!(refused(&telemetry).is_empty(), "the role is not sufficient: {:?}", refused(&telemetry));
    ensure!(series::of(&whole.at.scrape().await?, "kube_secret_info").next().is_some(), "no secrets");

    let mut less = role.clone();
    take(&mut less).context("cannot remove a permission")?;
    let less = exporter(stage, &cluster, 11, "less", &less).await?;
    let telemetry = less.at.self_metrics().await?;
    ensure!(refused(&telemetry) == [(TAKEN, "403")], "refused: {:?}", refused(&telemetry));
    let text = less.at.scrape().await?;
    ensure!(series::of(&text, "kube_secret_info").next().is_none(), "secrets without the permission to read them");
    for family in ["kube_pod_info", "kube_node_info", "kube_configmap_info"] {
        ensure!(series::of(&text, family).next().is_some(), "no series of {family}");
    }
    // The log gathers refusals for a moment.
    until("the warning", Duration::from_secs(30), async || {
        let log = less.logged()?;
        let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
        ensure!(warnings.len() == 1 && warnings[0].contains(TAKEN), "warnings: {warnings:?}");
        Ok(())
    })
    .await?;
    Ok(format!("{} resources with the ClusterRole; without {TAKEN}, all others", loaded.len()))
}

/// A ready exporter whose ServiceAccount has only `role`.
async fn exporter(stage: &Stage, cluster: &Cluster, host: u8, account: &str, role: &Value) -> Result<Replica> {
    let kubeconfig = stage.directory.join(format!("kubeconfig-{account}"));
    cluster.write_kubeconfig(&kubeconfig, &cluster.api.account(account, role, None).await?)?;
    let mut replica = Replica::start(stage, host, Path::new(&kubeconfig), &[])?;
    replica.ready().await.with_context(|| format!("as {account}"))?;
    Ok(replica)
}

/// The ClusterRole that the program prints for these flags.
pub fn printed(stage: &Stage, flags: &[&str]) -> Result<Value> {
    let output = Command::new(stage.exporter()?).args(["docs", "rbac"]).args(flags).output()?;
    ensure!(output.status.success(), "docs rbac: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(serde_saphyr::from_str(std::str::from_utf8(&output.stdout)?)?)
}

/// The resources that the API server refuses to the exporter, with the status.
pub fn refused(telemetry: &str) -> Vec<(&str, &str)> {
    series::of(telemetry, "kube_state_fleet_refused")
        .filter(|line| series::value(line).is_some_and(|count| count > 0.0))
        .filter_map(|line| Some((series::label(line, "resource")?, series::label(line, "code")?)))
        .collect()
}

/// Removes [`TAKEN`] from a role.
fn take(role: &mut Value) -> Result<()> {
    let rules = role["rules"].as_array_mut().context("a role without rules")?;
    let before: usize = rules.iter().map(resources).sum();
    for rule in rules.iter_mut() {
        if let Some(resources) = rule["resources"].as_array_mut() {
            resources.retain(|resource| resource != TAKEN);
        }
    }
    rules.retain(|rule| resources(rule) > 0);
    ensure!(rules.iter().map(resources).sum::<usize>() + 1 == before, "{TAKEN} does not appear exactly once");
    Ok(())
}

fn resources(rule: &Value) -> usize {
    rule["resources"].as_array().map_or(0, Vec::len)
}

//! An exporter that starts before its API server reports the missing resources, and becomes ready when the API server starts.

use std::time::Duration;

use anyhow::{Result, ensure};
use http::StatusCode;
use serde_json::json;

use crate::cluster::{Cluster, Options, write_kubeconfig};
use crate::replica::Replica;
use crate::series;
use crate::stage::Stage;
use crate::wait::until;

/// The fixed token of the control plane's administrator.
const TOKEN: &str = "e2e-admin";

pub async fn run(stage: &Stage) -> Result<String> {
    let port = stage.free_port(1)?;
    let kubeconfig = stage.directory.join("kubeconfig");
    // The certificate of the API server does not exist yet.
    let server = json!({ "server": format!("https://{}:{port}", stage.address(1)), "insecure-skip-tls-verify": true });
    write_kubeconfig(&kubeconfig, &server, TOKEN)?;
    let mut replica = Replica::start(stage, 10, &kubeconfig, &[])?;
    until("an answer of /readyz", Duration::from_secs(20), async || {
        replica.process.ensure_running()?;
        replica.at.readyz().await.map(drop)
    })
    .await?;
    // Long enough for a few refused connections.
    tokio::time::sleep(Duration::from_secs(2)).await;
    replica.process.ensure_running()?;
    let answer = replica.at.readyz().await?;
    ensure!(answer.status == StatusCode::SERVICE_UNAVAILABLE, "/readyz without an API server: {}", answer.status);
    for resource in ["pods", "nodes", "deployments"] {
        ensure!(answer.text()?.contains(resource), "/readyz does not name {resource}: {}", answer.text()?);
    }
    let early = replica.at.scrape().await?;
    ensure!(series::of(&early, "kube_namespace_created").next().is_none(), "series without an API server");

    let _cluster = Cluster::start(stage, Options { port, ..Options::default() }).await?;
    replica.ready().await?;
    let text = replica.at.scrape().await?;
    ensure!(
        series::of(&text, "kube_namespace_created").any(|line| series::label(line, "namespace") == Some("default")),
        "ready, but without the namespace default"
    );
    Ok("503 with the missing resources, then ready".to_owned())
}

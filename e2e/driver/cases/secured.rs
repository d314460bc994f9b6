//! Access: the auth filter with a real API server, TLS with client certificates and a renewal while running, and a fleet with both.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::StatusCode;
use serde_json::{Value, json};
use tokio_rustls::rustls::ClientConfig;

use crate::certificates::{Authority, Pair, trusting};
use crate::cluster::Cluster;
use crate::fleet::{self, Fleet, LEAN};
use crate::http::{Answer, get, get_secured};
use crate::process::Process;
use crate::replica::{Endpoints, Replica};
use crate::stage::Stage;
use crate::wait::until;

/// The name in the certificates, which is not an address.
const NAME: &str = "fleet.example";
/// The program checks the files every 2 s.
const RELOAD: Duration = Duration::from_secs(20);
/// How long an audit may take to prove the coverage.
const AUDIT: Duration = Duration::from_secs(150);
/// Paths that require no credentials.
const HEALTH: [&str; 3] = ["/healthz", "/livez", "/readyz"];

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let scrape = json!({ "rules": [{ "nonResourceURLs": ["/metrics"], "verbs": ["get"] }] });
    let other = json!({ "rules": [{ "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] }] });
    let tokens = Tokens {
        right: cluster.api.account("prometheus", &scrape, None).await?,
        without: cluster.api.account("nobody", &other, None).await?,
    };
    let role = super::rbac::printed(stage, &["--auth-filter"])?;
    filter(stage, &cluster, &tokens, &role).await.context("the auth filter")?;
    let renewed = certificates(stage, &cluster).await.context("certificates")?;
    let proven = both(stage, &cluster, &tokens, &role).await.context("a fleet with both")?;
    Ok(format!(
        "401, 403 and 200 on both ports; a renewed certificate after {renewed:.1} s; two peers that prove their keys, \
         their cover proven after {proven:.0} s"
    ))
}

struct Tokens {
    right: String,
    without: String,
}

async fn ask(url: &str, token: Option<&str>) -> Result<Answer> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    get(url, &headers).await
}

async fn filter(stage: &Stage, cluster: &Cluster, tokens: &Tokens, role: &Value) -> Result<()> {
    let kubeconfig = stage.directory.join("kubeconfig-filter");
    cluster.write_kubeconfig(&kubeconfig, &cluster.api.account("filter", role, None).await?)?;
    let mut replica = Replica::start(stage, 10, &kubeconfig, &["--auth-filter"])?;
    replica.ready().await?;
    let at = replica.at;
    let mut urls =
        vec![at.metrics_url(), at.telemetry_url("/metrics"), at.telemetry_url("/fleet/objects?resource=pods")];
    for url in &urls {
        for (token, status) in [
            (None, StatusCode::UNAUTHORIZED),
            (Some("not.a.token"), StatusCode::UNAUTHORIZED),
            (Some(&*tokens.without), StatusCode::FORBIDDEN),
            (Some(&*tokens.right), StatusCode::OK),
        ] {
            let answer = ask(url, token).await?;
            ensure!(answer.status == status, "{url}: {}, expected {status}", answer.status);
        }
    }
    let text = ask(&urls.remove(0), Some(&tokens.right)).await?;
    ensure!(text.text()?.contains("kube_pod_info{"), "no series although the token permits it");
    for path in HEALTH {
        let port = if path == "/readyz" { at.telemetry_port } else { at.port };
        let answer = get(&format!("http://{}:{port}{path}", at.address), &[]).await?;
        ensure!(answer.status == StatusCode::OK, "{path}: {}", answer.status);
    }
    let log = replica.logged()?;
    ensure!(!log.contains(&tokens.right) && !log.contains(&tokens.without), "a token in the log");

    // Without permission to create reviews the exporter refuses every request, and the log names the permission.
    let kubeconfig = stage.directory.join("kubeconfig-unable");
    let role = stage.manifest("clusterrole.yaml")?;
    cluster.write_kubeconfig(&kubeconfig, &cluster.api.account("unable", &role, None).await?)?;
    let mut replica = Replica::start(stage, 11, &kubeconfig, &["--auth-filter"])?;
    replica.ready().await?;
    let answer = ask(&replica.at.metrics_url(), Some(&tokens.right)).await?;
    ensure!(answer.status == StatusCode::INTERNAL_SERVER_ERROR, "without a right: {}", answer.status);
    ensure!(replica.logged()?.contains("create tokenreviews"), "the log does not name the missing permission");
    Ok(())
}

/// A folder with a web configuration and the files that it names.
fn folder(stage: &Stage, name: &str, pair: &Pair, clients: &Authority, auth: &str) -> Result<PathBuf> {
    let folder = stage.directory.join(name);
    std::fs::create_dir_all(&folder)?;
    pair.write(&folder)?;
    std::fs::write(folder.join("clients.crt"), clients.pem())?;
    let text = format!(
        "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n  client_auth_type: {auth}\n  client_ca_file: clients.crt\n"
    );
    std::fs::write(folder.join("web.yml"), text)?;
    Ok(folder)
}

fn flag(folder: &Path) -> String {
    format!("--tls-config={}", folder.join("web.yml").display())
}

async fn secured(at: Endpoints, config: &Arc<ClientConfig>, path: &str, token: Option<&str>) -> Result<Answer> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    get_secured(config, NAME, &format!("https://{}:{}{path}", at.address, at.port), &headers).await
}

/// How long it takes until the exporter presents a renewed certificate, in seconds.
async fn certificates(stage: &Stage, cluster: &Cluster) -> Result<f64> {
    let (before, after, clients) = (Authority::new()?, Authority::new()?, Authority::new()?);
    let folder = folder(stage, "web", &before.issue(NAME)?, &clients, "RequireAndVerifyClientCert")?;
    let replica = Replica::start(stage, 12, &cluster.kubeconfig, &[&flag(&folder)])?;
    let client = clients.issue("prometheus")?;
    let known = before.client(Some(&client))?;
    until("series by TLS", Duration::from_secs(60), async || {
        let answer = secured(replica.at, &known, "/metrics", None).await?;
        ensure!(answer.text()?.contains("kube_pod_info{"), "no series yet");
        Ok(())
    })
    .await?;
    let stranger = before.issue("prometheus")?;
    for (who, config) in [
        ("a client without certificate", before.client(None)?),
        ("a client of another authority", before.client(Some(&stranger))?),
    ] {
        ensure!(secured(replica.at, &config, "/metrics", None).await.is_err(), "{who} has access");
    }
    ensure!(get(&replica.at.metrics_url(), &[]).await.is_err(), "an answer without TLS");

    std::fs::write(folder.join("tls.key"), "broken")?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    ensure!(
        secured(replica.at, &known, "/metrics", None).await?.status == StatusCode::OK,
        "a broken key replaced the valid one"
    );
    ensure!(
        replica.logged()?.contains("reloading the web configuration failed"),
        "the log does not mention the broken key"
    );
    after.issue(NAME)?.write(&folder)?;
    let written = std::time::Instant::now();
    let renewed = after.client(Some(&client))?;
    until("the renewed certificate", RELOAD, async || secured(replica.at, &renewed, "/metrics", None).await.map(drop))
        .await?;
    Ok(written.elapsed().as_secs_f64())
}

/// How long a fleet with both takes to prove its coverage, in seconds.
async fn both(stage: &Stage, cluster: &Cluster, tokens: &Tokens, role: &Value) -> Result<f64> {
    let authority = Authority::new()?;
    // Kubelets present no certificate.
    let folder = folder(stage, "web-fleet", &authority.issue(NAME)?, &authority, "VerifyClientCertIfGiven")?;
    let kubeconfig = stage.directory.join("kubeconfig-fleet");
    let here = stage.manifest("role.yaml")?;
    cluster.write_kubeconfig(&kubeconfig, &cluster.api.account("fleet", role, Some(&here)).await?)?;
    let mut options = fleet::Options::lean(2, &["--auth-filter", &flag(&folder)]);
    options.kubeconfig = Some(kubeconfig.clone());
    let fleet = Fleet::start_with(stage, cluster, options).await?;
    let client = trusting()?;
    let telemetry = async |ordinal: u8| {
        let at = fleet.at(ordinal)?;
        let at = Endpoints { port: at.telemetry_port, ..at };
        let answer = secured(at, &client, "/metrics", Some(&tokens.right)).await?;
        ensure!(answer.status == StatusCode::OK, "replica {ordinal}: {}", answer.status);
        Ok(answer.text()?.to_owned())
    };
    until("two peers that answer", Duration::from_secs(60), async || {
        for ordinal in 0..2 {
            let text = telemetry(ordinal).await?;
            ensure!(
                text.contains("\nkube_state_fleet_peers_answering 1"),
                "replica {ordinal} has no peer that answers"
            );
        }
        Ok(())
    })
    .await?;
    for path in ["/metrics", "/", "/fleet"] {
        let stranger = secured(fleet.at(0)?, &client, path, None).await?;
        ensure!(stranger.status == StatusCode::UNAUTHORIZED, "{path} without a token: {}", stranger.status);
    }
    let overview = secured(fleet.at(0)?, &client, "/fleet", Some(&tokens.right)).await?;
    let overview: Value = serde_json::from_slice(&overview.body)?;
    for ordinal in 0..2 {
        let standing = &overview["replicas"][ordinal]["standing"];
        ensure!(standing == "serving", "replica {ordinal} is {standing} as replica 0 sees it: {overview}");
    }

    let began = std::time::Instant::now();
    until("a proof of the coverage", AUDIT, async || {
        let all = [telemetry(0).await?, telemetry(1).await?].concat();
        let exact = all.lines().any(|line| {
            line.starts_with("kube_state_fleet_cover{") && line.contains("\"exact\"") && line.ends_with("} 1")
        });
        ensure!(exact, "the coverage is not proven");
        Ok(())
    })
    .await?;
    let proven = began.elapsed().as_secs_f64();

    let mut arguments = vec!["verify".to_owned(), "--via=direct".to_owned(), "--auth-filter".to_owned(), flag(&folder)];
    arguments.extend([
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--fleet-namespace={}", cluster.api.namespace),
    ]);
    arguments.extend(LEAN.iter().map(|&flag| flag.to_owned()));
    let port = fleet.at(0)?.telemetry_port;
    arguments.push(format!("--telemetry-port={port}"));
    let log = stage.directory.join("verify.log");
    let mut verify = Process::start(&stage.exporter()?, &arguments, &[], &log, None)?;
    let ended = until("verify", Duration::from_secs(60), async || verify.ended()?.context("it still runs")).await?;
    ensure!(ended.success(), "verify: {}", verify.last_words());
    Ok(proven)
}

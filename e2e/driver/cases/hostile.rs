//! A hostile client in the network of a fleet: forged heartbeats on every port, handshakes with unknown keys, garbage, floods. No
//! object is missing, no replica becomes unready, and the memory afterwards is that of before.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::api;
use crate::certificates::trusting;
use crate::cluster::Cluster;
use crate::fleet::{Fleet, Options};
use crate::http::get_secured;
use crate::observer::{Bounds, Observer};
use crate::process::resident_memory;
use crate::replica::Endpoints;
use crate::stage::Stage;
use crate::wait::until;

/// How many requests of each kind a replica receives.
const REQUESTS: usize = 400;
/// How many of them at a time.
const AT_A_TIME: usize = 40;
/// How long a hostile client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// By when the memory is back at rest.
const REST: Duration = Duration::from_secs(60);

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let expected = cluster.api.keys("/api/v1/pods?labelSelector=team", api::uid).await?;
    let fleet = Fleet::start_with(stage, &cluster, Options::lean(3, &[])).await?;
    let mut observer = Observer::new(stage, &fleet, &expected)?;
    observer.settle(&fleet).await?;
    let mut before = Vec::new();
    for (ordinal, running) in fleet.live() {
        before.push((ordinal, running, resident_memory(running.process)?));
    }
    observer
        .phase(&fleet, "under attack", Bounds::SEAMLESS, async || {
            for (_, running, _) in &before {
                attack(running.at).await?;
            }
            Ok(())
        })
        .await?;
    let mut growth = 0.0_f64;
    for (ordinal, running, rest) in &before {
        let ready = running.at.readyz().await?;
        ensure!(ready.status == StatusCode::OK, "replica {ordinal} is not ready: {}", ready.text()?);
        let now = until("memory at rest", REST, async || {
            let now = resident_memory(running.process)?;
            ensure!(now * 10 <= rest * 11, "replica {ordinal} has {now} bytes of memory, and had {rest} before");
            Ok(now)
        })
        .await?;
        growth = growth.max(now as f64 / *rest as f64);
        let metrics = running.at.self_metrics().await?;
        ensure!(metrics.contains("\nkube_state_fleet_peers_answering 2"), "replica {ordinal} lost a peer");
    }
    Ok(format!("{}; memory afterwards: {growth:.2} times that of before", observer.summary()?))
}

/// Sends a replica what blinded, filled or commanded fleets without authentication.
async fn attack(at: Endpoints) -> Result<()> {
    let big = heartbeat(&"x".repeat(900 << 10), 1);
    let unknown = heartbeat("203.0.113.1:8081", 2);
    let garbage = "\u{0}".repeat(1 << 14);
    for port in [at.port, at.telemetry_port, at.fleet_port] {
        for body in [&big, &unknown, &garbage] {
            for path in ["/fleet/heartbeat", "/fleet/beat", "/fleet/coverage"] {
                let requests = (0..REQUESTS / 9).map(|_| post(at, port, path, body));
                let answers = in_turns(requests.collect()).await;
                let accepted = answers.iter().flatten().find(|answer| answer.starts_with("HTTP/1.1 2"));
                ensure!(accepted.is_none(), "{port}{path} accepted a forgery");
            }
        }
    }
    // Handshakes without a key, and with none that a Lease publishes.
    let stranger = trusting()?;
    let url = format!("https://{}:{}/fleet/replica", at.address, at.fleet_port);
    let handshakes = (0..REQUESTS).map(|_| timeout(PATIENCE, get_secured(&stranger, "fleet.example", &url, &[])));
    let answered = in_turns(handshakes.collect()).await.into_iter().flatten().flatten().count();
    ensure!(answered == 0, "{answered} strangers got an answer on the fleet port");
    // Connections that say nothing.
    let idle = join_all((0..REQUESTS).map(|_| TcpStream::connect((at.address, at.fleet_port)))).await;
    tokio::time::sleep(PATIENCE).await;
    drop(idle);
    Ok(())
}

/// A heartbeat with a far newer record of this layout, which says that all others are gone.
fn heartbeat(address: &str, layout: u32) -> String {
    let id = json!({ "ordinal": 1, "pod": "x", "nonce": 1 });
    let current: Value = json!({
        "generation": 1_000_000, "total": 64, "hash": "xxhash64", "layout": layout, "fresh": { "generation": 1, "below": 1 },
    });
    let member = json!({ "id": id, "address": address, "hash": "xxhash64", "layout": layout, "life": 1000 });
    let record = json!({ "revision": 1_000_000, "coordinator": id, "current": current });
    json!({ "fleet": "default/kube-state-fleet", "member": member, "record": record, "now": 0 }).to_string()
}

/// Sends a `POST` without TLS. Returns the answer; `None` if the connection breaks.
async fn post(at: Endpoints, port: u16, path: &str, body: &str) -> Option<String> {
    let exchange = async {
        let mut stream = TcpStream::connect((at.address, port)).await.ok()?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: replica\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        // A refusal may come before the whole body was sent.
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(body.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        Some(String::from_utf8_lossy(&answer).into_owned())
    };
    timeout(PATIENCE, exchange).await.ok().flatten()
}

/// Runs a few of the futures at a time.
async fn in_turns<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    use futures::StreamExt as _;
    futures::stream::iter(futures).buffer_unordered(AT_A_TIME).collect().await
}

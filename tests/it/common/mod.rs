//! Helpers for tests of whole replicas.

pub mod corpus;
mod k8s_types;
pub mod saturate;
pub mod series;
pub mod strict;
pub mod tls;
#[path = "../../../benches/common/wire.rs"]
pub mod wire;

use std::net::SocketAddr;

use kube_state_fleet::intake::shared_client;
use kube_state_fleet::settings::{Environment, Flags, Settings};
use kube_state_fleet::simulator::Simulator;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A client of the API server at `url`.
pub fn client(url: &str) -> kube::Client {
    shared_client(kube::Config::new(url.parse().expect("a URL"))).expect("a client")
}

/// Settings of a replica on loopback with free ports. `flags` override them.
pub fn settings(flags: Flags) -> Settings {
    let local = Some("127.0.0.1".to_owned());
    let flags = Flags {
        host: local.clone(),
        port: flags.port.or(Some(0)),
        telemetry_host: local,
        telemetry_port: Some(0),
        fleet_port: Some(0),
        ..flags
    };
    Settings::resolve(&flags, &Environment::default(), || None).expect("they are valid").0
}

/// Creates or changes a Namespace.
pub fn namespace(simulator: &Simulator, name: &str, labels: &Value) {
    let metadata = json!({ "name": name, "labels": labels });
    simulator.apply(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata })).expect("applied");
}

/// The whole answer to a GET, head and body.
pub async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: replica\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    answer
}

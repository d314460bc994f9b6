//! A whole replica under failures of its environment.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kube_state_fleet::replica::Replica;
use kube_state_fleet::settings::{Flags, Settings};
use tokio::net::TcpListener;

use crate::common::{client, get};

/// Timeout of each wait.
const LONG: Duration = Duration::from_secs(60);

fn settings(port: u16) -> Settings {
    let resources = vec!["pods".to_owned(), "nodes".to_owned()];
    crate::common::settings(Flags { port: Some(port), resources, ..Flags::default() })
}

/// An API server that accepts connections and never answers. Dropping the listener closes it.
async fn silence() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    (listener, url)
}

#[tokio::test]
async fn without_an_api_server_a_replica_runs_and_names_the_missing_resources() {
    let (_server, url) = silence().await;
    let replica = Replica::start(settings(0), client(&url)).await.expect("it starts");
    let ready = get(replica.telemetry_address(), "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
    assert!(ready.ends_with("\r\n\r\nnodes: not loaded yet\npods: not loaded yet\n"), "{ready}");
    assert!(get(replica.metrics_address(), "/livez").await.starts_with("HTTP/1.1 200 "));
    let metrics = get(replica.metrics_address(), "/metrics").await;
    assert!(metrics.contains("# TYPE kube_pod_info gauge\n"), "families are served before their series");
    let stopped = tokio::time::timeout(LONG, replica.stop());
    stopped.await.expect("in time");
}

#[tokio::test]
async fn several_replicas_fit_in_one_process() {
    let (_server, url) = silence().await;
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(Replica::start(settings(0), client(&url)).await.expect("it starts"));
    }
    for replica in replicas {
        assert!(get(replica.metrics_address(), "/healthz").await.starts_with("HTTP/1.1 200 "));
        replica.stop().await;
    }
}

#[tokio::test]
async fn a_port_in_use_is_reported_in_one_error() {
    let (_server, url) = silence().await;
    let first = Replica::start(settings(0), client(&url)).await.expect("it starts");
    let taken = first.metrics_address();
    let error = Replica::start(settings(taken.port()), client(&url)).await.expect_err("the port is taken");
    let message = error.to_string();
    assert!(message.starts_with(&format!("--host, --port: cannot listen on {taken}: ")), "{message}");
    assert!(!message.contains('\n'));
}

/// Starts the binary with an empty environment.
fn run(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_kube-state-fleet"))
        .args(arguments)
        .args(["--host", "127.0.0.1", "--telemetry-host", "127.0.0.1", "--telemetry-port", "0"])
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is built")
}

fn end(mut child: Child) -> (Option<i32>, String) {
    let mut log = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut log).expect("UTF-8");
    (child.wait().expect("it runs").code(), log)
}

#[test]
fn a_failed_start_logs_one_line_and_exits_with_2() {
    for (arguments, wanted) in [
        (vec!["--kubeconfig", "/does/not/exist"], "--kubeconfig: /does/not/exist: No such file"),
        (vec![], "not running in a Pod"),
    ] {
        let (code, log) = end(run(&arguments));
        assert_eq!(code, Some(2), "{log}");
        assert!(log.contains(wanted), "{log}");
        assert_eq!(log.lines().count(), 1, "{log}");
    }
}

#[tokio::test]
async fn sigterm_and_sigint_exit_with_0() {
    let (_server, url) = silence().await;
    for signal in ["TERM", "INT"] {
        let mut child = run(&["--apiserver", &url, "--port", "0", "--resources", "pods", "--log-format", "json"]);
        let mut log = std::io::BufReader::new(child.stderr.take().expect("it is piped"));
        let mut line = String::new();
        while !line.contains("\"serving\"") {
            line.clear();
            assert_ne!(std::io::BufRead::read_line(&mut log, &mut line).expect("UTF-8"), 0, "it ended by itself");
        }
        let kill = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status();
        assert!(kill.expect("there is a shell").success());
        assert_eq!(child.wait().expect("it runs").code(), Some(0), "{signal}");
    }
}

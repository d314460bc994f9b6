//! A whole replica under failures of its environment.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube_state_fleet::replica::Replica;
use kube_state_fleet::settings::{Flags, Settings};
use kube_state_fleet::simulator::{ResourceType, Simulator};
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
        (vec!["--kubeconfig", "/does/not/exist"], "--kubeconfig: /does/not/exist: cannot be read: No such file"),
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

/// The warnings of a replica up to the first one that contains `last`.
fn warnings(url: &str, last: &str) -> Vec<String> {
    let mut child = run(&["--apiserver", url, "--port", "0"]);
    let log = std::io::BufReader::new(child.stderr.take().expect("it is piped"));
    let (mut warnings, mut is_done) = (Vec::new(), false);
    for line in std::io::BufRead::lines(log) {
        let line = line.expect("UTF-8");
        if line.contains(" WARN ") {
            is_done = line.contains(last);
            warnings.push(line);
        }
        if is_done {
            break;
        }
    }
    child.kill().expect("it runs");
    child.wait().expect("it ran");
    assert!(is_done, "{warnings:?}");
    warnings
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_all_resources_take_one_line() {
    // Nothing listens on port 1.
    let unreachable = tokio::task::spawn_blocking(|| warnings("http://127.0.0.1:1", "requests to the API server fail"));
    let lines = unreachable.await.expect("no panic");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["url=\"http://127.0.0.1:1/\"", "Connection refused", " count=", "and "] {
        assert!(lines[0].contains(part), "{part}: {lines:?}");
    }

    let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), vec![ResourceType::of::<Pod>()]).await;
    let simulator = simulator.expect("a free port");
    let url = simulator.url();
    let refused = tokio::task::spawn_blocking(move || warnings(&url, "resources refused"));
    let lines = refused.await.expect("no panic");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["status=404", "configmaps, ", "nodes, "] {
        assert!(lines[0].contains(part), "{part}: {lines:?}");
    }
    assert!(!lines[0].contains(" pods,"), "{lines:?}");
}

#[tokio::test]
async fn no_input_at_the_start_hangs_or_ends_with_a_signal() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let fifo = folder.path().join("fifo").display().to_string();
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("it is installed").success());
    let kubeconfig = |name: &str, user: &str| {
        file(
            name,
            &format!(
                "current-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
                 clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:9'}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n"
            ),
        )
    };
    let token = kubeconfig("token", "token: \"secret\\nb\"");
    let sleeping = kubeconfig("sleeping", "exec: {command: sleep, args: ['1000']}");
    let endless = kubeconfig("endless", "exec: {command: yes, args: [secret]}");
    let certificate = file("web.yml", &format!("tls_server_config: {{cert_file: {fifo}, key_file: /dev/zero}}\n"));
    let server = "--apiserver=http://127.0.0.1:9";
    for (arguments, says) in [
        (vec!["--kubeconfig", &token], "users.u.token: not a token"),
        (vec!["--kubeconfig", &sleeping], "exec: sleep did not end within 8 s"),
        (vec!["--kubeconfig", &endless], "exec: yes wrote more than 1048576 bytes"),
        (vec!["--kubeconfig", &fifo], "is a pipe, not a regular file"),
        (vec!["--kubeconfig", "/dev/zero"], "is a device, not a regular file"),
        (vec![server, "--tls-config", &fifo], "is a pipe, not a regular file"),
        (vec![server, "--tls-config", "/dev/zero"], "is a device, not a regular file"),
        (vec![server, "--tls-config", &certificate], "is a pipe, not a regular file"),
        (vec![server, "--custom-resource-state-config-file", &fifo], "is a pipe, not a regular file"),
        (vec![server, "--namespaces", "../x"], "--namespaces: \"../x\" is not a namespace"),
        (vec![server, "--namespaces-denylist", "a?limit=1"], "--namespaces-denylist: \"a?limit=1\" is not a namespace"),
        (vec![server, "--pod", "a/b-0", "--pod-namespace", "n"], "--pod: \"a/b-0\" is not a name"),
        (vec![server, "--pod", "a-0", "--pod-namespace", ".."], "--pod-namespace: \"..\" is not a namespace"),
        (vec!["--apiserver", "http://ann:secret@127.0.0.1:9"], "--apiserver: the URL contains a user name or password"),
    ] {
        let (code, log) = end(run(&[&arguments[..], &["--port", "0"]].concat()));
        assert_eq!(code, Some(2), "{arguments:?}: {log}");
        assert!(log.contains(says) && !log.replace(arguments[1], "").contains("secret"), "{arguments:?}: {log}");
        assert_eq!(log.lines().count(), 1, "{log}");
    }
}

#[tokio::test]
async fn a_pattern_that_backtracks_is_no_reason_to_hang() {
    let (_server, url) = silence().await;
    let arguments = ["--apiserver", &url, "--port", "0", "--resources", "pods", "--metric-denylist=(.*)*!"];
    let mut child = run(&arguments);
    let mut log = std::io::BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    while !line.contains("serving") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut log, &mut line).expect("UTF-8"), 0, "it ended by itself");
    }
    let kill = Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).status();
    assert!(kill.expect("there is a shell").success());
    assert_eq!(child.wait().expect("it runs").code(), Some(0));
}

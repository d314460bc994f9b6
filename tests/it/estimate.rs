//! `estimate` on a dump and on a simulated cluster.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube_state_fleet::commands;
use kube_state_fleet::simulator::{ResourceType, Simulator};
use serde_json::{Value, json};

const PODS: usize = 400;

fn pod(number: usize) -> Value {
    let team = ["search", "shop", "pay"][number % 3];
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": "shop", "name": format!("web-{number:03}"), "uid": format!("00000000-0000-0000-0000-{number:012}"),
            "labels": { "team": team },
        },
        "spec": { "nodeName": "n", "containers": [{ "name": "main", "image": "i" }] },
    })
}

fn dump() -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    let items: Vec<_> = (0..PODS).map(pod).collect();
    write!(file, "{}", json!({ "apiVersion": "v1", "kind": "List", "items": items })).expect("it can be written");
    file
}

/// Exit code, stdout and stderr of a command.
fn ran(line: &[&str]) -> (ExitCode, String, String) {
    let line = std::iter::once("kube-state-fleet").chain(line.iter().copied()).map(OsString::from);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = commands::execute(line, &mut out, &mut err);
    (code, String::from_utf8(out).expect("UTF-8"), String::from_utf8(err).expect("UTF-8"))
}

fn estimated(line: &[&str]) -> Value {
    let (code, out, err) = ran(&[&["estimate", "--output=json"], line].concat());
    assert_eq!(code, ExitCode::SUCCESS, "{err}");
    serde_json::from_str(&out).expect("it is JSON")
}

#[test]
fn an_estimate_of_a_dump_equals_the_output_of_render() {
    let dump = dump();
    let path = dump.path().to_str().expect("UTF-8");
    let report = estimated(&[path]);
    let (_, text, _) = ran(&["render", path]);
    let series = text.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(report["objects"], PODS);
    assert_eq!(report["text_bytes"], text.len());
    assert_eq!(report["series"], series.clone().count());
    let pods = report["resources"].as_array().expect("a list").iter().find(|r| r["resource"] == "pods").expect("pods");
    let sum =
        |key: &str| pods["families"].as_array().expect("a list").iter().filter_map(|f| f[key].as_u64()).sum::<u64>();
    assert_eq!(sum("text_bytes"), series.map(|line| line.len() as u64 + 1).sum::<u64>());
    assert_eq!(pods["gzip_bytes"], sum("gzip_bytes"));
    assert!(pods["memory_bytes"].as_u64() > Some(sum("gzip_bytes")), "{pods}");
    let uid = pods["labels"].as_array().expect("a list").iter().find(|l| l["label"] == "uid").expect("uid");
    assert_eq!((uid["values"].as_u64(), uid["series"].as_u64()), (Some(PODS as u64), pods["series"].as_u64()));
}

#[test]
fn the_parts_of_an_estimate_add_up_to_the_whole() {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    // Small, so that HELP and TYPE lines are most of it.
    write!(file, "{}", json!({ "apiVersion": "v1", "kind": "List", "items": [pod(1)] })).expect("it can be written");
    let path = file.path().to_str().expect("UTF-8");
    let report = estimated(&[path]);
    let resources = report["resources"].as_array().expect("a list");
    let sum = |parts: &[Value], key: &str| parts.iter().map(|part| part[key].as_u64().expect("a number")).sum::<u64>();
    for key in ["series", "text_bytes", "gzip_bytes", "memory_bytes"] {
        let of_headers = report["headers"][key].as_u64().expect("a number");
        assert_eq!(report[key], sum(resources, key) + of_headers, "{key} of resources");
        for resource in resources {
            let shared =
                if key == "memory_bytes" { sum(std::slice::from_ref(resource), "shared_memory_bytes") } else { 0 };
            let families = sum(resource["families"].as_array().expect("a list"), key);
            assert_eq!(resource[key], families + shared, "{key} of {}", resource["resource"]);
        }
    }
    let (_, out, _) = ran(&["estimate", path]);
    assert_eq!(out.matches("\n(HELP and TYPE lines) ").count(), 2, "{out}");
    assert_eq!(out.matches("\n(labels of objects) ").count(), 1, "{out}");
}

#[test]
fn the_recommended_replicas_keep_to_the_scrape_size() {
    let dump = dump();
    let path = dump.path().to_str().expect("UTF-8");
    let limit = 150_000;
    let replicas = &estimated(&[path, "--scrape-size", &limit.to_string()])["replicas"];
    let count = replicas["count"].as_u64().expect("a number");
    assert!(count > 1, "{replicas}");
    let largest = replicas["largest_text_bytes"].as_u64().expect("a number");
    assert!(largest <= limit, "{replicas}");
    assert!(largest > limit / 2, "{replicas}");
    let none = &estimated(&[path, "--scrape-size=1000"])["replicas"];
    assert_eq!(none["count"], Value::Null, "HELP and TYPE alone are bigger");
    assert_eq!(estimated(&[path])["replicas"]["count"], 1);
}

#[test]
fn each_allowlist_entry_has_its_own_estimate() {
    let dump = dump();
    let path = dump.path().to_str().expect("UTF-8");
    let entry = |report: &Value, flag: &str| {
        let entries = report["entries"].as_array().expect("a list").clone();
        entries.into_iter().find(|entry| entry["flag"] == flag).unwrap_or_else(|| panic!("{report}"))
    };
    let before = estimated(&[path]);
    assert_eq!(before["entries"], json!([]));
    let after = estimated(&[path, "--metric-labels-allowlist=pods=[team]"]);
    let team = entry(&after, "--metric-labels-allowlist");
    assert_eq!((&team["entry"], &team["series"]), (&json!("pods: label_team"), &json!(PODS)));
    let promoted = estimated(&[path, "--promote-labels=pods=[team]"]);
    assert_eq!(entry(&promoted, "--promote-labels")["series"], promoted["series"]);
    let only = estimated(&[path, "--metric-allowlist=kube_pod_info,^kube_pod_status"]);
    assert_eq!(entry(&only, "--metric-allowlist")["series"], PODS);
}

#[test]
fn the_default_output_is_a_table() {
    let dump = dump();
    let (code, out, err) = ran(&["estimate", dump.path().to_str().expect("UTF-8")]);
    assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""));
    for words in ["400 objects, ", "replicas: 1; ", "\nresource ", "\nfamily ", "\nlabel ", "\npods: uid "] {
        assert!(out.contains(words), "{words} is missing from:\n{out}");
    }
}

#[test]
fn an_invalid_size_is_rejected() {
    for size in ["", "0", "many", "-1", "1e30"] {
        let (code, _, err) = ran(&["estimate", "--scrape-size", size, "x"]);
        assert_eq!(code, ExitCode::from(2), "{size}");
        assert!(err.contains("--scrape-size"), "{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_of_a_live_cluster_equals_that_of_its_dump() {
    let resources = vec![ResourceType::of::<Node>(), ResourceType::of::<Pod>()];
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), resources).await.expect("a free port");
    for number in 0..PODS {
        simulator.apply(&pod(number)).expect("applied");
    }
    let url = simulator.url();
    let live = tokio::task::spawn_blocking(move || {
        let (code, out, err) = ran(&["estimate", "--output=json", "--resources=pods,nodes", "--apiserver", &url]);
        assert_eq!(code, ExitCode::SUCCESS, "{err}");
        serde_json::from_str::<Value>(&out).expect("it is JSON")
    });
    let live = live.await.expect("it does not panic");
    assert_eq!((&live["objects"], live["series"].as_u64() > Some(1000)), (&json!(PODS), true));
}

#[test]
fn an_unreachable_cluster_is_reported_at_once() {
    let (code, out, err) = ran(&["estimate", "--apiserver=http://127.0.0.1:1"]);
    assert_eq!((code, out.as_str()), (ExitCode::from(2), ""));
    assert!(err.contains("127.0.0.1:1") && err.contains("does not answer"), "{err}");
}

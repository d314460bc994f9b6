//! Configuration changes of the running binary, against a simulated cluster.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Secret, Service};
use kube_state_fleet::simulator::{ResourceType, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::common::{get, namespace};

/// Timeout of each wait.
const LONG: Duration = Duration::from_secs(60);

pub async fn cluster(name: &str) -> Simulator {
    let resources = vec![
        ResourceType::of::<Namespace>(),
        ResourceType::of::<Node>(),
        ResourceType::of::<Pod>(),
        ResourceType::of::<Service>(),
        ResourceType::of::<Secret>(),
    ];
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), resources).await.expect("a free port");
    let apply = |object: Value| drop(simulator.apply(&object).expect("applied"));
    apply(json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": format!("node-of-{name}") } }));
    for number in 0..20 {
        let metadata = json!({
            "namespace": if number < 10 { "shop" } else { "bank" },
            "name": format!("{name}-{number}"),
            "labels": { "app": "web" },
        });
        let spec = json!({ "nodeName": "n", "containers": [{ "name": "main", "image": "i" }] });
        apply(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec }));
        apply(json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata }));
        apply(json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque" }));
    }
    simulator
}

/// A running binary.
pub struct Exporter {
    child: Child,
    log: mpsc::UnboundedReceiver<Value>,
    pub folder: TempDir,
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Exporter {
    /// Starts the binary in a new folder, with the arguments that `prepare` returns.
    pub fn start(prepare: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_kube-state-fleet"))
            .args(prepare(folder.path()))
            .args(["--host", "127.0.0.1", "--telemetry-host", "127.0.0.1", "--port", "0", "--log-format", "json"])
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it is built");
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let (tell, log) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or_else(|_| json!({ "fields": { "message": line } }));
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, log, folder }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    /// Replaces the config file by a rename.
    pub fn write(&self, text: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, text).expect("written");
        std::fs::rename(&new, self.config()).expect("renamed");
    }

    /// Returns the next log line that contains `what`.
    pub async fn says(&mut self, what: &str) -> Value {
        let line = async {
            loop {
                let line = self.log.recv().await.expect("it runs");
                if line.to_string().contains(what) {
                    return line;
                }
            }
        };
        tokio::time::timeout(LONG, line).await.unwrap_or_else(|_| panic!("it never says {what:?}"))
    }

    pub async fn addresses(&mut self) -> [SocketAddr; 2] {
        let line = self.says("\"serving\"").await;
        ["metrics", "telemetry"].map(|port| {
            let text = line.pointer(&format!("/fields/{port}")).or_else(|| line.get(port)).and_then(Value::as_str);
            text.expect("it says so").parse().expect("an address")
        })
    }
}

/// Returns the names and labels of all series.
pub fn series(answer: &str) -> BTreeSet<String> {
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let lines = body.lines().filter(|line| line.starts_with("kube_"));
    lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
}

pub async fn until(what: &str, address: SocketAddr, path: &str, is: impl Fn(&str) -> bool) {
    let mut last = String::new();
    let wanted = async {
        loop {
            last = get(address, path).await;
            if is(&last) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(LONG, wanted).await.is_err() {
        panic!("{what} does not come: {last}");
    }
}

/// Scrapes repeatedly during `change`. Every scrape contains at least `kept`.
pub async fn without_a_gap(address: SocketAddr, kept: &BTreeSet<String>, change: impl Future<Output = ()>) {
    let scrapes = async {
        loop {
            let now = series(&get(address, "/metrics").await);
            let missing: Vec<_> = kept.difference(&now).take(3).collect();
            assert!(missing.is_empty(), "{} series, without {missing:?}", now.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = scrapes => {}
        () = change => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_config_file_is_applied_without_a_gap_and_an_invalid_one_is_rejected() {
    let simulator = cluster("a").await;
    let mut exporter = Exporter::start(|folder| {
        let file = folder.join("config.yaml");
        std::fs::write(&file, "resources: {pods: {}, nodes: {}, secrets: {}}\n").expect("written");
        let file = file.display();
        vec![format!("--config={file}"), format!("--apiserver={}", simulator.url()), "--telemetry-port=0".to_owned()]
    });
    let [metrics, telemetry] = exporter.addresses().await;
    until("readiness", telemetry, "/readyz", |answer| answer.starts_with("HTTP/1.1 200 ")).await;
    let before = series(&get(metrics, "/metrics").await);
    assert!(before.iter().any(|series| series.starts_with("kube_secret_info")));

    without_a_gap(metrics, &before, async {
        exporter.write("resources: [pods, nodes, services, secrets]\nlabels_allow_list: {pods: [app]}\nport: 1\n");
        let line = exporter.says("takes effect only after a restart").await;
        assert_eq!(line["fields"]["keys"], "port", "{line}");
        until("the new set", metrics, "/metrics", |answer| answer.contains("kube_service_info{")).await;
        let now = series(&get(metrics, "/metrics").await);
        assert!(
            now.iter().any(|series| series.starts_with("kube_pod_labels{") && series.contains("label_app=\"web\""))
        );
        let file = exporter.config().display().to_string();
        let good = format!("kube_state_metrics_last_config_reload_successful{{type=\"config\",filename=\"{file}\"}} 1");
        until("success", telemetry, "/metrics", |answer| answer.contains(&good)).await;

        let hash =
            |answer: &str| answer.lines().find(|l| l.starts_with("kube_state_metrics_config_hash{")).map(str::to_owned);
        let held = hash(&get(telemetry, "/metrics").await);
        assert!(held.is_some());
        exporter.write("resources: [pods]\nnode: [x]\n");
        let line = exporter.says("reloading the configuration failed").await.to_string();
        assert!(line.contains(&format!("{file}:2: node: expected text")), "{line}");
        let bad = format!("kube_state_metrics_last_config_reload_successful{{type=\"config\",filename=\"{file}\"}} 0");
        until("failure", telemetry, "/metrics", |answer| answer.contains(&bad)).await;
        assert_eq!(hash(&get(telemetry, "/metrics").await), held, "the loaded configuration stays active");
        assert!(get(metrics, "/metrics").await.contains("kube_service_info{"));
    })
    .await;

    // Resources that are no longer requested are removed.
    exporter.write("resources: [nodes]\n");
    until("the end of pods", metrics, "/metrics", |answer| !answer.contains("kube_pod")).await;
    assert!(get(metrics, "/metrics").await.contains("kube_node_info{"));
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_leave_the_selectors_end_their_series_and_a_reload_changes_the_selectors() {
    let simulator = cluster("a").await;
    let mut exporter = Exporter::start(|folder| {
        let file = folder.join("config.yaml");
        let config = "resources: {pods: {}, services: {}}\nresource_selector: {pods: 'app in (web,db)'}\n\
                      resource_field_selector: ['pods=metadata.name!=a-0']\n";
        std::fs::write(&file, config).expect("written");
        let file = file.display();
        vec![format!("--config={file}"), format!("--apiserver={}", simulator.url()), "--telemetry-port=0".to_owned()]
    });
    let [metrics, telemetry] = exporter.addresses().await;
    until("readiness", telemetry, "/readyz", |answer| answer.starts_with("HTTP/1.1 200 ")).await;
    let infos = |answer: &str, kind: &str| {
        series(answer).iter().filter(|series| series.starts_with(&format!("kube_{kind}_info{{"))).count()
    };
    let now = get(metrics, "/metrics").await;
    assert_eq!((infos(&now, "pod"), infos(&now, "service")), (19, 20), "only pods are selected");
    let services: BTreeSet<_> = series(&now).into_iter().filter(|series| series.starts_with("kube_service_")).collect();
    without_a_gap(metrics, &services, async {
        let mut pod = simulator.get("pods", "shop", "a-1").expect("it exists");
        pod["metadata"]["labels"]["app"] = json!("ci");
        let mut pod = simulator.apply(&pod).expect("applied");
        until("the end of its series", metrics, "/metrics", |answer| infos(answer, "pod") == 18).await;
        assert!(!get(metrics, "/metrics").await.contains("pod=\"a-1\""));
        pod["metadata"]["labels"]["app"] = json!("db");
        simulator.apply(&pod).expect("applied");
        until("its return", metrics, "/metrics", |answer| infos(answer, "pod") == 19).await;
        exporter.write("resources: {pods: {}, services: {}}\nresource_selector: {pods: app=db}\n");
        until("the new selector", metrics, "/metrics", |answer| infos(answer, "pod") == 1).await;
        assert!(get(metrics, "/metrics").await.contains("pod=\"a-1\""));
        exporter.write("resources: {pods: {}, services: {}}\nresource_selector: {pods: app in db}\n");
        let line = exporter.says("reloading the configuration failed").await.to_string();
        assert!(line.contains("resource_selector: pods: found"), "{line}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_that_match_come_and_go_without_a_gap_in_the_others() {
    let simulator = cluster("a").await;
    let namespace = |name: &str, team: &str| namespace(&simulator, name, &json!({ "team": team }));
    namespace("shop", "one");
    namespace("bank", "two");
    let mut exporter = Exporter::start(|folder| {
        let file = folder.join("config.yaml");
        let config = "resources: {pods: {}, nodes: {}, secrets: {}}\nnamespace_selector: team in (one, three)\n";
        std::fs::write(&file, config).expect("written");
        let file = file.display();
        vec![format!("--config={file}"), format!("--apiserver={}", simulator.url()), "--telemetry-port=0".to_owned()]
    });
    let [metrics, telemetry] = exporter.addresses().await;
    until("readiness", telemetry, "/readyz", |answer| answer.starts_with("HTTP/1.1 200 ")).await;
    let infos = |answer: &str, namespace: &str| {
        let start = |kind: &str| format!("kube_{kind}_info{{namespace=\"{namespace}\"");
        ["pod", "secret"].map(|kind| series(answer).iter().filter(|series| series.starts_with(&start(kind))).count())
    };
    let first = get(metrics, "/metrics").await;
    assert_eq!((infos(&first, "shop"), infos(&first, "bank")), ([10, 10], [0, 0]));
    assert!(first.contains("kube_node_info{"), "cluster-scoped objects are served");
    without_a_gap(metrics, &series(&first), async {
        namespace("bank", "three");
        until("the namespace", metrics, "/metrics", |answer| infos(answer, "bank") == [10, 10]).await;
        namespace("bank", "two");
        until("its end", metrics, "/metrics", |answer| infos(answer, "bank") == [0, 0]).await;
        exporter.write("resources: {pods: {}, nodes: {}, secrets: {}}\nnamespace_selector: team\n");
        until("the new selector", metrics, "/metrics", |answer| infos(answer, "bank") == [10, 10]).await;
        namespace("bank", "four");
    })
    .await;
    // Secrets of a namespace that came later are followed, and end alone.
    simulator.delete("secrets", "bank", "a-15").expect("deleted");
    until("the deletion", metrics, "/metrics", |answer| infos(answer, "bank") == [10, 9]).await;
    exporter.write("resources: {pods: {}, nodes: {}, secrets: {}}\nnamespaces: [bank]\nnamespace_selector: team\n");
    until("the listed namespace", metrics, "/metrics", |answer| infos(answer, "shop") == [0, 0]).await;
    assert_eq!(infos(&get(metrics, "/metrics").await, "bank"), [10, 9]);
    exporter.write("resources: {pods: {}, nodes: {}, secrets: {}}\n");
    until("all", metrics, "/metrics", |answer| infos(answer, "shop") == [10, 10]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn promoted_labels_of_namespaces_follow_changes_and_reloads() {
    let simulator = cluster("a").await;
    let namespace = |name: &str, team: &str| namespace(&simulator, name, &json!({ "team": team, "tier": "gold" }));
    namespace("bank", "two");
    let config = |labels: &str, more: &str| {
        format!(
            "resources: {{pods: {{}}, nodes: {{}}, secrets: {{}}, namespaces: {{}}}}\npromote_namespace_labels: {labels}\n{more}"
        )
    };
    let mut exporter = Exporter::start(|folder| {
        let file = folder.join("config.yaml");
        std::fs::write(&file, config("[team]", "")).expect("written");
        let file = file.display();
        vec![format!("--config={file}"), format!("--apiserver={}", simulator.url()), "--telemetry-port=0".to_owned()]
    });
    let [metrics, telemetry] = exporter.addresses().await;
    until("readiness", telemetry, "/readyz", |answer| answer.starts_with("HTTP/1.1 200 ")).await;
    // The series of a namespace, without and with the end.
    let of = |answer: &str, namespace: &str, end: &str| {
        let all = series(answer);
        let own = || all.iter().filter(|series| series.contains(&format!("{{namespace=\"{namespace}\"")));
        (own().count(), own().filter(|series| series.contains(end)).count())
    };
    let all_have = |answer: &str, namespace: &str, end: &str| {
        let (all, with) = of(answer, namespace, end);
        all > 20 && all == with
    };
    let first = get(metrics, "/metrics").await;
    assert!(all_have(&first, "bank", ",namespace_label_team=\"two\""), "{first}");
    assert!(!first.contains("namespace_label_tier"));
    assert!(
        first.contains("kube_namespace_status_phase{namespace=\"bank\",namespace_label_team=\"two\",phase=\"Active\"}")
    );
    assert_eq!(of(&first, "shop", "namespace_label").1, 0, "its Namespace is missing");
    let kept: BTreeSet<_> = series(&first).into_iter().filter(|series| !series.contains("shop")).collect();
    without_a_gap(metrics, &kept, async {
        namespace("shop", "one");
        until("the label", metrics, "/metrics", |answer| all_have(answer, "shop", "namespace_label_team=\"one\""))
            .await;
        namespace("shop", "three");
        until("its change", metrics, "/metrics", |answer| all_have(answer, "shop", "namespace_label_team=\"three\""))
            .await;
        exporter.write(&config("[team]", "namespace_selector: team\n"));
        until("the selector", telemetry, "/readyz", |answer| answer.starts_with("HTTP/1.1 200 ")).await;
        exporter.says("selected namespaces").await;
    })
    .await;
    exporter.write(&config("[t*]", "namespace_selector: team=three\n"));
    let both = "namespace_label_team=\"three\",namespace_label_tier=\"gold\"";
    until("both labels", metrics, "/metrics", |answer| all_have(answer, "shop", both)).await;
    until("one namespace", metrics, "/metrics", |answer| of(answer, "bank", "kube_pod").1 == 0).await;
    exporter.write("resources: {pods: {}, nodes: {}, secrets: {}, namespaces: {}}\n");
    until("no labels", metrics, "/metrics", |answer| {
        of(answer, "bank", "").0 > 20 && !answer.contains("namespace_label_")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_kubeconfig_switches_the_cluster_atomically() {
    let (a, b) = (cluster("a").await, cluster("b").await);
    let kubeconfig = |simulator: &Simulator| {
        let server = simulator.url();
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: '{server}'}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
        )
    };
    let mut exporter = Exporter::start(|folder| {
        let file = folder.join("config.yaml");
        std::fs::write(&file, kubeconfig(&a)).expect("written");
        let file = format!("--kubeconfig={}", file.display());
        vec![file, "--resources=pods,nodes,secrets".to_owned(), "--telemetry-port=0".to_owned()]
    });
    let [metrics, telemetry] = exporter.addresses().await;
    until("readiness", telemetry, "/readyz", |answer| answer.starts_with("HTTP/1.1 200 ")).await;
    let count =
        |answer: &str, name: &str| series(answer).iter().filter(|s| s.starts_with(&format!("{name}{{"))).count();
    let scrapes = async {
        loop {
            let answer = get(metrics, "/metrics").await;
            let counts = ["kube_pod_info", "kube_node_info", "kube_secret_info"].map(|name| count(&answer, name));
            assert_eq!(counts, [20, 1, 20]);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let change = async {
        exporter.write(&kubeconfig(&b));
        until("the other cluster", metrics, "/metrics", |answer| answer.contains("node=\"node-of-b\"")).await;
        let now = get(metrics, "/metrics").await;
        assert!(!now.contains("node-of-a") && !now.contains("\"a-1\""));
    };
    tokio::select! {
        () = scrapes => {}
        () = change => {}
    }
    drop(a);
    b.delete("pods", "shop", "b-1").expect("deleted");
    until("its events", metrics, "/metrics", |answer| count(answer, "kube_pod_info") == 19).await;
    b.delete("secrets", "shop", "b-1").expect("deleted");
    until("its events", metrics, "/metrics", |answer| count(answer, "kube_secret_info") == 19).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_waits_for_a_valid_config_file_at_the_start() {
    let simulator = cluster("a").await;
    let telemetry = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        free.local_addr().expect("it is bound")
    };
    let mut exporter = Exporter::start(|folder| {
        let file = folder.join("config.yaml");
        std::fs::write(&file, "resources: {podz: {}}\n").expect("written");
        let file = format!("--config={}", file.display());
        vec![file, format!("--apiserver={}", simulator.url()), format!("--telemetry-port={}", telemetry.port())]
    });
    let line = exporter.says("serving nothing until it is fixed").await.to_string();
    assert!(line.contains("config.yaml:1: resources: unknown resource"), "{line}");
    let ready = get(telemetry, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 503 ") && ready.contains("configuration: not loaded yet"), "{ready}");
    assert!(get(telemetry, "/metrics").await.contains("config_reload_successful{type=\"config\""));
    exporter.write("resources: {pods: {}}\n");
    let [metrics, _] = exporter.addresses().await;
    until("pods", metrics, "/metrics", |answer| answer.contains("kube_pod_info{")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_config_file_the_flags_apply_until_it_exists_if_allowed() {
    let simulator = cluster("a").await;
    let arguments = |folder: &Path| {
        let file = folder.join("config.yaml");
        let apiserver = format!("--apiserver={}", simulator.url());
        vec![
            format!("--config={}", file.display()),
            apiserver,
            "--resources=nodes".to_owned(),
            "--telemetry-port=0".to_owned(),
        ]
    };
    let mut refused = Exporter::start(arguments);
    let line = refused.says("config.yaml").await.to_string();
    assert!(line.contains("cannot be read: No such file"), "{line}");
    assert_eq!(refused.child.wait().expect("it ends").code(), Some(2));

    let mut exporter =
        Exporter::start(|folder| [arguments(folder), vec!["--continue-without-config".to_owned()]].concat());
    exporter.says("continuing with the flags alone").await;
    let [metrics, telemetry] = exporter.addresses().await;
    until("nodes", metrics, "/metrics", |answer| answer.contains("kube_node_info{")).await;
    assert!(get(telemetry, "/metrics").await.contains("config_reload_successful{type=\"config\""));
    exporter.write("resources: {pods: {}}\n");
    until("pods", metrics, "/metrics", |answer| answer.contains("kube_pod_info{")).await;
}

const CUSTOM: &str = "spec:\n  resources:\n  - groupVersionKind: {group: example.com, version: v1, kind: Database}\n    metrics:\n    \
                      - {name: size, each: {type: Gauge, gauge: {path: [spec, size]}}}\n";

/// Returns the type and result of the last reload of each file.
fn reloads(answer: &str) -> Vec<(String, String)> {
    let lines = answer.lines().filter_map(|line| {
        let rest = line.strip_prefix("kube_state_metrics_last_config_reload_successful{type=\"")?;
        Some((rest.split('"').next()?.to_owned(), rest.rsplit(' ').next()?.to_owned()))
    });
    lines.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_files_that_break_at_once_both_count_as_failed_until_both_are_in_effect() {
    let simulator = cluster("a").await;
    let mut exporter = Exporter::start(|folder| {
        let (file, custom) = (folder.join("config.yaml"), folder.join("custom.yaml"));
        std::fs::write(&custom, CUSTOM.replace("gauge: {", "gauge: {nillIsZero: true, ")).expect("written");
        let text = format!("resources: {{pods: {{}}}}\ncustom_resource_config_file: {}\n", custom.display());
        std::fs::write(&file, text).expect("written");
        let apiserver = format!("--apiserver={}", simulator.url());
        vec![format!("--config={}", file.display()), apiserver, "--telemetry-port=0".to_owned()]
    });
    let line = exporter.says("nillIsZero").await;
    assert_eq!(line["level"], "WARN");
    assert!(line.to_string().contains("custom.yaml: line 5: "), "{line}");
    let [metrics, telemetry] = exporter.addresses().await;
    until("readiness", telemetry, "/readyz", |answer| answer.starts_with("HTTP/1.1 200 ")).await;
    let custom = exporter.folder.path().join("custom.yaml");
    let config = |resource: &str| {
        format!("resources: {{{resource}: {{}}}}\ncustom_resource_config_file: {}\n", custom.display())
    };
    let are = |config: &str, custom: &str| {
        let expected =
            [("config", config), ("customresourceconfig", custom)].map(|(k, v)| (k.to_owned(), v.to_owned()));
        move |answer: &str| reloads(answer) == expected
    };
    until("both", telemetry, "/metrics", are("1", "1")).await;

    std::fs::write(&custom, "spec: [").expect("written");
    exporter.write(&config("podz"));
    // One may be noticed a moment before the other.
    exporter.says("custom.yaml: line ").await;
    let line = exporter.says("config.yaml:1: resources: unknown resource").await.to_string();
    assert!(line.contains("keeping the old one"), "{line}");
    until("neither", telemetry, "/metrics", are("0", "0")).await;
    // The config file is valid again, but cannot be applied alone.
    exporter.write(&config("nodes"));
    let line = exporter.says("keeping the old one").await.to_string();
    assert!(line.contains("custom.yaml: line "), "{line}");
    until("neither", telemetry, "/metrics", are("0", "0")).await;
    assert!(get(metrics, "/metrics").await.contains("kube_pod_info{"));
    std::fs::write(&custom, CUSTOM.replace("each:", "eech: {}, each:")).expect("written");
    exporter.says("did you mean each?").await;
    until("both", telemetry, "/metrics", are("1", "1")).await;
    until("nodes", metrics, "/metrics", |answer| answer.contains("kube_node_info{")).await;

    // The file that a changed config names is watched before it is in effect.
    let other = exporter.folder.path().join("other.yaml");
    std::fs::write(&other, "spec: [").expect("written");
    exporter.write(&config("pods").replace("custom.yaml", "other.yaml"));
    until("neither", telemetry, "/metrics", |answer| {
        reloads(answer).iter().filter(|(_, value)| value == "0").count() == 2
    })
    .await;
    std::fs::write(&other, CUSTOM).expect("written");
    until("both", telemetry, "/metrics", are("1", "1")).await;
    until("pods", metrics, "/metrics", |answer| answer.contains("kube_pod_info{")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_waits_for_both_files_at_the_start() {
    let simulator = cluster("a").await;
    let telemetry = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        free.local_addr().expect("it is bound")
    };
    let mut exporter = Exporter::start(|folder| {
        let (file, custom) = (folder.join("config.yaml"), folder.join("custom.yaml"));
        std::fs::write(&file, "resources: {podz: {}}\n").expect("written");
        std::fs::write(&custom, "spec: [").expect("written");
        let custom = format!("--custom-resource-state-config-file={}", custom.display());
        let apiserver = format!("--apiserver={}", simulator.url());
        vec![
            format!("--config={}", file.display()),
            custom,
            apiserver,
            format!("--telemetry-port={}", telemetry.port()),
        ]
    });
    for _ in 0..2 {
        exporter.says("serving nothing until it is fixed").await;
    }
    let neither = |answer: &str| {
        reloads(answer) == [("config", "0"), ("customresourceconfig", "0")].map(|(k, v)| (k.to_owned(), v.to_owned()))
    };
    until("neither", telemetry, "/metrics", neither).await;
    exporter.write("resources: {pods: {}}\n");
    let line = exporter.says("serving nothing until it is fixed").await.to_string();
    assert!(line.contains("custom.yaml"), "{line}");
    assert!(neither(&get(telemetry, "/metrics").await));
    std::fs::write(exporter.folder.path().join("custom.yaml"), CUSTOM).expect("written");
    let [metrics, _] = exporter.addresses().await;
    until("pods", metrics, "/metrics", |answer| answer.contains("kube_pod_info{")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kubeconfig_ends_the_process_or_keeps_it_from_stopping() {
    let simulator = cluster("a").await;
    let kubeconfig = |user: &str| {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: '{}'}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n",
            simulator.url()
        )
    };
    let mut exporter = Exporter::start(|folder| {
        let file = folder.join("config.yaml");
        std::fs::write(&file, kubeconfig("token: good")).expect("written");
        let file = format!("--kubeconfig={}", file.display());
        vec![file, "--resources=pods".to_owned(), "--telemetry-port=0".to_owned()]
    });
    let [metrics, telemetry] = exporter.addresses().await;
    until("readiness", telemetry, "/readyz", |answer| answer.starts_with("HTTP/1.1 200 ")).await;
    for (user, says) in [
        ("token: \"secret\\nb\"", "not a token"),
        ("as: \"secret\\n\"", "users.u.as"),
        ("exec: {command: cat, args: [/dev/zero]}", "wrote more than"),
        ("tokenFile: /dev/zero", "is a device"),
    ] {
        exporter.write(&kubeconfig(user));
        let line = exporter.says("reloading the kubeconfig failed").await.to_string();
        assert!(line.contains(says) && !line.contains("secret"), "{line}");
        assert!(get(metrics, "/metrics").await.contains("kube_pod_info{"));
    }
    exporter.write(&kubeconfig("token: better"));
    exporter.says("reloaded configuration").await;
    // A plugin that sleeps does not delay the end.
    exporter.write(&kubeconfig("exec: {command: sleep, args: ['1000']}"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let kill = Command::new("sh").args(["-c", &format!("kill -TERM {}", exporter.child.id())]).status();
    assert!(kill.expect("there is a shell").success());
    exporter.says("\"stopping\"").await;
    assert_eq!(exporter.child.wait().expect("it ends").code(), Some(0));
}

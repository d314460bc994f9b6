//! The samples of `docs/collectors.md`: each parses, finds pods instead of a Service, keeps the objects' labels, and selects what the
//! manifests deploy. The end-to-end case `collectors` runs some of them, `manifests` has an API server check others.

use std::collections::BTreeMap;

use serde_json::{Value, json};

const PAGE: &str = include_str!("../../docs/collectors.md");

/// Target labels that objects have too.
const OF_OBJECTS: [&str; 5] = ["namespace", "pod", "container", "node", "uid"];

/// The samples in YAML, by the name in their first line.
fn samples() -> BTreeMap<&'static str, Value> {
    let blocks = PAGE.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").expect("the block ends").0);
    let named = blocks.map(|block| {
        let first =
            block.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a block begins with its name");
        let name = first.split([':', ' ']).next().unwrap_or_default();
        (name, serde_saphyr::from_str(block).unwrap_or_else(|error| panic!("{name}: {error}")))
    });
    named.collect()
}

fn manifest(name: &str) -> Value {
    let file = format!("{}/manifests/base/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_saphyr::from_str(&std::fs::read_to_string(file).expect("it is there")).expect("YAML")
}

/// The labels of the pods in the manifests, and of the Service.
fn labels() -> BTreeMap<String, String> {
    let kustomization = manifest("kustomization.yaml");
    let own = manifest("statefulset.yaml")["spec"]["template"]["metadata"]["labels"].take();
    let shared = kustomization["labels"].as_array().into_iter().flatten().map(|labels| &labels["pairs"]);
    let all = shared.chain([&own]).filter_map(Value::as_object).flatten();
    all.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// Returns whether a selector, as text or as an object, selects the pods.
fn selects(selector: &Value) -> bool {
    let labels = labels();
    let has = |key: &str, value: &str| labels.get(key).is_some_and(|own| own == value);
    match selector {
        Value::String(text) => text.split_once('=').is_some_and(|(key, value)| has(key, value)),
        Value::Object(pairs) if !pairs.is_empty() => {
            pairs.iter().all(|(key, value)| value.as_str().is_some_and(|value| has(key, value)))
        }
        _ => false,
    }
}

/// Checks a scrape job of Prometheus' format.
#[track_caller]
fn check_job(job: &Value) {
    assert_eq!((&job["job_name"], &job["honor_labels"]), (&json!("kube-state-fleet"), &json!(true)));
    let discovery = &job["kubernetes_sd_configs"][0];
    assert_eq!(discovery["role"], "pod");
    assert_eq!(discovery["namespaces"]["names"], json!(["kube-state-fleet"]));
    assert!(selects(&discovery["selectors"][0]["label"]), "{discovery}");
    let rules = job["relabel_configs"].as_array().expect("rules");
    let port =
        json!({ "source_labels": ["__meta_kubernetes_pod_container_port_name"], "regex": "http", "action": "keep" });
    assert!(rules.contains(&port), "{rules:?}");
    for rule in rules {
        assert!(!OF_OBJECTS.iter().any(|label| rule["target_label"] == *label), "{rule}");
    }
}

/// Checks an endpoint of a monitor.
#[track_caller]
fn check_monitor(monitor: &Value, endpoints: &str) {
    assert!(selects(&monitor["spec"]["selector"]["matchLabels"]), "{monitor}");
    assert_eq!(monitor["spec"][endpoints].as_array().map(Vec::len), Some(1));
    let endpoint = &monitor["spec"][endpoints][0];
    assert_eq!((&endpoint["port"], &endpoint["honorLabels"]), (&json!("http"), &json!(true)));
    let ports = &manifest("statefulset.yaml")["spec"]["template"]["spec"]["containers"][0]["ports"];
    assert_eq!(ports[0], json!({ "name": "http", "containerPort": 8080 }));
}

#[test]
fn each_sample_of_the_page_reads_all_replicas_and_keeps_the_labels_of_objects() {
    let samples = samples();
    let mut checked = 0;
    for (name, sample) in &samples {
        checked += 1;
        match *name {
            "prometheus.yaml" => check_job(&sample["scrape_configs"][0]),
            "opentelemetry.yaml" => check_job(&sample["receivers"]["prometheus"]["config"]["scrape_configs"][0]),
            "azure-config-map.yaml" => {
                let text = sample["data"]["prometheus-config"].as_str().expect("text");
                let config: Value = serde_saphyr::from_str(text).expect("YAML in YAML");
                let mut job = config["scrape_configs"][0].clone();
                check_job(&job);
                for limit in ["label_limit", "label_name_length_limit", "label_value_length_limit"] {
                    job.as_object_mut().and_then(|job| job.remove(limit)).expect(limit);
                }
                assert_eq!(job, samples["prometheus.yaml"]["scrape_configs"][0], "besides the limits, the same");
            }
            "pod-monitor.yaml" | "azure-pod-monitor.yaml" | "vm-pod-scrape.yaml" => {
                check_monitor(sample, "podMetricsEndpoints");
            }
            "service-monitor.yaml" => check_monitor(sample, "endpoints"),
            "scrape-config.yaml" => {
                assert_eq!(sample["spec"]["honorLabels"], true);
                assert_eq!(sample["spec"]["dnsSDConfigs"][0]["port"], 8080);
            }
            "cluster-pod-monitoring.yaml" => {
                assert!(selects(&sample["spec"]["selector"]["matchLabels"]));
                assert_eq!(sample["spec"]["endpoints"][0]["port"], "http");
                assert_eq!(sample["spec"]["targetLabels"]["metadata"], json!([]));
            }
            "target-allocator.yaml" => {
                let selector = &sample["spec"]["targetAllocator"]["prometheusCR"]["podMonitorSelector"]["matchLabels"];
                assert_eq!(selector, &samples["pod-monitor.yaml"]["metadata"]["labels"]);
                assert_eq!(sample["spec"]["mode"], "statefulset");
                let [single, several] =
                    [&samples["opentelemetry.yaml"]["service"], &sample["spec"]["config"]["service"]];
                assert_eq!(single, several);
            }
            "adot.yaml" => {
                let pipeline = &samples["opentelemetry.yaml"]["service"]["pipelines"];
                assert_eq!(&sample["service"]["pipelines"], pipeline);
                let authenticator = &sample["exporters"]["prometheusremotewrite"]["auth"]["authenticator"];
                assert_eq!(&sample["service"]["extensions"], &json!([authenticator]));
                assert!(sample["extensions"][authenticator.as_str().expect("a name")].is_object());
            }
            "k8s-monitoring.yaml" => {
                let state = &sample["clusterMetrics"]["kube-state-metrics"];
                assert!(selects(&state["labelMatchers"]));
                assert_eq!(state["discoveryType"], "pod");
                assert!(state["extraDiscoveryRules"].as_str().is_some_and(|rule| rule.contains(r#"= "http""#)));
            }
            "new-relic.yaml" => {
                let config = &sample["ksm"]["config"];
                assert_eq!((&config["distributed"], &config["port"]), (&json!(true), &json!(8080)));
                assert!(selects(&config["selector"]));
            }
            "datadog.yaml" => {
                let container = &manifest("statefulset.yaml")["spec"]["template"]["spec"]["containers"][0]["name"];
                let key = format!("ad.datadoghq.com/{}.checks", container.as_str().expect("a name"));
                let text = sample["podAnnotations"][&key].as_str().expect("its annotation");
                let checks: Value = serde_json::from_str(text).expect("JSON");
                let endpoint = &checks["openmetrics"]["instances"][0]["openmetrics_endpoint"];
                assert_eq!(endpoint, "http://%%host%%:8080/metrics");
            }
            "prometheus-adapter.yaml" => {
                let query = sample["rules"]["custom"][0]["metricsQuery"].as_str().expect("a query");
                assert!(query.starts_with("max by"), "{query}");
            }
            "opencost.yaml" | "chart-values.yaml" => {}
            unknown => panic!("{unknown} is not checked"),
        }
    }
    assert_eq!(checked, 17);
    assert_eq!(PAGE.matches("```yaml\n").count(), checked, "two samples have the same name");
}

#[test]
fn the_sample_of_alloy_has_the_rules_of_the_other_jobs() {
    let (_, rest) = PAGE.split_once("```alloy\n").expect("a block");
    let (alloy, _) = rest.split_once("```").expect("it ends");
    let lines: Vec<String> = alloy.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let has = |line: &str| lines.iter().any(|own| own == line);
    for line in [
        "role = \"pod\"",
        "honor_labels = true",
        "enabled = true",
        "source_labels = [\"__meta_kubernetes_pod_container_port_name\"]",
        "regex = \"http\"",
    ] {
        assert!(has(line), "{line}");
    }
    let selector = lines.iter().find_map(|line| line.strip_prefix("label = ")).expect("a selector");
    assert!(selects(&json!(selector.trim_matches('"'))));
    assert_eq!(alloy.matches('{').count(), alloy.matches('}').count());
    // Each reference names a component of the sample.
    for component in ["discovery.kubernetes", "discovery.relabel"] {
        let label = format!("{component} \"kube_state_fleet\" {{");
        assert!(has(&label) && alloy.contains(&format!("{component}.kube_state_fleet.")), "{component}");
    }
}

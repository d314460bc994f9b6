//! Argument lists as kube-state-metrics is run with them.

use super::flags::{CUSTOM, CUSTOM_FILE, GZIP};
use super::*;

fn report(line: &[&str]) -> Vec<String> {
    let arguments =
        Migrate { manifest: None, values: None, arguments: line.iter().map(|word| (*word).to_owned()).collect() };
    let mut out = Vec::new();
    run(&arguments, &mut out).expect("it can be written");
    String::from_utf8(out).expect("UTF-8").lines().map(str::to_owned).collect()
}

fn is_complete(line: &[&str]) -> bool {
    let arguments =
        Migrate { manifest: None, values: None, arguments: line.iter().map(|word| (*word).to_owned()).collect() };
    run(&arguments, &mut io::sink()).expect("it can be written")
}

#[test]
fn the_report_is_empty_if_nothing_changes() {
    for line in [
        &[GZIP][..],
        &["--port=8080", "--resources=pods,nodes", "--enable-gzip-encoding=false"],
        &["/kube-state-metrics", "--port", "8080", "--telemetry-port", "8081", GZIP],
        &["--metric-labels-allowlist=pods=[*]", "--metric-allowlist=", "--namespaces=a,b", "-v=2", GZIP],
        &["--shard=0", "--total-shards=1", GZIP],
    ] {
        assert!(report(line).is_empty(), "{line:?}: {:?}", report(line));
        assert!(is_complete(line));
    }
}

#[test]
fn a_different_default_is_reported() {
    assert_eq!(
        report(&["--port=8080"]),
        ["--enable-gzip-encoding: on by default: responses are compressed for clients that accept gzip"]
    );
    assert!(is_complete(&["--port=8080"]), "it is not a problem");
}

#[test]
fn each_ignored_rejected_or_unknown_flag_is_reported_once() {
    for (line, expected, complete) in [
        (
            &["--auto-gomemlimit", "--auto-gomemlimit-ratio=0.8"][..],
            vec!["--auto-gomemlimit: no effect", "--auto-gomemlimit-ratio: no effect"],
            true,
        ),
        (&["--logtostderr=true", "--logtostderr=false"], vec!["--logtostderr: no effect"], true),
        (
            &["--resorces=pods"],
            vec!["--resorces: unknown, also to kube-state-metrics v2.20.0 (did you mean --resources?); rejected"],
            false,
        ),
        (&["--port=many"], vec!["--port: rejected: "], false),
        (
            &["--host", "example.com"],
            vec!["--host: rejected: \"example.com\" is not an IP address or localhost"],
            false,
        ),
        (&["--resources=podz"], vec!["--resources: rejected: unknown resource \"podz\"; did you mean pods?"], false),
        (&["--metric-allowlist=a", "--metric-denylist=b"], vec!["arguments: rejected: --metric-allowlist and"], false),
        (&["--shard=1", "--total-shards=3"], vec!["--total-shards: another hash assigns objects to shards"], true),
        (
            &["--track-unscheduled-pods"],
            vec!["--track-unscheduled-pods: serves other resources only if --resources names them"],
            true,
        ),
        (&["--node=a"], vec!["--node: selects only pods; served for the whole cluster: "], true),
        (&["--node=a", "--resources=pods"], vec![], true),
        (&["--pod=a-0", "--pod-namespace=b"], vec!["--pod: the replicas of the StatefulSet hand objects over"], true),
        (&["--pod=a-0"], vec!["--pod: the replicas", "arguments: rejected: --pod needs --pod-namespace"], false),
        (
            &["--promote-labels=pods=[app]"],
            vec!["--promote-labels: works here, but kube-state-metrics v2.20.0 does not"],
            true,
        ),
        (&["version"], vec!["version: not a flag"], false),
    ] {
        let line = [line, &[GZIP]].concat();
        let lines = report(&line);
        assert_eq!(lines.len(), expected.len(), "{line:?}: {lines:?}");
        for (change, expected) in lines.iter().zip(expected) {
            assert!(change.starts_with(expected), "{line:?}: {change}");
        }
        assert_eq!(is_complete(&line), complete, "{line:?}");
    }
}

#[test]
fn a_readable_config_file_is_checked() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let line = format!("--config={}", file.path().display());
    std::fs::write(file.path(), "enable_gzip_encoding: true\nresources: {podz: {}}\n").expect("written");
    let lines = report(&[&line]);
    assert!(lines.len() == 1 && lines[0].contains(":2: resources: unknown resource"), "{lines:?}");
    std::fs::write(file.path(), "enable_gzip_encoding: true\n").expect("written");
    assert!(report(&[&line]).is_empty());
}

/// The arguments of the upstream Helm chart 8.4.0.
#[test]
fn the_arguments_of_the_chart_are_accepted() {
    const RESOURCES: &str = "--resources=certificatesigningrequests,configmaps,cronjobs,daemonsets,deployments,endpointslices,\
        horizontalpodautoscalers,ingresses,jobs,leases,limitranges,mutatingwebhookconfigurations,namespaces,networkpolicies,nodes,\
        persistentvolumeclaims,persistentvolumes,poddisruptionbudgets,pods,replicasets,replicationcontrollers,resourcequotas,\
        secrets,services,statefulsets,storageclasses,validatingwebhookconfigurations,volumeattachments";
    for line in [
        &["--port=8080", RESOURCES][..],
        &["--port=8080", RESOURCES, "--pod=$(POD_NAME)", "--pod-namespace=$(POD_NAMESPACE)"],
        &["--port=8080", RESOURCES, "--metric-labels-allowlist=pods=[*]", "--metric-annotations-allowlist=pods=[*]"],
        &["--port=8080", RESOURCES, "--metric-allowlist=kube_pod_.+", "--namespaces=a,b", "--namespaces-denylist=c"],
        &["--host=127.0.0.1", "--port=9090", "--telemetry-host=127.0.0.1", "--telemetry-port=9091", RESOURCES],
        &["--port=8080", RESOURCES, "--kubeconfig=/opt/k8s/.kube/config"],
    ] {
        assert!(is_complete(line), "{line:?}: {:?}", report(line));
    }
}

/// Reports on a manifest, which is written to a file.
fn report_manifest(text: &str) -> (bool, Vec<String>) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    let arguments = Migrate { manifest: Some(file.path().to_owned()), values: None, arguments: Vec::new() };
    let mut out = Vec::new();
    let is_complete = run(&arguments, &mut out).expect("it can be written");
    (is_complete, String::from_utf8(out).expect("UTF-8").lines().map(str::to_owned).collect())
}

/// The objects of kube-state-metrics' chart with autosharding and custom resources: the config, the container's arguments, and more.
fn sharded(config: &str, arguments: &str, more: &str) -> String {
    format!(
        "apiVersion: v1
kind: ConfigMap
metadata: {{name: ksm-customresourcestate-config}}
data:
  config.yaml: |
    {}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: ksm}}
rules:
- {{apiGroups: [coordination.k8s.io], resources: [leases], verbs: [list, watch]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: ksm}}
spec:
  template:
    metadata: {{labels: {{app: ksm}}}}
    spec:
      containers:
      - name: kube-state-metrics
        args: [--pod=ksm-0, --pod-namespace=a, {GZIP}, {arguments}]
        volumeMounts: [{{name: config, mountPath: /etc/customresourcestate}}]
      volumes: [{{name: config, configMap: {{name: ksm-customresourcestate-config}}}}]
{more}",
        config.replace('\n', "\n    ")
    )
}

const CONFIG: &str = "kind: CustomResourceStateMetrics
spec:
  resources:
  - groupVersionKind: {group: example.com, kind: Thing, version: v1}
    metrics:
    - {name: size, help: Size., each: {type: Gauge, gauge: {path: [spec, size]}}}
";
const MOUNTED: &str = "--custom-resource-state-config-file=/etc/customresourcestate/config.yaml";

#[test]
fn the_custom_resources_of_a_mounted_config_map_are_read() {
    let (is_complete, lines) = report_manifest(&sharded(CONFIG, MOUNTED, ""));
    assert!(is_complete && !lines.iter().any(|line| line.starts_with(CUSTOM)), "{lines:?}");
    let (is_complete, lines) = report_manifest(&sharded(&CONFIG.replace("Gauge,", "Gouge,"), MOUNTED, ""));
    let fault = lines.iter().find(|line| line.starts_with(CUSTOM_FILE)).unwrap_or_else(|| panic!("{lines:?}"));
    assert!(!is_complete && fault.contains("Gouge"), "{fault}");
    // A file that nobody has is no reason to refuse, but is named.
    let elsewhere = MOUNTED.replace("/etc/customresourcestate/config.yaml", "/nowhere/other.yaml");
    let (is_complete, lines) = report_manifest(&sharded(CONFIG, &elsewhere, ""));
    assert!(
        is_complete
            && lines.contains(&format!(
                "{CUSTOM_FILE}: not checked: neither the manifest nor this machine has /nowhere/other.yaml"
            ))
    );
}

#[test]
fn what_a_fleet_needs_beside_its_container_is_named_where_it_lacks() {
    let hints = ["Role: ", "env: POD_IP: ", "terminationGracePeriodSeconds: 30: ", "Service ksm: "];
    let service =
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: ksm}\nspec: {clusterIP: None, selector: {app: ksm}}\n";
    let (is_complete, lines) = report_manifest(&sharded(CONFIG, MOUNTED, service));
    let named: Vec<_> = hints.iter().filter(|hint| lines.iter().any(|line| line.starts_with(**hint))).collect();
    assert_eq!(named.len(), hints.len(), "{lines:?}");
    assert!(is_complete && lines[0].contains("which needs permission to use Leases"), "{lines:?}");

    let role = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: ksm}\nrules:\n\
                - {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, list, watch, create, update, delete]}\n";
    let published = service.replace("None,", "None, publishNotReadyAddresses: true,");
    let whole = sharded(CONFIG, MOUNTED, &format!("{published}{role}"))
        .replace("      containers:", "      terminationGracePeriodSeconds: 180\n      containers:")
        .replace(
            "        volumeMounts:",
            "        env: [{name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]\n        volumeMounts:",
        );
    let (_, lines) = report_manifest(&whole);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(line.starts_with("--pod: the replicas of the StatefulSet hand objects over to each other. "), "{line}");
    assert!(line.contains("do not roll a new image over a sharded set"), "{line}");
    // A Service for other pods is none for these.
    for manifest in [whole.replace("selector: {app: ksm}", "selector: {app: other}"), sharded(CONFIG, MOUNTED, role)] {
        let (_, lines) = report_manifest(&manifest);
        assert!(
            lines.iter().any(|line| line.starts_with("Service: none in the manifest selects the pods")),
            "{lines:?}"
        );
    }
}

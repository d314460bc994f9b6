//! Argument lists as people run kube-state-metrics.

use super::*;

fn told(line: &[&str]) -> Vec<String> {
    let arguments = Migrate { manifest: None, arguments: line.iter().map(|word| (*word).to_owned()).collect() };
    let mut out = Vec::new();
    run(&arguments, &mut out).expect("it can be written");
    String::from_utf8(out).expect("UTF-8").lines().map(str::to_owned).collect()
}

fn is_well(line: &[&str]) -> bool {
    let arguments = Migrate { manifest: None, arguments: line.iter().map(|word| (*word).to_owned()).collect() };
    run(&arguments, &mut io::sink()).expect("it can be written")
}

const GZIP: &str = "--enable-gzip-encoding";

#[test]
fn where_nothing_changes_nothing_is_said() {
    for line in [
        &[GZIP][..],
        &["--port=8080", "--resources=pods,nodes", "--enable-gzip-encoding=false"],
        &["/kube-state-metrics", "--port", "8080", "--telemetry-port", "8081", GZIP],
        &["--metric-labels-allowlist=pods=[*]", "--metric-allowlist=", "--namespaces=a,b", "-v=2", GZIP],
        &["--shard=0", "--total-shards=1", GZIP],
    ] {
        assert!(told(line).is_empty(), "{line:?}: {:?}", told(line));
        assert!(is_well(line));
    }
}

#[test]
fn another_default_is_named() {
    assert_eq!(
        told(&["--port=8080"]),
        ["--enable-gzip-encoding: on unless it is turned off: answers are compressed for who accepts gzip"]
    );
    assert!(is_well(&["--port=8080"]), "it is no trouble");
}

#[test]
fn each_flag_that_is_ignored_refused_or_unknown_is_named_once() {
    for (line, expected, well) in [
        (
            &["--auto-gomemlimit", "--auto-gomemlimit-ratio=0.8"][..],
            vec!["--auto-gomemlimit: no effect", "--auto-gomemlimit-ratio: no effect"],
            true,
        ),
        (&["--logtostderr=true", "--logtostderr=false"], vec!["--logtostderr: no effect"], true),
        (
            &["--resorces=pods"],
            vec!["--resorces: kube-state-metrics v2.20.0 has no such flag (is --resources meant?); refused"],
            false,
        ),
        (&["--port=many"], vec!["--port: refused: "], false),
        (&["--host", "example.com"], vec!["--host: refused: \"example.com\" is not an IP address"], false),
        (&["--resources=podz"], vec!["--resources: refused: there is no resource \"podz\"; did you mean pods?"], false),
        (&["--metric-allowlist=a", "--metric-denylist=b"], vec!["arguments: refused: --metric-allowlist and"], false),
        (&["--shard=1", "--total-shards=3"], vec!["--total-shards: objects fall to shards by another hash"], true),
        (
            &["--track-unscheduled-pods"],
            vec!["--track-unscheduled-pods: namespaced resources other than pods are left out"],
            true,
        ),
        (&["--node=a"], vec!["--node: without --resources=pods"], true),
        (&["--pod=a-0", "--pod-namespace=b"], vec!["--pod: the replicas of the StatefulSet hand objects over"], true),
        (&["--pod=a-0"], vec!["--pod: the replicas", "arguments: refused: --pod needs --pod-namespace"], false),
        (
            &["--promote-labels=pods=[app]"],
            vec!["--promote-labels: works here, and kube-state-metrics v2.20.0 does not"],
            true,
        ),
        (&["version"], vec!["version: is no flag"], false),
    ] {
        let line = [line, &[GZIP]].concat();
        let told = told(&line);
        assert_eq!(told.len(), expected.len(), "{line:?}: {told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(expected), "{line:?}: {told}");
        }
        assert_eq!(is_well(&line), well, "{line:?}");
    }
}

#[test]
fn a_config_file_is_looked_into_where_it_can_be_read() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let line = format!("--config={}", file.path().display());
    std::fs::write(file.path(), "enable_gzip_encoding: true\nresources: {podz: {}}\n").expect("written");
    let told_of = told(&[&line]);
    assert!(told_of.len() == 1 && told_of[0].contains(":2: resources: there is no resource"), "{told_of:?}");
    std::fs::write(file.path(), "enable_gzip_encoding: true\n").expect("written");
    assert!(told(&[&line]).is_empty());
}

/// What the upstream Helm chart 8.4.0 passes.
#[test]
fn the_arguments_of_the_chart_are_understood() {
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
        assert!(is_well(line), "{line:?}: {:?}", told(line));
    }
}

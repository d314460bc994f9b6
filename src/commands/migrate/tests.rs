//! Argument lists as kube-state-metrics is run with them.

use super::*;

fn report(line: &[&str]) -> Vec<String> {
    let arguments = Migrate { manifest: None, arguments: line.iter().map(|word| (*word).to_owned()).collect() };
    let mut out = Vec::new();
    run(&arguments, &mut out).expect("it can be written");
    String::from_utf8(out).expect("UTF-8").lines().map(str::to_owned).collect()
}

fn is_complete(line: &[&str]) -> bool {
    let arguments = Migrate { manifest: None, arguments: line.iter().map(|word| (*word).to_owned()).collect() };
    run(&arguments, &mut io::sink()).expect("it can be written")
}

const GZIP: &str = "--enable-gzip-encoding";

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

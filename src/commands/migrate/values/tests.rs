//! Values files as users of both charts have them.

use super::*;

/// The values that a text becomes, and the remarks that are no notes.
fn migrated(text: &str) -> (Value, Vec<String>) {
    let migrated = migrate(text).expect("values");
    let printed: Value = serde_saphyr::from_str(&migrated.print("values.yaml")).expect("YAML");
    assert_eq!(printed, Value::Object(migrated.values.clone()), "the comments change nothing");
    let remarks = migrated.remarks.iter().filter(|remark| remark.kind != Kind::Note);
    (printed, remarks.map(|remark| format!("{:?} {}", remark.kind, remark.path)).collect())
}

#[test]
fn without_values_the_output_is_what_the_other_chart_does_by_default() {
    for text in ["", "{}", "# nothing\n"] {
        let (values, remarks) = migrated(text);
        let expected = json!({
            "autosharding": { "enabled": false },
            "replicas": 1,
            "nameOverride": "kube-state-metrics",
            "prometheusScrape": true,
            "networkPolicy": { "enabled": false },
        });
        assert_eq!(values, expected);
        assert_eq!(remarks, ["Decide image", "Decide autosharding", "Decide networkPolicy", "Decide resources"]);
    }
}

#[test]
fn values_of_the_same_name_stay() {
    let (values, remarks) = migrated(
        "autosharding: {enabled: true}\nreplicas: 5\nmetricLabelsAllowlist: [\"pods=[app]\"]\ncollectors: [pods]\n\
         networkPolicy: {enabled: true}\nresources: {limits: {memory: 1Gi}}\naffinity: |\n  a: {{ .Release.Name }}\n",
    );
    assert_eq!(remarks, ["Decide image"]);
    assert_eq!(values["replicas"], 5);
    assert_eq!(values["metricLabelsAllowlist"], json!(["pods=[app]"]));
    assert_eq!(values["affinity"], "a: {{ .Release.Name }}\n");
}

#[test]
fn the_image_of_kube_state_metrics_is_never_kept() {
    let (values, _) =
        migrated("image: {registry: registry.k8s.io, repository: kube-state-metrics/kube-state-metrics, tag: v2.20.0}");
    assert!(values.get("image").is_none(), "{values}");
    let (values, _) = migrated("image: {registry: mirror.example.com, repository: ksm, sha: abc, pullPolicy: Always}");
    assert_eq!(values["image"], json!({ "registry": "mirror.example.com", "pullPolicy": "Always" }));
    let (values, remarks) = migrated("image: {repository: r.example.com/kube-state-fleet, tag: v1}");
    assert_eq!(values["image"], json!({ "repository": "r.example.com/kube-state-fleet", "tag": "v1" }));
    assert!(!remarks.contains(&"Decide image".to_owned()));
}

#[test]
fn refused_values_are_left_out_and_named() {
    for (text, path) in [
        ("kubeRBACProxy: {enabled: true, port: 1}", "kubeRBACProxy.enabled"),
        ("verticalPodAutoscaler: {enabled: true}", "verticalPodAutoscaler.enabled"),
        ("podSecurityPolicy: {enabled: true}", "podSecurityPolicy.enabled"),
        ("replicas: 2", "replicas"),
        ("colectors: [pods]", "colectors"),
        ("collectors: [verticalpodautoscalers]", "collectors"),
        ("livenessProbe: {httpGet: {path: /}}", "livenessProbe.httpGet.path"),
        ("autosharding: {enabled: true}\nservice: {type: NodePort, nodePort: 30000}", "service.nodePort"),
        ("autosharding: {enabled: true}\nservice: {clusterIP: 10.0.0.1}", "service.clusterIP"),
        ("autosharding: {enabled: true}\nupdateStrategy: {type: Recreate}", "updateStrategy"),
        ("prometheus: {monitor: {enabled: true}, scrapeconfig: {enabled: true}}", "prometheus.scrapeconfig.enabled"),
    ] {
        let result = migrate(text).expect("values");
        assert!(!result.is_complete(), "{text}");
        let named = result.remarks.iter().any(|remark| remark.kind == Kind::Refused && remark.path == path);
        assert!(named, "{text}: {:?}", result.remarks);
        assert!(schema::faults(&Value::Object(result.values.clone())).is_empty(), "{text}");
        assert!(!is_true(result.get(path)) || path == "replicas", "{text}: {:?}", result.values);
    }
}

#[test]
fn a_narrow_permission_is_never_widened() {
    let (values, remarks) = migrated("rbac: {useClusterRole: false}");
    assert_eq!(values["rbac"]["useClusterRole"], false);
    assert!(remarks.contains(&"Refused rbac.useClusterRole".to_owned()), "{remarks:?}");
    let (values, remarks) = migrated("rbac: {useClusterRole: false}\nnamespaces: a\nauthFilter: {enabled: true}");
    assert_eq!((&values["rbac"]["useClusterRole"], &values["authFilter"]["enabled"]), (&json!(false), &json!(true)));
    assert!(remarks.contains(&"Refused authFilter.enabled".to_owned()), "{remarks:?}");
}

#[test]
fn flags_in_extra_args_are_judged_as_on_a_command_line() {
    let result = migrate("extraArgs: [--auto-gomemlimit, --metric-alowlist=a]").expect("values");
    let texts: Vec<_> =
        result.remarks.iter().filter(|remark| remark.path == "extraArgs").map(|r| (r.kind, &*r.text)).collect();
    let [(Kind::Note, first), (Kind::Refused, second)] = &texts[..] else { panic!("{texts:?}") };
    assert!(first.starts_with("--auto-gomemlimit: no effect"), "{first}");
    assert!(second.contains("did you mean --metric-allowlist?"), "{second}");
}

#[test]
fn the_values_of_the_stack_are_those_of_its_sub_chart() {
    let (values, remarks) = migrated(
        "grafana: {enabled: false}\nkubeStateMetrics: {enabled: true}\nglobal: {imageRegistry: r.example.com}\n\
         kube-state-metrics:\n  releaseLabel: true\n  collectors: [pods]\n  prometheus: {monitor: {interval: 1m}}\n",
    );
    assert_eq!(values["collectors"], json!(["pods"]));
    assert_eq!(values["global"], json!({ "imageRegistry": "r.example.com" }));
    assert_eq!(values["prometheus"]["monitor"], json!({ "enabled": true, "interval": "1m" }));
    assert_eq!((&values["prometheusScrape"], values.get("releaseLabel")), (&json!(false), None));
    assert!(values.get("grafana").is_none());
    assert_eq!(remarks[0], "Decide prometheus.monitor.additionalLabels");
    for text in ["kube-state-metrics: {}", "crds: {enabled: false}", "prometheus: {prometheusSpec: {replicas: 2}}"] {
        let (values, _) = migrated(text);
        assert_eq!((&values["replicas"], &values["prometheusScrape"]), (&json!(1), &json!(false)), "{text}");
    }
    let (values, _) = migrated("kube-state-metrics: {}");
    assert_eq!(values["prometheus"]["monitor"]["enabled"], true);
}

#[test]
fn values_of_kube_state_metrics_are_kept_although_the_stack_has_keys_of_the_same_name() {
    let text = "kubeTargetVersionOverride: \"\"\nreplicas: 2\nautosharding: {enabled: true}\n\
                metricLabelsAllowlist: [\"pods=[*]\"]\nprometheus: {monitor: {enabled: true}}\n";
    let (values, remarks) = migrated(text);
    assert_eq!((&values["replicas"], &values["autosharding"]), (&json!(2), &json!({ "enabled": true })));
    assert_eq!(values["metricLabelsAllowlist"], json!(["pods=[*]"]));
    assert!(values.get("kubeTargetVersionOverride").is_none());
    assert!(!remarks.iter().any(|remark| remark.starts_with("Refused")), "{remarks:?}");
    let printed = migrate(text).expect("values").print("a");
    let second = printed.lines().nth(1).expect("two lines");
    assert_eq!(second, "# Read as values of kube-state-metrics' chart: they have autosharding.");

    // Helm ignores a key of the stack in values of kube-state-metrics, but the reader may have mixed up two files.
    let (values, remarks) = migrated("grafana: {enabled: true}\nreplicas: 1\ncollectors: [pods]\n");
    assert_eq!(values["collectors"], json!(["pods"]));
    assert!(remarks.contains(&"Refused grafana".to_owned()), "{remarks:?}");
}

#[test]
fn values_of_kube_state_metrics_at_the_top_of_the_stack_are_named() {
    let text = "grafana: {}\nkube-state-metrics: {collectors: [pods]}\nmetricLabelsAllowlist: [\"pods=[*]\"]\n";
    let result = migrate(text).expect("values");
    assert_eq!((result.is_complete(), &result.values["collectors"]), (false, &json!(["pods"])));
    let printed = result.print("a");
    assert!(
        printed.contains("\n# Read as values of kube-prometheus-stack: they have kube-state-metrics.\n"),
        "{printed}"
    );
    assert!(printed.contains("\n# REFUSED: metricLabelsAllowlist: kube-prometheus-stack ignores it here"), "{printed}");
    assert!(migrate("grafana: {}\nnodeExporter: {}\n").expect("values").is_complete());
    assert!(!migrate("kube-state-metrics: [pods]\n").expect("values").is_complete());
}

#[test]
fn collectors_that_the_program_has_not_are_left_out() {
    let (values, remarks) = migrated("collectors: [pods, verticalpodautoscalers, nodes]\ncollectorsExclude: [jobs]\n");
    assert_eq!((&values["collectors"], &values["collectorsExclude"]), (&json!(["pods", "nodes"]), &json!(["jobs"])));
    assert_eq!(remarks.iter().filter(|remark| remark.starts_with("Refused")).count(), 1, "{remarks:?}");
}

#[test]
fn what_is_no_values_file_is_an_error() {
    for (text, said) in [("[1]", "not the values"), ("text", "not the values"), ("a: [", ""), ("a: 1\na: 2", "")] {
        let error = migrate(text).expect_err(text).to_string();
        assert!(error.contains(said) && !error.contains('\n'), "{text}: {error}");
    }
}

#[test]
fn names_from_the_file_cannot_end_a_comment() {
    let result = migrate("\"evil\\nreplicas\": 3\n").expect("values");
    let printed = result.print("a\nb.yaml");
    let values: Value = serde_saphyr::from_str(&printed).expect("YAML");
    assert_eq!(values["replicas"], 1, "{printed}");
    assert!(printed.starts_with("# Values of kube-state-fleet's chart, from a\\nb.yaml.\n"), "{printed}");
}

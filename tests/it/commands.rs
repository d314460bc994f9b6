//! The command line of the binary: output, errors and exit codes.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use kube_state_fleet::commands;
use tempfile::NamedTempFile;

/// Exit code, stdout and stderr of a command line.
fn execute(line: &[&str]) -> (ExitCode, String, String) {
    let args = std::iter::once("kube-state-fleet").chain(line.iter().copied()).map(OsString::from);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = commands::execute(args, &mut out, &mut err);
    (code, String::from_utf8(out).expect("UTF-8"), String::from_utf8(err).expect("UTF-8"))
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("room for a file");
    file
}

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().expect("UTF-8")
}

/// The series of a family that `render` prints for `text`, sorted.
fn series(family: &str, flags: &[&str], text: &str) -> Vec<String> {
    let file = file(text);
    let (code, out, err) = execute(&[&["render"], flags, &[path(&file)]].concat());
    assert_eq!(code, ExitCode::SUCCESS, "{err}");
    let mut series: Vec<_> =
        out.lines().filter(|l| l.strip_prefix(family).is_some_and(|l| l.starts_with('{'))).map(str::to_owned).collect();
    series.sort();
    series
}

fn config_map(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  namespace: {namespace}\n  name: \"{name}\"\n  uid: {namespace}-{name}\n---\n"
    )
}

const INFO: &str = "kube_configmap_info";

#[test]
fn an_invalid_command_line_prints_one_line_that_names_the_flag_and_exits_with_2() {
    for (line, words) in [
        (["--unheard-of"].as_slice(), ["--unheard-of"].as_slice()),
        (&["--port=65536"], &["--port", "65536"]),
        (&["--port"], &["--port"]),
        (&["--total-shards=two"], &["--total-shards", "two"]),
        (&["run", "--enable-gzip-encoding=maybe"], &["--enable-gzip-encoding", "maybe"]),
        (&["--log-format=xml"], &["--log-format", "xml", "json"]),
        (&["rendre"], &["rendre", "render"]),
        (&["render"], &["FILE"]),
        (&["docs"], &["families", "rbac"]),
        (&["docs", "rbac", "--resources=nothing"], &["--resources", "nothing"]),
        (&["render", "--resources=configmap", "-"], &["--resources", "\"configmap\"", "configmaps"]),
        (&["render", "--metric-denylist=(", "-"], &["--metric-denylist"]),
        (&["render", "--metric-labels-allowlist=configmaps", "-"], &["--metric-labels-allowlist"]),
        (&["--port=1", "run", "--telemetry-port=1"], &["--port", "--telemetry-port"]),
        (&["--shard=2", "run", "--total-shards=2"], &["--shard", "--total-shards"]),
    ] {
        let (code, out, err) = execute(line);
        assert_eq!((code, out.as_str()), (ExitCode::from(2), ""), "{line:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{line:?}: {err}");
        for word in words {
            assert!(err.contains(word), "{line:?}: {err:?} does not say {word:?}");
        }
    }
}

#[test]
fn help_and_version_are_printed_on_request() {
    for line in [["--help"].as_slice(), &["-h"], &["run", "--help"], &["render", "--help"]] {
        let (code, out, err) = execute(line);
        assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""));
        assert!(out.contains("Usage: kube-state-fleet") && out.contains("--resources"), "{out}");
    }
    for line in [["--version"], ["version"]] {
        assert!(execute(&line).1.starts_with(concat!("kube-state-fleet ", env!("CARGO_PKG_VERSION"))));
    }
}

#[test]
fn completions_know_commands_and_flags() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, err) = execute(&["completion", shell]);
        assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""));
        for word in ["verify", "metric-labels-allowlist", "server-side-sharding"] {
            assert!(out.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(execute(&["completion", "tcsh"]).0, ExitCode::from(2));
}

#[test]
fn every_command_has_a_manual_page() {
    let directory = tempfile::tempdir().expect("a directory");
    let (code, out, err) = execute(&["docs", "man", directory.path().to_str().expect("UTF-8")]);
    assert_eq!((code, out.as_str(), err.as_str()), (ExitCode::SUCCESS, "", ""));
    let page = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect("a page");
    assert!(page("kube-state-fleet.1").contains("kube\\-state\\-fleet\\-verify(1)"));
    assert!(page("kube-state-fleet-status.1").contains("\\-\\-fleet\\-namespace"));
    let (code, _, err) = execute(&["docs", "man", "/does/not/exist"]);
    assert_ne!(code, ExitCode::SUCCESS);
    assert!(err.contains("/does/not/exist"), "{err}");
}

/// kubectl starts the program as `kubectl-ksf`.
#[test]
fn the_plugin_names_itself_as_users_call_it_and_requires_a_command() {
    let run = |line: &[&str]| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let args = std::iter::once("/home/u/.krew/bin/kubectl-ksf").chain(line.iter().copied()).map(OsString::from);
        let code = commands::execute(args, &mut out, &mut err);
        (code, String::from_utf8(out).expect("UTF-8"), String::from_utf8(err).expect("UTF-8"))
    };
    for command in ["status", "verify", "estimate"] {
        let (code, out, _) = run(&[command, "--help"]);
        assert_eq!(code, ExitCode::SUCCESS);
        assert!(out.contains(&format!("Usage: kubectl ksf {command}")), "{out}");
    }
    let (code, out, err) = run(&[]);
    assert_eq!((code, out.as_str()), (ExitCode::from(2), ""));
    assert!(err.contains("requires a subcommand") && err.contains("status"), "{err}");
}

#[test]
fn sharding_flags_do_not_affect_render() {
    let dump = config_map("a", "one");
    for flags in [[].as_slice(), &["--shard=1", "--total-shards=2"], &["--shard=7"]] {
        assert_eq!(series(INFO, flags, &dump), ["kube_configmap_info{namespace=\"a\",configmap=\"one\"} 1"]);
    }
}

#[test]
fn flags_apply_before_and_after_the_command() {
    let dump = file(&(config_map("a", "one") + &config_map("b", "two")));
    for line in [
        ["--namespaces=a", "render", path(&dump)],
        ["render", "--namespaces=a", path(&dump)],
        ["render", path(&dump), "--namespaces=a"],
    ] {
        let (_, out, _) = execute(&line);
        assert!(out.contains("configmap=\"one\"") && !out.contains("configmap=\"two\""), "{line:?}: {out}");
    }
}

#[test]
fn namespaces_and_limit_select_the_objects_of_the_api_server() {
    let dump: String = ["a", "b"].iter().flat_map(|n| ["1", "2", "3"].map(|name| config_map(n, name))).collect();
    let names = |flags: &[&str]| -> Vec<String> {
        let namespace_and_name = |s: String| s.split('"').skip(1).step_by(2).take(2).collect::<Vec<_>>().join("/");
        series(INFO, flags, &dump).into_iter().map(namespace_and_name).collect()
    };
    assert_eq!(names(&["--namespaces=a"]), ["a/1", "a/2", "a/3"]);
    assert_eq!(names(&["--namespaces-denylist=a"]), ["b/1", "b/2", "b/3"]);
    assert!(names(&["--namespaces=a", "--namespaces-denylist=a"]).is_empty());
    assert_eq!(names(&["--object-limit=4"]), ["a/1", "a/2", "a/3", "b/1"]);
    assert_eq!(names(&["--object-limit=2", "--namespaces=a,b"]), ["a/1", "a/2", "b/1", "b/2"]);
    assert_eq!(names(&["--object-limit=2", "--namespaces-denylist=a"]), ["b/1", "b/2"]);
}

#[test]
fn selectors_select_the_objects_of_the_api_server() {
    let pod = |name: &str, labels: &str, spec: &str, phase: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{namespace: a, name: {name}, labels: {{{labels}}}}}, spec: {{{spec}}}, \
             status: {{phase: {phase}}}}}\n"
        )
    };
    let dump = [
        pod("one", "app: web, tier: front", "nodeName: n1", "Running"),
        pod("two", "app: ci", "nodeName: n2, hostNetwork: true", "Running"),
        pod("three", "", "", "Pending"),
    ]
    .concat();
    let info = |flags: &[&str]| -> Vec<String> {
        let name = |s: String| s.split("pod=\"").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
        series("kube_pod_info", flags, &dump).into_iter().filter_map(name).collect()
    };
    assert_eq!(info(&["--resource-selector", "pods=app!=ci,services=app"]), ["one", "three"]);
    assert_eq!(info(&["--resource-selector", "pods=app in (web,ci),!tier"]), ["two"]);
    assert_eq!(info(&["--resource-selector", "services=app"]), ["one", "three", "two"]);
    assert_eq!(info(&["--resource-field-selector", "pods=spec.nodeName!=n1"]), ["three", "two"]);
    assert_eq!(info(&["--resource-field-selector", "pods=spec.hostNetwork=false,status.phase=Running"]), ["one"]);
    let both = ["--resource-selector=pods=app", "--resource-field-selector=pods=spec.nodeName!=n1"];
    assert_eq!(info(&both), ["two"]);
    assert_eq!(info(&["--resource-selector=pods=app", "--node=n1"]), ["one"]);
}

#[test]
fn the_namespaces_in_the_files_are_selected() {
    let namespace = |name: &str, team: &str| {
        format!("---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}, labels: {{team: {team}}}}}}}\n")
    };
    // They may come after their objects.
    let objects: String = ["a", "b", "c"].map(|name| config_map(name, "x")).concat();
    let dump = [objects, namespace("a", "one"), namespace("b", "two"), namespace("d", "one")].concat();
    let names = |flags: &[&str]| -> Vec<String> {
        let namespace = |s: String| s.split('"').nth(1).map(str::to_owned);
        series(INFO, flags, &dump).into_iter().filter_map(namespace).collect()
    };
    assert_eq!(names(&[]), ["a", "b", "c"]);
    assert_eq!(names(&["--namespace-selector=team=one"]), ["a"]);
    assert_eq!(names(&["--namespace-selector", "team in (one,two)"]), ["a", "b"]);
    assert_eq!(names(&["--namespace-selector=team", "--namespaces=b,c"]), ["b"]);
    assert_eq!(names(&["--namespace-selector=team", "--namespaces-denylist=b,c"]), ["a"]);
    assert!(names(&["--namespace-selector=team=three"]).is_empty());
}

#[test]
fn unknown_kinds_are_counted_and_do_not_fail() {
    let dump = "apiVersion: example.com/v1\nkind: Widget\n---\napiVersion: example.com/v1\nkind: Widget\n---\napiVersion: v2\nkind: ConfigMap\n";
    let dump = file(dump);
    let (code, _, err) = execute(&["render", path(&dump)]);
    assert_eq!(code, ExitCode::SUCCESS);
    assert!(err.contains("2 Widget (example.com/v1)") && err.contains("1 ConfigMap (v2)"), "{err}");
}

/// The lines that `render` prints to stderr for a custom-resource config and objects.
fn remarks(config: &str, objects: &str) -> Vec<String> {
    let (config, objects) = (file(config), file(objects));
    let flag = format!("--custom-resource-state-config-file={}", path(&config));
    let (code, _, err) = execute(&["render", &flag, path(&objects)]);
    assert_eq!(code, ExitCode::SUCCESS, "{err}");
    err.lines().map(|line| line.replace(path(&config), "CONFIG").replacen("kube-state-fleet: ", "", 1)).collect()
}

/// Metrics of the kind `Database.v1.example.com`.
fn databases(metrics: &str) -> String {
    format!(
        "spec:\n  resources:\n  - groupVersionKind: {{group: example.com, version: v1, kind: Database}}\n    metrics:\n{metrics}"
    )
}

const DATABASES: &str = "\
apiVersion: example.com/v1
kind: Database
metadata: {name: main, namespace: shop, labels: {a: b}}
spec: {size: 3, ports: [80, 443]}
status: {phase: Ready, conditions: [{type: Ready, status: 'True'}, {type: Synced, status: 'False'}]}
---
apiVersion: example.com/v1
kind: Database
metadata: {name: new, namespace: shop}
";

#[test]
fn a_path_through_a_list_is_named() {
    let lost = |list: &str, path: &str| {
        format!(
            "[{list}] is a list, so [{path}] leads nowhere; select an item by its index or as \"[key=value]\", or end the path of the \
             metric at the list"
        )
    };
    for (metric, expected) in [
        (
            "{name: a, each: {type: Info, info: {path: [status, conditions, type], labelsFromPath: {x: []}}}}",
            lost("status, conditions", "status, conditions, type"),
        ),
        (
            "{name: a, each: {type: StateSet, stateSet: {path: [status, conditions, type], labelName: x, list: [Ready]}}}",
            lost("status, conditions", "status, conditions, type"),
        ),
        (
            "{name: a, each: {type: Gauge, gauge: {path: [spec, size], nilIsZero: true}}, labelsFromPath: {x: [spec, ports, first]}}",
            lost("spec, ports", "spec, ports, first").replace("[spec, ports] is", "label x: [spec, ports] is"),
        ),
        (
            "{name: a, each: {type: Gauge, gauge: {path: [spec, size], nilIsZero: true}}, labelsFromPath: {x: [spec, ports]}}",
            "label x: [spec, ports] is a list; a label shows it as Go prints it".to_owned(),
        ),
        (
            "{name: a, each: {type: Info, info: {path: [status], labelsFromPath: {p: [phase], c: [conditions, type]}}}}",
            format!("label c: {}", lost("conditions", "conditions, type")),
        ),
        (
            "{name: a, each: {type: Info, info: {path: [metadata], labelsFromPath: {n: [name]}}}, labelsFromPath: {'x_*': [spec, ports]}}",
            "[spec, ports] is a list; only a map can be copied to labels".to_owned(),
        ),
    ] {
        assert_eq!(
            remarks(&databases(&format!("    - {metric}\n")), DATABASES),
            [format!("1 object: kube_customresource_a: {expected}")],
            "{metric}"
        );
    }
}

#[test]
fn an_info_without_labels_is_named() {
    for info in ["{path: [metadata]}", "{}", "{path: [spec], labelsFromPath: {x: [sise]}}"] {
        let config = databases(&format!("    - {{name: a, each: {{type: Info, info: {info}}}}}\n"));
        assert_eq!(
            remarks(&config, DATABASES),
            ["kube_customresource_a: no series: an Info needs a label, from labelsFromPath or labelFromKey"],
            "{info}"
        );
    }
}

#[test]
fn an_entry_whose_kind_is_not_in_the_input_is_named() {
    let entry = |gvk: &str| format!("spec:\n  resources:\n  - groupVersionKind: {gvk}\n");
    for (gvk, expected) in [
        ("{group: example.org, version: v1, kind: Queue}", "the input has no object of Queue.v1.example.org"),
        (
            "{group: example.com, version: v2, kind: Database}",
            "the input has no object of Database.v2.example.com, but of Database.v1.example.com",
        ),
        (
            "{group: example.com, kind: database}",
            "the input has no object of database.*.example.com, but of Database.v1.example.com",
        ),
        (
            "{group: apps, version: v1, kind: Deployment}",
            "Deployment.v1.apps is built in; entries for it need --custom-resource-state-all-kinds",
        ),
    ] {
        let remarks = remarks(&entry(gvk), DATABASES);
        assert!(remarks.contains(&format!("CONFIG: line 3: {expected}")), "{remarks:?}");
    }
}

#[test]
fn a_config_without_mistakes_causes_no_remarks() {
    let config = databases(
        "    - {name: a, each: {type: Gauge, gauge: {path: [spec, ports]}}}
    - {name: b, each: {type: Gauge, gauge: {path: [status, conditions], labelsFromPath: {type: [type]}, valueFrom: [status], nilIsZero: true}}}
    - {name: c, each: {type: Info, info: {path: [status, conditions], labelsFromPath: {type: [type]}}}}
    - {name: d, each: {type: Info, info: {path: [status, '[type=Ready]'], labelsFromPath: {phase: [status]}}}}
    - {name: e, each: {type: Info, info: {path: [spec, ports, '0'], labelsFromPath: {port: []}}}}
    - {name: f, each: {type: StateSet, stateSet: {path: [status, phase], labelName: phase, list: [Ready]}}}
    - {name: g, each: {type: Info, info: {labelsFromPath: {phase: [status, phase]}}}, labelsFromPath: {'x_*': [metadata, labels]}}
",
    );
    // The second object has neither ports nor conditions, as a new one.
    let all = remarks(&config, DATABASES);
    let unexpected: Vec<_> = all.iter().filter(|remark| !remark.contains("no value")).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

#[test]
fn promoted_labels_are_on_every_series_of_their_object_exactly_once() {
    let dump = "\
apiVersion: v1
kind: Namespace
metadata:
  name: a
  creationTimestamp: 2026-01-01T00:00:00Z
  labels: {team: core, a.b: one, a-b: two, tier: \"3\"}
status: {phase: Active}
---
apiVersion: storage.k8s.io/v1
kind: VolumeAttachment
metadata: {name: v, labels: {team: disks, tier: \"1\"}}
spec: {attacher: x, nodeName: n, source: {persistentVolumeName: p}}
";
    let promoted = "--promote-labels=namespaces=[team,a.b],volumeattachments=[team]";
    let of = |family: &str, flags: &[&str]| series(family, &[&[promoted], flags].concat(), dump);
    assert_eq!(
        of("kube_namespace_created", &[]),
        ["kube_namespace_created{namespace=\"a\",label_a_b=\"one\",label_team=\"core\"} 1.7672256e+09"]
    );
    assert_eq!(of("kube_namespace_labels", &[]), [""; 0]);
    // A label has the same name on all series of its object, and keeps its name in kube_*_labels.
    let allowed = "--metric-labels-allowlist=namespaces=[*]";
    assert_eq!(
        of("kube_namespace_labels", &[allowed]),
        [
            "kube_namespace_labels{namespace=\"a\",label_a_b_conflict2=\"one\",label_team=\"core\",label_a_b_conflict1=\"two\",label_tier=\"3\"} 1"
        ]
    );
    assert_eq!(of("kube_namespace_status_phase", &[allowed])[0].matches("label_a_b_conflict2=\"one\"").count(), 1);
    assert_eq!(
        of("kube_volumeattachment_labels", &[]),
        ["kube_volumeattachment_labels{volumeattachment=\"v\",label_team=\"disks\",label_tier=\"1\"} 1"]
    );
}

/// The names are those of kube-state-metrics v2.20.0.
#[test]
fn keys_with_the_same_label_name_are_numbered_until_all_names_differ() {
    let dump = r#"
apiVersion: v1
kind: Pod
metadata:
  name: p
  namespace: d
  uid: u1
  labels: &odd
    tier-a: one
    tier.a: two
    tier_a_conflict1: three
    x.y: four
    x-y: five
    x_y_conflict2: six
  annotations: *odd
spec: {nodeSelector: *odd}
---
apiVersion: storage.k8s.io/v1
kind: VolumeAttachment
metadata: {name: v, labels: *odd}
spec: {attacher: x, nodeName: n, source: {persistentVolumeName: p}}
status: {attached: true, attachmentMetadata: *odd}
"#;
    // Aliases end with their document.
    let odd = "{tier-a: one, tier.a: two, tier_a_conflict1: three, x.y: four, x-y: five, x_y_conflict2: six}";
    let (pod, volume) = dump.split_once("---").expect("two documents");
    let dump = format!("{pod}---{}", volume.replace("*odd", odd));
    let named = |prefix: &str| {
        [
            ("tier_a_conflict1_conflict1", "one"),
            ("tier_a_conflict2", "two"),
            ("tier_a_conflict1_conflict2", "three"),
            ("x_y_conflict1", "five"),
            ("x_y_conflict2_conflict1", "four"),
            ("x_y_conflict2_conflict2", "six"),
        ]
        .map(|(name, value)| format!("{prefix}_{name}=\"{value}\""))
        .join(",")
    };
    let allowed = [
        "--metric-labels-allowlist=pods=[*]",
        "--metric-annotations-allowlist=pods=[*]",
        "--metric-opt-in-list=kube_pod_nodeselectors",
    ];
    for (family, identity, prefix) in [
        ("kube_pod_labels", "namespace=\"d\",pod=\"p\",uid=\"u1\"", "label"),
        ("kube_pod_annotations", "namespace=\"d\",pod=\"p\",uid=\"u1\"", "annotation"),
        ("kube_pod_nodeselectors", "namespace=\"d\",pod=\"p\",uid=\"u1\"", "nodeselector"),
        ("kube_volumeattachment_labels", "volumeattachment=\"v\"", "label"),
        ("kube_volumeattachment_status_attachment_metadata", "volumeattachment=\"v\"", "metadata"),
    ] {
        assert_eq!(series(family, &allowed, &dump), [format!("{family}{{{identity},{}}} 1", named(prefix))]);
    }
    let promoted = series("kube_pod_labels", &["--promote-labels=pods=[tier*]", allowed[0]], &dump);
    let created = series("kube_volumeattachment_info", &["--promote-labels=volumeattachments=[tier-a,x*]"], &dump);
    assert!(promoted[0].contains("uid=\"u1\",label_tier_a_conflict1_conflict1=\"one\""), "{promoted:?}");
    // kube_volumeattachment_labels has all labels, so the numbers count all keys.
    assert_eq!(
        created,
        ["kube_volumeattachment_info{volumeattachment=\"v\",label_tier_a_conflict1_conflict1=\"one\",\
          label_x_y_conflict1=\"five\",label_x_y_conflict2_conflict1=\"four\",label_x_y_conflict2_conflict2=\"six\",\
          attacher=\"x\",node=\"n\"} 1"]
    );
}

#[test]
fn metrics_of_an_autoscaler_with_the_same_name_have_series_of_their_own() {
    let dump = r#"
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: h, namespace: d, uid: u1}
spec:
  maxReplicas: 3
  scaleTargetRef: {kind: Deployment, name: web}
  metrics:
  - {type: External, external: {metric: {name: depth, selector: {matchLabels: {queue: a}}}, target: {type: AverageValue, averageValue: "30"}}}
  - {type: External, external: {metric: {name: depth, selector: {matchLabels: {queue: b}}}, target: {type: AverageValue, averageValue: "40"}}}
  - {type: External, external: {metric: {name: depth}, target: {type: Value, value: 1500m}}}
  - type: Pods
    pods:
      metric:
        name: depth
        selector: {matchLabels: {queue: a}, matchExpressions: [{key: path, operator: NotIn, values: [/b, /a]}]}
      target: {type: AverageValue, averageValue: 1k}
  - {type: Object, object: {metric: {name: hits}, describedObject: {apiVersion: networking.k8s.io/v1, kind: Ingress, name: one}, target: {type: Value, value: 2k}}}
  - {type: Object, object: {metric: {name: hits}, describedObject: {kind: Service, name: two}, target: {type: Value, value: "5"}}}
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}
  - {type: ContainerResource, containerResource: {name: cpu, container: app, target: {type: Utilization, averageUtilization: 60}}}
status:
  desiredReplicas: 2
  currentMetrics:
  - {type: External, external: {metric: {name: depth, selector: {matchLabels: {queue: a}}}, current: {averageValue: "7"}}}
  - {type: External, external: {metric: {name: depth, selector: {matchLabels: {queue: b}}}, current: {averageValue: "9", value: "18"}}}
  - {type: Object, object: {metric: {name: hits}, describedObject: {kind: Service, name: two}, current: {value: "4"}}}
  - {type: Resource, resource: {name: cpu, current: {averageUtilization: 70, averageValue: 35m}}}
  - {type: Pods}
"#;
    let of_upstream = |family: &str, of: &[&str]| {
        let line = |rest| format!("{family}{{namespace=\"d\",horizontalpodautoscaler=\"h\",metric_name={rest}");
        assert_eq!(series(family, &[], dump), of.iter().map(line).collect::<Vec<_>>());
    };
    of_upstream(
        "kube_horizontalpodautoscaler_spec_target_metric",
        &[
            r#""cpu",metric_target_type="utilization",container=""} 80"#,
            r#""cpu",metric_target_type="utilization",container="app"} 60"#,
            r#""depth",metric_target_type="average",container=""} 30"#,
            r#""depth",metric_target_type="value",container=""} 1.5"#,
            r#""hits",metric_target_type="value",container=""} 2000"#,
        ],
    );
    of_upstream(
        "kube_horizontalpodautoscaler_status_target_metric",
        &[
            r#""cpu",metric_target_type="average",container=""} 0.035"#,
            r#""cpu",metric_target_type="utilization",container=""} 70"#,
            r#""depth",metric_target_type="average",container=""} 7"#,
            r#""depth",metric_target_type="value",container=""} 18"#,
            r#""hits",metric_target_type="value",container=""} 4"#,
        ],
    );
    let of = |part: &str, expected: &[(&str, [&str; 7], &str)]| {
        let family = format!("kube_state_fleet_horizontalpodautoscaler_{part}_target_metric");
        assert_eq!(series(&family, &[], dump), [""; 0], "it is opt-in");
        let line = |(source, [name, selector, target, container, version, kind, object], value): &(_, [_; 7], _)| {
            format!(
                "{family}{{namespace=\"d\",horizontalpodautoscaler=\"h\",metric_source_type=\"{source}\",\
                 metric_name=\"{name}\",metric_selector=\"{selector}\",metric_target_type=\"{target}\",\
                 container=\"{container}\",describedobject_api_version=\"{version}\",describedobject_kind=\"{kind}\",\
                 describedobject_name=\"{object}\"}} {value}"
            )
        };
        let opt_in = format!("--metric-opt-in-list=^{family}$");
        assert_eq!(series(&family, &[&opt_in], dump), expected.iter().map(line).collect::<Vec<_>>());
    };
    of(
        "spec",
        &[
            ("ContainerResource", ["cpu", "", "utilization", "app", "", "", ""], "60"),
            ("External", ["depth", "", "value", "", "", "", ""], "1.5"),
            ("External", ["depth", "queue=a", "average", "", "", "", ""], "30"),
            ("External", ["depth", "queue=b", "average", "", "", "", ""], "40"),
            ("Object", ["hits", "", "value", "", "", "Service", "two"], "5"),
            ("Object", ["hits", "", "value", "", "networking.k8s.io/v1", "Ingress", "one"], "2000"),
            ("Pods", ["depth", "path notin (/a,/b),queue=a", "average", "", "", "", ""], "1000"),
            ("Resource", ["cpu", "", "utilization", "", "", "", ""], "80"),
        ],
    );
    of(
        "status",
        &[
            ("External", ["depth", "queue=a", "average", "", "", "", ""], "7"),
            ("External", ["depth", "queue=b", "average", "", "", "", ""], "9"),
            ("External", ["depth", "queue=b", "value", "", "", "", ""], "18"),
            ("Object", ["hits", "", "value", "", "", "Service", "two"], "4"),
            ("Resource", ["cpu", "", "average", "", "", "", ""], "0.035"),
            ("Resource", ["cpu", "", "utilization", "", "", "", ""], "70"),
        ],
    );
}

/// A field of an object may have any name.
#[test]
fn a_custom_resource_gets_no_label_that_prometheus_reserves() {
    let object = r#"{apiVersion: ex.io/v1, kind: A, metadata: {name: a}, spec: {n: 1,
        map: {__name__: evil, --name--: evil, __type__: x, le: "1", "": e, "9": d, a b: x, ä: y, customresource_kind: z, name: shadow},
        m2: {p: {__name__: q, k: r}}, list: [{x: ""}, {x: "", y: ""}, {x: ""}]}}"#;
    let config = file(
        r#"
spec:
  resources:
  - groupVersionKind: {group: ex.io, version: v1, kind: A}
    metricNamePrefix: x
    labelsFromPath: {name: [metadata, name], "*": [spec, map], "__*": [spec, map], __name__: [metadata, name]}
    commonLabels: {__name__: evil}
    metrics:
    - {name: n, each: {type: Gauge, gauge: {path: [spec, n]}}}
    - {name: i, each: {type: Info, info: {path: [spec, m2], labelFromKey: k, labelsFromPath: {"*": []}}}}
    - {name: l, each: {type: Info, info: {path: [spec, list], labelsFromPath: {"*": []}}}}
"#,
    );
    let flag = format!("--custom-resource-state-config-file={}", path(&config));
    let of = |family: &str| series(family, &["--custom-resource-state-only", &flag], object);
    let copied = "_=\"y\",_9=\"d\",__=\"e\",__9=\"d\",___=\"y\",____name__=\"evil\",____type__=\"x\",__a_b=\"x\",\
                  __customresource_kind=\"z\",__le=\"1\",__name=\"shadow\",a_b=\"x\",customresource_group=\"ex.io\",\
                  customresource_kind=\"z\",customresource_version=\"v1\",le=\"1\",name=\"a\"";
    assert_eq!(of("x_n"), [format!("x_n{{{copied}}} 1")]);
    assert_eq!(
        of("x_i"),
        [format!("x_i{{{copied},k=\"r\"}} 1"), format!("x_i{{{copied},p=\"map[__name__:q k:r]\"}} 1")]
    );
    // A label with an empty value is no label: all items are one series.
    assert_eq!(of("x_l"), [format!("x_l{{{copied},x=\"\"}} 1")]);
    let (_, _, err) = execute(&["render", &flag, path(&file(object))]);
    for (line, key) in [(6, "labelsFromPath"), (7, "commonLabels")] {
        let warning = format!(
            "line {line}: spec.resources[0].{key}.__name__: Prometheus reserves the label name __name__; the label is left out"
        );
        assert!(err.contains(&warning), "{warning} is not in {err}");
    }
}

#[test]
fn config_map_data_and_its_applied_copy_are_not_rendered() {
    let dump = "\
apiVersion: v1
kind: ConfigMap
data: {key: hidden-value}
metadata:
  name: a
  annotations:
    owner: me
    kubectl.kubernetes.io/last-applied-configuration: '{\"data\":{\"key\":\"hidden-value\"}}'
";
    let dump = file(dump);
    let (_, out, _) = execute(&["render", "--metric-annotations-allowlist=configmaps=[*]", path(&dump)]);
    assert!(
        out.contains("annotation_owner=\"me\"") && !out.contains("hidden-value") && !out.contains("last_applied"),
        "{out}"
    );
}

#[test]
fn objects_without_a_uid_are_distinct_and_repeated_ones_are_merged() {
    let one = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: x\n---\n";
    let other = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: y\n---\n";
    assert_eq!(series(INFO, &[], &format!("{one}{other}{one}")).len(), 2);
}

#[test]
fn an_error_names_the_file_with_document_and_line() {
    let dump = file(&format!("{}hello: world\n", config_map("a", "one")));
    let (code, out, err) = execute(&["render", path(&dump)]);
    assert_eq!((code, out.as_str()), (ExitCode::from(1), ""));
    assert!(err.contains(path(&dump)) && err.contains("document 2 (line 8)") && err.contains("apiVersion"), "{err}");
    let (code, _, err) = execute(&["render", "/nowhere/at/all"]);
    assert!(code == ExitCode::from(1) && err.contains("/nowhere/at/all"), "{err}");
}

#[test]
fn an_invalid_object_is_named_and_the_others_are_rendered() {
    let bad = "apiVersion: v1\nkind: ConfigMap\nmetadata: [x]\n";
    let dump = file(&format!("{}{bad}", config_map("a", "good")));
    let (code, out, err) = execute(&["render", path(&dump)]);
    assert_eq!(code, ExitCode::from(1));
    assert!(out.contains("configmap=\"good\"") && !out.contains("configmap=\"\""), "{out}");
    assert!(err.contains("document 2 (line 8): ConfigMap: "), "{err}");
}

#[test]
fn a_field_that_cannot_be_read_is_named_and_the_rest_of_the_object_is_rendered() {
    let part = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: part\n  namespace: a\n  labels: [x]\n  creationTimestamp: soon\n";
    let dump = file(part);
    let (code, out, err) = execute(&["render", path(&dump)]);
    assert_eq!(code, ExitCode::SUCCESS);
    assert!(out.contains("configmap=\"part\"") && !out.contains("kube_configmap_created{"), "{out}");
    let line = "document 1 (line 1): ConfigMap/a/part: fields that cannot be read: 2, the first is \"";
    assert!(err.contains(line), "{err}");
}

#[test]
fn text_that_is_not_unicode_and_numbers_out_of_range_cost_only_themselves() {
    let folder = tempfile::tempdir().expect("a folder");
    let dump = folder.path().join("dump.json");
    let text = b"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"labels\":{\"a\":\"x\\ud800y\",\"b\":\"\xff\xfe\"}},\
        \"spec\":{\"terminationGracePeriodSeconds\":1e999,\"nodeName\":\"n\"}}";
    std::fs::write(&dump, text).expect("written");
    let name = dump.to_str().expect("UTF-8");
    let (code, out, err) = execute(&["render", "--metric-labels-allowlist=pods=[*]", name]);
    assert_eq!(code, ExitCode::SUCCESS, "{err}");
    assert!(out.contains("label_a=\"x\u{fffd}y\",label_b=\"\u{fffd}\u{fffd}\"") && out.contains("node=\"n\""), "{out}");
    assert!(err.contains("characters that are not Unicode, replaced by U+FFFD: 3\n"), "{err}");
    // Another encoding of the whole file is an error.
    std::fs::write(&dump, b"\xff\xfe{\0}\0").expect("written");
    assert!(execute(&["render", name]).2.contains("not UTF-8"));
}

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kube-state-fleet"))
}

#[test]
fn standard_input_is_read_and_the_environment_does_not_shard() {
    let mut child = binary()
        .args(["render", "-"])
        .env("TOTAL_SHARDS", "2")
        .env("SHARD", "9")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(config_map("a", "one").as_bytes()).expect("the binary reads");
    drop(input);
    let output = child.wait_with_output().expect("the binary ends");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("configmap=\"one\""));
}

#[test]
fn a_reader_that_closes_early_is_not_a_failure() {
    // Far more than a pipe holds.
    let dump: String = (0..20_000).map(|i| config_map("a", &i.to_string())).collect();
    let dump = file(&dump);
    let mut child = binary()
        .args([Path::new("render"), dump.path()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut start = [0; 16];
    child.stdout.take().expect("a pipe").read_exact(&mut start).expect("some output");
    let output = child.wait_with_output().expect("the binary ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

//! Config files as users of kube-state-metrics write them.

use super::*;
use crate::settings::{Layers, LayersError, Settings, Warning};

fn parse(text: &str) -> Result<ConfigFile, ConfigError> {
    ConfigFile::parse(Path::new("/etc/config.yaml"), text)
}

fn resolve(text: &str, flags: &Flags) -> Result<(Settings, Vec<Warning>), LayersError> {
    Layers { flags: flags.clone(), ..Layers::default() }.with(&parse(text)?)
}

fn settings(text: &str) -> Settings {
    resolve(text, &Flags::default()).expect("it is valid").0
}

fn refusal(text: &str) -> String {
    resolve(text, &Flags::default())
        .expect_err("it is not valid")
        .to_string()
        .trim_start_matches("--config: ")
        .to_owned()
}

#[test]
fn values_may_have_the_forms_of_kube_state_metrics_or_simpler_ones() {
    for text in [
        "resources: {pods: {}, nodes: {}}",
        "resources:\n  pods:\n  nodes: {}\n",
        "resources: [nodes, pods]",
        "resources: nodes,pods",
    ] {
        assert_eq!(settings(text).live.resources, ["nodes", "pods"], "{text}");
    }
    for text in ["namespaces: [a, b]", "namespaces: a,b", "namespaces: {a: {}, b: {}}"] {
        assert_eq!(settings(text).live.namespaces, ["a", "b"], "{text}");
    }
    let by_map = settings("labels_allow_list: {pods: [app, 'example.com/*'], nodes: ['*'], services: []}").live.labels;
    let by_text = settings("labels_allow_list: 'pods=[app,example.com/*],nodes=[*],services=[]'").live.labels;
    assert_eq!(by_map, by_text);
    assert_eq!(by_map.len(), 3);
}

#[test]
fn every_kind_of_value_has_its_effect() {
    let text = "port: 9090\ntelemetry_host: 127.0.0.1\nenable_gzip_encoding: off\nobject_limit: 500\nnode: 7\nresources: [pods]\n\
                server_read_timeout: 90s\nserver_idle_timeout: 1000000000\nkubeconfig: /k\nmetric_denylist: {kube_pod_info: {}}\n";
    let settings = settings(text);
    assert_eq!(
        (settings.fixed.metrics.port, settings.live.object_limit, settings.live.enable_gzip_encoding),
        (9090, 500, false)
    );
    assert_eq!(settings.fixed.telemetry.host.to_string(), "127.0.0.1");
    assert_eq!(settings.live.nodes, ["7"]);
    let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs());
    assert_eq!([settings.fixed.timeouts.read, settings.fixed.timeouts.idle].map(seconds), [Some(90), Some(1)]);
    assert_eq!(settings.live.kubeconfig.as_deref(), Some(Path::new("/k")));
    assert!(!settings.live.families.is_enabled("kube_pod_info", false));
}

#[test]
fn the_file_overrides_flags_and_keeps_those_that_it_does_not_name() {
    let flags = Flags {
        resources: vec!["services".to_owned()],
        namespaces: vec!["a".to_owned()],
        port: Some(1),
        ..Flags::default()
    };
    let (settings, _) = resolve("resources: {pods: {}}\nport: 2\nnamespaces:\n", &flags).expect("it is valid");
    assert_eq!(
        (settings.live.resources, settings.fixed.metrics.port, settings.live.namespaces),
        (vec!["pods".to_owned()], 2, vec!["a".to_owned()])
    );
    for nothing in ["", "# nothing\n", "---\n", "{}\n"] {
        assert_eq!(resolve(nothing, &flags).expect("it is valid").0.live.resources, ["services"], "{nothing:?}");
    }
}

#[test]
fn errors_name_file_line_and_key() {
    for (text, expected) in [
        ("port: many", "/etc/config.yaml:1: port: expected a whole number from 0 to 65535"),
        ("\nport: 70000", "/etc/config.yaml:2: port: expected a whole number from 0 to 65535"),
        ("shard: -1", "/etc/config.yaml:1: shard: expected a whole number from 0 to 4294967295"),
        ("host: [a]", "/etc/config.yaml:1: host: expected text"),
        ("use_api_server_cache: maybe", "/etc/config.yaml:1: use_api_server_cache: expected true or false"),
        (
            "resources: {pods: [x]}",
            "/etc/config.yaml:1: resources: expected a list of names, or a map of them as in {pods: {}, nodes: {}}",
        ),
        (
            "labels_allow_list: {pods: {a: b}}",
            "/etc/config.yaml:1: labels_allow_list: expected a list of keys for \"pods\"",
        ),
        (
            "port: 1\n\nresources: {podz: {}}",
            "/etc/config.yaml:3: resources: unknown resource \"podz\"; did you mean pods?",
        ),
        ("host: nowhere", "/etc/config.yaml:1: host: \"nowhere\" is not an IP address or localhost"),
        (
            "metric_allowlist: {a: {}}\nmetric_denylist: {b: {}}",
            "/etc/config.yaml:1: metric_allowlist: --metric-allowlist and --metric-denylist cannot be combined; remove one of them",
        ),
        (
            "server_read_timeout: soon",
            "/etc/config.yaml:1: server_read_timeout: \"soon\" is not a duration from 0s to 24h; write it as 30s or 1m30s",
        ),
    ] {
        assert_eq!(refusal(text), expected, "{text}");
    }
    for text in ["resources: [pods", "port: 1\nport: 2", "- a\n- b\n", "just words"] {
        let error = refusal(text);
        assert!(error.starts_with("/etc/config.yaml:"), "{text}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn errors_in_the_file_of_custom_resources_name_that_file_which_may_be_optional() {
    let missing = "custom_resource_state_config_file: /does/not/exist\n";
    let error = resolve(missing, &Flags::default()).expect_err("the file does not exist");
    assert!(matches!(error, LayersError::Settings(_)), "{error}");
    let allowed = format!("{missing}continue_without_custom_resource_state_config_file: true\n");
    let (settings, warnings) = resolve(&allowed, &Flags::default()).expect("it may be missing");
    assert!(settings.live.custom.is_empty());
    assert_eq!(settings.live.custom_file.as_deref(), Some(Path::new("/does/not/exist")));
    assert!(matches!(&warnings[..], [Warning::WithoutFile { .. }]), "{warnings:?}");
    let inline = "port: 1\ncustom_resource_config: 'spec: {resources: [{}]}'\n";
    let error = refusal(inline);
    assert!(error.starts_with("/etc/config.yaml:2: custom_resource_config: "), "{error}");
}

#[test]
fn unknown_keys_are_reported_with_their_lines_and_the_keys_that_may_be_meant() {
    let warnings = |text: &str| -> Vec<String> {
        let (_, warnings) = resolve(text, &Flags::default()).expect("they are ignored");
        warnings.iter().map(Warning::to_string).collect()
    };
    assert_eq!(
        warnings("port: 1\nresource: {pods: {}}\nmetric_labels_allowlist: {}\n\"x\\ny\": 1\n"),
        [
            "/etc/config.yaml:2: resource: unknown key, ignored; did you mean resources?",
            "/etc/config.yaml:3: metric_labels_allowlist: unknown key, ignored; did you mean labels_allow_list?",
            "/etc/config.yaml:4: x\\ny: unknown key, ignored",
        ]
    );
    let many: String = (0..500).map(|number| format!("key{number}: 1\n")).collect();
    let warnings = warnings(&many);
    assert_eq!(warnings.len(), 21);
    assert_eq!(warnings[20], "/etc/config.yaml: 480 more unknown keys, ignored");
}

#[test]
fn every_key_belongs_to_a_flag_and_no_two_are_the_same() {
    use clap::Args;
    let command = Flags::augment_args(clap::Command::new("exporter"));
    let flags: BTreeSet<_> = command.get_arguments().filter_map(|a| a.get_long()).map(|l| format!("--{l}")).collect();
    for flag in FLAGS {
        assert!(flags.contains(flag.name), "{}", flag.name);
    }
    let names: BTreeSet<_> = keys().map(|(key, _)| key).collect();
    assert_eq!(names.len(), keys().count());
}

#[test]
fn a_missing_file_is_reported() {
    let error = ConfigFile::read(Path::new("/does/not/exist.yaml")).expect_err("the file does not exist");
    assert!(error.is_missing);
    assert!(error.to_string().starts_with("/does/not/exist.yaml: cannot be read: No such file"), "{error}");
}

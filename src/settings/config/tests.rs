//! Config files as users of kube-state-metrics have them.

use super::*;

fn parse(text: &str) -> Result<ConfigFile, ConfigError> {
    ConfigFile::parse(Path::new("/etc/config.yaml"), text)
}

fn resolve(text: &str, flags: &Flags) -> Result<(Settings, Vec<Warning>), LayersError> {
    parse(text)?.resolve(flags, &Environment::default(), || None)
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
fn the_forms_of_kube_state_metrics_are_read_and_simpler_ones_too() {
    for text in [
        "resources: {pods: {}, nodes: {}}",
        "resources:\n  pods:\n  nodes: {}\n",
        "resources: [nodes, pods]",
        "resources: nodes,pods",
    ] {
        assert_eq!(settings(text).resources, ["nodes", "pods"], "{text}");
    }
    for text in ["namespaces: [a, b]", "namespaces: a,b", "namespaces: {a: {}, b: {}}"] {
        assert_eq!(settings(text).namespaces, ["a", "b"], "{text}");
    }
    let by_map = settings("labels_allow_list: {pods: [app, 'example.com/*'], nodes: ['*'], services: []}").labels;
    let by_text = settings("labels_allow_list: 'pods=[app,example.com/*],nodes=[*],services=[]'").labels;
    assert_eq!(by_map, by_text);
    assert_eq!(by_map.len(), 3);
}

#[test]
fn every_kind_of_value_has_its_effect() {
    let text = "port: 9090\ntelemetry_host: 127.0.0.1\nenable_gzip_encoding: off\nobject_limit: 500\nnode: 7\nresources: [pods]\n\
                server_read_timeout: 90s\nserver_idle_timeout: 1000000000\nkubeconfig: /k\nmetric_denylist: {kube_pod_info: {}}\n";
    let settings = settings(text);
    assert_eq!((settings.metrics.port, settings.object_limit, settings.gzip), (9090, 500, false));
    assert_eq!(settings.telemetry.host.to_string(), "127.0.0.1");
    assert_eq!(settings.nodes, ["7"]);
    let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs());
    assert_eq!([settings.timeouts.read, settings.timeouts.idle].map(seconds), [Some(90), Some(1)]);
    assert_eq!(settings.kubeconfig.as_deref(), Some(Path::new("/k")));
    assert!(!settings.families.is_enabled("kube_pod_info", false));
}

#[test]
fn the_file_counts_over_flags_and_what_it_leaves_out_stays() {
    let flags = Flags {
        resources: vec!["services".to_owned()],
        namespaces: vec!["a".to_owned()],
        port: Some(1),
        ..Flags::default()
    };
    let (settings, _) = resolve("resources: {pods: {}}\nport: 2\nnamespaces:\n", &flags).expect("it is valid");
    assert_eq!(
        (settings.resources, settings.metrics.port, settings.namespaces),
        (vec!["pods".to_owned()], 2, vec!["a".to_owned()])
    );
    for nothing in ["", "# nothing\n", "---\n", "{}\n"] {
        assert_eq!(resolve(nothing, &flags).expect("it is valid").0.resources, ["services"], "{nothing:?}");
    }
}

#[test]
fn what_is_wrong_is_named_by_file_line_and_key() {
    for (text, expected) in [
        ("port: many", "/etc/config.yaml:1: port: a whole number from 0 to 65535 is expected here"),
        ("\nport: 70000", "/etc/config.yaml:2: port: a whole number from 0 to 65535 is expected here"),
        ("shard: -1", "/etc/config.yaml:1: shard: a whole number from 0 to 4294967295 is expected here"),
        ("host: [a]", "/etc/config.yaml:1: host: text is expected here"),
        ("use_api_server_cache: maybe", "/etc/config.yaml:1: use_api_server_cache: true or false is expected here"),
        (
            "resources: {pods: [x]}",
            "/etc/config.yaml:1: resources: a list of names, or a map of them as in {pods: {}, nodes: {}} is expected here",
        ),
        (
            "labels_allow_list: {pods: {a: b}}",
            "/etc/config.yaml:1: labels_allow_list: a list of keys for \"pods\" is expected here",
        ),
        (
            "port: 1\n\nresources: {podz: {}}",
            "/etc/config.yaml:3: resources: there is no resource \"podz\"; did you mean pods?",
        ),
        ("host: nowhere", "/etc/config.yaml:1: host: \"nowhere\" is not an IP address"),
        (
            "metric_allowlist: {a: {}}\nmetric_denylist: {b: {}}",
            "/etc/config.yaml:1: metric_allowlist: --metric-allowlist and --metric-denylist exclude each other: give one of them",
        ),
        (
            "server_read_timeout: soon",
            "/etc/config.yaml:1: server_read_timeout: \"soon\" is not a time from 0s to 1440m; it is written as 30s or 1m30s",
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
fn a_file_of_custom_resources_answers_for_itself_and_may_be_missing_if_that_is_allowed() {
    let missing = "custom_resource_state_config_file: /does/not/exist\n";
    let error = resolve(missing, &Flags::default()).expect_err("it is not there");
    assert!(matches!(error, LayersError::Settings(_)), "{error}");
    let allowed = format!("{missing}continue_without_custom_resource_state_config_file: true\n");
    let (settings, warnings) = resolve(&allowed, &Flags::default()).expect("it may be missing");
    assert!(settings.custom.is_empty());
    assert_eq!(settings.custom_file.as_deref(), Some(Path::new("/does/not/exist")));
    assert!(matches!(&warnings[..], [Warning::WithoutFile { .. }]), "{warnings:?}");
    let inline = "port: 1\ncustom_resource_config: 'spec: {resources: [{}]}'\n";
    let error = refusal(inline);
    assert!(error.starts_with("/etc/config.yaml:2: custom_resource_config: "), "{error}");
}

#[test]
fn keys_that_nobody_knows_are_told_once() {
    let (_, warnings) =
        resolve("port: 1\nresource: {pods: {}}\nmetric_labels_allowlist: {}\nxyz: 1\n", &Flags::default())
            .expect("they are ignored");
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    assert_eq!(
        warning.to_string(),
        "/etc/config.yaml: no such keys, ignored: resource (did you mean resources?), \
         metric_labels_allowlist (did you mean labels_allow_list?), xyz"
    );
}

#[test]
fn every_key_stands_for_a_flag_that_there_is() {
    use clap::Args;
    let command = Flags::augment_args(clap::Command::new("exporter"));
    let flags: BTreeSet<_> = command.get_arguments().filter_map(|a| a.get_long()).map(|l| format!("--{l}")).collect();
    for key in KEYS {
        assert!(flags.contains(key.flag), "{}", key.flag);
    }
    let names: BTreeSet<_> = KEYS.iter().map(|key| key.name).collect();
    assert_eq!(names.len(), KEYS.len());
}

#[test]
fn a_file_that_is_not_there_says_so() {
    let error = ConfigFile::read(Path::new("/does/not/exist.yaml")).expect_err("it is not there");
    assert!(error.is_missing);
    assert!(error.to_string().starts_with("/does/not/exist.yaml: cannot be read: No such file"), "{error}");
}

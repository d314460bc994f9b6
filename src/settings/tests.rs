//! Settings from command lines and environments, as a user would give them.

#![allow(clippy::expect_used, reason = "a failed test may panic")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, Command, FromArgMatches};

use super::resources::Kind;
use super::*;
use crate::collectors::labels::KeyFilter;

fn flags(line: &[&str]) -> Result<Flags, clap::Error> {
    let command = Flags::augment_args(Command::new("exporter").no_binary_name(true).args_override_self(true));
    Flags::from_arg_matches(&command.try_get_matches_from(line)?)
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::from_variables(variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
}

fn resolve_in(line: &[&str], variables: &[(&str, &str)]) -> Result<(Settings, Vec<Warning>), SettingsError> {
    let host = || Some("laptop".to_owned());
    Settings::resolve(&flags(line).expect("flags that clap accepts"), &environment(variables), host)
}

fn resolve(line: &[&str]) -> Settings {
    resolve_in(line, &[]).expect("valid settings").0
}

fn refusal(line: &[&str]) -> String {
    resolve_in(line, &[]).expect_err("settings that are refused").to_string()
}

fn kind(plural: &str, namespaced: bool) -> Kind {
    let plural = plural.to_owned().leak();
    Kind { group: "", version: "v1", kind: "Any", plural, namespaced }
}

#[test]
fn defaults_are_those_of_kube_state_metrics_except_gzip() {
    let settings = resolve(&[]);
    assert_eq!(settings.fixed.metrics, Listen { host: "::".parse().expect("an address"), port: 8080 });
    assert_eq!(settings.fixed.telemetry, Listen { host: "::".parse().expect("an address"), port: 8081 });
    assert_eq!(settings.fixed.shard, Shard { ordinal: 0, total: 1 });
    assert!(
        settings.live.enable_gzip_encoding
            && !settings.live.use_apiserver_cache
            && !settings.live.track_unscheduled_pods
    );
    assert_eq!((settings.live.object_limit, settings.live.log), (0, Log { json: false, verbosity: 0 }));
    assert!(settings.live.resources.iter().any(|r| r == "configmaps"));
    assert!(!settings.live.resources.iter().any(|r| r == "endpoints" || r == "roles"));
}

#[test]
fn flags_are_written_as_pflag_reads_them() {
    for line in [
        ["--port=9", "--enable-gzip-encoding=false", "-v=4", "--add_dir_header"].as_slice(),
        &["--port", "9", "--enable-gzip-encoding=F", "--v=4", "--add_dir_header=false"],
        &[
            "--port=1",
            "--port",
            "9",
            "--enable-gzip-encoding",
            "--enable-gzip-encoding=0",
            "-v",
            "4",
            "--add_dir_header",
        ],
        &["--enable-gzip-encoding=False", "-v4", "--add_dir_header", "--log_dir", "/x", "--port=9"],
    ] {
        let (settings, warnings) = resolve_in(line, &[]).expect("valid settings");
        assert_eq!(
            (settings.fixed.metrics.port, settings.live.enable_gzip_encoding, settings.live.log.verbosity),
            (9, false, 4),
            "{line:?}"
        );
        assert!(warnings[0].to_string().contains("add_dir_header"), "{warnings:?}");
        assert_eq!(warnings.len(), 1);
    }
    assert!(flags(&["--enable-gzip-encoding=maybe"]).is_err());
    assert!(flags(&["--port=65536"]).is_err());
    assert!(flags(&["--unheard-of"]).is_err());
}

#[test]
fn all_klog_flags_are_accepted_with_one_warning() {
    let line: Vec<String> = ignored_flags().map(|name| format!("--{name}=true")).collect();
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let (_, warnings) = resolve_in(&line, &[]).expect("valid settings");
    assert_eq!(warnings, [Warning::IgnoredFlags(ignored_flags().map(str::to_owned).collect())]);
}

#[test]
fn flags_for_the_memory_limit_of_go_are_accepted_with_one_warning() {
    for line in [&["--auto-gomemlimit"][..], &["--auto-gomemlimit=false", "--auto-gomemlimit-ratio=0.9"]] {
        assert_eq!(resolve_in(line, &[]).expect("valid settings").1, [Warning::GoMemory], "{line:?}");
    }
}

#[test]
fn timeouts_are_as_in_go() {
    assert_eq!(resolve(&[]).fixed.timeouts, Timeouts::default());
    let timeouts = resolve(&["--server-read-timeout=0", "--server-write-timeout=1m30s", "--server-idle-timeout=1s"])
        .fixed
        .timeouts;
    let seconds = |limit: Option<std::time::Duration>| limit.map(|limit| limit.as_secs());
    let Timeouts { read, read_header, write, idle } = timeouts;
    assert_eq!([read, read_header, write, idle].map(seconds), [None, Some(5), Some(90), Some(1)]);
    assert_eq!(resolve(&["--server-idle-timeout=0s"]).fixed.timeouts.idle, None);
    assert!(refusal(&["--server-write-timeout=soon"]).contains("--server-write-timeout"));
}

#[test]
fn lists_are_trimmed_and_add_up() {
    let settings = resolve(&["--namespaces=a, b", "--namespaces=,c,a"]);
    assert_eq!(settings.live.namespaces, ["a", "b", "c"]);
}

#[test]
fn verbosity_is_bounded() {
    assert_eq!(resolve(&["-v=100000"]).live.log.verbosity, 255);
    assert_eq!(resolve(&["-v=-3"]).live.log.verbosity, 0);
    assert!(resolve(&["--log-format=json"]).live.log.json);
}

#[test]
fn addresses_are_ip_addresses() {
    for (value, host) in [("", "::"), ("127.0.0.1", "127.0.0.1"), ("[::1]", "::1"), ("localhost", "127.0.0.1")] {
        assert_eq!(resolve(&["--host", value]).fixed.metrics.host, host.parse::<IpAddr>().expect("an address"));
    }
    assert_eq!(
        refusal(&["--telemetry-host=example.com"]),
        "--telemetry-host: \"example.com\" is not an IP address or localhost"
    );
}

#[test]
fn servers_cannot_share_an_address() {
    assert!(refusal(&["--port=8081"]).starts_with("--port and --telemetry-port: both are 8081"));
    resolve(&["--port=8081", "--host=127.0.0.1"]);
    resolve(&["--port=0", "--telemetry-port=0"]);
    resolve(&["--port=8082"]);
    let pod = ["--pod=fleet-0", "--pod-namespace=ops"];
    let in_fleet = |flag| refusal(&[pod.as_slice(), &[flag]].concat());
    assert!(in_fleet("--port=8082").starts_with("--port and --fleet-port: both are 8082"));
    assert!(in_fleet("--fleet-port=8081").starts_with("--telemetry-port and --fleet-port: both are 8081"));
    resolve(&[pod.as_slice(), &["--port=0", "--telemetry-port=0", "--fleet-port=0"]].concat());
}

#[test]
fn the_fleet_port_is_on_the_host_of_telemetry() {
    let at = |flags: &[&str]| resolve(flags).fixed.fleet_port;
    let listen = |host: &str, port| Listen { host: host.parse().expect("an address"), port };
    assert_eq!(at(&[]), listen("::", 8082));
    assert_eq!(at(&["--telemetry-host=127.0.0.3"]), listen("127.0.0.3", 8082));
    assert_eq!(at(&["--telemetry-host=127.0.0.3", "--fleet-host=::1", "--fleet-port=9"]), listen("::1", 9));
}

#[test]
fn the_api_server_is_a_url() {
    assert_eq!(
        resolve(&["--apiserver=https://10.0.0.1:6443"]).live.apiserver.as_deref(),
        Some("https://10.0.0.1:6443")
    );
    assert_eq!(resolve(&["--apiserver=10.0.0.1:6443"]).live.apiserver.as_deref(), Some("http://10.0.0.1:6443"));
    assert_eq!(resolve(&["--apiserver="]).live.apiserver, None);
    assert!(refusal(&["--apiserver=ftp://host"]).starts_with("--apiserver: \"ftp://host\" is not a URL"));
    assert!(refusal(&["--apiserver=https://a b"]).starts_with("--apiserver: "));
}

#[test]
fn an_unknown_resource_is_named_with_similar_ones() {
    assert_eq!(
        refusal(&["--resources=configmap"]),
        "--resources: unknown resource \"configmap\"; did you mean configmaps?"
    );
    assert_eq!(refusal(&["--resources=zzz"]), "--resources: unknown resource \"zzz\"");
    assert!(refusal(&["--metric-labels-allowlist=zzz=[*]"]).starts_with("--metric-labels-allowlist: unknown resource"));
}

#[test]
fn allowlist_and_denylist_exclude_each_other() {
    let error = refusal(&["--metric-allowlist=a", "--metric-denylist=b"]);
    assert!(error.contains("--metric-allowlist and --metric-denylist"), "{error}");
}

#[test]
fn patterns_match_anywhere_and_opt_in_comes_on_top() {
    let allow = resolve(&["--metric-allowlist=pod_info,_created$"]).live.families;
    assert!(allow.is_enabled("kube_pod_info", false) && allow.is_enabled("kube_node_created", false));
    assert!(!allow.is_enabled("kube_node_info", false) && !allow.is_enabled("kube_pod_info", true));
    let deny = resolve(&["--metric-denylist=^kube_pod(?!_info)", "--metric-opt-in-list=csi"]).live.families;
    assert!(deny.is_enabled("kube_pod_info", false), "a look-ahead is ECMAScript");
    assert!(!deny.is_enabled("kube_pod_created", false));
    assert!(deny.is_enabled("kube_persistentvolume_csi_attributes", true));
    assert!(!deny.is_enabled("kube_node_x", true));
}

#[test]
fn a_broken_pattern_is_named_with_its_flag() {
    for flag in ["--metric-allowlist", "--metric-denylist", "--metric-opt-in-list"] {
        let error = refusal(&[flag, "kube_(pod"]);
        assert!(error.starts_with(&format!("{flag}: invalid pattern \"kube_(pod\": ")), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn keys_are_listed_by_resource() {
    let keys = |list: &str| resolve(&["--metric-labels-allowlist", list]).live.labels;
    let named = |names: &[&str]| KeyFilter::Keys(names.iter().map(|n| (*n).to_owned()).collect());
    assert_eq!(keys("configmaps=[a, b/c]")["configmaps"], named(&["a", "b/c"]));
    assert_eq!(keys("configmaps=[*,a]")["configmaps"], KeyFilter::All);
    assert_eq!(keys("configmaps=[]")["configmaps"], KeyFilter::None);
    assert_eq!(keys("*=[a],configmaps=[b]")["configmaps"], named(&["a", "b"]));
    assert_eq!(keys("configmaps=[a],configmaps=[b]")["configmaps"], named(&["b"]));
    assert!(keys("").is_empty() && !keys("*=[*]").is_empty());
    let last = resolve(&["--metric-labels-allowlist=configmaps=[a]", "--metric-labels-allowlist=configmaps=[b]"]);
    assert_eq!(last.live.labels["configmaps"], named(&["b"]));
    let annotations = resolve(&["--metric-annotations-allowlist=configmaps=[example.com/*]"]).live.annotations;
    assert_eq!(annotations["configmaps"], named(&["example.com/*"]));
}

#[test]
fn lists_of_keys_in_another_format_are_rejected() {
    for list in [
        "configmaps",
        "configmaps=a",
        "configmaps[a]",
        "configmaps=[a",
        "configmaps=[a],",
        "configmaps=[a] configmaps=[b]",
        "configmaps=[a]configmaps=[b]",
        "configmaps=[a,]",
        "configmaps=[,a]",
        "configmaps=[a,,b]",
        "configmaps=[a*b*]",
        "=[a]",
        "configmaps=[a],configmaps=b,c]",
    ] {
        let error = refusal(&["--metric-labels-allowlist", list]);
        assert!(
            error.starts_with("--metric-labels-allowlist: ") && error.contains("; the format is pods="),
            "{list}: {error}"
        );
    }
}

#[test]
fn promoted_labels_of_namespaces_are_keys_of_labels() {
    for list in ["team", "team, example.com/*", "*", "example.com/team_1.a-b,"] {
        let settings = resolve(&["--promote-namespace-labels", list]);
        assert!(settings.live.promote_namespace_labels.to_text().is_some(), "{list}");
    }
    for (list, key) in
        [("a,pods=[team]", "pods=[team]"), ("[*]", "[*]"), ("te am", "te am"), ("-", "-"), ("a*b*", "a*b*")]
    {
        let refusal = refusal(&["--promote-namespace-labels", list]);
        let expected =
            format!("--promote-namespace-labels: {key:?} is not the key of a label; the format is team,example.com/*");
        assert_eq!(refusal, expected);
    }
}

#[test]
fn the_shard_comes_from_flags_then_the_environment_then_the_pods_name() {
    let shard = |line: &[&str], variables: &[(&str, &str)]| {
        resolve_in(line, variables)
            .map(|(s, _)| (s.fixed.shard.ordinal, s.fixed.shard.total))
            .map_err(|e| e.to_string())
    };
    assert_eq!(shard(&["--total-shards=4"], &[("POD_NAME", "fleet-2")]), Ok((0, 4)), "as in kube-state-metrics");
    assert_eq!(shard(&["--total-shards=4"], &[("SHARD", "3")]), Ok((3, 4)));
    assert_eq!(shard(&["--shard=1", "--total-shards=4"], &[("SHARD", "3"), ("TOTAL_SHARDS", "9")]), Ok((1, 4)));
    assert_eq!(shard(&["--shard=1"], &[("TOTAL_SHARDS", "9")]), Ok((1, 9)));
    assert_eq!(shard(&[], &[("SHARD", "1"), ("SHARD_COUNT", "2")]), Ok((1, 2)));
    assert_eq!(shard(&[], &[("TOTAL_SHARDS", "3"), ("SHARD_COUNT", "2"), ("POD_NAME", "fleet-2")]), Ok((2, 3)));
    assert_eq!(shard(&[], &[("TOTAL_SHARDS", ""), ("SHARD", ""), ("POD_NAME", "fleet-2")]), Ok((0, 1)));
    for (line, variables, words) in [
        (
            ["--shard=4", "--total-shards=4"].as_slice(),
            [].as_slice(),
            ["--shard: shard 4", "--total-shards"].as_slice(),
        ),
        (&["--shard=1"], &[], &["--shard: shard 1", "(default)"]),
        (&["--total-shards=0"], &[], &["--total-shards", "from 1"]),
        (&["--total-shards=4000000000"], &[], &["--total-shards", "4000000000"]),
        (&[], &[("TOTAL_SHARDS", "many")], &["TOTAL_SHARDS", "\"many\""]),
        (&[], &[("SHARD", "-1")], &["SHARD", "\"-1\""]),
        (&[], &[("SHARD_COUNT", "2"), ("SHARD", "2")], &["SHARD: shard 2", "SHARD_COUNT"]),
        (&[], &[("TOTAL_SHARDS", "2"), ("POD_NAME", "fleet-7")], &["POD_NAME \"fleet-7\"", "TOTAL_SHARDS"]),
        (&[], &[("TOTAL_SHARDS", "2"), ("POD_NAME", "fleet")], &["POD_NAME \"fleet\"", "no ordinal"]),
        (&[], &[("TOTAL_SHARDS", "2")], &["host name \"laptop\"", "no ordinal"]),
    ] {
        let error = shard(line, variables).expect_err("a shard that cannot be");
        for word in words {
            assert!(error.contains(word), "{error:?} does not say {word:?}");
        }
    }
}

#[test]
fn the_host_name_is_looked_up_only_if_an_ordinal_has_no_other_source() {
    let never = || -> Option<String> { panic!("asked for the host name") };
    let none = Flags::default();
    for variables in
        [[].as_slice(), &[("SHARD", "0"), ("TOTAL_SHARDS", "1")], &[("TOTAL_SHARDS", "2"), ("POD_NAME", "a-1")]]
    {
        assert!(Settings::resolve(&none, &environment(variables), never).is_ok());
    }
    let host = || Some("fleet-1".to_owned());
    let (settings, _) = Settings::resolve(&none, &environment(&[("SHARD_COUNT", "2")]), host).expect("valid");
    assert_eq!(settings.fixed.shard, Shard { ordinal: 1, total: 2 });
}

/// Namespace and field selector of each partition.
fn partitions(line: &[&str], kind: &Kind) -> Vec<(String, String)> {
    selectors::selectors(&resolve(line), kind)
        .iter()
        .map(|s| (s.namespace().unwrap_or("all").to_owned(), s.field_selector()))
        .collect()
}

fn all(field_selector: &str) -> (String, String) {
    ("all".to_owned(), field_selector.to_owned())
}

#[test]
fn namespaces_are_listed_one_by_one_and_denied_ones_by_selector() {
    let (pods, nodes) = (kind("pods", true), kind("nodes", false));
    assert_eq!(partitions(&[], &pods), [all("")]);
    let both = ["--namespaces=a,b,c", "--namespaces-denylist=b"];
    assert_eq!(partitions(&both, &pods), [("a".to_owned(), String::new()), ("c".to_owned(), String::new())]);
    let denied = ["--namespaces-denylist=a,b"];
    assert_eq!(partitions(&denied, &pods), [all("metadata.namespace!=a,metadata.namespace!=b")]);
    for line in [both.as_slice(), &denied] {
        assert_eq!(partitions(line, &nodes), [all("")], "a resource without namespaces");
    }
}

#[test]
fn denying_all_allowed_namespaces_selects_nothing() {
    let settings = resolve(&["--namespaces=a", "--namespaces-denylist=a,b"]);
    let selectors = selectors::selectors(&settings, &kind("pods", true));
    assert!(["a", "b", "c"].iter().all(|n| selectors.iter().all(|s| !s.selects(n, ""))));
}

#[test]
fn selected_namespaces_are_listed_one_by_one_within_the_other_lists() {
    let pods = kind("pods", true);
    let of = |line: &[&str], selected: Option<&[&str]>| {
        let mut settings = resolve(line);
        settings.live.selected_namespaces = selected.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let partition = |s: &selectors::Selector| (s.namespace().unwrap_or("all").to_owned(), s.field_selector());
        selectors::selectors(&settings, &pods).iter().map(partition).collect::<Vec<_>>()
    };
    let one = |name: &str| (name.to_owned(), String::new());
    let selector = "--namespace-selector=team";
    assert!(of(&[selector], None).is_empty(), "not known yet");
    assert!(of(&[selector], Some(&[])).is_empty());
    assert_eq!(of(&[selector], Some(&["a", "b"])), [one("a"), one("b")]);
    assert_eq!(of(&[selector, "--namespaces=b,c"], Some(&["a", "b"])), [one("b")]);
    assert_eq!(of(&[selector, "--namespaces-denylist=b,c"], Some(&["a", "b"])), [one("a")]);
    assert_eq!(of(&["--namespace-selector="], None), [all("")], "an empty selector selects everything");
    let node = of(&[selector, "--node=n"], Some(&["a"]));
    assert_eq!(node, [("a".to_owned(), "spec.nodeName=n".to_owned())]);
    let error = resolve_in(&["--namespace-selector=team in a"], &[]).expect_err("a set has parentheses").to_string();
    assert_eq!(error, "--namespace-selector: namespaces: found \"a\", expected \"(\" at character 9 of \"team in a\"");
}

#[test]
fn only_pods_are_listed_by_node() {
    let (pods, services) = (kind("pods", true), kind("services", true));
    assert_eq!(partitions(&["--node=n1"], &pods), [all("spec.nodeName=n1")]);
    assert_eq!(partitions(&["--node=n1,n2"], &pods), [all("spec.nodeName=n1"), all("spec.nodeName=n2")]);
    assert_eq!(partitions(&["--node=a=b\\"], &pods), [all("spec.nodeName=a\\=b\\\\")]);
    assert_eq!(
        partitions(&["--node=n1", "--namespaces-denylist=x"], &pods),
        [all("metadata.namespace!=x,spec.nodeName=n1")]
    );
    assert_eq!(partitions(&["--node=n1", "--track-unscheduled-pods"], &pods), [all("spec.nodeName=")]);
    assert_eq!(partitions(&["--node=n1"], &services), [all("")]);
}

#[test]
fn resources_without_a_node_are_served_whole_if_they_are_named() {
    let line = ["--node=n1", "--resources=pods,configmaps,nodes"];
    let (settings, warnings) = resolve_in(&line, &[]).expect("valid settings");
    assert_eq!(settings.live.resources, ["configmaps", "nodes", "pods"]);
    assert_eq!(partitions(&line, &kind("pods", true)), [all("spec.nodeName=n1")]);
    assert_eq!(partitions(&line, &kind("configmaps", true)), [all("")]);
    let warnings: Vec<_> = warnings.iter().map(Warning::to_string).collect();
    assert_eq!(
        warnings,
        [
            "--node selects only pods; served for the whole cluster: configmaps, nodes. Each replica of a DaemonSet repeats them: \
          serve them from one Deployment, and pass --resources=pods here"
        ]
    );
    // The pods of a node may be sharded, and unscheduled pods have one exporter: neither repeats anything.
    for line in [
        &["--node=n1", "--resources=pods", "--shard=0", "--total-shards=2"][..],
        &["--track-unscheduled-pods", "--resources=pods,configmaps"],
        &["--node=n1", "--track-unscheduled-pods", "--resources=pods,configmaps"],
    ] {
        let (settings, warnings) = resolve_in(line, &[]).expect("valid settings");
        assert!(warnings.is_empty(), "{line:?}: {warnings:?}");
        let named = line.iter().any(|word| word.contains("configmaps"));
        assert_eq!(settings.live.resources.iter().any(|name| name == "configmaps"), named, "{line:?}");
    }
    let (settings, warnings) =
        resolve_in(&["--node=n1", "--resources=configmaps", "--shard=1", "--total-shards=2"], &[])
            .expect("valid settings");
    assert_eq!((settings.live.resources, settings.fixed.shard.total), (vec!["configmaps".to_owned()], 2));
    assert_eq!(warnings, [Warning::Repeated(vec!["configmaps".to_owned()])]);
}

#[test]
fn resources_without_a_node_are_excluded_if_none_is_named() {
    for flag in ["--node=n1", "--track-unscheduled-pods"] {
        let (settings, warnings) = resolve_in(&[flag], &[]).expect("valid settings");
        assert!(!settings.live.resources.iter().any(|r| r == "configmaps"));
        assert!(settings.live.resources.iter().any(|r| r == "nodes"));
        let warning = warnings[0].to_string();
        assert!(
            warning.contains("configmaps") && flag.starts_with(warning.split(' ').next().unwrap_or("-")),
            "{warning}"
        );
        let repeated =
            warnings.iter().filter(|w| matches!(w, Warning::Repeated(names) if names.contains(&"nodes".to_owned())));
        assert_eq!(repeated.count(), usize::from(flag == "--node=n1"), "{warnings:?}");
    }
}

proptest::proptest! {
    #[test]
    fn partitions_share_no_object_and_agree_with_their_text(
        namespaces in proptest::collection::btree_set("[a-c]", 0..3),
        denied in proptest::collection::btree_set("[a-c]", 0..3),
        nodes in proptest::collection::btree_set("[x-z]", 0..3),
        (namespace, node) in ("[a-c]", "[x-z]?"),
    ) {
        let join = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(",");
        let line = [
            format!("--namespaces={}", join(&namespaces)),
            format!("--namespaces-denylist={}", join(&denied)),
            format!("--node={}", join(&nodes)),
        ];
        let settings = resolve(&line.iter().map(String::as_str).collect::<Vec<_>>());
        let selectors = selectors::selectors(&settings, &kind("pods", true));
        let by_text = |s: &&selectors::Selector| {
            let text = s.field_selector();
            s.namespace().is_none_or(|n| n == namespace)
                && text.split(',').filter(|t| !t.is_empty()).all(|term| match term.split_once("!=") {
                    Some((_, value)) => value != namespace,
                    None => term.strip_prefix("spec.nodeName=") == Some(node.as_str()),
                })
        };
        let wanted = (namespaces.is_empty() || namespaces.contains(&namespace))
            && !denied.contains(&namespace)
            && (nodes.is_empty() || nodes.contains(&node));
        proptest::prop_assert_eq!(selectors.iter().filter(|s| s.selects(&namespace, &node)).count(), usize::from(wanted));
        proptest::prop_assert_eq!(selectors.iter().filter(by_text).count(), usize::from(wanted));
    }

    #[test]
    fn no_list_of_keys_panics(list in "[ab=\\[\\],* é]{0,20}") {
        let _ = resolve_in(&["--metric-labels-allowlist", &list], &[]);
    }
}

#[test]
fn a_pod_makes_a_fleet_member_and_overrides_all_other_sources_of_shards() {
    let line = ["--pod=fleet-2", "--pod-namespace=ops", "--shard=1", "--total-shards=4"];
    let (settings, _) =
        resolve_in(&line, &[("TOTAL_SHARDS", "x"), ("POD_IP", "10.1.2.3"), ("POD_NAMESPACE", "other")]).expect("valid");
    let ip = "10.1.2.3".parse().ok();
    let expected = FleetSettings { pod: "fleet-2".to_owned(), namespace: "ops".to_owned(), ip };
    assert_eq!((settings.fixed.fleet, settings.fixed.shard), (Some(expected), Shard { ordinal: 0, total: 1 }));
    let (settings, _) = resolve_in(&["--pod=fleet-2"], &[("POD_NAMESPACE", "other")]).expect("valid");
    assert_eq!(settings.fixed.fleet.expect("a fleet").namespace, "other");
    // A chart with empty values passes empty flags.
    assert_eq!(resolve(&["--pod=", "--pod-namespace="]).fixed.fleet, None);
    // The environment alone makes no fleet.
    let (settings, _) = resolve_in(&[], &[("POD_NAME", "fleet-2"), ("POD_NAMESPACE", "ops")]).expect("valid");
    assert_eq!(settings.fixed.fleet, None);
}

#[test]
fn a_pod_and_its_namespace_need_each_other() {
    assert!(refusal(&["--pod=fleet-0"]).starts_with("--pod needs --pod-namespace"));
    assert!(refusal(&["--pod-namespace=ops"]).starts_with("--pod-namespace needs --pod"));
    let error = resolve_in(&["--pod=fleet-0", "--pod-namespace=ops"], &[("POD_IP", "here")]).expect_err("no address");
    assert!(error.to_string().contains("POD_IP: \"here\""), "{error}");
}

#[test]
fn an_overlap_is_a_duration_as_go_writes_it() {
    for (value, seconds) in [("0", 0), ("0s", 0), ("30s", 30), ("1m30s", 90), ("10m", 600)] {
        let settings = resolve(&["--handover-overlap", value]);
        assert_eq!(settings.fixed.handover_overlap, Duration::from_secs(seconds), "{value}");
    }
    for value in ["30", "-5s", "11m", "soon", "1y"] {
        let message = refusal(&[&format!("--handover-overlap={value}")]);
        assert!(message.starts_with("--handover-overlap: ") && message.contains("1m30s"), "{message}");
    }
}

#[test]
fn a_lost_quorum_is_served_unless_refused() {
    assert_eq!(resolve(&[]).fixed.on_lost_quorum, OnLostQuorum::Serve);
    assert_eq!(resolve(&["--on-lost-quorum=serve"]).fixed.on_lost_quorum, OnLostQuorum::Serve);
    assert_eq!(resolve(&["--on-lost-quorum=refuse"]).fixed.on_lost_quorum, OnLostQuorum::Refuse);
    assert!(flags(&["--on-lost-quorum=wait"]).is_err());
}

#[test]
fn events_are_batched_by_default() {
    assert_eq!(resolve(&[]).live.event_batch_delay, Duration::from_millis(100));
    for (value, millis) in [("0", 0), ("20ms", 20), ("1.5s", 1500)] {
        let settings = resolve(&["--event-batch-delay", value]);
        assert_eq!(settings.live.event_batch_delay, Duration::from_millis(millis), "{value}");
    }
    assert!(refusal(&["--event-batch-delay=1m"]).starts_with("--event-batch-delay: "));
}

#[test]
fn features_are_described_in_a_few_words() {
    assert_eq!(resolve(&[]).features(), []);
    let names: Vec<_> = (1..=7).map(|number| format!("team-{number}")).collect();
    let settings = resolve(&[
        &format!("--namespaces={}", names.join(",")),
        "--metric-denylist=a,b",
        "--metric-opt-in-list=^kube_pod_status_unscheduled_time$",
        "--metric-labels-allowlist=pods=[*],nodes=[a]",
        "--enable-gzip-encoding=false",
        "--deleted-linger=90s",
        "--auth-filter",
    ]);
    let told: Vec<_> = settings.features();
    let told: Vec<_> = told.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let expected = [
        ("namespaces", "team-1, team-2, team-3, team-4, team-5 and 2 more"),
        ("metric-denylist", "2 patterns"),
        ("metric-opt-in-list", "1 pattern"),
        ("metric-labels-allowlist", "nodes, pods"),
        ("deleted-linger", "90 s"),
        ("enable-gzip-encoding", "off"),
        ("auth-filter", ""),
    ];
    assert_eq!(told, expected);
}

#[test]
fn settings_that_need_a_restart_stay_as_they_were_at_the_start() {
    let (started, later) = (resolve(&["--port=9080"]), resolve(&["--port=9090", "--auth-filter", "--resources=pods"]));
    assert_eq!(started.keys_that_need_restart(&later), ["port", "auth_filter"]);
    let elsewhere = resolve(&["--host=127.0.0.1", "--port=9081", "--shard=1", "--total-shards=2"]);
    assert_eq!(started.keys_that_need_restart(&elsewhere), ["host", "port", "shard, total_shards"]);
    let effective = started.with_live_of(&later);
    assert!(started.keys_that_need_restart(&effective).is_empty());
    assert_eq!(effective.live.resources, ["pods"]);
}

#[test]
fn a_handover_is_seamless_or_overlaps() {
    assert!(!resolve(&[]).fixed.seamless_handover);
    assert!(resolve(&["--seamless-handover", "--handover-overlap=0s"]).fixed.seamless_handover);
    let message = refusal(&["--seamless-handover", "--handover-overlap=30s"]);
    assert!(message.contains("--seamless-handover") && message.contains("--handover-overlap"), "{message}");
}

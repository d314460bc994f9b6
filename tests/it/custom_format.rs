//! The examples of docs/custom-resources.md: what the program prints for them is what the page shows.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output};

use flate2::read::GzDecoder;
use serde_json::Value;

const PAGE: &str = include_str!("../../docs/custom-resources.md");

/// The blocks of code of the page, with their languages.
fn blocks() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGE.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'))
}

/// The block of YAML that begins with the name of its file.
fn file(name: &str) -> &'static str {
    let head = format!("# {name}\n");
    let found = blocks().find_map(|(language, text)| (language == "yaml").then(|| text.strip_prefix(head.as_str()))?);
    found.unwrap_or_else(|| panic!("the page has no {name}"))
}

fn program(directory: &Path, arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_kube-state-fleet"));
    program.current_dir(directory).args(arguments).output().expect("the program starts")
}

/// A directory with the given files of the page.
fn directory(files: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for name in files {
        std::fs::write(directory.path().join(name), file(name)).expect("room for a file");
    }
    directory
}

#[test]
fn the_example_of_the_richer_format_prints_what_the_page_shows() {
    let directory = directory(&["routes.yaml", "route.yaml"]);
    let arguments = ["render", "--custom-resource-state-config-file=routes.yaml", "route.yaml"];
    let Output { stdout, stderr, status } = program(directory.path(), &arguments);
    assert!(status.success());
    assert_eq!(String::from_utf8_lossy(&stderr), "", "no remarks");
    let fixed = "customresource_group=\"example.com\",customresource_kind=\"Route\",customresource_version=\"v1\",";
    let text = String::from_utf8(stdout).expect("UTF-8").replace(fixed, "");
    let series: Vec<_> = text.lines().filter(|line| line.starts_with("route_")).collect();
    let shown =
        blocks().find(|(language, text)| *language == "text" && text.starts_with("route_")).expect("an output").1;
    assert_eq!(series, shown.lines().collect::<Vec<_>>());
}

#[test]
fn the_example_of_a_built_in_kind_prints_what_the_page_shows() {
    let directory = directory(&["kinds.yaml", "deployment.yaml"]);
    let config = "--custom-resource-state-config-file=kinds.yaml";
    let arguments = ["render", "--custom-resource-state-all-kinds", config, "deployment.yaml"];
    let Output { stdout, stderr, status } = program(directory.path(), &arguments);
    assert_eq!((String::from_utf8_lossy(&stderr).as_ref(), status.code()), ("", Some(0)), "no remarks");
    let text = String::from_utf8(stdout).expect("UTF-8");
    let series: Vec<_> = text.lines().filter(|line| line.starts_with("shop_")).collect();
    let shown =
        blocks().find(|(language, text)| *language == "text" && text.starts_with("shop_")).expect("an output").1;
    assert_eq!(series, shown.lines().collect::<Vec<_>>());
    assert!(text.contains("kube_deployment_spec_replicas{"), "{text}");
    let lint = ["lint-custom-resources", "--custom-resource-state-all-kinds", "kinds.yaml", "deployment.yaml"];
    let Output { stdout, stderr, status } = program(directory.path(), &lint);
    let stdout = String::from_utf8_lossy(&stdout);
    assert_eq!((String::from_utf8_lossy(&stderr).as_ref(), status.code()), ("", Some(0)), "{stdout}");
    let rules = ["docs", "rbac", "--resources=pods", "--custom-resource-state-all-kinds", config];
    let rules = String::from_utf8(program(directory.path(), &rules).stdout).expect("UTF-8");
    assert!(rules.contains("- deployments") && !rules.contains("customresourcedefinitions"), "{rules}");
    // Without the flag, the entry serves nothing.
    let text = program(directory.path(), &["render", config, "deployment.yaml"]);
    assert!(!String::from_utf8_lossy(&text.stdout).contains("shop_"));
    assert!(String::from_utf8_lossy(&text.stderr).contains("need --custom-resource-state-all-kinds"));
}

#[test]
fn the_lint_of_the_example_prints_what_the_page_shows() {
    let directory = directory(&["routes.yaml", "route.yaml"]);
    let Output { stdout, stderr, status } =
        program(directory.path(), &["lint-custom-resources", "routes.yaml", "route.yaml"]);
    assert_eq!((String::from_utf8_lossy(&stderr).as_ref(), status.code()), ("", Some(0)));
    let shown = blocks().find(|(language, text)| *language == "text" && text.trim_start().starts_with("family"));
    assert_eq!(String::from_utf8_lossy(&stdout).trim(), shown.expect("an output").1.trim());
}

/// A config with a mistake of each kind.
const FAULTY: &str = "\
spec:
  resources:
  - groupVersionKind: {group: example.com, version: v1, kind: Queue}
  - groupVersionKind: {group: apps, version: v1, kind: Deployment}
  - groupVersionKind: {group: example.com, version: v1, kind: Route}
    commonLabels: {__name__: x}
    metrics:
    - {name: a, each: {type: Info, info: {path: [metadata]}}}
    - {name: b, each: {type: Gauge, gauge: {path: [spec, rules, '*', weight], nilIsZero: true}}}
    - {name: c, each: {type: Gauge, gauge: {path: [spec, rules]}}}
    - {name: d, each: {type: Gauge, gauge: {path: [spec, rules, '[*]'], valueFrom: {count: [backends]}}}}
    - {name: e, each: {type: Gauge, gauge: {path: [spec, ruels], nilIsZro: true}}}
    - {name: f, each: {type: StateSet, stateSet: {path: [spec], labelName: x, list: [a]}}}
    - {name: g, each: {type: Gauge, gauge: {path: [spec, timeout]}}}
    - {name: h, each: {type: Info, info: {path: [spec], labelsFromPath: {rules: [rules]}}}}
  - groupVersionKind: {group: example.org, kind: Gone}
  - groupVersionKind: {group: example.org}
";

#[test]
fn mistakes_of_a_config_are_findings_with_their_places() {
    let directory = directory(&["route.yaml"]);
    std::fs::write(directory.path().join("faulty.yaml"), FAULTY).expect("room for a file");
    let lint = |arguments: &[&str]| {
        let Output { stdout, stderr, status } =
            program(directory.path(), &[&["lint-custom-resources"], arguments].concat());
        (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned(), status.code())
    };
    let (text, err, code) = lint(&["faulty.yaml", "route.yaml"]);
    assert_eq!((err.as_str(), code), ("", Some(1)));
    for finding in [
        "line 3: the dump has neither an object nor a CustomResourceDefinition of Queue.v1.example.com, but Route.v1.example.com",
        "line 4: Deployment.v1.apps is built in; entries for it need --custom-resource-state-all-kinds",
        "line 6: spec.resources[2].commonLabels.__name__: Prometheus reserves the label name __name__; the label is left out",
        "line 5: kube_customresource_a: no series: an Info needs a label, from labelsFromPath or labelFromKey",
        "line 5: kube_customresource_b: [spec, rules] is a list, and \"*\" is a field of a map; write \"[*]\" for each item (1 object)",
        "line 5: kube_customresource_c: item 0 of [spec, rules]: a map is not a number (1 object)",
        "line 5: kube_customresource_d: several series with the same labels, of which the first is served; add a label that tells them \
         apart (1 object)",
        "line 12: spec.resources[2].metrics[4].each.gauge.nilIsZro: unknown key, ignored; did you mean nilIsZero?",
        "line 5: kube_customresource_e: no series for any object of the dump; check the path (1 object)",
        "line 5: kube_customresource_f: [] of [spec]: a map is not a state; a state is a string (1 object)",
        "line 5: kube_customresource_g: [spec, timeout]: \"1m30s\" is not a number (1 object)",
        "line 5: kube_customresource_h: label rules: [rules] is a list; a label shows it as Go prints it (1 object)",
        "line 16: the entry of line 17 applies to the same objects and replaces this one",
    ] {
        assert!(text.lines().any(|line| line == format!("faulty.yaml: {finding}")), "{finding}\nis not in\n{text}");
    }
    let (json, _, code) = lint(&["faulty.yaml", "route.yaml", "--output=json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(code, Some(1));
    assert_eq!(json["families"].as_array().map(Vec::len), Some(8));
    assert!(
        json["findings"]
            .as_array()
            .is_some_and(|all| all.iter().any(|f| f["rule"] == "unknown-kind" && f["line"] == 3))
    );
    let (text, _, code) = lint(&["faulty.yaml"]);
    assert_eq!((text.lines().count(), code), (4, Some(1)), "what the config alone shows: {text}");
    for arguments in [&["gone.yaml"][..], &["route.yaml", "gone.yaml"], &["faulty.yaml", "gone.yaml"]] {
        assert_eq!(lint(arguments).2, Some(2), "{arguments:?}");
    }
}

#[test]
fn a_definition_in_the_dump_makes_a_kind_known() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = "spec:\n  resources:\n  - groupVersionKind: {group: example.com, version: v1, kind: Queue}\n";
    let definition = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: q}, spec: {group: example.com, \
        names: {kind: Queue}, versions: [{name: v1, served: true}, {name: v2, served: false}]}}";
    std::fs::write(directory.path().join("dump.yaml"), definition).expect("room for a file");
    for (version, code) in [("v1", 0), ("v2", 1)] {
        let config = config.replace("v1", version);
        std::fs::write(directory.path().join("config.yaml"), config).expect("room for a file");
        let status = program(directory.path(), &["lint-custom-resources", "config.yaml", "dump.yaml"]).status;
        assert_eq!(status.code(), Some(code), "{version}");
    }
}

const SCHEMA: &str = include_str!("../../docs/custom-resources.schema.json");

/// Why `value` does not follow `schema`, if it does not. Knows the keywords of the schema of configs, and panics at any other one.
fn mismatch(schema: &Value, value: &Value, root: &Value, at: &str) -> Option<String> {
    let is_of = |name: &Value| match name.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    };
    for (keyword, rule) in schema.as_object().expect("a schema") {
        let wrong = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "format" | "default" | "additionalProperties" => None,
            "$ref" => {
                let name = rule.as_str().and_then(|name| name.strip_prefix('#')).expect("a local reference");
                mismatch(root.pointer(name).expect("a definition"), value, root, at)
            }
            "type" => {
                let types = rule.as_array().map_or(std::slice::from_ref(rule), Vec::as_slice);
                (!types.iter().any(is_of)).then(|| format!("{at}: {value} is not of type {rule}"))
            }
            "enum" => (!rule.as_array().expect("values").contains(value)).then(|| format!("{at}: {value}")),
            "pattern" => {
                let pattern = regex::Regex::new(rule.as_str().expect("a pattern")).expect("a pattern");
                value.as_str().is_some_and(|text| !pattern.is_match(text)).then(|| format!("{at}: {value}"))
            }
            "anyOf" => {
                let all: Vec<_> =
                    rule.as_array().expect("schemas").iter().map(|one| mismatch(one, value, root, at)).collect();
                all.iter().all(Option::is_some).then(|| format!("{at}: {all:?}"))
            }
            "items" => {
                value.as_array().into_iter().flatten().find_map(|item| mismatch(rule, item, root, &format!("{at}[]")))
            }
            "properties" => value.as_object().into_iter().flatten().find_map(|(key, item)| match rule.get(key) {
                Some(rule) => mismatch(rule, item, root, &format!("{at}.{key}")),
                None if schema["additionalProperties"] == false => Some(format!("{at}: unknown key {key}")),
                None => None,
            }),
            other => panic!("unknown keyword {other}"),
        };
        if wrong.is_some() {
            return wrong;
        }
    }
    let (Some(rule @ Value::Object(_)), Some(fields)) = (schema.get("additionalProperties"), value.as_object()) else {
        return None;
    };
    let known = |key: &String| schema.get("properties").is_some_and(|known| known.get(key).is_some());
    fields
        .iter()
        .filter(|(key, _)| !known(key))
        .find_map(|(key, item)| mismatch(rule, item, root, &format!("{at}.{key}")))
}

/// Why a config does not follow the schema.
fn against_schema(config: &str) -> Option<String> {
    let schema = serde_json::from_str(SCHEMA).expect("JSON");
    let config: Value = serde_saphyr::from_str(config).expect("YAML");
    mismatch(&schema, &config, &schema, "")
}

#[test]
fn examples_and_recorded_configs_follow_the_schema() {
    let examples: Vec<_> =
        blocks().filter(|(language, text)| *language == "yaml" && text.contains("CustomResourceState")).collect();
    assert_eq!(examples.len(), 3);
    for (_, config) in examples {
        assert_eq!(against_schema(config), None, "{config}");
    }
    let cases = std::fs::File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/custom/cases.jsonl.gz"));
    for line in BufReader::new(GzDecoder::new(cases.expect("the cases"))).lines() {
        let case: Value = serde_json::from_str(&line.expect("UTF-8")).expect("JSON");
        let config = case["config"].as_str().expect("a config");
        assert_eq!(against_schema(config), None, "{config}");
    }
}

#[test]
fn the_schema_rejects_what_the_program_does_not_read() {
    let of_gauge = |gauge: &str| {
        format!(
            "spec: {{resources: [{{groupVersionKind: {{group: a, version: v1, kind: B}}, metrics: [{{name: a, each: {{type: gauGe, gauge: \
             {gauge}}}}}]}}]}}"
        )
    };
    assert_eq!(
        against_schema(&of_gauge(
            "{path: [a, 1], valueFrom: {count: [b]}, labelsFromPath: {a: {path: [b], default: c}}}"
        )),
        None
    );
    for gauge in [
        "{path: a}",
        "{paht: [a]}",
        "{valueFrom: {cuont: [b]}}",
        "{valueFrom: {values: {a: x}}}",
        "{labelsFromPath: {a: {path: [b], count: [c]}}}",
        "{nilIsZero: [1]}",
    ] {
        assert!(against_schema(&of_gauge(gauge)).is_some(), "{gauge}");
    }
    assert!(against_schema(&of_gauge("{}").replace("gauGe", "counter")).is_some());
    assert!(against_schema(&FAULTY.replace("[*]", "a")).is_some(), "an unknown key");
}

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use proptest::prelude::*;

use super::*;

fn of(group: &str, version: &str, kind: &str) -> GroupVersionKind {
    GroupVersionKind { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() }
}

fn error(text: &str) -> String {
    CustomResources::parse("custom.yaml", text).unwrap_err().to_string()
}

const DATABASE: &str = "\
kind: CustomResourceStateMetrics
spec:
  resources:
    - groupVersionKind: {group: example.com, version: v1, kind: Database}
      metrics:
        - name: size
          each: {type: Gauge, gauge: {path: [spec, size]}}
";

/// The config with a part of its last line replaced.
fn changed(from: &str, to: &str) -> String {
    assert!(DATABASE.contains(from));
    DATABASE.replace(from, to)
}

#[test]
fn errors_name_file_line_and_key() {
    for (text, expected) in [
        ("", "custom.yaml: no content; expected a CustomResourceStateMetrics configuration"),
        ("# nothing\n---\n", "custom.yaml: no content; expected a CustomResourceStateMetrics configuration"),
        ("spec: [", "custom.yaml: line 1: "),
        ("spec:\n  resources: 3\n", "custom.yaml: line 2: spec.resources: "),
        (
            &changed("[spec, size]", "spec"),
            "custom.yaml: line 7: spec.resources[0].metrics[0].each.gauge.path: expected a list",
        ),
        (
            &changed("[spec, size]", "[spec, '[size]']"),
            "custom.yaml: line 7: spec.resources[0].metrics[0].each.gauge.path[1]: invalid path element \"[size]\": \
             write a lookup in a list as [key=value]",
        ),
        (
            &changed("gauge: {", "gauge: {labelsFromPath: {n: ['[x]']}, "),
            "custom.yaml: line 7: spec.resources[0].metrics[0].each.gauge.labelsFromPath.n[0]: invalid path element \"[x]\"",
        ),
        (
            &changed("Gauge,", "Counter,"),
            "custom.yaml: line 7: spec.resources[0].metrics[0].each.type: \"Counter\" is not a type; expected Gauge, Info or StateSet",
        ),
        (
            &changed("Gauge,", "Info,"),
            "custom.yaml: line 7: spec.resources[0].metrics[0].each.info: missing, but required by type Info",
        ),
        (
            &changed("Gauge, gauge", "StateSet, stateSet"),
            "custom.yaml: line 7: spec.resources[0].metrics[0].each.stateSet.labelName: missing; expected",
        ),
        (
            &changed("name: size", "name: a-size"),
            "custom.yaml: line 6: spec.resources[0].metrics[0].name: \"kube_customresource_a-size\" is not a metric name",
        ),
        (
            &changed("group: example.com", "group: '*'"),
            "custom.yaml: line 4: spec.resources[0].groupVersionKind.group: missing group",
        ),
        (
            &changed("metrics:", "errorLogV: loud\n      metrics:"),
            "custom.yaml: line 5: spec.resources[0].errorLogV: expected a whole number",
        ),
    ] {
        assert!(error(text).starts_with(expected), "{}\nis not\n{expected}", error(text));
    }
    let no_each = DATABASE.lines().take(6).collect::<Vec<_>>().join("\n");
    assert_eq!(
        error(&no_each),
        "custom.yaml: line 6: spec.resources[0].metrics[0].each: missing; expected the type and the paths of the metric"
    );
}

/// The unknown keys of a config, as they are reported.
fn unknown(text: &str) -> Vec<String> {
    let custom = CustomResources::parse("custom.yaml", text).unwrap();
    custom.unknown_keys().iter().map(ToString::to_string).collect()
}

#[test]
fn unknown_keys_are_reported_with_the_nearest_valid_ones() {
    for (from, to, line, key, advice) in [
        (
            "gauge: {",
            "gauge: {labelFromPath: {a: [b]}, ",
            7,
            ".each.gauge.labelFromPath",
            "did you mean labelsFromPath?",
        ),
        ("gauge: {", "gauge: {nillIsZero: true, ", 7, ".each.gauge.nillIsZero", "did you mean nilIsZero?"),
        ("gauge: {", "gauge: {labelsfrompath: {}, ", 7, ".each.gauge.labelsfrompath", "did you mean labelsFromPath?"),
        ("type: Gauge,", "type: Gauge, nilIsZero: true,", 7, ".each.nilIsZero", "it belongs in gauge"),
        (
            "type: Gauge,",
            "type: Gauge, value_from: [a],",
            7,
            ".each.value_from",
            "did you mean valueFrom, which belongs in gauge or stateSet?",
        ),
        ("type: Gauge,", "type: Gauge, path: [a],", 7, ".each.path", "it belongs in gauge, info or stateSet"),
        ("gauge: {", "gauge: {labelName: a, ", 7, ".each.gauge.labelName", "it belongs in stateSet"),
        (
            "name: size",
            "name: size\n          labels: {a: b}",
            7,
            ".labels",
            "expected one of name, help, commonLabels, labelsFromPath, errorLogV, each",
        ),
        ("name: size", "name: size\n          helf: words", 7, ".helf", "did you mean help?"),
    ] {
        let key = format!("spec.resources[0].metrics[0]{key}");
        let expected = format!("custom.yaml: line {line}: {key}: unknown key, ignored; {advice}");
        assert_eq!(unknown(&changed(from, to)), [expected]);
    }
    for (from, to, expected) in [
        (
            "metrics:",
            "metricPrefix: a\n      metrics:",
            "line 5: spec.resources[0].metricPrefix: unknown key, ignored; did you mean metricNamePrefix?",
        ),
        (
            "metrics:",
            "kind: Database\n      metrics:",
            "line 5: spec.resources[0].kind: unknown key, ignored; it belongs in groupVersionKind",
        ),
        (
            "version: v1",
            "versions: v1",
            "line 4: spec.resources[0].groupVersionKind.versions: unknown key, ignored; did you mean version?",
        ),
        ("spec:\n", "resources: []\nspec:\n", "line 2: resources: unknown key, ignored; it belongs in spec"),
        ("spec:\n", "Spec: {}\nspec:\n", "line 2: Spec: unknown key, ignored; did you mean spec?"),
        (
            "spec:\n",
            "spec:\n  ? \"a\\nb\"\n  : 1\n",
            "line 3: spec.a\\nb: unknown key, ignored; expected one of resources",
        ),
    ] {
        assert_eq!(unknown(&changed(from, to)), [format!("custom.yaml: {expected}")]);
    }
}

#[test]
fn valid_keys_and_places_for_anchors_are_not_reported() {
    for text in [
        DATABASE,
        "kind: CustomResourceStateMetrics\napiVersion: v1\nmetadata: {name: x, any: thing}\nspec: {}",
        &changed(
            "gauge: {",
            "gauge: {labelsFromPath: {labelFromPath: [a], nillIsZero: [b]}, labelFromKey: k, valueFrom: [], nilIsZero: true, ",
        ),
        &changed(
            "metrics:",
            "commonLabels: {any: thing}\n      errorLogV: 1\n      resourcePlural: databases\n      metrics:",
        ),
        &changed("Gauge, gauge", "StateSet, stateSet")
            .replace("size]", "size], labelName: a, list: [b], valueFrom: [c], labelsFromPath: {}"),
        "x: {y: &path [spec, size]}\nspec:\n  resources:\n  - groupVersionKind: {group: a.b}\n    metrics:\n    - {name: a, each: {type: Gauge, gauge: {path: *path}}}",
        "base: &base {errorLogV: 3}\nspec:\n  resources:\n  - {<<: *base, groupVersionKind: {group: a.b}}",
        &format!("{DATABASE}---\nspec: {{unknown: 1}}"),
    ] {
        assert_eq!(unknown(text), [""; 0], "{text}");
    }
}

#[test]
fn a_mistake_that_aliases_repeat_is_reported_once() {
    let text = "gauge: &gauge {path: [a], nillIsZero: true}\nspec:\n  resources:\n  - groupVersionKind: {group: a.b}\n    metrics:\n    \
                - {name: a, each: {type: Gauge, gauge: *gauge}}\n    - {name: b, each: {type: Gauge, gauge: *gauge}}";
    assert_eq!(
        unknown(text),
        [
            "custom.yaml: line 1: spec.resources[0].metrics[0].each.gauge.nillIsZero: unknown key, ignored; did you mean nilIsZero?"
        ]
    );
}

#[test]
fn a_mistake_in_merged_keys_is_reported_where_it_is() {
    let text = "base: &base\n  errorLogg: 3\nspec:\n  resources:\n  - {<<: *base, groupVersionKind: {group: a.b}}";
    assert_eq!(
        unknown(text),
        ["custom.yaml: line 2: spec.resources[0].errorLogg: unknown key, ignored; did you mean errorLogV?"]
    );
}

#[test]
fn everything_that_kube_state_metrics_accepts_is_accepted() {
    for text in [
        "kind: CustomResourceStateMetrics",
        "spec:",
        "spec: {resources: }",
        &changed("[spec, size]", "[spec, 0, yes, 1.0, ~]"),
        &changed("type: Gauge", "type: gAuGe, info: null"),
        &changed("gauge: {", "gauge: {nilIsZero: yes, valueFrom: null, unknown: [1], "),
        &changed("metrics:", "metricNamePrefix: null\n      commonLabels: {a: 1, b: true, 3: x}\n      metrics:"),
        &format!("---\n{DATABASE}---\nspec: ["),
        &format!("\u{feff}{DATABASE}"),
        "x: &path [spec, size]\nspec:\n  resources:\n  - groupVersionKind: {group: a.b}\n    metrics:\n    - {name: a, each: {type: Gauge, gauge: {path: *path}}}",
    ] {
        assert!(CustomResources::parse("custom.yaml", text).is_ok(), "{}", error(text));
    }
}

#[test]
fn names_get_the_prefix_and_labels_are_sanitized() {
    let text = changed("metrics:", "commonLabels: {a: one, b-c: two}\n      errorLogV: 3\n      metrics:");
    let name = |text: &str| {
        let custom = CustomResources::parse("custom.yaml", text).unwrap();
        custom.entries()[0].definition.metrics[0].name.clone()
    };
    assert_eq!(name(&text), "kube_customresource_size");
    assert_eq!(name(&changed("metrics:", "metricNamePrefix: my_db\n      metrics:")), "my_db_size");
    assert_eq!(name(&changed("metrics:", "metricNamePrefix: ''\n      metrics:")), "size");
    let custom = CustomResources::parse("custom.yaml", &text).unwrap();
    let Definition { common_labels, metrics } = &custom.entries()[0].definition;
    assert_eq!(
        common_labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(),
        [("a", "one"), ("b_c", "two")]
    );
    assert_eq!(metrics[0].error_log_v, 3);
}

/// Reads `each` of a metric; returns its compiled form or the error behind `each.`.
fn each_of(each: &str) -> Result<SeriesOf, String> {
    let text = changed("{type: Gauge, gauge: {path: [spec, size]}}", each);
    match CustomResources::parse("custom.yaml", &text) {
        Ok(custom) => {
            assert_eq!(custom.unknown_keys(), []);
            Ok(custom.entries()[0].definition.metrics[0].series.clone())
        }
        Err(error) => Err(error.to_string().split_once("each.").map(|(_, rest)| rest.to_owned()).unwrap_or_default()),
    }
}

#[test]
fn a_section_is_in_the_richer_format_if_kube_state_metrics_rejects_it() {
    for (each, is_rich) in [
        ("{type: Gauge, gauge: {path: [spec, '*'], valueFrom: ['*', '..', key]}}", false),
        ("{type: Info, info: {labelsFromPath: {a: }}, gauge: {path: ['[*]']}}", false),
        ("{type: Gauge, gauge: {path: [spec, '[*]']}}", true),
        ("{type: Gauge, gauge: {path: [spec], valueFrom: {count: [ports]}}}", true),
        ("{type: Gauge, gauge: {path: [spec], valueFrom: {sum: [ports, '[*]'], format: Duration}}}", true),
        (
            "{type: Gauge, gauge: {valueFrom: {path: [a], values: {True: 1, Failed: 0}, otherwise: -1, default: 0.5}}}",
            true,
        ),
        ("{type: Gauge, gauge: {path: [spec], labelsFromPath: {a: {path: [b], default: none}}}}", true),
        ("{type: Info, info: {path: [spec, '[*]'], labelFromKey: a, labelsFromPath: {b: ['[..]', '[..]', c]}}}", true),
        (
            "{type: StateSet, stateSet: {path: [spec], labelName: a, list: [b], valueFrom: {path: [c], default: b}}}",
            true,
        ),
    ] {
        assert_eq!(each_of(each).map(|series| matches!(series, SeriesOf::Entries(_))), Ok(is_rich), "{each}");
    }
}

#[test]
fn faults_of_the_richer_format_are_reported_at_their_places() {
    for (gauge, expected) in [
        (
            "path: [a, '[..]']",
            "gauge.path[1]: \"[..]\" is not possible here: only labels and valueFrom go back along a path",
        ),
        (
            "path: [a, '[*]', '[x]']",
            "gauge.path[2]: invalid path element \"[x]\": write a lookup in a list as [key=value]",
        ),
        (
            "path: [a], valueFrom: [b, '[*]']",
            "gauge.valueFrom[1]: \"[*]\" is not possible here: only path, count and sum iterate",
        ),
        (
            "path: [a], labelsFromPath: {b: ['[..]', '[..]', c]}",
            "gauge.labelsFromPath.b[1]: \"[..]\" is not possible here: it leads back beyond the object, where the path begins",
        ),
        (
            "path: [a], labelsFromPath: {b: {path: ['[..]', '[key]']}}",
            "gauge.labelsFromPath.b.path[1]: \"[key]\" is not possible here: the object itself has no key",
        ),
        (
            "path: [a, '[*]'], labelsFromPath: {b: ['[key]', c]}",
            "gauge.labelsFromPath.b[1]: \"[key]\" is not possible here",
        ),
        (
            "valueFrom: {count: [a], sum: [b]}",
            "gauge.valueFrom.sum: count is given as well; choose one of path, count and sum",
        ),
        ("valueFrom: {count: [a], default: 1}", "gauge.valueFrom.default: the count or sum of nothing is 0"),
        ("valueFrom: {path: [a], default: x}", "gauge.valueFrom.default: \"x\" is not a number"),
        ("valueFrom: {format: age}", "gauge.valueFrom.format: \"age\" is not a format; expected number or duration"),
        ("valueFrom: {format: duration, values: {a: 1}}", "gauge.valueFrom.values: format is given as well"),
        ("valueFrom: {values: {\"1\": 5, 1: 6}}", "gauge.valueFrom.values.1: the same text is there twice"),
        ("valueFrom: {values: {a: .nan}}", "gauge.valueFrom.values.a: expected a finite number"),
        ("valueFrom: {values: {a: x}}", "gauge.valueFrom.values: expected a number"),
        ("valueFrom: {otherwise: 1}", "gauge.valueFrom.otherwise: there are no values"),
        ("valueFrom: {path: [a]}, labelFromKey: k", "gauge.labelFromKey: the path has no \"[*]\""),
        (
            "labelsFromPath: {'a_*': {path: [a], default: b}}",
            "gauge.labelsFromPath.a_*.default: a label that copies a map",
        ),
        ("valueFrom: 3", "gauge.valueFrom: expected a list"),
    ] {
        let error = each_of(&format!("{{type: Gauge, gauge: {{{gauge}}}}}")).unwrap_err();
        assert!(error.starts_with(expected), "{gauge}: {error}");
    }
    let set = "{type: StateSet, stateSet: {labelName: a, valueFrom: {count: [c]}}}";
    assert_eq!(each_of(set), Err("stateSet.valueFrom.count: only a gauge has it; a state is a string".to_owned()));
    let text = changed("metrics:", "labelsFromPath: {a: ['[..]']}\n      metrics:");
    assert_eq!(
        error(&text),
        "custom.yaml: line 5: spec.resources[0].metrics[0].labelsFromPath.a[0]: \"[..]\" is only possible in gauge, info and stateSet"
    );
}

#[test]
fn unknown_keys_of_the_richer_format_are_reported() {
    let gauge = "gauge: {valueFrom: {path: [a], defualt: 1}, labelsFromPath: {a: {path: [b], format: x}}, ";
    assert_eq!(
        unknown(&changed("gauge: {", gauge)),
        [
            "custom.yaml: line 7: spec.resources[0].metrics[0].each.gauge.valueFrom.defualt: unknown key, ignored; did you mean \
             default?",
            "custom.yaml: line 7: spec.resources[0].metrics[0].each.gauge.labelsFromPath.a.format: unknown key, ignored; it belongs \
             in valueFrom",
        ]
    );
}

#[test]
fn a_metric_with_the_name_of_another_is_refused_or_reported() {
    let text = "\
spec:
  resources:
    - groupVersionKind: {group: a.b, version: v1, kind: Foo}
      metricNamePrefix: \"\"
      metrics:
        - {name: kube_pod_info, each: {type: Info, info: {labelsFromPath: {a: [a]}}}}
        - {name: b, each: {type: Info, info: {labelsFromPath: {a: [a]}}}}
        - {name: kube_pod_info, each: {type: Gauge, gauge: {path: [a]}}}
    - groupVersionKind: {group: a.b, version: v1, kind: Bar}
      metrics: [{name: b, each: {type: Gauge, gauge: {path: [a]}}}]
";
    let custom = CustomResources::parse("custom.yaml", text).expect("as in kube-state-metrics");
    let repeated: Vec<_> = custom.repeated().iter().map(ToString::to_string).collect();
    assert_eq!(
        repeated,
        [
            "custom.yaml: line 8: spec.resources[0].metrics[2].name: line 6 has the same name; series of both with equal labels are \
          served twice"
        ]
    );
    let error =
        CustomResources::parse_for(Kinds::All, "custom.yaml", text).expect_err("its header would change").to_string();
    assert_eq!(
        error,
        "custom.yaml: line 6: spec.resources[0].metrics[0].name: kube_pod_info is a built-in family; choose another name or \
         metricNamePrefix"
    );
}

#[test]
fn labels_with_reserved_names_are_left_out_and_reported() {
    let text = "\
spec:
  resources:
    - groupVersionKind: {group: a.b, version: v1, kind: Foo}
      commonLabels: {__name__: x, le: x}
      labelsFromPath:
        --name--: [metadata, name]
      metrics:
        - name: a
          commonLabels:
            __type__: x
          each: {type: Gauge, gauge: {labelFromKey: __unit__, labelsFromPath: {__name__: , __name: []}}}
        - {name: b, each: {type: Info, info: {labelFromKey: __name__}}}
";
    let custom = CustomResources::parse("custom.yaml", text).unwrap();
    let left_out = |label: &CustomConfigError| {
        let text = label.to_string();
        let place = text.strip_prefix("custom.yaml: line ").unwrap();
        place.strip_suffix("; the label is left out").unwrap().to_owned()
    };
    let reserved: Vec<_> = custom.reserved().iter().map(left_out).collect();
    let of_metric = "spec.resources[0].metrics[0]";
    assert_eq!(
        reserved,
        [
            "4: spec.resources[0].commonLabels.__name__: Prometheus reserves the label name __name__".to_owned(),
            "6: spec.resources[0].labelsFromPath.--name--: Prometheus reserves the label name __name__".to_owned(),
            format!("10: {of_metric}.commonLabels.__type__: Prometheus reserves the label name __type__"),
            format!("8: {of_metric}.each.gauge.labelsFromPath.__name__: Prometheus reserves the label name __name__"),
            format!("11: {of_metric}.each.gauge.labelFromKey: Prometheus reserves the label name __unit__"),
            "12: spec.resources[0].metrics[1].each.info.labelFromKey: Prometheus reserves the label name __name__"
                .to_owned(),
        ]
    );
    let Definition { common_labels, metrics } = &custom.entries()[0].definition;
    assert_eq!(common_labels.keys().map(LabelName::as_str).collect::<Vec<_>>(), ["le"]);
    let SeriesOf::Each(each) = &metrics[1].series else { panic!("not the format of kube-state-metrics") };
    assert_eq!(each.kind, Kind::Info { label_from_key: None });
    assert_eq!(
        error(&changed("Gauge, gauge: {", "StateSet, stateSet: {labelName: --name--, ")),
        "custom.yaml: line 7: spec.resources[0].metrics[0].each.stateSet.labelName: Prometheus reserves the label name \
         __name__; choose another name"
    );
}

#[test]
fn the_last_entry_for_a_kind_counts() {
    let text = "\
spec:
  resources:
    - groupVersionKind: {group: a.b, version: v1, kind: Foo}
    - groupVersionKind: {group: a.b, version: '*', kind: Foo}
    - groupVersionKind: {group: a.b, kind: Bar}
    - groupVersionKind: {group: a.b, version: v2}
";
    let custom = CustomResources::parse("custom.yaml", text).unwrap();
    let line = |of: GroupVersionKind| custom.of(&of).map(|entry| entry.line);
    assert_eq!(line(of("a.b", "v1", "Foo")), Some(4));
    assert_eq!(line(of("a.b", "v2", "Foo")), Some(6));
    assert_eq!(line(of("a.b", "v1", "Bar")), Some(5));
    assert_eq!(line(of("a.b", "v1", "Baz")), None);
    assert_eq!(line(of("b.c", "v2", "Foo")), None);
    assert_eq!(custom.hidden().collect::<Vec<_>>(), [(3, 4)]);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,80}", line in 0_usize..8, junk in "[\\[\\]{}:,*&!|>'\" a-z0-9~-]{0,20}") {
        let _ = CustomResources::parse("custom.yaml", &text);
        let mut lines: Vec<_> = DATABASE.lines().collect();
        lines.insert(line.min(lines.len()), &junk);
        let _ = CustomResources::parse("custom.yaml", &lines.join("\n"));
        let _ = CustomResources::parse("custom.yaml", &DATABASE.replace("[spec, size]", &junk));
    }
}

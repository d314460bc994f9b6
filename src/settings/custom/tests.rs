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
            "custom.yaml: line 7: spec.resources[0].metrics[0].each.gauge.path: expected sequence start",
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
            "custom.yaml: line 5: spec.resources[0].errorLogV: invalid i32",
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

//! Tests of expressions and files.

use std::path::Path;

use proptest::prelude::*;

use super::*;

fn labels() -> Vec<String> {
    ["instance", "pod"].map(str::to_owned).to_vec()
}

fn with<T>(honors_labels: bool, resolution: Option<&str>, use_it: impl FnOnce(&Rewriter<'_>) -> T) -> T {
    use_it(&Rewriter { labels: &labels(), honors_labels, resolution })
}

fn rewrite(expression: &str) -> Rewritten {
    with(true, None, |rewriter| rewriter.rewrite(expression)).unwrap_or_else(|error| panic!("{expression}: {error}"))
}

/// Expressions and what becomes of them; nothing if they stay as they are, because they hold.
const EXPRESSIONS: &[(&str, &str)] = &[
    // Instant selectors. Pods keep their own `pod`.
    ("kube_pod_info", "max without (instance) (kube_pod_info)"),
    ("kube_node_info", "max without (instance, pod) (kube_node_info)"),
    ("kube_node_info{node=\"a\"} offset 5m", "max without (instance, pod) (kube_node_info{node=\"a\"} offset 5m)"),
    ("kube_node_info @ end() offset -1h", "max without (instance, pod) (kube_node_info @ end() offset -1h)"),
    ("{__name__=\"kube_node_info\"}", "max without (instance, pod) ({__name__=\"kube_node_info\"})"),
    ("{\"kube_node_info\", node=\"a\"}", "max without (instance, pod) ({\"kube_node_info\", node=\"a\"})"),
    ("kube_pod_info{instance=~\".*\"}", "max without (instance) (kube_pod_info{instance=~\".*\"})"),
    ("kube_pod_info{pod=\"a\"}", "max without (instance) (kube_pod_info{pod=\"a\"})"),
    ("-kube_pod_info^2", "-max without (instance) (kube_pod_info)^2"),
    // Other metrics stay.
    ("up{instance=\"a\"} == 0", ""),
    ("kube_state_metrics_list_total", ""),
    ("kubelet_running_pods", ""),
    ("namespace_workload_pod:kube_pod_owner:relabel", ""),
    ("{__name__=~\"container_.*\"}", ""),
    ("time() - 5", ""),
    // Comparisons and arithmetic.
    (
        "kube_pod_status_phase{phase=\"Pending\"} == 1",
        "max without (instance) (kube_pod_status_phase{phase=\"Pending\"}) == 1",
    ),
    ("time() - kube_job_status_start_time", "time() - max without (instance, pod) (kube_job_status_start_time)"),
    (
        "kube_deployment_spec_replicas != kube_deployment_status_replicas_available",
        "max without (instance, pod) (kube_deployment_spec_replicas) != max without (instance, pod) (kube_deployment_status_replicas_available)",
    ),
    (
        "kube_a:b * on (namespace, pod) group_left (node) kube_pod_info",
        "kube_a:b * on (namespace, pod) group_left (node) max without (instance) (kube_pod_info)",
    ),
    // Aggregations that mind a series twice, and those that do not.
    ("sum by (namespace) (kube_pod_info)", "sum by (namespace) (max without (instance) (kube_pod_info))"),
    ("count(kube_pod_info) by (node)", "count(max without (instance) (kube_pod_info)) by (node)"),
    ("topk(5, kube_node_info)", "topk(5, max without (instance, pod) (kube_node_info))"),
    ("sum without (instance) (kube_pod_info)", "sum without (instance) (max without (instance) (kube_pod_info))"),
    ("max by (namespace) (kube_pod_info)", ""),
    ("max(kube_pod_info)", ""),
    ("group without (instance) (kube_pod_info > 0)", ""),
    ("min by (node) (kube_node_info)", ""),
    ("max without (instance) (kube_node_info)", "max without (instance) (max without (pod) (kube_node_info))"),
    (
        "max by (namespace) (sum by (namespace, pod) (kube_pod_info))",
        "max by (namespace) (sum by (namespace, pod) (max without (instance) (kube_pod_info)))",
    ),
    // Ranges.
    (
        "max_over_time(kube_pod_container_status_waiting_reason{reason=\"CrashLoopBackOff\"}[5m]) >= 1",
        "max without (instance) (max_over_time(kube_pod_container_status_waiting_reason{reason=\"CrashLoopBackOff\"}[5m])) >= 1",
    ),
    ("min_over_time(kube_node_info[5m])", "min without (instance, pod) (min_over_time(kube_node_info[5m]))"),
    ("present_over_time((kube_pod_info[5m]))", "max without (instance) (present_over_time((kube_pod_info[5m])))"),
    ("max by (node) (max_over_time(kube_node_info[5m]))", ""),
    (
        "increase(kube_pod_container_status_restarts_total[1h] offset 5m) > 3",
        "increase(max without (instance) (kube_pod_container_status_restarts_total)[1h:] offset 5m) > 3",
    ),
    (
        "max by (pod) (rate(kube_pod_container_status_restarts_total[10m]))",
        "max by (pod) (rate(max without (instance) (kube_pod_container_status_restarts_total)[10m:]))",
    ),
    ("changes(kube_node_info[15m])", "changes(max without (instance, pod) (kube_node_info)[15m:])"),
    (
        "avg_over_time((kube_node_info > 0)[10m:1m])",
        "avg_over_time((max without (instance, pod) (kube_node_info) > 0)[10m:1m])",
    ),
    (
        "quantile_over_time(0.9, kube_node_info[1h])",
        "quantile_over_time(0.9, max without (instance, pod) (kube_node_info)[1h:])",
    ),
    ("timestamp(kube_node_info)", "max without (instance, pod) (timestamp(kube_node_info))"),
    // Absence does not mind a series twice, and takes its labels from the matchers.
    ("absent(kube_node_info{node=\"a\"})", ""),
    ("absent_over_time(kube_node_info[5m])", ""),
    ("absent(kube_node_info > 1)", "absent(max without (instance, pod) (kube_node_info) > 1)"),
    // Sets: the right side of `and` and `unless` only has to exist.
    (
        "kube_pod_info and on (namespace) kube_namespace_created",
        "max without (instance) (kube_pod_info) and on (namespace) kube_namespace_created",
    ),
    (
        "kube_pod_info unless kube_pod_start_time",
        "max without (instance) (kube_pod_info) unless max without (instance) (kube_pod_start_time)",
    ),
    (
        "max by (node) (kube_node_info unless kube_node_created)",
        "max by (node) (max without (instance, pod) (kube_node_info) unless max without (instance, pod) (kube_node_created))",
    ),
    ("max by (node) (kube_node_info unless on (node) kube_node_created)", ""),
    ("max by (node) (kube_node_info or ignoring (instance, pod) kube_node_created)", ""),
    (
        "max by (node) (kube_node_info and ignoring (instance) kube_node_created)",
        "max by (node) (max without (pod) (kube_node_info) and ignoring (instance) max without (pod) (kube_node_created))",
    ),
    ("kube_pod_info or vector(0)", "max without (instance) (kube_pod_info) or vector(0)"),
    // Other text stays.
    ("# all\nkube_node_info # nodes\n  > 0", "# all\nmax without (instance, pod) (kube_node_info) # nodes\n  > 0"),
    (
        "label_replace(kube_node_info, \"a\", \"$1\", \"node\", \"(.*)\")",
        "label_replace(max without (instance, pod) (kube_node_info), \"a\", \"$1\", \"node\", \"(.*)\")",
    ),
];

#[test]
fn selectors_of_families_are_joined_over_the_replicas() {
    for (expression, expected) in EXPRESSIONS {
        let rewritten = rewrite(expression);
        let expected = if expected.is_empty() { expression } else { expected };
        assert_eq!(rewritten.apply(expression), *expected);
        assert_eq!(rewritten.left, Vec::<String>::new(), "{expression}");
    }
}

#[test]
fn rewritten_expressions_stay_as_they_are() {
    for (expression, _) in EXPRESSIONS {
        let once = rewrite(expression).apply(expression);
        let twice = rewrite(&once);
        assert_eq!((twice.insertions, twice.left), (vec![], vec![]), "{once}");
    }
}

#[test]
fn what_no_aggregation_makes_right_is_left_with_a_reason() {
    let cases = [
        (
            "kube_node_info{instance=\"a\"}",
            "`kube_node_info` is left as it is: it selects by `instance`, a label of the target",
        ),
        ("kube_node_info{pod!~\"a\"}", "`kube_node_info` is left as it is: it selects by `pod`, a label of the target"),
        (
            "max by (node) (kube_node_info{instance=\"a\"})",
            "`kube_node_info` is left as it is: it selects by `instance`, a label of the target",
        ),
        (
            "absent(kube_pod_info{instance=\"a\"})",
            "`kube_pod_info` is left as it is: it selects by `instance`, a label of the target",
        ),
        (
            "sum by (instance) (kube_pod_info)",
            "`kube_pod_info` is left as it is: `sum by` names `instance`, a label of the target",
        ),
        (
            "count(kube_node_info) by (pod)",
            "`kube_node_info` is left as it is: `count by` names `pod`, a label of the target",
        ),
        (
            "up * on (instance) group_right () kube_pod_info",
            "`kube_pod_info` is left as it is: `on` names `instance`, a label of the target",
        ),
        (
            "up * on (job) group_left (instance) kube_node_info",
            "`kube_node_info` is left as it is: `group_left` or `group_right` names `instance`, a label of the target",
        ),
        (
            "kube_pod_info unless up",
            "`kube_pod_info` is left as it is: `unless` compares it on all labels with series that may have `instance`; write `on (...)`",
        ),
        (
            "label_replace(kube_pod_info, \"a\", \"$1\", \"instance\", \"(.*)\")",
            "`kube_pod_info` is left as it is: `label_replace` names `instance`, a label of the target",
        ),
        (
            "kube_unknown_thing",
            "`kube_unknown_thing` is left as it is: it is no family of this program, so its own labels are unknown",
        ),
        (
            "count({__name__=~\"kube_pod.+\"})",
            "a selector without a name is left as it is: it may select several families, and an aggregation would merge them",
        ),
        (
            "count({job=\"kube-state-metrics\"})",
            "a selector without a name is left as it is: it may select several families, and an aggregation would merge them",
        ),
        (
            "count_over_time(kube_pod_info[5m])",
            "`count_over_time` is left as it is: its value depends on the scrape interval; pass it as --resolution",
        ),
    ];
    for (expression, reason) in cases {
        let rewritten = rewrite(expression);
        assert_eq!(rewritten.apply(expression), expression);
        assert_eq!(rewritten.left, [reason], "{expression}");
    }
}

#[test]
fn a_side_stays_if_the_other_one_does() {
    let expression = "kube_node_info{instance=\"a\"} / kube_node_created";
    let rewritten = rewrite(expression);
    assert_eq!(rewritten.insertions, []);
    assert_eq!(rewritten.left.len(), 2, "{:?}", rewritten.left);
    // Unless the labels are not compared.
    let expression = "kube_node_info{instance=\"a\"} / on (node) kube_node_created";
    assert_eq!(
        rewrite(expression).apply(expression),
        "kube_node_info{instance=\"a\"} / on (node) max without (instance, pod) (kube_node_created)"
    );
}

#[test]
fn without_honor_labels_and_with_a_resolution() {
    let expression = "count_over_time(kube_pod_info[5m])";
    let rewritten = with(false, Some("30s"), |rewriter| rewriter.rewrite(expression)).expect("PromQL");
    assert_eq!(rewritten.apply(expression), "count_over_time(max without (instance, pod) (kube_pod_info)[5m:30s])");
}

#[test]
fn what_is_no_promql_is_named() {
    for (text, error) in [
        ("", "the expression ends where an expression is expected"),
        ("kube_pod_info >", "the expression ends where an expression is expected"),
        ("sum(kube_pod_info", "the expression ends where `,` or `)` is expected"),
        ("kube_pod_info{a=1}", "`1` where a string is expected"),
        ("kube_pod_info kube_pod_info", "`kube_pod_info` where the end or an operator is expected"),
        ("kube_pod_info{a=\"b}", "a string without an end"),
        (&"(".repeat(10_000), "the expression is too long or too deep"),
        (&vec!["a"; 10_000].join(" + "), "the expression is too long or too deep"),
        (&format!("{} a", "-".repeat(10_000)), "the expression is too long or too deep"),
    ] {
        let found = promql::parse(text).map(|_| String::new()).unwrap_or_else(|error| error.to_string());
        assert_eq!(found, error, "{}", crate::shown::value(text));
    }
}

/// Expressions of all shapes, valid or not.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "kube_pod_info",
        "kube_node_info{node=\"a\"}",
        "kube_pod_info offset 5m",
        "up",
        "5",
        "time()",
        "{a=\"b\"}",
        "kube_pod_info{instance=\"x\"}",
        "kube_other",
        "absent(kube_node_info)",
        "rate(kube_node_info[5m])",
        "max_over_time(kube_pod_info[1h] offset 1m)",
        "count_over_time(kube_node_info[5m])",
        "timestamp(kube_pod_info)",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (
                inner.clone(),
                prop::sample::select(vec!["sum", "max", "count", "min"]),
                prop::sample::select(vec![
                    "",
                    "by (namespace)",
                    "by (pod, instance)",
                    "without (instance)",
                    "without (instance, pod)",
                ])
            )
                .prop_map(|(of, operator, grouping)| format!("{operator} {grouping} ({of})")),
            (
                inner.clone(),
                prop::sample::select(vec![
                    "+",
                    "> bool",
                    "and",
                    "or",
                    "unless",
                    "* on (pod) group_left (node)",
                    "/ ignoring (instance)",
                    "^",
                ]),
                inner.clone()
            )
                .prop_map(|(left, operator, right)| format!("({left}) {operator} ({right})")),
            inner.clone().prop_map(|of| format!("abs(-{of})")),
            inner.prop_map(|of| format!("avg_over_time(({of})[1h:5m])")),
        ]
    })
}

proptest! {
    #[test]
    fn the_result_can_be_read_and_is_final(expression in expressions()) {
        let once = rewrite(&expression);
        let text = once.apply(&expression);
        let twice = rewrite(&text);
        prop_assert_eq!(twice.apply(&text), text.clone());
        prop_assert_eq!(once.left.is_empty(), twice.left.is_empty());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-a-z0-9(){}\\[\\]\"'`#,:=~!<>@ \n.ä\\\\]{0,40}") {
        let _ = promql::parse(&text);
    }
}

/// Rewrites a file; returns the text and the remarks.
fn rewrite_text(text: &str) -> (String, Vec<String>) {
    let outcome = with(true, None, |rewriter| rewrite_file(rewriter, Path::new("f.yaml"), text));
    let outcome = outcome.unwrap_or_else(|error| panic!("{error}\n{text}"));
    (outcome.text, outcome.left)
}

#[test]
fn only_expressions_change_in_every_style_of_yaml() {
    let before = r#"# The rules.
groups:
  - name: a   # a comment
    rules:
      - alert: Plain
        expr: kube_node_info > 0   # why
        for: 15m
      - alert: Lines
        expr: kube_node_info
          > 0
      - {alert: Flow, expr: kube_node_info > 0, for: 5m}
      - alert: "Single"
        expr: 'kube_node_info{node!="it''s"} > 0'
      - alert: Double
        expr: "kube_node_info{node=\"a\\\\d\"}\n> 0"
      - record: literal
        expr: |
          # Nodes.
          sum by (node) (
            kube_node_info{node=~"a|b"}
          ) > 0
      - record: folded
        expr: >-
          kube_pod_info
          > 0
        labels: {a: b}
"#;
    let after = r#"# The rules.
groups:
  - name: a   # a comment
    rules:
      - alert: Plain
        expr: max without (instance, pod) (kube_node_info) > 0   # why
        for: 15m
      - alert: Lines
        expr: max without (instance, pod) (kube_node_info)
          > 0
      - {alert: Flow, expr: 'max without (instance, pod) (kube_node_info) > 0', for: 5m}
      - alert: "Single"
        expr: 'max without (instance, pod) (kube_node_info{node!="it''s"}) > 0'
      - alert: Double
        expr: "max without (instance, pod) (kube_node_info{node=\"a\\\\d\"})\n> 0"
      - record: literal
        expr: |
          # Nodes.
          sum by (node) (
            max without (instance, pod) (kube_node_info{node=~"a|b"})
          ) > 0
      - record: folded
        expr: >-
          max without (instance) (kube_pod_info)
          > 0
        labels: {a: b}
"#;
    let (text, left) = rewrite_text(before);
    assert_eq!(text, after);
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn prometheus_rules_and_several_documents_are_read() {
    let object =
        "kind: PrometheusRule\nspec:\n  groups:\n  - name: a\n    rules:\n    - alert: A\n      expr: kube_node_info\n";
    let list = "kind: List\nitems:\n- spec: {groups: [{rules: [{alert: B, expr: \"kube_pod_info\"}]}]}\n";
    let (text, left) = rewrite_text(&format!("---\n{object}---\n{list}"));
    assert!(text.contains("expr: max without (instance, pod) (kube_node_info)\n"), "{text}");
    assert!(text.contains("expr: \"max without (instance) (kube_pod_info)\""), "{text}");
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn remarks_name_file_line_and_rule() {
    let (text, left) = rewrite_text(
        "groups:\n- rules:\n  - alert: A\n    expr: kube_pod_info{instance=\"a\"}\n  - alert: B\n    expr: sum(\n  \
         - alert: C\n    expr: kube_pod_info\n    annotations: {summary: '{{ $labels.instance }} {{ $labels.pod }}'}\n  \
         - alert: D\n    expr: sum(kube_pod_info)\n    annotations: {summary: '{{ $labels.instance }}'}\n",
    );
    assert_eq!(
        left,
        [
            "f.yaml:4: alert A: `kube_pod_info` is left as it is: it selects by `instance`, a label of the target",
            "f.yaml:6: alert B: the expression is left as it is, because it cannot be read: the expression ends where an expression is expected",
            "f.yaml:8: alert C: `summary` prints the label `instance`, which the result no longer has",
        ]
    );
    assert!(
        text.contains("    expr: sum(\n") && text.contains("expr: max without (instance) (kube_pod_info)\n"),
        "{text}"
    );
}

#[test]
fn files_without_rules_are_refused() {
    let error = |text: &str| {
        let outcome = with(true, None, |rewriter| rewrite_file(rewriter, Path::new("f.yaml"), text));
        outcome.err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(error("a: b\n").starts_with("f.yaml: no rules found"), "{}", error("a: b\n"));
    assert!(error("a: [\n").starts_with("f.yaml: line "), "{}", error("a: [\n"));
    // The parser limits braces and brackets itself.
    assert!(error(&"[".repeat(10_000)).starts_with("f.yaml: line 1: "));
    assert_eq!(error(&"- ".repeat(100)), "f.yaml: nested too deeply");
}

//! Parses valid and invalid files of objects.

#![allow(clippy::expect_used, reason = "a failed test may panic")]

use super::*;

/// API version, kind and name of each object, with its document.
fn found(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    objects(text, |position, o| {
        let name = o.fields.get("metadata").and_then(|m| m.get("name")).and_then(Value::as_str).unwrap_or("?");
        found.push((position.document, format!("{} {} {name}", o.api_version, o.kind)));
    })
    .expect("Kubernetes");
    found
}

fn names(text: &str) -> Vec<String> {
    found(text).into_iter().map(|(_, name)| name).collect()
}

fn refusal(text: &str) -> String {
    objects(text, |_, _| {}).expect_err("not Kubernetes").to_string()
}

fn first(text: &str) -> Map<String, Value> {
    let mut first = None;
    objects(text, |_, o| first = first.take().or(Some(o.fields))).expect("Kubernetes");
    first.expect("an object")
}

const POD: &str = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}}";

#[test]
fn objects_come_alone_in_lists_and_one_after_the_other() {
    assert_eq!(names(POD), ["v1 Pod a"]);
    assert_eq!(names(&format!("\u{feff}  {POD}\n{POD}{POD}\n")), ["v1 Pod a"; 3]);
    assert_eq!(names(&format!("[{POD}, {POD}]")), ["v1 Pod a"; 2]);
    assert_eq!(names("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n"), ["v1 Pod a"]);
    assert_eq!(names(&format!("{{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[{POD},{POD}]}}")), ["v1 Pod a"; 2]);
    assert_eq!(names("{apiVersion: v1, kind: Pod, metadata: {name: a}}"), ["v1 Pod a"], "a flow mapping");
}

#[test]
fn lists_of_a_type_give_it_to_their_items_wherever_it_stands() {
    let items = "\"items\":[{\"metadata\":{\"name\":\"a\"}},{\"metadata\":{\"name\":\"b\"}}]";
    for (version, list) in [
        ("v1", format!("{{\"kind\":\"PodList\",\"apiVersion\":\"v1\",{items}}}")),
        ("v1", format!("{{\"apiVersion\":\"v1\",{items},\"kind\":\"PodList\"}}")),
        ("v1", format!("{{{items},\"kind\":\"PodList\",\"apiVersion\":\"v1\"}}")),
        ("apps/v1", format!("{{\"apiVersion\":\"apps/v1\",{items},\"kind\":\"PodList\"}}")),
    ] {
        assert_eq!(names(&list), [format!("{version} Pod a"), format!("{version} Pod b")], "{list}");
    }
    for empty in ["[]", "null"] {
        assert!(names(&format!("{{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":{empty}}}")).is_empty());
        assert!(names(&format!("{{\"apiVersion\":\"v1\",\"items\":{empty},\"kind\":\"List\"}}")).is_empty());
    }
}

#[test]
fn yaml_of_kubectl_is_a_list_whose_kind_comes_last() {
    let yaml =
        "apiVersion: v1\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata:\n    name: a\nkind: List\n";
    assert_eq!(names(yaml), ["apps/v1 Deployment a"]);
}

#[test]
fn a_custom_resource_may_have_items_of_its_own() {
    let menu = "apiVersion: example.com/v1\nkind: Menu\nmetadata: {name: a}\nitems: [soup]\n";
    assert_eq!(names(menu), ["example.com/v1 Menu a"]);
}

#[test]
fn documents_are_counted_without_empty_ones() {
    let yaml = "# a comment\n---\n---\napiVersion: v1\nkind: Pod\n---\r\n# nothing\n...\n--- # more\napiVersion: v1\nkind: Node\n";
    assert_eq!(found(yaml), [(1, "v1 Pod ?".to_owned()), (2, "v1 Node ?".to_owned())]);
    let mixed = format!("{POD}\n---\napiVersion: v1\nkind: Node\n---\n{POD}{POD}");
    assert_eq!(found(&mixed).iter().map(|(d, _)| *d).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(names("").is_empty() && names("---\n").is_empty() && names("%YAML 1.2\n---\n").is_empty());
    assert_eq!(names(&format!("--- {POD}\n")), ["v1 Pod a"]);
}

#[test]
fn hyphens_within_a_text_end_no_document() {
    let yaml = "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: |\n    x\n    ---\n    y\nmetadata:\n  name: a\n";
    assert_eq!(names(yaml), ["v1 ConfigMap a"]);
}

#[test]
fn yaml_is_read_by_version_1_2() {
    let yaml = "\
apiVersion: v1
kind: ConfigMap
data: {on: yes, off: no, y: n, octal: 0755, under: 1_000, time: 12:30:45, inf: .inf, nan: nan, day: 2026-01-02, hex: '0x10'}
int: 12
float: 1.5
true: True
nothing: ~
text: \"01\"
";
    let fields = first(yaml);
    let data = fields["data"].as_object().expect("a mapping");
    assert!(data.values().all(Value::is_string), "{data:?}");
    assert_eq!((data["on"].as_str(), data["octal"].as_str()), (Some("yes"), Some("0755")));
    assert_eq!((&fields["int"], &fields["float"]), (&Value::from(12), &Value::from(1.5)));
    assert_eq!(
        (&fields["true"], &fields["nothing"], &fields["text"]),
        (&Value::from(true), &Value::Null, &Value::from("01"))
    );
}

#[test]
fn texts_that_look_like_large_numbers_stay_texts() {
    for text in ["7e5396", "-1e+400", "1.5E999", &"9".repeat(400)] {
        for yaml in [
            format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: {text} # x\n  labels:\n    {text}: {text}\n"),
            format!("{{apiVersion: v1, kind: Pod, metadata: {{name: {text}, labels: {{{text}: {text}}}}}}}"),
        ] {
            let expected = serde_json::json!({ "name": text, "labels": { text: text } });
            assert_eq!(first(&yaml)["metadata"], expected, "{yaml}");
        }
    }
    // Parts of texts, and texts in quotation marks and blocks.
    let yaml = "{apiVersion: v1, kind: Pod, a: web-7e5396, b: v7e5396, c: 'x 7e5396', d: a1e999, e: \"7e5396\"}";
    let block = "apiVersion: v1\nkind: Pod\na: web-7e5396\nb: v7e5396\nc: x 7e5396\nd: a1e999\ne: |-\n  7e5396\n";
    for yaml in [yaml, block] {
        let fields = first(yaml);
        let texts = ["a", "b", "c", "d", "e"].map(|key| fields[key].as_str().expect("a text"));
        assert_eq!(texts, ["web-7e5396", "v7e5396", "x 7e5396", "a1e999", "7e5396"]);
    }
    // Numbers that a double holds are numbers.
    let fields = first("apiVersion: v1\nkind: Pod\nname: 7e5396\na: 1e300\nb: -1.5e+2\nc: .inf\n");
    let numbers = (&fields["a"], &fields["b"], &fields["c"], &fields["name"]);
    assert_eq!(numbers, (&1e300.into(), &(-150.0).into(), &".inf".into(), &"7e5396".into()));
}

#[test]
fn errors_of_yaml_are_in_plain_words() {
    for (text, error) in [
        ("kind: Pod\nkind: Pod\n", "line 2): not valid YAML: the key is given twice; remove one of them"),
        ("labels: {~: y}\n", "line 1): not valid YAML: expected text, found no value"),
        ("a: &m\n  <<: *m\n", "line 2): not valid YAML: the alias is part of its own anchor"),
    ] {
        let found = refusal(text);
        assert!(found.ends_with(error), "{found}");
    }
    let nested = |open: &str, depth: usize, close: &str| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    let yaml = |depth| format!("{{apiVersion: v1, kind: Pod, a: {}}}", nested("[", depth, "]"));
    let json = |depth| format!("{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"a\":{}}}", nested("{\"a\":", depth, "}"));
    for (depth, text) in [(MAX_DEPTH_OF_YAML, yaml(200)), (MAX_DEPTH, json(200))] {
        let (found, expected) = (refusal(&text), format!("values are nested deeper than {depth} levels"));
        assert!(found.ends_with(&expected), "{found}");
    }
    assert!(first(&yaml(MAX_DEPTH_OF_YAML - 1)).contains_key("a"));
    assert!(first(&json(MAX_DEPTH - 1)).contains_key("a"));
}

#[test]
fn anchors_and_merge_keys_are_followed() {
    let yaml = "apiVersion: v1\nkind: Pod\nmetadata:\n  labels: &l {a: b}\n  annotations:\n    <<: *l\n    c: d\n";
    assert_eq!(first(yaml)["metadata"]["annotations"], serde_json::json!({"a": "b", "c": "d"}));
}

#[test]
fn an_error_names_document_and_line() {
    for (text, reason) in [
        ("hello\n", "document 1 (line 1): it is plain text, not an object"),
        ("\n\n42\n", "document 1 (line 3): it is a number, not an object"),
        ("a: b\n", "document 1 (line 1): it is not a Kubernetes object: missing apiVersion"),
        ("apiVersion: v1\n", "document 1 (line 1): it is not a Kubernetes object: missing kind"),
        ("apiVersion: 1\nkind: Pod\n", "document 1 (line 1): it is not a Kubernetes object: missing apiVersion"),
        ("[1]", "document 1 (line 1): item 0 is a number, not an object"),
        ("- a\n", "document 1 (line 1): item 0 is plain text, not an object"),
        (
            "apiVersion: v1\nkind: Pod\n---\n\n# more\nkind: Pod\n",
            "document 2 (line 6): it is not a Kubernetes object: missing apiVersion",
        ),
        (
            "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[{\"kind\":\"Pod\"}]}",
            "document 1 (line 1): item 0 is not a Kubernetes object: missing apiVersion",
        ),
    ] {
        assert_eq!(refusal(text), reason, "{text:?}");
    }
    assert_eq!(
        refusal(&format!("{POD}\n\n  {{\"a\": 1}}")),
        "document 2 (line 3): it is not a Kubernetes object: missing apiVersion"
    );
}

#[test]
fn broken_syntax_is_named_by_document_and_line() {
    for (text, start) in [
        (format!("{POD}\n{{\"apiVersion\": \"v1\",\n  oops}}"), "document 2 (line 3): not valid JSON: "),
        (format!("{POD}\n{{\"apiVersion\": \"v1\",\n"), "document 2 (line 3): not valid JSON: "),
        ("apiVersion: v1\n---\nkind: [\n  a\n".to_owned(), "document 1 (line 1): "),
        ("apiVersion: v1\nkind: Pod\n---\nkind: Pod\n a: 'b\n".to_owned(), "document 2 (line "),
        ("\u{0}\u{1}\u{2}".to_owned(), "document 1 (line 1): "),
    ] {
        let error = refusal(&text);
        assert!(error.starts_with(start), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn nesting_without_end_is_an_error() {
    for open in ["[", "{\"a\":"] {
        assert!(!refusal(&open.repeat(100_000)).is_empty());
    }
    assert!(!refusal(&format!("a: {}", "[".repeat(100_000))).is_empty());
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[a-z{}\\[\\]:,\"'\n #&*|>%-]{0,60}") {
        let _ = objects(&text, |_, _| {});
    }
}

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn path(parts: &[&str]) -> Path {
    Path::new(parts).unwrap()
}

/// Returns the value at `parts` of `object`, as a label shows it.
fn at(object: &Json, parts: &[&str]) -> Option<String> {
    let mut mask = Mask::default();
    mask.add_whole(ROOT, &path(parts));
    let places = mask.root().into_narrow();
    let value = Read { mask: &mask, at: places.as_ref() }.deserialize(object).unwrap();
    path(parts).get(Some(&value)).map(|found| found.label().into_owned())
}

#[test]
fn a_path_goes_through_maps_and_lists() {
    let object = json!({
        "name": "foo",
        "a=b=c": "two signs",
        "list": [{"id": 1, "on": true, "text": "yes", "v": "first"}, {"id": "2.0", "on": false, "v": "second"}, null, "third"],
    });
    for (parts, expected) in [
        (&["name"] as &[_], Some("foo")),
        (&["name", "deeper"], None),
        (&["name=foo"], Some("foo")),
        (&["name=bar"], None),
        (&["a=b=c"], Some("two signs")),
        (&["list", "0", "v"], Some("first")),
        (&["list", "-1"], Some("third")),
        (&["list", "+1", "v"], Some("second")),
        (&["list", "4"], None),
        (&["list", "-5"], None),
        (&["list", "v"], None),
        (&["list", "2"], None),
        (&["list", "[id=1]", "v"], Some("first")),
        (&["list", "[id=2]", "v"], Some("second")),
        (&["list", "[id=true]", "v"], Some("first")),
        (&["list", "[on=f]", "v"], Some("second")),
        (&["list", "[text=true]", "v"], Some("first")),
        (&["list", "[v=second]", "on"], Some("false")),
        (&["list", "[v=third]"], None),
        (&["name", "[v=third]"], None),
        (&["list", "0"], Some("map[id:1 on:true text:yes v:first]")),
        (&["list"], Some("[map[id:1 on:true text:yes v:first] map[id:2.0 on:false v:second] <nil> third]")),
    ] {
        assert_eq!(at(&object, parts).as_deref(), expected, "{parts:?}");
    }
    assert!(Path::new(["[id]"]).is_err());
    assert!(Path::new(["[]"]).is_err());
    assert!(Path::new(["["]).is_ok());
}

#[test]
fn strings_are_numbers_as_in_kube_state_metrics() {
    for (text, expected) in [
        ("True", Some(1.0)),
        ("yes", Some(1.0)),
        ("NO", Some(0.0)),
        ("Unknown", Some(0.0)),
        ("on", None),
        ("", None),
        ("2024-01-02T03:04:05Z", Some(1_704_164_645.0)),
        ("2024-01-02T03:04:05.9+01:00", Some(1_704_161_045.0)),
        ("2024-01-02T3:04:05Z", Some(1_704_164_645.0)),
        ("2024-01-02 03:04:05Z", None),
        ("2024-02-30T03:04:05Z", None),
        ("9999-12-31T23:59:59Z", Some(253_402_300_799.0)),
        ("100m", Some(0.1)),
        // Three times a tenth.
        ("0.3", Some(0.300_000_000_000_000_04)),
        ("1Gi", Some(1_073_741_824.0)),
        ("-1.5Ki", Some(-1536.0)),
        ("1e40", Some(1e40)),
        // A suffix without a number.
        ("M", Some(0.0)),
        ("-", Some(0.0)),
        ("Ei", None),
        ("50%", Some(0.5)),
        ("7.5%", None),
        ("1_000", Some(1000.0)),
        ("1__0", None),
        ("_1", None),
        ("-Inf", Some(f64::NEG_INFINITY)),
        ("0x10", None),
        (" 1", None),
    ] {
        assert_eq!(number::of_text(text), expected, "{text:?}");
    }
    assert!(number::of_text("nan").is_some_and(f64::is_nan));
    assert_eq!(number::of_text("+nan"), None);
    assert_eq!(number::of(&Value::Null), Err("null is not a number".to_owned()));
}

#[test]
fn labels_are_copied_under_names_that_prometheus_takes() {
    let object = json!({"labels": {"a.b/c": "x", "9": "y", "": "z", "plain": 1.5}, "plain": "named"});
    let paths =
        [("p-*", path(&["labels"])), ("*", path(&["labels"])), ("plain", path(&["plain"])), ("none", path(&["gone"]))];
    let paths = LabelPaths::new(paths.iter().map(|(name, path)| (*name, path)));
    let mut mask = Mask::default();
    paths.need(&mut mask, ROOT);
    let places = mask.root().into_narrow();
    let value = Read { mask: &mask, at: places.as_ref() }.deserialize(&object).unwrap();
    let mut labels = Labels::default();
    paths.set(Some(&value), &mut labels);
    let labels: Vec<_> = labels.iter().collect();
    let expected = [
        ("_9", "y"),
        ("a_b_c", "x"),
        ("p_", "z"),
        ("p_9", "y"),
        ("p_a_b_c", "x"),
        ("p_plain", "1.5"),
        ("plain", "named"),
    ];
    assert_eq!(labels, expected);
}

#[test]
fn problems_are_reported_from_their_verbosity_on() {
    let gauge = Kind::Gauge { label_from_key: None, value_from: Path::default(), nil_is_zero: false };
    let metric = |name: &str, error_log_v| Metric {
        name: name.to_owned(),
        help: String::new(),
        common_labels: BTreeMap::new(),
        labels: LabelPaths::default(),
        error_log_v,
        each: Each { path: path(&["spec"]), labels: LabelPaths::default(), kind: gauge.clone() },
    };
    let definition = Definition { metrics: vec![metric("a", 0), metric("b", 5)], ..Definition::default() };
    let of = GroupVersionKind { group: "g".to_owned(), version: "v1".to_owned(), kind: "K".to_owned() };
    let problems = |verbosity, object: &Json| {
        let collector = CustomCollector::new(&definition, &of, |_| true, verbosity);
        let problems = collector.collect(object).unwrap().problems;
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(problems(0, &json!({"spec": "x"})), ["a: [spec]: \"x\" is not a number"]);
    assert_eq!(problems(5, &json!({})), ["a: [spec]: no value", "b: [spec]: no value"]);
    assert_eq!(
        problems(5, &json!({"spec": [1, {}]})),
        ["a: item 1 of [spec]: a map is not a number", "b: item 1 of [spec]: a map is not a number"]
    );
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[a-cn0-9%.TZ:+-]{0,6}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::btree_map("[a-c0]|-1|a=b", inner, 0..5)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

fn any_path() -> impl Strategy<Value = Path> {
    let part = prop_oneof!["[a-c0]", Just("-1".to_owned()), Just("a=b".to_owned()), "\\[[a-c]=[a-c0]\\]"];
    prop::collection::vec(part, 0..4).prop_map(|parts| Path::new(parts).unwrap())
}

fn any_labels() -> impl Strategy<Value = LabelPaths> {
    let name = prop_oneof!["[a-c]", Just("*".to_owned()), Just("p_*".to_owned())];
    prop::collection::btree_map(name, any_path(), 0..3)
        .prop_map(|paths| LabelPaths::new(paths.iter().map(|(name, path)| (name.as_str(), path))))
}

fn any_kind() -> impl Strategy<Value = Kind> {
    let key = || prop::option::of("[a-c]".prop_map(|name| LabelName::new(name).unwrap()));
    prop_oneof![
        (key(), any_path(), any::<bool>()).prop_map(|(label_from_key, value_from, nil_is_zero)| Kind::Gauge {
            label_from_key,
            value_from,
            nil_is_zero
        }),
        key().prop_map(|label_from_key| Kind::Info { label_from_key }),
        any_path().prop_map(|value_from| Kind::StateSet {
            label_name: LabelName::new("state").unwrap(),
            states: vec!["a".to_owned(), "b".to_owned()],
            value_from
        }),
    ]
}

proptest! {
    #[test]
    fn skipped_fields_change_no_series(object in any_json(), path in any_path(), labels in any_labels(), base in any_labels(), kind in any_kind()) {
        let metric = Metric {
            name: "m".to_owned(),
            help: String::new(),
            common_labels: BTreeMap::new(),
            labels: base,
            error_log_v: 0,
            each: Each { path, labels, kind },
        };
        let definition = Definition { metrics: vec![metric], ..Definition::default() };
        let of = GroupVersionKind { group: "g".to_owned(), version: "v1".to_owned(), kind: "K".to_owned() };
        let narrow = CustomCollector::new(&definition, &of, |_| true, 0);
        let whole = CustomCollector { root: None, ..CustomCollector::new(&definition, &of, |_| true, 0) };
        prop_assert_eq!(narrow.collect(&object).unwrap(), whole.collect(&object).unwrap());
    }

    #[test]
    fn no_text_panics_as_a_number(text in "\\PC{0,12}|[0-9+-.eEinumkKMGTPZ%:_T-]{0,24}") {
        let _ = number::of_text(&text);
    }

    #[test]
    fn any_number_of_seconds_is_a_time(seconds in -62_135_596_800_i64..253_402_300_800) {
        let date = jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0) + jiff::SignedDuration::from_secs(seconds);
        prop_assert_eq!(number::of_text(&format!("{}Z", date.strftime("%Y-%m-%dT%H:%M:%S"))), Some(seconds as f64));
    }
}

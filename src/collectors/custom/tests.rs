#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::exposition::{Format, ResourceStore, Selection, Stamp, Store};
use crate::sharding::{Hashes, Slice};

#[test]
fn nothing_of_a_secrets_data_is_ever_read() {
    let of = GroupVersionKind { group: String::new(), version: "v1".to_owned(), kind: "Secret".to_owned() };
    let named = |name: &str, parts: &[&str]| LabelPaths::new([(name, &path(parts))]);
    // Paths that name no field reach all of them.
    let whole = Metric {
        name: "whole".to_owned(),
        help: String::new(),
        common_labels: CommonLabels::new(),
        labels: named("all", &[]),
        error_log_v: 0,
        series: SeriesOf::Each(Each {
            path: path(&[]),
            labels: named("copy_*", &["metadata", "annotations"]),
            kind: Kind::Info { label_from_key: None },
        }),
    };
    assert_eq!(whole.not_of_secrets(), None);
    let definition = Definition { common_labels: CommonLabels::new(), metrics: vec![whole] };
    let secret = json!({
        "data": {"password": "aGlkZGVu", "metadata": {"annotations": {"hidden": "aGlkZGVu"}}},
        "stringData": {"password": "hidden"},
        "metadata": {"name": "n", "annotations": {"a": "b", LAST_APPLIED: "hidden"},
            "managedFields": [{"manager": "m", "fieldsV1": {"f:data": {"f:hidden": {}}}}]},
        "type": "Opaque",
    });
    for secret in [secret.to_string(), secret.to_string().replace("\"data\"", "\"d\\u0061ta\"")] {
        let collector = CustomCollector::new(&definition, &of, |_| true, u8::MAX);
        let collected = collector.collect(&mut serde_json::Deserializer::from_str(&secret)).unwrap();
        let objects = ResourceStore::without_history("secrets", collector.headers());
        let stamp = Stamp { version: 1, listed: false };
        objects.apply(0, "u".into(), Hashes::of("u"), stamp, collected.block);
        let scrape = Store::new(vec![objects]).scrape(&Selection::All, Format::Text, &Slice::all());
        let text = String::from_utf8(scrape.flatten().collect()).unwrap();
        assert!(text.contains("copy_a") && text.contains("Opaque"), "{text}");
        assert!(!text.contains("idden") && !text.contains("aGlkZGVu") && !text.contains("managedFields"), "{text}");
    }
    let reads = |parts: &[&str]| {
        let labels = named("x", parts);
        let series =
            SeriesOf::Each(Each { path: path(&["metadata"]), labels, kind: Kind::Info { label_from_key: None } });
        let metric = |labels| Metric { labels, series: series.clone(), ..definition.metrics[0].clone() };
        metric(named("x", parts)).not_of_secrets().map(|(field, _)| field)
    };
    assert_eq!(reads(&["data", "password"]).as_deref(), Some("data"));
    assert_eq!(reads(&["stringData"]).as_deref(), Some("stringData"));
    assert_eq!(reads(&["immutable"]).as_deref(), Some("immutable"));
    assert_eq!(reads(&["metadata", "annotations", LAST_APPLIED]).as_deref(), Some(LAST_APPLIED));
    assert_eq!(reads(&["metadata", "managedFields"]).as_deref(), Some("metadata.managedFields"));
    assert_eq!(reads(&["metadata", "managedFields", "0", "time"]).as_deref(), Some("metadata.managedFields"));
    assert_eq!(reads(&["metadata", "annotations", "a"]), None);
    assert_eq!(reads(&["type"]), None);
}

fn path(parts: &[&str]) -> Path {
    Path::new(parts).unwrap()
}

/// Returns the value at `parts` of `object`, as a label shows it.
fn at(object: &Json, parts: &[&str]) -> Option<String> {
    let mut mask = Mask::default();
    mask.add_whole(ROOT, &path(parts));
    let places = mask.root().into_narrow();
    let value = Read { mask: &mask, at: places.as_ref(), hidden: Hidden::Nothing }.deserialize(object).unwrap();
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
    let value = Read { mask: &mask, at: places.as_ref(), hidden: Hidden::Nothing }.deserialize(&object).unwrap();
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
        series: SeriesOf::Each(Each { path: path(&["spec"]), labels: LabelPaths::default(), kind: gauge.clone() }),
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

/// The series and problems of one metric, as `labels value`.
fn series_of(entries: Entries, object: &Json) -> (Vec<String>, Vec<String>) {
    let mut mask = Mask::default();
    entries.need(&mut mask);
    let places = mask.root().into_narrow();
    let value = Read { mask: &mask, at: places.as_ref(), hidden: Hidden::Nothing }.deserialize(object).unwrap();
    let mut problems = Vec::new();
    let mut out = Out { lines: Vec::new(), problems: Some(&mut problems) };
    entries.lines(&value, &mut out);
    let line = |line: &Line<'_>| {
        let labels: Vec<_> = line.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} {}", labels.join(","), line.value)
    };
    let lines = out.lines.iter().map(line).collect();
    (lines, problems)
}

fn walk(parts: &[&str]) -> Walk {
    Walk::new(parts).unwrap()
}

/// A gauge with labels from `labels`, by the ends of `path`.
fn gauge(path: &[&str], labels: &[(&str, &[&str], Option<&str>)], number: Number) -> Entries {
    let path = walk(path);
    let label = |(name, parts, default): &(&str, &[&str], Option<&str>)| {
        ((*name).to_owned(), (Reach::new(parts, path.len()).unwrap(), default.map(str::to_owned)))
    };
    let labels = EntryLabels::new(labels.iter().map(label).collect());
    Entries { path, labels, label_from_key: None, kind: EntryKind::Gauge(number) }
}

fn number(source: NumberSource) -> Number {
    Number { source, convert: Convert::Number, default: None }
}

fn reach(parts: &[&str]) -> Reach {
    Reach::new(parts, usize::MAX).unwrap()
}

#[test]
fn entries_look_through_an_earlier_list_once_for_each_list() {
    let rule = |default: u64| json!({"backends": [{"weight": 7}, {"default": true, "weight": default}]});
    let object = json!({"rules": [rule(1), rule(2)]});
    let labels: &[(&str, &[&str], Option<&str>)] = &[("rule", &["[..]", "[..]", "[key]"], None)];
    let of_default = || number(NumberSource::At(reach(&["[..]", "[default=true]", "weight"])));
    let entries = || gauge(&["rules", "[*]", "backends", "[*]"], labels, of_default());
    assert_eq!(series_of(entries(), &object).0, ["rule=0 1", "rule=0 1", "rule=1 2", "rule=1 2"]);
    // If each entry looked through the list, this would take days.
    let many = json!({"rules": [{"backends": vec![json!({}); 300_000]}]});
    assert!(series_of(entries(), &many).0.is_empty());
}

#[test]
fn nested_lists_and_maps_are_iterated_with_labels_from_every_level() {
    let object = json!({"spec": {"class": "web", "rules": [
        {"host": "a", "backends": {"x": {"weight": 1}, "y": {"weight": "2"}, "none": null}},
        {"host": "b", "backends": {"z": {"weight": 3}, "bad": {"weight": []}, "empty": {}}},
        {"host": "c"}, null, {"host": "d", "backends": 5},
    ]}});
    let labels: &[(&str, &[&str], Option<&str>)] = &[
        ("backend", &["[key]"], None),
        ("host", &["[..]", "[..]", "host"], None),
        ("rule", &["[..]", "[..]", "[key]"], None),
        ("class", &["[..]", "[..]", "[..]", "[..]", "class"], None),
        ("zone", &["zone"], Some("any")),
    ];
    let path = &["spec", "rules", "[*]", "backends", "[*]"];
    let at = number(NumberSource::At(reach(&["weight"])));
    let (lines, problems) = series_of(gauge(path, labels, at), &object);
    assert_eq!(
        lines,
        [
            "backend=x,class=web,host=a,rule=0,zone=any 1",
            "backend=y,class=web,host=a,rule=0,zone=any 2",
            "backend=z,class=web,host=b,rule=1,zone=any 3",
        ]
    );
    assert_eq!(problems, ["[spec, rules, 1, backends, bad]: a list is not a number"]);
}

#[test]
fn values_are_counted_and_summed() {
    let object = json!({"spec": {"pools": [
        {"name": "a", "sizes": [1, "2", null], "ports": {"http": 80, "off": null}, "ttl": ["1h", "30m"]},
        {"name": "b", "sizes": ["x"]},
        {"name": "c"},
    ]}});
    let pools = &["spec", "pools", "[*]"];
    let name: &[(&str, &[&str], Option<&str>)] = &[("name", &["name"], None)];
    let of = |number| series_of(gauge(pools, name, number), &object);
    let (lines, problems) = of(number(NumberSource::Count(walk(&["sizes"]))));
    assert_eq!((lines.as_slice(), problems.len()), (&["name=a 2", "name=b 1", "name=c 0"].map(str::to_owned)[..], 0));
    assert_eq!(of(number(NumberSource::Count(walk(&["ports"])))).0, ["name=a 1", "name=b 0", "name=c 0"]);
    assert_eq!(of(number(NumberSource::Count(walk(&["name"])))).0, ["name=a 1", "name=b 1", "name=c 1"]);
    let (lines, problems) = of(number(NumberSource::Sum(walk(&["sizes"]))));
    assert_eq!(lines, ["name=a 3", "name=c 0"], "a sum that lacks a part is left out");
    assert_eq!(problems, ["[spec, pools, 1]: [sizes]: \"x\" is not a number"]);
    let durations = Number { convert: Convert::Duration, ..number(NumberSource::Sum(walk(&["ttl", "[*]"]))) };
    assert_eq!(of(durations).0, ["name=a 5400", "name=b 0", "name=c 0"]);
    let all = number(NumberSource::Count(walk(&["spec", "pools", "[*]", "sizes", "[*]"])));
    assert_eq!(series_of(gauge(&[], &[], all), &object).0, [" 3"]);
}

#[test]
fn values_are_durations_or_read_by_a_table_or_a_default() {
    let object = json!({"items": [{"v": "Ready"}, {"v": true}, {"v": "2160h"}, {"v": 7}, {}]});
    let of = |convert, default| {
        let number = Number { source: NumberSource::At(reach(&["v"])), convert, default };
        let (lines, problems) = series_of(gauge(&["items", "[*]"], &[], number), &object);
        (lines.iter().map(|line| line.trim().to_owned()).collect::<Vec<_>>(), problems)
    };
    let numbers = || [("Ready".to_owned(), 1.0), ("true".to_owned(), 2.0), ("7".to_owned(), 3.0)].into();
    let (values, problems) = of(Convert::Values { numbers: numbers(), otherwise: None }, None);
    assert_eq!(values, ["1", "2", "3"]);
    assert_eq!(problems, ["[items, 2]: \"2160h\" is none of values, and there is no otherwise"]);
    assert_eq!(
        of(Convert::Values { numbers: numbers(), otherwise: Some(-1.0) }, Some(-2.0)).0,
        ["1", "2", "-1", "3", "-2"]
    );
    let (values, problems) = of(Convert::Duration, Some(0.0));
    assert_eq!(values, ["7776000", "7", "0"]);
    assert_eq!(problems.len(), 2);
    let missing = Number { default: Some(4.0), ..number(NumberSource::At(Reach::default())) };
    assert_eq!(series_of(gauge(&["gone", "away"], &[], missing.clone()), &object).0, [" 4"]);
    assert_eq!(series_of(gauge(&["items", "[*]", "gone"], &[], missing.clone()), &object).0, vec![" 4"; 5]);
    assert!(series_of(gauge(&["gone", "[*]"], &[], missing), &object).0.is_empty(), "nothing to iterate");
}

#[test]
fn labels_from_values_before_the_entries_are_bounded() {
    let object = json!({"text": "x".repeat(400_000), "list": [1, 2, 3, 4, 5], "map": {"a": 1}});
    let at = || number(NumberSource::At(Reach::default()));
    let long: &[(&str, &[&str], Option<&str>)] = &[("text", &["[..]", "[..]", "text"], None)];
    let (lines, problems) = series_of(gauge(&["list", "[*]"], long, at()), &object);
    assert_eq!(lines.len(), 2);
    assert_eq!(
        problems,
        ["[list, [*]]: labels from values before the entries exceed 1 MiB; the remaining entries are left out"]
    );
    let whole: &[(&str, &[&str], Option<&str>)] = &[("map", &["[..]", "[..]", "map"], None)];
    let (lines, problems) = series_of(gauge(&["list", "[*]"], whole, at()), &object);
    assert!(lines.is_empty());
    assert_eq!(problems[0], "[list, 0]: label map: [[..], [..], map] is a map; lead it to a text");
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

fn any_walk() -> impl Strategy<Value = Walk> {
    let part = prop_oneof![3 => Just("[*]".to_owned()), 2 => "[a-c0]", 1 => "\\[[a-c]=[a-c0]\\]"];
    prop::collection::vec(part, 0..4).prop_map(|parts| Walk::new(parts).unwrap())
}

/// Parts of a [`Reach`] from an end of `steps` steps.
fn any_reach(steps: usize) -> impl Strategy<Value = Reach> {
    let rest = prop_oneof![3 => prop::collection::vec("[a-c0]", 0..3), 1 => Just(vec!["[key]".to_owned()])];
    (0..=steps, rest).prop_map(move |(back, rest)| {
        let parts: Vec<_> = std::iter::repeat_n("[..]".to_owned(), back).chain(rest).collect();
        Reach::new(&parts, steps).unwrap_or_default()
    })
}

fn any_entries() -> impl Strategy<Value = Entries> {
    any_walk().prop_flat_map(|path| {
        let steps = path.len();
        let label = (any_reach(steps), prop::option::of("[a-c]"));
        let labels = prop::collection::btree_map(prop_oneof![3 => "[a-c]", 1 => Just("p_*".to_owned())], label, 0..3);
        let source = prop_oneof![
            any_reach(steps).prop_map(NumberSource::At),
            any_walk().prop_map(NumberSource::Count),
            any_walk().prop_map(NumberSource::Sum)
        ];
        let convert = prop_oneof![
            Just(Convert::Number),
            Just(Convert::Duration),
            Just(Convert::Values { numbers: [("a".to_owned(), 1.0)].into(), otherwise: Some(0.0) })
        ];
        let gauge = (source, convert, prop::option::of(Just(5.0)))
            .prop_map(|(source, convert, default)| EntryKind::Gauge(Number { source, convert, default }));
        let set = (any_reach(steps), prop::option::of("[a-c]")).prop_map(|(from, default)| EntryKind::StateSet {
            label_name: LabelName::new("state").unwrap(),
            states: vec!["a".to_owned(), "b".to_owned()],
            from,
            default,
        });
        let key = path.behind_last_each().map(|behind| (LabelName::new("k").unwrap(), Reach::key(behind)));
        (Just(path), labels, prop_oneof![gauge, Just(EntryKind::Info), set], any::<bool>()).prop_map(
            move |(path, labels, kind, keyed)| Entries {
                path,
                labels: EntryLabels::new(labels),
                label_from_key: key.clone().filter(|_| keyed),
                kind,
            },
        )
    })
}

/// The number of values in a tree.
fn size(json: &Json) -> usize {
    1 + match json {
        Json::Array(items) => items.iter().map(size).sum(),
        Json::Object(fields) => fields.values().map(size).sum(),
        _ => 0,
    }
}

proptest! {
    #[test]
    fn the_richer_format_is_bounded_by_the_object_and_skips_only_what_it_does_not_read(
        object in any_json(),
        entries in any_entries(),
    ) {
        let (lines, _) = series_of(entries.clone(), &object);
        prop_assert!(lines.len() <= 2 * size(&object), "{} lines", lines.len());
        let metric = Metric {
            name: "m".to_owned(),
            help: String::new(),
            common_labels: BTreeMap::new(),
            labels: LabelPaths::default(),
            error_log_v: 0,
            series: SeriesOf::Entries(Box::new(entries)),
        };
        let definition = Definition { metrics: vec![metric], ..Definition::default() };
        let of = GroupVersionKind { group: "g".to_owned(), version: "v1".to_owned(), kind: "K".to_owned() };
        let narrow = CustomCollector::new(&definition, &of, |_| true, 0);
        let whole = CustomCollector { root: None, ..CustomCollector::new(&definition, &of, |_| true, 0) };
        prop_assert_eq!(narrow.collect(&object).unwrap(), whole.collect(&object).unwrap());
        narrow.hints(&object).unwrap();
    }

    #[test]
    fn skipped_fields_change_no_series(object in any_json(), path in any_path(), labels in any_labels(), base in any_labels(), kind in any_kind()) {
        let metric = Metric {
            name: "m".to_owned(),
            help: String::new(),
            common_labels: BTreeMap::new(),
            labels: base,
            error_log_v: 0,
            series: SeriesOf::Each(Each { path, labels, kind }),
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

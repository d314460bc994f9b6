use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tests::{deflated_bytes, header, lower_half, unzipped};
use super::*;
use crate::exposition::{
    BlockBuilder, Departing, Fingerprints, Header, MetricType, NamespaceLabels, NamespacedBy, Parts, ResourceStore,
    Selection, Stamp, Store, Update,
};
use crate::sharding::{Hashes, Slice};

/// A store with two families whose series share labels, and one whose series carry all of theirs.
fn things() -> (Store, Arc<ResourceStore>) {
    let own = Header { shares: false, ..header("z", MetricType::Gauge) };
    let things =
        ResourceStore::new("things", vec![header("x", MetricType::Gauge), header("y", MetricType::Gauge), own]);
    things.index_namespaces(NamespacedBy::Namespace);
    (Store::new(vec![Arc::clone(&things)]), things)
}

/// Applies an object of a namespace, whose labels need not name it. A part of the objects have no shared labels.
fn put(things: &ResourceStore, uid: &str, version: u64, namespace: &str, value: u32) {
    let named = [("object", uid), ("in", namespace)];
    let (shared, own) = if uid.ends_with('7') { named.split_at(0) } else { named.split_at(2) };
    let mut block = BlockBuilder::new(shared);
    block.family(0, |s| s.sample(own, f64::from(value)));
    block.family(1, |s| {
        (0..value % 3).for_each(|n| s.sample(&[own, &[("n", n.to_string().as_str())]].concat(), 1.0));
    });
    let mut beside = BlockBuilder::new(&[]);
    beside.family(0, |s| (0..value % 4).for_each(|n| s.sample(&[&named[..], &[("m", &n.to_string())]].concat(), 2.0)));
    let (block, fingerprints) = (block.finish().with(2, &beside.finish()), Fingerprints::default());
    let update = Update { block, parts: Parts::ALL, fingerprints, namespace: namespace.to_owned(), remembered: None };
    things.apply(0, uid.into(), Hashes::of(uid), Stamp { version, listed: false }, update);
}

fn plain(scrape: Scrape) -> String {
    String::from_utf8(scrape.flatten().collect()).expect("UTF-8")
}

/// Returns the lines of `text` without series of other namespaces.
fn within(text: &str, namespaces: &[&str]) -> String {
    let marks: Vec<_> = namespaces.iter().map(|namespace| format!("in=\"{namespace}\"")).collect();
    let stays = |line: &&str| line.starts_with('#') || marks.iter().any(|mark| line.contains(mark));
    text.split_inclusive('\n').filter(stays).collect()
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(8))]
    #[test]
    fn a_scrape_of_namespaces_is_a_whole_one_without_the_other_objects(
        steps in proptest::collection::vec((0..10_u8, 0..1500_u32, 0..400_u32), 1..24),
        asked in proptest::sample::subsequence(vec!["a", "b", "c", "none", ""], 0..5),
        departs in any::<bool>(),
        half in any::<bool>(),
    ) {
        let (store, things) = things();
        let mut namespaces = BTreeMap::new();
        for (version, (kind, first, count)) in (1..).zip(steps) {
            for at in first..first + count {
                let uid = at.to_string();
                match kind {
                    // An object of the same UID is of the same namespace while it exists.
                    0..6 => {
                        let new = ["a", "b", "b", "b", ""][(u32::from(kind) + at) as usize % 5];
                        let namespace = *namespaces.entry(at).or_insert(new);
                        put(&things, &uid, version, namespace, count + at);
                    }
                    _ => {
                        things.delete(0, &uid, version);
                        namespaces.remove(&at);
                    }
                }
            }
            if kind == 9 {
                things.retain(&lower_half());
                namespaces.retain(|at, _| lower_half().contains(Hashes::of(&at.to_string())));
            }
        }
        let exposed = if half { lower_half() } else { Slice::all() };
        for format in [Format::Text, Format::OpenMetrics] {
            let scrape = || {
                let scrape = store.scrape(&Selection::All, format, &exposed);
                let departing = Departing { slice: lower_half(), at: 1_700_000_000_042 };
                if departs { scrape.departing(&departing) } else { scrape }
            };
            let named: Vec<_> = asked.iter().copied().filter(|name| !name.is_empty()).collect();
            let filtered = plain(scrape().of_namespaces(asked.iter().copied()));
            prop_assert_eq!(&filtered, &within(&plain(scrape()), &named));
            prop_assert_eq!(&unzipped(scrape().of_namespaces(asked.iter().copied())), &filtered);
            prop_assert_eq!(deflated_bytes(&things), 0, "it keeps nothing");
        }
    }
}

#[test]
fn objects_of_one_hash_are_told_apart() {
    let (store, things) = things();
    let hashes = Hashes::of("1");
    for (uid, namespace) in [("1", "a"), ("2", "b"), ("3", "a")] {
        let mut block = BlockBuilder::new(&[("object", uid)]);
        block.family(0, |s| s.sample(&[], 1.0));
        let (block, fingerprints) = (block.finish(), Fingerprints::default());
        let update =
            Update { block, parts: Parts::ALL, fingerprints, namespace: namespace.to_owned(), remembered: None };
        things.apply(0, uid.into(), hashes, Stamp { version: 1, listed: false }, update);
    }
    let shown = |namespace: &str| {
        let text = plain(store.scrape(&Selection::All, Format::Text, &Slice::all()).of_namespaces([namespace]));
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(shown("a"), ["x{object=\"1\"} 1", "x{object=\"3\"} 1"]);
    assert_eq!(shown("b"), ["x{object=\"2\"} 1"]);
}

#[test]
fn a_store_without_an_index_shows_no_object_of_a_namespace() {
    let things = ResourceStore::new("things", vec![header("x", MetricType::Gauge), header("y", MetricType::Gauge)]);
    let store = Store::new(vec![Arc::clone(&things)]);
    let mut block = BlockBuilder::new(&[("object", "1")]);
    (0..2).for_each(|family| block.family(family, |s| s.sample(&[], 1.0)));
    let update = Update { namespace: "a".to_owned(), ..block.finish().into() };
    things.apply(0, "1".into(), Hashes::of("1"), Stamp { version: 1, listed: false }, update);
    let text = plain(store.scrape(&Selection::All, Format::Text, &Slice::all()).of_namespaces(["a"]));
    assert!(text.lines().all(|line| line.starts_with('#')), "{text}");
    assert_eq!(text.lines().count(), 4);
}

#[test]
fn a_scrape_of_a_namespace_does_not_change_what_a_whole_one_copies() {
    let (store, things) = things();
    for n in 0..1000 {
        put(&things, &n.to_string(), 1, if n % 50 == 0 { "a" } else { "b" }, 4);
    }
    let whole = || store.scrape(&Selection::All, Format::Text, &Slice::all());
    let text = unzipped(whole());
    let before = deflated_bytes(&things);
    let filtered = unzipped(whole().of_namespaces(["a"]));
    assert_eq!(filtered, within(&text, &["a"]));
    assert_eq!(deflated_bytes(&things), before);
    assert_eq!(unzipped(whole()), text);
}

/// Returns the value of the label of a namespace, which is its only one.
fn team<'l>(labels: &'l NamespaceLabels, namespace: &str) -> &'l str {
    let text = std::str::from_utf8(labels.of(namespace)).expect("UTF-8");
    text.strip_prefix(",team=\"").and_then(|rest| rest.strip_suffix('"')).unwrap_or_default()
}

/// The labels of the namespaces `a` and `b`; none for an empty value.
fn labels(a: &str, b: &str) -> Arc<NamespaceLabels> {
    let named = [("a", a), ("b", b)].map(|(namespace, value)| {
        (namespace, (!value.is_empty()).then(|| ("team".to_owned(), value)).into_iter().collect())
    });
    Arc::new(NamespaceLabels::new(named))
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(12))]
    /// Objects and labels of namespaces come, change and go in any order, while changes of some objects are held back for a while. In the
    /// end the store serves what one does that knew the last state from the start.
    #[test]
    fn series_have_the_labels_of_their_namespaces_whatever_comes_first(
        steps in proptest::collection::vec((0..10_u8, 0..600_u32, 0..150_u32), 1..24),
    ) {
        let (store, things) = things();
        let (mut model, mut now) = (BTreeMap::new(), labels("", ""));
        let values = ["", "x", "yy", "quote\"d"];
        for (version, (kind, first, count)) in (1..).zip(steps) {
            match kind {
                0..=3 => for at in first..first + count {
                    put(&things, &at.to_string(), version, ["a", "b", "c"][at as usize % 3], count);
                    model.insert(at, (version, count));
                },
                4 | 5 => for at in first..first + count {
                    things.delete(0, &at.to_string(), version);
                    model.remove(&at);
                },
                6 | 7 => {
                    now = labels(values[first as usize % 4], values[count as usize % 4]);
                    things.label_namespaces(&now).for_each(drop);
                }
                8 => things.hold_back(lower_half()),
                _ => things.hold_back(Slice::none()),
            }
        }
        things.hold_back(Slice::none());
        let (again, other) = self::things();
        other.label_namespaces(&now).for_each(drop);
        for (at, (version, value)) in &model {
            put(&other, &at.to_string(), *version, ["a", "b", "c"][*at as usize % 3], *value);
        }
        let whole = |store: &Store| store.scrape(&Selection::All, Format::Text, &Slice::all());
        let text = plain(whole(&again));
        prop_assert_eq!(&plain(whole(&store)), &text);
        prop_assert_eq!(&unzipped(whole(&store)), &text);
        // Each series has the label once, among its own ones.
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let namespace = line.split_once("in=\"").and_then(|(_, rest)| rest.chars().next());
            let value = namespace.map_or("", |namespace| team(&now, namespace.encode_utf8(&mut [0; 4])));
            let (label, expected) = (format!("team=\"{value}\""), usize::from(!value.is_empty()));
            prop_assert_eq!(line.matches("team=").count(), expected, "{}", line);
            prop_assert_eq!(line.contains(&label), expected == 1, "{}", line);
            prop_assert!(["{,", ",,", ",}", "}{", "}}"].iter().all(|broken| !line.contains(broken)), "{}", line);
        }
    }
}

#[test]
fn a_change_of_labels_waits_while_changes_of_an_object_are_held_back() {
    let (store, things) = things();
    things.label_namespaces(&labels("x", "")).for_each(drop);
    put(&things, "1", 1, "a", 1);
    let shown = || {
        let text = plain(store.scrape(&Selection::All, Format::Text, &Slice::all()));
        text.lines().find(|line| line.starts_with("x{")).map(str::to_owned)
    };
    assert_eq!(shown().as_deref(), Some("x{object=\"1\",in=\"a\",team=\"x\"} 1"));
    things.hold_back(Slice::all());
    things.label_namespaces(&labels("y", "")).for_each(drop);
    assert_eq!(shown().as_deref(), Some("x{object=\"1\",in=\"a\",team=\"x\"} 1"), "its series would end");
    things.hold_back(Slice::none());
    assert_eq!(shown().as_deref(), Some("x{object=\"1\",in=\"a\",team=\"y\"} 1"));
    things.linger(2);
    things.named("1", 7);
    things.delete(0, "1", 2);
    things.label_namespaces(&labels("", "")).for_each(drop);
    assert_eq!(shown().as_deref(), Some("x{object=\"1\",in=\"a\",team=\"y\"} 1"), "it lingers as it was");
}

#[test]
fn series_without_shared_labels_get_those_of_their_namespace_too() {
    let (store, things) = things();
    let put = |version: u64, shared: &[(&str, &str)]| {
        let mut block = BlockBuilder::new(shared);
        block.family(0, |s| s.sample(&[], 1.0));
        block.family(1, |s| s.sample(&[("n", "{,\"\\")], 1.0));
        let mut beside = BlockBuilder::new(&[]);
        beside.family(0, |s| {
            s.sample(&[], 1.0);
            s.sample(&[("m", "1")], 1.0);
        });
        let update = Update { namespace: "a".to_owned(), ..block.finish().with(2, &beside.finish()).into() };
        things.apply(0, "1".into(), Hashes::of("1"), Stamp { version, listed: false }, update);
    };
    let shown = |timed: bool| {
        let scrape = store.scrape(&Selection::All, Format::Text, &Slice::all());
        let departing = Departing { slice: Slice::all(), at: 7 };
        let text = plain(if timed { scrape.departing(&departing) } else { scrape });
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    put(1, &[]);
    let bare = ["x 1", "y{n=\"{,\\\"\\\\\"} 1", "z 1", "z{m=\"1\"} 1"];
    assert_eq!(shown(false), bare);
    things.label_namespaces(&labels("t", "")).for_each(drop);
    let with = ["x{team=\"t\"} 1", "y{team=\"t\",n=\"{,\\\"\\\\\"} 1", "z{team=\"t\"} 1", "z{team=\"t\",m=\"1\"} 1"];
    assert_eq!(shown(false), with);
    assert_eq!(shown(true), with.map(|line| format!("{line} 7")));
    put(2, &[]);
    assert_eq!(shown(false), with);
    put(3, &[("l", "1")]);
    assert_eq!(shown(false)[..2], ["x{l=\"1\",team=\"t\"} 1", "y{l=\"1\",team=\"t\",n=\"{,\\\"\\\\\"} 1"]);
    assert_eq!(shown(false)[2..], with[2..]);
    put(4, &[]);
    things.label_namespaces(&labels("", "")).for_each(drop);
    assert_eq!(shown(false), bare);
}

#[test]
fn a_change_of_labels_reaches_only_pages_with_objects_of_the_namespace() {
    let (store, things) = things();
    for n in 0..5000 {
        put(&things, &n.to_string(), 1, if n % 1000 == 0 { "a" } else { "b" }, 4);
    }
    unzipped(store.scrape(&Selection::All, Format::Text, &Slice::all()));
    let before = deflated_bytes(&things);
    assert!(things.label_namespaces(&labels("x", "")).count() <= 5);
    assert!(deflated_bytes(&things) > before * 3 / 4, "other pages keep their text");
    assert_eq!(things.label_namespaces(&labels("x", "")).count(), 0, "nothing changes");
}

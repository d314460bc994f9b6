use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::super::{Format, Selection, Store};
use super::*;
use crate::exposition::{BlockBuilder, Uids};
use crate::sharding::{Hasher, Ranges};

const ALL: u32 = 0;

fn event(version: u64) -> Stamp {
    Stamp { version, listed: false }
}

fn listed(version: u64) -> Stamp {
    Stamp { version, listed: true }
}

fn at(point: u64) -> Hashes {
    Hashes { xxhash64: point, fnv1a64: point }
}

fn block(text: &str) -> Block {
    let mut block = BlockBuilder::new(&[("object", text)]);
    block.family(0, |samples| samples.sample(&[], 1.0));
    block.finish()
}

fn store() -> (Store, Arc<ResourceStore>) {
    let header = Header {
        name: "kube_thing_info".into(),
        help: "A thing.".into(),
        kind: crate::exposition::MetricType::Gauge,
        reads: Parts::ALL,
        shares: true,
    };
    let things = ResourceStore::new("things", vec![header]);
    (Store::new(vec![Arc::clone(&things)]), things)
}

fn served(store: &Store) -> Vec<String> {
    served_of(store, &Slice::all())
}

fn served_of(store: &Store, exposed: &Slice) -> Vec<String> {
    let scrape = store.scrape(&Selection::All, Format::Text, exposed);
    let text: Vec<u8> = scrape.flat_map(|chunk| chunk.to_vec()).collect();
    let text = String::from_utf8(text).expect("UTF-8");
    let mut names: Vec<_> = text
        .lines()
        .filter_map(|l| l.strip_prefix("kube_thing_info{object=\"")?.strip_suffix("\"} 1").map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn uids(store: &Arc<ResourceStore>) -> Vec<Uid> {
    Uids::new(Arc::clone(store), &Arc::new(Slice::all())).flatten().collect()
}

fn put(store: &ResourceStore, uid: &str, version: u64, text: &str) {
    store.apply(ALL, uid.into(), Hashes::of(uid), event(version), block(text));
}

fn everything() -> Scope<'static> {
    static SLICE: LazyLock<Slice> = LazyLock::new(Slice::all);
    Scope { partition: ALL, slice: &SLICE }
}

#[test]
fn a_list_replaces_old_objects_when_it_is_complete() {
    let (store, things) = store();
    let first = things.begin(None);
    put(&things, "a", 1, "a");
    put(&things, "b", 2, "b");
    things.finish(first, everything(), 2);
    let second = things.begin(None);
    put(&things, "b", 3, "b'");
    assert_eq!(served(&store), ["a", "b'"]);
    things.finish(second, everything(), 4);
    assert_eq!(served(&store), ["b'"]);
}

#[test]
fn an_older_item_changes_nothing_and_brings_nothing_back() {
    let (store, things) = store();
    let list = things.begin(None);
    put(&things, "a", 5, "new");
    put(&things, "a", 4, "old");
    put(&things, "b", 5, "b");
    things.delete(ALL, "b", 6);
    put(&things, "b", 5, "b again");
    assert_eq!(served(&store), ["new"]);
    things.finish(list, everything(), 5);
    put(&things, "b", 7, "reborn");
    assert_eq!(served(&store), ["new", "reborn"]);
}

#[test]
fn a_list_removes_nothing_that_is_newer_or_out_of_its_scope() {
    let (store, things) = store();
    things.apply(1, "other namespace".into(), at(0), event(1), block("other namespace"));
    things.apply(ALL, "other range".into(), at(u64::MAX), event(1), block("other range"));
    things.apply(ALL, "newer".into(), at(0), event(9), block("newer"));
    things.apply(ALL, "stale".into(), at(0), event(1), block("stale"));
    let lower = Slice::of(Hasher::XxHash64, Ranges::from_parts([(0, 1 << 63)]));
    let list = things.begin(None);
    things.finish(list, Scope { partition: ALL, slice: &lower }, 5);
    assert_eq!(served(&store), ["newer", "other namespace", "other range"]);
}

#[test]
fn a_slice_is_loaded_hidden_and_shown_in_one_step() {
    let (store, things) = store();
    let lower = Slice::of(Hasher::XxHash64, Ranges::from_parts([(0, 1 << 63)]));
    things.apply(ALL, "low".into(), at(0), event(1), block("low"));
    things.apply(ALL, "high".into(), at(u64::MAX), event(1), block("high"));
    assert_eq!(served_of(&store, &lower), ["low"]);
    assert_eq!(served(&store), ["high", "low"]);
    things.set_loaded(lower.clone());
    assert_eq!(served(&store), ["low"], "objects outside the loaded slice are hidden");
    assert_eq!(uids(&things), ["low".into()]);
    things.retain(&lower);
    assert_eq!(things.len(), 1);
}

#[test]
fn tombstones_end_with_the_last_list() {
    let (_, things) = store();
    let list = things.begin(None);
    let retried = things.begin(Some(list));
    things.delete(ALL, "a", 3);
    things.finish(retried, everything(), 2);
    assert!(things.state().tombstones.is_empty());
}

#[test]
fn after_a_rewind_older_versions_replace_newer_ones() {
    let (store, things) = store();
    put(&things, "a", 9, "a");
    put(&things, "gone", 9, "gone");
    things.rewind(ALL);
    let list = things.begin(None);
    put(&things, "a", 2, "restored");
    things.finish(list, everything(), 3);
    assert_eq!(served(&store), ["restored"]);
}

fn digest_of(uids: &[&str]) -> Digest {
    let mut digest = Digest::default();
    uids.iter().for_each(|uid| digest.add(Hashes::of(uid)));
    digest
}

#[test]
fn a_digest_is_known_as_of_versions_of_events() {
    let (_, things) = store();
    let list = things.begin(None);
    things.apply(ALL, "a".into(), Hashes::of("a"), listed(3), block("a"));
    assert_eq!(things.digest(&Slice::all(), 9), Err(Unknown { floor: None }), "the list is not whole");
    things.finish(list, everything(), 5);
    put(&things, "b", 6, "b");
    put(&things, "a", 7, "a'");
    things.delete(ALL, "a", 8);
    things.delete(ALL, "never seen", 9);
    for (version, uids) in [(5, vec!["a"]), (6, vec!["a", "b"]), (7, vec!["a", "b"]), (8, vec!["b"]), (99, vec!["b"])] {
        assert_eq!(things.digest(&Slice::all(), version), Ok(digest_of(&uids)), "as of {version}");
    }
    assert_eq!(things.digest(&Slice::all(), 4), Err(Unknown { floor: Some(5) }));
    assert_eq!(things.digest(&Slice::none(), 6), Ok(Digest::default()));
    things.rewind(ALL);
    assert_eq!(things.floor(), None, "after a rewind nothing is known until a list is whole");
}

#[test]
fn events_that_overtake_the_list_of_a_gained_slice_raise_the_floor() {
    let (_, things) = store();
    things.set_loaded(Slice::none());
    let list = things.begin(None);
    // Both existed in the list at version 5; their events arrived first.
    put(&things, "changed", 7, "changed");
    things.delete(ALL, "deleted", 8);
    things.apply(ALL, "changed".into(), Hashes::of("changed"), listed(2), block("changed"));
    assert_eq!(things.floor(), Some(7), "nothing that is exposed has changed");
    things.apply(ALL, "deleted".into(), Hashes::of("deleted"), listed(2), block("deleted"));
    things.finish(list, everything(), 5);
    things.set_loaded(Slice::all());
    assert_eq!(things.floor(), Some(8));
    assert_eq!(things.digest(&Slice::all(), 8), Ok(digest_of(&["changed"])));
}

proptest! {
    /// Applies the events of a cluster with lists in between. Each digest that the store knows is right.
    #[test]
    fn a_known_digest_is_right(
        steps in proptest::collection::vec((0..6_u8, 0..12_u8), 1..120),
        half in any::<bool>(),
    ) {
        let (_, things) = store();
            let slice = if half { Slice::of(Hasher::XxHash64, Ranges::from_parts([(0, 1 << 63)])) } else { Slice::all() };
        let mut cluster = BTreeMap::<String, u64>::new();
        let mut past = vec![cluster.clone()];
        let list = things.begin(None);
        things.finish(list, everything(), 0);
        for (kind, name) in steps {
            let (version, uid) = (past.len() as u64, format!("uid-{name}"));
            match kind {
                0..3 => {
                    cluster.insert(uid.clone(), version);
                    put(&things, &uid, version, "x");
                }
                3..5 => {
                    if cluster.remove(&uid).is_some() {
                        things.delete(ALL, &uid, version);
                    }
                }
                // The watch misses this event, and a list follows.
                _ => {
                    if cluster.remove(&uid).is_none() {
                        cluster.insert(uid, version);
                    }
                    let list = things.begin(None);
                    for (uid, version) in &cluster {
                        things.apply(ALL, uid.as_str().into(), Hashes::of(uid), listed(*version), block("x"));
                    }
                    things.finish(list, everything(), version);
                }
            }
            past.push(cluster.clone());
        }
        let floor = things.floor().expect("no list is open");
        for (version, then) in past.iter().enumerate().map(|(v, then)| (v as u64, then)) {
            let then: Vec<_> = then.keys().map(String::as_str).filter(|uid| slice.contains_uid(uid)).collect();
            let expected = if version < floor { Err(Unknown { floor: Some(floor) }) } else { Ok(digest_of(&then)) };
            prop_assert_eq!(things.digest(&slice, version), expected);
        }
    }
}

/// Creates a store in which deleted objects linger for `ticks` ticks.
fn lingering(ticks: u64) -> (Store, Arc<ResourceStore>) {
    let (store, things) = store();
    things.linger(ticks);
    (store, things)
}

/// Applies and names an object, as a source does.
fn put_named(things: &ResourceStore, uid: &str, version: u64, name: u64, text: &str) {
    things.end_lingering(name, Some(uid));
    put(things, uid, version, text);
    things.named(uid, name);
}

#[test]
fn a_deleted_object_lingers_but_does_not_count() {
    let (store, things) = lingering(2);
    put_named(&things, "1", 1, 7, "a");
    put_named(&things, "2", 2, 8, "b");
    things.delete(ALL, "1", 3);
    for _ in 0..3 {
        assert_eq!(served(&store), ["a", "b"]);
        assert_eq!((things.len(), uids(&things)), (1, vec!["2".into()]));
        assert_eq!(things.digest(&Slice::all(), 3).expect("known").count, 1);
        assert_eq!(things.digest(&Slice::all(), 2).expect("known").count, 2);
        things.tick();
    }
    assert_eq!(served(&store), ["b"]);
    assert_eq!(things.lingering(), 0);
    // A repeated deletion counts once.
    things.delete(ALL, "2", 4);
    things.delete(ALL, "2", 5);
    assert_eq!(things.digest(&Slice::all(), 5).expect("known").count, 0);
    assert_eq!(things.digest(&Slice::all(), 3).expect("known").count, 1);
}

#[test]
fn an_object_of_the_same_name_on_any_replica_ends_lingering() {
    let (store, things) = lingering(9);
    put_named(&things, "1", 1, 7, "a");
    things.delete(ALL, "1", 2);
    put_named(&things, "2", 3, 7, "a again");
    assert_eq!(served(&store), ["a again"]);
    things.delete(ALL, "2", 4);
    assert_eq!(served(&store), ["a again"]);
    things.end_lingering(8, None);
    assert_eq!(served(&store), ["a again"]);
    things.end_lingering(7, None);
    assert!(served(&store).is_empty());
    assert_eq!((things.lingering(), things.len()), (0, 0));
    // A new object appears before the deletion of the old one.
    put_named(&things, "3", 5, 7, "old");
    put_named(&things, "4", 7, 7, "new");
    things.delete(ALL, "3", 6);
    assert_eq!(served(&store), ["new"]);
}

#[test]
fn an_object_that_is_missing_in_a_list_lingers_and_may_return() {
    let (store, things) = lingering(9);
    put_named(&things, "1", 1, 7, "a");
    put_named(&things, "2", 2, 8, "b");
    let list = things.begin(None);
    put_named(&things, "3", 3, 8, "b again");
    things.finish(list, everything(), 9);
    assert_eq!(served(&store), ["a", "b again"]);
    assert_eq!(uids(&things), ["3".into()]);
    let list = things.begin(None);
    things.apply(ALL, "1".into(), Hashes::of("1"), listed(1), block("a, as it was"));
    things.named("1", 7);
    put_named(&things, "3", 3, 8, "b again");
    things.finish(list, everything(), 10);
    assert_eq!(served(&store), ["a, as it was", "b again"]);
    assert_eq!((things.len(), things.lingering()), (2, 0));
    for _ in 0..20 {
        things.tick();
    }
    assert_eq!(things.len(), 2);
}

#[test]
fn a_lingering_object_is_not_handed_over() {
    let (store, things) = lingering(9);
    put_named(&things, "1", 1, 7, "a");
    things.delete(ALL, "1", 2);
    things.retain(&Slice::none());
    assert!(served(&store).is_empty());
    assert_eq!((things.lingering(), things.len()), (0, 0));
    put_named(&things, "1", 3, 7, "a");
    assert_eq!(served(&store), ["a"]);
}

#[test]
fn an_object_without_a_name_does_not_linger() {
    let (store, things) = lingering(9);
    put(&things, "1", 1, "a");
    things.delete(ALL, "1", 2);
    assert!(served(&store).is_empty());
    let (store, things) = self::store();
    put_named(&things, "1", 1, 7, "a");
    things.delete(ALL, "1", 2);
    assert!(served(&store).is_empty());
}

#[test]
fn the_number_of_lingering_objects_is_limited() {
    let (_, things) = lingering(9);
    for n in 0..3000_u64 {
        let uid = n.to_string();
        put_named(&things, &uid, 2 * n + 1, n, "a");
        things.delete(ALL, &uid, 2 * n + 2);
    }
    assert_eq!(things.lingering(), 1024);
    things.end_lingering(2999, None);
    assert_eq!(things.lingering(), 1023, "the last ones are kept");
}

/// A store with a second family, whose series carry all their labels.
fn combined() -> (Store, Arc<ResourceStore>) {
    let (_, things) = store();
    let own = Header { name: "own_thing".into(), shares: false, ..things.headers()[0].clone() };
    let things = ResourceStore::new("things", [things.headers(), &[own]].concat());
    (Store::new(vec![Arc::clone(&things)]), things)
}

/// An object with one series per label, in the second family too if there is one. That one names the object `own`.
fn both(store: &ResourceStore, uid: &str, own: &str, version: u64, labels: &[&str], value: f64) {
    let mut block = BlockBuilder::new(&[("object", uid)]);
    block.family(0, |samples| labels.iter().for_each(|label| samples.sample(&[("l", label)], value)));
    let mut beside = BlockBuilder::new(&[]);
    beside.family(0, |samples| labels.iter().for_each(|label| samples.sample(&[("own", own), ("l", label)], value)));
    let block = block.finish();
    let block = if store.headers().len() > 1 { block.with(1, &beside.finish()) } else { block };
    store.apply(ALL, uid.into(), Hashes::of(uid), event(version), block);
}

/// An object with one series per label.
fn labelled(store: &ResourceStore, uid: &str, version: u64, labels: &[&str], value: f64) {
    let mut block = BlockBuilder::new(&[("object", uid)]);
    block.family(0, |samples| labels.iter().for_each(|label| samples.sample(&[("l", label)], value)));
    store.apply(ALL, uid.into(), Hashes::of(uid), event(version), block.finish());
}

/// Returns the served series as `object label value`.
fn series(store: &Store) -> Vec<String> {
    let text: Vec<u8> = store.scrape(&Selection::All, Format::Text, &Slice::all()).flatten().collect();
    let text = String::from_utf8(text).expect("UTF-8");
    let mut series: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    series.sort();
    series
}

fn named(object: &str, label: &str, value: u32) -> String {
    format!("kube_thing_info{{object=\"{object}\",l=\"{label}\"}} {value}")
}

#[test]
fn series_do_not_end_while_changes_are_held_back_and_end_afterwards() {
    let (store, things) = store();
    labelled(&things, "a", 1, &["x", "y"], 1.0);
    labelled(&things, "b", 1, &["x"], 1.0);
    things.hold_back(Slice::all());
    labelled(&things, "a", 2, &["x", "y", "z"], 2.0);
    assert_eq!(
        series(&store),
        [named("a", "x", 2), named("a", "y", 2), named("a", "z", 2), named("b", "x", 1)],
        "new values and new series are shown"
    );
    labelled(&things, "a", 3, &["x"], 3.0);
    things.delete(ALL, "b", 3);
    labelled(&things, "c", 3, &["x"], 3.0);
    let held = [named("a", "x", 2), named("a", "y", 2), named("a", "z", 2), named("b", "x", 1), named("c", "x", 3)];
    assert_eq!(series(&store), held);
    labelled(&things, "a", 4, &["x", "y", "z"], 4.0);
    assert_eq!(
        series(&store),
        held,
        "an object keeps its state until the end, or a scrape would show old and new ones"
    );
    assert_eq!((things.len(), things.count(&Slice::all())), (2, 2), "a deleted object does not count");
    assert_eq!(uids(&things).len(), 2);
    labelled(&things, "a", 5, &["z"], 5.0);
    things.hold_back(Slice::none());
    assert_eq!(series(&store), [named("a", "z", 5), named("c", "x", 3)]);
}

#[test]
fn a_list_holds_back_the_end_of_objects_too() {
    let (store, things) = store();
    put(&things, "a", 1, "a");
    put(&things, "b", 1, "b");
    things.hold_back(Slice::all());
    let list = things.begin(None);
    put(&things, "b", 2, "b");
    things.finish(list, everything(), 3);
    assert_eq!((served(&store), things.len()), (vec!["a".to_owned(), "b".to_owned()], 1));
    let again = things.begin(None);
    put(&things, "b", 4, "b");
    things.finish(again, everything(), 5);
    assert_eq!(served(&store), ["a", "b"]);
    things.hold_back(Slice::none());
    assert_eq!(served(&store), ["b"]);
}

#[test]
fn a_deleted_object_of_two_collectors_ends_in_both_or_in_none() {
    let (store, things) = combined();
    let count = || series(&store).len();
    let own = |own: &str, value: u32| format!("own_thing{{own=\"{own}\",l=\"x\"}} {value}");
    things.linger(2);
    for (uid, name) in [("1", 1), ("2", 2)] {
        both(&things, uid, uid, 1, &["x"], 1.0);
        things.named(uid, name);
    }
    // One lingers until it would end, the other has no time left when the handover begins.
    things.delete(ALL, "1", 2);
    things.hold_back(Slice::all());
    things.delete(ALL, "2", 3);
    assert_eq!((count(), things.len(), things.lingering()), (4, 0, 2));
    for _ in 0..5 {
        things.tick();
        assert_eq!(count(), 4, "they stay in both families");
    }
    assert_eq!((things.len(), things.lingering(), uids(&things).len()), (0, 0, 0));
    // Another object gets the series of the first that carry all their labels.
    both(&things, "3", "1", 4, &["x"], 3.0);
    assert_eq!(series(&store), [named("2", "x", 1), named("3", "x", 3), own("1", 3), own("2", 1)]);
    both(&things, "3", "2", 5, &["y", "x"], 4.0);
    assert_eq!(
        series(&store),
        [named("2", "x", 1), named("3", "x", 3), own("1", 3), own("2", 1)],
        "it would end a series"
    );
    both(&things, "4", "4", 6, &[], 4.0);
    both(&things, "4", "2", 7, &["x"], 5.0);
    assert_eq!(
        series(&store),
        [named("3", "x", 3), named("4", "x", 5), own("1", 3), own("2", 5)],
        "a change gets them"
    );
    things.hold_back(Slice::none());
    assert_eq!(count(), 6, "{:?}", series(&store));
}

#[test]
fn a_deleted_object_ends_at_once_when_another_one_has_its_series() {
    let (store, things) = store();
    put(&things, "uid 1", 1, "web-0");
    things.hold_back(Slice::all());
    things.delete(ALL, "uid 1", 2);
    assert_eq!(served(&store), ["web-0"]);
    put(&things, "uid 2", 3, "web-0");
    assert_eq!((served(&store), things.len()), (vec!["web-0".to_owned()], 1));
    things.hold_back(Slice::none());
    assert_eq!((served(&store), uids(&things)), (vec!["web-0".to_owned()], vec!["uid 2".into()]));
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    /// Plays the same changes into a store that holds some of them back for a while, and into one that does not.
    #[test]
    fn holding_back_only_delays_the_end_of_series(
        steps in proptest::collection::vec((0..8_u8, 0..6_u8, 0..8_u8), 1..60),
        is_combined in any::<bool>(),
    ) {
        let create = if is_combined { combined } else { store };
        let ((held, holding), (plain, things)) = (create(), create());
        let lower = Slice::of(Hasher::XxHash64, Ranges::from_parts([(0, 1 << 63)]));
        let slices = [Slice::none(), lower, Slice::all()];
        let identities = |store: &Store| -> std::collections::BTreeSet<String> {
            series(store).iter().filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
        };
        let mut list = None;
        let mut slice = Slice::none();
        for (version, (what, object, labels)) in (1_u64..).zip(steps) {
            let before = identities(&held);
            let uid = format!("{object}");
            match what {
                0 => {
                    slice = slices[usize::from(labels) % 3].clone();
                    holding.hold_back(slice.clone());
                }
                1 => {
                    holding.delete(ALL, &uid, version);
                    things.delete(ALL, &uid, version);
                }
                2 => match list.take() {
                    None => list = Some((holding.begin(None), things.begin(None))),
                    Some((one, other)) => {
                        holding.finish(one, everything(), version);
                        things.finish(other, everything(), version);
                    }
                },
                _ => {
                    let labels: Vec<_> = ["x", "y", "z"].into_iter().enumerate()
                        .filter(|(bit, _)| labels >> bit & 1 == 1).map(|(_, label)| label).collect();
                    both(&holding, &uid, &uid, version, &labels, f64::from(what));
                    both(&things, &uid, &uid, version, &labels, f64::from(what));
                }
            }
            if what != 0 {
                let after = identities(&held);
                for ended in before.difference(&after) {
                    let uid = ended.split('"').nth(1).unwrap_or_default();
                    // One that came back under its UID starts again.
                    prop_assert!(!slice.contains(Hashes::of(uid)) || what > 2, "{ended} ended");
                }
            }
            prop_assert_eq!(uids(&holding), uids(&things));
            prop_assert_eq!(holding.digest(&Slice::all(), version), things.digest(&Slice::all(), version));
        }
        holding.hold_back(Slice::none());
        prop_assert_eq!(series(&held), series(&plain));
    }
}

#[test]
fn a_rewound_partition_leaves_the_deletions_of_others_alone() {
    let (store, things) = store();
    let list = things.begin(None);
    things.delete(1, "a", 5);
    things.delete(2, "b", 5);
    things.rewind(2);
    for (partition, uid) in [(1, "a"), (2, "b")] {
        things.apply(partition, uid.into(), Hashes::of(uid), listed(4), block(uid));
    }
    assert_eq!(served(&store), ["b"], "an older item restores the object only where versions start again");
    things.abandon(list);
}

/// A store of objects in two parts, each with a family; the shared labels belong to the first part.
fn parted() -> (Store, Arc<ResourceStore>) {
    let header = |number: usize| Header {
        name: format!("kube_part_{number}"),
        help: "A part.".into(),
        kind: crate::exposition::MetricType::Gauge,
        reads: Parts::one(number),
        shares: true,
    };
    let things = ResourceStore::new("things", vec![header(0), header(1)]);
    (Store::new(vec![Arc::clone(&things)]), things)
}

/// Stores an object, and reads only its changed parts if the store permits it. Returns how many parts were read.
fn put_parts(things: &ResourceStore, uid: &str, stamp: Stamp, parts: [u8; 2]) -> usize {
    let emit = |samples: &mut crate::exposition::Samples, part: usize| {
        (0..parts[part] % 3).for_each(|number| samples.sample(&[("n", &number.to_string())], parts[part].into()));
    };
    let fingerprints = || Fingerprints::from(Box::from(parts.map(u128::from)));
    let hashes = Hashes::of(uid);
    match things.compare(ALL, &uid.into(), hashes, stamp, &fingerprints()) {
        Parts::NONE => return 0,
        changed if changed == Parts::one(1) => {
            let mut block = BlockBuilder::beside();
            block.family(1, |samples| emit(samples, 1));
            let update = Update {
                block: block.finish(),
                parts: changed,
                fingerprints: fingerprints(),
                namespace: String::new(),
                remembered: None,
            };
            if things.apply(ALL, uid.into(), hashes, stamp, update) {
                return 1;
            }
        }
        _ => {}
    }
    let mut block = BlockBuilder::new(&[("object", uid), ("first", &parts[0].to_string())]);
    (0..2).for_each(|part| block.family(part as u16, |samples| emit(samples, part)));
    let update = Update {
        block: block.finish(),
        parts: Parts::ALL,
        fingerprints: fingerprints(),
        namespace: String::new(),
        remembered: None,
    };
    assert!(things.apply(ALL, uid.into(), hashes, stamp, update), "a whole object is always stored");
    2
}

#[test]
fn an_object_is_read_as_far_as_it_changed_once_it_is_in_columns() {
    let (store, things) = parted();
    assert_eq!(put_parts(&things, "a", event(1), [1, 1]), 2);
    assert_eq!(put_parts(&things, "a", event(2), [1, 2]), 2, "it waits, so its series are in one block");
    assert_eq!(put_parts(&things, "a", event(3), [1, 2]), 0);
    let of = |second: &[&str], value: u8| -> Vec<String> {
        let line =
            |family: u8, n: &str, value| format!("kube_part_{family}{{object=\"a\",first=\"1\",n=\"{n}\"}} {value}");
        [line(0, "0", 1)].into_iter().chain(second.iter().map(|n| line(1, n, value))).collect()
    };
    assert_eq!(series(&store), of(&["0", "1"], 2));
    assert_eq!(put_parts(&things, "a", event(4), [1, 4]), 1);
    assert_eq!(series(&store), of(&["0"], 4));
    assert_eq!(put_parts(&things, "a", event(5), [2, 4]), 2, "the first part has the shared labels");
    things.hold_back(Slice::all());
    assert_eq!(put_parts(&things, "a", event(6), [2, 3]), 2, "a series would end");
    assert_eq!(put_parts(&things, "a", event(7), [2, 3]), 2, "the series are not those of this state");
    things.delete(ALL, "a", 8);
    assert_eq!(put_parts(&things, "a", event(9), [2, 3]), 2);
    // An older state changes nothing, but its version is known.
    things.hold_back(Slice::none());
    assert_eq!(put_parts(&things, "a", event(7), [2, 3]), 0);
    assert_eq!(things.state().pages.slots().map(|slot| slot.version).collect::<Vec<_>>(), [9]);
}

#[test]
fn a_change_that_was_held_back_ends_with_its_object() {
    let (store, things) = parted();
    things.linger(2);
    things.hold_back(Slice::all());
    put_parts(&things, "a", event(1), [0, 0]);
    things.named("a", 1);
    put_parts(&things, "a", event(2), [1, 0]);
    things.delete(ALL, "a", 3);
    put_parts(&things, "a", event(4), [0, 1]);
    things.hold_back(Slice::none());
    assert_eq!(series(&store), ["kube_part_1{object=\"a\",first=\"0\",n=\"0\"} 1"]);
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    /// Plays the same changes into a store that compares fingerprints, and into one that reads each object whole.
    #[test]
    fn reading_changed_parts_changes_nothing_else(
        steps in proptest::collection::vec((0..10_u8, 0..4_u8, 0..4_u8, 0..5_u8), 1..60),
    ) {
        let ((ours, comparing), (plain, things)) = (parted(), parted());
        let both = [&comparing, &things];
        let lower = Slice::of(Hasher::XxHash64, Ranges::from_parts([(0, 1 << 63)]));
        let slices = [Slice::none(), lower, Slice::all()];
        comparing.linger(2);
        things.linger(2);
        let mut list = None;
        for (version, (what, object, first, second)) in (10_u64..).zip(steps) {
            let uid = format!("{object}");
            match what {
                0 => both.iter().for_each(|store| store.hold_back(slices[usize::from(second) % 3].clone())),
                1 => both.iter().for_each(|store| store.delete(ALL, &uid, version - u64::from(second))),
                2 => match list.take() {
                    None => list = Some(both.map(|store| store.begin(None))),
                    Some(epochs) => {
                        both.iter().zip(epochs).for_each(|(store, epoch)| store.finish(epoch, everything(), version));
                    }
                },
                3 if second == 0 => both.iter().for_each(|store| store.rewind(ALL)),
                3 => both.iter().for_each(|store| store.tick()),
                _ => {
                    // Some states are older than the known one.
                    let stamp = Stamp { version: version - u64::from(what > 8) * 7, listed: what == 4 };
                    put_parts(&comparing, &uid, stamp, [first / 2, second]);
                    // Without fingerprints before, all parts differ.
                    things.state().pages.slots_mut().for_each(|slot| slot.fingerprints = Fingerprints::default());
                    put_parts(&things, &uid, stamp, [first / 2, second]);
                    both.iter().for_each(|store| store.named(&uid, object.into()));
                }
            }
            prop_assert_eq!(series(&ours), series(&plain));
            prop_assert_eq!(comparing.len(), things.len());
            prop_assert_eq!(comparing.floor(), things.floor());
            prop_assert_eq!(comparing.digest(&Slice::all(), version), things.digest(&Slice::all(), version));
            let known = |store: &ResourceStore| -> Vec<_> {
                store.state().pages.slots().map(|slot| (slot.key.clone(), slot.version, slot.epoch)).collect()
            };
            prop_assert_eq!(known(&comparing), known(&things));
        }
    }
}

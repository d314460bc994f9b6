use std::collections::BTreeSet;
use std::io::Read;

use super::super::view::Exposure;
use super::*;
use crate::exposition::{
    BlockBuilder, Departing, Header, MetricType, Parts, ResourceStore, Selection, Stamp, Store, Uid,
};
use crate::sharding::Hashes;
use crate::sharding::Slice;

const STAMP: Stamp = Stamp { version: 1, listed: false };

pub(super) fn header(name: &str, kind: MetricType) -> Header {
    Header { name: name.into(), help: "One \"thing\",\na \\ line.".into(), kind, reads: Parts::ALL, shares: true }
}

/// Returns the plain text, after comparing the gzipped text with it.
fn text(store: &Store, selection: &Selection, format: Format) -> String {
    let scrape = || store.scrape(selection, format, &Slice::all());
    let plain = String::from_utf8(scrape().flatten().collect()).expect("UTF-8");
    for _ in 0..2 {
        assert_eq!(unzipped(scrape()), plain);
    }
    plain
}

pub(super) fn unzipped(scrape: Scrape) -> String {
    let stream: Vec<u8> = scrape.gzipped().flatten().collect();
    let mut text = String::new();
    flate2::read::GzDecoder::new(stream.as_slice()).read_to_string(&mut text).expect("it is one valid stream");
    text
}

fn selected(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

/// Creates two resources. The second has a family of the first, and its own families in another order.
fn store() -> Store {
    let first = ResourceStore::new("as", vec![header("x", MetricType::Gauge), header("y", MetricType::Info)]);
    let second = ResourceStore::new(
        "bs",
        vec![header("z", MetricType::Counter), header("y", MetricType::Info), header("x", MetricType::Gauge)],
    );
    for (resource, object) in [(&first, "a"), (&second, "b")] {
        let mut block = BlockBuilder::new(&[("object", object)]);
        for family in 0..3 {
            block.family(family, |s| s.sample(&[("l", "back\\slash \"quote\"\nline")], f64::from(family)));
        }
        resource.apply(0, Uid::from(object), Hashes::of(object), STAMP, block.finish());
    }
    Store::new(vec![first, second])
}

const LABEL: &str = r#"l="back\\slash \"quote\"\nline""#;

#[test]
fn a_family_of_two_resources_has_one_header() {
    let expected = format!(
        "# HELP x One \"thing\",\\na \\\\ line.\n# TYPE x gauge\nx{{object=\"a\",{LABEL}}} 0\nx{{object=\"b\",{LABEL}}} 2\n\
         # HELP y One \"thing\",\\na \\\\ line.\n# TYPE y gauge\ny{{object=\"a\",{LABEL}}} 1\ny{{object=\"b\",{LABEL}}} 1\n\
         # HELP z One \"thing\",\\na \\\\ line.\n# TYPE z counter\nz{{object=\"b\",{LABEL}}} 0\n"
    );
    assert_eq!(text(&store(), &Selection::All, Format::Text), expected);
}

#[test]
fn open_metrics_names_types_in_full_escapes_quotes_in_help_and_ends() {
    let open = text(&store(), &Selection::All, Format::OpenMetrics);
    assert!(open.contains("# HELP y One \\\"thing\\\",\\na \\\\ line.\n# TYPE y info\n"), "{open}");
    assert!(open.ends_with("\n# EOF\n"));
}

#[test]
fn a_selection_leaves_out_series_and_headers() {
    let store = store();
    let only = |wanted: &[&str], unwanted: &[&str]| {
        text(&store, &Selection::Only(selected(wanted), selected(unwanted)), Format::Text)
    };
    assert_eq!(only(&["as"], &[]).matches("# TYPE").count(), 2);
    assert_eq!(only(&["bs"], &[]).matches("# TYPE").count(), 3);
    assert_eq!(only(&["as", "bs"], &["bs"]), only(&["as"], &[]));
    assert_eq!(only(&[], &[]), "");
    assert_eq!(text(&store, &Selection::Except(selected(&["bs"])), Format::Text), only(&["as"], &[]));
}

#[test]
fn a_repeated_label_set_is_printed_once_and_the_first_counts() {
    let things = ResourceStore::new("as", vec![header("x", MetricType::Gauge)]);
    let store = Store::new(vec![Arc::clone(&things)]);
    for object in ["1", "2"] {
        let mut block = BlockBuilder::new(&[]);
        block.family(0, |s| {
            s.sample(&[], 1.0);
            s.sample(&[("a", "b")], 2.0);
            s.sample(&[("a", "b")], 3.0);
            s.sample(&[], 4.0);
        });
        things.apply(0, Uid::from(object), Hashes::of(object), STAMP, block.finish());
    }
    let series = text(&store, &Selection::All, Format::Text);
    let series: Vec<_> = series.lines().filter(|l| !l.starts_with('#')).collect();
    assert_eq!(series, ["x 1", "x{a=\"b\"} 2", "x 1", "x{a=\"b\"} 2"]);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(24))]
    #[test]
    fn wherever_a_chunk_ends_nothing_is_lost_or_repeated(objects in 0_usize..3000, padding in 0_usize..200) {
        let headers = vec![header("x", MetricType::Gauge), header(&"y".repeat(100), MetricType::Gauge)];
        let things = ResourceStore::new("as", headers);
        let store = Store::new(vec![Arc::clone(&things)]);
        for object in 0..objects {
            let name = object.to_string();
            let mut block = BlockBuilder::new(&[("object", &name), ("padding", &"p".repeat(padding))]);
            block.family(0, |s| s.sample(&[], 0.0));
            block.family(1, |s| s.sample(&[], 0.0));
            things.apply(0, Uid::from(name.as_str()), Hashes::of(&name), STAMP, block.finish());
        }
        let text = text(&store, &Selection::All, Format::Text);
        let lines: BTreeSet<_> = text.lines().collect();
        proptest::prop_assert_eq!(text.lines().count(), 2 * objects + 4);
        proptest::prop_assert_eq!(lines.len(), 2 * objects + 4);
    }
}

/// Creates a store of one resource with two families. Series of the second change.
fn things() -> (Store, Arc<ResourceStore>) {
    let things = ResourceStore::new("things", vec![header("x", MetricType::Gauge), header("y", MetricType::Gauge)]);
    (Store::new(vec![Arc::clone(&things)]), things)
}

fn put(things: &ResourceStore, uid: &str, version: u64, value: u32) {
    let mut block = BlockBuilder::new(&[("object", uid)]);
    block.family(0, |s| s.sample(&[("same", "for all")], 1.0));
    // Some objects have no series.
    block.family(1, |s| (0..value % 3).for_each(|n| s.sample(&[("n", &n.to_string())], f64::from(value))));
    let stamp = Stamp { version, listed: false };
    things.apply(0, uid.into(), Hashes::of(uid), stamp, block.finish());
}

/// Returns the bytes of text that a gzipped scrape compresses.
fn work(store: &Store, exposed: &Slice) -> usize {
    work_of(store.scrape(&Selection::All, Format::Text, exposed))
}

fn work_of(scrape: Scrape) -> usize {
    let mut scrape = scrape.gzipped();
    let mut sum = 0;
    while !scrape.ended {
        scrape.write();
        sum += std::mem::take(&mut scrape.gzip.as_mut().expect("it is gzipped").worked);
        scrape.out.clear();
    }
    sum
}

/// Creates 2,000 objects, and returns the bytes of text that the first gzipped scrape compressed.
fn filled() -> (Store, Arc<ResourceStore>, usize) {
    let (store, things) = things();
    for n in 0..2000 {
        put(&things, &n.to_string(), 1, 4);
    }
    let whole = work(&store, &Slice::all());
    (store, things, whole)
}

#[test]
fn only_changed_columns_are_compressed_again() {
    let (store, things, whole) = filled();
    assert!(whole > 100_000, "{whole}");
    assert_eq!(work(&store, &Slice::all()), 0);
    for n in 0..2000 {
        put(&things, &n.to_string(), 2, 4);
    }
    assert_eq!(work(&store, &Slice::all()), 0, "nothing looks different");
    put(&things, "7", 3, 5);
    let one = work(&store, &Slice::all());
    assert!(one > 0 && one < whole / 16, "one page of one family: {one} of {whole}");
    things.delete(0, "7", 4);
    let page = work(&store, &Slice::all());
    assert!(page > one && page < whole / 8, "one page: {page} of {whole}");
}

#[test]
fn a_switch_deflates_no_more_than_the_pages_at_the_ends_of_ranges() {
    let (store, things, whole) = filled();
    let lower = Slice::of(crate::sharding::Hasher::XxHash64, crate::sharding::Ranges::from_parts([(0, 1 << 63)]));
    let cut = work(&store, &lower);
    assert!(cut < whole / 8, "{cut} of {whole}");
    things.retain(&lower);
    work(&store, &lower);
    assert_eq!(work(&store, &lower), 0);
}

#[test]
fn a_slow_reader_keeps_only_its_current_column() {
    let (store, things) = things();
    for n in 0..5000 {
        put(&things, &n.to_string(), 1, 4);
    }
    let mut after = None;
    let all = || Arc::new(Slice::all());
    let exposure = Exposure { exposed: all(), departing: None, loaded: all(), namespaces: None };
    let columns: Vec<_> = std::iter::from_fn(|| things.piece(0, &exposure, &mut after))
        .map(|piece| Arc::downgrade(&piece.column))
        .collect();
    let mut scrape = store.scrape(&Selection::All, Format::Text, &Slice::all());
    assert!(scrape.next().is_some_and(|chunk| chunk.len() < 2 * CHUNK));
    for n in 0..5000 {
        things.delete(0, &n.to_string(), 2);
    }
    let held = columns.iter().filter(|column| column.strong_count() > 0).count();
    assert!(columns.len() > 30 && held <= 1, "{held} of {}", columns.len());
    scrape.for_each(drop);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(12))]
    /// Creates, changes and deletes objects, also during a scrape. A scrape shows each object that exists throughout, and none twice.
    #[test]
    fn a_scrape_during_changes_shows_the_present_objects(
        steps in proptest::collection::vec((0..12_u8, 0..2500_u32, 0..6_u32), 1..60),
    ) {
        let (store, things) = things();
        let mut model = std::collections::BTreeMap::<u32, u32>::new();
        let mut version = 0;
        for (kind, at, value) in steps {
            let change = |model: &mut std::collections::BTreeMap<u32, u32>, version: &mut u64, at: u32| {
                *version += 1;
                if kind < 8 {
                    put(&things, &at.to_string(), *version, value);
                    model.insert(at, value);
                } else {
                    things.delete(0, &at.to_string(), *version);
                    model.remove(&at);
                }
            };
            // Objects with neighboring numbers are far apart by hash.
            let range = at..at + value * 150;
            if kind % 2 == 0 {
                range.for_each(|at| change(&mut model, &mut version, at));
            } else {
                let before = model.clone();
                let mut scrape = store.scrape(&Selection::All, Format::Text, &Slice::all());
                let mut text = Vec::new();
                for at in range {
                    text.extend(scrape.next().into_iter().flatten());
                    change(&mut model, &mut version, at);
                }
                text.extend(scrape.flatten());
                let text = String::from_utf8(text).expect("UTF-8");
                let objects: Vec<_> = text.lines().filter(|line| line.starts_with("x{")).collect();
                let distinct: BTreeSet<_> = objects.iter().copied().collect();
                proptest::prop_assert_eq!(objects.len(), distinct.len());
                for stays in before.keys().filter(|at| model.contains_key(at)) {
                    let line = format!("x{{object=\"{stays}\",same=\"for all\"}} 1");
                    proptest::prop_assert!(distinct.contains(line.as_str()), "{stays} is missing");
                }
            }
        }
        let mut expected: Vec<_> = model.iter().map(|(at, value)| (Hashes::of(&at.to_string()).xxhash64, at, value)).collect();
        expected.sort_unstable();
        let lines = |family: fn(u32, u32) -> Vec<String>| expected.iter().flat_map(move |(_, at, value)| family(**at, **value));
        let expected: Vec<_> = lines(|at, _| vec![format!("x{{object=\"{at}\",same=\"for all\"}} 1")])
            .chain(lines(|at, value| (0..value % 3).map(|n| format!("y{{object=\"{at}\",n=\"{n}\"}} {value}")).collect()))
            .collect();
        let text = text(&store, &Selection::All, Format::Text);
        let text: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        proptest::prop_assert_eq!(text, expected);
        proptest::prop_assert_eq!(things.len(), model.len());
    }
}

#[test]
fn scrapes_at_once_share_the_work() {
    let (store, things) = things();
    for n in 0..2000 {
        put(&things, &n.to_string(), 1, 4);
    }
    let together: usize = std::thread::scope(|scope| {
        let scrapes: Vec<_> = (0..4).map(|_| scope.spawn(|| work(&store, &Slice::all()))).collect();
        scrapes.into_iter().map(|scrape| scrape.join().expect("no panic")).sum()
    });
    let (again, things) = self::things();
    for n in 0..2000 {
        put(&things, &n.to_string(), 1, 4);
    }
    assert_eq!(together, work(&again, &Slice::all()), "each column is deflated once");
}

#[test]
fn a_gzipped_scrape_during_writes_is_one_valid_stream() {
    let (store, things) = things();
    for n in 0..1000 {
        put(&things, &n.to_string(), 1, 4);
    }
    std::thread::scope(|scope| {
        for writer in 0..2_u64 {
            let things = &things;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(writer);
                for version in 2..3000 {
                    let uid = (2 * random.u64(..600) + writer).to_string();
                    if random.u8(..4) == 0 {
                        things.delete(0, &uid, version);
                    } else {
                        put(things, &uid, version, random.u32(..6));
                    }
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let text = unzipped(store.scrape(&Selection::All, Format::Text, &Slice::all()));
                    let mut series = BTreeSet::new();
                    for line in text.lines().filter(|line| !line.starts_with('#')) {
                        let (labels, value) = line.rsplit_once(' ').expect("a value");
                        assert!(labels.ends_with('}') && value.parse::<f64>().is_ok(), "{line}");
                        assert!(series.insert(labels), "{labels} twice");
                    }
                }
            });
        }
    });
}

pub(super) fn lower_half() -> Slice {
    Slice::of(crate::sharding::Hasher::XxHash64, crate::sharding::Ranges::from_parts([(0, 1 << 63)]))
}

#[test]
fn departing_series_have_a_timestamp_and_all_others_stay_as_they_are() {
    let (store, things) = things();
    for n in 0..1000 {
        put(&things, &n.to_string(), 1, 4);
    }
    for (format, timestamp) in [(Format::Text, " 1700000000042"), (Format::OpenMetrics, " 1700000000.042")] {
        let whole = text(&store, &Selection::All, format);
        let departing = Departing { slice: lower_half(), at: 1_700_000_000_042 };
        let scrape = || store.scrape(&Selection::All, format, &Slice::all()).departing(&departing);
        let plain = String::from_utf8(scrape().flatten().collect()).expect("UTF-8");
        for _ in 0..2 {
            assert_eq!(unzipped(scrape()), plain);
        }
        let mut timed = 0;
        for (with, without) in plain.lines().zip(whole.lines()) {
            let uid = without.split("object=\"").nth(1).and_then(|rest| rest.split('"').next());
            let departs = uid.is_some_and(|uid| lower_half().contains(Hashes::of(uid)));
            timed += usize::from(departs);
            let expected = if departs { format!("{without}{timestamp}") } else { without.to_owned() };
            assert_eq!(with, expected);
        }
        assert!(timed > 500, "{timed}");
        assert_eq!(plain.lines().count(), whole.lines().count());
        assert_eq!(text(&store, &Selection::All, format), whole, "the next scrape has none");
    }
}

#[test]
fn departing_pages_are_compressed_once_for_all_scrapes_with_the_same_timestamp() {
    let (store, _things, whole) = filled();
    let timed = |at| {
        let departing = Departing { slice: lower_half(), at };
        work_of(store.scrape(&Selection::All, Format::Text, &Slice::all()).departing(&departing))
    };
    let first = timed(1_700_000_000_000);
    assert!(first > whole / 3 && first < whole, "half of the pages: {first} of {whole}");
    assert_eq!(timed(1_700_000_000_000), 0);
    assert_eq!(work(&store, &Slice::all()), 0, "the text without timestamps is kept");
    assert_eq!(timed(1_700_000_001_000), first);
}

/// Returns the memory of all compressed texts, in bytes.
pub(super) fn deflated_bytes(things: &ResourceStore) -> usize {
    things.footprint().families.iter().map(|family| family.deflated).sum()
}

#[test]
fn the_compressed_text_with_timestamps_is_freed() {
    let (store, things, _) = filled();
    let before = deflated_bytes(&things);
    let timed = || {
        let departing = Departing { slice: lower_half(), at: 1_700_000_000_000 };
        store.scrape(&Selection::All, Format::Text, &Slice::all()).departing(&departing).gzipped()
    };
    let slow = timed();
    timed().for_each(drop);
    assert!(deflated_bytes(&things) > before + before / 3, "half of the pages have a second text");
    things.free_timed();
    assert_eq!(deflated_bytes(&things), before);
    slow.for_each(drop);
    assert!(deflated_bytes(&things) > before, "a scrape that began before keeps text once more");
    things.free_timed();
    assert_eq!(deflated_bytes(&things), before);
}

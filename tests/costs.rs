//! Limits for allocations and memory, so that they do not grow unnoticed. Tests count these instead of measuring time.
//!
//! Each limit was set a fifth above the count at that time. If a change has a reason to exceed it, raise it and give the reason.
//! The counts of events are in `benches/data/events.tsv`; `UPDATE_COSTS=1 cargo test --test costs events` writes them again.

#![allow(clippy::expect_used, reason = "a failed test may panic")]

#[path = "../benches/common/mod.rs"]
mod common;

use std::net::Ipv4Addr;
use std::sync::Arc;

use allocation_counter::{AllocationInfo, measure};
use kube_state_fleet::exposition::{BlockBuilder, NamespaceLabels, ResourceStore, Stamp, Uids};
use kube_state_fleet::server::{AuthLayer, Inventory, bind, fleet_routes, serve};
use kube_state_fleet::settings::{Listen, Timeouts};
use kube_state_fleet::sharding::{Hashes, Slice};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use common::events::{Events, KINDS, What};
use common::{World, drain};

const PODS: u32 = 2_000;

/// Creates a store of pods whose columns are all compressed.
fn world() -> World {
    let world = World::new(PODS);
    drain(world.scrape().gzipped());
    world
}

fn per_pod(info: AllocationInfo) -> u64 {
    info.count_total / u64::from(PODS)
}

#[test]
fn a_new_pod() {
    let mut world = None;
    let info = measure(|| world = Some(World::new(PODS)));
    let held = info.bytes_current / i64::from(PODS);
    assert!(per_pod(info) < 41, "{} allocations per pod", per_pod(info));
    assert!(held < 1_860, "{held} bytes per pod");
}

/// Returns the memory that each pod takes more, if the store has an index by namespace and these labels.
fn more_per_pod(labels: &Arc<NamespaceLabels>) -> i64 {
    let (mut plain, mut indexed) = (None, None);
    let held = |info: AllocationInfo| info.bytes_current / i64::from(PODS);
    let without = held(measure(|| plain = Some(World::new(PODS))));
    held(measure(|| indexed = Some(World::indexed(PODS, labels)))) - without
}

#[test]
fn a_pod_in_the_index_by_namespace() {
    let more = more_per_pod(&Arc::default());
    assert!(more < 30, "{more} bytes per pod");
}

#[test]
fn a_pod_with_a_label_of_its_namespace() {
    let more = more_per_pod(&common::teams(PODS, "checkout"));
    // The text of the label is 32 bytes.
    assert!(more < 90, "{more} bytes per pod");
}

/// Reads the 200 pods of a namespace among more and more others.
#[test]
fn a_scrape_of_a_namespace() {
    let scrape = |pods: u32| {
        let world = World::indexed(pods, &Arc::default());
        drain(world.scrape());
        let mut size = 0;
        let info = measure(|| size = drain(world.scrape().of_namespaces([common::namespace(0)]).gzipped()));
        assert!(size > 1000 && info.bytes_max < 700_000, "{} bytes at once", info.bytes_max);
        info.count_total
    };
    let (few, many) = (scrape(400), scrape(4_000));
    // A piece per family and page with a pod of the namespace.
    assert!(few < 1_000 && many < 12_000, "{few} and {many} allocations");
}

/// Stores all pods again, after this number of restarts.
fn put_all(restarts: i32) -> AllocationInfo {
    let mut world = world();
    let mut blocks: Vec<_> = (0..PODS).map(|number| Some(world.block(number, restarts))).collect();
    measure(|| {
        for number in 0..PODS {
            world.put(number, 2, blocks[number as usize].take().expect("it is there"));
        }
    })
}

#[test]
fn a_restarted_pod() {
    let info = put_all(7);
    // Two families change. The buffers of one builder serve both columns.
    assert!(per_pod(info) < 22, "{} allocations per pod", per_pod(info));
}

#[test]
fn an_update_without_a_visible_change() {
    let info = put_all(0);
    // The bench formats the text of the UID.
    assert!(per_pod(info) < 6, "{} allocations per pod", per_pod(info));
}

#[test]
fn a_gzipped_scrape_of_a_quiet_cluster() {
    let world = world();
    let mut size = 0;
    let info = measure(|| size = drain(world.scrape().gzipped()));
    assert!(info.count_total < 105, "{} allocations for {size} bytes", info.count_total);
    assert!(info.bytes_max < 99_000, "{} bytes at once", info.bytes_max);
}

#[test]
fn a_plain_scrape() {
    let world = world();
    let mut size = 0;
    let info = measure(|| size = drain(world.scrape()));
    let chunks = size as u64 / (64 << 10) + 1;
    assert!(info.count_total < 12 * chunks / 5 + 4, "{} allocations for {chunks} chunks", info.count_total);
    assert!(info.bytes_max < 99_000, "{} bytes at once", info.bytes_max);
}

#[test]
fn deleted_objects_are_freed() {
    let mut world = None;
    let info = measure(|| {
        let filled = self::world();
        for number in 0..PODS {
            filled.things.delete(0, &common::uid(number), 3);
        }
        world = Some(filled);
    });
    assert!(info.bytes_current < 65_000, "{} bytes are left", info.bytes_current);
}

/// Allocations and allocated bytes per event, by kind and sort of event.
const EVENTS: &str = "benches/data/events.tsv";

/// Returns the allocations and allocated bytes of one event, of each sort and kind.
fn events() -> Vec<(String, [u64; 2])> {
    const NUMBER: u64 = 20;
    let mut counts = Vec::new();
    for kind in KINDS {
        let mut events = Events::new(kind);
        for (name, what) in What::ALL {
            // The first ones fill tables that are created once.
            let first = events.frames(what, 2);
            events.receive(&first);
            let (frames, before) = (events.frames(what, NUMBER), events.counts());
            let info = measure(|| events.receive(&frames));
            let (applied, foreign) = (events.counts().0 - before.0, events.counts().1 - before.1);
            assert_eq!(if what == What::Foreign { foreign } else { applied }, NUMBER, "{kind} {name}");
            counts.push((format!("{kind}\t{name}"), [info.count_total / NUMBER, info.bytes_total / NUMBER]));
        }
    }
    counts
}

#[test]
fn events_of_the_busiest_kinds() {
    let path = format!("{}/{EVENTS}", env!("CARGO_MANIFEST_DIR"));
    let counts = events();
    if std::env::var_os("UPDATE_COSTS").is_some() {
        let rows: String =
            counts.iter().map(|(event, [count, bytes])| format!("{event}\t{count}\t{bytes}\n")).collect();
        std::fs::write(&path, format!("# kind, event, allocations, bytes\n{rows}")).expect("the file can be written");
    }
    let recorded = std::fs::read_to_string(&path).expect("the recorded counts");
    for (event, new) in &counts {
        let row = recorded.lines().find_map(|row| row.strip_prefix(&format!("{event}\t")));
        let old =
            row.unwrap_or_else(|| panic!("{EVENTS} lacks {event}")).split('\t').map(|number| number.parse::<u64>());
        for (old, new) in old.zip(new) {
            let old = old.expect("a number");
            assert!(*new <= old + old / 10, "{event}: {new} instead of {old} allocations or bytes an event");
        }
    }
}

/// The UIDs of a store.
struct Objects(Arc<ResourceStore>);

impl Inventory for Objects {
    fn objects(&self, resource: &str) -> Option<Uids> {
        (resource == "pods").then(|| Uids::new(Arc::clone(&self.0), &Arc::new(Slice::all())))
    }

    fn generation(&self) -> u64 {
        0
    }
}

/// Requests the UIDs 250 times, and reads the first byte of each answer.
async fn request_without_reading(pods: Arc<ResourceStore>) {
    let listener = bind(Listen { host: Ipv4Addr::LOCALHOST.into(), port: 0 }).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let layer = AuthLayer::new(fleet_routes(Arc::new(Objects(pods))), None, None);
    let server = tokio::spawn(serve(listener, layer, Timeouts::default(), CancellationToken::new()));
    let mut clients = Vec::new();
    for _ in 0..250 {
        let mut client = TcpStream::connect(address).await.expect("it is accepted");
        client.write_all(b"GET /fleet/objects?resource=pods HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it is read");
        client.read_exact(&mut [0]).await.expect("an answer begins");
        clients.push(client);
    }
    server.abort();
}

#[test]
fn clients_that_do_not_read_the_uids_of_a_resource() {
    let pods = ResourceStore::without_history("pods", Vec::new());
    for number in 0..50_000_u32 {
        let uid = format!("00000000-0000-0000-0000-{number:012x}");
        let stamp = Stamp { version: 1, listed: false };
        pods.apply(0, uid.as_str().into(), Hashes::of(&uid), stamp, BlockBuilder::new(&[]).finish());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let info = measure(|| runtime.block_on(request_without_reading(pods)));
    // The answers have 2 MB each. 96 requests of one address are in progress at a time.
    assert!(info.bytes_max < 9_800_000, "{} bytes at once", info.bytes_max);
}

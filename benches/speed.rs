//! Duration and allocations of the parts: `cargo bench --bench speed`.

#![allow(clippy::expect_used, reason = "a bench may panic")]

mod common;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher, black_box};
use kube_state_fleet::collectors::labels::KeyFilter;
use kube_state_fleet::collectors::parts::FieldSet;
use kube_state_fleet::collectors::{Collector, Resource, Visitor, name, visit_all};
use kube_state_fleet::intake::protobuf::wire::Fields;
use kube_state_fleet::intake::{Encoding, Form, Item, Unreadable};
use kube_state_fleet::sharding::Hasher;

use common::{World, drain, recorded};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Number of pods in the stores.
const PODS: [u32; 3] = [1_000, 10_000, 100_000];

type Step = Rc<dyn Fn()>;

/// Operations on the largest object of a kind in the recorded corpus.
#[derive(Clone)]
struct Kind {
    bytes: usize,
    decode: Step,
    collect: Step,
}

thread_local! {
    static KINDS: Kinds = {
        let mut kinds = Kinds(BTreeMap::new());
        visit_all(&mut kinds);
        kinds
    };
}

struct Kinds(BTreeMap<&'static str, Kind>);

impl Visitor for Kinds {
    fn visit<R: Resource>(&mut self) {
        // Other forms contain only metadata.
        if Form::of::<R>() != Form::Object {
            return;
        }
        let message = recorded(name::<R>());
        // Objects borrow from both, and live as long as the bench.
        let (message, unreadable): (&[u8], &Unreadable) = (message.leak(), Box::leak(Box::default()));
        let decode = move |message| {
            let item = Item::changed("", 1, Encoding::Protobuf, message, unreadable);
            let item = Item { form: Form::of::<R>(), ..item };
            item.decode::<R>(FieldSet::Usual).expect("the corpus decodes")
        };
        let object = decode(message);
        let collector = Collector::<R>::new(|family| !family.opt_in, KeyFilter::None, KeyFilter::None);
        let bytes = message.len();
        let decode = Rc::new(move || drop(black_box(decode(black_box(message)))));
        let collect = Rc::new(move || drop(black_box(collector.collect(black_box(&object)))));
        self.0.insert(R::API.plural, Kind { bytes, decode, collect });
    }
}

fn kinds() -> Vec<&'static str> {
    KINDS.with(|kinds| kinds.0.keys().copied().collect())
}

fn kind(name: &str) -> Kind {
    KINDS.with(|kinds| kinds.0[name].clone())
}

#[divan::bench(args = kinds())]
fn decode(bencher: Bencher<'_, '_>, name: &str) {
    let kind = kind(name);
    bencher.counter(BytesCount::new(kind.bytes)).bench_local(|| (kind.decode)());
}

#[divan::bench(args = kinds())]
fn collect(bencher: Bencher<'_, '_>, name: &str) {
    let kind = kind(name);
    bencher.bench_local(|| (kind.collect)());
}

/// Walks over the fields of a pod to find its UID.
#[divan::bench]
fn wire(bencher: Bencher<'_, '_>) {
    let message = recorded("pods");
    bencher.counter(BytesCount::new(message.len())).bench(|| Fields::new(black_box(&message)).count());
}

#[divan::bench]
fn hash(bencher: Bencher<'_, '_>) {
    bencher.bench(|| Hasher::XxHash64.hash(black_box("062a1f57-2ee0-47bc-a14f-d92723e762fa")));
}

/// Restarts one pod after the other.
#[divan::bench(args = PODS)]
fn update(bencher: Bencher<'_, '_>, pods: u32) {
    let mut world = World::new(pods);
    // Half of the columns are compressed, as usual between scrapes.
    drain(world.scrape().gzipped());
    let blocks: Vec<_> = (0..1000).map(|number| world.block(number, 3)).collect();
    let mut next = 0_u32;
    bencher.bench_local(|| {
        next += 1;
        world.put(next % 1000, u64::from(next) + 1, blocks[(next % 1000) as usize].clone());
    });
}

/// Creates and deletes a pod.
#[divan::bench(args = PODS)]
fn come_and_go(bencher: Bencher<'_, '_>, pods: u32) {
    let mut world = World::new(pods);
    let block = world.block(pods, 0);
    let mut version = 1;
    bencher.bench_local(|| {
        version += 2;
        world.put(pods, version, block.clone());
        world.things.delete(0, &common::uid(pods), version + 1);
    });
}

#[divan::bench(args = PODS, sample_count = 10, sample_size = 1)]
fn scrape_plain(bencher: Bencher<'_, '_>, pods: u32) {
    let world = World::new(pods);
    let size = drain(world.scrape());
    bencher.counter(BytesCount::new(size)).counter(ItemsCount::new(pods)).bench_local(|| drain(world.scrape()));
}

#[divan::bench(args = PODS, sample_count = 10, sample_size = 1)]
fn scrape_gzip_quiet(bencher: Bencher<'_, '_>, pods: u32) {
    let world = World::new(pods);
    let size = drain(world.scrape().gzipped());
    let scrape = || drain(world.scrape().gzipped());
    bencher.counter(BytesCount::new(size)).counter(ItemsCount::new(pods)).bench_local(scrape);
}

/// Scrapes the 200 pods of a namespace.
#[divan::bench(args = PODS)]
fn scrape_gzip_namespace(bencher: Bencher<'_, '_>, pods: u32) {
    let world = World::indexed(pods, &Arc::default());
    let scrape = || drain(world.scrape().of_namespaces([common::namespace(0)]).gzipped());
    bencher.counter(BytesCount::new(scrape())).bench_local(scrape);
}

/// Changes a promoted label of one namespace with 200 pods.
#[divan::bench(args = PODS)]
fn relabel_namespace(bencher: Bencher<'_, '_>, pods: u32) {
    let labels = ["a", "b"].map(|team| common::teams(200, team));
    let world = World::indexed(pods, &labels[0]);
    drain(world.scrape());
    let mut next = 0;
    bencher.bench_local(|| {
        next += 1;
        world.things.label_namespaces(&labels[next % 2]).count()
    });
}

#[divan::bench(args = PODS, sample_count = 3, sample_size = 1)]
fn scrape_gzip_first(bencher: Bencher<'_, '_>, pods: u32) {
    bencher.with_inputs(|| World::new(pods)).bench_local_values(|world| {
        drain(world.scrape().gzipped());
        world
    });
}

/// Scrapes after each pod has restarted.
#[divan::bench(args = PODS, sample_count = 3, sample_size = 1)]
fn scrape_gzip_after_churn(bencher: Bencher<'_, '_>, pods: u32) {
    let prepare = || {
        let mut world = World::new(pods);
        drain(world.scrape().gzipped());
        for number in 0..pods {
            world.apply(number, 2, 7);
        }
        world
    };
    bencher.with_inputs(prepare).bench_local_values(|world| {
        drain(world.scrape().gzipped());
        world
    });
}

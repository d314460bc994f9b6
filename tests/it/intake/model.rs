//! A source and a real store against a model of an API server, with random steps in any order. No object is lost or resurrected,
//! served objects stay, and in the end the store holds every object.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc as stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use kube::client::Body;
use kube_state_fleet::exposition::{
    Block, BlockBuilder, Epoch, Format, Header, MetricType, Parts, ResourceStore, Scope, Selection, Stamp, Store,
};
use kube_state_fleet::intake::{self, DecodeError, Item, ShardState, Sink, Status};
use kube_state_fleet::sharding::{Digest, Hasher, Hashes, Ranges, Slice};
use proptest::prelude::*;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::wire::{bookmark, error, json_bookmark, json_object, line, list, object, pod};
use super::{only, pods};

const UIDS: [&str; 6] = ["u0", "u1", "u2", "u3", "u4", "u5"];

/// `wire::error` expects the status minus 256.
const EXPIRED: u8 = (410 - 256) as u8;

/// A random step of a test.
#[derive(Clone, Debug)]
enum Step {
    /// An object is created or changed.
    Put(usize),
    /// An object is deleted, if it exists.
    Delete(usize),
    /// The desired slice changes, with one hash or with two.
    Want { xxhash64: u8, fnv1a64: u8, retain: bool },
    /// More of an open answer arrives.
    Deliver { answer: usize, pieces: usize },
    /// An open answer ends, complete or broken off.
    End { answer: usize, well: bool },
    /// The server forgets old versions.
    Compact,
    /// The next list lags by this many versions.
    Lag(u64),
    /// The server is restored from a backup that is this many versions older, and restarts. `raised`: with a version above all
    /// earlier ones, which are compacted. `then`: objects that are created, changed or deleted before a client reconnects, and
    /// changes of other resources.
    Restore { versions: u64, raised: bool, then: Vec<Option<(usize, bool)>> },
    /// Time passes.
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..UIDS.len()).prop_map(Step::Put),
        3 => (0..UIDS.len()).prop_map(Step::Delete),
        3 => (0..64_u8, prop_oneof![3 => Just(0), 1 => 0..64_u8], any::<bool>(), any::<bool>()).prop_map(
            |(x, f, swap, retain)| {
                let (xxhash64, fnv1a64) = if swap { (f, x) } else { (x, f) };
                Step::Want { xxhash64, fnv1a64, retain }
            }
        ),
        8 => (0..4_usize, 1..6_usize).prop_map(|(answer, pieces)| Step::Deliver { answer, pieces }),
        1 => (0..4_usize, any::<bool>()).prop_map(|(answer, well)| Step::End { answer, well }),
        1 => Just(Step::Compact),
        1 => (0..6_u64).prop_map(Step::Lag),
        1 => (1..6_u64, any::<bool>(), proptest::collection::vec(prop::option::of((0..UIDS.len(), any::<bool>())), 0..8))
            .prop_map(|(versions, raised, then)| Step::Restore { versions, raised, then }),
        4 => prop::sample::select(vec![100, 300, 1_000, 6_000]).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..80)
}

/// A change of one object.
#[derive(Clone, Copy, Debug)]
struct Change {
    uid: usize,
    verb: &'static str,
}

/// An open answer.
struct Answer {
    body: stream::UnboundedSender<Result<Frame<Bytes>, std::io::Error>>,
    /// Items to send before the events.
    initial: VecDeque<Vec<u8>>,
    /// For watches: the version up to which everything was sent.
    sent: Option<u64>,
    /// The slice by which the server filters.
    selector: Option<Slice>,
    /// The namespace of the request.
    namespace: usize,
}

/// The API server. Version `n` is that of the `n`th change; the first is at index 0 and changes nothing.
struct World {
    changes: Vec<Option<Change>>,
    /// The objects and versions of all changes, also of those that a restore undid. None of them comes again.
    past: BTreeSet<(usize, u64)>,
    /// Watches from an older version are refused.
    compacted: u64,
    /// How far the next list lags behind.
    lag: u64,
    /// Whether lists with a minimum version may lag, too.
    lies: bool,
    streaming: bool,
    filters: bool,
    /// Whether it answers in JSON, although protobuf was requested.
    json: bool,
    /// The number of objects in a page.
    page: usize,
    /// The number of namespaces, each with a source of its own. Object `n` is in namespace `n % namespaces`.
    namespaces: usize,
    answers: Vec<Answer>,
}

impl World {
    fn of_two_objects() -> Self {
        Self {
            changes: vec![None, Some(Change { uid: 0, verb: "ADDED" }), Some(Change { uid: 3, verb: "ADDED" })],
            past: BTreeSet::new(),
            compacted: 0,
            lag: 0,
            lies: false,
            streaming: false,
            filters: false,
            json: false,
            page: usize::MAX,
            namespaces: 1,
            answers: Vec::new(),
        }
    }

    fn version(&self) -> u64 {
        self.changes.len() as u64 - 1
    }

    /// The objects as of a version, with their own versions.
    fn at(&self, version: u64) -> BTreeMap<&'static str, u64> {
        let mut objects = BTreeMap::new();
        for (at, change) in (0..=version).zip(&self.changes) {
            match change {
                Some(Change { uid, verb: "DELETED" }) => drop(objects.remove(UIDS[*uid])),
                Some(Change { uid, .. }) => drop(objects.insert(UIDS[*uid], at)),
                None => {}
            }
        }
        objects
    }

    /// The objects of a namespace as of a version.
    fn within(&self, namespace: usize, version: u64) -> BTreeMap<&'static str, u64> {
        let mut objects = self.at(version);
        let uids = UIDS.iter().enumerate();
        uids.filter(|(uid, _)| uid % self.namespaces != namespace).for_each(|(_, uid)| {
            objects.remove(uid);
        });
        objects
    }

    fn event(&self, verb: &str, uid: &str, version: u64) -> Vec<u8> {
        match self.json {
            true => line(verb, &json_object("Pod", uid, version)).into_bytes(),
            false => pod(verb, uid, version),
        }
    }

    fn bookmark(&self, version: u64, end: bool) -> Vec<u8> {
        match self.json {
            true => line("BOOKMARK", &json_bookmark("Pod", version, end)).into_bytes(),
            false => bookmark(version, end),
        }
    }

    fn put(&mut self, uid: usize) {
        let verb = if self.at(self.version()).contains_key(UIDS[uid]) { "MODIFIED" } else { "ADDED" };
        self.change(uid, verb);
    }

    fn delete(&mut self, uid: usize) {
        if self.at(self.version()).contains_key(UIDS[uid]) {
            self.change(uid, "DELETED");
        }
    }

    fn change(&mut self, uid: usize, verb: &'static str) {
        // A restored server does not give the same version to another change of the same object.
        while self.past.contains(&(uid, self.version() + 1)) {
            self.changes.push(None);
        }
        self.changes.push(Some(Change { uid, verb }));
    }

    fn restore(&mut self, versions: u64, raised: bool, then: &[Option<(usize, bool)>]) {
        let known = self.changes.iter().enumerate();
        self.past.extend(known.filter_map(|(version, change)| change.map(|change| (change.uid, version as u64))));
        let before = self.version();
        let version = before.saturating_sub(versions).max(1);
        self.changes.truncate(version as usize + 1);
        self.compacted = self.compacted.min(version);
        if raised {
            self.compacted = before + 1;
            self.changes.resize(before as usize + 2, None);
        }
        for step in then {
            match *step {
                Some((uid, true)) => self.put(uid),
                Some((uid, false)) => self.delete(uid),
                None => self.changes.push(None),
            }
        }
        for answer in self.answers.drain(..) {
            let _ = answer.body.unbounded_send(Err(std::io::Error::other("connection reset")));
        }
    }

    fn serve(&mut self, request: &Request<Body>) -> Response<StreamBody<Pieces>> {
        let query = request.uri().query().unwrap_or_default();
        let parameters: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let selector = parameters.get("shardSelector").filter(|_| self.filters).map(|text| parse(text));
        let from = parameters.get("resourceVersion").map(|v| v.parse::<u64>().unwrap());
        // The version of the list and the number of objects in earlier pages.
        let token = parameters.get("continue").and_then(|token| token.split_once('-'));
        let token = token.map(|(version, skip)| (version.parse::<u64>().unwrap(), skip.parse::<usize>().unwrap()));
        if token.is_some_and(|(version, _)| version > self.version() || version < self.compacted) {
            return refusal(410);
        }
        let namespace = request.uri().path().split('/').find_map(|part| part.strip_prefix("n-")?.parse().ok());
        let namespace = namespace.unwrap_or_default();
        let initial = parameters.contains_key("sendInitialEvents");
        if initial && !self.streaming {
            return refusal(422);
        }
        let (sender, body) = stream::unbounded();
        let mut answer = Answer { body: sender, initial: VecDeque::new(), sent: None, selector, namespace };
        let kept = |slice: &Option<Slice>, uid: &str| slice.as_ref().is_none_or(|slice| slice.contains_uid(uid));
        if initial || !parameters.contains_key("watch") {
            let newest = self.version();
            // A list without an upper bound comes from etcd.
            let floor = if self.lies { from.map(|_| 1) } else { from };
            if floor.is_some_and(|floor| floor > newest) {
                return too_large();
            }
            let lag = if token.is_some() { 0 } else { std::mem::take(&mut self.lag) };
            let version = floor.map_or(newest, |floor| newest.saturating_sub(lag).max(floor).max(1));
            let version = token.map_or(version, |(version, _)| version);
            let objects = self.within(namespace, version);
            let objects = objects.iter().filter(|(uid, _)| kept(&answer.selector, uid));
            if initial {
                answer.initial = objects.map(|(uid, version)| self.event("ADDED", uid, *version)).collect();
                answer.initial.push_back(self.bookmark(version, true));
                answer.sent = Some(version);
            } else {
                let objects: Vec<_> = objects.collect();
                let skip = token.map_or(0, |(_, skip)| skip);
                // The cache does not know pages, and a list without a limit has none.
                let is_paged = parameters.contains_key("limit") && from.is_none();
                let page = if is_paged { self.page } else { usize::MAX };
                let more = is_paged && skip + page < objects.len();
                let next = if more { format!("{version}-{}", skip + page) } else { String::new() };
                let items = objects.into_iter().skip(skip).take(page);
                let text = if self.json {
                    let items: Vec<_> = items.map(|(uid, version)| json_object("Pod", uid, *version)).collect();
                    let metadata = serde_json::json!({"resourceVersion": version.to_string(), "continue": next});
                    let items = serde_json::Value::from(items);
                    // In the order of an API server.
                    format!(r#"{{"kind":"PodList","apiVersion":"v1","metadata":{metadata},"items":{items}}}"#)
                        .into_bytes()
                } else {
                    let items: Vec<_> = items.map(|(uid, version)| object(uid, *version)).collect();
                    list("PodList", version, &next, &items)
                };
                answer.initial = text.chunks(40).map(<[u8]>::to_vec).collect();
            }
        } else {
            let from = from.unwrap_or_default();
            if from < self.compacted {
                return refusal(410);
            }
            answer.sent = Some(from);
        }
        self.answers.push(answer);
        let media = if self.json { "application/json" } else { "application/vnd.kubernetes.protobuf" };
        let response = Response::builder().header("content-type", media);
        response.body(StreamBody::new(body)).unwrap()
    }

    /// Sends the next piece of an answer. Returns whether there was one.
    fn deliver(&mut self, at: usize) -> bool {
        let newest = self.version();
        if at >= self.answers.len() {
            return false;
        }
        let mut answer = self.answers.swap_remove(at);
        let mut piece = answer.initial.pop_front();
        let over = piece.is_none() && answer.sent.is_none();
        while let (None, Some(sent)) = (&piece, answer.sent.filter(|sent| *sent < newest)) {
            answer.sent = Some(sent + 1);
            piece = self.changes[sent as usize + 1]
                .filter(|change| change.uid % self.namespaces == answer.namespace)
                .filter(|change| answer.selector.as_ref().is_none_or(|slice| slice.contains_uid(UIDS[change.uid])))
                .map(|change| self.event(change.verb, UIDS[change.uid], sent + 1))
                .or_else(|| (sent + 1 == newest).then(|| self.bookmark(newest, false)));
        }
        let sent = piece.is_some_and(|piece| answer.body.unbounded_send(Ok(Frame::data(piece.into()))).is_ok());
        if !over && !answer.body.is_closed() {
            self.answers.push(answer);
            let last = self.answers.len() - 1;
            self.answers.swap(at, last);
        }
        sent || over
    }
}

type Pieces = stream::UnboundedReceiver<Result<Frame<Bytes>, std::io::Error>>;

fn too_large() -> Response<StreamBody<Pieces>> {
    answer(504, "Too large resource version")
}

fn refusal(status: u16) -> Response<StreamBody<Pieces>> {
    answer(status, "no")
}

fn answer(status: u16, message: &str) -> Response<StreamBody<Pieces>> {
    let (sender, body) = stream::unbounded();
    let text = format!(r#"{{"kind":"Status","code":{status},"message":"{message}"}}"#);
    let _ = sender.unbounded_send(Ok(Frame::data(text.into())));
    Response::builder().status(status).header("content-type", "application/json").body(StreamBody::new(body)).unwrap()
}

/// The slice that a selector names.
fn parse(selector: &str) -> Slice {
    let ends = selector.split('\'').filter_map(|text| u128::from_str_radix(text.strip_prefix("0x")?, 16).ok());
    let ends: Vec<_> = ends.collect();
    Slice::of(Hasher::Fnv1a64, Ranges::from_parts(ends.chunks(2).map(|range| (range[0], range[1]))))
}

/// Stores the objects of a source; an object consists only of its version.
struct StoreSink {
    things: Arc<ResourceStore>,
    partition: u32,
    list: Option<(Epoch, Slice)>,
}

fn block(item: &Item<'_>) -> Block {
    let mut block = BlockBuilder::new(&[("uid", item.uid), ("version", &item.version.to_string())]);
    block.family(0, |samples| samples.sample(&[], 1.0));
    block.finish()
}

impl Sink for StoreSink {
    fn init(&mut self, slice: &Slice) {
        let previous = self.list.take().map(|(epoch, _)| epoch);
        self.list = Some((self.things.begin(previous), slice.clone()));
    }

    fn apply(&mut self, item: &Item<'_>) -> Result<(), DecodeError> {
        let stamp = Stamp { version: item.version, listed: item.listed };
        self.things.apply(self.partition, item.uid.into(), item.hashes, stamp, block(item));
        Ok(())
    }

    fn keep(&mut self, uid: &str) {
        self.things.touch(uid);
    }

    fn give_up(&mut self) {
        if let Some((epoch, _)) = self.list.take() {
            self.things.abandon(epoch);
        }
    }

    fn rewind(&mut self) {
        self.things.rewind(self.partition);
    }

    fn delete(&mut self, uid: &str, version: u64) {
        self.things.delete(self.partition, uid, version);
    }

    fn init_done(&mut self, version: u64) {
        if let Some((epoch, slice)) = self.list.take() {
            self.things.finish(epoch, Scope { partition: self.partition, slice: &slice }, version);
        }
    }
}

/// A source, of one namespace.
struct Part {
    shard: Arc<ShardState>,
    status: Arc<Status>,
}

impl Part {
    fn position(&self) -> u64 {
        self.status.position.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// The sources, the store and the model of the API server.
struct Test {
    world: Arc<Mutex<World>>,
    store: Store,
    things: Arc<ResourceStore>,
    parts: Vec<Part>,
}

impl Test {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    fn start(world: World, server_side: bool, use_cache: bool) -> Self {
        let header = Header {
            name: "thing".into(),
            help: String::new(),
            kind: MetricType::Gauge,
            reads: Parts::ALL,
            shares: true,
        };
        let namespaces = world.namespaces;
        let things = ResourceStore::new("things", vec![header]);
        let test = Self {
            world: Arc::new(Mutex::new(world)),
            store: Store::new(vec![Arc::clone(&things)]),
            things,
            parts: (0..namespaces)
                .map(|_| Part {
                    shard: Arc::new(ShardState::new(only(Hasher::Fnv1a64, &UIDS[..3]))),
                    status: Arc::default(),
                })
                .collect(),
        };
        let world = Arc::clone(&test.world);
        let service = tower::service_fn(move |request: Request<Body>| {
            let response = world.lock().unwrap().serve(&request);
            async move { Ok::<_, std::io::Error>(response) }
        });
        let client = kube::Client::new(service, "default");
        for (namespace, part) in test.parts.iter().enumerate() {
            let mut source = pods();
            source.namespace = (namespaces > 1).then(|| format!("n-{namespace}"));
            source.shard = Arc::clone(&part.shard);
            source.server_side = server_side;
            source.audited = true;
            source.use_cache = use_cache;
            let sink = || StoreSink { things: Arc::clone(&test.things), partition: namespace as u32, list: None };
            let sinks: [Box<dyn Sink>; 2] = [Box::new(sink()), Box::new(sink())];
            let status = Arc::clone(&part.status);
            tokio::spawn(intake::run(client.clone(), source, sinks, status, CancellationToken::new()));
        }
        test
    }

    async fn step(&self, step: &Step) {
        match *step {
            Step::Put(uid) => self.world().put(uid),
            Step::Delete(uid) => self.world().delete(uid),
            Step::Want { xxhash64, fnv1a64, retain } => {
                let some = |hasher, mask: u8| {
                    let uids = UIDS.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0);
                    only(hasher, &uids.map(|(_, uid)| *uid).collect::<Vec<_>>())
                };
                let wanted = some(Hasher::XxHash64, xxhash64).union(&some(Hasher::Fnv1a64, fnv1a64));
                self.parts.iter().for_each(|part| part.shard.set_desired(wanted.clone()));
                if retain {
                    self.things.retain(&wanted);
                }
            }
            Step::Deliver { answer, pieces } => {
                let mut world = self.world();
                let at = answer % world.answers.len().max(1);
                for _ in 0..pieces {
                    world.deliver(at);
                }
            }
            Step::End { answer, well } => {
                let mut world = self.world();
                if !world.answers.is_empty() {
                    let at = answer % world.answers.len();
                    let answer = world.answers.remove(at);
                    if !well {
                        let _ = answer.body.unbounded_send(Err(std::io::Error::other("connection reset")));
                    }
                }
            }
            Step::Compact => {
                let mut world = self.world();
                world.compacted = world.version();
                let expired = match world.json {
                    true => line("ERROR", &serde_json::json!({"kind": "Status", "code": 410, "message": "old"}))
                        .into_bytes(),
                    false => error(EXPIRED),
                };
                for answer in world.answers.drain(..) {
                    let piece = match answer.sent {
                        Some(_) => Ok(Frame::data(expired.clone().into())),
                        None => Err(std::io::Error::other("connection reset")),
                    };
                    let _ = answer.body.unbounded_send(piece);
                }
            }
            Step::Restore { versions, raised, ref then } => {
                self.world().restore(versions, raised, then);
                // Clients notice, also if the versions have caught up.
                for _ in 0..20 {
                    sleep(Duration::from_secs(10)).await;
                    while self.deliver_all() {
                        sleep(Duration::from_millis(1)).await;
                    }
                }
            }
            Step::Lag(versions) => self.world().lag = versions,
            Step::Pass(milliseconds) => sleep(Duration::from_millis(milliseconds)).await,
        }
        sleep(Duration::from_millis(1)).await;
    }

    /// Sends the next piece of each open answer. Returns whether there was one.
    fn deliver_all(&self) -> bool {
        let mut world = self.world();
        (0..world.answers.len()).rev().fold(false, |sent, at| world.deliver(at) | sent)
    }

    /// The slice that every source has loaded.
    fn visible(&self) -> Slice {
        let visible = self.parts.iter().map(|part| (*part.shard.visible()).clone());
        visible.reduce(|a, b| a.intersection(&b)).unwrap_or_else(Slice::none)
    }

    /// The served objects, with their versions.
    fn served(&self) -> BTreeMap<String, u64> {
        self.things.set_loaded(self.visible());
        let text: Vec<u8> = self.store.scrape(&Selection::All, Format::Text, &Slice::all()).flatten().collect();
        let text = String::from_utf8(text).unwrap();
        let series = text.lines().filter_map(|line| line.strip_prefix("thing{uid=\"")?.strip_suffix("\"} 1"));
        series
            .map(|line| {
                let (uid, version) = line.split_once("\",version=\"").unwrap();
                (uid.to_owned(), version.parse().unwrap())
            })
            .collect()
    }

    /// Checks the invariants that hold after each step.
    fn check(&self) -> Result<(), TestCaseError> {
        let served = self.served();
        let loaded = self.visible();
        let world = self.world();
        prop_assert!(self.parts.iter().all(|part| part.shard.desired().covers(&loaded)));
        for (uid, version) in &served {
            prop_assert!(loaded.contains_uid(uid), "{uid} is served but not loaded");
            prop_assert!(*version <= world.version());
        }
        for (index, uid) in UIDS.iter().enumerate().filter(|(_, uid)| loaded.contains_uid(uid)) {
            let namespace = index % world.namespaces;
            let position = self.parts[namespace].position();
            let then = world.within(namespace, position);
            let since = &world.changes[position as usize + 1..];
            let came = since.iter().flatten().any(|change| change.uid == index && change.verb == "ADDED");
            let went = since.iter().flatten().any(|change| change.uid == index && change.verb == "DELETED");
            match (then.get(uid), served.get(*uid)) {
                (Some(known), served) if !went => {
                    prop_assert!(served.is_some_and(|v| v >= known), "{uid} of {known} is lost: {served:?}");
                }
                (None, served) if !came => prop_assert!(served.is_none(), "{uid} is back: {served:?}"),
                _ => {}
            }
        }
        for (namespace, part) in self.parts.iter().enumerate() {
            if let Ok(seen) = part.status.uids_at(part.position()) {
                prop_assert_eq!(seen, digest(&world.within(namespace, part.position())));
            }
        }
        Ok(())
    }

    /// Runs until the store holds every object.
    async fn finish(&self) -> Result<(), TestCaseError> {
        self.world().lies = false;
        for _ in 0..200 {
            self.step(&Step::Pass(1_000)).await;
            loop {
                let sent = self.deliver_all();
                sleep(Duration::from_millis(1)).await;
                self.check()?;
                if !sent {
                    break;
                }
            }
            let newest = self.world().version();
            let is_done = |part: &Part| {
                let desired = part.shard.desired();
                part.shard.ready().covers(&desired) && (desired.is_empty() || part.position() == newest)
            };
            if self.parts.iter().all(is_done) {
                break;
            }
        }
        let wanted = self.parts[0].shard.desired();
        for part in &self.parts {
            prop_assert_eq!(&*part.shard.ready(), &wanted);
        }
        let world = self.world();
        let expected: BTreeMap<_, _> = world
            .at(world.version())
            .into_iter()
            .filter(|(uid, _)| wanted.contains_uid(uid))
            .map(|(uid, version)| (uid.to_owned(), version))
            .collect();
        drop(world);
        prop_assert_eq!(self.served(), expected);
        Ok(())
    }
}

/// The number of objects and the sum of their hashes.
fn digest(objects: &BTreeMap<&str, u64>) -> Digest {
    let sum = objects.keys().fold(0, |sum: u64, uid| sum.wrapping_add(Hashes::of(uid).xxhash64));
    Digest { count: objects.len() as u64, sum }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_right_after_any_steps(
        steps in steps(), streaming: bool, server_side: bool, filters: bool, lies: bool, json: bool, page in 1..4_usize,
        use_cache: bool, namespaces in 1..3_usize, seed: u64,
    ) {
        // Of the delays, so that a failure repeats itself.
        fastrand::seed(seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World { lies, streaming, filters, json, page, namespaces, ..World::of_two_objects() };
            let test = Test::start(world, server_side, use_cache);
            for step in &steps {
                test.step(step).await;
                test.check()?;
            }
            test.finish().await
        })?;
    }
}

/// The watch is at the version of the backup, so only the backfill shows that the API server went back.
#[test]
fn a_restore_to_the_version_of_the_watch_is_noticed_after_a_newer_backfill() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let test = Test::start(World::of_two_objects(), false, false);
        let watching = [Step::Pass(1_000), Step::Deliver { answer: 0, pieces: 9 }, Step::Pass(1_000)];
        // The second answer is that of the backfill, which lacks the deleted object. The watch has not shown the deletion.
        let gaining = [
            Step::Delete(3),
            Step::Want { xxhash64: 63, fnv1a64: 0, retain: false },
            Step::Pass(6_000),
            Step::Deliver { answer: 1, pieces: 9 },
        ];
        for step in watching.iter().chain(&gaining) {
            test.step(step).await;
        }
        assert_eq!(
            (test.parts[0].position(), test.served().len()),
            (2, 1),
            "the backfill is complete, the watch is behind"
        );
        test.step(&Step::Restore { versions: 1, raised: false, then: Vec::new() }).await;
        test.finish().await.unwrap();
        assert_eq!(test.served().len(), 2);
    });
}

//! Resources that come and go, against an API server that says of each resource what the test wants, on a paused clock.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::channel::mpsc;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use kube::client::Body;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::exposition::{Format, Selection};
use crate::fleet::ShardLoader;
use crate::replica::builtin;
use crate::replica::tasks::Tasks;
use crate::settings::{Environment, Flags, Settings};
use crate::sharding::{Hasher, Ranges};

/// What the server says of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Nothing,
    /// It has an object of each of these UIDs.
    Has(&'static [&'static str]),
    Refuses(u16),
}

const ONE: Says = Says::Has(&["1"]);
const REFUSES: Says = Says::Refuses(403);

type Piece = Result<Frame<Bytes>, std::io::Error>;
/// A watch that is open, and of which resource.
type OpenWatch = (String, mpsc::UnboundedSender<Piece>);

/// The API server.
#[derive(Clone, Default)]
struct Cluster {
    says: watch::Sender<BTreeMap<String, Says>>,
    /// Watches, also those that were given up.
    watches: Arc<Mutex<Vec<OpenWatch>>>,
}

fn object(kind: &str, uid: &str) -> Value {
    let metadata = json!({ "name": format!("o-{uid}"), "uid": uid, "resourceVersion": "5", "labels": { "app": "a" } });
    json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata, "status": { "phase": "Active" } })
}

impl Cluster {
    fn says(&self, plural: &str, what: Says) {
        self.says.send_modify(|says| {
            says.insert(plural.to_owned(), what);
        });
    }

    /// How many watches of a resource are open.
    fn watches(&self, plural: &str) -> usize {
        let mut watches = self.watches.lock().expect("no panic");
        watches.retain(|(_, watch)| !watch.is_closed());
        watches.iter().filter(|(of, _)| of == plural).count()
    }

    async fn answer(self, request: Request<Body>) -> Response<StreamBody<mpsc::UnboundedReceiver<Piece>>> {
        let plural = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let kind = if plural == "nodes" { "Node" } else { "Namespace" };
        let query = request.uri().query().unwrap_or_default();
        let (watch, initial) = (query.contains("watch=1"), query.contains("sendInitialEvents=true"));
        let mut says = self.says.subscribe();
        let answers = |says: &BTreeMap<_, _>| says.get(&plural).is_some_and(|says| *says != Says::Nothing);
        let says = says.wait_for(answers).await.expect("the test goes on")[&plural];
        let (send, body) = mpsc::unbounded();
        let tell = |value: Value| {
            // Who has hung up needs no answer.
            let _ = send.unbounded_send(Ok(Frame::data(format!("{value}\n").into())));
        };
        let status = match says {
            Says::Refuses(code) => {
                tell(json!({ "kind": "Status", "apiVersion": "v1", "code": code, "message": "no" }));
                code
            }
            Says::Nothing => unreachable!("it was waited for something else"),
            Says::Has(uids) if !watch => {
                let items: Vec<_> = uids.iter().map(|uid| object(kind, uid)).collect();
                let list = format!("{kind}List");
                tell(
                    json!({ "kind": list, "apiVersion": "v1", "metadata": { "resourceVersion": "5" }, "items": items }),
                );
                200
            }
            Says::Has(uids) => {
                if initial {
                    uids.iter().for_each(|uid| tell(json!({ "type": "ADDED", "object": object(kind, uid) })));
                    let end = json!({ "k8s.io/initial-events-end": "true" });
                    let metadata = json!({ "resourceVersion": "5", "annotations": end });
                    let bookmark = json!({ "kind": kind, "apiVersion": "v1", "metadata": metadata });
                    tell(json!({ "type": "BOOKMARK", "object": bookmark }));
                }
                self.watches.lock().expect("no panic").push((plural.clone(), send.clone()));
                200
            }
        };
        let response = Response::builder().status(status).header("content-type", "application/json");
        response.body(StreamBody::new(body)).expect("it is valid")
    }

    fn client(&self) -> kube::Client {
        let cluster = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let cluster = cluster.clone();
            async move { Ok::<_, std::io::Error>(cluster.answer(request).await) }
        });
        kube::Client::new(service, "default")
    }
}

/// Resources, and what runs them.
struct World {
    cluster: Cluster,
    resources: Arc<Resources>,
    tasks: Tasks,
}

fn specs(resources: &str, labels: &str) -> Vec<Spec> {
    let flags = Flags {
        resources: vec![resources.to_owned()],
        metric_labels_allowlist: Some(labels.to_owned()),
        ..Flags::default()
    };
    builtin::specs(&Settings::resolve(&flags, &Environment::default(), || None).expect("they are valid").0, 0)
}

impl World {
    fn new(held: Option<Slice>) -> Self {
        let cluster = Cluster::default();
        let tasks = Tasks::new(CancellationToken::new());
        let context =
            WatchContext { client: cluster.client(), private: None, held, audited: true, linger: Duration::ZERO };
        let resources = Resources::new(context, tasks.spawner(), [Owner::BuiltIn]);
        tasks.spawner().spawn("the look".to_owned(), Arc::clone(&resources).run());
        Self { cluster, resources, tasks }
    }

    /// One that has served `resources` from its start.
    async fn serving(held: Option<Slice>, resources: &str) -> Self {
        let world = Self::new(held);
        for resource in resources.split(',') {
            world.cluster.says(resource, ONE);
        }
        assert_eq!(world.set(specs(resources, ""), Swap::Together).await, Outcome::Served);
        settle().await;
        world
    }

    fn set(&self, specs: Vec<Spec>, swap: Swap) -> impl Future<Output = Outcome> + Send + use<> {
        self.resources.set(Owner::BuiltIn, specs, swap).expect("no thread is needed")
    }

    /// The names of all series of `exposed`.
    fn of(&self, exposed: &Slice) -> BTreeSet<String> {
        let store = self.resources.store();
        let text: Vec<u8> = store.scrape(&Selection::All, Format::Text, exposed).flatten().collect();
        let text = String::from_utf8(text).expect("UTF-8");
        text.lines().filter_map(|line| Some(line.split_once('{')?.0.to_owned())).collect()
    }

    fn serves(&self, family: &str) -> bool {
        self.of(&Slice::all()).contains(family)
    }

    fn watched(&self) -> Vec<String> {
        let watch_set = self.resources.watch_set().load_full();
        watch_set.resources.iter().map(|watched| watched.name.clone()).collect()
    }
}

/// Everything that can happen now has happened.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

const PHASE: &str = "kube_namespace_status_phase";
const LABELS: &str = "kube_namespace_labels";
const NODE: &str = "kube_node_info";

#[tokio::test(start_paused = true)]
async fn a_set_is_loaded_aside_and_served_as_one_in_place_of_what_it_changes() {
    let world = World::serving(Some(Slice::all()), "namespaces").await;
    let first = world.resources.served().borrow().clone();
    assert!(world.serves(PHASE) && !world.serves(LABELS));
    let mut old = world.resources.store().scrape(&Selection::All, Format::Text, &Slice::all());
    let change = tokio::spawn(world.set(specs("namespaces,nodes", "namespaces=[*]"), Swap::Together));
    settle().await;
    assert_eq!(world.cluster.watches("namespaces"), 2, "the new one is watched beside the old one");
    assert!(world.serves(PHASE) && !world.serves(LABELS), "it waits for nodes");
    world.cluster.says("nodes", ONE);
    assert_eq!(change.await.expect("no panic"), Outcome::Served);
    assert!(world.serves(PHASE) && world.serves(LABELS) && world.serves(NODE));
    settle().await;
    assert_eq!(world.cluster.watches("namespaces"), 1, "the old one is told to stop");
    assert!(first.iter().all(|resource| resource.stop.is_cancelled()));
    let old = String::from_utf8(old.by_ref().flatten().collect()).expect("UTF-8");
    assert!(old.contains("kube_namespace_status_phase{") && !old.contains("kube_node_info"), "{old}");
}

#[tokio::test(start_paused = true)]
async fn what_is_unchanged_is_kept_as_it_is() {
    let world = World::serving(Some(Slice::all()), "namespaces,nodes").await;
    let before = world.resources.served().borrow().clone();
    world.set(specs("namespaces,nodes", "nodes=[*]"), Swap::Together).await;
    let after = world.resources.served().borrow().clone();
    assert_eq!([0, 1].map(|at| Arc::ptr_eq(&before[at], &after[at])), [true, false]);
    assert!(!before[0].stop.is_cancelled() && before[1].stop.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn by_themselves_resources_come_when_they_are_whole_and_go_at_once() {
    let world = World::serving(Some(Slice::all()), "namespaces").await;
    let change = tokio::spawn(world.set(specs("namespaces,nodes", "namespaces=[*]"), Swap::Each));
    settle().await;
    assert!(world.serves(LABELS) && !world.serves(NODE));
    world.cluster.says("nodes", ONE);
    assert_eq!(change.await.expect("no panic"), Outcome::Served);
    assert!(world.serves(NODE));
    drop(world.set(specs("nodes", ""), Swap::Each));
    settle().await;
    assert!(world.serves(NODE) && !world.serves(PHASE));
    assert_eq!(world.cluster.watches("namespaces"), 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_refused_keeps_nobody_waiting_but_the_one_that_it_replaces_for_a_while() {
    let world = World::serving(Some(Slice::all()), "namespaces").await;
    world.cluster.says("nodes", REFUSES);
    let began = Instant::now();
    assert_eq!(world.set(specs("namespaces,nodes", ""), Swap::Together).await, Outcome::Served);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(world.watched(), ["namespaces", "nodes"]);
    world.cluster.says("namespaces", Says::Refuses(404));
    let began = Instant::now();
    let change = tokio::spawn(world.set(specs("namespaces,nodes", "namespaces=[*]"), Swap::Together));
    settle().await;
    assert!(world.serves(PHASE));
    assert_eq!(change.await.expect("no panic"), Outcome::Served);
    assert!(began.elapsed() >= REFUSED && began.elapsed() < 2 * REFUSED, "{:?}", began.elapsed());
    assert!(!world.serves(PHASE));
}

#[tokio::test(start_paused = true)]
async fn a_set_takes_the_place_of_one_that_is_still_loading() {
    let world = World::serving(Some(Slice::all()), "namespaces").await;
    let first = tokio::spawn(world.set(specs("namespaces,nodes", "namespaces=[*]"), Swap::Together));
    settle().await;
    // What both have in common goes on loading.
    let second = tokio::spawn(world.set(specs("nodes", ""), Swap::Together));
    assert_eq!(first.await.expect("no panic"), Outcome::Superseded);
    settle().await;
    assert_eq!(world.cluster.watches("namespaces"), 1, "the one that was not served yet is gone");
    assert!(world.serves(PHASE), "the one that is served is still needed");
    world.cluster.says("nodes", ONE);
    assert_eq!(second.await.expect("no panic"), Outcome::Served);
    assert!(world.serves(NODE) && !world.serves(PHASE));
}

#[tokio::test(start_paused = true)]
async fn what_was_told_to_stop_is_no_error_and_what_ends_by_itself_is() {
    let mut world = World::serving(Some(Slice::all()), "namespaces").await;
    world.set(specs("namespaces", "namespaces=[*]"), Swap::Together).await;
    settle().await;
    let quiet = tokio::time::timeout(Duration::from_secs(600), world.tasks.ended()).await;
    assert!(quiet.is_err(), "nothing ended that was not told to");
    world.tasks.spawner().spawn("the lazy one".to_owned(), async {});
    assert_eq!(world.tasks.ended().await.expect_err("it ended").task, "the lazy one");
}

/// The half of the hash space in which the object is, or is not.
fn halves(uid: &str) -> [Slice; 2] {
    let half = |from, to| Slice::of(Hasher::XxHash64, Ranges::from_parts([(from, to)]));
    let [low, high] = [half(0, 1 << 63), half(1 << 63, 1 << 64)];
    if low.contains_uid(uid) { [low, high] } else { [high, low] }
}

#[tokio::test(start_paused = true)]
async fn what_is_loading_follows_the_fleet_and_keeps_it_not_waiting() {
    let [with, without] = halves("1");
    let world = World::serving(None, "namespaces").await;
    assert!(world.of(&Slice::all()).is_empty(), "the fleet has decided nothing yet");
    world.resources.set_desired(&without);
    settle().await;
    assert!(world.resources.ready().covers(&without));
    let change = tokio::spawn(world.set(specs("namespaces,nodes", "namespaces=[*]"), Swap::Together));
    settle().await;
    assert!(world.resources.ready().covers(&without), "nodes hang, and do not count");
    // A handover, in the middle of it.
    world.resources.set_desired(&Slice::all());
    settle().await;
    assert!(world.resources.ready().covers(&Slice::all()));
    world.resources.set_desired(&with);
    assert!(world.resources.ready().covers(&with), "what is left is still there");
    assert!(world.of(&with).contains(PHASE) && !world.of(&with).contains(LABELS));
    world.cluster.says("nodes", ONE);
    assert_eq!(change.await.expect("no panic"), Outcome::Served);
    assert!(world.resources.ready().covers(&with), "from the first moment on");
    assert!(world.of(&with).contains(LABELS) && world.of(&with).contains(NODE));
}

#[tokio::test(start_paused = true)]
async fn the_fleet_waits_for_what_is_not_known_yet_and_not_for_what_is_gone() {
    let world = World::new(None);
    let undecided = || world.resources.watch_set().load().undecided.clone();
    world.resources.set_desired(&Slice::all());
    assert_eq!((world.resources.ready(), undecided()), (Slice::none(), vec!["resources"]));
    world.cluster.says("namespaces", ONE);
    drop(world.set(specs("namespaces,nodes", ""), Swap::Each));
    settle().await;
    assert_eq!(world.resources.ready(), Slice::none(), "the first set counts at once: nodes hang");
    assert!(undecided().is_empty());
    let mut changed = world.resources.changed();
    changed.mark_unchanged();
    drop(world.set(specs("namespaces", ""), Swap::Each));
    changed.changed().await.expect("it runs");
    assert!(world.resources.ready().covers(&Slice::all()));
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_comes_later_is_loaded_aside_too() {
    let world = World::serving(None, "namespaces").await;
    world.resources.set_desired(&Slice::all());
    settle().await;
    let set = world.resources.set(Owner::Custom, specs("nodes", ""), Swap::Each).expect("no thread is needed");
    settle().await;
    assert!(world.resources.ready().covers(&Slice::all()), "nodes hang, and nobody waits for them");
    assert_eq!(world.watched(), ["namespaces"]);
    world.cluster.says("nodes", ONE);
    assert_eq!(set.await, Outcome::Served);
    assert_eq!(world.watched(), ["namespaces", "nodes"]);
}

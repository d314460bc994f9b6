//! Changes of the set of resources, against a scripted API server, on a paused clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use kube::client::Body;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::groups::REFUSAL_GRACE;
use super::*;
use crate::collectors::labels::KeyFilter;
use crate::exposition::{Format, NamespaceLabels, Selection};
use crate::fleet::ShardLoader;
use crate::replica::builtin;
use crate::replica::custom::CustomResources;
use crate::replica::tasks::Tasks;
use crate::settings::{Environment, Flags, KeyLists, Settings};
use crate::sharding::{Hasher, Ranges};

/// The server's answer for a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Nothing,
    /// Objects with these UIDs.
    Has(&'static [&'static str]),
    Refuses(u16),
}

const ONE: Answer = Answer::Has(&["1"]);
const REFUSES: Answer = Answer::Refuses(403);
const FAILS: Answer = Answer::Refuses(500);

type Piece = Result<Frame<Bytes>, std::io::Error>;
/// An open watch, with its resource.
type OpenWatch = (String, mpsc::UnboundedSender<Piece>);

/// The API server.
#[derive(Clone, Default)]
struct Cluster {
    says: watch::Sender<BTreeMap<String, Answer>>,
    /// All watches, closed ones included.
    watches: Arc<Mutex<Vec<OpenWatch>>>,
}

fn object(kind: &str, uid: &str) -> Value {
    let metadata = json!({ "name": format!("o-{uid}"), "uid": uid, "resourceVersion": "5", "labels": { "app": "a" } });
    json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata, "status": { "phase": "Active" } })
}

impl Cluster {
    fn says(&self, plural: &str, answer: Answer) {
        self.says.send_modify(|answers| {
            answers.insert(plural.to_owned(), answer);
        });
    }

    /// Returns the number of open watches of a resource.
    fn watches(&self, plural: &str) -> usize {
        let mut watches = self.watches.lock().expect("no panic");
        watches.retain(|(_, watch)| !watch.is_closed());
        watches.iter().filter(|(of, _)| of == plural).count()
    }

    /// Breaks the connections of all watches of a resource.
    fn breaks(&self, plural: &str) {
        let broken = |(of, watch): &(String, mpsc::UnboundedSender<Piece>)| {
            if of == plural {
                let _ = watch.unbounded_send(Err(std::io::ErrorKind::ConnectionReset.into()));
            }
            of != plural
        };
        self.watches.lock().expect("no panic").retain(broken);
    }

    async fn answer(self, request: Request<Body>) -> Response<StreamBody<mpsc::UnboundedReceiver<Piece>>> {
        let path = request.uri().path();
        let plural = path.rsplit('/').next().unwrap_or_default();
        // `plural`, or `namespace/plural`.
        let plural = path.split_once("/namespaces/").map_or(plural, |(_, within)| within).to_owned();
        let kind = match plural.rsplit('/').next() {
            Some("nodes") => "Node",
            Some("serviceaccounts") => "ServiceAccount",
            _ => "Namespace",
        };
        let query = request.uri().query().unwrap_or_default();
        let (watch, initial) = (query.contains("watch=1"), query.contains("sendInitialEvents=true"));
        let mut says = self.says.subscribe();
        let answers = |says: &BTreeMap<_, _>| says.get(&plural).is_some_and(|says| *says != Answer::Nothing);
        let says = says.wait_for(answers).await.expect("the test goes on")[&plural];
        let (send, body) = mpsc::unbounded();
        let tell = |value: Value| {
            // The client may have closed the connection.
            let _ = send.unbounded_send(Ok(Frame::data(format!("{value}\n").into())));
        };
        let status = match says {
            Answer::Refuses(code) => {
                tell(json!({ "kind": "Status", "apiVersion": "v1", "code": code, "message": "no" }));
                code
            }
            Answer::Nothing => unreachable!("it was waited for something else"),
            Answer::Has(uids) if !watch => {
                let items: Vec<_> = uids.iter().map(|uid| object(kind, uid)).collect();
                let list = format!("{kind}List");
                tell(
                    json!({ "kind": list, "apiVersion": "v1", "metadata": { "resourceVersion": "5" }, "items": items }),
                );
                200
            }
            Answer::Has(uids) => {
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

/// Resources with their tasks and API server.
struct World {
    cluster: Cluster,
    resources: Arc<Resources>,
    tasks: Tasks,
}

fn specs(resources: &str, labels: &str) -> Vec<ResourceSpec> {
    let flags = Flags {
        resources: vec![resources.to_owned()],
        metric_labels_allowlist: Some(KeyLists(labels.to_owned())),
        ..Flags::default()
    };
    builtin::specs(&Settings::resolve(&flags, &Environment::default(), || None).expect("they are valid").0, 0)
}

impl World {
    fn new(held: Option<Slice>) -> Self {
        Self::with_groups(held, &[Group::BuiltIn])
    }

    fn with_groups(held: Option<Slice>, groups: &[Group]) -> Self {
        let cluster = Cluster::default();
        let tasks = Tasks::new(CancellationToken::new());
        let context = WatchContext {
            client: cluster.client(),
            private: None,
            held,
            audited: true,
            namespaced: true,
            linger: Duration::ZERO,
            exposed: None,
        };
        let resources = Resources::new(context, tasks.spawner(), groups.iter().copied());
        tasks.spawner().spawn("resource-loader".to_owned(), Arc::clone(&resources).run());
        Self { cluster, resources, tasks }
    }

    /// A world that serves `resources` from the start.
    async fn serving(held: Option<Slice>, resources: &str) -> Self {
        let world = Self::new(held);
        for resource in resources.split(',') {
            world.cluster.says(resource, ONE);
        }
        assert_eq!(world.set(specs(resources, ""), Rollout::Atomic).await, Outcome::Served);
        settle().await;
        world
    }

    fn set(&self, specs: Vec<ResourceSpec>, rollout: Rollout) -> impl Future<Output = Outcome> + Send + use<> {
        self.resources.set(Group::BuiltIn, specs, rollout).expect("no thread is needed")
    }

    /// Returns the names of all series in `exposed`.
    fn of(&self, exposed: &Slice) -> BTreeSet<String> {
        let store = self.resources.store();
        let text: Vec<u8> = store.scrape(&Selection::All, Format::Text, exposed).flatten().collect();
        let text = String::from_utf8(text).expect("UTF-8");
        text.lines().filter_map(|line| Some(line.split_once('{')?.0.to_owned())).collect()
    }

    fn serves(&self, family: &str) -> bool {
        self.of(&Slice::all()).contains(family)
    }

    fn awaited(&self) -> Vec<String> {
        let watch_set = self.resources.watch_set().load_full();
        watch_set.resources.iter().filter(|watched| watched.is_awaited()).map(|watched| watched.name.clone()).collect()
    }

    /// Returns the degraded resources with their reasons.
    fn degraded(&self) -> Vec<(String, &'static str)> {
        let watch_set = self.resources.watch_set().load_full();
        let reason =
            |watched: &crate::health::WatchedResource| Some((watched.name.clone(), watched.degraded()?.trouble.reason));
        watch_set.resources.iter().filter_map(reason).collect()
    }

    fn covers(&self, slice: &Slice) -> bool {
        self.resources.ready().covers(slice)
    }

    fn watched(&self) -> Vec<String> {
        let watch_set = self.resources.watch_set().load_full();
        watch_set.resources.iter().map(|watched| watched.name.clone()).collect()
    }
}

/// Waits until nothing more happens.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

const PHASE: &str = "kube_namespace_status_phase";
const LABELS: &str = "kube_namespace_labels";
const NODE: &str = "kube_node_info";

#[tokio::test(start_paused = true)]
async fn an_atomic_set_is_loaded_aside_and_replaces_the_previous_one_as_a_whole() {
    let world = World::serving(Some(Slice::all()), "namespaces").await;
    let first = world.resources.served().borrow().clone();
    assert!(world.serves(PHASE) && !world.serves(LABELS));
    let mut old = world.resources.store().scrape(&Selection::All, Format::Text, &Slice::all());
    let change = tokio::spawn(world.set(specs("namespaces,nodes", "namespaces=[*]"), Rollout::Atomic));
    settle().await;
    assert_eq!(world.cluster.watches("namespaces"), 2, "the new resource is watched beside the old one");
    assert!(world.serves(PHASE) && !world.serves(LABELS), "it waits for nodes");
    world.cluster.says("nodes", ONE);
    assert_eq!(change.await.expect("no panic"), Outcome::Served);
    assert!(world.serves(PHASE) && world.serves(LABELS) && world.serves(NODE));
    settle().await;
    assert_eq!(world.cluster.watches("namespaces"), 1, "the old resource is stopped");
    assert!(first.iter().all(|resource| resource.stop.is_cancelled()));
    let old = String::from_utf8(old.by_ref().flatten().collect()).expect("UTF-8");
    assert!(old.contains("kube_namespace_status_phase{") && !old.contains("kube_node_info"), "{old}");
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_resource_is_kept() {
    let world = World::serving(Some(Slice::all()), "namespaces,nodes").await;
    let before = world.resources.served().borrow().clone();
    world.set(specs("namespaces,nodes", "nodes=[*]"), Rollout::Atomic).await;
    let after = world.resources.served().borrow().clone();
    assert_eq!([0, 1].map(|at| Arc::ptr_eq(&before[at], &after[at])), [true, false]);
    assert!(!before[0].stop.is_cancelled() && before[1].stop.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn individual_resources_are_served_when_ready_and_removed_immediately() {
    let world = World::serving(Some(Slice::all()), "namespaces").await;
    let change = tokio::spawn(world.set(specs("namespaces,nodes", "namespaces=[*]"), Rollout::Individual));
    settle().await;
    assert!(world.serves(LABELS) && !world.serves(NODE));
    world.cluster.says("nodes", ONE);
    assert_eq!(change.await.expect("no panic"), Outcome::Served);
    assert!(world.serves(NODE));
    drop(world.set(specs("nodes", ""), Rollout::Individual));
    settle().await;
    assert!(world.serves(NODE) && !world.serves(PHASE));
    assert_eq!(world.cluster.watches("namespaces"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_resource_delays_only_its_replacement_of_a_served_one() {
    let world = World::serving(Some(Slice::all()), "namespaces").await;
    world.cluster.says("nodes", REFUSES);
    let began = Instant::now();
    assert_eq!(world.set(specs("namespaces,nodes", ""), Rollout::Atomic).await, Outcome::Served);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(world.watched(), ["namespaces", "nodes"]);
    world.cluster.says("namespaces", Answer::Refuses(404));
    let began = Instant::now();
    let change = tokio::spawn(world.set(specs("namespaces,nodes", "namespaces=[*]"), Rollout::Atomic));
    settle().await;
    assert!(world.serves(PHASE));
    assert_eq!(change.await.expect("no panic"), Outcome::Served);
    assert!(began.elapsed() >= REFUSAL_GRACE && began.elapsed() < 2 * REFUSAL_GRACE, "{:?}", began.elapsed());
    assert!(!world.serves(PHASE));
}

#[tokio::test(start_paused = true)]
async fn a_set_supersedes_one_that_is_still_loading() {
    let world = World::serving(Some(Slice::all()), "namespaces").await;
    let first = tokio::spawn(world.set(specs("namespaces,nodes", "namespaces=[*]"), Rollout::Atomic));
    settle().await;
    // The resources in both sets continue to load.
    let second = tokio::spawn(world.set(specs("nodes", ""), Rollout::Atomic));
    assert_eq!(first.await.expect("no panic"), Outcome::Superseded);
    settle().await;
    assert_eq!(world.cluster.watches("namespaces"), 1, "the resource that was not served yet is gone");
    assert!(world.serves(PHASE), "the served resource is still needed");
    world.cluster.says("nodes", ONE);
    assert_eq!(second.await.expect("no panic"), Outcome::Served);
    assert!(world.serves(NODE) && !world.serves(PHASE));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_task_is_no_error_and_an_unexpected_end_is() {
    let mut world = World::serving(Some(Slice::all()), "namespaces").await;
    world.set(specs("namespaces", "namespaces=[*]"), Rollout::Atomic).await;
    settle().await;
    let quiet = tokio::time::timeout(Duration::from_secs(600), world.tasks.ended()).await;
    assert!(quiet.is_err(), "no task ended unexpectedly");
    world.tasks.spawner().spawn("lazy-task".to_owned(), async {});
    assert_eq!(world.tasks.ended().await.expect_err("it ended").task, "lazy-task");
}

/// The half of the hash space that contains the object, and the other half.
fn halves(uid: &str) -> [Slice; 2] {
    let half = |from, to| Slice::of(Hasher::XxHash64, Ranges::from_parts([(from, to)]));
    let [low, high] = [half(0, 1 << 63), half(1 << 63, 1 << 64)];
    if low.contains_uid(uid) { [low, high] } else { [high, low] }
}

#[tokio::test(start_paused = true)]
async fn a_loading_resource_follows_the_fleet_and_does_not_delay_it() {
    let [with, without] = halves("1");
    let world = World::serving(None, "namespaces").await;
    assert!(world.of(&Slice::all()).is_empty(), "the fleet has decided nothing yet");
    world.resources.set_desired(&without);
    settle().await;
    assert!(world.resources.ready().covers(&without));
    let change = tokio::spawn(world.set(specs("namespaces,nodes", "namespaces=[*]"), Rollout::Atomic));
    settle().await;
    assert!(world.resources.ready().covers(&without), "nodes are loading and do not count");
    // A handover in the middle of the change.
    world.resources.set_desired(&Slice::all());
    settle().await;
    assert!(world.resources.ready().covers(&Slice::all()));
    world.resources.set_desired(&with);
    assert!(world.resources.ready().covers(&with), "the remaining slice is still loaded");
    assert!(world.of(&with).contains(PHASE) && !world.of(&with).contains(LABELS));
    world.cluster.says("nodes", ONE);
    assert_eq!(change.await.expect("no panic"), Outcome::Served);
    assert!(world.resources.ready().covers(&with), "from the first moment on");
    assert!(world.of(&with).contains(LABELS) && world.of(&with).contains(NODE));
}

#[tokio::test(start_paused = true)]
async fn the_fleet_waits_for_undecided_groups_and_not_for_removed_resources() {
    let world = World::new(None);
    let undecided = || world.resources.watch_set().load().undecided.clone();
    world.resources.set_desired(&Slice::all());
    assert_eq!((world.resources.ready(), undecided()), (Slice::none(), vec!["resources"]));
    world.cluster.says("namespaces", ONE);
    drop(world.set(specs("namespaces,nodes", ""), Rollout::Individual));
    settle().await;
    assert_eq!(world.resources.ready(), Slice::none(), "the first set counts immediately, and nodes are loading");
    assert!(undecided().is_empty());
    let mut changed = world.resources.changed();
    changed.mark_unchanged();
    drop(world.set(specs("namespaces", ""), Rollout::Individual));
    changed.changed().await.expect("it runs");
    assert!(world.resources.ready().covers(&Slice::all()));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_added_later_is_loaded_aside() {
    let world = World::serving(None, "namespaces").await;
    world.resources.set_desired(&Slice::all());
    settle().await;
    let set = world.resources.set(Group::Custom, specs("nodes", ""), Rollout::Individual).expect("no thread is needed");
    settle().await;
    assert!(world.resources.ready().covers(&Slice::all()), "nodes are loading and delay nobody");
    assert_eq!(world.watched(), ["namespaces"]);
    world.cluster.says("nodes", ONE);
    assert_eq!(set.await, Outcome::Served);
    assert_eq!(world.watched(), ["namespaces", "nodes"]);
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_fails_from_the_start_is_degraded_after_30_seconds_and_delays_nothing() {
    let world = World::new(None);
    world.cluster.says("namespaces", ONE);
    world.cluster.says("nodes", FAILS);
    drop(world.set(specs("namespaces,nodes", ""), Rollout::Atomic));
    world.resources.set_desired(&Slice::all());
    seconds(29).await;
    assert_eq!((world.awaited(), world.degraded()), (vec!["nodes".to_owned()], vec![]));
    assert_eq!(world.resources.ready(), Slice::none());
    seconds(3).await;
    assert_eq!((world.awaited(), world.degraded()), (vec![], vec![("nodes".to_owned(), "status")]));
    assert!(world.covers(&Slice::all()) && world.serves(PHASE));
    // It recovers: its objects are shown as soon as they are loaded.
    world.cluster.says("nodes", ONE);
    seconds(61).await;
    assert!(world.serves(NODE) && world.covers(&Slice::all()));
    seconds(31).await;
    assert_eq!((world.awaited(), world.degraded()), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_degraded_resource_gains_ranges_without_delaying_them_and_keeps_its_objects() {
    let [with, _] = halves("1");
    let world = World::serving(None, "namespaces,nodes").await;
    world.resources.set_desired(&with);
    settle().await;
    assert!(world.covers(&with) && world.serves(NODE));
    world.cluster.says("nodes", FAILS);
    world.cluster.breaks("nodes");
    seconds(20).await;
    assert_eq!(world.resources.ready(), Slice::none(), "it may recover");
    world.resources.set_desired(&Slice::all());
    seconds(20).await;
    assert_eq!(world.degraded(), [("nodes".to_owned(), "status")]);
    assert!(world.covers(&Slice::all()));
    assert!(world.of(&Slice::all()).contains(NODE), "known objects are served");
    // Once it works, a gain waits for it again, although it is still named.
    world.cluster.says("nodes", ONE);
    let mut changed = world.resources.changed();
    while world.cluster.watches("nodes") == 0 {
        changed.changed().await.expect("it runs");
    }
    seconds(1).await;
    assert!(!world.degraded().is_empty() && world.covers(&Slice::all()));
    world.resources.set_desired(&with);
    world.resources.set_desired(&Slice::all());
    assert!(!world.covers(&Slice::all()), "it is being loaded");
    settle().await;
    assert!(world.covers(&Slice::all()));
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_whole_api_server_degrades_nothing() {
    let world = World::serving(None, "namespaces,nodes").await;
    world.resources.set_desired(&Slice::all());
    settle().await;
    for resource in ["namespaces", "nodes"] {
        world.cluster.says(resource, FAILS);
        world.cluster.breaks(resource);
    }
    seconds(600).await;
    assert_eq!((world.degraded(), world.resources.ready()), (vec![], Slice::none()));
    assert!(world.serves(NODE) && world.serves(PHASE), "everything is served as before");
    // One comes back first. The other has not tried since.
    world.cluster.says("namespaces", ONE);
    while world.cluster.watches("namespaces") == 0 {
        seconds(1).await;
    }
    world.cluster.says("nodes", ONE);
    seconds(90).await;
    assert_eq!(world.degraded(), []);
    assert!(world.covers(&Slice::all()));
}

#[tokio::test(start_paused = true)]
async fn the_only_resource_is_never_degraded() {
    let world = World::new(None);
    world.cluster.says("nodes", FAILS);
    drop(world.set(specs("nodes", ""), Rollout::Atomic));
    world.resources.set_desired(&Slice::all());
    seconds(600).await;
    assert_eq!((world.degraded(), world.resources.ready()), (vec![], Slice::none()));
    assert_eq!(world.awaited(), ["nodes"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_a_failure() {
    let world = World::new(None);
    world.cluster.says("namespaces", ONE);
    drop(world.set(specs("namespaces,nodes", ""), Rollout::Atomic));
    world.resources.set_desired(&Slice::all());
    seconds(45).await;
    assert_eq!(world.degraded(), [("nodes".to_owned(), "timeout")]);
    assert!(world.covers(&Slice::all()));
}

#[tokio::test(start_paused = true)]
async fn a_reload_does_not_wait_for_a_degraded_resource_and_keeps_its_predecessor() {
    let world = World::serving(Some(Slice::all()), "namespaces,nodes").await;
    world.cluster.says("nodes", FAILS);
    let change = tokio::spawn(world.set(specs("namespaces,nodes", "namespaces=[*],nodes=[*]"), Rollout::Atomic));
    seconds(25).await;
    assert!(!world.serves(LABELS));
    seconds(10).await;
    assert!(world.serves(LABELS) && world.serves(NODE) && !world.serves("kube_node_labels"));
    world.cluster.says("nodes", ONE);
    assert_eq!(change.await.expect("no panic"), Outcome::Served);
    assert!(world.serves("kube_node_labels"));
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_fails_hides_no_objects_of_the_others() {
    let world = World::new(None);
    let flags =
        Flags { resources: vec!["serviceaccounts".to_owned()], namespaces: vec!["a,b".to_owned()], ..Flags::default() };
    let settings = Settings::resolve(&flags, &Environment::default(), || None).expect("they are valid").0;
    world.cluster.says("a/serviceaccounts", ONE);
    world.cluster.says("b/serviceaccounts", FAILS);
    drop(world.set(builtin::specs(&settings, 0), Rollout::Atomic));
    world.resources.set_desired(&Slice::all());
    seconds(25).await;
    assert!(!world.serves("kube_serviceaccount_info"), "it may recover");
    seconds(10).await;
    assert_eq!((world.awaited(), world.degraded()), (vec![], vec![("serviceaccounts".to_owned(), "status")]));
    assert!(world.covers(&Slice::all()) && world.serves("kube_serviceaccount_info"));
    world.cluster.says("a/serviceaccounts", FAILS);
    world.cluster.breaks("a/serviceaccounts");
    seconds(60).await;
    assert_eq!(world.resources.ready(), Slice::none(), "nothing is left that works");
    assert!(world.serves("kube_serviceaccount_info"));
}

#[tokio::test(start_paused = true)]
async fn definitions_that_cannot_be_listed_delay_nothing() {
    let world = World::with_groups(None, &[Group::BuiltIn, Group::Custom]);
    let config = "{spec: {resources: [{groupVersionKind: {group: a.example, kind: A, version: v1}, metrics: []}]}}";
    let flags = Flags {
        resources: vec!["namespaces".to_owned()],
        custom_resource_state_config: Some(config.to_owned()),
        ..Flags::default()
    };
    let settings = Settings::resolve(&flags, &Environment::default(), || None).expect("they are valid").0;
    world.cluster.says("namespaces", ONE);
    world.cluster.says("customresourcedefinitions", FAILS);
    drop(world.set(builtin::specs(&settings, 0), Rollout::Atomic));
    let client = world.cluster.client();
    let custom = CustomResources::new(Arc::clone(&world.resources), client, world.tasks.spawner());
    custom.follow(&settings, 0);
    world.resources.set_desired(&Slice::all());
    let undecided = || world.resources.watch_set().load().undecided.clone();
    seconds(25).await;
    assert_eq!((undecided(), world.resources.ready()), (vec!["custom resources"], Slice::none()));
    seconds(10).await;
    assert!(undecided().is_empty() && world.covers(&Slice::all()));
    assert!(custom.degraded().load().is_some());
    // Settings that ask for no custom resources need no definitions.
    let none = Flags { custom_resource_state_config: None, ..flags };
    custom.follow(&Settings::resolve(&none, &Environment::default(), || None).expect("they are valid").0, 0);
    seconds(1).await;
    assert!(custom.degraded().load().is_none());
    custom.follow(&settings, 0);
    seconds(40).await;
    assert!(custom.degraded().load().is_some());
    world.cluster.says("customresourcedefinitions", Answer::Has(&[]));
    seconds(100).await;
    assert!(custom.degraded().load().is_none());
}

/// The specs of ServiceAccounts, when `--namespace-selector` selects these namespaces.
fn in_namespaces(selected: &[&str]) -> Vec<ResourceSpec> {
    let flags = Flags {
        resources: vec!["serviceaccounts,namespaces".to_owned()],
        namespace_selector: Some("team".to_owned()),
        ..Flags::default()
    };
    let mut settings = Settings::resolve(&flags, &Environment::default(), || None).expect("they are valid").0;
    settings.live.selected_namespaces = Some(selected.iter().map(|name| (*name).to_owned()).collect());
    builtin::specs(&settings, 0)
}

impl World {
    /// Returns the served ServiceAccounts.
    fn accounts(&self) -> BTreeSet<String> {
        let store = self.resources.store();
        let text: Vec<u8> = store.scrape(&Selection::All, Format::Text, &Slice::all()).flatten().collect();
        let text = String::from_utf8(text).expect("UTF-8");
        let name = |line: &str| Some(line.split_once("serviceaccount=\"")?.1.split_once('"')?.0.to_owned());
        text.lines().filter_map(name).collect()
    }

    fn selection(&self) -> Option<u64> {
        self.resources.watch_set().load().find("serviceaccounts").expect("it is watched").selection
    }
}

fn names(uids: &[&str]) -> BTreeSet<String> {
    uids.iter().map(|uid| format!("o-{uid}")).collect()
}

#[tokio::test(start_paused = true)]
async fn selected_namespaces_come_and_go_without_a_change_of_the_others() {
    let world = World::new(Some(Slice::all()));
    world.cluster.says("namespaces", ONE);
    world.cluster.says("a/serviceaccounts", Answer::Has(&["1"]));
    world.cluster.says("b/serviceaccounts", Answer::Has(&["2"]));
    assert_eq!(world.set(in_namespaces(&[]), Rollout::Atomic).await, Outcome::Served);
    settle().await;
    assert_eq!((world.accounts(), world.awaited()), (names(&[]), vec![]));
    let none = world.selection();
    drop(world.set(in_namespaces(&["a", "b"]), Rollout::Atomic));
    settle().await;
    let two = world.selection();
    assert_eq!(world.accounts(), names(&["1", "2"]));
    assert!(none != two && none.is_some());
    let running = world.resources.served().borrow().clone();
    // A namespace that loads delays nothing, and its objects are not shown before.
    drop(world.set(in_namespaces(&["a", "b", "c"]), Rollout::Atomic));
    settle().await;
    assert_eq!((world.accounts(), world.awaited(), world.selection()), (names(&["1", "2"]), vec![], two));
    assert!(
        world.covers(&Slice::none()) && world.resources.served().borrow().iter().all(|resource| resource.is_ready())
    );
    world.cluster.says("c/serviceaccounts", Answer::Has(&["3", "4"]));
    settle().await;
    assert_eq!(world.accounts(), names(&["1", "2", "3", "4"]));
    assert_ne!(world.selection(), two);
    // One that ends takes its series along at once, although another one fails.
    world.cluster.says("d/serviceaccounts", FAILS);
    drop(world.set(in_namespaces(&["a", "c", "d"]), Rollout::Atomic));
    assert_eq!(world.accounts(), names(&["1", "3", "4"]));
    settle().await;
    assert_eq!(world.cluster.watches("b/serviceaccounts"), 0);
    assert_eq!(world.cluster.watches("a/serviceaccounts"), 1);
    assert_eq!((world.awaited(), world.degraded()), (vec![], vec![]));
    seconds(60).await;
    assert_eq!(world.degraded(), [("serviceaccounts".to_owned(), "status")]);
    world.cluster.says("d/serviceaccounts", Answer::Has(&["5"]));
    seconds(150).await;
    assert_eq!((world.accounts(), world.degraded()), (names(&["1", "3", "4", "5"]), vec![]));
    let now = world.resources.served().borrow().clone();
    assert!(running.iter().zip(now.iter()).all(|(before, now)| Arc::ptr_eq(before, now)), "no resource was replaced");
    // It comes back.
    drop(world.set(in_namespaces(&["a", "b"]), Rollout::Atomic));
    settle().await;
    assert_eq!((world.accounts(), world.selection()), (names(&["1", "2"]), two));
}

#[tokio::test(start_paused = true)]
async fn another_selector_of_followed_namespaces_loads_beside_what_is_served() {
    let world = World::new(Some(Slice::all()));
    world.cluster.says("namespaces", ONE);
    world.cluster.says("a/serviceaccounts", Answer::Has(&["1"]));
    assert_eq!(world.set(in_namespaces(&["a"]), Rollout::Atomic).await, Outcome::Served);
    settle().await;
    assert_eq!(world.accounts(), names(&["1"]));
    let selecting = |selected: &[&str]| {
        let mut specs = in_namespaces(selected);
        let accounts = specs.iter_mut().filter(|spec| spec.name == "serviceaccounts");
        accounts.flat_map(|spec| &mut spec.shape.partitions).for_each(|part| part.label_selector = "app=a".to_owned());
        specs
    };
    world.cluster.says("a/serviceaccounts", Answer::Nothing);
    let served = world.set(selecting(&["a"]), Rollout::Atomic);
    settle().await;
    assert_eq!(world.accounts(), names(&["1"]), "the new list has no answer yet");
    world.cluster.says("a/serviceaccounts", Answer::Has(&["1", "2"]));
    assert_eq!(served.await, Outcome::Served);
    assert_eq!(world.accounts(), names(&["1", "2"]));
    settle().await;
    assert_eq!(world.cluster.watches("a/serviceaccounts"), 1);
    // Its namespaces still come and go.
    world.cluster.says("b/serviceaccounts", Answer::Has(&["3"]));
    drop(world.set(selecting(&["b"]), Rollout::Atomic));
    settle().await;
    assert_eq!(world.accounts(), names(&["3"]));
}

#[tokio::test(start_paused = true)]
async fn known_and_new_objects_get_the_labels_of_their_namespaces() {
    let world = World::new(None);
    let keys = KeyFilter::from_keys(["team"]);
    let flags = Flags {
        resources: vec!["serviceaccounts,namespaces".to_owned()],
        promote_namespace_labels: vec!["team".to_owned()],
        ..Flags::default()
    };
    let specs = |cluster| {
        let settings = Settings::resolve(&flags, &Environment::default(), || None).expect("they are valid").0;
        builtin::specs(&settings, cluster)
    };
    let promote = |cluster: u32, value: &str| {
        let labels = NamespaceLabels::new([("o-1", vec![("namespace_label_team".to_owned(), value)])]);
        world.resources.promote(PromotedLabels { keys: keys.clone(), cluster, labels: Arc::new(labels) });
    };
    let shown = || {
        let text = world.resources.store().scrape(&Selection::All, Format::Text, &Slice::all()).flatten().collect();
        let text = String::from_utf8(text).expect("UTF-8");
        let created = text.lines().find(|line| line.starts_with("kube_namespace_status_phase{")).map(str::to_owned);
        created.and_then(|line| Some(line.split_once("team=\"")?.1.split_once('"')?.0.to_owned()))
    };
    world.cluster.says("namespaces", ONE);
    world.cluster.says("serviceaccounts", Answer::Has(&["1"]));
    promote(0, "one");
    drop(world.set(specs(0), Rollout::Atomic));
    world.resources.set_desired(&Slice::all());
    settle().await;
    assert_eq!(shown().as_deref(), Some("one"));
    promote(0, "two");
    world.resources.relabel().await;
    assert_eq!(shown().as_deref(), Some("two"));
    // The labels of another cluster are for the resources of that one only, which load beside the others.
    world.cluster.says("namespaces", Answer::Nothing);
    promote(1, "three");
    drop(world.set(specs(1), Rollout::Atomic));
    world.resources.relabel().await;
    settle().await;
    assert_eq!(shown().as_deref(), Some("two"));
    world.cluster.says("namespaces", ONE);
    settle().await;
    assert_eq!(shown().as_deref(), Some("three"));
    // A handover away and back.
    world.resources.set_desired(&Slice::none());
    settle().await;
    promote(1, "four");
    world.resources.relabel().await;
    world.resources.set_desired(&Slice::all());
    settle().await;
    assert_eq!(shown().as_deref(), Some("four"));
}

#[tokio::test(start_paused = true)]
async fn a_member_of_a_fleet_loads_its_slice_of_a_new_namespace() {
    let world = World::new(None);
    world.cluster.says("namespaces", ONE);
    world.cluster.says("a/serviceaccounts", Answer::Has(&["1"]));
    drop(world.set(in_namespaces(&["a"]), Rollout::Atomic));
    world.resources.set_desired(&Slice::all());
    settle().await;
    assert!(world.covers(&Slice::all()));
    drop(world.set(in_namespaces(&["a", "b"]), Rollout::Atomic));
    settle().await;
    assert!(world.covers(&Slice::all()), "handovers do not wait for a namespace that loads");
    world.cluster.says("b/serviceaccounts", Answer::Has(&["2"]));
    settle().await;
    assert_eq!(world.accounts(), names(&["1", "2"]));
    world.resources.set_desired(&Slice::none());
    assert_eq!(world.accounts(), names(&[]));
    world.resources.set_desired(&Slice::all());
    assert!(!world.covers(&Slice::all()), "both namespaces load again");
    settle().await;
    assert!(world.covers(&Slice::all()));
    assert_eq!(world.accounts(), names(&["1", "2"]));
}

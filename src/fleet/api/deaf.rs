//! A member against an API server in memory, on a paused clock, whose watches miss changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc as stream;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::tests::{id, member, names};
use super::*;
use crate::fleet::clock::SystemClock;
use crate::fleet::handover::Event;
use crate::fleet::message::{Inbox, Message, queue};
use crate::fleet::record::{Incarnation, Member};
use crate::fleet::roster::Roster;
use crate::sync::{lock, watch};

const MINUTE: Duration = Duration::from_secs(60);

type Piece = Result<Frame<Bytes>, std::io::Error>;
type Answer = Response<StreamBody<stream::UnboundedReceiver<Piece>>>;

/// What new watches do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watches {
    /// Deliver each later change.
    Deliver,
    /// Deliver nothing, as from a version that the API server has not reached.
    Silent,
    /// End at once.
    End,
    /// Say that the version has expired, at once.
    Expire,
    /// Are refused with 504 and "Too large resource version".
    TooLarge,
}

/// The Leases of an API server.
struct Server {
    version: u64,
    leases: BTreeMap<String, Value>,
    watches: Watches,
    open: Vec<(u64, stream::UnboundedSender<Piece>)>,
    /// When each request arrived: its verb, and whether a list or watch named a version.
    requests: Vec<(Instant, &'static str)>,
}

impl Server {
    fn write(&mut self, mut lease: Value) -> Value {
        self.version += 1;
        lease["metadata"]["resourceVersion"] = self.version.to_string().into();
        let name = lease["metadata"]["name"].as_str().expect("a name").to_owned();
        let verb = if self.leases.insert(name, lease.clone()).is_some() { "MODIFIED" } else { "ADDED" };
        let line = format!("{}\n", json!({"type": verb, "object": lease}));
        for (from, watch) in &self.open {
            if *from < self.version {
                let _ = watch.unbounded_send(Ok(Frame::data(line.clone().into())));
            }
        }
        lease
    }

    fn answer(&mut self, method: &Method, path: &str, query: &str, body: &[u8]) -> (u16, Option<Value>) {
        let name = path.rsplit_once("/leases/").map(|(_, name)| name.to_owned());
        let query: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let is_watch = query.contains_key("watch");
        let verb = match (method, &name) {
            (&Method::GET, None) if is_watch => "watch",
            (&Method::GET, None) => "list",
            (&Method::GET, Some(_)) => "get",
            _ => "write",
        };
        self.requests.push((Instant::now(), verb));
        match (verb, name) {
            ("list", _) => {
                assert!(!query.contains_key("resourceVersion"), "a list is consistent: {query:?}");
                let items: Vec<_> = self.leases.values().collect();
                let metadata = json!({"resourceVersion": self.version.to_string()});
                (
                    200,
                    Some(
                        json!({"kind": "LeaseList", "apiVersion": "coordination.k8s.io/v1", "metadata": metadata, "items": items}),
                    ),
                )
            }
            ("watch", _) => match self.watches {
                Watches::TooLarge => (504, Some(status(504, "Too large resource version: 1201, current: 1004"))),
                _ => (200, None),
            },
            ("get", Some(name)) => match self.leases.get(&name) {
                Some(lease) => (200, Some(lease.clone())),
                None => (404, Some(status(404, "not found"))),
            },
            _ => (200, Some(self.write(serde_json::from_slice(body).expect("JSON")))),
        }
    }

    /// Answers a watch.
    fn watch(&mut self, query: &str, body: stream::UnboundedSender<Piece>) {
        let from = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "resourceVersion");
        let from = from.and_then(|(_, version)| version.parse().ok()).unwrap_or_default();
        match self.watches {
            Watches::Deliver => self.open.push((from, body)),
            Watches::Silent | Watches::TooLarge => self.open.push((u64::MAX, body)),
            Watches::End => {}
            Watches::Expire => {
                let line = format!("{}\n", json!({"type": "ERROR", "object": status(410, "too old resource version")}));
                let _ = body.unbounded_send(Ok(Frame::data(line.into())));
            }
        }
    }
}

fn status(code: u16, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message, "reason": "x"})
}

/// A member whose Lease is renewed, and its API server.
struct Test {
    server: Arc<Mutex<Server>>,
    leases: Leases,
    messages: Inbox,
    member: watch::Sender<Option<Member>>,
}

impl Test {
    fn new() -> Self {
        let server = Arc::new(Mutex::new(Server {
            version: 1200,
            leases: BTreeMap::new(),
            watches: Watches::Deliver,
            open: Vec::new(),
            requests: Vec::new(),
        }));
        let world = Arc::clone(&server);
        let service = tower::service_fn(move |request: Request<Body>| {
            let world = Arc::clone(&world);
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.expect("a body").to_bytes();
                let query = head.uri.query().unwrap_or_default();
                let (pieces, content) = stream::unbounded();
                let mut server = lock(&world);
                let (code, answer) = server.answer(&head.method, head.uri.path(), query, &body);
                match answer {
                    Some(answer) => drop(pieces.unbounded_send(Ok(Frame::data(answer.to_string().into())))),
                    None => server.watch(query, pieces),
                }
                let response = Response::builder().status(code).header("content-type", "application/json");
                Ok::<Answer, std::io::Error>(response.body(StreamBody::new(content)).expect("a response"))
            }
        });
        let client = kube::Client::new(service, "ops");
        let (outbox, messages) = queue(Arc::default());
        let leases = Leases::new(&client, &names(), id(1), Arc::new(SystemClock), outbox, Arc::new(Roster::default()));
        Self { server, leases, messages, member: watch::Sender::new(Some(member(1))) }
    }

    /// Runs the member until `script` is done. The script receives the messages for the member.
    async fn run<T>(mut self, script: impl AsyncFnOnce(&Arc<Mutex<Server>>, &mut Inbox) -> T) -> T {
        tokio::select! {
            missing = self.leases.follow() => panic!("{missing}"),
            missing = self.leases.renew(self.member.subscribe()) => panic!("{missing}"),
            result = script(&self.server, &mut self.messages) => result,
        }
    }
}

/// Waits for a confirmation of an own write.
async fn confirmed(messages: &mut Inbox) {
    let confirmed =
        async { while !matches!(messages.recv().await.expect("it runs"), Message::Event(Event::LeaseConfirmed(_))) {} };
    timeout(MINUTE, confirmed).await.expect("in time");
}

/// Waits for the Lease of member 3 to appear.
async fn seen(messages: &mut Inbox) {
    let seen = async {
        while !matches!(messages.recv().await.expect("it runs"), Message::Event(Event::Lease(member)) if member.id.ordinal == 3)
        {
        }
    };
    timeout(MINUTE, seen).await.expect("in time");
}

/// Writes the Lease of member 3.
fn other(server: &mut Server) {
    let id = Incarnation { ordinal: 3, ..id(7) };
    let text = serde_json::to_string(&Member { id, ..member(7) }).expect("JSON");
    let annotations = json!({"kube-state-fleet.io/member": text});
    server.write(json!({
        "kind": "Lease", "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"name": "kube-state-fleet.fleet.3", "namespace": "ops", "annotations": annotations}, "spec": {},
    }));
}

/// The API server's watches turn bad: open ones, and new ones. Returns when.
fn turn(server: &Arc<Mutex<Server>>, watches: Watches) -> Instant {
    let mut server = lock(server);
    server.watches = watches;
    server.requests.clear();
    match watches {
        Watches::Deliver => {}
        // They stay open, and deliver nothing.
        Watches::Silent => server.open.iter_mut().for_each(|(from, _)| *from = u64::MAX),
        _ => server.open.clear(),
    }
    Instant::now()
}

fn count(server: &Arc<Mutex<Server>>, verb: &str) -> usize {
    lock(server).requests.iter().filter(|(_, is)| *is == verb).count()
}

#[tokio::test(start_paused = true)]
async fn a_list_heals_a_deaf_watch_within_10_seconds_and_the_rate_of_requests_is_limited() {
    Test::new()
        .run(async |server, messages| {
            confirmed(messages).await;
            let since = turn(server, Watches::Silent);
            other(&mut lock(server));
            seen(messages).await;
            assert!(since.elapsed() < Duration::from_secs(15), "{:?}", since.elapsed());
            let mut last = Instant::now();
            while since.elapsed() < MINUTE {
                confirmed(messages).await;
                assert!(last.elapsed() < Duration::from_secs(10), "unconfirmed for {:?}", last.elapsed());
                last = Instant::now();
            }
            let (lists, watches) = (count(server, "list"), count(server, "watch"));
            assert!((4..=15).contains(&lists) && watches <= lists + 1, "{lists} lists and {watches} watches");
            // A watch that delivers is trusted, and nothing is listed any more.
            turn(server, Watches::Deliver);
            sleep(Duration::from_secs(12)).await;
            turn(server, Watches::Deliver);
            sleep(MINUTE).await;
            assert_eq!((count(server, "list"), count(server, "watch")), (0, 0));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn watches_that_end_or_expire_at_once_cause_few_requests_and_hide_nothing() {
    for watches in [Watches::End, Watches::Expire, Watches::TooLarge] {
        Test::new()
            .run(async |server, messages| {
                confirmed(messages).await;
                let since = turn(server, watches);
                other(&mut lock(server));
                seen(messages).await;
                assert!(since.elapsed() < Duration::from_secs(12), "{watches:?}: {:?}", since.elapsed());
                while since.elapsed() < MINUTE {
                    confirmed(messages).await;
                }
                let requests = count(server, "list") + count(server, "watch");
                assert!(requests < 120, "{watches:?}: {requests}");
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_goes_back_is_listed_at_once() {
    Test::new()
        .run(async |server, messages| {
            confirmed(messages).await;
            // The restored API server has another member, and gives out lower versions.
            let since = turn(server, Watches::Silent);
            {
                let mut restored = lock(server);
                restored.version = 1000;
                other(&mut restored);
                restored.watches = Watches::Deliver;
            }
            seen(messages).await;
            assert!(since.elapsed() < Duration::from_secs(7), "{:?}", since.elapsed());
            confirmed(messages).await;
            sleep(Duration::from_secs(2)).await;
            turn(server, Watches::Deliver);
            sleep(MINUTE).await;
            assert_eq!((count(server, "list"), count(server, "watch")), (0, 0), "the new watch delivers");
        })
        .await;
}

//! Tests the requests of a member to the API server, against the simulator.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

use super::request::{REFUSALS, RequestError, Retries};
use super::*;
use crate::fleet::clock::{self, SystemClock};
use crate::fleet::handover::{Config, Event, Machine};
use crate::fleet::message::{Inbox, Message, queue};
use crate::fleet::record::{
    Assignment, ColdStart, Incarnation, KeyDigest, LAYOUT, Member, Phase, RECORD_VERSION, Record,
};
use crate::fleet::roster::Roster;
use crate::settings::FleetSettings;
use crate::sharding::Hasher;
use crate::simulator::{ResourceType, Simulator};
use crate::sync::watch;

const LONG: Duration = Duration::from_secs(60);

async fn simulator() -> (Simulator, Client) {
    let types = vec![
        ResourceType::new("", "v1", "pods", "Pod", true),
        ResourceType::new("apps", "v1", "statefulsets", "StatefulSet", true),
        ResourceType::of::<Lease>(),
    ];
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), types).await.expect("a free port");
    let client = Client::try_from(kube::Config::new(simulator.url().parse().expect("a URL"))).expect("a client");
    (simulator, client)
}

fn set(start: u32, replicas: u32, uid: &str) -> serde_json::Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"namespace": "ops", "name": "fleet", "uid": uid},
        "spec": {"replicas": replicas, "ordinals": {"start": start}, "selector": {}, "serviceName": "s", "template": {}},
    })
}

fn pod(name: &str, owner: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "ops", "name": name, "uid": "pod-uid", "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": owner, "name": "fleet", "uid": "u", "controller": true},
        ]},
        "spec": {"terminationGracePeriodSeconds": 77, "containers": []},
        "status": {"podIP": "10.0.0.9", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

pub(super) fn names() -> Names {
    Names { namespace: "ops".to_owned(), statefulset: "fleet".to_owned(), ordinal: 2, start: 5 }
}

fn settings(pod: &str) -> FleetSettings {
    FleetSettings { pod: pod.to_owned(), namespace: "ops".to_owned(), ip: None }
}

#[tokio::test]
async fn a_pod_finds_its_statefulset_and_its_ordinal() {
    let (simulator, client) = simulator().await;
    simulator.create(&set(5, 3, "u")).expect("a new object");
    simulator.create(&pod("fleet-7", "StatefulSet")).expect("a new object");
    simulator.create(&pod("fleet-4", "StatefulSet")).expect("a new object");
    simulator.create(&pod("fleet-x", "ReplicaSet")).expect("a new object");
    let identity = discover(&client, &settings("fleet-7")).await.expect("a fleet");
    let expected = Identity {
        names: names(),
        pod: "pod-uid".to_owned(),
        ip: "10.0.0.9".parse().ok(),
        grace: Duration::from_secs(77),
        // Its address is not known.
        owns_pod: None,
        missing_permission: None,
    };
    assert_eq!(identity, expected);
    let error = |name: &'static str| {
        let client = client.clone();
        async move { discover(&client, &settings(name)).await.expect_err("no fleet") }
    };
    assert!(matches!(error("fleet-4").await, FleetError::NoOrdinal { start: 5, .. }));
    assert!(matches!(error("fleet-x").await, FleetError::NoOwner { .. }));
    assert!(matches!(error("fleet-9").await, FleetError::NoPod { .. }));
    // Without permission to read the pod, its name is enough. Permission to read the StatefulSet is required.
    simulator.faults("pods", |faults| faults.refuse = Some(403)).expect("pods");
    let identity = discover(&client, &settings("fleet-7")).await.expect("a fleet");
    assert_eq!((identity.names, identity.pod.as_str()), (names(), "fleet-7"));
    assert_eq!(
        identity.missing_permission.expect("a missing permission").to_string(),
        "missing permission \"get pods\" in namespace \"ops\"; add manifests/base/role.yaml"
    );
    simulator.faults("statefulsets", |faults| faults.refuse = Some(403)).expect("statefulsets");
    assert!(matches!(error("fleet-7").await, FleetError::Forbidden(_)));
}

#[tokio::test]
async fn discovery_waits_for_an_unavailable_api_server() {
    let (simulator, client) = simulator().await;
    simulator.create(&set(5, 3, "u")).expect("a new object");
    simulator.create(&pod("fleet-7", "StatefulSet")).expect("a new object");
    simulator.faults("pods", |faults| faults.refuse = Some(503)).expect("pods");
    let settings = settings("fleet-7");
    let discovery = discover(&client, &settings);
    tokio::pin!(discovery);
    assert!(timeout(Duration::from_millis(500), &mut discovery).await.is_err());
    simulator.faults("pods", |faults| faults.refuse = None).expect("pods");
    assert_eq!(timeout(LONG, discovery).await.expect("in time").expect("a fleet").names, names());
}

#[tokio::test]
async fn the_statefulset_is_followed_through_its_deletion() {
    let (simulator, client) = simulator().await;
    simulator.create(&set(5, 3, "u")).expect("a new object");
    let (sender, mut states) = unbounded_channel();
    let names = names();
    let following = follow_statefulset(&client, &names, move |set| drop(sender.send(set)));
    let script = async {
        let mut next = async || timeout(LONG, states.recv()).await.expect("in time").expect("the channel is open");
        let state = |uid: &str, replicas| {
            let instructions = crate::fleet::instructions::Instructions::default();
            Some(StatefulSetState { uid: uid.to_owned(), replicas, start: 5, instructions })
        };
        assert_eq!(next().await, state("u", 3));
        simulator.apply(&set(5, 4, "u")).expect("a valid update");
        assert_eq!(next().await, state("u", 4));
        simulator.drop_watches("statefulsets").expect("a served resource");
        simulator.delete("statefulsets", "ops", "fleet").expect("it exists");
        assert_eq!(next().await, None);
        simulator.create(&set(5, 2, "other")).expect("a new object");
        assert_eq!(next().await, state("other", 2));
    };
    tokio::select! {
        missing = following => panic!("{missing}"),
        () = script => {}
    }
}

/// The Leases of a member, with the channels that drive them.
struct LeaseTest {
    leases: Leases,
    roster: Arc<Roster>,
    messages: Inbox,
    member: watch::Sender<Option<Member>>,
    write: watch::Sender<Option<Write>>,
}

pub(super) fn id(nonce: u64) -> Incarnation {
    Incarnation { ordinal: 2, pod: format!("pod-{nonce}"), nonce }
}

fn key(nonce: u64) -> KeyDigest {
    KeyDigest([nonce as u8; 32])
}

pub(super) fn member(nonce: u64) -> Member {
    let config = Config {
        owns_pod: Some(true),
        id: id(nonce),
        address: "127.0.0.1:1".to_owned(),
        key: Some(key(nonce)),
        fleet: "ops/fleet".to_owned(),
        hash: Hasher::default(),
        overlap: Duration::ZERO,
        on_lost_quorum: Default::default(),
        seamless: false,
    };
    Machine::new(config).heartbeat(clock::now()).member
}

fn record(revision: u64) -> Record {
    let current = Assignment {
        generation: revision,
        total: 1,
        absent: Vec::new(),
        untaken: std::collections::BTreeSet::new(),
        hash: Hasher::default(),
        layout: LAYOUT,
        fresh: ColdStart { generation: 1, below: 1 },
        lives: Vec::new(),
    };
    Record {
        version: RECORD_VERSION,
        program: String::new(),
        revision,
        coordinator: id(1),
        statefulset: "u".to_owned(),
        current,
        next: None,
    }
}

impl LeaseTest {
    fn new(client: &Client, nonce: u64) -> Self {
        let (outbox, messages) = queue(Arc::default());
        let roster = Arc::new(Roster::default());
        let leases = Leases::new(client, &names(), id(nonce), Arc::new(SystemClock), outbox, Arc::clone(&roster));
        Self {
            leases,
            roster,
            messages,
            member: watch::Sender::new(Some(member(nonce))),
            write: watch::Sender::new(None),
        }
    }

    /// Runs the Leases until `script` is done. The script receives the messages for the member.
    async fn run<T>(&mut self, script: impl AsyncFnOnce(&mut Messages) -> T) -> T {
        let mut messages = Messages(&mut self.messages);
        tokio::select! {
            missing = self.leases.follow() => panic!("{missing}"),
            missing = self.leases.renew(self.member.subscribe()) => panic!("{missing}"),
            missing = self.leases.record(self.write.subscribe()) => panic!("{missing}"),
            never = self.leases.answer_unknown_keys() => match never {},
            result = script(&mut messages) => result,
        }
    }
}

struct Messages<'a>(&'a mut Inbox);

impl Messages<'_> {
    /// Waits for a confirmation of an own write.
    async fn confirmed(&mut self) {
        self.until(|message| matches!(message, Message::Event(Event::LeaseConfirmed(_))).then_some(())).await;
    }

    async fn next(&mut self) -> Message {
        timeout(LONG, self.0.recv()).await.expect("in time").expect("the channel is open")
    }

    async fn until<T>(&mut self, pick: impl Fn(Message) -> Option<T>) -> T {
        loop {
            if let Some(picked) = pick(self.next().await) {
                return picked;
            }
        }
    }
}

fn lease(simulator: &Simulator, name: &str) -> serde_json::Value {
    simulator.get("leases", "ops", name).expect("a Lease")
}

#[tokio::test]
async fn a_member_reads_the_lease_of_its_predecessor_before_it_takes_it_over() {
    let (simulator, client) = simulator().await;
    let mut before = LeaseTest::new(&client, 1);
    before
        .run(async |messages| {
            assert!(matches!(messages.next().await, Message::Stored { record: None, version: None, .. }));
            assert!(matches!(messages.next().await, Message::Event(Event::Listed)));
            messages.confirmed().await;
        })
        .await;
    let mut after = LeaseTest::new(&client, 2);
    let sender = after.member.clone();
    let began = clock::boot();
    after
        .run(async |messages| {
            assert!(matches!(messages.next().await, Message::Stored { record: None, version: None, .. }));
            assert!(matches!(messages.next().await, Message::Event(Event::Lease(member)) if member.id == id(1)));
            assert!(matches!(messages.next().await, Message::Event(Event::Listed)));
            sender.send_replace(Some(Member { life: 2, ..member(2) }));
            let sent = messages
                .until(|message| match message {
                    Message::Event(Event::LeaseConfirmed(sent)) => Some(sent),
                    _ => None,
                })
                .await;
            assert!(sent >= began);
        })
        .await;
    let lease = lease(&simulator, "kube-state-fleet.fleet.2");
    assert_eq!(lease["spec"]["holderIdentity"], id(2).to_string());
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 15);
    assert_eq!(lease["metadata"]["labels"]["kube-state-fleet.io/statefulset"], "fleet");
}

#[tokio::test]
async fn a_change_is_written_immediately_even_after_a_closed_watch_or_a_deleted_lease() {
    let (simulator, client) = simulator().await;
    let mut test = LeaseTest::new(&client, 1);
    let sender = test.member.clone();
    let mut written = test.leases.written();
    test.run(async |messages| {
        messages.confirmed().await;
        simulator.drop_watches("leases").expect("a served resource");
        simulator.delete("leases", "ops", "kube-state-fleet.fleet.2").expect("it exists");
        sender.send_replace(Some(Member { phase: Phase::Left, sequence: 9, ..member(1) }));
        timeout(LONG, written.wait_for(|phase| *phase == Some(Phase::Left)))
            .await
            .expect("in time")
            .expect("the Leases are running");
        messages
            .until(|message| match message {
                Message::Event(Event::Lease(member)) if member.sequence == 9 => Some(()),
                _ => None,
            })
            .await;
    })
    .await;
    let lease = lease(&simulator, "kube-state-fleet.fleet.2");
    assert!(
        lease["metadata"]["annotations"]["kube-state-fleet.io/member"].as_str().is_some_and(|m| m.contains("left"))
    );
}

#[tokio::test]
async fn a_record_replaces_only_the_version_it_is_based_on() {
    let (simulator, client) = simulator().await;
    let mut test = LeaseTest::new(&client, 1);
    let sender = test.write.clone();
    test.run(async |messages| {
        sender.send_replace(Some(Write { record: record(1), over: None }));
        let version = messages
            .until(|message| match message {
                Message::Stored { record: Some(Ok(record)), version: Some(version), .. } if record.revision == 1 => {
                    Some(version)
                }
                _ => None,
            })
            .await;
        // Another member writes.
        let mut other = lease(&simulator, "kube-state-fleet.fleet");
        let text = serde_json::to_string(&record(2)).expect("JSON");
        other["metadata"]["annotations"]["kube-state-fleet.io/record"] = text.into();
        simulator.update(&other).expect("a valid update");
        sender.send_replace(Some(Write { record: Record { revision: 3, ..record(9) }, over: Some(version) }));
        let newest = messages
            .until(|message| match message {
                Message::Stored { record: Some(Ok(record)), .. } if record.revision > 1 => Some(record.revision),
                _ => None,
            })
            .await;
        assert_eq!(newest, 2);
        tokio::time::sleep(Duration::from_millis(300)).await;
    })
    .await;
    let lease = lease(&simulator, "kube-state-fleet.fleet");
    let text = lease["metadata"]["annotations"]["kube-state-fleet.io/record"].as_str().expect("text");
    assert_eq!(serde_json::from_str::<Record>(text).expect("a record"), record(2));
    assert_eq!(lease["spec"]["holderIdentity"], id(1).to_string());
}

#[tokio::test]
async fn a_member_does_not_take_back_a_lease_that_another_process_holds() {
    let (simulator, client) = simulator().await;
    let mut test = LeaseTest::new(&client, 1);
    let sender = test.member.clone();
    test.run(async |messages| {
        messages.confirmed().await;
        let mut other = lease(&simulator, "kube-state-fleet.fleet.2");
        other["spec"]["holderIdentity"] = id(7).to_string().into();
        other["metadata"]["annotations"]["kube-state-fleet.io/member"] =
            serde_json::to_string(&member(7)).expect("JSON").into();
        simulator.update(&other).expect("a valid update");
        messages
            .until(|message| matches!(message, Message::Event(Event::Lease(m)) if m.id == id(7)).then_some(()))
            .await;
        sender.send_replace(Some(Member { sequence: 9, ..member(1) }));
        tokio::time::sleep(Duration::from_millis(500)).await;
    })
    .await;
    assert_eq!(lease(&simulator, "kube-state-fleet.fleet.2")["spec"]["holderIdentity"], id(7).to_string());
}

#[tokio::test]
async fn an_error_names_the_missing_permission() {
    let (simulator, client) = simulator().await;
    simulator.faults("leases", |faults| faults.refuse = Some(403)).expect("a served resource");
    let (outbox, _told) = queue(Arc::default());
    let leases = Leases::new(&client, &names(), id(1), Arc::new(SystemClock), outbox, Arc::default());
    let missing = timeout(LONG, leases.follow()).await.expect("in time");
    assert_eq!(
        missing.to_string(),
        "missing permission \"list leases.coordination.k8s.io\" in namespace \"ops\"; add manifests/base/role.yaml"
    );
}

#[tokio::test]
async fn the_readiness_of_the_requested_pods_is_reported() {
    let (simulator, client) = simulator().await;
    simulator.create(&pod("fleet-6", "StatefulSet")).expect("a new object");
    let requested = watch::Sender::new(vec![1, 3]);
    let (sender, mut reports) = unbounded_channel();
    let names = names();
    let watching = watch_pod_readiness(&client, &names, requested.subscribe(), move |pods| drop(sender.send(pods)));
    tokio::select! {
        () = watching => panic!("the watch ended"),
        report = timeout(LONG, reports.recv()) => {
            assert_eq!(report.expect("in time").expect("the channel is open"), [(1, true), (3, false)].into());
        }
    }
}

#[test]
fn repeated_refusals_are_a_missing_permission_unless_a_request_has_succeeded() {
    let forbidden = || RequestError::Forbidden("no".to_owned());
    let mut retries = Retries::default();
    assert!(retries.failed(&forbidden(), "list").is_some());
    assert!(retries.failed(&RequestError::Timeout, "list").is_some());
    for _ in 1..REFUSALS {
        assert!(retries.failed(&forbidden(), "list").is_some());
    }
    assert_eq!(retries.failed(&forbidden(), "list"), None);
    retries.succeeded();
    for _ in 0..REFUSALS * 2 {
        assert!(retries.failed(&forbidden(), "list").is_some());
    }
}

#[tokio::test]
async fn the_roster_follows_the_leases_and_reads_them_for_an_unknown_key() {
    let (simulator, client) = simulator().await;
    let mut test = LeaseTest::new(&client, 1);
    let roster = Arc::clone(&test.roster);
    test.run(async |messages| {
        messages.confirmed().await;
        assert_eq!(roster.identify(&key(1)), Some(id(1)));
        // The watch does not deliver the Lease of a new process, but a list contains it.
        simulator.faults("leases", |faults| faults.silent_watches = true).expect("a served resource");
        simulator.drop_watches("leases").expect("a served resource");
        let mut other = lease(&simulator, "kube-state-fleet.fleet.2");
        other["metadata"]["name"] = "kube-state-fleet.fleet.3".into();
        let third = Incarnation { ordinal: 3, ..id(7) };
        let text = serde_json::to_string(&Member { id: third.clone(), ..member(7) }).expect("JSON");
        other["metadata"]["annotations"]["kube-state-fleet.io/member"] = text.into();
        other["metadata"]["resourceVersion"] = serde_json::Value::Null;
        simulator.create(&other).expect("a new object");
        assert_eq!(roster.identify(&key(7)), None);
        roster.note_unknown(&key(7));
        let known = async {
            while roster.identify(&key(7)).is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LONG, known).await.expect("in time");
        assert_eq!(roster.identify(&key(7)), Some(third));
    })
    .await;
}

/// Waits until the Lease of the member names the process with this nonce, and has its labels.
async fn holds(simulator: &Simulator, nonce: u64) {
    let ours = async || {
        while simulator.get("leases", "ops", "kube-state-fleet.fleet.2").ok().is_none_or(|lease| {
            lease["spec"]["holderIdentity"] != id(nonce).to_string()
                || lease["metadata"]["labels"]["kube-state-fleet.io/statefulset"] != "fleet"
                || !lease["metadata"]["annotations"]["kube-state-fleet.io/member"]
                    .as_str()
                    .is_some_and(|text| Member::decode(text.as_bytes()).is_ok_and(|member| member.id == id(nonce)))
        }) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, ours()).await.expect("the Lease is written again");
}

#[tokio::test]
async fn a_lease_that_something_else_changes_is_written_again() {
    let (simulator, client) = simulator().await;
    let mut test = LeaseTest::new(&client, 1);
    test.member.send_replace(Some(Member { life: 5, ..member(1) }));
    test.run(async |messages| {
        messages.confirmed().await;
        let content = |member: &Member| serde_json::to_string(member).expect("JSON").into();
        let earlier = content(&Member { life: 4, ..member(7) });
        let changes: [(&str, serde_json::Value); 6] = [
            ("/metadata/annotations/kube-state-fleet.io~1member", earlier),
            ("/metadata/annotations/kube-state-fleet.io~1member", "{garbage".into()),
            ("/metadata/annotations", serde_json::json!({})),
            ("/spec/holderIdentity", "somebody".into()),
            ("/metadata/labels", serde_json::json!({})),
            ("/metadata/labels/kube-state-fleet.io~1statefulset", "another".into()),
        ];
        for (at, to) in changes {
            let mut changed = lease(&simulator, "kube-state-fleet.fleet.2");
            *changed.pointer_mut(at).unwrap_or_else(|| panic!("{at}")) = to;
            simulator.update(&changed).expect("a valid update");
            holds(&simulator, 1).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_member_reads_the_lease_of_its_predecessor_although_it_lost_its_labels() {
    let (simulator, client) = simulator().await;
    let mut before = LeaseTest::new(&client, 1);
    before
        .run(async |messages| {
            messages.confirmed().await;
        })
        .await;
    let mut hidden = lease(&simulator, "kube-state-fleet.fleet.2");
    hidden["metadata"]["labels"] = serde_json::json!({});
    simulator.update(&hidden).expect("a valid update");
    let mut after = LeaseTest::new(&client, 2);
    let sender = after.member.clone();
    after
        .run(async |messages| {
            messages
                .until(|message| matches!(message, Message::Event(Event::Lease(m)) if m.id == id(1)).then_some(()))
                .await;
            sender.send_replace(Some(Member { life: 2, ..member(2) }));
            holds(&simulator, 2).await;
        })
        .await;
}

#[tokio::test]
async fn the_record_is_written_again_after_its_lease_lost_its_labels() {
    let (simulator, client) = simulator().await;
    let mut test = LeaseTest::new(&client, 1);
    let sender = test.write.clone();
    test.run(async |messages| {
        let stored = |revision| {
            move |message| match message {
                Message::Stored { record: Some(Ok(record)), version: Some(version), hidden, .. }
                    if record.revision == revision =>
                {
                    Some((version, hidden))
                }
                _ => None,
            }
        };
        sender.send_replace(Some(Write { record: record(1), over: None }));
        messages.until(stored(1)).await;
        let mut unlabelled = lease(&simulator, "kube-state-fleet.fleet");
        unlabelled["metadata"]["labels"] = serde_json::json!({ "kept": "by hand" });
        simulator.update(&unlabelled).expect("a valid update");
        messages.until(|message| matches!(message, Message::Stored { record: None, .. }).then_some(())).await;
        // The API server refuses to create it, so it is read by its name.
        sender.send_replace(Some(Write { record: Record { revision: 2, ..record(1) }, over: None }));
        // The watch may still deliver the first write.
        let hidden = stored(1);
        let version = messages.until(|message| hidden(message).filter(|(_, hidden)| *hidden)).await.0;
        sender.send_replace(Some(Write { record: Record { revision: 2, ..record(1) }, over: Some(version) }));
        messages.until(stored(2)).await;
        let written = lease(&simulator, "kube-state-fleet.fleet");
        assert_eq!(written["metadata"]["labels"]["kube-state-fleet.io/statefulset"], "fleet");
    })
    .await;
}

#[tokio::test]
async fn a_restored_record_is_news_although_a_deaf_watch_hid_the_later_write() {
    let (simulator, client) = simulator().await;
    let mut test = LeaseTest::new(&client, 1);
    let sender = test.write.clone();
    test.run(async |messages| {
        let stored = |revision, is_listed| {
            move |message| match message {
                Message::Stored { record: Some(Ok(record)), version: Some(version), reset, .. } => {
                    (record.revision == revision && reset == is_listed).then_some(version)
                }
                _ => None,
            }
        };
        sender.send_replace(Some(Write { record: record(1), over: None }));
        // The answer, and the watch.
        let version = messages.until(stored(1, false)).await;
        assert_eq!(messages.until(stored(1, false)).await, version);
        let saved = simulator.save();
        simulator.silence_watches("leases").expect("there are Leases");
        sender.send_replace(Some(Write { record: Record { revision: 2, ..record(1) }, over: Some(version.clone()) }));
        messages.until(stored(2, false)).await;
        simulator.restore(&saved);
        assert_eq!(messages.until(stored(1, true)).await, version);
    })
    .await;
}

#[tokio::test]
async fn a_contested_lease_is_read_from_the_api_server_until_that_is_settled() {
    let (simulator, client) = simulator().await;
    let mut test = LeaseTest::new(&client, 1);
    let text = serde_json::to_string(&Member { life: 9, ..member(7) }).expect("JSON");
    test.run(async |messages| {
        messages.confirmed().await;
    })
    .await;
    let mut other = lease(&simulator, "kube-state-fleet.fleet.2");
    other["metadata"]["annotations"]["kube-state-fleet.io/member"] = text.into();
    simulator.update(&other).expect("a valid update");
    let wanted = watch::Sender::new(true);
    let mut messages = Messages(&mut test.messages);
    tokio::select! {
        never = test.leases.verify(wanted.subscribe()) => match never {},
        (holder, renewed) = messages.until(|message| match message {
            Message::Event(Event::LeaseRead(Some(holder), _)) => Some((holder.id, holder.renewed.is_some())),
            _ => None,
        }) => assert_eq!((holder, renewed), (id(7), true)),
    }
}

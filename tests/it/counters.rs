//! Counters of terminations, and what Prometheus makes of them while Pods move between replicas. Runs the example of
//! docs/counters.md.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use fastrand::Rng;
use k8s_openapi::api::core::v1::Pod;
use kube_state_fleet::collectors::labels::KeyFilter;
use kube_state_fleet::collectors::{Collector, Pods};
use kube_state_fleet::exposition::{Exposes, Format, ResourceStore, Selection, Store};
use kube_state_fleet::intake::{Encoding, Item, Sink, Unreadable};
use kube_state_fleet::replica::sink;
use kube_state_fleet::settings::Flags;
use kube_state_fleet::sharding::{Hashes, Slice};
use kube_state_fleet::simulator::{ResourceType, Simulator};
use serde_json::{Value, json};

use crate::common::{client, settings};

const PAGE: &str = include_str!("../../docs/counters.md");

const MAIN: &str = "kube_state_fleet_pod_container_terminations_total";

const UID: &str = "5b8f3c52-1c1b-4f5e-8a53-6d3f0b1c7a22";

/// Whether a replica exposes its objects.
#[derive(Default)]
struct Shown(AtomicBool);

impl Exposes for Shown {
    fn exposes(&self, _: Hashes) -> bool {
        self.0.load(Relaxed)
    }
}

/// A replica that holds one Pod.
struct Replica {
    store: Store,
    objects: Arc<ResourceStore>,
    sink: Box<dyn Sink>,
    shown: Arc<Shown>,
    version: u64,
}

impl Replica {
    fn new(is_shown: bool) -> Self {
        let collector = Collector::<Pods>::new(|family| family.name == MAIN, KeyFilter::None, KeyFilter::None);
        let objects = ResourceStore::new("pods", collector.headers());
        let shown = Arc::new(Shown(is_shown.into()));
        objects.exposed_by(Arc::clone(&shown) as _);
        let store = Store::new(vec![Arc::clone(&objects)]);
        Self { store, sink: sink(collector, Arc::clone(&objects)), objects, shown, version: 0 }
    }

    fn apply(&mut self, pod: &Value) {
        self.version += 1;
        self.apply_version(pod, self.version);
    }

    fn apply_version(&mut self, pod: &Value, version: u64) {
        let (text, unreadable) = (pod.to_string(), Unreadable::default());
        let item = Item::changed(UID, version, Encoding::Json, text.as_bytes(), &unreadable);
        self.sink.apply(&item).expect("a pod");
    }

    fn lines(&self) -> String {
        let text: Vec<u8> = self.store.scrape(&Selection::All, Format::Text, &Slice::all()).flatten().collect();
        let text = String::from_utf8(text).expect("UTF-8");
        text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
    }

    /// Returns the counts by reason.
    fn counts(&self) -> BTreeMap<String, u64> {
        let reason = |line: &str| Some(line.split_once("reason=\"")?.1.split_once('"')?.0.to_owned());
        let value = |line: &str| line.rsplit_once(' ')?.1.parse().ok();
        self.lines().lines().map(|line| reason(line).zip(value(line)).expect("a series")).collect()
    }
}

#[test]
fn the_example_of_the_page_shows_these_series() {
    let mut replica = Replica::new(true);
    let mut outputs = 0;
    for (number, block) in PAGE.split("```").enumerate() {
        // Blocks of code alternate with text.
        if number % 2 == 0 {
            continue;
        }
        if let Some(pod) = block.strip_prefix("yaml\n").filter(|yaml| yaml.starts_with("apiVersion: v1\nkind: Pod")) {
            replica.apply(&serde_saphyr::from_str(pod).expect("a pod"));
        } else if let Some(expected) =
            block.strip_prefix("text\n").filter(|text| text.starts_with(&format!("{MAIN}{{")))
        {
            assert_eq!(replica.lines(), expected.trim_end());
            outputs += 1;
        }
    }
    assert_eq!(outputs, 2);
}

/// A container on a node, and the kubelet that reports it.
#[derive(Default)]
struct Container {
    restarts: u32,
    /// All terminations: their reasons.
    ends: Vec<&'static str>,
    state: State,
    second: u64,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum State {
    #[default]
    Creating,
    Running,
    Ended,
    BackOff,
    Created,
}

const REASONS: [&str; 4] = ["Completed", "Error", "OOMKilled", "StartError"];

impl Container {
    /// Lets the container live a moment longer.
    fn step(&mut self, random: &mut Rng) {
        self.second += 1;
        self.state = match (self.state, random.u8(..3)) {
            (State::Creating | State::Created, _) => State::Running,
            (State::Running, 0) => State::Running,
            (State::Running, _) => {
                self.ends.push(REASONS[random.usize(..REASONS.len())]);
                State::Ended
            }
            (State::Ended, 0) => State::BackOff,
            (State::Ended | State::BackOff, 1) => {
                self.restarts += 1;
                State::Created
            }
            (State::Ended | State::BackOff, _) => {
                self.restarts += 1;
                State::Running
            }
        };
    }

    /// Returns the Pod as its kubelet reports it.
    fn pod(&self) -> Value {
        let end = |back: usize| match self.ends.len().checked_sub(back) {
            Some(at) if at < self.ends.len() => {
                // Each one at another second.
                let finished = format!("2026-01-01T{:02}:{:02}:{:02}Z", at / 3600, at / 60 % 60, at % 60);
                json!({"terminated": {"exitCode": 1, "reason": self.ends[at], "finishedAt": finished}})
            }
            _ => json!({}),
        };
        let (state, last) = match self.state {
            State::Creating => (json!({"waiting": {"reason": "ContainerCreating"}}), json!({})),
            State::Running => (json!({"running": {}}), end(1)),
            State::Ended => (end(1), end(2)),
            State::BackOff => (json!({"waiting": {"reason": "CrashLoopBackOff"}}), end(1)),
            State::Created => (json!({"waiting": {}}), end(1)),
        };
        let status = json!({"name": "app", "restartCount": self.restarts, "state": state, "lastState": last});
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n", "uid": UID},
            "status": {"containerStatuses": [status]},
        })
    }

    fn ends_of(&self, reason: &str) -> u64 {
        self.ends.iter().filter(|end| **end == reason).count() as u64
    }
}

/// `increase()` over all samples of each series.
#[derive(Default)]
struct Prometheus {
    last: BTreeMap<String, u64>,
    increases: BTreeMap<String, u64>,
}

impl Prometheus {
    fn scrape(&mut self, replica: &Replica) {
        for (reason, value) in replica.counts() {
            let before = self.last.insert(reason.clone(), value);
            // A lower value is a reset, and the first one of a series counts nothing.
            let increase = before.map_or(0, |before| value.checked_sub(before).unwrap_or(value));
            *self.increases.entry(reason).or_default() += increase;
        }
    }

    fn total(&self) -> u64 {
        self.increases.values().sum()
    }
}

fn rounds() -> impl Iterator<Item = Rng> {
    let fixed = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = fixed.unwrap_or_else(|| fastrand::u64(..));
    println!("PROPTEST_RNG_SEED={seed}");
    (0..300).map(move |round| Rng::with_seed(seed.wrapping_add(round)))
}

#[test]
fn a_replica_that_sees_some_states_counts_all_terminations() {
    for mut random in rounds() {
        let (mut container, mut replica, mut before) = (Container::default(), Replica::new(true), BTreeMap::new());
        let sees_all = random.bool();
        replica.apply(&container.pod());
        for _ in 0..random.usize(1..60) {
            container.step(&mut random);
            if !sees_all && random.u8(..3) > 0 {
                continue;
            }
            replica.apply(&container.pod());
            let counts = replica.counts();
            for (reason, count) in &counts {
                assert!(*count >= before.get(reason).copied().unwrap_or(0), "{reason} falls: {counts:?} {before:?}");
                if reason != "Unknown" {
                    assert!(*count <= container.ends_of(reason), "{reason}: {counts:?} {:?}", container.ends);
                }
                if sees_all && reason != "Unknown" {
                    assert_eq!(*count, container.ends_of(reason), "{reason}: {counts:?} {:?}", container.ends);
                }
            }
            before = counts;
        }
        // In this state the number of restarts tells all.
        while container.state != State::Running {
            container.step(&mut random);
        }
        replica.apply(&container.pod());
        let total: u64 = replica.counts().values().sum();
        assert_eq!(total, container.ends.len() as u64, "{:?} {:?}", replica.counts(), container.ends);
    }
}

#[test]
fn no_handover_and_no_crash_makes_prometheus_count_a_termination_twice() {
    let (mut seen, mut real) = (0, 0);
    for mut random in rounds() {
        let (mut container, mut prometheus) = (Container::default(), Prometheus::default());
        let mut owner = Replica::new(true);
        let mut next: Option<Replica> = None;
        owner.apply(&container.pod());
        prometheus.scrape(&owner);
        for _ in 0..random.usize(20..200) {
            match random.u8(..12) {
                0..5 => container.step(&mut random),
                // A replica may see the states of the meantime, or only the last one.
                5..8 => {
                    [Some(&mut owner), next.as_mut()].into_iter().flatten().for_each(|to| to.apply(&container.pod()))
                }
                8 => {
                    // Both watch the Pod from here on.
                    next.get_or_insert_with(|| Replica::new(false)).apply(&container.pod());
                    owner.apply(&container.pod());
                }
                9 => prometheus.scrape(&owner),
                10 => {
                    // The switch: the next replica has loaded the Pod, and has followed it since.
                    if let Some(new) = next.take() {
                        owner.shown.0.store(false, Relaxed);
                        new.shown.0.store(true, Relaxed);
                        owner = new;
                    }
                }
                _ if random.u8(..4) == 0 => {
                    // A crash: another replica loads the Pod and exposes it at once.
                    owner = Replica::new(true);
                    owner.apply(&container.pod());
                    next = None;
                }
                _ => {}
            }
            for (reason, increase) in prometheus.increases.iter().filter(|(reason, _)| *reason != "Unknown") {
                let ends = container.ends_of(reason);
                assert!(*increase <= ends, "{reason}: {increase} of {ends}: {:?}", container.ends);
            }
            assert!(
                prometheus.total() <= container.ends.len() as u64,
                "{:?} {:?}",
                prometheus.increases,
                container.ends
            );
        }
        (seen, real) = (seen + prometheus.total(), real + container.ends.len() as u64);
    }
    println!("Prometheus counts {seen} of {real} terminations");
    // The test crashes and switches much more often than it scrapes.
    assert!(seen * 4 > real, "{seen} of {real}");
}

#[test]
fn counts_end_with_the_object_and_an_older_state_changes_none() {
    let status = |restarts: u32| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n", "uid": UID},
            "status": {"containerStatuses": [{"name": "app", "restartCount": restarts, "state": {"running": {}}}]},
        })
    };
    let mut replica = Replica::new(true);
    replica.apply_version(&status(1), 10);
    replica.apply_version(&status(4), 12);
    assert_eq!(replica.counts()["Unknown"], 3);
    replica.apply_version(&status(9), 11);
    assert_eq!(replica.counts()["Unknown"], 3, "it is older");
    replica.apply_version(&status(5), 13);
    assert_eq!(replica.counts()["Unknown"], 4);
    // The range is lost, and comes back.
    replica.objects.retain(&Slice::none());
    assert!(replica.counts().is_empty());
    replica.apply_version(&status(7), 15);
    assert_eq!(replica.counts()["Unknown"], 0);
    replica.apply_version(&status(8), 16);
    assert_eq!(replica.counts()["Unknown"], 1);
    replica.sink.delete(UID, 17);
    replica.apply_version(&status(9), 18);
    assert_eq!(replica.counts()["Unknown"], 0);
}

/// Waits until a replica exposes these counts of the container, without those that are 0.
async fn until(replica: &kube_state_fleet::replica::Replica, expected: &[(&str, u64)]) {
    let store = replica.store();
    let counts = || {
        let text: Vec<u8> = store.scrape(&Selection::All, Format::Text, &Slice::all()).flatten().collect();
        let text = String::from_utf8(text).expect("UTF-8");
        let lines = text.lines().filter(|line| line.starts_with(MAIN) && !line.ends_with(" 0"));
        let count = |line: &str| {
            let (_, rest) = line.split_once("reason=\"")?;
            let (reason, rest) = rest.split_once("\"} ")?;
            Some((reason.to_owned(), rest.parse().ok()?))
        };
        lines.map(|line| count(line).expect("a count")).collect::<Vec<(String, u64)>>()
    };
    let expected: Vec<_> = expected.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
    let wanted = async {
        while counts() != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(60), wanted).await.is_err() {
        panic!("{:?} in place of {expected:?}", counts());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_counts_through_lost_watches_and_expired_versions() {
    let resources = vec![ResourceType::of::<Pod>()];
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), resources).await.expect("a free port");
    let end = |reason: &str, minute: u32| json!({"terminated": {"exitCode": 1, "reason": reason, "finishedAt": format!("2026-01-01T00:{minute:02}:00Z")}});
    let apply = |restarts: u32, state: Value, last: Value| {
        let status = json!({
            "name": "app", "image": "i", "imageID": "", "ready": true, "restartCount": restarts,
            "state": state, "lastState": last,
        });
        let spec = json!({"nodeName": "n", "containers": [{"name": "app", "image": "i"}]});
        let metadata = json!({"namespace": "n", "name": "p"});
        let object = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec,
            "status": {"containerStatuses": [status]},
        });
        simulator.apply(&object).expect("applied");
    };
    apply(2, json!({"running": {}}), end("Error", 1));
    // As the page says.
    let (_, families) = PAGE.split_once("```yaml\nmetric_opt_in_list: [").expect("a config");
    let families = families.split('"').skip(1).step_by(2).take(2).map(str::to_owned).collect();
    let flags = Flags { resources: vec!["pods".to_owned()], metric_opt_in_list: families, ..Flags::default() };
    let replica =
        kube_state_fleet::replica::Replica::start(settings(flags), client(&simulator.url())).await.expect("it starts");
    let ready = async {
        while !replica.missing().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ready).await.expect("in time");
    until(&replica, &[]).await;
    apply(2, end("OOMKilled", 2), end("Error", 1));
    until(&replica, &[("OOMKilled", 1)]).await;
    // Nothing is missed while the watch is lost.
    simulator.drop_watches("pods").expect("a resource");
    apply(3, json!({"running": {}}), end("OOMKilled", 2));
    apply(6, json!({"running": {}}), end("Error", 5));
    until(&replica, &[("Error", 1), ("OOMKilled", 1), ("Unknown", 2)]).await;
    // A list follows, with the newest state alone.
    simulator.compact();
    simulator.expire_watches("pods").expect("a resource");
    apply(9, end("OOMKilled", 9), end("Completed", 8));
    until(&replica, &[("Completed", 1), ("Error", 1), ("OOMKilled", 2), ("Unknown", 4)]).await;
    replica.stop().await;
}

//! A simulated cluster: the API server with its StatefulSet controller, the kubelet, the processes of one fleet, and Prometheus,
//! which scrapes all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::network::Network;
use super::process::Process;
use super::trace::Trace;
use crate::settings::{Environment, Flags, Settings};
use crate::simulator::{Options, ResourceType, Simulator};

/// Number of objects.
const OBJECTS: usize = 24;
/// The time between scrapes.
pub const STEP: Duration = Duration::from_millis(100);
/// The time in which a container starts again.
const RESTART: std::ops::Range<u64> = 1..30;
/// Lines of the history that a failure shows.
const SHOWN: usize = 60;

/// How long objects may be missing, and served twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    pub missing: Duration,
    pub doubled: Duration,
}

/// The promise of a fleet without crashes: half a second.
pub const PROMISE: Bound = Bound { missing: Duration::from_millis(500), doubled: Duration::from_millis(500) };

/// The containers of a pod.
struct Pod {
    ip: IpAddr,
    uid: String,
    process: Option<Process>,
    /// The steps until its container starts.
    starts_in: u64,
    /// Its node is lost: nothing runs there, and nothing answers.
    lost: bool,
}

/// A cluster with one fleet.
pub struct Cluster {
    pub api: Arc<Simulator>,
    pub network: Network,
    settings: Settings,
    start: Instant,
    pods: BTreeMap<u32, Pod>,
    ips: u8,
    replicas: u32,
    revision: u64,
    /// The UIDs of the objects that the fleet serves.
    objects: BTreeSet<String>,
    /// Since when each object has been missing, or served twice.
    missing: BTreeMap<String, Instant>,
    doubled: BTreeMap<String, Instant>,
    bound: Bound,
    history: Vec<String>,
    /// Chooses the faults. What the replicas draw comes from the generator of the thread.
    pub random: fastrand::Rng,
    last_state: String,
}

impl Cluster {
    /// Starts a cluster whose fleet has `replicas` replicas.
    pub fn new(seed: u64, replicas: u32, trace: Trace) -> Self {
        let types = vec![
            ResourceType::new("", "v1", "pods", "Pod", true),
            ResourceType::new("apps", "v1", "statefulsets", "StatefulSet", true),
            ResourceType::new("coordination.k8s.io", "v1", "leases", "Lease", true),
            ResourceType::new("events.k8s.io", "v1", "events", "Event", true),
        ];
        let options = Options { seed, statefulsets: true, ..Options::default() };
        let api = Arc::new(Simulator::unconnected(types, options));
        for i in 0..OBJECTS {
            let pod =
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": format!("p{i}")}});
            api.create(&pod).expect("a new pod");
        }
        let objects = api.uids("pods");
        let flags = Flags {
            resources: vec!["pods".to_owned()],
            namespaces: vec!["shop".to_owned()],
            metric_allowlist: vec!["kube_pod_info".to_owned()],
            pod: Some("fleet-0".to_owned()),
            pod_namespace: Some("ops".to_owned()),
            ..Flags::default()
        };
        let settings = Settings::resolve(&flags, &Environment::default(), || None).expect("they are valid").0;
        let cluster = Self {
            api,
            network: Network::new(trace),
            settings,
            start: Instant::now(),
            pods: BTreeMap::new(),
            ips: 0,
            replicas,
            revision: 0,
            objects,
            missing: BTreeMap::new(),
            doubled: BTreeMap::new(),
            bound: Bound { missing: Duration::MAX, doubled: Duration::MAX },
            history: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
            last_state: String::new(),
        };
        cluster.apply_statefulset();
        cluster
    }

    /// Records an event.
    pub fn note(&mut self, event: &str) {
        self.network.trace.add(|| event.to_owned());
        self.history.push(format!("{:8.1} s {event}", self.start.elapsed().as_secs_f64()));
    }

    fn fail(&self, why: &str) -> ! {
        let from = self.history.len().saturating_sub(SHOWN);
        panic!("{why}\n{}", self.history[from..].join("\n"));
    }

    pub fn replicas(&self) -> u32 {
        self.replicas
    }

    /// Returns the processes that run.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.pods.values().filter_map(|pod| pod.process.as_ref())
    }

    pub fn process(&self, ordinal: u32) -> Option<&Process> {
        self.pods.get(&ordinal)?.process.as_ref()
    }

    pub fn set_bound(&mut self, bound: Bound) {
        self.bound = bound;
    }

    pub fn scale(&mut self, replicas: u32) {
        self.replicas = replicas;
        self.apply_statefulset();
    }

    pub fn roll(&mut self) {
        self.revision += 1;
        self.apply_statefulset();
    }

    fn apply_statefulset(&self) {
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"namespace": "ops", "name": "fleet"},
            "spec": {
                "replicas": self.replicas, "selector": {"matchLabels": {"app": "fleet"}}, "serviceName": "fleet",
                "podManagementPolicy": "Parallel",
                "template": {
                    "metadata": {"labels": {"app": "fleet"}, "annotations": {"revision": self.revision.to_string()}},
                    "spec": {"terminationGracePeriodSeconds": 120, "containers": []},
                },
            },
        });
        self.api.apply(&set).expect("the StatefulSet is valid");
    }

    /// Kills a process. Its container starts again after a moment.
    pub fn kill(&mut self, ordinal: u32) {
        if let Some(pod) = self.pods.get_mut(&ordinal) {
            pod.process = None;
            pod.starts_in = fastrand::u64(RESTART);
        }
    }

    /// Loses the node of a pod: its address falls silent. The pod is replaced after `steps`.
    pub fn lose_node(&mut self, ordinal: u32, steps: u64) {
        if let Some(pod) = self.pods.get_mut(&ordinal) {
            self.network.remove_pod(pod.ip);
            pod.process = None;
            pod.lost = true;
            pod.starts_in = steps;
        }
    }

    /// Does what the kubelet does.
    fn run_pods(&mut self) {
        let existing = self.api.list("pods", "ops").expect("there are pods");
        let mut present = BTreeSet::new();
        for object in existing {
            let name = object["metadata"]["name"].as_str().expect("a name");
            let uid = object["metadata"]["uid"].as_str().expect("a UID");
            let ordinal: u32 = name.rsplit('-').next().expect("a name").parse().expect("an ordinal");
            present.insert(ordinal);
            if self.pods.get(&ordinal).is_some_and(|pod| pod.uid != uid) {
                self.remove(ordinal);
            }
            let ips = &mut self.ips;
            let network = &self.network;
            let pod = self.pods.entry(ordinal).or_insert_with(|| {
                *ips += 1;
                let ip = [10, 0, 0, *ips].into();
                network.add_pod(ip);
                Pod { ip, uid: uid.to_owned(), process: None, starts_in: fastrand::u64(RESTART), lost: false }
            });
            let mut gone = false;
            if pod.lost {
                pod.starts_in = pod.starts_in.saturating_sub(1);
                gone = pod.starts_in == 0;
            } else if object["metadata"]["deletionTimestamp"].is_null() {
                if pod.process.is_none() {
                    pod.starts_in = pod.starts_in.saturating_sub(1);
                    if pod.starts_in == 0 {
                        let process =
                            Process::start(&self.settings, ordinal, pod.ip, self.start, &self.api, &self.network);
                        pod.process = Some(process);
                    }
                }
                let ready = pod.process.as_ref().is_some_and(Process::is_ready);
                let status = if ready { "True" } else { "False" };
                if object["status"]["conditions"][0]["status"] != status {
                    let mut object = object.clone();
                    object["status"] = json!({
                        "phase": "Running", "podIP": pod.ip.to_string(),
                        "conditions": [{"type": "Ready", "status": status}],
                    });
                    self.api.update(&versionless(object)).expect("the pod exists");
                }
            } else {
                gone = pod.process.as_mut().is_none_or(Process::terminate);
            }
            if gone {
                self.remove(ordinal);
                self.api.delete("pods", "ops", name).expect("the pod exists");
            }
        }
        for ordinal in self.pods.keys().copied().filter(|ordinal| !present.contains(ordinal)).collect::<Vec<_>>() {
            self.remove(ordinal);
        }
    }

    fn remove(&mut self, ordinal: u32) {
        if let Some(pod) = self.pods.remove(&ordinal) {
            self.network.remove_pod(pod.ip);
        }
    }

    /// Lets time pass, then scrapes all replicas, and checks the result.
    pub async fn step(&mut self) {
        self.run_pods();
        sleep(STEP).await;
        let (mut times, mut state) = (BTreeMap::<String, u32>::new(), String::new());
        for (ordinal, pod) in &self.pods {
            let Some(process) = &pod.process else { continue };
            let snapshot = process.member.snapshot();
            let scrape = process.scrape();
            let count = scrape.as_ref().map(|text| count(text, &mut times));
            let _ = write!(
                state,
                " [{ordinal} g{} {:?} {}{}{}{}]",
                snapshot.status.generation,
                snapshot.status.handover,
                count.map_or("-".to_owned(), |count| count.to_string()),
                if snapshot.ready { " ready" } else { "" },
                if process.is_suspended() { " suspended" } else { "" },
                if snapshot.status.coordinator { " coordinator" } else { "" },
            );
        }
        if state != self.last_state {
            self.note(&state);
            self.last_state = state;
        }
        self.check(&times);
    }

    fn check(&mut self, times: &BTreeMap<String, u32>) {
        let now = Instant::now();
        let mut worst = (Duration::ZERO, Duration::ZERO);
        for uid in &self.objects {
            let served = times.get(uid).copied().unwrap_or_default();
            let track = |since: &mut BTreeMap<String, Instant>, bad: bool| {
                if bad {
                    now - *since.entry(uid.clone()).or_insert(now)
                } else {
                    since.remove(uid);
                    Duration::ZERO
                }
            };
            worst.0 = worst.0.max(track(&mut self.missing, served == 0));
            worst.1 = worst.1.max(track(&mut self.doubled, served > 1));
        }
        let Bound { missing, doubled } = self.bound;
        if worst.0 > missing {
            self.fail(&format!("objects are missing for {:?}, which may take {missing:?}", worst.0));
        }
        if worst.1 > doubled {
            self.fail(&format!("objects are served twice for {:?}, which may take {doubled:?}", worst.1));
        }
    }

    /// Whether all replicas are ready and agree, no handover is in progress, and each object is served once.
    pub fn is_settled(&self) -> bool {
        let wanted: Vec<_> = (0..self.replicas).collect();
        let snapshots: Vec<_> = self.processes().map(|process| process.member.snapshot()).collect();
        let generation = snapshots.first().map(|snapshot| snapshot.status.generation);
        self.missing.is_empty()
            && self.doubled.is_empty()
            && self.pods.keys().copied().eq(wanted)
            && snapshots.len() == self.pods.len()
            && self.processes().all(Process::is_ready)
            && snapshots.iter().all(|snapshot| {
                let status = &snapshot.status;
                Some(status.generation) == generation
                    && status.total == self.replicas
                    && status.absent.is_empty()
                    && status.pending.is_none()
            })
    }

    /// Runs until everything is settled.
    pub async fn settle(&mut self, limit: Duration) {
        let began = Instant::now();
        loop {
            self.step().await;
            if self.is_settled() {
                break;
            }
            if began.elapsed() > limit {
                self.fail(&format!("not settled after {limit:?}"));
            }
        }
        self.note("settled");
    }
}

fn versionless(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    object
}

/// Counts the UIDs in a scrape.
fn count(scrape: &[u8], times: &mut BTreeMap<String, u32>) -> usize {
    let text = std::str::from_utf8(scrape).expect("UTF-8");
    let uids = text.lines().filter(|line| line.starts_with("kube_pod_info{"));
    let uids = uids.filter_map(|line| Some(line.split_once("uid=\"")?.1.split_once('"')?.0));
    uids.map(|uid| *times.entry(uid.to_owned()).or_default() += 1).count()
}

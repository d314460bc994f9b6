//! A simulated cluster: the API server with its StatefulSet controller, the kubelet, the processes of one fleet, and Prometheus,
//! which scrapes all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::excuses::{Ability, Excuses};
use super::network::Network;
use super::objects::{self, NAMESPACE, Objects, Served};
use super::process::Process;
use super::trace::Trace;
use crate::fleet::handover::Status;
use crate::settings::{Environment, Flags, GoBool, OnLostQuorum, Settings};
use crate::simulator::{Options, ResourceType, Saved, Simulator};

/// The time between scrapes.
pub const STEP: Duration = Duration::from_millis(100);
/// The time in which a container starts again.
const RESTART: std::ops::Range<u64> = 1..30;
/// How long objects may be missing after no replica was ready: until one has started, and is alone or sees that others are gone.
const NOBODY: Duration = Duration::from_secs(40);
/// In how many of 256 steps an object comes, changes or goes.
const CHURN: std::ops::Range<u8> = 8..80;
/// How long large lists take at most.
const LISTS: Duration = Duration::from_millis(800);
/// Lines of the history that a failure shows.
const SHOWN: usize = 60;

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
    /// Whether a config has a metric of the objects beside their own families.
    combined: bool,
    start: Instant,
    pods: BTreeMap<u32, Pod>,
    ips: u8,
    replicas: u32,
    revision: u64,
    objects: Objects,
    pub excuses: Excuses,
    /// The pods of the fleet, and the number of changes of pods when they were read.
    existing: (u64, Vec<Arc<Value>>),
    saved: Option<Saved>,
    history: Vec<String>,
    churn: u8,
    /// How long a list of objects takes at most.
    lists: Duration,
    /// Chooses the faults. What the replicas draw comes from the generator of the thread.
    pub random: fastrand::Rng,
    last_state: String,
    /// What must not happen.
    failure: Option<String>,
}

impl Cluster {
    /// Starts a cluster whose fleet has `replicas` replicas.
    pub fn new(seed: u64, replicas: u32, trace: Trace) -> Self {
        let types = vec![
            ResourceType::new("", "v1", "pods", "Pod", true),
            ResourceType::new("apps", "v1", "statefulsets", "StatefulSet", true),
            ResourceType::new("coordination.k8s.io", "v1", "leases", "Lease", true),
            ResourceType::new("", "v1", "services", "Service", true),
            ResourceType::new("events.k8s.io", "v1", "events", "Event", true),
        ];
        let options = Options { seed, statefulsets: true, ..Options::default() };
        let api = Arc::new(Simulator::unconnected(types, options));
        let mut random = fastrand::Rng::with_seed(seed);
        let objects = Objects::new(Arc::clone(&api), &mut random);
        // A resource that the fleet does not need, and that may fail for ever.
        let resources = if random.u8(..3) == 0 { &["pods", "services"][..] } else { &["pods"] };
        // The faults of other seeds do not depend on it.
        let (combined, server_side) = (seed % 4 == 3, seed % 8 == 7);
        let flags = Flags {
            resources: resources.iter().map(|resource| (*resource).to_owned()).collect(),
            namespaces: vec![NAMESPACE.to_owned()],
            metric_allowlist: vec!["kube_pod_info".to_owned(), objects::OF_CONFIG.to_owned()],
            custom_resource_state_config: combined.then(|| objects::CONFIG.to_owned()),
            custom_resource_state_all_kinds: Some(GoBool(combined)),
            server_side_sharding: Some(GoBool(server_side)),
            pod: Some("fleet-0".to_owned()),
            pod_namespace: Some("ops".to_owned()),
            ..Flags::default()
        };
        let mut settings = Settings::resolve(&flags, &Environment::default(), || None).expect("they are valid").0;
        settings.fixed.on_lost_quorum = if random.bool() { OnLostQuorum::Serve } else { OnLostQuorum::Refuse };
        settings.fixed.handover_overlap = Duration::from_secs(if random.u8(..4) == 0 { random.u64(1..8) } else { 0 });
        let (churn, lists) = (random.u8(CHURN), if random.bool() { Duration::ZERO } else { LISTS });
        let excuses = Excuses::new(settings.fixed.on_lost_quorum, settings.fixed.handover_overlap);
        let mut cluster = Self {
            api,
            network: Network::new(trace),
            settings,
            combined,
            start: Instant::now(),
            pods: BTreeMap::new(),
            ips: 0,
            replicas,
            revision: 0,
            objects,
            excuses,
            existing: (u64::MAX, Vec::new()),
            saved: None,
            history: Vec::new(),
            churn,
            lists,
            random,
            last_state: String::new(),
            failure: None,
        };
        let (choice, overlap) = (cluster.settings.fixed.on_lost_quorum, cluster.settings.fixed.handover_overlap);
        cluster.note(&format!(
            "{replicas} replicas, {choice:?}, overlap {overlap:?}, churn {churn}, lists {lists:?}, combined {combined}, \
             server side {server_side}"
        ));
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
        panic!("after {:.1} s: {why}\n{}", self.elapsed().as_secs_f64(), self.history[from..].join("\n"));
    }

    /// Returns the time since the start.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn replicas(&self) -> u32 {
        self.replicas
    }

    /// Returns the processes that run.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.pods.values().filter_map(|pod| pod.process.as_ref())
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

    /// Saves the content of the API server.
    pub fn save(&mut self) {
        self.saved = Some(self.api.save());
    }

    /// Gives the whole API server back what it had.
    pub fn restore_all(&mut self) {
        let Some(saved) = self.saved.take() else { return };
        let uids = |api: &Simulator| -> BTreeSet<String> {
            let pods = api.list("pods", "ops").expect("there are pods");
            pods.iter().map(|pod| pod["metadata"]["uid"].to_string()).collect()
        };
        let before = uids(&self.api);
        self.api.restore(&saved);
        if uids(&self.api) != before {
            // The kubelet ends the containers of pods that no longer exist.
            self.excuses.crash(false);
        }
        self.excuses.relist();
        self.objects.learn();
        let set = self.api.list("statefulsets", "ops").expect("there are StatefulSets").remove(0);
        self.replicas = set["spec"]["replicas"].as_u64().expect("a number") as u32;
        self.note(&format!("there are {} replicas again", self.replicas));
    }

    /// Gives the Leases back what they had.
    pub fn restore_leases(&mut self) {
        let Some(saved) = self.saved.take() else { return };
        for lease in saved.objects("leases") {
            self.api.apply(&versionless(lease)).expect("the Lease is valid");
        }
    }

    /// Does what the kubelet does.
    fn run_pods(&mut self) {
        let changes = self.api.changes("pods");
        if self.existing.0 != changes {
            self.existing = (changes, self.api.list("pods", "ops").expect("there are pods"));
        }
        let existing = std::mem::take(&mut self.existing.1);
        let mut present = BTreeSet::new();
        for object in &existing {
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
                // It has left, and then the API server got the Pod back as it was before.
                if pod.process.as_ref().is_some_and(Process::has_left) {
                    pod.process = None;
                    pod.starts_in = fastrand::u64(RESTART);
                }
                if let Some(why) = pod.process.as_mut().and_then(Process::ended) {
                    self.failure.get_or_insert(format!("the process of member {ordinal} ended: {why}"));
                }
                if pod.process.is_none() {
                    pod.starts_in = pod.starts_in.saturating_sub(1);
                    if pod.starts_in == 0 {
                        pod.process = Some(Process::start(
                            &self.settings,
                            ordinal,
                            pod.ip,
                            self.start,
                            &self.api,
                            self.lists,
                            &self.network,
                        ));
                    }
                }
                let ready = pod.process.as_ref().is_some_and(Process::is_ready);
                let status = if ready { "True" } else { "False" };
                if object["status"]["conditions"][0]["status"] != status {
                    let mut object = Value::clone(object);
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
        self.existing.1 = existing;
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
        if self.random.u8(..) < self.churn {
            self.objects.churn(&mut self.random);
        }
        sleep(STEP).await;
        let (mut served, mut state, mut new) = (Served::new(), String::new(), Vec::new());
        for (ordinal, pod) in &mut self.pods {
            let Some(process) = &mut pod.process else { continue };
            new.extend(process.first_ready().map(|exposed| (*ordinal, exposed)));
            if process.has_moved() {
                self.excuses.moved();
            }
            let snapshot = process.member.snapshot();
            let scrape = process.scrape();
            let answers = scrape.is_some();
            if let Some(text) = scrape {
                process.last_scrape.read(text, *ordinal, self.combined, &mut served);
            }
            let _ = write!(
                state,
                " [{ordinal} g{} {:?} {}{}{}{}]",
                snapshot.status.generation,
                snapshot.status.handover,
                if answers { "" } else { "503" },
                if snapshot.ready { "ready" } else { "" },
                if process.is_suspended() { " suspended" } else { "" },
                if snapshot.status.coordinator { " coordinator" } else { "" },
            );
        }
        if state != self.last_state {
            self.note(&state);
            self.last_state = state;
        }
        self.check(&served);
        for (ordinal, exposed) in new {
            // A load balancer, and the StatefulSet controller, rely on that.
            if let Some(lacking) = self.objects.lacking(&served, self.excuses.known(), ordinal, &exposed) {
                self.fail(&format!("{ordinal} is ready, but does not serve {lacking}"));
            }
        }
    }

    /// Returns what each process can do now.
    fn abilities(&self) -> BTreeMap<u32, Ability> {
        let linked = |one: &Process, other: &Process| {
            !other.is_suspended() && self.network.is_open(one.ip, other.ip) && self.network.is_open(other.ip, one.ip)
        };
        let of = |process: &Process| Ability {
            runs: !process.is_suspended(),
            reads_api: process.reads_api(),
            members: process.known_members(),
            links: self
                .processes()
                .filter(|other| other.ordinal != process.ordinal)
                .map(|other| (other.ordinal, linked(process, other)))
                .collect(),
        };
        self.processes().map(|process| (process.ordinal, of(process))).collect()
    }

    fn check(&mut self, served: &Served) {
        if let Some(failure) = &self.failure {
            self.fail(failure);
        }
        if self.processes().all(|process| process.member.snapshot().status.generation == 0 || !process.is_ready()) {
            // Nobody can take over.
            self.excuses.gap(NOBODY);
        }
        let untaken = |status: &Status| !status.untaken.is_empty() && status.absent.len() > 1;
        if self.processes().any(|process| untaken(&process.member.snapshot().status)) {
            // Nobody serves the ranges of one of them, until it rejoins after its backoff.
            self.excuses.recover();
        }
        self.excuses.note(&self.abilities());
        let may_double = |by: &[u32]| self.excuses.may_double(by);
        let worst = match self.objects.check(served, self.excuses.known(), may_double) {
            Ok(worst) => worst,
            Err(wrong) => self.fail(&wrong),
        };
        let (lasts, object) = worst.missing;
        if let Some(limit) = self.excuses.missing().filter(|limit| lasts > *limit) {
            self.fail(&format!("{object}: missing for {lasts:?}, which may take {limit:?}"));
        }
        let (lasts, object) = worst.doubled;
        if let Some(limit) = self.excuses.doubled().filter(|limit| lasts > *limit) {
            self.fail(&format!("{object}: served twice for {lasts:?}, which may take {limit:?}"));
        }
    }

    /// Whether all replicas are ready and agree, no handover is in progress, and each object is served once.
    pub fn is_settled(&self) -> bool {
        let wanted: Vec<_> = (0..self.replicas).collect();
        let snapshots: Vec<_> = self.processes().map(|process| process.member.snapshot()).collect();
        let generation = snapshots.first().map(|snapshot| snapshot.status.generation);
        self.objects.is_exact()
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

    /// Runs until everything is settled, or until this time has passed.
    pub async fn run_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.is_settled() {
            self.step().await;
        }
    }

    /// Runs until everything is settled.
    pub async fn settle(&mut self, limit: Duration) {
        self.step().await;
        self.run_for(limit).await;
        if !self.is_settled() {
            self.fail(&format!("not settled after {limit:?}"));
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

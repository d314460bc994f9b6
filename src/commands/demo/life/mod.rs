//! The demo's cluster as a model: its objects, and their changes from one second to the next.
//!
//! Equal seeds give equal histories. It may not know clocks, servers or replicas: time is an input, changes are outputs.

use std::collections::BTreeSet;

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::Value;

use super::model::{Daemon, Job, JobState, Maker, Node, OwnerRef, Pod, PodState, Temper, Workload};
use super::objects;

/// A change of the cluster.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// An object was created or changed.
    Apply(Value),
    /// An object was deleted: plural, namespace, name.
    Delete(&'static str, String, String),
}

/// A message about a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct News {
    /// The topic, one word.
    pub what: &'static str,
    /// The object, and its change.
    pub text: String,
}

/// The changes of one second.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Step {
    pub changes: Vec<Change>,
    pub news: Vec<News>,
}

impl Step {
    fn say(&mut self, what: &'static str, text: String) {
        self.news.push(News { what, text });
    }

    fn delete(&mut self, resource: &'static str, namespace: &str, name: String) {
        self.changes.push(Change::Delete(resource, namespace.to_owned(), name));
    }
}

/// The deployments, with their share of the pods.
const WORKLOADS: &[(&str, &str, Temper, usize)] = &[
    ("shop", "web", Temper::Steady, 10),
    ("shop", "cart", Temper::Steady, 6),
    ("shop", "catalog", Temper::Steady, 6),
    ("shop", "search", Temper::Steady, 5),
    ("shop", "recommender", Temper::Crashing, 0),
    ("payments", "checkout", Temper::Steady, 5),
    ("payments", "ledger", Temper::Steady, 3),
    ("payments", "fraud-check", Temper::Steady, 4),
    ("data", "ingest", Temper::Steady, 6),
    ("data", "warehouse", Temper::Steady, 3),
    ("data", "model-trainer", Temper::Huge, 0),
    ("kube-system", "coredns", Temper::Steady, 2),
];

const NAMESPACES: &[&str] = &["data", "default", "kube-system", "monitoring", "payments", "shop"];

/// The namespace of the cron job.
const REPORTS: (&str, &str) = ("data", "nightly-report");

/// The first number in names of jobs: minutes since 1970, as a cron job's controller uses.
const FIRST_JOB: u64 = 29_000_000;

/// Seconds that a job's container runs.
const JOB_SECONDS: u32 = 4;

/// Seconds that a node is not ready.
const OUTAGE_SECONDS: u32 = 14;

/// Number of finished jobs that are kept.
const KEPT_JOBS: usize = 3;

/// Minimum number of pods of a cluster with all these workloads.
pub(super) const FEWEST_PODS: usize = 24;

/// The cluster.
#[derive(Debug)]
pub(super) struct Life {
    make: Maker,
    seconds: u64,
    nodes: Vec<Node>,
    workloads: Vec<Workload>,
    daemon: Daemon,
    jobs: Vec<Job>,
    cron: (String, Timestamp),
    /// Remaining seconds for which a node is not ready.
    outage: u32,
}

impl Life {
    /// A cluster of exactly `pods` pods (or [`FEWEST_PODS`]), in a steady state except for crashing pods.
    pub fn new(seed: u64, pods: usize, now: Timestamp) -> Self {
        let pods = pods.max(FEWEST_PODS);
        let nodes = 3 + pods / 40;
        let mut make = Maker { rng: Rng::with_seed(seed), now, pods_made: 0, nodes, out: None };
        let nodes = (0..nodes).map(|number| node(&mut make, number)).collect();
        let daemon = daemon(&mut make);
        let special = WORKLOADS.iter().filter(|(.., share)| *share == 0).count();
        let mut left = pods - daemon.pods.len() - special;
        let mut shares_left: usize = WORKLOADS.iter().map(|(.., share)| share).sum();
        let mut workloads = Vec::new();
        for (number, &(namespace, name, temper, share)) in WORKLOADS.iter().enumerate() {
            // A share of the remaining pods, until none remain.
            let replicas = if share == 0 { 1 } else { left * share / shares_left };
            if share > 0 {
                left -= replicas;
                shares_left -= share;
            }
            workloads.push(workload(&mut make, (number, namespace, name, temper), replicas));
        }
        let cron = (make.uid(), make.hours_ago(24, 960));
        Self { make, seconds: 0, nodes, workloads, daemon, jobs: Vec::new(), cron, outage: 0 }
    }

    /// All initial objects of the cluster.
    pub fn objects(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        let created = self.make.hours_ago(960, 961);
        for name in NAMESPACES {
            all.push(objects::namespace(name, &self.make.uid(), created));
            all.push(objects::config_map(name, &self.make.uid(), created));
            all.push(objects::secret(name, &self.make.uid(), created));
        }
        all.extend(self.nodes.iter().map(objects::node));
        all.extend(self.daemon_objects());
        for workload in &self.workloads {
            all.push(objects::service(workload));
            all.extend(self.workload_objects(workload));
        }
        all.push(self.cron_object());
        all
    }

    /// Advances by one second.
    pub fn step(&mut self, now: Timestamp) -> Step {
        self.make.now = now;
        self.seconds += 1;
        let mut step = Step::default();
        let mut touched = BTreeSet::new();
        for workload in &mut self.workloads {
            if pods_go_on(&mut self.make, workload, &mut step) | rollout_goes_on(&mut self.make, workload, &mut step) {
                touched.insert(workload.number);
            }
        }
        self.jobs_go_on(&mut step);
        self.outage_goes_on(&mut step, &mut touched);
        match self.seconds % 12 {
            2 => touched.extend(self.start_rollout(&mut step)),
            5 => self.start_job(&mut step),
            9 => touched.extend(self.scale(&mut step)),
            _ => {}
        }
        for number in touched {
            step.changes.extend(self.workload_objects(&self.workloads[number]).into_iter().map(Change::Apply));
        }
        step
    }

    fn start_rollout(&mut self, step: &mut Step) -> Option<usize> {
        let number = self.pick_settled(|_| true)?;
        let workload = &mut self.workloads[number];
        workload.revision += 1;
        workload.generation += 1;
        let set = self.make.replica_set(workload);
        workload.sets.push(set);
        step.say("rollout", format!("{} to v{}, {} pods", workload.path(), workload.revision, workload.replicas));
        Some(number)
    }

    fn scale(&mut self, step: &mut Step) -> Option<usize> {
        let number = self.pick_settled(|workload| workload.autoscaler_uid.is_some())?;
        let workload = &mut self.workloads[number];
        let wanted = self.make.rng.usize(workload.fewest()..=workload.most());
        if wanted == workload.replicas {
            return None;
        }
        step.say("scale", format!("{} from {} to {wanted} pods", workload.path(), workload.replicas));
        workload.replicas = wanted;
        workload.generation += 1;
        Some(number)
    }

    fn pick_settled(&mut self, also: impl Fn(&Workload) -> bool) -> Option<usize> {
        let fits = |w: &&Workload| w.temper == Temper::Steady && w.is_settled() && also(w);
        let settled: Vec<usize> = self.workloads.iter().filter(fits).map(|w| w.number).collect();
        self.make.rng.choice(settled)
    }

    fn start_job(&mut self, step: &mut Step) {
        let (namespace, cron) = REPORTS;
        let name = format!("{cron}-{}", FIRST_JOB + self.seconds);
        let mut pod = self.make.pod(&name, Temper::Steady);
        pod.state = PodState::Starting(0);
        let job = Job { name, uid: self.make.uid(), state: JobState::Running(JOB_SECONDS), pod };
        step.say("job", format!("{namespace}/{} started", job.name));
        self.jobs.push(job);
        while self.jobs.len() > KEPT_JOBS {
            let job = self.jobs.remove(0);
            step.delete("pods", namespace, job.pod.name);
            step.delete("jobs", namespace, job.name);
        }
        step.changes.extend(self.job_objects(self.jobs.len() - 1));
    }

    fn jobs_go_on(&mut self, step: &mut Step) {
        for position in 0..self.jobs.len() {
            let job = &mut self.jobs[position];
            let JobState::Running(left) = job.state else { continue };
            job.state = left.checked_sub(1).map_or(JobState::Complete, JobState::Running);
            let state = match job.state {
                JobState::Running(_) => PodState::Running,
                JobState::Complete => PodState::Succeeded,
            };
            if state == job.pod.state {
                continue;
            }
            job.pod.state = state;
            job.pod.changed = self.make.now;
            if state == PodState::Running {
                job.pod.started = self.make.now;
            } else {
                step.say("job", format!("{}/{} completed", REPORTS.0, job.name));
            }
            step.changes.extend(self.job_objects(position));
        }
    }

    fn outage_goes_on(&mut self, step: &mut Step, touched: &mut BTreeSet<usize>) {
        let number = match self.make.out {
            Some(_) if self.outage > 0 => {
                self.outage -= 1;
                return;
            }
            Some(number) => {
                self.make.out = None;
                number
            }
            None if self.seconds % 50 == 20 => {
                let number = self.make.rng.usize(..self.nodes.len());
                self.make.out = Some(number);
                self.outage = OUTAGE_SECONDS;
                number
            }
            None => return,
        };
        let node = &mut self.nodes[number];
        node.ready = self.make.out.is_none();
        node.since = self.make.now;
        let mut affected = 1;
        self.daemon.pods[number].changed = self.make.now;
        for workload in &mut self.workloads {
            let pods = workload.sets.iter_mut().flat_map(|set| &mut set.pods);
            for pod in pods.filter(|pod| pod.node == Some(number) && pod.state == PodState::Running) {
                pod.changed = self.make.now;
                affected += 1;
                touched.insert(workload.number);
            }
        }
        let how = if node.ready { "is ready again" } else { "is not ready" };
        step.say("node", format!("{} {how}, and {affected} pods with it", node.name));
        step.changes.push(Change::Apply(objects::node(node)));
        step.changes.extend(self.daemon_objects().into_iter().map(Change::Apply));
    }

    fn workload_objects(&self, workload: &Workload) -> Vec<Value> {
        let mut all = vec![objects::deployment(workload, &self.nodes)];
        if let Some(uid) = &workload.autoscaler_uid {
            all.push(objects::autoscaler(workload, uid));
        }
        for set in &workload.sets {
            all.push(objects::replica_set(workload, set, &self.nodes));
            let owner = OwnerRef { api_version: "apps/v1", kind: "ReplicaSet", name: &set.name, uid: &set.uid };
            let image = workload.image(set.revision);
            all.extend(
                set.pods
                    .iter()
                    .map(|pod| objects::pod(pod, workload.namespace, workload.name, &image, &owner, self.node_of(pod))),
            );
        }
        all
    }

    fn daemon_objects(&self) -> Vec<Value> {
        let Daemon { namespace, name, image, uid, pods, .. } = &self.daemon;
        let owner = OwnerRef { api_version: "apps/v1", kind: "DaemonSet", name, uid };
        let pods = pods.iter().map(|pod| objects::pod(pod, namespace, name, image, &owner, self.node_of(pod)));
        std::iter::once(objects::daemon_set(&self.daemon, &self.nodes)).chain(pods).collect()
    }

    /// A job, its pod, and its cron job.
    fn job_objects(&self, position: usize) -> [Change; 3] {
        let (namespace, cron) = REPORTS;
        let job = &self.jobs[position];
        let by_cron = OwnerRef { api_version: "batch/v1", kind: "CronJob", name: cron, uid: &self.cron.0 };
        let by_job = OwnerRef { api_version: "batch/v1", kind: "Job", name: &job.name, uid: &job.uid };
        [
            objects::job(job, namespace, &by_cron),
            objects::pod(&job.pod, namespace, cron, objects::REPORT_IMAGE, &by_job, self.node_of(&job.pod)),
            self.cron_object(),
        ]
        .map(Change::Apply)
    }

    fn cron_object(&self) -> Value {
        let (namespace, name) = REPORTS;
        objects::cron_job(namespace, name, &self.cron.0, self.cron.1, &self.jobs)
    }

    fn node_of(&self, pod: &Pod) -> Option<&Node> {
        pod.node.and_then(|node| self.nodes.get(node))
    }
}

fn node(make: &mut Maker, number: usize) -> Node {
    let created = make.hours_ago(24, 960);
    let zone = format!("zone-{}", ["a", "b", "c"][number % 3]);
    let name = format!("node-{}", number + 1);
    Node { number, name, zone, uid: make.uid(), created, ready: true, since: created }
}

fn daemon(make: &mut Maker) -> Daemon {
    let (name, created) = ("node-exporter", make.hours_ago(24, 960));
    let pods = (0..make.nodes).map(|node| Pod { node: Some(node), ..old_pod(make, name, Temper::Steady, created) });
    let pods = pods.collect();
    Daemon { namespace: "monitoring", name, image: "demo/node-exporter:v1", uid: make.uid(), created, pods }
}

fn workload(
    make: &mut Maker,
    (number, namespace, name, temper): (usize, &'static str, &'static str, Temper),
    replicas: usize,
) -> Workload {
    let created = make.hours_ago(1, 480);
    let mut workload = Workload {
        number,
        namespace,
        name,
        temper,
        uid: make.uid(),
        service_uid: make.uid(),
        autoscaler_uid: (name == "web").then(|| make.uid()),
        created,
        generation: 1,
        replicas,
        usual: replicas,
        revision: 1,
        sets: Vec::new(),
    };
    let mut set = make.replica_set(&workload);
    set.created = created;
    set.pods = (0..replicas).map(|_| old_pod(make, &set.name, temper, created)).collect();
    workload.sets.push(set);
    workload
}

/// A pod created at `created`.
fn old_pod(make: &mut Maker, prefix: &str, temper: Temper, created: Timestamp) -> Pod {
    let pod = make.pod(prefix, temper);
    let state = if temper == Temper::Huge { PodState::Unschedulable } else { PodState::Running };
    Pod { created, started: created, changed: created, state, ..pod }
}

/// Starts, crashes and restarts pods; returns whether any changed.
fn pods_go_on(make: &mut Maker, workload: &mut Workload, step: &mut Step) -> bool {
    let path = workload.path();
    let mut touched = false;
    for pod in workload.sets.iter_mut().flat_map(|set| &mut set.pods) {
        let next = match pod.state {
            PodState::Starting(0) | PodState::CrashLoop(0) => PodState::Running,
            PodState::Starting(left) => PodState::Starting(left - 1),
            PodState::CrashLoop(left) => PodState::CrashLoop(left - 1),
            PodState::Running if workload.temper == Temper::Crashing && make.rng.u8(..4) == 0 => {
                pod.restarts += 1;
                step.say("crash", format!("{path}, restart {}", pod.restarts));
                // As the kubelet does, doubled each time up to a bound, but in seconds instead of minutes.
                PodState::CrashLoop((5 << pod.restarts.min(3)).min(30))
            }
            same => same,
        };
        if std::mem::discriminant(&next) != std::mem::discriminant(&pod.state) {
            pod.changed = make.now;
            if next == PodState::Running {
                pod.started = make.now;
            }
            touched = true;
        }
        pod.state = next;
    }
    touched
}

/// Moves a deployment's pods one step towards its spec; returns whether anything changed.
fn rollout_goes_on(make: &mut Maker, workload: &mut Workload, step: &mut Step) -> bool {
    let (namespace, path, replicas) = (workload.namespace, workload.path(), workload.replicas);
    let Some((new, old)) = workload.sets.split_last_mut() else { return false };
    let is_rollout = !old.is_empty();
    if new.pods.iter().any(|pod| matches!(pod.state, PodState::Starting(_))) {
        return false;
    }
    // A rollout replaces one pod, or a tenth of a large deployment, at a time. Scaling is immediate.
    let pace = if is_rollout { (replicas / 10).max(1) } else { usize::MAX };
    let mut touched = false;
    let surplus = (new.pods.len() + old.iter().map(|set| set.pods.len()).sum::<usize>()).saturating_sub(replicas);
    for _ in 0..surplus.min(pace) {
        // Old pods first, and only when as many new ones run.
        let from = old.iter_mut().find(|set| !set.pods.is_empty()).unwrap_or(new);
        if let Some(pod) = from.pods.pop() {
            from.generation += 1;
            step.delete("pods", namespace, pod.name);
            touched = true;
        }
    }
    let lacking = replicas.saturating_sub(new.pods.len()).min(pace);
    if lacking > 0 {
        new.pods.extend((0..lacking).map(|_| make.pod(&new.name, workload.temper)));
        new.generation += 1;
        touched = true;
    }
    if is_rollout && new.pods.len() == replicas && lacking == 0 && old.iter().all(|set| set.pods.is_empty()) {
        for set in old {
            step.delete("replicasets", namespace, std::mem::take(&mut set.name));
        }
        workload.sets.drain(..workload.sets.len() - 1);
        step.say("rollout", format!("{path} is at v{}", workload.revision));
        touched = true;
    }
    touched
}

#[cfg(test)]
mod tests;

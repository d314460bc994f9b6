//! The parts of the demo's cluster, and their creation.

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use crate::simulator;

#[derive(Debug)]
pub(super) struct Node {
    pub number: usize,
    pub name: String,
    pub zone: String,
    pub uid: String,
    pub created: Timestamp,
    pub ready: bool,
    /// Time of the last readiness change.
    pub since: Timestamp,
}

impl Node {
    pub fn address(&self) -> String {
        format!("192.168.{}.{}", self.number / 200, self.number % 200 + 10)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PodState {
    /// No node ever has room for it.
    Unschedulable,
    /// Seconds until it runs.
    Starting(u32),
    Running,
    /// Seconds until the next attempt.
    CrashLoop(u32),
    Succeeded,
}

#[derive(Debug)]
pub(super) struct Pod {
    pub number: u64,
    pub name: String,
    pub uid: String,
    pub created: Timestamp,
    /// Last start of its container.
    pub started: Timestamp,
    /// Last change of its state.
    pub changed: Timestamp,
    pub state: PodState,
    pub restarts: u32,
    /// Index of its node.
    pub node: Option<usize>,
}

#[derive(Debug)]
pub(super) struct ReplicaSet {
    pub name: String,
    pub uid: String,
    pub created: Timestamp,
    pub revision: u32,
    /// Changes whenever it is scaled.
    pub generation: u64,
    pub pods: Vec<Pod>,
}

impl ReplicaSet {
    pub fn ready(&self, nodes: &[Node]) -> usize {
        let is_ready = |pod: &&Pod| pod.state == PodState::Running && pod.node.is_some_and(|node| nodes[node].ready);
        self.pods.iter().filter(is_ready).count()
    }
}

/// The object that owns another.
pub(super) struct OwnerRef<'a> {
    pub api_version: &'a str,
    pub kind: &'a str,
    pub name: &'a str,
    pub uid: &'a str,
}

/// Behaviour of a deployment's pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Temper {
    Steady,
    /// They crash a few seconds after each start.
    Crashing,
    /// They request more than any node has.
    Huge,
}

/// A deployment with its replica sets and pods.
#[derive(Debug)]
pub(super) struct Workload {
    pub number: usize,
    pub namespace: &'static str,
    pub name: &'static str,
    pub temper: Temper,
    pub uid: String,
    pub service_uid: String,
    pub autoscaler_uid: Option<String>,
    pub created: Timestamp,
    pub generation: u64,
    pub replicas: usize,
    /// The initial size, around which it is scaled.
    pub usual: usize,
    pub revision: u32,
    /// Newest last; the earlier ones are being replaced.
    pub sets: Vec<ReplicaSet>,
}

impl Workload {
    pub fn image(&self, revision: u32) -> String {
        format!("demo/{}:v{revision}", self.name)
    }

    /// `namespace/name`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The lower bound of scaling; see [`Self::most`].
    pub fn fewest(&self) -> usize {
        self.usual.div_ceil(2)
    }

    pub const fn most(&self) -> usize {
        self.usual * 3 / 2 + 1
    }

    pub fn owner(&self) -> OwnerRef<'_> {
        OwnerRef { api_version: "apps/v1", kind: "Deployment", name: self.name, uid: &self.uid }
    }

    /// Whether it has surplus or missing pods.
    pub fn is_rolling_out(&self) -> bool {
        let (new, old) = self
            .sets
            .split_last()
            .map_or((0, 0), |(new, old)| (new.pods.len(), old.iter().map(|set| set.pods.len()).sum()));
        old > 0 || new != self.replicas
    }

    pub fn is_settled(&self) -> bool {
        let all_run = self.sets.iter().flat_map(|set| &set.pods).all(|pod| pod.state == PodState::Running);
        self.sets.len() == 1 && all_run && !self.is_rolling_out()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobState {
    /// Seconds until it is done.
    Running(u32),
    Complete,
}

#[derive(Debug)]
pub(super) struct Job {
    pub name: String,
    pub uid: String,
    pub state: JobState,
    pub pod: Pod,
}

/// A DaemonSet, with a pod on each node.
#[derive(Debug)]
pub(super) struct Daemon {
    pub namespace: &'static str,
    pub name: &'static str,
    pub image: &'static str,
    pub uid: String,
    pub created: Timestamp,
    pub pods: Vec<Pod>,
}

/// The letters of generated Kubernetes names: no vowels, so that they form no words.
const LETTERS: [u8; 27] = *b"bcdfghjklmnpqrstvwxz2456789";

/// Creates new parts: the only source of randomness, names and UIDs.
#[derive(Debug)]
pub(super) struct Maker {
    pub rng: Rng,
    pub now: Timestamp,
    pub pods_made: u64,
    pub nodes: usize,
    /// The node that currently accepts no pods.
    pub out: Option<usize>,
}

impl Maker {
    pub fn uid(&mut self) -> String {
        simulator::uid(&mut self.rng)
    }

    fn suffix(&mut self, length: usize) -> String {
        std::iter::repeat_with(|| self.rng.choice(LETTERS).map_or('x', char::from)).take(length).collect()
    }

    /// A time between `least` and `most` hours ago.
    pub fn hours_ago(&mut self, least: i64, most: i64) -> Timestamp {
        self.now - SignedDuration::from_secs(self.rng.i64(least * 3600..most * 3600))
    }

    pub fn replica_set(&mut self, workload: &Workload) -> ReplicaSet {
        ReplicaSet {
            name: format!("{}-{}", workload.name, self.suffix(9)),
            uid: self.uid(),
            created: self.now,
            revision: workload.revision,
            generation: 1,
            pods: Vec::new(),
        }
    }

    /// A starting pod.
    pub fn pod(&mut self, prefix: &str, temper: Temper) -> Pod {
        self.pods_made += 1;
        let node = (temper != Temper::Huge).then(|| self.free_node());
        // Two letters are a counter, so that no two of hundreds of pods share a name.
        let [high, low] = [self.pods_made / 27, self.pods_made].map(|n| char::from(LETTERS[(n % 27) as usize]));
        Pod {
            number: self.pods_made,
            name: format!("{prefix}-{}{high}{low}", self.suffix(3)),
            uid: self.uid(),
            created: self.now,
            started: self.now,
            changed: self.now,
            state: if node.is_some() { PodState::Starting(self.rng.u32(..2)) } else { PodState::Unschedulable },
            restarts: 0,
            node,
        }
    }

    fn free_node(&mut self) -> usize {
        let node = self.rng.usize(..self.nodes);
        if self.out == Some(node) { (node + 1) % self.nodes } else { node }
    }
}

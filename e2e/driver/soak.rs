//! The soak: real processes of the exporter under random faults, one after the other, on a simulated API server whose objects
//! change all the time. After each fault every object must have been missing, and doubled, for no longer than docs/fleet.md
//! permits for that fault, and the fleet must settle. At the end the memory of the replicas must be what it was.
//!
//! A seed determines the faults, their order and their durations, but not what the processes make of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use kube_state_fleet::simulator::{Faults, Options, ResourceType, Simulator};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, write_kubeconfig};
use crate::fleet::{self, Fleet};
use crate::observer::{Bounds, Observer};
use crate::process::{Signal, resident_memory};
use crate::proxy::{Mode, Proxy};
use crate::stage::Stage;
use crate::wait::until;

/// The most replicas, and the fewest.
const REPLICAS: Range<u8> = 2..5;
/// Objects that exist all the time.
const STEADY: usize = 400;
/// Objects that are deleted and created again.
const FLEETING: usize = 40;
/// Changes of objects per second.
const CHANGES: u32 = 20;
/// How long a new process waits, as for an image pull.
const START_DELAY: Duration = Duration::from_secs(3);
/// How long an object may be missing or doubled if nothing is lost, in seconds: the promise of a switch.
const SWITCH: f64 = 0.5;
/// How long an object may be missing after a crash, in seconds.
const CRASH: f64 = 3.0;
/// The same if others cannot tell a crash from silence: the duration of a Lease, the next renewal, and loading.
const SILENCE: f64 = 15.0 + 5.0 + CRASH;
/// How long members may take to hear each other again, in seconds: an attempt to connect may take 3 s and pauses up to 1.2, and
/// the answer brings the current assignment.
const RECONNECT: f64 = 5.0;
/// How long a fleet that lost all processes may take to serve again, in seconds, without the start delay.
const COLD_START: f64 = 10.0;
/// The memory at the end may exceed that of the beginning by this factor, and by this many bytes.
const GROWTH: (f64, f64) = (1.15, 4e6);

/// The kinds of faults. Each has the bounds of its row in docs/fleet.md.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Scale,
    Roll,
    Kill,
    KillAll,
    Pause,
    /// All replicas, or one, do not reach the API server.
    ApiAway,
    ApiAwayFromOne,
    /// Connections between all replicas, or those to one, are refused, reset, closed or swallowed.
    Network,
    NetworkOfOne,
    /// One replica reaches nobody.
    Isolated,
    LeasesRefused,
    LeaseWatches,
    PodWatches,
    Compacted,
    LeaseDeleted,
    LeaseUnlabelled,
    LeaseRegressed,
    RecordDeleted,
    RecordUnlabelled,
    RecordRegressed,
}

const FAULTS: [Fault; 20] = [
    Fault::Scale,
    Fault::Roll,
    Fault::Kill,
    Fault::KillAll,
    Fault::Pause,
    Fault::ApiAway,
    Fault::ApiAwayFromOne,
    Fault::Network,
    Fault::NetworkOfOne,
    Fault::Isolated,
    Fault::LeasesRefused,
    Fault::LeaseWatches,
    Fault::PodWatches,
    Fault::Compacted,
    Fault::LeaseDeleted,
    Fault::LeaseUnlabelled,
    Fault::LeaseRegressed,
    Fault::RecordDeleted,
    Fault::RecordUnlabelled,
    Fault::RecordRegressed,
];

/// Runs for `minutes`, with faults from `seed`.
pub async fn run(stage: &Stage, minutes: u64, seed: u64) -> Result<()> {
    println!("soak: {minutes} minutes, seed {seed}");
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let mut soak = Soak::start(stage, seed).await?;
    let mut faults = Vec::new();
    let mut memory = Vec::new();
    let start = Instant::now();
    while Instant::now() < end {
        if faults.is_empty() {
            // Each kind once, in random order, then again.
            faults = FAULTS.to_vec();
            soak.random.shuffle(&mut faults);
        }
        let Some(fault) = faults.pop() else { continue };
        let played = soak.play(fault).await;
        let megabytes = soak.memory()? / 1e6;
        memory.push(megabytes);
        let results = soak.observer.summary();
        let text = results.as_ref().map_or_else(ToString::to_string, Clone::clone);
        let line = text.rsplit("; ").next().unwrap_or_default();
        println!("{:>5} s  {megabytes:5.1} MB  {line}", start.elapsed().as_secs());
        played.map_err(|error| anyhow!("{}", error.root_cause()))?;
        results.map_err(|_| anyhow!("a fault cost more than its bound"))?;
    }
    soak.churn.abort();
    let (first, last) = growth(&memory).context("too few faults to compare memory")?;
    println!("{} faults; memory of a replica: {first:.1} MB at first, {last:.1} MB at the end", memory.len());
    ensure!(last <= first * GROWTH.0 + GROWTH.1 / 1e6, "the memory of the replicas has grown");
    Ok(())
}

/// The medians of the first and of the last third, without the first value: caches fill.
fn growth(memory: &[f64]) -> Option<(f64, f64)> {
    let settled = memory.get(1..).filter(|rest| rest.len() >= 6)?;
    let median = |part: &[f64]| {
        let mut sorted = part.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    let third = settled.len() / 3;
    Some((median(&settled[..third]), median(&settled[settled.len() - third..])))
}

struct Soak {
    simulator: Arc<Simulator>,
    cluster: Cluster,
    fleet: Fleet,
    observer: Observer,
    random: fastrand::Rng,
    /// The proxies to the API server, by ordinal.
    api: Vec<Proxy>,
    churn: JoinHandle<()>,
    /// Earlier contents of Leases, by path.
    old: BTreeMap<String, Value>,
}

impl Soak {
    async fn start(stage: &Stage, seed: u64) -> Result<Self> {
        let simulator = Arc::new(simulator(stage).await?);
        let cluster = Cluster::simulated(stage, &simulator.url())?;
        for number in 0..STEADY {
            simulator.create(&pod("steady", number))?;
        }
        let expected = simulator.uids("pods");
        let mut api = Vec::new();
        let options = fleet::Options { proxied: REPLICAS.end, ..fleet::Options::lean(3, &[]) };
        for ordinal in 0..REPLICAS.end {
            let proxy = Proxy::forward((stage.address(210 + ordinal), 0).into(), simulator.address()).await?;
            let kubeconfig: PathBuf = stage.directory.join(format!("kubeconfig-{ordinal}"));
            write_kubeconfig(&kubeconfig, &json!({ "server": format!("http://{}", proxy.address()) }), "")?;
            options.board.lock().kubeconfigs.insert(ordinal, kubeconfig);
            api.push(proxy);
        }
        let fleet = Fleet::start_with(stage, &cluster, options).await?;
        let observer = Observer::new(stage, &fleet, &expected)?;
        until("a settled fleet", Bounds::SEAMLESS.limit, async || fleet.ensure_settled().await).await?;
        fleet.board.lock().start_delay = START_DELAY;
        let churn = tokio::spawn(churn(Arc::clone(&simulator), fastrand::Rng::with_seed(seed)));
        let random = fastrand::Rng::with_seed(seed);
        Ok(Self { simulator, cluster, fleet, observer, random, api, churn, old: BTreeMap::new() })
    }

    /// The highest memory of a replica, in bytes.
    fn memory(&self) -> Result<f64> {
        let mut most = 0;
        for (_, running) in self.fleet.live() {
            most = most.max(resident_memory(running.process)?);
        }
        Ok(most as f64)
    }

    /// A random running replica.
    fn victim(&mut self) -> Result<u8> {
        let live = self.fleet.live();
        self.random.choice(&live).map(|(ordinal, _)| *ordinal).context("no replica runs")
    }

    fn seconds(&mut self, range: Range<u64>) -> Duration {
        Duration::from_secs(self.random.u64(range))
    }

    /// Injects a fault, ends it, and waits until the fleet has settled.
    async fn play(&mut self, fault: Fault) -> Result<()> {
        let victim = self.victim()?;
        let (name, bounds, cause) = self.prepare(fault, victim)?;
        let settled = async || self.fleet.ensure_settled().await;
        let change = async || cause.apply(&self.fleet, &self.simulator, &self.api).await;
        let outcome = self.observer.phase_until(&name, bounds, change, None, settled).await;
        outcome.with_context(|| name.clone())?;
        let overdue = std::mem::take(&mut self.fleet.board.lock().overdue);
        ensure!(overdue.is_empty(), "{name}: killed after their grace period: {}", overdue.join(", "));
        // Contents to go back to later.
        for ordinal in [None, Some(victim)] {
            let path = self.fleet.lease_path(ordinal);
            if let Ok(lease) = self.cluster.api.get(&path).await {
                self.old.entry(path).or_insert(lease);
            }
        }
        Ok(())
    }

    /// Chooses the details of a fault: its name, its bounds, and what to do.
    fn prepare(&mut self, fault: Fault, victim: u8) -> Result<(String, Bounds, Cause)> {
        let mode = [Mode::Refused, Mode::Reset, Mode::Closed, Mode::Silent][self.random.usize(..4)];
        let all: Vec<u8> = (0..REPLICAS.end).collect();
        let seamless = |name: String, cause: Cause| (name, Bounds::SEAMLESS, cause);
        Ok(match fault {
            Fault::Scale => {
                let now = self.fleet.live().len() as u8;
                let choices: Vec<u8> = REPLICAS.filter(|count| *count != now).collect();
                let count = *self.random.choice(&choices).context("a choice")?;
                seamless(format!("scale {now} to {count}"), Cause::Scale(count))
            }
            Fault::Roll => seamless("rolling update".to_owned(), Cause::Roll),
            Fault::Kill => (format!("SIGKILL of {victim}"), Bounds::missing(CRASH), Cause::Kill(vec![victim])),
            Fault::KillAll => {
                let live = self.fleet.live().iter().map(|(ordinal, _)| *ordinal).collect();
                let missing = START_DELAY.as_secs_f64() + COLD_START;
                ("SIGKILL of all".to_owned(), Bounds::missing(missing), Cause::Kill(live))
            }
            Fault::Pause => {
                let time = self.seconds(1..30);
                (format!("{victim} suspended for {time:?}"), Bounds::missing(SILENCE), Cause::Pause(victim, time))
            }
            Fault::ApiAway => {
                let time = self.seconds(5..40);
                seamless(format!("API server {mode:?} for {time:?}"), Cause::Api(all, mode, time))
            }
            Fault::ApiAwayFromOne => {
                let time = self.seconds(5..40);
                let name = format!("API server {mode:?} to {victim} for {time:?}");
                seamless(name, Cause::Api(vec![victim], mode, time))
            }
            Fault::Network => {
                let time = self.seconds(3..20);
                seamless(format!("connections between all {mode:?} for {time:?}"), Cause::Network(all, mode, time))
            }
            Fault::NetworkOfOne => {
                let time = self.seconds(3..20);
                let name = format!("connections to {victim} {mode:?} for {time:?}");
                seamless(name, Cause::Network(vec![victim], mode, time))
            }
            Fault::Isolated => {
                let time = self.seconds(5..40);
                // It serves on. The others take its ranges once its Lease has expired, or at once if a connection breaks and
                // there is no third member to ask.
                let bounds = Bounds { doubled: SWITCH + time.as_secs_f64() + RECONNECT, ..Bounds::missing(SILENCE) };
                (format!("{victim} isolated ({mode:?}) for {time:?}"), bounds, Cause::Isolated(victim, mode, time))
            }
            Fault::LeasesRefused => {
                let (code, time) = ([409, 429, 500, 503][self.random.usize(..4)], self.seconds(3..30));
                seamless(format!("Leases answer {code} for {time:?}"), Cause::Refuse(code, time))
            }
            Fault::LeaseWatches => self.watches("leases"),
            Fault::PodWatches => self.watches("pods"),
            Fault::Compacted => seamless("history compacted, watches broken".to_owned(), Cause::Compact),
            Fault::LeaseDeleted => self.lease(Some(victim), "deleted", Cause::Delete),
            Fault::LeaseUnlabelled => self.lease(Some(victim), "unlabelled", Cause::Unlabel),
            Fault::LeaseRegressed => self.lease(Some(victim), "as it was earlier", |path| self.earlier(path)),
            Fault::RecordDeleted => self.lease(None, "deleted", Cause::Delete),
            Fault::RecordUnlabelled => self.lease(None, "unlabelled", Cause::Unlabel),
            Fault::RecordRegressed => self.lease(None, "as it was earlier", |path| self.earlier(path)),
        })
    }

    fn watches(&mut self, resource: &'static str) -> (String, Bounds, Cause) {
        let fate = [Fate::Silent, Fate::Dropped, Fate::Expired, Fate::Garbled][self.random.usize(..4)];
        (format!("watches of {resource} {fate:?}"), Bounds::SEAMLESS, Cause::Watches(resource, fate))
    }

    /// Changes the Lease of an ordinal, or the record.
    fn lease(&self, ordinal: Option<u8>, how: &str, cause: impl Fn(String) -> Cause) -> (String, Bounds, Cause) {
        let whose = ordinal.map_or_else(|| "the record".to_owned(), |ordinal| format!("the Lease of {ordinal}"));
        (format!("{whose} {how}"), Bounds::SEAMLESS, cause(self.fleet.lease_path(ordinal)))
    }

    fn earlier(&self, path: String) -> Cause {
        Cause::Regress(self.old.get(&path).cloned(), path)
    }
}

/// What happens to open watches.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Silent,
    Dropped,
    Expired,
    Garbled,
}

/// A fault with its details.
enum Cause {
    Scale(u8),
    Roll,
    Kill(Vec<u8>),
    Pause(u8, Duration),
    Api(Vec<u8>, Mode, Duration),
    Network(Vec<u8>, Mode, Duration),
    Isolated(u8, Mode, Duration),
    Refuse(u16, Duration),
    Watches(&'static str, Fate),
    Compact,
    Delete(String),
    Unlabel(String),
    Regress(Option<Value>, String),
}

impl Cause {
    async fn apply(self, fleet: &Fleet, simulator: &Simulator, api: &[Proxy]) -> Result<()> {
        let set = |proxies: &[Proxy], ordinals: &[u8], mode: Mode| {
            ordinals.iter().for_each(|ordinal| proxies[usize::from(*ordinal)].set(mode));
        };
        match self {
            Self::Scale(count) => fleet.scale(count).await,
            Self::Roll => fleet.roll(&[]).await,
            Self::Kill(ordinals) => {
                for ordinal in &ordinals {
                    fleet.signal(*ordinal, Signal::KILL)?;
                }
                // New Pods: one that crashed again and again would return too late.
                for ordinal in ordinals {
                    fleet.delete_pod(ordinal).await?;
                }
                Ok(())
            }
            Self::Pause(ordinal, time) => {
                fleet.signal(ordinal, Signal::STOP)?;
                tokio::time::sleep(time).await;
                fleet.signal(ordinal, Signal::CONT)
            }
            Self::Api(ordinals, mode, time) => {
                set(api, &ordinals, mode);
                tokio::time::sleep(time).await;
                set(api, &ordinals, Mode::Open);
                Ok(())
            }
            Self::Network(ordinals, mode, time) => {
                set(&fleet.proxies, &ordinals, mode);
                tokio::time::sleep(time).await;
                set(&fleet.proxies, &ordinals, Mode::Open);
                Ok(())
            }
            Self::Isolated(ordinal, mode, time) => {
                // The proxies are before the replicas: none is reached, so that this one reaches none.
                let all: Vec<u8> = (0..REPLICAS.end).collect();
                set(api, &[ordinal], mode);
                set(&fleet.proxies, &all, mode);
                tokio::time::sleep(time).await;
                set(&fleet.proxies, &all, Mode::Open);
                set(api, &[ordinal], Mode::Open);
                Ok(())
            }
            Self::Refuse(code, time) => {
                simulator.faults("leases", |faults| faults.refuse = Some(code))?;
                tokio::time::sleep(time).await;
                simulator.faults("leases", |faults| *faults = Faults::default())?;
                Ok(())
            }
            Self::Watches(resource, fate) => {
                match fate {
                    Fate::Silent => simulator.silence_watches(resource)?,
                    Fate::Dropped => simulator.drop_watches(resource)?,
                    Fate::Expired => simulator.expire_watches(resource)?,
                    Fate::Garbled => simulator.send_raw(resource, "{\"type\":\"MODIFIED\",\"object\":{\n")?,
                }
                Ok(())
            }
            Self::Compact => {
                for resource in ["pods", "leases", "statefulsets"] {
                    simulator.drop_watches(resource)?;
                }
                simulator.compact();
                Ok(())
            }
            Self::Delete(path) => fleet.api().delete(&path).await.map(drop),
            Self::Unlabel(path) => fleet.api().patch(&path, &json!({ "metadata": { "labels": null } })).await.map(drop),
            Self::Regress(old, path) => {
                let Some(old) = old else { return Ok(()) };
                let earlier =
                    json!({ "metadata": { "annotations": old["metadata"]["annotations"] }, "spec": old["spec"] });
                fleet.api().patch(&path, &earlier).await.map(drop)
            }
        }
    }
}

async fn simulator(stage: &Stage) -> Result<Simulator> {
    let resources = vec![
        ResourceType::new("", "v1", "pods", "Pod", true),
        ResourceType::new("apps", "v1", "statefulsets", "StatefulSet", true),
        ResourceType::new("coordination.k8s.io", "v1", "leases", "Lease", true),
        ResourceType::new("", "v1", "events", "Event", true),
        ResourceType::new("", "v1", "namespaces", "Namespace", false),
    ];
    let options = Options { statefulsets: true, ..Options::default() };
    Ok(Simulator::start_with((stage.address(1), 0).into(), resources, options).await?)
}

fn pod(group: &str, number: usize) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": format!("{group}-{number}"), "namespace": "workload", "labels": { "team": group } },
        "spec": { "nodeName": "node-1", "containers": [{ "name": "main", "image": "example/main:1" }] },
        "status": { "phase": "Running" },
    })
}

/// Changes objects until aborted.
async fn churn(simulator: Arc<Simulator>, mut random: fastrand::Rng) {
    let mut period = tokio::time::interval(Duration::from_secs(1) / CHANGES);
    loop {
        period.tick().await;
        let object = pod("fleeting", random.usize(..FLEETING));
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        // Existing pods are deleted, missing ones created.
        if simulator.delete("pods", "workload", name).is_err() && simulator.create(&object).is_err() {
            continue;
        }
        let number = random.usize(..STEADY);
        if let Ok(mut steady) = simulator.get("pods", "workload", &format!("steady-{number}")) {
            steady["status"]["message"] = json!(format!("change {}", random.u32(..)));
            let _ = simulator.update(&steady);
        }
    }
}

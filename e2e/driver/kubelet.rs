//! Plays the kubelet for a StatefulSet's pods: runs a process for each, with the environment and arguments that its container
//! asks for, writes address and readiness into the pod's status, and ends it with SIGTERM, its grace period and SIGKILL.
//!
//! What goes wrong on nodes is played here too, by what a case writes on the [`Board`]: images that take long, pods that
//! cannot be scheduled, containers that crash again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::api::{Api, name, uid};
use crate::certificates::trusting;
use crate::http::{get_secured, get_within};
use crate::process::{Process, Signal};
use crate::replica::Endpoints;

/// How often pods and probes are looked at.
const PERIOD: Duration = Duration::from_millis(200);
/// How long a probe may take.
const PROBE_LIMIT: Duration = Duration::from_secs(1);
/// The grace period of a pod that names none.
const DEFAULT_GRACE: u64 = 30;

/// What a case and the kubelet tell each other. Never locked across an await.
#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<Orders>>);

/// What is on a [`Board`].
#[derive(Default)]
pub struct Orders {
    /// How long a container waits before it starts, as for its image, also when it starts again.
    pub start_delay: Duration,
    /// Ordinals whose pods find no node.
    pub pending: BTreeSet<u8>,
    /// Ordinals whose containers are killed so long after each start.
    pub crashing: BTreeMap<u8, Duration>,
    /// Ordinals whose next containers use another kubeconfig.
    pub kubeconfigs: BTreeMap<u8, PathBuf>,
    /// The processes that run, by ordinal: written by the kubelet.
    pub running: BTreeMap<u8, Running>,
    /// Pods that were killed after their grace period: written by the kubelet.
    pub overdue: Vec<String>,
}

/// A running process.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    pub process: u32,
    pub at: Endpoints,
    /// Whether a case has stopped it with SIGSTOP.
    pub paused: bool,
}

impl Board {
    pub fn lock(&self) -> MutexGuard<'_, Orders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the kubelet runs, whatever image a pod names.
pub struct Kubelet {
    pub api: Api,
    /// The pods' collection.
    pub collection: String,
    /// Selects them.
    pub selector: String,
    /// The program.
    pub program: PathBuf,
    /// The kubeconfig that stands for the in-cluster access of a pod.
    pub kubeconfig: PathBuf,
    /// Where logs go.
    pub directory: PathBuf,
    /// The address of the pod with ordinal 0; the others follow.
    pub first_address: Ipv4Addr,
    pub port: u16,
    pub telemetry_port: u16,
    pub board: Board,
}

/// A pod that was seen.
struct Pod {
    ordinal: u8,
    at: Endpoints,
    process: Option<Process>,
    /// When its container was started, or may be.
    since: Instant,
    /// When SIGTERM was sent, if it was.
    ending: Option<Instant>,
    /// Phase and readiness that its status has, none before the first.
    reported: Option<(&'static str, bool)>,
}

impl Kubelet {
    /// Runs until dropped; then all processes are killed.
    pub async fn run(self) {
        let mut pods = BTreeMap::new();
        loop {
            if let Err(error) = self.step(&mut pods).await {
                // The next step tries again; whoever waits for the pods in vain finds this.
                self.note(&format!("{error:#}"));
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    async fn step(&self, pods: &mut BTreeMap<String, Pod>) -> Result<()> {
        let listed = self.api.list(&format!("{}?labelSelector={}", self.collection, self.selector)).await?;
        let mut objects = BTreeMap::new();
        for object in listed {
            objects.insert(uid(&object).context("a pod without a UID")?, object);
        }
        pods.retain(|known, pod| {
            let there = objects.contains_key(known);
            if !there && pod.process.is_some() {
                self.board.lock().running.remove(&pod.ordinal);
            }
            there
        });
        for (known, object) in &objects {
            if !pods.contains_key(known) {
                pods.insert(known.clone(), self.admit(object)?);
            }
        }
        // At once: a pod whose probe hangs must not hold up the others.
        let tended =
            pods.iter_mut().filter_map(|(known, pod)| Some((objects.get(known)?, pod))).map(async |(object, pod)| {
                if object["metadata"]["deletionTimestamp"].is_string() {
                    self.end(object, pod).await
                } else {
                    self.keep(object, pod).await
                }
            });
        join_all(tended).await.into_iter().collect()
    }

    /// Gives a new pod its address.
    fn admit(&self, object: &Value) -> Result<Pod> {
        let name = name(object).context("a pod without a name")?;
        let ordinal: u8 = name.rsplit('-').next().unwrap_or_default().parse().with_context(|| name.clone())?;
        let [a, b, c, d] = self.first_address.octets();
        let address = Ipv4Addr::new(a, b, c, d.checked_add(ordinal).context("too many pods")?);
        let at = Endpoints { address, port: self.port, telemetry_port: self.telemetry_port };
        let since = Instant::now() + self.board.lock().start_delay;
        Ok(Pod { ordinal, at, process: None, since, ending: None, reported: None })
    }

    /// Keeps a pod running and its status true.
    async fn keep(&self, object: &Value, pod: &mut Pod) -> Result<()> {
        if pod.process.is_none() && self.board.lock().pending.contains(&pod.ordinal) {
            // Nothing is known of its node; from when it has one its container starts as any other.
            pod.since = Instant::now() + self.board.lock().start_delay;
            return Ok(());
        }
        if pod.reported.is_none() {
            self.report(object, pod, false).await?; // The address first: the container may ask for it.
            return Ok(());
        }
        self.crash(pod)?;
        if let Some(status) = self.reap(pod)? {
            self.note(&format!("{} ended ({status}) and is started again", object["metadata"]["name"]));
            pod.since = Instant::now() + self.board.lock().start_delay;
        }
        if pod.process.is_none() && Instant::now() >= pod.since {
            self.start(object, pod)?;
        }
        let ready = pod.process.is_some() && self.probe(object, pod.at).await?;
        if pod.reported != Some((phase(pod), ready)) {
            self.report(object, pod, ready).await?;
        }
        Ok(())
    }

    /// Ends a pod that is being deleted: SIGTERM, its grace period, SIGKILL.
    async fn end(&self, object: &Value, pod: &mut Pod) -> Result<()> {
        self.reap(pod)?;
        let Some(process) = &pod.process else {
            self.api.delete(&self.path(object)).await?;
            return Ok(());
        };
        let grace = object["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(DEFAULT_GRACE);
        match pod.ending {
            None => {
                process.signal(Signal::TERM)?;
                pod.ending = Some(Instant::now());
            }
            Some(since) if since.elapsed() > Duration::from_secs(grace) => {
                let name = name(object).unwrap_or_default();
                self.note(&format!("{name} is killed after its grace period of {grace} s"));
                self.board.lock().overdue.push(name);
                process.signal(Signal::KILL)?;
                // Not twice.
                pod.ending = Some(Instant::now());
            }
            Some(_) => {}
        }
        let ready = self.probe(object, pod.at).await?;
        if pod.reported != Some((phase(pod), ready)) {
            self.report(object, pod, ready).await?;
        }
        Ok(())
    }

    /// Kills the container if a case wants it to crash and its time has come.
    fn crash(&self, pod: &Pod) -> Result<()> {
        let Some(process) = &pod.process else { return Ok(()) };
        let life = self.board.lock().crashing.get(&pod.ordinal).copied();
        if life.is_some_and(|life| pod.since.elapsed() > life) { process.signal(Signal::KILL) } else { Ok(()) }
    }

    /// How the pod's process ended, if it did just now. In one step with its leaving the board: what is on the board can be
    /// sent a signal.
    fn reap(&self, pod: &mut Pod) -> Result<Option<std::process::ExitStatus>> {
        let mut board = self.board.lock();
        let Some(process) = &mut pod.process else { return Ok(None) };
        let ended = process.ended()?;
        if ended.is_some() {
            pod.process = None;
            board.running.remove(&pod.ordinal);
        }
        Ok(ended)
    }

    fn path(&self, object: &Value) -> String {
        format!("{}/{}", self.collection, object["metadata"]["name"].as_str().unwrap_or_default())
    }

    /// Starts the process of the pod's first container.
    fn start(&self, object: &Value, pod: &mut Pod) -> Result<()> {
        let container = &object["spec"]["containers"][0];
        let environment = environment(object, container, pod.at)?;
        let mut board = self.board.lock();
        let mut forced = pod.at.flags();
        let kubeconfig = board.kubeconfigs.get(&pod.ordinal).unwrap_or(&self.kubeconfig);
        forced.push(format!("--kubeconfig={}", kubeconfig.display()));
        let given = container["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let arguments = replace_flags(given.map(|argument| expand(argument, &environment)), &forced);
        let log = self.directory.join(format!("{}.log", object["metadata"]["name"].as_str().unwrap_or_default()));
        let process = Process::start(&self.program, &arguments, &environment, &log, None)?;
        board.running.insert(pod.ordinal, Running { process: process.id(), at: pod.at, paused: false });
        pod.process = Some(process);
        pod.since = Instant::now();
        Ok(())
    }

    /// Asks as the readiness probe of the container does.
    async fn probe(&self, object: &Value, at: Endpoints) -> Result<bool> {
        let container = &object["spec"]["containers"][0];
        let probe = &container["readinessProbe"]["httpGet"];
        let path = probe["path"].as_str().context("a container without an HTTP readiness probe")?;
        let port = match &probe["port"] {
            Value::String(name) => container["ports"]
                .as_array()
                .and_then(|ports| ports.iter().find(|port| port["name"] == name.as_str()))
                .and_then(|port| port["containerPort"].as_u64())
                .with_context(|| format!("no port is called {name}"))?,
            number => number.as_u64().context("a probe without a port")?,
        };
        // No answer is "not ready", not an error.
        let answer = if probe["scheme"] == "HTTPS" {
            let url = format!("https://{}:{port}{path}", at.address);
            timeout(PROBE_LIMIT, get_secured(&trusting()?, "any", &url, &[]))
                .await
                .unwrap_or_else(|late| Err(late.into()))
        } else {
            get_within(PROBE_LIMIT, &format!("http://{}:{port}{path}", at.address)).await
        };
        Ok(answer.is_ok_and(|answer| answer.status.is_success()))
    }

    async fn report(&self, object: &Value, pod: &mut Pod, ready: bool) -> Result<()> {
        let status = json!({ "status": {
            "phase": phase(pod),
            "podIP": pod.at.address,
            "podIPs": [{ "ip": pod.at.address }],
            "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" } }],
        }});
        self.api.patch(&format!("{}/status", self.path(object)), &status).await?;
        pod.reported = Some((phase(pod), ready));
        Ok(())
    }

    fn note(&self, line: &str) {
        let file = std::fs::File::options().create(true).append(true).open(self.directory.join("kubelet.log"));
        // A log that cannot be written is no reason to let the pods down.
        let _ = file.and_then(|mut file| writeln!(file, "{} {line}", jiff::Timestamp::now()));
    }
}

/// The phase of a pod.
fn phase(pod: &Pod) -> &'static str {
    if pod.process.is_some() { "Running" } else { "Pending" }
}

/// `arguments` without those whose flags `forced` sets, then `forced`.
pub fn replace_flags(arguments: impl Iterator<Item = String>, forced: &[String]) -> Vec<String> {
    let flag = |argument: &str| argument.split('=').next().unwrap_or_default().to_owned();
    arguments
        .filter(|argument| forced.iter().all(|each| flag(each) != flag(argument)))
        .chain(forced.iter().cloned())
        .collect()
}

/// The container's environment, downward API included.
fn environment(object: &Value, container: &Value, at: Endpoints) -> Result<Vec<(String, String)>> {
    let mut environment: Vec<(String, String)> = Vec::new();
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().context("a variable without a name")?;
        let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
            Some(path) => field(object, path, at)?,
            None => expand(variable["value"].as_str().unwrap_or_default(), &environment),
        };
        environment.push((name.to_owned(), value));
    }
    Ok(environment)
}

/// A field of the downward API.
fn field(object: &Value, path: &str, at: Endpoints) -> Result<String> {
    let value = match path {
        "status.podIP" => return Ok(at.address.to_string()),
        "metadata.name" | "metadata.namespace" | "metadata.uid" | "spec.nodeName" | "spec.serviceAccountName" => {
            object.pointer(&format!("/{}", path.replace('.', "/")))
        }
        _ => {
            let (map, key) = path.split_once("['").with_context(|| format!("unknown field {path}"))?;
            let map = object.pointer(&format!("/{}", map.replace('.', "/")));
            map.and_then(|map| map.get(key.trim_end_matches("']")))
        }
    };
    // As a kubelet: a label or annotation that is not there is empty.
    Ok(value.and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// Replaces `$(NAME)` by the variable's value.
fn expand(text: &str, environment: &[(String, String)]) -> String {
    environment.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("$({name})"), value))
}

//! Plays the kubelet for the pods of a StatefulSet: runs a process for each pod, with the environment and arguments of its container,
//! writes address and readiness into the pod's status, and ends it with SIGTERM, the grace period and SIGKILL.
//!
//! It also plays failures of nodes, as a case writes them on the [`Board`]: slow image pulls, pods that cannot be scheduled,
//! containers in a crash loop.

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

/// How often pods and probes are checked.
const PERIOD: Duration = Duration::from_millis(200);
/// How long a probe may take.
const PROBE_LIMIT: Duration = Duration::from_secs(1);
/// The default grace period of a pod.
const DEFAULT_GRACE: u64 = 30;

/// The state that a case and the kubelet share. Never locked across an await.
#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<Orders>>);

/// The content of a [`Board`].
#[derive(Default)]
pub struct Orders {
    /// How long a container waits before each start, as for an image pull.
    pub start_delay: Duration,
    /// Ordinals whose pods are not scheduled.
    pub pending: BTreeSet<u8>,
    /// Ordinals whose containers are killed after each start, and the time until then.
    pub crashing: BTreeMap<u8, Duration>,
    /// Kubeconfigs that the next containers of these ordinals use.
    pub kubeconfigs: BTreeMap<u8, PathBuf>,
    /// The addresses that the next containers of these ordinals have by their environment: those of proxies before them.
    pub proxied: BTreeMap<u8, Ipv4Addr>,
    /// Variables that are added to the environment of the next containers of these ordinals.
    pub environment: BTreeMap<u8, Vec<(String, String)>>,
    /// Whether a pod that vanished from the API server ends like a deleted one, with SIGTERM and its grace period, as in a kubelet.
    /// Otherwise its process is killed, as on a lost node.
    pub graceful_vanishing: bool,
    /// The running processes, by ordinal; the kubelet writes them.
    pub running: BTreeMap<u8, Running>,
    /// Pods that were killed after their grace period; the kubelet writes them.
    pub overdue: Vec<String>,
}

impl Orders {
    /// Returns the address that the Pod has for the API server and for its next container.
    fn address(&self, pod: &Pod) -> Ipv4Addr {
        self.proxied.get(&pod.ordinal).copied().unwrap_or(pod.at.address)
    }
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

/// The kubelet. It runs the same program for every image.
pub struct Kubelet {
    pub api: Api,
    /// The pods' collection.
    pub collection: String,
    /// The label selector of the pods.
    pub selector: String,
    /// The program that it runs.
    pub program: PathBuf,
    /// The kubeconfig that replaces the in-cluster access of a pod.
    pub kubeconfig: PathBuf,
    /// The directory of the logs.
    pub directory: PathBuf,
    /// The address of the pod with ordinal 0; the others follow.
    pub first_address: Ipv4Addr,
    pub port: u16,
    pub telemetry_port: u16,
    pub fleet_port: u16,
    pub board: Board,
}

/// A known pod.
struct Pod {
    ordinal: u8,
    at: Endpoints,
    /// As the API server had it last.
    object: Value,
    process: Option<Process>,
    /// The time of the last start of its container, or of the next one.
    since: Instant,
    /// The time of SIGTERM.
    ending: Option<Instant>,
    /// Phase and readiness in its status, once written.
    reported: Option<(&'static str, bool)>,
}

impl Kubelet {
    /// Runs until dropped, which kills all processes.
    pub async fn run(self) {
        let mut pods = BTreeMap::new();
        loop {
            if let Err(error) = self.step(&mut pods).await {
                // The next step tries again. The log explains why pods do not become ready.
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
            let mut board = self.board.lock();
            let stays = objects.contains_key(known) || board.graceful_vanishing && pod.process.is_some();
            if !stays && pod.process.is_some() {
                board.running.remove(&pod.ordinal);
            }
            stays
        });
        for (known, object) in &objects {
            match pods.get_mut(known) {
                Some(pod) => pod.object.clone_from(object),
                None => drop(pods.insert(known.clone(), self.admit(object)?)),
            }
        }
        // Concurrently: a pod whose probe hangs must not delay the others.
        let tended = pods.iter_mut().map(async |(known, pod)| {
            let object = pod.object.clone();
            if !objects.contains_key(known) {
                self.terminate(&object, pod)
            } else if object["metadata"]["deletionTimestamp"].is_string() {
                self.end(&object, pod).await
            } else {
                self.keep(&object, pod).await
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
        let at =
            Endpoints { address, port: self.port, telemetry_port: self.telemetry_port, fleet_port: self.fleet_port };
        let since = Instant::now() + self.board.lock().start_delay;
        Ok(Pod { ordinal, at, object: object.clone(), process: None, since, ending: None, reported: None })
    }

    /// Keeps a pod running and its status up to date.
    async fn keep(&self, object: &Value, pod: &mut Pod) -> Result<()> {
        if pod.process.is_none() && self.board.lock().pending.contains(&pod.ordinal) {
            // The start delay begins when the pod is scheduled.
            pod.since = Instant::now() + self.board.lock().start_delay;
            return Ok(());
        }
        if pod.reported.is_none() {
            // The address first: the container may need it.
            self.report(object, pod, false).await?;
            return Ok(());
        }
        self.crash(pod)?;
        if let Some(status) = self.reap(pod)? {
            self.note(&format!("{} ended ({status}) and starts again", object["metadata"]["name"]));
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

    /// Ends a pod that is being deleted, and reports its state until then.
    async fn end(&self, object: &Value, pod: &mut Pod) -> Result<()> {
        self.terminate(object, pod)?;
        if pod.process.is_none() {
            self.api.delete(&self.path(object)).await?;
            return Ok(());
        }
        let ready = self.probe(object, pod.at).await?;
        if pod.reported != Some((phase(pod), ready)) {
            self.report(object, pod, ready).await?;
        }
        Ok(())
    }

    /// Ends the process of a pod: SIGTERM, its grace period, SIGKILL.
    fn terminate(&self, object: &Value, pod: &mut Pod) -> Result<()> {
        self.reap(pod)?;
        let Some(process) = &pod.process else { return Ok(()) };
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
                // So that this happens once.
                pod.ending = Some(Instant::now());
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Kills the container if the case wants it to crash now.
    fn crash(&self, pod: &Pod) -> Result<()> {
        let Some(process) = &pod.process else { return Ok(()) };
        let life = self.board.lock().crashing.get(&pod.ordinal).copied();
        if life.is_some_and(|life| pod.since.elapsed() > life) { process.signal(Signal::KILL) } else { Ok(()) }
    }

    /// Returns the exit status of the pod's process if it has just ended, and removes the process from the board under the same lock:
    /// every process on the board can receive a signal.
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
        let mut board = self.board.lock();
        let address = board.address(pod);
        let mut environment = environment(object, container, address)?;
        environment.extend(board.environment.get(&pod.ordinal).into_iter().flatten().cloned());
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

    /// Runs the readiness probe of the container.
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
        // No answer means "not ready" and is not an error.
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
        // The same as in the container's environment: a replica that finds another one takes its Pod for a deleted one.
        let address = self.board.lock().address(pod);
        let status = json!({ "status": {
            "phase": phase(pod),
            "podIP": address,
            "podIPs": [{ "ip": address }],
            "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" } }],
        }});
        self.api.patch(&format!("{}/status", self.path(object)), &status).await?;
        pod.reported = Some((phase(pod), ready));
        Ok(())
    }

    fn note(&self, line: &str) {
        let file = std::fs::File::options().create(true).append(true).open(self.directory.join("kubelet.log"));
        // The pods do not depend on the log.
        let _ = file.and_then(|mut file| writeln!(file, "{} {line}", jiff::Timestamp::now()));
    }
}

/// The phase of a pod.
fn phase(pod: &Pod) -> &'static str {
    if pod.process.is_some() { "Running" } else { "Pending" }
}

/// Returns `arguments` without the flags that `forced` sets, followed by `forced`.
pub fn replace_flags(arguments: impl Iterator<Item = String>, forced: &[String]) -> Vec<String> {
    let flag = |argument: &str| argument.split('=').next().unwrap_or_default().to_owned();
    arguments
        .filter(|argument| forced.iter().all(|each| flag(each) != flag(argument)))
        .chain(forced.iter().cloned())
        .collect()
}

/// The container's environment, downward API included.
fn environment(object: &Value, container: &Value, address: Ipv4Addr) -> Result<Vec<(String, String)>> {
    let mut environment: Vec<(String, String)> = Vec::new();
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().context("a variable without a name")?;
        let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
            Some(path) => field(object, path, address)?,
            None => expand(variable["value"].as_str().unwrap_or_default(), &environment),
        };
        environment.push((name.to_owned(), value));
    }
    Ok(environment)
}

/// A field of the downward API.
fn field(object: &Value, path: &str, address: Ipv4Addr) -> Result<String> {
    let value = match path {
        "status.podIP" => return Ok(address.to_string()),
        "metadata.name" | "metadata.namespace" | "metadata.uid" | "spec.nodeName" | "spec.serviceAccountName" => {
            object.pointer(&format!("/{}", path.replace('.', "/")))
        }
        _ => {
            let (map, key) = path.split_once("['").with_context(|| format!("unknown field {path}"))?;
            let map = object.pointer(&format!("/{}", map.replace('.', "/")));
            map.and_then(|map| map.get(key.trim_end_matches("']")))
        }
    };
    // As in a kubelet, a missing label or annotation is empty.
    Ok(value.and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// Replaces `$(NAME)` by the variable's value.
fn expand(text: &str, environment: &[(String, String)]) -> String {
    environment.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("$({name})"), value))
}

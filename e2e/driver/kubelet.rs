//! Plays the kubelet for a StatefulSet's pods: runs a process for each, with the environment and arguments that its container
//! asks for, and writes address and readiness into the pod's status.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::api::{Api, name, uid};
use crate::http::get;
use crate::process::Process;
use crate::replica::Endpoints;

/// How often pods and probes are looked at.
const PERIOD: Duration = Duration::from_millis(200);

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
}

/// A pod that was seen.
struct Pod {
    at: Endpoints,
    process: Option<Process>,
    /// Whether SIGTERM was sent.
    ending: bool,
    /// The readiness that its status has, none before the first.
    reported: Option<bool>,
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
        pods.retain(|known, _| listed.iter().any(|object| uid(object).as_deref() == Some(known)));
        for object in &listed {
            let known = uid(object).context("a pod without a UID")?;
            if !pods.contains_key(&known) {
                pods.insert(known.clone(), self.admit(object)?);
            }
            let Some(pod) = pods.get_mut(&known) else { continue };
            if object["metadata"]["deletionTimestamp"].is_string() {
                self.end(object, pod).await?;
            } else {
                self.keep(object, pod).await?;
            }
        }
        Ok(())
    }

    /// Gives a new pod its address.
    fn admit(&self, object: &Value) -> Result<Pod> {
        let name = name(object).context("a pod without a name")?;
        let ordinal: u8 = name.rsplit('-').next().unwrap_or_default().parse().with_context(|| name.clone())?;
        let [a, b, c, d] = self.first_address.octets();
        let address = Ipv4Addr::new(a, b, c, d.checked_add(ordinal).context("too many pods")?);
        let at = Endpoints { address, port: self.port, telemetry_port: self.telemetry_port };
        Ok(Pod { at, process: None, ending: false, reported: None })
    }

    /// Keeps a pod running and its status true.
    async fn keep(&self, object: &Value, pod: &mut Pod) -> Result<()> {
        if pod.reported.is_none() {
            self.report(object, pod, false).await?; // The address first: the container may ask for it.
            return Ok(());
        }
        let ended = match &mut pod.process {
            Some(process) => process.ended()?,
            None => {
                pod.process = Some(self.start(object, pod.at)?);
                None
            }
        };
        if let Some(status) = ended {
            self.note(&format!("{} ended ({status}) and is started again", object["metadata"]["name"]));
            pod.process = None;
        }
        let ready = pod.process.is_some() && self.probe(object, pod.at).await?;
        if pod.reported != Some(ready) {
            self.report(object, pod, ready).await?;
        }
        Ok(())
    }

    /// Ends a pod that is being deleted, as gently as the process wants; the case has a limit of its own.
    async fn end(&self, object: &Value, pod: &mut Pod) -> Result<()> {
        if let Some(process) = &mut pod.process {
            if process.ended()?.is_none() {
                if !pod.ending {
                    process.terminate()?;
                    pod.ending = true;
                }
                return Ok(());
            }
            pod.process = None;
        }
        self.api.delete(&self.path(object)).await?;
        Ok(())
    }

    fn path(&self, object: &Value) -> String {
        format!("{}/{}", self.collection, object["metadata"]["name"].as_str().unwrap_or_default())
    }

    /// Starts the process of the pod's first container.
    fn start(&self, object: &Value, at: Endpoints) -> Result<Process> {
        let container = &object["spec"]["containers"][0];
        let environment = environment(object, container, at)?;
        let mut forced = at.flags();
        forced.push(format!("--kubeconfig={}", self.kubeconfig.display()));
        let flag = |argument: &str| argument.split('=').next().unwrap_or_default().to_owned();
        let arguments: Vec<String> = container["args"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|argument| expand(argument, &environment))
            .filter(|argument| forced.iter().all(|each| flag(each) != flag(argument)))
            .chain(forced.iter().cloned())
            .collect();
        let log = self.directory.join(format!("{}.log", object["metadata"]["name"].as_str().unwrap_or_default()));
        Process::start(&self.program, &arguments, &environment, &log, None)
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
        let answer = get(&format!("http://{}:{port}{path}", at.address), &[]).await;
        Ok(answer.is_ok_and(|answer| answer.status.is_success()))
    }

    async fn report(&self, object: &Value, pod: &mut Pod, ready: bool) -> Result<()> {
        let status = json!({ "status": {
            "phase": if pod.process.is_some() { "Running" } else { "Pending" },
            "podIP": pod.at.address,
            "podIPs": [{ "ip": pod.at.address }],
            "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" } }],
        }});
        self.api.patch(&format!("{}/status", self.path(object)), &status).await?;
        pod.reported = Some(ready);
        Ok(())
    }

    fn note(&self, line: &str) {
        let file = std::fs::File::options().create(true).append(true).open(self.directory.join("kubelet.log"));
        // A log that cannot be written is no reason to let the pods down.
        let _ = file.and_then(|mut file| writeln!(file, "{line}"));
    }
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

//! The fleet as `manifests/` deploys it: a StatefulSet, whose pods [`Kubelet`] runs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::api::{self, Api};
use crate::cluster::Cluster;
use crate::kubelet::{Board, Kubelet, Running, replace_flags};
use crate::process::{Signal, signal};
use crate::proxy::Proxy;
use crate::replica::Endpoints;
use crate::series;
use crate::stage::{Size, Stage};
use crate::wait::until;

/// The last byte of the first replica's address.
const FIRST_HOST: u8 = 10;
/// The last byte of the address of the proxy before the first replica.
const FIRST_PROXY: u8 = 110;
/// How long the replicas may take to become ready.
const READY_LIMIT: Duration = Duration::from_secs(90);
/// Makes audits frequent; in production the coordinator makes one a minute.
const AUDITS: &str = "--audit-interval=5s";
/// The flags of the handover cases: one series per object, so that frequent scrapes are cheap.
pub const LEAN: [&str; 2] = ["--resources=pods", "--metric-allowlist=kube_pod_info"];

/// The options of a fleet.
pub struct Options {
    pub replicas: u8,
    /// Flags that are added to those of the manifest, or replace them.
    pub flags: Vec<String>,
    /// The kubeconfig of its pods; None selects the administrator's.
    pub kubeconfig: Option<PathBuf>,
    /// Whether the replicas have the permissions to coordinate. Otherwise each is a static shard.
    pub coordinated: bool,
    /// How many replicas the others reach through a proxy: those with the lowest ordinals.
    pub proxied: u8,
    pub board: Board,
    /// The name of its StatefulSet, if it is not that of the manifest.
    pub name: Option<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            replicas: 2,
            flags: Vec::new(),
            kubeconfig: None,
            coordinated: true,
            proxied: 0,
            board: Board::default(),
            name: None,
        }
    }
}

impl Options {
    /// A fleet with the flags of [`LEAN`] and these.
    pub fn lean(replicas: u8, flags: &[&str]) -> Self {
        let flags = LEAN.iter().chain(flags).map(|&flag| flag.to_owned()).collect();
        Self { replicas, flags, ..Self::default() }
    }
}

/// A running fleet.
pub struct Fleet {
    /// The replicas with which it started, by ordinal.
    pub replicas: Vec<Endpoints>,
    /// Key and value of the label that selects its pods.
    pub label: (String, String),
    /// The proxies before its replicas, by ordinal.
    pub proxies: Vec<Proxy>,
    /// Shared with the kubelet.
    pub board: Board,
    api: Api,
    /// Path of the StatefulSet.
    path: String,
    name: String,
    /// The containers of its template: those of the manifest with the flags of [`Options`].
    containers: Value,
    coordinated: bool,
    rolls: AtomicU32,
    kubelet: JoinHandle<()>,
}

impl Fleet {
    /// Starts `count` replicas and waits until they are ready.
    pub async fn start(stage: &Stage, cluster: &Cluster, count: u8) -> Result<Self> {
        Self::start_with(stage, cluster, Options { replicas: count, ..Options::default() }).await
    }

    /// Starts a fleet and waits until all replicas are ready.
    pub async fn start_with(stage: &Stage, cluster: &Cluster, options: Options) -> Result<Self> {
        let count = options.replicas;
        let [port, telemetry_port, fleet_port] =
            [stage.free_port(FIRST_HOST)?, stage.free_port(FIRST_HOST)?, stage.free_port(FIRST_HOST)?];
        let ports = [port, telemetry_port, fleet_port];
        let statefulset = statefulset(stage, &cluster.api.namespace, ports, &options)?;
        let label = "app.kubernetes.io/name";
        let value = statefulset["spec"]["selector"]["matchLabels"][label].as_str();
        let value = value.with_context(|| format!("the StatefulSet does not select by {label}"))?.to_owned();
        let mut proxies = Vec::new();
        for ordinal in 0..options.proxied {
            let (proxy, replica) = (stage.address(FIRST_PROXY + ordinal), stage.address(FIRST_HOST + ordinal));
            proxies.push(Proxy::forward((proxy, fleet_port).into(), (replica, fleet_port).into()).await?);
            options.board.lock().proxied.insert(ordinal, proxy);
        }
        let kubelet = Kubelet {
            api: cluster.api.clone(),
            collection: cluster.api.core("pods"),
            selector: format!("{label}%3D{value}"),
            program: stage.exporter()?,
            kubeconfig: options.kubeconfig.unwrap_or_else(|| cluster.kubeconfig.clone()),
            directory: stage.directory.clone(),
            first_address: stage.address(FIRST_HOST),
            port,
            telemetry_port,
            fleet_port,
            board: options.board.clone(),
        };
        let collection = format!("/apis/apps/v1/namespaces/{}/statefulsets", cluster.api.namespace);
        cluster.api.create(&collection, &statefulset).await?;
        let replicas = (0..count)
            .map(|i| Endpoints { address: stage.address(FIRST_HOST + i), port, telemetry_port, fleet_port })
            .collect();
        let name = statefulset["metadata"]["name"].as_str().context("a StatefulSet without a name")?.to_owned();
        let fleet = Self {
            replicas,
            proxies,
            label: (label.to_owned(), value),
            board: options.board,
            api: cluster.api.clone(),
            path: format!("{collection}/{name}"),
            name,
            containers: statefulset["spec"]["template"]["spec"]["containers"].clone(),
            coordinated: options.coordinated,
            rolls: AtomicU32::new(0),
            kubelet: tokio::spawn(kubelet.run()),
        };
        until("the fleet", READY_LIMIT, async || {
            let ready = cluster.api.get(&fleet.path).await?["status"]["readyReplicas"].as_u64().unwrap_or(0);
            ensure!(ready == u64::from(count), "{ready} of {count} replicas are ready");
            Ok(())
        })
        .await?;
        Ok(fleet)
    }

    /// Sets the number of replicas.
    pub async fn scale(&self, replicas: u8) -> Result<()> {
        self.api.patch(&self.path, &json!({ "spec": { "replicas": replicas } })).await.map(drop)
    }

    /// Replaces the labels of the StatefulSet by this one. The selector of its pods stays.
    pub async fn relabel(&self, key: &str, value: &str) -> Result<()> {
        let mut labels = self.api.get(&self.path).await?["metadata"]["labels"].take();
        labels.as_object_mut().into_iter().flatten().for_each(|(_, before)| *before = Value::Null);
        labels[key] = json!(value);
        self.api.patch(&self.path, &json!({ "metadata": { "labels": labels } })).await.map(drop)
    }

    /// Deletes the StatefulSet without its pods (`kubectl delete --cascade=orphan`), and creates it again after a while.
    pub async fn remake(&self, alone: Duration) -> Result<()> {
        let mut object = self.api.get(&self.path).await?;
        self.api.delete_with(&self.path, &json!({ "propagationPolicy": "Orphan" })).await?;
        // The garbage collector does not run here. It would remove the owner from the pods, then delete the StatefulSet.
        for pod in self.pods().await? {
            let name = api::name(&pod).context("a pod without a name")?;
            let free = json!({ "metadata": { "ownerReferences": null } });
            self.api.patch(&format!("{}/{name}", self.api.core("pods")), &free).await?;
        }
        self.api.patch(&self.path, &json!({ "metadata": { "finalizers": null } })).await?;
        until("the deletion of the StatefulSet", READY_LIMIT, async || {
            ensure!(self.api.get(&self.path).await.is_err(), "it is still there");
            Ok(())
        })
        .await?;
        tokio::time::sleep(alone).await;
        object["metadata"] = json!({ "name": self.name, "labels": object["metadata"]["labels"] });
        object["status"] = Value::Null;
        let collection = self.path.rsplit_once('/').map_or("", |(collection, _)| collection);
        self.api.create(collection, &object).await.map(drop)
    }

    /// Its pods.
    async fn pods(&self) -> Result<Vec<Value>> {
        let (key, value) = &self.label;
        self.api.list(&format!("{}?labelSelector={key}%3D{value}", self.api.core("pods"))).await
    }

    /// The administrator's access to its API server.
    pub const fn api(&self) -> &Api {
        &self.api
    }

    /// Deletes the pod of a replica, so that the StatefulSet makes a new one.
    pub async fn delete_pod(&self, ordinal: u8) -> Result<()> {
        self.api.delete(&format!("{}/{}-{ordinal}", self.api.core("pods"), self.name)).await.map(drop)
    }

    /// Replaces the pods by new ones, with these flags and those that the fleet started with.
    pub async fn roll(&self, flags: &[&str]) -> Result<()> {
        let mut containers = self.containers.clone();
        set_flags(&mut containers[0], &flags.iter().map(|&flag| flag.to_owned()).collect::<Vec<_>>());
        let roll = self.rolls.fetch_add(1, Ordering::Relaxed).to_string();
        let template = json!({
            "metadata": { "annotations": { "kubectl.kubernetes.io/restartedAt": roll } },
            "spec": { "containers": containers },
        });
        self.api.patch(&self.path, &json!({ "spec": { "template": template } })).await.map(drop)
    }

    /// The processes that run and are not paused, with their ordinals.
    pub fn live(&self) -> Vec<(u8, Running)> {
        self.board.lock().running.iter().filter(|(_, each)| !each.paused).map(|(&o, &each)| (o, each)).collect()
    }

    /// Sends a replica's process a signal.
    pub fn signal(&self, ordinal: u8, what: Signal) -> Result<()> {
        let mut board = self.board.lock();
        let running = board.running.get_mut(&ordinal).with_context(|| format!("replica {ordinal} does not run"))?;
        signal(running.process, what)?;
        match what {
            Signal::STOP => running.paused = true,
            Signal::CONT => running.paused = false,
            _ => {}
        }
        Ok(())
    }

    /// The addresses of a replica.
    pub fn at(&self, ordinal: u8) -> Result<Endpoints> {
        let board = self.board.lock();
        Ok(board.running.get(&ordinal).with_context(|| format!("replica {ordinal} does not run"))?.at)
    }

    /// Creates a Lease that announces a member a second time, under another ordinal. The case must renew it.
    pub async fn claim(&self, ordinal: u8, member: u8) -> Result<()> {
        const SAYS: &str = "kube-state-fleet.io/member";
        let mut lease = self.api.get(&format!("{}/{}", self.leases(), self.lease(member))).await?;
        let text = lease["metadata"]["annotations"][SAYS].as_str().context("a Lease that says nothing")?;
        let mut said: Value = serde_json::from_str(text)?;
        said["id"] = json!({ "ordinal": ordinal, "pod": "a-claim", "nonce": 1 });
        lease["metadata"] = json!({
            "name": self.lease(ordinal),
            "labels": lease["metadata"]["labels"],
            "annotations": { SAYS: said.to_string() },
        });
        self.api.create(&self.leases(), &lease).await.map(drop)
    }

    /// Renews the Lease of [`Self::claim`].
    pub async fn renew(&self, ordinal: u8) -> Result<()> {
        let spec = json!({ "renewTime": format!("{:.6}", jiff::Timestamp::now()) });
        self.api.patch(&format!("{}/{}", self.leases(), self.lease(ordinal)), &json!({ "spec": spec })).await.map(drop)
    }

    /// Deletes the Lease of [`Self::claim`].
    pub async fn disclaim(&self, ordinal: u8) -> Result<()> {
        self.api.delete(&format!("{}/{}", self.leases(), self.lease(ordinal))).await.map(drop)
    }

    /// Path of a member's Lease, or without an ordinal of the record's.
    pub fn lease_path(&self, ordinal: Option<u8>) -> String {
        let name = ordinal.map_or_else(|| format!("kube-state-fleet.{}", self.name), |ordinal| self.lease(ordinal));
        format!("{}/{name}", self.leases())
    }

    /// Path of the Leases.
    fn leases(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", self.api.namespace)
    }

    /// The Leases of the fleet and of its members.
    pub async fn all_leases(&self) -> Result<Vec<Value>> {
        self.api
            .list(&format!("{}?labelSelector=kube-state-fleet.io%2Fstatefulset%3D{}", self.leases(), self.name))
            .await
    }

    /// Writes these Leases over those that exist, as a restored backup of the namespace does.
    pub async fn replace_leases(&self, leases: &[Value]) -> Result<()> {
        for lease in leases {
            let name = api::name(lease).context("a Lease without a name")?;
            self.api.replace(&format!("{}/{name}", self.leases()), lease).await?;
        }
        Ok(())
    }

    /// The name of a member's Lease.
    fn lease(&self, ordinal: u8) -> String {
        format!("kube-state-fleet.{}.{ordinal}", self.name)
    }

    /// The record in the fleet's Lease: the coordinator's ordinal, and the record as JSON.
    pub async fn record(&self) -> Result<(u8, Value)> {
        let lease = self.api.get(&format!("{}/kube-state-fleet.{}", self.leases(), self.name)).await?;
        let holder = lease["spec"]["holderIdentity"].as_str().context("a record without a holder")?;
        let ordinal = holder.split('_').next().unwrap_or_default().parse().with_context(|| holder.to_owned())?;
        let record = lease["metadata"]["annotations"]["kube-state-fleet.io/record"].as_str();
        Ok((ordinal, serde_json::from_str(record.context("a Lease without a record")?)?))
    }

    /// Waits until the record has a next generation and, if `switch`, its switch time. Returns the coordinator's ordinal.
    pub async fn changing(&self, switch: bool) -> Result<u8> {
        until("a handover", READY_LIMIT, async || {
            let (coordinator, record) = self.record().await?;
            let next = record["next"]["view"]["generation"].as_f64().context("no next generation is written")?;
            // The record does not show that a switch has taken place.
            let reached = self.generations().await?.into_iter().map(|(_, generation)| generation).fold(0.0, f64::max);
            ensure!(next > reached, "the next generation of the record, {next}, is the current one");
            ensure!(!switch || record["next"]["switch"].is_object(), "no switch time is set");
            Ok(coordinator)
        })
        .await
    }

    /// One of a replica's own metrics: the sum of the series that have these labels.
    pub async fn metric(&self, ordinal: u8, family: &str, labels: &[(&str, &str)]) -> Result<f64> {
        let text = self.at(ordinal)?.self_metrics().await?;
        metric(&text, family, labels).with_context(|| format!("replica {ordinal}"))
    }

    /// Waits until every other running replica knows that this one is absent, and no further one.
    pub async fn until_taken_over(&self, ordinal: u8, limit: Duration) -> Result<()> {
        until("a takeover", limit, async || {
            for (other, _) in self.live().into_iter().filter(|(other, _)| *other != ordinal) {
                let absent = self.metric(other, "kube_state_fleet_members", &[("state", "absent")]).await?;
                ensure!(absent == 1.0, "replica {other} counts {absent} absent members");
            }
            Ok(())
        })
        .await
    }

    /// Returns an error unless the pods match the StatefulSet and are ready, and the replicas agree.
    pub async fn ensure_settled(&self) -> Result<()> {
        let object = self.api.get(&self.path).await?;
        ensure!(object["status"]["observedGeneration"] == object["metadata"]["generation"], "not yet observed");
        let wanted = object["spec"]["replicas"].as_u64().context("no replicas")?;
        let pods = self.pods().await?;
        ensure!(pods.len() as u64 == wanted, "{} of {wanted} pods exist", pods.len());
        for pod in &pods {
            let (meta, name) = (&pod["metadata"], pod["metadata"]["name"].as_str().unwrap_or_default());
            ensure!(!meta["deletionTimestamp"].is_string(), "{name} is ending");
            let revision = &meta["labels"]["controller-revision-hash"];
            ensure!(*revision == object["status"]["updateRevision"], "{name} has an old revision");
            ensure!(is_ready(pod), "{name} is not ready");
        }
        let live = self.live();
        ensure!(live.len() as u64 == wanted, "{} of {wanted} replicas run", live.len());
        if self.coordinated { self.ensure_one_view(wanted).await } else { Ok(()) }
    }

    /// Returns an error unless all live replicas follow the same generation, no member is absent, and no handover is in progress.
    async fn ensure_one_view(&self, wanted: u64) -> Result<()> {
        let generations = self.generations().await?;
        ensure!(
            generations.windows(2).all(|two| two[0].1 == two[1].1),
            "the replicas follow different generations: {generations:?}"
        );
        for (ordinal, running) in self.live() {
            let text = running.at.self_metrics().await?;
            let state = |state| metric(&text, "kube_state_fleet_handover_state", &[("state", state)]);
            ensure!(state("idle")? == 1.0, "replica {ordinal} is not idle");
            let members = metric(&text, "kube_state_fleet_members", &[("state", "present")])?;
            ensure!(members == wanted as f64, "replica {ordinal} counts {members} members");
        }
        Ok(())
    }

    /// The generation that each live replica follows.
    pub async fn generations(&self) -> Result<Vec<(u8, f64)>> {
        let mut generations = Vec::new();
        for (ordinal, running) in self.live() {
            let text = running.at.self_metrics().await?;
            generations.push((ordinal, metric(&text, "kube_state_fleet_generation", &[])?));
        }
        Ok(generations)
    }

    /// The Kubernetes Events that the replicas have posted about the StatefulSet.
    pub async fn events(&self) -> Result<Vec<Value>> {
        let uid = self.api.get(&self.path).await?["metadata"]["uid"].clone();
        let all = self.api.list(&format!("/apis/events.k8s.io/v1/namespaces/{}/events", self.api.namespace)).await?;
        let ours =
            |event: &Value| event["regarding"]["uid"] == uid && event["reportingController"] == "kube-state-fleet";
        Ok(all.into_iter().filter(ours).collect())
    }

    /// Ends the fleet and deletes its objects in the API server.
    pub async fn remove(self) -> Result<()> {
        self.kubelet.abort();
        self.api.delete(&self.path).await?;
        let (key, value) = &self.label;
        let pods = self.api.core("pods");
        let fleet = format!("kube-state-fleet.io%2Fstatefulset%3D{}", self.name);
        for (collection, label) in [(pods, format!("{key}%3D{value}")), (self.leases(), fleet)] {
            for object in self.api.list(&format!("{collection}?labelSelector={label}")).await? {
                self.api.delete(&format!("{collection}/{}", api::name(&object).unwrap_or_default())).await?;
            }
        }
        Ok(())
    }

    /// The logs of its replicas, by pod name.
    pub fn logs(&self, stage: &Stage) -> Result<Vec<(String, String)>> {
        let mut logs = Vec::new();
        for entry in std::fs::read_dir(&stage.directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if let Some(pod) = name.strip_suffix(".log").filter(|pod| pod.starts_with(&format!("{}-", self.name))) {
                logs.push((pod.to_owned(), std::fs::read_to_string(stage.directory.join(&name))?));
            }
        }
        Ok(logs)
    }

    /// A scrape job for `/metrics`.
    pub fn scrape_job(&self, stage: &Stage, cluster: &Cluster, job: &str, compressed: bool) -> Value {
        let port = self.replicas.first().map_or(0, |at| at.port);
        self.job(stage, cluster, job, compressed, port)
    }

    /// A scrape job for the replicas' own metrics.
    pub fn telemetry_job(&self, stage: &Stage, cluster: &Cluster, job: &str) -> Value {
        let port = self.replicas.first().map_or(0, |at| at.telemetry_port);
        self.job(stage, cluster, job, true, port)
    }

    /// A scrape job that finds the fleet's pods through the API server, and no others: the addresses of other pods must not receive
    /// requests.
    fn job(&self, stage: &Stage, cluster: &Cluster, job: &str, compressed: bool, port: u16) -> Value {
        let [a, b, c, _] = stage.address(0).octets();
        let (label, value) = &self.label;
        let in_prometheus = label.replace(['.', '/'], "_");
        json!({
            "job_name": job,
            "enable_compression": compressed,
            "honor_labels": true,
            "kubernetes_sd_configs": [{
                "role": "pod",
                "api_server": cluster.server,
                "authorization": { "credentials": cluster.token },
                "tls_config": { "ca_file": cluster.ca_file },
                "namespaces": { "names": [cluster.api.namespace] },
                "selectors": [{ "role": "pod", "label": format!("{label}={value}") }],
            }],
            "relabel_configs": [
                {
                    "source_labels": [format!("__meta_kubernetes_pod_label_{in_prometheus}")],
                    "regex": value,
                    "action": "keep",
                },
                {
                    "source_labels": ["__address__"],
                    "regex": format!(r"{a}\.{b}\.{c}\.\d+:{port}"),
                    "action": "keep",
                },
                { "source_labels": ["__meta_kubernetes_pod_name"], "target_label": "replica" },
            ],
        })
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.kubelet.abort();
    }
}

/// The sum of the series of a family that have these labels; an error if there is none.
pub fn metric(text: &str, family: &str, labels: &[(&str, &str)]) -> Result<f64> {
    let values: Vec<f64> = series::of(text, family)
        .filter(|line| labels.iter().all(|(name, value)| series::label(line, name) == Some(*value)))
        .filter_map(series::value)
        .collect();
    if values.is_empty() {
        bail!("no {family} {labels:?}");
    }
    Ok(values.iter().sum())
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|each| each["type"] == "Ready" && each["status"] == "True"))
}

fn set_flags(container: &mut Value, flags: &[String]) {
    let given = container["args"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    container["args"] = replace_flags(given, flags).into();
}

/// The StatefulSet of `manifests/base`, with the fields that kustomize and the scheduler set: namespace, count, node, ports.
fn statefulset(
    stage: &Stage,
    namespace: &str,
    [port, telemetry_port, fleet_port]: [u16; 3],
    options: &Options,
) -> Result<Value> {
    let mut object = stage.manifest("statefulset.yaml")?;
    object["metadata"]["namespace"] = json!(namespace);
    object["spec"]["replicas"] = json!(options.replicas);
    if let Some(name) = options.name {
        object["metadata"]["name"] = json!(name);
        for labels in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
            object.pointer_mut(labels).context(labels)?["app.kubernetes.io/name"] = json!(name);
        }
    }
    let pod = &mut object["spec"]["template"]["spec"];
    pod["nodeName"] = json!("e2e-node");
    let container = &mut pod["containers"][0];
    for each in container["ports"].as_array_mut().into_iter().flatten() {
        each["containerPort"] = json!(match each["name"].as_str() {
            Some("metrics") => telemetry_port,
            Some("fleet") => fleet_port,
            _ => port,
        });
    }
    if options.flags.iter().any(|flag| flag.starts_with("--tls-config")) {
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            container[probe]["httpGet"]["scheme"] = json!("HTTPS");
        }
    }
    set_flags(container, &options.flags);
    if stage.size == Size::Ci {
        set_flags(container, &[AUDITS.to_owned()]);
    }
    Ok(object)
}

//! A control plane.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Api;
use crate::process::{Process, Signal};
use crate::stage::Stage;
use crate::wait::until;

/// How long the control plane may take to start.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long the shared control plane may take to start and to load its objects.
const SHARED_LIMIT: Duration = Duration::from_secs(300);

/// The options of a control plane.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Whether the StatefulSet controller runs.
    pub statefulsets: bool,
    /// API versions to disable, as `--runtime-config` of kube-apiserver.
    pub runtime_config: &'a str,
    /// Port of the API server; 0 selects a free one.
    pub port: u16,
    /// Disables the feature gate ShardedListAndWatch: the API server does not filter by ranges of a hash.
    pub unfiltered: bool,
    /// A snapshot of etcd that replaces its data, and what happens to its revision.
    pub restore: Option<(&'a Path, Revision)>,
}

/// The revision of a restored etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    /// That of the snapshot, so resourceVersions are assigned again.
    Repeated,
    /// Higher than any before, and earlier ones are compacted, as by `etcdutl snapshot restore --bump-revision --mark-compacted`.
    Raised,
}

impl Options<'_> {
    /// The options that a fleet requires.
    pub const FLEET: Self =
        Options { statefulsets: true, runtime_config: "", port: 0, unfiltered: false, restore: None };
}

/// Access of one case to a running control plane, its own or the shared one.
pub struct Cluster {
    /// Credentials of an administrator.
    pub kubeconfig: PathBuf,
    /// Address of the API server.
    pub server: String,
    /// File with the certificate of the authority that signed the API server's.
    pub ca_file: PathBuf,
    /// The administrator's token.
    pub token: String,
    /// The administrator's access; it knows the case's namespace.
    pub api: Api,
    etcd: String,
    /// None if other cases use the control plane too.
    process: Option<Process>,
}

/// The line that the control plane prints.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    kubeconfig: PathBuf,
    server: String,
    ca_file: PathBuf,
    token: String,
    etcd: String,
}

/// A cluster with an example of every problem that the dashboards show.
const TROUBLE: &str = include_str!("trouble.yaml");
/// One object of many kinds, with texts that are hard to quote.
const VARIETY: &str = include_str!("variety.yaml");

/// The control plane that most cases share. It runs the StatefulSet controller and has [`Stage::pods`] loaded pods, one object
/// of many kinds ([`VARIETY`]), and an example of every problem that the dashboards show ([`TROUBLE`]).
#[derive(Default)]
pub struct Shared {
    /// How it started; empty until then.
    started: OnceLock<Result<Ready, String>>,
}

impl Shared {
    /// Starts and fills the control plane for all cases. The control plane ends with the returned value.
    pub async fn start(&self, stage: &Stage) -> Option<Cluster> {
        let start = async {
            let mut cluster = Cluster::start(stage, Options::FLEET).await?;
            cluster.fill(stage, stage.pods()).await?;
            cluster.api.create_all(TROUBLE).await?;
            cluster.api.create_all(VARIETY).await?;
            anyhow::Ok(cluster)
        };
        let outcome = start.await;
        let ready = outcome.as_ref().map(Cluster::ready).map_err(|error| format!("{error:#}"));
        // No other caller sets it.
        let _ = self.started.set(ready);
        outcome.ok()
    }
}

impl Cluster {
    /// Starts a control plane for one case.
    pub async fn start(stage: &Stage, options: Options<'_>) -> Result<Self> {
        let cluster = Self::launch(stage, options, false).await?;
        cluster.create_namespace().await?;
        Ok(cluster)
    }

    /// The shared control plane.
    pub async fn shared(stage: &Stage) -> Result<Self> {
        let ready = until("the shared control plane", SHARED_LIMIT, async || {
            stage.shared.started.get().cloned().context("it has not started")
        });
        let ready = ready.await?.map_err(|error| anyhow!("the shared control plane: {error}"))?;
        let cluster = Self::connect(stage, ready, None).await?;
        cluster.create_namespace().await?;
        Ok(cluster)
    }

    /// The access to an API server of this process, which needs neither TLS nor credentials.
    pub fn simulated(stage: &Stage, server: &str) -> Result<Self> {
        let kubeconfig = stage.directory.join("kubeconfig");
        write_kubeconfig(&kubeconfig, &json!({ "server": server }), "")?;
        let client = kube::Client::try_from(kube::Config::new(server.parse()?))?;
        Ok(Self {
            kubeconfig,
            server: server.to_owned(),
            ca_file: PathBuf::new(),
            token: String::new(),
            api: Api::new(client, &stage.case),
            etcd: String::new(),
            process: None,
        })
    }

    async fn create_namespace(&self) -> Result<()> {
        let namespace = json!({ "metadata": { "name": self.api.namespace } });
        self.api.create("/api/v1/namespaces", &namespace).await.map(drop)
    }

    async fn connect(stage: &Stage, ready: Ready, process: Option<Process>) -> Result<Self> {
        let config = Kubeconfig::read_from(&ready.kubeconfig)?;
        let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
        let Ready { kubeconfig, server, ca_file, token, etcd } = ready;
        let api = Api::new(kube::Client::try_from(config)?, &stage.case);
        Ok(Self { api, kubeconfig, server, ca_file, token, etcd, process })
    }

    fn ready(&self) -> Ready {
        let Self { kubeconfig, server, ca_file, token, etcd, .. } = self;
        Ready {
            kubeconfig: kubeconfig.clone(),
            server: server.clone(),
            ca_file: ca_file.clone(),
            token: token.clone(),
            etcd: etcd.clone(),
        }
    }

    /// Writes a snapshot of etcd to a file of this name in the directory of the case.
    pub async fn save(&mut self, stage: &Stage, name: &str) -> Result<PathBuf> {
        let (written, kept) = (stage.directory.join("controlplane/snapshot.db"), stage.directory.join(name));
        self.own_process()?.signal(Signal::USR1)?;
        until("a snapshot of etcd", START_LIMIT, async || Ok(std::fs::rename(&written, &kept)?)).await?;
        Ok(kept)
    }

    /// Kills the control plane, replaces its data by a snapshot, and starts it again on the same port.
    pub async fn restore(&mut self, stage: &Stage, snapshot: &Path, revision: Revision) -> Result<()> {
        self.restart(stage, Options { restore: Some((snapshot, revision)), ..Options::FLEET }).await
    }

    /// Kills the control plane and starts it again with other options, on the same data and port.
    pub async fn restart(&mut self, stage: &Stage, options: Options<'_>) -> Result<()> {
        let port = self.server.rsplit(':').next().unwrap_or_default().parse().context("an address without a port")?;
        self.own_process()?.kill()?;
        *self = Self::launch(stage, Options { port, ..options }, true).await?;
        Ok(())
    }

    /// Stops the process of etcd and API server (SIGSTOP), or continues it.
    pub fn pause(&mut self, paused: bool) -> Result<()> {
        self.own_process()?.signal(if paused { Signal::STOP } else { Signal::CONT })
    }

    /// The process; an error if other cases use the control plane too.
    fn own_process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the control plane is shared")
    }

    async fn launch(stage: &Stage, options: Options<'_>, keep: bool) -> Result<Self> {
        let mut arguments = vec![
            format!("-port={}", options.port),
            format!("-statefulsets={}", options.statefulsets),
            format!("-runtime-config={}", options.runtime_config),
            format!("-feature-gates=ShardedListAndWatch={}", !options.unfiltered),
            format!("-keep={keep}"),
        ];
        if let Some((snapshot, revision)) = options.restore {
            arguments.push(format!("-restore={}", snapshot.display()));
            arguments.push(format!("-bump={}", revision == Revision::Raised));
        }
        let (ready, process) = start(stage, "controlplane", arguments).await?;
        Self::connect(stage, ready, Some(process)).await
    }

    /// Starts another API server on the etcd of this control plane, which it reaches at `etcd`, an address and a port. Returns its
    /// address; it ends with the process.
    pub async fn another_server(stage: &Stage, etcd: SocketAddr) -> Result<(SocketAddr, Process)> {
        let arguments = vec![format!("-etcd=http://{etcd}"), "-keep".to_owned()];
        let (ready, process) = start(stage, "controlplane-2", arguments).await?;
        Ok((address_of(&ready.server)?, process))
    }

    /// The address of etcd.
    pub fn etcd(&self) -> Result<SocketAddr> {
        address_of(&self.etcd)
    }

    /// The address of the API server.
    pub fn server_address(&self) -> Result<SocketAddr> {
        address_of(&self.server)
    }

    /// Changes the status of `rate` random pods per second until the returned process is dropped. The pods must exist.
    pub fn churn(&self, stage: &Stage, pods: usize, rate: u32) -> Result<Process> {
        Process::start(
            &stage.tool("load")?,
            &[
                format!("-kubeconfig={}", self.kubeconfig.display()),
                format!("-etcd={}", self.etcd),
                format!("-pods={pods}"),
                format!("-churn={rate}"),
                "-for=1h".to_owned(),
            ],
            &[],
            &stage.directory.join("churn.log"),
            None,
        )
    }

    /// Fills the cluster with pods and the objects that belong to them.
    pub async fn fill(&mut self, stage: &Stage, pods: usize) -> Result<()> {
        self.own_process()?.ensure_running().context("the control plane")?;
        let mut load = Process::start(
            &stage.tool("load")?,
            &[
                format!("-kubeconfig={}", self.kubeconfig.display()),
                format!("-etcd={}", self.etcd),
                format!("-pods={pods}"),
            ],
            &[],
            &stage.directory.join("load.log"),
            None,
        )?;
        let status =
            until("the loader", Duration::from_secs(120), async || load.ended()?.context("it still runs")).await?;
        if !status.success() {
            bail!("the loader failed: {}", load.last_words());
        }
        Ok(())
    }

    /// Writes a kubeconfig with another token.
    pub fn write_kubeconfig(&self, path: &Path, token: &str) -> Result<()> {
        let cluster = json!({ "server": self.server, "certificate-authority": self.ca_file });
        write_kubeconfig(path, &cluster, token)
    }
}

/// Starts the program `controlplane` on the data of the case, and waits until it is ready.
async fn start(stage: &Stage, name: &str, mut arguments: Vec<String>) -> Result<(Ready, Process)> {
    let output = stage.directory.join(format!("{name}.json"));
    arguments.push(format!("-dir={}", stage.directory.join("controlplane").display()));
    arguments.push(format!("-host={}", stage.address(1)));
    let log = stage.directory.join(format!("{name}.log"));
    let mut process = Process::start(&stage.tool("controlplane")?, &arguments, &[], &log, Some(&output))?;
    let ready = until(name, START_LIMIT, async || {
        let line = std::fs::read_to_string(&output)?;
        // An error here would be retried until the limit.
        if process.ended()?.is_some() {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&line)?))
    })
    .await?
    .with_context(|| format!("the control plane ended: {}", process.last_words()))?;
    Ok((ready, process))
}

/// The address and port of a URL without a path.
fn address_of(url: &str) -> Result<SocketAddr> {
    let (_, address) = url.split_once("://").with_context(|| format!("{url} is not a URL"))?;
    address.parse().with_context(|| format!("{url} has no IP address and port"))
}

/// Writes a kubeconfig of one cluster and one token.
pub fn write_kubeconfig(path: &Path, cluster: &Value, token: &str) -> Result<()> {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "e2e",
        "clusters": [{ "name": "e2e", "cluster": cluster }],
        "users": [{ "name": "e2e", "user": { "token": token } }],
        "contexts": [{ "name": "e2e", "context": { "cluster": "e2e", "user": "e2e" } }],
    });
    // JSON is YAML.
    std::fs::write(path, serde_json::to_vec_pretty(&config)?)
        .with_context(|| format!("cannot write {}", path.display()))
}

//! A control plane.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Api;
use crate::process::{Process, Signal};
use crate::stage::Stage;
use crate::wait::until;

/// How long the control plane may take to start.
const START_LIMIT: Duration = Duration::from_secs(120);

/// How a control plane is started.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Controllers to run.
    pub controllers: &'a str,
    /// API versions to turn off, as `--runtime-config` of kube-apiserver.
    pub runtime_config: &'a str,
    /// Port of the API server, 0 for a free one.
    pub port: u16,
    /// Without the feature gate ShardedListAndWatch: the API server does not filter by ranges of a hash.
    pub unfiltered: bool,
}

impl Options<'_> {
    /// What a fleet needs.
    pub const FLEET: Self =
        Options { controllers: "statefulset-controller", runtime_config: "", port: 0, unfiltered: false };
}

/// A running control plane.
pub struct Cluster {
    /// Credentials of an administrator.
    pub kubeconfig: PathBuf,
    /// Address of the API server.
    pub server: String,
    /// Its authority's certificate.
    pub ca_file: PathBuf,
    /// The administrator's token.
    pub token: String,
    /// The administrator's access.
    pub api: Api,
    etcd: String,
    process: Process,
}

/// The line that the control plane prints.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    kubeconfig: PathBuf,
    server: String,
    ca_file: PathBuf,
    token: String,
    etcd: String,
}

impl Cluster {
    pub async fn start(stage: &Stage, options: Options<'_>) -> Result<Self> {
        Self::launch(stage, options, false).await
    }

    /// Ends it at once and starts it again, on the same data and port, with other options.
    pub async fn restart(&mut self, stage: &Stage, options: Options<'_>) -> Result<()> {
        let port = self.server.rsplit(':').next().unwrap_or_default().parse().context("an odd address of a server")?;
        self.process.kill()?;
        // Until another one runs this one is the dead one.
        *self = Self::launch(stage, Options { port, ..options }, true).await?;
        Ok(())
    }

    /// Stops its process for a while (SIGSTOP), etcd and API server; or lets it go on.
    pub fn pause(&self, paused: bool) -> Result<()> {
        self.process.signal(if paused { Signal::STOP } else { Signal::CONT })
    }

    async fn launch(stage: &Stage, options: Options<'_>, keep: bool) -> Result<Self> {
        let output = stage.directory.join("controlplane.json");
        let mut process = Process::start(
            &stage.tool("controlplane")?,
            &[
                format!("-dir={}", stage.directory.join("controlplane").display()),
                format!("-host={}", stage.address(1)),
                format!("-port={}", options.port),
                format!("-controllers={}", options.controllers),
                format!("-runtime-config={}", options.runtime_config),
                format!("-feature-gates=ShardedListAndWatch={}", !options.unfiltered),
                format!("-keep={keep}"),
            ],
            &[],
            &stage.directory.join("controlplane.log"),
            Some(&output),
        )?;
        let ready: Ready = until("the control plane", START_LIMIT, async || {
            let line = std::fs::read_to_string(&output)?;
            // An error of its own would be retried until the limit.
            if process.ended()?.is_some() {
                return Ok(None);
            }
            Ok(Some(serde_json::from_str(&line)?))
        })
        .await?
        .with_context(|| format!("the control plane ended: {}", process.last_words()))?;
        let config = Kubeconfig::read_from(&ready.kubeconfig)?;
        let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
        Ok(Self {
            api: Api::new(kube::Client::try_from(config)?),
            kubeconfig: ready.kubeconfig,
            server: ready.server,
            ca_file: ready.ca_file,
            token: ready.token,
            etcd: ready.etcd,
            process,
        })
    }

    /// Starts to change the status of random pods, so many a second, until the process is dropped. Filled it must be.
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

    /// Fills it with pods and what they stand on.
    pub async fn fill(&mut self, stage: &Stage, pods: usize) -> Result<()> {
        self.process.ensure_running().context("the control plane")?;
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
            until("the loader", Duration::from_secs(120), async || load.ended()?.context("still at it")).await?;
        if !status.success() {
            bail!("the loader failed: {}", load.last_words());
        }
        Ok(())
    }

    /// Writes a kubeconfig for another token.
    pub fn write_kubeconfig(&self, path: &Path, token: &str) -> Result<()> {
        let cluster = json!({ "server": self.server, "certificate-authority": self.ca_file });
        write_kubeconfig(path, &cluster, token)
    }
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

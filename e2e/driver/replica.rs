//! One exporter outside of a fleet.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::StatusCode;

use crate::http::{Answer, get, get_text};
use crate::process::Process;
use crate::stage::Stage;
use crate::wait::until;

/// How long an exporter may take to become ready.
pub const READY_LIMIT: Duration = Duration::from_secs(60);

/// The addresses of an exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    pub address: Ipv4Addr,
    pub port: u16,
    pub telemetry_port: u16,
    /// The port for the other members of a fleet.
    pub fleet_port: u16,
}

impl Endpoints {
    pub fn metrics_url(&self) -> String {
        format!("http://{}:{}/metrics", self.address, self.port)
    }

    pub fn telemetry_url(&self, path: &str) -> String {
        format!("http://{}:{}{path}", self.address, self.telemetry_port)
    }

    /// The flags that make an exporter serve at these addresses.
    pub fn flags(&self) -> Vec<String> {
        vec![
            format!("--host={}", self.address),
            format!("--telemetry-host={}", self.address),
            format!("--port={}", self.port),
            format!("--telemetry-port={}", self.telemetry_port),
            format!("--fleet-port={}", self.fleet_port),
        ]
    }

    /// Scrapes `/metrics`, as text.
    pub async fn scrape(&self) -> Result<String> {
        get_text(&self.metrics_url()).await
    }

    /// Scrapes some resources.
    pub async fn scrape_resources(&self, resources: &str) -> Result<String> {
        get_text(&format!("{}?resources={resources}", self.metrics_url())).await
    }

    /// Scrapes the exporter's own metrics.
    pub async fn self_metrics(&self) -> Result<String> {
        get_text(&self.telemetry_url("/metrics")).await
    }

    pub async fn readyz(&self) -> Result<Answer> {
        get(&self.telemetry_url("/readyz"), &[]).await
    }
}

/// A running exporter.
pub struct Replica {
    pub process: Process,
    pub at: Endpoints,
}

impl Replica {
    /// Starts an exporter on the stage's address `host`, with an empty environment.
    pub fn start(stage: &Stage, host: u8, kubeconfig: &Path, flags: &[&str]) -> Result<Self> {
        let at = Endpoints {
            address: stage.address(host),
            port: stage.free_port(host)?,
            telemetry_port: stage.free_port(host)?,
            fleet_port: stage.free_port(host)?,
        };
        Self::start_at(stage, at, kubeconfig, flags)
    }

    /// The same at these addresses.
    pub fn start_at(stage: &Stage, at: Endpoints, kubeconfig: &Path, flags: &[&str]) -> Result<Self> {
        let mut arguments = at.flags();
        arguments.push(format!("--kubeconfig={}", kubeconfig.display()));
        arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
        let log = stage.directory.join(format!("exporter-{}.log", at.address.octets()[3]));
        Ok(Self { process: Process::start(&stage.exporter()?, &arguments, &[], &log, None)?, at })
    }

    /// Waits until it is ready.
    pub async fn ready(&mut self) -> Result<()> {
        until("the exporter", READY_LIMIT, async || {
            if self.process.ended()?.is_some() {
                return Ok(false);
            }
            let answer = self.at.readyz().await?;
            if answer.status != StatusCode::OK {
                bail!("/readyz: {}: {}", answer.status, answer.text()?.trim());
            }
            Ok(true)
        })
        .await?
        .then_some(())
        .with_context(|| format!("the exporter ended: {}", self.process.last_words()))
    }

    /// Its log.
    pub fn logged(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.process.log)?)
    }
}

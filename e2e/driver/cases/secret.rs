//! The value of a Secret is neither served in `/metrics` nor kept in the memory of the process, although `kubectl apply` has left a
//! copy of it in an annotation.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem::Finder;
use serde_json::{Value, json};

use crate::api::Api;
use crate::cluster::Cluster;
use crate::replica::Replica;
use crate::series;
use crate::stage::Stage;
use crate::wait::until;

/// How long it may take until events of the cluster have overwritten the read buffers.
const SETTLE: Duration = Duration::from_secs(20);

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    // One Secret exists before the exporter lists; the other one appears and changes while it watches.
    let listed = Marked::new("listed");
    let watched = Marked::new("watched");
    listed.create(&cluster.api).await?;
    let mut replica = Replica::start(
        stage,
        10,
        &cluster.kubeconfig,
        &["--resources=secrets,configmaps,pods", "--metric-annotations-allowlist=secrets=[*],configmaps=[*]"],
    )?;
    replica.ready().await?;
    watched.create(&cluster.api).await?;
    cluster.api.create(&cluster.api.core("configmaps"), &json!({ "metadata": { "name": "other" } })).await?;
    let shown = async |marked: &Marked| {
        let text = replica.at.scrape().await?;
        let mut lines = series::of(&text, "kube_secret_annotations");
        let line = lines.find(|line| series::label(line, "secret") == Some(&marked.name)).map(str::to_owned);
        line.with_context(|| format!("no annotations of secret {}", marked.name))
    };
    for marked in [&listed, &watched] {
        let line = until("the secret's annotations", Duration::from_secs(10), async || shown(marked).await).await?;
        // All annotations are served except the one with the data.
        ensure!(line.contains(&marked.harmless), "the harmless annotation is missing: {line}");
        ensure!(!line.contains("last_applied"), "the annotation with the data is served");
    }
    watched.touch(&cluster.api).await?;

    let needles: Vec<(String, Vec<u8>)> = [&listed, &watched].iter().flat_map(|marked| marked.needles()).collect();
    let mut round = 0;
    let searched = until("memory without the values", SETTLE, async || {
        replica.process.ensure_running()?;
        let text = replica.at.scrape().await?;
        if let Some((what, _)) = needles.iter().find(|(_, needle)| Finder::new(needle).find(text.as_bytes()).is_some())
        {
            bail!("{what} is served");
        }
        // Other objects change, as in any cluster.
        round += 1;
        cluster
            .api
            .patch(
                &format!("{}/other", cluster.api.core("configmaps")),
                &json!({ "data": { "round": round.to_string() } }),
            )
            .await?;
        let memory = Memory::of(replica.process.id())?;
        // The search must find a value that is served.
        ensure!(memory.holds(listed.harmless.as_bytes())?.is_some(), "the search finds not even a served value");
        for (what, needle) in &needles {
            if let Some(place) = memory.holds(needle)? {
                bail!("{what} is in the process's memory: {place}");
            }
        }
        memory.size()
    })
    .await?;
    Ok(format!("{} MB of memory searched for {} forms of two secrets", searched / 1_000_000, needles.len()))
}

/// A Secret with a unique value.
struct Marked {
    name: String,
    value: String,
    /// The value of an annotation that may be served.
    harmless: String,
}

impl Marked {
    fn new(name: &str) -> Self {
        let random = || format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        Self { name: name.to_owned(), value: format!("value-{}", random()), harmless: format!("harmless-{}", random()) }
    }

    fn encoded(&self) -> String {
        STANDARD.encode(&self.value)
    }

    /// Creates it as `kubectl apply` does, with the whole manifest in an annotation.
    async fn create(&self, api: &Api) -> Result<()> {
        let manifest = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": { "name": self.name, "namespace": api.namespace, "annotations": { "harmless": self.harmless } },
            "data": { "password": self.encoded() },
            // Never stored, but the annotation keeps it in plain text.
            "stringData": { "plain": self.value },
        });
        let mut object = manifest.clone();
        object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
            Value::String(manifest.to_string() + "\n");
        api.create(&api.core("secrets"), &object).await?;
        Ok(())
    }

    /// Changes a label, so that the exporter receives an event.
    async fn touch(&self, api: &Api) -> Result<()> {
        let patch = json!({ "metadata": { "labels": { "touched": "yes" } } });
        api.patch(&format!("{}/{}", api.core("secrets"), self.name), &patch).await?;
        Ok(())
    }

    /// The encodings of the value.
    fn needles(&self) -> Vec<(String, Vec<u8>)> {
        vec![
            (format!("the value of secret {}", self.name), self.value.clone().into_bytes()),
            (format!("the base64 value of secret {}", self.name), self.encoded().into_bytes()),
        ]
    }
}

/// The readable memory of a process.
struct Memory {
    regions: Vec<(u64, u64, String)>,
    file: File,
}

impl Memory {
    fn of(id: u32) -> Result<Self> {
        let maps = std::fs::read_to_string(format!("/proc/{id}/maps"))?;
        let file = File::open(format!("/proc/{id}/mem")).context("cannot read the process's memory")?;
        let region = |line: &str| {
            let mut fields = line.split_whitespace();
            let (start, end) = fields.next()?.split_once('-')?;
            let readable = fields.next()?.starts_with('r');
            let name = fields.nth(3).unwrap_or("anonymous").to_owned();
            // The kernel's own pages cannot be read this way and contain no data of the process.
            let own = !name.starts_with("[vv") && !name.starts_with("[vsys");
            let bounds = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
            (readable && own).then_some((bounds.0, bounds.1, name))
        };
        Ok(Self { regions: maps.lines().filter_map(region).collect(), file })
    }

    fn size(&self) -> Result<u64> {
        Ok(self.regions.iter().map(|(start, end, _)| end - start).sum())
    }

    /// The place of `needle`, if it is in memory.
    fn holds(&self, needle: &[u8]) -> Result<Option<String>> {
        const PART: usize = 4 << 20;
        let finder = Finder::new(needle);
        let mut buffer = vec![0; PART];
        for (start, end, name) in &self.regions {
            let mut at = *start;
            while at < *end {
                let wanted = PART.min(usize::try_from(end - at)?);
                // The process may have returned the region since its name was read.
                let Ok(read @ 1..) = self.file.read_at(&mut buffer[..wanted], at) else { break };
                if let Some(found) = finder.find(&buffer[..read]) {
                    let from = found.saturating_sub(40);
                    let around = String::from_utf8_lossy(&buffer[from..found]).escape_debug().to_string();
                    return Ok(Some(format!("{name}, behind {around:?}")));
                }
                // The next part overlaps, because a needle may straddle the boundary.
                at += if read < wanted || at + wanted as u64 == *end { read } else { read - needle.len() } as u64;
            }
        }
        Ok(None)
    }
}

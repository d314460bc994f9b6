//! The fleet as `manifests/` deploys it: a StatefulSet, whose pods the kubelet player runs.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::cluster::Cluster;
use crate::kubelet::Kubelet;
use crate::replica::Endpoints;
use crate::stage::Stage;
use crate::wait::until;

/// Namespace of the fleet.
pub const NAMESPACE: &str = "default";
/// The last part of the first replica's address.
const FIRST_HOST: u8 = 10;
/// How long it may take until all replicas are ready.
const READY_LIMIT: Duration = Duration::from_secs(90);

/// A running fleet.
pub struct Fleet {
    /// One for each ordinal.
    pub replicas: Vec<Endpoints>,
    /// The label by which its pods are known, key and value.
    pub label: (String, String),
    kubelet: JoinHandle<()>,
}

impl Fleet {
    /// Starts `count` replicas and waits until they are ready.
    pub async fn start(stage: &Stage, cluster: &Cluster, count: u8) -> Result<Self> {
        let (port, telemetry_port) = (stage.free_port(FIRST_HOST)?, stage.free_port(FIRST_HOST)?);
        let statefulset = statefulset(stage, count, port, telemetry_port)?;
        let label = "app.kubernetes.io/name";
        let value = statefulset["spec"]["selector"]["matchLabels"][label].as_str();
        let value = value.with_context(|| format!("the StatefulSet does not select by {label}"))?.to_owned();
        let kubelet = Kubelet {
            api: cluster.api.clone(),
            collection: format!("/api/v1/namespaces/{NAMESPACE}/pods"),
            selector: format!("{label}%3D{value}"),
            program: stage.exporter()?,
            kubeconfig: cluster.kubeconfig.clone(),
            directory: stage.directory.clone(),
            first_address: stage.address(FIRST_HOST),
            port,
            telemetry_port,
        };
        let collection = format!("/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets");
        cluster.api.create(&collection, &statefulset).await?;
        let replicas =
            (0..count).map(|i| Endpoints { address: stage.address(FIRST_HOST + i), port, telemetry_port }).collect();
        let fleet = Self { replicas, label: (label.to_owned(), value), kubelet: tokio::spawn(kubelet.run()) };
        let path = format!("{collection}/{}", statefulset["metadata"]["name"].as_str().unwrap_or_default());
        until("the fleet", READY_LIMIT, async || {
            let ready = cluster.api.get(&path).await?["status"]["readyReplicas"].as_u64().unwrap_or(0);
            if ready != u64::from(count) {
                bail!("{ready} of {count} replicas are ready");
            }
            Ok(())
        })
        .await?;
        Ok(fleet)
    }

    /// A scrape job that finds the fleet's pods through the API server, and nobody else: other pods have addresses that no
    /// request may be sent to.
    pub fn scrape_job(&self, stage: &Stage, cluster: &Cluster, job: &str, compressed: bool) -> Value {
        let [a, b, c, _] = stage.address(0).octets();
        let (label, value) = &self.label;
        let in_prometheus = label.replace(['.', '/'], "_");
        let port = self.replicas.first().map_or(0, |at| at.port);
        json!({
            "job_name": job,
            "enable_compression": compressed,
            "kubernetes_sd_configs": [{
                "role": "pod",
                "api_server": cluster.server,
                "authorization": { "credentials": cluster.token },
                "tls_config": { "ca_file": cluster.ca_file },
                "namespaces": { "names": [NAMESPACE] },
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

/// The StatefulSet of `manifests/base`, with what kustomize and the scheduler would put in: the count, the node, the ports.
fn statefulset(stage: &Stage, count: u8, port: u16, telemetry_port: u16) -> Result<Value> {
    let file = stage.repository("manifests/base/statefulset.yaml");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut object: Value = serde_saphyr::from_str(&text)?;
    object["metadata"]["namespace"] = json!(NAMESPACE);
    object["spec"]["replicas"] = json!(count);
    let pod = &mut object["spec"]["template"]["spec"];
    pod["nodeName"] = json!("e2e-node");
    let container = &mut pod["containers"][0];
    for each in container["ports"].as_array_mut().into_iter().flatten() {
        let telemetry = each["containerPort"] == json!(8081);
        each["containerPort"] = json!(if telemetry { telemetry_port } else { port });
    }
    let count_variable = container["env"].as_array_mut().into_iter().flatten().find(|v| v["name"] == "TOTAL_SHARDS");
    let variable = count_variable.context("the StatefulSet sets no TOTAL_SHARDS")?;
    *variable = json!({ "name": "TOTAL_SHARDS", "value": count.to_string() });
    Ok(object)
}

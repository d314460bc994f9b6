//! The arguments of kube-state-metrics' Helm chart: its defaults, and all that its values can set, with custom resources, the auth
//! filter and TLS. The program serves with exactly the permissions that it prints for these arguments.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::StatusCode;
use serde_json::json;

use super::custom_resources::{DEFINITIONS, create_things, definition};
use super::rbac::{printed, refused};
use crate::certificates::Authority;
use crate::cluster::Cluster;
use crate::http::get_secured;
use crate::replica::Replica;
use crate::series;
use crate::stage::Stage;
use crate::wait::until;

/// The resources that the chart enables.
pub(super) const RESOURCES: &str = "--resources=certificatesigningrequests,configmaps,cronjobs,daemonsets,deployments,endpointslices,endpoints,\
     horizontalpodautoscalers,ingresses,jobs,leases,limitranges,mutatingwebhookconfigurations,namespaces,networkpolicies,nodes,\
     persistentvolumeclaims,persistentvolumes,poddisruptionbudgets,pods,replicasets,replicationcontrollers,resourcequotas,secrets,\
     services,statefulsets,storageclasses,validatingwebhookconfigurations,volumeattachments";
const CUSTOM: &str = "
kind: CustomResourceStateMetrics
spec:
  resources:
    - groupVersionKind: {group: upstream-chart.example.com, kind: Widget, version: v1}
      labelsFromPath: {name: [metadata, name]}
      metrics:
        - {name: size, help: Size of it., each: {type: Gauge, gauge: {path: [spec, size]}}}
";
const WIDGETS: usize = 5;
const NAME: &str = "metrics.example";
const LIMIT: Duration = Duration::from_secs(60);

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    cluster.api.create(DEFINITIONS, &definition(&cluster.api, "widgets", "Widget", &["v1"])).await?;
    create_things(&cluster.api, "widgets", "Widget", WIDGETS).await?;

    let mut replica =
        Replica::start(stage, 10, &account(stage, &cluster, "default", &[RESOURCES]).await?, &[RESOURCES])?;
    replica.ready().await.context("the defaults")?;
    let plain = replica.at.scrape().await?;
    ensure!(series::of(&plain, "kube_pod_info").count() >= 30, "too few pods by default");

    let series = everything(stage, &cluster).await.context("everything")?;
    Ok(format!("the defaults, and all values with {series} series by TLS and token"))
}

async fn everything(stage: &Stage, cluster: &Cluster) -> Result<usize> {
    let (authority, folder) = (Authority::new()?, stage.directory.join("web"));
    std::fs::create_dir_all(&folder)?;
    authority.issue(NAME)?.write(&folder)?;
    std::fs::write(folder.join("web.yml"), "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n")?;
    std::fs::write(folder.join("config.yaml"), CUSTOM)?;
    let custom = format!("--custom-resource-state-config-file={}", folder.join("config.yaml").display());
    let tls = format!("--tls-config={}", folder.join("web.yml").display());
    let flags = [
        RESOURCES,
        "--metric-labels-allowlist=pods=[*],nodes=[kubernetes.io/hostname]",
        "--metric-annotations-allowlist=pods=[*]",
        "--metric-denylist=^kube_pod_created$",
        "--namespaces-denylist=kube-public",
        &custom,
        "--auth-filter",
        &tls,
        "--enable-gzip-encoding",
        "--use-apiserver-cache",
        "--v=2",
    ];
    let rights = [RESOURCES, &custom, "--auth-filter"];
    let replica = Replica::start(stage, 11, &account(stage, cluster, "everything", &rights).await?, &flags)?;
    let scrape = json!({ "rules": [{ "nonResourceURLs": ["/metrics"], "verbs": ["get"] }] });
    let bearer = format!("Bearer {}", cluster.api.account("prometheus", &scrape, None).await?);
    let client = authority.client(None)?;
    let ask = async |port: u16, path: &str, headers: &[(&str, &str)]| {
        get_secured(&client, NAME, &format!("https://{}:{port}{path}", replica.at.address), headers).await
    };
    until("the exporter to be ready", LIMIT, async || {
        let answer = ask(replica.at.telemetry_port, "/readyz", &[]).await?;
        ensure!(answer.status == StatusCode::OK, "{}", answer.text()?);
        Ok(())
    })
    .await?;
    for path in ["/metrics", "/", "/fleet"] {
        let answer = ask(replica.at.port, path, &[]).await?;
        ensure!(answer.status == StatusCode::UNAUTHORIZED, "{path} without a token: {}", answer.status);
        let answer = ask(replica.at.port, path, &[("authorization", &bearer)]).await?;
        ensure!(answer.status == StatusCode::OK, "{path} with a token: {}", answer.status);
    }
    let answer = ask(replica.at.port, "/metrics", &[("authorization", &bearer)]).await?;
    let text = answer.text()?;
    for (family, least) in [("kube_pod_labels", 30), ("kube_customresource_size", WIDGETS), ("kube_node_labels", 1)] {
        let count = series::of(text, family).count();
        ensure!(count >= least, "{count} series of {family}, expected {least} or more");
    }
    ensure!(series::of(text, "kube_pod_created").next().is_none(), "kube_pod_created is served although it is denied");
    let telemetry = ask(replica.at.telemetry_port, "/metrics", &[("authorization", &bearer)]).await?;
    let refused = refused(telemetry.text()?);
    ensure!(refused.is_empty(), "the printed permissions are not enough: {refused:?}");
    Ok(text.lines().filter(|line| !line.starts_with('#')).count())
}

/// A kubeconfig of an account with only the permissions that the program prints for these flags.
async fn account(stage: &Stage, cluster: &Cluster, name: &str, flags: &[&str]) -> Result<std::path::PathBuf> {
    let role = printed(stage, flags)?;
    let file = stage.directory.join(format!("kubeconfig-{name}"));
    cluster.write_kubeconfig(Path::new(&file), &cluster.api.account(name, &role, None).await?)?;
    Ok(file)
}

//! The configuration changes during scrapes every 100 ms: a swapped ConfigMap with a valid and then a broken config file, the same
//! with the file of custom resources, then a kubeconfig with the token of another account. Every scrape has all unchanged series.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::custom_resources::{DEFINITIONS, create_things, definition};
use crate::cluster::{Cluster, Options};
use crate::replica::Replica;
use crate::series;
use crate::stage::Stage;
use crate::wait::until;

/// The pause between two scrapes.
const PERIOD: Duration = Duration::from_millis(100);
/// How long a change may take: checks of the files, a list, a swap.
const LIMIT: Duration = Duration::from_secs(60);
const BEFORE: &str = "resources: {pods: {}, nodes: {}, secrets: {}, namespaces: {}}\n";
const AFTER: &str = "resources: {pods: {}, nodes: {}, secrets: {}, namespaces: {}, deployments: {}}\nlabels_allow_list: {pods: ['*']}\n";
/// The file of custom resources; [`GADGETS`] adds a metric of another kind, [`NO_TYPE`] a broken one.
const CUSTOM: &str = "spec: {resources: [{groupVersionKind: {group: reload.example.com, version: v1, kind: Widget},
  labelsFromPath: {name: [metadata, name]}, metrics: [{name: size, each: {type: Gauge, gauge: {path: [spec, size]}}}]}";
const GADGETS: &str = ",\n  {groupVersionKind: {group: reload.example.com, version: v1, kind: Gadget},
  metrics: [{name: gadget, each: {type: Gauge, gauge: {path: [spec, size]}}}]}";
const NO_TYPE: &str = ",\n  {groupVersionKind: {group: reload.example.com, version: v1, kind: Gadget}, metrics: [{name: gadget, each: {type: Gouge}}]}";
const WIDGETS: usize = 20;
const BROKEN: &str = "resources: {pods: {}}\nport: none\n";
/// Another change, which requires lists with the new kubeconfig.
const LAST: &str = "resources: {pods: {}, nodes: {}, secrets: {}, namespaces: {}, deployments: {}}\nlabels_allow_list: {pods: ['*'], nodes: ['*'], secrets: ['*']}\n";

pub async fn run(stage: &Stage) -> Result<String> {
    let mut cluster = Cluster::start(stage, Options::default()).await?;
    cluster.fill(stage, 300).await?;
    let custom = stage.directory.join("custom.yaml");
    let custom_flag = format!("--custom-resource-state-config-file={}", custom.display());
    rewrite(&custom, &[GADGETS])?;
    let role = super::rbac::printed(stage, &[&custom_flag])?;
    rewrite(&custom, &[])?;
    let kubeconfig = stage.directory.join("kubeconfig-rotated");
    cluster.write_kubeconfig(&kubeconfig, &cluster.api.account("first", &role, None).await?)?;
    let folder = stage.directory.join("config");
    std::fs::create_dir(&folder)?;
    publish(&folder, "..1", BEFORE)?;
    std::os::unix::fs::symlink("..data/config.yaml", folder.join("config.yaml"))?;
    let config = format!("--config={}", folder.join("config.yaml").display());
    for (plural, kind) in [("widgets", "Widget"), ("gadgets", "Gadget")] {
        cluster.api.create(DEFINITIONS, &definition(&cluster.api, plural, kind, &["v1"])).await?;
        create_things(&cluster.api, plural, kind, WIDGETS).await?;
    }
    let mut replica = Replica::start(stage, 10, &kubeconfig, &[&config, &custom_flag])?;
    replica.ready().await?;
    serves(&replica, "kube_customresource_size").await?;
    let kept = names(&replica.at.scrape().await?);
    let widgets = kept.iter().filter(|series| series.starts_with("kube_customresource_size{")).count();
    ensure!(widgets == WIDGETS, "{widgets} series of {WIDGETS} custom resources");
    ensure!(kept.len() > 1000, "only {} series", kept.len());

    let at = replica.at;
    let count = Cell::new(0_u32);
    let scrapes = async {
        let mut period = tokio::time::interval(PERIOD);
        loop {
            period.tick().await;
            let now = names(&at.scrape().await?);
            let missing: Vec<_> = kept.difference(&now).take(3).collect();
            ensure!(missing.is_empty(), "scrape {} has {} series, without {missing:?}", count.get(), now.len());
            count.set(count.get() + 1);
        }
    };
    let changes = async {
        publish(&folder, "..2", AFTER)?;
        serves(&replica, "kube_deployment_created").await?;
        serves(&replica, "kube_pod_labels").await?;
        says(&replica, "config", 1.0).await?;

        publish(&folder, "..3", BROKEN)?;
        says(&replica, "config", 0.0).await?;
        serves(&replica, "kube_deployment_created").await?;
        let log = replica.logged()?;
        ensure!(log.contains("config.yaml:2: port: "), "the log does not name the line: {log}");

        // The program reads all files together, and applies none while one is broken.
        publish(&folder, "..4", AFTER)?;
        says(&replica, "config", 1.0).await?;
        rewrite(&custom, &[GADGETS])?;
        serves(&replica, "kube_customresource_gadget").await?;
        says(&replica, "customresourceconfig", 1.0).await?;
        rewrite(&custom, &[NO_TYPE])?;
        says(&replica, "customresourceconfig", 0.0).await?;
        serves(&replica, "kube_customresource_gadget").await?;
        let log = replica.logged()?;
        ensure!(
            log.contains("line 3: spec.resources[1].metrics[0].each.type") && log.contains("Gouge"),
            "the log does not name the line: {log}"
        );
        rewrite(&custom, &[GADGETS])?;
        says(&replica, "customresourceconfig", 1.0).await?;

        cluster.write_kubeconfig(&kubeconfig, &cluster.api.account("second", &role, None).await?)?;
        until("the new kubeconfig", LIMIT, async || {
            let log = replica.logged()?;
            log.contains("kubeconfig-rotated").then_some(()).context("it is not loaded")
        })
        .await?;
        // The first account loses its permissions.
        cluster.api.unbind("first").await?;
        publish(&folder, "..5", LAST)?;
        serves(&replica, "kube_node_labels").await?;
        serves(&replica, "kube_secret_labels").await?;
        says(&replica, "config", 1.0).await?;
        says(&replica, "kubeconfig", 1.0).await
    };
    let scrapes: Pin<Box<dyn Future<Output = Result<Infallible>>>> = Box::pin(scrapes);
    tokio::select! {
        failed = scrapes => match failed? {},
        changed = changes => changed?,
    }
    replica.process.ensure_running()?;
    let telemetry = replica.at.self_metrics().await?;
    ensure!(super::rbac::refused(&telemetry).is_empty(), "refused: {:?}", super::rbac::refused(&telemetry));
    Ok(format!("{} scrapes, none without any of {} unchanged series", count.get(), kept.len()))
}

/// Replaces the file of custom resources by a rename, as editors do.
fn rewrite(file: &Path, more: &[&str]) -> Result<()> {
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{CUSTOM}{}]}}\n", more.concat()))?;
    Ok(std::fs::rename(new, file)?)
}

/// Swaps the folder of a ConfigMap as the kubelet does.
fn publish(folder: &Path, version: &str, text: &str) -> Result<()> {
    std::fs::create_dir(folder.join(version))?;
    std::fs::write(folder.join(version).join("config.yaml"), text)?;
    std::os::unix::fs::symlink(version, folder.join("..data_tmp"))?;
    Ok(std::fs::rename(folder.join("..data_tmp"), folder.join("..data"))?)
}

/// All series without their values.
fn names(text: &str) -> BTreeSet<String> {
    let series = text.lines().filter(|line| !line.starts_with('#'));
    series.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
}

async fn serves(replica: &Replica, family: &str) -> Result<()> {
    until(family, LIMIT, async || {
        let text = replica.at.scrape().await?;
        series::of(&text, family).next().map(drop).context("no series")
    })
    .await
}

/// Waits until the self-metrics show this result of the last reload of a kind of file.
async fn says(replica: &Replica, kind: &str, value: f64) -> Result<()> {
    until(kind, LIMIT, async || {
        let text = replica.at.self_metrics().await?;
        let line = series::of(&text, "kube_state_metrics_last_config_reload_successful")
            .find(|line| series::label(line, "type") == Some(kind))
            .context("no series for this file")?;
        ensure!(series::value(line) == Some(value), "{line}");
        Ok(())
    })
    .await
}

//! Families that are not served by default, from a real API server: the resources of a Pod during a resize, and the example of the richer
//! format for custom resources in docs/custom-resources.md.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::custom_resources::{DEFINITIONS, definition, group};
use crate::cluster::Cluster;
use crate::replica::Replica;
use crate::series;
use crate::stage::Stage;
use crate::wait::until;

const PAGE: &str = "docs/custom-resources.md";
const LIMIT: Duration = Duration::from_secs(30);
/// Labels of custom resources that the example leaves out.
const IMPLIED: [&str; 3] = ["customresource_group", "customresource_kind", "customresource_version"];
/// The Pod that is resized, in the namespace of the case.
const RESIZED: &str = "resized";

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let api = &cluster.api;
    let page = std::fs::read_to_string(stage.repository(PAGE)).context(PAGE)?;
    let block = |start: &str| {
        let (_, rest) = page.split_once(start).with_context(|| format!("{PAGE} has no {start:?}"))?;
        rest.split_once("```").map(|(block, _)| block).context("the block ends")
    };
    // The group of the case, which no other case uses.
    let config = block("```yaml\n# routes.yaml\n")?.replace("group: example.com", &format!("group: {}", group(api)));
    let mut route: Value = serde_saphyr::from_str(block("```yaml\n# route.yaml\n")?)?;
    route["apiVersion"] = json!(format!("{}/v1", group(api)));
    // The search takes the beginning of the first line.
    let (first, rest) = block("```text\nroute_")?.split_once('\n').context("a line")?;
    let expected = std::iter::once(format!("route_{first}")).chain(rest.lines().map(str::to_owned));
    let expected: BTreeSet<String> = expected.collect();

    api.create(DEFINITIONS, &definition(api, "routes", "Route", &["v1"])).await?;
    let routes = format!("/apis/{}/v1/routes", group(api));
    until("the new kind", LIMIT, async || api.create(&routes, &route).await).await?;
    let containers = json!([{ "name": "app", "image": "app", "resources": { "requests": { "cpu": "2" } } }]);
    let spec = json!({ "nodeName": "e2e-node", "containers": containers });
    api.create(&api.core("pods"), &json!({ "metadata": { "name": RESIZED }, "spec": spec })).await?;
    let status = json!([{ "name": "app", "image": "app", "imageID": "", "ready": true, "restartCount": 0,
        "allocatedResources": { "cpu": "500m" }, "resources": { "requests": { "cpu": "500m" } } }]);
    let status = json!({ "status": { "containerStatuses": status } });
    api.patch(&format!("{}/{RESIZED}/status", api.core("pods")), &status).await?;

    let file = stage.directory.join("routes.yaml");
    std::fs::write(&file, config)?;
    let config = format!("--custom-resource-state-config-file={}", file.display());
    let flags = ["--resources=pods", "--metric-opt-in-list=kube_state_fleet_pod_.*resource.*", &config];
    let mut replica = Replica::start(stage, 10, &cluster.kubeconfig, &flags)?;
    replica.ready().await?;
    until("the series of the example", LIMIT, async || {
        let served = routes_of(&replica.at.scrape().await?);
        ensure!(served == expected, "served: {served:#?}\nexpected: {expected:#?}");
        Ok(())
    })
    .await?;
    let text = replica.at.scrape().await?;
    for (family, cores) in [
        ("kube_pod_container_resource_requests", 2.0),
        ("kube_state_fleet_pod_container_status_resource_requests", 0.5),
        ("kube_state_fleet_pod_container_status_allocated_resources", 0.5),
        ("kube_state_fleet_pod_effective_resource_requests", 2.0),
    ] {
        let own = |line: &&str| {
            series::label(line, "pod") == Some(RESIZED)
                && series::label(line, "namespace") == Some(&api.namespace)
                && series::label(line, "resource") == Some("cpu")
        };
        let values: Vec<_> = series::of(&text, family).filter(own).filter_map(series::value).collect();
        ensure!(values == [cores], "{family}: {values:?} instead of {cores}");
    }
    replica.process.ensure_running()?;
    Ok(format!("{} series of the richer format, and a resize", expected.len()))
}

/// The series of routes, without the labels that every custom resource has.
fn routes_of(text: &str) -> BTreeSet<String> {
    let routes = text.lines().filter(|line| line.starts_with("route_"));
    routes
        .filter_map(|line| {
            let (name, rest) = line.split_once('{')?;
            let (labels, value) = rest.rsplit_once("} ")?;
            // No value of these labels contains a comma.
            let is_shown = |label: &&str| label.split_once('=').is_some_and(|(name, _)| !IMPLIED.contains(&name));
            let labels: Vec<&str> = labels.split(',').filter(is_shown).collect();
            Some(format!("{name}{{{}}} {value}", labels.join(",")))
        })
        .collect()
}

//! Scrapes of some namespaces: a client with a Role in one namespace gets the series of that namespace, and nothing else. The API server
//! decides. And the label of a Namespace, which all series of its objects show, changes during scrapes.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::StatusCode;
use serde_json::json;

use super::custom_resources;
use crate::cluster::Cluster;
use crate::http::{Answer, get};
use crate::replica::Replica;
use crate::series;
use crate::stage::Stage;
use crate::wait::until;

/// How long the objects of the case may take to appear.
const LIMIT: Duration = Duration::from_secs(60);

/// A metric of a kind with a collector, and one of a custom resource.
const CONFIG: &str = "
spec:
  resources:
    - groupVersionKind: {group: '', version: v1, kind: ConfigMap}
      labelsFromPath: {namespace: [metadata, namespace], name: [metadata, name]}
      metricNamePrefix: own
      metrics:
        - {name: configmap_keys, each: {type: Gauge, gauge: {valueFrom: {count: [data]}}}}
    - groupVersionKind: {group: GROUP, version: v1, kind: Shelf}
      resourcePlural: shelves
      labelsFromPath: {namespace: [metadata, namespace], name: [metadata, name]}
      metricNamePrefix: own
      metrics:
        - {name: shelf_size, each: {type: Gauge, gauge: {path: [spec, size]}}}
";

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let api = &cluster.api;
    let own = api.namespace.as_str();
    for name in ["a", "b"] {
        api.create(&api.core("configmaps"), &json!({ "metadata": { "name": name } })).await?;
    }
    let rules = |rule| json!({ "rules": [rule] });
    let scrape = rules(json!({ "nonResourceURLs": ["/metrics"], "verbs": ["get"] }));
    let other = rules(json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] }));
    let in_namespace = rules(json!({ "apiGroups": [""], "resources": ["namespaces/metrics"], "verbs": ["get"] }));
    let reader = api.account("prometheus", &scrape, None).await?;
    let tenant = api.account("tenant", &other, Some(&in_namespace)).await?;
    let stranger = api.account("nobody", &other, None).await?;

    let kubeconfig = stage.directory.join("kubeconfig-tenants");
    let role = super::rbac::printed(stage, &["--auth-filter"])?;
    cluster.write_kubeconfig(&kubeconfig, &api.account("exporter", &role, None).await?)?;
    let mut replica = Replica::start(stage, 10, &kubeconfig, &["--auth-filter", "--namespaced-scrapes"])?;
    replica.ready().await?;
    let metrics = replica.at.metrics_url();
    let (of_own, of_other) = (format!("{metrics}?namespace={own}"), format!("{metrics}?namespace=kube-system"));
    let both = format!("{metrics}?namespace={own}&namespace=kube-system");

    let count = until("the same series for both", LIMIT, async || {
        let whole = ask(&metrics, &reader).await?;
        let expected: BTreeSet<_> = names(whole.text()?, Some(own));
        let answer = ask(&of_own, &tenant).await?;
        let shown = names(answer.text()?, None);
        ensure!(answer.status == StatusCode::OK, "the tenant: {}", answer.status);
        ensure!(shown == expected, "{:?}", shown.symmetric_difference(&expected).take(3).collect::<Vec<_>>());
        let of_configmaps = series::of(answer.text()?, "kube_configmap_info").count();
        ensure!(of_configmaps >= 2, "{of_configmaps} ConfigMaps");
        ensure!(answer.text()?.contains("\n# TYPE kube_node_info gauge\n"), "headers are missing");
        Ok(shown.len())
    })
    .await?;
    let of_reader = ask(&both, &reader).await?;
    ensure!(of_reader.status == StatusCode::OK, "the reader: {}", of_reader.status);
    ensure!(names(of_reader.text()?, Some("kube-system")).len() > 1, "kube-system is missing");
    for (token, url) in [
        (&tenant, metrics.as_str()),
        (&tenant, &of_other),
        (&tenant, &both),
        (&tenant, &replica.at.telemetry_url(&format!("/metrics?namespace={own}"))),
        (&tenant, &replica.at.telemetry_url(&format!("/fleet/objects?resource=pods&namespace={own}"))),
        (&stranger, &of_own),
    ] {
        let answer = ask(url, token).await?;
        ensure!(answer.status == StatusCode::FORBIDDEN, "{url}: {}", answer.status);
    }
    let hint = ask(&metrics, &tenant).await?;
    ensure!(hint.text()?.contains("scrape /metrics?namespace=NAME"), "no hint: {}", hint.text()?);
    let invalid = ask(&format!("{metrics}?namespace=Own"), &tenant).await?;
    ensure!(invalid.status == StatusCode::BAD_REQUEST, "an invalid name: {}", invalid.status);
    replica.process.ensure_running()?;
    let scrapes = promoted(stage, &cluster).await.context("labels of Namespaces")?;
    Ok(format!(
        "a tenant sees the {count} series of its namespace, and 403 elsewhere; {scrapes} scrapes during changes of a label"
    ))
}

/// Changes the label of the Namespace, and scrapes meanwhile. Returns the number of scrapes.
async fn promoted(stage: &Stage, cluster: &Cluster) -> Result<u32> {
    let api = &cluster.api;
    let resources = "--resources=configmaps,serviceaccounts,secrets";
    let mut definition = custom_resources::definition(api, "shelves", "Shelf", &["v1"]);
    definition["spec"]["scope"] = "Namespaced".into();
    api.create(custom_resources::DEFINITIONS, &definition).await?;
    let group = custom_resources::group(api);
    let shelves = format!("/apis/{group}/v1/namespaces/{}/shelves", api.namespace);
    let version = format!("{group}/v1");
    let shelf = json!({ "apiVersion": version, "kind": "Shelf", "metadata": { "name": "one" }, "spec": { "size": 7 } });
    until("the new kind", LIMIT, async || api.create(&shelves, &shelf).await).await?;
    let config = stage.directory.join("promoted.yaml");
    std::fs::write(&config, CONFIG.replace("GROUP", &group))?;
    let custom = format!("--custom-resource-state-config-file={}", config.display());
    let all_kinds = "--custom-resource-state-all-kinds";
    let role = super::rbac::printed(stage, &[resources, &custom, all_kinds, "--promote-namespace-labels"])?;
    let kubeconfig = stage.directory.join("kubeconfig-promoted");
    cluster.write_kubeconfig(&kubeconfig, &api.account("promoting", &role, None).await?)?;
    let mut replica =
        Replica::start(stage, 11, &kubeconfig, &[resources, &custom, all_kinds, "--promote-namespace-labels=team"])?;
    replica.ready().await?;
    // Without the label, in order.
    let bare = |line: &str| {
        let (before, rest) = line.split_once("namespace_label_team=\"")?;
        let rest = rest.split_once('"')?.1;
        // It is the first label of some series, and follows others.
        Some(match before.strip_suffix(',') {
            Some(before) => format!("{before}{rest}"),
            None => format!("{before}{}", rest.strip_prefix(',')?),
        })
    };
    until("the custom series", LIMIT, async || {
        let text = replica.at.scrape().await?;
        let counts = ["own_configmap_keys", "own_shelf_size"].map(|name| series::of(&text, name).count());
        ensure!(counts[0] > 2 && counts[1] == 1, "{counts:?} custom series");
        Ok(())
    })
    .await?;
    let text = replica.at.scrape().await?;
    let kept: BTreeSet<String> = names(&text, Some(&api.namespace)).into_iter().map(str::to_owned).collect();
    ensure!(kept.len() > 4 && !text.contains("namespace_label_"), "{} series, or a label", kept.len());
    let (mut scrapes, mut missed) = (0, 0);
    for team in ["one", "two", "three"] {
        let labels = json!({ "metadata": { "labels": { "team": team } } });
        api.patch(&format!("/api/v1/namespaces/{}", api.namespace), &labels).await?;
        until("the label", LIMIT, async || {
            scrapes += 1;
            let text = replica.at.scrape().await?;
            let now = names(&text, Some(&api.namespace));
            let without: Vec<_> = now.iter().map(|line| bare(line).unwrap_or_else(|| (*line).to_owned())).collect();
            let missing = kept.iter().filter(|line| !without.contains(line)).count();
            missed += missing;
            let others = names(&text, Some("kube-system"));
            ensure!(!others.iter().any(|line| line.contains("namespace_label_")), "a label of another namespace");
            let lacks = now.iter().find(|line| series::label(line, "namespace_label_team") != Some(team));
            ensure!(lacks.is_none(), "it is not on {lacks:?}");
            Ok(())
        })
        .await?;
    }
    ensure!(missed == 0, "{missed} series were missing in some of {scrapes} scrapes");
    let telemetry = replica.at.self_metrics().await?;
    ensure!(super::rbac::refused(&telemetry).is_empty(), "refused: {:?}", super::rbac::refused(&telemetry));
    Ok(scrapes)
}

async fn ask(url: &str, token: &str) -> Result<Answer> {
    get(url, &[("authorization", &format!("Bearer {token}"))]).await.with_context(|| url.to_owned())
}

/// The series of a namespace, or all, without their values.
fn names<'a>(text: &'a str, namespace: Option<&str>) -> BTreeSet<&'a str> {
    let series = text.lines().filter(|line| !line.starts_with('#'));
    let own = series.filter(|line| namespace.is_none() || series::label(line, "namespace") == namespace);
    own.filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect()
}

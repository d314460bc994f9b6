//! Custom resources of a real API server. The exporter serves them as kube-state-metrics does, follows their definitions while it
//! runs, and each object is served by one of two replicas.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::api::Api;
use crate::cluster::Cluster;
use crate::fleet::{Fleet, Options as FleetOptions};
use crate::replica::Replica;
use crate::series;
use crate::stage::Stage;
use crate::wait::until;

/// The recorded scenario whose wildcards only an API server can resolve.
const SCENARIO: &str = "custom-resources-wildcard";
/// How long it may take until a created object is served, or a deleted one is not.
const LIMIT: Duration = Duration::from_secs(30);
/// Path of the definitions.
pub const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/// Number of widgets.
const WIDGETS: usize = 40;

const CONFIG: &str = "
spec:
  resources:
    - groupVersionKind: {group: custom-resources.example.com, kind: '*', version: '*'}
      labelsFromPath: {name: [metadata, name]}
      metricNamePrefix: shop
      metrics:
        - {name: size, each: {type: Gauge, gauge: {path: [spec, size]}}}
";

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let recorded = recorded(stage, &cluster).await?;
    come_and_go(stage, &cluster).await?;
    shared(stage, &cluster).await?;
    Ok(format!("{recorded} recorded series, a kind that came and went, {WIDGETS} objects each once from two replicas"))
}

fn unzipped(stage: &Stage, name: &str) -> Result<String> {
    let file = stage.repository("tests/data/scenarios").join(name);
    let mut text = String::new();
    let reader = std::fs::File::open(&file).with_context(|| file.display().to_string())?;
    GzDecoder::new(reader).read_to_string(&mut text)?;
    Ok(text)
}

/// The custom resources of the recorded cluster produce the recorded series. Returns their number.
async fn recorded(stage: &Stage, cluster: &Cluster) -> Result<usize> {
    let dump: Value = serde_json::from_str(&unzipped(stage, "cluster.json.gz")?)?;
    let objects = dump["items"].as_array().context("a dump of objects")?;
    let of_kind = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    for name in ["team-a", "team-b"] {
        cluster.api.create("/api/v1/namespaces", &json!({ "metadata": { "name": name } })).await?;
    }
    for definition in of_kind("CustomResourceDefinition") {
        cluster.api.create(DEFINITIONS, &fresh(definition)).await?;
    }
    for object in of_kind("Database").chain(of_kind("Gateway")) {
        let plural = if object["kind"] == "Gateway" { "gateways" } else { "databases" };
        let namespace = object["metadata"]["namespace"].as_str().context("a namespace")?;
        let version = object["apiVersion"].as_str().context("a version")?;
        let path = format!("/apis/{version}/namespaces/{namespace}/{plural}");
        until("the new kind", LIMIT, async || cluster.api.create(&path, &fresh(object)).await).await?;
    }
    let config = stage.repository("tests/data/scenarios").join(format!("{SCENARIO}.crs.yaml"));
    let config = format!("--custom-resource-state-config-file={}", config.display());
    let flags = [config.as_str(), "--custom-resource-state-only"];
    let mut replica = Replica::start(stage, 10, &cluster.kubeconfig, &flags)?;
    replica.ready().await?;
    let expected = exposed(&unzipped(stage, &format!("{SCENARIO}.prom.gz"))?);
    until("the recorded series", LIMIT, async || {
        let actual = exposed(&replica.at.scrape().await?);
        ensure!(actual == expected, "served: {actual:#?}\nrecorded: {expected:#?}");
        Ok(())
    })
    .await?;
    // Other cases create definitions in the same control plane.
    until("all definitions", LIMIT, async || {
        let telemetry = replica.at.self_metrics().await?;
        let known = series::of(&telemetry, "kube_state_metrics_custom_resource_state_cache").next();
        let existing = cluster.api.list(DEFINITIONS).await?.len();
        ensure!(known.and_then(series::value) == Some(existing as f64), "{known:?} of {existing} definitions");
        Ok(())
    })
    .await?;
    Ok(expected.len())
}

/// An object without the fields that the API server sets.
fn fresh(object: &Value) -> Value {
    let mut object = object.clone();
    for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
        object["metadata"][field] = Value::Null;
    }
    if object["kind"] == "CustomResourceDefinition" {
        object["status"] = Value::Null;
    }
    object
}

/// Each series with sorted labels, and its value.
fn exposed(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let parts = lines.filter_map(|line| line.rsplit_once(' '));
    // No value of these labels contains a comma.
    let series = parts.map(|(series, value)| {
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let mut labels: Vec<_> = labels.trim_end_matches('}').split(',').collect();
        labels.sort_unstable();
        (format!("{name}{{{}}}", labels.join(",")), value.to_owned())
    });
    series.collect()
}

/// A definition of the group [`group`].
pub fn definition(api: &Api, plural: &str, kind: &str, versions: &[&str]) -> Value {
    let schema = json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
    let versions = versions.iter().enumerate();
    let versions: Vec<_> = versions
        .map(|(index, name)| json!({ "name": name, "served": true, "storage": index == 0, "schema": schema }))
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{}", group(api)) },
        "spec": {
            "group": group(api),
            "scope": "Cluster",
            "names": { "kind": kind, "plural": plural },
            "versions": versions,
        },
    })
}

/// The API group of a case's custom resources, which no other case uses.
pub fn group(api: &Api) -> String {
    format!("{}.example.com", api.namespace)
}

pub async fn create_things(api: &Api, plural: &str, kind: &str, count: usize) -> Result<()> {
    let path = format!("/apis/{}/v1/{plural}", group(api));
    for number in 0..count {
        let object = json!({
            "apiVersion": format!("{}/v1", group(api)),
            "kind": kind,
            "metadata": { "name": format!("{plural}-{number}") },
            "spec": { "size": number },
        });
        until("the new kind", LIMIT, async || api.create(&path, &object).await).await?;
    }
    Ok(())
}

/// The number of `shop_size` series, by kind and version.
fn sizes(text: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in series::of(text, "shop_size") {
        let label = |name| series::label(line, name).unwrap_or_default();
        let of = format!("{}.{}", label("customresource_kind"), label("customresource_version"));
        *counts.entry(of).or_default() += 1;
    }
    counts
}

fn counts<'a>(of: impl IntoIterator<Item = (&'a str, usize)>) -> BTreeMap<String, usize> {
    of.into_iter().map(|(of, count)| (of.to_owned(), count)).collect()
}

/// Kinds appear, change and disappear while one exporter runs.
async fn come_and_go(stage: &Stage, cluster: &Cluster) -> Result<()> {
    let config = format!("--custom-resource-state-config={CONFIG}");
    let flags = [config.as_str(), "--resources=namespaces"];
    let mut replica = Replica::start(stage, 11, &cluster.kubeconfig, &flags)?;
    replica.ready().await?;
    let served = async |what: &str, expected: &[(&str, usize)]| {
        until(what, LIMIT, async || {
            let text = replica.at.scrape().await?;
            ensure!(series::of(&text, "kube_namespace_created").count() > 2, "the namespaces are missing");
            let (is, expected) = (sizes(&text), counts(expected.iter().copied()));
            ensure!(is == expected, "served are {is:?}, expected {expected:?}");
            Ok(())
        })
        .await
    };
    served("nothing", &[]).await?;
    cluster.api.create(DEFINITIONS, &definition(&cluster.api, "gadgets", "Gadget", &["v1"])).await?;
    create_things(&cluster.api, "gadgets", "Gadget", 3).await?;
    served("a new kind", &[("Gadget.v1", 3)]).await?;
    let path = format!("{DEFINITIONS}/gadgets.{}", group(&cluster.api));
    let versions = definition(&cluster.api, "gadgets", "Gadget", &["v1", "v2"])["spec"]["versions"].take();
    cluster.api.patch(&path, &json!({ "spec": { "versions": versions } })).await?;
    served("another version", &[("Gadget.v1", 3), ("Gadget.v2", 3)]).await?;
    let mut versions = versions;
    versions[1]["served"] = json!(false);
    cluster.api.patch(&path, &json!({ "spec": { "versions": versions } })).await?;
    served("a version less", &[("Gadget.v1", 3)]).await?;
    cluster.api.delete(&format!("/apis/{}/v1/gadgets/gadgets-1", group(&cluster.api))).await?;
    served("an object less", &[("Gadget.v1", 2)]).await?;
    cluster.api.delete(&path).await?;
    served("a kind less", &[]).await?;
    // The API server deletes the objects of a definition first.
    let again = definition(&cluster.api, "gadgets", "Gadget", &["v1"]);
    until("the end of the definition", LIMIT, async || cluster.api.create(DEFINITIONS, &again).await).await?;
    create_things(&cluster.api, "gadgets", "Gadget", 1).await?;
    served("the kind again", &[("Gadget.v1", 1)]).await?;
    let telemetry = replica.at.self_metrics().await?;
    for (event, at_least) in [("add", 4.0), ("update", 2.0), ("delete", 1.0)] {
        let family = format!("kube_state_metrics_custom_resource_state_{event}_events_total");
        let count = series::of(&telemetry, &family).next().and_then(series::value);
        ensure!(count.is_some_and(|count| count >= at_least), "{family} is {count:?}, expected {at_least} or more");
    }
    cluster.api.delete(&path).await?;
    served("a kind less", &[]).await
}

/// A fleet of two shares the objects of a kind that appears while it runs, and hands them over when it shrinks.
async fn shared(stage: &Stage, cluster: &Cluster) -> Result<()> {
    let flags = [format!("--custom-resource-state-config={CONFIG}"), "--custom-resource-state-only".to_owned()];
    let fleet =
        Fleet::start_with(stage, cluster, FleetOptions { flags: flags.into(), ..FleetOptions::default() }).await?;
    cluster.api.create(DEFINITIONS, &definition(&cluster.api, "widgets", "Widget", &["v1"])).await?;
    create_things(&cluster.api, "widgets", "Widget", WIDGETS).await?;
    until("each object once", LIMIT, async || each_once(&fleet, true).await).await?;
    fleet.scale(1).await?;
    until("all from one", Duration::from_secs(90), async || each_once(&fleet, false).await).await
}

/// Every widget is served once, by two replicas or by the first one alone.
async fn each_once(fleet: &Fleet, by_two: bool) -> Result<()> {
    let mut names = Vec::new();
    for (ordinal, replica) in fleet.replicas.iter().enumerate() {
        if ordinal > 0 && !by_two {
            break;
        }
        let text = replica.scrape().await?;
        let of_this: Vec<_> =
            series::of(&text, "shop_size").filter_map(|line| series::label(line, "name")).map(str::to_owned).collect();
        if of_this.is_empty() {
            bail!("replica {ordinal} serves none");
        }
        names.extend(of_this);
    }
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    ensure!(all == WIDGETS && names.len() == WIDGETS, "{all} series of {} objects, expected {WIDGETS}", names.len());
    Ok(())
}

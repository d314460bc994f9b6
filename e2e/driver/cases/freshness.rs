//! A created, changed or deleted object shows on its owner within two seconds, and on no other replica.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube_state_fleet::sharding::{Assignment, Hasher};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::fleet::Fleet;
use crate::series;
use crate::stage::{Size, Stage};
use crate::wait::until;

const REPLICAS: u8 = 3;
/// The promised time.
const LIMIT: Duration = Duration::from_secs(2);

/// A kind of object, and the series that show its life.
struct Kind {
    resource: &'static str,
    collection: &'static str,
    /// The object with this name.
    object: fn(&str) -> Value,
    /// A series that exists as long as the object: the family, and the label with the name.
    exists: (&'static str, &'static str),
    /// The subresource and the patch that change it.
    change: (&'static str, fn() -> Value),
    /// Whether a series shows the changed object.
    changed: fn(line: &str, object: &Value) -> bool,
}

const KINDS: &[Kind] = &[
    Kind {
        resource: "pods",
        collection: "/api/v1/namespaces/default/pods",
        object: |name| {
            json!({ "metadata": { "name": name }, "spec": {
                "nodeName": "e2e-node", "containers": [{ "name": "main", "image": "main" }],
            }})
        },
        exists: ("kube_pod_info", "pod"),
        change: ("/status", || json!({ "status": { "phase": "Succeeded" } })),
        changed: |line, _| {
            line.starts_with("kube_pod_status_phase{")
                && series::label(line, "phase") == Some("Succeeded")
                && is(line, 1.0)
        },
    },
    Kind {
        resource: "nodes",
        collection: "/api/v1/nodes",
        object: |name| json!({ "metadata": { "name": name } }),
        exists: ("kube_node_info", "node"),
        change: ("", || json!({ "spec": { "unschedulable": true } })),
        changed: |line, _| line.starts_with("kube_node_spec_unschedulable{") && is(line, 1.0),
    },
    Kind {
        resource: "deployments",
        collection: "/apis/apps/v1/namespaces/default/deployments",
        object: |name| {
            json!({ "metadata": { "name": name }, "spec": {
                "replicas": 1,
                "selector": { "matchLabels": { "app": name } },
                "template": {
                    "metadata": { "labels": { "app": name } },
                    "spec": { "containers": [{ "name": "main", "image": "main" }] },
                },
            }})
        },
        exists: ("kube_deployment_created", "deployment"),
        change: ("", || json!({ "spec": { "replicas": 7 } })),
        changed: |line, _| line.starts_with("kube_deployment_spec_replicas{") && is(line, 7.0),
    },
    Kind {
        resource: "configmaps",
        collection: "/api/v1/namespaces/default/configmaps",
        object: |name| json!({ "metadata": { "name": name } }),
        exists: ("kube_configmap_info", "configmap"),
        change: ("", || json!({ "data": { "changed": "yes" } })),
        changed: |line, object| {
            line.starts_with("kube_configmap_metadata_resource_version{") && is_version(line, object)
        },
    },
    Kind {
        resource: "secrets",
        collection: "/api/v1/namespaces/default/secrets",
        object: |name| json!({ "metadata": { "name": name } }),
        exists: ("kube_secret_info", "secret"),
        change: ("", || json!({ "data": { "changed": "eWVz" } })),
        changed: |line, object| line.starts_with("kube_secret_metadata_resource_version{") && is_version(line, object),
    },
];

fn is(line: &str, value: f64) -> bool {
    series::value(line) == Some(value)
}

fn is_version(line: &str, object: &Value) -> bool {
    let version = object["metadata"]["resourceVersion"].as_str().and_then(|version| version.parse().ok());
    version.is_some_and(|version| is(line, version))
}

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let fleet = Fleet::start(stage, &cluster, REPLICAS).await?;
    let rounds = if stage.size == Size::Long { 20 } else { 4 };
    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        for kind in KINDS {
            let name = format!("fresh-{round}");
            let took =
                live(&cluster, &fleet, kind, &name).await.with_context(|| format!("{} {name}", kind.resource))?;
            slowest = slowest.max(took);
        }
    }
    let changes = 3 * rounds * KINDS.len();
    Ok(format!("{changes} changes, each on its replica after {:.2} s at most", slowest.as_secs_f64()))
}

/// Creates, changes and deletes an object. Returns the longest time until a step showed.
async fn live(cluster: &Cluster, fleet: &Fleet, kind: &Kind, name: &str) -> Result<Duration> {
    let mut slowest = Duration::ZERO;
    let path = format!("{}/{name}", kind.collection);
    let (family, label) = kind.exists;
    let exists = |line: &str| series::of(line, family).next().is_some();
    let ours = |line: &str| series::label(line, label) == Some(name);

    let start = Instant::now();
    let object = cluster.api.create(kind.collection, &(kind.object)(name)).await?;
    let owner = owner(&object)?;
    shows(fleet, kind, Some(owner), |line| exists(line) && ours(line)).await.context("its creation")?;
    slowest = slowest.max(start.elapsed());

    let (subresource, patch) = kind.change;
    let start = Instant::now();
    let object = cluster.api.patch(&format!("{path}{subresource}"), &patch()).await?;
    shows(fleet, kind, Some(owner), |line| ours(line) && (kind.changed)(line, &object)).await.context("its change")?;
    slowest = slowest.max(start.elapsed());

    let start = Instant::now();
    cluster.api.delete(&path).await?;
    shows(fleet, kind, None, ours).await.context("its deletion")?;
    Ok(slowest.max(start.elapsed()))
}

/// The owner of an object.
fn owner(object: &Value) -> Result<usize> {
    let uid = object["metadata"]["uid"].as_str().context("an object without a UID")?;
    let owner = Assignment::new(REPLICAS.into())?.owner(Hasher::default().hash(uid)).context("it has no owner")?;
    Ok(usize::try_from(owner)?)
}

/// Waits until exactly `owner` serves a line that `wanted` accepts.
async fn shows(fleet: &Fleet, kind: &Kind, owner: Option<usize>, wanted: impl Fn(&str) -> bool) -> Result<()> {
    until("the change in the series", LIMIT, async || {
        for (ordinal, at) in fleet.replicas.iter().enumerate() {
            let text = at.scrape_resources(kind.resource).await?;
            let seen = text.lines().any(|line| !line.starts_with('#') && wanted(line));
            match (seen, owner == Some(ordinal)) {
                (true, false) => bail!("replica {ordinal} serves it, which should be {owner:?}"),
                (false, true) => bail!("replica {ordinal} does not serve it"),
                _ => {}
            }
        }
        Ok(())
    })
    .await
}

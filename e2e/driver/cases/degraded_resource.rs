//! A custom resource whose conversion webhook is down: every list and watch of one of its versions fails for ever. Nothing waits for
//! it: the fleet grows, a replica that ends hands over at once and is taken back, and everything else is served once all the time.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::custom_resources::{DEFINITIONS, create_things, definition, group};
use crate::api;
use crate::cluster::Cluster;
use crate::fleet::{Fleet, Options};
use crate::kubelet::Running;
use crate::observer::{Bounds, Observer};
use crate::process::Signal;
use crate::stage::Stage;
use crate::wait::until;

/// How long the API server may take until the resource fails, and a replica until its process ends.
const LIMIT: Duration = Duration::from_secs(60);
/// How long a replica may take to hand over when it ends. If the others waited for the resource, it would use its grace period.
const LEAVE: Duration = Duration::from_secs(20);

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let group = group(&cluster.api);
    cluster.api.create(DEFINITIONS, &definition(&cluster.api, "gizmos", "Gizmo", &["v1", "v2"])).await?;
    create_things(&cluster.api, "gizmos", "Gizmo", 3).await?;
    let config = json!({ "spec": { "resources": [{
        "groupVersionKind": { "group": group, "kind": "Gizmo", "version": "v2" },
        "metrics": [{ "name": "size", "each": { "type": "Gauge", "gauge": { "path": ["spec", "size"] } } }],
    }] } });
    let config = format!("--custom-resource-state-config={config}");
    let fleet = Fleet::start_with(stage, &cluster, Options::lean(2, &[&config])).await?;
    let expected = cluster.api.keys("/api/v1/pods?labelSelector=team", api::uid).await?;
    let mut observer = Observer::new(stage, &fleet, &expected)?;
    observer.settle(&fleet).await?;

    let resource = format!("gizmos.v2.{group}");
    // Nothing answers at the address.
    let webhook = json!({ "clientConfig": { "url": "https://127.0.0.1:1/" }, "conversionReviewVersions": ["v1"] });
    let conversion = json!({ "spec": { "conversion": { "strategy": "Webhook", "webhook": webhook } } });
    cluster.api.patch(&format!("{DEFINITIONS}/gizmos.{group}"), &conversion).await?;
    observer
        .phase(&fleet, "scale up", Bounds::SEAMLESS, async || {
            until("the failure", LIMIT, async || {
                let labels = [("resource", "*unstructured.Unstructured"), ("result", "error")];
                let errors = fleet.metric(0, "kube_state_metrics_watch_total", &labels).await?;
                ensure!(errors > 0.0, "the watch goes on");
                Ok(())
            })
            .await?;
            fleet.scale(3).await
        })
        .await?;
    for (ordinal, _) in fleet.live() {
        let sources = fleet.metric(ordinal, "kube_state_fleet_degraded", &[("resource", &resource)]).await?;
        ensure!(sources == 1.0, "replica {ordinal} counts {sources} degraded sources");
    }
    let degraded = format!("resource {resource} is degraded (");
    until("an Event of each replica", LIMIT, async || {
        let events = fleet.events().await?;
        for (ordinal, _) in fleet.live() {
            let text = format!("member {ordinal}: {degraded}");
            let is = |event: &Value| event["note"].as_str().is_some_and(|note| note.starts_with(&text));
            ensure!(events.iter().any(is), "no Event of replica {ordinal} among {}", events.len());
        }
        Ok(())
    })
    .await?;
    let mut left = Duration::ZERO;
    observer
        .phase(&fleet, "restart of a replica", Bounds::SEAMLESS, async || {
            let (start, before) = (Instant::now(), fleet.live());
            fleet.signal(2, Signal::TERM)?;
            until("the end of the replica", LIMIT, async || {
                let same = |running: &Running| before.iter().any(|(_, before)| before.process == running.process);
                ensure!(!fleet.live().iter().any(|(ordinal, running)| *ordinal == 2 && same(running)), "it runs");
                Ok(())
            })
            .await?;
            left = start.elapsed();
            Ok(())
        })
        .await?;
    ensure!(left < LEAVE, "a replica needed {left:?} to leave");
    observer.note(format!("it left in {left:.0?}"));

    cluster.api.delete(&format!("{DEFINITIONS}/gizmos.{group}")).await?;
    observer.summary()
}

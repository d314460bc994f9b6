//! The labels of Namespaces and objects change during scrapes every 100 ms, under `--namespace-selector` and `--resource-selector`. Series
//! begin and end as the selectors say, and every scrape has all series of the other objects. The permissions are those that `docs rbac`
//! prints.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::cluster::{Cluster, Options};
use crate::replica::Replica;
use crate::series;
use crate::stage::Stage;
use crate::wait::until;

/// The pause between two scrapes.
const PERIOD: Duration = Duration::from_millis(100);
/// How long a change may take: an event, a list.
const LIMIT: Duration = Duration::from_secs(60);
/// Objects of each resource in each namespace.
const OBJECTS: usize = 20;

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::start(stage, Options::default()).await?;
    let api = &cluster.api;
    for (namespace, team) in [("stays", "one"), ("comes", "none")] {
        let metadata = json!({ "name": namespace, "labels": { "team": team } });
        api.create("/api/v1/namespaces", &json!({ "metadata": metadata })).await?;
        for number in 0..OBJECTS {
            let metadata = json!({ "name": format!("o-{number}"), "labels": { "tier": "web" } });
            for resource in ["configmaps", "secrets"] {
                let object = json!({ "metadata": metadata });
                api.create(&format!("/api/v1/namespaces/{namespace}/{resource}"), &object).await?;
            }
        }
    }
    let resources = "--resources=configmaps,secrets,nodes";
    let role = super::rbac::printed(stage, &[resources, "--namespace-selector"])?;
    let kubeconfig = stage.directory.join("kubeconfig-selecting");
    cluster.write_kubeconfig(&kubeconfig, &api.account("selecting", &role, None).await?)?;
    let flags = [resources, "--namespace-selector=team in (one,two)", "--resource-selector=configmaps=tier!=ci"];
    let mut replica = Replica::start(stage, 10, &kubeconfig, &flags)?;
    replica.ready().await?;
    let kept = names(&replica.at.scrape().await?);
    ensure!(count(&replica, "stays").await? == (OBJECTS, OBJECTS), "the selected namespace is not whole");
    ensure!(count(&replica, "comes").await? == (0, 0), "a namespace outside is served");

    let at = replica.at;
    let scrapes = Cell::new(0_u32);
    let scraping = async {
        let mut period = tokio::time::interval(PERIOD);
        loop {
            period.tick().await;
            let now = names(&at.scrape().await?);
            let missing: Vec<_> = kept.difference(&now).take(3).collect();
            ensure!(missing.is_empty(), "scrape {} has {} series, without {missing:?}", scrapes.get(), now.len());
            scrapes.set(scrapes.get() + 1);
        }
    };
    let changes = async {
        let label = |team: &str| json!({ "metadata": { "labels": { "team": team } } });
        let tier = |tier: &str| json!({ "metadata": { "labels": { "tier": tier } } });
        for _ in 0..3 {
            api.patch("/api/v1/namespaces/comes", &label("two")).await?;
            reaches(&replica, (OBJECTS, OBJECTS)).await?;
            api.patch("/api/v1/namespaces/comes/configmaps/o-1", &tier("ci")).await?;
            reaches(&replica, (OBJECTS - 1, OBJECTS)).await?;
            api.patch("/api/v1/namespaces/comes/configmaps/o-1", &tier("web")).await?;
            reaches(&replica, (OBJECTS, OBJECTS)).await?;
            api.patch("/api/v1/namespaces/comes", &label("none")).await?;
            reaches(&replica, (0, 0)).await?;
        }
        Ok(())
    };
    let scraping: Pin<Box<dyn Future<Output = Result<Infallible>>>> = Box::pin(scraping);
    let changes: Pin<Box<dyn Future<Output = Result<()>>>> = Box::pin(changes);
    tokio::select! {
        failed = scraping => match failed? {},
        changed = changes => changed?,
    }
    replica.process.ensure_running()?;
    let telemetry = replica.at.self_metrics().await?;
    ensure!(super::rbac::refused(&telemetry).is_empty(), "refused: {:?}", super::rbac::refused(&telemetry));
    Ok(format!("{} scrapes, none without any of {} unchanged series", scrapes.get(), kept.len()))
}

/// Waits until the replica serves so many ConfigMaps and Secrets of the namespace that comes and goes.
async fn reaches(replica: &Replica, wanted: (usize, usize)) -> Result<()> {
    until("the change", LIMIT, async || {
        let now = count(replica, "comes").await?;
        ensure!(now == wanted, "{now:?} objects are served instead of {wanted:?}");
        Ok(())
    })
    .await
}

/// Returns the number of ConfigMaps and Secrets of a namespace.
async fn count(replica: &Replica, namespace: &str) -> Result<(usize, usize)> {
    let text = replica.at.scrape().await?;
    let own = |name: &str| {
        series::label(name, "configmap").or(series::label(name, "secret")).is_some_and(|o| o.starts_with("o-"))
    };
    let of = |family: &str| {
        series::of(&text, family)
            .filter(|line| series::label(line, "namespace") == Some(namespace) && own(line))
            .count()
    };
    Ok((of("kube_configmap_info"), of("kube_secret_info")))
}

/// All series of the namespace that stays, and of cluster-scoped objects, without their values.
fn names(text: &str) -> BTreeSet<String> {
    let series =
        text.lines().filter(|line| !line.starts_with('#') && series::label(line, "namespace") != Some("comes"));
    series.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
}

//! Scrapes of some namespaces: a client with a Role in one namespace gets the series of that namespace, and nothing else. The API server
//! decides.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::StatusCode;
use serde_json::json;

use crate::cluster::Cluster;
use crate::http::{Answer, get};
use crate::replica::Replica;
use crate::series;
use crate::stage::Stage;
use crate::wait::until;

/// How long the objects of the case may take to appear.
const LIMIT: Duration = Duration::from_secs(60);

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
    Ok(format!("a tenant sees the {count} series of its namespace, and 403 elsewhere"))
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

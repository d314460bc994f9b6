//! The chart with the auth filter and TLS: its arguments serve, its permissions are enough, and its monitor scrapes.

use anyhow::{Context, Result, ensure};
use http::StatusCode;
use serde_json::{Value, json};

use super::{arguments, chart, mount, mounted};
use crate::certificates::Authority;
use crate::cluster::Cluster;
use crate::http::get_secured;
use crate::replica::{READY_LIMIT, Replica};
use crate::series;
use crate::stage::Stage;
use crate::wait::until;

/// The name of the chart's objects.
const NAME: &str = "fleet-kube-state-fleet";
/// The account that the chart makes for Prometheus.
const SCRAPER: &str = "fleet-kube-state-fleet-scraper";

/// One replica, because the pods of a StatefulSet need its controller.
const VALUES: &str =
    "autosharding.enabled=false,replicas=1,authFilter.enabled=true,tls.secretName=pair,prometheus.monitor.enabled=true";

pub async fn scrape(stage: &Stage, cluster: &Cluster) -> Result<usize> {
    let text = chart(stage, |helm| helm.arg("--set").arg(VALUES))?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text)?;
    let object = |kind: &str, name: &str| {
        let found = documents.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        found.with_context(|| format!("there is no {kind} {name}"))
    };
    let container = &object("Deployment", NAME)?["spec"]["template"]["spec"]["containers"][0];
    let [endpoint, telemetry] =
        &object("PodMonitor", NAME)?["spec"]["podMetricsEndpoints"].as_array().context("no endpoints")?[..]
    else {
        anyhow::bail!("a port is missing in the PodMonitor")
    };
    for endpoint in [endpoint, telemetry] {
        ensure!(endpoint["scheme"] == "https" && endpoint["tlsConfig"]["ca"]["secret"]["name"] == "pair", "{endpoint}");
        ensure!(endpoint["authorization"]["credentials"] == json!({ "name": SCRAPER, "key": "token" }), "{endpoint}");
    }
    let token = object("Secret", SCRAPER)?;
    ensure!(token["metadata"]["annotations"]["kubernetes.io/service-account.name"] == SCRAPER, "{token}");
    let binding = object("ClusterRoleBinding", SCRAPER)?;
    ensure!(binding["subjects"][0]["name"] == SCRAPER && binding["roleRef"]["name"] == SCRAPER, "{binding}");

    // The certificate has the name that the monitor asks for, and no other.
    let server = endpoint["tlsConfig"]["serverName"].as_str().context("no serverName")?;
    let authority = Authority::new()?;
    mount(stage, &documents)?;
    authority.issue(server)?.write(&mounted(stage))?;

    let kubeconfig = stage.directory.join("kubeconfig-chart");
    let rights = json!({ "rules": object("ClusterRole", NAME)?["rules"] });
    cluster.write_kubeconfig(&kubeconfig, &cluster.api.account("chart", &rights, None).await?)?;
    let arguments = arguments(stage, container);
    // Ports are the stage's.
    let flags: Vec<&str> = arguments.iter().map(String::as_str).filter(|flag| !flag.contains("port=")).collect();
    let replica = Replica::start(stage, 12, &kubeconfig, &flags)?;

    let scraper = json!({ "rules": object("ClusterRole", SCRAPER)?["rules"] });
    let scraper = format!("Bearer {}", cluster.api.account("chart-scraper", &scraper, None).await?);
    let client = authority.client(None)?;
    let ask = async |port: u16, path: &str, headers: &[(&str, &str)]| {
        get_secured(&client, server, &format!("https://{}:{port}{path}", replica.at.address), headers).await
    };
    for (probe, port) in [("livenessProbe", replica.at.port), ("readinessProbe", replica.at.telemetry_port)] {
        let http = &container[probe]["httpGet"];
        ensure!(http["scheme"] == "HTTPS", "{probe}: {http}");
        let path = http["path"].as_str().context("a probe without a path")?;
        until(probe, READY_LIMIT, async || {
            let answer = ask(port, path, &[]).await?;
            ensure!(answer.status == StatusCode::OK, "{}", answer.text()?);
            Ok(())
        })
        .await?;
    }
    for port in [replica.at.port, replica.at.telemetry_port] {
        let answer = ask(port, "/metrics", &[]).await?;
        ensure!(answer.status == StatusCode::UNAUTHORIZED, "without a token: {}", answer.status);
        let answer = ask(port, "/metrics", &[("authorization", &scraper)]).await?;
        ensure!(answer.status == StatusCode::OK, "with the scraper's token: {}", answer.status);
    }
    let answer = ask(replica.at.telemetry_port, "/metrics", &[("authorization", &scraper)]).await?;
    let refused = crate::cases::rbac::refused(answer.text()?);
    ensure!(refused.is_empty(), "the chart's ClusterRole is not enough: {refused:?}");
    let answer = ask(replica.at.port, "/metrics", &[("authorization", &scraper)]).await?;
    let pods = series::of(answer.text()?, "kube_pod_info").count();
    ensure!(pods > 0, "no pods");
    Ok(pods)
}

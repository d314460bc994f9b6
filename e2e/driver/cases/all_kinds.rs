//! Metrics of a config on built-in kinds and on a kind of an aggregated API server: a simulated API server behind an APIService, which
//! the real one reaches by a Service of the type ExternalName.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube_state_fleet::simulator::{ResourceType, Simulator};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::certificates::Authority;
use crate::cluster::Cluster;
use crate::replica::Replica;
use crate::series;
use crate::stage::Stage;
use crate::wait::until;

/// How long it may take until the API server knows an aggregated one, and until the exporter reads its group again.
const LIMIT: Duration = Duration::from_secs(90);
/// The group of the aggregated API server.
const GROUP: &str = "extension.example.com";

const CONFIG: &str = "
spec:
  resources:
    - groupVersionKind: {group: apps, version: v1, kind: Deployment}
      labelsFromPath: {name: [metadata, name], namespace: [metadata, namespace]}
      metricNamePrefix: own
      metrics:
        - {name: deployment_paused, each: {type: Gauge, gauge: {path: [spec, paused], nilIsZero: true}}}
    - groupVersionKind: {group: '', version: v1, kind: Secret}
      labelsFromPath: {name: [metadata, name], 'annotation_*': [metadata, annotations], type: [type]}
      metricNamePrefix: own
      metrics:
        - {name: secret_generation, each: {type: Gauge, gauge: {path: [metadata, generation], nilIsZero: true}}}
    - groupVersionKind: {group: apiregistration.k8s.io, version: v1, kind: APIService}
      labelsFromPath: {name: [metadata, name]}
      metricNamePrefix: own
      metrics:
        - {name: apiservice_priority, each: {type: Gauge, gauge: {path: [spec, versionPriority]}}}
    - groupVersionKind: {group: extension.example.com, version: '*', kind: '*'}
      labelsFromPath: {name: [metadata, name]}
      metricNamePrefix: own
      metrics:
        - {name: thing_size, each: {type: Gauge, gauge: {path: [size]}}}
";

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let api = &cluster.api;
    let template = json!({
        "metadata": { "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "main", "image": "i" }] },
    });
    let deployment = json!({
        "metadata": { "name": "web" },
        "spec": { "paused": true, "replicas": 2, "selector": { "matchLabels": { "app": "web" } }, "template": template },
    });
    let deployments = format!("/apis/apps/v1/namespaces/{}/deployments", api.namespace);
    api.create(&deployments, &deployment).await?;
    let annotations = json!({ "harmless": "yes", "kubectl.kubernetes.io/last-applied-configuration": "hidden-value" });
    let secret = json!({ "metadata": { "name": "all-kinds", "annotations": annotations }, "stringData": { "a": "hidden-value" } });
    api.create(&api.core("secrets"), &secret).await?;

    let config = format!("--custom-resource-state-config={CONFIG}");
    let flags = ["--custom-resource-state-all-kinds", config.as_str(), "--resources=deployments,namespaces"];
    let mut replica = Replica::start(stage, 10, &cluster.kubeconfig, &flags)?;
    replica.ready().await?;
    let own = format!("namespace=\"{}\"", api.namespace);
    let served = async |what: &str, name: &str, parts: &[&str]| {
        until(what, LIMIT, async || {
            let text = replica.at.scrape().await?;
            ensure!(!text.contains("hidden"), "the data of a Secret is served");
            let line = series::of(&text, name).find(|line| parts.iter().all(|part| line.contains(part)));
            line.map(str::to_owned).with_context(|| format!("no {name} with {parts:?}"))
        })
        .await
    };
    served("a built-in kind", "own_deployment_paused", &[&own, "name=\"web\"", "} 1"]).await?;
    served("its own family", "kube_deployment_spec_replicas", &[&own, "} 2"]).await?;
    served("a Secret", "own_secret_generation", &["annotation_harmless=\"yes\"", "type=\"Opaque\""]).await?;
    served("a kind of the aggregator", "own_apiservice_priority", &["name=\"v1.apps\""]).await?;
    api.patch(&format!("{deployments}/web"), &json!({ "spec": { "paused": false, "replicas": 3 } })).await?;
    served("a change", "own_deployment_paused", &[&own, "} 0"]).await?;
    served("the same change", "kube_deployment_spec_replicas", &[&own, "} 3"]).await?;

    let things = vec![ResourceType::new(GROUP, "v1", "things", "Thing", true)];
    let extension = Simulator::start((Ipv4Addr::LOCALHOST, 0).into(), things).await?;
    let thing = |name: &str, size: u32| -> Result<()> {
        let metadata = json!({ "namespace": "shop", "name": name });
        extension.apply(
            &json!({ "apiVersion": format!("{GROUP}/v1"), "kind": "Thing", "metadata": metadata, "size": size }),
        )?;
        Ok(())
    };
    thing("first", 1)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let mut proxy = JoinSet::new();
    proxy.spawn(secured(listener, extension.address()));
    let service = json!({
        "metadata": { "name": "extension" },
        "spec": { "type": "ExternalName", "externalName": "localhost", "ports": [{ "port": port }] },
    });
    api.create(&api.core("services"), &service).await?;
    let service = json!({
        "metadata": { "name": format!("v1.{GROUP}") },
        "spec": {
            "group": GROUP,
            "version": "v1",
            "groupPriorityMinimum": 1000,
            "versionPriority": 15,
            "insecureSkipTLSVerify": true,
            "service": { "namespace": api.namespace, "name": "extension", "port": port },
        },
    });
    let services = "/apis/apiregistration.k8s.io/v1/apiservices";
    api.create(services, &service).await?;
    let result = async {
        served("an aggregated kind", "own_thing_size", &["name=\"first\"", "} 1"]).await?;
        thing("second", 2)?;
        served("its events", "own_thing_size", &["name=\"second\"", "} 2"]).await?;
        let watches = extension.open_watches("things");
        ensure!(watches == 1, "{watches} watches of one kind");
        Ok(())
    };
    let result = result.await;
    // It would disturb the discovery of other cases.
    api.delete(&format!("{services}/v1.{GROUP}")).await?;
    result?;
    until("the end of the kind", LIMIT, async || {
        let text = replica.at.scrape().await?;
        ensure!(series::of(&text, "own_thing_size").next().is_none(), "the kind is served after its APIService");
        Ok(())
    })
    .await?;
    Ok("a built-in kind and its own families from one watch, a kind of an aggregated API server that came and went"
        .to_owned())
}

/// Passes each connection on to `server`, without TLS.
async fn secured(listener: TcpListener, server: SocketAddr) -> Result<()> {
    let pair = Authority::new()?.issue("localhost")?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes())?],
            PrivateKeyDer::from_pem_slice(pair.key.as_bytes())?,
        )?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            let mut stream = acceptor.accept(stream).await?;
            let mut server = TcpStream::connect(server).await?;
            copy_bidirectional(&mut stream, &mut server).await
        });
    }
}

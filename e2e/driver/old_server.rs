//! An API server that lacks some resources: it answers requests for them as an old one does, and forwards all others.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::cluster::{Cluster, write_kubeconfig};
use crate::stage::Stage;

/// Forwards requests over plain HTTP; ends when dropped.
pub struct OldServer {
    address: SocketAddr,
    upgraded: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl OldServer {
    /// Listens on the stage's address `host`. Lacks the resources in `missing`, by plural.
    pub async fn start(stage: &Stage, host: u8, cluster: &Cluster, missing: &'static [&'static str]) -> Result<Self> {
        let listener = TcpListener::bind((stage.address(host), 0)).await?;
        let address = listener.local_addr()?;
        let config = Kubeconfig::read_from(&cluster.kubeconfig)?;
        let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
        let client = kube::Client::try_from(config)?;
        let upgraded = Arc::new(AtomicBool::new(false));
        let served = Arc::clone(&upgraded);
        let task = tokio::spawn(async move {
            // Dropped with this task, which closes the connections.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (client, served) = (client.clone(), Arc::clone(&served));
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let lacks = !served.load(Ordering::Relaxed) && is_for(&request, missing);
                        answer(client.clone(), request, lacks)
                    });
                    // A client that goes away is no failure.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, upgraded, task })
    }

    /// Serves all resources from now on.
    pub fn upgrade(&self) {
        self.upgraded.store(true, Ordering::Relaxed);
    }

    /// Writes a kubeconfig whose server is this one.
    pub fn write_kubeconfig(&self, path: &Path, cluster: &Cluster) -> Result<()> {
        write_kubeconfig(path, &json!({ "server": format!("http://{}", self.address) }), &cluster.token)
    }
}

impl Drop for OldServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn is_for(request: &Request<Incoming>, resources: &[&str]) -> bool {
    request.uri().path().split('/').any(|part| resources.contains(&part))
}

async fn answer(
    client: kube::Client,
    request: Request<Incoming>,
    lacks: bool,
) -> std::result::Result<Response<Body>, Infallible> {
    let plain = |status, text: String| {
        let mut response = Response::new(Body::from(text.into_bytes()));
        *response.status_mut() = status;
        response
    };
    if lacks {
        // The answer of a real API server to a path that it does not know.
        return Ok(plain(StatusCode::NOT_FOUND, "404 page not found\n".to_owned()));
    }
    let (mut head, _) = request.into_parts();
    // The client has the address and the credentials.
    head.headers.remove(http::header::HOST);
    head.headers.remove(http::header::AUTHORIZATION);
    // The exporter only reads.
    let forwarded = Request::from_parts(head, Body::empty());
    Ok(client.send(forwarded).await.unwrap_or_else(|error| plain(StatusCode::BAD_GATEWAY, error.to_string())))
}

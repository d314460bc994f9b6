//! How the API server is reached: one shared client with live connections, and private ones that keep none.

use std::time::Duration;

use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt};
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder, service_fn};

/// A quiet connection is probed after this long, so that one whose peer is gone without a word is noticed.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Between probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Probes without an answer before the connection counts as dead.
const KEEPALIVE_RETRIES: u32 = 3;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client whose connections are kept and used again.
///
/// There is no read timeout: a watch is silent for as long as nothing happens, and [`super::run`] reopens it by its own clock.
/// Requests are not repeated here either, since the same loop decides when to.
///
/// # Errors
/// The configuration cannot be used: certificates that do not parse, credentials that cannot be read.
pub fn shared_client(mut config: Config) -> kube::Result<Client> {
    config.default_retry = false;
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    let tls = config.rustls_https_connector_with_connector(tcp)?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(HttpClient::builder(TokioExecutor::new()).build::<_, Body>(tls));
    Ok(Client::new(service, config.default_namespace))
}

/// A client that makes each request on a connection of its own and closes it with the answer, so that no buffer outlives
/// what it carried. It must be made and used on the runtime whose thread wipes what it frees (see [`super::wipe`]).
///
/// # Errors
/// As [`shared_client`].
pub fn private_client(config: Config) -> kube::Result<Client> {
    shared_client(config.clone())?;
    let namespace = config.default_namespace.clone();
    let service = service_fn(move |request| {
        // With the client goes its pool, and with that the connection as soon as the answer is read or dropped.
        let client = shared_client(config.clone());
        async move { client?.send(request).await }
    });
    Ok(Client::new(service, namespace))
}

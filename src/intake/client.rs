//! Clients of the API server: a shared one that pools connections, and private ones that keep none.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http_body_util::Either;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::{Body, ConfigExt};
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder, service_fn};

use super::request::WATCH;
use super::socket::Socket;
use super::unpooled;

/// How long a connection is quiet before TCP keepalive probes it, to detect a peer that vanished.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The time between probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Number of unanswered probes before the connection counts as dead.
const KEEPALIVE_RETRIES: u32 = 3;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that pools its connections, except those of watches: each watch has its own connection, which its reader drives.
///
/// There is no read timeout: a watch is silent while nothing changes, and [`super::run`] reopens it by its own clock.
/// The client does not retry either, because the same loop decides when to.
///
/// # Errors
/// The configuration is not usable: certificates do not parse, or credentials cannot be read.
pub fn shared_client(config: Config) -> kube::Result<Client> {
    client(config, Pooling::AllButWatches)
}

/// A client that makes each request on a connection of its own and closes it after the response, so that no buffer outlives
/// its data. Create and use it on the runtime whose thread wipes freed memory (see [`super::wipe`]).
///
/// # Errors
/// The same as for [`shared_client`].
pub fn private_client(config: Config) -> kube::Result<Client> {
    client(config, Pooling::Never)
}

/// Replaces a client in use, for example after its credentials or the address of the API server changed.
#[derive(Clone, Debug)]
pub struct SwappableClient(Arc<ArcSwap<Target>>);

/// [`Client`] has no Debug.
struct Target(Client);

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Target")
    }
}

impl SwappableClient {
    /// Returns a client that sends its requests through `first`, and the handle that replaces `first`.
    pub fn new(first: Client) -> (Self, Client) {
        let namespace = first.default_namespace().to_owned();
        let swappable = Self(Arc::new(ArcSwap::from_pointee(Target(first))));
        let target = Arc::clone(&swappable.0);
        let service = service_fn(move |request: http::Request<Body>| {
            let client = target.load().0.clone();
            async move { client.send(request).await }
        });
        (swappable, Client::new(service, namespace))
    }

    /// Sends later requests through `client`. Running responses, such as watches, continue on the old client.
    pub fn set(&self, client: Client) {
        self.0.store(Arc::new(Target(client)));
    }
}

/// Which connections are pooled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pooling {
    AllButWatches,
    Never,
}

fn client(mut config: Config, pooling: Pooling) -> kube::Result<Client> {
    config.default_retry = false;
    if config.proxy_url.is_some() {
        return behind_proxy(config, pooling);
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    let ahead =
        ServiceBuilder::new().map_response(|tcp: TokioIo<_>| TokioIo::new(Socket::new(tcp.into_inner()))).service(tcp);
    let tls = config.rustls_https_connector_with_connector(ahead)?;
    let pool = HttpClient::builder(TokioExecutor::new()).build::<_, Body>(tls.clone());
    let send = service_fn(move |request: http::Request<Body>| {
        let (pool, tls) = (pool.clone(), tls.clone());
        async move {
            Ok::<_, BoxError>(if pooling == Pooling::Never || is_watch(request.uri()) {
                unpooled::send(tls, request).await?.map(Either::Left)
            } else {
                pool.request(request).await?.map(Either::Right)
            })
        }
    });
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(send);
    Ok(Client::new(service, config.default_namespace))
}

/// A client for a proxy, which kube supports itself.
fn behind_proxy(config: Config, pooling: Pooling) -> kube::Result<Client> {
    let client = Client::try_from(config.clone())?;
    if pooling == Pooling::AllButWatches {
        return Ok(client);
    }
    let namespace = config.default_namespace.clone();
    let service = service_fn(move |request| {
        // The pool is dropped with the client, and the connection with the pool as soon as the response is read or dropped.
        let client = Client::try_from(config.clone());
        async move { client?.send(request).await }
    });
    Ok(Client::new(service, namespace))
}

fn is_watch(uri: &http::Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| pair == WATCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_are_known_by_their_query() {
        for (query, watch) in
            [("?a=b&watch=1&c=d", true), ("?watch=1", true), ("?watch=0", false), ("?a=watch=1", false), ("", false)]
        {
            assert_eq!(is_watch(&format!("https://a/b{query}").parse().expect("a URL")), watch, "{query}");
        }
    }
}

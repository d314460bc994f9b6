//! Connections to other replicas, with the TLS and the credentials that this replica itself requires.

use std::io;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, Response};
use kube::client::ConfigExt;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
use tracing::{debug, warn};

use crate::fleet::peer_client::{Connector, PeerStream, connect};
use crate::server::WebConfig;
use crate::sync::lock;

/// Returns the `Authorization` header that a client sends to the API server. Tokens are renewed as usual.
type Identity = BoxCloneSyncService<Request<String>, Response<String>, BoxError>;

/// Connects to replicas that are configured like this one.
pub(crate) struct PeerConnector {
    web: Option<Arc<WebConfig>>,
    /// The identity for the peers' auth filter; `None` if there is no filter.
    identity: Option<Mutex<CurrentIdentity>>,
}

/// The identity of the newest configuration.
struct CurrentIdentity {
    config: watch::Receiver<kube::Config>,
    identity: Identity,
}

impl CurrentIdentity {
    fn new(mut config: watch::Receiver<kube::Config>) -> kube::Result<Self> {
        let identity = identity(&config.borrow_and_update())?;
        Ok(Self { config, identity })
    }

    fn newest(&mut self) -> Identity {
        if self.config.has_changed().unwrap_or(false) {
            match identity(&self.config.borrow_and_update()) {
                Ok(identity) => self.identity = identity,
                Err(error) => warn!(%error, "cannot set up a new token for peers"),
            }
        }
        self.identity.clone()
    }
}

impl PeerConnector {
    /// Uses TLS as in `web`. If replicas have an auth filter, `filtered` gives the token.
    ///
    /// # Errors
    /// The credentials of the configuration are unusable.
    pub fn new(web: Option<Arc<WebConfig>>, filtered: Option<watch::Receiver<kube::Config>>) -> kube::Result<Self> {
        Ok(Self { web, identity: filtered.map(CurrentIdentity::new).transpose()?.map(Mutex::new) })
    }

    /// Whether replicas are reached through TLS.
    pub fn is_tls(&self) -> bool {
        self.web.as_ref().is_some_and(|web| web.peer_tls().is_some())
    }
}

/// Returns a service that captures the headers which kube would send to the API server.
fn identity(config: &kube::Config) -> kube::Result<Identity> {
    let catch = service_fn(|request: Request<String>| async move {
        let mut caught = Response::default();
        *caught.headers_mut() = request.into_parts().0.headers;
        Ok::<_, BoxError>(caught)
    });
    let layer = config.auth_layer()?;
    Ok(BoxCloneSyncService::new(ServiceBuilder::new().option_layer(layer).map_err(BoxError::from).service(catch)))
}

impl Connector for PeerConnector {
    fn open<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn PeerStream>>> {
        Box::pin(async move {
            let stream = connect(address).await?;
            let Some(config) = self.web.as_ref().and_then(|web| web.peer_tls()) else {
                return Ok(Box::new(stream) as _);
            };
            // The certificate identifies the peer, not its address.
            let name = ServerName::IpAddress(stream.peer_addr()?.ip().into());
            Ok(Box::new(TlsConnector::from(config).connect(name, stream).await?) as _)
        })
    }

    fn credentials(&self) -> BoxFuture<'_, Option<HeaderValue>> {
        Box::pin(async move {
            let Some(identity) = &self.identity else { return self.web.as_ref().and_then(|web| web.peer_proof()) };
            let identity = lock(identity).newest();
            match identity.oneshot(Request::default()).await {
                // NB: passwords must reach the API server only.
                Ok(caught) => {
                    caught.headers().get(AUTHORIZATION).filter(|v| v.as_bytes().starts_with(b"Bearer ")).cloned()
                }
                Err(error) => {
                    debug!(%error, "cannot get a token for peers");
                    None
                }
            }
        })
    }
}

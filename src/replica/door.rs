//! How this replica reaches the others: by TLS and with the credentials that it would ask of them.

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

use crate::fleet::door::{Door, Wire, connect};
use crate::server::WebConfig;
use crate::sync::lock;

/// Gives the header by which a client shows to the API server who it is, renewed as such clients do.
type Identity = BoxCloneSyncService<Request<String>, Response<String>, BoxError>;

/// The way to replicas that are configured as this one.
pub(crate) struct Secured {
    web: Option<Arc<WebConfig>>,
    /// Who we are to an auth filter; `None` where there is none.
    identity: Option<Mutex<Known>>,
}

/// Who we are by the newest configuration.
struct Known {
    config: watch::Receiver<kube::Config>,
    identity: Identity,
}

impl Known {
    fn new(mut config: watch::Receiver<kube::Config>) -> kube::Result<Self> {
        let identity = identity(&config.borrow_and_update())?;
        Ok(Self { config, identity })
    }

    fn newest(&mut self) -> Identity {
        if self.config.has_changed().unwrap_or(false) {
            match identity(&self.config.borrow_and_update()) {
                Ok(identity) => self.identity = identity,
                Err(error) => warn!(%error, "there is no new token to show to peers"),
            }
        }
        self.identity.clone()
    }
}

impl Secured {
    /// Through TLS as `web` says, and with the token of `filtered` where replicas have an auth filter.
    ///
    /// # Errors
    /// The credentials of the configuration cannot be used.
    pub fn new(web: Option<Arc<WebConfig>>, filtered: Option<watch::Receiver<kube::Config>>) -> kube::Result<Self> {
        Ok(Self { web, identity: filtered.map(Known::new).transpose()?.map(Mutex::new) })
    }

    /// Whether replicas are reached by TLS.
    pub fn is_tls(&self) -> bool {
        self.web.as_ref().is_some_and(|web| web.peer_tls().is_some())
    }
}

/// What kube would send to the API server, caught before it is sent.
fn identity(config: &kube::Config) -> kube::Result<Identity> {
    let catch = service_fn(|request: Request<String>| async move {
        let mut caught = Response::default();
        *caught.headers_mut() = request.into_parts().0.headers;
        Ok::<_, BoxError>(caught)
    });
    let layer = config.auth_layer()?;
    Ok(BoxCloneSyncService::new(ServiceBuilder::new().option_layer(layer).map_err(BoxError::from).service(catch)))
}

impl Door for Secured {
    fn open<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Wire>>> {
        Box::pin(async move {
            let stream = connect(address).await?;
            let Some(config) = self.web.as_ref().and_then(|web| web.peer_tls()) else {
                return Ok(Box::new(stream) as _);
            };
            // Who answers is known by its certificate, not by its address.
            let name = ServerName::IpAddress(stream.peer_addr()?.ip().into());
            Ok(Box::new(TlsConnector::from(config).connect(name, stream).await?) as _)
        })
    }

    fn credentials(&self) -> BoxFuture<'_, Option<HeaderValue>> {
        Box::pin(async move {
            let Some(identity) = &self.identity else { return self.web.as_ref().and_then(|web| web.peer_proof()) };
            let identity = lock(&identity).newest();
            match identity.oneshot(Request::default()).await {
                // NB: passwords and the like are for the API server alone.
                Ok(caught) => {
                    caught.headers().get(AUTHORIZATION).filter(|v| v.as_bytes().starts_with(b"Bearer ")).cloned()
                }
                Err(error) => {
                    debug!(%error, "there is no token to show to peers");
                    None
                }
            }
        })
    }
}

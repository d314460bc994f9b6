//! Connections to the telemetry ports of replicas, with the TLS and the credentials that they require.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, Response, StatusCode};
use kube::client::ConfigExt;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

use crate::fleet::peer_client::{self, PeerError, PeerStream};
use crate::server::WebConfig;

/// Returns the `Authorization` header that a client sends to the API server. Tokens are renewed as usual.
type Identity = BoxCloneSyncService<Request<String>, Response<String>, BoxError>;

/// Why a replica got no request.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error(
        "{0} needs credentials, which are sent over TLS alone; add tls_server_config to the file of --tls-config, here and on the \
         replicas"
    )]
    NotSecured(&'static str),
    #[error("there is no token for --auth-filter: {0}")]
    Token(#[source] BoxError),
}

/// Connects to replicas that are configured like this process.
pub(super) struct Connection {
    web: Option<Arc<WebConfig>>,
    /// The identity for the replicas' auth filter; `None` if there is no filter.
    identity: Option<Identity>,
}

impl Connection {
    /// Uses TLS and users as in `web`. If replicas have an auth filter, `filtered` gives the token.
    ///
    /// # Errors
    /// The credentials of the configuration are unusable.
    pub fn new(web: Option<Arc<WebConfig>>, filtered: Option<&kube::Config>) -> kube::Result<Self> {
        Ok(Self { web, identity: filtered.map(identity).transpose()? })
    }

    /// Whether replicas are reached through TLS.
    pub fn is_tls(&self) -> bool {
        self.web.as_ref().is_some_and(|web| web.client_tls().is_some())
    }

    /// Sends a `GET`. The limits are the length of the answer in bytes, and the time for the whole exchange.
    pub async fn get(
        &self,
        address: &str,
        path: &str,
        (max_bytes, limit): (usize, Duration),
    ) -> Result<(StatusCode, Bytes), ConnectError> {
        let exchanged = async {
            let mut request = peer_client::request(address, path, None)?;
            if let Some(credentials) = self.credentials().await? {
                request.headers_mut().insert(AUTHORIZATION, credentials);
            }
            let stream = self.open(address).await.map_err(PeerError::Connect)?;
            Ok(peer_client::exchange(stream, request, max_bytes).await?)
        };
        timeout(limit, exchanged).await.unwrap_or(Err(PeerError::Timeout(limit).into()))
    }

    async fn open(&self, address: &str) -> io::Result<Box<dyn PeerStream>> {
        let stream = peer_client::connect(address).await?;
        let Some(config) = self.web.as_ref().and_then(|web| web.client_tls()) else { return Ok(Box::new(stream)) };
        // The certificate identifies the replica, not its address.
        let name = ServerName::IpAddress(stream.peer_addr()?.ip().into());
        Ok(Box::new(TlsConnector::from(config).connect(name, stream).await?))
    }

    /// Returns the `Authorization` header, if replicas require one. Without TLS it is an error: anyone on the way, and any process
    /// at the address, could read it.
    async fn credentials(&self) -> Result<Option<HeaderValue>, ConnectError> {
        let proof = self.web.as_ref().and_then(|web| web.proof());
        if !self.is_tls() {
            return match (&self.identity, proof) {
                (Some(_), _) => Err(ConnectError::NotSecured("--auth-filter")),
                (None, Some(_)) => Err(ConnectError::NotSecured("basic_auth_users")),
                (None, None) => Ok(None),
            };
        }
        let Some(identity) = &self.identity else { return Ok(proof) };
        let caught = identity.clone().oneshot(Request::default()).await.map_err(ConnectError::Token)?;
        // NB: passwords must reach the API server only.
        Ok(caught.headers().get(AUTHORIZATION).filter(|v| v.as_bytes().starts_with(b"Bearer ")).cloned())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::WebConfig;

    #[tokio::test]
    async fn credentials_are_not_sent_without_tls() {
        let config = kube::Config::new("http://127.0.0.1:1".parse().expect("a URL"));
        let connection = Connection::new(None, Some(&config)).expect("no credentials are needed");
        let error = connection.get("127.0.0.1:1", "/", (1, Duration::from_secs(9))).await.expect_err("no TLS");
        assert!(matches!(error, ConnectError::NotSecured("--auth-filter")), "{error}");

        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("web.yml");
        let hash = bcrypt::hash("secret", 4).expect("a hash");
        std::fs::write(&file, format!("basic_auth_users:\n  alice: {hash}\n")).expect("written");
        let web = WebConfig::load(&file, false).await.expect("it is valid");
        let connection = Connection::new(Some(web), None).expect("no client is needed");
        let error = connection.get("127.0.0.1:1", "/", (1, Duration::from_secs(9))).await.expect_err("no TLS");
        assert!(matches!(error, ConnectError::NotSecured("basic_auth_users")), "{error}");
    }
}

//! Protection of a replica's ports, and connections to peers that have the same protection.

use std::sync::Arc;

use super::api_connection::ApiConnection;
use super::error::StartError;
use super::peer_connector::PeerConnector;
use crate::access::{ApiServerReviewer, AuthFilter};
use crate::fleet::peer_client::Connector;
use crate::server::WebConfig;
use crate::settings::Settings;

/// The protection of both ports, and the way to peers.
pub(super) struct Security {
    pub web: Option<Arc<WebConfig>>,
    pub access: Option<AuthFilter>,
    pub door: Arc<dyn Connector>,
}

impl Security {
    /// Sets up what `settings` ask for. Without a connection there is no token for peers.
    ///
    /// # Errors
    /// `--tls-config` or the credentials are unusable.
    pub async fn of(
        settings: &Settings,
        client: &kube::Client,
        connection: Option<&ApiConnection>,
    ) -> Result<Self, StartError> {
        let web = WebConfig::of(settings).await?;
        let access = settings.fixed.auth_filter.then(|| AuthFilter::new(ApiServerReviewer(client.clone())));
        let config = connection.filter(|_| settings.fixed.auth_filter).map(ApiConnection::config);
        let connector = PeerConnector::new(web.clone(), config).map_err(|source| StartError::Client {
            server: connection.map(|connection| Box::new(connection.server())).unwrap_or_default(),
            source: Box::new(source),
        })?;
        Ok(Self { web, access, door: Arc::new(connector) })
    }
}

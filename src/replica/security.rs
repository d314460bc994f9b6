//! Protection of a replica's ports: for scrapes by the settings, for other members by the keys in the fleet's Leases.

use std::sync::Arc;

use super::error::StartError;
use crate::access::{ApiServerReviewer, AuthFilter};
use crate::fleet::peer_client::Dialer;
use crate::fleet::roster::Roster;
use crate::fleet::tls::ProcessKey;
use crate::server::WebConfig;
use crate::settings::Settings;

/// The protection of all ports.
pub(super) struct Security {
    pub web: Option<Arc<WebConfig>>,
    pub access: Option<AuthFilter>,
    /// `None` outside a fleet.
    pub members: Option<MemberSecurity>,
}

/// The protection of connections between members.
#[derive(Clone)]
pub(super) struct MemberSecurity {
    /// Connects with the key of this process.
    pub dialer: Dialer,
    /// The keys of the other members.
    pub roster: Arc<Roster>,
}

impl Security {
    /// Sets up what `settings` ask for.
    ///
    /// # Errors
    /// `--tls-config` is unusable, or the system has no randomness.
    pub async fn of(settings: &Settings, client: &kube::Client) -> Result<Self, StartError> {
        let web = WebConfig::of(settings).await?;
        let access = settings.fixed.auth_filter.then(|| AuthFilter::new(ApiServerReviewer(client.clone())));
        let in_fleet = settings.fixed.fleet.is_some();
        let key = in_fleet.then(ProcessKey::generate).transpose()?;
        let members = key.map(|key| MemberSecurity { dialer: Dialer(Arc::new(key)), roster: Arc::default() });
        Ok(Self { web, access, members })
    }
}

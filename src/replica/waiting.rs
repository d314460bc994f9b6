//! What is served before there is a replica: self-metrics that tell why there is none.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{StartError, listen};
use crate::access::{AuthFilter, NoReviewer};
use crate::server::{self, AuthLayer, WebConfig};
use crate::settings::Settings;
use crate::telemetry::{Reloads, Replica, Telemetry, Watching, WatchingNow};

/// Serves the telemetry port of `settings` until `stop`, without a replica: `/readyz` says that the configuration is not
/// loaded, and the self-metrics which file is refused.
///
/// # Errors
/// The address cannot be listened on, or what `--tls-config` names cannot be used.
pub async fn waiting(
    settings: &Settings,
    reloads: Arc<Reloads>,
    stop: CancellationToken,
) -> Result<impl Future<Output = ()> + Send + 'static, StartError> {
    let (port, _) = listen("--telemetry-host, --telemetry-port", settings.telemetry)?;
    let watching = Watching { resources: Vec::new(), unknown: vec!["configuration"] };
    let telemetry = Telemetry::new(Replica {
        definition_events: Arc::default(),
        shard: settings.shard,
        watching: WatchingNow::new(Arc::new(watching).into()),
        server_side: false,
        reloads,
        fleet: None,
        coverage: Arc::default(),
    });
    let web = WebConfig::of(settings).await?;
    // Where the API server is, nobody knows yet.
    let access = settings.auth_filter.then(|| AuthFilter::new(NoReviewer));
    let layer = AuthLayer::new(server::telemetry_routes(Arc::new(telemetry)), web, access);
    Ok(server::serve(port, layer, settings.timeouts, stop))
}

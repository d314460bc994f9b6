//! What is served before there is a replica: self-metrics that tell why there is none.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{StartError, listen};
use crate::access::{AuthFilter, NoReviewer};
use crate::health::{Health, SharedWatchSet, WatchSet};
use crate::server::{self, AuthLayer, WebConfig};
use crate::settings::Settings;
use crate::telemetry::{MetricSources, Reloads, Telemetry};

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
    let watch_set = WatchSet { resources: Vec::new(), undecided: vec!["configuration"] };
    let watch_set = SharedWatchSet::new(Arc::new(watch_set).into());
    let health = Arc::new(Health { shard: settings.shard, watch_set, fleet: None });
    let telemetry = Telemetry::new(MetricSources {
        health: Arc::clone(&health),
        definition_events: Arc::default(),
        server_side: false,
        reloads,
        coverage: Arc::default(),
    });
    let web = WebConfig::of(settings).await?;
    // Where the API server is, nobody knows yet.
    let access = settings.auth_filter.then(|| AuthFilter::new(NoReviewer));
    let layer = AuthLayer::new(server::telemetry_routes(Arc::new(telemetry), health), web, access);
    Ok(server::serve(port, layer, settings.timeouts, stop))
}

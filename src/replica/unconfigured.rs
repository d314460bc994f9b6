//! The telemetry port before there is a valid configuration.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::error::StartError;
use super::ports::bind_telemetry;
use crate::access::{AuthFilter, NoReviewer};
use crate::health::{Health, SharedWatchSet, WatchSet};
use crate::server::{self, AuthLayer, WebConfig};
use crate::settings::Settings;
use crate::telemetry::{MetricSources, Reloads, Telemetry};

/// Serves the telemetry port of `settings` until `stop`, without a replica: `/readyz` answers that the configuration is not
/// loaded, and the self-metrics name the invalid file.
///
/// # Errors
/// The port is in use, or the file of `--tls-config` is unusable.
pub async fn serve_unconfigured(
    settings: &Settings,
    reloads: Arc<Reloads>,
    stop: CancellationToken,
) -> Result<impl Future<Output = ()> + Send + 'static, StartError> {
    let port = bind_telemetry(settings)?;
    let watch_set = WatchSet { resources: Vec::new(), undecided: vec!["configuration"] };
    let watch_set = SharedWatchSet::new(Arc::new(watch_set).into());
    let health = Arc::new(Health { shard: settings.fixed.shard, watch_set, definitions: Arc::default(), fleet: None });
    let telemetry = Telemetry::new(MetricSources {
        health: Arc::clone(&health),
        followed: Arc::default(),
        definition_events: Arc::default(),
        server_side: false,
        reloads,
        coverage: Arc::default(),
    });
    let web = WebConfig::of(settings).await?;
    // The API server's address is not known yet.
    let access = settings.fixed.auth_filter.then(|| AuthFilter::new(NoReviewer));
    let layer = AuthLayer::new(server::telemetry_routes(Arc::new(telemetry), health), web, access)
        .with_hosts(&settings.fixed.allowed_hosts);
    Ok(server::serve(port.listener, layer, settings.fixed.timeouts, stop))
}

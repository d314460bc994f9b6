//! What is served before there is a replica: self-metrics that tell why there is none.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{StartError, listen};
use crate::server;
use crate::settings::Settings;
use crate::telemetry::{Reloads, Replica, Telemetry, Watching, WatchingNow};

/// Serves the telemetry port of `settings` until `stop`, without a replica: `/readyz` says that the configuration is not
/// loaded, and the self-metrics which file is refused.
///
/// # Errors
/// The address cannot be listened on.
pub fn waiting(
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
    Ok(server::serve(port, server::telemetry_routes(Arc::new(telemetry)), settings.patience, stop))
}

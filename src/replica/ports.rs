//! The ports of a replica.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::error::StartError;
use crate::server;
use crate::settings::{Listen, Settings};

/// A bound port.
pub(super) struct Port {
    pub listener: TcpListener,
    pub address: SocketAddr,
}

/// The ports of a replica.
pub(super) struct Ports {
    pub metrics: Port,
    pub telemetry: Port,
    /// The port for other members; `None` outside a fleet.
    pub fleet: Option<Port>,
}

impl Ports {
    /// Binds all ports.
    ///
    /// # Errors
    /// A port is in use, or an address does not belong to this host.
    pub fn bind(settings: &Settings) -> Result<Self, StartError> {
        let metrics = bind("--host, --port", settings.fixed.metrics)?;
        let telemetry = bind_telemetry(settings)?;
        let fleet = settings.fixed.fleet.is_some();
        let fleet = fleet.then(|| bind("--fleet-host, --fleet-port", settings.fixed.fleet_port)).transpose()?;
        Ok(Self { metrics, telemetry, fleet })
    }
}

/// Binds the telemetry port alone.
///
/// # Errors
/// As [`Ports::bind`].
pub(super) fn bind_telemetry(settings: &Settings) -> Result<Port, StartError> {
    bind("--telemetry-host, --telemetry-port", settings.fixed.telemetry)
}

/// Binds the address that `flags` give.
pub(super) fn bind(flags: &'static str, listen: Listen) -> Result<Port, StartError> {
    let bound = server::bind(listen).and_then(|listener| Ok(Port { address: listener.local_addr()?, listener }));
    bound.map_err(|source| StartError::Listen { flags, address: SocketAddr::new(listen.host, listen.port), source })
}

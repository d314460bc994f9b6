//! `POST /fleet/heartbeat` on the telemetry port: the heartbeats between members of a fleet.

use std::sync::Arc;

use http::StatusCode;
use warp::reply::Response;
use warp::{Filter, Reply};

use super::fleet::not_in_fleet;
use super::reply::{Routes, text};
use crate::fleet::peer_client::MAX_HEARTBEAT_BYTES;
use crate::fleet::record::Heartbeat;
use crate::fleet::{FleetHandle, Refusal};

/// Answers heartbeats for `fleet`, or 404 outside a fleet.
pub fn heartbeat_routes(fleet: Option<Arc<FleetHandle>>) -> Routes {
    warp::path!("fleet" / "heartbeat")
        .and(warp::post())
        .and(warp::body::content_length_limit(MAX_HEARTBEAT_BYTES))
        .and(warp::body::json())
        .map(move |heartbeat: Heartbeat| match &fleet {
            None => not_in_fleet(),
            Some(fleet) => answer(fleet, heartbeat),
        })
        .boxed()
}

fn answer(fleet: &FleetHandle, heartbeat: Heartbeat) -> Response {
    match fleet.on_heartbeat(heartbeat) {
        Ok(heartbeat) => warp::reply::json(&heartbeat).into_response(),
        Err(refusal @ Refusal::OtherFleet { .. }) => text(StatusCode::CONFLICT, format!("{refusal}\n")),
        Err(refusal @ Refusal::NotCoordinated) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{refusal}\n")),
    }
}

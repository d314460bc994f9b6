//! `POST /fleet/beat` on the telemetry port: what members of a fleet tell each other.

use std::sync::Arc;

use http::StatusCode;
use warp::reply::Response;
use warp::{Filter, Reply};

use super::fleet::outside;
use super::{Routes, text};
use crate::fleet::record::Beat;
use crate::fleet::{Fleet, LARGEST_BEAT, Refusal};

/// Answers beats for `fleet`; there is nothing to be found outside of one.
pub fn beat_routes(fleet: Option<Arc<Fleet>>) -> Routes {
    warp::path!("fleet" / "beat")
        .and(warp::post())
        .and(warp::body::content_length_limit(LARGEST_BEAT))
        .and(warp::body::json())
        .map(move |beat: Beat| match &fleet {
            None => outside(),
            Some(fleet) => answer(fleet, beat),
        })
        .boxed()
}

fn answer(fleet: &Fleet, beat: Beat) -> Response {
    match fleet.hear(beat) {
        Ok(beat) => warp::reply::json(&beat).into_response(),
        Err(refusal @ Refusal::OtherFleet { .. }) => text(StatusCode::CONFLICT, format!("{refusal}\n")),
        Err(refusal @ Refusal::NotCoordinated) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{refusal}\n")),
    }
}

//! The port for what the replica says of itself: `/metrics`, `/readyz` and a landing page.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use warp::reply::Response;
use warp::{Filter, Reply};

use super::{Routes, negotiation, page, read_only, text};
use crate::telemetry::Telemetry;

/// The routes of the telemetry port.
pub fn telemetry_routes(telemetry: Arc<Telemetry>) -> Routes {
    let state = Arc::clone(&telemetry);
    let metrics = warp::path!("metrics").and(warp::method()).and(warp::header::headers_cloned()).map(
        move |method: Method, headers: HeaderMap| {
            read_only(&method, || {
                let (format, content_type) = negotiation::format(&headers);
                let mut answer = telemetry.encode(format).into_response();
                answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
                answer
            })
        },
    );
    let ready = warp::path!("readyz").and(warp::method()).map(move |method| read_only(&method, || readiness(&state)));
    let landing = warp::path::end().and(warp::method()).map(|method| read_only(&method, page::telemetry));
    metrics.or(ready).unify().or(landing).unify().boxed()
}

/// 200 when everything is loaded, and the replica's part in its fleet is what it should be; else a line for each resource
/// that is missing, and one for what the fleet waits for.
fn readiness(telemetry: &Telemetry) -> Response {
    match &*telemetry.waits_for() {
        [] => text(StatusCode::OK, "OK\n"),
        lines => text(StatusCode::SERVICE_UNAVAILABLE, lines.join("\n") + "\n"),
    }
}

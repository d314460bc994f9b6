//! The telemetry port: self-metrics at `/metrics`, `/readyz` and a landing page.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use warp::reply::Response;
use warp::{Filter, Reply};

use super::reply::{Routes, read_only, text};
use super::{negotiation, page};
use crate::health::Health;
use crate::telemetry::Telemetry;

/// Returns the routes of the telemetry port.
pub fn telemetry_routes(telemetry: Arc<Telemetry>, health: Arc<Health>) -> Routes {
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
    let ready = warp::path!("readyz").and(warp::method()).map(move |method| read_only(&method, || readiness(&health)));
    let landing = warp::path::end().and(warp::method()).map(|method| read_only(&method, page::telemetry));
    metrics.or(ready).unify().or(landing).unify().boxed()
}

/// Answers 200 when all resources are loaded and the replica takes part in its fleet as it should. Else answers 503, with a
/// line for each missing resource and one for what the fleet waits for.
fn readiness(health: &Health) -> Response {
    match &*health.unready_reasons() {
        [] => text(StatusCode::OK, "OK\n"),
        lines => text(StatusCode::SERVICE_UNAVAILABLE, lines.join("\n") + "\n"),
    }
}

//! HTTP: scrapes, self-metrics, health and landing pages, on two ports.
//!
//! Routes are warp filters; connections are ours ([`serve`]), since warp's own server knows neither timeouts nor TLS. Between
//! them stands a [`AuthLayer`], which knows who may ask.
//! May not know how series are made, nor anything of Kubernetes.

mod auth_layer;
mod body;
mod exposure_gate;
mod fleet;
mod heartbeat;
mod http1;
mod http2;
mod listener;
mod metrics;
mod negotiation;
mod overview;
mod page;
mod scrape_tracker;
mod telemetry;
mod web;

use http::{HeaderValue, Method, StatusCode, header};
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, Reply};

pub use auth_layer::AuthLayer;
pub use exposure_gate::{ExposureGate, FixedExposure};
pub use fleet::{Inventory, Peers, fleet_routes};
pub use heartbeat::heartbeat_routes;
pub use listener::{bind, serve};
pub use metrics::{Metrics, metrics_routes};
pub use overview::{Reporter, overview_routes, report_routes};
pub use scrape_tracker::ScrapeTracker;
pub use telemetry::telemetry_routes;
pub use web::WebConfig;

/// From where a request came, as one of its extensions.
#[derive(Clone, Copy, Debug)]
struct Remote(std::net::IpAddr);

/// The routes of one port.
pub type Routes = BoxedFilter<(Response,)>;

/// One port with the routes of both.
pub fn both(first: Routes, second: Routes) -> Routes {
    first.or(second).unify().boxed()
}

/// Answers GET with `answer` and HEAD with nothing but its headers; refuses other methods.
fn read_only(method: &Method, answer: impl FnOnce() -> Response) -> Response {
    match *method {
        Method::GET => answer(),
        Method::HEAD => without_body(answer()),
        _ => {
            let refusal = warp::reply::with_status("only GET and HEAD\n", StatusCode::METHOD_NOT_ALLOWED);
            warp::reply::with_header(refusal, header::ALLOW, "GET, HEAD").into_response()
        }
    }
}

/// NB: dropping the body here frees what it holds now, and not only when the connection gets to it.
fn without_body(answer: Response) -> Response {
    let (parts, _) = answer.into_parts();
    Response::from_parts(parts, Default::default())
}

/// Plain text with a status.
fn text(status: StatusCode, body: impl Into<String>) -> Response {
    let mut answer = body.into().into_response();
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

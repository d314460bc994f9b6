//! The state of the replicas as JSON, for the fleet page.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::sync::Mutex;
use tokio::time::Instant;
use warp::reply::Response;
use warp::{Filter, Reply};

use super::reply::{Routes, read_only};
use crate::fleet::overview::fetch_overview;
use crate::fleet::peer_client::Dialer;
use crate::fleet::record::Endpoint;
use crate::fleet::report::ReplicaReport;

/// How long an answer is cached: a request for the overview asks every replica, and many pages may be open.
const CACHE_TTL: Duration = Duration::from_millis(500);

/// Reports on a replica, and knows the others of its fleet.
pub trait Reporter: Send + Sync {
    /// Returns the report of this replica at this moment.
    fn report(&self) -> ReplicaReport;
    /// Returns the ordinals of all other present or expected replicas, and how to reach them where that is known. Empty outside
    /// a fleet.
    fn others(&self) -> BTreeMap<u32, Option<Endpoint>>;
}

/// Returns the route for the report of this replica: `GET /fleet/replica` on the telemetry port.
pub fn report_routes(reporter: Arc<dyn Reporter>) -> Routes {
    warp::path!("fleet" / "replica")
        .and(warp::method())
        .map(move |method: Method| {
            read_only(&method, || uncached(warp::reply::json(&reporter.report()).into_response()))
        })
        .boxed()
}

/// Returns the route for the overview of all replicas: `GET /fleet` on the metrics port. `dialer` connects to the others.
pub fn overview_routes(reporter: Arc<dyn Reporter>, dialer: Option<Dialer>) -> Routes {
    let cache: Arc<Mutex<Option<(Instant, Bytes)>>> = Arc::default();
    let overview = move || {
        let (reporter, dialer, cache) = (Arc::clone(&reporter), dialer.clone(), Arc::clone(&cache));
        async move {
            // Locked while the others are asked, so that concurrent requests share one answer.
            let mut cache = cache.lock().await;
            if let Some((_, answer)) = cache.as_ref().filter(|(at, _)| at.elapsed() < CACHE_TTL) {
                return answer.clone();
            }
            let overview = fetch_overview(reporter.report(), reporter.others(), dialer.as_ref()).await;
            // NB: cannot fail, since all numbers are finite and all keys are strings or integers.
            let answer = Bytes::from(serde_json::to_vec(&overview).unwrap_or_default());
            *cache = Some((Instant::now(), answer.clone()));
            answer
        }
    };
    warp::path!("fleet")
        .and(warp::method())
        .then(move |method: Method| {
            let overview = [Method::GET, Method::HEAD].contains(&method).then(&overview);
            async move {
                let answer = match overview {
                    Some(overview) => overview.await,
                    None => Bytes::new(),
                };
                read_only(&method, || {
                    let mut response = uncached(Response::new(answer.into()));
                    let json = HeaderValue::from_static("application/json");
                    response.headers_mut().insert(CONTENT_TYPE, json);
                    response
                })
            }
        })
        .boxed()
}

/// Forbids clients and proxies to cache an answer, which describes one moment.
fn uncached(mut answer: Response) -> Response {
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

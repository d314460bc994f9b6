//! How the replicas are, as JSON: what the page of the fleet shows.

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

use super::{Routes, read_only};
use crate::fleet::door::Door;
use crate::fleet::report::{Report, survey};

/// For how long all who look at the fleet get the same answer: many may look, and each look asks every replica.
const SHARED: Duration = Duration::from_millis(500);

/// What a replica says of itself, and whom else it could ask.
pub trait Reporter: Send + Sync {
    /// That, at this moment.
    fn report(&self) -> Report;
    /// The ordinals of all others who are or should be there, and the addresses of their telemetry ports as far as they are
    /// known; nobody outside a fleet.
    fn others(&self) -> BTreeMap<u32, Option<String>>;
}

/// What a replica says of itself: `GET /fleet/replica` on the telemetry port.
pub fn report_routes(reporter: Arc<dyn Reporter>) -> Routes {
    warp::path!("fleet" / "replica")
        .and(warp::method())
        .map(move |method: Method| {
            read_only(&method, || uncached(warp::reply::json(&reporter.report()).into_response()))
        })
        .boxed()
}

/// What all of them say: `GET /fleet` on the metrics port. Others are asked through `door`.
pub fn overview_routes(reporter: Arc<dyn Reporter>, door: Arc<dyn Door>) -> Routes {
    let last: Arc<Mutex<Option<(Instant, Bytes)>>> = Arc::default();
    let find_out = move || {
        let (reporter, door, last) = (Arc::clone(&reporter), Arc::clone(&door), Arc::clone(&last));
        async move {
            // Held while the others are asked: whoever comes meanwhile gets the same answer.
            let mut last = last.lock().await;
            if let Some((_, answer)) = last.as_ref().filter(|(at, _)| at.elapsed() < SHARED) {
                return answer.clone();
            }
            let overview = survey(reporter.report(), reporter.others(), &*door).await;
            // NB: the numbers are finite, and the keys texts or numbers, so that it cannot fail.
            let answer = Bytes::from(serde_json::to_vec(&overview).unwrap_or_default());
            *last = Some((Instant::now(), answer.clone()));
            answer
        }
    };
    warp::path!("fleet")
        .and(warp::method())
        .then(move |method: Method| {
            let asked = [Method::GET, Method::HEAD].contains(&method).then(&find_out);
            async move {
                let answer = match asked {
                    Some(asked) => asked.await,
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

/// It is of this moment.
fn uncached(mut answer: Response) -> Response {
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

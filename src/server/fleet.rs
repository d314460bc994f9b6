//! The routes `/fleet/*` on the telemetry port, for other replicas and for `verify`.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, StatusCode};
use warp::reply::Response;
use warp::{Filter, Reply};

use super::reply::{Routes, read_only, text};
use crate::fleet::audit::{CoverageView, PeerDirectory};
use crate::fleet::coverage::{CoverageRequest, Objects};

/// The maximum size of a request in bytes. A hundred resources need a tenth of it.
const MAX_REQUEST: u64 = 64 << 10;

/// The objects that a replica exposes.
pub trait Inventory: Send + Sync {
    /// Returns the objects of `resource`, or `None` if the resource is not enabled.
    fn objects(&self, resource: &str) -> Option<Objects>;
}

/// Answers the questions of peers and of `verify`.
#[derive(Clone)]
pub struct PeerQueries {
    /// Lists the exposed objects; every replica can.
    pub inventory: Arc<dyn Inventory>,
    /// The members of the fleet, and the part that answers the coordinator's audit; `None` outside a fleet.
    pub coverage_view: Option<(Arc<dyn PeerDirectory>, Arc<dyn CoverageView>)>,
}

/// Returns the routes for peers and for `verify`.
pub fn fleet_routes(queries: PeerQueries) -> Routes {
    objects(queries.inventory).or(coverage(queries.coverage_view)).unify().boxed()
}

/// `GET /fleet/objects?resource=X`.
fn objects(inventory: Arc<dyn Inventory>) -> Routes {
    warp::path!("fleet" / "objects")
        .and(warp::method())
        .and(warp::query::<BTreeMap<String, String>>())
        .map(move |method: Method, query: BTreeMap<String, String>| {
            read_only(&method, || match query.get("resource") {
                None => text(
                    StatusCode::BAD_REQUEST,
                    "missing parameter \"resource\"; for example /fleet/objects?resource=pods\n",
                ),
                Some(resource) => match inventory.objects(resource) {
                    Some(objects) => warp::reply::json(&objects).into_response(),
                    None => {
                        text(StatusCode::NOT_FOUND, format!("resource {resource:?} is not enabled on this replica\n"))
                    }
                },
            })
        })
        .boxed()
}

/// `POST /fleet/coverage`.
fn coverage(coverage_view: Option<(Arc<dyn PeerDirectory>, Arc<dyn CoverageView>)>) -> Routes {
    warp::path!("fleet" / "coverage")
        .and(warp::post())
        .and(warp::body::content_length_limit(MAX_REQUEST))
        .and(warp::body::json())
        .map(move |request: CoverageRequest| match &coverage_view {
            None => not_in_fleet(),
            Some((members, _)) if members.fleet() != request.fleet => {
                let fleet = members.fleet();
                text(StatusCode::CONFLICT, format!("this replica belongs to fleet {fleet}, not {}\n", request.fleet))
            }
            Some((_, coverage_view)) => warp::reply::json(&coverage_view.report(&request)).into_response(),
        })
        .boxed()
}

/// The answer of a replica outside a fleet.
pub(super) fn not_in_fleet() -> Response {
    text(StatusCode::NOT_FOUND, "this replica does not belong to a fleet\n")
}

//! The routes `/fleet/*` on the telemetry port, for other replicas and for `verify`.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, StatusCode};
use warp::reply::Response;
use warp::{Filter, Reply};

use super::reply::{Routes, read_only, text};
use crate::fleet::audit::{Members, Witness};
use crate::fleet::coverage::{Objects, Question};

/// The maximum size of a question in bytes. A hundred resources need a tenth of it.
const MAX_QUESTION: u64 = 64 << 10;

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
    pub witness: Option<(Arc<dyn Members>, Arc<dyn Witness>)>,
}

/// Returns the routes for peers and for `verify`.
pub fn fleet_routes(queries: PeerQueries) -> Routes {
    objects(queries.inventory).or(cover(queries.witness)).unify().boxed()
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

/// `POST /fleet/cover`.
fn cover(witness: Option<(Arc<dyn Members>, Arc<dyn Witness>)>) -> Routes {
    warp::path!("fleet" / "cover")
        .and(warp::post())
        .and(warp::body::content_length_limit(MAX_QUESTION))
        .and(warp::body::json())
        .map(move |question: Question| match &witness {
            None => not_in_fleet(),
            Some((members, _)) if members.fleet() != question.fleet => {
                let fleet = members.fleet();
                text(StatusCode::CONFLICT, format!("this replica belongs to fleet {fleet}, not {}\n", question.fleet))
            }
            Some((_, witness)) => warp::reply::json(&witness.answer(&question)).into_response(),
        })
        .boxed()
}

/// The answer of a replica outside a fleet.
pub(super) fn not_in_fleet() -> Response {
    text(StatusCode::NOT_FOUND, "this replica does not belong to a fleet\n")
}

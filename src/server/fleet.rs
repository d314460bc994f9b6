//! What replicas, and `verify`, ask a replica: `/fleet/*` on the telemetry port.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, StatusCode};
use warp::reply::Response;
use warp::{Filter, Reply};

use super::{Routes, read_only, text};
use crate::fleet::audit::{Members, Witness};
use crate::fleet::coverage::{Objects, Question};

/// How long a question may be in bytes: a hundred resources make a tenth of it.
const LONGEST: u64 = 64 << 10;

/// The objects that a replica exposes.
pub trait Inventory: Send + Sync {
    /// Those of `resource`; `None` if it is not enabled.
    fn objects(&self, resource: &str) -> Option<Objects>;
}

/// Who answers.
#[derive(Clone)]
pub struct Peers {
    /// Lists the objects; every replica can.
    pub inventory: Arc<dyn Inventory>,
    /// The fleet, and who answers its coordinator; `None` outside a fleet.
    pub witness: Option<(Arc<dyn Members>, Arc<dyn Witness>)>,
}

/// The routes for peers and for `verify`.
pub fn fleet_routes(peers: Peers) -> Routes {
    objects(peers.inventory).or(cover(peers.witness)).unify().boxed()
}

/// `GET /fleet/objects?resource=X`.
fn objects(inventory: Arc<dyn Inventory>) -> Routes {
    warp::path!("fleet" / "objects")
        .and(warp::method())
        .and(warp::query::<BTreeMap<String, String>>())
        .map(move |method: Method, query: BTreeMap<String, String>| {
            read_only(&method, || match query.get("resource") {
                None => text(StatusCode::BAD_REQUEST, "which? For example /fleet/objects?resource=pods\n"),
                Some(resource) => match inventory.objects(resource) {
                    Some(objects) => warp::reply::json(&objects).into_response(),
                    None => text(StatusCode::NOT_FOUND, format!("{resource:?} is not enabled in this replica\n")),
                },
            })
        })
        .boxed()
}

/// `POST /fleet/cover`.
fn cover(witness: Option<(Arc<dyn Members>, Arc<dyn Witness>)>) -> Routes {
    warp::path!("fleet" / "cover")
        .and(warp::post())
        .and(warp::body::content_length_limit(LONGEST))
        .and(warp::body::json())
        .map(move |question: Question| match &witness {
            None => outside(),
            Some((members, _)) if members.fleet() != question.fleet => {
                let fleet = members.fleet();
                text(StatusCode::CONFLICT, format!("this is a member of {fleet}, not of {}\n", question.fleet))
            }
            Some((_, witness)) => warp::reply::json(&witness.answer(&question)).into_response(),
        })
        .boxed()
}

/// What a replica says that is in no fleet.
pub(super) fn outside() -> Response {
    text(StatusCode::NOT_FOUND, "this replica is in no fleet\n")
}

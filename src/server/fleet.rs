//! The routes `/fleet/*` on the telemetry port, for `verify`. They are read-only: the members of a fleet use another port.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, StatusCode};
use warp::{Filter, Reply};

use super::reply::{Routes, read_only, text};
use crate::fleet::coverage::Objects;

/// The objects that a replica exposes.
pub trait Inventory: Send + Sync {
    /// Returns the objects of `resource`, or `None` if the resource is not enabled.
    fn objects(&self, resource: &str) -> Option<Objects>;
}

/// Returns the routes for `verify`: `GET /fleet/objects?resource=X`.
pub fn fleet_routes(inventory: Arc<dyn Inventory>) -> Routes {
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

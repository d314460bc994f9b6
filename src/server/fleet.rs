//! The routes `/fleet/*` on the telemetry port, for `verify`. They are read-only: the members of a fleet use another port.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use warp::{Filter, Reply};

use super::objects::{Inventory, ObjectsBody};
use super::reply::{Routes, read_only, text};

/// Characters of a client's text that an answer repeats.
const MAX_SHOWN: usize = 100;

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
                Some(resource) => match ObjectsBody::new(Arc::clone(&inventory), resource) {
                    Some(objects) => {
                        warp::reply::with_header(warp::reply::stream(objects), CONTENT_TYPE, "application/json")
                            .into_response()
                    }
                    None => {
                        let name: String = resource.chars().take(MAX_SHOWN).collect();
                        text(StatusCode::NOT_FOUND, format!("resource {name:?} is not enabled on this replica\n"))
                    }
                },
            })
        })
        .boxed()
}

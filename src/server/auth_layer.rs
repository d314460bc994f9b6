//! What a request meets before the routes: the limit of requests, passwords, and the auth filter.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Request, StatusCode};
use http_body::Body;
use tower::Service;
use tracing::debug;
use warp::reply::Response;

use super::web::{Port, WebConfig};
use super::{Routes, text};
use crate::access::{AuthFilter, Requester, Verdict};
use crate::fleet::door::{COVER, HEARTBEAT, REPLICA};

/// What kubelets ask, who have no token, and peers, who keep time: it counts for no limit.
const UNLIMITED: &[&str] = &["/healthz", "/livez", "/readyz", HEARTBEAT, COVER];
/// What needs no right: kubelets ask for health.
const OPEN: &[&str] = &["/healthz", "/livez", "/readyz"];
/// What members of the fleet ask each other. For people they do so, within the limits: that is no keeping of time.
const OF_PEERS: &[&str] = &[HEARTBEAT, COVER, REPLICA];

/// The routes of one port, and who may ask.
#[derive(Clone)]
pub struct AuthLayer {
    routes: Routes,
    web: Option<Arc<WebConfig>>,
    port: Arc<Port>,
    auth_filter: Option<AuthFilter>,
}

impl AuthLayer {
    /// Lets everyone ask whom neither `web` nor `auth_filter` keeps out.
    pub fn new(routes: Routes, web: Option<Arc<WebConfig>>, auth_filter: Option<AuthFilter>) -> Self {
        Self { routes, web, port: Arc::default(), auth_filter }
    }

    /// How the next connection is secured, if at all.
    pub(super) fn web(&self) -> Option<&WebConfig> {
        self.web.as_deref()
    }

    /// Answers a request by the routes, or refuses it.
    pub(super) async fn answer<B>(&self, request: Request<B>) -> Result<Response, Infallible>
    where
        B: Body<Data = Bytes> + Unpin + Send + Sync + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (path, headers) = (request.uri().path(), request.headers());
        let mut answer = match self.refusal(path, headers).await {
            None => warp::service(self.routes.clone()).call(request).await?,
            // NB: without what was to be set on every answer, as in the toolkit: it costs as little as can be.
            Some(refusal) if refusal.status() == StatusCode::TOO_MANY_REQUESTS => return Ok(refusal),
            Some(refusal) => refusal,
        };
        if let Some(web) = &self.web {
            web.decorate(answer.headers_mut());
        }
        Ok(answer)
    }

    async fn refusal(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        if let Some(web) = &self.web
            && let Err(status) = web.admit(&self.port, headers, !UNLIMITED.contains(&path)).await
        {
            return Some(match status {
                StatusCode::UNAUTHORIZED => challenge("Basic", "a user and a password are needed\n"),
                StatusCode::TOO_MANY_REQUESTS => text(status, "there are more requests than are let through\n"),
                _ => text(status, "too many passwords are being checked\n"),
            });
        }
        let auth_filter = self.auth_filter.as_ref().filter(|_| !OPEN.contains(&path))?;
        let Some(token) = token(headers) else {
            return Some(challenge("Bearer", "a bearer token is needed\n"));
        };
        let requester = if OF_PEERS.contains(&path) { Requester::Peer } else { Requester::Anyone };
        let verdict = auth_filter.authorize(token, requester).await;
        if verdict != Some(Verdict::Allowed) {
            debug!(path, ?verdict, "a request is refused");
        }
        match verdict {
            Some(Verdict::Allowed) => None,
            Some(Verdict::Unauthenticated) => Some(challenge("Bearer", "the bearer token is not valid\n")),
            Some(Verdict::Forbidden) => Some(text(
                StatusCode::FORBIDDEN,
                "the right is missing: the verb get on the non-resource URL /metrics\n",
            )),
            None => Some(text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the API server does not say whether this is allowed; the log says why\n",
            )),
        }
    }
}

/// The bearer token of a request (RFC 6750).
fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

fn challenge(scheme: &'static str, reason: &'static str) -> Response {
    let mut answer = text(StatusCode::UNAUTHORIZED, reason);
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    answer
}

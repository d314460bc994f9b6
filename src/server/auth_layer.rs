//! The checks that a request passes before the routes: rate limit, password, auth filter.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Request, StatusCode};
use http_body::Body;
use tower::Service;
use tracing::debug;
use warp::reply::Response;

use super::client_ip::ClientIp;
use super::hosts::Hosts;
use super::reply::{Routes, text};
use super::scraped_namespaces::ScrapedNamespaces;
use super::web::WebConfig;
use crate::access::{AuthFilter, NoVerdict, Verdict};
use crate::token_bucket::TokenBucket;

/// Paths of probes, which have no rate limit and need no permission: kubelets send no token.
const PROBES: &[&str] = &["/healthz", "/livez", "/readyz"];

/// Stands for the address of a client that has none: only tests do not connect.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The routes of one port, behind its checks.
#[derive(Clone)]
pub struct AuthLayer {
    routes: Routes,
    web: Option<Arc<WebConfig>>,
    limiter: Arc<TokenBucket>,
    auth_filter: Option<AuthFilter>,
    hosts: Hosts,
    /// `--namespaced-scrapes`.
    namespaced: bool,
}

impl AuthLayer {
    /// Serves `routes` to requests that pass the checks of `web` and `auth_filter`; without either, to all requests.
    pub fn new(routes: Routes, web: Option<Arc<WebConfig>>, auth_filter: Option<AuthFilter>) -> Self {
        Self { routes, web, limiter: Arc::default(), auth_filter, hosts: Hosts::default(), namespaced: false }
    }

    /// Also answers requests for pages under the names `allowed`.
    pub fn with_hosts(self, allowed: &[String]) -> Self {
        Self { hosts: Hosts::new(allowed), ..self }
    }

    /// Lets scrapes name namespaces, if `namespaced`: to see only their objects, for which a permission in each of them suffices.
    pub fn with_namespaces(self, namespaced: bool) -> Self {
        Self { namespaced, ..self }
    }

    /// Returns the web configuration, which also says how to secure connections.
    pub(super) fn web(&self) -> Option<&WebConfig> {
        self.web.as_deref()
    }

    /// Answers a request with its route, or refuses it.
    pub(super) async fn answer<B>(&self, mut request: Request<B>) -> Result<Response, Infallible>
    where
        B: Body<Data = Bytes> + Unpin + Send + Sync + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (path, headers) = (request.uri().path(), request.headers());
        let remote = request.extensions().get::<ClientIp>().map_or(UNKNOWN, |ClientIp(address)| *address);
        let namespaces = match self.namespaced {
            true => ScrapedNamespaces::of_request(path, request.uri().query()),
            false => Ok(None),
        };
        let refusal = match self.refusal(path, headers, &namespaces, remote).await {
            None if !self.hosts.allow(&request) && self.is_open_page(path) => Some(text(
                StatusCode::MISDIRECTED_REQUEST,
                "this page does not answer to this host name; use its IP address, or add the name to --allowed-hosts\n",
            )),
            refusal => refusal,
        };
        if let Ok(Some(namespaces)) = namespaces {
            request.extensions_mut().insert(namespaces);
        }
        let mut answer = match refusal {
            None => warp::service(self.routes.clone()).call(request).await?,
            // NB: without the configured headers, as in the exporter toolkit: a refusal must be as cheap as possible.
            Some(refusal) if refusal.status() == StatusCode::TOO_MANY_REQUESTS => return Ok(refusal),
            Some(refusal) => refusal,
        };
        harden(answer.headers_mut());
        if let Some(web) = &self.web {
            web.add_headers(answer.headers_mut());
        }
        Ok(answer)
    }

    /// Whether a browser of somebody without credentials could read `path`. TLS protects, too: the certificate of a replica has
    /// no name of a foreign web site.
    fn is_open_page(&self, path: &str) -> bool {
        let is_protected = self.auth_filter.is_some() || self.web.as_ref().is_some_and(|web| web.is_protected());
        !is_protected && path != "/metrics" && !PROBES.contains(&path)
    }

    async fn refusal(
        &self,
        path: &str,
        headers: &HeaderMap,
        namespaces: &Result<Option<ScrapedNamespaces>, String>,
        remote: IpAddr,
    ) -> Option<Response> {
        if let Some(web) = &self.web
            && let Err(status) = web.admit(&self.limiter, headers, remote, !PROBES.contains(&path)).await
        {
            return Some(match status {
                StatusCode::UNAUTHORIZED => challenge("Basic", "unauthorized: send a valid user name and password\n"),
                StatusCode::TOO_MANY_REQUESTS => text(status, "rate limit exceeded; try again later\n"),
                _ => busy("too many passwords wait to be checked; try again later\n"),
            });
        }
        let namespaces: &[String] = match namespaces {
            Ok(namespaces) => namespaces.as_ref().map_or(&[], |ScrapedNamespaces(namespaces)| namespaces),
            Err(error) => return Some(text(StatusCode::BAD_REQUEST, error.clone())),
        };
        let auth_filter = self.auth_filter.as_ref().filter(|_| !PROBES.contains(&path))?;
        let Some(token) = token(headers) else {
            return Some(challenge("Bearer", "unauthorized: send a bearer token\n"));
        };
        let verdict = auth_filter.authorize(token, namespaces, remote).await;
        if verdict != Ok(Verdict::Allowed) {
            debug!(path, ?verdict, "request refused");
        }
        match verdict {
            Ok(Verdict::Allowed) => None,
            Ok(Verdict::Unauthenticated) => Some(challenge("Bearer", "unauthorized: the bearer token is not valid\n")),
            Ok(Verdict::Forbidden) => Some(text(StatusCode::FORBIDDEN, self.missing_permission(path, namespaces))),
            Err(NoVerdict::Busy) => Some(busy("too many unknown bearer tokens wait for a review; try again later\n")),
            Err(NoVerdict::NoAnswer) => Some(text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "cannot check the bearer token with the API server; see the log of this replica\n",
            )),
        }
    }

    fn missing_permission(&self, path: &str, namespaces: &[String]) -> String {
        let everything = "forbidden: missing permission \"get\" on the non-resource URL \"/metrics\"";
        match namespaces {
            [] if self.namespaced && path == "/metrics" => format!(
                "{everything}; with the permission \"get namespaces/metrics\" in a namespace, scrape /metrics?namespace=NAME\n"
            ),
            [] => format!("{everything}\n"),
            [one] => format!("{everything}, or \"get namespaces/metrics\" in the namespace \"{one}\"\n"),
            _ => format!("{everything}, or \"get namespaces/metrics\" in each of the namespaces\n"),
        }
    }
}

/// Forbids browsers to show an answer in a frame, to guess its type, and to store it: it describes one moment.
fn harden(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in
        [(CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"), (CACHE_CONTROL, "no-store")]
    {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// Returns the bearer token of a request (RFC 6750).
fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

/// Returns the answer while too many checks wait.
fn busy(reason: &'static str) -> Response {
    let mut answer = text(StatusCode::SERVICE_UNAVAILABLE, reason);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// Returns a 401 answer that names the authentication scheme.
fn challenge(scheme: &'static str, reason: &'static str) -> Response {
    let mut answer = text(StatusCode::UNAUTHORIZED, reason);
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    answer
}

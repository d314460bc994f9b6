//! The metrics port, which Prometheus scrapes: `/metrics`, `/healthz`, `/livez` and the fleet page.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use http::{HeaderMap, Method, StatusCode};
use warp::reply::Response;
use warp::{Filter, Reply};

use super::body::{Guard, ScrapeBody};
use super::client_ip::ClientIp;
use super::exposure_gate::ExposureGate;
use super::farewell::Farewell;
use super::reply::{Routes, read_only, text};
use super::scrape_tracker::{ScrapeTracker, Scraper, Visit};
use super::scraped_namespaces::ScrapedNamespaces;
use super::{negotiation, page};
use crate::exposition::{Selection, Store};
use crate::telemetry::Telemetry;

/// The parts that answer a scrape.
#[derive(Clone)]
pub struct Metrics {
    /// The series of all objects.
    pub store: Arc<Store>,
    /// Decides which of them to expose.
    pub exposure_gate: Arc<dyn ExposureGate>,
    /// Adds timestamps to the last scrapes.
    pub farewell: Arc<Farewell>,
    /// Records the clients.
    pub scrape_tracker: Arc<ScrapeTracker>,
    /// Whether to compress answers for clients that accept gzip.
    pub gzip: Arc<AtomicBool>,
    /// Counts requests.
    pub telemetry: Arc<Telemetry>,
}

/// Answers a scrape while the exposure gate is closed.
const CLOSED: &str = "this replica has reached neither the API server nor its peers for so long that other replicas may \
serve its objects; it serves them again once it has confirmed that they do not\n";

/// Returns the routes of the metrics port.
pub fn metrics_routes(metrics: Metrics) -> Routes {
    let metrics = Arc::new(metrics);
    let gate = Arc::clone(&metrics.exposure_gate);
    let scrapes = warp::path!("metrics")
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .and(warp::query::<Vec<(String, String)>>())
        .and(warp::ext::optional::<ClientIp>())
        .and(warp::ext::optional::<ScrapedNamespaces>())
        .then(
            move |method: Method,
                  headers: HeaderMap,
                  query: Vec<(String, String)>,
                  remote: Option<ClientIp>,
                  namespaces| {
                let metrics = Arc::clone(&metrics);
                async move {
                    metrics.exposure_gate.news().await;
                    // NB: recorded before the gate is asked, so that a client recorded after the gate closed has seen it closed.
                    let visit = remote
                        .filter(|_| method == Method::GET)
                        .map(|ClientIp(ip)| metrics.scrape_tracker.record(scraper(ip, &headers, &query)));
                    read_only(&method, || metrics.scrape(&method, &headers, &query, namespaces, visit))
                }
            },
        );
    let alive = || warp::method().map(|method| read_only(&method, || text(StatusCode::OK, "OK\n")));
    // A restart does not help, so this is no failure.
    let live = move |method| {
        let doubt = gate.doubt().map(|doubt| doubt + "\n").unwrap_or_default();
        read_only(&method, || text(StatusCode::OK, format!("OK\n{doubt}")))
    };
    let landing = warp::path::end().and(warp::method()).map(|method| read_only(&method, page::fleet));
    scrapes
        .or(warp::path!("healthz").and(alive()))
        .unify()
        .or(warp::path!("livez").and(warp::method()).map(live))
        .unify()
        .or(landing)
        .unify()
        .boxed()
}

/// Identifies a client and its selection: a pair of Prometheis behind one address has different credentials, or is seen as one that scrapes
/// more often.
fn scraper(ip: IpAddr, headers: &HeaderMap, query: &[(String, String)]) -> Scraper {
    let credentials = headers.get(AUTHORIZATION).map_or(&[][..], HeaderValue::as_bytes);
    let query = query.iter().flat_map(|(key, value)| [key.as_bytes(), value.as_bytes()]);
    Scraper::new(ip, [credentials].into_iter().chain(query))
}

impl Metrics {
    fn scrape(
        &self,
        method: &Method,
        headers: &HeaderMap,
        query: &[(String, String)],
        namespaces: Option<ScrapedNamespaces>,
        visit: Option<Visit>,
    ) -> Response {
        let Some(exposed) = self.exposure_gate.exposed_slice() else {
            visit.inspect(|visit| self.scrape_tracker.complete(visit));
            return text(StatusCode::SERVICE_UNAVAILABLE, CLOSED);
        };
        let (format, content_type) = negotiation::format(headers);
        let gzip = self.gzip.load(Relaxed) && negotiation::gzip(headers);
        let visit = visit.map(|visit| (Arc::clone(&self.scrape_tracker), visit));
        let timer = Timer { telemetry: Arc::clone(&self.telemetry), began: Instant::now(), visit };
        let mut answer = if method == Method::GET {
            let scrape = self.store.scrape(&selection(query), format, &exposed);
            let scrape = match self.farewell.departing(self.exposure_gate.departing()) {
                Some(departing) => scrape.departing(&departing),
                None => scrape,
            };
            let scrape = match namespaces {
                Some(ScrapedNamespaces(namespaces)) => scrape.of_namespaces(namespaces.iter().cloned()),
                None => scrape,
            };
            let scrape = if gzip { scrape.gzipped() } else { scrape };
            warp::reply::stream(ScrapeBody::new(scrape, timer)).into_response()
        } else {
            Response::default()
        };
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.append(VARY, ACCEPT.into());
        headers.append(VARY, ACCEPT_ENCODING.into());
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        answer
    }
}

/// Counts a scrape when its body has been sent or dropped, and completes its visit when the body has been sent.
struct Timer {
    telemetry: Arc<Telemetry>,
    began: Instant,
    visit: Option<(Arc<ScrapeTracker>, Visit)>,
}

impl Guard for Timer {
    fn sent(&mut self) {
        if let Some((scrape_tracker, visit)) = self.visit.take() {
            scrape_tracker.complete(&visit);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.telemetry.observe_request("metrics", "get", self.began.elapsed());
    }
}

/// Parses `resources` and `exclude_resources`: comma-separated lists, which may be repeated, of names that blanks may surround.
/// An empty or unknown name selects nothing. Source: `parseResources` in `pkg/metricshandler/metrics_handler.go` of
/// kube-state-metrics.
fn selection(query: &[(String, String)]) -> Selection {
    let named = |key: &str| {
        let mut values = query.iter().filter(|(k, _)| k == key).map(|(_, value)| value).peekable();
        values.peek()?;
        Some(values.flat_map(|value| value.split(',')).map(|name| name.trim().to_owned()).collect::<BTreeSet<_>>())
    };
    match (named("resources"), named("exclude_resources")) {
        (None, None) => Selection::All,
        (Some(wanted), unwanted) => Selection::Only(wanted, unwanted.unwrap_or_default()),
        (None, Some(unwanted)) => Selection::Except(unwanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_selected_as_upstream_does() {
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
        for (query, expected) in [
            (vec![], Selection::All),
            (vec![("format", "x")], Selection::All),
            (vec![("resources", "pods,nodes")], Selection::Only(set(&["pods", "nodes"]), set(&[]))),
            (vec![("resources", "pods"), ("resources", "nodes")], Selection::Only(set(&["pods", "nodes"]), set(&[]))),
            (vec![("resources", " pods, nodes\t")], Selection::Only(set(&["pods", "nodes"]), set(&[]))),
            (vec![("exclude_resources", "pods , nodes")], Selection::Except(set(&["pods", "nodes"]))),
            (vec![("resources", "")], Selection::Only(set(&[""]), set(&[]))),
            (vec![("resources", " ")], Selection::Only(set(&[""]), set(&[]))),
            (vec![("exclude_resources", "pods")], Selection::Except(set(&["pods"]))),
            (
                vec![("resources", "pods,nodes"), ("exclude_resources", "pods")],
                Selection::Only(set(&["pods", "nodes"]), set(&["pods"])),
            ),
        ] {
            let query: Vec<_> = query.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            assert_eq!(selection(&query), expected);
        }
    }
}

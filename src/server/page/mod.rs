//! The landing pages, for people who open a port in a browser.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use ring::digest::{SHA256, digest};
use warp::Reply;
use warp::reply::Response;

/// Path and what is found there.
type Link = (&'static str, &'static str);

/// The page of the metrics port: the fleet, as `GET /fleet` tells of it. It is one file, and needs nothing from elsewhere.
pub(super) fn fleet() -> Response {
    static PAGE: LazyLock<Page> = LazyLock::new(Page::new);
    let mut answer = warp::reply::html(PAGE.html.as_str()).into_response();
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, PAGE.policy.clone());
    answer
}

struct Page {
    html: String,
    /// Nothing but what is in the page is run, and nothing but where it comes from is asked.
    policy: HeaderValue,
}

impl Page {
    fn new() -> Self {
        const STYLE: &str = include_str!("fleet.css");
        const SCRIPT: &str = include_str!("fleet.js");
        let html = include_str!("fleet.html").replacen("/*style*/", STYLE, 1).replacen("/*script*/", SCRIPT, 1);
        let policy = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
             form-action 'none'",
            source(STYLE),
            source(SCRIPT)
        );
        // NB: letters, digits and signs of ASCII only.
        let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Self { html, policy }
    }
}

/// What a policy names an inline style or script by.
fn source(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

/// The page of the telemetry port.
pub(super) fn telemetry() -> Response {
    page(
        "What this replica says of itself.",
        &[
            ("/metrics", "self-metrics, for Prometheus"),
            ("/readyz", "whether all resources are loaded, and which are not"),
            ("/fleet/replica", "how this replica is, as JSON"),
            ("/fleet/objects?resource=pods", "the UIDs of the objects that it serves"),
        ],
    )
}

fn page(subtitle: &str, links: &[Link]) -> Response {
    const STYLE: &str = ":root{color-scheme:light dark}\
        body{font:16px/1.6 system-ui,sans-serif;max-width:44rem;margin:12vh auto;padding:0 1.5rem}\
        h1{font-size:1.6rem;margin:0}h1 small{font-weight:400;opacity:.6;font-size:1rem}\
        p{margin:.2rem 0 2rem;opacity:.8}ul{list-style:none;padding:0;border-top:1px solid #8884}\
        li{padding:.6rem 0;border-bottom:1px solid #8884;display:flex;flex-wrap:wrap;gap:0 1rem}\
        a{font-family:ui-monospace,monospace;flex:0 0 16rem;color:#2563eb}\
        @media(prefers-color-scheme:dark){a{color:#7aa2ff}}";
    let links: String =
        links.iter().map(|(path, what)| format!("<li><a href=\"{path}\">{path}</a><span>{what}</span></li>")).collect();
    warp::reply::html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>kube-state-fleet</title>\
         <style>{STYLE}</style></head><body><h1>kube-state-fleet <small>{version}</small></h1>\
         <p>{subtitle}</p><ul>{links}</ul></body></html>\n",
        version = env!("CARGO_PKG_VERSION"),
    ))
    .into_response()
}

//! The landing pages, for people who open a port in a browser.

use warp::Reply;
use warp::reply::Response;

/// Path and what is found there.
type Link = (&'static str, &'static str);

/// The page of the metrics port.
pub(super) fn metrics() -> Response {
    page(
        "Metrics of the objects in this cluster.",
        &[
            ("/metrics", "series of this replica's objects, for Prometheus"),
            ("/metrics?resources=nodes", "those of nodes only; exclude_resources= leaves some out"),
            ("/healthz", "whether this process answers"),
            ("/livez", "the same; the API server is not asked"),
        ],
    )
}

/// The page of the telemetry port.
pub(super) fn telemetry() -> Response {
    page(
        "What this replica says of itself.",
        &[
            ("/metrics", "self-metrics, for Prometheus"),
            ("/readyz", "whether all resources are loaded, and which are not"),
            ("/fleet/objects?resource=pods", "the UIDs of the objects that this replica serves"),
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

//! The landing pages of both ports.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use ring::digest::{SHA256, digest};
use warp::Reply;
use warp::reply::Response;

/// A path, and a description of it.
type Link = (&'static str, &'static str);

/// Returns the page of the metrics port, which shows the answer of `GET /fleet`. It loads no other resources.
pub(super) fn fleet() -> Response {
    static PAGE: LazyLock<Page> = LazyLock::new(Page::new);
    let mut answer = warp::reply::html(PAGE.html.as_str()).into_response();
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, PAGE.policy.clone());
    answer
}

struct Page {
    html: String,
    /// Allows only the inline script and style, and requests to the page's own origin.
    policy: HeaderValue,
}

impl Page {
    fn new() -> Self {
        const STYLE: &str = include_str!("fleet.css");
        const SCRIPT: &str = include_str!("fleet.js");
        let html = include_str!("fleet.html").replacen("/*style*/", STYLE, 1).replacen("/*script*/", SCRIPT, 1);
        let policy = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            source(STYLE),
            source(SCRIPT)
        );
        // NB: always valid, since it consists of ASCII letters, digits and punctuation.
        let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Self { html, policy }
    }
}

/// Returns the hash that allows an inline style or script in a policy.
fn source(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

/// Returns the page of the telemetry port.
pub(super) fn telemetry() -> Response {
    page(
        "Metrics and state of this replica.",
        &[
            ("/metrics", "self-metrics, for Prometheus"),
            ("/readyz", "readiness, and the resources that are still loading"),
            ("/fleet/replica", "state of this replica, as JSON"),
            ("/fleet/objects?resource=pods", "UIDs of the objects that this replica serves"),
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
        links.iter().map(|(path, text)| format!("<li><a href=\"{path}\">{path}</a><span>{text}</span></li>")).collect();
    let mut answer = warp::reply::html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>kube-state-fleet</title>\
         <style>{STYLE}</style></head><body><h1>kube-state-fleet <small>{version}</small></h1>\
         <p>{subtitle}</p><ul>{links}</ul></body></html>\n",
        version = env!("CARGO_PKG_VERSION"),
    ))
    .into_response();
    let policy = format!("default-src 'none'; style-src '{}'; frame-ancestors 'none'", source(STYLE));
    // NB: always valid, as above.
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Maximum size of the page in bytes: one response, whatever the number of replicas.
    const MOST_BYTES: usize = 64 << 10;

    #[test]
    fn the_page_is_one_response_that_its_policy_allows() {
        let Page { html, policy } = Page::new();
        assert!(html.len() < MOST_BYTES, "{} bytes", html.len());
        for (tag, count) in [("<style>", 1), ("<script>", 1), ("<script", 1), ("<link", 1), ("<img", 0), ("<iframe", 0)]
        {
            assert_eq!(html.matches(tag).count(), count, "{tag}");
        }
        // The policy allows neither handlers nor styles in attributes, and the script sets texts, never markup.
        let forbidden = [
            "onclick=",
            "onload=",
            " style=",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "eval(",
            "@import",
            "url(",
        ];
        for text in forbidden {
            assert!(!html.contains(text), "{text}");
        }
        let elsewhere: Vec<_> =
            html.match_indices("http").map(|(at, _)| &html[at..(at + 40).min(html.len())]).collect();
        let namespace = |text: &&str| text.starts_with("http://www.w3.org/2000/svg");
        assert!(elsewhere.iter().filter(|text| text.contains("//")).all(namespace), "{elsewhere:#?}");
        let policy = policy.to_str().unwrap_or_default();
        for part in [
            "default-src 'none'",
            "script-src 'sha256-",
            "style-src 'sha256-",
            "connect-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{part} is not in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}

//! The proxy to a pod through the API server: `pods/NAME:PORT/proxy/PATH`.
//!
//! It reaches pods on loopback only, because other addresses of a simulated cluster are invented.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::body::{Body, LARGEST_BODY, RequestBody};
use super::error::ApiError;

/// The headers that are forwarded in requests and answers.
const HEADERS: [header::HeaderName; 4] =
    [header::ACCEPT, header::ACCEPT_ENCODING, header::CONTENT_TYPE, header::CONTENT_ENCODING];

/// Name and port from the segment between `pods/` and `/proxy`: `NAME`, `NAME:PORT` or `http:NAME:PORT`.
pub(super) fn target(named: &str) -> Result<(&str, Option<u16>), ApiError> {
    let (name, port) = match named.split(':').collect::<Vec<_>>()[..] {
        [name] => (name, ""),
        ["http", name, port] | [name, port] => (name, port),
        _ => return Err(ApiError::bad_request(format!("invalid pod request \"{named}\""))),
    };
    let invalid = |_| ApiError::bad_request(format!("the simulator knows ports by number: \"{port}\""));
    let port = if port.is_empty() { None } else { Some(port.parse().map_err(invalid)?) };
    Ok((name, port))
}

/// The address of a pod; the default port is the first one of its first container.
pub(super) fn address(pod: &Value, port: Option<u16>) -> Result<SocketAddr, ApiError> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let ip = pod["status"]["podIP"].as_str().and_then(|ip| ip.parse::<IpAddr>().ok());
    let ip = ip.ok_or_else(|| ApiError::bad_request(format!("address not allowed: pod \"{name}\" has none")))?;
    if !ip.is_loopback() {
        let message = format!("pods \"{name}\" is forbidden: the simulator goes to loopback only, not to {ip}");
        return Err(ApiError::new(403, "Forbidden", message));
    }
    let first = || pod["spec"]["containers"][0]["ports"][0]["containerPort"].as_u64()?.try_into().ok();
    Ok(SocketAddr::new(ip, port.or_else(first).unwrap_or(80)))
}

/// Forwards a request, and returns the answer unchanged.
pub(super) async fn forward<B: RequestBody>(
    to: SocketAddr,
    path_and_query: &str,
    head: &http::request::Parts,
    body: B,
) -> Result<Response<Body>, ApiError> {
    let failed = |error: &dyn std::fmt::Display| {
        ApiError::new(503, "ServiceUnavailable", format!("error trying to reach service: {error}"))
    };
    let read = Limited::new(body, LARGEST_BODY).collect().await;
    let bytes = read.map_err(|error| ApiError::bad_request(format!("the body cannot be read: {error}")))?.to_bytes();
    let mut request = Request::builder().method(head.method.clone()).uri(format!("http://{to}{path_and_query}"));
    if let Some(headers) = request.headers_mut() {
        take_over(&head.headers, headers);
    }
    let request = request.body(Full::<Bytes>::new(bytes)).map_err(|error| failed(&error))?;
    let answer = Client::builder(TokioExecutor::new()).build_http().request(request).await;
    let (from, body) = answer.map_err(|error| failed(&error))?.into_parts();
    let mut answer = Response::new(body.map_err(Into::into).boxed_unsync());
    *answer.status_mut() = from.status;
    take_over(&from.headers, answer.headers_mut());
    Ok(answer)
}

fn take_over(from: &HeaderMap, to: &mut HeaderMap) {
    for name in HEADERS {
        if let Some(value) = from.get(&name) {
            to.insert(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_is_named_with_or_without_a_port() {
        let named = |text| target(text).map_err(|error| error.code);
        assert_eq!(named("web-0"), Ok(("web-0", None)));
        assert_eq!(named("web-0:8081"), Ok(("web-0", Some(8081))));
        assert_eq!(named("http:web-0:8081"), Ok(("web-0", Some(8081))));
        assert_eq!(named("web-0:metrics"), Err(400));
        assert_eq!(named("https:web-0:443"), Err(400));
    }

    #[test]
    fn only_loopback_is_reached() {
        let pod = |ip: &str| {
            let ports = json!([{ "containerPort": 8080 }]);
            json!({ "spec": { "containers": [{ "ports": ports }] }, "status": { "podIP": ip } })
        };
        let address = |ip, port| address(&pod(ip), port).map_err(|error| error.code);
        assert_eq!(address("127.0.0.7", Some(8081)), Ok(([127, 0, 0, 7], 8081).into()));
        assert_eq!(address("127.0.0.7", None), Ok(([127, 0, 0, 7], 8080).into()));
        assert_eq!(address("10.0.0.7", None), Err(403));
        assert_eq!(address("", None), Err(400));
    }
}

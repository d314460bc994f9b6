//! HTTP requests as Prometheus and the probes of a kubelet send them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

const LIMIT: Duration = Duration::from_secs(30);

/// A response.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> Result<&str> {
        Ok(std::str::from_utf8(&self.body)?)
    }

    /// The value of a header, or an empty string.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Gets `url` over a new connection.
pub async fn get(url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    exchange(LIMIT, None, Request::get(url), headers, Bytes::new()).await
}

/// Gets `url` within `limit` over a new connection.
pub async fn get_within(limit: Duration, url: &str) -> Result<Answer> {
    exchange(limit, None, Request::get(url), &[], Bytes::new()).await
}

/// Gets `url` within `limit` over a new connection from this loopback address.
pub async fn get_from(source: Ipv4Addr, limit: Duration, url: &str) -> Result<Answer> {
    exchange(limit, Some(source), Request::get(url), &[], Bytes::new()).await
}

/// Posts JSON to `url` over a new connection.
pub async fn post(url: &str, body: &serde_json::Value) -> Result<Answer> {
    let headers = [("content-type", "application/json")];
    exchange(LIMIT, None, Request::post(url), &headers, Bytes::from(serde_json::to_vec(body)?)).await
}

async fn exchange(
    limit: Duration,
    source: Option<Ipv4Addr>,
    mut request: http::request::Builder,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<Answer> {
    let mut connector = HttpConnector::new();
    connector.set_local_address(source.map(IpAddr::V4));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body))?;
    let what = format!("{} {}", request.method(), request.uri());
    let exchange = async {
        let answer = Client::builder(TokioExecutor::new()).build(connector).request(request).await?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        anyhow::Ok(Answer { status: head.status, headers: head.headers, body })
    };
    match tokio::time::timeout(limit, exchange).await {
        Ok(answer) => answer.with_context(|| what),
        Err(_) => bail!("{what}: no answer after {} s", limit.as_secs_f64()),
    }
}

/// Gets `url`, whose scheme is https, over a new connection with the TLS configuration `config` to a server called `name`.
pub async fn get_secured(
    config: &Arc<ClientConfig>,
    name: &str,
    url: &str,
    headers: &[(&str, &str)],
) -> Result<Answer> {
    let exchange = async {
        let url: http::Uri = url.parse()?;
        let authority = url.authority().context("a URL without a host")?.as_str();
        let stream = TcpStream::connect(authority).await?;
        let stream =
            TlsConnector::from(Arc::clone(config)).connect(ServerName::try_from(name.to_owned())?, stream).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driven = tokio::spawn(connection);
        let mut request = Request::get(url.path()).header("host", authority);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, body) = sender.send_request(request.body(Full::<Bytes>::default())?).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        driven.abort();
        anyhow::Ok(Answer { status: head.status, headers: head.headers, body })
    };
    let answer = tokio::time::timeout(LIMIT, exchange).await;
    answer
        .with_context(|| format!("GET {url}: no answer after {} s", LIMIT.as_secs()))?
        .with_context(|| format!("GET {url}"))
}

/// Gets `url`; any status but 200 is an error.
pub async fn get_text(url: &str) -> Result<String> {
    let answer = get(url, &[]).await?;
    if answer.status != StatusCode::OK {
        bail!("GET {url}: {}: {}", answer.status, answer.text().unwrap_or_default().trim());
    }
    Ok(answer.text()?.to_owned())
}

//! What a replica says of itself over HTTP, as anyone could ask it.

use std::net::SocketAddr;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// Where a replica listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub metrics: SocketAddr,
    pub telemetry: SocketAddr,
}

/// What a replica answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub objects: usize,
    pub pods: usize,
    /// 0 if that was not asked.
    pub series: usize,
}

/// Why a replica did not answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum AskError {
    #[error("{0}: {1}")]
    Connection(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("{0} answers {1}")]
    Status(String, StatusCode),
}

impl Addresses {
    /// What is missing until it is ready, if anything.
    pub async fn ready(&self) -> Result<Option<String>, AskError> {
        let (code, text) = get(self.telemetry, "readyz").await?;
        Ok((code != StatusCode::OK).then(|| text.trim().replace('\n', ", ")))
    }

    /// What it serves: its own account of objects, and, if asked, the series of a scrape.
    pub async fn ask(&self, series: bool) -> Result<Asked, AskError> {
        let mut asked = count_objects(&ok(self.telemetry, "metrics").await?);
        if series {
            asked.series = count_series(&ok(self.metrics, "metrics").await?);
        }
        Ok(asked)
    }
}

async fn ok(address: SocketAddr, path: &str) -> Result<String, AskError> {
    match get(address, path).await? {
        (StatusCode::OK, text) => Ok(text),
        (code, _) => Err(AskError::Status(format!("http://{address}/{path}"), code)),
    }
}

async fn get(address: SocketAddr, path: &str) -> Result<(StatusCode, String), AskError> {
    let url = format!("http://{address}/{path}");
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| AskError::Connection(url.clone(), error);
    let request = http::Request::get(url.as_str()).body(Empty::<Bytes>::new()).map_err(|error| failed(error.into()))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await.map_err(|error| failed(error.into()))?;
    let code = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| failed(error.into()))?.to_bytes();
    Ok((code, String::from_utf8_lossy(&body).into_owned()))
}

fn count_objects(telemetry: &str) -> Asked {
    let mut asked = Asked::default();
    for line in telemetry.lines() {
        let Some(rest) = line.strip_prefix("kube_state_fleet_objects{resource=\"") else { continue };
        let Some((resource, value)) = rest.split_once("\"} ") else { continue };
        // Prometheus' text has only floats.
        let count = value.parse::<f64>().unwrap_or_default() as usize;
        asked.objects += count;
        if resource == "pods" {
            asked.pods = count;
        }
    }
    asked
}

fn count_series(text: &str) -> usize {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_added_up_over_resources() {
        let text = "# TYPE kube_state_fleet_objects gauge\nkube_state_fleet_objects{resource=\"pods\"} 21\n\
                    kube_state_fleet_objects{resource=\"nodes\"} 2.0\nkube_state_fleet_loaded{resource=\"pods\"} 1\n";
        assert_eq!(count_objects(text), Asked { objects: 23, pods: 21, series: 0 });
        assert_eq!(count_series(text), 3);
    }
}

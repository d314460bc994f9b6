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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// How many objects it says that it keeps.
    pub objects: usize,
    /// The UIDs of the pods that it serves.
    pub pods: Vec<String>,
    /// How many series it serves.
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

    /// What it serves: its own account of its objects, and a scrape.
    pub async fn ask(&self) -> Result<Asked, AskError> {
        let objects = count_objects(&ok(self.telemetry, "metrics").await?);
        let scrape = ok(self.metrics, "metrics").await?;
        Ok(Asked { objects, pods: pods(&scrape), series: count_series(&scrape) })
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

fn count_objects(telemetry: &str) -> usize {
    let lines = telemetry.lines().filter(|line| line.starts_with("kube_state_fleet_objects{"));
    // Prometheus' text has only floats.
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>() as usize
}

fn pods(scrape: &str) -> Vec<String> {
    let lines = scrape.lines().filter(|line| line.starts_with("kube_pod_info{"));
    lines.filter_map(|line| Some(line.split_once("uid=\"")?.1.split_once('"')?.0.to_owned())).collect()
}

fn count_series(text: &str) -> usize {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replicas_answers_are_counted() {
        let text = "# TYPE kube_state_fleet_objects gauge\nkube_state_fleet_objects{resource=\"pods\"} 21\n\
                    kube_state_fleet_objects{resource=\"nodes\"} 2.0\nkube_state_fleet_loaded{resource=\"pods\"} 1\n";
        assert_eq!(count_objects(text), 23);
        let text = "# TYPE kube_pod_info gauge\nkube_pod_info{namespace=\"a\",uid=\"u1\",node=\"n\"} 1\nkube_pod_created{uid=\"u1\"} 5\n";
        assert_eq!(pods(text), ["u1"]);
        assert_eq!(count_series(text), 2);
    }
}

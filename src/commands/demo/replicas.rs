//! A replica's own data, read over HTTP as any client can.

use std::net::SocketAddr;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// The addresses of a replica.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub metrics: SocketAddr,
    pub telemetry: SocketAddr,
}

/// The answer of a replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Number of objects that it reports.
    pub objects: usize,
    /// UIDs of the pods that it serves.
    pub pods: Vec<String>,
    /// Number of series that it serves.
    pub series: usize,
}

/// The fleet as a replica sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FleetView {
    /// The number of the current assignment.
    pub generation: u64,
    /// Number of shards.
    pub shards: u64,
    /// State of a handover: `idle`, `waiting`, `preparing`, `stamping` or `switching`.
    pub handover: String,
}

/// A failed request to a replica.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum RequestError {
    #[error("{0}: {1}")]
    Connection(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("{0} answers {1}")]
    Status(String, StatusCode),
}

impl FleetView {
    /// Whether no handover is in progress.
    pub fn is_settled(&self) -> bool {
        matches!(&*self.handover, "idle" | "waiting")
    }
}

impl Addresses {
    /// The reason why it is not ready, if it is not.
    pub async fn ready(&self) -> Result<Option<String>, RequestError> {
        let (code, text) = get(self.telemetry, "readyz").await?;
        Ok((code != StatusCode::OK).then(|| text.trim().replace('\n', ", ")))
    }

    /// Requests its view of the fleet.
    pub async fn fleet_view(&self) -> Result<FleetView, RequestError> {
        Ok(fleet_view(&ok(self.telemetry, "metrics").await?))
    }

    /// Requests its objects: the number that it reports, and a scrape.
    pub async fn ask(&self) -> Result<Asked, RequestError> {
        let objects = count_objects(&ok(self.telemetry, "metrics").await?);
        let scrape = ok(self.metrics, "metrics").await?;
        Ok(Asked { objects, pods: pods(&scrape), series: count_series(&scrape) })
    }
}

async fn ok(address: SocketAddr, path: &str) -> Result<String, RequestError> {
    match get(address, path).await? {
        (StatusCode::OK, text) => Ok(text),
        (code, _) => Err(RequestError::Status(format!("http://{address}/{path}"), code)),
    }
}

async fn get(address: SocketAddr, path: &str) -> Result<(StatusCode, String), RequestError> {
    let url = format!("http://{address}/{path}");
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| RequestError::Connection(url.clone(), error);
    let request = http::Request::get(url.as_str()).body(Empty::<Bytes>::new()).map_err(|error| failed(error.into()))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await.map_err(|error| failed(error.into()))?;
    let code = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| failed(error.into()))?.to_bytes();
    Ok((code, String::from_utf8_lossy(&body).into_owned()))
}

fn fleet_view(telemetry: &str) -> FleetView {
    // Prometheus' text has only floats.
    let number = |family: &str| {
        let lines = telemetry.lines().filter_map(|line| line.strip_prefix(family)?.strip_prefix(' '));
        lines.filter_map(|value| value.parse::<f64>().ok()).next().unwrap_or_default() as u64
    };
    let on = telemetry.lines().filter_map(|line| line.strip_prefix("kube_state_fleet_handover_state{state=\""));
    let mut on = on.filter_map(|rest| rest.split_once("\"} 1"));
    FleetView {
        generation: number("kube_state_fleet_generation"),
        shards: number("kube_state_metrics_total_shards"),
        handover: on.next().map_or("idle", |(state, _)| state).to_owned(),
    }
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

    #[test]
    fn a_replica_tells_how_its_fleet_stands() {
        let text = "kube_state_fleet_generation 7\nkube_state_metrics_total_shards 4.0\n\
                    kube_state_fleet_handover_state{state=\"idle\"} 0\nkube_state_fleet_handover_state{state=\"preparing\"} 1\n";
        assert_eq!(fleet_view(text), FleetView { generation: 7, shards: 4, handover: "preparing".to_owned() });
        assert_eq!(fleet_view(""), FleetView { handover: "idle".to_owned(), ..FleetView::default() });
    }
}

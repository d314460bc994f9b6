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

/// How a replica sees its fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Who owns what, by number.
    pub generation: u64,
    /// How many shards there are.
    pub shards: u64,
    /// How a change stands: `idle`, `waiting`, `preparing` or `switching`.
    pub handover: String,
}

/// Why a replica did not answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum AskError {
    #[error("{0}: {1}")]
    Connection(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("{0} answers {1}")]
    Status(String, StatusCode),
}

impl Told {
    /// Whether nothing is changing hands.
    pub fn is_settled(&self) -> bool {
        matches!(&*self.handover, "idle" | "waiting")
    }
}

impl Addresses {
    /// What is missing until it is ready, if anything.
    pub async fn ready(&self) -> Result<Option<String>, AskError> {
        let (code, text) = get(self.telemetry, "readyz").await?;
        Ok((code != StatusCode::OK).then(|| text.trim().replace('\n', ", ")))
    }

    /// What it says of its fleet.
    pub async fn told(&self) -> Result<Told, AskError> {
        Ok(told(&ok(self.telemetry, "metrics").await?))
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

fn told(telemetry: &str) -> Told {
    // Prometheus' text has only floats.
    let number = |family: &str| {
        let lines = telemetry.lines().filter_map(|line| line.strip_prefix(family)?.strip_prefix(' '));
        lines.filter_map(|value| value.parse::<f64>().ok()).next().unwrap_or_default() as u64
    };
    let on = telemetry.lines().filter_map(|line| line.strip_prefix("kube_state_fleet_handover_state{state=\""));
    let mut on = on.filter_map(|rest| rest.split_once("\"} 1"));
    Told {
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
        assert_eq!(told(text), Told { generation: 7, shards: 4, handover: "preparing".to_owned() });
        assert_eq!(told(""), Told { handover: "idle".to_owned(), ..Told::default() });
    }
}

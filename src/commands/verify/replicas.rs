//! Finds the replicas of a fleet, and asks each for the UIDs that it serves.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::future::try_join_all;
use http::StatusCode;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::core::Selector;

use super::connection::{ConnectError, Connection};
use crate::commands::cli::{Verify, Via};
use crate::fleet::coverage::Objects;
use crate::fleet::is_ready;
use crate::settings::Settings;
use crate::shown;

/// The name of the container port that serves the UIDs.
const PORT_NAME: &str = "metrics";

/// How long a replica may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum size of an answer in bytes: the UIDs of about ten million objects.
const MAX_ANSWER: usize = 1 << 30;

/// Maximum number of attempts while the replicas answer with different generations, which means that a handover is in progress.
const MAX_ATTEMPTS: usize = 5;

/// The delay between these attempts.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why the replicas could not be found.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum FindError {
    #[error(
        "no StatefulSet {name:?} in namespace {namespace:?}: set --statefulset and --fleet-namespace, or --replica URL"
    )]
    NotFound { namespace: String, name: String },
    #[error("StatefulSet {namespace}/{name} has no pods; scale it up, or set --statefulset")]
    NoPods { namespace: String, name: String },
    #[error("reading StatefulSet {namespace}/{name} and its pods failed: {reason}")]
    Unreadable { namespace: String, name: String, reason: String },
    #[error("--replica: {0:?} is not a URL such as {1}://10.0.0.7:8081{hint}", hint = match *.1 {
        "https" => "; with --tls-config it must be https",
        _ => "; https requires the replicas' --tls-config",
    })]
    Url(String, &'static str),
}

/// Why a replica did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {url}: {reason}")]
pub(in crate::commands) struct AskError {
    /// The name of the replica.
    name: String,
    url: String,
    reason: AnswerError,
}

/// Why a request to a replica failed.
#[derive(Debug, thiserror::Error)]
enum AnswerError {
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{status}{}{hint}", if .text.is_empty() { String::new() } else { format!(": {text}") }, hint = match *status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; set --tls-config and --auth-filter as on the replicas",
        StatusCode::NOT_FOUND => "; is this the telemetry port (8081 by default) of kube-state-fleet?",
        _ => "",
    })]
    Status { status: StatusCode, text: String },
    #[error("the answer is not from kube-state-fleet: {0}")]
    Json(#[from] serde_json::Error),
    /// The API server's proxy does not forward credentials.
    #[error("{}; set --via=direct for replicas that require a token or a password", reason(.0))]
    Credentials(#[source] kube::Error),
    #[error("{}{}", reason(.0), if is_unreachable(.0) {
        "; the API server reaches no telemetry port of the replica there: set --telemetry-port, --via=direct, or --replica URL"
    } else { "" })]
    Proxy(#[source] kube::Error),
}

/// A replica, and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReplicaTarget {
    /// The pod's name, or the URL.
    pub name: String,
    endpoint: Endpoint,
    /// Whether it must answer. A replica that is not ready, or is terminating, may serve nothing.
    must_answer: bool,
}

/// How to reach a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// The address of its telemetry port, and a prefix of all paths.
    Direct(String, String),
    /// The path of the API server's proxy to that port, and the pod's UID.
    Proxy(String, String),
    /// The pod has no address yet, so it serves nothing.
    None,
}

impl ReplicaTarget {
    /// Returns the name and the endpoint, which together tell a replica from a later one of the same name.
    pub fn target(&self) -> (&str, &Endpoint) {
        (&self.name, &self.endpoint)
    }
}

/// Finds the replicas: by `--replica`, or the pods of a StatefulSet.
pub(super) struct ReplicaFinder {
    client: kube::Client,
    connection: Connection,
    urls: Vec<String>,
    statefulset: String,
    namespace: String,
    via: Via,
    /// `--telemetry-port`, if set.
    port: Option<u16>,
    default_port: u16,
}

impl ReplicaFinder {
    /// Creates a finder. `namespace` is that of the kubeconfig or of this pod.
    pub fn new(
        client: kube::Client,
        connection: Connection,
        settings: &Settings,
        arguments: &Verify,
        namespace: String,
    ) -> Self {
        let in_cluster = settings.live.kubeconfig.is_none() && settings.live.apiserver.is_none();
        Self {
            client,
            connection,
            urls: arguments.replica.clone(),
            statefulset: arguments.statefulset.clone(),
            namespace: arguments.fleet_namespace.clone().unwrap_or(namespace),
            via: arguments.via.unwrap_or(if in_cluster { Via::Direct } else { Via::Proxy }),
            port: arguments.flags.telemetry_port,
            default_port: settings.fixed.telemetry.port,
        }
    }

    /// Whether the replicas are those of a StatefulSet, and so may change.
    pub fn is_dynamic(&self) -> bool {
        self.urls.is_empty()
    }

    /// Returns the current replicas.
    pub async fn find(&self) -> Result<Vec<ReplicaTarget>, FindError> {
        if !self.urls.is_empty() {
            return self.urls.iter().map(|url| target_at(url, self.scheme())).collect();
        }
        let (namespace, name) = (self.namespace.clone(), self.statefulset.clone());
        let unreadable = |error: kube::Error| FindError::Unreadable {
            namespace: self.namespace.clone(),
            name: self.statefulset.clone(),
            reason: reason(&error),
        };
        let sets: Api<StatefulSet> = Api::namespaced(self.client.clone(), &namespace);
        let Some(set) = sets.get_opt(&name).await.map_err(unreadable)? else {
            return Err(FindError::NotFound { namespace, name });
        };
        // An invalid selector selects nothing; the API server accepts no such StatefulSet.
        let selector = set.spec.and_then(|spec| Selector::try_from(spec.selector).ok()).unwrap_or_default();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let pods = pods.list(&ListParams::default().labels_from(&selector)).await.map_err(unreadable)?;
        let uid = set.metadata.uid.unwrap_or_default();
        let mut replicas: Vec<_> =
            pods.items.iter().filter(|pod| belongs_to(pod, &uid)).map(|pod| self.target_of(pod)).collect();
        if replicas.is_empty() {
            return Err(FindError::NoPods { namespace, name });
        }
        replicas.sort_by(|a, b| (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name)));
        Ok(replicas)
    }

    fn target_of(&self, pod: &Pod) -> ReplicaTarget {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let port = self.port.or_else(|| metrics_port(pod)).unwrap_or(self.default_port);
        let ip = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()?.parse::<IpAddr>().ok());
        let endpoint = match (self.via, ip) {
            (_, None) => Endpoint::None,
            (Via::Direct, Some(ip)) => Endpoint::Direct(SocketAddr::new(ip, port).to_string(), String::new()),
            (Via::Proxy, Some(_)) => {
                let secured = if self.connection.is_tls() { "https:" } else { "" };
                let path = format!("/api/v1/namespaces/{}/pods/{secured}{name}:{port}/proxy", self.namespace);
                Endpoint::Proxy(path, pod.metadata.uid.clone().unwrap_or_default())
            }
        };
        ReplicaTarget { name, endpoint, must_answer: is_ready(pod) && pod.metadata.deletion_timestamp.is_none() }
    }

    /// Returns the UIDs that each replica serves of a resource. Asks all replicas concurrently.
    pub async fn ask(&self, resource: &str, replicas: &[ReplicaTarget]) -> Result<Vec<Vec<String>>, AskError> {
        for tries in 1.. {
            let answers = try_join_all(replicas.iter().map(|replica| self.ask_one(resource, replica))).await?;
            let mut generations = answers.iter().flatten().map(Objects::settled_generation);
            let first = generations.next().unwrap_or(Some(0));
            let settled = first.is_some() && generations.all(|generation| generation == first);
            if tries == MAX_ATTEMPTS || settled {
                return Ok(answers.into_iter().map(|a| a.map(|objects| objects.uids).unwrap_or_default()).collect());
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
        Ok(Vec::new())
    }

    /// Asks one replica. Returns `None` if it does not answer and need not.
    async fn ask_one(&self, resource: &str, replica: &ReplicaTarget) -> Result<Option<Objects>, AskError> {
        let path = format!("/fleet/objects?resource={resource}");
        let (url, answer) = match &replica.endpoint {
            Endpoint::None => return Ok(None),
            Endpoint::Direct(address, prefix) => {
                let path = prefix.clone() + &path;
                (format!("{}://{address}{path}", self.scheme()), self.get(address, &path).await)
            }
            Endpoint::Proxy(base, _) => {
                let url = base.clone() + &path;
                let answer = tokio::time::timeout(TIMEOUT, self.get_by_proxy(url.clone())).await;
                (url, answer.unwrap_or(Err(AnswerError::Timeout)))
            }
        };
        match answer {
            Ok(objects) => Ok(Some(objects)),
            Err(_) if !replica.must_answer => Ok(None),
            Err(reason) => Err(AskError { name: replica.name.clone(), url, reason }),
        }
    }

    /// The scheme of the replicas' URLs.
    fn scheme(&self) -> &'static str {
        if self.connection.is_tls() { "https" } else { "http" }
    }

    async fn get(&self, address: &str, path: &str) -> Result<Objects, AnswerError> {
        let (status, body) = self.connection.get(address, path, (MAX_ANSWER, TIMEOUT)).await?;
        if !status.is_success() {
            return Err(AnswerError::Status { status, text: shown::bytes(&body) });
        }
        Ok(serde_json::from_slice(&body)?)
    }

    async fn get_by_proxy(&self, path: String) -> Result<Objects, AnswerError> {
        let request = http::Request::get(path)
            .body(Vec::new())
            .map_err(|error| AnswerError::Proxy(kube::Error::HttpError(error)))?;
        self.client.request(request).await.map_err(|error| match &error {
            kube::Error::Api(status) if status.code == 401 => AnswerError::Credentials(error),
            _ => AnswerError::Proxy(error),
        })
    }
}

fn target_at(url: &str, scheme: &'static str) -> Result<ReplicaTarget, FindError> {
    let url = url.trim_end_matches('/');
    let error = || FindError::Url(url.to_owned(), scheme);
    let parsed: http::Uri = url.parse().map_err(|_| error())?;
    let authority = parsed.authority().filter(|_| parsed.scheme_str() == Some(scheme)).ok_or_else(error)?;
    let port = parsed.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    let address = format!("{}:{port}", authority.host());
    let name = url.trim_start_matches(scheme).trim_start_matches("://").to_owned();
    let prefix = parsed.path().trim_end_matches('/').to_owned();
    Ok(ReplicaTarget { name, endpoint: Endpoint::Direct(address, prefix), must_answer: true })
}

fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => {
            format!("{} ({})", status.message.trim(), status.code)
        }
        other => other.to_string(),
    }
}

/// Whether the API server answers that its proxy cannot connect to the pod.
fn is_unreachable(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if (500..=504).contains(&status.code))
}

/// Whether the StatefulSet owns the pod, and the pod has not terminated.
fn belongs_to(pod: &Pod, uid: &str) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    owners.into_iter().any(|owner| owner.uid == uid) && !matches!(phase, Some("Succeeded" | "Failed"))
}

fn metrics_port(pod: &Pod) -> Option<u16> {
    let containers = pod.spec.as_ref()?.containers.iter();
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports.find(|port| port.name.as_deref() == Some(PORT_NAME))?.container_port.try_into().ok()
}

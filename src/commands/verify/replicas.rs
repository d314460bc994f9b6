//! Who serves, and what: finds the replicas of a fleet and asks each for its UIDs.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::future::try_join_all;
use http::StatusCode;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::core::Selector;

use crate::commands::cli::{Verify, Via};
use crate::fleet::coverage::Objects;
use crate::fleet::{is_ready, peer_client};
use crate::replica::PeerConnector;
use crate::settings::Settings;

/// The container port that this name belongs to is asked.
const PORT_NAME: &str = "metrics";

/// How long a replica may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The UIDs of some ten million objects, in bytes.
const LONGEST: usize = 1 << 30;

/// While replicas answer under different generations, a handover is under way: so often they are asked again.
const TRIES: usize = 5;

/// How long a handover is given.
const HANDOVER: Duration = Duration::from_secs(1);

/// Why there are no replicas.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum FindError {
    #[error(
        "no StatefulSet {name:?} in namespace {namespace:?}: --statefulset and --fleet-namespace name it, or --replica names replicas"
    )]
    NotThere { namespace: String, name: String },
    #[error("the StatefulSet {namespace}/{name} has no pods")]
    NoPods { namespace: String, name: String },
    #[error("the API server does not show the StatefulSet {namespace}/{name} and its pods: {reason}")]
    Hidden { namespace: String, name: String, reason: String },
    #[error("--replica: {0:?} is no URL such as {1}://10.0.0.7:8081{hint}", hint = match *.1 {
        "https" => ", as --tls-config has it",
        _ => "; https needs --tls-config, as the replicas have it",
    })]
    Url(String, &'static str),
}

/// Why a replica did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {url}: {reason}")]
pub(in crate::commands) struct AskError {
    /// The replica.
    name: String,
    /// What was asked.
    url: String,
    /// What came of it.
    reason: String,
}

/// A replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replica {
    /// The pod's name, or the URL.
    pub name: String,
    place: Place,
    /// Whether it has to answer: who is not ready yet, or is about to end, may serve nothing.
    must_answer: bool,
}

/// Where a replica is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Address of its telemetry port, and the path before all others.
    At(String, String),
    /// Path of the API server's proxy to that, and the pod's UID.
    Proxy(String, String),
    /// It has no address, so it serves nothing.
    Nowhere,
}

impl Replica {
    /// Where it is: another one of this name is elsewhere.
    pub fn place(&self) -> (&str, &Place) {
        (&self.name, &self.place)
    }
}

/// The replicas, however they are found.
pub(super) struct Fleet {
    client: kube::Client,
    door: PeerConnector,
    urls: Vec<String>,
    statefulset: String,
    namespace: String,
    via: Via,
    /// `--telemetry-port`, where given.
    port: Option<u16>,
    default_port: u16,
}

impl Fleet {
    /// Who `arguments` name; `namespace` is that of the kubeconfig or of our pod.
    pub fn new(
        client: kube::Client,
        door: PeerConnector,
        settings: &Settings,
        arguments: &Verify,
        namespace: String,
    ) -> Self {
        let in_cluster = settings.live.kubeconfig.is_none() && settings.live.apiserver.is_none();
        Self {
            client,
            door,
            urls: arguments.replica.clone(),
            statefulset: arguments.statefulset.clone(),
            namespace: arguments.fleet_namespace.clone().unwrap_or(namespace),
            via: arguments.via.unwrap_or(if in_cluster { Via::Direct } else { Via::Proxy }),
            port: arguments.flags.telemetry_port,
            default_port: settings.fixed.telemetry.port,
        }
    }

    /// Whether replicas are looked for, and may be others the next time.
    pub fn is_looked_for(&self) -> bool {
        self.urls.is_empty()
    }

    /// Who there is now.
    pub async fn find(&self) -> Result<Vec<Replica>, FindError> {
        if !self.urls.is_empty() {
            return self.urls.iter().map(|url| named(url, self.scheme())).collect();
        }
        let (namespace, name) = (self.namespace.clone(), self.statefulset.clone());
        let hidden = |error: kube::Error| FindError::Hidden {
            namespace: self.namespace.clone(),
            name: self.statefulset.clone(),
            reason: reason(&error),
        };
        let sets: Api<StatefulSet> = Api::namespaced(self.client.clone(), &namespace);
        let Some(set) = sets.get_opt(&name).await.map_err(hidden)? else {
            return Err(FindError::NotThere { namespace, name });
        };
        // A selector that makes no sense selects nothing, and the API server takes no such StatefulSet.
        let selector = set.spec.and_then(|spec| Selector::try_from(spec.selector).ok()).unwrap_or_default();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let pods = pods.list(&ListParams::default().labels_from(&selector)).await.map_err(hidden)?;
        let uid = set.metadata.uid.unwrap_or_default();
        let mut replicas: Vec<_> = pods.items.iter().filter(|pod| is_of(pod, &uid)).map(|pod| self.of(pod)).collect();
        if replicas.is_empty() {
            return Err(FindError::NoPods { namespace, name });
        }
        replicas.sort_by(|a, b| (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name)));
        Ok(replicas)
    }

    fn of(&self, pod: &Pod) -> Replica {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let port = self.port.or_else(|| metrics_port(pod)).unwrap_or(self.default_port);
        let ip = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()?.parse::<IpAddr>().ok());
        let place = match (self.via, ip) {
            (_, None) => Place::Nowhere,
            (Via::Direct, Some(ip)) => Place::At(SocketAddr::new(ip, port).to_string(), String::new()),
            (Via::Proxy, Some(_)) => {
                let secured = if self.door.is_tls() { "https:" } else { "" };
                let path = format!("/api/v1/namespaces/{}/pods/{secured}{name}:{port}/proxy", self.namespace);
                Place::Proxy(path, pod.metadata.uid.clone().unwrap_or_default())
            }
        };
        Replica { name, place, must_answer: is_ready(pod) && pod.metadata.deletion_timestamp.is_none() }
    }

    /// The UIDs that each replica serves of a resource, all asked at once.
    pub async fn ask(&self, resource: &str, replicas: &[Replica]) -> Result<Vec<Vec<String>>, AskError> {
        for tries in 1.. {
            let answers = try_join_all(replicas.iter().map(|replica| self.ask_one(resource, replica))).await?;
            let mut generations = answers.iter().flatten().map(|objects| objects.generation);
            let first = generations.next();
            if tries == TRIES || generations.all(|generation| Some(generation) == first) {
                return Ok(answers.into_iter().map(|a| a.map(|objects| objects.uids).unwrap_or_default()).collect());
            }
            tokio::time::sleep(HANDOVER).await;
        }
        Ok(Vec::new())
    }

    /// `None` for one that serves nothing and need not.
    async fn ask_one(&self, resource: &str, replica: &Replica) -> Result<Option<Objects>, AskError> {
        let path = format!("/fleet/objects?resource={resource}");
        let (url, answer) = match &replica.place {
            Place::Nowhere => return Ok(None),
            Place::At(address, before) => {
                let path = before.clone() + &path;
                (format!("{}://{address}{path}", self.scheme()), self.get(address, &path).await)
            }
            Place::Proxy(base, _) => {
                let url = base.clone() + &path;
                let answer = tokio::time::timeout(PATIENCE, self.get_by_proxy(url.clone())).await;
                (url, answer.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs()))))
            }
        };
        match answer {
            Ok(objects) => Ok(Some(objects)),
            Err(_) if !replica.must_answer => Ok(None),
            Err(reason) => Err(AskError { name: replica.name.clone(), url, reason }),
        }
    }

    /// How URLs of replicas begin.
    fn scheme(&self) -> &'static str {
        if self.door.is_tls() { "https" } else { "http" }
    }

    async fn get(&self, address: &str, path: &str) -> Result<Objects, String> {
        let answer = peer_client::request(&self.door, address, path, None, (LONGEST, PATIENCE));
        let (status, body) = answer.await.map_err(|error| error.to_string())?;
        if !status.is_success() {
            let hint = match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    "; --tls-config and --auth-filter must be the replicas'"
                }
                _ => "",
            };
            return Err(format!("{status}: {}{hint}", String::from_utf8_lossy(&body).trim()));
        }
        serde_json::from_slice(&body).map_err(|e| format!("not an answer of kube-state-fleet: {e}"))
    }

    async fn get_by_proxy(&self, path: String) -> Result<Objects, String> {
        let request = http::Request::get(path).body(Vec::new()).map_err(|e| e.to_string())?;
        self.client.request(request).await.map_err(|error| match &error {
            // The API server passes no credentials on.
            kube::Error::Api(status) if status.code == 401 => {
                format!("{}; replicas that ask for a token or a password are asked with --via=direct", reason(&error))
            }
            _ => reason(&error),
        })
    }
}

fn named(url: &str, scheme: &'static str) -> Result<Replica, FindError> {
    let url = url.trim_end_matches('/');
    let error = || FindError::Url(url.to_owned(), scheme);
    let parsed: http::Uri = url.parse().map_err(|_| error())?;
    let authority = parsed.authority().filter(|_| parsed.scheme_str() == Some(scheme)).ok_or_else(error)?;
    let port = parsed.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    let address = format!("{}:{port}", authority.host());
    let name = url.trim_start_matches(scheme).trim_start_matches("://").to_owned();
    let before = parsed.path().trim_end_matches('/').to_owned();
    Ok(Replica { name, place: Place::At(address, before), must_answer: true })
}

fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => {
            format!("{} ({})", status.message.trim(), status.code)
        }
        other => other.to_string(),
    }
}

/// Whether the StatefulSet controls the pod, and the pod has not come to its end.
fn is_of(pod: &Pod, uid: &str) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    owners.into_iter().any(|owner| owner.uid == uid) && !matches!(phase, Some("Succeeded" | "Failed"))
}

fn metrics_port(pod: &Pod) -> Option<u16> {
    let containers = pod.spec.as_ref()?.containers.iter();
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports.find(|port| port.name.as_deref() == Some(PORT_NAME))?.container_port.try_into().ok()
}

//! Lists the objects of the cluster with the API server: only metadata, in pages.

use std::time::Duration;

use http::header::ACCEPT;
use serde::Deserialize;

use super::compare::Objects;
use crate::settings::Settings;
use crate::settings::resources::Kind;
use crate::settings::selectors::{Selector, selectors};
use crate::settings::yaml::or_default;

/// Accepts only metadata, so that the data of objects is never requested.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// Objects per page; the same as client-go.
const PAGE_SIZE: &str = "500";

/// How long the API server may take per page.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often a list restarts after its continue token expired.
const RESTARTS: usize = 3;

/// Why a resource could not be listed.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum ClusterError {
    /// The API server answers with an error.
    #[error("listing {resource} failed: {message}")]
    Refused { resource: &'static str, message: String },
    #[error("listing {0} failed: the continue token expires before the next page is requested")]
    Expired(&'static str),
    #[error("listing {resource} failed: {source}")]
    Request { resource: &'static str, source: kube::Error },
    #[error("listing {0} failed: the API server repeats a continue token")]
    Endless(&'static str),
    #[error("listing {0} failed: no answer from the API server within {seconds} s", seconds = TIMEOUT.as_secs())]
    Silent(&'static str),
}

const NAMESPACES: Kind = Kind { group: "", version: "v1", kind: "Namespace", plural: "namespaces", namespaced: false };

/// Lists objects with the API server.
pub(super) struct Cluster {
    client: kube::Client,
}

/// A page of a list, with only the fields that are needed.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    /// API servers send it always, as null if there are none.
    #[serde(deserialize_with = "or_default")]
    items: Vec<Item>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    next: String,
}

#[derive(Deserialize)]
struct Item {
    metadata: ItemMetadata,
}

#[derive(Deserialize)]
struct ItemMetadata {
    uid: String,
    name: String,
    #[serde(default)]
    namespace: String,
}

impl Cluster {
    pub fn new(client: kube::Client) -> Self {
        Self { client }
    }

    /// Returns all objects of a kind that the settings select, or `None` if the API server does not have the resource.
    pub async fn objects(&self, settings: &Settings, kind: &Kind) -> Result<Option<Objects>, ClusterError> {
        let mut objects = Objects::new();
        for selector in self.selectors(settings, kind).await? {
            let mut restarts = 0;
            loop {
                match self.list(kind, &selector, &mut objects).await? {
                    Listed::Complete => break,
                    Listed::NotFound => return Ok(None),
                    // The objects listed so far stay, and are listed again.
                    Listed::Expired if restarts < RESTARTS => restarts += 1,
                    Listed::Expired => return Err(ClusterError::Expired(kind.plural)),
                }
            }
        }
        Ok(Some(objects))
    }

    /// Returns the partitions of a kind, with the namespaces that `--namespace-selector` selects now.
    async fn selectors(&self, settings: &Settings, kind: &Kind) -> Result<Vec<Selector>, ClusterError> {
        let Some(of_namespaces) = settings.live.namespace_selector.as_ref().filter(|_| kind.namespaced) else {
            return Ok(selectors(settings, kind));
        };
        let mut namespaces = Objects::new();
        let selector = Selector::of_labels(of_namespaces);
        let mut restarts = 0;
        loop {
            match self.list(&NAMESPACES, &selector, &mut namespaces).await? {
                Listed::Complete | Listed::NotFound => break,
                Listed::Expired if restarts < RESTARTS => restarts += 1,
                Listed::Expired => return Err(ClusterError::Expired(NAMESPACES.plural)),
            }
        }
        let mut names: Vec<_> = namespaces.into_values().collect();
        names.sort();
        let mut settings = settings.clone();
        settings.live.selected_namespaces = Some(names);
        Ok(selectors(&settings, kind))
    }

    async fn list(&self, kind: &Kind, selector: &Selector, objects: &mut Objects) -> Result<Listed, ClusterError> {
        let mut next = String::new();
        loop {
            let failed = |source| ClusterError::Request { resource: kind.plural, source };
            let request = http::Request::get(url(kind, selector, &next))
                .header(ACCEPT, METADATA)
                .body(Vec::new())
                .map_err(|error| failed(kube::Error::HttpError(error)))?;
            let answer = tokio::time::timeout(TIMEOUT, self.client.request::<Page>(request)).await;
            let page = match answer.map_err(|_| ClusterError::Silent(kind.plural))? {
                Ok(page) => page,
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 405) => return Ok(Listed::NotFound),
                Err(kube::Error::Api(status)) if status.code == 410 => return Ok(Listed::Expired),
                Err(kube::Error::Api(status)) => {
                    return Err(ClusterError::Refused { resource: kind.plural, message: status.message.clone() });
                }
                Err(other) => return Err(failed(other)),
            };
            for Item { metadata: ItemMetadata { uid, name, namespace } } in page.items {
                objects.insert(uid, if namespace.is_empty() { name } else { format!("{namespace}/{name}") });
            }
            let previous = std::mem::replace(&mut next, page.metadata.next);
            if next.is_empty() {
                return Ok(Listed::Complete);
            }
            if next == previous {
                return Err(ClusterError::Endless(kind.plural));
            }
        }
    }
}

/// How a list ended.
enum Listed {
    Complete,
    NotFound,
    Expired,
}

fn url(kind: &Kind, selector: &Selector, next: &str) -> String {
    let mut path = match kind.group {
        "" => format!("/api/{}", kind.version),
        group => format!("/apis/{group}/{}", kind.version),
    };
    if let Some(namespace) = selector.namespace() {
        path = path + "/namespaces/" + namespace;
    }
    let path = path + "/" + kind.plural + "?";
    let start = path.len();
    let mut query = form_urlencoded::Serializer::for_suffix(path, start);
    query.append_pair("limit", PAGE_SIZE);
    let fields = selector.field_selector();
    if !fields.is_empty() {
        query.append_pair("fieldSelector", &fields);
    }
    if !selector.label_selector().is_empty() {
        query.append_pair("labelSelector", selector.label_selector());
    }
    if !next.is_empty() {
        query.append_pair("continue", next);
    }
    query.finish()
}

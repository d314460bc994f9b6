//! What there is, by the API server: metadata alone, page by page.

use std::time::Duration;

use http::header::ACCEPT;
use serde::Deserialize;

use super::compare::Objects;
use crate::settings::Settings;
use crate::settings::resources::Kind;
use crate::settings::selectors::{Selector, selectors};

/// Whole objects are never accepted: their data is none of our business.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// How many objects a page has, as client-go takes them.
const PAGE: &str = "500";

/// How long the API server may take for a page.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a list is begun again that took so long that the server forgot its state.
const RESTARTS: usize = 3;

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum ClusterError {
    #[error("{resource}: the API server does not list them: {reason}")]
    List { resource: &'static str, reason: String },
    #[error("{0}: the API server has not answered within {seconds} s", seconds = PATIENCE.as_secs())]
    Silent(&'static str),
}

/// The API server.
pub(super) struct Cluster {
    client: kube::Client,
}

/// A page; of its metadata only what is needed is read.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(default)]
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

    /// All objects of a kind that the settings select; `None` if the API server does not have the resource.
    pub async fn objects(&self, settings: &Settings, kind: &Kind) -> Result<Option<Objects>, ClusterError> {
        let mut objects = Objects::new();
        for selector in selectors(settings, kind) {
            let mut restarts = 0;
            loop {
                match self.list(kind, &selector, &mut objects).await? {
                    Listed::Whole => break,
                    Listed::NotThere => return Ok(None),
                    // What has been listed is there already, and will be again.
                    Listed::Expired if restarts < RESTARTS => restarts += 1,
                    Listed::Expired => {
                        let reason = "it forgets its pages before the next one is asked for".to_owned();
                        return Err(ClusterError::List { resource: kind.plural, reason });
                    }
                }
            }
        }
        Ok(Some(objects))
    }

    async fn list(&self, kind: &Kind, selector: &Selector, objects: &mut Objects) -> Result<Listed, ClusterError> {
        let mut next = String::new();
        loop {
            let error = |reason: String| ClusterError::List { resource: kind.plural, reason };
            let request = http::Request::get(url(kind, selector, &next))
                .header(ACCEPT, METADATA)
                .body(Vec::new())
                .map_err(|e| error(e.to_string()))?;
            let answer = tokio::time::timeout(PATIENCE, self.client.request::<Page>(request)).await;
            let page = match answer.map_err(|_| ClusterError::Silent(kind.plural))? {
                Ok(page) => page,
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 405) => return Ok(Listed::NotThere),
                Err(kube::Error::Api(status)) if status.code == 410 => return Ok(Listed::Expired),
                Err(kube::Error::Api(status)) => return Err(error(status.message)),
                Err(other) => return Err(error(other.to_string())),
            };
            for Item { metadata: ItemMetadata { uid, name, namespace } } in page.items {
                objects.insert(uid, if namespace.is_empty() { name } else { format!("{namespace}/{name}") });
            }
            next = page.metadata.next;
            if next.is_empty() {
                return Ok(Listed::Whole);
            }
        }
    }
}

/// How a list ended.
enum Listed {
    Whole,
    NotThere,
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
    query.append_pair("limit", PAGE);
    let fields = selector.field_selector();
    if !fields.is_empty() {
        query.append_pair("fieldSelector", &fields);
    }
    if !next.is_empty() {
        query.append_pair("continue", next);
    }
    query.finish()
}

//! A resource as the settings ask for it.

use std::sync::Arc;
use std::time::Duration;

use crate::collectors::custom::Definition;
use crate::collectors::labels::KeyFilter;
use crate::exposition::{Header, NamespaceLabels, ResourceStore};
use crate::intake::{Endpoint, Sink};
use crate::settings::Settings;
use crate::settings::selectors::Selector;
use crate::sharding::Hasher;

/// Makes the sink of one partition, which fills the store. It hides the type of the resource's objects.
pub(in crate::replica) type NewSink = Box<dyn Fn(u32, Arc<ResourceStore>) -> Box<dyn Sink> + Send>;

/// A resource as the settings ask for it.
pub(in crate::replica) struct ResourceSpec {
    /// The name in `?resources=`, self-metrics and audits. Resources that run at the same time have different names.
    pub name: String,
    /// Go type as in upstream's self-metrics, for example `*v1.Pod`.
    pub kind: String,
    /// Everything that a running resource must share with this spec to be kept.
    pub shape: ResourceShape,
    /// Makes the sinks of the partitions.
    pub sink: NewSink,
}

/// The watches of a resource and the series of its objects. A changed shape restarts the resource.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::replica) struct ResourceShape {
    /// Where the API server serves it.
    pub endpoint: Endpoint,
    /// The partitions, which share no object.
    pub partitions: Vec<Partition>,
    /// Whether selectors of the settings choose its objects, so that members of a fleet compare what they select.
    pub selected: bool,
    /// Whether the partitions are the selected namespaces, which change while it runs.
    pub follows: bool,
    /// How all partitions are read.
    pub options: ReadOptions,
    /// The families.
    pub headers: Vec<Header>,
    /// `--promote-namespace-labels`.
    pub of_namespaces: KeyFilter,
    /// What else determines the series.
    pub series: SeriesOptions,
}

impl ResourceShape {
    /// Whether a running resource of this shape is kept for a spec of the shape `wanted`, perhaps with other partitions.
    pub(super) fn is_kept_for(&self, wanted: &Self) -> bool {
        match self.follows && wanted.follows {
            true => *self == Self { partitions: self.partitions.clone(), ..wanted.clone() },
            false => self == wanted,
        }
    }

    /// Whether the series show labels of Namespaces.
    pub(super) fn shows_namespaces(&self) -> bool {
        self.of_namespaces != KeyFilter::None
    }
}

/// The settings, besides the families, that determine the series of a resource.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::replica) enum SeriesOptions {
    /// Of a built-in resource: its entries in the allowlists.
    BuiltIn {
        /// `--metric-labels-allowlist`.
        labels: KeyFilter,
        /// `--metric-annotations-allowlist`.
        annotations: KeyFilter,
        /// `--promote-labels`.
        promoted: KeyFilter,
        /// Its part of the config of custom resources.
        custom: Option<Definition>,
    },
    /// Of a custom resource: its part of the config.
    Custom(Definition),
}

/// The labels of Namespaces that the series of some resources show.
#[derive(Clone, Debug, Default)]
pub(in crate::replica) struct PromotedLabels {
    /// The keys of the labels.
    pub keys: KeyFilter,
    /// Number of the cluster with the Namespaces.
    pub cluster: u32,
    /// The labels.
    pub labels: Arc<NamespaceLabels>,
}

impl PromotedLabels {
    /// Whether a resource of this shape shows them.
    pub(super) fn fit(&self, shape: &ResourceShape) -> bool {
        shape.options.cluster == self.cluster && shape.shows_namespaces() && shape.of_namespaces == self.keys
    }
}

/// A list and watch of some of a resource's objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::replica) struct Partition {
    /// The namespace; all namespaces if `None`.
    pub namespace: Option<String>,
    /// `fieldSelector`, empty for none.
    pub field_selector: String,
    /// `labelSelector`, empty for none.
    pub label_selector: String,
}

impl Partition {
    /// Returns the selectors, which are the same in each namespace.
    pub(super) fn selectors(&self) -> (&str, &str) {
        (&self.field_selector, &self.label_selector)
    }

    /// The partition that `selector` describes.
    pub fn of(selector: &Selector) -> Self {
        Self {
            namespace: selector.namespace().map(str::to_owned),
            field_selector: selector.field_selector(),
            label_selector: selector.label_selector().to_owned(),
        }
    }
}

/// Returns a hash of what the partitions select, for the comparison of members of a fleet.
pub(super) fn selection<'a>(partitions: impl Iterator<Item = &'a Partition>) -> u64 {
    // No name or selector contains a newline, and the order of the partitions does not matter.
    let mut lines: Vec<_> = partitions
        .map(|Partition { namespace, field_selector, label_selector }| {
            format!("{namespace:?}\n{field_selector}\n{label_selector}\n")
        })
        .collect();
    lines.sort();
    Hasher::XxHash64.hash(&lines.concat())
}

/// The settings for requests to the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::replica) struct ReadOptions {
    /// `--server-side-sharding`.
    pub server_side: bool,
    /// `--use-apiserver-cache`.
    pub use_cache: bool,
    /// `--object-limit`.
    pub object_limit: u64,
    /// `--event-batch-delay`.
    pub batch_delay: Duration,
    /// Number of the cluster. It grows when the client changes to another cluster.
    pub cluster: u32,
}

impl ReadOptions {
    /// The options that `settings` give for the cluster of this number.
    pub fn of(settings: &Settings, cluster: u32) -> Self {
        Self {
            cluster,
            server_side: settings.fixed.server_side_sharding,
            use_cache: settings.live.use_apiserver_cache,
            object_limit: settings.live.object_limit,
            batch_delay: settings.live.event_batch_delay,
        }
    }
}

//! Objects in, series out: one file a resource, each a table of families and pure functions.
//!
//! Holds the one list of resources in the repo ([`visit_all`]), the shape of a table ([`Resource`], [`Family`]) and the
//! driver that turns an object into a [`Block`] ([`Collector`]).
//! May not know kube clients, clocks, I/O, or where an object came from.

mod certificatesigningrequest;
mod clusterrole;
mod clusterrolebinding;
pub mod common;
mod configmap;
mod cronjob;
pub mod custom;
mod daemonset;
mod deployment;
mod endpoints;
mod endpointslice;
mod horizontalpodautoscaler;
mod ingress;
mod ingressclass;
mod job;
pub mod labels;
mod lease;
mod limitrange;
mod mutatingadmissionpolicy;
mod mutatingadmissionpolicybinding;
mod mutatingwebhookconfiguration;
mod namespace;
mod networkpolicy;
mod node;
mod persistentvolume;
mod persistentvolumeclaim;
mod pod;
mod poddisruptionbudget;
pub mod quantity;
mod replicaset;
mod replicationcontroller;
mod resourcequota;
mod resources;
mod role;
mod rolebinding;
pub mod schedule;
mod secret;
mod service;
mod serviceaccount;
mod statefulset;
mod states;
mod storageclass;
mod validatingadmissionpolicy;
mod validatingadmissionpolicybinding;
mod validatingwebhookconfiguration;
mod volumeattachment;

use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;

use crate::exposition::{Block, BlockBuilder, Header, MetricType, Samples};
use labels::KeyFilter;
pub use pod::Pods;

/// Upstream's promise about a family's name and labels; shown in the reference, never in the exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// Kept.
    Stable,
    /// May change.
    Alpha,
}

/// The shared labels of an object, in the order in which they are printed.
pub type Identity<'a> = Vec<(&'static str, &'a str)>;

/// A resource with a collector. Implemented by a marker type in each file of this folder.
pub trait Resource: 'static {
    /// The k8s-openapi type; group, version, kind and plural are read from it.
    type Object: Metadata<Ty = ObjectMeta> + k8s_openapi::Resource + DeserializeOwned + Send + 'static;
    /// The families in the order in which they are printed.
    const FAMILIES: &'static [Family<Self::Object>];
    /// The labels that every series of the object carries.
    fn identity(object: &Self::Object) -> Identity<'_>;
}

/// One row of a resource's table.
#[derive(Debug)]
pub struct Family<T: 'static> {
    /// The metric's name.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricType,
    /// Its HELP text.
    pub help: &'static str,
    /// Upstream's promise.
    pub stability: Stability,
    /// Whether it is served only when `--metric-opt-in-list` names it.
    pub opt_in: bool,
    /// What emits its series.
    pub series: Series<T>,
}

/// What emits the series of a family.
#[derive(Debug)]
pub enum Series<T: 'static> {
    /// A pure function of the object.
    Of(fn(&T, &mut Samples)),
    /// The object's labels that `--metric-labels-allowlist` lets through, as `label_*`; nothing without an allowlist entry.
    Labels,
    /// The object's annotations that `--metric-annotations-allowlist` lets through, as `annotation_*`; likewise.
    Annotations,
}

impl<T> Family<T> {
    /// A gauge, ALPHA, served by default.
    pub const fn gauge(name: &'static str, help: &'static str, series: fn(&T, &mut Samples)) -> Self {
        Self {
            name,
            kind: MetricType::Gauge,
            help,
            stability: Stability::Alpha,
            opt_in: false,
            series: Series::Of(series),
        }
    }

    /// A counter, ALPHA, served by default.
    pub const fn counter(name: &'static str, help: &'static str, series: fn(&T, &mut Samples)) -> Self {
        Self { kind: MetricType::Counter, ..Self::gauge(name, help, series) }
    }

    /// The family of the object's labels.
    pub const fn labels(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: MetricType::Gauge, help, stability: Stability::Alpha, opt_in: false, series: Series::Labels }
    }

    /// The family of the object's annotations.
    pub const fn annotations(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind: MetricType::Gauge,
            help,
            stability: Stability::Alpha,
            opt_in: false,
            series: Series::Annotations,
        }
    }

    /// The same row, marked STABLE.
    pub const fn stable(mut self) -> Self {
        self.stability = Stability::Stable;
        self
    }

    /// The same row, served only on request.
    pub const fn opt_in(mut self) -> Self {
        self.opt_in = true;
        self
    }

    /// What is printed above its series.
    pub fn header(&self) -> Header {
        Header { name: self.name.to_owned(), help: self.help.to_owned(), kind: self.kind }
    }
}

/// Something that is done for every resource, with its type at hand.
pub trait Visitor {
    /// Called once a resource.
    fn visit<R: Resource>(&mut self);
}

macro_rules! resources {
    ($($resource:ty),* $(,)?) => {
        /// Shows every resource to `visitor`, in the order in which they are served.
        pub fn visit_all(visitor: &mut impl Visitor) {
            $(visitor.visit::<$resource>();)*
        }
    };
}

resources![
    certificatesigningrequest::CertificateSigningRequests,
    clusterrolebinding::ClusterRoleBindings,
    clusterrole::ClusterRoles,
    configmap::ConfigMaps,
    cronjob::CronJobs,
    daemonset::DaemonSets,
    deployment::Deployments,
    endpoints::EndpointsResource,
    endpointslice::EndpointSlices,
    horizontalpodautoscaler::HorizontalPodAutoscalers,
    ingressclass::IngressClasses,
    ingress::Ingresses,
    job::Jobs,
    lease::Leases,
    limitrange::LimitRanges,
    mutatingadmissionpolicy::MutatingAdmissionPolicies,
    mutatingadmissionpolicybinding::MutatingAdmissionPolicyBindings,
    mutatingwebhookconfiguration::MutatingWebhookConfigurations,
    namespace::Namespaces,
    networkpolicy::NetworkPolicies,
    node::Nodes,
    persistentvolumeclaim::PersistentVolumeClaims,
    persistentvolume::PersistentVolumes,
    poddisruptionbudget::PodDisruptionBudgets,
    pod::Pods,
    replicaset::ReplicaSets,
    replicationcontroller::ReplicationControllers,
    resourcequota::ResourceQuotas,
    rolebinding::RoleBindings,
    role::Roles,
    secret::Secrets,
    serviceaccount::ServiceAccounts,
    service::Services,
    statefulset::StatefulSets,
    storageclass::StorageClasses,
    validatingadmissionpolicy::ValidatingAdmissionPolicies,
    validatingadmissionpolicybinding::ValidatingAdmissionPolicyBindings,
    validatingwebhookconfiguration::ValidatingWebhookConfigurations,
    volumeattachment::VolumeAttachments,
];

/// The plural by which flags, paths and metrics call a resource.
pub fn name<R: Resource>() -> &'static str {
    <R::Object as k8s_openapi::Resource>::URL_PATH_SEGMENT
}

/// Turns objects of one resource into blocks: the families that the settings enable, and which keys of labels and
/// annotations may be shown.
pub struct Collector<R: Resource> {
    families: Vec<&'static Family<R::Object>>,
    labels: KeyFilter,
    annotations: KeyFilter,
    promoted: KeyFilter,
}

impl<R: Resource> Collector<R> {
    /// Keeps the families that `enabled` wants.
    pub fn new(mut enabled: impl FnMut(&Family<R::Object>) -> bool, labels: KeyFilter, annotations: KeyFilter) -> Self {
        let families = R::FAMILIES.iter().filter(|f| enabled(f)).collect();
        Self { families, labels, annotations, promoted: KeyFilter::None }
    }

    /// The same, with the object's labels that `promoted` lets through on every series of the object.
    pub fn promoting(self, promoted: KeyFilter) -> Self {
        Self { promoted, ..self }
    }

    /// The headers of the enabled families, in order: a block's family index points into this list.
    pub fn headers(&self) -> Vec<Header> {
        self.families.iter().map(|f| f.header()).collect()
    }

    /// All series of `object`.
    pub fn collect(&self, object: &R::Object) -> Block {
        let of_object = object.metadata().labels.as_ref();
        let shown = labels::shown("label", of_object, &self.promoted, &self.labels);
        let mut shared: Vec<(&str, &str)> = R::identity(object);
        shared.extend(shown.promoted.iter().map(|(name, value)| (name.as_str(), *value)));
        let promoted = shown.promoted.iter().map(|(name, _)| name.clone()).collect();
        let mut block = BlockBuilder::new(&shared).promoting(promoted);
        for (index, family) in self.families.iter().enumerate() {
            block.family(index as u16, |samples| match family.series {
                Series::Of(series) => series(object, samples),
                Series::Labels => shown.emit(samples),
                Series::Annotations => {
                    labels::emit("annotation", object.metadata().annotations.as_ref(), &self.annotations, samples);
                }
            });
        }
        block.finish()
    }
}

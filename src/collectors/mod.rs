//! Turns Kubernetes objects into series: one file per resource, each a table of families and pure functions.
//!
//! This file lists the resources ([`visit_all`]). `table.rs` defines the shape of a table, `collector.rs` the driver that
//! turns an object into a block of series.
//! Must not use kube clients, clocks or I/O, nor depend on the source of an object.

mod certificatesigningrequest;
mod clusterrole;
mod clusterrolebinding;
mod collector;
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
pub mod label_names;
pub mod labels;
mod lease;
mod limitrange;
mod mutatingadmissionpolicy;
mod mutatingadmissionpolicybinding;
mod mutatingwebhookconfiguration;
mod namespace;
mod networkpolicy;
mod node;
pub mod objects;
pub mod parts;
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
mod selector;
mod service;
mod serviceaccount;
mod statefulset;
mod states;
mod storageclass;
mod table;
pub mod time;
mod validatingadmissionpolicy;
mod validatingadmissionpolicybinding;
mod validatingwebhookconfiguration;
mod volumeattachment;

pub use collector::Collector;
pub use table::{Api, Family, Identity, Resource, Series, Stability, Visitor, name};

macro_rules! resources {
    ($($module:ident::$resource:ident),* $(,)?) => {
        $(pub use $module::$resource;)*

        /// Calls `visitor` for every resource, in the order in which they are served.
        #[cfg(feature = "program")]
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

/// Calls `visitor` for the resources of a simulation. Every further one has to be compiled.
#[cfg(not(feature = "program"))]
pub fn visit_all(visitor: &mut impl Visitor) {
    visitor.visit::<Pods>();
    visitor.visit::<Services>();
}

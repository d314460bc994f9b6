//! The types of k8s-openapi of all kinds with a collector, as a reference for tests.

pub use k8s_openapi::api::admissionregistration::v1::*;
pub use k8s_openapi::api::apps::v1::*;
pub use k8s_openapi::api::autoscaling::v2::*;
pub use k8s_openapi::api::batch::v1::*;
pub use k8s_openapi::api::certificates::v1::*;
pub use k8s_openapi::api::coordination::v1::*;
pub use k8s_openapi::api::core::v1::*;
pub use k8s_openapi::api::discovery::v1::*;
pub use k8s_openapi::api::networking::v1::*;
pub use k8s_openapi::api::policy::v1::*;
pub use k8s_openapi::api::rbac::v1::*;
pub use k8s_openapi::api::storage::v1::*;

/// Passes the types to a macro.
macro_rules! with_k8s_types {
    ($then:ident) => {
        $then![
            CertificateSigningRequest,
            ClusterRole,
            ClusterRoleBinding,
            ConfigMap,
            CronJob,
            DaemonSet,
            Deployment,
            EndpointSlice,
            Endpoints,
            HorizontalPodAutoscaler,
            Ingress,
            IngressClass,
            Job,
            Lease,
            LimitRange,
            MutatingAdmissionPolicy,
            MutatingAdmissionPolicyBinding,
            MutatingWebhookConfiguration,
            Namespace,
            NetworkPolicy,
            Node,
            PersistentVolume,
            PersistentVolumeClaim,
            Pod,
            PodDisruptionBudget,
            ReplicaSet,
            ReplicationController,
            ResourceQuota,
            Role,
            RoleBinding,
            Secret,
            Service,
            ServiceAccount,
            StatefulSet,
            StorageClass,
            ValidatingAdmissionPolicy,
            ValidatingAdmissionPolicyBinding,
            ValidatingWebhookConfiguration,
            VolumeAttachment,
        ];
    };
}
pub(crate) use with_k8s_types;

//! The parts of a pod, which are empty if they are not set.

use std::sync::LazyLock;

use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};

static NO_SPEC: LazyLock<PodSpec> = LazyLock::new(PodSpec::default);
static NO_STATUS: LazyLock<PodStatus> = LazyLock::new(PodStatus::default);

/// Returns the desired state.
pub fn spec_of(pod: &Pod) -> &PodSpec {
    pod.spec.as_ref().unwrap_or_else(|| &NO_SPEC)
}

/// Returns the observed state.
pub fn status_of(pod: &Pod) -> &PodStatus {
    pod.status.as_ref().unwrap_or_else(|| &NO_STATUS)
}

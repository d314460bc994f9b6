//! The parts of a pod, which are empty if they are not set.

use super::super::objects::{Pod, PodSpec, PodStatus};
use std::sync::LazyLock;

static NO_SPEC: LazyLock<PodSpec<'static>> = LazyLock::new(PodSpec::default);
static NO_STATUS: LazyLock<PodStatus<'static>> = LazyLock::new(PodStatus::default);

/// Returns the desired state.
pub fn spec_of<'a>(pod: &'a Pod<'a>) -> &'a PodSpec<'a> {
    pod.spec.as_ref().unwrap_or_else(|| &NO_SPEC)
}

/// Returns the observed state.
pub fn status_of<'a>(pod: &'a Pod<'a>) -> &'a PodStatus<'a> {
    pod.status.as_ref().unwrap_or_else(|| &NO_STATUS)
}

//! Counts of CustomResourceDefinitions.

use std::fmt::Error;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::encoding::DescriptorEncoder;

use super::encode::{counter, gauge};

/// Counts of the events of CustomResourceDefinitions.
#[derive(Debug, Default)]
pub struct DefinitionEvents {
    /// Definitions that were new to this replica.
    pub added: AtomicU64,
    /// Definitions that changed.
    pub updated: AtomicU64,
    /// Definitions that were deleted.
    pub deleted: AtomicU64,
    /// The number of definitions that exist.
    pub cached: AtomicU64,
}

impl DefinitionEvents {
    /// Writes the counts under upstream's names.
    pub(super) fn encode(&self, out: &mut DescriptorEncoder) -> Result<(), Error> {
        let Self { added, updated, deleted, cached } = self;
        for (event, help, count) in [
            ("add", "Number of CustomResourceDefinitions added.", added),
            ("update", "Number of updates of CustomResourceDefinitions.", updated),
            ("delete", "Number of CustomResourceDefinitions deleted.", deleted),
        ] {
            let name = format!("kube_state_metrics_custom_resource_state_{event}_events");
            counter(out, &name, help, [(vec![], count.load(Relaxed))])?;
        }
        gauge(
            out,
            "kube_state_metrics_custom_resource_state_cache",
            "Number of CustomResourceDefinitions known to this replica.",
            [(vec![], cached.load(Relaxed))],
        )
    }
}

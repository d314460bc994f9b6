//! What the pages of the reference say about flags beyond clap's definition.

use super::flags::FLAGS;
use super::klog;

/// How a flag (without dashes) differs from kube-state-metrics' flag of the same name.
pub fn difference(name: &str) -> Option<&'static str> {
    let known = FLAGS.iter().find(|flag| flag.name.strip_prefix("--") == Some(name));
    known.and_then(|flag| flag.differences.first()).copied().or_else(|| klog::difference(name))
}

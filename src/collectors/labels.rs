//! Labels and annotations of objects as labels of series: which keys may be shown, and under which name.

use std::collections::BTreeMap;

use crate::exposition::Samples;

/// Which keys of an object's labels (or annotations) an allowlist lets through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeyFilter {
    /// None: the resource has no entry in the allowlist.
    #[default]
    None,
    /// `[*]`.
    All,
    /// The named ones.
    Keys(Vec<String>),
}

/// Emits one series with the keys that `filter` lets through, each as `prefix_` and its sanitised name.
pub fn emit(prefix: &str, pairs: Option<&BTreeMap<String, String>>, filter: &KeyFilter, samples: &mut Samples) {
    let _ = (prefix, pairs, filter, samples);
}

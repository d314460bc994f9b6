//! Results of reading configuration files, under the names of upstream's self-metrics.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use md5::{Digest, Md5};
use prometheus_client::encoding::DescriptorEncoder;

use super::encode::{Labels, gauge};
use crate::go::clean_path;
use crate::sync::lock;

/// The purpose of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigKind {
    /// `--config`.
    Config,
    /// `--custom-resource-state-config-file`.
    CustomResources,
    /// `--kubeconfig`, which upstream does not report.
    Kubeconfig,
}

impl ConfigKind {
    const fn label(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::CustomResources => "customresourceconfig",
            Self::Kubeconfig => "kubeconfig",
        }
    }
}

/// The last result per configuration file, which is read at the start and when it changes.
#[derive(Debug, Default)]
pub struct Reloads(Mutex<BTreeMap<(ConfigKind, String), Reload>>);

#[derive(Clone, Copy, Debug, Default)]
struct Reload {
    successful: bool,
    /// Unix seconds of the last success.
    at: Option<u64>,
    /// The hash of the content at that time.
    hash: Option<u64>,
}

impl Reloads {
    /// Records that `file` was read and is active now.
    pub fn succeeded(&self, kind: ConfigKind, file: &Path, content: &[u8]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // A kubeconfig contains credentials: not even its hash is published.
        let hash = (kind != ConfigKind::Kubeconfig).then(|| hash(content));
        self.files().insert((kind, clean_path(file)), Reload { successful: true, at: Some(now), hash });
    }

    /// Records that `file` is unreadable or invalid. The previous content stays active.
    pub fn failed(&self, kind: ConfigKind, file: &Path) {
        self.files().entry((kind, clean_path(file))).or_default().successful = false;
    }

    /// Forgets all files of `kind` except `file`: no configuration names them any more.
    pub fn keep_only(&self, kind: ConfigKind, file: Option<&Path>) {
        let file = file.map(clean_path);
        self.files().retain(|(of, name), _| *of != kind || Some(name) == file.as_ref());
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<(ConfigKind, String), Reload>> {
        // A panic cannot leave a map half changed.
        lock(&self.0)
    }

    pub(super) fn encode(&self, out: &mut DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let files = self.files().clone();
        let of = |value: fn(&Reload) -> Option<u64>| {
            files.iter().filter_map(move |((kind, file), reload)| {
                let labels: Labels<'_> = vec![("type", kind.label()), ("filename", file.as_str())];
                Some((labels, value(reload)?))
            })
        };
        gauge(
            out,
            "kube_state_metrics_config_hash",
            "Hash of the active configuration file: the first six bytes of its MD5 as a number.",
            of(|reload| reload.hash),
        )?;
        gauge(
            out,
            "kube_state_metrics_last_config_reload_successful",
            "Whether the last reload of the configuration file succeeded; after a failure the previous configuration stays active.",
            of(|reload| Some(u64::from(reload.successful))),
        )?;
        gauge(
            out,
            "kube_state_metrics_last_config_reload_success_timestamp_seconds",
            "Unix timestamp of the last successful reload of the configuration file.",
            of(|reload| reload.at),
        )
    }
}

/// As upstream: the first 48 bits of the MD5, little-endian, which a float represents exactly. The hash distinguishes contents
/// and is no protection.
fn hash(content: &[u8]) -> u64 {
    let sum = Md5::digest(content);
    sum.iter().take(6).rev().fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_kube_state_metrics() {
        // MD5 of nothing begins with d4 1d 8c d9 8f 00.
        assert_eq!(hash(b""), 0x008f_d98c_1dd4);
    }
}

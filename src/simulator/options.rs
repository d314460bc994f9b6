//! Options and injected faults.

use std::time::Duration;

/// How the simulator behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of remembered events per resource. A request for older ones gets 410, and a slower reader is disconnected.
    pub history: usize,
    /// Interval of bookmarks, on watches that allow them.
    pub bookmarks: Duration,
    /// Seed of UIDs and generated names.
    pub seed: u64,
    /// Whether StatefulSets have a controller, which creates, terminates and rolls their Pods. The caller plays the kubelet: it
    /// writes the status of Pods, and deletes a Pod ([`super::Simulator::delete`], or over HTTP with a grace period of 0) when its
    /// process has ended.
    pub statefulsets: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { history: 16_384, bookmarks: Duration::from_secs(60), seed: 0, statefulsets: false }
    }
}

/// Injected faults of one resource, until they are changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Refuses every request with this HTTP status.
    pub refuse: Option<u16>,
    /// Cuts lists off after this many bytes.
    pub cut_lists: Option<usize>,
    /// Answers lists with an expired `continue` token.
    pub expire_pages: bool,
    /// Sends 410 as the first event of every new watch.
    pub watches_gone: bool,
    /// Accepts every new watch and never sends anything.
    pub silent_watches: bool,
    /// Rejects streaming lists, as a server without that feature.
    pub no_streaming_lists: bool,
    /// Answers with whole objects, whatever form was requested.
    pub whole_objects: bool,
    /// Ignores `shardSelector` and sends everything, as a server without that feature.
    pub ignore_shards: bool,
    /// Rejects requests with a `shardSelector` with 400.
    pub refuse_shards: bool,
}

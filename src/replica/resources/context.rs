//! The means by which all resources of a replica are watched.

use std::time::Duration;

use crate::sharding::Slice;
use crate::sync::watch;

/// The client and the options that all resources share.
pub(in crate::replica) struct WatchContext {
    /// For everything but Secrets.
    pub client: kube::Client,
    /// The current client configuration, for threads that read Secrets. Without it, `client` reads them too.
    pub private: Option<watch::Receiver<kube::Config>>,
    /// The slice to hold outside a fleet; `None` in a fleet, which decides later.
    pub held: Option<Slice>,
    /// Whether the counts of exposed and seen objects are known as of earlier resourceVersions.
    pub audited: bool,
    /// `--namespaced-scrapes`: whether scrapes may name namespaces.
    pub namespaced: bool,
    /// `--deleted-linger`.
    pub linger: Duration,
}

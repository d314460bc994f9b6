//! The means by which all resources of a replica are watched.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::exposition::Exposes;
use crate::fleet::FleetHandle;
use crate::sharding::{Hashes, Slice};
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
    /// What the replica exposes as a member of a fleet; `None` outside a fleet.
    pub exposed: Option<Arc<MemberExposure>>,
}

/// What the replica exposes as a member of a fleet: nothing before it is one.
#[derive(Default)]
pub(in crate::replica) struct MemberExposure(OnceLock<Arc<FleetHandle>>);

impl MemberExposure {
    /// Sets the member, once.
    pub fn set(&self, member: &Arc<FleetHandle>) {
        // A replica joins one fleet.
        let _ = self.0.set(Arc::clone(member));
    }
}

impl Exposes for MemberExposure {
    fn exposes(&self, hashes: Hashes) -> bool {
        self.0.get().and_then(|member| member.exposed()).is_some_and(|slice| slice.contains(hashes))
    }
}

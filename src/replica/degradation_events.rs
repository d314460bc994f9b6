//! Announces in the fleet which resources become degraded on this replica, and which recover.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::fleet::FleetHandle;
use crate::health::Health;

/// Time between two looks at the resources. Each stays degraded for longer.
const PERIOD: Duration = Duration::from_secs(5);

/// Announces changes until `stop`.
pub(super) async fn announce(health: Arc<Health>, member: Arc<FleetHandle>, stop: CancellationToken) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = BTreeSet::new();
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let degraded = health.degraded();
        let now = degraded.iter().map(|(resource, degraded)| (resource.clone(), degraded.trouble.reason)).collect();
        announce_changes(&mut known, now, |resource, reason| member.announce_resource(resource, reason));
    }
}

/// Calls `announce` for each resource that became degraded, with the kind of the failure, and each that recovered. A
/// change that it does not accept has its turn at the next look.
fn announce_changes(
    known: &mut BTreeSet<String>,
    now: BTreeMap<String, &'static str>,
    announce: impl Fn(&str, Option<&'static str>) -> bool,
) {
    known.retain(|resource| now.contains_key(resource) || !announce(resource, None));
    for (resource, reason) in now {
        if !known.contains(&resource) && announce(&resource, Some(reason)) {
            known.insert(resource);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn each_change_is_announced_once_and_again_if_the_member_is_not_known_yet() {
        let (mut known, said) = (BTreeSet::new(), RefCell::new(Vec::new()));
        let mut look = |now: &[(&str, &'static str)], accepts: bool| {
            let now = now.iter().map(|(resource, reason)| ((*resource).to_owned(), *reason)).collect();
            announce_changes(&mut known, now, |resource, reason| {
                if accepts {
                    said.borrow_mut().push((resource.to_owned(), reason));
                }
                accepts
            });
            said.take()
        };
        let pods = |reason| vec![("pods".to_owned(), reason)];
        assert_eq!(look(&[("pods", "timeout")], false), []);
        assert_eq!(look(&[("pods", "timeout")], true), pods(Some("timeout")));
        assert_eq!(look(&[("pods", "status")], true), [], "it is still degraded");
        assert_eq!(look(&[], false), []);
        assert_eq!(look(&[], true), pods(None));
        assert_eq!(look(&[], true), []);
    }
}

//! For how long (ms) faults excuse that ranges are missing or exposed twice, for the model of the handover and the simulation of
//! whole replicas. The table of faults in docs/fleet.md promises these times.
//!
//! They are not computed from the limits of the product: a change of these must not change the promise. The rule that says which
//! processes may expose a range together is here as well, so that the model and the simulation excuse the same.

use crate::settings::OnLostQuorum;

/// How long a moved range may be missing or doubled: clock offsets are estimates, and scrapes take time.
pub const SWITCH: u64 = 500;
/// How long a range may be missing after a crash: until the crash is noticed, a set switch has passed, a coordinator is elected, and
/// another member has loaded the range.
pub const RECOVERY: u64 = 12_000;
/// How long an assignment is valid without a confirmation, and how long at most a process waits for one after a pause.
pub const LEASE: u64 = 15_000;
/// How often a Lease is renewed: the last confirmation may be that old when a process loses the API server.
pub const RENEWAL: u64 = 5_000;
/// How long a process may expose the ranges of others after it hears news again: until the next heartbeat, of a peer that may
/// itself have waited for one.
pub const RECONNECTION: u64 = 2_500;
/// How long a watch of the Leases may be deaf, until a list replaces it.
pub const DEAF: u64 = 10_000;
/// How long a range may be missing after its process hid it: until the others have loaded it.
pub const TAKEOVER: u64 = 4_000;
/// How much longer if another member has no connection to the crashed one: until the Lease has expired, which shows with the next
/// renewal of the own Lease.
pub const LEASE_EXPIRY: u64 = 20_000;

/// What a process has heard that does not reach the API server, in milliseconds of any clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Isolation {
    /// Since when it has heard no news, neither from the API server nor from a peer that reaches it; `None` if it always has.
    pub deaf_since: Option<u64>,
    /// Until when that lasted, so far.
    pub deaf_last: u64,
    /// When every member that serves, as far as the process knows, last answered it while it did not reach the API server. They confirm each
    /// other's view: while none of them reaches it, only a process that they have not read of can change the record.
    pub confirmed_last: u64,
}

impl Isolation {
    /// Whether the process knows by now what the others do.
    pub const fn is_informed(self, now: u64) -> bool {
        self.deaf_since.is_none() || now > self.deaf_last + RECONNECTION
    }

    /// Whether the process must not expose anything with `--on-lost-quorum=refuse`. The only member that serves has none to hear.
    fn is_overdue(self, now: u64) -> bool {
        now > self.deaf_since.unwrap_or(now).max(self.confirmed_last) + LEASE + RENEWAL
    }
}

/// Whether processes may expose a range together: at most one of them is informed. With `--on-lost-quorum=refuse`, the others expose
/// it for one more Lease duration after all members that serve have answered them.
pub fn may_double(choice: OnLostQuorum, now: u64, exposing: impl IntoIterator<Item = Isolation>) -> bool {
    let (informed, deaf): (Vec<_>, Vec<_>) = exposing.into_iter().partition(|process| process.is_informed(now));
    let refuses = choice == OnLostQuorum::Refuse;
    informed.len() <= 1 && !deaf.into_iter().any(|process| refuses && process.is_overdue(now))
}

//! For how long (ms) faults excuse that ranges are missing or exposed twice, for the model of the handover and the simulation of
//! whole replicas. The table of faults in docs/fleet.md promises these times.
//!
//! They are not computed from the limits of the product: a change of these must not change the promise.

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
/// How long a range may be missing after its process hid it: until the others have loaded it.
pub const TAKEOVER: u64 = 4_000;
/// How much longer if another member has no connection to the crashed one: until the Lease has expired, which shows with the next
/// renewal of the own Lease.
pub const LEASE_EXPIRY: u64 = 20_000;

//! A deterministic simulation of whole replicas: the task of the member, its Leases, its connections, the intake, the store and
//! the exposed objects, for a fleet of 3 to 6 processes. All of it runs on one thread with paused time. A seed
//! determines all that happens: the faults, what the replicas draw at random, and the order in which ready tasks run.
//!
//! A run starts a fleet, and then plays rounds of faults that overlap, while objects come, change and go. Each object must be served
//! once at every scrape, with a value of the last second, except for the documented time of the faults (docs/fleet.md). Objects that are
//! gone must not come back. A replica that becomes ready serves all that it owns. Between rounds the fleet must settle.
//!
//! | broken rule | what finds it |
//! |---|---|
//! | a backfill is skipped, a watch is widened late, a deletion is forgotten, a restore is not noticed, a replica is ready too early, a switch is late | `tests/simulation.rs` |
//! | an expiry is not awaited or not looked at, a predecessor is forgotten, a written Lease counts before it is read, and others | `seeded` of the model of the handover |
//!
//! A seed takes 26 simulated seconds on average, and 0.08 s of a processor: `cargo simulate` played 2,000 in 81 s (2 CPUs, AMD EPYC,
//! 2026-11-30, b4a5389). Unoptimised, a seed took more than a second. The profile is flat: heartbeats take 40 % (JSON, HTTP),
//! decisions of the members 20 %, the API server and its clients 20 %, scrapes and their comparison 10 %. So the simulation is compiled on
//! its own, by the features of the crate: optimised, without commands, and with two kinds of objects. That takes 5 minutes of both
//! processors; all unit tests optimised take 11.
//!
//! | file | holds |
//! |---|---|
//! | `network` | connections between members, and cuts |
//! | `process` | a replica without sockets, its clocks, its path to the API server |
//! | `cluster` | API server, kubelet, Prometheus |
//! | `objects` | the objects, and what each scrape must show of them |
//! | `trace` | what happened, to compare two runs |
//! | `faults` | what happens to a cluster |
//! | `excuses` | for how long the active faults excuse a violation |
//! | `seeded` | broken rules that the seeds must find |
//!
//! `tests/simulation.rs` plays the seeds.
//! Sockets, TLS, HTTP servers and threads are not part of it.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

mod cluster;
mod excuses;
mod faults;
mod network;
mod objects;
mod process;
pub(super) mod seeded;
mod trace;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use cluster::Cluster;
pub use seeded::Seeded;
pub use trace::{Simulated, Trace};

/// Draws the size of a fleet. Small ones are simulated faster: every two members exchange heartbeats.
fn replicas() -> u32 {
    [3, 3, 3, 3, 3, 3, 4, 5][fastrand::usize(..8)]
}

/// Plays a seed. Returns the simulated time.
///
/// # Panics
/// A replica breaks a rule.
pub fn play(seed: u64, trace: Trace) -> Duration {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut cluster = Cluster::new(seed, replicas(), trace);
        faults::play(&mut cluster).await;
        cluster.elapsed()
    })
}

/// Plays a seed with a fault in the replicas. Returns whether it finds the fault.
pub fn finds(seed: u64, fault: Seeded) -> bool {
    let found = || {
        seeded::seed(Some(fault));
        catch_unwind(AssertUnwindSafe(|| play(seed, Trace::default()))).is_err()
    };
    // A thread of its own, whose generator and fault nothing else uses.
    thread::scope(|scope| scope.spawn(found).join()).expect("panics are caught")
}

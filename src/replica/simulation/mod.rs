//! A deterministic simulation of whole replicas: the task of the member, its Leases, its connections, the intake, the store and
//! the exposed objects, for a fleet of 3 to 6 processes. All of it runs on one thread with paused time. A seed
//! determines all that happens: the faults, what the replicas draw at random, and the order in which ready tasks run.
//!
//! A run starts a fleet, and then plays faults one after another. Each object must be served once at every scrape, except for
//! the documented time of the fault (docs/fleet.md). After the fault the fleet must settle.
//!
//! | file | holds |
//! |---|---|
//! | `network` | connections between members, and cuts |
//! | `process` | a replica without sockets, its clocks, its path to the API server |
//! | `cluster` | API server, kubelet, Prometheus; what must hold at each scrape |
//! | `trace` | what happened, to compare two runs |
//! | `faults` | what happens to a cluster, and for how long it excuses a violation |
//!
//! Sockets, TLS, HTTP servers and threads are not part of it.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

mod cluster;
mod faults;
mod network;
mod process;
mod trace;

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use cluster::Cluster;
use trace::Trace;

/// Number of seeds that a test run plays. `SIMULATION_SEEDS` replaces it.
const SEEDS: u64 = 60;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Plays a seed.
fn play(seed: u64, trace: Trace) {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut cluster = Cluster::new(seed, fastrand::u32(3..=6), trace);
        faults::play(&mut cluster).await;
    });
}

/// Plays `seeds` on all processors, and reports those that fail with the command that replays them.
fn play_all(seeds: std::ops::Range<u64>) {
    let next = AtomicU64::new(seeds.start);
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let failed: Vec<u64> = thread::scope(|scope| {
        let work = || {
            let mut failed = Vec::new();
            loop {
                let seed = next.fetch_add(1, Relaxed);
                if seed >= seeds.end {
                    return failed;
                }
                if catch_unwind(AssertUnwindSafe(|| play(seed, Trace::default()))).is_err() {
                    eprintln!("replay it: SIMULATION_SEED={seed} cargo test --lib -- simulation::replay --nocapture");
                    failed.push(seed);
                }
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("panics are caught")).collect()
    });
    assert!(
        failed.is_empty(),
        "seeds fail: {failed:?}; replay one: SIMULATION_SEED={} cargo test --lib -- simulation::replay --nocapture",
        failed[0]
    );
}

#[test]
fn whole_replicas_keep_the_promise_under_random_faults() {
    let from = number("SIMULATION_FROM").unwrap_or_default();
    play_all(from..from + number("SIMULATION_SEEDS").unwrap_or(SEEDS));
}

#[test]
fn a_seed_determines_all_that_happens() {
    for seed in number("SIMULATION_SEED").map_or(0..3, |seed| seed..seed + 1) {
        let run = || {
            let trace = Trace::recording();
            // A thread of its own, whose generator and time start again.
            thread::scope(|scope| scope.spawn(|| play(seed, trace.clone())).join()).expect("the seed passes");
            trace
        };
        let (one, other) = (run(), run());
        assert!(one.len() > 1_000, "seed {seed}: {} events", one.len());
        if let Some(difference) = one.difference(&other) {
            panic!("seed {seed}: {difference}");
        }
    }
}

/// Plays the seed in `SIMULATION_SEED`.
#[test]
fn replay() {
    if let Some(seed) = number("SIMULATION_SEED") {
        play(seed, Trace::default());
    }
}

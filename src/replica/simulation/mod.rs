//! A deterministic simulation of whole replicas: the task of the member, its Leases, its connections, the intake, the store and
//! the exposed objects, for a fleet of 3 to 6 processes. All of it runs on one thread with paused time. A seed
//! determines all that happens: the faults, what the replicas draw at random, and the order in which ready tasks run.
//!
//! A run starts a fleet, and then plays rounds of faults that overlap, while objects come, change and go. Each object must be served
//! once at every scrape, with a value of the last second, except for the documented time of the faults (docs/fleet.md). Objects that are
//! gone must not come back. A replica that becomes ready serves all that it owns. After each round the fleet must settle.
//!
//! | broken rule | what finds it |
//! |---|---|
//! | a backfill is skipped, a watch is widened late, a deletion is forgotten, a restore is not noticed, a replica is ready too early, a switch is late | `seeded` |
//! | an expiry is not awaited or not looked at, a predecessor is forgotten, a written Lease counts before it is read, and others | `seeded` of the model of the handover |
//!
//! A seed takes 48 simulated seconds on average, and about a second of a processor in a test build, whose profile is flat:
//! heartbeats take 40 % (JSON 25 %, HTTP 15 %), decisions of the members 10 to 20 %, the API server and its clients 20 %,
//! scrapes and their comparison 10 %. With `opt-level = 1` for this crate a seed takes half of that, but the build takes 6 minutes of
//! a processor longer; with `opt-level = 2`, more than 20. Optimized dependencies are not enough, because most code is generic, and
//! compiled here. So a change plays 80 seeds, and `scripts/test --long` 2,000.
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

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use cluster::Cluster;
use seeded::Seeded;
use trace::Trace;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// Number of seeds that a test run plays. `SIMULATION_SEEDS` replaces it.
const SEEDS: u64 = 80;

/// Plays a seed with a fault in the replicas. Returns whether it finds the fault.
fn finds(seed: u64, fault: Seeded) -> bool {
    let found = || {
        seeded::seed(Some(fault));
        catch_unwind(AssertUnwindSafe(|| play(seed, Trace::default()))).is_err()
    };
    // A thread of its own, whose generator and fault nothing else uses.
    thread::scope(|scope| scope.spawn(found).join()).expect("panics are caught")
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Draws the size of a fleet. Small ones are simulated faster: every two members exchange heartbeats.
fn replicas() -> u32 {
    [3, 3, 3, 3, 4, 4, 5, 6][fastrand::usize(..8)]
}

/// Plays a seed. Returns the simulated time.
fn play(seed: u64, trace: Trace) -> Duration {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut cluster = Cluster::new(seed, replicas(), trace);
        faults::play(&mut cluster).await;
        cluster.elapsed()
    })
}

/// Plays `seeds` on all processors, and reports those that fail with the command that replays them.
fn play_all(seeds: std::ops::Range<u64>) {
    let (next, simulated) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let failed: Vec<u64> = thread::scope(|scope| {
        let work = || {
            let mut failed = Vec::new();
            loop {
                let seed = next.fetch_add(1, Relaxed);
                if seed >= seeds.end {
                    return failed;
                }
                match catch_unwind(AssertUnwindSafe(|| play(seed, Trace::default()))) {
                    Ok(elapsed) => drop(simulated.fetch_add(elapsed.as_secs(), Relaxed)),
                    Err(_) => {
                        eprintln!(
                            "replay it: SIMULATION_SEED={seed} cargo test --lib -- simulation::replay --nocapture"
                        );
                        failed.push(seed);
                    }
                }
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("panics are caught")).collect()
    });
    println!("{} seeds, {} simulated minutes", seeds.end - seeds.start, simulated.into_inner() / 60);
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

/// Plays the seed in `SIMULATION_SEED`. `RUST_LOG` selects the lines that the replicas log.
#[test]
fn replay() {
    if let Some(seed) = number("SIMULATION_SEED") {
        let log = tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_timer(trace::Simulated);
        // With the time as it is in the simulation, on this thread.
        let _log = log.with_ansi(false).set_default();
        play(seed, Trace::default());
    }
}

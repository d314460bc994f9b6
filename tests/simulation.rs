//! Plays the simulation of whole replicas (`src/replica/simulation`): `cargo simulate`.
//!
//! | variable | meaning |
//! |---|---|
//! | `SIMULATION_SEEDS` | the number of seeds |
//! | `SIMULATION_FROM` | the first one |
//! | `SIMULATION_SEED` | one seed: whether it determines all that happens, and for `replay` |
//! | `RUST_LOG` | which lines of the replicas `replay` prints |

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use kube_state_fleet::allocator::{self, Allocator};
use kube_state_fleet::replica::simulation::{Seeded, Simulated, Trace, finds, play};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

#[global_allocator]
static ALLOCATOR: Allocator = allocator::ALLOCATOR;

/// Number of seeds that a run plays. `SIMULATION_SEEDS` replaces it.
const SEEDS: u64 = 2_000;
/// Number of seeds one of which has to find a broken rule.
const FEW: u64 = 80;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
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
                        eprintln!("replay it: SIMULATION_SEED={seed} cargo simulate replay --nocapture");
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
        "seeds fail: {failed:?}; replay one: SIMULATION_SEED={} cargo simulate replay --nocapture",
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
    for seed in number("SIMULATION_SEED").map_or(3..6, |seed| seed..seed + 1) {
        let run = || {
            let trace = Trace::recording();
            // A thread of its own, whose generator and time start again.
            thread::scope(|scope| scope.spawn(|| play(seed, trace.clone())).join()).expect("the seed passes");
            trace
        };
        let (one, other) = (run(), run());
        assert!(one.count() > 1_000, "seed {seed}: {} events", one.count());
        if let Some(difference) = one.difference(&other) {
            panic!("seed {seed}: {difference}");
        }
    }
}

/// Plays the seed in `SIMULATION_SEED`. `RUST_LOG` selects the lines that the replicas log.
#[test]
fn replay() {
    if let Some(seed) = number("SIMULATION_SEED") {
        let log = tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_timer(Simulated);
        // With the time as it is in the simulation, on this thread.
        let _log = log.with_ansi(false).set_default();
        play(seed, Trace::default());
    }
}

macro_rules! found {
    ($($test:ident: $fault:ident, for example by $example:literal;)*) => {
        $(
            /// The example is the seed to begin with. If it does not find the fault any more, another one of the first seeds has to.
            #[test]
            fn $test() {
                let seed = [$example].into_iter().chain(0..FEW).find(|seed| finds(*seed, Seeded::$fault));
                println!("{:?}: seed {seed:?}", Seeded::$fault);
                assert!(seed.is_some(), "none of {FEW} seeds finds {:?}", Seeded::$fault);
            }
        )*
    };
}

found! {
    a_backfill_that_is_skipped_is_found: BackfillSkipped, for example by 4;
    a_watch_that_is_widened_late_is_found: WidenedLate, for example by 22;
    a_deletion_that_is_forgotten_is_found: DeletionForgotten, for example by 22;
    a_restore_that_is_not_noticed_is_found: RestoreUnnoticed, for example by 16;
    a_replica_that_counts_as_loaded_too_early_is_found: LoadedTooEarly, for example by 0;
    a_replica_that_switches_late_is_found: SwitchLate, for example by 1;
}

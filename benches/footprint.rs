//! Memory and CPU time of one replica by number of pods, without an API server: `cargo bench --bench footprint -- 10000 50000`.
//!
//! For each number of pods, a separate process fills a store, scrapes it plain and gzipped, restarts each pod once, and scrapes
//! again. Prints a Markdown table with CPU time and memory of that process.

#![allow(clippy::expect_used, reason = "a bench may panic")]

mod common;

use std::process::Command;

use procfs::process::Process;
use rustix::time::{ClockId, clock_gettime};

use common::{World, drain};
use kube_state_fleet::allocator::{self, Allocator};

#[global_allocator]
static ALLOCATOR: Allocator = allocator::ALLOCATOR;

fn main() {
    let numbers: Vec<u32> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    if std::env::var_os("FOOTPRINT").is_some() {
        numbers.iter().for_each(|pods| measure(*pods));
        return;
    }
    println!(
        "| pods | to fill | memory | of it a pod | text | plain scrape | first gzipped | size | quiet | after each pod changed | an update | memory then; peak |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for pods in if numbers.is_empty() { vec![10_000, 50_000, 100_000] } else { numbers } {
        let program = std::env::current_exe().expect("it runs");
        let child = Command::new(program).arg(pods.to_string()).env("FOOTPRINT", "1").status();
        assert!(child.is_ok_and(|status| status.success()), "{pods} pods");
    }
}

fn measure(pods: u32) {
    let empty = memory().0;
    let (mut world, fill) = timed(|| World::new(pods));
    let filled = memory().0;
    let (text, plain) = timed(|| drain(world.scrape()));
    let (size, first) = timed(|| drain(world.scrape().gzipped()));
    let (_, quiet) = timed(|| drain(world.scrape().gzipped()));
    let ((), updates) = timed(|| (0..pods).for_each(|number| world.apply(number, 2, 7)));
    let (_, dirty) = timed(|| drain(world.scrape().gzipped()));
    let (resident, peak) = memory();
    println!(
        "| {pods} | {fill:.2} s | {filled} MB | {:.1} KB | {} MB | {:.0} ms | {:.0} ms | {:.1} MB | {:.1} ms | {:.0} ms | {:.1} us | {resident}; {peak} MB |",
        (filled - empty) as f64 * 1e3 / f64::from(pods),
        text / 1_000_000,
        plain * 1e3,
        first * 1e3,
        size as f64 / 1e6,
        quiet * 1e3,
        dirty * 1e3,
        updates / f64::from(pods) * 1e6,
    );
}

/// Returns the result of `work`, and its CPU time in seconds.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let now = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let start = now();
    let result = work();
    (result, now() - start)
}

/// Returns the resident memory and its peak, in MB.
fn memory() -> (u64, u64) {
    let status = Process::myself().and_then(|process| process.status()).expect("Linux tells");
    (status.vmrss.unwrap_or(0) / 1000, status.vmhwm.unwrap_or(0) / 1000)
}

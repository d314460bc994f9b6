//! Memory and CPU time of one replica by number of pods, without an API server: `cargo bench --bench footprint -- 10000 50000`.
//!
//! For each number of pods, a separate process fills a store, scrapes it plain and gzipped, restarts each pod once, and scrapes
//! again. `200000/4` stands for each of four shards of so many pods: foreign ones are hashed, and go no further. Prints a
//! Markdown table with CPU time and memory of each process.

#![allow(clippy::expect_used, reason = "a bench may panic")]

mod common;

use std::process::Command;

use procfs::process::Process;
use rustix::time::{ClockId, clock_gettime};

use common::{World, drain, uid};
use kube_state_fleet::allocator::{self, Allocator};
use kube_state_fleet::sharding::{Assignment, Hasher, Slice};

#[global_allocator]
static ALLOCATOR: Allocator = allocator::ALLOCATOR;

fn main() {
    // Cargo adds arguments of its own.
    let wanted: Vec<(u32, u32)> = std::env::args().skip(1).filter_map(|argument| numbers(&argument)).collect();
    if let Some(shard) = std::env::var("FOOTPRINT").ok().and_then(|shard| shard.parse().ok()) {
        wanted.iter().for_each(|(pods, shards)| measure(*pods, shard, *shards));
        return;
    }
    println!(
        "| pods | to fill | memory | of it a pod | text | plain scrape | first gzipped | size | quiet | after each pod changed | an update | memory then; peak |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for (pods, shards) in if wanted.is_empty() { vec![(10_000, 1), (50_000, 1), (100_000, 1)] } else { wanted } {
        for shard in 0..shards {
            let program = std::env::current_exe().expect("it runs");
            let child =
                Command::new(program).arg(format!("{pods}/{shards}")).env("FOOTPRINT", shard.to_string()).status();
            assert!(child.is_ok_and(|status| status.success()), "{pods} pods");
        }
    }
}

/// Reads `pods` or `pods/shards`.
fn numbers(argument: &str) -> Option<(u32, u32)> {
    let (pods, shards) = argument.split_once('/').unwrap_or((argument, "1"));
    Some((pods.parse().ok()?, shards.parse().ok()?))
}

fn measure(all: u32, shard: u32, shards: u32) {
    let slice = Slice::of(Hasher::XxHash64, Assignment::new(shards).expect("1 to 1024").ranges(shard));
    let empty = memory().0;
    let (mut world, fill) = timed(|| World::of(all, &slice));
    let own: Vec<u32> = (0..all).filter(|number| slice.contains_uid(&uid(*number))).collect();
    let pods = own.len();
    let filled = memory().0;
    let (text, plain) = timed(|| drain(world.scrape()));
    let (size, first) = timed(|| drain(world.scrape().gzipped()));
    let (_, quiet) = timed(|| drain(world.scrape().gzipped()));
    let ((), updates) = timed(|| own.iter().for_each(|number| world.apply(*number, 2, 7)));
    let (_, dirty) = timed(|| drain(world.scrape().gzipped()));
    let (resident, peak) = memory();
    let which = if shards == 1 { String::new() } else { format!(", shard {shard} of {shards}") };
    println!(
        "| {pods}{which} | {fill:.2} s | {filled} MB | {:.1} KB | {} MB | {:.0} ms | {:.0} ms | {:.1} MB | {:.1} ms | {:.0} ms | {:.1} us | {resident}; {peak} MB |",
        (filled - empty) as f64 * 1e3 / pods as f64,
        text / 1_000_000,
        plain * 1e3,
        first * 1e3,
        size as f64 / 1e6,
        quiet * 1e3,
        dirty * 1e3,
        updates / pods as f64 * 1e6,
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

//! The end-to-end cases: real etcd, real kube-apiserver, real Prometheus, the binary that Cargo built together with this program.
//!
//! `scripts/e2e` builds the tools and runs this program with `--run`; `cargo test` compiles it and runs no case. Most cases share
//! one control plane, in which each has its own namespace and accounts. Cases that reconfigure, restart or overload the API
//! server, or look at all of its objects, start their own. Every case has a directory `e2e/run/CASE`, where its logs stay, and
//! loopback addresses that no other case or run uses. All processes end with this one.

#![allow(missing_docs, reason = "only the cases use this crate")]

mod api;
mod browser;
mod cases;
mod certificates;
mod cluster;
mod fleet;
mod http;
mod kubelet;
mod observer;
mod old_server;
mod process;
mod prometheus;
mod proxy;
mod replica;
mod series;
mod soak;
mod stage;
mod wait;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use cases::{CASES, Case, ON_REQUEST};
use cluster::Shared;
use stage::{Size, Stage};

/// Number of cases that run at the same time. Most wait most of the time: for Leases, probes, scrapes.
const CONCURRENT_CASES: usize = 4;
/// Ends a case that hangs. No case takes this long, even on a slow machine.
const CASE_LIMIT: Duration = Duration::from_secs(600);
/// The same for `--long`.
const LONG_CASE_LIMIT: Duration = Duration::from_secs(2400);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some(process::EXEC) => process::exec(&arguments[1..]),
        Some("--run") => run(&arguments[1..]),
        Some("--soak") => run_soak(&arguments[1..]),
        _ => {
            println!("the end-to-end cases are run by scripts/e2e");
            Ok(true)
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("e2e: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs the named cases, or all. Returns whether all passed.
fn run(arguments: &[String]) -> Result<bool> {
    let (flags, names): (Vec<&String>, Vec<&String>) = arguments.iter().partition(|a| a.starts_with("--"));
    let mut size = Size::Ci;
    for flag in flags {
        match flag.as_str() {
            "--long" => size = Size::Long,
            _ => bail!("unknown flag {flag}"),
        }
    }
    let known = || CASES.iter().map(|c| c.name).collect::<Vec<_>>().join(", ");
    if let Some(name) = names.iter().find(|name| CASES.iter().all(|c| c.name != name.as_str())) {
        bail!("unknown case {name}; the cases are {}", known());
    }
    let is_chosen = |case: &&Case| match &names[..] {
        [] => size == Size::Long || !ON_REQUEST.contains(&case.name),
        names => names.iter().any(|name| *name == case.name),
    };
    let chosen: Vec<&Case> = CASES.iter().filter(is_chosen).collect();

    let start = Instant::now();
    let verdicts = run_all(&chosen, size)?;
    let failures: Vec<&String> = verdicts.iter().filter_map(Verdict::failure).collect();
    // Repeat the failures at the end, where readers look.
    for failure in &failures {
        println!("failed: {failure}");
    }
    println!("{} cases in {:.1} s", verdicts.len(), start.elapsed().as_secs_f64());
    let passed = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Passed)).count();
    println!("{passed} passed, {} failed", failures.len());
    Ok(failures.is_empty())
}

/// Runs the soak for a number of minutes, from a seed. Returns whether it passed.
fn run_soak(arguments: &[String]) -> Result<bool> {
    let [minutes, seed] = arguments else { bail!("--soak needs MINUTES and SEED") };
    let (minutes, seed) = (minutes.parse().context("MINUTES")?, seed.parse().context("SEED")?);
    let stage = Stage::new("soak", Size::Ci, &Arc::default())?;
    match runtime()?.block_on(soak::run(&stage, minutes, seed)) {
        Ok(()) => Ok(true),
        Err(error) => {
            println!("FAILED: {error:#}\nlogs: {}", stage.directory.display());
            println!("repeat: scripts/soak --minutes {minutes} --seed {seed}");
            Ok(false)
        }
    }
}

/// Runs the cases, [`CONCURRENT_CASES`] at a time and each on a thread of its own, so that a busy case does not delay the
/// observations of another one. This thread runs the shared control plane.
fn run_all(cases: &[&Case], size: Size) -> Result<Vec<Verdict>> {
    let shared = Arc::new(Shared::default());
    let queue = Mutex::new(cases.iter());
    let verdicts = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(case) = next else { break };
            let verdict = verdict(case, size, &shared);
            verdicts.lock().unwrap_or_else(PoisonError::into_inner).push(verdict);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..CONCURRENT_CASES).map(|_| scope.spawn(work)).collect();
        let mut kept = None;
        if cases.iter().any(|case| case.shares) {
            let stage = Stage::new("shared", size, &shared)?;
            kept = Some((runtime()?.block_on(shared.start(&stage)), stage));
        }
        for worker in workers {
            // A panic of a case has printed its message; the scope passes it on.
            let _ = worker.join();
        }
        drop(kept);
        anyhow::Ok(())
    })?;
    Ok(verdicts.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// A runtime of one thread: a child receives its parent-death signal when the *thread* that started it ends.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start an async runtime")
}

/// The outcome of a case.
enum Verdict {
    Passed,
    /// The case and the reason.
    Failed(String),
    /// The machine lacks a program that the case requires and that cannot be installed.
    Skipped,
}

impl Verdict {
    fn failure(&self) -> Option<&String> {
        if let Self::Failed(failure) = self { Some(failure) } else { None }
    }
}

/// Runs one case and prints its outcome.
fn verdict(case: &Case, size: Size, shared: &Arc<Shared>) -> Verdict {
    let start = Instant::now();
    let outcome = play(case, size, shared);
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok(summary) => {
            println!("{:<20} ok     {seconds:6.1} s  {summary}", case.name);
            Verdict::Passed
        }
        Err(error) if error.is::<browser::Missing>() => {
            println!("{:<20} SKIPPED           {error:#}", case.name);
            Verdict::Skipped
        }
        Err(error) => {
            println!("{:<20} FAILED {seconds:6.1} s  {error:#}", case.name);
            println!("{:<20} logs: {}", "", Stage::directory(case.name).display());
            Verdict::Failed(format!("{}: {error:#}", case.name))
        }
    }
}

/// Runs one case on its own stage. Returns its summary if it passed.
fn play(case: &Case, size: Size, shared: &Arc<Shared>) -> Result<String> {
    let limit = if size == Size::Long { LONG_CASE_LIMIT } else { CASE_LIMIT };
    let stage = Stage::new(case.name, size, shared)?;
    runtime()?.block_on(async {
        match tokio::time::timeout(limit, (case.run)(&stage)).await {
            Ok(outcome) => outcome,
            Err(_) => bail!("not done after {} s", limit.as_secs()),
        }
    })
}

//! The end-to-end cases: real etcd, real kube-apiserver, real Prometheus, the release binary.
//!
//! `scripts/e2e` builds what is needed and runs this with `--run`; `cargo test` compiles it and runs nothing. Each case
//! starts processes of its own, below `e2e/run/CASE`, where their logs stay. All listen on loopback addresses that no other
//! run has, and all die with this process.

#![allow(missing_docs, reason = "nobody but the cases uses this crate")]

mod api;
mod browser;
mod cases;
mod certificates;
mod cluster;
mod fleet;
mod http;
mod kubelet;
mod observer;
mod process;
mod prometheus;
mod proxy;
mod replica;
mod series;
mod stage;
mod wait;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::stream::{self, StreamExt};

use cases::{CASES, Case};
use stage::{Size, Stage};

/// How many of the cases that mostly wait run at once.
const AT_ONCE: usize = 2;
/// What no case needs, however slow the machine; it ends one that hangs.
const CASE_LIMIT: Duration = Duration::from_secs(600);
/// The same for `--long`.
const LONG_CASE_LIMIT: Duration = Duration::from_secs(2400);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some(process::EXEC) => process::exec(&arguments[1..]),
        Some("--run") => run(&arguments[1..]),
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

/// Runs the named cases, or all; whether all passed.
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
        bail!("no case is called {name}; there are {}", known());
    }
    let chosen: Vec<&Case> =
        CASES.iter().filter(|c| names.is_empty() || names.iter().any(|name| *name == c.name)).collect();

    // One thread: a child gets its parent-death signal when the *thread* that started it ends.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
    let (waiting, working): (Vec<&Case>, Vec<&Case>) = chosen.iter().partition(|case| case.waits);
    let verdicts: Vec<Verdict> = runtime.block_on(async {
        let play = async |case: &Case| verdict(case, size).await;
        let alone: Vec<_> = stream::iter(working).then(play).collect().await;
        stream::iter(alone).chain(stream::iter(waiting).map(play).buffer_unordered(AT_ONCE)).collect().await
    });
    let failures: Vec<&String> = verdicts.iter().filter_map(Verdict::failure).collect();
    // Once more, where they are found: at the end.
    for failure in &failures {
        println!("failed: {failure}");
    }
    let passed = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Passed)).count();
    println!("{passed} passed, {} failed", failures.len());
    Ok(failures.is_empty())
}

/// How a case went.
enum Verdict {
    Passed,
    /// Which case, and why.
    Failed(String),
    /// It needs what is not there and cannot be installed.
    Skipped,
}

impl Verdict {
    fn failure(&self) -> Option<&String> {
        if let Self::Failed(failure) = self { Some(failure) } else { None }
    }
}

/// Runs one case and tells how it went.
async fn verdict(case: &Case, size: Size) -> Verdict {
    let start = Instant::now();
    let outcome = play(case, size).await;
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok(said) => {
            println!("{:<20} ok     {seconds:6.1} s  {said}", case.name);
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

/// Runs one case on a stage of its own; what it says of itself when it passed.
async fn play(case: &Case, size: Size) -> Result<String> {
    let limit = if size == Size::Long { LONG_CASE_LIMIT } else { CASE_LIMIT };
    let stage = Stage::new(case.name, size)?;
    match tokio::time::timeout(limit, (case.run)(&stage)).await {
        Ok(outcome) => outcome,
        Err(_) => bail!("not done after {} s", limit.as_secs()),
    }
}

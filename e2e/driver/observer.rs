//! Scrapes all replicas of a fleet five times a second, and counts missing and doubled objects.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::future::join_all;
use memchr::{memchr_iter, memmem};
use tokio::task::JoinHandle;

use crate::fleet::Fleet;
use crate::http::get_from;
use crate::kubelet::Board;
use crate::stage::{Size, Stage};

/// The pause between two samples. A sample scrapes all replicas.
const PERIOD: Duration = Duration::from_millis(200);
/// How long a replica may take to answer. A slower one counts as serving nothing.
const SCRAPE_LIMIT: Duration = Duration::from_secs(2);
/// How long all conditions must hold until a change has settled.
const CALM: Duration = Duration::from_secs(2);
/// The same for `--long`.
const LONG_CALM: Duration = Duration::from_secs(5);
/// The pause between two checks whether a change has settled.
const PAUSE: Duration = Duration::from_millis(500);
/// The permitted deviation of a replica's share from an even one.
const UNEVEN: f64 = 0.2;
/// The last byte of the observer's address. A replica that ends waits for each scraper by address, so Prometheus has another one.
const OWN_HOST: u8 = 3;
/// Length of a UID.
const UID: usize = 36;

/// The observations since the start of a phase.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// In object-seconds.
    missing: f64,
    doubled: f64,
    /// The longest time of one object, in seconds.
    longest_missing: f64,
    longest_doubled: f64,
    /// The highest number of objects that were missing at the same time.
    most_missing: usize,
    /// The longest time between two samples, in seconds. Shorter gaps may remain undetected.
    slowest: f64,
    /// How long each object has been missing, and doubled, in seconds; 0 if it is not.
    absent: Vec<f64>,
    twice: Vec<f64>,
    /// The time since which each object is served once.
    good: Option<Instant>,
    /// The number of objects that each replica served at the last sample.
    shares: Vec<usize>,
    sampled: Option<Instant>,
}

/// The permitted effects of a change. Times during which the machine stands still are added: nobody can serve, renew or scrape then.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long an object may be missing, in seconds.
    pub missing: f64,
    /// How long an object may be doubled, in seconds.
    pub doubled: f64,
    /// How long the change may take to settle.
    pub limit: Duration,
}

impl Bounds {
    /// For a change that loses no object. The bounds are not 0, because gaps between two samples remain undetected.
    pub const SEAMLESS: Self = Self { missing: 0.5, doubled: 0.5, limit: Duration::from_secs(150) };

    /// The same, but objects may be missing for this time.
    pub const fn missing(seconds: f64) -> Self {
        Self { missing: seconds, ..Self::SEAMLESS }
    }
}

/// Observes a fleet until dropped.
pub struct Observer {
    tally: Arc<Mutex<Tally>>,
    task: JoinHandle<()>,
    /// The result of each phase.
    results: Vec<String>,
    failed: bool,
    stalls: Stalls,
    /// A log of all observations, for debugging.
    log: PathBuf,
    calm: Duration,
}

impl Observer {
    /// Observes the pods with these UIDs.
    pub fn new(stage: &Stage, fleet: &Fleet, expected: &BTreeSet<String>) -> Result<Self> {
        let mut index = HashMap::new();
        for (number, uid) in expected.iter().enumerate() {
            let uid: [u8; UID] = uid.as_bytes().try_into().with_context(|| format!("{uid} is not a UID"))?;
            index.insert(uid, number);
        }
        let tally = Arc::new(Mutex::new(Tally::new(index.len())));
        let log = stage.directory.join("observer.log");
        let calm = if stage.size == Size::Long { LONG_CALM } else { CALM };
        let sampling = observe(stage.address(OWN_HOST), fleet.board.clone(), index, tally.clone(), log.clone());
        Ok(Self {
            tally,
            task: tokio::spawn(sampling),
            results: Vec::new(),
            failed: false,
            stalls: Stalls::watch(),
            log,
            calm,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the fleet has settled, without checking bounds.
    pub async fn settle(&self, fleet: &Fleet) -> Result<()> {
        self.calm(Bounds::SEAMLESS.limit, async || {
            fleet.ensure_settled().await?;
            self.ensure_fair()
        })
        .await
    }

    /// Makes a change, waits until the fleet has settled, and records the effects. Returns an error only if the fleet does not
    /// settle; [`Self::summary`] returns the error if a phase exceeded its bounds.
    pub async fn phase(
        &mut self,
        fleet: &Fleet,
        name: &str,
        bounds: Bounds,
        change: impl AsyncFnOnce() -> Result<()>,
    ) -> Result<()> {
        self.phase_until(name, bounds, change, Some(fleet), async || fleet.ensure_settled().await).await
    }

    /// As [`Self::phase`], but `settled` decides when the fleet has settled.
    pub async fn phase_until(
        &mut self,
        name: &str,
        bounds: Bounds,
        change: impl AsyncFnOnce() -> Result<()>,
        fair: Option<&Fleet>,
        settled: impl AsyncFn() -> Result<()>,
    ) -> Result<()> {
        self.lock().begin();
        note(&self.log, &format!("== {name}"));
        let start = Instant::now();
        let stalled_before = self.stalls.seconds();
        let outcome = async {
            change().await?;
            // The change takes a moment to become visible.
            tokio::time::sleep(PAUSE).await;
            self.calm(bounds.limit, async || {
                settled().await?;
                if fair.is_some() { self.ensure_fair() } else { Ok(()) }
            })
            .await
        }
        .await;
        let seconds = start.elapsed().as_secs_f64();
        let tally = self.lock().clone();
        let mut line = format!("{name}: {tally}, settled after {seconds:.0} s");
        let overdue = fair.map(|fleet| std::mem::take(&mut fleet.board.lock().overdue)).unwrap_or_default();
        if !overdue.is_empty() {
            line += &format!(", killed after their grace: {}", overdue.join(", "));
        }
        let stalled = self.stalls.seconds() - stalled_before;
        if stalled > 0.0 {
            line += &format!(", the machine stood still for {stalled:.1} s");
        }
        let exceeded =
            tally.longest_missing > bounds.missing + stalled || tally.longest_doubled > bounds.doubled + stalled;
        if exceeded || !overdue.is_empty() {
            self.failed = true;
            line += " (OUT OF BOUNDS)";
        }
        note(&self.log, &line);
        if let Err(error) = outcome {
            let before = self.results.join("; ");
            return Err(error).with_context(|| format!("{before}; {name}: {tally}; not settled after {seconds:.0} s"));
        }
        self.results.push(line);
        Ok(())
    }

    /// Adds a remark to the summary.
    pub fn note(&mut self, what: String) {
        self.results.push(what);
    }

    /// The results of all phases; an error if one exceeded its bounds.
    pub fn summary(&self) -> Result<String> {
        let results = self.results.join("; ");
        if self.failed { bail!("{results}") } else { Ok(results) }
    }

    /// Waits until each object is served once and `settled` holds, for [`CALM`].
    async fn calm(&self, limit: Duration, settled: impl AsyncFn() -> Result<()>) -> Result<()> {
        let start = Instant::now();
        let mut since = None;
        loop {
            // The limit holds even if the API server does not answer.
            let state = tokio::time::timeout(SCRAPE_LIMIT, settled()).await.context("no answer").flatten();
            let covered = self.lock().good;
            match (state, covered) {
                (Ok(()), Some(covered)) => {
                    let since = *since.get_or_insert_with(Instant::now);
                    if since.max(covered).elapsed() >= self.calm {
                        return Ok(());
                    }
                }
                (state, _) => {
                    since = None;
                    if start.elapsed() > limit {
                        state.context("not settled")?;
                        bail!("some objects are missing or doubled");
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Returns an error unless all replicas serve about the same number of objects.
    fn ensure_fair(&self) -> Result<()> {
        let tally = self.lock();
        let fair = tally.absent.len() as f64 / tally.shares.len() as f64;
        if tally.shares.iter().any(|&share| (share as f64 - fair).abs() > UNEVEN * fair) {
            bail!("uneven: {:?}", tally.shares);
        }
        Ok(())
    }
}

/// Measures for how long the machine, or this process on it, stands still. Ends when dropped.
struct Stalls {
    /// In microseconds.
    total: Arc<AtomicU64>,
}

impl Stalls {
    /// The time between two looks at the clock.
    const STEP: Duration = Duration::from_millis(50);
    /// A thread that sleeps this much longer than asked was stalled, not only scheduled late.
    const LATE: Duration = Duration::from_millis(250);

    fn watch() -> Self {
        let total = Arc::new(AtomicU64::new(0));
        let shared = Arc::downgrade(&total);
        std::thread::spawn(move || {
            while let Some(total) = shared.upgrade() {
                let start = Instant::now();
                std::thread::sleep(Self::STEP);
                let late = start.elapsed().saturating_sub(Self::STEP);
                if late >= Self::LATE {
                    total.fetch_add(late.as_micros() as u64, Relaxed);
                }
            }
        });
        Self { total }
    }

    fn seconds(&self) -> f64 {
        Duration::from_micros(self.total.load(Relaxed)).as_secs_f64()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tally {
    fn new(objects: usize) -> Self {
        Self { absent: vec![0.0; objects], twice: vec![0.0; objects], ..Self::default() }
    }

    /// Forgets all observations except the time of the last sample.
    fn begin(&mut self) {
        *self =
            Self { sampled: self.sampled, shares: std::mem::take(&mut self.shares), ..Self::new(self.absent.len()) };
    }

    /// Adds a sample: by how many replicas each object was served, and how many objects each replica served.
    fn add(&mut self, served: &[u8], shares: Vec<usize>) {
        let now = Instant::now();
        let step = self.sampled.map_or(0.0, |last| (now - last).as_secs_f64());
        self.sampled = Some(now);
        self.slowest = self.slowest.max(step);
        self.shares = shares;
        let (mut missing, mut doubled) = (0, 0);
        for ((&times, absent), twice) in served.iter().zip(&mut self.absent).zip(&mut self.twice) {
            *absent = if times == 0 { lengthen(*absent, step) } else { 0.0 };
            *twice = if times > 1 { lengthen(*twice, step) } else { 0.0 };
            missing += usize::from(times == 0);
            doubled += usize::from(times > 1);
            self.longest_missing = self.longest_missing.max(*absent);
            self.longest_doubled = self.longest_doubled.max(*twice);
        }
        self.missing += missing as f64 * step;
        self.doubled += doubled as f64 * step;
        self.most_missing = self.most_missing.max(missing);
        if missing + doubled > 0 {
            self.good = None;
        } else {
            self.good.get_or_insert(now);
        }
    }
}

/// Adds a sample to the time for which an object has been in a bad state. The first sample of a bad spell counts as one period at
/// most, because after a late sample the start of the spell is unknown.
fn lengthen(seconds: f64, step: f64) -> f64 {
    if seconds == 0.0 { step.min(PERIOD.as_secs_f64()) } else { seconds + step }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { missing, doubled, longest_missing, longest_doubled, most_missing, slowest, .. } = self;
        write!(f, "{missing:.0} object-seconds missing (one for {longest_missing:.1} s, {most_missing} at most), ")?;
        write!(f, "{doubled:.0} doubled (one for {longest_doubled:.1} s)")?;
        if *slowest > 0.4 { write!(f, ", a sample after {slowest:.1} s") } else { Ok(()) }
    }
}

/// Samples the replicas periodically.
async fn observe(
    source: Ipv4Addr,
    board: Board,
    index: HashMap<[u8; UID], usize>,
    tally: Arc<Mutex<Tally>>,
    log: PathBuf,
) {
    let mut before = String::new();
    loop {
        let start = Instant::now();
        let live: Vec<_> =
            board.lock().running.iter().filter(|(_, each)| !each.paused).map(|(&o, each)| (o, each.at)).collect();
        let answers = join_all(live.iter().map(async |(_, at)| {
            let answer = get_from(source, SCRAPE_LIMIT, &format!("{}?resources=pods", at.metrics_url())).await;
            answer.ok().filter(|answer| answer.status.is_success()).map(|answer| answer.body)
        }))
        .await;
        let mut served = vec![0_u8; index.len()];
        let mut shares = Vec::new();
        for body in &answers {
            let mut share = 0;
            for number in body.iter().flat_map(|body| uids(body)).filter_map(|uid| index.get(uid)) {
                served[*number] = served[*number].saturating_add(1);
                share += 1;
            }
            shares.push(share);
        }
        let of = |wanted: fn(u8) -> bool| served.iter().filter(|times| wanted(**times)).count();
        let by: Vec<_> = live.iter().map(|(ordinal, _)| ordinal).zip(&shares).collect();
        let now = format!("{} missing, {} doubled; by replica: {by:?}", of(|n| n == 0), of(|n| n > 1));
        if now != before {
            note(&log, &now);
        }
        before = now;
        tally.lock().unwrap_or_else(PoisonError::into_inner).add(&served, shares);
        tokio::time::sleep(PERIOD.saturating_sub(start.elapsed())).await;
    }
}

fn note(log: &Path, line: &str) {
    let file = std::fs::File::options().create(true).append(true).open(log);
    // The results do not depend on the log.
    let _ = file.and_then(|mut file| writeln!(file, "{} {line}", jiff::Timestamp::now()));
}

/// The UIDs of the pods in an exposition.
fn uids(body: &[u8]) -> impl Iterator<Item = &[u8; UID]> {
    const LABEL: &[u8] = b"uid=\"";
    let mut start = 0;
    memchr_iter(b'\n', body).filter_map(move |end| {
        let line = &body[start..end];
        start = end + 1;
        let labels = line.strip_prefix(b"kube_pod_info{")?;
        let after = &labels[memmem::find(labels, LABEL)? + LABEL.len()..];
        after.first_chunk()
    })
}

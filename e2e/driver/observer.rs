//! Looks at all replicas of a fleet at once, five times a second, and counts which objects nobody serves and which two serve.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::future::join_all;
use memchr::{memchr_iter, memmem};
use tokio::task::JoinHandle;

use crate::fleet::Fleet;
use crate::http::get_from;
use crate::kubelet::Board;
use crate::stage::Stage;

/// How often it looks.
const PERIOD: Duration = Duration::from_millis(200);
/// How long a replica may take to answer; one that takes longer serves nothing.
const SCRAPE_LIMIT: Duration = Duration::from_secs(2);
/// For how long all must be well until a change has settled.
const CALM: Duration = Duration::from_secs(5);
/// How often it is asked whether a change has settled.
const PAUSE: Duration = Duration::from_millis(500);
/// How far a replica's share may be from an even one.
const UNEVEN: f64 = 0.2;
/// The last part of its address: a replica that ends waits for each scraper by its address, for Prometheus too.
const OWN_HOST: u8 = 3;
/// Length of a UID.
const UID: usize = 36;

/// What was seen since the tally began.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// Object-seconds.
    missing: f64,
    doubled: f64,
    /// Seconds, of any one object.
    longest_missing: f64,
    longest_doubled: f64,
    /// Objects at once.
    most_missing: usize,
    /// The longest time between two looks, in seconds: what was shorter may have passed unseen.
    slowest: f64,
    /// For how long each object has been missing, and doubled, in seconds; 0 if it is not.
    absent: Vec<f64>,
    twice: Vec<f64>,
    /// Since when each object was served once.
    good: Option<Instant>,
    /// How many of the objects each replica served at the last look.
    shares: Vec<usize>,
    looked: Option<Instant>,
}

/// What a change may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For how long an object may be missing, in seconds.
    pub missing: f64,
    /// For how long an object may be doubled, in seconds.
    pub doubled: f64,
    /// When it must have settled.
    pub limit: Duration,
}

impl Bounds {
    /// Of a change that loses nothing: what is between two looks cannot be seen.
    pub const SEAMLESS: Self = Self { missing: 0.5, doubled: 0.5, limit: Duration::from_secs(150) };

    /// The same, but for objects that are missing for so many seconds.
    pub const fn missing(seconds: f64) -> Self {
        Self { missing: seconds, ..Self::SEAMLESS }
    }
}

/// Looks until dropped.
pub struct Observer {
    tally: Arc<Mutex<Tally>>,
    task: JoinHandle<()>,
    /// What each phase came to.
    told: Vec<String>,
    failed: bool,
    /// What was seen when, for whoever looks for a cause.
    log: PathBuf,
}

impl Observer {
    /// Watches over the pods with these UIDs.
    pub fn new(stage: &Stage, fleet: &Fleet, expected: &BTreeSet<String>) -> Result<Self> {
        let mut index = HashMap::new();
        for (number, uid) in expected.iter().enumerate() {
            let uid: [u8; UID] = uid.as_bytes().try_into().with_context(|| format!("an odd UID: {uid}"))?;
            index.insert(uid, number);
        }
        let tally = Arc::new(Mutex::new(Tally::new(index.len())));
        let log = stage.directory.join("observer.log");
        let look = observe(stage.address(OWN_HOST), fleet.board.clone(), index, tally.clone(), log.clone());
        Ok(Self { tally, task: tokio::spawn(look), told: Vec::new(), failed: false, log })
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the fleet is as it should be, whatever that costs.
    pub async fn settle(&self, fleet: &Fleet) -> Result<()> {
        self.calm(Bounds::SEAMLESS.limit, async || {
            fleet.ensure_settled().await?;
            self.ensure_fair()
        })
        .await
    }

    /// Makes a change, waits until the fleet is as it should be, and notes what it cost. An error only if the fleet does not
    /// settle; that it cost too much is told in the end, see [`Self::told`].
    pub async fn phase(
        &mut self,
        fleet: &Fleet,
        name: &str,
        bounds: Bounds,
        change: impl AsyncFnOnce() -> Result<()>,
    ) -> Result<()> {
        self.phase_until(name, bounds, change, Some(fleet), async || fleet.ensure_settled().await).await
    }

    /// As [`Self::phase`], but `settled` decides when the fleet is as it should be.
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
        let outcome = async {
            change().await?;
            // What was asked for shows no earlier.
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
        let dear = tally.longest_missing > bounds.missing || tally.longest_doubled > bounds.doubled;
        if dear || !overdue.is_empty() {
            self.failed = true;
            line += " (TOO MUCH)";
        }
        note(&self.log, &line);
        if let Err(error) = outcome {
            let before = self.told.join("; ");
            return Err(error).with_context(|| format!("{before}; {name}: {tally}; not settled after {seconds:.0} s"));
        }
        self.told.push(line);
        Ok(())
    }

    /// Adds something to what is told in the end.
    pub fn note(&mut self, what: String) {
        self.told.push(what);
    }

    /// What all phases came to; an error if one cost too much.
    pub fn told(&self) -> Result<String> {
        let told = self.told.join("; ");
        if self.failed { bail!("{told}") } else { Ok(told) }
    }

    /// Waits until each object was served once and `settled` held for [`CALM`].
    async fn calm(&self, limit: Duration, settled: impl AsyncFn() -> Result<()>) -> Result<()> {
        let start = Instant::now();
        let mut since = None;
        loop {
            // An API server that does not answer is no reason to wait longer than the limit.
            let state = tokio::time::timeout(SCRAPE_LIMIT, settled()).await.context("no answer").flatten();
            let covered = self.lock().good;
            match (state, covered) {
                (Ok(()), Some(covered)) => {
                    let since = *since.get_or_insert_with(Instant::now);
                    if since.max(covered).elapsed() >= CALM {
                        return Ok(());
                    }
                }
                (state, _) => {
                    since = None;
                    if start.elapsed() > limit {
                        state.context("not settled")?;
                        bail!("not each object is served once");
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// An error unless each replica serves about as much as any other.
    fn ensure_fair(&self) -> Result<()> {
        let tally = self.lock();
        let fair = tally.absent.len() as f64 / tally.shares.len() as f64;
        if tally.shares.iter().any(|&share| (share as f64 - fair).abs() > UNEVEN * fair) {
            bail!("uneven: {:?}", tally.shares);
        }
        Ok(())
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

    /// Forgets everything but when it was looked last.
    fn begin(&mut self) {
        *self = Self { looked: self.looked, shares: std::mem::take(&mut self.shares), ..Self::new(self.absent.len()) };
    }

    /// Adds a look: how often each object was served, and how many of them by each replica.
    fn add(&mut self, served: &[u8], shares: Vec<usize>) {
        let now = Instant::now();
        let step = self.looked.map_or(0.0, |last| (now - last).as_secs_f64());
        self.looked = Some(now);
        self.slowest = self.slowest.max(step);
        self.shares = shares;
        let (mut missing, mut doubled) = (0, 0);
        for ((&times, absent), twice) in served.iter().zip(&mut self.absent).zip(&mut self.twice) {
            *absent = if times == 0 { *absent + step } else { 0.0 };
            *twice = if times > 1 { *twice + step } else { 0.0 };
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

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { missing, doubled, longest_missing, longest_doubled, most_missing, slowest, .. } = self;
        write!(f, "{missing:.0} object-seconds missing (one for {longest_missing:.1} s, {most_missing} at most), ")?;
        write!(f, "{doubled:.0} doubled (one for {longest_doubled:.1} s)")?;
        if *slowest > 0.4 { write!(f, ", a look after {slowest:.1} s") } else { Ok(()) }
    }
}

/// Looks again and again.
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
    // The figures do not stand on it.
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

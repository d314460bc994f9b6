//! What happens to a simulated cluster.
//!
//! The bounds are those of the table of faults in docs/fleet.md, plus the time between two scrapes.

use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::cluster::{Bound, Cluster, PROMISE, STEP};
use super::network::Cut;
use super::process::{Path, Process};

/// Number of faults in a run.
const FAULTS: usize = 2;
/// How long a fleet may take to start, and to settle after a fault.
const LIMIT: Duration = Duration::from_secs(240);
/// A killed process is replaced within this time.
const KILLED: Duration = Duration::from_secs(3);
/// A silent process is replaced after this time: its Lease expires (20 s), and its objects are loaded.
const SILENT: Duration = Duration::from_secs(23);

/// A fault.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// SIGKILL; the container starts again.
    Kill,
    LoseNode,
    Suspend,
    Scale,
    Roll,
    /// Nothing passes between two members, in one direction or both.
    CutPeers(Cut),
    /// No connection between any two members.
    CutAllPeers(Cut),
    /// The API server for one member.
    ApiOfOne(Path),
    /// The API server for all members.
    ApiOfAll(Path),
    /// Watches end with 410.
    ExpireWatches,
    /// The wall clock of a member jumps.
    ClockJumps,
}

fn missing(limit: Duration) -> Bound {
    Bound { missing: limit, ..PROMISE }
}

impl Fault {
    fn random(random: &mut fastrand::Rng) -> Self {
        let cut = if random.bool() { Cut::Silent } else { Cut::Refused };
        let path = match random.u8(0..6) {
            0 => Path::Silent,
            1 => Path::Refused,
            2 => Path::Failing,
            3 => Path::Slow(Duration::from_millis(random.u64(50..2_000))),
            4 => Path::LosesAnswers,
            _ => Path::Deaf,
        };
        match random.u8(0..11) {
            0 => Self::Kill,
            1 => Self::LoseNode,
            2 => Self::Suspend,
            3 => Self::Scale,
            4 => Self::Roll,
            5 => Self::CutPeers(cut),
            6 => Self::CutAllPeers(cut),
            7 => Self::ApiOfOne(path),
            8 => Self::ApiOfAll(path),
            9 => Self::ExpireWatches,
            _ => Self::ClockJumps,
        }
    }

    /// Returns for how long it excuses a violation.
    fn bound(self) -> Bound {
        match self {
            Self::Kill => missing(KILLED),
            Self::LoseNode | Self::Suspend => missing(SILENT),
            _ => PROMISE,
        }
    }

    async fn play(self, cluster: &mut Cluster) {
        let replicas = cluster.replicas();
        let victim = cluster.random.u32(0..replicas);
        let steps = cluster.random.u64(5..300);
        cluster.note(&format!("{self:?} member {victim}, {:?}", STEP * steps as u32));
        cluster.set_bound(self.bound());
        let addresses: Vec<IpAddr> = cluster.processes().map(|process| process.ip).collect();
        let own = cluster.process(victim).map(|process| process.ip);
        match self {
            Self::Kill => cluster.kill(victim),
            Self::LoseNode => cluster.lose_node(victim, steps),
            Self::Suspend => each(cluster, Some(victim), |process| process.suspend(true)),
            Self::Scale => {
                let count = cluster.random.u32(1..=6);
                cluster.scale(count);
            }
            Self::Roll => cluster.roll(),
            Self::CutPeers(cut) => {
                let other = addresses[cluster.random.usize(..addresses.len())];
                if let Some(own) = own.filter(|own| *own != other) {
                    cluster.network.cut(own, other, cut);
                    if cluster.random.bool() {
                        cluster.network.cut(other, own, cut);
                    }
                }
            }
            Self::CutAllPeers(cut) => {
                for from in &addresses {
                    for to in addresses.iter().filter(|to| *to != from) {
                        cluster.network.cut(*from, *to, cut);
                    }
                }
            }
            Self::ApiOfOne(path) => each(cluster, Some(victim), |process| {
                process.path.send_replace(path);
            }),
            Self::ApiOfAll(path) => each(cluster, None, |process| {
                process.path.send_replace(path);
            }),
            Self::ExpireWatches => {
                let resource = ["pods", "leases", "statefulsets"][cluster.random.usize(..3)];
                if cluster.random.bool() {
                    cluster.api.compact();
                }
                cluster.api.expire_watches(resource).unwrap();
            }
            Self::ClockJumps => {
                let jump = cluster.random.i64(-3_600_000..3_600_000) / i64::from(cluster.random.u32(1..1_000));
                each(cluster, Some(victim), |process| {
                    process.clocks.error.fetch_add(jump, Relaxed);
                });
            }
        }
        for _ in 0..steps {
            cluster.step().await;
        }
        cluster.note("healed");
        cluster.network.heal();
        each(cluster, None, |process| {
            process.suspend(false);
            process.path.send_replace(Path::Open);
        });
        cluster.settle(LIMIT).await;
    }
}

fn each(cluster: &Cluster, only: Option<u32>, change: impl Fn(&Process)) {
    cluster.processes().filter(|process| only.is_none_or(|only| only == process.ordinal)).for_each(change);
}

/// Starts the fleet, and plays random faults.
pub async fn play(cluster: &mut Cluster) {
    cluster.settle(LIMIT).await;
    for _ in 0..FAULTS {
        cluster.set_bound(PROMISE);
        let fault = Fault::random(&mut cluster.random);
        fault.play(cluster).await;
    }
}

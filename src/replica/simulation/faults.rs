//! What happens to a simulated cluster: rounds of one to three faults that overlap, while objects come and go. After each round
//! everything is healed, and the fleet must settle before the next one.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::cluster::{Cluster, STEP};
use super::network::Cut;
use super::process::{Path, Process};

/// The rounds of a run, of which one is drawn, and most faults in a round.
const ROUNDS: [usize; 4] = [1, 1, 1, 2];
const FAULTS: usize = 3;
/// When a fault of a round begins, and how long it lasts, in steps. One of [`LONG_ONES`] outlasts a Lease.
const BEGINS: Range<u64> = 0..60;
const LASTS: Range<u64> = 5..80;
const LASTS_LONG: Range<u64> = 80..250;
const LONG_ONES: u8 = 4;
/// After the last round, one of so many runs waits until the fleet has settled, which is mostly the wait of a crashed member. The others
/// end after this time.
const PATIENT_ONES: u8 = 4;
const AFTERMATH: Duration = Duration::from_secs(6);
/// How long a fleet may take to start, and to settle after a round. A member that crashed twice rejoins after a minute, and
/// a member that takes ranges over waits for one that does not.
const LIMIT: Duration = Duration::from_secs(400);

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// SIGKILL; the container starts again.
    Kill,
    LoseNode,
    Suspend,
    /// The StatefulSet has this many replicas.
    Scale(u32),
    Roll,
    /// Nothing passes between a member and another one, in one direction or both.
    CutPeers {
        other: u32,
        both: bool,
        cut: Cut,
    },
    /// No connection between any two members.
    CutAllPeers(Cut),
    /// Nothing passes between one member and any other, nor to the API server.
    Isolate(Cut),
    /// The API server for one member.
    ApiOfOne(Path),
    /// The API server for all members.
    ApiOfAll(Path),
    /// Watches end with 410.
    ExpireWatches {
        resource: &'static str,
        compact: bool,
    },
    /// The open watches deliver nothing any more.
    DeafWatches(&'static str),
    /// The wall clock of a member jumps by milliseconds.
    ClockJumps(i64),
    /// The Leases get the content back that they had at the beginning of the fault.
    RestoreLeases,
    /// So does the whole API server: versions go back, and objects come back.
    RestoreAll,
    /// Requests for a resource that the fleet does not need fail for ever.
    FailResource,
}

/// A fault at its time.
#[derive(Clone, Copy, Debug)]
struct Planned {
    fault: Fault,
    victim: u32,
    from: u64,
    until: u64,
}

fn choose<T: Copy>(random: &mut fastrand::Rng, from: &[T]) -> T {
    from[random.usize(..from.len())]
}

impl Fault {
    fn random(random: &mut fastrand::Rng, replicas: u32) -> Self {
        let cut = choose(random, &[Cut::Silent, Cut::Refused]);
        let slow = Path::Slow(Duration::from_millis(random.u64(50..2_000)));
        let path = choose(random, &[Path::Silent, Path::Refused, Path::Failing, slow, Path::LosesAnswers, Path::Deaf]);
        let resource = choose(random, &["pods", "leases", "statefulsets"]);
        match random.u8(0..18) {
            0 | 1 => Self::Kill,
            2 => Self::LoseNode,
            3 => Self::Suspend,
            4 | 5 => Self::Scale(random.u32(1..=6)),
            6 => Self::Roll,
            7 => Self::CutPeers { other: random.u32(..replicas), both: random.bool(), cut },
            8 => Self::CutAllPeers(cut),
            9 => Self::Isolate(cut),
            10 => Self::ApiOfOne(path),
            11 | 12 => Self::ApiOfAll(path),
            13 => Self::ExpireWatches { resource, compact: random.bool() },
            14 => Self::DeafWatches(resource),
            15 => Self::ClockJumps(random.i64(-3_600_000..3_600_000) / i64::from(random.u32(1..1_000))),
            16 => choose(random, &[Self::RestoreLeases, Self::RestoreAll]),
            _ => Self::FailResource,
        }
    }
}

/// Draws the faults of a round.
fn plan(random: &mut fastrand::Rng, replicas: u32) -> Vec<Planned> {
    let count = random.usize(1..=FAULTS);
    (0..count)
        .map(|_| {
            let from = random.u64(BEGINS);
            let lasts = if random.u8(..LONG_ONES) == 0 { LASTS_LONG } else { LASTS };
            let until = from + random.u64(lasts);
            Planned { fault: Fault::random(random, replicas), victim: random.u32(..replicas), from, until }
        })
        .collect()
}

/// Does what happens at the beginning of a fault. What lasts is up to [`last`].
fn begin(cluster: &mut Cluster, planned: &Planned, alone: bool) {
    let Planned { fault, victim, from, until } = *planned;
    cluster.note(&format!("{fault:?} member {victim}, {:?}", STEP * (until - from) as u32));
    match fault {
        Fault::Kill => {
            cluster.excuses.crash(alone);
            cluster.kill(victim);
        }
        Fault::LoseNode => {
            cluster.excuses.crash(false);
            cluster.lose_node(victim, until - from);
        }
        Fault::Suspend => cluster.excuses.crash(false),
        Fault::Scale(replicas) => cluster.scale(replicas),
        Fault::Roll => cluster.roll(),
        Fault::ExpireWatches { resource, compact } => {
            cluster.excuses.relist();
            if compact {
                cluster.api.compact();
            }
            cluster.api.expire_watches(resource).expect("there is such a resource");
        }
        Fault::DeafWatches(resource) => {
            match resource {
                "pods" => cluster.excuses.deafen(),
                "leases" => cluster.excuses.deafen_leases(),
                _ => {}
            }
            cluster.api.silence_watches(resource).expect("there is such a resource");
        }
        Fault::ClockJumps(jump) => each(cluster, Some(victim), |process| {
            process.clocks.error.fetch_add(jump, Relaxed);
        }),
        Fault::RestoreLeases | Fault::RestoreAll => cluster.save(),
        Fault::FailResource => {
            cluster.api.faults("services", |faults| faults.refuse = Some(500)).expect("there are services");
        }
        _ => {}
    }
}

/// Does what happens at the end of a fault.
fn end(cluster: &mut Cluster, planned: &Planned) {
    cluster.note(&format!("{:?} ends", planned.fault));
    match planned.fault {
        Fault::RestoreLeases => cluster.restore_leases(),
        Fault::RestoreAll => cluster.restore_all(),
        _ => {}
    }
}

/// Makes paths and processes what the active faults say.
fn last(cluster: &Cluster, active: &[Planned]) {
    let addresses: Vec<(u32, IpAddr)> = cluster.processes().map(|process| (process.ordinal, process.ip)).collect();
    let mut cuts = Vec::new();
    for Planned { fault, victim, .. } in active {
        for (one, from) in &addresses {
            for (other, to) in addresses.iter().filter(|(other, _)| other != one) {
                let cut = match fault {
                    Fault::CutAllPeers(cut) => Some(cut),
                    Fault::Isolate(cut) if [one, other].contains(&victim) => Some(cut),
                    Fault::CutPeers { other: peer, both, cut } => {
                        let matches = (one, other) == (victim, peer) || *both && (one, other) == (peer, victim);
                        matches.then_some(cut)
                    }
                    _ => None,
                };
                cuts.extend(cut.map(|cut| ((*from, *to), *cut)));
            }
        }
    }
    cluster.network.set_cuts(cuts.into_iter().collect());
    each(cluster, None, |process| {
        let path = active.iter().rev().find_map(|Planned { fault, victim, .. }| match fault {
            Fault::ApiOfAll(path) => Some(*path),
            Fault::ApiOfOne(path) if *victim == process.ordinal => Some(*path),
            Fault::Isolate(cut) if *victim == process.ordinal => Some(match cut {
                Cut::Silent => Path::Silent,
                Cut::Refused => Path::Refused,
            }),
            _ => None,
        });
        process.set_path(path.unwrap_or_default());
        let suspended = |planned: &Planned| planned.fault == Fault::Suspend && planned.victim == process.ordinal;
        process.suspend(active.iter().any(suspended));
    });
}

fn each(cluster: &Cluster, only: Option<u32>, change: impl Fn(&Process)) {
    cluster.processes().filter(|process| only.is_none_or(|only| only == process.ordinal)).for_each(change);
}

/// Plays a round of faults that overlap.
async fn round(cluster: &mut Cluster) {
    let replicas = cluster.replicas();
    let planned = plan(&mut cluster.random, replicas);
    let alone = planned.len() == 1;
    let length = planned.iter().map(|planned| planned.until).max().unwrap_or_default();
    for step in 0..=length {
        for planned in planned.iter().filter(|planned| planned.from == step) {
            begin(cluster, planned, alone);
        }
        for planned in planned.iter().filter(|planned| planned.until == step) {
            end(cluster, planned);
        }
        let active: Vec<_> =
            planned.iter().filter(|planned| (planned.from..planned.until).contains(&step)).copied().collect();
        last(cluster, &active);
        cluster.step().await;
    }
}

/// Starts the fleet, and plays rounds of random faults.
pub async fn play(cluster: &mut Cluster) {
    cluster.excuses.gap(LIMIT);
    cluster.settle(LIMIT).await;
    cluster.excuses.started();
    for _ in 1..choose(&mut cluster.random, &ROUNDS) {
        round(cluster).await;
        cluster.settle(LIMIT).await;
    }
    round(cluster).await;
    if cluster.random.u8(..PATIENT_ONES) == 0 {
        cluster.settle(LIMIT).await;
    } else {
        cluster.run_for(AFTERMATH).await;
    }
}

//! For how long the active faults excuse that objects are missing, served twice, or old. The bounds are those of the table of faults in
//! docs/fleet.md, plus the time between two scrapes. Faults that overlap excuse what each of them excuses. While
//! the API server is away nobody recovers from a crash, so that time begins again until it is back.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::fleet::bounds::{self, Isolation};
use crate::settings::OnLostQuorum;

/// A killed process of a settled fleet is replaced within this time. During another fault, or a handover, it takes
/// [`RECOVERY`].
const KILLED: Duration = Duration::from_secs(3);
const SWITCH: Duration = Duration::from_millis(bounds::SWITCH);
const RECOVERY: Duration = Duration::from_millis(bounds::RECOVERY);
const LEASE_EXPIRY: Duration = Duration::from_millis(bounds::LEASE_EXPIRY);
const RECONNECTION: Duration = Duration::from_millis(bounds::RECONNECTION);
const DEAF: Duration = Duration::from_millis(bounds::DEAF);
const TAKEOVER: Duration = Duration::from_millis(bounds::TAKEOVER);
/// How long a change may take from the API server to a scrape.
pub const NEWS: Duration = Duration::from_secs(1);
/// How long a replica may pause between two attempts, with jitter, and then list.
const RETRY: Duration = Duration::from_secs(40);
/// How long a watch may be silent before a replica lists again, and the time for that.
const SILENCE: Duration = Duration::from_secs(150 + 40);

/// What a process can do now.
pub struct Ability {
    pub runs: bool,
    /// It requests, and hears watches.
    pub reads_api: bool,
    /// Each other process, and whether both exchange heartbeats.
    pub links: BTreeMap<u32, bool>,
    /// The other members that serve, as far as it knows.
    pub members: Vec<u32>,
}

impl Ability {
    fn hears_all(&self) -> bool {
        self.links.values().all(|linked| *linked)
    }

    /// Whether all members that serve run and answer it.
    fn is_confirmed_by_members(&self) -> bool {
        self.runs && self.members.iter().all(|member| self.links.get(member).is_some_and(|linked| *linked))
    }
}

/// The excuses of a fleet.
pub struct Excuses {
    on_lost_quorum: OnLostQuorum,
    overlap: Duration,
    start: Instant,
    gaps_until: Instant,
    /// Until when what changes may take longer to be served.
    old_until: Instant,
    /// What happened until then must show in scrapes.
    known: Instant,
    /// Until when the watches of Leases may be deaf.
    leases_deaf_until: Instant,
    /// When a process last took part in another generation.
    moved: Instant,
    isolated: BTreeMap<u32, Isolation>,
}

impl Excuses {
    /// The excuses of a fleet that has not started.
    pub fn new(on_lost_quorum: OnLostQuorum, overlap: Duration) -> Self {
        let now = Instant::now();
        let isolated = BTreeMap::new();
        Self {
            on_lost_quorum,
            overlap,
            start: now,
            gaps_until: now,
            old_until: now,
            known: now,
            leases_deaf_until: now,
            moved: now,
            isolated,
        }
    }

    /// A process ends, or falls silent. `alone`: this is the only fault, the fleet is settled, and connections to it are
    /// refused.
    pub fn crash(&mut self, alone: bool) {
        self.gap(if alone { KILLED } else { RECOVERY + LEASE_EXPIRY });
    }

    /// Objects may be missing for this time from now on.
    pub fn gap(&mut self, limit: Duration) {
        self.gaps_until = self.gaps_until.max(Instant::now() + limit);
    }

    /// Objects may be missing, until the others have recovered.
    pub fn recover(&mut self) {
        self.gap(RECOVERY);
    }

    /// Watches ended, and replicas list again.
    pub fn relist(&mut self) {
        self.old_until = self.old_until.max(Instant::now() + RETRY);
    }

    /// The fleet has started: from now on its objects are served.
    pub fn started(&mut self) {
        self.gaps_until = Instant::now();
    }

    /// Open watches deliver nothing any more.
    pub fn deafen(&mut self) {
        self.old_until = Instant::now() + SILENCE;
    }

    /// Open watches of Leases deliver nothing any more.
    pub fn deafen_leases(&mut self) {
        self.leases_deaf_until = Instant::now() + DEAF;
    }

    /// A process takes part in another generation.
    pub fn moved(&mut self) {
        self.moved = Instant::now();
    }

    /// Notes what the processes can do now.
    pub fn note(&mut self, processes: &BTreeMap<u32, Ability>) {
        let now = Instant::now();
        self.isolated.retain(|ordinal, _| processes.contains_key(ordinal));
        let impaired = processes.values().any(|process| !process.runs || !process.reads_api);
        let deaf = now < self.leases_deaf_until;
        if deaf && impaired {
            self.deafen_leases();
        }
        // Connected members hear the news from the one that wrote it.
        let has_news = |process: &Ability| process.reads_api && (!deaf || process.hears_all());
        for (ordinal, process) in processes.iter().filter(|(_, process)| !has_news(process)) {
            if !process.hears_all() {
                // Others may dismiss it. It hides its ranges when it learns that, and they have to load them.
                self.gap(RECONNECTION + TAKEOVER);
            }
            let at = self.millis(now);
            let isolation = self.isolated.entry(*ordinal).or_default();
            if process.is_confirmed_by_members() {
                isolation.confirmed_last = at;
            }
            let hears = |other: &u32| processes.get(other).is_some_and(|other| other.runs && has_news(other));
            if process.runs && process.links.iter().any(|(other, linked)| *linked && hears(other)) {
                continue;
            }
            let since = isolation.deaf_since.filter(|_| !isolation.is_informed(at)).unwrap_or(at);
            (isolation.deaf_since, isolation.deaf_last) = (Some(since), at);
            let refuses = self.on_lost_quorum == OnLostQuorum::Refuse && at + bounds::RENEWAL >= since + bounds::LEASE;
            if refuses && !process.hears_all() {
                self.gap(RECOVERY + LEASE_EXPIRY);
            }
        }
        if impaired {
            self.old_until = self.old_until.max(now + RETRY);
            if self.gaps_until > now {
                // Until then nobody recovers from a crash, and nobody can load.
                self.gap(RECOVERY + LEASE_EXPIRY);
            }
        }
        if now >= self.old_until {
            self.known = now - NEWS;
        }
    }

    /// What happened until then must show in scrapes.
    pub fn known(&self) -> Instant {
        self.known
    }

    /// Returns whether processes may serve an object together.
    pub fn may_double(&self, by: &[u32]) -> bool {
        let isolation = |ordinal: &u32| self.isolated.get(ordinal).copied().unwrap_or_default();
        bounds::may_double(self.on_lost_quorum, self.millis(Instant::now()), by.iter().map(isolation))
    }

    fn millis(&self, at: Instant) -> u64 {
        (at - self.start).as_millis() as u64
    }

    /// Returns for how long objects may be missing; `None` without a limit for now.
    pub fn missing(&self) -> Option<Duration> {
        (Instant::now() >= self.gaps_until).then_some(SWITCH)
    }

    /// Returns for how long objects may be served twice by replicas that hear the news; `None` without a limit for now. If another
    /// handover follows within the overlap, the overlap begins again.
    pub fn doubled(&self) -> Option<Duration> {
        let limit = SWITCH + self.overlap;
        let overlaps = !self.overlap.is_zero() && self.moved.elapsed() <= limit;
        (!overlaps).then_some(limit)
    }
}

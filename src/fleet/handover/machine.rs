//! The state machine of a member: it turns events into facts, and facts into decisions.
//!
//! May not know where events come from, nor who carries decisions out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::capacity::Capacity;
use super::cause::Cause;
use super::confirmation::Wakefulness;
use super::contest::{Contest, Verdict};
use super::coordinator::{CoordinatorMemory, Proposal, RecordChange};
use super::facts::{Facts, StatefulSet, UnreadableRecord};
use super::interface::{Config, Decision, Event, Notice, Plan, Stamps, Topic};
use super::load::{DesiredSlice, Overlap};
use super::participation::Participation;
use super::peers::{Evidence, Liveness, Peer};
use super::seamless::{self, HeldBack};
use super::statement::{first_statement, prepared_generation, serves_completely, statement};
use super::status::{Change, HandoverState, ScrapeOutcome, Status};
use super::timing::{LEASE_DURATION, Now, Pace, RENEW_PERIOD, millis};
use crate::fleet::instructions::{AVOID, EXCLUDE, Instructions, PAUSE};
use crate::fleet::record::{
    Assignment, Heartbeat, Incarnation, Member, Next, PROGRAM, Phase, RECORD_VERSION, Record, successor,
};
use crate::settings::OnLostQuorum;
use crate::sharding::{MOST_SHARDS, Slice};
use crate::shown;

/// The longest time between two decisions.
const TICK: Duration = Duration::from_millis(250);
/// Each member that has precedence in an election delays this member's claim of a vacant coordinator role by this much.
const ELECTION_STAGGER: Duration = Duration::from_secs(1);

/// The most dismissed members that a message names.
const MOST_NAMED: usize = 8;

/// How long a member blocks a change before that is announced.
const BLOCKED_FOR: Duration = Duration::from_secs(120);

/// The state machine of one member.
#[derive(Clone, Debug)]
pub struct Machine {
    config: Config,
    facts: Facts,
    participation: Participation,
    /// The doubt whether another process runs in place of this one.
    contest: Option<Contest>,
    /// The process that does.
    outrun_by: Option<Incarnation>,
    /// The last earlier process that the own Lease named again.
    regressed_to: Option<Incarnation>,
    wakefulness: Wakefulness,
    desired: DesiredSlice,
    capacity: Capacity,
    overlap: Option<Overlap>,
    /// When (boot time) the API server had last confirmed what this member knew before the present event.
    confirmed_before: Option<Duration>,
    held_back: Option<HeldBack>,
    /// When this member first had its full share loaded (boot time). Changes of the share do not restart the crash backoff.
    full_share_since: Option<Duration>,
    coordinator: CoordinatorMemory,
    /// What this member would do as coordinator.
    proposal: Proposal,
    /// Since when the coordinator role is vacant (boot time).
    vacant_since: Option<Duration>,
    /// The recent changes of the coordinator.
    takeovers: Pace,
    /// The recent dismissals of members, by any coordinator.
    dismissals: Pace,
    /// What this member exposes until its next decision.
    published: Option<Plan>,
    history: History,
    notices: Vec<Notice>,
}

/// What only [`Status`] reports.
#[derive(Clone, Debug, Default)]
struct History {
    /// Since when the fleet differs from the StatefulSet's spec (boot time).
    pending_since: Option<Duration>,
    /// Number of changes of the current assignment.
    handovers: BTreeMap<Cause, u64>,
    /// With `--seamless-handover`: the number of planned handovers, by outcome.
    scrape_outcomes: BTreeMap<ScrapeOutcome, u64>,
    /// Since when (boot time) each ordinal blocks a change, and whether that was announced.
    blocked: BTreeMap<u32, (Duration, bool)>,
    last_handover_at: Option<Duration>,
    last_change: Option<Change>,
    /// Whether the last confirmation was too old at the last decision.
    isolated: bool,
    /// How long the last planned change took.
    last_planned: Option<Duration>,
}

impl Machine {
    /// Returns a member that has observed nothing.
    pub fn new(config: Config) -> Self {
        let own = first_statement(config.id.clone(), config.address.clone(), config.hash);
        let own = Member { key: config.key, ..own };
        Self {
            config,
            facts: Facts::new(own),
            participation: Participation::new(),
            contest: None,
            outrun_by: None,
            regressed_to: None,
            wakefulness: Wakefulness::default(),
            desired: DesiredSlice::new(Slice::none()),
            capacity: Capacity::default(),
            overlap: None,
            confirmed_before: None,
            held_back: None,
            full_share_since: None,
            coordinator: CoordinatorMemory::default(),
            proposal: Proposal::default(),
            vacant_since: None,
            takeovers: Pace::default(),
            dismissals: Pace::default(),
            published: None,
            history: History::default(),
            notices: Vec::new(),
        }
    }

    /// Notes an event.
    pub fn handle(&mut self, event: Event, now: Now) {
        self.confirmed_before = self.facts.last_confirmed();
        self.note_clock(now);
        self.switch_if_due(now);
        match event {
            Event::Tick => {}
            Event::StatefulSet(set) => self.on_statefulset(set),
            Event::Instructions(instructions) => self.on_instructions(instructions),
            Event::Listed => self.on_listed(),
            Event::Lease(member) => {
                self.on_statement(member, Evidence::Lease, now);
                self.facts.update_switch_time();
            }
            Event::Record(record) => {
                // It may have been restored. If the record of another member overtook the watch, a write over this one fails.
                let is_old = self.facts.record().is_some_and(|known| record.revision < known.revision);
                self.note_lost_record(is_old, "is older than the known one");
                self.facts.unreadable_record = None;
                self.on_record(record, now);
            }
            Event::NoRecord => {
                self.note_lost_record(true, "is missing");
                self.facts.unreadable_record = None;
            }
            Event::DamagedRecord => {
                self.note_lost_record(true, "is damaged");
                self.facts.unreadable_record = None;
            }
            Event::LeaseRead(holder, sent) => self.on_lease_read(holder, sent, now),
            Event::UnreadableRecord(error) => {
                self.facts.record_is_lost = false;
                self.facts.unreadable_record = Some(UnreadableRecord { error, until: None });
            }
            Event::LeaseGone(ordinal) => self.facts.forget_if_over(ordinal, now),
            Event::LeaseConfirmed(written_at) => {
                let before = self.facts.confirmed_at;
                if before.is_some_and(|before| written_at.saturating_sub(before) > LEASE_DURATION) {
                    self.facts.peers.reset_leases(now);
                }
                self.facts.confirmed_at = before.max(Some(written_at));
            }
            // A later process has its ordinal, whose Lease this member may not have read.
            Event::HeartbeatAnswered(heartbeat, _) | Event::HeartbeatReceived(heartbeat)
                if self
                    .facts
                    .current()
                    .is_some_and(|it| it.life(heartbeat.member.id.ordinal) > heartbeat.member.life) => {}
            Event::HeartbeatAnswered(heartbeat, sent_at) => {
                self.on_statement(heartbeat.member.clone(), Evidence::Answer(sent_at), now);
                self.facts.peers.observe_answer(&heartbeat, sent_at, now);
                self.facts.peers.observe_unheard(&heartbeat);
                self.facts.update_switch_time();
                self.on_heartbeat_record(heartbeat, now);
            }
            Event::HeartbeatReceived(heartbeat) => {
                self.on_statement(heartbeat.member.clone(), Evidence::Heartbeat, now);
                self.facts.peers.observe_unheard(&heartbeat);
                self.on_heartbeat_record(heartbeat, now);
            }
            Event::ConnectionLost(id) => self.facts.peers.suspect(&id, now),
            Event::Pods(pods) => self.facts.ready_pods.extend(pods),
            Event::Loaded(slice) => self.facts.loaded = slice,
            Event::Memory(memory) => self.capacity.note(memory, &self.facts.loaded, self.desired.slice()),
            Event::ScrapeWait(wait) => self.facts.scrape_wait = Some(wait).filter(|_| self.config.seamless),
            Event::Stamped(generation) => self.facts.stamped = Some(generation),
            Event::Leave => {
                if !self.participation.is_leaving() {
                    self.notify(false, "terminating: serving until the other members take over");
                }
                self.participation.leave();
            }
        }
    }

    /// Returns the messages for the log since the last call.
    pub fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Returns what to do now.
    pub fn decide(&mut self, now: Now) -> Decision {
        self.advance(now);
        let switch = self.facts.scheduled_switch().map(|(due, _)| due.max(now.boot));
        let answer = self.facts.peers.next_answer_due(now);
        let wake_at = [switch, answer].into_iter().flatten().fold(now.boot + TICK, Duration::min);
        let until = self.wakefulness.valid_until(&self.facts, self.config.on_lost_quorum, now);
        let plan = Plan { steps: self.plan(now), until };
        self.published = Some(plan.clone());
        Decision {
            desired: self.desired.slice().clone(),
            plan,
            stamps: self.stamps(now),
            held_back: self.held_back.as_ref().map_or_else(Slice::none, |held_back| held_back.slice.clone()),
            member: self.facts.own.clone(),
            write: self.record_to_write(now),
            ready: self.is_ready(now),
            leases_to_delete: self.leases_to_delete(now),
            released: self.is_released(now),
            wake_at,
            verify: self.contest.is_some(),
            outrun_by: self.outrun_by.clone(),
            pods_to_check: self.proposal.pods_to_check.clone(),
        }
    }

    /// Returns the heartbeat for the peers.
    pub fn heartbeat(&self, now: Now) -> Heartbeat {
        let record = self.facts.record();
        Heartbeat {
            fleet: self.config.fleet.clone(),
            member: self.facts.own.clone(),
            record: record.cloned(),
            unreadable: None,
            confirmed_age: self.facts.last_confirmed().map(|at| millis(now.since(at))),
            now: millis(now.boot),
            ahead: record.and_then(|record| self.facts.clock_offset(&record.coordinator)),
            unheard: self.facts.peers.unheard(now).cloned().collect(),
            measured: BTreeMap::new(),
        }
    }

    /// Returns the fleet as this member sees it.
    pub fn status(&self, now: Now) -> Status {
        let facts = &self.facts;
        let assignment = facts.current();
        let handover = match facts.next() {
            Some(next) if next.switch.is_some() => HandoverState::Switching,
            Some(next) if next.stamp_wait.is_some() => HandoverState::Stamping,
            Some(_) => HandoverState::Preparing,
            None if self.history.pending_since.is_some() => HandoverState::Waiting,
            None => HandoverState::Idle,
        };
        Status {
            generation: assignment.map_or(0, |assignment| assignment.generation),
            total: assignment.map_or(0, |assignment| assignment.total),
            hash: assignment.map_or(self.config.hash, |assignment| assignment.hash),
            owned: assignment.map_or_else(Slice::none, |assignment| facts.owned(assignment)),
            present: assignment.map_or(0, |assignment| assignment.present().count() as u32),
            absent: assignment.map_or_else(Vec::new, |assignment| assignment.absent.clone()),
            untaken: assignment.map_or_else(Vec::new, |assignment| assignment.untaken.iter().copied().collect()),
            replicas: facts.wanted_replicas(),
            instructions: facts.instructions.clone(),
            coordinator: facts.is_coordinator(),
            handover,
            pending: self.history.pending_since.map(|since| now.since(since)),
            waiting_for: self.proposal.waiting_for.clone(),
            unscraped: if handover == HandoverState::Stamping { seamless::unscraped(facts, now) } else { Vec::new() },
            scrape_outcomes: self.config.seamless.then(|| self.history.scrape_outcomes.clone()),
            blocked_for: self.history.blocked.iter().map(|(ordinal, (at, _))| (*ordinal, now.since(*at))).collect(),
            peers: facts.live_peers(now).map(|peer| peer.member.clone()).collect(),
            contacts: facts.contacts(now).cloned().collect(),
            answering: facts.live_peers(now).filter(|peer| peer.is_answering(now)).count() as u32,
            confirmed_age: facts.last_confirmed().map(|at| now.since(at)),
            isolated: self.is_isolated(now),
            refuses: self.is_isolated(now) && self.config.on_lost_quorum == OnLostQuorum::Refuse,
            awaits_news: self.wakefulness.awaits_news(now),
            handovers: self.history.handovers.clone(),
            since_handover: self.history.last_handover_at.map(|at| now.since(at)),
            change: self.history.last_change.clone(),
            loaded: serves_completely(facts, &self.participation),
            leaving: self.participation.is_leaving(),
            superseded: self.participation.is_contested() || self.outrun_by.is_some(),
            unreadable_record: facts.unreadable_record.as_ref().map(|unreadable| unreadable.error.to_string()),
            last_handover: self.history.last_planned,
        }
    }

    /// Returns this member's newest statement.
    #[cfg(test)]
    pub(super) const fn own_member(&self) -> &Member {
        &self.facts.own
    }

    /// Sets whether the process runs in the Pod that the API server has.
    #[cfg(test)]
    pub(super) const fn set_owns_pod(&mut self, owns_pod: Option<bool>) {
        self.config.owns_pod = owns_pod;
    }

    /// Sets `--on-lost-quorum`.
    #[cfg(test)]
    pub(super) const fn choose(&mut self, on_lost_quorum: OnLostQuorum) {
        self.config.on_lost_quorum = on_lost_quorum;
    }

    /// Sets `--seamless-handover`.
    #[cfg(test)]
    pub(super) const fn set_seamless(&mut self, seamless: bool) {
        self.config.seamless = seamless;
    }

    /// Returns the record that this member follows.
    #[cfg(test)]
    pub(super) fn known_record(&self) -> Option<&Record> {
        self.facts.record()
    }

    fn notify(&mut self, warning: bool, text: impl Into<String>) {
        self.notices.push(Notice { warning, text: text.into(), topic: None });
    }

    /// As [`Self::notify`], of what operators should see without the log.
    fn announce(&mut self, topic: Topic, text: impl Into<String>) {
        self.notices.push(Notice { warning: topic.is_warning(), text: text.into(), topic: Some(topic) });
    }
}

/// Events.
impl Machine {
    fn on_statefulset(&mut self, set: Option<(String, u32)>) {
        let set = set.map(|(uid, replicas)| {
            if replicas > MOST_SHARDS {
                let text =
                    format!("StatefulSet has {replicas} replicas, but a fleet has at most {MOST_SHARDS} members");
                self.announce(Topic::TooManyReplicas, text);
            }
            StatefulSet { uid, replicas: replicas.min(MOST_SHARDS) }
        });
        match (&self.facts.statefulset, &set) {
            (Some(before), Some(after)) if before.uid != after.uid => {
                self.notify(true, "StatefulSet was recreated; its Pods continue as the same fleet");
            }
            (Some(before), Some(after)) if before.replicas != after.replicas => {
                let text = format!("StatefulSet scaled from {} to {} replicas", before.replicas, after.replicas);
                self.notify(false, text);
            }
            (Some(_), None) => self.notify(true, "StatefulSet was deleted; the fleet keeps its size"),
            _ => {}
        }
        self.facts.statefulset_exists = set.is_some();
        // Pods whose StatefulSet was deleted without them are still a fleet.
        if set.is_some() {
            self.facts.statefulset = set;
        }
    }

    fn on_instructions(&mut self, instructions: Instructions) {
        let before = std::mem::replace(&mut self.facts.instructions, instructions);
        let after = &self.facts.instructions;
        let mut changes = Vec::new();
        if before.paused != after.paused {
            let (topic, text) = match after.paused {
                true => (Topic::HandoversPaused, "handovers are paused"),
                false => (Topic::HandoversResumed, "handovers are no longer paused"),
            };
            changes.push((topic, format!("{text} (annotation {PAUSE})")));
        }
        for (name, before, after) in
            [(EXCLUDE, &before.excluded, &after.excluded), (AVOID, &before.avoided, &after.avoided)]
        {
            if before != after {
                changes.push((Topic::InstructionsChanged, format!("annotation {name}: {after:?}")));
            }
        }
        let new = |problem: &&String| !before.problems.contains(problem);
        let ignored = |problem| (Topic::InstructionIgnored, format!("StatefulSet: {problem}"));
        changes.extend(after.problems.iter().filter(new).map(ignored));
        for (topic, text) in changes {
            self.announce(topic, text);
        }
    }

    fn on_statement(&mut self, member: Member, evidence: Evidence, now: Now) {
        self.facts.refute(&member.suspects);
        if member.id.ordinal != self.facts.ordinal() {
            self.facts.peers.observe(member, evidence, now);
        } else if evidence == Evidence::Lease {
            match member.id == self.config.id {
                true => {
                    // Another wrote it, to declare this process gone (`forget`). It says otherwise, with a newer number.
                    if member.sequence > self.facts.own.sequence {
                        self.facts.own.sequence = successor(member.sequence);
                    }
                    self.facts.peers.observe_stored(&member.suspects, now);
                }
                false => self.on_other_holder(member, now),
            }
        }
    }

    fn on_listed(&mut self) {
        self.facts.leases_listed = true;
        // The record may name a process whose Lease was deleted or restored.
        let ordinal = self.facts.ordinal();
        let named = self.facts.record().map_or(0, |record| {
            let next = record.next.as_ref().map_or(0, |next| next.view.life(ordinal));
            record.current.life(ordinal).max(next)
        });
        if self.facts.confirmed_at.is_none() {
            self.facts.own.life = self.facts.own.life.max(successor(named));
        }
    }

    fn note_lost_record(&mut self, lost: bool, how: &str) {
        if lost && !self.facts.record_is_lost && self.facts.is_coordinator() {
            let text = format!("the record of the fleet in its Lease {how}: writing it again");
            self.announce(Topic::RecordRewritten, text);
        }
        self.facts.record_is_lost = lost;
    }

    /// The Lease of this member describes another process: a predecessor until this process has written the Lease itself. From
    /// then on, one with a lower life is an old state of the Lease, over which it is written again, and one with a higher life
    /// may be a successor.
    fn on_other_holder(&mut self, other: Member, now: Now) {
        if let Some(contest) = &mut self.contest {
            contest.note(other.life);
        } else if self.facts.confirmed_at.is_none() && (self.may_replace(&other) || other.phase == Phase::Left) {
            if self.facts.observe_predecessor(other, now) {
                self.notify(true, "the previous process of this Pod did not shut down cleanly");
            }
        } else if self.facts.confirmed_at.is_some() && other.life < self.facts.own.life {
            if self.regressed_to.as_ref() != Some(&other.id) {
                let text = format!("the Lease of this member names an earlier process, {}: writing it again", other.id);
                self.notify(true, text);
                self.regressed_to = Some(other.id);
            }
        } else {
            self.start_contest(other.life, &format!("its Lease names process {}", other.id));
        }
    }

    /// Whether this process may take the Lease of a process over that may run. One that does not know whether the API server has
    /// its Pod takes it over from a process at its own address alone: that one has ended.
    fn may_replace(&self, other: &Member) -> bool {
        self.config.owns_pod.unwrap_or_else(|| other.address == self.config.address)
    }

    fn start_contest(&mut self, life: u64, why: &str) {
        self.contest = Some(Contest::new(life));
        self.participation.contest();
        let text =
            format!("another process may run as this member: exposing nothing until the API server tells; {why}");
        self.announce(Topic::Superseded, text);
    }

    /// The API server tells who holds the Lease of this member.
    fn on_lease_read(&mut self, holder: Option<Member>, sent: Duration, now: Now) {
        let Some(contest) = &mut self.contest else { return };
        let (verdict, life) = (contest.observe(holder, sent, &self.facts.own), contest.life());
        match verdict {
            Verdict::Open => {}
            Verdict::Lost(id) => {
                self.announce(Topic::Superseded, format!("process {id} runs as this member: ending"));
                self.outrun_by = Some(id);
            }
            Verdict::Free(last) => {
                self.contest = None;
                if let Some(last) = last {
                    self.facts.observe_predecessor(*last, now);
                }
                self.facts.own.life = self.facts.own.life.max(successor(life));
                self.facts.rival_until = Some(now.boot + LEASE_DURATION);
                self.full_share_since = None;
                self.participation.rejoin();
                self.announce(Topic::Rejoining, "no other process runs as this member: rejoining");
            }
        }
    }

    /// Whether the record means a later process than this one.
    fn note_later_life(&mut self) {
        let facts = &self.facts;
        let Some(record) = facts.record().filter(|_| facts.leases_listed && self.contest.is_none()) else { return };
        let next = record.next.as_ref().map_or(0, |next| next.view.life(facts.ordinal()));
        let named = record.current.life(facts.ordinal()).max(next);
        if named > facts.own.life {
            self.start_contest(named, "the record means a later process");
        }
    }

    /// Follows the record of a peer. The peer must be a member by its Lease.
    fn on_heartbeat_record(&mut self, heartbeat: Heartbeat, now: Now) {
        let sender = &heartbeat.member.id;
        if self.facts.peers.get(sender.ordinal).is_none_or(|peer| peer.member.id != *sender) {
            return;
        }
        if let Some(record) = heartbeat.record {
            self.on_record(record, now);
        }
        // What the Lease says outlasts what a peer says.
        let by_lease = self.facts.unreadable_record.as_ref().is_some_and(|unreadable| unreadable.until.is_none());
        if let Some(error) = heartbeat.unreadable.filter(|_| !by_lease) {
            let until = Some(now.boot + LEASE_DURATION);
            self.facts.unreadable_record = Some(UnreadableRecord { error, until });
        }
    }

    /// Follows a record if it is newer than the known one.
    fn on_record(&mut self, record: Record, now: Now) {
        let known = self.facts.record().map_or(0, |known| known.revision);
        if record.revision <= known {
            return;
        }
        let exposed = self.participation.exposed(&self.facts);
        if let Some(next) = &record.next {
            let generation = next.view.generation;
            self.notify(
                false,
                match next.switch {
                    Some(_) => format!("scheduled the switch to generation {generation}"),
                    None if let Some(wait) = next.stamp_wait => format!(
                        "prepared generation {generation}: moving series have a timestamp for {:.0} s, until every scraper has come",
                        f64::from(wait) / 1000.0
                    ),
                    None => format!("preparing generation {generation}: {}", describe(&next.view)),
                },
            );
        }
        if let Some(before) = self.facts.record() {
            if before.coordinator != record.coordinator {
                self.takeovers.note(now);
            }
            if dismisses(&before.current, &record.current) {
                self.dismissals.note(now);
            }
        }
        let before = self.facts.current().cloned();
        let planned = self.facts.scheduled_switch().is_some_and(|(_, it)| it.generation == record.current.generation);
        let outcome = self.scrape_outcome(now).filter(|_| planned);
        if self.facts.follow(record, now) {
            self.note_outcome(outcome);
            self.enter(before.as_ref(), planned, &exposed, now);
        }
    }

    /// Makes the next assignment the current one if its switch is due.
    fn switch_if_due(&mut self, now: Now) {
        if self.facts.scheduled_switch().is_some_and(|(due, _)| due <= now.boot) {
            let exposed = self.participation.exposed(&self.facts);
            let before = self.facts.current().cloned();
            let outcome = self.scrape_outcome(now);
            self.note_outcome(outcome);
            self.history.last_planned = self.facts.complete_switch().map(|since| now.since(since));
            self.enter(before.as_ref(), true, &exposed, now);
        }
    }

    /// Returns whether Prometheus can notice the planned handover, if it takes place now, and the members whose scrapers are missing.
    fn scrape_outcome(&self, now: Now) -> Option<(ScrapeOutcome, Vec<u32>)> {
        self.config.seamless.then(|| seamless::outcome(&self.facts, now))
    }

    fn note_outcome(&mut self, outcome: Option<(ScrapeOutcome, Vec<u32>)>) {
        let Some((outcome, unscraped)) = outcome else { return };
        *self.history.scrape_outcomes.entry(outcome).or_default() += 1;
        if outcome == ScrapeOutcome::TimedOut {
            let text = format!(
                "a scraper of members {unscraped:?} did not come before the switch: its series may have a gap; the log of these \
                 members names it"
            );
            self.notify(true, text);
        }
    }

    /// Returns the part of `exposed` that this process has exposed up to now. After a pause that is nothing: others may expose
    /// those ranges by now.
    fn still_exposed(&self, exposed: &Slice, now: Now) -> Slice {
        match self.published.as_ref().and_then(|plan| plan.at(now.boot)) {
            Some(_) => exposed.clone(),
            None => Slice::none(),
        }
    }

    /// Takes part in an assignment that has just become the current one, `before` before, by a `planned` switch or at once. Until
    /// now, this member exposed `exposed`.
    fn enter(&mut self, before: Option<&Assignment>, planned: bool, exposed: &Slice, now: Now) {
        let Some(assignment) = self.facts.current().cloned() else { return };
        let lost = self.still_exposed(exposed, now).minus(&self.facts.owned(&assignment));
        // Without a plan, others may have taken them as soon as this member stopped hearing news.
        let since = if planned { now.boot } else { self.confirmed_before.unwrap_or_default() };
        let overlap = Overlap { slice: lost, until: since + self.config.overlap };
        if !overlap.slice.is_empty() && !overlap.is_over(now.boot) {
            self.overlap = Some(overlap);
        }
        self.participation.enter(&assignment, &self.facts, now);
        let cause = Cause::of(before, &assignment, planned);
        *self.history.handovers.entry(cause).or_default() += 1;
        self.history.last_handover_at = Some(now.boot);
        let lost = before.filter(|_| cause == Cause::Dismissal).and_then(|before| self.facts.lost(before, &assignment));
        self.history.last_change = Some(Change { generation: assignment.generation, cause, lost });
        let took = self.history.last_planned.filter(|_| planned);
        let took = took.map_or_else(String::new, |took| format!(", after {:.1} s", took.as_secs_f64()));
        let (generation, what) = (assignment.generation, describe(&assignment));
        let was = before
            .map_or_else(String::new, |before| format!(", before: {} of {}", before.present().count(), before.total));
        let text = format!("generation {generation} is current: {what} (cause: {}{took}{was})", cause.name());
        self.announce(Topic::HandoverCompleted, text);
        if cause == Cause::Dismissal && self.facts.is_coordinator() {
            self.announce_dismissed(before, &assignment, now);
        }
        if !assignment.untaken.is_empty() {
            let text = format!(
                "no member has room for the ranges of members {:?}: their objects are missing until these members return \
                 or others get more memory",
                assignment.untaken
            );
            self.announce(Topic::RangesUntaken, text);
        }
    }

    /// Announces the members that this coordinator has dismissed, and why.
    fn announce_dismissed(&mut self, before: Option<&Assignment>, after: &Assignment, now: Now) {
        let served = |ordinal: &&u32| before.is_some_and(|before| before.has(**ordinal));
        let dismissed: Vec<_> = after.absent.iter().filter(served).collect();
        let why = |ordinal: &&u32| format!("{ordinal}: {}", self.why_gone(**ordinal, now));
        let named = shown::few(&dismissed, MOST_NAMED, "; ", why);
        let text = format!("dismissed members that do not run any more, others take their objects; {named}");
        self.announce(Topic::MemberDismissed, text);
    }

    /// Returns why another member does not count as running, in a few words.
    fn why_gone(&self, ordinal: u32, now: Now) -> &'static str {
        let (facts, peers) = (&self.facts, &self.facts.peers);
        match peers.get(ordinal) {
            None => "it never started",
            Some(peer) if peer.member.phase == Phase::Left => "it has left, or was declared gone",
            Some(peer) if peers.is_lost_to_all(peer, now) => "its connections broke, and it did not answer",
            Some(peer) if peer.lease_has_expired(facts.confirmed_at) => "its Lease has expired",
            Some(peer) if peer.member.joined.is_none() => "its process was replaced",
            Some(_) => "it does not serve",
        }
    }
}

/// Conclusions.
impl Machine {
    /// Notes that the process reads its clock. One that was paused asks the API server and its peers for news at once: a new
    /// statement goes to both.
    fn note_clock(&mut self, now: Now) {
        if self.wakefulness.note(now) {
            self.facts.own.sequence = successor(self.facts.own.sequence);
        }
    }

    /// Notes whether the last confirmation is too old. Before the first one there is nothing to lose.
    fn note_isolation(&mut self, now: Now) {
        let had_confirmation = self.facts.last_confirmed().is_some();
        let is_isolated = had_confirmation && self.is_isolated(now) && self.participation.is_serving();
        if is_isolated == self.history.isolated {
            return;
        }
        self.history.isolated = is_isolated;
        let text = match (is_isolated, self.config.on_lost_quorum) {
            (false, _) => "the assignment is confirmed again",
            (true, OnLostQuorum::Serve) => {
                "neither the API server nor all members have confirmed the assignment for 15 s: serving the own objects, which \
                 others may serve too (--on-lost-quorum=serve)"
            }
            (true, OnLostQuorum::Refuse) => {
                "neither the API server nor all members have confirmed the assignment for 15 s: serving nothing \
                 (--on-lost-quorum=refuse)"
            }
        };
        self.announce(if is_isolated { Topic::QuorumLost } else { Topic::QuorumRegained }, text);
    }

    fn is_isolated(&self, now: Now) -> bool {
        self.facts.valid_until(now).is_some_and(|until| now.boot >= until)
    }

    /// Draws all conclusions from the facts.
    fn advance(&mut self, now: Now) {
        self.note_clock(now);
        self.switch_if_due(now);
        self.wakefulness.confirm(&self.facts, now);
        self.note_isolation(now);
        self.note_later_life();
        self.facts.unreadable_record.take_if(|unreadable| unreadable.until.is_some_and(|until| until <= now.boot));
        self.participation.start_if_allowed(&self.facts, now);
        self.update_desired(now);
        self.held_back = HeldBack::after(self.held_back.take(), &self.facts, now);
        self.update_statement(now);
        self.update_proposal(now);
    }

    fn update_desired(&mut self, now: Now) {
        if self.overlap.as_ref().is_some_and(|overlap| overlap.is_over(now.boot)) {
            self.overlap = None;
        }
        let mut wanted = self.share_to_load();
        if let Some(overlap) = &self.overlap {
            wanted = wanted.union(&overlap.slice);
        }
        self.desired.update(wanted, now.boot);
    }

    /// Returns the share of the current and the next assignment, or the full share before this member serves.
    fn share_to_load(&self) -> Slice {
        let facts = &self.facts;
        let serving = self.participation.is_serving();
        if self.participation.is_leaving() && !serving && !facts.is_about_to_serve() {
            return Slice::none();
        }
        let next = facts.next().map_or_else(Slice::none, |next| facts.owned(&next.view));
        let current = facts
            .current()
            .filter(|_| serving)
            .map_or_else(|| facts.full_share(), |assignment| facts.owned(assignment));
        current.union(&next)
    }

    fn update_statement(&mut self, now: Now) {
        if serves_completely(&self.facts, &self.participation) {
            self.participation.note_ready();
        }
        if let Some(generation) = prepared_generation(&self.facts, &self.participation) {
            self.participation.note_prepared(generation);
        }
        if self.facts.has_full_share() {
            self.full_share_since.get_or_insert(now.boot);
        }
        let capacity = self.capacity.units(self.desired.slice());
        self.facts.own = statement(&self.facts, &self.participation, capacity, self.full_share_since, now);
    }

    /// Works out what this member would do as coordinator. Every member does so, for its status and to be able to take over.
    fn update_proposal(&mut self, now: Now) {
        let before = std::mem::take(&mut self.proposal.no_room);
        self.proposal = self.coordinator.propose(&self.facts, now);
        let no_room = &self.proposal.no_room;
        if *no_room != before && !no_room.is_empty() {
            let text = format!(
                "members {no_room:?} are to go, and no member has room for their ranges: they serve until they are ended; give the \
                 other members more memory, or scale up"
            );
            self.announce(Topic::NoRoom, text);
        }
        self.note_blocked(now);
        keep_since(&mut self.history.pending_since, !self.proposal.settled, now);
        keep_since(&mut self.vacant_since, !self.facts.has_coordinator(now), now);
    }

    /// Notes since when each member blocks a change, and announces those that do so for long.
    fn note_blocked(&mut self, now: Now) {
        let waiting_for = &self.proposal.waiting_for;
        let blocked = &mut self.history.blocked;
        blocked.retain(|ordinal, _| waiting_for.contains(ordinal));
        for ordinal in waiting_for {
            blocked.entry(*ordinal).or_insert((now.boot, false));
        }
        if !self.facts.is_coordinator() {
            return;
        }
        let mut late = Vec::new();
        for (ordinal, (since, announced)) in &mut self.history.blocked {
            if !*announced && now.since(*since) >= BLOCKED_FOR {
                *announced = true;
                late.push(*ordinal);
            }
        }
        if late.is_empty() {
            return;
        }
        let seconds = BLOCKED_FOR.as_secs();
        let text = match self.facts.next() {
            Some(next) => format!(
                "members {late:?} have blocked the handover to generation {} for {seconds} s: they have not loaded their new \
                 objects, or do not confirm the record",
                next.view.generation
            ),
            None => format!("the fleet has waited for members {late:?} for {seconds} s: others serve their objects"),
        };
        self.announce(Topic::HandoverBlocked, text);
    }

    /// Returns which exposed series have a timestamp.
    fn stamps(&self, now: Now) -> Option<Stamps> {
        let exposed = self.participation.exposed(&self.facts);
        seamless::stamps(&self.facts, &exposed, now).filter(|_| self.config.seamless)
    }

    /// Returns what to expose from now on, from each moment to the next (boot time).
    fn plan(&self, now: Now) -> Vec<(Duration, Slice)> {
        let exposed = self.participation.exposed(&self.facts);
        let mut steps = vec![(now.boot, exposed.clone())];
        if let Some(overlap) = &self.overlap {
            if !self.participation.is_contested() {
                steps[0].1 = exposed.union(&overlap.slice);
            }
            steps.push((overlap.until, exposed.clone()));
        }
        if let Some((due, assignment)) = self.facts.scheduled_switch() {
            let may_serve = self.participation.may_serve(assignment, &self.facts, now);
            let then = if may_serve { self.facts.owned(assignment) } else { Slice::none() };
            steps.retain(|(from, _)| *from < due);
            if self.config.overlap > Duration::ZERO {
                steps.push((due, then.union(&exposed)));
                steps.push((due + self.config.overlap, then));
            } else {
                steps.push((due, then));
            }
        }
        steps
    }

    /// Whether this member may change Leases of the fleet, because it knows their state.
    ///
    /// A record that cannot be read is not a missing one: a newer version wrote it, which must not be undone.
    fn may_write(&self, now: Now) -> bool {
        let facts = &self.facts;
        let is_confirmed = facts.confirmed_at.is_some_and(|at| now.since(at) <= RENEW_PERIOD * 2);
        is_confirmed && !self.participation.is_contested() && facts.unreadable_record.is_none()
    }

    /// Returns the record that this member writes now, as coordinator or to become it.
    fn record_to_write(&self, now: Now) -> Option<Record> {
        let facts = &self.facts;
        if !facts.leases_listed || !self.may_write(now) || facts.is_behind(now) {
            return None;
        }
        let may_make = |change: &&RecordChange| {
            self.dismissals.allows(now) || facts.current().is_none_or(|current| !dismisses(current, &change.current))
        };
        let change = self.proposal.change.as_ref().filter(may_make);
        let Some(record) = facts.record() else {
            // The first record of the fleet.
            return change.filter(|_| facts.record_is_lost).map(|change| self.changed_record(change));
        };
        if record.is_switching() {
            return None;
        }
        let unchanged = || {
            let (current, next) = (record.current.clone(), record.next.clone());
            let change = RecordChange { current, next, revisions: 1 };
            Record { coordinator: record.coordinator.clone(), ..self.changed_record(&change) }
        };
        let changed = change.map(|change| self.changed_record(change));
        if facts.is_coordinator() {
            return changed.or_else(|| facts.record_is_lost.then(unchanged));
        }
        let vacant_for = now.since(self.vacant_since?);
        if !self.takeovers.allows(now) || vacant_for < ELECTION_STAGGER * facts.election_rank(now) {
            return None;
        }
        changed.or_else(|| Some(Record { coordinator: self.config.id.clone(), ..unchanged() }))
    }

    fn changed_record(&self, change: &RecordChange) -> Record {
        let facts = &self.facts;
        let with_lives = |assignment: &Assignment| Assignment { lives: facts.lives(assignment), ..assignment.clone() };
        let next = change.next.as_ref().map(|next| Next { view: with_lives(&next.view), ..next.clone() });
        Record {
            version: RECORD_VERSION,
            program: PROGRAM.to_owned(),
            revision: facts.highest().saturating_add(change.revisions),
            coordinator: self.config.id.clone(),
            statefulset: facts.statefulset.as_ref().map(|set| set.uid.clone()).unwrap_or_default(),
            current: with_lives(&change.current),
            next,
        }
    }

    /// Whether this member serves its share of the current generation completely, and knows that the record says so.
    ///
    /// A member that owns nothing, although the StatefulSet has its ordinal, is not ready, whatever the reason.
    /// A new one is not ready before the API server or all other members have confirmed the record once: until then it exposes nothing.
    fn is_ready(&self, now: Now) -> bool {
        let facts = &self.facts;
        let is_unconfirmed = facts.last_confirmed().is_none() && self.is_isolated(now);
        let wanted = facts.wanted_replicas().is_some_and(|wanted| facts.ordinal() < wanted);
        let owns_nothing = facts.current().is_none_or(|assignment| facts.owned(assignment).is_empty());
        self.participation.is_ready()
            && !self.participation.is_contested()
            && facts.unreadable_record.is_none()
            && !is_unconfirmed
            && !(wanted && owns_nothing)
    }

    /// Returns the ordinals whose Leases are of no use any more: the StatefulSet does not have them, no assignment counts on them,
    /// and their holders are gone. Only the coordinator deletes, and only while it knows the StatefulSet.
    fn leases_to_delete(&self, now: Now) -> Vec<u32> {
        let facts = &self.facts;
        let Some(record) = facts.record().filter(|record| record.next.is_none()) else { return Vec::new() };
        let may_delete = facts.is_coordinator() && facts.statefulset_exists && self.may_write(now);
        let Some(wanted) = facts.wanted_replicas().filter(|_| may_delete) else { return Vec::new() };
        let first = wanted.max(record.current.total);
        let is_over = |peer: &&Peer| {
            peer.member.id.ordinal >= first
                && peer.lease_has_expired(facts.confirmed_at)
                && facts.liveness(peer, now) == Liveness::Dead
        };
        facts.peers.iter().filter(is_over).map(|peer| peer.member.id.ordinal).collect()
    }

    /// Whether this process was asked to terminate, and no other member depends on it.
    fn is_released(&self, now: Now) -> bool {
        if !self.participation.is_leaving() || self.overlap.as_ref().is_some_and(|overlap| !overlap.is_over(now.boot)) {
            return false;
        }
        let facts = &self.facts;
        let wanted = facts.wanted_replicas().unwrap_or(u32::MAX);
        let stays = |peer: &Peer| {
            facts.liveness(peer, now) != Liveness::Dead
                && peer.member.phase != Phase::Leaving
                && peer.member.id.ordinal < wanted
        };
        let serves = (self.participation.is_serving() || facts.is_about_to_serve()) && self.contest.is_none();
        !serves || !facts.peers.iter().any(stays)
    }
}

/// Whether `after`, the next current assignment, takes the ranges of a member away at once.
fn dismisses(before: &Assignment, after: &Assignment) -> bool {
    before.total == after.total && before.absent.len() < after.absent.len() && after.absent.starts_with(&before.absent)
}

/// Keeps since when (boot time) a condition holds.
fn keep_since(since: &mut Option<Duration>, holds: bool, now: Now) {
    if holds {
        since.get_or_insert(now.boot);
    } else {
        *since = None;
    }
}

/// Returns an assignment in a few words.
fn describe(assignment: &Assignment) -> String {
    let mut text = format!("{} of {} members serve their own share", assignment.present().count(), assignment.total);
    if !assignment.absent.is_empty() {
        text += &format!(", absent {:?}", assignment.absent);
    }
    text
}

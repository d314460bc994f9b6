//! A member: what it knows, what follows for itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::coordinate::{AssignmentCache, CoordinatorMemory, Proposal};
use super::members::{Evidence, Liveness, Members};
use super::{Config, Decision, Event, HandoverState, LEAD, LEASE, Notice, Now, Plan, RENEW, Status};
use crate::backoff::doubled;
use crate::fleet::record::{Heartbeat, Incarnation, LAYOUT, Member, Phase, Record, View};
use crate::sharding::{MOST_SHARDS, Slice};

/// What was held is kept for so long after it is no longer wanted: plans change, and loading is dear.
const RELEASE_DELAY: Duration = Duration::from_secs(10);
/// How long a member waits after its first crash before it may own ranges again; doubled for each further one.
const CRASH_BACKOFF: Duration = Duration::from_secs(30);
/// The longest wait.
const MAX_CRASH_BACKOFF: Duration = Duration::from_secs(600);
/// Crashes older than this, in seconds, are forgiven.
const CRASH_MEMORY: u64 = 3600;
/// How often a member looks at the clock when nothing happens.
const TICK: Duration = Duration::from_millis(250);
/// Who comes later in the order of ordinals leaves the vacant office to those before for so long each.
const ELECTION_STAGGER: Duration = Duration::from_secs(1);

/// The state machine of one member.
#[derive(Clone, Debug)]
pub struct Machine {
    config: Config,
    member: Member,
    members: Members,
    /// What the StatefulSet says: UID and replicas.
    statefulset: Option<(String, u32)>,
    /// All Leases were seen.
    listed: bool,
    /// The newest record, after a switch as that made it.
    record: Option<Record>,
    /// The API server has no record.
    no_record: bool,
    /// When we first heard of the record.
    heard: Duration,
    /// The last record that came was not followed.
    suspicious: bool,
    /// When the switch of the record is due, by our boot time, if it has one.
    due: Option<Duration>,
    /// When our knowledge was last confirmed by the API server itself.
    confirmed: Option<Duration>,
    /// The life of this ordinal before ours, as its Lease said.
    previous: Option<Member>,
    /// Until when that life may still be running.
    previous_until: Duration,
    /// Another life has taken our Lease: we must not expose anything any more.
    superseded: bool,
    /// We expose what the current view gives us.
    joined: bool,
    /// We once did, in a view since this generation.
    last_joined: Option<u64>,
    /// The generations that we have prepared, newest last.
    marked: Vec<u64>,
    loaded: Slice,
    /// Since when what we would own is loaded.
    loaded_since: Option<Duration>,
    /// We have been whole since we joined.
    ready: bool,
    held: Slice,
    /// Since when less is wanted than is held.
    surplus_since: Option<Duration>,
    /// What was ours before the last switch, until then.
    overlap: Option<(Slice, Duration)>,
    leaving: bool,
    pods: BTreeMap<u32, bool>,
    /// Memory of the coordinator's part, which every member keeps: anyone may have to take over.
    coordinator: CoordinatorMemory,
    assignments: AssignmentCache,
    /// Since when the office of coordinator is vacant.
    vacant: Option<Duration>,
    /// What the fleet should change, as far as we can see.
    proposal: Proposal,
    pending_since: Option<Duration>,
    next_since: Option<Duration>,
    handovers: u64,
    /// When the current view became that.
    entered: Option<Duration>,
    last_handover: Option<Duration>,
    notices: Vec<Notice>,
}

impl Machine {
    /// A member that knows nothing yet.
    pub fn new(config: Config) -> Self {
        let member = Member {
            id: config.id.clone(),
            address: config.address.clone(),
            renewed: None,
            life: 1,
            sequence: 0,
            phase: Phase::Starting,
            awaits: false,
            prepared: None,
            joined: None,
            follows: 0,
            hash: config.hash,
            layout: LAYOUT,
            headroom: None,
            crashes: Vec::new(),
        };
        Self {
            config,
            member,
            members: Members::default(),
            statefulset: None,
            listed: false,
            record: None,
            no_record: false,
            heard: Duration::ZERO,
            suspicious: false,
            due: None,
            confirmed: None,
            previous: None,
            previous_until: Duration::ZERO,
            superseded: false,
            joined: false,
            last_joined: None,
            marked: Vec::new(),
            loaded: Slice::none(),
            loaded_since: None,
            ready: false,
            held: Slice::none(),
            surplus_since: None,
            overlap: None,
            leaving: false,
            pods: BTreeMap::new(),
            coordinator: CoordinatorMemory::default(),
            assignments: AssignmentCache::default(),
            vacant: None,
            proposal: Proposal::default(),
            pending_since: None,
            next_since: None,
            handovers: 0,
            entered: None,
            last_handover: None,
            notices: Vec::new(),
        }
    }

    /// Takes note of an event.
    pub fn handle(&mut self, event: Event, now: Now) {
        self.switch_if_due(now);
        match event {
            Event::Tick => {}
            Event::StatefulSet(set) => self.see_statefulset(set),
            Event::Listed => self.listed = true,
            Event::Lease(member) => self.learn(member, Evidence::Lease, now),
            Event::Record(record) => {
                self.no_record = false;
                self.follow(record, now);
            }
            Event::NoRecord => self.no_record = true,
            Event::LeaseConfirmed(sent) => {
                if self.confirmed.is_some_and(|before| sent.saturating_sub(before) > LEASE) {
                    self.members.forgive(now);
                }
                self.confirmed = self.confirmed.max(Some(sent));
            }
            Event::HeartbeatAnswered(heartbeat, sent) => {
                self.learn(heartbeat.member.clone(), Evidence::Answer(sent), now);
                self.members.answered(&heartbeat, sent, now);
                if let Some(record) = self.record.as_ref().filter(|_| self.due.is_some()) {
                    self.due = self.due_of(record, now);
                }
                self.follow_heartbeat(heartbeat, now);
            }
            Event::HeartbeatReceived(heartbeat) => {
                self.learn(heartbeat.member.clone(), Evidence::Heartbeat, now);
                self.follow_heartbeat(heartbeat, now);
            }
            Event::ConnectionRefused(id) => self.members.refused(&id, now),
            Event::Pods(pods) => self.pods.extend(pods),
            Event::Loaded(slice) => self.loaded = slice,
            Event::Headroom(headroom) => self.member.headroom = headroom,
            Event::Leave => {
                if !self.leaving {
                    self.say(false, "told to end: serving on until the others have taken over");
                }
                self.leaving = true;
            }
        }
    }

    /// What is worth a log line since the last call.
    pub fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// What is to be done now.
    pub fn decide(&mut self, now: Now) -> Decision {
        self.advance(now);
        let own = self.own_now();
        let mut steps = vec![(now.boot, self.with_overlap(own.clone(), now.boot))];
        let mut wake = now.boot + TICK;
        if let Some((_, until)) = self.overlap.as_ref().filter(|(_, until)| *until > now.boot) {
            steps.push((*until, own.clone()));
        }
        if let Some((due, view)) = self.due_view() {
            let then = if self.may_join(view, now) { self.own(view) } else { Slice::none() };
            steps.retain(|(from, _)| *from < due);
            if self.config.overlap > Duration::ZERO {
                steps.push((due, then.union(&own)));
                steps.push((due + self.config.overlap, then));
            } else {
                steps.push((due, then));
            }
            wake = wake.min(due.max(now.boot));
        } else if let Some(next) = self.record.as_ref().and_then(|record| record.next.as_ref()) {
            // Who does not look at the clock again until then was paused, and may have slept through the switch.
            let then = now.boot + LEAD;
            steps.retain(|(from, _)| *from < then);
            steps.push((then, own.intersection(&self.own(&next.view))));
        }
        Decision {
            desired: self.held.clone(),
            plan: Plan { steps, until: self.until(now) },
            member: self.member.clone(),
            write: self.to_write(now),
            ready: self.ready,
            released: self.is_released(now),
            wake_at: wake,
            pods_to_check: self.proposal.unstarted.clone(),
        }
    }

    /// What we tell our peers.
    pub fn heartbeat(&self, now: Now) -> Heartbeat {
        Heartbeat {
            fleet: self.config.fleet.clone(),
            member: self.member.clone(),
            record: self.record.clone(),
            confirmed_age: self.last_confirmed().map(|at| now.boot.saturating_sub(at).as_millis() as u64),
            now: now.unix,
            ahead: self.record.as_ref().and_then(|record| self.clock_of(record.coordinator.ordinal)),
        }
    }

    /// What is known of the fleet.
    pub fn status(&self, now: Now) -> Status {
        let view = self.record.as_ref().map(|record| &record.current);
        let next = self.record.as_ref().and_then(|record| record.next.as_ref());
        let handover = match next {
            Some(next) if next.switch.is_some() => HandoverState::Switching,
            Some(_) => HandoverState::Preparing,
            None if self.pending_since.is_some() => HandoverState::Waiting,
            None => HandoverState::Idle,
        };
        let live = || self.members.iter().filter(|p| p.liveness(now, self.confirmed) == Liveness::Live);
        Status {
            generation: view.map_or(0, |view| view.generation),
            total: view.map_or(0, |view| view.total),
            hash: view.map_or(self.config.hash, |view| view.hash),
            owned: view.map_or_else(Slice::none, |view| self.own(view)),
            present: view.map_or(0, |view| view.present().count() as u32),
            absent: view.map_or_else(Vec::new, |view| view.absent.clone()),
            untaken: view.map_or_else(Vec::new, |view| view.untaken.iter().copied().collect()),
            replicas: self.wanted_replicas(),
            coordinator: self.is_coordinator(),
            handover,
            pending: self.pending_since.map(|since| now.boot.saturating_sub(since)),
            waiting_for: self.proposal.waiting_for.clone(),
            peers: live().map(|peer| peer.member.clone()).collect(),
            contacts: self
                .members
                .iter()
                .map(|peer| &peer.member)
                .filter(|member| member.phase != Phase::Left)
                .cloned()
                .collect(),
            answering: live().filter(|peer| peer.is_answering(now)).count() as u32,
            confirmed_age: self.last_confirmed().map(|at| now.boot.saturating_sub(at)),
            isolated: self.until(now).is_some_and(|until| now.boot >= until),
            handovers: self.handovers,
            since_handover: self.entered.map(|at| now.boot.saturating_sub(at)),
            leaving: self.leaving,
            last_handover: self.last_handover,
        }
    }

    fn ordinal(&self) -> u32 {
        self.config.id.ordinal
    }

    fn say(&mut self, warning: bool, text: impl Into<String>) {
        self.notices.push(Notice { warning, text: text.into() });
    }

    fn see_statefulset(&mut self, set: Option<(String, u32)>) {
        match (&self.statefulset, &set) {
            (Some((uid, _)), Some((other, _))) if uid != other => {
                self.say(true, "the StatefulSet was made anew; its pods go on as the same fleet");
            }
            (Some((_, before)), Some((_, after))) if before != after => {
                self.say(false, format!("the StatefulSet wants {after} replicas instead of {before}"));
            }
            (Some(_), None) => self.say(true, "the StatefulSet is gone: the fleet stays as it is"),
            _ => {}
        }
        // Orphaned pods are still a fleet.
        self.statefulset = set.or(self.statefulset.take());
    }

    fn learn(&mut self, member: Member, evidence: Evidence, now: Now) {
        if member.id.ordinal != self.ordinal() {
            self.members.learn(member, evidence, now);
        } else if member.id != self.config.id && evidence == Evidence::Lease {
            self.see_other_life(member, now);
        }
    }

    /// Our Lease is, or was, another's.
    fn see_other_life(&mut self, other: Member, now: Now) {
        if self.confirmed.is_some() {
            if !self.superseded && self.previous.as_ref().is_none_or(|previous| previous.id != other.id) {
                self.superseded = true;
                self.say(true, format!("another process has taken the place of this one: {}", other.id));
            }
            return;
        }
        let over =
            other.phase == Phase::Left || other.id.pod == self.config.id.pod || other.address == self.config.address;
        if !over {
            self.previous_until = now.boot + LEASE;
        }
        let seconds = now.unix / 1000;
        // A new pod begins anew: what happened to the one before it says nothing of this one.
        if other.id.pod == self.config.id.pod {
            self.member.crashes = other.crashes.clone();
            if other.phase != Phase::Left {
                self.member.crashes.push(seconds);
                self.say(true, "the process before this one did not end in order");
            }
        }
        self.member.crashes.retain(|at| seconds.abs_diff(*at) <= CRASH_MEMORY);
        // More than the crash_backoff can count is not worth remembering.
        let surplus = self.member.crashes.len().saturating_sub(8);
        self.member.crashes.drain(..surplus);
        self.previous = Some(other);
    }

    fn follow_heartbeat(&mut self, heartbeat: Heartbeat, now: Now) {
        if let Some(record) = heartbeat.record {
            self.follow(record, now);
        }
    }

    /// Takes over a record if it is newer than ours.
    fn follow(&mut self, record: Record, now: Now) {
        let known = self.record.as_ref().map_or(0, |known| known.revision);
        if record.revision <= known {
            return;
        }
        if !record.is_sane(known) {
            if !self.suspicious {
                self.say(true, format!("a record that makes no sense is not followed: revision {}", record.revision));
            }
            self.suspicious = true;
            return;
        }
        self.suspicious = false;
        self.heard = now.boot;
        let exposed = self.own_now();
        let before = self.record.take();
        self.tell_of(&record);
        self.due = self.due_of(&record, now);
        let proposed = |record: &Record| record.next.as_ref().map(|next| next.view.generation);
        if before.as_ref().and_then(proposed) != proposed(&record) {
            self.next_since = proposed(&record).map(|_| now.boot);
        }
        let current = record.current.clone();
        let changed = before.is_none_or(|before| before.current.generation != current.generation);
        self.record = Some(record);
        if changed {
            self.enter(&current, exposed, now);
        }
    }

    /// When the switch of a record is due, by our clock. It is written down by the clock of who set it, whose difference to
    /// ours may become known only later.
    fn due_of(&self, record: &Record, now: Now) -> Option<Duration> {
        let switch = record.next.as_ref()?.switch?;
        let offset = self.clock_of(switch.by).unwrap_or_default();
        let ahead = (switch.at as i64).saturating_sub(offset).saturating_sub(now.unix as i64);
        let computed = now.boot + Duration::from_millis(u64::try_from(ahead).unwrap_or(0));
        // It was never further ahead than this when it was written, whatever the clocks say.
        Some(computed.min(self.heard + LEAD))
    }

    /// The clock of a member minus ours, in milliseconds.
    fn clock_of(&self, ordinal: u32) -> Option<i64> {
        if ordinal == self.ordinal() { Some(0) } else { self.members.offset(ordinal) }
    }

    fn tell_of(&mut self, record: &Record) {
        match &record.next {
            Some(next) if next.switch.is_some() => {
                self.say(false, format!("generation {} takes over in a moment", next.view.generation));
            }
            Some(next) => {
                self.say(false, format!("preparing generation {}: {}", next.view.generation, describe(&next.view)))
            }
            None => {}
        }
    }

    /// A view has become the current one; `before` it we exposed that.
    fn enter(&mut self, view: &View, before: Slice, now: Now) {
        let lost = before.minus(&self.own(view));
        if !lost.is_empty() && self.config.overlap > Duration::ZERO {
            self.overlap = Some((lost, now.boot + self.config.overlap));
        }
        self.joined = self.may_join(view, now);
        if self.joined {
            self.last_joined = Some(view.generation);
        } else {
            self.ready = false;
        }
        self.handovers += 1;
        self.entered = Some(now.boot);
        self.say(false, format!("generation {} is current: {}", view.generation, describe(view)));
        if !view.untaken.is_empty() {
            self.say(
                true,
                format!(
                    "nobody may take the ranges of {:?}: nobody who is left may take on so much more",
                    view.untaken
                ),
            );
        }
    }

    /// Whether we expose what a view gives us once it is current.
    fn may_join(&self, view: &View, now: Now) -> bool {
        !self.superseded
            && view.has(self.ordinal())
            && (self.joined
                || self.marked.contains(&view.generation)
                || (self.may_start(view) && now.boot >= self.previous_until))
    }

    /// Whether we may do so without having prepared: in a fleet that started from nothing, as the first life of ours.
    fn may_start(&self, view: &View) -> bool {
        let had_joined = |joined: Option<u64>| joined.is_some_and(|generation| generation >= view.fresh.generation);
        let previous = self.previous.as_ref();
        self.listed
            && self.ordinal() < view.fresh.below
            && !had_joined(self.last_joined)
            && !had_joined(previous.and_then(|previous| previous.joined))
            && !had_joined(previous.and_then(|previous| previous.prepared))
    }

    /// What we expose now, as far as it is loaded.
    fn own_now(&self) -> Slice {
        match &self.record {
            Some(record) if self.joined && !self.superseded => self.own(&record.current),
            _ => Slice::none(),
        }
    }

    fn with_overlap(&self, own: Slice, boot: Duration) -> Slice {
        match &self.overlap {
            Some((before, until)) if boot < *until && !self.superseded => own.union(before),
            _ => own,
        }
    }

    /// The view that is about to become current, and when.
    fn due_view(&self) -> Option<(Duration, &View)> {
        Some((self.due?, &self.record.as_ref()?.next.as_ref()?.view))
    }

    /// When the API server last confirmed what we know, to us or to a peer that told us.
    fn last_confirmed(&self) -> Option<Duration> {
        self.members.iter().map(|peer| peer.confirmed).fold(self.confirmed, Option::max)
    }

    /// Until when our view may be relied on, if nobody looks again; `None` without a view.
    fn until(&self, now: Now) -> Option<Duration> {
        let record = self.record.as_ref()?;
        let life =
            |ordinal: u32| self.members.get(ordinal).map_or(Liveness::Suspected, |peer| peer.liveness(now, None));
        let alone =
            record.current.total == 1 && self.members.iter().all(|peer| peer.liveness(now, None) == Liveness::Dead);
        if alone {
            // Somebody may have come while this process was paused, and by then serve for it.
            return Some(now.boot + LEASE);
        }
        let by_server = self.last_confirmed().map(|at| at + LEASE);
        if by_server.is_some_and(|until| now.boot < until) {
            return by_server;
        }
        // Nobody whom we know reaches the API server. If that is everybody, nothing can change.
        let next = record.next.as_ref().map(|next| &next.view);
        let others = record.current.present().chain(next.into_iter().flat_map(View::present));
        let mut until = now.boot + LEASE;
        for other in others.filter(|other| *other != self.ordinal()) {
            if life(other) == Liveness::Dead {
                continue;
            }
            match self.members.get(other).and_then(|peer| peer.answered()) {
                Some(answered) => until = until.min(answered + LEASE),
                None => return Some(by_server.unwrap_or_default()),
            }
        }
        Some(by_server.map_or(until, |by_server| until.max(by_server)))
    }

    fn switch_if_due(&mut self, now: Now) {
        if let Some((_, view)) = self.due_view().filter(|(due, _)| *due <= now.boot) {
            let view = view.clone();
            self.switch(view, now);
        }
    }

    /// Draws what follows from all that is known.
    fn advance(&mut self, now: Now) {
        self.switch_if_due(now);
        let current = self.record.as_ref().map(|record| record.current.clone());
        if let Some(view) = current.filter(|_| !self.joined)
            && self.may_join(&view, now)
        {
            self.joined = true;
            self.last_joined = Some(view.generation);
        }
        self.hold(now);
        self.speak(now);
        self.coordinate(now);
    }

    /// The next view is the current one from now on.
    fn switch(&mut self, view: View, now: Now) {
        let exposed = self.own_now();
        if let Some(record) = &mut self.record {
            record.current = view.clone();
            record.next = None;
        }
        self.due = None;
        self.last_handover = self.next_since.take().map(|since| now.boot.saturating_sub(since));
        self.enter(&view, exposed, now);
    }

    /// What we would own if nobody were absent: what a member loads before it is taken in.
    fn base(&self) -> Slice {
        let current = self.record.as_ref().map(|record| &record.current);
        let total = self.wanted_replicas().or(current.map(|view| view.total)).unwrap_or(0);
        if total == 0 {
            return Slice::none();
        }
        let hash = current.map_or(self.config.hash, |view| view.hash);
        let total = total.max(self.ordinal().saturating_add(1)).min(MOST_SHARDS);
        self.assignments.of_all_present(total, hash, self.ordinal())
    }

    /// Works out what is to be loaded.
    fn hold(&mut self, now: Now) {
        let mut wanted = match &self.record {
            Some(record) => {
                let next = record.next.as_ref().map_or_else(Slice::none, |next| self.own(&next.view));
                let current = match self.joined {
                    true => self.own(&record.current),
                    false => self.base(),
                };
                current.union(&next)
            }
            None => self.base(),
        };
        if self.leaving && !self.joined && !self.is_about_to_serve() {
            wanted = Slice::none();
        }
        if let Some((before, until)) = &self.overlap {
            match now.boot < *until {
                true => wanted = wanted.union(before),
                false => self.overlap = None,
            }
        }
        let all = self.held.union(&wanted);
        if wanted.covers(&self.held) {
            self.surplus_since = None;
        } else if now.boot.saturating_sub(*self.surplus_since.get_or_insert(now.boot)) >= RELEASE_DELAY {
            self.surplus_since = None;
            self.held = wanted;
            return;
        }
        self.held = all;
    }

    /// Works out what our Lease says.
    fn speak(&mut self, now: Now) {
        let before = self.member.clone();
        let ordinal = self.ordinal();
        let (mut prepared, mut awaits, mut whole) = (None, false, false);
        if let Some(record) = &self.record {
            let covers = |view: &View| self.loaded.covers(&self.own(view));
            let next = record.next.as_ref().map(|next| &next.view);
            if self.joined && covers(&record.current) {
                prepared = Some(record.current.generation);
                whole = true;
            }
            if let Some(next) = next.filter(|next| next.has(ordinal) && covers(next)) {
                prepared = Some(next.generation);
            }
            // Before the list we only do not know yet whether we may start.
            awaits = self.listed && !self.joined && record.current.has(ordinal) && !self.may_start(&record.current);
            self.member.follows = record.revision;
        }
        self.ready |= whole;
        if let Some(generation) = prepared
            && self.marked.last() != Some(&generation)
        {
            self.marked.push(generation);
            if self.marked.len() > 8 {
                self.marked.remove(0);
            }
        }
        let base = self.base();
        if !base.is_empty() && self.loaded.covers(&base) {
            self.loaded_since.get_or_insert(now.boot);
        } else if !self.joined {
            self.loaded_since = None;
        }
        let fit = self.joined
            || self.loaded_since.is_some_and(|since| now.boot.saturating_sub(since) >= self.crash_backoff())
                && now.boot >= self.previous_until;
        self.member.phase = match (self.leaving, fit) {
            (true, _) => Phase::Leaving,
            (false, true) => Phase::Fit,
            (false, false) => Phase::Starting,
        };
        self.member.life = self.previous.as_ref().map_or(0, |previous| previous.life).saturating_add(1);
        self.member.prepared = prepared;
        self.member.awaits = awaits;
        self.member.joined = if self.joined { self.last_joined } else { None };
        if self.member != before {
            self.member.sequence += 1;
        }
    }

    /// How long we wait once we are loaded: not at all unless the life before ours was a crash.
    fn crash_backoff(&self) -> Duration {
        let left = self.previous.as_ref().is_none_or(|previous| previous.phase == Phase::Left);
        match self.member.crashes.len() {
            _ if left => Duration::ZERO,
            0 => Duration::ZERO,
            crashes => doubled(CRASH_BACKOFF, crashes as u32 - 1, MAX_CRASH_BACKOFF),
        }
    }

    /// What the coordinator would do. Every member works it out: to tell how the fleet stands, and to be able to take over.
    fn coordinate(&mut self, now: Now) {
        let mut coordinator = std::mem::take(&mut self.coordinator);
        self.proposal = coordinator.propose(self, now);
        self.coordinator = coordinator;
        if self.proposal.settled {
            self.pending_since = None;
        } else {
            self.pending_since.get_or_insert(now.boot);
        }
        if self.has_coordinator(now) {
            self.vacant = None;
        } else {
            self.vacant.get_or_insert(now.boot);
        }
    }

    fn is_coordinator(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.coordinator == self.config.id)
    }

    /// Whether somebody is the coordinator and can write: we, or a peer whose Lease is renewed.
    fn has_coordinator(&self, now: Now) -> bool {
        let Some(record) = &self.record else { return false };
        let Incarnation { ordinal, .. } = record.coordinator;
        if ordinal == self.ordinal() {
            return record.coordinator == self.config.id;
        }
        self.members.get(ordinal).is_some_and(|peer| {
            peer.member.id == record.coordinator
                && peer.liveness(now, self.confirmed) != Liveness::Dead
                && !peer.has_expired(self.confirmed)
        })
    }

    /// The record that we are to write now.
    fn to_write(&self, now: Now) -> Option<Record> {
        let fresh = |at: Duration| now.boot.saturating_sub(at) <= RENEW * 2;
        if !self.listed || self.superseded || !self.confirmed.is_some_and(fresh) {
            return None;
        }
        let statefulset = self.statefulset.as_ref().map(|(uid, _)| uid.clone());
        let seal = |revision: u64, change: &super::coordinate::RecordChange| Record {
            revision: revision.saturating_add(change.revisions),
            coordinator: self.config.id.clone(),
            statefulset: statefulset.clone().unwrap_or_default(),
            current: change.current.clone(),
            next: change.next.clone(),
        };
        let Some(record) = &self.record else {
            // Nobody has written anything yet.
            return self.proposal.change.as_ref().filter(|_| self.no_record).map(|change| seal(0, change));
        };
        if record.is_switching() {
            return None;
        }
        let lost = self.no_record.then(|| Record { revision: record.revision + 1, ..record.clone() });
        if self.is_coordinator() {
            return self.proposal.change.as_ref().map(|change| seal(record.revision, change)).or(lost);
        }
        let vacant = self.vacant?;
        if now.boot.saturating_sub(vacant) < ELECTION_STAGGER * self.rank(now) {
            return None;
        }
        let change = self.proposal.change.as_ref().map(|change| seal(record.revision, change));
        change.or_else(|| {
            Some(Record { revision: record.revision + 1, coordinator: self.config.id.clone(), ..record.clone() })
        })
    }

    /// How many members should rather take over than we.
    fn rank(&self, now: Now) -> u32 {
        let better = |peer: &&super::members::Peer| {
            let member = &peer.member;
            let key = |leaving: bool, ordinal: u32| (leaving, ordinal);
            peer.liveness(now, self.confirmed) == Liveness::Live
                && !peer.has_expired(self.confirmed)
                && key(member.phase == Phase::Leaving, member.id.ordinal) < key(self.leaving, self.ordinal())
        };
        self.members.iter().filter(better).count() as u32
    }

    /// Whether we were told to end and nobody needs us any more.
    fn is_released(&self, now: Now) -> bool {
        if !self.leaving {
            return false;
        }
        if self.overlap.as_ref().is_some_and(|(_, until)| now.boot < *until) {
            return false;
        }
        let wanted = self.wanted_replicas().unwrap_or(u32::MAX);
        let stays = |peer: &super::members::Peer| {
            peer.liveness(now, self.confirmed) != Liveness::Dead
                && peer.member.phase != Phase::Leaving
                && peer.member.id.ordinal < wanted
        };
        !(self.joined || self.is_about_to_serve()) || !self.members.iter().any(stays)
    }

    /// Whether a switch is due after which others count on us.
    fn is_about_to_serve(&self) -> bool {
        self.due_view().is_some_and(|(_, view)| view.has(self.ordinal()))
    }

    /// What we own in a view.
    fn own(&self, view: &View) -> Slice {
        self.assignments.slice(view, self.ordinal())
    }

    // What the coordinator's part reads.

    /// How many points a member owns in a view.
    pub(super) fn share(&self, view: &View, ordinal: u32) -> u128 {
        self.assignments.slice(view, ordinal).ranges(view.hash).size()
    }

    /// How many points it would own with nobody absent.
    pub(super) fn fair_share(&self, view: &View, ordinal: u32) -> u128 {
        self.assignments.of_all_present(view.total, view.hash, ordinal).ranges(view.hash).size()
    }

    pub(super) fn own_member(&self) -> &Member {
        &self.member
    }

    pub(super) const fn others(&self) -> &Members {
        &self.members
    }

    pub(super) const fn own_confirmed(&self) -> Option<Duration> {
        self.confirmed
    }

    pub(super) const fn known_record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    pub(super) fn wanted_replicas(&self) -> Option<u32> {
        self.statefulset.as_ref().map(|(_, replicas)| *replicas)
    }

    pub(super) fn pod_is_ready(&self, ordinal: u32) -> bool {
        self.pods.get(&ordinal).copied().unwrap_or_default()
    }
}

/// A view in a few words.
fn describe(view: &View) -> String {
    let mut text = format!("{} of {} shards serve for themselves", view.present().count(), view.total);
    if !view.absent.is_empty() {
        text += &format!(", absent {:?}", view.absent);
    }
    text
}

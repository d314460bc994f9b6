//! The handle by which the rest of the replica reads the state of its fleet member and sends events to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::time::timeout;

use super::audit::{Peer, PeerDirectory};
use super::clock::Clock;
use super::coverage::{Exposure, ExposureSource};
use super::events::EventQueue;
use super::handover::{Cause, Event, HandoverState, Plan, Stamps, Status, millis};
use super::measurements::Measurements;
use super::message::{Inbox, Message, Outbox, queue};
use super::record::{Endpoint, Heartbeat, MeasuredSwitch};
use super::refusals::{Reason, Refusals};
use super::report::{FleetReport, HandoverReport};
use super::switches::{Journal, KnownChange, SwitchReport};
use crate::sharding::{MOST_SHARDS, Slice};
use crate::shown;
use crate::sync::{lock, watch};

/// Maximum age of the published heartbeat in milliseconds. The member's task renews it several times a second.
const MAX_HEARTBEAT_AGE: u64 = 3_000;
/// How long a scrape waits for the news after a pause: less than the scrape timeout of Prometheus, 10 s.
const NEWS_TIMEOUT: Duration = Duration::from_secs(5);

/// The state of a member after its latest decision.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The slices to expose, each with its time.
    pub plan: Plan,
    /// The state of the fleet as the member knows it.
    pub status: Status,
    /// The exposed series that have a timestamp, because they are about to move.
    pub stamps: Option<Stamps>,
    /// The objects of which no series may end for now.
    pub held_back: Slice,
    /// The ordinal of the member; `None` until it is known.
    pub ordinal: Option<u32>,
    /// Whether the member serves its share of the current generation completely.
    pub ready: bool,
    /// Whether the process may end: it was asked to terminate, and no other member depends on it.
    pub released: bool,
    /// Whether its Lease says that it has left.
    pub left: bool,
    /// Whether the member coordinates with the others; otherwise it follows the StatefulSet alone.
    pub coordinated: bool,
    /// The termination grace period of its pod.
    pub grace: Duration,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            plan: Plan { steps: vec![(Duration::ZERO, Slice::none())], until: None },
            status: Status::default(),
            stamps: None,
            held_back: Slice::none(),
            ordinal: None,
            ready: false,
            released: false,
            left: false,
            coordinated: false,
            grace: Duration::from_secs(30),
        }
    }
}

/// Why a heartbeat is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The sender belongs to another fleet.
    #[error("this replica is a member of {ours}, not of {theirs}")]
    OtherFleet {
        /// The fleet of the sender.
        theirs: String,
        /// The fleet of this replica.
        ours: String,
    },
    /// The member has not found its fleet yet, or does not coordinate with others.
    #[error("this replica does not coordinate with others, or has not started to")]
    NotCoordinated,
}

/// The handle of a fleet member: reads its state, and sends events to its task.
#[derive(Debug)]
pub struct FleetHandle {
    clock: Arc<dyn Clock>,
    outbox: Outbox,
    refusals: Arc<Refusals>,
    events: EventQueue,
    snapshot: ArcSwap<Snapshot>,
    /// What this member hid and showed.
    journal: Mutex<Journal>,
    /// How exact the last switches were.
    measurements: Arc<Measurements>,
    /// The heartbeat for peers, and when it was published (boot time).
    heartbeat: ArcSwapOption<(Heartbeat, Duration)>,
    /// Notifies when the heartbeat has changed.
    notify: watch::Sender<()>,
    /// Notifies when the snapshot is replaced.
    changed: watch::Sender<()>,
}

impl FleetHandle {
    /// Returns the handle of a new member, and the receiver of its messages.
    pub(super) fn new(clock: Arc<dyn Clock>, refusals: Arc<Refusals>, events: EventQueue) -> (Arc<Self>, Inbox) {
        let (outbox, inbox) = queue(Arc::clone(&refusals));
        let fleet = Self {
            clock,
            outbox,
            refusals,
            events,
            snapshot: ArcSwap::default(),
            journal: Mutex::default(),
            measurements: Arc::default(),
            heartbeat: ArcSwapOption::empty(),
            notify: watch::Sender::new(()),
            changed: watch::Sender::new(()),
        };
        (Arc::new(fleet), inbox)
    }

    /// Returns the state after the latest decision.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Returns the slice to expose now; `None` if it was confirmed too long ago.
    pub fn exposed(&self) -> Option<Arc<Slice>> {
        self.snapshot.load().plan.at(self.clock.boot()).map(|slice| Arc::new(slice.clone()))
    }

    /// Waits, for a few seconds at most, while this member cannot tell what to expose because it was paused and has not read the
    /// news yet.
    pub async fn read_news(&self) {
        let mut changed = self.changed();
        let lacks_news = || {
            let (snapshot, now) = (self.snapshot.load(), self.clock.boot());
            snapshot.plan.at(now).is_none() && (snapshot.status.awaits_news || snapshot.plan.is_old(now))
        };
        let wait = async { while lacks_news() && changed.changed().await.is_ok() {} };
        // The answer is 503 if there is no news in time.
        let _ = timeout(NEWS_TIMEOUT, wait).await;
    }

    /// Accepts the heartbeat of a peer and returns the heartbeat of this member.
    ///
    /// # Errors
    /// The sender belongs to another fleet, or this member has no heartbeat.
    pub fn on_heartbeat(&self, heartbeat: Heartbeat) -> Result<Heartbeat, Refusal> {
        let Some(answer) = self.current_heartbeat() else { return Err(Refusal::NotCoordinated) };
        if heartbeat.fleet != answer.fleet {
            return Err(Refusal::OtherFleet { theirs: heartbeat.fleet, ours: answer.fleet });
        }
        self.note_unreadable(&heartbeat);
        self.measurements.note_all(&heartbeat.measured);
        self.outbox.send_from_peer(Event::HeartbeatReceived(heartbeat));
        Ok(answer)
    }

    /// Accepts the answer of a peer to a heartbeat that was sent at this moment (boot time).
    pub(super) fn on_answer(&self, answer: Heartbeat, sent_at: Duration) {
        self.note_unreadable(&answer);
        self.measurements.note_all(&answer.measured);
        self.outbox.send_from_peer(Event::HeartbeatAnswered(answer, sent_at));
    }

    fn note_unreadable(&self, heartbeat: &Heartbeat) {
        if let Some(error) = &heartbeat.unreadable {
            let ordinal = heartbeat.member.id.ordinal;
            self.refusals.note(Reason::UnknownFormat, format_args!("record of member {ordinal}: {error}"));
        }
    }

    /// Returns how exact the last switches were, as far as this member knows.
    pub const fn measurements(&self) -> &Arc<Measurements> {
        &self.measurements
    }

    /// Waits until the last switch in which this member hid ranges is measured, or a later one of that cause.
    pub async fn until_measured(&self) {
        let newest = lock(&self.journal).newest_hidden();
        let Some((cause, generation)) = newest else { return };
        let mut changed = self.measurements.changed();
        // The sender lives as long as this handle.
        let _ = changed.wait_for(|known| known.get(&cause).is_some_and(|it| it.generation >= generation)).await;
    }

    /// Returns what this member refused.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Returns the Kubernetes Events of this member.
    pub const fn events(&self) -> &EventQueue {
        &self.events
    }

    /// Announces that a resource is degraded on this member, by the kind of its failure, or is no longer (`None`). Returns whether the
    /// member knows its ordinal, without which it announces nothing.
    pub fn announce_resource(&self, resource: &str, trouble: Option<&str>) -> bool {
        let ordinal = self.snapshot.load().ordinal;
        if let Some(ordinal) = ordinal {
            self.events.announce_resource(resource, trouble, ordinal, self.clock.now().unix);
        }
        ordinal.is_some()
    }

    /// Announces that a handover took place before these scrapers came.
    pub fn announce_missed_scrapers(&self, scrapers: &str) {
        if let Some(ordinal) = self.snapshot.load().ordinal {
            self.events.announce_missed_scrapers(scrapers, ordinal, self.clock.now().unix);
        }
    }

    /// Returns why the replica is not ready, in one line; `None` if it is ready.
    pub fn waits_for(&self) -> Option<String> {
        let snapshot = self.snapshot.load();
        if snapshot.ready {
            return None;
        }
        let status = &snapshot.status;
        Some(match snapshot.ordinal {
            None => "fleet: finding the StatefulSet of this pod".to_owned(),
            Some(ordinal) if status.superseded => {
                format!("fleet: another process may run as member {ordinal}: reading its Lease from the API server")
            }
            Some(_) if status.unreadable_record.is_some() => {
                let reason = status.unreadable_record.as_deref().unwrap_or_default();
                format!("fleet: cannot read the record of the fleet: {}", shown::value(reason))
            }
            Some(_) if !snapshot.coordinated && status.total == 0 => {
                "fleet: reading the replica count of the StatefulSet".to_owned()
            }
            Some(_) if status.generation == 0 && snapshot.coordinated => "fleet: no shard map yet".to_owned(),
            Some(ordinal) if ordinal >= status.total => {
                format!("fleet: member {ordinal} owns no shard: the shard map has {} shards", status.total)
            }
            Some(ordinal) if status.absent.contains(&ordinal) => {
                format!("fleet: member {ordinal} is absent: other members serve its objects until it rejoins")
            }
            Some(_) if snapshot.plan.at(self.clock.boot()).is_none() => {
                "fleet: waiting until the API server or all other members confirm the shard map".to_owned()
            }
            Some(_) => "fleet: loading the objects of this member".to_owned(),
        })
    }

    /// Returns the ordinals of all other members that exist or should exist, and how to reach them. Empty until the member knows
    /// its ordinal, and if it does not coordinate with others.
    pub fn others(&self) -> BTreeMap<u32, Option<Endpoint>> {
        let snapshot = self.snapshot.load();
        let Some(own) = snapshot.ordinal.filter(|_| snapshot.coordinated) else { return BTreeMap::new() };
        let Status { total, replicas, .. } = snapshot.status;
        let wanted = total.max(replicas.unwrap_or_default()).min(MOST_SHARDS);
        let mut endpoints = snapshot.status.endpoints(0..wanted);
        endpoints.remove(&own);
        endpoints
    }

    /// Returns the state of the fleet for the status page, without the results of the audit.
    pub fn part(&self) -> FleetReport {
        let snapshot = self.snapshot.load();
        let status = &snapshot.status;
        FleetReport {
            fleet: self.fleet(),
            coordinated: snapshot.coordinated,
            coordinator: status.coordinator,
            isolated: status.isolated,
            leaving: status.leaving,
            generation: status.generation,
            wanted: status.replicas,
            absent: status.absent.clone(),
            untaken: status.untaken.clone(),
            handover: HandoverReport {
                state: status.handover,
                waiting_for: match status.handover {
                    HandoverState::Stamping => status.unscraped.clone(),
                    _ => status.waiting_for.clone(),
                },
                pending: status.pending.map(|pending| pending.as_secs_f64()),
                last: status.since_handover.map(|since| since.as_secs_f64()),
                took: status.last_handover.map(|took| took.as_secs_f64()),
                count: status.handovers.values().sum(),
                blocked_for: status.blocked_for.iter().map(|(ordinal, age)| (*ordinal, age.as_secs())).collect(),
                paused: status.instructions.paused,
                problems: status.instructions.problems.clone(),
            },
            cover: Vec::new(),
        }
    }

    /// Asks the member to hand over its objects and leave. [`Snapshot::released`] says when the process may end.
    pub fn leave(&self) {
        self.send(Event::Leave);
    }

    /// Makes the member stop exposing objects and write to its Lease that it has left.
    pub fn mark_left(&self) {
        self.outbox.send(Message::MarkLeft);
    }

    /// Notes within which time all clients that scrape regularly come again (`--seamless-handover`).
    pub fn set_scrape_wait(&self, wait: Duration) {
        self.send(Event::ScrapeWait(wait));
    }

    /// Notes that all of them have fetched the series that move in this generation, with their timestamp.
    pub fn set_stamped(&self, generation: u64) {
        self.send(Event::Stamped(generation));
    }

    /// Notifies whenever [`Self::snapshot`] changes.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(super) fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }

    pub(super) fn send(&self, event: Event) {
        self.outbox.send(Message::Event(event));
    }

    pub(super) fn set_snapshot(&self, snapshot: Snapshot) {
        let (before, generation) = (self.snapshot.load(), snapshot.status.generation);
        let now = self.clock.boot();
        let mut journal = lock(&self.journal);
        journal.note(&before.plan, &snapshot.plan, generation, now);
        journal.note_state(snapshot.status.change.as_ref(), snapshot.status.loaded, now);
        drop(journal);
        self.snapshot.store(Arc::new(snapshot));
        self.changed.send_replace(());
    }

    /// Replaces the heartbeat for peers, and notifies if it says something new.
    pub(super) fn publish(&self, heartbeat: Heartbeat) {
        let is_new = self.heartbeat.load().as_ref().is_none_or(|before| {
            let (before, _) = &**before;
            (&before.member, &before.record, before.confirmed_age.is_some(), &before.unheard)
                != (&heartbeat.member, &heartbeat.record, heartbeat.confirmed_age.is_some(), &heartbeat.unheard)
        });
        self.heartbeat.store(Some(Arc::new((heartbeat, self.clock.boot()))));
        if is_new {
            self.notify.send_replace(());
        }
    }

    /// Stops sending and answering heartbeats.
    pub(super) fn stop_publishing(&self) {
        self.heartbeat.store(None);
    }

    /// Notifies whenever the heartbeat says something new.
    pub(super) fn notified(&self) -> watch::Receiver<()> {
        self.notify.subscribe()
    }

    /// Returns the heartbeat of this member, with its times adjusted to now.
    pub(super) fn current_heartbeat(&self) -> Option<Heartbeat> {
        let published = self.heartbeat.load_full()?;
        let (heartbeat, at) = &*published;
        let now = self.clock.boot();
        let age = millis(now.saturating_sub(*at));
        // The member's task is stuck. A heartbeat would make peers believe that it is live.
        if age > MAX_HEARTBEAT_AGE {
            return None;
        }
        let confirmed_age = heartbeat.confirmed_age.map(|before| before.saturating_add(age));
        Some(Heartbeat { now: millis(now), confirmed_age, measured: self.measurements.named(), ..heartbeat.clone() })
    }

    /// Whether the sender of the heartbeat belongs to this fleet.
    pub(super) fn is_of(&self, heartbeat: &Heartbeat) -> bool {
        self.heartbeat.load().as_ref().is_some_and(|own| own.0.fleet == heartbeat.fleet)
    }
}

impl ExposureSource for FleetHandle {
    fn exposure(&self) -> Exposure {
        let snapshot = self.snapshot.load();
        Exposure::of(&snapshot.status, &snapshot.plan, self.clock.boot())
    }

    fn switches(&self) -> Vec<SwitchReport> {
        lock(&self.journal).reports(self.clock.boot())
    }
}

impl PeerDirectory for FleetHandle {
    fn fleet(&self) -> String {
        self.heartbeat.load().as_ref().map(|own| own.0.fleet.clone()).unwrap_or_default()
    }

    fn peers(&self) -> Option<Vec<Peer>> {
        let snapshot = self.snapshot.load();
        Peer::all(&snapshot.status, snapshot.ordinal?)
    }

    fn changes(&self) -> Vec<KnownChange> {
        lock(&self.journal).changes(self.clock.boot())
    }

    fn is_measured(&self, change: &KnownChange) -> bool {
        self.measurements.get().get(&change.cause).is_some_and(|it| it.generation >= change.generation)
    }

    fn note_measured(&self, cause: Cause, switch: MeasuredSwitch) -> bool {
        let is_new = self.measurements.note(cause, switch);
        if is_new {
            self.notify.send_replace(());
        }
        is_new
    }
}

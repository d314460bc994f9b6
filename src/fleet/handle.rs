//! A member of a fleet, as the rest of its replica sees it: what is exposed now, what is told to peers and to whoever asks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{mpsc, watch};

use super::audit::{Peer, PeerDirectory};
use super::clock;
use super::coverage::{Exposure, ExposureSource};
use super::handover::{Event, Plan, Status};
use super::message::Message;
use super::record::Heartbeat;
use super::report::{FleetReport, HandoverReport};

use crate::sharding::Slice;

/// What is said to peers is made anew several times a second; what is older than so many milliseconds is nobody's word.
const LONGEST_PAUSE: u64 = 3_000;

/// What a member was when it was last looked at.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What is exposed when.
    pub plan: Plan,
    /// What it knows of its fleet.
    pub status: Status,
    /// Its ordinal, once it is known.
    pub ordinal: Option<u32>,
    /// Whether it has loaded what it owns, and owns it.
    pub ready: bool,
    /// It was told to end, and nobody needs it any more.
    pub released: bool,
    /// Its Lease says that it has left.
    pub left: bool,
    /// Whether it agrees with the others about who owns what; else it goes by the StatefulSet alone.
    pub coordinated: bool,
    /// How long its pod may take to end.
    pub grace: Duration,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            plan: Plan { steps: vec![(Duration::ZERO, Slice::none())], until: None },
            status: Status::default(),
            ordinal: None,
            ready: false,
            released: false,
            left: false,
            coordinated: false,
            grace: Duration::from_secs(30),
        }
    }
}

/// Why a heartbeat is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its sender belongs to another fleet.
    #[error("this is a member of {ours}, not of {theirs}")]
    OtherFleet {
        /// The sender's.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// We do not know yet who we are, or do not agree with others.
    #[error("this replica does not hand over objects, or not yet")]
    NotCoordinated,
}

/// A member of a fleet. What is decided about it is read here, and what happens to it is told here.
#[derive(Debug)]
pub struct FleetHandle {
    events: mpsc::UnboundedSender<Message>,
    snapshot: ArcSwap<Snapshot>,
    /// What peers are told, and when that was made (boot time).
    heartbeat: ArcSwapOption<(Heartbeat, Duration)>,
    /// Ticks when peers are to be told something new.
    notify: watch::Sender<()>,
    /// Ticks when the snapshot changes.
    changed: watch::Sender<()>,
}

impl FleetHandle {
    /// A member that knows nothing yet, and where it will be told.
    pub(super) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Message>) {
        let (events, told) = mpsc::unbounded_channel();
        let fleet = Self {
            events,
            snapshot: ArcSwap::default(),
            heartbeat: ArcSwapOption::empty(),
            notify: watch::Sender::new(()),
            changed: watch::Sender::new(()),
        };
        (Arc::new(fleet), told)
    }

    /// What it was when it was last looked at.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// What may be exposed at this moment; `None` if that was confirmed too long ago.
    pub fn exposed(&self) -> Option<Arc<Slice>> {
        self.snapshot.load().plan.at(clock::boot()).map(|slice| Arc::new(slice.clone()))
    }

    /// A peer's heartbeat; the answer is our own.
    ///
    /// # Errors
    /// It is no peer, or we have nothing to say.
    pub fn on_heartbeat(&self, heartbeat: Heartbeat) -> Result<Heartbeat, Refusal> {
        let Some(answer) = self.current_heartbeat() else { return Err(Refusal::NotCoordinated) };
        if heartbeat.fleet != answer.fleet {
            return Err(Refusal::OtherFleet { theirs: heartbeat.fleet, ours: answer.fleet });
        }
        self.send(Event::HeartbeatReceived(heartbeat));
        Ok(answer)
    }

    /// What the replica waits for until it is ready, in one line; `None` if it is.
    pub fn waits_for(&self) -> Option<String> {
        let snapshot = self.snapshot.load();
        if snapshot.ready {
            return None;
        }
        let status = &snapshot.status;
        Some(match snapshot.ordinal {
            None => "fleet: its StatefulSet is not known yet".to_owned(),
            Some(_) if !snapshot.coordinated && status.total == 0 => {
                "fleet: how many replicas it has is not known yet".to_owned()
            }
            Some(_) if status.generation == 0 && snapshot.coordinated => {
                "fleet: who owns what is not agreed on yet".to_owned()
            }
            Some(ordinal) if ordinal >= status.total => {
                format!("fleet: member {ordinal} is not one of the {} that share the objects now", status.total)
            }
            Some(ordinal) if status.absent.contains(&ordinal) => {
                format!("fleet: others serve what is ours, until member {ordinal} is taken in again")
            }
            Some(_) => "fleet: what this member owns is not loaded yet".to_owned(),
        })
    }

    /// The ordinals of everyone else who is or should be there, and where they are found; nobody while it is not known who we
    /// are, or where nothing is agreed on with others.
    pub fn others(&self) -> BTreeMap<u32, Option<String>> {
        let snapshot = self.snapshot.load();
        let Some(own) = snapshot.ordinal.filter(|_| snapshot.coordinated) else { return BTreeMap::new() };
        let Status { total, replicas, .. } = snapshot.status;
        let mut addresses = snapshot.status.addresses(0..total.max(replicas.unwrap_or_default()));
        addresses.remove(&own);
        addresses
    }

    /// Its part in the fleet, for people; what is proven of the fleet is not known here.
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
                waiting_for: status.waiting_for.clone(),
                pending: status.pending.map(|pending| pending.as_secs_f64()),
                last: status.since_handover.map(|since| since.as_secs_f64()),
                took: status.last_handover.map(|took| took.as_secs_f64()),
                count: status.handovers,
            },
            cover: Vec::new(),
        }
    }

    /// It is told to end; [`Snapshot::released`] says when it may.
    pub fn leave(&self) {
        self.send(Event::Leave);
    }

    /// Its Lease shall say that it has left; it exposes nothing from now on.
    pub fn mark_left(&self) {
        let _ = self.events.send(Message::MarkLeft);
    }

    /// Ticks whenever [`Self::snapshot`] changes.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn sender(&self) -> mpsc::UnboundedSender<Message> {
        self.events.clone()
    }

    pub(super) fn send(&self, event: Event) {
        // Nobody listens any more when the replica ends.
        let _ = self.events.send(Message::Event(event));
    }

    pub(super) fn show(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
        self.changed.send_replace(());
    }

    /// What peers are told from now on.
    pub(super) fn publish(&self, heartbeat: Heartbeat) {
        let is_news = self.heartbeat.load().as_ref().is_none_or(|before| {
            let (before, _) = &**before;
            (&before.member, &before.record, before.confirmed_age.is_some())
                != (&heartbeat.member, &heartbeat.record, heartbeat.confirmed_age.is_some())
        });
        self.heartbeat.store(Some(Arc::new((heartbeat, clock::boot()))));
        if is_news {
            self.notify.send_replace(());
        }
    }

    /// Nothing is told to peers any more.
    pub(super) fn stop_publishing(&self) {
        self.heartbeat.store(None);
    }

    pub(super) fn notified(&self) -> watch::Receiver<()> {
        self.notify.subscribe()
    }

    /// Our heartbeat, as of now.
    pub(super) fn current_heartbeat(&self) -> Option<Heartbeat> {
        let said = self.heartbeat.load_full()?;
        let (heartbeat, at) = &*said;
        let now = clock::now();
        let age = u64::try_from(now.boot.saturating_sub(*at).as_millis()).unwrap_or(u64::MAX);
        // Nobody has looked after the fleet for so long: peers must not take that for life.
        if age > LONGEST_PAUSE {
            return None;
        }
        let confirmed_age = heartbeat.confirmed_age.map(|before| before.saturating_add(age));
        Some(Heartbeat { now: now.unix, confirmed_age, ..heartbeat.clone() })
    }

    pub(super) fn is_of(&self, heartbeat: &Heartbeat) -> bool {
        self.heartbeat.load().as_ref().is_some_and(|own| own.0.fleet == heartbeat.fleet)
    }
}

impl ExposureSource for FleetHandle {
    fn exposure(&self) -> Exposure {
        let snapshot = self.snapshot.load();
        Exposure::of(&snapshot.status, &snapshot.plan, clock::boot())
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
}

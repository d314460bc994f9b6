//! The task of a member: finds its fleet, then runs the state machine. Without the permissions to coordinate, it follows the
//! StatefulSet alone.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use kube::Client;
use tokio::time::{interval, sleep};
use tracing::{info, warn};

use super::address::own_address;
use super::api::{
    FleetError, Identity, Leases, MissingPermission, Names, StatefulSetState, Write, discover, follow_statefulset,
    post_events, watch_pod_readiness,
};
use super::clock::Clock;
use super::events::{self, EventInbox};
use super::format_error::FormatError;
use super::handle::{FleetHandle, Snapshot};
use super::handover::{Config, Event, Machine, Plan, Status};
use super::host::Host;
use super::message::{Inbox, Message};
use super::peer_client::Dial;
use super::peers;
use super::record::{Incarnation, Member, Phase, successor};
use super::roster::Roster;
use crate::resource_version;
use crate::settings::{FleetSettings, OnLostQuorum};
use crate::sharding::{Assignment, Hasher, Slice};
use crate::shown;
use crate::sync::watch;

/// Maximum number of messages handled before the next decision, so that a flood of messages does not delay decisions.
const MAX_BATCH: usize = 256;
/// Time between measurements of memory.
const MEMORY_INTERVAL: Duration = Duration::from_secs(10);
/// Time from a change of the loaded slice to a measurement of memory.
const MEMORY_DELAY: Duration = Duration::from_millis(100);

/// Loads the objects of a slice for the fleet, and keeps them up to date.
pub trait ShardLoader: Send + Sync {
    /// Sets the slice to load and watch, and drops the objects outside of it.
    fn set_desired(&self, slice: &Slice);
    /// Returns the part of the desired slice that is synced for every resource.
    fn ready(&self) -> Slice;
    /// Notifies whenever [`Self::ready`] may have changed.
    fn changed(&self) -> watch::Receiver<()>;
}

/// The configuration and the dependencies of a member.
pub struct Start {
    /// The client for the API server.
    pub client: Client,
    /// The pod of the member.
    pub settings: FleetSettings,
    /// The listen address of the fleet port.
    pub listen: SocketAddr,
    /// The URL of the API server, if it is known. It determines the address for peers if the settings contain none.
    pub server: Option<Uri>,
    /// The hash that the flags select.
    pub hash: Hasher,
    /// The value of `--handover-overlap`.
    pub overlap: Duration,
    /// The value of `--on-lost-quorum`.
    pub on_lost_quorum: OnLostQuorum,
    /// The value of `--fleet-events`.
    pub events: bool,
    /// The value of `--seamless-handover`.
    pub seamless: bool,
    /// Loads the objects that the fleet assigns to this replica.
    pub loader: Arc<dyn ShardLoader>,
    /// The machine that it runs on.
    pub host: Host,
    /// The keys of the members, which this member reads from their Leases.
    pub roster: Arc<Roster>,
}

/// Returns the handle of a new member, and its task. The task ends only with an error that no retry can fix.
pub fn run(start: Start) -> (Arc<FleetHandle>, impl Future<Output = FleetError> + Send + 'static) {
    let (events, to_post) = events::queue(start.events);
    let (fleet, inbox) = FleetHandle::new(Arc::clone(&start.host.clock), Arc::clone(&start.roster.refusals), events);
    let task = run_member(Arc::clone(&fleet), inbox, to_post, start);
    (fleet, task)
}

/// Marks the member as released and left when the task ends, also by a panic, so that nothing waits for it.
struct ReleaseOnDrop(Arc<FleetHandle>);

impl Drop for ReleaseOnDrop {
    fn drop(&mut self) {
        self.0.stop_publishing();
        let before = self.0.snapshot();
        self.0.set_snapshot(Snapshot {
            released: true,
            left: true,
            coordinated: false,
            ready: false,
            ..Snapshot::clone(&before)
        });
    }
}

async fn run_member(fleet: Arc<FleetHandle>, inbox: Inbox, to_post: EventInbox, start: Start) -> FleetError {
    let _release = ReleaseOnDrop(Arc::clone(&fleet));
    let identity = match discover(&start.client, &start.settings).await {
        Ok(identity) => identity,
        Err(error) => return error,
    };
    let Identity { names, .. } = &identity;
    let address = own_address(start.settings.ip, start.listen, identity.ip, start.server.as_ref()).await;
    let Some(address) = address else { return FleetError::NoAddress };
    info!(
        statefulset = names.statefulset, namespace = names.namespace, ordinal = names.ordinal,
        %address, "joined fleet"
    );
    fleet.set_snapshot(Snapshot { ordinal: Some(names.ordinal), grace: identity.grace, ..Snapshot::default() });
    let uid = watch::Sender::new(None);
    tokio::select! {
        biased;
        error = take_part(&fleet, inbox, &start, &identity, address, &uid) => error,
        never = post_events(&start.client, &identity, uid.subscribe(), to_post) => match never {},
    }
}

/// Takes part in the fleet, without coordination if a permission for it is missing. `uid` tells the UID of the StatefulSet.
async fn take_part(
    fleet: &Arc<FleetHandle>,
    inbox: Inbox,
    start: &Start,
    identity: &Identity,
    address: SocketAddr,
    uid: &watch::Sender<Option<String>>,
) -> FleetError {
    let missing = match &identity.missing_permission {
        Some(permission) => permission.clone(),
        None => match coordinate(fleet, inbox, start, identity, address, uid).await {
            CoordinationError::Forbidden(permission) => permission,
            CoordinationError::Fleet(error) => return error,
        },
    };
    warn!(error = %missing, "no handovers: following the StatefulSet alone");
    fleet.stop_publishing();
    follow_statefulset_alone(fleet, start, identity, uid).await
}

/// Why a member stops coordinating with others.
enum CoordinationError {
    Forbidden(MissingPermission),
    Fleet(FleetError),
}

/// The parts of a decision that other tasks carry out.
struct Outputs {
    member: watch::Sender<Option<Member>>,
    write: watch::Sender<Option<Write>>,
    contacts: watch::Sender<Vec<Member>>,
    pods: watch::Sender<Vec<u32>>,
    deletions: watch::Sender<Vec<u32>>,
    verify: watch::Sender<bool>,
}

async fn coordinate(
    fleet: &Arc<FleetHandle>,
    inbox: Inbox,
    start: &Start,
    identity: &Identity,
    address: SocketAddr,
    uid: &watch::Sender<Option<String>>,
) -> CoordinationError {
    let names = &identity.names;
    let id = Incarnation { ordinal: names.ordinal, pod: identity.pod.clone(), nonce: fastrand::u64(..) };
    let clock = Arc::clone(&start.host.clock);
    let leases =
        Leases::new(&start.client, names, id.clone(), Arc::clone(&clock), fleet.outbox(), Arc::clone(&start.roster));
    let outputs = Outputs {
        member: watch::Sender::new(None),
        write: watch::Sender::new(None),
        contacts: watch::Sender::default(),
        pods: watch::Sender::default(),
        deletions: watch::Sender::default(),
        verify: watch::Sender::default(),
    };
    let (deletions, verify) = (outputs.deletions.subscribe(), outputs.verify.subscribe());
    let (member, write) = (outputs.member.subscribe(), outputs.write.subscribe());
    let (contacts, pods) = (outputs.contacts.subscribe(), outputs.pods.subscribe());
    let config = Config {
        id: id.clone(),
        address: address.to_string(),
        key: Some(start.host.dialer.key()),
        owns_pod: identity.owns_pod,
        fleet: names.fleet(),
        hash: start.hash,
        overlap: start.overlap,
        on_lost_quorum: start.on_lost_quorum,
        seamless: start.seamless,
    };
    let actor = Actor {
        clock,
        fleet: Arc::clone(fleet),
        machine: Machine::new(config),
        loader: Arc::clone(&start.loader),
        outputs,
        stored: None,
        desired: Slice::none(),
        left: None,
        written: leases.written(),
        ordinal: names.ordinal,
        grace: identity.grace,
    };
    let on_statefulset = |set: Option<StatefulSetState>| {
        if let Some(set) = &set {
            fleet.send(Event::Instructions(set.instructions.clone()));
        }
        fleet.send(Event::StatefulSet(set.map(|set| (set.uid, set.replicas))));
    };
    let on_pods = |pods: BTreeMap<u32, bool>| fleet.send(Event::Pods(pods));
    tokio::select! {
        biased;
        error = actor.run(inbox) => CoordinationError::Fleet(error),
        never = connect_to_peers(fleet, &start.host.dialer, leases.written(), contacts) => match never {},
        never = leases.delete(deletions) => match never {},
        never = leases.verify(verify) => match never {},
        never = leases.answer_unknown_keys() => match never {},
        never = measure_memory(fleet, start) => match never {},
        missing = leases.follow() => CoordinationError::Forbidden(missing),
        missing = leases.renew(member) => CoordinationError::Forbidden(missing),
        missing = leases.record(write) => CoordinationError::Forbidden(missing),
        error = statefulset(&start.client, names, uid, on_statefulset) => CoordinationError::Fleet(error),
        () = watch_pod_readiness(&start.client, names, pods, on_pods) => std::future::pending().await,
    }
}

/// Exchanges heartbeats with the other members, once they can know the key of this one.
async fn connect_to_peers(
    fleet: &Arc<FleetHandle>,
    dialer: &Arc<dyn Dial>,
    mut written: watch::Receiver<Option<Phase>>,
    contacts: watch::Receiver<Vec<Member>>,
) -> Infallible {
    // Cannot fail: the Leases own the sender, and run as long as this.
    let _ = written.wait_for(Option::is_some).await;
    peers::run(fleet, dialer, contacts).await
}

/// Follows the StatefulSet until that is forbidden, or until `spec.ordinals.start` changes.
async fn statefulset(
    client: &Client,
    names: &Names,
    uid: &watch::Sender<Option<String>>,
    on_change: impl Fn(Option<StatefulSetState>),
) -> FleetError {
    let new_start = watch::Sender::new(None);
    let mut renumbered = new_start.subscribe();
    let check_start = |set: Option<StatefulSetState>| match &set {
        Some(set) if set.start != names.start => drop(new_start.send_replace(Some(set.start))),
        _ => {
            set_if_new(uid, set.as_ref().map(|set| set.uid.clone()));
            on_change(set);
        }
    };
    tokio::select! {
        biased;
        missing = follow_statefulset(client, names, check_start) => FleetError::Forbidden(missing),
        // This function owns the sender, so the wait cannot fail.
        now = renumbered.wait_for(Option::is_some) => {
            let now = now.ok().and_then(|now| *now).unwrap_or_default();
            FleetError::Renumbered { before: names.start, now }
        }
    }
}

/// Measures memory periodically, and when objects were loaded or dropped.
async fn measure_memory(fleet: &Arc<FleetHandle>, start: &Start) -> Infallible {
    let mut period = interval(MEMORY_INTERVAL);
    let mut changed = start.loader.changed();
    loop {
        tokio::select! {
            biased;
            _ = period.tick() => {}
            _ = changed.changed() => sleep(MEMORY_DELAY).await,
        }
        fleet.send(Event::Memory((start.host.memory)()));
    }
}

/// Runs the state machine: passes events to it and carries out its decisions.
struct Actor {
    clock: Arc<dyn Clock>,
    fleet: Arc<FleetHandle>,
    machine: Machine,
    loader: Arc<dyn ShardLoader>,
    outputs: Outputs,
    /// The resourceVersion of the newest Lease of the fleet that the machine has seen.
    stored: Option<String>,
    /// The slice that the loader was last asked to load.
    desired: Slice,
    /// The final content of this member's Lease, once the member has left.
    left: Option<Member>,
    written: watch::Receiver<Option<Phase>>,
    ordinal: u32,
    grace: Duration,
}

impl Actor {
    /// Runs until another process runs in place of this one.
    async fn run(mut self, mut inbox: Inbox) -> FleetError {
        let mut changed = self.loader.changed();
        loop {
            let wake = match self.act() {
                Ok(wake) => wake,
                Err(error) => return error,
            };
            tokio::select! {
                // Peers must not be able to hold up the news of this replica.
                biased;
                _ = changed.changed() => {
                    self.machine.handle(Event::Loaded(self.loader.ready()), self.clock.now());
                }
                _ = self.written.changed() => {}
                message = inbox.recv() => {
                    // `self.fleet` holds a sender, so the channel stays open.
                    let Some(message) = message else { continue };
                    self.receive(message);
                    // One decision covers all queued messages.
                    for _ in 0..MAX_BATCH {
                        let Some(message) = inbox.try_recv() else { break };
                        self.receive(message);
                    }
                }
                () = sleep(wake) => self.machine.handle(Event::Tick, self.clock.now()),
            }
        }
    }

    fn receive(&mut self, message: Message) {
        let event = match message {
            Message::Event(event) => event,
            Message::MarkLeft => {
                let member = self.machine.decide(self.clock.now()).member;
                let sequence = successor(member.sequence);
                self.left.get_or_insert(Member { phase: Phase::Left, sequence, ..member });
                return;
            }
            Message::Stored { record, version, reset, hidden } => {
                let number = |version: &Option<String>| version.as_deref().map(resource_version::number);
                // The response to our own write may arrive before the watch events of earlier versions.
                if !reset && version.is_some() && number(&version) < number(&self.stored) {
                    return;
                }
                self.stored = version;
                let event = match record {
                    None => Event::NoRecord,
                    Some(Ok(record)) => Event::Record(record),
                    // A newer version wrote it.
                    Some(Err(error @ FormatError::Unknown { .. })) => Event::UnreadableRecord(error),
                    Some(Err(_)) => Event::DamagedRecord,
                };
                if hidden && matches!(event, Event::Record(_)) {
                    self.machine.handle(event, self.clock.now());
                    Event::DamagedRecord
                } else {
                    event
                }
            }
        };
        self.machine.handle(event, self.clock.now());
    }

    /// Carries out the next decision. Returns the time until the decision after it, if no event occurs before.
    fn act(&mut self) -> Result<Duration, FleetError> {
        let now = self.clock.now();
        let mut decision = self.machine.decide(now);
        let notices = self.machine.notices();
        for notice in &notices {
            if notice.warning { warn!("{notice}") } else { info!("{notice}") }
        }
        let mut heartbeat = self.machine.heartbeat(now);
        if let Some(left) = &self.left {
            decision.member = left.clone();
            decision.plan = Plan { steps: vec![(now.boot, Slice::none())], until: None };
            decision.write = None;
            heartbeat.member = left.clone();
        }
        if decision.desired != self.desired {
            self.desired = decision.desired.clone();
            self.loader.set_desired(&self.desired);
            // The machine must not count on ranges that the loader has just dropped.
            self.machine.handle(Event::Loaded(self.loader.ready()), now);
        }
        let status = self.machine.status(now);
        self.fleet.events().announce(&notices, status.coordinator, self.ordinal, now.unix);
        set_if_new(&self.outputs.member, Some(decision.member));
        set_if_new(&self.outputs.write, decision.write.map(|record| Write { record, over: self.stored.clone() }));
        set_if_new(&self.outputs.contacts, status.contacts.clone());
        set_if_new(&self.outputs.pods, decision.pods_to_check);
        set_if_new(&self.outputs.deletions, decision.leases_to_delete);
        set_if_new(&self.outputs.verify, decision.verify);
        self.fleet.publish(heartbeat);
        self.fleet.set_snapshot(Snapshot {
            plan: decision.plan,
            status,
            stamps: decision.stamps,
            held_back: decision.held_back,
            ordinal: Some(self.ordinal),
            ready: decision.ready && self.left.is_none(),
            released: decision.released,
            left: *self.written.borrow() == Some(Phase::Left),
            coordinated: true,
            grace: self.grace,
        });
        match decision.outrun_by {
            Some(by) => Err(FleetError::Outrun { ordinal: self.ordinal, pod: shown::value(&by.pod) }),
            None => Ok(decision.wake_at.saturating_sub(now.boot)),
        }
    }
}

fn set_if_new<T: PartialEq>(output: &watch::Sender<T>, value: T) {
    output.send_if_modified(|before| {
        let is_new = *before != value;
        *before = value;
        is_new
    });
}

/// Follows the StatefulSet without coordination: each change of its replica count takes effect immediately.
async fn follow_statefulset_alone(
    fleet: &Arc<FleetHandle>,
    start: &Start,
    identity: &Identity,
    uid: &watch::Sender<Option<String>>,
) -> FleetError {
    let ordinal = identity.names.ordinal;
    let replicas = watch::Sender::new(None);
    let mut replicas_changed = replicas.subscribe();
    let mut changed = start.loader.changed();
    let apply = async {
        let mut desired = None;
        loop {
            let replicas: Option<u32> = *replicas_changed.borrow_and_update();
            if let Some(total) = replicas {
                let owned = Assignment::new(total).map_or_else(
                    |_| Slice::none(),
                    |assignment| match ordinal < total {
                        true => Slice::of(start.hash, assignment.ranges(ordinal)),
                        false => Slice::none(),
                    },
                );
                if desired.as_ref() != Some(&owned) {
                    info!(shard = ordinal, shards = total, "sharding by the replica count of the StatefulSet");
                    start.loader.set_desired(&owned);
                    desired = Some(owned.clone());
                }
                let ready = start.loader.ready().covers(&owned) && !owned.is_empty();
                let status = Status {
                    total,
                    owned: owned.clone(),
                    replicas: Some(total),
                    hash: start.hash,
                    ..Status::default()
                };
                let before = fleet.snapshot();
                let ready = ready || (before.ready && before.status.total == total && !owned.is_empty());
                let plan = Plan { steps: vec![(Duration::ZERO, owned)], until: None };
                let known = Snapshot { ordinal: Some(ordinal), grace: identity.grace, ..Snapshot::default() };
                fleet.set_snapshot(Snapshot { plan, status, ready, released: true, left: true, ..known });
            }
            tokio::select! {
                biased;
                _ = replicas_changed.changed() => {}
                _ = changed.changed() => {}
            }
        }
    };
    let on_statefulset = |set: Option<StatefulSetState>| {
        // If the StatefulSet is deleted and its pods remain, they keep their shards.
        if let Some(set) = set {
            replicas.send_replace(Some(set.replicas));
        }
    };
    tokio::select! {
        biased;
        never = apply => never,
        error = statefulset(&start.client, &identity.names, uid, on_statefulset) => error,
    }
}

//! The task of a member: finds its fleet, then runs the state machine, or follows the StatefulSet alone where the right to
//! agree with others is missing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, sleep};
use tracing::{info, warn};

use super::address::own_address;
use super::api::{
    FleetError, Identity, Leases, MissingPermission, Names, StatefulSetState, Write, discover, follow_statefulset,
    watch_pod_readiness,
};
use super::handle::{FleetHandle, Snapshot};
use super::handover::{Config, Event, Machine, Plan, Status};
use super::message::Message;
use super::peer_client::Connector;
use super::record::{Incarnation, Member, Phase};
use super::{clock, headroom, peers};
use crate::resource_version;
use crate::settings::FleetSettings;
use crate::sharding::{Assignment, Hasher, Slice};

/// How many messages are taken before they are answered: a flood of them must not keep us from acting.
const AT_ONCE: usize = 256;
/// How often memory is looked at.
const HEADROOM: Duration = Duration::from_secs(10);

/// Loads the objects of a slice for the fleet, and keeps them up to date.
pub trait ShardLoader: Send + Sync {
    /// Sets the slice to load and watch; the objects outside of it are dropped.
    fn set_desired(&self, slice: &Slice);
    /// Returns the part of the desired slice that is synced for every resource.
    fn ready(&self) -> Slice;
    /// Notifies whenever [`Self::ready`] may have changed.
    fn changed(&self) -> watch::Receiver<()>;
}

/// What a member is started with.
pub struct Start {
    /// Of the API server.
    pub client: Client,
    /// Which pod it runs in.
    pub settings: FleetSettings,
    /// Where its telemetry port listens.
    pub telemetry: SocketAddr,
    /// Where the API server is, if that is known: for want of better, peers discover us where we speak to it from.
    pub server: Option<Uri>,
    /// The hash that its flags ask for.
    pub hash: Hasher,
    /// `--handover-overlap`.
    pub overlap: Duration,
    /// Loads the objects that the fleet assigns to this replica.
    pub loader: Arc<dyn ShardLoader>,
    /// How other members are reached.
    pub connector: Arc<dyn Connector>,
}

/// A member that knows nothing yet, and the task that makes it one. The task ends only if there is no fleet to be in.
pub fn run(start: Start) -> (Arc<FleetHandle>, impl Future<Output = FleetError> + Send + 'static) {
    let (fleet, told) = FleetHandle::new();
    let task = live(Arc::clone(&fleet), told, start);
    (fleet, task)
}

/// However the task ends, nobody is to count on the member any more, nor to wait for it.
struct Last(Arc<FleetHandle>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.stop_publishing();
        let before = self.0.snapshot();
        self.0.show(Snapshot {
            released: true,
            left: true,
            coordinated: false,
            ready: false,
            ..Snapshot::clone(&before)
        });
    }
}

async fn live(fleet: Arc<FleetHandle>, told: mpsc::UnboundedReceiver<Message>, start: Start) -> FleetError {
    let _last = Last(Arc::clone(&fleet));
    let place = match discover(&start.client, &start.settings).await {
        Ok(place) => place,
        Err(unfit) => return unfit,
    };
    let Identity { names, .. } = &place;
    let address = own_address(start.settings.ip, start.telemetry, start.server.as_ref()).await;
    info!(
        statefulset = names.statefulset, namespace = names.namespace, ordinal = names.ordinal,
        %address, "found the own fleet"
    );
    fleet.show(Snapshot { ordinal: Some(names.ordinal), grace: place.grace, ..Snapshot::default() });
    let missing = match &place.missing_permission {
        Some(right) => right.clone(),
        None => match coordinate(&fleet, told, &start, &place, address).await {
            Ended::Forbidden(right) => right,
            Ended::Fleet(unfit) => return unfit,
        },
    };
    warn!(
        "the replicas do not hand objects over, as the right is missing to {missing}: each goes by the StatefulSet alone"
    );
    fleet.stop_publishing();
    alone(&fleet, &start, &place).await
}

/// Why a member no longer takes part.
enum Ended {
    Forbidden(MissingPermission),
    Fleet(FleetError),
}

/// What the state machine wants of those who talk to the outside.
struct Orders {
    member: watch::Sender<Option<Member>>,
    write: watch::Sender<Option<Write>>,
    contacts: watch::Sender<Vec<Member>>,
    pods: watch::Sender<Vec<u32>>,
}

async fn coordinate(
    fleet: &Arc<FleetHandle>,
    told: mpsc::UnboundedReceiver<Message>,
    start: &Start,
    place: &Identity,
    address: SocketAddr,
) -> Ended {
    let names = &place.names;
    let id = Incarnation { ordinal: names.ordinal, pod: place.pod.clone(), nonce: fastrand::u64(..) };
    let leases = Leases::new(&start.client, names, id.clone(), fleet.sender());
    let orders = Orders {
        member: watch::Sender::new(None),
        write: watch::Sender::new(None),
        contacts: watch::Sender::default(),
        pods: watch::Sender::default(),
    };
    let (member, write) = (orders.member.subscribe(), orders.write.subscribe());
    let (contacts, pods) = (orders.contacts.subscribe(), orders.pods.subscribe());
    let config = Config {
        id: id.clone(),
        address: address.to_string(),
        fleet: names.fleet(),
        hash: start.hash,
        overlap: start.overlap,
    };
    let actor = Actor {
        fleet: Arc::clone(fleet),
        machine: Machine::new(config),
        loader: Arc::clone(&start.loader),
        orders,
        stored: None,
        held: Slice::none(),
        left: None,
        written: leases.written(),
        ordinal: names.ordinal,
        grace: place.grace,
    };
    let told_of_set =
        |seen: Option<StatefulSetState>| fleet.send(Event::StatefulSet(seen.map(|seen| (seen.uid, seen.replicas))));
    let told_of_pods = |pods: BTreeMap<u32, bool>| fleet.send(Event::Pods(pods));
    tokio::select! {
        never = actor.run(told) => match never {},
        never = peers::run(fleet, &id, &start.connector, contacts) => match never {},
        never = look_at_memory(fleet, &start.loader) => match never {},
        right = leases.follow() => Ended::Forbidden(right),
        right = leases.renew(member) => Ended::Forbidden(right),
        right = leases.record(write) => Ended::Forbidden(right),
        unfit = statefulset(&start.client, names, told_of_set) => Ended::Fleet(unfit),
        () = watch_pod_readiness(&start.client, names, pods, told_of_pods) => std::future::pending().await,
    }
}

/// Follows the StatefulSet until that is forbidden, or it starts its ordinals elsewhere.
async fn statefulset(client: &Client, names: &Names, on: impl Fn(Option<StatefulSetState>)) -> FleetError {
    let renumbered = watch::Sender::new(None);
    let mut noticed = renumbered.subscribe();
    let tell = |seen: Option<StatefulSetState>| match &seen {
        Some(seen) if seen.start != names.start => drop(renumbered.send_replace(Some(seen.start))),
        _ => on(seen),
    };
    tokio::select! {
        right = follow_statefulset(client, names, tell) => FleetError::Forbidden(right),
        // The sender lives as long as we do.
        now = noticed.wait_for(Option::is_some) => {
            let now = now.ok().and_then(|now| *now).unwrap_or_default();
            FleetError::Renumbered { before: names.start, now }
        }
    }
}

async fn look_at_memory(fleet: &Arc<FleetHandle>, loader: &Arc<dyn ShardLoader>) -> Infallible {
    let mut period = interval(HEADROOM);
    loop {
        period.tick().await;
        let held = loader.ready();
        if !held.is_empty() {
            fleet.send(Event::Headroom(headroom::headroom(&held, &fleet.snapshot().status.owned)));
        }
    }
}

/// Where the state machine lives.
struct Actor {
    fleet: Arc<FleetHandle>,
    machine: Machine,
    loader: Arc<dyn ShardLoader>,
    orders: Orders,
    /// resourceVersion of the Lease with the newest record that the machine has seen of the API server.
    stored: Option<String>,
    held: Slice,
    /// What the own Lease says from the end on.
    left: Option<Member>,
    written: watch::Receiver<Option<Phase>>,
    ordinal: u32,
    grace: Duration,
}

impl Actor {
    async fn run(mut self, mut told: mpsc::UnboundedReceiver<Message>) -> Infallible {
        let mut changed = self.loader.changed();
        loop {
            let wake = self.act();
            tokio::select! {
                message = told.recv() => {
                    // The fleet, which we hold, has a sender.
                    let Some(message) = message else { continue };
                    self.take(message);
                    // Whatever else came meanwhile is answered together.
                    for _ in 0..AT_ONCE {
                        let Ok(message) = told.try_recv() else { break };
                        self.take(message);
                    }
                }
                _ = changed.changed() => {
                    let prepared = self.loader.ready();
                    self.machine.handle(Event::Loaded(prepared), clock::now());
                }
                _ = self.written.changed() => {}
                () = sleep(wake) => self.machine.handle(Event::Tick, clock::now()),
            }
        }
    }

    fn take(&mut self, message: Message) {
        let event = match message {
            Message::Event(event) => event,
            Message::MarkLeft => {
                let member = self.machine.decide(clock::now()).member;
                let sequence = member.sequence + 1;
                self.left.get_or_insert(Member { phase: Phase::Left, sequence, ..member });
                return;
            }
            Message::Stored { record, version, reset } => {
                let number = |version: &Option<String>| version.as_deref().map(resource_version::number);
                // What we wrote ourselves is known before the watch tells what was before it.
                if !reset && version.is_some() && number(&version) < number(&self.stored) {
                    return;
                }
                self.stored = version;
                record.map_or(Event::NoRecord, Event::Record)
            }
        };
        self.machine.handle(event, clock::now());
    }

    /// Does what the machine wants; how long it may be left alone.
    fn act(&mut self) -> Duration {
        let now = clock::now();
        let mut decision = self.machine.decide(now);
        for notice in self.machine.notices() {
            if notice.warning { warn!("{notice}") } else { info!("{notice}") }
        }
        let mut heartbeat = self.machine.heartbeat(now);
        if let Some(left) = &self.left {
            decision.member = left.clone();
            decision.plan = Plan { steps: vec![(now.boot, Slice::none())], until: None };
            decision.write = None;
            heartbeat.member = left.clone();
        }
        if decision.desired != self.held {
            self.held = decision.desired.clone();
            self.loader.set_desired(&self.held);
            // What is no longer wanted is not prepared any more, from this moment on.
            self.machine.handle(Event::Loaded(self.loader.ready()), now);
        }
        let status = self.machine.status(now);
        set(&self.orders.member, Some(decision.member));
        set(&self.orders.write, decision.write.map(|record| Write { record, over: self.stored.clone() }));
        set(&self.orders.contacts, status.contacts.clone());
        set(&self.orders.pods, decision.pods_to_check);
        self.fleet.publish(heartbeat);
        self.fleet.show(Snapshot {
            plan: decision.plan,
            status,
            ordinal: Some(self.ordinal),
            ready: decision.ready && self.left.is_none(),
            released: decision.released,
            left: *self.written.borrow() == Some(Phase::Left),
            coordinated: true,
            grace: self.grace,
        });
        decision.wake_at.saturating_sub(now.boot)
    }
}

fn set<T: PartialEq>(order: &watch::Sender<T>, value: T) {
    order.send_if_modified(|before| {
        let is_new = *before != value;
        *before = value;
        is_new
    });
}

/// Goes by the StatefulSet alone: who owns what follows from its replicas, and holds at once.
async fn alone(fleet: &Arc<FleetHandle>, start: &Start, place: &Identity) -> FleetError {
    let ordinal = place.names.ordinal;
    let replicas = watch::Sender::new(None);
    let mut wanted = replicas.subscribe();
    let mut changed = start.loader.changed();
    let show = async {
        let mut held = None;
        loop {
            let replicas: Option<u32> = *wanted.borrow_and_update();
            if let Some(total) = replicas {
                let owned = Assignment::new(total).map_or_else(
                    |_| Slice::none(),
                    |assignment| match ordinal < total {
                        true => Slice::of(start.hash, assignment.ranges(ordinal)),
                        false => Slice::none(),
                    },
                );
                if held.as_ref() != Some(&owned) {
                    info!(shard = ordinal, shards = total, "the StatefulSet says how many shards there are");
                    start.loader.set_desired(&owned);
                    held = Some(owned.clone());
                }
                let ready = start.loader.ready().covers(&owned) && ordinal < total;
                let status = Status {
                    total,
                    owned: owned.clone(),
                    replicas: Some(total),
                    hash: start.hash,
                    ..Status::default()
                };
                let plan = Plan { steps: vec![(Duration::ZERO, owned)], until: None };
                let before = fleet.snapshot();
                let ready = ready || (before.ready && before.status.total == total);
                let known = Snapshot { ordinal: Some(ordinal), grace: place.grace, ..Snapshot::default() };
                fleet.show(Snapshot { plan, status, ready, released: true, left: true, ..known });
            }
            tokio::select! {
                _ = wanted.changed() => {}
                _ = changed.changed() => {}
            }
        }
    };
    let told = |seen: Option<StatefulSetState>| {
        // Pods that their StatefulSet has left behind go on as they were.
        if let Some(seen) = seen {
            replicas.send_replace(Some(seen.replicas));
        }
    };
    tokio::select! {
        never = show => never,
        unfit = statefulset(&start.client, &place.names, told) => unfit,
    }
}

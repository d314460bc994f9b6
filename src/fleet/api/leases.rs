//! The Leases of a fleet: all are watched, the own one is renewed, and the record is written by compare-and-swap.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::follow::{Change, Selected, follow};
use super::names::{MANAGED_BY, MEMBER, Names, RECORD, STATEFULSET, holder};
use super::{Right, Tries, Trouble, ask};
use crate::fleet::clock;
use crate::fleet::handover::{Event, LEASE_DURATION, RENEW_PERIOD};
use crate::fleet::message::Message;
use crate::fleet::record::{Incarnation, Member, Phase, Record};
use crate::resource_version::number;
use crate::sync::lock;

const RESOURCE: &str = "leases.coordination.k8s.io";

/// Several changes in a row are written as one.
const GATHER: Duration = Duration::from_millis(50);

/// What was written comes back through the watch in milliseconds; a watch that takes so long is dead, and there must be
/// time left for another one before the Lease runs out.
const STALE: Duration = Duration::from_secs(7);

/// After a conflict the watch brings what was written instead; if it does not, another try shows why.
const CONFLICT: Duration = Duration::from_secs(1);

/// A record to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// What.
    pub record: Record,
    /// The resourceVersion of the Lease that it replaces; `None` if there is none.
    pub over: Option<String>,
}

/// The Leases of one fleet, as one member uses them.
pub struct Leases {
    api: Api<Lease>,
    names: Names,
    id: Incarnation,
    events: mpsc::UnboundedSender<Message>,
    book: Mutex<Book>,
    /// All were seen once.
    listed: watch::Sender<bool>,
    /// The phase that was last written.
    written: watch::Sender<Option<Phase>>,
}

/// What is known of what was written.
#[derive(Debug, Default)]
struct Book {
    /// resourceVersion of each Lease, by name: a list tells again what a watch told.
    known: HashMap<String, String>,
    /// Our Lease, as it is on the server.
    own: Option<Own>,
    confirmations: Confirmations,
}

#[derive(Clone, Debug)]
struct Own {
    version: String,
    holder: String,
    transitions: i32,
}

/// Which of our writes have come back through the watch.
#[derive(Debug, Default)]
struct Confirmations {
    /// The newest resourceVersion that the watch has reached.
    reached: u64,
    /// resourceVersion, when the request was sent (boot time), and when it was accepted.
    open: VecDeque<(u64, Duration, Instant)>,
}

impl Confirmations {
    /// A write was accepted. Confirmed at once if the watch was faster.
    fn wrote(&mut self, version: u64, sent: Duration) -> Option<Duration> {
        if version <= self.reached {
            return Some(sent);
        }
        self.open.push_back((version, sent, Instant::now()));
        None
    }

    /// The watch has reached a version; when the newest of the writes was sent that are confirmed by it.
    fn reached(&mut self, version: u64) -> Option<Duration> {
        self.reached = self.reached.max(version);
        let mut confirmed = None;
        while let Some((_, sent, _)) = self.open.pop_front_if(|(version, ..)| *version <= self.reached) {
            confirmed = Some(sent);
        }
        confirmed
    }

    /// A list was made: the server may count anew.
    fn listed(&mut self, version: u64) -> Option<Duration> {
        if version < self.reached {
            self.open.clear();
            self.reached = 0;
        }
        self.reached(version)
    }

    fn is_stale(&self) -> bool {
        self.open.front().is_some_and(|(_, _, at)| at.elapsed() >= STALE)
    }
}

impl Leases {
    /// Those of the fleet in `names`, for the member `id`, who is told of them through `events`.
    pub fn new(client: &Client, names: &Names, id: Incarnation, events: mpsc::UnboundedSender<Message>) -> Self {
        Self {
            api: Api::namespaced(client.clone(), &names.namespace),
            names: names.clone(),
            id,
            events,
            book: Mutex::default(),
            listed: watch::Sender::new(false),
            written: watch::Sender::new(None),
        }
    }

    /// The phase that our Lease says, whenever it was written.
    pub fn written(&self) -> watch::Receiver<Option<Phase>> {
        self.written.subscribe()
    }

    /// Lists and watches until that turns out to be forbidden.
    pub async fn follow(&self) -> Right {
        let selected = Selected {
            labels: Some(self.names.selector()),
            resource: RESOURCE,
            namespace: self.names.namespace.clone(),
            ..Selected::default()
        };
        follow(&self.api, &selected, |change| self.take(change), || self.book().confirmations.is_stale()).await
    }

    fn take(&self, change: Change<Lease>) {
        let version = match change {
            Change::Listed(leases, version) => return self.take_list(leases, &version),
            Change::Put(lease) => {
                let version = version_of(&lease);
                self.put(lease, false);
                version
            }
            Change::Gone(lease) => {
                self.gone(lease.metadata.name.as_deref().unwrap_or_default());
                version_of(&lease)
            }
            Change::Reached(version) => version,
        };
        let confirmed = self.book().confirmations.reached(number(&version));
        self.confirm(confirmed);
    }

    /// NB: our own Lease comes first, as the process before us left it: that tells how it ended.
    fn take_list(&self, mut leases: Vec<Lease>, version: &str) {
        let own = self.names.member(self.id.ordinal);
        leases.sort_by_key(|lease| lease.metadata.name.as_ref() != Some(&own));
        let names: Vec<_> = leases.iter().filter_map(|lease| lease.metadata.name.clone()).collect();
        let gone: Vec<_> = self.book().known.keys().filter(|name| !names.contains(name)).cloned().collect();
        for name in gone {
            self.gone(&name);
        }
        let record = self.names.record();
        let first = !*self.listed.borrow();
        if first && !names.contains(&record) {
            self.send(Message::Stored { record: None, version: None, reset: true });
        }
        for lease in leases {
            self.put(lease, true);
        }
        let confirmed = self.book().confirmations.listed(number(version));
        self.confirm(confirmed);
        if first {
            self.send(Message::Event(Event::Listed));
            self.listed.send_replace(true);
        }
    }

    /// A Lease is there. `anew`: by a list.
    fn put(&self, lease: Lease, listed: bool) {
        let version = version_of(&lease);
        let Some(name) = lease.metadata.name.clone() else { return };
        if self.book().known.insert(name.clone(), version.clone()).as_ref() == Some(&version) {
            return;
        }
        if name == self.names.record() {
            let record = read(&lease, RECORD);
            return self.send(Message::Stored { record, version: Some(version), reset: listed });
        }
        if name == self.names.member(self.id.ordinal) {
            self.book().own = Some(own(&lease));
        }
        if let Some(mut member) = read::<Member>(&lease, MEMBER) {
            // By a list it came late, which says nothing of clocks.
            member.renewed = renewed(&lease).filter(|_| !listed);
            if self.names.member(member.id.ordinal) == name {
                self.send(Message::Event(Event::Lease(member)));
            } else {
                debug!(lease = name, "a Lease speaks for another member than its name says");
            }
        }
    }

    fn gone(&self, name: &str) {
        let mut book = self.book();
        book.known.remove(name);
        if name == self.names.member(self.id.ordinal) {
            book.own = None;
        }
        drop(book);
        if name == self.names.record() {
            self.send(Message::Stored { record: None, version: None, reset: true });
        }
    }

    /// Keeps our Lease saying what is `wanted`, from the moment when all Leases were seen; ends when the right is missing,
    /// and never when another life of ours has taken it.
    pub async fn renew(&self, mut wanted: watch::Receiver<Option<Member>>) -> Right {
        let mut listed = self.listed.subscribe();
        // Who sends does so as long as we live.
        let _ = listed.wait_for(|listed| *listed).await;
        let _ = wanted.wait_for(Option::is_some).await;
        let mut tries = Tries::default();
        let mut ours = false;
        loop {
            let member = wanted.borrow_and_update().clone();
            let Some(member) = member else { continue };
            if ours && self.book().own.as_ref().is_some_and(|own| own.holder != holder(&self.id)) {
                warn!("the Lease of this member was taken by another process: it is not renewed any more");
                return std::future::pending().await;
            }
            let pause = match self.write_own(&member).await {
                Ok(()) => {
                    ours = true;
                    tries.succeeded();
                    self.written.send_replace(Some(member.phase));
                    // So that a fleet that was started at once does not write at once for ever.
                    RENEW_PERIOD.mul_f64(fastrand::f64().mul_add(-0.1, 1.0))
                }
                Err((trouble, verb)) => {
                    self.look_at_own(&trouble).await;
                    match tries.failed(&trouble, "renew the own Lease") {
                        Some(pause) => pause,
                        None => return Right { verb, resource: RESOURCE, namespace: self.names.namespace.clone() },
                    }
                }
            };
            if timeout(pause, wanted.changed()).await.is_ok() {
                sleep(GATHER).await;
            }
        }
    }

    /// One try. The error comes with the verb.
    async fn write_own(&self, member: &Member) -> Result<(), (Trouble, &'static str)> {
        let name = self.names.member(self.id.ordinal);
        let before = self.book().own.clone();
        let us = holder(&self.id);
        let transitions = match &before {
            Some(own) if own.holder != us => own.transitions.saturating_add(1),
            Some(own) => own.transitions,
            None => 0,
        };
        let version = before.map(|own| own.version);
        let mut lease = self.lease(&name, MEMBER, member, &us, version.clone());
        if let Some(spec) = &mut lease.spec {
            spec.lease_transitions = Some(transitions);
        }
        let sent = clock::boot();
        let (lease, verb) = self.store(&name, &lease, version.is_some()).await;
        let lease = lease.map_err(|trouble| (trouble, verb))?;
        let mut book = self.book();
        book.own = Some(own(&lease));
        let confirmed = book.confirmations.wrote(number(&version_of(&lease)), sent);
        drop(book);
        self.confirm(confirmed);
        Ok(())
    }

    /// After a failure, what our Lease is now: somebody else's, gone, or ours after all.
    async fn look_at_own(&self, trouble: &Trouble) {
        if matches!(trouble, Trouble::Forbidden(_)) {
            return;
        }
        let found = ask(self.api.get_opt(&self.names.member(self.id.ordinal))).await;
        if let Ok(found) = found {
            self.book().own = found.as_ref().map(own);
        }
    }

    /// Writes records as they are `wanted`; ends when the right is missing.
    pub async fn record(&self, mut wanted: watch::Receiver<Option<Write>>) -> Right {
        let mut tries = Tries::default();
        let name = self.names.record();
        loop {
            let write = wanted.borrow_and_update().clone();
            let Some(Write { record, over }) = write else {
                if wanted.changed().await.is_err() {
                    return std::future::pending().await;
                }
                continue;
            };
            let lease = self.lease(&name, RECORD, &record, &holder(&record.coordinator), over.clone());
            let pause = match self.store(&name, &lease, over.is_some()).await {
                (Ok(lease), _) => {
                    tries.succeeded();
                    let version = Some(version_of(&lease));
                    self.send(Message::Stored { record: Some(record), version, reset: false });
                    CONFLICT
                }
                // Somebody else was faster, and the watch tells us.
                (Err(Trouble::Conflict | Trouble::NotFound), _) => CONFLICT,
                (Err(trouble), verb) => match tries.failed(&trouble, "write the record of the fleet") {
                    Some(pause) => pause,
                    None => return Right { verb, resource: RESOURCE, namespace: self.names.namespace.clone() },
                },
            };
            // What is wanted changes as soon as it was written, or something else was.
            let _ = timeout(pause, wanted.changed()).await;
        }
    }

    async fn store(&self, name: &str, lease: &Lease, exists: bool) -> (Result<Lease, Trouble>, &'static str) {
        let parameters = PostParams::default();
        match exists {
            true => (ask(self.api.replace(name, &parameters, lease)).await, "update"),
            false => (ask(self.api.create(&parameters, lease)).await, "create"),
        }
    }

    fn lease(
        &self,
        name: &str,
        annotation: &str,
        says: &impl serde::Serialize,
        holder: &str,
        version: Option<String>,
    ) -> Lease {
        let (key, value) = MANAGED_BY;
        let labels = [(key, value), (STATEFULSET, &self.names.statefulset)];
        // Numbers, texts and lists: there is nothing in it that cannot be written.
        let text = serde_json::to_string(says).unwrap_or_default();
        Lease {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(self.names.namespace.clone()),
                labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
                annotations: Some(BTreeMap::from([(annotation.to_owned(), text)])),
                resource_version: version,
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
                renew_time: Some(MicroTime(Timestamp::now())),
                ..LeaseSpec::default()
            }),
        }
    }

    fn confirm(&self, sent: Option<Duration>) {
        if let Some(sent) = sent {
            self.send(Message::Event(Event::LeaseConfirmed(sent)));
        }
    }

    fn send(&self, message: Message) {
        // Who listens does so as long as we live.
        let _ = self.events.send(message);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Nothing in it can be half done: each change is one assignment.
        lock(&self.book)
    }
}

fn own(lease: &Lease) -> Own {
    let spec = lease.spec.as_ref();
    Own {
        version: version_of(lease),
        holder: spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default(),
        transitions: spec.and_then(|spec| spec.lease_transitions).unwrap_or_default(),
    }
}

/// When its holder wrote it, in Unix milliseconds by the holder's clock.
fn renewed(lease: &Lease) -> Option<u64> {
    let MicroTime(at) = lease.spec.as_ref()?.renew_time.as_ref()?;
    u64::try_from(at.as_millisecond()).ok()
}

fn version_of(lease: &Lease) -> String {
    lease.metadata.resource_version.clone().unwrap_or_default()
}

/// What a Lease says, if that can be read.
fn read<T: DeserializeOwned>(lease: &Lease, annotation: &str) -> Option<T> {
    let text = lease.metadata.annotations.as_ref()?.get(annotation)?;
    let read = serde_json::from_str(text);
    let name = lease.metadata.name.as_deref().unwrap_or_default();
    read.inspect_err(|error| warn!(lease = name, %error, "a Lease of the fleet cannot be read")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_write_is_confirmed_when_the_watch_has_reached_it() {
        let second = Duration::from_secs;
        let mut confirmations = Confirmations::default();
        assert_eq!(confirmations.listed(10), None);
        assert_eq!(confirmations.wrote(12, second(1)), None);
        assert_eq!(confirmations.wrote(15, second(2)), None);
        assert_eq!(confirmations.reached(11), None);
        assert_eq!(confirmations.reached(12), Some(second(1)));
        assert!(!confirmations.is_stale());
        tokio::time::advance(STALE).await;
        assert!(confirmations.is_stale(), "the second was never seen");
        assert_eq!(confirmations.reached(20), Some(second(2)));
        assert!(!confirmations.is_stale());
        assert_eq!(confirmations.wrote(19, second(3)), Some(second(3)), "the watch was faster");
        // A server that was restored counts from an earlier version again.
        assert_eq!(confirmations.wrote(25, second(4)), None);
        assert_eq!(confirmations.listed(5), None);
        assert_eq!(confirmations.wrote(6, second(5)), None);
        assert_eq!(confirmations.reached(6), Some(second(5)));
    }
}

//! The Leases of a fleet. A member watches all of them, renews its own, and writes the record by compare-and-swap.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::{Api, Client};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::list_watch::{ObjectEvent, Selection, list_and_watch};
use super::names::{MANAGED_BY, MEMBER, Names, RECORD, STATEFULSET, holder};
use super::permission::MissingPermission;
use super::request::{RequestError, Retries, with_timeout};
use crate::fleet::FormatError;
use crate::fleet::clock::Clock;
use crate::fleet::handover::{Event, LEASE_DURATION, RENEW_PERIOD, millis};
use crate::fleet::message::{Message, Outbox};
use crate::fleet::record::{Incarnation, Member, Phase, Record};
use crate::fleet::refusals::Reason;
use crate::fleet::roster::{ReadLease, Roster};
use crate::resource_version::number;
use crate::sync::{lock, watch};

const RESOURCE: &str = "leases.coordination.k8s.io";

/// Pause in which further changes are collected into one write.
const BATCH_PAUSE: Duration = Duration::from_millis(50);

/// Pause after a conflict. The watch normally delivers the conflicting write earlier; otherwise another attempt shows why.
const CONFLICT_PAUSE: Duration = Duration::from_secs(1);

/// Pause between reads of the Leases for unknown keys, so that strangers cannot cause many.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(5);

/// Pause between two writes over a Lease that something else changes back.
const DISTURBED_PAUSE: Duration = Duration::from_secs(1);

/// Pause between two reads of the own Lease while another process may hold it.
const VERIFY_PAUSE: Duration = Duration::from_secs(1);

/// Pause before another attempt to delete Leases.
const DELETE_PAUSE: Duration = Duration::from_secs(10);

/// A record to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The record.
    pub record: Record,
    /// resourceVersion of the Lease to replace; `None` to create it.
    pub over: Option<String>,
}

/// The Leases of one fleet, as one member uses them.
pub struct Leases {
    api: Api<Lease>,
    names: Names,
    id: Incarnation,
    clock: Arc<dyn Clock>,
    outbox: Outbox,
    /// The keys in the Leases.
    roster: Arc<Roster>,
    /// Notifies that the own Lease was deleted, or something else changed it.
    disturbed: Notify,
    known_leases: Mutex<KnownLeases>,
    /// Whether all Leases were listed once.
    listed: watch::Sender<bool>,
    /// The phase in the last successful write.
    written: watch::Sender<Option<Phase>>,
}

/// The Leases that the API server has, as far as they are known.
#[derive(Debug, Default)]
struct KnownLeases {
    /// resourceVersion and renewal of each Lease, by name, to skip what a list repeats. A restored API server assigns versions
    /// again.
    versions: BTreeMap<String, (String, Option<u64>)>,
    /// The Lease of this member.
    own: Option<OwnLease>,
    /// The statement that this member wrote last.
    written: Option<Member>,
    confirmations: Confirmations,
}

#[derive(Clone, Debug)]
struct OwnLease {
    version: String,
    /// The statement in it, if it has a valid one.
    member: Option<Member>,
    holder: String,
    transitions: i32,
}

impl OwnLease {
    /// Whether `member` may write over it: another process holds it only with a higher life.
    fn yields_to(&self, member: &Member) -> bool {
        self.member.as_ref().is_none_or(|holder| holder.id == member.id || holder.life < member.life)
    }
}

/// Matches the own writes with the events of the watch.
#[derive(Debug, Default)]
struct Confirmations {
    /// The newest resourceVersion that the watch, or a list, has reached.
    reached: u64,
    /// Per write: its resourceVersion, when the request was sent (boot time), and when it was accepted.
    open: VecDeque<(u64, Duration, Instant)>,
    /// The API server went back to earlier versions, so the watch cannot deliver the writes.
    rewound: bool,
}

impl Confirmations {
    /// Records an accepted write. `before` is what was reached when its request was sent. Returns its send time if the watch has
    /// already passed it.
    fn wrote(&mut self, version: u64, before: u64, sent: Duration) -> Option<Duration> {
        // Versions only grow, so a write has a higher one than everything that was read before it.
        if version <= before {
            self.rewound = true;
            // Earlier writes may be lost.
            self.open.clear();
        } else if version <= self.reached {
            return Some(sent);
        }
        self.open.push_back((version, sent, Instant::now()));
        None
    }

    /// Records that the watch reached `version`. Returns the send time of the newest write that this confirms.
    fn reached(&mut self, version: u64) -> Option<Duration> {
        if self.rewound {
            return None;
        }
        self.reached = self.reached.max(version);
        self.confirmed()
    }

    /// Records a list, which is consistent: it shows all writes that were accepted before it. A restored API server may have lower
    /// versions than before.
    fn listed(&mut self, version: u64) -> Option<Duration> {
        if version < self.reached && !self.rewound {
            self.open.clear();
        }
        self.rewound = false;
        self.reached = version;
        self.confirmed()
    }

    fn confirmed(&mut self) -> Option<Duration> {
        let mut confirmed = None;
        while let Some((_, sent, _)) = self.open.pop_front_if(|(version, ..)| *version <= self.reached) {
            confirmed = Some(sent);
        }
        confirmed
    }

    /// Returns how long the watch has owed a write; `Duration::MAX` if it cannot deliver it.
    fn overdue(&self) -> Option<Duration> {
        if self.rewound {
            return Some(Duration::MAX);
        }
        self.open.front().map(|(_, _, at)| at.elapsed())
    }
}

impl Leases {
    /// Creates the Leases of the fleet in `names` for the process `id`. Their changes are sent to `outbox`, and their keys to
    /// `roster`.
    pub fn new(
        client: &Client,
        names: &Names,
        id: Incarnation,
        clock: Arc<dyn Clock>,
        outbox: Outbox,
        roster: Arc<Roster>,
    ) -> Self {
        Self {
            api: Api::namespaced(client.clone(), &names.namespace),
            names: names.clone(),
            id,
            clock,
            outbox,
            roster,
            disturbed: Notify::new(),
            known_leases: Mutex::default(),
            listed: watch::Sender::new(false),
            written: watch::Sender::new(None),
        }
    }

    /// Returns the phase in the last successful write of the own Lease.
    pub fn written(&self) -> watch::Receiver<Option<Phase>> {
        self.written.subscribe()
    }

    /// Lists and watches all Leases until a permission turns out to be missing.
    pub async fn follow(&self) -> MissingPermission {
        let selected = Selection {
            labels: Some(self.names.selector()),
            resource: RESOURCE,
            namespace: self.names.namespace.clone(),
            ..Selection::default()
        };
        list_and_watch(&self.api, &selected, |change| self.take(change), || self.known_leases().confirmations.overdue())
            .await
    }

    fn take(&self, change: ObjectEvent<Lease>) {
        let version = match change {
            ObjectEvent::Listed(leases, version) => return self.take_list(leases, &version),
            ObjectEvent::Put(lease) => {
                let version = version_of(&lease);
                let key = self.key_of(&lease);
                if let Some((ordinal, version, member)) = &key {
                    self.roster.learn(*ordinal, *version, member.as_ref());
                }
                self.put(lease, key, false);
                version
            }
            ObjectEvent::Deleted(lease) => {
                let version = version_of(&lease);
                self.deleted(lease.metadata.name.as_deref().unwrap_or_default(), number(&version));
                version
            }
            ObjectEvent::Bookmark(version) => version,
        };
        let confirmed = self.known_leases().confirmations.reached(number(&version));
        self.confirm(confirmed);
    }

    /// NB: the own Lease comes first. Its predecessor wrote it, so it shows how that process ended.
    fn take_list(&self, mut leases: Vec<Lease>, version: &str) {
        let own = self.names.member(self.id.ordinal);
        leases.sort_by_key(|lease| lease.metadata.name.as_ref() != Some(&own));
        let names: Vec<_> = leases.iter().filter_map(|lease| lease.metadata.name.clone()).collect();
        let gone: Vec<_> = self.known_leases().versions.keys().filter(|name| !names.contains(name)).cloned().collect();
        for name in gone {
            self.deleted(&name, number(version));
        }
        let leases: Vec<_> = leases.into_iter().map(|lease| (self.key_of(&lease), lease)).collect();
        // After the API server was restored, its versions may be lower than the known ones.
        self.roster.reset(leases.iter().filter_map(|(key, _)| key.as_ref()));
        let record = self.names.record();
        let first = !*self.listed.borrow();
        if first && !names.contains(&record) {
            self.send(Message::Stored { record: None, version: None, reset: true, hidden: false });
        }
        for (key, lease) in leases {
            self.put(lease, key, true);
        }
        let confirmed = self.known_leases().confirmations.listed(number(version));
        self.confirm(confirmed);
        if first {
            self.send(Message::Event(Event::Listed));
            self.listed.send_replace(true);
        }
    }

    /// Handles a Lease that exists, with its [`Self::key_of`]. `listed`: it comes from a list.
    fn put(&self, lease: Lease, key: Option<ReadLease>, listed: bool) {
        let version = version_of(&lease);
        let Some(name) = lease.metadata.name.clone() else { return };
        let seen = (version.clone(), renewed(&lease));
        if self.known_leases().versions.insert(name.clone(), seen.clone()).as_ref() == Some(&seen) {
            return;
        }
        if name == self.names.record() {
            return self.put_record(&lease, listed, false);
        }
        if name == self.names.member(self.id.ordinal) {
            self.note_own(own(&lease, key.as_ref()), listed);
        }
        if let Some((_, _, Some(mut member))) = key {
            // A list delivers it late, so its time says nothing about clock differences.
            member.renewed = renewed(&lease).filter(|_| !listed);
            member.boot = member.boot.filter(|_| !listed);
            self.send(Message::Event(Event::Lease(member)));
        }
    }

    /// Handles the Lease of the fleet. `hidden`: no list shows it.
    fn put_record(&self, lease: &Lease, reset: bool, hidden: bool) {
        let record = annotation(lease, RECORD).map(|text| Record::decode(text.as_bytes()));
        if let Some(Err(error)) = &record {
            self.roster.refusals.note(error.into(), format_args!("Lease {}: {error}", self.names.record()));
        }
        self.send(Message::Stored { record, version: Some(version_of(lease)), reset, hidden });
    }

    /// Notes the Lease of this member. If it is not what this process wrote, it is written again. `listed`: its version counts, also
    /// if it is lower than the known one.
    fn note_own(&self, found: OwnLease, listed: bool) {
        let mut known_leases = self.known_leases();
        // The watch may deliver an earlier write after the answer to a later one.
        let is_older = |known: &OwnLease| number(&found.version) < number(&known.version);
        if !listed && known_leases.own.as_ref().is_some_and(is_older) {
            return;
        }
        let is_known = known_leases.own.as_ref().is_some_and(|known| known.version == found.version);
        if known_leases.written.is_some() && !is_known && found.member != known_leases.written {
            self.disturbed.notify_one();
        }
        known_leases.own = Some(found);
    }

    /// Reads a member's Lease. Notes one that is not valid.
    fn key_of(&self, lease: &Lease) -> Option<ReadLease> {
        let name = lease.metadata.name.as_deref()?;
        let ordinal = self.names.ordinal(name)?;
        let note = |error: &StatementError| {
            self.roster.refusals.note(error.into(), format_args!("Lease {name}: {error}"));
        };
        let member = statement_in(lease, ordinal).and_then(|read| read.inspect_err(note).ok());
        Some((ordinal, number(&version_of(lease)), member))
    }

    /// Reads all Leases after a stranger showed an unknown key, at most once per [`UNKNOWN_KEY_PAUSE`].
    pub async fn answer_unknown_keys(&self) -> Infallible {
        let parameters = ListParams::default().labels(&self.names.selector());
        loop {
            self.roster.unknown().await;
            match with_timeout(self.api.list(&parameters)).await {
                Ok(leases) => {
                    for (ordinal, version, member) in leases.items.iter().filter_map(|lease| self.key_of(lease)) {
                        self.roster.learn(ordinal, version, member.as_ref());
                    }
                }
                Err(error) => debug!(%error, "cannot read the Leases for an unknown key"),
            }
            sleep(UNKNOWN_KEY_PAUSE).await;
        }
    }

    fn deleted(&self, name: &str, version: u64) {
        let mut known_leases = self.known_leases();
        known_leases.versions.remove(name);
        if name == self.names.member(self.id.ordinal) {
            known_leases.own = None;
            self.disturbed.notify_one();
        }
        drop(known_leases);
        if let Some(ordinal) = self.names.ordinal(name) {
            self.roster.learn(ordinal, version, None);
            self.send(Message::Event(Event::LeaseGone(ordinal)));
        }
        if name == self.names.record() {
            self.send(Message::Stored { record: None, version: None, reset: true, hidden: false });
        }
    }

    /// Renews the own Lease with the `wanted` state once all Leases were listed. Returns if a permission is missing. It writes over
    /// the Lease of another process only with a higher life, and otherwise waits for that.
    pub async fn renew(&self, mut wanted: watch::Receiver<Option<Member>>) -> MissingPermission {
        let mut listed = self.listed.subscribe();
        // Cannot fail: `self` owns the sender.
        let _ = listed.wait_for(|listed| *listed).await;
        let _ = wanted.wait_for(Option::is_some).await;
        let mut retries = Retries::default();
        let mut last_disturbed = None::<Instant>;
        loop {
            let member = wanted.borrow_and_update().clone();
            let Some(member) = member else { continue };
            if self.known_leases().own.as_ref().is_some_and(|own| !own.yields_to(&member)) {
                debug!("another process of this ordinal holds the Lease");
                tokio::select! {
                    biased;
                    _ = wanted.changed() => {}
                    () = self.disturbed.notified() => {}
                }
                continue;
            }
            let pause = match self.write_own(&member).await {
                Ok(()) => {
                    retries.succeeded();
                    self.written.send_replace(Some(member.phase));
                    // Jitter, so that replicas started together do not renew in lockstep.
                    RENEW_PERIOD.mul_f64(fastrand::f64().mul_add(-0.1, 1.0))
                }
                Err((error, verb)) => {
                    self.refresh_own(&error).await;
                    match retries.failed(&error, "renew the Lease of this member") {
                        Some(pause) => pause,
                        None => {
                            return MissingPermission {
                                verb,
                                resource: RESOURCE,
                                namespace: self.names.namespace.clone(),
                            };
                        }
                    }
                }
            };
            let changed = async {
                tokio::select! {
                    biased;
                    _ = wanted.changed() => {}
                    // Peers no longer accept the key of this process until the Lease is back.
                    () = self.disturbed.notified() => {
                        let since = last_disturbed.replace(Instant::now()).map_or(DISTURBED_PAUSE, |at| at.elapsed());
                        sleep(DISTURBED_PAUSE.saturating_sub(since)).await;
                    }
                }
            };
            if timeout(pause, changed).await.is_ok() {
                sleep(BATCH_PAUSE).await;
            }
        }
    }

    /// Makes one attempt. The error comes with the verb of the request.
    async fn write_own(&self, member: &Member) -> Result<(), (RequestError, &'static str)> {
        let name = self.names.member(self.id.ordinal);
        let before = self.known_leases().own.clone();
        let us = holder(&self.id);
        let transitions = match &before {
            Some(own) if own.holder != us => own.transitions.saturating_add(1),
            Some(own) => own.transitions,
            None => 0,
        };
        let version = before.map(|own| own.version);
        let timed = Member { boot: Some(millis(self.clock.boot())), ..member.clone() };
        let mut lease = self.lease(&name, MEMBER, &timed, &us, version.clone());
        if let Some(spec) = &mut lease.spec {
            spec.lease_transitions = Some(transitions);
        }
        let before = self.known_leases().confirmations.reached;
        let sent = self.clock.boot();
        // NB: before the answer, which the watch may overtake.
        let statement = Member { renewed: None, boot: None, ..member.clone() };
        self.known_leases().written = Some(statement.clone());
        let (lease, verb) = self.store(&name, &lease, version.is_some()).await;
        let lease = lease.map_err(|error| (error, verb))?;
        let mut known_leases = self.known_leases();
        known_leases.own = Some(OwnLease { member: Some(statement), ..own(&lease, None) });
        let confirmed = known_leases.confirmations.wrote(number(&version_of(&lease)), before, sent);
        drop(known_leases);
        self.confirm(confirmed);
        Ok(())
    }

    /// Reads the own Lease after a failed write: it may belong to another process, be deleted, or have been written after all.
    async fn refresh_own(&self, error: &RequestError) {
        if matches!(error, RequestError::Forbidden(_)) {
            return;
        }
        // A Lease without its label is in no list and no watch.
        let _ = self.read_own().await;
    }

    /// Reads the own Lease from the API server, not from its cache, and returns the statement in it. The machine learns of the Lease
    /// of another process.
    async fn read_own(&self) -> Result<Option<Member>, RequestError> {
        let found = with_timeout(self.api.get_opt(&self.names.member(self.id.ordinal))).await?;
        let Some(lease) = found else {
            self.known_leases().own = None;
            return Ok(None);
        };
        let key = self.key_of(&lease);
        self.known_leases().own = Some(own(&lease, key.as_ref()));
        let member = key.and_then(|(_, _, member)| member);
        if let Some(other) = member.as_ref().filter(|member| member.id != self.id) {
            self.send(Message::Event(Event::Lease(other.clone())));
        }
        Ok(member.map(|member| Member { renewed: renewed(&lease), ..member }))
    }

    /// Reads the own Lease again and again while it is `wanted` to know whether another process holds it.
    pub async fn verify(&self, mut wanted: watch::Receiver<bool>) -> Infallible {
        loop {
            if wanted.wait_for(|wanted| *wanted).await.is_err() {
                return std::future::pending().await;
            }
            let sent = self.clock.boot();
            match self.read_own().await {
                Ok(holder) => self.send(Message::Event(Event::LeaseRead(holder, sent))),
                Err(error) => debug!(%error, "cannot read the Lease of this member"),
            }
            sleep(VERIFY_PAUSE).await;
        }
    }

    /// Writes the `wanted` records. Returns if a permission is missing.
    pub async fn record(&self, mut wanted: watch::Receiver<Option<Write>>) -> MissingPermission {
        let mut retries = Retries::default();
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
                    retries.succeeded();
                    let version = Some(version_of(&lease));
                    self.send(Message::Stored { record: Some(Ok(record)), version, reset: false, hidden: false });
                    // A restored API server may list the record of before this write. That is news.
                    self.known_leases().versions.remove(&name);
                    CONFLICT_PAUSE
                }
                // A Lease without its label is in no list and no watch.
                (Err(RequestError::Conflict), _) if over.is_none() => {
                    self.read_record().await;
                    CONFLICT_PAUSE
                }
                // Another process was faster; the watch delivers its write.
                (Err(RequestError::Conflict | RequestError::NotFound), _) => CONFLICT_PAUSE,
                (Err(error), verb) => match retries.failed(&error, "write the record of the fleet") {
                    Some(pause) => pause,
                    None => {
                        return MissingPermission { verb, resource: RESOURCE, namespace: self.names.namespace.clone() };
                    }
                },
            };
            // The wanted record changes as soon as this one, or another one, was written.
            let _ = timeout(pause, wanted.changed()).await;
        }
    }

    /// Reads the Lease of the fleet by its name. The coordinator writes it again if it lacks its labels.
    async fn read_record(&self) {
        let lease = match with_timeout(self.api.get_opt(&self.names.record())).await {
            Ok(Some(lease)) => lease,
            Ok(None) => return,
            Err(error) => return debug!(%error, "cannot read the record of the fleet"),
        };
        let hidden = !self.is_selected(&lease);
        if hidden {
            warn!(lease = self.names.record(), "the Lease of the fleet lacks its labels: writing them again");
        }
        self.put_record(&lease, false, hidden);
    }

    /// Whether lists and watches of the fleet contain a Lease.
    fn is_selected(&self, lease: &Lease) -> bool {
        let labels = lease.metadata.labels.as_ref();
        let has =
            |key: &str, value: &str| labels.and_then(|labels| labels.get(key)).is_some_and(|found| found == value);
        has(MANAGED_BY.0, MANAGED_BY.1) && has(STATEFULSET, &self.names.statefulset)
    }

    /// Deletes the Leases of the `wanted` ordinals, as far as they are as they were read. Without the permission it leaves them.
    pub async fn delete(&self, mut wanted: watch::Receiver<Vec<u32>>) -> Infallible {
        loop {
            let ordinals = wanted.borrow_and_update().clone();
            for ordinal in ordinals {
                let name = self.names.member(ordinal);
                let version = self.known_leases().versions.get(&name).cloned();
                let Some((version, _)) = version else { continue };
                let preconditions = Some(Preconditions { resource_version: Some(version), uid: None });
                let parameters = DeleteParams { preconditions, ..DeleteParams::default() };
                match with_timeout(self.api.delete(&name, &parameters)).await {
                    Ok(_) => info!(lease = name, "deleted the Lease of a member that the StatefulSet no longer has"),
                    // It was renewed, or is gone.
                    Err(RequestError::Conflict | RequestError::NotFound) => {}
                    Err(error @ RequestError::Forbidden(_)) => {
                        warn!(%error, "cannot delete Leases of former members; add manifests/base/role.yaml");
                        return std::future::pending().await;
                    }
                    Err(error) => debug!(lease = name, %error, "cannot delete a Lease"),
                }
            }
            // A failed attempt is repeated.
            if let Ok(Err(_)) = timeout(DELETE_PAUSE, wanted.changed()).await {
                return std::future::pending().await;
            }
        }
    }

    async fn store(&self, name: &str, lease: &Lease, exists: bool) -> (Result<Lease, RequestError>, &'static str) {
        let parameters = PostParams::default();
        match exists {
            true => (with_timeout(self.api.replace(name, &parameters, lease)).await, "update"),
            false => (with_timeout(self.api.create(&parameters, lease)).await, "create"),
        }
    }

    fn lease(
        &self,
        name: &str,
        annotation: &str,
        content: &impl serde::Serialize,
        holder: &str,
        version: Option<String>,
    ) -> Lease {
        let (key, value) = MANAGED_BY;
        let labels = [(key, value), (STATEFULSET, &self.names.statefulset)];
        // Cannot fail: it consists of numbers, strings and lists.
        let text = serde_json::to_string(content).unwrap_or_default();
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
                renew_time: Some(MicroTime(self.timestamp())),
                ..LeaseSpec::default()
            }),
        }
    }

    /// Returns the time of a write.
    fn timestamp(&self) -> Timestamp {
        // Out of range only if the clock is thousands of years ahead.
        i64::try_from(self.clock.now().unix)
            .ok()
            .and_then(|at| Timestamp::from_millisecond(at).ok())
            .unwrap_or_default()
    }

    fn confirm(&self, sent: Option<Duration>) {
        if let Some(sent) = sent {
            self.send(Message::Event(Event::LeaseConfirmed(sent)));
        }
    }

    fn send(&self, message: Message) {
        self.outbox.send(message);
    }

    fn known_leases(&self) -> MutexGuard<'_, KnownLeases> {
        // Always consistent: each change is a single assignment.
        lock(&self.known_leases)
    }
}

/// Why a Lease does not describe its member.
#[derive(Debug, thiserror::Error)]
pub(super) enum StatementError {
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error("it names member {0}")]
    OtherMember(u32),
}

impl From<&StatementError> for Reason {
    fn from(error: &StatementError) -> Self {
        match error {
            StatementError::Format(error) => error.into(),
            StatementError::OtherMember(_) => Self::WrongMember,
        }
    }
}

/// Returns the statement in the Lease of an ordinal; `None` without one.
pub(super) fn statement_in(lease: &Lease, ordinal: u32) -> Option<Result<Member, StatementError>> {
    let decoded = Member::decode(annotation(lease, MEMBER)?.as_bytes());
    Some(decoded.map_err(StatementError::from).and_then(|member| match member.id.ordinal {
        named if named == ordinal => Ok(member),
        other => Err(StatementError::OtherMember(other)),
    }))
}

/// Reads the Lease of this member, with its [`Leases::key_of`].
fn own(lease: &Lease, key: Option<&ReadLease>) -> OwnLease {
    let spec = lease.spec.as_ref();
    OwnLease {
        version: version_of(lease),
        member: key.and_then(|(_, _, member)| member.clone()).map(|member| Member { boot: None, ..member }),
        holder: spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default(),
        transitions: spec.and_then(|spec| spec.lease_transitions).unwrap_or_default(),
    }
}

/// Returns when the holder wrote the Lease, in Unix milliseconds by the holder's clock.
pub(super) fn renewed(lease: &Lease) -> Option<u64> {
    let MicroTime(at) = lease.spec.as_ref()?.renew_time.as_ref()?;
    u64::try_from(at.as_millisecond()).ok()
}

pub(super) fn version_of(lease: &Lease) -> String {
    lease.metadata.resource_version.clone().unwrap_or_default()
}

pub(super) fn annotation<'a>(lease: &'a Lease, name: &str) -> Option<&'a str> {
    lease.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_the_delivery_of_a_write_confirms_it() {
        let second = Duration::from_secs;
        let mut confirmations = Confirmations::default();
        assert_eq!(confirmations.listed(10), None);
        assert_eq!(confirmations.wrote(12, 10, second(1)), None);
        assert_eq!(confirmations.wrote(15, 10, second(2)), None);
        assert_eq!(confirmations.reached(11), None);
        assert_eq!(confirmations.reached(12), Some(second(1)));
        tokio::time::advance(second(7)).await;
        assert_eq!(confirmations.overdue(), Some(second(7)), "the watch never delivered the second write");
        assert_eq!(confirmations.reached(20), Some(second(2)));
        assert_eq!(confirmations.overdue(), None);
        assert_eq!(confirmations.wrote(19, 18, second(3)), Some(second(3)), "the watch was faster");
        assert_eq!(confirmations.wrote(25, 20, second(4)), None);
        assert_eq!(confirmations.listed(26), Some(second(4)), "a list shows it, too");
        // A restored API server continues from an earlier version.
        assert_eq!(confirmations.wrote(28, 26, second(5)), None);
        assert_eq!(confirmations.listed(5), None);
        assert_eq!(confirmations.wrote(6, 5, second(6)), None);
        assert_eq!(confirmations.reached(6), Some(second(6)));
    }

    #[test]
    fn a_write_with_an_earlier_version_shows_that_the_api_server_went_back() {
        let second = Duration::from_secs;
        let mut confirmations = Confirmations::default();
        assert_eq!(confirmations.listed(1200), None);
        assert_eq!(confirmations.wrote(1201, 1200, second(1)), None);
        assert_eq!(confirmations.wrote(1001, 1200, second(2)), None, "the watch has not delivered it");
        assert_eq!(confirmations.overdue(), Some(Duration::MAX), "and it cannot");
        assert_eq!(confirmations.reached(1202), None, "events of the old watch prove nothing");
        assert_eq!(confirmations.wrote(1003, 1200, second(3)), None);
        assert_eq!(confirmations.listed(1004), Some(second(3)));
        assert_eq!(confirmations.overdue(), None);
    }
}

//! Filters arriving objects: by shard, by the object limit, and by the requested form.
//!
//! The only caller of the [`Sink`]. Synchronous: it receives the frames of a response and knows nothing of connections.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::api::count;
use super::checkpoint::{Checkpoint, Replay, Replayed};
use super::decode::{DecodeError, Item};
use super::discard::table::{self, Row};
use super::discard::{self, Peek, PeekError};
use super::encoding::Encoding;
use super::event::{Event, EventKind};
use super::failure::Failure;
use super::form::Form;
use super::frames::ListPart;
use super::json::{self, Elements};
use super::mend::mended;
use super::protobuf::LAST_APPLIED;
use super::sink::Sink;
use super::source::{Source, Status};
use super::uid_observer::UidObserver;
use super::unreadable::{NOT_UNICODE, Unreadable};
use crate::resource_version::number;
use crate::sharding::{Hasher, Hashes, Slice};
use crate::shown;

/// The kind of every item in a Metadata or Table response.
const PARTIAL: &str = "PartialObjectMetadata";

/// The effect of an event on the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// An object was added, changed or deleted.
    Object,
    /// The watch reached another resourceVersion.
    Bookmark,
    /// The bookmark after the initial events.
    InitialEventsEnd,
}

/// The metadata of a page of a list.
#[derive(Debug, Default)]
pub struct Page {
    /// `resourceVersion`.
    pub version: String,
    /// `continue`: where the next page starts; empty on the last page.
    pub next: String,
    /// The kind of the list was read, and it is the requested one.
    approved: bool,
}

impl Page {
    /// Checks a page that was read to its end.
    ///
    /// # Errors
    /// It has no kind, or no resourceVersion.
    pub fn check(&self) -> Result<(), Failure> {
        let missing = match (self.approved, self.version.is_empty()) {
            (false, _) => "kind",
            (true, true) => "resourceVersion",
            (true, false) => return Ok(()),
        };
        Err(Failure::WrongForm(format!("a list without {missing}")))
    }
}

/// Passes the objects of a source to its sink.
pub struct Objects {
    sink: Box<dyn Sink>,
    status: Arc<Status>,
    form: Form,
    kind: String,
    /// Whether it is a known type of the API server.
    is_typed: bool,
    /// For a backfill: the part that the watch already keeps up to date. The list may be older, so its objects are skipped.
    synced: Option<Slice>,
    observer: UidObserver,
    checkpoint: Checkpoint,
    /// The running watch repeats known events.
    replay: Option<Replay>,
    /// The maximum number of objects, counted before sharding; 0 is no limit.
    limit: u64,
    /// With a limit: the hashes of the objects within the limit.
    known: HashSet<u64>,
    /// Number of objects in the list so far.
    listed: u64,
    /// For Tables: the index of the column `Type`.
    type_column: Option<usize>,
    /// The warning about a wrong form was logged.
    warned: bool,
    /// The warning about an unreadable field was logged.
    warned_of_field: bool,
    /// Secret data arrived, of any shard.
    tainted: bool,
}

/// An object that arrived, peeked at.
struct Arrival<'a> {
    encoding: Encoding,
    /// The object; in JSON also the text after it.
    bytes: &'a [u8],
    peek: Peek<'a>,
    row: Option<Row<'a>>,
    /// Whether the object has the requested form.
    right_form: bool,
}

impl Objects {
    /// For the full lists and the watch of `source`.
    pub fn new(source: &Source, sink: Box<dyn Sink>, status: Arc<Status>) -> Self {
        Self {
            sink,
            form: source.endpoint.form,
            kind: source.endpoint.kind.clone(),
            is_typed: source.endpoint.typed,
            synced: None,
            observer: UidObserver::new(Arc::clone(&status), source.audited),
            status,
            checkpoint: Checkpoint::default(),
            replay: None,
            limit: source.object_limit,
            known: HashSet::new(),
            listed: 0,
            type_column: None,
            warned: false,
            warned_of_field: false,
            tainted: false,
        }
    }

    /// For the backfills of `source`, with their own sink.
    pub fn for_backfill(source: &Source, sink: Box<dyn Sink>, status: Arc<Status>) -> Self {
        let observer = UidObserver::new(Arc::clone(&status), false);
        Self { synced: Some(Slice::none()), observer, ..Self::new(source, sink, status) }
    }

    /// Whether Secret data arrived since the last call. It must not stay in memory. `kubectl apply` puts it into an annotation.
    pub const fn take_taint(&mut self) -> bool {
        std::mem::replace(&mut self.tainted, false)
    }

    fn see_taint(&mut self, bytes: &[u8]) {
        self.tainted |= self.form == Form::Table && memchr::memmem::find(bytes, LAST_APPLIED.as_bytes()).is_some();
    }

    /// A response begins. The server was asked to restrict it to `selected`.
    pub fn begin_response(&mut self, selected: Option<Slice>) {
        self.observer.begin_response(selected);
    }

    /// A full list of `slice` begins.
    pub fn begin(&mut self, slice: &Slice) {
        self.known.clear();
        self.listed = 0;
        self.checkpoint.clear();
        self.replay = None;
        self.observer.begin_list();
        self.sink.init(slice);
    }

    /// A backfill of `slice` begins while a watch keeps `synced` up to date.
    pub fn begin_backfill(&mut self, slice: &Slice, synced: Slice) {
        self.begin(slice);
        self.synced = Some(synced);
    }

    /// Abandons the running list, if there is one.
    pub fn give_up(&mut self) {
        self.sink.give_up();
    }

    /// Declares the versions of the known objects void: the next list replaces their states.
    pub fn void_versions(&mut self) {
        self.sink.rewind();
    }

    /// Declares everything that the server sent before void.
    pub fn rewind(&mut self) {
        self.void_versions();
        self.status.newest_seen.store(0, Ordering::Relaxed);
        self.forget();
    }

    fn forget(&mut self) {
        self.status.position.store(0, Ordering::Release);
        self.observer.missed(false);
    }

    /// The list is complete as of `version`.
    pub fn done(&mut self, version: &str) {
        let version = number(version);
        self.sink.init_done(version);
        if self.synced.is_some() {
            return;
        }
        self.status.listed_objects.store(self.listed, Ordering::Relaxed);
        self.observer.finish_list(version);
        self.status.position.store(version, Ordering::Release);
        self.status.settled.store(true, Ordering::Release);
    }

    /// Forgets all objects, because nothing is desired.
    pub fn rest(&mut self) {
        self.sink.give_up();
        self.forget();
        self.status.settled.store(true, Ordering::Release);
    }

    /// The newest known change.
    pub const fn checkpoint(&mut self) -> &mut Checkpoint {
        &mut self.checkpoint
    }

    /// The next watch begins with known events.
    pub fn begin_replay(&mut self, replay: Replay) {
        self.replay = Some(replay);
    }

    /// The events that the watch repeats.
    pub const fn replay(&self) -> Option<&Replay> {
        self.replay.as_ref()
    }

    /// All events up to `version` are applied.
    pub fn reached(&self, version: &str) {
        self.status.position.store(number(version), Ordering::Release);
    }

    /// Number of objects in the list so far, before sharding.
    pub const fn listed(&self) -> u64 {
        self.listed
    }

    /// Handles a part of a list.
    ///
    /// # Errors
    /// The list does not have the requested form. None of its objects was used.
    pub fn list_part(
        &mut self,
        slice: &Slice,
        encoding: Encoding,
        part: ListPart<'_>,
        page: &mut Page,
    ) -> Result<(), Failure> {
        match part {
            ListPart::Kind(kind) => {
                self.check_list_kind(encoding, kind)?;
                page.approved = true;
            }
            ListPart::Metadata { version, next } => {
                page.version = version.to_owned();
                page.next = next.to_owned();
            }
            ListPart::Columns(definitions) => self.see_columns(definitions),
            ListPart::Item(bytes) => {
                // In a JSON list of whole objects the kind may come last. Reduced forms always start with it.
                if !page.approved && (self.form != Form::Object || encoding == Encoding::Protobuf) {
                    return Err(Failure::WrongForm("a list without kind".to_owned()));
                }
                self.list_item(slice, encoding, bytes);
            }
        }
        Ok(())
    }

    fn check_list_kind(&self, encoding: Encoding, kind: &str) -> Result<(), Failure> {
        let right = match (self.form, encoding) {
            (Form::Object, Encoding::Protobuf) => kind.strip_suffix("List") == Some(&self.kind),
            (Form::Object, Encoding::Json) if self.is_typed => kind.strip_suffix("List") == Some(&self.kind),
            // A custom resource may choose any name for its list. Its items have a kind.
            (Form::Object, Encoding::Json) => {
                !matches!(kind, "Table" | "Status" | PARTIAL | "PartialObjectMetadataList")
            }
            (Form::Metadata, _) => kind == "PartialObjectMetadataList",
            (Form::Table, _) => kind == "Table",
        };
        right.then_some(()).ok_or_else(|| Failure::WrongForm(format!("a list of kind {}", shown::value(kind))))
    }

    fn list_item(&mut self, slice: &Slice, encoding: Encoding, bytes: &[u8]) {
        self.see_taint(bytes);
        let arrival = if self.form == Form::Table {
            table::row(bytes).and_then(|row| self.arrival_of_row(row))
        } else {
            // The items of a typed list have no kind, so do not search whole objects for it.
            let wanted = match self.form {
                Form::Object if self.is_typed => None,
                Form::Object => Some(self.kind.as_str()),
                Form::Metadata | Form::Table => Some(PARTIAL),
            };
            discard::peek(encoding, bytes, wanted.is_some()).map(|peek| {
                let right_form = wanted.zip(peek.kind.as_ref()).is_none_or(|(wanted, kind)| kind == wanted);
                Arrival { encoding, bytes, peek, row: None, right_form }
            })
        };
        match arrival {
            Ok(arrival) => {
                self.observer.observe(EventKind::Added, &arrival.peek, true);
                self.present(slice, &arrival, true);
            }
            Err(error) => self.unreadable(&error, true),
        }
    }

    fn arrival_of_row<'a>(&self, row: Row<'a>) -> Result<Arrival<'a>, PeekError> {
        let peek = discard::peek(Encoding::Json, row.object, true)?;
        let right_form = peek.kind.as_deref() == Some(PARTIAL);
        Ok(Arrival { encoding: Encoding::Json, bytes: row.object, peek, row: Some(row), right_form })
    }

    fn see_columns(&mut self, definitions: &[u8]) {
        // Only the first event of a watch has column definitions.
        if json::trim(definitions).starts_with(b"[") {
            self.type_column = table::type_column(definitions);
        }
    }

    /// Handles an event of a watch and sets `version` to the event's. `initial` marks the events of a streaming list before its
    /// end.
    ///
    /// # Errors
    /// The event reports that the watch failed, or a replay shows that the server went back.
    pub fn event(
        &mut self,
        slice: &Slice,
        encoding: Encoding,
        frame: &[u8],
        initial: bool,
        version: &mut String,
    ) -> Result<Progress, Failure> {
        self.see_taint(frame);
        let event = match Event::read(encoding, frame) {
            Ok(event) => event,
            Err(error) => {
                self.unreadable(&error, initial);
                return Ok(Progress::Object);
            }
        };
        if event.kind == EventKind::Error {
            let status = if encoding == Encoding::Json { exact(event.object) } else { event.object };
            return Err(Failure::of_event(encoding, status));
        }
        if event.kind == EventKind::Unknown {
            // What happened to the object is not known, so it stays as it is.
            self.observer.missed(initial);
            count(&self.status.undecodable);
            let kind = shown::value(&event.type_text);
            tracing::warn!(kind, "event of an unknown type, keeping the object as it was");
        }
        match self.arrival_of_event(encoding, &event) {
            Ok(Some(arrival)) if self.is_replayed(event.kind, &arrival.peek)? => Ok(match event.kind {
                EventKind::Bookmark => Progress::Bookmark,
                _ => Progress::Object,
            }),
            Ok(Some(arrival)) => Ok(self.arrived(slice, event.kind, &arrival, initial, version)),
            Ok(None) => {
                self.observer.missed(initial);
                Ok(Progress::Object)
            }
            Err(error) => {
                self.unreadable(&error, initial);
                Ok(Progress::Object)
            }
        }
    }

    /// Whether an event is known, because the watch repeats events.
    fn is_replayed(&mut self, kind: EventKind, peek: &Peek<'_>) -> Result<bool, Failure> {
        let Some(replay) = &mut self.replay else { return Ok(false) };
        let version = number(&peek.version);
        if version == 0 {
            return Ok(false);
        }
        let replayed = replay.judge(kind, &peek.uid, version)?;
        self.observer.arrived(&peek.uid);
        if replayed != Replayed::Known {
            self.replay = None;
        }
        Ok(replayed != Replayed::New)
    }

    /// The object of an event, unpacked from its Table if it has one; `None` for a Table without rows.
    fn arrival_of_event<'a>(
        &mut self,
        encoding: Encoding,
        event: &Event<'a>,
    ) -> Result<Option<Arrival<'a>>, PeekError> {
        if self.form == Form::Table && encoding == Encoding::Json {
            let table = table::read(event.object)?;
            if table.kind == "Table" {
                self.see_columns(table.columns);
                // An event has one object, so its Table has one row.
                let row = Elements::of(table.rows).next().transpose()?.map(table::row).transpose()?;
                return row.map(|row| self.arrival_of_row(row)).transpose();
            }
        }
        let mut peek = discard::peek(encoding, event.object, true)?;
        let kind = event.object_kind.clone().or_else(|| peek.kind.take());
        let right_form = match self.form {
            Form::Object => kind.is_none_or(|kind| kind == self.kind),
            Form::Metadata => kind.is_some_and(|kind| kind == PARTIAL),
            Form::Table => false,
        };
        Ok(Some(Arrival { encoding, bytes: event.object, peek, row: None, right_form }))
    }

    fn arrived(
        &mut self,
        slice: &Slice,
        kind: EventKind,
        arrival: &Arrival<'_>,
        initial: bool,
        version: &mut String,
    ) -> Progress {
        // The initial events are not ordered by version.
        if (!initial || kind == EventKind::Bookmark) && !arrival.peek.version.is_empty() {
            version.clear();
            version.push_str(&arrival.peek.version);
        }
        if !initial && matches!(kind, EventKind::Added | EventKind::Modified | EventKind::Deleted) {
            self.checkpoint.note(&arrival.peek.uid, number(&arrival.peek.version));
        }
        match kind {
            EventKind::Added | EventKind::Modified => {
                self.observer.observe(kind, &arrival.peek, initial);
                self.present(slice, arrival, initial);
            }
            EventKind::Deleted => {
                self.observer.observe(kind, &arrival.peek, initial);
                self.deleted(slice, arrival);
            }
            EventKind::Bookmark if discard::ends_initial_events(arrival.encoding, arrival.bytes) => {
                return Progress::InitialEventsEnd;
            }
            EventKind::Bookmark => return Progress::Bookmark,
            EventKind::Error | EventKind::Unknown => {}
        }
        Progress::Object
    }

    /// The UID of an object, if it has one.
    fn identify<'a>(&self, arrival: &'a Arrival<'_>) -> Option<&'a str> {
        let uid = &*arrival.peek.uid;
        if uid.is_empty() {
            self.undecodable(arrival, &"no UID");
            return None;
        }
        Some(uid)
    }

    /// Handles an object that exists; `listed` if it came with a list.
    fn present(&mut self, slice: &Slice, arrival: &Arrival<'_>, listed: bool) {
        let Some(uid) = self.identify(arrival) else { return };
        if !self.admit(uid) {
            return;
        }
        self.listed += u64::from(listed);
        if !slice.contains_uid(uid) {
            count(&self.status.foreign);
            if self.sink.wants_foreign() {
                let (namespace, name) = discard::names(arrival.encoding, arrival.bytes);
                self.sink.foreign(&namespace, &name);
            }
            return;
        }
        if self.synced.as_ref().is_some_and(|synced| synced.contains_uid(uid)) {
            self.sink.keep(uid);
            return;
        }
        if !arrival.right_form {
            self.wrong_form("an object of an unexpected kind");
            self.sink.keep(uid);
            return;
        }
        let table_type = arrival.row.zip(self.type_column).and_then(|(row, column)| row.cell(column));
        let unreadable = Unreadable::default();
        let item = Item {
            uid,
            hashes: Hashes::of(uid),
            version: number(&arrival.peek.version),
            listed,
            encoding: arrival.encoding,
            form: self.form,
            table_type: table_type.as_deref(),
            bytes: if arrival.encoding == Encoding::Json { exact(arrival.bytes) } else { arrival.bytes },
            unreadable: &unreadable,
        };
        self.status.newest_seen.fetch_max(item.version, Ordering::Relaxed);
        let applied = match self.sink.apply(&item) {
            Err(DecodeError::Json(_)) if let Some(mended) = mended(item.bytes) => {
                // The second attempt notes the same fields again.
                unreadable.reset();
                (0..mended.replaced).for_each(|_| unreadable.note(NOT_UNICODE));
                self.sink.apply(&Item { bytes: &mended.text, ..item })
            }
            applied => applied,
        };
        match applied {
            Ok(()) => {
                count(&self.status.applied);
                self.left_out(arrival, &unreadable);
            }
            Err(error) => {
                self.undecodable(arrival, &error);
                self.sink.keep(uid);
            }
        }
    }

    /// Whether an object is within the limit. Counts it if so.
    fn admit(&mut self, uid: &str) -> bool {
        if self.limit == 0 {
            return true;
        }
        let hash = Hasher::XxHash64.hash(uid);
        if self.known.contains(&hash) {
            return true;
        }
        let room = (self.known.len() as u64) < self.limit;
        if room {
            self.known.insert(hash);
        }
        room
    }

    /// Handles the deletion of an object.
    fn deleted(&mut self, slice: &Slice, arrival: &Arrival<'_>) {
        let Some(uid) = self.identify(arrival) else { return };
        if self.limit != 0 && !self.known.remove(&Hasher::XxHash64.hash(uid)) {
            return;
        }
        if !slice.contains_uid(uid) {
            count(&self.status.foreign);
            return;
        }
        // A backfill does not contain objects deleted before its request, and the watch reports later deletions.
        if self.synced.is_some() {
            return;
        }
        self.sink.delete(uid, number(&arrival.peek.version));
        count(&self.status.deleted);
    }

    fn undecodable(&self, arrival: &Arrival<'_>, error: &dyn std::fmt::Display) {
        count(&self.status.undecodable);
        let (namespace, name) = discard::names(arrival.encoding, arrival.bytes);
        let [namespace, name, uid] = [&*namespace, &*name, &*arrival.peek.uid].map(shown::value);
        tracing::warn!(object.namespace = namespace, object.name = name, uid, %error, "object does not decode, keeping its last known state");
    }

    /// Counts the fields that were left out. The log names one of them, once per source, because an object may change often.
    fn left_out(&mut self, arrival: &Arrival<'_>, unreadable: &Unreadable) {
        if unreadable.count() == 0 {
            return;
        }
        self.status.unreadable_fields.fetch_add(unreadable.count(), Ordering::Relaxed);
        if !std::mem::replace(&mut self.warned_of_field, true) {
            let (namespace, name) = discard::names(arrival.encoding, arrival.bytes);
            tracing::warn!(
                object.namespace = namespace,
                object.name = name,
                uid = &*arrival.peek.uid,
                field = unreadable.first(),
                "field cannot be read, serving the object without it; counting further ones silently"
            );
        }
    }

    fn unreadable(&mut self, error: &PeekError, listed: bool) {
        self.observer.missed(listed);
        count(&self.status.undecodable);
        tracing::warn!(%error, "object cannot be identified");
    }

    /// Counts something that does not have the requested form.
    pub fn wrong_form(&mut self, what: &str) {
        count(&self.status.wrong_form);
        self.tainted |= self.form == Form::Table;
        if !self.warned {
            self.warned = true;
            tracing::warn!("the server sent {what}, which was not requested; dropping and counting such objects");
        }
    }
}

/// The JSON value at the start of `bytes`, without the text after it.
fn exact(bytes: &[u8]) -> &[u8] {
    json::split_value(bytes).map_or(bytes, |(value, _)| value)
}

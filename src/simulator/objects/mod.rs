//! The objects, their versions and their history: the server's state, without HTTP.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::options::{Faults, Options};
use super::request::Request;
use super::resource_type::ResourceType;
use super::select::Scope;
use crate::sync::watch;

/// An object as it was at one version.
pub(super) type Object = Arc<Value>;

/// Limit of concurrent paged lists; the oldest expires.
const OPEN_LISTS: usize = 64;

/// Number of remembered requests.
const REMEMBERED_REQUESTS: usize = 10_000;

/// An event of a resource.
pub(super) enum Event {
    /// An object was created (`before` is empty), changed, or deleted (`now` is its last state, with the version of the deletion).
    Change { version: u64, before: Option<Object>, now: Object, deleted: bool },
    /// A raw line of a test, sent to watchers.
    Line(Bytes),
}

/// The fate of the open watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The connection breaks.
    Cut,
    /// An `ERROR` event with 410, then the end of the watch.
    Gone,
    /// No further byte.
    Silent,
    /// A bookmark.
    Bookmark,
}

/// One resource: its objects and its recent history.
pub(super) struct Table {
    pub resource: ResourceType,
    pub objects: Content,
    history: VecDeque<Event>,
    /// Sequence number of the oldest remembered event.
    first: u64,
    /// A watch from an earlier version would miss events.
    floor: u64,
    /// Notified after each change.
    pub changed: watch::Sender<()>,
    pub faults: Faults,
    /// The last fate, and the number of fates so far; a watch follows those set after its start.
    pub fate: Option<Fate>,
    pub fates: u64,
    /// Open watches.
    pub watches: Arc<AtomicUsize>,
}

/// A paged list in progress.
struct OpenList {
    id: u64,
    version: u64,
    objects: Arc<[Object]>,
}

/// A page of a list.
pub(super) struct Page {
    pub version: u64,
    pub objects: Vec<Object>,
    /// List and position at which the next page starts.
    pub next: Option<(u64, usize)>,
    pub remaining: usize,
}

/// The objects of a resource, by namespace and name.
type Content = BTreeMap<(String, String), Object>;

/// The content of the server at one version.
pub struct Saved {
    version: u64,
    tables: Vec<(String, Content)>,
}

impl Saved {
    /// The objects of a resource, by plural.
    pub fn objects(&self, plural: &str) -> Vec<Value> {
        let of = self.tables.iter().filter(|(name, _)| name == plural);
        of.flat_map(|(_, objects)| objects.values()).map(|object| Value::clone(object)).collect()
    }
}

/// The whole state of the server.
pub(super) struct State {
    pub version: u64,
    pub tables: Vec<Table>,
    open_lists: VecDeque<OpenList>,
    lists_opened: u64,
    history: usize,
    /// Whether StatefulSets have a controller.
    pub controlled: bool,
    /// The numbers of the next events of StatefulSets and Pods when their controller had nothing left to do.
    pub settled: Option<[u64; 2]>,
    rng: fastrand::Rng,
    pub requests: VecDeque<Request>,
}

impl Table {
    fn new(resource: ResourceType) -> Self {
        Self {
            resource,
            objects: BTreeMap::new(),
            history: VecDeque::new(),
            first: 0,
            floor: 0,
            changed: watch::Sender::new(()),
            faults: Faults::default(),
            fate: None,
            fates: 0,
            watches: Arc::default(),
        }
    }

    /// The sequence number of the next event.
    pub fn next(&self) -> u64 {
        self.first + self.history.len() as u64
    }

    /// The sequence number of the first event after `version`, or `None` if that has expired.
    pub fn after(&self, version: u64) -> Option<u64> {
        if version < self.floor {
            return None;
        }
        let newer = |event: &Event| matches!(event, Event::Change { version: v, .. } if *v > version);
        let position = self.history.iter().position(newer).unwrap_or(self.history.len());
        Some(self.first + position as u64)
    }

    /// The events from `sequence` on, or `None` if some have expired.
    pub fn since(&self, sequence: u64) -> Option<impl Iterator<Item = &Event>> {
        let skip = sequence.checked_sub(self.first)?;
        Some(self.history.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX)))
    }

    pub fn record(&mut self, event: Event, bound: usize) {
        self.history.push_back(event);
        while self.history.len() > bound {
            self.forget_oldest();
        }
        self.changed.send_replace(());
    }

    fn forget_oldest(&mut self) {
        if let Some(event) = self.history.pop_front() {
            self.first += 1;
            if let Event::Change { version, .. } = event {
                self.floor = version;
            }
        }
    }

    pub fn decide(&mut self, fate: Fate) {
        self.fate = Some(fate);
        self.fates += 1;
        self.changed.send_replace(());
    }

    pub fn in_scope(&self, scope: &Scope) -> Vec<Object> {
        self.objects.values().filter(|object| scope.contains(object)).cloned().collect()
    }

    fn find(&self, namespace: &str, name: &str) -> Result<&Object, ApiError> {
        self.objects
            .get(&(namespace.to_owned(), name.to_owned()))
            .ok_or_else(|| ApiError::not_found(&self.resource.plural, name))
    }
}

impl State {
    pub fn new(resources: Vec<ResourceType>, options: &Options) -> Self {
        Self {
            version: 1,
            tables: resources.into_iter().map(Table::new).collect(),
            open_lists: VecDeque::new(),
            lists_opened: 0,
            history: options.history,
            controlled: options.statefulsets,
            settled: None,
            rng: fastrand::Rng::with_seed(options.seed),
            requests: VecDeque::new(),
        }
    }

    /// The index of the table of a plural, or of `plural.group` if several groups have it.
    pub fn position(&self, name: &str) -> Result<usize, ApiError> {
        self.tables
            .iter()
            .position(|table| table.resource.plural == name || table.resource.full_name() == name)
            .ok_or_else(ApiError::unknown_resource)
    }

    /// That table.
    pub fn named(&mut self, name: &str) -> Result<&mut Table, ApiError> {
        let position = self.position(name)?;
        Ok(&mut self.tables[position])
    }

    /// The table of an object's kind.
    pub fn of_kind(&self, api_version: &str, kind: &str) -> Result<usize, ApiError> {
        self.tables
            .iter()
            .position(|table| table.resource.kind == kind && table.resource.api_version() == api_version)
            .ok_or_else(ApiError::unknown_resource)
    }

    pub fn get(&self, table: usize, namespace: &str, name: &str) -> Result<Object, ApiError> {
        self.tables[table].find(namespace, name).cloned()
    }

    /// Adds an object. A `trusted` object keeps the fields that the server normally assigns.
    pub fn create(&mut self, table: usize, mut object: Value, trusted: bool) -> Result<Object, ApiError> {
        let uid = uid(&mut self.rng);
        let suffix: String = std::iter::repeat_with(|| self.rng.lowercase()).take(5).collect();
        let resource = &self.tables[table].resource;
        let has_spec = object.get("spec").is_some();
        let metadata = metadata_mut(&mut object)?;
        if !metadata.contains_key("name")
            && let Some(prefix) = metadata.get("generateName").and_then(Value::as_str)
        {
            let name = format!("{prefix}{suffix}");
            metadata.insert("name".to_owned(), name.into());
        }
        let key = key(metadata, resource.namespaced)?;
        if self.tables[table].objects.contains_key(&key) {
            return Err(ApiError::already_exists(&self.tables[table].resource.plural, &key.1));
        }
        if !trusted {
            for own in ["uid", "creationTimestamp", "generation"] {
                metadata.remove(own);
            }
        }
        metadata.entry("uid").or_insert_with(|| uid.into());
        metadata.entry("creationTimestamp").or_insert_with(|| format!("{:.0}", jiff::Timestamp::now()).into());
        if has_spec {
            metadata.entry("generation").or_insert_with(|| 1.into());
        }
        Ok(self.put(table, key, None, object))
    }

    /// Replaces an object, if its `resourceVersion` (if it has one) is the current one.
    pub fn update(&mut self, table: usize, mut object: Value, trusted: bool) -> Result<Object, ApiError> {
        let Table { resource, .. } = &self.tables[table];
        let plural = resource.plural.clone();
        let key = key(metadata_mut(&mut object)?, resource.namespaced)?;
        let before = self.get(table, &key.0, &key.1)?;
        let old = &before["metadata"];
        let spec_changed = object.get("spec") != before.get("spec");
        let metadata = metadata_mut(&mut object)?;
        let version = metadata.get("resourceVersion");
        check(&plural, &key.1, metadata.get("uid"), version, old)?;
        if !trusted && plural == "leases" && version.and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(ApiError::invalid(
                "metadata.resourceVersion: Invalid value: 0: must be specified for an update",
            ));
        }
        // A deletion cannot be reverted, and only the server sets these fields.
        for end in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            match old.get(end) {
                Some(value) => metadata.insert(end.to_owned(), value.clone()),
                None if trusted => continue,
                None => metadata.remove(end),
            };
        }
        let asked = metadata.get("generation").and_then(Value::as_u64).filter(|_| trusted);
        for own in ["uid", "creationTimestamp", "generation", "resourceVersion"] {
            match old.get(own) {
                Some(value) => metadata.insert(own.to_owned(), value.clone()),
                None => metadata.remove(own),
            };
        }
        if let Some(generation) = old["generation"].as_u64() {
            let generation = asked.unwrap_or(0).max(generation + u64::from(spec_changed));
            metadata.insert("generation".to_owned(), generation.into());
        }
        // As on a real server, a write without a change creates no version and no event.
        if same(&object, &before) {
            return Ok(before);
        }
        Ok(self.put(table, key, Some(before), object))
    }

    /// Merges `patch` into an object (RFC 7386).
    pub fn patch(&mut self, table: usize, namespace: &str, name: &str, patch: &Value) -> Result<Object, ApiError> {
        let mut object = Value::clone(&*self.get(table, namespace, name)?);
        let whole = std::mem::take(&mut object["metadata"]["resourceVersion"]);
        merge(&mut object, patch);
        // Only a version that the patch itself names is compared.
        if object["metadata"]["resourceVersion"].is_null() {
            object["metadata"]["resourceVersion"] = whole;
        }
        if object["metadata"]["name"] != name {
            return Err(ApiError::bad_request("the name of the object does not match the name on the URL"));
        }
        self.update(table, object, false)
    }

    /// Marks a Pod as terminating, unless it is already.
    pub fn terminate(&mut self, pods: usize, pod: &Object) {
        if pod["metadata"]["deletionTimestamp"].is_string() {
            return;
        }
        let mut ending = Value::clone(pod);
        let grace = pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
        ending["metadata"]["deletionTimestamp"] = format!("{:.0}", jiff::Timestamp::now()).into();
        ending["metadata"]["deletionGracePeriodSeconds"] = grace.into();
        // The caller read it under the lock that is still held, so nothing can have changed.
        let _ = self.update(pods, ending, true);
    }

    /// Removes an object, if it matches the given UID and version, if any.
    pub fn delete(
        &mut self,
        table: usize,
        namespace: &str,
        name: &str,
        preconditions: &Value,
    ) -> Result<Object, ApiError> {
        let before = self.get(table, namespace, name)?;
        let plural = &self.tables[table].resource.plural;
        check(plural, name, preconditions.get("uid"), preconditions.get("resourceVersion"), &before["metadata"])?;
        self.version += 1;
        let version = self.version;
        let now = Arc::new(at_version(&before, version));
        let table = &mut self.tables[table];
        table.objects.remove(&(namespace.to_owned(), name.to_owned()));
        table.record(
            Event::Change { version, before: Some(before), now: Arc::clone(&now), deleted: true },
            self.history,
        );
        Ok(now)
    }

    fn put(&mut self, table: usize, key: (String, String), before: Option<Object>, mut object: Value) -> Object {
        self.version += 1;
        let version = self.version;
        object["metadata"]["resourceVersion"] = version.to_string().into();
        let resource = &self.tables[table].resource;
        object["kind"] = resource.kind.clone().into();
        object["apiVersion"] = resource.api_version().into();
        let now = Arc::new(object);
        let table = &mut self.tables[table];
        table.objects.insert(key, Arc::clone(&now));
        table.record(Event::Change { version, before, now: Arc::clone(&now), deleted: false }, self.history);
        now
    }

    /// The first page of a list.
    pub fn list(&mut self, table: usize, scope: &Scope, limit: usize) -> Page {
        let objects = self.tables[table].in_scope(scope);
        let version = self.version;
        if limit == 0 || objects.len() <= limit {
            return Page { version, objects, next: None, remaining: 0 };
        }
        self.lists_opened += 1;
        let id = self.lists_opened;
        if self.open_lists.len() == OPEN_LISTS {
            self.open_lists.pop_front();
        }
        self.open_lists.push_back(OpenList { id, version, objects: objects.into() });
        self.page(id, 0, limit).unwrap_or(Page { version, objects: Vec::new(), next: None, remaining: 0 })
    }

    /// A further page, as of the first one.
    pub fn page(&self, id: u64, from: usize, limit: usize) -> Result<Page, ApiError> {
        let list = self.open_lists.iter().find(|list| list.id == id).ok_or_else(|| {
            ApiError::expired("The provided continue parameter is too old to display a consistent list result.")
        })?;
        let rest = list.objects.get(from..).unwrap_or_default();
        let limit = if limit == 0 { rest.len() } else { limit.min(rest.len()) };
        let remaining = rest.len() - limit;
        Ok(Page {
            version: list.version,
            objects: rest[..limit].to_vec(),
            next: (remaining > 0).then_some((id, from + limit)),
            remaining,
        })
    }

    /// Forgets the history of all resources, and paged lists in progress.
    pub fn compact(&mut self) {
        self.open_lists.clear();
        for table in &mut self.tables {
            while !table.history.is_empty() {
                table.forget_oldest();
            }
            table.floor = self.version;
            table.changed.send_replace(());
        }
    }

    pub fn save(&self) -> Saved {
        let content = |table: &Table| (table.resource.plural.clone(), table.objects.clone());
        Saved { version: self.version, tables: self.tables.iter().map(content).collect() }
    }

    /// Goes back to an earlier version, as after the restore of a backup: the history is lost, and open watches break.
    pub fn restore(&mut self, saved: &Saved) {
        self.compact();
        self.version = saved.version;
        for (table, (_, objects)) in self.tables.iter_mut().zip(&saved.tables) {
            table.objects.clone_from(objects);
            table.floor = saved.version;
            // Counts as a change, so that a sequence number never names two events.
            table.first += 1;
            table.decide(Fate::Cut);
        }
    }

    /// Sends a line of the caller to the watchers of a resource.
    pub fn line(&mut self, name: &str, line: Bytes) -> Result<(), ApiError> {
        let bound = self.history;
        self.named(name)?.record(Event::Line(line), bound);
        Ok(())
    }

    pub fn remember(&mut self, request: Request) {
        if self.requests.len() == REMEMBERED_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
    }
}

/// A copy of an object at another version.
pub(super) fn at_version(object: &Value, version: u64) -> Value {
    let mut copy = object.clone();
    copy["metadata"]["resourceVersion"] = version.to_string().into();
    copy
}

fn metadata_mut(object: &mut Value) -> Result<&mut Map<String, Value>, ApiError> {
    let object = object.as_object_mut().ok_or_else(|| ApiError::bad_request("an object is wanted"))?;
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    metadata.as_object_mut().ok_or_else(|| ApiError::bad_request("metadata: an object is wanted"))
}

/// Namespace (empty if cluster-scoped) and name.
fn key(metadata: &mut Map<String, Value>, namespaced: bool) -> Result<(String, String), ApiError> {
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (namespace, name) = (text("namespace"), text("name"));
    if name.is_empty() {
        return Err(ApiError::invalid("metadata.name: Required value: name or generateName is required"));
    }
    match (namespaced, namespace.is_empty()) {
        (true, true) => Err(ApiError::invalid("metadata.namespace: Required value")),
        (false, false) => Err(ApiError::invalid("metadata.namespace: Forbidden: this resource lives in no namespace")),
        _ => Ok((namespace, name)),
    }
}

/// Compares the preconditions of a writer with the current UID and version.
pub(super) fn check(
    plural: &str,
    name: &str,
    uid: Option<&Value>,
    version: Option<&Value>,
    is: &Value,
) -> Result<(), ApiError> {
    let differs = |wanted: Option<&Value>, is: &Value| {
        wanted.and_then(Value::as_str).is_some_and(|wanted| !wanted.is_empty() && is.as_str() != Some(wanted))
    };
    if differs(uid, &is["uid"]) {
        return Err(ApiError::conflict(plural, name, "Precondition failed: UID in precondition differs"));
    }
    if differs(version, &is["resourceVersion"]) {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(ApiError::conflict(plural, name, why));
    }
    Ok(())
}

/// Whether two objects are equal except for their kind, which a writer may leave out.
fn same(one: &Value, other: &Value) -> bool {
    let fields = |value: &Value| -> BTreeMap<String, Value> {
        let all = value.as_object().into_iter().flatten();
        all.filter(|(key, _)| !matches!(key.as_str(), "kind" | "apiVersion"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    fields(one) == fields(other)
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            if let Some(target) = target.as_object_mut() {
                target.remove(key);
            }
        } else {
            merge(&mut target[key.as_str()], value);
        }
    }
}

/// A random UUID, version 4, as the server assigns to each object.
pub fn uid(rng: &mut fastrand::Rng) -> String {
    let bits = rng.u128(..);
    let (a, b, c) = ((bits >> 96) as u32, (bits >> 80) as u16, (bits >> 64) as u16 & 0x0fff);
    let (d, e) = ((bits >> 48) as u16 & 0x3fff | 0x8000, bits as u64 & 0xffff_ffff_ffff);
    format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}")
}

#[cfg(test)]
mod tests;

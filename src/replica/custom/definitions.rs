//! The CustomResourceDefinitions of the API server, as far as it serves their kinds.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};

use serde::Deserialize;

use crate::collectors::custom::GroupVersionKind;
use crate::intake::{DecodeError, Item, Sink};
use crate::sharding::Slice;
use crate::sync::{lock, watch};
use crate::telemetry::DefinitionEvents;

/// A kind of custom resource in one served version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CustomKind {
    pub of: GroupVersionKind,
    /// Its name in paths.
    pub plural: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
}

/// All kinds, sorted; `None` before the first list of definitions is complete.
pub(super) type KnownKinds = Option<Arc<[CustomKind]>>;

/// The definitions and their kinds.
#[derive(Debug)]
pub(super) struct Definitions {
    index: Mutex<DefinitionIndex>,
    kinds: watch::Sender<KnownKinds>,
    events: Arc<DefinitionEvents>,
}

#[derive(Debug, Default)]
struct DefinitionIndex {
    /// resourceVersion and kinds of each definition, by its UID.
    by_uid: HashMap<String, (u64, Vec<CustomKind>)>,
    /// The UIDs that the current list has contained so far.
    listed: Option<HashSet<String>>,
    /// Whether a list has been completed.
    complete: bool,
}

impl Definitions {
    pub fn new(events: Arc<DefinitionEvents>) -> Arc<Self> {
        Arc::new(Self { index: Mutex::default(), kinds: watch::Sender::new(None), events })
    }

    /// Returns the kinds, and changes to them.
    pub fn kinds(&self) -> watch::Receiver<KnownKinds> {
        self.kinds.subscribe()
    }

    fn index(&self) -> MutexGuard<'_, DefinitionIndex> {
        lock(&self.index)
    }

    /// Publishes the kinds if they have changed and no list is in progress.
    fn publish(&self, index: &DefinitionIndex) {
        self.events.cached.store(index.by_uid.len() as u64, Relaxed);
        if !index.complete || index.listed.is_some() {
            return;
        }
        let mut kinds: Vec<_> = index.by_uid.values().flat_map(|(_, kinds)| kinds).cloned().collect();
        kinds.sort();
        self.kinds.send_if_modified(|published| {
            let is_new = published.as_deref() != Some(&kinds);
            if is_new {
                *published = Some(kinds.into());
            }
            is_new
        });
    }
}

/// The sink of the source of definitions.
pub(super) struct DefinitionSink(pub Arc<Definitions>);

impl Sink for DefinitionSink {
    fn init(&mut self, _: &Slice) {
        self.0.index().listed = Some(HashSet::new());
    }

    fn apply(&mut self, item: &Item<'_>) -> Result<(), DecodeError> {
        let kinds = serde_json::from_slice::<Definition>(item.json()?)?.kinds();
        let mut index = self.0.index();
        if let Some(listed) = &mut index.listed {
            listed.insert(item.uid.to_owned());
        }
        match index.by_uid.insert(item.uid.to_owned(), (item.version, kinds)) {
            None => self.0.events.added.fetch_add(1, Relaxed),
            Some((version, _)) if version != item.version => self.0.events.updated.fetch_add(1, Relaxed),
            // A list repeats known definitions.
            Some(_) => 0,
        };
        self.0.publish(&index);
        Ok(())
    }

    fn keep(&mut self, uid: &str) {
        if let Some(listed) = &mut self.0.index().listed {
            listed.insert(uid.to_owned());
        }
    }

    fn give_up(&mut self) {
        self.0.index().listed = None;
    }

    fn rewind(&mut self) {}

    fn delete(&mut self, uid: &str, _: u64) {
        let mut index = self.0.index();
        if index.by_uid.remove(uid).is_some() {
            self.0.events.deleted.fetch_add(1, Relaxed);
        }
        self.0.publish(&index);
    }

    fn init_done(&mut self, _: u64) {
        let mut index = self.0.index();
        if let Some(listed) = index.listed.take() {
            let before = index.by_uid.len();
            index.by_uid.retain(|uid, _| listed.contains(uid));
            self.0.events.deleted.fetch_add((before - index.by_uid.len()) as u64, Relaxed);
        }
        index.complete = true;
        self.0.publish(&index);
    }
}

/// The fields that are read of an `apiextensions.k8s.io/v1` CustomResourceDefinition.
#[derive(Deserialize)]
struct Definition {
    spec: DefinitionSpec,
    #[serde(default)]
    status: DefinitionStatus,
}

#[derive(Deserialize)]
struct DefinitionSpec {
    group: String,
    names: Names,
    scope: String,
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Names {
    kind: String,
    plural: String,
}

#[derive(Deserialize)]
struct Version {
    name: String,
    served: bool,
}

#[derive(Default, Deserialize)]
struct DefinitionStatus {
    /// `null` while the definition is being created.
    conditions: Option<Vec<Condition>>,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
}

impl Definition {
    /// Returns the served kinds. Before the definition is established, the API server answers 404.
    fn kinds(self) -> Vec<CustomKind> {
        let Self { spec, status } = self;
        if !status
            .conditions
            .iter()
            .flatten()
            .any(|condition| condition.r#type == "Established" && condition.status == "True")
        {
            return Vec::new();
        }
        let kind = |version: Version| CustomKind {
            of: GroupVersionKind { group: spec.group.clone(), version: version.name, kind: spec.names.kind.clone() },
            plural: spec.names.plural.clone(),
            namespaced: spec.scope == "Namespaced",
        };
        spec.versions.into_iter().filter(|version| version.served).map(kind).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::intake::Form;
    use crate::intake::{Encoding, Unreadable};
    use crate::sharding::Hashes;

    fn definition(kind: &str, established: &str) -> Value {
        json!({
            "metadata": {"name": "things.a.b"},
            "spec": {
                "group": "a.b",
                "names": {"kind": kind, "plural": "things", "listKind": "ThingList"},
                "scope": "Cluster",
                "versions": [
                    {"name": "v2", "served": true, "schema": {"openAPIV3Schema": {"type": "object"}}},
                    {"name": "v1", "served": false},
                    {"name": "v1beta1", "served": true},
                ],
            },
            "status": {"conditions": [{"type": "Established", "status": established}]},
        })
    }

    fn apply(sink: &mut DefinitionSink, uid: &str, version: u64, object: &Value) -> Result<(), DecodeError> {
        let bytes = object.to_string();
        let encoding = Encoding::Json;
        let (hashes, form) = (Hashes::of(uid), Form::Object);
        sink.apply(&Item {
            uid,
            hashes,
            version,
            listed: false,
            encoding,
            form,
            table_type: None,
            bytes: bytes.as_bytes(),
            unreadable: &Unreadable::default(),
        })
    }

    fn names(found: &watch::Receiver<KnownKinds>) -> Option<Vec<String>> {
        Some(found.borrow().as_ref()?.iter().map(|kind| kind.of.to_string()).collect())
    }

    #[test]
    fn kinds_come_and_go_with_their_definitions() {
        let events = Arc::new(DefinitionEvents::default());
        let definitions = Definitions::new(Arc::clone(&events));
        let found = definitions.kinds();
        let mut sink = DefinitionSink(definitions);
        let counts =
            || [&events.added, &events.updated, &events.deleted, &events.cached].map(|count| count.load(Relaxed));
        sink.init(&Slice::all());
        assert!(apply(&mut sink, "1", 1, &definition("Foo", "True")).is_ok());
        assert_eq!(names(&found), None, "unknown before the list is complete");
        sink.init_done(1);
        assert_eq!(names(&found), Some(vec!["Foo.v1beta1.a.b".to_owned(), "Foo.v2.a.b".to_owned()]));
        let mut new = definition("Bar", "False");
        new["status"]["conditions"] = Value::Null;
        assert!(apply(&mut sink, "2", 2, &new).is_ok());
        assert_eq!(names(&found).map(|names| names.len()), Some(2), "not served yet");
        assert!(apply(&mut sink, "2", 3, &definition("Bar", "True")).is_ok());
        assert_eq!(names(&found).map(|names| names.len()), Some(4));
        assert_eq!(counts(), [2, 1, 0, 2]);
        sink.delete("1", 4);
        assert_eq!(names(&found), Some(vec!["Bar.v1beta1.a.b".to_owned(), "Bar.v2.a.b".to_owned()]));
        sink.init(&Slice::all());
        sink.give_up();
        sink.init(&Slice::all());
        assert!(apply(&mut sink, "3", 5, &json!({"spec": {}})).is_err());
        sink.init_done(5);
        assert_eq!(names(&found), Some(vec![]), "a list removes the definitions that it does not contain");
        assert_eq!(counts(), [2, 1, 2, 0]);
    }
}

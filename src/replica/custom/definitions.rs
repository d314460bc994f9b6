//! The CustomResourceDefinitions of the API server, as far as it serves their kinds.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use serde::Deserialize;

use super::super::followed::{self, KnownObjects};
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
    /// Whether a definition has it.
    pub defined: bool,
}

impl CustomKind {
    /// Returns `plural.group`, as in selectors; the plural alone in the core group.
    pub fn resource(&self) -> String {
        let dot = if self.of.group.is_empty() { "" } else { "." };
        format!("{}{dot}{}", self.plural, self.of.group)
    }
}

/// All kinds, sorted; `None` before the first list of definitions is complete.
pub(super) type KnownKinds = Option<Arc<[CustomKind]>>;

/// The definitions and their kinds.
#[derive(Debug)]
pub(super) struct Definitions {
    /// resourceVersion and kinds of each definition.
    objects: Mutex<KnownObjects<(u64, Vec<CustomKind>)>>,
    kinds: watch::Sender<KnownKinds>,
    events: Arc<DefinitionEvents>,
}

impl Definitions {
    pub fn new(events: Arc<DefinitionEvents>) -> Arc<Self> {
        Arc::new(Self { objects: Mutex::default(), kinds: watch::Sender::new(None), events })
    }

    /// Returns the kinds, and changes to them.
    pub fn kinds(&self) -> watch::Receiver<KnownKinds> {
        self.kinds.subscribe()
    }

    /// Changes what is known, and publishes the kinds unless a list is in progress.
    fn change(&self, change: impl FnOnce(&mut KnownObjects<(u64, Vec<CustomKind>)>)) {
        let mut objects = lock(&self.objects);
        change(&mut objects);
        self.events.cached.store(objects.len() as u64, Relaxed);
        if let Some(all) = objects.all() {
            let mut kinds: Vec<_> = all.flat_map(|(_, kinds)| kinds).cloned().collect();
            kinds.sort();
            followed::publish(&self.kinds, kinds.into());
        }
    }
}

/// The sink of the source of definitions.
pub(super) struct DefinitionSink(pub Arc<Definitions>);

impl Sink for DefinitionSink {
    fn init(&mut self, _: &Slice) {
        lock(&self.0.objects).init();
    }

    fn apply(&mut self, item: &Item<'_>) -> Result<(), DecodeError> {
        let kinds = serde_json::from_slice::<Definition>(item.json()?)?.kinds();
        self.0.change(|objects| {
            match objects.apply(item.uid, (item.version, kinds)) {
                None => self.0.events.added.fetch_add(1, Relaxed),
                Some((version, _)) if version != item.version => self.0.events.updated.fetch_add(1, Relaxed),
                // A list repeats known definitions.
                Some(_) => 0,
            };
        });
        Ok(())
    }

    fn keep(&mut self, uid: &str) {
        lock(&self.0.objects).keep(uid);
    }

    fn give_up(&mut self) {
        lock(&self.0.objects).give_up();
    }

    fn rewind(&mut self) {}

    fn delete(&mut self, uid: &str, _: u64) {
        self.0.change(|objects| {
            if objects.delete(uid) {
                self.0.events.deleted.fetch_add(1, Relaxed);
            }
        });
    }

    fn init_done(&mut self, _: u64) {
        self.0.change(|objects| {
            self.0.events.deleted.fetch_add(objects.init_done() as u64, Relaxed);
        });
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
            defined: true,
        };
        spec.versions.into_iter().filter(|version| version.served).map(kind).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    use crate::intake::{Encoding, Unreadable};

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
        sink.apply(&Item::changed(uid, version, Encoding::Json, bytes.as_bytes(), &Unreadable::default()))
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

//! What the API server says of custom resources: their definitions, as far as it serves them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};

use serde::Deserialize;
use tokio::sync::watch;

use crate::collectors::custom::GroupVersionKind;
use crate::intake::{DecodeError, Item, Sink};
use crate::sharding::Slice;
use crate::sync::lock;
use crate::telemetry::DefinitionEvents;

/// A kind of custom resource in one version that the API server serves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CustomKind {
    pub of: GroupVersionKind,
    /// How paths call it.
    pub plural: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
}

/// All of them; none while it is not known which there are.
pub(super) type Found = Option<Arc<[CustomKind]>>;

/// All definitions.
#[derive(Debug)]
pub(super) struct Definitions {
    state: Mutex<State>,
    found: watch::Sender<Found>,
    events: Arc<DefinitionEvents>,
}

#[derive(Debug, Default)]
struct State {
    /// By the UID of its definition: resourceVersion and kinds.
    by_uid: HashMap<String, (u64, Vec<CustomKind>)>,
    /// What a list that is under way had so far.
    listed: Option<HashSet<String>>,
    /// A list was whole.
    known: bool,
}

impl Definitions {
    pub fn new(events: Arc<DefinitionEvents>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), found: watch::Sender::new(None), events })
    }

    /// Which kinds there are, whenever that changes.
    pub fn found(&self) -> watch::Receiver<Found> {
        self.found.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held.
        lock(&self.state)
    }

    /// Tells which there are, if that has changed and no list is under way.
    fn tell(&self, state: &State) {
        self.events.cached.store(state.by_uid.len() as u64, Relaxed);
        if !state.known || state.listed.is_some() {
            return;
        }
        let mut kinds: Vec<_> = state.by_uid.values().flat_map(|(_, kinds)| kinds).cloned().collect();
        kinds.sort();
        self.found.send_if_modified(|found| {
            let is_new = found.as_deref() != Some(&kinds);
            if is_new {
                *found = Some(kinds.into());
            }
            is_new
        });
    }
}

/// The end of a source of definitions.
pub(super) struct DefinitionSink(pub Arc<Definitions>);

impl Sink for DefinitionSink {
    fn init(&mut self, _: &Slice) {
        self.0.state().listed = Some(HashSet::new());
    }

    fn apply(&mut self, item: &Item<'_>) -> Result<(), DecodeError> {
        let kinds = serde_json::from_slice::<Definition>(item.json()?)?.kinds();
        let mut state = self.0.state();
        if let Some(listed) = &mut state.listed {
            listed.insert(item.uid.to_owned());
        }
        match state.by_uid.insert(item.uid.to_owned(), (item.version, kinds)) {
            None => self.0.events.added.fetch_add(1, Relaxed),
            Some((version, _)) if version != item.version => self.0.events.updated.fetch_add(1, Relaxed),
            // A list says again what is known.
            Some(_) => 0,
        };
        self.0.tell(&state);
        Ok(())
    }

    fn keep(&mut self, uid: &str) {
        if let Some(listed) = &mut self.0.state().listed {
            listed.insert(uid.to_owned());
        }
    }

    fn give_up(&mut self) {
        self.0.state().listed = None;
    }

    fn rewind(&mut self) {}

    fn delete(&mut self, uid: &str, _: u64) {
        let mut state = self.0.state();
        if state.by_uid.remove(uid).is_some() {
            self.0.events.deleted.fetch_add(1, Relaxed);
        }
        self.0.tell(&state);
    }

    fn init_done(&mut self, _: u64) {
        let mut state = self.0.state();
        if let Some(listed) = state.listed.take() {
            let before = state.by_uid.len();
            state.by_uid.retain(|uid, _| listed.contains(uid));
            self.0.events.deleted.fetch_add((before - state.by_uid.len()) as u64, Relaxed);
        }
        state.known = true;
        self.0.tell(&state);
    }
}

/// What is read of a CustomResourceDefinition of `apiextensions.k8s.io/v1`.
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
    /// `null` in one that is just being created.
    conditions: Option<Vec<Condition>>,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
}

impl Definition {
    /// The kinds that the API server serves by now: before it says so, it answers with 404.
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
    use crate::intake::Encoding;
    use crate::intake::Form;
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
        })
    }

    fn names(found: &watch::Receiver<Found>) -> Option<Vec<String>> {
        Some(found.borrow().as_ref()?.iter().map(|kind| kind.of.to_string()).collect())
    }

    #[test]
    fn kinds_come_and_go_with_their_definitions() {
        let events = Arc::new(DefinitionEvents::default());
        let definitions = Definitions::new(Arc::clone(&events));
        let found = definitions.found();
        let mut sink = DefinitionSink(definitions);
        let told =
            || [&events.added, &events.updated, &events.deleted, &events.cached].map(|count| count.load(Relaxed));
        sink.init(&Slice::all());
        assert!(apply(&mut sink, "1", 1, &definition("Foo", "True")).is_ok());
        assert_eq!(names(&found), None, "not known before the list is whole");
        sink.init_done(1);
        assert_eq!(names(&found), Some(vec!["Foo.v1beta1.a.b".to_owned(), "Foo.v2.a.b".to_owned()]));
        let mut new = definition("Bar", "False");
        new["status"]["conditions"] = Value::Null;
        assert!(apply(&mut sink, "2", 2, &new).is_ok());
        assert_eq!(names(&found).map(|names| names.len()), Some(2), "it is not served yet");
        assert!(apply(&mut sink, "2", 3, &definition("Bar", "True")).is_ok());
        assert_eq!(names(&found).map(|names| names.len()), Some(4));
        assert_eq!(told(), [2, 1, 0, 2]);
        sink.delete("1", 4);
        assert_eq!(names(&found), Some(vec!["Bar.v1beta1.a.b".to_owned(), "Bar.v2.a.b".to_owned()]));
        sink.init(&Slice::all());
        sink.give_up();
        sink.init(&Slice::all());
        assert!(apply(&mut sink, "3", 5, &json!({"spec": {}})).is_err());
        sink.init_done(5);
        assert_eq!(names(&found), Some(vec![]), "what a list does not have is gone");
        assert_eq!(told(), [2, 1, 2, 0]);
    }
}

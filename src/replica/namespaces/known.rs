//! The Namespaces of the API server and their labels.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::Deserialize;

use crate::intake::{DecodeError, Item, Sink};
use crate::settings::selection::Selectable;
use crate::settings::yaml::or_default;
use crate::sharding::Slice;
use crate::sync::{lock, watch};

/// The labels of a Namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Labels(pub BTreeMap<String, String>);

impl Selectable for Labels {
    fn label(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn field(&self, _: &str) -> String {
        String::new()
    }
}

/// The labels of all Namespaces, by name.
pub(super) type NamespaceLabels = BTreeMap<String, Labels>;

/// All Namespaces; `None` before the first list is complete.
pub(super) type KnownNamespaces = Option<Arc<NamespaceLabels>>;

/// The Namespaces.
#[derive(Debug)]
pub(super) struct Namespaces {
    index: Mutex<Index>,
    known: watch::Sender<KnownNamespaces>,
}

#[derive(Debug, Default)]
struct Index {
    /// By UID. A Namespace that was deleted and created again has another one.
    by_uid: HashMap<String, (String, Labels)>,
    /// The UIDs that the current list has contained so far.
    listed: Option<HashSet<String>>,
    /// Whether a list has been completed.
    complete: bool,
}

#[derive(Deserialize)]
struct Namespace {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    labels: Labels,
}

impl Namespaces {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { index: Mutex::default(), known: watch::Sender::new(None) })
    }

    /// Returns the Namespaces, and changes to them.
    pub fn namespaces(&self) -> watch::Receiver<KnownNamespaces> {
        self.known.subscribe()
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }

    /// Publishes the Namespaces if they have changed and no list is in progress.
    fn publish(&self, index: &Index) {
        if !index.complete || index.listed.is_some() {
            return;
        }
        let known: NamespaceLabels = index.by_uid.values().cloned().collect();
        self.known.send_if_modified(|published| {
            let is_new = published.as_deref() != Some(&known);
            if is_new {
                *published = Some(Arc::new(known));
            }
            is_new
        });
    }
}

/// The sink of the source of Namespaces.
pub(super) struct NamespaceSink(pub Arc<Namespaces>);

impl Sink for NamespaceSink {
    fn init(&mut self, _: &Slice) {
        self.0.index().listed = Some(HashSet::new());
    }

    fn apply(&mut self, item: &Item<'_>) -> Result<(), DecodeError> {
        let Namespace { metadata: Metadata { name, labels } } = serde_json::from_slice(item.json()?)?;
        let mut index = self.0.index();
        if let Some(listed) = &mut index.listed {
            listed.insert(item.uid.to_owned());
        }
        index.by_uid.insert(item.uid.to_owned(), (name, labels));
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
        index.by_uid.remove(uid);
        self.0.publish(&index);
    }

    fn init_done(&mut self, _: u64) {
        let mut index = self.0.index();
        if let Some(listed) = index.listed.take() {
            index.by_uid.retain(|uid, _| listed.contains(uid));
            index.complete = true;
        }
        self.0.publish(&index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::{Encoding, Form, Unreadable};
    use crate::sharding::Hashes;

    fn apply(sink: &mut NamespaceSink, uid: &str, json: &str) -> Result<(), DecodeError> {
        let unreadable = Unreadable::default();
        sink.apply(&Item {
            uid,
            hashes: Hashes::of(uid),
            version: 1,
            listed: true,
            encoding: Encoding::Json,
            form: Form::Object,
            table_type: None,
            bytes: json.as_bytes(),
            unreadable: &unreadable,
        })
    }

    fn names(known: &watch::Receiver<KnownNamespaces>) -> Option<Vec<String>> {
        let known = known.borrow().clone();
        known.map(|known| known.keys().cloned().collect())
    }

    #[test]
    fn namespaces_are_known_once_listed_and_follow_events() {
        let namespaces = Namespaces::new();
        let (mut sink, known) = (NamespaceSink(Arc::clone(&namespaces)), namespaces.namespaces());
        sink.init(&Slice::all());
        apply(&mut sink, "1", r#"{"metadata":{"name":"a","labels":{"team":"x"}}}"#).expect("valid");
        apply(&mut sink, "2", r#"{"metadata":{"name":"b","labels":null}}"#).expect("valid");
        assert_eq!(names(&known), None);
        sink.init_done(5);
        assert_eq!(names(&known), Some(vec!["a".to_owned(), "b".to_owned()]));
        let team = known.borrow().clone().expect("known")["a"].label("team").map(str::to_owned);
        assert_eq!(team.as_deref(), Some("x"));
        apply(&mut sink, "3", r#"{"metadata":{"name":"c"}}"#).expect("valid");
        sink.delete("1", 6);
        assert_eq!(names(&known), Some(vec!["b".to_owned(), "c".to_owned()]));
        // A relist that breaks off changes nothing, a complete one replaces all.
        sink.init(&Slice::all());
        apply(&mut sink, "2", r#"{"metadata":{"name":"b"}}"#).expect("valid");
        sink.give_up();
        sink.init(&Slice::all());
        apply(&mut sink, "2", r#"{"metadata":{"name":"b"}}"#).expect("valid");
        apply(&mut sink, "3", r#"{"metadata":{}}"#).expect_err("it has no name");
        sink.keep("3");
        assert_eq!(names(&known), Some(vec!["b".to_owned(), "c".to_owned()]));
        sink.init_done(7);
        assert_eq!(names(&known), Some(vec!["b".to_owned(), "c".to_owned()]));
    }
}

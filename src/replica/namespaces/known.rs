//! The Namespaces of the API server and their labels.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde::Deserialize;

use super::super::followed::{self, KnownObjects};
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
    objects: Mutex<KnownObjects<(String, Labels)>>,
    known: watch::Sender<KnownNamespaces>,
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
        Arc::new(Self { objects: Mutex::default(), known: watch::Sender::new(None) })
    }

    /// Returns the Namespaces, and changes to them.
    pub fn namespaces(&self) -> watch::Receiver<KnownNamespaces> {
        self.known.subscribe()
    }

    /// Changes what is known, and publishes it unless a list is in progress.
    fn change<R>(&self, change: impl FnOnce(&mut KnownObjects<(String, Labels)>) -> R) {
        let mut objects = lock(&self.objects);
        change(&mut objects);
        if let Some(all) = objects.all() {
            followed::publish(&self.known, Arc::new(all.cloned().collect()));
        }
    }
}

/// The sink of the source of Namespaces.
pub(super) struct NamespaceSink(pub Arc<Namespaces>);

impl Sink for NamespaceSink {
    fn init(&mut self, _: &Slice) {
        lock(&self.0.objects).init();
    }

    fn apply(&mut self, item: &Item<'_>) -> Result<(), DecodeError> {
        let Namespace { metadata: Metadata { name, labels } } = serde_json::from_slice(item.json()?)?;
        self.0.change(|objects| objects.apply(item.uid, (name, labels)));
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
        self.0.change(|objects| objects.delete(uid));
    }

    fn init_done(&mut self, _: u64) {
        self.0.change(KnownObjects::init_done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::{Encoding, Unreadable};

    fn apply(sink: &mut NamespaceSink, uid: &str, json: &str) -> Result<(), DecodeError> {
        let unreadable = Unreadable::default();
        let item = Item::changed(uid, 1, Encoding::Json, json.as_bytes(), &unreadable);
        sink.apply(&Item { listed: true, ..item })
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

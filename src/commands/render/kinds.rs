//! The kinds that can be rendered: their collectors, selectors and stores, behind one interface.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::collectors::{self, Collector, Resource, Visitor};
use crate::exposition::{NamespaceLabels, ResourceStore, Store};
use crate::intake::{Form, Unreadable, decode_object};
use crate::resource_version;
use crate::settings::Settings;
use crate::settings::resources::Kind;
use crate::settings::selection::Selectable;
use crate::settings::selectors::selectors;
use crate::sharding::Hasher;

use super::custom::Custom;
use super::input::Object;
use super::target::{Identity, ObjectError, Partitions, Render, label};

/// The result of rendering an object.
pub(super) enum Outcome {
    /// The object is in the store, or the settings exclude it.
    Taken,
    /// The object is in the store without some fields.
    TakenInPart(String),
    /// There is no collector for its kind and version.
    NoCollector(String),
    /// It is not a valid object of its kind.
    Unreadable(String),
}

/// All kinds with a collector, and the stores that they fill.
pub(super) struct Kinds<'s> {
    settings: &'s Settings,
    /// The stores of the built-in kinds.
    stores: Vec<Arc<ResourceStore>>,
    /// The built-in kinds that the settings enable.
    enabled: Vec<Box<dyn OfKind>>,
    custom: Custom<'s>,
    /// The number of objects without a name, which makes their generated UIDs unique.
    nameless: u64,
}

impl<'s> Kinds<'s> {
    /// Creates empty stores of the kinds that `settings` enable.
    ///
    /// The series have the labels `promoted` of their Namespaces.
    pub(super) fn new(settings: &'s Settings, promoted: Option<NamespaceLabels>) -> Self {
        let mut build = Build { settings, resources: Vec::new(), enabled: Vec::new() };
        collectors::visit_all(&mut build);
        let promoted = promoted.map(Arc::new);
        for objects in &build.resources {
            label(objects, objects.name() == "namespaces", promoted.as_ref());
        }
        let custom = Custom::new(settings, promoted);
        Self { settings, stores: build.resources, enabled: build.enabled, custom, nameless: 0 }
    }

    /// Puts an object's series into the store.
    pub(super) fn take(&mut self, mut object: Object) -> Outcome {
        let is_built_in = crate::settings::resources::all().iter().any(|kind| is(kind, &object));
        let own = self.enabled.iter_mut().find(|k| is(k.kind(), &object)).filter(|_| is_built_in);
        let custom = self.custom.of(&object);
        let (resource, kind, other): (String, &mut dyn Render, Option<&mut dyn Render>) = match (own, custom) {
            (Some(kind), custom) => (kind.kind().plural.to_owned(), kind.as_mut(), custom.map(|(_, kind)| kind)),
            (None, Some((resource, kind))) => (resource, kind, None),
            (None, None) if is_built_in => return Outcome::Taken,
            (None, None) => return Outcome::NoCollector(format!("{} ({})", object.kind, object.api_version)),
        };
        if !self.settings.live.selections.selects(&resource, &Fields(&object.fields)) {
            return Outcome::Taken;
        }
        let name = text(&object.fields, "metadata", "name");
        if name.is_empty() {
            self.nameless += 1;
        }
        let identity = Identity {
            name: name.clone(),
            namespace: text(&object.fields, "metadata", "namespace"),
            node: text(&object.fields, "spec", "nodeName"),
            uid: match text(&object.fields, "metadata", "uid") {
                uid if uid.is_empty() => generated_uid(&object, &name, self.nameless),
                uid => uid,
            },
            version: resource_version::number(&text(&object.fields, "metadata", "resourceVersion")),
        };
        // Each object needs a UID. Other values of `metadata` are named as unreadable.
        if let Value::Object(metadata) =
            object.fields.entry("metadata").or_insert_with(|| Value::Object(serde_json::Map::new()))
        {
            metadata.insert("uid".to_owned(), Value::String(identity.uid.clone()));
        }
        let place = || {
            let place = [object.kind.as_str(), &identity.namespace, &name];
            place.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
        };
        let unreadable = Unreadable::default();
        let other = other.map_or(Ok(()), |other| other.take(object.fields.clone(), &identity, &unreadable));
        match other.and_then(|()| kind.take(object.fields, &identity, &unreadable)) {
            Ok(()) if unreadable.count() > 0 => {
                let (count, first) = (unreadable.count(), unreadable.first());
                Outcome::TakenInPart(format!(
                    "{}: fields that cannot be read: {count}, the first is {first:?}",
                    place()
                ))
            }
            Ok(()) => Outcome::Taken,
            Err(reason) => Outcome::Unreadable(format!("{}: {reason}", place())),
        }
    }

    /// Returns remarks on the configuration of custom resources, one line each.
    pub(super) fn remarks(&self) -> Vec<String> {
        self.custom.remarks()
    }

    /// Returns the filled store.
    pub(super) fn into_store(self) -> Store {
        Store::new(self.stores.into_iter().chain(self.custom.into_stores()).collect())
    }
}

fn is(kind: &Kind, object: &Object) -> bool {
    kind.kind == object.kind
        && match object.api_version.split_once('/') {
            Some((group, version)) => kind.group == group && kind.version == version,
            None => kind.group.is_empty() && kind.version == object.api_version,
        }
}

/// Returns the name of a Namespace that `--namespace-selector` selects.
pub(super) fn selected_namespace(settings: &Settings, object: &Object) -> Option<String> {
    let selector = settings.live.namespace_selector.as_ref()?;
    let is_namespace = object.kind == "Namespace" && object.api_version == "v1";
    (is_namespace && selector.selects(&Fields(&object.fields))).then(|| text(&object.fields, "metadata", "name"))
}

/// Returns the name and the labels of a Namespace.
pub(super) fn namespace_labels(object: &Object) -> Option<(String, BTreeMap<String, String>)> {
    let is_namespace = object.kind == "Namespace" && object.api_version == "v1";
    let labels = object.fields.get("metadata").and_then(|metadata| metadata.get("labels")).and_then(Value::as_object);
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    is_namespace.then(|| {
        (self::text(&object.fields, "metadata", "name"), labels.into_iter().flatten().filter_map(text).collect())
    })
}

/// The fields of an object, for selectors.
struct Fields<'a>(&'a Map<String, Value>);

impl Selectable for Fields<'_> {
    fn label(&self, key: &str) -> Option<&str> {
        self.0.get("metadata")?.get("labels")?.get(key)?.as_str()
    }

    fn field(&self, path: &str) -> String {
        let mut keys = path.split('.');
        let first = keys.next().and_then(|key| self.0.get(key));
        match keys.try_fold(first, |value, key| Some(value?.get(key))).flatten() {
            Some(Value::String(text)) => text.clone(),
            Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
            _ => String::new(),
        }
    }
}

/// Returns the text at `section.key`, or an empty one.
fn text(fields: &Map<String, Value>, section: &str, key: &str) -> String {
    fields.get(section).and_then(|s| s.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Generates a UID for an object that was never in a cluster. The same object always gets the same UID.
fn generated_uid(object: &Object, name: &str, nameless: u64) -> String {
    let namespace = text(&object.fields, "metadata", "namespace");
    let number = if name.is_empty() { nameless } else { 0 };
    let identity = format!("{}/{}/{namespace}/{name}/{number}", object.api_version, object.kind);
    let high = Hasher::XxHash64.hash(&identity);
    let low = Hasher::Fnv1a64.hash(&identity);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// A built-in kind.
trait OfKind: Render {
    fn kind(&self) -> &Kind;
}

struct Rendered<R: Resource> {
    kind: Kind,
    collector: Collector<R>,
    objects: Arc<ResourceStore>,
    partitions: Partitions,
}

impl<R: Resource> Render for Rendered<R> {
    fn take(
        &mut self,
        fields: Map<String, Value>,
        identity: &Identity,
        unreadable: &Unreadable,
    ) -> Result<(), ObjectError> {
        let Some(partition) = self.partitions.take(identity) else { return Ok(()) };
        let object = decode_object::<R>(Value::Object(fields), Form::of::<R>(), unreadable)?;
        let block = self.collector.collect(&object);
        identity.put(&self.objects, partition, block);
        Ok(())
    }
}

impl<R: Resource> OfKind for Rendered<R> {
    fn kind(&self) -> &Kind {
        &self.kind
    }
}

struct Build<'a> {
    settings: &'a Settings,
    resources: Vec<Arc<ResourceStore>>,
    enabled: Vec<Box<dyn OfKind>>,
}

impl Visitor for Build<'_> {
    fn visit<R: Resource>(&mut self) {
        let settings = self.settings;
        let kind = Kind::of::<R>();
        if !settings.live.resources.iter().any(|name| name == kind.plural) {
            return;
        }
        let collector = settings.collector::<R>();
        let objects = ResourceStore::without_history(kind.plural, collector.headers());
        self.resources.push(Arc::clone(&objects));
        let partitions = Partitions::new(settings, selectors(settings, &kind));
        self.enabled.push(Box::new(Rendered { kind, collector, objects, partitions }));
    }
}

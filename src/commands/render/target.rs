//! The interface of the kinds that can be rendered, and their partitions.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::exposition::{Block, NamespaceLabels, NamespacedBy, ResourceStore, Stamp, Uid, Update};
use crate::intake::{DecodeError, Unreadable};
use crate::settings::Settings;
use crate::settings::selectors::Selector;
use crate::sharding::Hashes;

/// The metadata that is read before an object is decoded.
pub(super) struct Identity {
    pub name: String,
    pub namespace: String,
    /// `spec.nodeName`, or empty.
    pub node: String,
    pub uid: String,
    pub version: u64,
}

impl Identity {
    /// Puts the object's series into the store.
    pub fn put(&self, objects: &ResourceStore, partition: u32, block: Block) {
        let uid = self.uid.as_str();
        let stamp = Stamp { version: self.version, listed: true };
        let namespace = match objects.namespaced_by() {
            None => String::new(),
            Some(NamespacedBy::Namespace) => self.namespace.clone(),
            Some(NamespacedBy::Name) => self.name.clone(),
        };
        objects.apply(partition, Uid::from(uid), Hashes::of(uid), stamp, Update { namespace, ..block.into() });
    }
}

/// Gives the series of objects that follow the labels `promoted` of their Namespaces. Those of a Namespace are its own.
pub(super) fn label(objects: &ResourceStore, are_namespaces: bool, promoted: Option<&Arc<NamespaceLabels>>) {
    if let Some(promoted) = promoted {
        objects.index_namespaces(if are_namespaces { NamespacedBy::Name } else { NamespacedBy::Namespace });
        objects.label_namespaces(promoted).for_each(drop);
    }
}

/// The partitions of a resource.
pub(super) struct Partitions {
    /// Each selector, and the number of objects that it has taken.
    taken: Vec<(Selector, u64)>,
    /// 0 means no limit.
    object_limit: u64,
}

impl Partitions {
    pub fn new(settings: &Settings, selectors: Vec<Selector>) -> Self {
        let taken = selectors.into_iter().map(|selector| (selector, 0)).collect();
        Self { taken, object_limit: settings.live.object_limit }
    }

    /// Returns the partition of an object, or `None` if the settings exclude it.
    pub fn take(&mut self, Identity { namespace, node, .. }: &Identity) -> Option<u32> {
        let partition = self.taken.iter().position(|(selector, _)| selector.selects(namespace, node))?;
        let taken = &mut self.taken[partition].1;
        if self.object_limit != 0 && *taken >= self.object_limit {
            return None;
        }
        *taken += 1;
        Some(partition as u32)
    }
}

/// Why an object is not a valid object of its kind.
#[derive(Debug, thiserror::Error)]
pub(super) enum ObjectError {
    #[error(transparent)]
    BuiltIn(#[from] DecodeError),
    #[error(transparent)]
    Custom(#[from] serde_json::Error),
}

/// Renders the objects of one kind, of a built-in or custom type.
pub(super) trait Render {
    /// Decodes an object and stores its series, unless the settings exclude it. Notes the fields that cannot be read.
    fn take(
        &mut self,
        fields: Map<String, Value>,
        identity: &Identity,
        unreadable: &Unreadable,
    ) -> Result<(), ObjectError>;
}

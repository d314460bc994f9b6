//! The forms in which the API server sends objects.

use crate::collectors::Resource;

/// The form in which a resource is requested. A reduced form keeps unread data, Secret data above all, out of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The whole object.
    Object,
    /// `PartialObjectMetadata`: only `metadata` can be read.
    Metadata,
    /// The server's `Table`: `metadata`, and the printed column `Type` as the object's `type`.
    Table,
}

impl Form {
    /// The smallest form that holds every field which the collector of `R` reads.
    #[must_use]
    pub fn of<R: Resource>() -> Self {
        Self::of_kind(R::API.group(), R::API.kind)
    }

    /// Like [`Form::of`], for a kind of an API group; the core group is empty.
    #[must_use]
    pub fn of_kind(group: &str, kind: &str) -> Self {
        match (group, kind) {
            ("", "Secret") => Self::Table,
            ("", "ConfigMap") => Self::Metadata,
            _ => Self::Object,
        }
    }
}

//! The resources that the simulator serves.

use std::any::TypeId;

use k8s_openapi::NamespaceResourceScope;

/// A resource that the simulator serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceType {
    /// API group, empty for the core group.
    pub group: String,
    /// API version, for example `v1`.
    pub version: String,
    /// Plural, for example `pods`.
    pub plural: String,
    /// Kind, for example `Pod`.
    pub kind: String,
    /// Whether the resource is namespaced.
    pub namespaced: bool,
}

impl ResourceType {
    /// A resource by its names.
    pub fn new(group: &str, version: &str, plural: &str, kind: &str, namespaced: bool) -> Self {
        let [group, version, plural, kind] = [group, version, plural, kind].map(str::to_owned);
        Self { group, version, plural, kind, namespaced }
    }

    /// The resource of a k8s-openapi type.
    pub fn of<T>() -> Self
    where
        T: k8s_openapi::Resource,
        T::Scope: 'static,
    {
        let namespaced = TypeId::of::<T::Scope>() == TypeId::of::<NamespaceResourceScope>();
        Self::new(T::GROUP, T::VERSION, T::URL_PATH_SEGMENT, T::KIND, namespaced)
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `pods` or `deployments.apps`.
    pub(super) fn full_name(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }
}

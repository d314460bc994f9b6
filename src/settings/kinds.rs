//! The kinds with collectors as plain values.

use std::sync::LazyLock;

use crate::collectors::custom::GroupVersionKind;
use crate::collectors::{Api, Family, Resource, Visitor, visit_all};

/// Served only if `--resources` names them, as in kube-state-metrics.
const NOT_BY_DEFAULT: &[&str] =
    &["clusterrolebindings", "clusterroles", "endpoints", "ingressclasses", "rolebindings", "roles", "serviceaccounts"];

/// A resource with a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// API version, for example `v1`.
    pub version: &'static str,
    /// Kind, for example `Pod`.
    pub kind: &'static str,
    /// Plural, as in flags.
    pub plural: &'static str,
    /// Whether objects belong to namespaces.
    pub namespaced: bool,
}

impl Kind {
    /// Returns the value for a resource's type.
    pub fn of<R: Resource>() -> Self {
        let Api { kind, plural, namespaced, .. } = R::API;
        Self { group: R::API.group(), version: R::API.version(), kind, plural, namespaced }
    }

    /// Returns its group, version and kind.
    pub fn group_version_kind(&self) -> GroupVersionKind {
        let [group, version, kind] = [self.group, self.version, self.kind].map(str::to_owned);
        GroupVersionKind { group, version, kind }
    }

    /// Whether it is served without `--resources`.
    pub fn is_default(&self) -> bool {
        !NOT_BY_DEFAULT.contains(&self.plural)
    }
}

/// Returns the names of the families of all kinds.
pub fn families() -> Vec<&'static str> {
    struct Names(Vec<&'static str>);
    impl Visitor for Names {
        fn visit<R: Resource>(&mut self) {
            self.0.extend(R::FAMILIES.iter().map(|family: &Family<R>| family.name));
        }
    }
    let mut names = Names(Vec::new());
    visit_all(&mut names);
    names.0
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    struct Kinds(Vec<Kind>);
    impl Visitor for Kinds {
        fn visit<R: Resource>(&mut self) {
            self.0.push(Kind::of::<R>());
        }
    }
    let mut kinds = Kinds(Vec::new());
    visit_all(&mut kinds);
    kinds.0
});

/// Returns all resources, in the order of the registry.
pub fn all() -> &'static [Kind] {
    &KINDS
}

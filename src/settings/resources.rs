//! The registry of collectors as plain values, by name.

use std::any::TypeId;
use std::sync::LazyLock;

use k8s_openapi::{ClusterResourceScope, Resource as _};

use crate::collectors::{Resource, Visitor, visit_all};
use crate::shown;

use super::SettingsError;
use super::values::items;

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
        Self {
            group: R::Object::GROUP,
            version: R::Object::VERSION,
            kind: R::Object::KIND,
            plural: R::Object::URL_PATH_SEGMENT,
            namespaced: TypeId::of::<<R::Object as k8s_openapi::Resource>::Scope>()
                != TypeId::of::<ClusterResourceScope>(),
        }
    }

    /// Whether it is served without `--resources`.
    pub fn is_default(&self) -> bool {
        !NOT_BY_DEFAULT.contains(&self.plural)
    }
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

/// Returns the resource `name`, which `flag` contains.
pub(super) fn find(flag: &'static str, name: &str) -> Result<&'static Kind, SettingsError> {
    all().iter().find(|k| k.plural == name).ok_or_else(|| SettingsError::UnknownResource {
        flag,
        name: shown::value(name),
        similar: similar(name),
    })
}

/// Returns the resources in `lists`, which have the format of `--resources`; the default ones if the lists are empty.
///
/// # Errors
/// A name has no collector.
pub fn named(lists: &[String]) -> Result<Vec<Kind>, SettingsError> {
    enabled(&items(lists))
}

/// Returns the named resources, or the default ones if no names are given.
pub(super) fn enabled(names: &[String]) -> Result<Vec<Kind>, SettingsError> {
    if names.is_empty() {
        return Ok(all().iter().filter(|k| k.is_default()).copied().collect());
    }
    for name in names {
        find("--resources", name)?;
    }
    Ok(all().iter().filter(|k| names.iter().any(|name| name == k.plural)).copied().collect())
}

/// Returns up to three similar names, the most similar first. A kind or a singular counts as its plural.
fn similar(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    let likeness = |k: &Kind| {
        let singular = k.kind.to_lowercase();
        strsim::jaro_winkler(&lower, k.plural).max(strsim::jaro_winkler(&lower, &singular))
    };
    let mut scored: Vec<_> = all().iter().map(|k| (likeness(k), k.plural)).filter(|(score, _)| *score > 0.85).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(3).map(|(_, plural)| plural.to_owned()).collect()
}

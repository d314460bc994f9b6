//! The lists that the settings require for a resource: their namespaces, field selectors and label selectors.
//!
//! A resource is listed in disjoint partitions, one per namespace or node. A [`Selector`] is one partition, both as a request to
//! the API server and as a predicate over a given object. The selectors of a resource ([`super::selection`]) are the same in all its
//! partitions, and are no part of that predicate.

use super::Settings;
use super::resources::Kind;
use super::selection::{LabelSelector, escaped};

/// One partition of a resource's objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    namespace: Option<String>,
    terms: Vec<Term>,
    /// `--resource-field-selector`.
    fields: String,
    /// `--resource-selector`.
    labels: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    /// `metadata.namespace!=`
    NotInNamespace(String),
    /// `spec.nodeName=`; empty for unscheduled pods.
    OnNode(String),
}

/// Returns the partitions of `kind` under `settings`, in a fixed order. Namespaces do not apply to cluster-scoped resources,
/// and nodes apply to pods only.
pub fn selectors(settings: &Settings, kind: &Kind) -> Vec<Selector> {
    let nodes: Vec<Option<Term>> = if kind.plural != "pods" {
        vec![None]
    } else if settings.live.track_unscheduled_pods {
        vec![Some(Term::OnNode(String::new()))]
    } else if settings.live.nodes.is_empty() {
        vec![None]
    } else {
        settings.live.nodes.iter().cloned().map(|node| Some(Term::OnNode(node))).collect()
    };
    partitions(settings, kind.plural, kind.namespaced, &nodes)
}

/// Returns the partitions of a custom resource, `plural.group`; none if pods are selected by node.
pub fn of_custom(settings: &Settings, resource: &str, namespaced: bool) -> Vec<Selector> {
    match settings.selects_by_node() {
        true => Vec::new(),
        false => partitions(settings, resource, namespaced, &[None]),
    }
}

fn partitions(settings: &Settings, resource: &str, namespaced: bool, nodes: &[Option<Term>]) -> Vec<Selector> {
    let selections = &settings.live.selections;
    let (fields, labels) = (selections.field_selector(resource), selections.label_selector(resource));
    if !namespaced {
        return vec![Selector { fields, labels, ..Selector::default() }];
    }
    let live = &settings.live;
    let mut denied: Vec<_> = live.denied_namespaces.iter().cloned().map(Term::NotInNamespace).collect();
    let namespaces: Vec<Option<&String>> = if live.namespace_selector.is_some() {
        denied.clear();
        // None while they are not known.
        let selected = live.selected_namespaces.iter().flatten();
        let stays = |name: &&String| {
            (live.namespaces.is_empty() || live.namespaces.contains(name)) && !live.denied_namespaces.contains(name)
        };
        selected.filter(stays).map(Some).collect()
    } else if live.namespaces.is_empty() {
        vec![None]
    } else {
        live.namespaces.iter().map(Some).collect()
    };
    let mut selectors = Vec::with_capacity(namespaces.len() * nodes.len());
    for namespace in namespaces {
        for node in nodes {
            let terms = denied.iter().chain(node).cloned().collect();
            let (namespace, fields, labels) = (namespace.cloned(), fields.clone(), labels.clone());
            selectors.push(Selector { namespace, terms, fields, labels });
        }
    }
    selectors
}

impl Selector {
    /// Returns the selector of all objects with these labels.
    pub fn of_labels(labels: &LabelSelector) -> Self {
        Self { labels: labels.to_string(), ..Self::default() }
    }

    /// The namespace to list; none for all.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// `fieldSelector` of a list or watch, empty for none.
    pub fn field_selector(&self) -> String {
        let terms: Vec<_> = self
            .terms
            .iter()
            .map(|term| match term {
                Term::NotInNamespace(namespace) => format!("metadata.namespace!={}", escaped(namespace)),
                Term::OnNode(node) => format!("spec.nodeName={}", escaped(node)),
            })
            .chain((!self.fields.is_empty()).then(|| self.fields.clone()))
            .collect();
        terms.join(",")
    }

    /// `labelSelector` of a list or watch, empty for none.
    pub fn label_selector(&self) -> &str {
        &self.labels
    }

    /// Whether the partition contains an object of this namespace and node (empty for none), if the resource's selectors do.
    pub fn selects(&self, namespace: &str, node: &str) -> bool {
        self.namespace.as_deref().is_none_or(|wanted| wanted == namespace)
            && self.terms.iter().all(|term| match term {
                Term::NotInNamespace(denied) => denied != namespace,
                Term::OnNode(wanted) => wanted == node,
            })
    }
}

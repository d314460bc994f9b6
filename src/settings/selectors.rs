//! The lists that the settings require for a resource: their namespaces and field selectors.
//!
//! A resource is listed in disjoint partitions, one per namespace or node. A [`Selector`] is one partition, both as a request to
//! the API server and as a predicate over a given object.

use super::Settings;
use super::resources::Kind;

/// One partition of a resource's objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    namespace: Option<String>,
    terms: Vec<Term>,
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
    partitions(settings, kind.namespaced, &nodes)
}

/// Returns the partitions of a custom resource; none if pods are selected by node.
pub fn of_custom(settings: &Settings, namespaced: bool) -> Vec<Selector> {
    match settings.selects_by_node() {
        true => Vec::new(),
        false => partitions(settings, namespaced, &[None]),
    }
}

fn partitions(settings: &Settings, namespaced: bool, nodes: &[Option<Term>]) -> Vec<Selector> {
    if !namespaced {
        return vec![Selector::default()];
    }
    let denied: Vec<_> = settings.live.denied_namespaces.iter().cloned().map(Term::NotInNamespace).collect();
    let namespaces: Vec<Option<&String>> = if settings.live.namespaces.is_empty() {
        vec![None]
    } else {
        settings.live.namespaces.iter().map(Some).collect()
    };
    let mut selectors = Vec::with_capacity(namespaces.len() * nodes.len());
    for namespace in namespaces {
        for node in nodes {
            let terms = denied.iter().chain(node).cloned().collect();
            selectors.push(Selector { namespace: namespace.cloned(), terms });
        }
    }
    selectors
}

impl Selector {
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
            .collect();
        terms.join(",")
    }

    /// Whether the API server would list an object of this namespace and node (empty for none).
    pub fn selects(&self, namespace: &str, node: &str) -> bool {
        self.namespace.as_deref().is_none_or(|wanted| wanted == namespace)
            && self.terms.iter().all(|term| match term {
                Term::NotInNamespace(denied) => denied != namespace,
                Term::OnNode(wanted) => wanted == node,
            })
    }
}

/// Source: `EscapeValue` in <https://pkg.go.dev/k8s.io/apimachinery/pkg/fields>.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '\\' | ',' | '=') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

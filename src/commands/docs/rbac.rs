//! The ClusterRole for a set of resources.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::settings::custom::{CustomResources, Entry};
use crate::settings::resources::Kind;

/// The rules that `--auth-filter` adds.
const AUTH_FILTER: &str = "  # --auth-filter: checks tokens and their permissions.
  - apiGroups: [\"authentication.k8s.io\"]
    resources:
      - tokenreviews
    verbs: [\"create\"]
  - apiGroups: [\"authorization.k8s.io\"]
    resources:
      - subjectaccessreviews
    verbs: [\"create\"]
  # Replicas request this from each other. Scrapers need it too.
  - nonResourceURLs: [\"/metrics\"]
    verbs: [\"get\"]
";

/// Returns a ClusterRole that can only list and watch the served resources.
pub fn cluster_role(kinds: &[Kind], custom: &CustomResources, namespaces: bool, auth_filter: bool) -> String {
    let mut by_group: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for kind in kinds {
        by_group.entry(kind.group).or_default().insert(kind.plural.to_owned());
    }
    if namespaces {
        by_group.entry("").or_default().insert("namespaces".to_owned());
    }
    if custom.of_others().next().is_some() {
        by_group.entry("apiextensions.k8s.io").or_default().insert("customresourcedefinitions".to_owned());
    }
    for entry in custom.entries() {
        by_group.entry(&entry.group).or_default().insert(plural(custom, entry));
    }
    let is_guess = |entry: &Entry| entry.plural.is_none() && entry.kind.is_some();
    let mut text = "\
# Printed by `kube-state-fleet docs rbac`. For another set of resources: kube-state-fleet docs rbac --resources=pods,nodes
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: kube-state-fleet
  labels:
    app.kubernetes.io/name: kube-state-fleet
rules:
"
    .to_owned();
    if custom.of_others().any(is_guess) {
        text.insert_str(0, "# Plurals of custom resources without a resourcePlural are guessed from their kinds: compare them with the CRDs.\n");
    }
    for (group, plurals) in by_group {
        let _ = writeln!(text, "  - apiGroups: [\"{group}\"]\n    resources:");
        for plural in plurals {
            let plural = if plural == "*" { "\"*\"" } else { &plural };
            let _ = writeln!(text, "      - {plural}");
        }
        text.push_str("    verbs: [\"list\", \"watch\"]\n");
    }
    if auth_filter {
        text.push_str(AUTH_FILTER);
    }
    text
}

/// Returns the plural of a built-in kind, that in the config, or a guess by the rules of English; `*` for any kind.
fn plural(custom: &CustomResources, entry: &Entry) -> String {
    if let Some(known) = entry.built_in().filter(|_| custom.takes_all_kinds()) {
        return known.plural.to_owned();
    }
    let Some(kind) = &entry.kind else { return "*".to_owned() };
    if let Some(plural) = &entry.plural {
        return plural.clone();
    }
    let singular = kind.to_lowercase();
    match singular.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if ["s", "x", "z", "ch", "sh"].iter().any(|end| singular.ends_with(end)) => format!("{singular}es"),
        _ => format!("{singular}s"),
    }
}

//! What settings ask for beyond the defaults, in words for people who look at a replica.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Settings;

/// A flag without dashes, and its value in a few words: empty where it is just on.
pub type Feature = (&'static str, String);

/// How many items of a list are named.
const NAMED: usize = 5;

impl Settings {
    /// What is switched on, restricted or off, in the order in which the flags are documented.
    pub fn features(&self) -> Vec<Feature> {
        let on = |is_on: bool| is_on.then(String::new);
        let lists = |lists: &BTreeMap<String, _>| list(lists.keys());
        let time = |time: Duration| (!time.is_zero()).then(|| format!("{} s", time.as_secs_f64()));
        let number = |number: usize, of: &str| {
            (number > 0).then(|| format!("{number} {of}{}", if number == 1 { "" } else { "s" }))
        };
        let [allowed, denied, opted_in] = self.families.patterns();
        let features = [
            ("server-side-sharding", on(self.server_side_sharding)),
            ("handover-overlap", time(self.handover_overlap)),
            ("coverage-watch", on(self.coverage_watch)),
            ("namespaces", list(&self.namespaces)),
            ("namespaces-denylist", list(&self.denied_namespaces)),
            ("node", list(&self.nodes)),
            ("track-unscheduled-pods", on(self.track_unscheduled_pods)),
            ("object-limit", (self.object_limit > 0).then(|| self.object_limit.to_string())),
            ("metric-allowlist", number(allowed, "pattern")),
            ("metric-denylist", number(denied, "pattern")),
            ("metric-opt-in-list", number(opted_in, "pattern")),
            ("metric-labels-allowlist", lists(&self.labels)),
            ("metric-annotations-allowlist", lists(&self.annotations)),
            ("promote-labels", lists(&self.promoted)),
            ("custom-resource-state-config", number(self.custom.entries().len(), "custom resource")),
            ("deleted-linger", time(self.deleted_linger)),
            ("use-apiserver-cache", on(self.use_apiserver_cache)),
            ("enable-gzip-encoding", (!self.gzip).then(|| "off".to_owned())),
            ("tls-config", on(self.tls_config.is_some())),
            ("auth-filter", on(self.auth_filter)),
        ];
        features.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// The first few items, and how many more there are; nothing for an empty list.
fn list<'a>(items: impl IntoIterator<Item = &'a String, IntoIter: ExactSizeIterator>) -> Option<String> {
    let items = items.into_iter();
    let more = items.len().saturating_sub(NAMED);
    let named: Vec<_> = items.take(NAMED).map(String::as_str).collect();
    match more {
        _ if named.is_empty() => None,
        0 => Some(named.join(", ")),
        more => Some(format!("{} and {more} more", named.join(", "))),
    }
}

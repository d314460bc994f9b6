//! Labels and annotations of objects as labels of series: which keys to show, and in which series.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::label_names;
use super::objects::Map;
use crate::exposition::Samples;

/// Labels or annotations of an object.
pub type Labels<'a> = Map<'a, Cow<'a, str>>;

/// The keys of labels or annotations that an allowlist includes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeyFilter {
    /// No keys: the allowlist has no entry for the resource.
    #[default]
    None,
    /// `[*]`.
    All,
    /// The named keys; `*` within a name stands for any text.
    Keys(Vec<String>),
}

impl KeyFilter {
    /// Returns the filter for the keys between the brackets of an allowlist.
    ///
    /// `*` means all keys only in the first position. A key with more than one `*` matches nothing, as in kube-state-metrics.
    pub fn from_keys<S: AsRef<str>>(keys: impl IntoIterator<Item = S>) -> Self {
        let mut named = Vec::new();
        let mut empty = true;
        for key in keys {
            match key.as_ref().trim() {
                "*" if empty => return Self::All,
                "*" => {}
                key if key.matches('*').count() > 1 => {}
                key => named.push(key.to_owned()),
            }
            empty = false;
        }
        // NB: keys that match nothing still give a series; only an empty entry does not.
        if empty { Self::None } else { Self::Keys(named) }
    }

    /// Returns the keys as the text of a flag; `None` without any.
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::All => Some("*".to_owned()),
            Self::Keys(keys) => Some(keys.join(",")),
        }
    }

    fn allows(&self, key: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Keys(keys) => keys.iter().any(|pattern| match pattern.split_once('*') {
                None => pattern == key,
                Some((head, tail)) => key.strip_prefix(head).is_some_and(|rest| rest.ends_with(tail)),
            }),
        }
    }
}

/// The names of labels of Namespaces begin with this and an underscore.
pub(super) const OF_NAMESPACES: &str = "namespace_label";

/// Returns the labels of a Namespace that `promoted` includes, as labels of the series of its objects. Their prefix is not that of
/// labels of objects. No family has such labels, and those of a config get other names.
pub fn of_namespace<'a>(labels: &'a BTreeMap<String, String>, promoted: &KeyFilter) -> Vec<(String, &'a str)> {
    let pairs = labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    label_names::of_keys(OF_NAMESPACES, pairs.filter(|(key, _)| promoted.allows(key)))
}

/// Emits one series with the keys that `filter` includes, each as `prefix_` and its sanitized name.
pub fn emit(prefix: &str, pairs: Option<&Labels<'_>>, filter: &KeyFilter, samples: &mut Samples) {
    if *filter == KeyFilter::None {
        return;
    }
    let named = label_names::of_keys(prefix, texts(pairs).filter(|(key, _)| filter.allows(key)));
    emit_named(&named, samples);
}

fn texts<'a>(pairs: Option<&'a Labels<'a>>) -> impl Iterator<Item = (&'a str, &'a str)> {
    pairs.into_iter().flatten().map(|(key, value)| (key, &**value))
}

fn emit_named(named: &[(String, &str)], samples: &mut Samples) {
    let labels: Vec<_> = named.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    samples.sample(&labels, 1.0);
}

/// The labels of an object that series show, with their names.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Labels of every series of the object.
    pub promoted: Vec<(String, &'a str)>,
    /// Labels of the `kube_*_labels` series only; `None` if there is no such series.
    rest: Option<Vec<(String, &'a str)>>,
}

/// Returns the labels that `promoted` or `filter` includes. A key has the same name in all series of its object, so
/// conflicts are numbered across both.
pub fn shown<'a>(prefix: &str, pairs: Option<&'a Labels<'a>>, promoted: &KeyFilter, filter: &KeyFilter) -> Shown<'a> {
    let is_shown = |key: &str| promoted.allows(key) || filter.allows(key);
    let keys = || texts(pairs).filter(|(key, _)| is_shown(key));
    let mut shown = Shown { promoted: Vec::new(), rest: (*filter != KeyFilter::None).then(Vec::new) };
    for (label, (key, _)) in label_names::of_keys(prefix, keys()).into_iter().zip(keys()) {
        if promoted.allows(key) {
            shown.promoted.push(label);
        } else if let Some(rest) = &mut shown.rest {
            rest.push(label);
        }
    }
    shown
}

impl Shown<'_> {
    /// Emits the `kube_*_labels` series.
    pub fn emit(&self, samples: &mut Samples) {
        if let Some(rest) = &self.rest {
            emit_named(rest, samples);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_namespaces_have_names_of_their_own() {
        let labels = [("team", "a"), ("example.com/costCenter", "7"), ("tier.x", "1"), ("tier-x", "2"), ("rest", "")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect();
        let filter = KeyFilter::from_keys(["team", "example.com/*", "tier*"]);
        let named = of_namespace(&labels, &filter);
        let named: Vec<_> = named.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let expected = [
            ("namespace_label_example_com_cost_center", "7"),
            ("namespace_label_team", "a"),
            ("namespace_label_tier_x_conflict1", "2"),
            ("namespace_label_tier_x_conflict2", "1"),
        ];
        assert_eq!(named, expected);
        assert_eq!(of_namespace(&labels, &KeyFilter::None), []);
    }

    #[test]
    fn a_leading_star_includes_all_keys_and_an_inner_one_matches_any_text() {
        assert_eq!(KeyFilter::from_keys(["*", "app"]), KeyFilter::All);
        assert_eq!(KeyFilter::from_keys::<&str>([]), KeyFilter::None);
        assert_eq!(KeyFilter::from_keys(["*key*", "*"]), KeyFilter::Keys(vec![]));
        let filter = KeyFilter::from_keys(["prometheus.io/*", " note", "a*z", "*", "*key*"]);
        for key in ["prometheus.io/", "prometheus.io/scrape", "note", "az", "abcz"] {
            assert!(filter.allows(key), "{key}");
        }
        for key in ["prometheus", "notes", "a", "z", "monkeys", "a*", ""] {
            assert!(!filter.allows(key), "{key}");
        }
        assert!(!KeyFilter::from_keys(["aba*ba"]).allows("aba"));
    }
}

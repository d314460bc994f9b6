//! Labels and annotations of objects as labels of series: which keys to show, and under which names.
//!
//! Label names follow the rules of kube-state-metrics: invalid characters become `_`, camel case becomes snake case, and keys
//! with the same name get the suffixes `_conflict1`, `_conflict2` and so on, in the order of the keys.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use crate::exposition::Samples;

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

/// Emits one series with the keys that `filter` includes, each as `prefix_` and its sanitized name.
pub fn emit(prefix: &str, pairs: Option<&BTreeMap<String, String>>, filter: &KeyFilter, samples: &mut Samples) {
    if *filter == KeyFilter::None {
        return;
    }
    let allowed = pairs.into_iter().flatten().filter(|(key, _)| filter.allows(key));
    emit_pairs(prefix, allowed, &[], samples);
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
pub fn shown<'a>(
    prefix: &str,
    pairs: Option<&'a BTreeMap<String, String>>,
    promoted: &KeyFilter,
    filter: &KeyFilter,
) -> Shown<'a> {
    let is_shown = |key: &str| promoted.allows(key) || filter.allows(key);
    let keys = || pairs.into_iter().flatten().filter(|(key, _)| is_shown(key));
    let mut shown = Shown { promoted: Vec::new(), rest: (*filter != KeyFilter::None).then(Vec::new) };
    for (label, (key, _)) in named(prefix, keys()).into_iter().zip(keys()) {
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
            let labels: Vec<_> = rest.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            samples.sample(&labels, 1.0);
        }
    }
}

/// Emits one series with the labels `first` and then all `pairs`, each as `prefix_` and its sanitized key. `pairs` are in
/// the order of their keys.
pub fn emit_pairs<'a>(
    prefix: &str,
    pairs: impl IntoIterator<Item = (&'a String, &'a String)>,
    first: &[(&str, &str)],
    samples: &mut Samples,
) {
    let named = named(prefix, pairs);
    let mut labels = Vec::with_capacity(first.len() + named.len());
    labels.extend_from_slice(first);
    labels.extend(named.iter().map(|(name, value)| (name.as_str(), *value)));
    samples.sample(&labels, 1.0);
}

/// Returns the label names of keys, with conflicts numbered, and their values.
fn named<'a>(prefix: &str, pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<(String, &'a str)> {
    let mut named: Vec<(String, &str)> =
        pairs.into_iter().map(|(key, value)| (label_name(prefix, key), value.as_str())).collect();
    number_conflicts(&mut named);
    named
}

/// Replaces every character that is invalid in a label name by `_`. Borrows `text` if there is none.
pub fn sanitise(text: &str) -> Cow<'_, str> {
    if text.bytes().all(is_allowed) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if c.is_ascii() && is_allowed(c as u8) { c } else { '_' }).collect())
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Returns `prefix_` and the sanitized key in snake case: an upper-case letter after a lower-case one or a digit starts a word.
fn label_name(prefix: &str, key: &str) -> String {
    let mut name = String::with_capacity(prefix.len() + key.len() + 4);
    name.push_str(prefix);
    name.push('_');
    let mut in_word = false;
    for c in key.chars() {
        if c.is_ascii_uppercase() && in_word {
            name.push('_');
        }
        name.push(if c.is_ascii() && is_allowed(c as u8) { c.to_ascii_lowercase() } else { '_' });
        in_word = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    name
}

/// Appends a number to each of several equal names.
fn number_conflicts(named: &mut [(String, &str)]) {
    let mut order: Vec<usize> = (0..named.len()).collect();
    // The sort is stable, so that equal names keep the order of their keys.
    order.sort_by(|&a, &b| named[a].0.cmp(&named[b].0));
    let mut rest = order.as_slice();
    while let [first, ..] = rest {
        let same = rest.iter().take_while(|&&other| named[other].0 == named[*first].0).count();
        let (conflicting, after) = rest.split_at(same);
        if same > 1 {
            for (number, &place) in (1..).zip(conflicting) {
                // Writing to a String cannot fail.
                let _ = write!(named[place].0, "_conflict{number}");
            }
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(keys: &[&str]) -> Vec<String> {
        let mut named: Vec<_> = keys.iter().map(|key| (label_name("label", key), "")).collect();
        number_conflicts(&mut named);
        named.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_key_becomes_a_snake_case_label_name() {
        for (key, name) in [
            ("app", "label_app"),
            ("app.kubernetes.io/name", "label_app_kubernetes_io_name"),
            ("camelCaseKey", "label_camel_case_key"),
            ("HTTPServer", "label_httpserver"),
            ("v1Beta", "label_v1_beta"),
            ("ünïcode", "label__n_code"),
            ("x__y", "label_x__y"),
            ("1starts-with-digit", "label_1starts_with_digit"),
            ("", "label_"),
        ] {
            assert_eq!(names(&[key]), [name]);
        }
    }

    #[test]
    fn names_that_collide_are_numbered_in_the_order_of_their_keys() {
        assert_eq!(
            names(&["a", "a-b", "a.b", "a/b", "b"]),
            ["label_a", "label_a_b_conflict1", "label_a_b_conflict2", "label_a_b_conflict3", "label_b"]
        );
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

    proptest! {
        #[test]
        fn every_label_name_is_one_that_prometheus_takes(keys in proptest::collection::btree_set(".*", 0..8)) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            for name in names(&keys) {
                prop_assert!(name.starts_with("label_"));
                prop_assert!(name.bytes().all(is_allowed));
            }
        }

        #[test]
        fn a_sanitised_text_has_as_many_characters_and_is_left_alone(text in ".*") {
            let clean = sanitise(&text).into_owned();
            prop_assert_eq!(clean.len(), text.chars().count());
            prop_assert_eq!(sanitise(&clean), clean.as_str());
        }
    }
}

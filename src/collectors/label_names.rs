//! Names of labels from text that others control: keys of labels, annotations and selectors, fields of custom resources, a config.
//!
//! Prometheus drops a whole scrape if one series has a label name twice, or `__name__` as a label. Every such name therefore comes
//! from this file: a [`LabelName`] is valid and not reserved, and [`of_keys`] gives each key of a map a name of its own.

use std::borrow::{Borrow, Cow};
use std::collections::HashMap;

/// The names with a meaning of their own: the name of the metric, its type and its unit. Prometheus sets them itself
/// (`IsMetadataLabel` in `schema/labels.go`).
const RESERVED: [&str; 3] = ["__name__", "__type__", "__unit__"];

/// A label name that Prometheus accepts: ASCII letters, digits and `_`, no digit first, not reserved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelName<'a>(Cow<'a, str>);

/// Why a text gives no label name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelNameError {
    /// It is empty.
    #[error("empty label name")]
    Empty,
    /// It is a name that only Prometheus sets.
    #[error("Prometheus reserves the label name {0}")]
    Reserved(&'static str),
}

impl<'a> LabelName<'a> {
    /// Returns `text` with `_` in place of every invalid character. Equals the name in kube-state-metrics, except that it
    /// prefixes `_` to a digit, which would make the whole exposition invalid.
    ///
    /// # Errors
    /// `text` is empty or, after the replacements, reserved.
    pub fn new(text: impl Into<Cow<'a, str>>) -> Result<Self, LabelNameError> {
        let name = match text.into() {
            Cow::Borrowed(text) => sanitise(text),
            Cow::Owned(text) => Cow::Owned(sanitise(&text).into_owned()),
        };
        if let Some(reserved) = RESERVED.into_iter().find(|reserved| *reserved == name) {
            return Err(LabelNameError::Reserved(reserved));
        }
        match name.as_bytes().first() {
            None => Err(LabelNameError::Empty),
            Some(b'0'..=b'9') => Ok(Self(Cow::Owned(format!("_{name}")))),
            Some(_) => Ok(Self(name)),
        }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns a name that borrows from this one.
    pub fn reborrow(&self) -> LabelName<'_> {
        LabelName(Cow::Borrowed(self.as_str()))
    }

    /// Returns a name that borrows nothing.
    pub fn into_owned(self) -> LabelName<'static> {
        LabelName(Cow::Owned(self.0.into_owned()))
    }
}

impl Borrow<str> for LabelName<'_> {
    fn borrow(&self) -> &str {
        self.as_str()
    }
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

/// Returns the names and values of the labels for `pairs`, which are in the order of their keys: `prefix_` and the sanitized key
/// in snake case. Keys that would share a name get suffixes. All names are different.
pub fn of_keys<'a>(prefix: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<(String, &'a str)> {
    let mut named: Vec<(String, &str)> =
        pairs.into_iter().map(|(key, value)| (label_name(prefix, key), value)).collect();
    number_conflicts(&mut named);
    named
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

/// Appends `_conflict1`, `_conflict2` and so on to equal names, in their order. Skips a suffix that gives the name of another key.
///
/// Follows `mapToPrometheusLabels` of kube-state-metrics (`internal/store/utils.go`): the first of several equal names keeps its
/// name until the second one comes, so a name with a suffix may itself conflict with a later key.
fn number_conflicts(named: &mut [(String, &str)]) {
    if are_distinct(named) {
        return;
    }
    let mut used: HashMap<String, usize> = HashMap::with_capacity(named.len());
    let mut last_suffix: HashMap<String, usize> = HashMap::new();
    for place in 0..named.len() {
        let base = named[place].0.clone();
        let mut name = base.clone();
        if let Some(last) = last_suffix.get_mut(&base) {
            name = next_free(&base, last, &used);
        } else if let Some(first) = used.remove(&base) {
            let mut last = 0;
            let renamed = next_free(&base, &mut last, &used);
            used.insert(renamed.clone(), first);
            named[first].0 = renamed;
            name = next_free(&base, &mut last, &used);
            last_suffix.insert(base, last);
        }
        used.insert(name.clone(), place);
        named[place].0 = name;
    }
}

fn are_distinct(named: &[(String, &str)]) -> bool {
    let mut names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.is_sorted_by(|a, b| a < b)
}

/// Returns `base` with the next suffix after `last` that gives an unused name.
fn next_free(base: &str, last: &mut usize, used: &HashMap<String, usize>) -> String {
    loop {
        *last += 1;
        let candidate = format!("{base}_conflict{last}");
        if !used.contains_key(&candidate) {
            return candidate;
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "a failed test may panic")]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn names(keys: &[&str]) -> Vec<String> {
        let keys: BTreeMap<String, String> = keys.iter().map(|key| ((*key).to_owned(), String::new())).collect();
        of_keys("label", keys.iter().map(|(key, value)| (&**key, &**value))).into_iter().map(|(name, _)| name).collect()
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
            ("__name__", "label___name__"),
            ("", "label_"),
        ] {
            assert_eq!(names(&[key]), [name]);
        }
    }

    /// The expected names are those of kube-state-metrics v2.20.0.
    #[test]
    fn names_that_collide_are_numbered_in_the_order_of_their_keys() {
        for (keys, expected) in [
            (
                &["a", "a-b", "a.b", "a/b", "b"] as &[_],
                &["label_a", "label_a_b_conflict1", "label_a_b_conflict2", "label_a_b_conflict3", "label_b"] as &[_],
            ),
            // A name with a suffix conflicts with a later key.
            (
                &["tier-a", "tier.a", "tier_a_conflict1"],
                &["label_tier_a_conflict1_conflict1", "label_tier_a_conflict2", "label_tier_a_conflict1_conflict2"],
            ),
            (
                &["x-y", "x.y", "x_y_conflict2"],
                &["label_x_y_conflict1", "label_x_y_conflict2_conflict1", "label_x_y_conflict2_conflict2"],
            ),
            // An earlier key has the name with the suffix.
            (
                &["a-b-conflict1", "a.b", "a/b", "a_b"],
                &["label_a_b_conflict1", "label_a_b_conflict2", "label_a_b_conflict3", "label_a_b_conflict4"],
            ),
            // The names of four keys collide twice.
            (
                &["x-conflict1", "x.conflict1", "x_", "x-"],
                &[
                    "label_x__conflict1",
                    "label_x_conflict1_conflict1",
                    "label_x_conflict1_conflict2",
                    "label_x__conflict2",
                ],
            ),
        ] {
            assert_eq!(names(keys), expected, "{keys:?}");
        }
    }

    #[test]
    fn a_reserved_or_empty_name_is_no_label_name() {
        let name = |text: &str| LabelName::new(text).map(|name| name.as_str().to_owned());
        for reserved in RESERVED {
            assert_eq!(name(reserved), Err(LabelNameError::Reserved(reserved)));
            assert_eq!(name(&reserved.replace('_', "-")), Err(LabelNameError::Reserved(reserved)));
        }
        assert_eq!(name(""), Err(LabelNameError::Empty));
        for (text, expected) in [
            ("9", "_9"),
            ("a b", "a_b"),
            ("ä", "_"),
            ("__name", "__name"),
            ("le", "le"),
            ("x__name__", "x__name__"),
            ("quantile", "quantile"),
        ] {
            assert_eq!(name(text).expect("a name"), expected);
        }
    }

    proptest! {
        #[test]
        fn each_key_has_a_valid_name_of_its_own(keys in prop::collection::btree_set(".*|[aA][-_.]?[bB]?([-_.]conflict[12]){0,2}", 0..24)) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let names = names(&keys);
            prop_assert!(names.iter().all(|name| name.starts_with("label_") && name.bytes().all(is_allowed)), "{:?}", names);
            prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), keys.len());
        }

        #[test]
        fn a_sanitised_text_has_as_many_characters_and_is_left_alone(text in ".*") {
            let clean = sanitise(&text).into_owned();
            prop_assert_eq!(clean.len(), text.chars().count());
            prop_assert_eq!(sanitise(&clean), clean.as_str());
        }
    }
}

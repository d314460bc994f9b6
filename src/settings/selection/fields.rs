//! Field selectors: `spec.nodeName!=a,status.phase=Running`.
//!
//! Source: `ParseSelector` in <https://pkg.go.dev/k8s.io/apimachinery/pkg/fields>. The fields of each resource are those of
//! `AddFieldLabelConversionFunc` in kubernetes/pkg/apis.

use std::collections::BTreeSet;
use std::fmt;

use super::{Problem, Selectable};
use crate::shown;

/// The longest selector, in bytes. It becomes part of a URL.
const LONGEST: usize = 4096;

/// A field selector. Its text is in a fixed order, so that equal selectors have the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<Term>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Term {
    field: String,
    negated: bool,
    value: String,
}

/// The fields of all resources. The namespace is empty for cluster-scoped ones.
const METADATA: [&str; 2] = ["metadata.name", "metadata.namespace"];

/// Returns the other fields that the API server can select by, and their values where they are not set.
fn known(plural: &str) -> &'static [(&'static str, &'static str)] {
    match plural {
        "pods" => &[
            ("spec.hostNetwork", "false"),
            ("spec.nodeName", ""),
            ("spec.restartPolicy", ""),
            ("spec.schedulerName", ""),
            ("spec.serviceAccountName", ""),
            ("status.nominatedNodeName", ""),
            ("status.phase", ""),
            ("status.podIP", ""),
        ],
        "nodes" => &[("spec.unschedulable", "false")],
        "namespaces" => &[("status.phase", "")],
        "secrets" => &[("type", "")],
        "services" => &[("spec.clusterIP", ""), ("spec.type", "")],
        "jobs" => &[("status.successful", "0")],
        "replicationcontrollers" => &[("status.replicas", "0")],
        "certificatesigningrequests" => &[("spec.signerName", "")],
        _ => &[],
    }
}

impl FieldSelector {
    /// Returns whether it selects all objects.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the API server would select `object`, of the resource `plural`.
    pub fn selects(&self, plural: &str, object: &dyn Selectable) -> bool {
        self.0.iter().all(|Term { field, negated, value }| {
            let found =
                object.field(if plural == "jobs" && field == "status.successful" { "status.succeeded" } else { field });
            let default = known(plural).iter().find(|(name, _)| name == field).map_or("", |(_, default)| default);
            let found = if found.is_empty() { default } else { &found };
            (found == value) != *negated
        })
    }

    /// Returns the selector of the objects that both select.
    #[must_use]
    pub(super) fn and(&self, other: Self) -> Self {
        let all: BTreeSet<_> = self.0.iter().cloned().chain(other.0).collect();
        Self(all.into_iter().collect())
    }

    /// Parses a selector for a resource in the syntax of Kubernetes. The fields of custom resources are not known here, so
    /// with `any_field` all are accepted.
    pub(in crate::settings) fn parse(text: &str, plural: &str, any_field: bool) -> Result<Self, Problem> {
        if text.len() > LONGEST {
            return Err(Problem::new(LONGEST, format!("the selector is longer than {LONGEST} bytes")));
        }
        let mut terms = Vec::new();
        let mut start = 0;
        for end in ends(text) {
            let term = &text[start..end];
            if !(term.trim().is_empty() && text.trim().is_empty()) {
                let term = parse_term(term).map_err(|Problem { at, reason }| Problem::new(start + at, reason))?;
                if !any_field && !is_known(plural, &term.field) {
                    return Err(Problem::new(start, unknown(plural, &term.field)));
                }
                terms.push(term);
            }
            start = end + 1;
        }
        Ok(Self::default().and(Self(terms)))
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Term { field, negated, value }) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            let operator = if *negated { "!=" } else { "=" };
            write!(f, "{comma}{field}{operator}{}", escaped(value))?;
        }
        Ok(())
    }
}

fn is_known(plural: &str, field: &str) -> bool {
    METADATA.contains(&field) || known(plural).iter().any(|(name, _)| *name == field)
}

fn unknown(plural: &str, field: &str) -> String {
    let fields: Vec<_> = METADATA.into_iter().chain(known(plural).iter().map(|(name, _)| *name)).collect();
    format!(
        "the API server cannot select {plural} by the field {:?}, only by {}",
        shown::value(field),
        fields.join(", ")
    )
}

/// The ends of the terms: the commas without a backslash, and the end of the text.
fn ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => ends.push(at),
            _ => {}
        }
    }
    ends.push(text.len());
    ends
}

fn parse_term(term: &str) -> Result<Term, Problem> {
    let found = term.char_indices().find_map(|(at, _)| {
        let operators = [("!=", true), ("==", false), ("=", false)];
        operators.into_iter().find(|(operator, _)| term[at..].starts_with(operator)).map(|found| (at, found))
    });
    let Some((at, (operator, negated))) = found else {
        return Err(Problem::new(0, format!("{:?} has none of the operators =, == and !=", shown::value(term))));
    };
    let field = term[..at].trim();
    if field.is_empty() || !field.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Problem::new(0, format!("{:?} is not a field", shown::value(field))));
    }
    let start = at + operator.len();
    // Kubernetes takes a space for a part of the value, so the selector would select nothing.
    if term[start..].trim().len() < term.len() - start {
        return Err(Problem::new(start, "a value begins and ends without a space"));
    }
    let value = unescaped(&term[start..]).map_err(|Problem { at, reason }| Problem::new(start + at, reason))?;
    Ok(Term { field: field.to_owned(), negated, value })
}

fn unescaped(text: &str) -> Result<String, Problem> {
    let mut value = String::with_capacity(text.len());
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, c @ ('\\' | ',' | '='))) => value.push(c),
                _ => return Err(Problem::new(at, "a backslash escapes only a backslash, \",\" and \"=\"")),
            },
            '=' => return Err(Problem::new(at, "\"=\" in a value needs a backslash")),
            c if c.is_control() => return Err(Problem::new(at, format!("{c:?} is not allowed in a selector"))),
            c => value.push(c),
        }
    }
    Ok(value)
}

/// Source: `EscapeValue` in <https://pkg.go.dev/k8s.io/apimachinery/pkg/fields>.
pub(in crate::settings) fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '\\' | ',' | '=') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terms_are_split_at_commas_without_a_backslash() {
        for (text, canonical) in [
            ("", ""),
            ("spec.nodeName!=b,spec.nodeName!=a", "spec.nodeName!=a,spec.nodeName!=b"),
            ("status.phase==Running", "status.phase=Running"),
            ("metadata.name=a\\,b\\=c\\\\", "metadata.name=a\\,b\\=c\\\\"),
            ("spec.nodeName=", "spec.nodeName="),
        ] {
            let selector = FieldSelector::parse(text, "pods", false).expect(text);
            assert_eq!(selector.to_string(), canonical);
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_position() {
        for (plural, text, at, reason) in [
            (
                "pods",
                "status.phase=Running,spec.node=a",
                21,
                "the API server cannot select pods by the field \"spec.node\"",
            ),
            ("services", "spec.nodeName=a", 0, "the API server cannot select services by the field"),
            (
                "configmaps",
                "type=x",
                0,
                "the API server cannot select configmaps by the field \"type\", only by metadata.name, metadata.namespace",
            ),
            ("pods", "status.phase", 0, "\"status.phase\" has none of the operators"),
            ("pods", "status.phase=Running,", 21, "\"\" has none of the operators"),
            ("pods", "metadata.name=a=b", 15, "\"=\" in a value needs a backslash"),
            ("pods", "metadata.name=a\\n", 15, "a backslash escapes only"),
            ("pods", "=a", 0, "\"\" is not a field"),
            ("pods", "status.phase=Running ,spec.nodeName=a", 13, "a value begins and ends without a space"),
            ("pods", "status.phase != Running", 15, "a value begins and ends without a space"),
        ] {
            let problem = FieldSelector::parse(text, plural, false).expect_err(text);
            assert_eq!(problem.at, at, "{text}: {problem:?}");
            assert!(problem.reason.starts_with(reason), "{text}: {problem:?}");
        }
        assert!(FieldSelector::parse("spec.tier=gold", "things.example.com", true).is_ok());
    }

    proptest! {
        #[test]
        fn every_value_survives_its_text(value in "([a-c,=\\\\é!]([a-c,=\\\\ é!]{0,6}[a-c,=\\\\é!])?)?") {
            let text = format!("metadata.name!={}", escaped(&value));
            let selector = FieldSelector::parse(&text, "pods", false).expect("it is escaped");
            prop_assert_eq!(&selector.0[0].value, &value);
            prop_assert_eq!(selector.to_string(), text);
        }

        #[test]
        fn no_text_panics_and_positions_are_within_it(text in "[a-c=!,\\\\ é.]{0,16}") {
            if let Err(problem) = FieldSelector::parse(&text, "", true) {
                prop_assert!(problem.at <= text.len() && text.is_char_boundary(problem.at));
            }
        }
    }
}

//! The values of `--resource-selector` and `--resource-field-selector`: `pods=app!=ci,secrets=type=x`.
//!
//! A selector contains commas and equals signs itself. A comma begins the next resource only if the plural of a built-in resource and a
//! single `=` follow, outside of parentheses: `pods=app=web,nodes=pool`. A label with such a name is written with `==` or `in`. A
//! custom resource, `plural.group`, cannot be told from a label, so it begins a value of its own.

use std::collections::BTreeMap;

use super::super::SettingsError;
use super::super::custom::CustomResources;
use super::super::resources;
use super::super::values::{SelectorEntry, SelectorLists};
use super::fields::FieldSelector;
use super::labels::LabelSelector;
use super::{Problem, Selectable};
use crate::shown;

/// The selectors of resources, by plural; of custom resources by `plural.group`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selections(BTreeMap<String, Selection>);

/// The selectors of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selections {
    /// Returns the names of the resources with a label selector.
    pub fn resources(&self) -> Vec<&String> {
        self.0.iter().filter(|(_, selection)| !selection.labels.is_empty()).map(|(name, _)| name).collect()
    }

    /// Returns the names of the resources with a field selector.
    pub fn resources_by_field(&self) -> Vec<&String> {
        self.0.iter().filter(|(_, selection)| !selection.fields.is_empty()).map(|(name, _)| name).collect()
    }

    /// Returns the names of the custom resources with a selector. Only the API server knows whether they exist.
    pub fn of_groups(&self) -> impl Iterator<Item = &String> {
        self.0.keys().filter(|name| name.contains('.'))
    }

    /// Returns whether a resource has a selector.
    pub fn has(&self, resource: &str) -> bool {
        self.0.contains_key(resource)
    }

    /// Returns `labelSelector` of lists and watches of a resource; empty for none.
    pub fn label_selector(&self, resource: &str) -> String {
        self.0.get(resource).map_or_else(String::new, |selection| selection.labels.to_string())
    }

    /// Returns the part of `fieldSelector` that comes from `--resource-field-selector`; empty for none.
    pub fn field_selector(&self, resource: &str) -> String {
        self.0.get(resource).map_or_else(String::new, |selection| selection.fields.to_string())
    }

    /// Returns whether the API server would list this object of a resource.
    pub fn selects(&self, resource: &str, object: &dyn Selectable) -> bool {
        let selects =
            |selection: &Selection| selection.labels.selects(object) && selection.fields.selects(resource, object);
        self.0.get(resource).is_none_or(selects)
    }
}

/// Parses the values of both flags.
pub(in crate::settings) fn selections(
    labels: &SelectorLists,
    fields: &SelectorLists,
    custom: &CustomResources,
) -> Result<Selections, SettingsError> {
    let mut selections = Selections::default();
    for part in parts("--resource-selector", labels, custom)? {
        let selector = LabelSelector::parse(&part.selector).map_err(|problem| part.error(problem))?;
        let known = &mut selections.0.entry(part.resource.clone()).or_default().labels;
        *known = known.and(selector);
    }
    for part in parts("--resource-field-selector", fields, custom)? {
        let is_custom = part.is_custom;
        let selector =
            FieldSelector::parse(&part.selector, &part.resource, is_custom).map_err(|problem| part.error(problem))?;
        let known = &mut selections.0.entry(part.resource.clone()).or_default().fields;
        *known = known.and(selector);
    }
    selections.0.retain(|_, selection| !selection.labels.is_empty() || !selection.fields.is_empty());
    Ok(selections)
}

/// Parses the value of `--namespace-selector`; `None` if it is empty.
pub(in crate::settings) fn namespace_selector(
    flag: &'static str,
    given: &Option<String>,
) -> Result<Option<LabelSelector>, SettingsError> {
    let text = given.as_deref().unwrap_or_default();
    let selector = LabelSelector::parse(text)
        .map_err(|problem| selector_error(flag, "namespaces", text, problem.at, problem.reason))?;
    Ok((!selector.is_empty()).then_some(selector))
}

/// The selector of one resource, and where it is written.
struct Part<'a> {
    flag: &'static str,
    resource: String,
    is_custom: bool,
    selector: String,
    /// The whole value, and the byte of it where the selector begins.
    value: &'a str,
    start: usize,
}

impl Part<'_> {
    fn error(&self, Problem { at, reason }: Problem) -> SettingsError {
        selector_error(self.flag, &self.resource, self.value, self.start + at, reason)
    }
}

fn selector_error(flag: &'static str, resource: &str, value: &str, at: usize, reason: String) -> SettingsError {
    SettingsError::Selector {
        flag,
        resource: shown::value(resource),
        // Bytes before a character that is not ASCII are rare, but people count characters.
        position: value.get(..at).map_or(at, |before| before.chars().count()) + 1,
        value: around(value, at),
        reason,
    }
}

/// Returns a long text without what is far from a place in it.
fn around(text: &str, at: usize) -> String {
    let near = shown::VALUE_BYTES / 2;
    let start = text.floor_char_boundary(at.min(text.len()).saturating_sub(near));
    let end = text.ceil_char_boundary(at.saturating_add(near));
    let (before, behind) = (if start > 0 { "..." } else { "" }, if end < text.len() { "..." } else { "" });
    format!("{before}{}{behind}", &text[start..end])
}

/// Splits the values of a flag by resource.
fn parts<'a>(
    flag: &'static str,
    lists: &'a SelectorLists,
    custom: &CustomResources,
) -> Result<Vec<Part<'a>>, SettingsError> {
    let mut parts = Vec::new();
    for entry in &lists.0 {
        match entry {
            SelectorEntry::Of { resource, selector } => {
                let (resource, is_custom) = named(flag, resource, custom)?;
                let value = selector.as_str();
                parts.push(Part { flag, resource, is_custom, selector: selector.clone(), value, start: 0 });
            }
            SelectorEntry::Text(value) => {
                for (start, end) in spans(value) {
                    let text = &value[start..end];
                    let Some((name, selector)) = text.split_once('=') else {
                        let reason = "expected RESOURCE=SELECTOR, for example pods=app!=ci".to_owned();
                        return Err(selector_error(flag, text.trim(), value, start, reason));
                    };
                    let (resource, is_custom) = named(flag, name.trim(), custom)?;
                    let start = start + name.len() + 1;
                    parts.push(Part { flag, resource, is_custom, selector: selector.to_owned(), value, start });
                }
            }
        }
    }
    Ok(parts)
}

/// Returns the resource of a name, and whether it is a configured custom one. A built-in one may be written with its group.
fn named(flag: &'static str, name: &str, custom: &CustomResources) -> Result<(String, bool), SettingsError> {
    let is_configured = |group: &str| custom.entries().iter().any(|entry| entry.group == group);
    let Some((plural, group)) = name.split_once('.') else {
        return resources::find(flag, name).map(|kind| (kind.plural.to_owned(), false));
    };
    let is_built_in = resources::all().iter().any(|kind| kind.plural == plural && kind.group == group);
    match name {
        _ if is_built_in => Ok((plural.to_owned(), false)),
        _ if is_configured(group) => Ok((name.to_owned(), true)),
        _ => resources::find(flag, name).map(|kind| (kind.plural.to_owned(), false)),
    }
}

/// Returns the spans of a value that begin with a resource.
fn spans(value: &str) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    let (mut start, mut depth, mut escaped) = (0, 0_usize, false);
    for (at, c) in value.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 && begins_with_resource(&value[at + 1..]) => {
                spans.push((start, at));
                start = at + 1;
            }
            _ => {}
        }
    }
    if !value.trim().is_empty() {
        spans.push((start, value.len()));
    }
    spans
}

/// Whether a built-in resource and a single `=` begin the text.
fn begins_with_resource(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, rest)| {
        !rest.starts_with('=') && resources::all().iter().any(|kind| kind.plural == name.trim())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(values: &[&str]) -> SelectorLists {
        SelectorLists(values.iter().map(|value| SelectorEntry::Text((*value).to_owned())).collect())
    }

    fn parsed(labels: &[&str], fields: &[&str]) -> Result<Selections, SettingsError> {
        selections(&texts(labels), &texts(fields), &CustomResources::default())
    }

    #[test]
    fn a_comma_before_a_resource_begins_the_next_selector() {
        let found = parsed(
            &["pods=app!=ci,secrets=type=x", "nodes=pool in (a,secrets=b)", " services = a, pods = b"],
            &["pods=spec.nodeName!=x,status.phase=Running,secrets=type=Opaque"],
        );
        let error = found.expect_err("a set has no equals sign");
        assert_eq!(
            error.to_string(),
            "--resource-selector: nodes: found \"=\", expected \",\" or \")\" at character 25 of \"nodes=pool in (a,secrets=b)\"; a comma \
             begins the next resource only before the plural of a known resource and a single ="
        );
        let found = parsed(
            &["pods=app!=ci,secrets=type=x", "nodes=pool in (a,secrets)", " services = a, pods = b"],
            &["pods=spec.nodeName!=x,status.phase=Running,secrets=type=Opaque"],
        )
        .expect("valid");
        assert_eq!(found.label_selector("pods"), "app!=ci,b");
        assert_eq!(found.label_selector("secrets"), "type=x");
        assert_eq!(found.label_selector("nodes"), "pool in (a,secrets)");
        assert_eq!(found.label_selector("services"), "a");
        assert_eq!(found.field_selector("pods"), "spec.nodeName!=x,status.phase=Running");
        assert_eq!(found.field_selector("secrets"), "type=Opaque");
        assert_eq!((found.label_selector("jobs"), found.field_selector("nodes")), (String::new(), String::new()));
    }

    #[test]
    fn a_label_with_the_name_of_a_resource_is_written_with_two_equals_signs() {
        let found = parsed(&["pods=app=a,secrets==b,nodes in (c),!jobs,services"], &[]).expect("valid");
        assert_eq!(found.resources(), ["pods"]);
        assert_eq!(found.label_selector("pods"), "app=a,!jobs,nodes=c,secrets=b,services");
    }

    #[test]
    fn mistakes_name_flag_resource_and_position() {
        for (labels, fields, message) in [
            (
                "pods=app in",
                "",
                "--resource-selector: pods: found the end, expected \"(\" at character 12 of \"pods=app in\"",
            ),
            (
                "pods",
                "",
                "--resource-selector: pods: expected RESOURCE=SELECTOR, for example pods=app!=ci at character 1",
            ),
            ("pod=a", "", "--resource-selector: unknown resource \"pod\"; did you mean pods"),
            (
                "things.example.com=a",
                "",
                "--resource-selector: unknown resource \"things.example.com\"; a custom resource is named plural.group",
            ),
            ("foo=a", "", "--resource-selector: unknown resource \"foo\"; a custom resource is named plural.group"),
            (
                "pods=a,secret=type=x",
                "",
                "--resource-selector: pods: found \"=\", expected \",\" or the end at character 19",
            ),
            (
                "",
                "pods=spec.x=1",
                "--resource-field-selector: pods: the API server cannot select pods by the field \"spec.x\"",
            ),
            (
                "",
                "pods=status.phase=a,nodes=b",
                "--resource-field-selector: nodes: \"b\" has none of the operators =, == and != at character 27",
            ),
        ] {
            let error = parsed(&[labels], &[fields]).expect_err(message).to_string();
            assert!(error.starts_with(message), "{error}");
            let has_comma = labels.contains(',') || fields.contains(',');
            assert!(has_comma || !error.contains("a comma"), "{error}");
        }
    }

    #[test]
    fn a_built_in_resource_may_have_its_group() {
        let config = "{spec: {resources: [{groupVersionKind: {group: apps, kind: ControllerRevision, version: v1}, metrics: []}]}}";
        for custom in [CustomResources::default(), CustomResources::parse("test", config).expect("valid")] {
            let found = selections(&texts(&["deployments.apps=app=web"]), &texts(&[]), &custom).expect("valid");
            assert_eq!(found.label_selector("deployments"), "app=web");
            assert_eq!(found.resources(), ["deployments"]);
        }
        let error = parsed(&["deployments.batch=a"], &[]).expect_err("another group").to_string();
        assert!(error.starts_with("--resource-selector: unknown resource \"deployments.batch\""), "{error}");
    }

    #[test]
    fn a_message_shows_a_long_value_only_where_the_mistake_is() {
        let error =
            parsed(&[&format!("pods={}b in c,{}", "e,".repeat(1000), "d,".repeat(500))], &[]).expect_err("no set");
        let text = error.to_string();
        assert!(text.starts_with("--resource-selector: pods: found \"c\", expected \"(\" at character"), "{text}");
        assert!(text.contains("e,e,b in c,d,d,") && text.len() < 500, "{text}");
        let error = parsed(&[&format!("{}=a", "p".repeat(5000))], &[]).expect_err("no resource").to_string();
        assert!(error.len() < 500, "{error}");
        let error = parsed(&["p".repeat(5000).as_str()], &[]).expect_err("no selector").to_string();
        assert!(error.len() < 700, "{error}");
    }

    #[test]
    fn a_custom_resource_has_a_value_of_its_own() {
        let config =
            "{spec: {resources: [{groupVersionKind: {group: example.com, kind: Thing, version: v1}, metrics: []}]}}";
        let custom = CustomResources::parse("test", config).expect("valid");
        let of = |values| selections(&texts(values), &texts(&["things.example.com=spec.tier=gold"]), &custom);
        let found = of(&["things.example.com=a,pods=b"]).expect("valid");
        assert_eq!(
            (found.label_selector("things.example.com"), found.label_selector("pods")),
            ("a".into(), "b".into())
        );
        assert_eq!(found.field_selector("things.example.com"), "spec.tier=gold");
        let found = of(&["pods=b,things.example.com=a"]).expect("it is a label");
        assert_eq!(found.label_selector("pods"), "b,things.example.com=a");
    }

    proptest! {
        #[test]
        fn no_value_panics(value in "(pods|secrets|nodes|a|b|[=!,(){}\\\\ é]){0,12}") {
            let _ = parsed(&[&value], &[&value]);
        }

        #[test]
        fn selectors_of_several_resources_stay_apart(
            selectors in proptest::collection::btree_map("(pods|secrets|nodes|jobs)", "[a-c](=[x-z]|!=[x-z]| in \\([x-z],[x-z]\\))?(,![d-f])?", 1..4)
        ) {
            let joined = selectors.iter().map(|(name, selector)| format!("{name}={selector}")).collect::<Vec<_>>().join(",");
            let one = parsed(&[&joined], &[]).expect("valid");
            for (name, selector) in &selectors {
                let alone = LabelSelector::parse(selector).expect("valid");
                prop_assert_eq!(one.label_selector(name), alone.to_string());
            }
        }
    }
}

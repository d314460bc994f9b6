//! Lists of keys by resource: `pods=[app,team],nodes=[*],*=[example.com/*]`.

use std::collections::BTreeMap;

use crate::collectors::labels::KeyFilter;

use super::values::items;
use super::{SettingsError, resources};

/// The name for every enabled resource.
const WILDCARD: &str = "*";

/// Returns the filter of each resource in the lists. With `*` as a resource: of each enabled resource, whose own keys are added.
pub(super) fn by_resource(
    flag: &'static str,
    value: &str,
    enabled: &[String],
) -> Result<BTreeMap<String, KeyFilter>, SettingsError> {
    let mut lists = parse(value).map_err(|reason| SettingsError::Keys { flag, value: value.to_owned(), reason })?;
    for name in lists.keys().filter(|name| *name != WILDCARD) {
        resources::find(flag, name)?;
    }
    if let Some(of_all) = lists.remove(WILDCARD) {
        let merged = |own: Option<&Vec<String>>| of_all.iter().chain(own.into_iter().flatten()).cloned().collect();
        lists = enabled.iter().map(|name| (name.clone(), merged(lists.get(name)))).collect();
    }
    Ok(lists.into_iter().map(|(name, keys)| (name, KeyFilter::from_keys(keys))).collect())
}

/// Returns the filter of keys without resources: `team,example.com/*`.
pub(super) fn of_namespaces(flag: &'static str, given: &[String]) -> Result<KeyFilter, SettingsError> {
    let keys = items(given);
    let is_key = |key: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_./*".contains(c);
        key.chars().all(fits)
            && key.matches('*').count() <= 1
            && key.contains(|c: char| c.is_ascii_alphanumeric() || c == '*')
    };
    match keys.iter().find(|key| !is_key(key)) {
        Some(key) => Err(SettingsError::NamespaceLabel { flag, key: key.clone() }),
        None => Ok(KeyFilter::from_keys(keys)),
    }
}

/// Parses the keys of each resource. If a resource is repeated, the last list counts.
fn parse(mut rest: &str) -> Result<BTreeMap<String, Vec<String>>, &'static str> {
    let mut lists = BTreeMap::new();
    rest = rest.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=[").ok_or("resource without =[keys]")?;
        let (keys, after) = after.split_once(']').ok_or("missing closing bracket")?;
        let name = name.trim();
        if name.is_empty() {
            return Err("list without a resource");
        }
        if name.contains(['[', ']', '=', ',']) || keys.contains('[') {
            return Err("resource without =[keys]");
        }
        let keys: Vec<String> = match keys.trim() {
            "" => Vec::new(),
            keys => keys.split(',').map(|key| key.trim().to_owned()).collect(),
        };
        if keys.iter().any(String::is_empty) {
            return Err("empty key");
        }
        if keys.iter().any(|key| key.matches('*').count() > 1) {
            return Err("key with more than one *");
        }
        lists.insert(name.to_owned(), keys);
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(more) if more.trim().is_empty() => return Err("trailing comma"),
            Some(more) => more,
            None if after.is_empty() => after,
            None => return Err("missing comma between two resources"),
        };
    }
    Ok(lists)
}

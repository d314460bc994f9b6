//! Lists of keys by resource: `pods=[app,team],nodes=[*],*=[example.com/*]`.

use std::collections::BTreeMap;

use crate::collectors::labels::KeyFilter;

use super::{SettingsError, resources};

/// The name that stands for every enabled resource.
const WILDCARD: &str = "*";

/// The filter of each resource that the list names; with `*` as a resource, of each enabled one, whose own keys are added.
pub(super) fn by_resource(
    flag: &'static str,
    value: Option<&str>,
    enabled: &[String],
) -> Result<BTreeMap<String, KeyFilter>, SettingsError> {
    let value = value.unwrap_or_default();
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

/// Resources and their keys. A resource that is named twice has the keys of the last place.
fn parse(mut rest: &str) -> Result<BTreeMap<String, Vec<String>>, &'static str> {
    let mut lists = BTreeMap::new();
    rest = rest.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=[").ok_or("there is a resource without =[keys]")?;
        let (keys, after) = after.split_once(']').ok_or("a list has no closing bracket")?;
        let name = name.trim();
        if name.is_empty() {
            return Err("there is a list without a resource");
        }
        if name.contains(['[', ']', '=', ',']) || keys.contains('[') {
            return Err("there is a resource without =[keys]");
        }
        let keys: Vec<String> = match keys.trim() {
            "" => Vec::new(),
            keys => keys.split(',').map(|key| key.trim().to_owned()).collect(),
        };
        if keys.iter().any(String::is_empty) {
            return Err("there is an empty key");
        }
        if keys.iter().any(|key| key.matches('*').count() > 1) {
            return Err("there is a key with more than one *");
        }
        lists.insert(name.to_owned(), keys);
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(more) if more.trim().is_empty() => return Err("there is a comma at the end"),
            Some(more) => more,
            None if after.is_empty() => after,
            None => return Err("there is no comma between two resources"),
        };
    }
    Ok(lists)
}

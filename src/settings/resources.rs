//! The registry of collectors by name.

pub use super::kinds::{Kind, all};

use crate::shown;

use super::SettingsError;
use super::values::items;

/// Returns the resource `name`, which `flag` contains.
pub(super) fn find(flag: &'static str, name: &str) -> Result<&'static Kind, SettingsError> {
    all().iter().find(|k| k.plural == name).ok_or_else(|| SettingsError::UnknownResource {
        flag,
        name: shown::value(name),
        similar: similar(name),
    })
}

/// Returns the resources in `lists`, which have the format of `--resources`; the default ones if the lists are empty.
///
/// # Errors
/// A name has no collector.
pub fn named(lists: &[String]) -> Result<Vec<Kind>, SettingsError> {
    enabled(&items(lists))
}

/// Returns the named resources, or the default ones if no names are given.
pub(super) fn enabled(names: &[String]) -> Result<Vec<Kind>, SettingsError> {
    if names.is_empty() {
        return Ok(all().iter().filter(|k| k.is_default()).copied().collect());
    }
    for name in names {
        find("--resources", name)?;
    }
    Ok(all().iter().filter(|k| names.iter().any(|name| name == k.plural)).copied().collect())
}

/// Returns up to three similar names, the most similar first. A kind or a singular counts as its plural.
fn similar(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    let likeness = |k: &Kind| {
        let singular = k.kind.to_lowercase();
        strsim::jaro_winkler(&lower, k.plural).max(strsim::jaro_winkler(&lower, &singular))
    };
    let mut scored: Vec<_> = all().iter().map(|k| (likeness(k), k.plural)).filter(|(score, _)| *score > 0.85).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(3).map(|(_, plural)| plural.to_owned()).collect()
}

//! The filter of families.

use super::SettingsError;
use super::kinds;
use super::pattern::{Pattern, last_line};
use crate::shown;

/// The filter of families: `--metric-allowlist` or `--metric-denylist`, and `--metric-opt-in-list`.
#[derive(Clone, Debug, Default)]
pub struct FamilyFilter {
    /// Each with its text.
    allowed: Vec<(String, Pattern)>,
    denied: Vec<Pattern>,
    opted_in: Vec<regex::Regex>,
}

/// Number of patterns per flag.
pub(super) struct Counts {
    pub allowed: usize,
    pub denied: usize,
    pub opted_in: usize,
}

impl FamilyFilter {
    /// Patterns match anywhere in a name. NB: the first two lists are ECMAScript patterns and the third is RE2, as in
    /// kube-state-metrics.
    ///
    /// `custom` are the names of families besides the built-in ones. Each pattern is tried on all names, so later no name takes
    /// too long.
    pub(super) fn new(
        allowed: &[String],
        denied: &[String],
        opted_in: &[String],
        custom: &[&str],
    ) -> Result<Self, SettingsError> {
        if !allowed.is_empty() && !denied.is_empty() {
            return Err(SettingsError::AllowAndDeny);
        }
        Ok(Self {
            allowed: allowed.iter().cloned().zip(ecmascript("--metric-allowlist", allowed, custom)?).collect(),
            denied: ecmascript("--metric-denylist", denied, custom)?,
            opted_in: compile("--metric-opt-in-list", opted_in, |text| {
                regex::Regex::new(text).map_err(|error| last_line(&error))
            })?,
        })
    }

    /// Whether a family is served.
    pub fn is_enabled(&self, name: &str, opt_in: bool) -> bool {
        let matches = |pattern: &Pattern| matches(pattern, name);
        let listed = if self.allowed.is_empty() {
            !self.denied.iter().any(matches)
        } else {
            self.allowed.iter().any(|(_, pattern)| matches(pattern))
        };
        listed && (!opt_in || self.opted_in.iter().any(|p| p.is_match(name)))
    }

    /// The numbers of patterns.
    pub(super) const fn counts(&self) -> Counts {
        Counts { allowed: self.allowed.len(), denied: self.denied.len(), opted_in: self.opted_in.len() }
    }

    /// The patterns of `--metric-allowlist`, each with a predicate over family names.
    pub fn allowed(&self) -> impl Iterator<Item = (&str, impl Fn(&str) -> bool)> {
        self.allowed.iter().map(|(text, pattern)| (text.as_str(), |name: &str| matches(pattern, name)))
    }
}

/// NB: `ecmascript` has tried all names, so the limit of steps is not reached here.
fn matches(pattern: &Pattern, name: &str) -> bool {
    pattern.matches(name).unwrap_or(false)
}

/// Compiles ECMAScript patterns, and checks that no name takes too many steps.
fn ecmascript(flag: &'static str, patterns: &[String], custom: &[&str]) -> Result<Vec<Pattern>, SettingsError> {
    let names = if patterns.is_empty() { Vec::new() } else { kinds::families() };
    compile(flag, patterns, |text| {
        let pattern = Pattern::new(text)?;
        match names.iter().chain(custom).find(|name| pattern.matches(name).is_err()) {
            Some(name) => Err(format!("takes too many steps for {name}; simplify its repetitions")),
            None => Ok(pattern),
        }
    })
}

fn compile<T>(
    flag: &'static str,
    patterns: &[String],
    compile: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, SettingsError> {
    let compiled = patterns.iter().map(|pattern| {
        compile(pattern).map_err(|reason| SettingsError::Pattern { flag, pattern: shown::value(pattern), reason })
    });
    compiled.collect()
}

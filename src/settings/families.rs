//! The filter of families.

use super::SettingsError;

/// The filter of families: `--metric-allowlist` or `--metric-denylist`, and `--metric-opt-in-list`.
#[derive(Clone, Debug, Default)]
pub struct FamilyFilter {
    /// Each with its text.
    allowed: Vec<(String, regress::Regex)>,
    denied: Vec<regress::Regex>,
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
    pub(super) fn new(allowed: &[String], denied: &[String], opted_in: &[String]) -> Result<Self, SettingsError> {
        if !allowed.is_empty() && !denied.is_empty() {
            return Err(SettingsError::AllowAndDeny);
        }
        Ok(Self {
            allowed: allowed
                .iter()
                .cloned()
                .zip(compile("--metric-allowlist", allowed, regress::Regex::new)?)
                .collect(),
            denied: compile("--metric-denylist", denied, regress::Regex::new)?,
            opted_in: compile("--metric-opt-in-list", opted_in, regex::Regex::new)?,
        })
    }

    /// Whether a family is served.
    pub fn is_enabled(&self, name: &str, opt_in: bool) -> bool {
        let matches = |pattern: &regress::Regex| pattern.find(name).is_some();
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
        self.allowed.iter().map(|(text, pattern)| (text.as_str(), |name: &str| pattern.find(name).is_some()))
    }
}

fn compile<T, E: ToString>(
    flag: &'static str,
    patterns: &[String],
    compile: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, SettingsError> {
    patterns
        .iter()
        .map(|pattern| {
            compile(pattern).map_err(|e| SettingsError::Pattern {
                flag,
                pattern: pattern.clone(),
                // The regex crate draws the pattern over several lines; the last line is the reason.
                reason: e.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
            })
        })
        .collect()
}

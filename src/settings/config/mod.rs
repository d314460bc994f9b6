//! `--config FILE`: a layer over the flags, with kube-state-metrics' keys.
//!
//! Source of the keys and their types: `pkg/options/options.go` of kube-state-metrics. As there, a key that is not known is
//! no error, a value of the wrong type is one, and a key without a value says nothing.

mod keys;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::{Environment, Flags, LayersError, Settings, SettingsError, Warning};
use crate::settings::yaml::{FileError, place};
use keys::{KEYS, Key};

/// What is wrong with a config file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}")]
pub struct ConfigError {
    place: FileError,
    /// The file is not there.
    pub is_missing: bool,
}

/// A config file that was read.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    file: PathBuf,
    values: Vec<Entry>,
    unknown: Vec<String>,
}

#[derive(Clone)]
struct Entry {
    key: &'static Key,
    line: u64,
    value: Value,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key.name, self.value)
    }
}

impl ConfigFile {
    /// Reads `file`.
    ///
    /// # Errors
    /// It cannot be read, is no YAML, or a value is not what its key expects.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|error| ConfigError {
            is_missing: error.kind() == std::io::ErrorKind::NotFound,
            ..wrong(file, None, None, format!("cannot be read: {error}"))
        })?;
        Self::parse(file, &text)
    }

    /// The same of a text that was read.
    ///
    /// # Errors
    /// It is no YAML, or a value is not what its key expects.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let options = serde_saphyr::options! { with_snippet: false };
        let Entries(entries) = serde_saphyr::from_str_with_options::<Option<Entries>>(text, options)
            .map_err(|error| {
                let (line, reason) = place(&error);
                wrong(file, line, None, reason)
            })?
            .unwrap_or_default();
        let mut read = Self { file: file.to_owned(), values: Vec::new(), unknown: Vec::new() };
        for (name, line, value) in entries {
            let Some(key) = KEYS.iter().find(|key| key.name == name) else {
                read.unknown.push(name);
                continue;
            };
            if value.is_null() {
                continue;
            }
            (key.set)(&mut Flags::default(), &value)
                .map_err(|expected| wrong(file, Some(line), Some(key.name), format!("{expected} is expected here")))?;
            read.values.push(Entry { key, line, value });
        }
        Ok(read)
    }

    /// What `flags` are with this file over them.
    pub fn over(&self, flags: &Flags) -> Flags {
        let mut flags = flags.clone();
        for Entry { key, value, .. } in &self.values {
            // It was tried when the file was read.
            let _ = (key.set)(&mut flags, value);
        }
        flags
    }

    /// [`Settings::resolve`] with this file over the flags.
    ///
    /// # Errors
    /// Likewise; what the file says is blamed on the file, and what a file of custom resources says on that one.
    pub fn resolve(
        &self,
        flags: &Flags,
        environment: &Environment,
        host_name: impl FnOnce() -> Option<String>,
    ) -> Result<(Settings, Vec<Warning>), LayersError> {
        let resolved = Settings::resolve(&self.over(flags), environment, host_name);
        let (settings, mut warnings) = resolved.map_err(|error| match &error {
            SettingsError::Custom(_) | SettingsError::File { .. }
                if !self.overrides().contains("--custom-resource-state-config") =>
            {
                LayersError::Settings(error)
            }
            error => LayersError::Config(self.blame(error)),
        })?;
        if !self.unknown.is_empty() {
            let keys = self.unknown.iter().map(|name| with_hint(name)).collect();
            warnings.push(Warning::UnknownKeys { file: self.file.clone(), keys });
        }
        Ok((settings, warnings))
    }

    /// The file that it was read from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The flags that it overrides.
    pub fn overrides(&self) -> BTreeSet<&'static str> {
        self.values.iter().map(|entry| entry.key.flag).collect()
    }

    /// Where the settings go wrong that this file is a part of: at the first key whose flag the error names.
    fn blame(&self, error: &SettingsError) -> ConfigError {
        let text = error.to_string();
        // A flag may be the beginning of another.
        let names = |flag: &str| {
            text.match_indices(flag).any(|(at, _)| {
                !text[at + flag.len()..].starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-')
            })
        };
        match self.values.iter().find(|entry| names(entry.key.flag)) {
            Some(Entry { key, line, .. }) => {
                let reason = text.strip_prefix(key.flag).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&text);
                wrong(&self.file, Some(*line), Some(key.name), reason.to_owned())
            }
            None => wrong(&self.file, None, None, text),
        }
    }
}

fn wrong(file: &Path, line: Option<u64>, key: Option<&str>, reason: String) -> ConfigError {
    let place = FileError { file: file.to_owned(), line, key: key.map(str::to_owned), reason };
    ConfigError { place, is_missing: false }
}

/// A name that is no key, and one that it may be meant to be: flags have other names than their keys.
fn with_hint(name: &str) -> String {
    let as_flag = format!("--{}", name.replace('_', "-"));
    let likeness = |key: &Key| strsim::jaro_winkler(name, key.name).max(strsim::jaro_winkler(&as_flag, key.flag));
    let best = KEYS.iter().map(|key| (likeness(key), key.name)).max_by(|a, b| a.0.total_cmp(&b.0));
    match best.filter(|(likeness, _)| *likeness > 0.9) {
        Some((_, key)) => format!("{name} (did you mean {key}?)"),
        None => name.to_owned(),
    }
}

/// Key, line and value of each entry.
#[derive(Default)]
struct Entries(Vec<(String, u64, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("keys with values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    entries.push((key.value, key.referenced.line(), map.next_value()?));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

#[cfg(test)]
mod tests;

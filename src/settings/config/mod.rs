//! `--config FILE`: values with kube-state-metrics' keys that override flags.
//!
//! As in kube-state-metrics, an unknown key is only reported, a value of the wrong type is an error, and a key without a value is
//! ignored.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::flags::{FLAGS, Flag};
use super::yaml::{self, FileError, Problem};
use super::{ConfigError, Flags, Warning};
use crate::file;

/// How many characters of an unknown key are shown.
const SHOWN: usize = 64;

/// A config file that was read.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    file: PathBuf,
    values: Vec<Entry>,
    /// Unknown keys with their lines.
    unknown: Vec<(String, u64)>,
}

/// A key with a value.
#[derive(Clone)]
struct Entry {
    key: &'static str,
    flag: &'static Flag,
    line: u64,
    value: Value,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.value)
    }
}

/// All config keys with their flags.
fn keys() -> impl Iterator<Item = (&'static str, &'static Flag)> {
    FLAGS.iter().flat_map(|flag| flag.keys.iter().map(move |key| (*key, flag)))
}

impl ConfigFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, is not YAML, or a value has the wrong type.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = file::read_text(path, file::CONFIG_BYTES).map_err(|error| ConfigError {
            is_missing: error.is_missing(),
            ..ConfigError::new(path, None, None, error.to_string())
        })?;
        Self::parse(path, &text)
    }

    /// Parses `text` as the content of `file`.
    ///
    /// # Errors
    /// The text is not YAML, or a value has the wrong type.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let Entries(entries) = yaml::from_str::<Option<Entries>>(text)
            .map_err(|Problem { line, key, reason }| ConfigError::new(file, line, key.as_deref(), reason))?
            .unwrap_or_default();
        let mut read = Self { file: file.to_owned(), values: Vec::new(), unknown: Vec::new() };
        for (name, line, value) in entries {
            let Some((key, flag)) = keys().find(|(key, _)| *key == name) else {
                read.unknown.push((name, line));
                continue;
            };
            if value.is_null() {
                continue;
            }
            (flag.set)(&mut Flags::default(), &value)
                .map_err(|expected| ConfigError::new(file, Some(line), Some(key), format!("expected {expected}")))?;
            read.values.push(Entry { key, flag, line, value });
        }
        Ok(read)
    }

    /// Returns `flags` with the values of this file in place of theirs.
    pub fn over(&self, flags: &Flags) -> Flags {
        let mut flags = flags.clone();
        for Entry { flag, value, .. } in &self.values {
            // `parse` has already tried this value.
            let _ = (flag.set)(&mut flags, value);
        }
        flags
    }

    /// The path of the file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The flags that the file overrides.
    pub fn overrides(&self) -> BTreeSet<&'static str> {
        self.values.iter().map(|entry| entry.flag.name).collect()
    }

    /// Warnings about the unknown keys of the file, each with the key that may be meant.
    pub(super) fn add_warnings(&self, warnings: &mut Vec<Warning>) {
        let warning = |(name, line): &(String, u64)| {
            let key = name.chars().take(SHOWN).flat_map(char::escape_debug).collect();
            let reason = format!("unknown key, ignored{}", hint(name));
            Warning::UnknownKey(FileError { file: self.file.clone(), line: Some(*line), key: Some(key), reason })
        };
        Warning::add_unknown_keys(warnings, &self.file.display().to_string(), self.unknown.iter().map(warning));
    }

    /// Turns `error`, the text of an error about the flags with this file over them, into one about the file: at the first
    /// key whose flag the text names.
    pub fn blame(&self, error: &str) -> ConfigError {
        // A flag may be the beginning of another.
        let names = |flag: &str| {
            error.match_indices(flag).any(|(at, _)| {
                !error[at + flag.len()..].starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-')
            })
        };
        match self.values.iter().find(|entry| names(entry.flag.name)) {
            Some(Entry { key, flag, line, .. }) => {
                let reason = error.strip_prefix(flag.name).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(error);
                ConfigError::new(&self.file, Some(*line), Some(key), reason.to_owned())
            }
            None => ConfigError::new(&self.file, None, None, error.to_owned()),
        }
    }
}

/// The known key that the unknown key `name` may be meant to be, if there is one: flags have other names than their keys.
fn hint(name: &str) -> String {
    if name.len() > SHOWN {
        return String::new();
    }
    let as_flag = format!("--{}", name.replace('_', "-"));
    let likeness =
        |key: &str, flag: &Flag| strsim::jaro_winkler(name, key).max(strsim::jaro_winkler(&as_flag, flag.name));
    let best = keys().map(|(key, flag)| (likeness(key, flag), key)).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness > 0.9).map_or_else(String::new, |(_, key)| format!("; did you mean {key}?"))
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

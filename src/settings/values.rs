//! The types of flags: the syntax of their values on the command line and in the config file, and the settings made of them.
//!
//! The config file accepts the forms that kube-state-metrics reads. There, lists of resources and families are maps whose
//! values are empty (`resources: {pods: {}}`), and lists of namespaces are lists. Here each may be either, or text with commas.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{EnumValueParser, StringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use jiff::SignedDuration;
use serde_json::Value;

use super::SettingsError;
use super::fleet::OnLostQuorum;
use super::log::LogFormat;
use crate::go::parse_bool;

/// The type of a field of [`super::Flags`], which also says whether the flag was given.
pub(super) trait Given: Sized {
    /// Completes the definition of the flag.
    fn arg(arg: Arg) -> Arg;

    /// Takes the value from the command line, if it contains the flag.
    fn update(&mut self, matches: &ArgMatches, id: &str);

    /// Reads the value of a config key.
    ///
    /// # Errors
    /// The value has another type. The error names the expected one.
    fn from_config(value: &Value) -> Result<Self, String>;
}

/// A single value. If the flag is repeated, the last one counts.
pub(super) trait Scalar: Clone + Send + Sync + Sized + 'static {
    /// As [`Given::arg`].
    fn arg(arg: Arg) -> Arg;

    /// As [`Given::from_config`].
    ///
    /// # Errors
    /// As there.
    fn from_config(value: &Value) -> Result<Self, String>;
}

impl<T: Scalar> Given for Option<T> {
    fn arg(arg: Arg) -> Arg {
        T::arg(arg.action(ArgAction::Set))
    }

    fn update(&mut self, matches: &ArgMatches, id: &str) {
        if let Some(value) = matches.get_one::<T>(id) {
            *self = Some(value.clone());
        }
    }

    fn from_config(value: &Value) -> Result<Self, String> {
        T::from_config(value).map(Some)
    }
}

/// A comma-separated list. If the flag is repeated, the lists add up.
impl Given for Vec<String> {
    fn arg(arg: Arg) -> Arg {
        arg.action(ArgAction::Append).value_parser(value_parser!(String))
    }

    fn update(&mut self, matches: &ArgMatches, id: &str) {
        if let Some(values) = matches.get_many::<String>(id) {
            *self = values.cloned().collect();
        }
    }

    fn from_config(value: &Value) -> Result<Self, String> {
        list(value).ok_or_else(|| "a list of names, or a map of them as in {pods: {}, nodes: {}}".to_owned())
    }
}

/// A boolean as Go's flags write it: `--flag`, `--flag=false`, and the other spellings of `strconv.ParseBool`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoBool(pub bool);

impl GoBool {
    /// Completes the definition of a boolean flag.
    pub fn flag(arg: Arg) -> Arg {
        arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_parser(value_parser!(Self))
    }
}

impl FromStr for GoBool {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_bool(text).map(Self)
    }
}

impl Scalar for GoBool {
    fn arg(arg: Arg) -> Arg {
        Self::flag(arg)
    }

    /// kube-state-metrics reads YAML 1.1, which has more words for booleans than true and false.
    fn from_config(value: &Value) -> Result<Self, String> {
        let word = match value {
            Value::Bool(is) => return Ok(Self(*is)),
            other => scalar(other).unwrap_or_default().to_lowercase(),
        };
        match word.as_str() {
            "y" | "yes" | "on" | "true" => Ok(Self(true)),
            "n" | "no" | "off" | "false" => Ok(Self(false)),
            _ => Err("true or false".to_owned()),
        }
    }
}

/// Whether a boolean flag is given as true.
pub fn is_true(given: Option<GoBool>) -> bool {
    given == Some(GoBool(true))
}

/// A duration as Go writes it: `1m30s`. It is parsed by `duration`, which knows its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoDuration(pub String);

impl Scalar for GoDuration {
    fn arg(arg: Arg) -> Arg {
        arg.value_parser(StringValueParser::new().map(Self))
    }

    /// Also accepts an integer as nanoseconds, as Go does.
    fn from_config(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(Self(text.clone())),
            Value::Number(number) if number.is_u64() => Ok(Self(format!("{number}ns"))),
            _ => Err("a duration such as 30s or 1m30s".to_owned()),
        }
    }
}

/// Lists of keys by resource: `pods=[app,team],nodes=[*]`. They are parsed by `keys::by_resource`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLists(pub String);

impl Scalar for KeyLists {
    fn arg(arg: Arg) -> Arg {
        arg.value_parser(StringValueParser::new().map(Self))
    }

    /// A map from resources to lists of keys, or text in the form of the flag.
    fn from_config(value: &Value) -> Result<Self, String> {
        const EXPECTED: &str = "a list of keys for each resource, as in {pods: [app, team]}";
        let Value::Object(map) = value else {
            return value.as_str().map(|text| Self(text.to_owned())).ok_or_else(|| EXPECTED.to_owned());
        };
        let mut lists = Vec::new();
        for (resource, keys) in map {
            let keys = match keys {
                Value::Null => Vec::new(),
                keys => list(keys).ok_or_else(|| format!("a list of keys for {resource:?}"))?,
            };
            if let Some(key) = keys.iter().chain([resource]).find(|name| name.contains(['[', ']', ',', '='])) {
                return Err(format!("keys without brackets, commas and equals signs, found {key:?}"));
            }
            lists.push(format!("{resource}=[{}]", keys.join(",")));
        }
        Ok(Self(lists.join(",")))
    }
}

/// Selectors by resource. They are parsed by `selection::selections`. If the flag is repeated, they add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectorLists(pub Vec<SelectorEntry>);

/// Selectors as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectorEntry {
    /// Of one or several resources: `pods=app!=ci,secrets=type=x`.
    Text(String),
    /// Of one resource, in a map of the config file.
    Of {
        /// The resource.
        resource: String,
        /// Its selector.
        selector: String,
    },
}

impl Given for SelectorLists {
    fn arg(arg: Arg) -> Arg {
        arg.action(ArgAction::Append).value_parser(value_parser!(String))
    }

    fn update(&mut self, matches: &ArgMatches, id: &str) {
        if let Some(values) = matches.get_many::<String>(id) {
            self.0 = values.cloned().map(SelectorEntry::Text).collect();
        }
    }

    /// A map from resources to selectors, a list of texts in the form of the flag, or one such text.
    fn from_config(value: &Value) -> Result<Self, String> {
        let text = |value: &Value| value.as_str().map(|text| SelectorEntry::Text(text.to_owned()));
        let entries = match value {
            Value::Object(map) => map
                .iter()
                .map(|(resource, value)| {
                    let selector = value.as_str()?.to_owned();
                    Some(SelectorEntry::Of { resource: resource.clone(), selector })
                })
                .collect(),
            Value::Array(items) => items.iter().map(text).collect(),
            other => text(other).map(|entry| vec![entry]),
        };
        entries.map(Self).ok_or_else(|| "a selector for each resource, as in {pods: \"app!=ci\"}".to_owned())
    }
}

impl Scalar for String {
    fn arg(arg: Arg) -> Arg {
        arg.value_parser(value_parser!(Self))
    }

    fn from_config(value: &Value) -> Result<Self, String> {
        scalar(value).ok_or_else(|| "text".to_owned())
    }
}

impl Scalar for PathBuf {
    fn arg(arg: Arg) -> Arg {
        arg.value_parser(value_parser!(Self))
    }

    fn from_config(value: &Value) -> Result<Self, String> {
        String::from_config(value).map(Self::from)
    }
}

impl Scalar for f64 {
    fn arg(arg: Arg) -> Arg {
        arg.value_parser(value_parser!(Self))
    }

    fn from_config(value: &Value) -> Result<Self, String> {
        value.as_f64().ok_or_else(|| "a number".to_owned())
    }
}

impl Scalar for LogFormat {
    fn arg(arg: Arg) -> Arg {
        arg.value_parser(EnumValueParser::<Self>::new())
    }

    fn from_config(value: &Value) -> Result<Self, String> {
        let format = value.as_str().and_then(|text| <Self as clap::ValueEnum>::from_str(text, false).ok());
        format.ok_or_else(|| "text or json".to_owned())
    }
}

impl Scalar for OnLostQuorum {
    fn arg(arg: Arg) -> Arg {
        arg.value_parser(EnumValueParser::<Self>::new())
    }

    fn from_config(value: &Value) -> Result<Self, String> {
        let choice = value.as_str().and_then(|text| <Self as clap::ValueEnum>::from_str(text, false).ok());
        choice.ok_or_else(|| "serve or refuse".to_owned())
    }
}

macro_rules! whole_numbers {
    ($($number:ty)*) => {
        $(impl Scalar for $number {
            fn arg(arg: Arg) -> Arg {
                arg.value_parser(value_parser!($number))
            }

            fn from_config(value: &Value) -> Result<Self, String> {
                let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
                let number = number.and_then(|number| Self::try_from(number).ok());
                number.ok_or_else(|| format!("a whole number from 0 to {}", Self::MAX))
            }
        })*
    };
}

whole_numbers!(u16 u32 u64);

/// Text, or what YAML reads as another type although text was meant: `node: 7`.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Names: a map of them, a list, or text with commas.
fn list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Object(map) => map.iter().all(|(_, value)| is_empty(value)).then(|| map.keys().cloned().collect()),
        Value::Array(items) => items.iter().map(scalar).collect(),
        other => Some(scalar(other)?.split(',').map(str::to_owned).collect()),
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// The setting of a boolean flag.
pub(super) fn switch(default: bool) -> impl Fn(&'static str, &Option<GoBool>) -> Result<bool, SettingsError> {
    move |_, given| Ok(given.map_or(default, |GoBool(is_on)| is_on))
}

/// The setting of a flag whose every value is valid.
pub(super) fn value_or<T: Copy>(default: T) -> impl Fn(&'static str, &Option<T>) -> Result<T, SettingsError> {
    move |_, given| Ok(given.unwrap_or(default))
}

/// The setting of a flag that names a file. The empty path counts as not given.
pub(super) fn path(_: &'static str, given: &Option<PathBuf>) -> Result<Option<PathBuf>, SettingsError> {
    Ok(non_empty(given).map(Path::to_owned))
}

/// The setting of a duration: from 0s to `maximum`.
pub(super) fn duration(
    default: Duration,
    maximum: Duration,
) -> impl Fn(&'static str, &Option<GoDuration>) -> Result<Duration, SettingsError> {
    move |flag, given| match given.as_ref().map(|given| given.0.trim()).filter(|text| !text.is_empty()) {
        None => Ok(default),
        Some("0") => Ok(Duration::ZERO),
        Some(text) => {
            let error = || SettingsError::Duration { flag, value: text.to_owned(), maximum };
            let duration: SignedDuration = text.parse().map_err(|_| error())?;
            Duration::try_from(duration).ok().filter(|duration| *duration <= maximum).ok_or_else(error)
        }
    }
}

/// A path that was given, unless it is empty.
pub(super) fn non_empty(path: &Option<PathBuf>) -> Option<&Path> {
    path.as_deref().filter(|path| !path.as_os_str().is_empty())
}

/// The items of comma-separated lists in their order, trimmed, without empty and repeated ones.
pub(super) fn items<'a>(lists: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    lists
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|item| !item.is_empty() && seen.insert(*item))
        .map(str::to_owned)
        .collect()
}

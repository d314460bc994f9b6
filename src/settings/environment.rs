//! The environment: a few fixed variables and no others, because Services inject arbitrary ones.

use std::net::IpAddr;

use serde::Deserialize;

use super::SettingsError;

/// The raw values of the variables. An empty value counts as absent.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Environment {
    shard: Option<String>,
    total_shards: Option<String>,
    shard_count: Option<String>,
    pod_name: Option<String>,
    pod_namespace: Option<String>,
    pod_ip: Option<String>,
}

impl Environment {
    /// Returns the environment of this process. Values that are not Unicode count as absent.
    pub fn of_process() -> Self {
        Self::from_variables(
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
        )
    }

    /// Returns an environment with these variables.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        // Every field is an optional string, so every value fits.
        envy::from_iter(variables).unwrap_or_default()
    }

    /// `SHARD`.
    pub(super) fn shard(&self) -> Result<Option<(&'static str, u32)>, SettingsError> {
        number("SHARD", self.shard.as_deref())
    }

    /// `TOTAL_SHARDS`, else `SHARD_COUNT`.
    pub(super) fn total(&self) -> Result<Option<(&'static str, u32)>, SettingsError> {
        match number("TOTAL_SHARDS", self.total_shards.as_deref())? {
            None => number("SHARD_COUNT", self.shard_count.as_deref()),
            total => Ok(total),
        }
    }

    /// `POD_NAME`.
    pub(super) fn pod_name(&self) -> Option<&str> {
        self.pod_name.as_deref().filter(|name| !name.is_empty())
    }

    /// `POD_NAMESPACE`.
    pub(super) fn pod_namespace(&self) -> Option<&str> {
        self.pod_namespace.as_deref().filter(|name| !name.is_empty())
    }

    /// `POD_IP`.
    pub(super) fn pod_ip(&self) -> Result<Option<IpAddr>, SettingsError> {
        match self.pod_ip.as_deref().map(str::trim) {
            None | Some("") => Ok(None),
            Some(value) => match value.parse() {
                Ok(address) => Ok(Some(address)),
                Err(_) => Err(SettingsError::NotAnAddress { variable: "POD_IP", value: value.to_owned() }),
            },
        }
    }
}

fn number(variable: &'static str, value: Option<&str>) -> Result<Option<(&'static str, u32)>, SettingsError> {
    match value.map(str::trim) {
        None | Some("") => Ok(None),
        Some(value) => match value.parse() {
            Ok(number) => Ok(Some((variable, number))),
            Err(_) => Err(SettingsError::NotANumber { variable, value: value.to_owned() }),
        },
    }
}

//! Addresses: what the servers listen on, and where the API server is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::SettingsError;

/// An address to listen on. Port 0 takes a free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// IP address; `::` for all addresses of both families.
    pub host: IpAddr,
    /// Port.
    pub port: u16,
}

impl Listen {
    /// `host` is the value of `flag`. If it is missing or empty, it means all addresses, as in kube-state-metrics.
    pub(super) fn new(flag: &'static str, host: Option<&str>, port: u16) -> Result<Self, SettingsError> {
        let value = host.unwrap_or_default();
        let host = match value.strip_prefix('[').and_then(|v| v.strip_suffix(']')).unwrap_or(value) {
            "" => Ipv6Addr::UNSPECIFIED.into(),
            "localhost" => Ipv4Addr::LOCALHOST.into(),
            address => address.parse().map_err(|_| SettingsError::Host { flag, value: value.to_owned() })?,
        };
        Ok(Self { host, port })
    }
}

/// The URL of the API server. As in client-go, a URL without a scheme is `http`.
pub(super) fn apiserver(_: &'static str, given: &Option<String>) -> Result<Option<String>, SettingsError> {
    let Some(value) = given.as_deref().filter(|v| !v.is_empty()) else { return Ok(None) };
    let error = |reason: String| SettingsError::Apiserver { value: value.to_owned(), reason };
    let url = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let parsed: http::Uri = url.parse().map_err(|e: http::uri::InvalidUri| error(e.to_string()))?;
    match parsed.scheme_str() {
        _ if parsed.authority().is_some_and(|authority| authority.as_str().contains('@')) => {
            Err(SettingsError::ApiserverCredentials)
        }
        Some("http" | "https") => Ok(Some(url)),
        _ => Err(error("the scheme must be http or https".to_owned())),
    }
}

//! The format of the file: that of the Prometheus exporter toolkit, which is as strict.
//!
//! <https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::error::Problem;
use crate::settings::yaml::{self, FileError, or_default};
use crate::token_bucket::Limit;

/// A text and the line that it is on.
pub(super) type Text = Spanned<String>;

/// The file before its values are checked. An empty value counts as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    #[serde(default, deserialize_with = "or_default")]
    tls_server_config: TlsServerConfig,
    #[serde(default, deserialize_with = "or_default")]
    http_server_config: HttpServerConfig,
    #[serde(default, deserialize_with = "or_default")]
    basic_auth_users: BTreeMap<String, Text>,
    #[serde(default, deserialize_with = "or_default")]
    rate_limit: RateLimit,
}

/// `tls_server_config`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsServerConfig {
    pub cert: Option<Text>,
    pub key: Option<Text>,
    pub client_ca: Option<Text>,
    pub cert_file: Option<Text>,
    pub key_file: Option<Text>,
    pub client_ca_file: Option<Text>,
    pub client_auth_type: Option<Text>,
    pub client_allowed_sans: Option<Spanned<Vec<String>>>,
    pub min_version: Option<Text>,
    pub max_version: Option<Text>,
    #[serde(default, deserialize_with = "or_default")]
    pub cipher_suites: Vec<Text>,
    pub prefer_server_cipher_suites: Option<bool>,
    #[serde(default, deserialize_with = "or_default")]
    pub curve_preferences: Vec<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpServerConfig {
    http2: Option<bool>,
    #[serde(default, deserialize_with = "or_default")]
    headers: BTreeMap<String, Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateLimit {
    interval: Option<Spanned<Interval>>,
    burst: Option<Spanned<i64>>,
}

/// The forms of a Go duration that yaml.v2 accepts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Interval {
    Nanoseconds(i64),
    Text(String),
}

/// The file with checked values. Only certificates and keys are still unchecked.
#[derive(Debug)]
pub(super) struct ParsedConfig {
    pub tls: TlsServerConfig,
    pub http2: bool,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Password hashes by user.
    pub users: BTreeMap<String, String>,
    pub limit: Option<Limit>,
}

/// The headers that may be set, each with its allowed values; an empty list allows any value.
const HEADERS: &[(&str, &[&str])] = &[
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

impl TlsServerConfig {
    /// Whether TLS is enabled. Any of these keys enables it, as in the exporter toolkit.
    pub fn is_on(&self) -> bool {
        let given = [
            &self.cert,
            &self.key,
            &self.cert_file,
            &self.key_file,
            &self.client_ca,
            &self.client_ca_file,
            &self.client_auth_type,
        ];
        given.into_iter().any(|text| non_empty(text).is_some())
    }

    /// Returns the paths of the files that it names. Relative paths start at the directory of `file`.
    pub fn files(&self, file: &Path) -> impl Iterator<Item = PathBuf> {
        let named = [&self.cert_file, &self.key_file, &self.client_ca_file];
        named.into_iter().filter_map(non_empty).map(move |text| resolve(file, &text.value))
    }
}

pub(super) fn non_empty(text: &Option<Text>) -> Option<&Text> {
    text.as_ref().filter(|text| !text.value.is_empty())
}

/// Resolves a path given in `file`, relative to the directory of that file.
pub(super) fn resolve(file: &Path, path: &str) -> PathBuf {
    file.parent().map_or_else(|| PathBuf::from(path), |folder| folder.join(path))
}

impl ParsedConfig {
    /// Parses and checks `text`, the content of `file`.
    pub fn parse(file: &Path, text: &str) -> Result<Self, FileError> {
        let read: Option<ConfigFile> = yaml::from_str(text).map_err(|problem| problem.in_file(file))?;
        let ConfigFile { tls_server_config, http_server_config, basic_auth_users, rate_limit } =
            read.unwrap_or_default();
        let error = |line: u64, key: &str, problem: Problem| FileError {
            file: file.to_owned(),
            line: Some(line),
            key: Some(key.to_owned()),
            reason: problem.to_string(),
        };
        let mut headers = Vec::new();
        for (name, value) in http_server_config.headers {
            let refuse = |problem| error(value.referenced.line(), &format!("headers.{name}"), problem);
            let Some((known, allowed)) = HEADERS.iter().find(|(known, _)| *known == name) else {
                let names: Vec<_> = HEADERS.iter().map(|(name, _)| *name).collect();
                return Err(refuse(Problem::Header(names.join(", "))));
            };
            if value.value.is_empty() {
                continue;
            }
            if !allowed.is_empty() && !allowed.contains(&&*value.value) {
                return Err(refuse(Problem::HeaderValue { value: value.value.clone(), allowed: allowed.join(", ") }));
            }
            let header = HeaderName::from_bytes(known.as_bytes()).map_err(|_| refuse(Problem::HeaderBytes))?;
            headers.push((header, HeaderValue::from_str(&value.value).map_err(|_| refuse(Problem::HeaderBytes))?));
        }
        let mut users = BTreeMap::new();
        for (user, hash) in basic_auth_users {
            check_bcrypt(&hash.value)
                .map_err(|problem| error(hash.referenced.line(), &format!("basic_auth_users.{user}"), problem))?;
            users.insert(user, hash.value);
        }
        Ok(Self {
            tls: tls_server_config,
            http2: http_server_config.http2.unwrap_or(true),
            headers,
            users,
            limit: limit(rate_limit, error)?,
        })
    }
}

/// The highest cost of a password hash. A check takes seconds with it, and twice as long with each more.
const MAX_BCRYPT_COST: u32 = 16;

fn check_bcrypt(hash: &str) -> Result<(), Problem> {
    match hash.parse::<bcrypt::HashParts>().map(|parts| parts.get_cost()) {
        Ok(4..=MAX_BCRYPT_COST) => Ok(()),
        Ok(cost @ 4..=31) => Err(Problem::BcryptCost(cost, MAX_BCRYPT_COST)),
        _ => Err(Problem::NotBcrypt),
    }
}

fn limit(
    RateLimit { interval, burst }: RateLimit,
    error: impl Fn(u64, &str, Problem) -> FileError,
) -> Result<Option<Limit>, FileError> {
    let burst = match burst {
        None => 0,
        Some(burst) => u32::try_from(burst.value)
            .map_err(|_| error(burst.referenced.line(), "rate_limit.burst", Problem::Burst(burst.value)))?,
    };
    let Some(given) = interval else { return Ok(None) };
    let interval = match &given.value {
        Interval::Nanoseconds(nanoseconds) => u64::try_from(*nanoseconds).ok().map(Duration::from_nanos),
        Interval::Text(text) if text == "0" => Some(Duration::ZERO),
        Interval::Text(text) => text.parse::<SignedDuration>().ok().and_then(|time| time.try_into().ok()),
    };
    let interval = interval.ok_or_else(|| error(given.referenced.line(), "rate_limit.interval", Problem::Interval))?;
    Ok(Some(Limit { interval, burst }).filter(|limit| !limit.interval.is_zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ParsedConfig, String> {
        ParsedConfig::parse(Path::new("/etc/web.yml"), text).map_err(|error| error.to_string())
    }

    const HASH: &str = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";

    #[test]
    fn an_empty_file_enables_nothing() {
        for text in
            ["", "# nothing\n", "tls_server_config:\nbasic_auth_users:\nhttp_server_config:\nrate_limit:\n", "{}"]
        {
            let config = read(text).expect("valid");
            assert!(!config.tls.is_on() && config.http2 && config.users.is_empty() && config.limit.is_none(), "{text}");
        }
        assert!(!read("tls_server_config: {min_version: TLS13}").expect("valid").tls.is_on());
        assert!(read("tls_server_config: {client_auth_type: NoClientCert}").expect("valid").tls.is_on());
    }

    #[test]
    fn headers_users_and_limits_are_parsed() {
        let text = format!(
            "http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n    X-XSS-Protection: \"\"\n\
             \nbasic_auth_users:\n  ann: {HASH}\nrate_limit:\n  interval: 1m30s\n  burst: 7\n"
        );
        let config = read(&text).expect("valid");
        assert!(!config.http2);
        assert_eq!(config.headers, [("x-frame-options".parse().expect("a name"), HeaderValue::from_static("deny"))]);
        assert_eq!(config.users["ann"], HASH);
        assert_eq!(config.limit, Some(Limit { interval: Duration::from_secs(90), burst: 7 }));
        let of = |text: &str| read(text).expect("valid").limit;
        assert_eq!(
            of("rate_limit: {interval: 1000000, burst: 1}"),
            Some(Limit { interval: Duration::from_millis(1), burst: 1 })
        );
        assert_eq!(of("rate_limit: {interval: 0s, burst: 1}"), None);
        assert_eq!(of("rate_limit: {interval: 0, burst: 1}"), None);
        assert_eq!(of("rate_limit: {burst: 1}"), None);
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config =
            read("tls_server_config: {cert_file: a.pem, key_file: /b.pem, client_ca_file: ../c.pem}").expect("valid");
        let files: Vec<_> = config.tls.files(Path::new("/etc/web.yml")).collect();
        assert_eq!(files, ["/etc/a.pem", "/b.pem", "/etc/../c.pem"].map(PathBuf::from));
        assert_eq!(resolve(Path::new("web.yml"), "a.pem"), PathBuf::from("a.pem"));
    }

    #[test]
    fn errors_name_file_line_and_key_and_never_show_a_secret() {
        for (text, says) in [
            (
                "tls_server_config:\n  cert_fil: a\n",
                "/etc/web.yml:2: cert_fil: unknown key; expected one of: cert, key",
            ),
            ("tls_config: {}\n", "/etc/web.yml:1: tls_config: unknown key; expected one of: tls_server_config"),
            ("http_server_config:\n\n  http2: maybe\n", "/etc/web.yml:3: http2: "),
            (
                "http_server_config:\n  headers:\n    X-Other: a\n",
                "/etc/web.yml:3: headers.X-Other: this header cannot be set",
            ),
            (
                "http_server_config:\n  headers:\n    X-Frame-Options: allow\n",
                "/etc/web.yml:3: headers.X-Frame-Options: \"allow\" is not allowed; use one of: deny, sameorigin",
            ),
            ("basic_auth_users:\n  ann: secret\n", "/etc/web.yml:2: basic_auth_users.ann: not a bcrypt hash"),
            ("basic_auth_users:\n  ann: $2y$99$secret\n", "/etc/web.yml:2: basic_auth_users.ann: not a bcrypt hash"),
            (
                "basic_auth_users:\n  ann: $2y$31$WcBuwrXwDmoM2AjiRCbq9.5P9XXh0h1lm4QGC1tzJ7y3Vh4v3N3fe\n",
                "/etc/web.yml:2: basic_auth_users.ann: the hash has cost 31",
            ),
            ("basic_auth_users:\n  - secret\n", "/etc/web.yml:2: "),
            ("rate_limit:\n  interval: secret\n", "/etc/web.yml:2: rate_limit.interval: not a duration"),
            ("rate_limit:\n  interval: -1s\n", "/etc/web.yml:2: rate_limit.interval: "),
            ("rate_limit:\n  burst: -1\n", "/etc/web.yml:2: rate_limit.burst: "),
            ("a: b: secret", "/etc/web.yml:1: "),
            (
                "http_server_config: {http2: true}\nhttp_server_config: {http2: false}\n",
                "/etc/web.yml:2: http_server_config: ",
            ),
        ] {
            let error = read(text).expect_err("not valid");
            assert!(error.contains(says), "{text:?}: {error}");
            assert!(!error.contains("secret") && !error.contains('\n'), "{text:?}: {error}");
        }
    }
}

//! The web configuration of `--tls-config`, for both ports: TLS, headers, users with passwords, and a rate limit.
//!
//! `config` is the format of the file. `tls` builds the configurations of rustls from it, with Go's names from `go_names` and the
//! verifiers of `certificates`. `users` checks passwords, and a token bucket the rate of requests. The files are read again every 2 s. Changes that
//! stayed the same for two reads apply to new connections and requests. If new files are not valid, or would drop authentication
//! or TLS, the old configuration stays, and the log says why.

mod certificates;
mod config;
mod error;
mod go_names;
mod tls;
mod users;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::header::HeaderValue;
use http::{HeaderMap, HeaderName, StatusCode};
use ring::digest::{SHA256, digest};
use tokio::time::sleep;
use tokio_rustls::rustls::{ClientConfig, ServerConfig};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use zeroize::Zeroizing;

use crate::file::{self, CONFIG_BYTES, ReadError};
use crate::settings::Settings;
use crate::settings::yaml::FileError;
use crate::sync::lock;
use crate::token_bucket::{Limit, TokenBucket};
use config::ParsedConfig;
use error::Problem;
use tls::{Files, TlsConfigs};
use users::{PasswordChecker, Users};

/// How often the files are read again.
const RELOAD_PERIOD: Duration = Duration::from_secs(2);

/// The web configuration, which changes when its files change.
#[derive(Debug)]
pub struct WebConfig {
    file: PathBuf,
    /// Whether `--auth-filter` is set, which excludes users with passwords.
    auth_filter: bool,
    loaded: ArcSwap<LoadedConfig>,
    /// What the files were at the last look: their digest, or why they cannot be read.
    seen: Mutex<Option<Result<Vec<u8>, FileError>>>,
    passwords: PasswordChecker,
}

/// The content of the files that were loaded last.
#[derive(Debug)]
struct LoadedConfig {
    /// The digest of all files.
    digest: Vec<u8>,
    tls: Option<TlsConfigs>,
    headers: Vec<(HeaderName, HeaderValue)>,
    users: Users,
    limit: Option<Limit>,
}

/// What a look at the files found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reload {
    /// What is loaded.
    Unchanged,
    /// A change that was seen once.
    Unsettled,
    /// A change, now loaded.
    Changed,
}

/// The content of the files, before it is checked.
struct FileContents {
    config: ParsedConfig,
    files: Files,
    digest: Vec<u8>,
}

impl FileContents {
    /// Reads the file and the files that it names. An error in one of the latter matters only if that file is needed.
    async fn read(file: &Path) -> Result<Self, FileError> {
        let bytes = read(file).await.map_err(|e| file_error(file, None, e.into()))?;
        let text = String::from_utf8(bytes).map_err(|_| file_error(file, None, Problem::NotUtf8))?;
        let text = Zeroizing::new(text);
        let config = ParsedConfig::parse(file, &text)?;
        let mut files = Files::new();
        for name in config.tls.files(file).chain(tls::ca_path(file, &config.tls)) {
            let bytes = read(&name).await;
            files.insert(name, bytes);
        }
        let mut all = Zeroizing::new(text.as_bytes().to_vec());
        for (name, bytes) in &files {
            all.extend_from_slice(name.as_os_str().as_encoded_bytes());
            all.extend_from_slice(bytes.as_deref().unwrap_or_default());
        }
        let digest = digest(&SHA256, &all).as_ref().to_vec();
        Ok(Self { config, files, digest })
    }

    /// Checks the content and builds the configuration from it. `previous` is the configuration that it replaces.
    fn build(self, file: &Path, auth_filter: bool, previous: Option<&LoadedConfig>) -> Result<LoadedConfig, FileError> {
        let Self { config: ParsedConfig { tls, http2, headers, users, limit }, files, digest } = self;
        if auth_filter && !users.is_empty() {
            return Err(file_error(file, Some("basic_auth_users"), Problem::UsersAndAuthFilter));
        }
        let tls = match tls.is_on() {
            false => None,
            true => Some(TlsConfigs::new(file, &tls, &files, http2)?),
        };
        if previous.is_some_and(|previous| previous.tls.is_some() != tls.is_some()) {
            return Err(file_error(file, Some("tls_server_config"), Problem::TlsToggled));
        }
        if let Some(previous) = previous {
            // A file that is cut off must not open the ports.
            if users.is_empty() && !previous.users.is_empty() {
                return Err(file_error(file, Some("basic_auth_users"), Problem::UsersLost));
            }
            let check = |tls: &Option<TlsConfigs>| tls.as_ref().map_or((0, false), |tls| tls.client_check);
            let ((strictness, names), before) = (check(&tls), check(&previous.tls));
            if strictness < before.0 || (before.1 && !names) {
                return Err(file_error(file, Some("client_auth_type"), Problem::ClientAuthLost));
            }
        }
        Ok(LoadedConfig { digest, tls, headers, users: Users::new(users), limit })
    }
}

fn file_error(file: &Path, key: Option<&str>, problem: Problem) -> FileError {
    FileError { file: file.to_owned(), line: None, key: key.map(str::to_owned), reason: problem.to_string() }
}

/// NB: on another thread, since a file system may be slow.
async fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || file::read(&path, CONFIG_BYTES)).await;
    // It does not panic, and ends before the runtime.
    read.unwrap_or_else(|ended| Err(io::Error::other(ended).into()))
}

impl WebConfig {
    /// Loads the file of `--tls-config`; `None` if the flag is not set.
    ///
    /// # Errors
    /// Those of [`WebConfig::load`].
    pub async fn of(settings: &Settings) -> Result<Option<Arc<Self>>, FileError> {
        match &settings.fixed.tls_config {
            Some(file) => Self::load(file, settings.fixed.auth_filter).await.map(Some),
            None => Ok(None),
        }
    }

    /// Loads `file`. `auth_filter` says whether `--auth-filter` is set, too.
    ///
    /// # Errors
    /// The file cannot be read, is malformed, or has unsupported or contradictory values.
    pub async fn load(file: &Path, auth_filter: bool) -> Result<Arc<Self>, FileError> {
        let loaded = FileContents::read(file).await?.build(file, auth_filter, None)?;
        let loaded = ArcSwap::from_pointee(loaded);
        let (seen, passwords) = (Mutex::default(), PasswordChecker::default());
        Ok(Arc::new(Self { file: file.to_owned(), auth_filter, loaded, seen, passwords }))
    }

    /// Reloads the files periodically, until `stop`.
    pub async fn reload_periodically(self: Arc<Self>, stop: CancellationToken) {
        let forever = async {
            let mut last: Option<FileError> = None;
            loop {
                sleep(RELOAD_PERIOD).await;
                match self.reload().await {
                    Ok(Reload::Unsettled) => {}
                    Ok(outcome) => {
                        if last.take().is_some() || outcome == Reload::Changed {
                            info!(file = %self.file.display(), "reloaded web configuration and certificates");
                        }
                    }
                    Err(error) => {
                        if last.as_ref() != Some(&error) {
                            error!(%error, "reloading the web configuration failed; keeping the old one");
                        }
                        last = Some(error);
                    }
                }
            }
        };
        stop.run_until_cancelled(forever).await;
    }

    /// Reloads the files. Changes and errors count once they have stayed the same for two
    /// calls, since the files may be read while they are written.
    async fn reload(&self) -> Result<Reload, FileError> {
        let previous = self.loaded.load_full();
        let read = FileContents::read(&self.file).await;
        let outcome = read.as_ref().map(|read| read.digest.clone()).map_err(FileError::clone);
        let settled = lock(&self.seen).replace(outcome.clone()).is_some_and(|seen| seen == outcome);
        if outcome.is_ok_and(|digest| digest == previous.digest) {
            return Ok(Reload::Unchanged);
        }
        if !settled {
            return Ok(Reload::Unsettled);
        }
        let read = read?;
        let loaded = read.build(&self.file, self.auth_filter, Some(&previous))?;
        self.loaded.store(Arc::new(loaded));
        Ok(Reload::Changed)
    }

    /// Whether only clients with credentials, or that know the certificate, get answers.
    pub(super) fn is_protected(&self) -> bool {
        let loaded = self.loaded.load();
        loaded.tls.is_some() || !loaded.users.is_empty()
    }

    /// Returns the TLS configuration for the next connection; `None` without TLS.
    pub fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.loaded.load().tls.as_ref().map(|tls| Arc::clone(&tls.server))
    }

    /// Returns the TLS configuration for connections to replicas that have the same web configuration; `None` without TLS.
    pub fn client_tls(&self) -> Option<Arc<ClientConfig>> {
        self.loaded.load().tls.as_ref().map(|tls| Arc::clone(&tls.client))
    }

    /// Returns the value of `Authorization` for requests to replicas that have the same users; `None` if there are none.
    pub fn proof(&self) -> Option<HeaderValue> {
        self.loaded.load().users.proof()
    }

    /// Checks the rate limit, if `limited`, and the password of a request. The error is the status of the refusal.
    pub(super) async fn admit(
        &self,
        limiter: &TokenBucket,
        headers: &HeaderMap,
        remote: IpAddr,
        limited: bool,
    ) -> Result<(), StatusCode> {
        let loaded = self.loaded.load_full();
        if let Some(limit) = loaded.limit.filter(|_| limited)
            && !limiter.take(limit)
        {
            return Err(StatusCode::TOO_MANY_REQUESTS);
        }
        if loaded.users.is_empty() || loaded.users.is_proof(headers) {
            return Ok(());
        }
        self.passwords.check(&loaded.users, headers, remote).await
    }

    /// Adds the configured headers to an answer.
    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.loaded.load().headers {
            headers.insert(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests;

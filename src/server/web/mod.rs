//! What `--tls-config` asks of both ports: TLS, headers, users and their passwords, a limit of requests.
//!
//! `config` is the file's format, `tls` what rustls is told of it (`names` are Go's), `certificates` whose certificate is taken, `users` and
//! `limit` what is asked of a request. Files are read again every other second, and what they say counts for new connections
//! and requests; what cannot be used changes nothing but for a line in the log.

mod certificates;
mod config;
mod limit;
mod names;
mod tls;
mod users;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::header::HeaderValue;
use http::{HeaderMap, HeaderName, StatusCode};
use ring::digest::{SHA256, digest};
use tokio::time::{Instant, sleep};
use tokio_rustls::rustls::{ClientConfig, ServerConfig};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use zeroize::Zeroizing;

use crate::settings::Settings;
use crate::settings::yaml::FileError;
use config::{Config, Limit};
use limit::Bucket;
use tls::{Files, Tls};
use users::{Passwords, Users};

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(2);
/// How long what was replaced is still taken from peers: a kubelet brings new files within some two minutes.
const CHANGEOVER: Duration = Duration::from_secs(600);
/// No configuration and no bundle of certificates is longer.
const LONGEST: u64 = 4 << 20;

/// What the file says, as long as the process runs.
#[derive(Debug)]
pub struct WebConfig {
    file: PathBuf,
    /// Whether requests have to show a token to the auth filter, so that they cannot show a password.
    tokens: bool,
    loaded: ArcSwap<LoadedConfig>,
    passwords: Passwords,
}

/// What the file said last.
#[derive(Debug)]
struct LoadedConfig {
    /// Of everything that was read.
    digest: Vec<u8>,
    tls: Option<Tls>,
    headers: Vec<(HeaderName, HeaderValue)>,
    users: Users,
    /// What peers may still show who have not read the file again, and until when.
    users_before: Option<(Users, Instant)>,
    limit: Option<Limit>,
}

/// What was read, as it is.
struct FileContents {
    config: Config,
    files: Files,
    digest: Vec<u8>,
}

impl FileContents {
    /// Reads the file, and the files that it names. Of the latter an error counts only where they are needed.
    async fn of(file: &Path) -> Result<Self, FileError> {
        let error = |reason: String| FileError { file: file.to_owned(), line: None, key: None, reason };
        let bytes = read(file).await.map_err(error)?;
        let text = Zeroizing::new(String::from_utf8(bytes).map_err(|_| error("it is not UTF-8".to_owned()))?);
        let config = Config::read(file, &text)?;
        let mut files = Files::new();
        let authority = tls::authority_beside(file, &config.tls);
        for name in config.tls.files(file).chain(authority) {
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

    fn build(self, file: &Path, tokens: bool, before: Option<&LoadedConfig>) -> Result<LoadedConfig, FileError> {
        let Self { config: Config { tls, http2, headers, users, limit }, files, digest } = self;
        let error =
            |reason: &str| FileError { file: file.to_owned(), line: None, key: None, reason: reason.to_owned() };
        if tokens && !users.is_empty() {
            return Err(error(
                "basic_auth_users and --auth-filter exclude each other: both are about the header Authorization",
            ));
        }
        let tls = match tls.is_on() {
            false => None,
            true => {
                let own = before.and_then(|before| before.tls.as_ref()).map(|tls| tls.own.clone());
                let before = own.map(|own| (own, Instant::now() + CHANGEOVER));
                Some(Tls::new(file, &tls, &files, http2, before)?)
            }
        };
        if before.is_some_and(|before| before.tls.is_some() != tls.is_some()) {
            return Err(error("TLS is turned on and off at the start alone"));
        }
        Ok(LoadedConfig { digest, tls, headers, users: Users::new(users), users_before: None, limit })
    }
}

async fn read(file: &Path) -> Result<Vec<u8>, String> {
    let is_long = tokio::fs::metadata(file).await.map_err(|e| e.to_string())?.len() > LONGEST;
    if is_long {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    tokio::fs::read(file).await.map_err(|e| e.to_string())
}

impl WebConfig {
    /// What `--tls-config` of `settings` says; `None` if there is none.
    ///
    /// # Errors
    /// As [`WebConfig::load`].
    pub async fn of(settings: &Settings) -> Result<Option<Arc<Self>>, FileError> {
        match &settings.tls_config {
            Some(file) => Self::load(file, settings.auth_filter).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads `file`; `tokens` if there is an auth filter beside it.
    ///
    /// # Errors
    /// It cannot be read, does not have the form, or asks for what cannot be.
    pub async fn load(file: &Path, tokens: bool) -> Result<Arc<Self>, FileError> {
        let loaded = FileContents::of(file).await?.build(file, tokens, None)?;
        let loaded = ArcSwap::from_pointee(loaded);
        Ok(Arc::new(Self { file: file.to_owned(), tokens, loaded, passwords: Passwords::default() }))
    }

    /// Reads the files again and again, until it is told to stop.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let forever = async {
            // The error that was met last, and whether it was told: a file may have been read while it was written.
            let mut met: Option<(FileError, bool)> = None;
            loop {
                sleep(PERIOD).await;
                match (self.reload().await, &mut met) {
                    (Ok(changed), _) => {
                        if changed || met.take().is_some_and(|(_, told)| told) {
                            info!(file = %self.file.display(), "certificates and web configuration are read anew");
                        }
                        met = None;
                    }
                    (Err(error), Some((before, told))) if *before == error => {
                        if !*told {
                            error!(%error, "the new web configuration cannot be used; the old one stays");
                            *told = true;
                        }
                    }
                    (Err(error), _) => met = Some((error, false)),
                }
            }
        };
        stop.run_until_cancelled(forever).await;
    }

    /// Whether something has changed.
    async fn reload(&self) -> Result<bool, FileError> {
        let before = self.loaded.load_full();
        let read = FileContents::of(&self.file).await?;
        if read.digest == before.digest {
            return Ok(false);
        }
        let mut loaded = read.build(&self.file, self.tokens, Some(&before))?;
        loaded.users_before = Some((Users::new(before.users.hashes().clone()), Instant::now() + CHANGEOVER));
        self.loaded.store(Arc::new(loaded));
        Ok(true)
    }

    /// How the next connection is secured; `None` for not at all.
    pub fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.loaded.load().tls.as_ref().map(|tls| Arc::clone(&tls.server))
    }

    /// How a peer is asked that is configured as this replica; `None` for without TLS.
    pub fn peer_tls(&self) -> Option<Arc<ClientConfig>> {
        self.loaded.load().tls.as_ref().map(|tls| Arc::clone(&tls.client))
    }

    /// What a peer is shown, where users have to give their password.
    pub fn peer_proof(&self) -> Option<HeaderValue> {
        self.loaded.load().users.proof()
    }

    /// Whether a request is let through that comes by one of the ports; else the status that it is refused with. `limited` if
    /// it counts for the limit.
    pub(super) async fn admit(
        &self,
        limiter: &RateLimiter,
        headers: &HeaderMap,
        limited: bool,
    ) -> Result<(), StatusCode> {
        let loaded = self.loaded.load_full();
        if let Some(limit) = loaded.limit.filter(|_| limited)
            && !limiter.0.take(limit)
        {
            return Err(StatusCode::TOO_MANY_REQUESTS);
        }
        if loaded.users.is_empty() || loaded.users.is_peer(headers) {
            return Ok(());
        }
        let before = loaded.users_before.as_ref().filter(|(_, until)| Instant::now() < *until);
        if before.is_some_and(|(users, _)| users.is_peer(headers)) {
            return Ok(());
        }
        self.passwords.check(&loaded.users, headers).await
    }

    /// Adds what every answer has.
    pub(super) fn decorate(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.loaded.load().headers {
            headers.insert(name.clone(), value.clone());
        }
    }
}

/// What one port has to remember.
#[derive(Debug, Default)]
pub(super) struct RateLimiter(Bucket);

#[cfg(test)]
mod tests;

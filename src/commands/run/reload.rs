//! Resolves the settings again when one of their files changes. The old settings stay in effect until the new ones are loaded,
//! and also if the new ones are not valid.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::pending;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use super::files::Files;
use crate::file::{self, CONFIG_BYTES};
use crate::replica::{Replica, client_config, client_files};
use crate::settings::{Layers, LayersError, Settings, SettingsError, Warning};
use crate::telemetry::{ConfigKind, Reloads};

/// The configuration files of a replica, and the settings loaded from them.
pub(super) struct Reloader {
    layers: Layers,
    files: Files,
    reloads: Arc<Reloads>,
    /// The settings in effect.
    settings: Settings,
    /// The kinds of files whose latest content is not in effect, because one of them is not valid.
    pending: BTreeSet<ConfigKind>,
    /// When the credentials of an exec plugin have to be renewed.
    renew_at: Option<Instant>,
}

/// How long to wait after a plugin failed to renew credentials.
const RENEWAL_RETRY: Duration = Duration::from_secs(30);

impl Reloader {
    /// Loads the settings for the first time.
    ///
    /// # Errors
    /// The settings are not valid.
    pub fn start(layers: Layers) -> Result<(Self, Vec<Warning>), LayersError> {
        let mut files = Files::new();
        files.set(ConfigKind::Config, layers.config().map(Path::to_owned));
        let (settings, warnings) = layers.resolve()?;
        let reloads = Arc::new(Reloads::default());
        let mut reloader = Self { layers, files, reloads, settings, pending: BTreeSet::new(), renew_at: None };
        reloader.watch_custom_resources();
        reloader.record(ConfigKind::CustomResources, true);
        let is_without = warnings.iter().any(|warning| matches!(warning, Warning::WithoutConfig(_)));
        reloader.record(ConfigKind::Config, !is_without);
        reloader.watch_kubeconfig();
        reloader.record(ConfigKind::Kubeconfig, true);
        Ok((reloader, warnings))
    }

    /// Returns the settings in effect.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the results of the reloads, for the self-metrics.
    pub fn reloads(&self) -> Arc<Reloads> {
        Arc::clone(&self.reloads)
    }

    /// Sets when the credentials have to be renewed.
    pub fn renew_in(&mut self, delay: Option<Duration>) {
        self.renew_at = delay.map(|delay| Instant::now() + delay);
    }

    /// Waits until files have changed, or credentials have to be renewed. Cancel-safe.
    pub async fn changed(&mut self) -> Vec<ConfigKind> {
        let renewal = async {
            match self.renew_at {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            changed = self.files.changed() => changed,
            () = renewal => vec![ConfigKind::Kubeconfig],
        }
    }

    /// Applies the changed files to `replica`. A file that is valid, but cannot be applied because of another one, is applied with
    /// it later; until then it counts as failed, because its content is not in effect.
    pub async fn reload(&mut self, changed: &[ConfigKind], replica: &mut Replica) {
        let mut changed: BTreeSet<_> =
            std::mem::take(&mut self.pending).into_iter().chain(changed.iter().copied()).collect();
        let (settings, warnings) = if changed.iter().any(|kind| *kind != ConfigKind::Kubeconfig) {
            self.watch_candidates();
            match self.read().await {
                Ok(read) => read,
                Err(errors) => {
                    for error in &errors {
                        error!(%error, "reloading the configuration failed; keeping the old one");
                    }
                    // New credentials do not depend on the other files.
                    let has_credentials = changed.remove(&ConfigKind::Kubeconfig);
                    changed.extend(errors.iter().map(file_of));
                    self.postpone(&changed);
                    changed = has_credentials.then_some(ConfigKind::Kubeconfig).into_iter().collect();
                    (self.settings.clone(), Vec::new())
                }
            }
        } else {
            (self.settings.clone(), Vec::new())
        };
        if changed.is_empty() {
            return;
        }
        let before = std::mem::replace(&mut self.settings, settings);
        self.watch_custom_resources();
        self.watch_kubeconfig();
        let elsewhere = (&before.live.kubeconfig, &before.live.apiserver)
            != (&self.settings.live.kubeconfig, &self.settings.live.apiserver);
        let config = if elsewhere || changed.contains(&ConfigKind::Kubeconfig) {
            match client_config(&self.settings).await {
                Ok(client) => {
                    self.renew_in(client.renew_in);
                    Some(client.config)
                }
                Err(error) => {
                    error!(%error, "reloading the kubeconfig failed; keeping the old one");
                    if self.renew_at.is_some() {
                        self.renew_in(Some(RENEWAL_RETRY));
                    }
                    changed.insert(ConfigKind::Kubeconfig);
                    return self.restore(before, &changed);
                }
            }
        } else {
            None
        };
        for warning in warnings {
            warn!("{warning}");
        }
        match replica.reload(&self.settings, config) {
            Ok(fixed) => {
                if !fixed.is_empty() {
                    warn!(keys = fixed.join(", "), "changed, but takes effect only after a restart");
                }
                info!(files = ?self.names(&changed), "reloaded configuration");
                changed.iter().for_each(|kind| self.record(*kind, true));
                self.reloads.keep_only(ConfigKind::CustomResources, self.settings.live.custom_file.as_deref());
            }
            Err(error) => {
                error!(%error, "applying the new configuration failed; keeping the old one");
                self.restore(before, &changed);
            }
        }
    }

    /// Returns to the settings `before`, because the files in `changed` could not be applied.
    fn restore(&mut self, before: Settings, changed: &BTreeSet<ConfigKind>) {
        self.settings = before;
        self.postpone(changed);
        self.watch_candidates();
        self.watch_kubeconfig();
    }

    /// Records that the files in `changed` were not applied, so that the next reload tries them again.
    fn postpone(&mut self, changed: &BTreeSet<ConfigKind>) {
        self.pending.extend(changed);
        changed.iter().for_each(|kind| self.record(*kind, false));
    }

    /// NB: `--continue-without-config` applies only to the start. On a reload, keeping the old configuration is better.
    ///
    /// Reads on another thread: a file system may be slow, and many patterns take a moment.
    ///
    /// # Errors
    /// All files that are not valid.
    async fn read(&self) -> Result<(Settings, Vec<Warning>), Vec<LayersError>> {
        let mut layers = self.layers.clone();
        if !self.settings.live.custom.is_empty() {
            layers.flags.continue_without_custom_resource_state_config_file = None;
        }
        let custom_file = self.settings.live.custom_file.clone();
        match tokio::task::spawn_blocking(move || layers.read_all(custom_file.as_deref())).await {
            Ok(read) => read,
            // The caller reports a panic.
            Err(ended) => std::panic::resume_unwind(ended.into_panic()),
        }
    }

    fn watch_custom_resources(&mut self) {
        self.files.set(ConfigKind::CustomResources, self.settings.live.custom_file.clone());
    }

    /// Watches also the file that a changed config file names, since it may be the one that is not valid. Before it is read, so
    /// that no change is missed.
    fn watch_candidates(&mut self) {
        let known = self.settings.live.custom_file.clone();
        let candidate = self.layers.custom_file().filter(|file| known.as_ref() != Some(file));
        self.files.set(ConfigKind::CustomResources, known.into_iter().chain(candidate));
    }

    fn watch_kubeconfig(&mut self) {
        self.files.set(ConfigKind::Kubeconfig, client_files(&self.settings));
    }

    fn path(&self, kind: ConfigKind) -> Option<PathBuf> {
        match kind {
            ConfigKind::Config => self.layers.config().map(Path::to_owned),
            // While it is not in effect, the settings may name another one.
            ConfigKind::CustomResources if self.pending.contains(&kind) => {
                self.layers.custom_file().or_else(|| self.settings.live.custom_file.clone())
            }
            ConfigKind::CustomResources => self.settings.live.custom_file.clone(),
            ConfigKind::Kubeconfig => self.settings.live.kubeconfig.clone(),
        }
    }

    fn names(&self, kinds: &BTreeSet<ConfigKind>) -> Vec<PathBuf> {
        kinds.iter().filter_map(|kind| self.path(*kind)).collect()
    }

    /// Records the result of a reload, for the self-metrics.
    fn record(&self, kind: ConfigKind, successful: bool) {
        let Some(path) = self.path(kind) else { return };
        match file::read(&path, CONFIG_BYTES) {
            Ok(content) if successful => self.reloads.succeeded(kind, &path, &content),
            _ => self.reloads.failed(kind, &path),
        }
    }
}

/// Returns the file that an error is about.
fn file_of(error: &LayersError) -> ConfigKind {
    match error {
        LayersError::Settings(SettingsError::Custom(_)) => ConfigKind::CustomResources,
        LayersError::Settings(_) | LayersError::Config(_) => ConfigKind::Config,
    }
}

/// Waits until the config file and the file of custom resources are valid. Records in `reloads` those that are not: they count as
/// failed until both are in effect.
pub(super) async fn config_fixed(layers: &Layers, reloads: &Reloads) {
    let mut files = Files::new();
    loop {
        // Before the files are read, so that no change is missed.
        let custom = layers.custom_file();
        files.set(ConfigKind::Config, layers.config().map(Path::to_owned));
        files.set(ConfigKind::CustomResources, custom.clone());
        let Err(errors) = layers.read_all(None) else { return };
        for error in &errors {
            error!(%error, "the configuration is not valid; serving nothing until it is fixed");
        }
        for kind in errors.iter().map(file_of) {
            let file = if kind == ConfigKind::Config { layers.config() } else { custom.as_deref() };
            if let Some(file) = file {
                reloads.failed(kind, file);
            }
        }
        files.changed().await;
    }
}

//! Resolves the settings again when one of their files changes. The old settings stay in effect until the new ones are loaded,
//! and also if the new ones are not valid.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{error, info, warn};

use super::files::Files;
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
}

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
        let mut reloader = Self { layers, files, reloads, settings };
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

    /// Waits until files have changed. Cancel-safe.
    pub async fn changed(&mut self) -> Vec<ConfigKind> {
        self.files.changed().await
    }

    /// Applies the changed files to `replica`.
    pub async fn reload(&mut self, changed: &[ConfigKind], replica: &mut Replica) {
        let mut changed = changed.to_vec();
        let (settings, warnings) = if changed.iter().any(|kind| *kind != ConfigKind::Kubeconfig) {
            match self.read() {
                Ok(read) => read,
                Err(error) => {
                    error!(%error, "reloading the configuration failed; keeping the old one");
                    self.record(file_of(&error), false);
                    // New credentials do not depend on the other files.
                    changed.retain(|kind| *kind == ConfigKind::Kubeconfig);
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
                Ok(config) => Some(config),
                Err(error) => {
                    error!(%error, "reloading the kubeconfig failed; keeping the old one");
                    self.record(ConfigKind::Kubeconfig, false);
                    self.settings = before;
                    self.watch_custom_resources();
                    return self.watch_kubeconfig();
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
            }
            Err(error) => {
                error!(%error, "applying the new configuration failed; keeping the old one");
                changed.iter().for_each(|kind| self.record(*kind, false));
                self.settings = before;
                self.watch_custom_resources();
                self.watch_kubeconfig();
            }
        }
    }

    /// NB: `--continue-without-config` applies only to the start. On a reload, keeping the old configuration is better.
    fn read(&self) -> Result<(Settings, Vec<Warning>), LayersError> {
        let mut layers = self.layers.clone();
        if !self.settings.live.custom.is_empty() {
            layers.flags.continue_without_custom_resource_state_config_file = None;
        }
        match self.layers.config() {
            Some(file) => layers.read(file),
            None => Ok(layers.without_config()?),
        }
    }

    fn watch_custom_resources(&mut self) {
        self.files.set(ConfigKind::CustomResources, self.settings.live.custom_file.clone());
    }

    fn watch_kubeconfig(&mut self) {
        self.files.set(ConfigKind::Kubeconfig, client_files(&self.settings));
    }

    fn path(&self, kind: ConfigKind) -> Option<PathBuf> {
        match kind {
            ConfigKind::Config => self.layers.config().map(Path::to_owned),
            ConfigKind::CustomResources => self.settings.live.custom_file.clone(),
            ConfigKind::Kubeconfig => self.settings.live.kubeconfig.clone(),
        }
    }

    fn names(&self, kinds: &[ConfigKind]) -> Vec<PathBuf> {
        kinds.iter().filter_map(|kind| self.path(*kind)).collect()
    }

    /// Records the result of a reload, for the self-metrics.
    fn record(&self, kind: ConfigKind, successful: bool) {
        let Some(path) = self.path(kind) else { return };
        match std::fs::read(&path) {
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

/// Waits until the config file is valid.
pub(super) async fn config_fixed(layers: &Layers) {
    let mut files = Files::new();
    files.set(ConfigKind::Config, layers.config().map(Path::to_owned));
    loop {
        // The file may have been fixed before polling began.
        if let Some(file) = layers.config() {
            match layers.read(file) {
                Ok(_) => return,
                Err(error) => {
                    error!(%error, "the config file is not valid; serving nothing until it is fixed")
                }
            }
        }
        files.changed().await;
    }
}

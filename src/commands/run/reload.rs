//! Lays the settings anew when one of the files changes of which they are made. What held before holds until the new is loaded, and
//! on if the new is refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{error, info, warn};

use super::files::Files;
use crate::replica::{Replica, client_config, client_files};
use crate::settings::{Layers, LayersError, Settings, SettingsError, Warning};
use crate::telemetry::{ConfigKind, Reloads};

/// The files of a replica, and what they were found to say.
pub(super) struct Reloader {
    layers: Layers,
    files: Files,
    reloads: Arc<Reloads>,
    /// As they hold.
    settings: Settings,
}

impl Reloader {
    /// Reads the settings for the first time.
    ///
    /// # Errors
    /// They are not valid.
    pub fn start(layers: Layers) -> Result<(Self, Vec<Warning>), LayersError> {
        let mut files = Files::new();
        files.set(ConfigKind::Config, layers.config().map(Path::to_owned));
        let (settings, warnings) = layers.resolve()?;
        let reloads = Arc::new(Reloads::default());
        let mut reloader = Self { layers, files, reloads, settings };
        reloader.look_at_custom_resources();
        reloader.note(ConfigKind::CustomResources, true);
        let is_without = warnings.iter().any(|warning| matches!(warning, Warning::WithoutConfig(_)));
        reloader.note(ConfigKind::Config, !is_without);
        reloader.look_at_kubeconfig();
        reloader.note(ConfigKind::Kubeconfig, true);
        Ok((reloader, warnings))
    }

    /// As they hold.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What came of reading the files.
    pub fn reloads(&self) -> Arc<Reloads> {
        Arc::clone(&self.reloads)
    }

    /// Waits until something is to be reloaded. Can be dropped while it waits.
    pub async fn changed(&mut self) -> Vec<ConfigKind> {
        self.files.changed().await
    }

    /// Lets `replica` go by what the files say now.
    pub async fn reload(&mut self, changed: &[ConfigKind], replica: &mut Replica) {
        let mut changed = changed.to_vec();
        let (settings, warnings) = if changed.iter().any(|kind| *kind != ConfigKind::Kubeconfig) {
            match self.read() {
                Ok(read) => read,
                Err(error) => {
                    error!("the new configuration is refused, what held before holds on: {error}");
                    self.note(guilty(&error), false);
                    // New credentials have nothing to do with it.
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
        self.look_at_custom_resources();
        self.look_at_kubeconfig();
        let elsewhere = (&before.live.kubeconfig, &before.live.apiserver)
            != (&self.settings.live.kubeconfig, &self.settings.live.apiserver);
        let config = if elsewhere || changed.contains(&ConfigKind::Kubeconfig) {
            match client_config(&self.settings).await {
                Ok(config) => Some(config),
                Err(error) => {
                    error!("the new kubeconfig is refused, what held before holds on: {error}");
                    self.note(ConfigKind::Kubeconfig, false);
                    self.settings = before;
                    self.look_at_custom_resources();
                    return self.look_at_kubeconfig();
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
                    warn!(keys = fixed.join(", "), "changed, but holds only from the next start on");
                }
                info!(files = ?self.names(&changed), "the new configuration is loaded");
                changed.iter().for_each(|kind| self.note(*kind, true));
            }
            Err(error) => {
                error!("the new configuration cannot be used, what held before holds on: {error}");
                changed.iter().for_each(|kind| self.note(*kind, false));
                self.settings = before;
                self.look_at_custom_resources();
                self.look_at_kubeconfig();
            }
        }
    }

    /// NB: `--continue-without-config` is for the start; later there is something better to go on with than flags alone.
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

    fn look_at_custom_resources(&mut self) {
        self.files.set(ConfigKind::CustomResources, self.settings.live.custom_file.clone());
    }

    fn look_at_kubeconfig(&mut self) {
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

    /// For the self-metrics.
    fn note(&self, kind: ConfigKind, successful: bool) {
        let Some(path) = self.path(kind) else { return };
        match std::fs::read(&path) {
            Ok(content) if successful => self.reloads.succeeded(kind, &path, &content),
            _ => self.reloads.failed(kind, &path),
        }
    }
}

/// In which file is what an error is about.
fn guilty(error: &LayersError) -> ConfigKind {
    match error {
        LayersError::Settings(SettingsError::Custom(_)) => ConfigKind::CustomResources,
        LayersError::Settings(_) | LayersError::Config(_) => ConfigKind::Config,
    }
}

/// Waits until the config file is mended.
pub(super) async fn mended(layers: &Layers) {
    let mut files = Files::new();
    files.set(ConfigKind::Config, layers.config().map(Path::to_owned));
    loop {
        // It may have been mended before we looked.
        if let Some(file) = layers.config() {
            match layers.read(file) {
                Ok(_) => return,
                Err(error) => {
                    error!("{error}; waiting until the file is mended, nothing is served until then")
                }
            }
        }
        files.changed().await;
    }
}

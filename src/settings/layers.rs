//! The layers of the settings, kept so that they can be resolved again when a file changes.

use std::path::Path;

use super::values::{is_true, non_empty};
use super::{ConfigError, ConfigFile, Environment, Flags, Settings, SettingsError, Warning};

/// Flags and environment, and the names of the files that override them.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The flags of the command line.
    pub flags: Flags,
    /// The environment.
    pub environment: Environment,
    /// The host name, for an ordinal that has no other source.
    pub host_name: Option<String>,
}

/// Why the layers make no settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayersError {
    /// The flags, the environment or the file of custom resources are not valid.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The file of `--config` is missing or not valid.
    #[error("--config: {0}")]
    Config(#[from] ConfigError),
}

impl Layers {
    /// The file of `--config`.
    pub fn config(&self) -> Option<&Path> {
        non_empty(&self.flags.config)
    }

    /// `--continue-without-config`.
    pub fn continue_without_config(&self) -> bool {
        is_true(self.flags.continue_without_config)
    }

    /// Resolves the settings without the config file.
    ///
    /// # Errors
    /// As [`Settings::resolve`].
    pub fn without_config(&self) -> Result<(Settings, Vec<Warning>), SettingsError> {
        Settings::resolve(&self.flags, &self.environment, || self.host_name.clone())
    }

    /// Resolves the settings with `file` over the flags.
    ///
    /// # Errors
    /// As [`Settings::resolve`]. An error names the place in the config file, or in the file of custom resources.
    pub fn with(&self, file: &ConfigFile) -> Result<(Settings, Vec<Warning>), LayersError> {
        let resolved = Settings::resolve(&file.over(&self.flags), &self.environment, || self.host_name.clone());
        let (settings, mut warnings) = resolved.map_err(|error| match &error {
            SettingsError::Custom(_) if !file.overrides().contains("--custom-resource-state-config") => {
                LayersError::Settings(error)
            }
            error => LayersError::Config(file.blame(&error.to_string())),
        })?;
        let unknown: Vec<_> = file.unknown_keys().collect();
        if !unknown.is_empty() {
            warnings.push(Warning::UnknownKeys { file: file.file().to_owned(), keys: unknown });
        }
        Ok((settings, warnings))
    }

    /// Reads the config file `file`, and resolves the settings with it.
    ///
    /// # Errors
    /// The file cannot be read, or as [`Layers::with`].
    pub fn read(&self, file: &Path) -> Result<(Settings, Vec<Warning>), LayersError> {
        self.with(&ConfigFile::read(file)?)
    }

    /// As [`Layers::resolve`], without the flags and keys that make the process a shard or a member of a fleet.
    ///
    /// # Errors
    /// As there.
    pub fn resolve_unsharded(mut self) -> Result<(Settings, Vec<Warning>), LayersError> {
        let file = self.config().map(ConfigFile::read).transpose();
        let (flags, warning) = match file {
            Ok(Some(file)) => (file.over(&self.flags), None),
            Ok(None) => (self.flags.clone(), None),
            Err(error) if self.continue_without_config() => (self.flags.clone(), Some(Warning::WithoutConfig(error))),
            Err(error) => return Err(error.into()),
        };
        self.flags = flags.unsharded();
        let (settings, mut warnings) = self.without_config()?;
        warnings.extend(warning);
        Ok((settings, warnings))
    }

    /// Resolves the settings with the current content of the config file, if there is one. With `--continue-without-config`, a
    /// missing or invalid file is only a warning.
    ///
    /// # Errors
    /// The file or another layer is not valid.
    pub fn resolve(&self) -> Result<(Settings, Vec<Warning>), LayersError> {
        let Some(file) = self.config() else { return Ok(self.without_config()?) };
        match self.read(file) {
            Err(LayersError::Config(error)) if self.continue_without_config() => {
                let (settings, mut warnings) = self.without_config()?;
                warnings.push(Warning::WithoutConfig(error));
                Ok((settings, warnings))
            }
            resolved => resolved,
        }
    }
}

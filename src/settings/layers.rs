//! The layers of which settings are made, kept so that they can be laid over each other anew when a file changes.

use std::path::Path;

use super::{ConfigError, ConfigFile, Environment, Flags, Settings, SettingsError, Warning, named};

/// Flags and environment, and which files lie over them.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// What was given on the command line.
    pub flags: Flags,
    /// The variables that are read.
    pub environment: Environment,
    /// The name of this host, for an ordinal that has no other source.
    pub host_name: Option<String>,
}

/// Why there are no settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayersError {
    /// Flags or environment are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The file of `--config` is missing, or wrong.
    #[error("--config: {0}")]
    Config(#[from] ConfigError),
}

impl Layers {
    /// The file of `--config`, if there is one.
    pub fn config(&self) -> Option<&Path> {
        named(&self.flags.config)
    }

    /// `--continue-without-config`.
    pub fn continue_without_config(&self) -> bool {
        self.flags.continue_without_config == Some(true)
    }

    /// The settings without the config file.
    ///
    /// # Errors
    /// As [`Settings::resolve`].
    pub fn without_config(&self) -> Result<(Settings, Vec<Warning>), SettingsError> {
        Settings::resolve(&self.flags, &self.environment, || self.host_name.clone())
    }

    /// The settings with this config file over the flags.
    ///
    /// # Errors
    /// As [`ConfigFile::resolve`].
    pub fn with(&self, file: &ConfigFile) -> Result<(Settings, Vec<Warning>), LayersError> {
        file.resolve(&self.flags, &self.environment, || self.host_name.clone())
    }

    /// The settings with what `file` says now.
    ///
    /// # Errors
    /// It cannot be read, or as [`Layers::with`].
    pub fn read(&self, file: &Path) -> Result<(Settings, Vec<Warning>), LayersError> {
        self.with(&ConfigFile::read(file)?)
    }

    /// As [`Layers::resolve`], without what says which shard this is.
    ///
    /// # Errors
    /// Likewise.
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

    /// The settings with the config file, as it is now, if there is one. With `--continue-without-config`, one that is missing or
    /// broken is no more than a warning.
    ///
    /// # Errors
    /// Something is not valid.
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

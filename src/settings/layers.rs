//! The layers of the settings, kept so that they can be resolved again when a file changes.

use std::path::{Path, PathBuf};

use super::resolve;
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

/// Returns an error about the flags with `file` over them as one about the file, if a value of the file causes it.
fn blamed(file: &ConfigFile, error: SettingsError) -> LayersError {
    match &error {
        SettingsError::Custom(_) if !file.overrides().contains("--custom-resource-state-config") => {
            LayersError::Settings(error)
        }
        error => LayersError::Config(file.blame(&error.to_string())),
    }
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

    /// Resolves the settings of the flags alone, without any file.
    ///
    /// # Errors
    /// As [`Settings::resolve`].
    pub fn without_files(&self) -> Result<Settings, SettingsError> {
        let flags = without_custom_resources(self.flags.clone());
        Ok(Settings::resolve(&flags, &self.environment, || self.host_name.clone())?.0)
    }

    /// The file of custom resources that the flags name, or the config file over them if it can be read.
    pub fn custom_file(&self) -> Option<PathBuf> {
        resolve::custom_file(&self.flags_with_config()).map(Path::to_owned)
    }

    /// The flags, with the config file over them if it can be read.
    fn flags_with_config(&self) -> Flags {
        let file = self.config().and_then(|file| ConfigFile::read(file).ok());
        file.map_or_else(|| self.flags.clone(), |file| file.over(&self.flags))
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
        let (settings, mut warnings) = resolved.map_err(|error| blamed(file, error))?;
        file.add_warnings(&mut warnings);
        Ok((settings, warnings))
    }

    /// Reads the config file `file`, and resolves the settings with it.
    ///
    /// # Errors
    /// The file cannot be read, or as [`Layers::with`].
    pub fn read(&self, file: &Path) -> Result<(Settings, Vec<Warning>), LayersError> {
        self.with(&ConfigFile::read(file)?)
    }

    /// Resolves the settings with the current content of all files. `custom_file` is the file of custom resources in effect, which is
    /// checked if a broken config file no longer says which one to read.
    ///
    /// # Errors
    /// All files that are not valid, not only the first one.
    pub fn read_all(&self, custom_file: Option<&Path>) -> Result<(Settings, Vec<Warning>), Vec<LayersError>> {
        let resolved = match self.config() {
            Some(file) => self.read(file),
            None => self.without_config().map_err(LayersError::from),
        };
        resolved.map_err(|first| {
            let other = self.other_error(&first, custom_file);
            std::iter::once(first).chain(other).collect()
        })
    }

    /// The error of the other file, besides `first`.
    fn other_error(&self, first: &LayersError, custom_file: Option<&Path>) -> Option<LayersError> {
        match first {
            LayersError::Settings(SettingsError::Custom(_)) => {
                let file = ConfigFile::read(self.config()?).ok()?;
                let flags = without_custom_resources(file.over(&self.flags));
                let resolved = Settings::resolve(&flags, &self.environment, || self.host_name.clone());
                resolved.err().map(|error| LayersError::Config(file.blame(&error.to_string())))
            }
            LayersError::Config(_) => {
                let mut flags = self.flags_with_config();
                let named = flags.custom_resource_state_config_file.take();
                flags.custom_resource_state_config_file = named.or_else(|| custom_file.map(Path::to_owned));
                resolve::custom_file(&flags)?;
                resolve::custom_resources(&flags, &mut Vec::new()).err().map(LayersError::Settings)
            }
            LayersError::Settings(_) => None,
        }
    }

    /// As [`Layers::resolve`], without the flags and keys that make the process a shard or a member of a fleet.
    ///
    /// # Errors
    /// As there.
    pub fn resolve_unsharded(mut self) -> Result<(Settings, Vec<Warning>), LayersError> {
        let (file, warning) = match self.config().map(ConfigFile::read).transpose() {
            Ok(file) => (file, None),
            Err(error) if self.continue_without_config() => (None, Some(Warning::WithoutConfig(error))),
            Err(error) => return Err(error.into()),
        };
        self.flags = file.as_ref().map_or_else(|| self.flags.clone(), |file| file.over(&self.flags)).unsharded();
        let (settings, mut warnings) = self.without_config().map_err(|error| match &file {
            Some(file) => blamed(file, error),
            None => error.into(),
        })?;
        warnings.extend(warning);
        if let Some(file) = file {
            file.add_warnings(&mut warnings);
        }
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

fn without_custom_resources(flags: Flags) -> Flags {
    Flags { custom_resource_state_config: None, custom_resource_state_config_file: None, ..flags }
}

//! What this process is asked to do: defaults, overridden by environment, flags and config file, as one validated value.
//!
//! [`Flags`] holds raw values: those that were given. A [`ConfigFile`] replaces some of them. [`Settings::resolve`] validates
//! them together with the [`Environment`], and is the only way to a [`Settings`]. [`Layers`] does all this, at the start and
//! again when a file changes. Each flag is declared once, in `flags.rs`.
//!
//! May not know anything that runs.

mod address;
mod config;
pub mod custom;
mod declare;
mod derived;
mod environment;
mod error;
mod families;
mod features;
mod flags;
mod fleet;
mod keys;
mod kinds;
mod klog;
mod layers;
mod log;
pub mod names;
mod pattern;
mod reference;
mod resolve;
pub mod resources;
pub mod selection;
pub mod selectors;
mod shard;
mod timeouts;
mod values;
pub mod yaml;

pub use address::Listen;
pub use config::ConfigFile;
pub use environment::Environment;
pub use error::{ConfigError, SettingsError, Warning};
pub use families::FamilyFilter;
pub use features::Feature;
pub use flags::{Fixed, Flags, Live, Settings};
pub use fleet::{FleetSettings, OnLostQuorum};
pub use klog::{Klog, ignored as ignored_flags};
pub use layers::{Layers, LayersError};
pub use log::{Log, LogFormat};
pub use reference::difference;
pub use shard::Shard;
pub use timeouts::Timeouts;
pub use values::{GoBool, GoDuration, KeyLists, SelectorEntry, SelectorLists, is_true};

#[cfg(test)]
mod tests;
